"""A `RedisStore` with a client that the program made: for sentinels, for clusters, with any settings."""

import os
from collections.abc import Callable

import pytest
import redis
import redis.asyncio
from keeping import ENTRY, KEY, TURN, token, works
from leaks.rendering import rendered
from redis_server import RedisServer, redis_server
from support import PATIENCE, eventually, in_child

from daxko_auth import RedisStore, TokenStoreError
from daxko_auth.stores import redis_connection

CANARY = "canary-of-redis"
LIMITS = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}


def cluster(*ports: int, **options: object) -> redis.RedisCluster:
    """Return a client of a cluster of which one node serves all but the last slot."""
    nodes = [redis.cluster.ClusterNode("127.0.0.1", port) for port in ports]
    return redis.RedisCluster(startup_nodes=nodes, require_full_coverage=False, **LIMITS, **options)


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_client_is_used_as_it_is_and_stays_the_programs(shared_redis: RedisServer, protocol: int) -> None:
    """The program closes it, and uses it for other things."""
    with redis.Redis(port=shared_redis.port, db=2, protocol=protocol, **LIMITS) as client:
        store = RedisStore(client)
        assert repr(store) == "<RedisStore at the program's Redis>"
        assert works(store)
        store.write(KEY, token())
        assert client.exists(ENTRY)
        assert shared_redis.names() == []
        assert RedisStore(f"{shared_redis.url}/2").read(KEY) == token()
        client.delete(ENTRY)


def test_a_client_with_a_url_of_its_own_serves_as_well(shared_redis: RedisServer) -> None:
    """Where redis-py has a limit by itself, as from version 8 on, or where the URL has one."""
    with redis.Redis.from_url(f"{shared_redis.url}?socket_timeout=60") as client:
        assert works(RedisStore(client))


UNFIT: dict[str, tuple[Callable[[], object], str]] = {
    "async": (lambda: redis.asyncio.Redis(password=CANARY, **LIMITS), "is async"),
    "an async cluster": (lambda: redis.asyncio.RedisCluster("localhost", password=CANARY), "is async"),
    "decodes": (lambda: redis.Redis(password=CANARY, decode_responses=True, **LIMITS), "without decode_responses"),
    "endless": (lambda: redis.Redis(password=CANARY, socket_timeout=None), "such as socket_timeout=1"),
    "single": (
        lambda: redis.Redis(host=CANARY, single_connection_client=True, retry=None, **LIMITS),
        "without single_connection_client",
    ),
    "of Sentinel": (lambda: redis.sentinel.Sentinel([("localhost", 1)], password=CANARY), "neither a URL"),
}


@pytest.mark.parametrize(("make", "why"), UNFIT.values(), ids=UNFIT)
def test_a_client_that_would_not_do_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], object], why: str
) -> None:
    """Each of them would fail later, and look like a Redis that is down."""
    monkeypatch.setattr(redis.connection.Connection, "connect", lambda _: None)  # for the single one
    client = make()
    with pytest.raises(TokenStoreError, match=why) as caught:
        RedisStore(client)  # type: ignore[arg-type]
    del client, make
    assert CANARY not in rendered(caught.value)


def test_a_client_that_waits_longer_than_a_step_may_take_keeps_nobody_waiting(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its limit is a program's choice, and so are its retries."""
    monkeypatch.setattr(redis_connection, "_LONGEST_STEP", 0.1)
    with redis.Redis(port=own_redis.port, password=CANARY, **LIMITS) as client:
        store = RedisStore(client)
        own_redis.freeze()
        with pytest.raises(TokenStoreError, match=r"the program's Redis cannot be used \(TimeoutError\)") as caught:
            store.read(KEY)
        own_redis.thaw()
    assert CANARY not in rendered(caught.value)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_a_program_that_has_used_its_client_has_connections_of_its_own(shared_redis: RedisServer) -> None:
    """Two processes on one connection get each other's answers."""
    with redis.Redis(port=shared_redis.port, **LIMITS) as client:
        store = RedisStore(client)
        store.write(KEY, token())

        def differs() -> bool:
            mine = client.client_id()
            return store.read(KEY) == token() and mine != parents

        parents = client.client_id()
        assert in_child(differs)
        assert store.read(KEY) == token()
        assert client.client_id() == parents


def test_sentinels_say_who_the_master_is(own_redis: RedisServer) -> None:
    """One of them may be down; and each connection asks again, so a failover needs no restart."""
    password = f"{CANARY}-of-sentinel"
    own_redis.tell("CONFIG", "SET", "requirepass", CANARY)
    watched = (f"sentinel monitor main 127.0.0.1 {own_redis.port} 1", f"sentinel auth-pass main {CANARY}")
    with redis_server(*watched, f"requirepass {password}", sentinel=True) as sentinel:
        hosts = [("127.0.0.1", 1), ("127.0.0.1", sentinel.port)]
        sentinels = redis.sentinel.Sentinel(
            hosts, sentinel_kwargs={"password": password, **LIMITS}, password=CANARY, db=1, **LIMITS
        )
        with sentinels.master_for("main") as client, sentinels.master_for("other") as other:
            assert works(RedisStore(client))
            with pytest.raises(TokenStoreError, match="MasterNotFoundError"):
                RedisStore(other).read(KEY)
            own_redis.stop()
            with pytest.raises(TokenStoreError, match="Error") as caught:
                RedisStore(client).read(KEY)
        for each in sentinels.sentinels:
            each.close()
    assert CANARY not in rendered(caught.value)


def test_both_keys_of_a_token_are_in_one_slot_of_a_cluster() -> None:
    """Scripts see keys of one slot only; one node of those named may be down."""
    with redis_server("cluster-enabled yes", "cluster-require-full-coverage no") as node:
        # Whoever serves the last slot is down, and ours is another one.
        assert node.tell("CLUSTER", "KEYSLOT", ENTRY) == node.tell("CLUSTER", "KEYSLOT", TURN) < 16_383
        node.tell("CLUSTER", "ADDSLOTS", *range(16_383))
        eventually(lambda: b"cluster_state:ok" in node.tell("CLUSTER", "INFO"))
        with cluster(1, node.port) as client:
            store = RedisStore(client)
            assert repr(store) == "<RedisStore at the program's RedisCluster>"
            assert works(store)
            store.write(KEY, token())
            assert node.names() == [ENTRY]
        node.tell(
            "ACL", "SETUSER", "daxko", "on", f">{CANARY}", "~daxko_auth:*", *["+get", "+set", "+del", "+pttl", "+eval"]
        )
        node.tell("ACL", "SETUSER", "daxko", "+cluster|slots", "+command")
        with cluster(node.port, username="daxko", password=CANARY) as client:
            assert works(RedisStore(client))
        decodes = cluster(node.port, decode_responses=True)
        with decodes, pytest.raises(TokenStoreError, match="without decode_responses"):
            RedisStore(decodes)

"""What a `RedisStore` leaves in Redis and in the process: nothing for ever, nothing to read, nothing open."""

import copy
import logging
import os
import pickle
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from keeping import (
    ENTRY,
    KEY,
    OTHERS,
    PASSWORD,
    REFRESH_TOKEN,
    TURN,
    USERNAME,
    commands_of,
    key,
    token,
    warnings_of,
)
from leaks.needles import found_in
from redis_server import RedisServer
from support import PATIENCE, eventually, in_child

from daxko_auth import ApiCredentials, ClientScope, RedisStore, TokenKey, TokenSource
from daxko_auth.sandbox import Sandbox
from daxko_auth.stores.redis_access import RedisAccess
from daxko_auth.stores.redis_connection import RedisConnection
from daxko_auth.stores.sealing import LARGEST_ENTRY, entry_name, sealed


@pytest.fixture
def store(shared_redis: RedisServer) -> RedisStore:
    """Give a store without anything in it."""
    return RedisStore(shared_redis.url)


def test_every_key_has_an_end(store: RedisStore, shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Customers leave, passwords change and workers are killed; nobody sweeps a Redis."""
    commands = commands_of(monkeypatch)
    store.write(KEY, token())
    assert commands[-1][-1] == 3_600_000, "the life of the token"
    with store.turn(KEY, timeout=90):
        assert commands[-1][-1] == 60_000, "less than others wait for it"
        assert shared_redis.names() == [ENTRY, TURN]
        lives = [shared_redis.tell("PTTL", name) for name in [ENTRY, TURN]]
    assert 0 <= lives[0] <= 3_600_000
    assert 0 <= lives[1] <= 60_000
    assert shared_redis.names() == [ENTRY]


def test_nothing_in_redis_is_a_secret_or_a_guessable_hash_of_one(store: RedisStore, shared_redis: RedisServer) -> None:
    """Whoever runs a Redis, or copies its memory, is not told who may do what at Daxko."""
    shared_redis.tell("CONFIG", "SET", "slowlog-log-slower-than", "0")
    store.write(KEY, token())
    store.drop(KEY, token("b"))
    assert store.read(KEY) == token()
    with store.turn(KEY, timeout=1):
        # All commands that were sent, too.
        log = repr(shared_redis.tell("SLOWLOG", "GET", "-1"))
        everything = log + repr([(name, shared_redis.tell("GET", name)) for name in shared_redis.names()])
    shared_redis.tell("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    assert "daxko_auth:{9999-" in everything
    assert not found_in(everything, [PASSWORD, REFRESH_TOKEN, USERNAME, token().reveal()])
    assert re.fullmatch(r"daxko_auth:\{9999-[0-9a-f]{32}\}:token", *shared_redis.names())


WHOLE = sealed(KEY, token())
DAMAGED = {
    "no entry": b"somebody else's",
    "text": "ä".encode(),
    "cut off": WHOLE[:-1],
    "one bit": WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]),
    "another version": WHOLE.replace(b" 1\n", b" 2\n", 1),
    "another account's": sealed(OTHERS["username"], token()),
    "another customer's": sealed(OTHERS["Daxko client"], token()),
}


OTHER_THINGS: dict[str, tuple[str | bytes | int, ...]] = {
    **{name: ("SET", ENTRY, damaged) for name, damaged in DAMAGED.items()},
    "too long": ("SETRANGE", ENTRY, 1 << 27, "x"),
    "one byte too long": ("SETRANGE", ENTRY, LARGEST_ENTRY, "x"),
    "a number": ("INCR", ENTRY),
    "a bit": ("SETBIT", ENTRY, 7, 1),
    "a list": ("LPUSH", ENTRY, "somebody else's"),
    "a hash": ("HSET", ENTRY, "token", "somebody else's"),
    "a set": ("SADD", ENTRY, "somebody else's"),
    "a sorted set": ("ZADD", ENTRY, 1, "somebody else's"),
    "a stream": ("XADD", ENTRY, "*", "token", "somebody else's"),
}


@pytest.mark.parametrize("command", OTHER_THINGS.values(), ids=OTHER_THINGS)
def test_an_entry_that_does_not_open_is_a_miss_with_one_warning_and_heals(
    store: RedisStore,
    shared_redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
    command: tuple[str | bytes | int, ...],
) -> None:
    """A cache that fails every run until somebody deletes a key is worse than none."""
    shared_redis.tell(*command)
    assert store.read(KEY) is None
    assert store.read(KEY) is None
    assert warnings_of(caplog) == [
        f"token store: the entry for client:9999 at {shared_redis.url} cannot be read; it is passed over and replaced"
    ]
    store.drop(KEY, token())
    store.write(KEY, token())
    assert store.read(KEY) == token()
    assert shared_redis.tell("PTTL", ENTRY) > 0


@pytest.mark.parametrize(
    "command",
    [
        *[("SET", TURN, "somebody else's"), ("LPUSH", TURN, "x"), ("SETRANGE", TURN, 1 << 20, "x")],
        # A dump that was restored, a migration, or a PERSIST by hand.
        *[("SET", TURN, "5" * 32), ("SET", TURN, "5" * 32, "EX", 86_400)],
    ],
    ids=repr,
)
def test_what_is_no_turn_is_replaced_by_one(
    store: RedisStore, shared_redis: RedisServer, command: tuple[str | bytes | int, ...]
) -> None:
    """It has no end, or none soon, and everybody would wait for it whenever that token is renewed."""
    shared_redis.tell(*command)
    with store.turn(KEY, timeout=PATIENCE):
        assert shared_redis.tell("PTTL", TURN) > 0
        shared_redis.tell("DEL", TURN)
        shared_redis.tell(*command)
    assert shared_redis.names() == [TURN], "another's is not taken away"


def test_one_key_of_another_type_costs_no_other_customer_anything(
    sandbox: Sandbox, credentials: ApiCredentials, shared_redis: RedisServer
) -> None:
    """Three programs one after the other ask once for each customer."""
    name = entry_name(TokenKey(sandbox.base_url, credentials, ClientScope(9999)))
    for kind in ("token", "turn"):
        shared_redis.tell("LPUSH", f"daxko_auth:{{{name}}}:{kind}", "somebody else's")
    for _ in range(3):
        with TokenSource(credentials, sandbox.base_url, store=RedisStore(shared_redis.url)) as source:
            source.token(9999)
            source.token(1234)
    assert (sandbox.token_requests(9999), sandbox.token_requests(1234)) == (1, 1)


@pytest.mark.parametrize("use", ["read", "write", "drop"])
def test_the_log_is_told_of_a_broken_entry_outside_of_a_step_and_may_fail(
    store: RedisStore, shared_redis: RedisServer, use: str
) -> None:
    """A handler that takes long would let the step fail, and Redis count as out of order."""
    threads: list[threading.Thread] = []

    class Looking(logging.Filter):
        def filter(self, _: logging.LogRecord) -> bool:
            threads.append(threading.current_thread())
            raise ZeroDivisionError

    looking = Looking()
    shared_redis.tell("SET", ENTRY, "damaged")
    logging.getLogger("daxko_auth").addFilter(looking)
    try:
        if use == "read":
            assert store.read(KEY) is None
        elif use == "write":
            store.write(KEY, token())
            assert store.read(KEY) == token()
        else:
            store.drop(KEY, token())
    finally:
        logging.getLogger("daxko_auth").removeFilter(looking)
    assert threads == [threading.current_thread()]


@pytest.mark.parametrize("life", [0, -1])
def test_a_token_without_a_life_is_no_error_and_not_kept_for_long(store: RedisStore, life: int) -> None:
    """Redis takes no end that is now."""
    store.write(KEY, type(token())(token().scope, token()._secret, token().expires_at, life))


def clients_of(server: RedisServer) -> int:
    """Count the connections, but for the one that asks."""
    return len(server.tell("CLIENT", "LIST").splitlines()) - 1


def test_nothing_is_connected_before_the_first_use_and_nothing_is_left_open(own_redis: RedisServer) -> None:
    """A renewal a day is no reason to hold a connection, for firewalls to cut or children to inherit."""
    own_redis.stop()
    store = RedisStore(own_redis.url)
    own_redis.start()
    for act in (lambda: store.read(KEY), lambda: store.write(KEY, token()), lambda: store.drop(KEY, token("b"))):
        act()
    with store.turn(KEY, timeout=1), store.turn(KEY, timeout=0):
        # Not while a token is asked for, either.
        eventually(lambda: clients_of(own_redis) == 0)


def test_a_connection_is_closed_where_it_is_left(own_redis: RedisServer) -> None:
    """Not by the garbage collector: it comes when it likes, and not with every Python."""
    access = RedisAccess.of(own_redis.url)
    assert isinstance(access, RedisAccess)
    with RedisConnection(access) as connection:
        connection.do(lambda send: send("GET", ENTRY))
        assert clients_of(own_redis) == 1
    eventually(lambda: clients_of(own_redis) == 0)


def test_its_first_use_imports_nothing(shared_redis: RedisServer) -> None:
    """A process that forks meanwhile would have half a module, and a lock on it that nobody lets go."""
    lines = f"""
import sys
from keeping import KEY, token
from daxko_auth import RedisStore
from daxko_auth.stores import redis_access, redis_connection
redis_connection._LONGEST_STEP = redis_access._OURS["socket_timeout"] = {PATIENCE}
store = RedisStore("redis://localhost:{shared_redis.port}")
before = set(sys.modules)
with store.turn(KEY, timeout=1):
    store.write(KEY, token())
    store.read(KEY)
assert set(sys.modules) == before, set(sys.modules) - before
"""
    folder = {"PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([sys.executable, "-c", lines], check=True, env={**os.environ, **folder})  # noqa: S603 - our own lines


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_its_parent_waits_uses_connections_of_its_own(store: RedisStore) -> None:
    """With --preload, gunicorn forks whenever it likes."""
    entered, left = threading.Event(), threading.Event()

    def wait() -> None:
        with store.turn(KEY, timeout=PATIENCE):
            entered.set()
            left.wait()

    def everything() -> bool:
        with store.turn(KEY, timeout=0.1):
            store.write(KEY, token("child"))
        return store.read(KEY) == token("child") and not entered.is_set()

    # Let go before its thread is waited for, whatever happens.
    with ThreadPoolExecutor(1) as pool, ExitStack() as last:
        last.callback(left.set)
        with store.turn(KEY, timeout=90):
            waiting = pool.submit(wait)
            assert in_child(everything)
        left.set()
        waiting.result()
    assert store.read(KEY) == token("child")


def test_a_store_is_neither_pickled_nor_copied_and_says_what_to_do(store: RedisStore) -> None:
    """Task queues pickle what they are given, and the URL may hold a password."""
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="in another process make one, from the URL in its own settings"):
            take(store)


def test_stores_of_one_process_can_be_used_by_many_threads(shared_redis: RedisServer) -> None:
    """Sixteen renewals at once are usual, when many customers' tokens end."""
    store = RedisStore(shared_redis.url)

    def renew(scope: int) -> bool:
        mine = key(scope=scope)
        with store.turn(mine, timeout=30):
            store.write(mine, token(scope=scope))
        return store.read(mine) == token(scope=scope)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(renew, range(1, 65)))

"""What the URL of a `RedisStore` can be, and that each kind of it works with a real server of that kind."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from keeping import ENTRY, KEY, TURN, token
from leaks.rendering import rendered
from raw_server import RawServer, saying
from redis_server import RedisServer, redis_server
from support import eventually

from daxko_auth import RedisStore, TokenStoreError
from daxko_auth.stores import redis_address

CANARY = "canary-of-redis"

SHOWN = {
    "redis://localhost": "redis://localhost:6379",
    "  redis://localhost:7000/3\n": "redis://localhost:7000",
    f"redis://:{CANARY}@10.0.0.7": "redis://10.0.0.7:6379",
    f"redis://{CANARY}:{CANARY}%2F%40@redis.example/": "redis://redis.example:6379",
    f"rediss://user:{CANARY}@[::1]:6380/0?ssl_ca_certs=/ca.pem&ssl_password={CANARY}": "rediss://[::1]:6380",
    f"unix://user:{CANARY}@/run/redis%20here.sock?db=2": "unix:///run/redis here.sock",
    f"redis+sentinel://user:{CANARY}@one,two:1/main/0?sentinel_password={CANARY}": (
        "redis+sentinel://one:26379,two:1/main"
    ),
    "rediss+sentinel://one/main": "rediss+sentinel://one:26379/main",
    f"redis+cluster://user:{CANARY}@one:7000,two": "redis+cluster://one:7000,two:6379",
    "rediss+cluster://one/": "rediss+cluster://one:6379",
}


@pytest.mark.parametrize(("url", "shown"), SHOWN.items(), ids=SHOWN.values())
def test_a_store_shows_where_it_is_and_neither_user_nor_password(url: str, shown: str) -> None:
    """It is printed with the source that has it."""
    store = RedisStore(url)
    assert repr(store) == f"<RedisStore at {shown}>"
    assert CANARY not in repr(vars(store))


REFUSED = [
    *["", "localhost", "localhost:6379", "http://localhost", "redis:localhost", f"redis://{CANARY}:{CANARY}", None, 7],
    *["redis://", "redis:///0", "redis://one,two", "redis://one:0", "redis://one:65536", "redis://one/zero"],
    # Characters of a password that ought to be percent-encoded.
    *[f"redis://:{CANARY}{special}{CANARY}@localhost" for special in "/?#"],
    *[f"redis://localhost/0?{option}" for option in (f"password={CANARY}", CANARY, "socket_timeout=60", "retry=7")],
    *[f"redis://localhost/0?ssl_ca_cert={CANARY}", f"redis://localhost?ssl_ca_certs&{CANARY}"],
    *["redis://localhost?decode_responses=True", "rediss://localhost?ssl_cert_reqs=none", "redis://localhost#0"],
    *["unix://run/redis.sock", "unix://", f"unix:///run/redis.sock?password={CANARY}", "unix:///a?db=x"],
    *["redis+sentinel://one,two", "redis+sentinel://one/", "redis+sentinel:///main", "redis+sentinel://one/main/x"],
    *["redis+cluster://one/0", "redis+cluster://", "redis+cluster://one,,two", f"rediss://{CANARY}@"],
    f"{CANARY}://localhost",
]


@pytest.mark.parametrize("url", REFUSED, ids=repr)
def test_what_is_no_such_url_is_refused_at_once_and_not_quoted(url: str) -> None:
    """A URL that is slightly wrong has its password anywhere."""
    with pytest.raises(TokenStoreError, match="such as redis://user:password@host:6379/0") as caught:
        RedisStore(url)
    assert CANARY not in rendered(caught.value)
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)


def works(store: RedisStore) -> bool:
    """Use everything once."""
    with store.turn(KEY, timeout=5):
        store.write(KEY, token())
        store.drop(KEY, token("b"))
    kept = store.read(KEY) == token()
    store.drop(KEY, token())
    return kept and store.read(KEY) is None


def test_a_socket_and_a_number_of_a_database() -> None:
    """On one machine, a Redis that is on no network at all."""
    with redis_server("unixsocket {folder}/redis.sock") as server:
        store = RedisStore(f"unix://{server.folder}/redis.sock?db=2")
        assert works(store)
        store.write(KEY, token())
        assert server.names() == []
        assert RedisStore(f"{server.url}/2").read(KEY) == token()
        assert RedisStore(server.url).read(KEY) is None


def test_a_user_who_may_do_no_more_than_is_needed(own_redis: RedisServer) -> None:
    """The one who may read everybody's keys is not needed, and a wrong password is told apart and not told."""
    own_redis.tell("ACL", "SETUSER", "daxko", "on", f">{CANARY}/@", "~daxko_auth:*", "+get", "+set", "+del", "+eval")
    own_redis.tell("ACL", "SETUSER", "default", "off")
    where = f"127.0.0.1:{own_redis.port}"
    assert works(RedisStore(f"redis://daxko:{CANARY}%2F%40@{where}"))
    for user in ("", f"daxko:{CANARY}@", f"{CANARY}:{CANARY}@", f":{CANARY}@"):
        with pytest.raises(TokenStoreError, match=rf"redis://{where} cannot be used \(Authent|Response") as caught:
            RedisStore(f"redis://{user}{where}").read(KEY)
        assert CANARY not in rendered(caught.value)


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that signs itself, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem = folder / f"{name}.pem", folder / f"{name}.key"
    pem[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pem[1].write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pem


def test_tls_with_an_authority_of_ones_own_and_never_without_a_check(tmp_path: Path) -> None:
    """Inside a company the authority is mostly its own; whoever is in between must not be let in for it."""
    pem, private = certificate(tmp_path, "redis")
    other, _ = certificate(tmp_path, "somebody")
    files = (f"tls-cert-file {pem}", f"tls-key-file {private}", f"tls-ca-cert-file {pem}")
    with redis_server("port 0", "tls-port {port}", "tls-auth-clients no", *files) as server:
        url = f"rediss://127.0.0.1:{server.port}"
        assert works(RedisStore(f"{url}?ssl_ca_certs={pem}"))
        another_name = url.replace("127.0.0.1", "localhost") + f"?ssl_ca_certs={pem}"
        unknown = (url, f"{url}?ssl_ca_certs={other}", f"{url}?ssl_ca_certs={tmp_path}/none", another_name)
        for elsewhere in (*unknown, server.url):
            with pytest.raises(TokenStoreError):
                RedisStore(elsewhere).read(KEY)


def test_sentinels_say_who_the_master_is(own_redis: RedisServer) -> None:
    """One of them may be down; and each renewal asks anew, so a failover needs no restart."""
    sentinels_password = f"{CANARY}-of-sentinel"
    own_redis.tell("CONFIG", "SET", "requirepass", CANARY)
    watched = (f"sentinel monitor main 127.0.0.1 {own_redis.port} 1", f"sentinel auth-pass main {CANARY}")
    with redis_server(*watched, f"requirepass {sentinels_password}", sentinel=True) as sentinel:
        hosts = f"127.0.0.1:1,127.0.0.1:{sentinel.port}"
        url = f"redis+sentinel://:{CANARY}@{hosts}/main/1?sentinel_password={sentinels_password}"
        assert works(RedisStore(url))
        for wrong in (url.replace("/main", "/other"), url.partition("?")[0]):
            with pytest.raises(TokenStoreError, match="sentinel://") as caught:
                RedisStore(wrong).read(KEY)
            assert CANARY not in rendered(caught.value)
        own_redis.stop()
        with pytest.raises(TokenStoreError, match="ConnectionError"):  # at once
            RedisStore(url).read(KEY)


def silent(_: socket.socket, stopped: threading.Event) -> None:
    """Say nothing."""
    stopped.wait()


@contextmanager
def nobody_there() -> Iterator[int]:
    """Give a port where connections are neither taken nor refused, as behind a firewall."""
    with socket.socket() as full, ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        yield full.getsockname()[1]


@pytest.mark.parametrize("kind", ["silent", "nobody there"])
def test_a_sentinel_that_does_not_answer_is_passed_over(
    shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """There are three, so that one may be lost. Nothing else but the limit of one step ends the wait for it."""
    limit = "socket_timeout" if kind == "silent" else "socket_connect_timeout"
    monkeypatch.setitem(redis_address._LIMITS, limit, 1.0)
    with (
        RawServer(silent) as mute,
        nobody_there() as lost,
        redis_server(f"sentinel monitor main 127.0.0.1 {shared_redis.port} 1", sentinel=True) as sentinel,
    ):
        first = mute.port if kind == "silent" else lost
        store = RedisStore(f"redis+sentinel://127.0.0.1:{first},127.0.0.1:{sentinel.port}/main")
        assert store.read(KEY) is None


def test_no_handshake_is_needed_that_an_older_server_or_a_proxy_does_not_know() -> None:
    """Nor does anything of what comes with it make a difference here."""
    with RawServer(saying(b"")) as server, pytest.raises(TokenStoreError):
        RedisStore(f"redis://127.0.0.1:{server.port}").read(KEY)
    assert b"".join(server.requests)
    assert b"HELLO" not in b"".join(server.requests)


def test_both_keys_of_a_token_are_in_one_slot_of_a_cluster() -> None:
    """Scripts see keys of one slot only; one node of those named may be down."""
    with redis_server("cluster-enabled yes", "cluster-require-full-coverage no") as node:
        # Whoever serves the last slot is down, and ours is another one.
        assert node.tell("CLUSTER", "KEYSLOT", ENTRY) == node.tell("CLUSTER", "KEYSLOT", TURN) < 16_383
        node.tell("CLUSTER", "ADDSLOTS", *range(16_383))
        eventually(lambda: b"cluster_state:ok" in node.tell("CLUSTER", "INFO"))
        store = RedisStore(f"redis+cluster://127.0.0.1:1,127.0.0.1:{node.port}")
        assert works(store)
        store.write(KEY, token())
        assert node.names() == [ENTRY]
        node.tell("ACL", "SETUSER", "daxko", "on", f">{CANARY}", "~daxko_auth:*", *["+get", "+set", "+del", "+eval"])
        node.tell("ACL", "SETUSER", "daxko", "+cluster|slots", "+command")
        assert works(RedisStore(f"redis+cluster://daxko:{CANARY}@127.0.0.1:{node.port}"))
        with pytest.raises(TokenStoreError, match="RedisClusterException"):  # at once
            RedisStore("redis+cluster://127.0.0.1:1").read(KEY)

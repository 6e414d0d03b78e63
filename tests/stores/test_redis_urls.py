"""What the URL of a `RedisStore` can be, and that each kind of it works with a real server of that kind."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import certifi
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from keeping import KEY, token, works
from leaks.rendering import rendered
from raw_server import RawServer, saying
from redis_server import RedisServer, redis_server
from support import PATIENCE

from daxko_auth import RedisStore, TokenStoreError
from daxko_auth.stores.redis_access import RedisAccess

CANARY = "canary-of-redis"

SHOWN = {
    "redis://": "redis://localhost:6379",
    "redis:///0": "redis://localhost:6379",
    "redis://localhost": "redis://localhost:6379",
    "  redis://localhost:7000/3\n": "redis://localhost:7000",
    f"redis://:{CANARY}@10.0.0.7": "redis://10.0.0.7:6379",
    f"redis://:{CANARY}@:7000/1": "redis://localhost:7000",
    f"redis://{CANARY}:{CANARY}%2F%40@redis.example/": "redis://redis.example:6379",
    f"redis://redis_1?username={CANARY}&password={CANARY}&db=3&client_name=us": "redis://redis_1:6379",
    "redis://localhost?socket_timeout=60&decode_responses=true&protocol=3&retry=7": "redis://localhost:6379",
    "redis://localhost?retry_on_timeout=true&retry_on_error=x&encoding=utf-16": "redis://localhost:6379",
    f"rediss://user:{CANARY}@[::1]:6380/0?ssl_ca_certs={certifi.where()}&ssl_password={CANARY}": "rediss://[::1]:6380",
    "rediss://localhost?ssl_cert_reqs=required&ssl_check_hostname=True": "rediss://localhost:6379",
    # As Celery wants it.
    f"rediss://:{CANARY}@localhost:6379/0?ssl_cert_reqs=CERT_REQUIRED": "rediss://localhost:6379",
    f"redis+socket://:{CANARY}@/run/redis.sock?virtual_host=2": "unix:///run/redis.sock",
    f"unix://user:{CANARY}@/run/redis%20here.sock?db=2": "unix:///run/redis here.sock",
    f"unix:///run/redis.sock?db=2&password={CANARY}": "unix:///run/redis.sock",
}


@pytest.mark.parametrize(("url", "shown"), SHOWN.items(), ids=range(len(SHOWN)))
def test_a_store_shows_where_it_is_and_neither_user_nor_password(url: str, shown: str) -> None:
    """It is printed with the source that has it."""
    store = RedisStore(url)
    assert repr(store) == f"<RedisStore at {shown}>"
    assert CANARY not in repr(vars(store))


@pytest.mark.parametrize("url", SHOWN, ids=range(len(SHOWN)))
def test_a_url_means_what_it_means_to_redis_py_but_for_what_is_decided_here(url: str) -> None:
    """One setting serves the whole program; no option of it makes callers wait, or lets answers be read otherwise."""
    access = RedisAccess.of(url)
    assert isinstance(access, RedisAccess)
    options = access.open().get_connection_kwargs()
    as_redis_py_has_it = url.strip().replace("redis+socket", "unix").replace("virtual_host", "db")
    theirs = redis.Redis.from_url(as_redis_py_has_it).get_connection_kwargs()
    for name in ("host", "port", "path", "db", "username", "password", "client_name", "ssl_ca_certs", "ssl_password"):
        assert options.get(name) == theirs.get(name)
    assert (options["protocol"], options["decode_responses"], options["encoding"]) == (2, False, "utf-8")
    assert options["socket_timeout"] == options["socket_connect_timeout"] == PATIENCE
    assert (options["retry"].get_retries(), "retry_on_error" in options, "retry_on_timeout" in options) == (
        0,
        False,
        False,
    )
    tls = ("required", True) if url.startswith("rediss") else (None, None)
    assert (options.get("ssl_cert_reqs"), options.get("ssl_check_hostname")) == tls


REFUSED = [
    *["", "localhost", "localhost:6379", "http://localhost", "redis:localhost", f"redis://{CANARY}:{CANARY}", None, 7],
    *["redis://one,two", "redis://one:65536", "redis://one/zero", "redis://[::1", b"redis://localhost", redis.Redis],
    # Characters of a password that ought to be percent-encoded.
    *[f"redis://:{CANARY}{special}{CANARY}@localhost" for special in "/?#"],
    *[f"redis://:1{special}{CANARY}@localhost" for special in "/?#"],
    *[f"redis://:a@b{special}{CANARY}@localhost" for special in "/?#"],
    *[f"unix://:a{at}{special}{CANARY}@/run/redis.sock" for special in "/?#" for at in ("@", "")],
    f"redis://:a?{CANARY}=b@localhost",
    *[f"redis://localhost/0?{option}" for option in (CANARY, f"{CANARY}=1", "db=x", "connection_class=x", "ssl=1")],
    *[f"redis://localhost/0?ssl_ca_cert={CANARY}", f"redis://localhost?ssl_ca_certs&{CANARY}", "redis://localhost#0"],
    *["unix://run/redis.sock", "unix://", "unix:///a?db=x"],
    f"redis+sentinel://:{CANARY}@one,two/main",
    f"redis+cluster://:{CANARY}@one",
    f"{CANARY}://localhost",
]


@pytest.mark.parametrize("url", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_such_url_is_refused_at_once_and_not_quoted(url: str) -> None:
    """A URL that is slightly wrong has its password anywhere."""
    with pytest.raises(TokenStoreError, match="such as redis://user:password@host:6379/0") as caught:
        RedisStore(url)
    assert CANARY not in rendered(caught.value)
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)


UNSAFE = [
    *[f"ssl_cert_reqs={value}" for value in ("none", "optional", "CERT_NONE", "CERT_OPTIONAL", "0", "", CANARY)],
    *[f"ssl_check_hostname={value}" for value in ("false", "0", "no", "")],
    *["ssl_cert_reqs=required&ssl_cert_reqs=none", "ssl_cert_reqs=none&ssl_cert_reqs=required"],
]


@pytest.mark.parametrize("option", UNSAFE)
@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_an_option_that_would_let_somebody_in_between_is_refused_by_name(scheme: str, option: str) -> None:
    """Whoever is in between would get the password of the Redis."""
    name = option.partition("=")[0]
    with pytest.raises(
        TokenStoreError, match=f"the URL sets {name} to something other than .*, and RedisStore always checks"
    ) as caught:
        RedisStore(f"{scheme}://user:{CANARY}@localhost:6379/0?{option}")
    assert CANARY not in rendered(caught.value)


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
    own_redis.tell(
        "ACL", "SETUSER", "daxko", "on", f">{CANARY}/@", "~daxko_auth:*", "+get", "+set", "+del", "+pttl", "+eval"
    )
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


def test_an_option_of_tls_that_no_connection_could_be_made_with_is_named_at_once(tmp_path: Path) -> None:
    """A file that was moved would else look like a Redis that does not run, and each process would ask Daxko."""
    pem, private = certificate(tmp_path, "redis")
    other, _ = certificate(tmp_path, "somebody")
    fine = f"ssl_ca_certs={pem}&ssl_ca_path={tmp_path}&ssl_certfile={pem}&ssl_keyfile={private}&ssl_ciphers=HIGH"
    assert RedisStore(f"rediss://localhost?{fine}")
    for option, names, reason in (
        (f"ssl_ca_certs=/{CANARY}", "ssl_ca_certs", "No such file or directory"),
        (f"ssl_ca_certs={tmp_path}", "ssl_ca_certs", "Is a directory"),
        (f"ssl_ca_certs={private}", "ssl_ca_certs", "it is nothing of that kind"),
        (f"ssl_ca_path=/{CANARY}", "ssl_ca_path", "No such file or directory"),
        (f"ssl_ca_path={pem}", "ssl_ca_path", "Not a directory"),
        (f"ssl_ca_data={CANARY}", "ssl_ca_data", "it is nothing of that kind"),
        (f"ssl_certfile={pem}", "ssl_certfile", "it is nothing of that kind"),
        (f"ssl_certfile={other}&ssl_keyfile={private}", "ssl_certfile or ssl_keyfile", "it is nothing of that kind"),
        (f"ssl_certfile={pem}&ssl_keyfile=/{CANARY}", "ssl_certfile or ssl_keyfile", "No such file or directory"),
        (f"ssl_keyfile={private}", "ssl_keyfile", "it is nothing of that kind"),
        (f"ssl_ciphers={CANARY}", "ssl_ciphers", "it is nothing of that kind"),
    ):
        with pytest.raises(TokenStoreError) as caught:
            RedisStore(f"rediss://user:{CANARY}@localhost/0?{option}")
        says = f"token store: the URL sets {names} to something that cannot be used ({reason}), so that"
        assert str(caught.value).startswith(says), option
        assert CANARY not in rendered(caught.value)
        assert (caught.value.__context__, caught.value.__cause__) == (None, None)


def test_tls_with_an_authority_of_ones_own_and_never_without_a_check(tmp_path: Path) -> None:
    """Inside a company the authority is mostly its own; whoever is in between must not be let in for it."""
    pem, private = certificate(tmp_path, "redis")
    other, _ = certificate(tmp_path, "somebody")
    files = (f"tls-cert-file {pem}", f"tls-key-file {private}", f"tls-ca-cert-file {pem}")
    with redis_server("port 0", "tls-port {port}", "tls-auth-clients no", *files) as server:
        url = f"rediss://127.0.0.1:{server.port}"
        assert works(RedisStore(f"{url}?ssl_ca_certs={pem}"))
        another_name = url.replace("127.0.0.1", "localhost") + f"?ssl_ca_certs={pem}"
        unknown = (url, f"{url}?ssl_ca_certs={other}", another_name)
        for elsewhere in (*unknown, server.url):
            with pytest.raises(TokenStoreError):
                RedisStore(elsewhere).read(KEY)


def test_no_handshake_is_needed_that_an_older_server_or_a_proxy_does_not_know() -> None:
    """Nor does anything of what comes with it make a difference here."""
    with RawServer(saying(b"")) as server, pytest.raises(TokenStoreError):
        RedisStore(f"redis://127.0.0.1:{server.port}").read(KEY)
    assert b"".join(server.requests)
    assert b"HELLO" not in b"".join(server.requests)

"""
Which Redis, and with what client of redis-py: one for a URL, or one that the program made.

URL and client may hold passwords. What is shown of a URL are scheme, host and port; of a client, its class. What is
wrong with them is returned, not raised: the frames of redis-py's own errors hold passwords.
"""

import codecs
import inspect
import re
import ssl
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlsplit

import redis
from attrs import field, frozen

from daxko_auth.model.secret import Secret

# Python imports parts of these with the first host name and, from 3.14 on, with the first connection, for which
# redis-py reads its own version. A process that forks meanwhile would have half of them.
codecs.lookup("idna")
version("redis")
# Its own types are partial.
_REDIS: Final[Any] = redis
# What no URL changes. Seconds for each step: to connect, and until something is heard. RESP2 is what every server and
# proxy speaks without a handshake.
_OURS: Final[dict[str, Any]] = {
    "socket_timeout": 1.0,
    "socket_connect_timeout": 1.0,
    "protocol": 2,
    "decode_responses": False,
    "encoding": "utf-8",
}
_RETRIES: Final = ("retry_on_timeout", "retry_on_error")
# The values that keep TLS as safe as it is without these options. Celery writes the constants of Python's `ssl`.
_SAFE: Final = {
    "ssl_cert_reqs": ("required", "cert_required"),
    "ssl_check_hostname": ("true", "yes", "1"),
}
_CELERYS_SOCKET: Final = "redis+socket://"

_UNFIT: Final = (
    "this is neither a URL that redis.Redis.from_url takes nor a client of redis-py. Pass RedisStore a URL such as "
    "redis://user:password@host:6379/0 (rediss:// for TLS) or unix:///path?db=0, with special characters in a password "
    "percent-encoded. For sentinels and clusters, pass it a client: RedisStore(redis.RedisCluster(...))"
)
_UNSAFE: Final = (
    "the URL sets {name} to something other than {safe}, and RedisStore always checks the server's certificate and "
    "name. Set {name}={safe}; for an authority of your own, set ssl_ca_certs=/path, too"
)
_UNUSABLE: Final = (
    "the URL sets {name} to something that cannot be used ({reason}), so that no connection could be made. Correct "
    "{name}, or leave it out"
)
_ASYNC: Final = (
    "this client is async, and tokens are renewed on threads. Pass RedisStore a URL, or a client of redis.Redis or "
    "redis.RedisCluster"
)
_DECODES: Final = (
    "this client decodes what it receives, and tokens are kept as bytes. Pass one without decode_responses"
)
_ENDLESS: Final = "this client waits for ever for an answer. Pass one that has a limit, such as socket_timeout=1"
_SINGLE: Final = (
    "this client has a single connection, which threads and forked processes would share. Pass one without "
    "single_connection_client"
)


class RedisClient(Protocol):
    """What is used of redis-py."""

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as redis-py has it
        """Send a command and return the answer; texts are bytes."""
        ...

    def get_connection_kwargs(self) -> Any:  # noqa: ANN401 - as redis-py has it
        """Return the settings of its connections."""
        ...


@frozen
class RedisAccess:
    """A URL or a client that was found to be in order."""

    #: What can be shown: no user, no password, no options.
    name: str
    _url: Secret
    _client: Any = field(default=None, repr=False)

    @classmethod
    def of(cls, given: object) -> "RedisAccess | str":
        """Return the access, or what is wrong with what was given."""
        if not isinstance(given, str):
            return _why_unfit(given) or cls(f"the program's {type(given).__name__}", Secret(""), given)
        url = Secret(_as_redis_py_has_it(given.strip()))
        name = _name_of(url)
        return _why_unsafe(url) or (_why_no_tls(url) or cls(name, url) if name else _UNFIT)

    def open(self) -> RedisClient:
        """Return a client to give back. Nothing is connected before it is used."""
        client: RedisClient = self._client or _client_of(self._url)
        return client

    def give_back(self, client: Any) -> None:  # noqa: ANN401 - see _REDIS
        """Close its connections, if it is not the program's."""
        if self._client is None:
            client.close()


def _as_redis_py_has_it(url: str) -> str:
    # Celery has a scheme of its own for sockets, and none in common with redis-py.
    if not url.startswith(_CELERYS_SOCKET):
        return url
    return re.sub(r"(?<=[?&])virtual_host=/?", "db=", f"unix://{url.removeprefix(_CELERYS_SOCKET)}")


def _name_of(url: Secret) -> str | None:
    """Return what can be shown of it, or None if redis-py would refuse it, or read a part of the password as a host."""
    try:
        parts = urlsplit(url.reveal())
        # redis-py passes over what it does not understand, and what comes after a # or a ?.
        if parts.fragment or not _options_are_whole(Secret(parts.query)):
            return None
        options = _client_of(url).connection_pool.make_connection()
    except Exception:  # noqa: BLE001 - anything, from urllib, redis-py or ssl
        return None
    if parts.scheme == "unix":
        fits = options.path and not parts.netloc.rpartition("@")[2] and "@" not in parts.path
        return f"unix://{options.path}" if fits else None
    fits = re.fullmatch(r"[\w.:%-]+", options.host) and re.fullmatch(r"/?[0-9]*", parts.path)
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"{parts.scheme}://{host}:{options.port}" if fits else None


def _options_are_whole(query: Secret) -> bool:
    return not query or bool(parse_qsl(query.reveal(), strict_parsing=True))


def _why_unsafe(url: Secret) -> str | None:
    for name, value in parse_qsl(url.reveal().partition("?")[2], keep_blank_values=True):
        safe = _SAFE.get(name)
        if safe and value.lower() not in safe:
            return _UNSAFE.format(name=name, safe=safe[0])
    return None


def _why_no_tls(url: Secret) -> str | None:
    """Return which option of TLS redis-py would stumble over with each connection, long after the store was made."""
    options = _REDIS.connection.parse_url(url.reveal())
    if options.get("connection_class") is not _REDIS.SSLConnection:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def take_key(_: object) -> None:
        # Without a password OpenSSL would ask for one, at the terminal.
        password = options.get("ssl_password", "")
        context.load_cert_chain(options.get("ssl_certfile"), options.get("ssl_keyfile"), password)

    def take_folder(folder: str) -> None:
        next(Path(folder).iterdir(), None)

    def take_data(data: str) -> None:
        context.load_verify_locations(cadata=data)

    takes: dict[str, Any] = {
        "ssl_ca_certs": context.load_verify_locations,
        "ssl_ca_path": take_folder,
        "ssl_ca_data": take_data,
        "ssl_certfile": take_key,
        "ssl_keyfile": take_key,
        "ssl_ciphers": context.set_ciphers,
    }
    for name, take in takes.items():
        try:
            if name in options:
                take(options[name])
            continue
        except (ssl.SSLError, ValueError, TypeError):
            # What OpenSSL says names a line of its own.
            reason: str | None = "it is nothing of that kind"
        except OSError as error:
            reason = error.strerror
        # Of two files it is not told which is missing.
        both = f"{name} or ssl_keyfile" if name == "ssl_certfile" and "ssl_keyfile" in options else name
        return _UNUSABLE.format(name=both, reason=reason)
    return None


def _client_of(url: Secret) -> Any:  # noqa: ANN401 - see _REDIS
    options = _REDIS.connection.parse_url(url.reveal())
    for name in _RETRIES:
        options.pop(name, None)
    options.update(_OURS, retry=_REDIS.retry.Retry(_REDIS.backoff.NoBackoff(), 0))
    if options.get("connection_class") is _REDIS.SSLConnection:
        options.update(ssl_cert_reqs="required", ssl_check_hostname=True)
    return _REDIS.Redis.from_pool(_REDIS.ConnectionPool(**options))


def _why_unfit(client: Any) -> str | None:  # noqa: ANN401 - anything at all
    if isinstance(client, type) or not hasattr(client, "get_connection_kwargs"):
        return _UNFIT
    if hasattr(client, "__aenter__"):
        return _ASYNC
    options = client.get_connection_kwargs()
    if options.get("decode_responses"):
        return _DECODES
    # Without a setting it is redis-py's own, which is none before version 8.
    default = inspect.signature(_REDIS.connection.AbstractConnection).parameters["socket_timeout"].default
    if options.get("socket_timeout", default) is None:
        return _ENDLESS
    return _SINGLE if getattr(client, "connection", None) is not None else None

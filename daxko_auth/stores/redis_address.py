"""
Where a Redis is, from a URL: one server, the master that sentinels name, or a cluster.

The URL may hold passwords, and those stay `Secret`; what is shown are scheme, hosts and ports. Nothing is connected
before `open`, and what is opened has a short limit for each step and repeats nothing by itself.
"""

import codecs
import re
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, unquote

import redis
from attrs import frozen

from daxko_auth.model.secret import Secret

# Python imports parts of these with the first host name and, from 3.14 on, with the first connection, for which
# redis-py reads its own version. A process that forks meanwhile would have half of them.
codecs.lookup("idna")
version("redis")
# Its own types are partial.
_REDIS: Final[Any] = redis
# Seconds for each step: to connect, and until something is heard. RESP2 is what every server and proxy speaks
# without a handshake.
_LIMITS: Final = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "protocol": 2}

_USER: Final = r"(?:(?P<user>[^/?#]*)@)?"
_HOST: Final = r"(?:[A-Za-z0-9._-]*[A-Za-z0-9]|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_HOSTS: Final = rf"(?P<hosts>{_HOST}(?:,{_HOST})*)"
_DB: Final = r"(?:/(?P<db>[0-9]*))?"
_QUERY: Final = r"(?:\?(?P<query>[^#]*))?"
_FORMS: Final = (
    re.compile(rf"(?P<scheme>rediss?)://{_USER}(?P<hosts>{_HOST}){_DB}{_QUERY}"),
    re.compile(rf"(?P<scheme>unix)://{_USER}(?P<path>/[^?#]+)(?:\?db=(?P<db>[0-9]+))?"),
    re.compile(rf"(?P<scheme>rediss?\+sentinel)://{_USER}{_HOSTS}/(?P<service>[^/?#]+){_DB}{_QUERY}"),
    re.compile(rf"(?P<scheme>rediss?\+cluster)://{_USER}{_HOSTS}/?{_QUERY}"),
)
# What may stand behind the question mark: how TLS is checked, and who the sentinels want. Timeouts, retries and the
# like are decided here, because callers wait for what they would allow.
_OPTIONS: Final = frozenset(
    {"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password"}
    | {"sentinel_username", "sentinel_password"}
)
_PORTS: Final = range(1, 65_536)


class RedisClient(Protocol):
    """What is used of redis-py."""

    def execute_command(self, *command: str | bytes | int) -> object:
        """Send a command and return the answer; texts are bytes."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


@frozen
class RedisAddress:
    """A URL that was found to be in order, in parts."""

    _scheme: str
    _hosts: tuple[tuple[str, int], ...]
    # Of a socket; and the name by which sentinels know the master.
    _path: str
    _service: str
    _database: dict[str, int]
    _user: Secret
    _query: Secret

    @classmethod
    def of(cls, url: Secret) -> "RedisAddress | None":
        """Return the address, or None if `url` is none."""
        for form in _FORMS:
            parts = _parts(url, form)
            if not parts or not _option_names(parts["query"]) <= _OPTIONS:
                continue
            hosts = _hosts(parts)
            if all(port in _PORTS for _, port in hosts):
                return cls(
                    parts["scheme"].reveal(),
                    hosts,
                    unquote(parts["path"].reveal()),
                    unquote(parts["service"].reveal()),
                    {"db": int(parts["db"].reveal())} if parts["db"] else {},
                    parts["user"],
                    parts["query"],
                )
        return None

    def __str__(self) -> str:
        """Return what can be shown: no user, no password, no options."""
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self._hosts)
        return f"{self._scheme}://{hosts}{self._path}" + (f"/{self._service}" if self._service else "")

    def open(self, closing: ExitStack) -> RedisClient:
        """Return a client that is closed with `closing`. Of a cluster, its nodes are asked at once who serves what."""
        client: RedisClient
        if self._scheme.endswith("+cluster"):
            client = _REDIS.cluster.RedisCluster(
                startup_nodes=[_REDIS.cluster.ClusterNode(host, port) for host, port in self._hosts],
                # Other parts of it may be down while the one that keeps an entry is up.
                require_full_coverage=False,
                retry=_no_retry(),
                **self._options(),
            )
        elif self._scheme.endswith("+sentinel"):
            sentinels = _REDIS.sentinel.Sentinel(
                self._hosts,
                # The user in the URL is the servers'. Most sentinels have none, and refuse whoever comes with one.
                sentinel_kwargs={"retry": _no_retry(), **self._options(of_sentinels=True)},
                retry=_no_retry(),
                **self._options(),
                **self._database,
            )
            for sentinel in sentinels.sentinels:
                closing.callback(sentinel.close)
            client = sentinels.master_for(self._service)
        else:
            where = dict(zip(("host", "port"), *self._hosts, strict=True)) if self._hosts else {}
            client = _REDIS.Redis(
                **where,
                unix_socket_path=self._path or None,
                retry=_no_retry(),
                **self._options(),
                **self._database,
            )
        closing.callback(client.close)
        return client

    def _options(self, *, of_sentinels: bool = False) -> dict[str, Any]:
        return {
            **_LIMITS,
            **({"ssl": True} if self._scheme.startswith("rediss") else {}),
            **{name: value for name, value in parse_qsl(self._query.reveal()) if name.startswith("ssl_")},
            **(self._sentinels_user() if of_sentinels else self._servers_user()),
        }

    def _servers_user(self) -> dict[str, str]:
        return {
            name: unquote(value)
            for name, value in zip(("username", "password"), self._user.reveal().partition(":")[::2], strict=True)
            if value
        }

    def _sentinels_user(self) -> dict[str, str]:
        return {
            name.removeprefix("sentinel_"): value
            for name, value in parse_qsl(self._query.reveal())
            if name.startswith("sentinel_")
        }


def _parts(url: Secret, form: "re.Pattern[str]") -> dict[str, Secret]:
    # Secret, every one: a URL that is slightly wrong has its password in another part.
    return {
        name: Secret(value)
        for match in [form.fullmatch(url.reveal().strip())]
        if match
        for name, value in {**_NO_PARTS, **match.groupdict("")}.items()
    }


_NO_PARTS: Final = dict.fromkeys(("hosts", "path", "service", "db", "user", "query"), "")


def _hosts(parts: dict[str, Secret]) -> tuple[tuple[str, int], ...]:
    default = 26_379 if parts["service"] else 6_379
    return tuple(
        (host.strip("[]"), int(port or default))
        for host, port in re.findall(r"(\[[^\]]*\]|[^,:]+)(?::([0-9]+))?", parts["hosts"].reveal())
    )


def _option_names(query: Secret) -> set[str]:
    try:
        return {name for name, _ in parse_qsl(query.reveal(), strict_parsing=bool(query), keep_blank_values=True)}
    except ValueError:
        return {"not an option"}


def _no_retry() -> object:
    return _REDIS.retry.Retry(_REDIS.backoff.NoBackoff(), 0)

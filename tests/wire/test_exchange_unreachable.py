"""A token endpoint that cannot be reached, and the proxies on the way to it."""

import base64
import os
import socket
from datetime import UTC, datetime
from typing import Any

import pytest
from asking import AskOnce
from logging_in import log_in
from raw_server import Behaviour, RawServer, answer, everything_about, saying
from support import PATIENCE

from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.errors import DaxkoAuthError, TokenEndpointUnavailable
from daxko_auth.model.origin import Origin
from daxko_auth.model.scope import ClientScope
from daxko_auth.model.secret import Secret
from daxko_auth.model.tokens import AccessToken
from daxko_auth.sandbox import Sandbox
from daxko_auth.wire.http import proxy_for, proxy_secrets

TOKEN = AccessToken(ClientScope(9999), Secret("an.access.token"), datetime(2027, 1, 15, tzinfo=UTC), 86_400)
DEAD = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without the proxies of whoever runs the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def test_a_host_that_does_not_exist(ask_once: AskOnce) -> None:
    """A typing mistake in the base URL, or a network that is down: the message has the URL."""
    outcome = ask_once(base_url="https://daxko.invalid")
    assert type(outcome) is TokenEndpointUnavailable
    assert "https://daxko.invalid/v3/partners/oauth2/token " in str(outcome)
    assert "check the network, DAXKO_BASE_URL and Daxko's status" in str(outcome)
    everything_about(outcome)


def test_a_port_where_nobody_listens(ask_once: AskOnce) -> None:
    """A sandbox that was not started."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        outcome = ask_once(base_url=f"http://127.0.0.1:{unheard.getsockname()[1]}")
    assert type(outcome) is TokenEndpointUnavailable
    assert "could not be reached (ConnectError: " in str(outcome)
    assert (outcome.status_code, outcome.retryable, outcome.retry_after) == (None, True, None)


def test_a_server_without_tls_gets_no_byte_of_the_request(ask_once: AskOnce, credentials: ApiCredentials) -> None:
    """Without a handshake there is no server to trust."""
    with RawServer(saying(answer(b"{}"))) as server:
        outcome = ask_once(base_url=server.base_url.replace("http:", "https:"))
        assert credentials.refresh_token.reveal().encode() not in b"".join(server.requests)
    assert type(outcome) is TokenEndpointUnavailable


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
def test_loopback_is_never_reached_through_a_proxy(
    ask_once: AskOnce, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The sandbox is on this machine, and plain http may not leave it."""
    monkeypatch.setenv(name, DEAD)
    assert isinstance(ask_once(), AccessToken)


@pytest.mark.parametrize(
    ("environ", "base_url", "proxy"),
    [
        ({}, "https://api.daxko.com", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://api.daxko.com", "http://proxy:3128"),
        ({"https_proxy": "https://proxy:3128"}, "https://api.daxko.com", "https://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, "https://api.daxko.com", "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy:3128"}, "https://api.daxko.com", "http://proxy:3128"),
        ({"ALL_PROXY": "http://all", "HTTPS_PROXY": "http://one"}, "https://api.daxko.com", "http://one"),
        ({"HTTPS_PROXY": ""}, "https://api.daxko.com", None),
        ({"HTTP_PROXY": "http://proxy:3128"}, "https://api.daxko.com", None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "daxko.com"}, "https://api.daxko.com", None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": ".daxko.com"}, "https://api.daxko.com", None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "*"}, "https://api.daxko.com", None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "api.daxko.com:8443"}, "https://api.daxko.com:8443", None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "api.daxko.com:1"}, "https://api.daxko.com:2", "http://proxy"),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "other.example"}, "https://api.daxko.com", "http://proxy"),
        ({"HTTPS_PROXY": "http://proxy"}, "https://127.0.0.1:8443", None),
        ({"HTTPS_PROXY": "http://proxy"}, "https://[::1]:8443", None),
        ({"HTTP_PROXY": "http://proxy"}, "http://localhost:8700", None),
    ],
)
def test_the_environments_proxy_is_used_as_elsewhere(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], base_url: str, proxy: str | None
) -> None:
    """In many networks there is no other way out."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    found = proxy_for(Origin.of(base_url))
    assert (found and found.url.reveal()) == proxy


@pytest.mark.parametrize("written", ["http://user:canary@{}", "user:canary@{}"])
def test_a_proxy_is_asked_for_a_tunnel_and_sees_no_credential(
    ask_once: AskOnce, credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    """It learns the host's name; its own password is in no message."""
    with RawServer(saying(answer(b"", "407 Proxy Authentication Required"))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", written.format(proxy.base_url.removeprefix("http://")))
        outcome = ask_once(base_url="https://daxko.invalid")
        (request,) = proxy.requests
    assert request.startswith(b"CONNECT daxko.invalid:443 HTTP/1.1\r\n")
    assert credentials.refresh_token.reveal().encode() not in request
    assert type(outcome) is TokenEndpointUnavailable
    assert "could not be reached (ProxyError: 407 Proxy Authentication Required)" in str(outcome)
    assert "canary" not in everything_about(outcome)


#: What a proxy may say back, with the user name and password that it was sent.
REPEATED = ["bad {0}", "bad {1}", "bad {0}:{1}", "bad Basic {2}", "bad %7B{0}:{1}%7D"]


def repeating(said: str, user: str, password: str) -> Behaviour:
    """Return what refuses a tunnel, and repeats the password in its reason."""
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    return saying(f"HTTP/1.1 407 {said.format(user, password, basic)}\r\nContent-Length: 0\r\n\r\n".encode())


@pytest.mark.parametrize("said", REPEATED[1:])
def test_a_proxy_that_repeats_its_own_password_does_not_get_it_into_a_message(
    ask_once: AskOnce, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """It is a secret as good as Daxko's, and stands in the environment only."""
    with RawServer(repeating(said, "somebody", "canary/of proxy")) as proxy:
        where = proxy.base_url.removeprefix("http://")
        monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:canary%2Fof%20proxy@{where}")
        outcome = ask_once(base_url="https://daxko.invalid")
        login = log_in("thread", TOKEN, "https://daxko.invalid")
    for each in (outcome, login):
        assert isinstance(each, DaxkoAuthError)
        assert "(ProxyError: 407 bad " in str(each)
        assert "***" in str(each)
        assert "canary" not in everything_about(each)


@pytest.mark.parametrize("said", [REPEATED[0], *REPEATED[2:]])
def test_a_key_in_place_of_a_proxys_user_name_is_a_secret_as_well(
    ask_once: AskOnce, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """Some services take one there, without a password."""
    with RawServer(repeating(said, "canary-of-a-key", "")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://canary-of-a-key@{proxy.base_url.removeprefix('http://')}")
        outcome = ask_once(base_url="https://daxko.invalid")
    assert isinstance(outcome, DaxkoAuthError)
    assert "(ProxyError: 407 bad " in str(outcome)
    assert "canary" not in everything_about(outcome)


@pytest.mark.parametrize("url", [None, "http://proxy:3128", "http://user:password@proxy:port"])
def test_a_proxy_without_a_password_has_no_secret(monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    """A colon alone would be masked wherever it stands; and through no proxy at all nothing is sent."""
    if url is not None:
        monkeypatch.setenv("HTTPS_PROXY", url)

    assert proxy_secrets(Origin.of("https://api.daxko.com")) == ()


def test_a_proxy_that_is_not_reached_is_named_by_its_setting(
    ask_once: AskOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is another host than the one in the message, and set in a place of its own."""
    monkeypatch.setenv("https_proxy", "http://user:canary@proxy.invalid:3128")

    outcome = ask_once(base_url="https://daxko.invalid")

    assert type(outcome) is TokenEndpointUnavailable
    assert "check the network, the proxy of https_proxy, DAXKO_BASE_URL and Daxko's status" in str(outcome)
    assert "canary" not in everything_about(outcome)


def test_where_the_first_address_is_dead_the_next_one_is_asked(
    sandbox: Sandbox, ask_once: AskOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path of IPv6 that swallows everything, a dead A record: each takes its whole time, and some must be left."""
    port = int(sandbox.base_url.rpartition(":")[2])
    dead, waited = [("127.0.0.2", port), ("127.0.0.3", port)], list[float]()
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def swallowed(connection: socket.socket, address: Any) -> None:
        if address in dead:
            waited.append(connection.gettimeout() or PATIENCE)
            raise TimeoutError("timed out")
        connect(connection, address)

    def resolved(host: Any, *args: Any, **options: Any) -> Any:
        if host != "localhost":
            return resolve(host, *args, **options)
        tcp = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, ""
        return [(*tcp, address) for address in (*dead, ("127.0.0.1", port))]

    monkeypatch.setattr(socket.socket, "connect", swallowed)
    monkeypatch.setattr(socket, "getaddrinfo", resolved)

    assert isinstance(ask_once(base_url=f"http://localhost:{port}"), AccessToken)
    assert sum(waited) <= PATIENCE / 2

"""Over plain http, what a token request holds reaches no proxy and no other server, whatever transport carries it."""

from collections.abc import Callable

import httpx
import pytest
from asking import AskOnce
from raw_server import RawServer, answer, everything_about, saying

from daxko_auth.model.errors import TokenRequestError, UntrustedOriginError
from daxko_auth.model.origin import Origin
from daxko_auth.model.tokens import AccessToken
from daxko_auth.sandbox import Sandbox
from daxko_auth.wire.transports import ConnectionHandle

GRANTED = saying(answer(b'{"access_token": "canary", "expires_in": "86400"}'))


class _Rerouted(httpx.HTTPTransport):
    """Sends to another server than the URL names."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = httpx.URL(base_url)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Change the URL, and send."""
        request.url = request.url.copy_with(host=self._base_url.host, port=self._base_url.port)
        return super().handle_request(request)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            lambda url: httpx.HTTPTransport(proxy=url),
            "has a proxy, which would read the password and the refresh token",
        ),
        (_Rerouted, "this request goes to {} and was not sent"),
    ],
    ids=["a proxy", "another server"],
)
def test_a_transport_that_would_send_elsewhere_sends_nothing(
    sandbox: Sandbox, ask_once: AskOnce, made: Callable[[str], httpx.BaseTransport], said: str
) -> None:
    """A proxy is sent all there is, password and refresh token, in clear."""
    with RawServer(GRANTED) as other, made(other.base_url) as transport:
        outcome = ask_once(transport=transport)
        assert set(other.requests) <= {b""}, "it was connected to, at most"
    assert type(outcome) is TokenRequestError
    assert (outcome.status_code, outcome.retryable) == (None, False)
    assert f"{sandbox.base_url}/v3/partners/oauth2/token was sent nothing: " in str(outcome)
    assert said.format(other.base_url) in str(outcome)
    everything_about(outcome)
    assert sandbox.token_requests() == 0


def test_a_socks_proxy_gets_nothing_either() -> None:
    """It would carry the request as it is."""
    with pytest.raises(UntrustedOriginError, match="Pass one without a proxy"):
        ConnectionHandle(Origin.of("http://127.0.0.1:8700")).watch("socks.connect_tcp.started", {"host": "127.0.0.1"})


def test_a_proxy_of_tls_is_nobodys_business(ask_once: AskOnce) -> None:
    """It is asked for a tunnel, and what goes through that it cannot read."""
    with (
        RawServer(saying(answer(b"", "403 Forbidden"))) as proxy,
        httpx.HTTPTransport(proxy=proxy.base_url) as transport,
    ):
        outcome = ask_once(base_url="https://daxko.invalid", transport=transport)
        assert proxy.requests[0].startswith(b"CONNECT daxko.invalid:443")
    assert outcome.status_code is None
    assert "could not be reached (ProxyError: 403 Forbidden)" in str(outcome)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_transport_that_goes_straight_is_used(ask_once: AskOnce, host: str) -> None:
    """However loopback is written."""
    with (
        RawServer(GRANTED, host="::1" if host == "[::1]" else "127.0.0.1") as server,
        httpx.HTTPTransport() as transport,
    ):
        assert isinstance(ask_once(base_url=f"http://{host}:{server.port}", transport=transport), AccessToken)


def test_what_carries_no_bearer_may_go_anywhere() -> None:
    """A transport of the program's own may ask others for something first: there is nothing in it to protect."""

    class Sent:
        headers = ((b"Host", b"other.example"),)

    connection = ConnectionHandle(Origin.of("http://127.0.0.1:8700"))
    connection.watch("http11.send_request_headers.started", {"request": Sent})

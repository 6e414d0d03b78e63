"""
Whatever URL or `Location` somebody writes: what httpcore would connect to decides where the bearer may go.

The origin's judgement is compared with that of the code that opens connections: scheme, host and port are
taken from what it asked the network for, not from any reading of the URL.
"""

import ssl
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import httpcore
import httpx
import pytest
from attrs import define, field, frozen
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daxko_auth import ApiCredentials, DaxkoAuth, TokenSource, UntrustedOriginError
from daxko_auth.model.origin import Origin

CERTIFICATES: Final = httpx.create_ssl_context()


@frozen
class Home:
    """An origin as a setting, and as what is opened for it."""

    base_url: str
    host: str
    port: int
    tls: bool

    @property
    def written_host(self) -> str:
        """The host as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host


HOMES: Final = [
    Home("https://api.daxko.com", "api.daxko.com", 443, tls=True),
    Home("https://api.daxko.com:8443", "api.daxko.com", 8443, tls=True),
    Home("https://[2001:db8::1]:443", "2001:db8::1", 443, tls=True),
    Home("http://127.0.0.1:8700", "127.0.0.1", 8700, tls=False),
]


@define
class Connection(httpcore.NetworkStream):
    """Where somebody connected to, and what was written there."""

    host: str
    port: int
    answer: bytes
    tls: bool = False
    written: bytes = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Answer once, and then no more."""
        answer, self.answer = self.answer, b""
        return answer

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Keep what is sent."""
        self.written += buffer

    def close(self) -> None:
        """Nothing is open."""

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "Connection":
        """Shake hands with whoever it is."""
        self.tls = True
        return self

    def get_extra_info(self, info: str) -> Any:
        """Know nothing."""

    def is_home(self, home: Home) -> bool:
        """Whether this is a connection to the configured origin."""
        return (self.host, self.port, self.tls) == (home.host, home.port, home.tls)


@define
class Network(httpcore.NetworkBackend):
    """Connects to everything, in memory; each connection answers one request."""

    answers: Iterator[bytes]
    connections: list[Connection] = field(factory=list)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Connection:
        """Connect."""
        self.connections.append(Connection(host, port, next(self.answers)))
        return self.connections[-1]

    def transport(self) -> httpx.HTTPTransport:
        """Return httpx's own transport over this network."""
        made = httpx.HTTPTransport(verify=CERTIFICATES)
        made._pool = httpcore.ConnectionPool(CERTIFICATES, network_backend=self)
        return made


def answers(*locations: bytes) -> Iterator[bytes]:
    """Redirect to each of `locations`, and answer 200 from then on."""
    for location in locations:
        yield b"HTTP/1.1 307 Temporary Redirect\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    while True:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


SCHEMES: Final = ["http", "https", "HTTPS", "hTtP", "wss", "ws", "ftp", "file", "https ", "", "javascript"]
SEPARATORS: Final = ["//", ":/", ":", ":///", ":\\\\", "://\\", "://@", ""]
PATHS: Final = [
    "", "/", "/v3/x", "?@evil.example", "#@evil.example", "\\@evil.example", "//evil.example", "/../..//evil.example",
    ";@evil.example/", "/\\evil.example", ":443@evil.example/", "%40evil.example", "%2f@evil.example",
]  # fmt: skip


def hosts(home: Home) -> st.SearchStrategy[str]:
    """Return names of home, look-alikes of it, and others."""
    name = home.written_host
    dotted = name.replace(".", "\u3002")
    return st.sampled_from(
        [
            name.upper(), name.title(), dotted, f"{name}.", f"{name}..", f".{name}",
            f"{name}.evil.example", f"evil{name}", f"evil.{name}", f"{name}%2eevil.example", f"{name}%00",
            f"{name}\\.evil.example", f"{name}\u200d", f"{name}\u00ad", f"{name},evil.example", f"{name}%",
            name.replace("a", "\u0430"), name.replace("1", "\uff11"), name.replace("o", "\u00ba"),
            "xn--pi-6kc.daxko.com", "evil.example", "xn--a", "localhost", "127.1", "0x7f.1", "2130706433", "0177.0.0.1",
            "[::1]", "[::ffff:127.0.0.1]", "[2001:DB8::1]", "[2001:db8:0::1]", "[2001:db8::1%25eth0]", "[", "", " ",
        ]
    )  # fmt: skip


def ports(home: Home) -> st.SearchStrategy[str]:
    """Return spellings of home's port, and others."""
    port = home.port
    return st.sampled_from(
        [
            "", f":0{port}", ":", ":443", ":80", ":0", ":65535", ":65536", f":{port + 65536}",
            f":{port}0", f":-{port}", f":+{port}", f": {port}", f":{port}:1", f":{port}\\", ":\u0664\u0664\u0663",
        ]
    )  # fmt: skip


@st.composite
def urls(draw: st.DrawFn, home: Home) -> str:
    """Return a URL of home with some of its pieces replaced, and now and then something odd in the middle."""
    name = home.written_host
    userinfos = [
        "user@", "user:password@", "@", f"{name}@", f"{name}:{home.port}@", f"{name}\\@", f"{name}%40", "a@b@", "%5c@",
        "evil.example@", f"{name}#@", f"{name}?@", f"{name}/@",
    ]  # fmt: skip
    scheme = "https" if home.tls else "http"
    pieces = [scheme, "://", "", name, f":{home.port}", "/v3/x"]
    others = [*map(st.sampled_from, (SCHEMES, SEPARATORS, userinfos)), hosts(home), ports(home), st.sampled_from(PATHS)]
    for place in draw(st.lists(st.integers(0, len(pieces) - 1), max_size=4)):
        pieces[place] = draw(others[place])
    url = "".join(pieces)
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(url)))
        url = url[:place] + draw(st.text(max_size=3)) + url[place:]
    return url


HOMES_AND_URLS: Final = st.sampled_from(HOMES).flatmap(lambda home: st.tuples(st.just(home), urls(home)))


def attempt(do: Callable[[], object]) -> Exception | None:
    """Return what was raised, if it is what httpx raises where it cannot make sense of a URL."""
    try:
        do()
    except (httpx.InvalidURL, httpx.HTTPError, UnicodeError, UntrustedOriginError) as error:
        return error
    return None


@pytest.fixture(scope="module")
def sources() -> Iterator[dict[Home, TokenSource]]:
    """Give a source for each home, with a token at hand."""

    def grant(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"access_token": "a.canary.token", "expires_in": 86_400})

    credentials = ApiCredentials("daxko_api_user", "password", "refresh.token")
    made = {home: TokenSource(credentials, home.base_url, http=httpx.MockTransport(grant)) for home in HOMES}
    for source in made.values():
        source.token(9999)
    yield made
    for source in made.values():
        source.close()


@settings(max_examples=1_000, deadline=None)
@given(HOMES_AND_URLS)
@example((HOMES[0], "https://api.daxko.com:443/"))
@example((HOMES[0], "HTTPS://api.daxko.com:443/"))
@example((HOMES[0], "https://api.daxko.com:0/"))
@example((HOMES[0], "https://evil.example\\@API.daxko.com/"))
def test_what_is_admitted_is_what_is_connected_to(home_and_url: tuple[Home, str]) -> None:
    """A URL that the origin and the connection read differently is how bearers get lost."""
    home, written = home_and_url
    origin = Origin.of(home.base_url)
    network = Network(answers())
    with network.transport() as transport:
        try:
            request = httpx.Request("GET", written)
        except (httpx.InvalidURL, UnicodeError):
            return
        url = request.url
        refused = attempt(lambda: origin.require(url))
        attempt(lambda: transport.handle_request(request).read())
    leads_home = [connection.is_home(home) for connection in network.connections] == [True]
    assert origin.admits(url) is (refused is None)
    if origin.admits(url):
        assert leads_home
    # httpcore takes port 0 for the default, and would speak HTTP to wss: refused all the same.
    elif leads_home:
        assert url.port == 0 or url.scheme in {"ws", "wss"}


@settings(max_examples=500, deadline=None)
@given(HOMES_AND_URLS)
def test_no_url_takes_a_bearer_elsewhere(sources: dict[Home, TokenSource], home_and_url: tuple[Home, str]) -> None:
    """With the whole of an httpx client between the URL and the connection: merged, parsed, authenticated, sent."""
    home, url = home_and_url
    network = Network(answers())
    auth = DaxkoAuth(sources[home], 9999)
    with httpx.Client(base_url=home.base_url, auth=auth, transport=network.transport()) as http:
        raised = attempt(lambda: http.get(url))
    if raised is not None:
        assert network.connections == []
        return
    (connection,) = network.connections
    assert connection.is_home(home)
    assert connection.written.count(b"a.canary.token") == 1
    assert b"\r\nAuthorization: Bearer a.canary.token\r\n" in connection.written


@settings(max_examples=500, deadline=None)
@given(HOMES_AND_URLS, st.booleans())
def test_no_redirect_takes_a_bearer_elsewhere(
    sources: dict[Home, TokenSource], home_and_url: tuple[Home, str], and_back: bool
) -> None:
    """The API, or whoever answers in its place, redirects to anything at all, and httpx follows; perhaps back again."""
    home, location = home_and_url
    back = [home.base_url.encode()] if and_back else []
    network = Network(answers(location.encode(), *back))
    auth = DaxkoAuth(sources[home], 9999)
    with httpx.Client(base_url=home.base_url, auth=auth, transport=network.transport(), follow_redirects=True) as http:
        attempt(lambda: http.get("/v3/x"))
    assert network.connections[0].is_home(home)
    for connection in network.connections:
        if not connection.is_home(home):
            assert b"authorization" not in connection.written.lower()
            assert b"canary" not in connection.written

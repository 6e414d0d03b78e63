"""
Which bearer goes where, by every entry, over real sockets: home, or nowhere.

Home is a sandbox. Its neighbours listen on the same port of other addresses and on other ports of the same
address, write down whatever arrives, and answer 401.
"""

import os
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from traceback import TracebackException
from typing import Any, Final

import anyio
import httpcore
import httpx
import pytest
from attrs import frozen
from raw_server import RawServer, answer, saying

from daxko_auth import (
    ApiCredentials,
    AsyncDaxko,
    CredentialsError,
    Daxko,
    DaxkoAuth,
    TokenResponseInvalid,
    TokenSource,
    UntrustedOriginError,
)
from daxko_auth.sandbox import Arrival, Sandbox
from daxko_auth.wire.transports import OwnedTransport

ACCEPT: Final = {"Accept": "application/json"}
REDIRECTS: Final = (301, 302, 303, 307, 308)
# Made once: loading the certificates is the slowest part of making an httpx client.
CERTIFICATES: Final = httpx.create_ssl_context()
UNAUTHORIZED: Final = saying(answer(b'{"error": "invalid_token"}', "401 Unauthorized", Connection="close"))


@frozen
class Street:
    """Home and its neighbours, and a source that has a token at hand."""

    home: Sandbox
    source: TokenSource
    neighbours: Mapping[str, RawServer]

    @property
    def ports(self) -> dict[str, int]:
        """What the URLs of the tables below are completed with."""
        return {"home": int(self.home.base_url.rpartition(":")[2]), "other": self.neighbours["other port"].port}

    def url(self, template: str) -> str:
        """Return a URL of the tables below with the ports of this street."""
        for name, port in self.ports.items():
            template = template.replace(f"<{name}>", str(port))
        return template

    def visits(self) -> dict[str, int]:
        """Count who has connected to whom so far."""
        return {name: neighbour.connections for name, neighbour in self.neighbours.items()}

    def assert_no_neighbour_got(self, *, secrets: tuple[str, ...] = ()) -> None:
        """See that nothing the neighbours ever received authorises anybody."""
        received = b"\n".join(request for neighbour in self.neighbours.values() for request in neighbour.requests)
        assert b"authorization" not in received.lower()
        for secret in (self.home.password, self.home.refresh_token, *secrets):
            assert secret.encode() not in received


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    """Open a street for the tests of this module, with a token at hand."""
    with ExitStack() as stack:
        home = stack.enter_context(Sandbox())
        port = int(home.base_url.rpartition(":")[2])
        neighbours = {
            "other port": RawServer(UNAUTHORIZED),
            "other address": RawServer(UNAUTHORIZED, host="127.0.0.2", port=port),
            "IPv6": RawServer(UNAUTHORIZED, host="::1", port=port),
        }
        for neighbour in neighbours.values():
            stack.enter_context(neighbour)
        credentials = ApiCredentials(home.username, home.password, home.refresh_token)
        source = stack.enter_context(TokenSource(credentials, home.base_url))
        source.token(9999)
        yield Street(home, source, neighbours)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without the proxies of whoever runs the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


#: Every way to send something: which entry, in which world.
WAYS: Final = [
    (entry, world)
    for entry in ("httpx", "Daxko.http", "Daxko.api")
    for world in ("thread", "asyncio", "trio")
    if (entry, world) != ("Daxko.api", "trio")
]
DAXKOS: Final = [way for way in WAYS if way[0] != "httpx"]
OWN: Final = [way for way in WAYS if way[0] == "httpx"]
Way = tuple[str, str]


@frozen
class Errand:
    """What a program does with an httpx client: set it up, send a request, and perhaps what follows from the answer."""

    method: str
    url: str
    settings: Mapping[str, Any]
    also: Callable[[httpx.Response], str | httpx.Request] | None
    options: Mapping[str, Any]

    def run(self, http: httpx.Client) -> httpx.Response:
        """Return the last answer."""
        for name, value in self.settings.items():
            setattr(http, name, value)
        response = http.request(self.method, self.url, **self.options)
        if self.also is None:
            return response
        following = self.also(response)
        return http.send(following) if isinstance(following, httpx.Request) else http.get(following)

    async def arun(self, http: httpx.AsyncClient) -> httpx.Response:
        """Return the same, awaiting."""
        for name, value in self.settings.items():
            setattr(http, name, value)
        response = await http.request(self.method, self.url, **self.options)
        if self.also is None:
            return response
        following = self.also(response)
        return await (http.send(following) if isinstance(following, httpx.Request) else http.get(following))


def send(  # noqa: PLR0913 - what can differ, all but four by name
    way: Way,
    source: TokenSource,
    method: str,
    url: str,
    *,
    settings: Mapping[str, Any] | None = None,
    also: Callable[[httpx.Response], str | httpx.Request] | None = None,
    **options: Any,
) -> httpx.Response:
    """Do that errand by that way."""
    entry, world = way
    errand = Errand(method, url, settings or {}, also, options)
    if world != "thread":
        return anyio.run(_asend, entry, source, errand, backend=world)
    if entry == "httpx":
        auth, base_url = DaxkoAuth(source, 9999), source.origin.base_url
        with httpx.Client(base_url=base_url, auth=auth, headers=ACCEPT, verify=CERTIFICATES) as own:
            return errand.run(own)
    with Daxko(source.credentials, 9999, source=source) as daxko:
        return errand.run(daxko.http if entry == "Daxko.http" else daxko.api.get_httpx_client())


async def _asend(entry: str, source: TokenSource, errand: Errand) -> httpx.Response:
    if entry == "httpx":
        auth, base_url = DaxkoAuth(source, 9999), source.origin.base_url
        async with httpx.AsyncClient(base_url=base_url, auth=auth, headers=ACCEPT, verify=CERTIFICATES) as own:
            return await errand.arun(own)
    async with AsyncDaxko(source.credentials, 9999, source=source) as daxko:
        return await errand.arun(daxko.http if entry == "Daxko.http" else daxko.api.get_async_httpx_client())


def hook(way: Way, do: Callable[[Any], None]) -> Callable[[Any], Any]:
    """Return an event hook for the world of that way."""

    async def ado(event: Any) -> None:
        do(event)

    return do if way[1] == "thread" else ado


def arrivals_since(street: Street, before: list[Arrival]) -> list[Arrival]:
    """Return what came home since then."""
    return street.home.log[len(before) :]


# What httpx sends to the origin itself, or makes a path of it. <home> is its port.
HOME: Final = [
    "/v3/x",
    "v3/x",
    "http://127.0.0.1:<home>/v3/x",
    "HTTP://127.0.0.1:<home>/v3/x",
    "http://127.0.0.1:0<home>/v3/x",
    "http://127\u30020\uff0e0\uff611:<home>/v3/x",
    "http://user@127.0.0.1:<home>/v3/x",
    "http://user:password@127.0.0.1:<home>/v3/x",
    "http://127.0.0.1:<other>@127.0.0.1:<home>/v3/x",
    "http://127.0.0.1:<other>\\@127.0.0.1:<home>/v3/x",
    "http://127.0.0.1:<home>/v3/x?next=http://127.0.0.1:<other>/",
    "http://127.0.0.1:<home>/v3/x#@127.0.0.1:<other>/",
    "http://127.0.0.1:<home>?@127.0.0.1:<other>/v3/x",
    "http://127.0.0.1:<home>/v3/../../127.0.0.1:<other>",
    "http://127.0.0.1:<home>/v3/x?" + "long=1&" * 4_000,
    "//127.0.0.1:<other>/v3/x",
    "///127.0.0.1:<other>/v3/x",
    "//user@127.0.0.1:<other>/v3/x",
    "http:/v3/x",
    "http:///v3/x",
    "http:127.0.0.1:<other>/v3/x",
    "http:/127.0.0.1:<other>/v3/x",
    "https:///127.0.0.1:<other>/v3/x",
    "\\\\127.0.0.1:<other>\\v3\\x",
    "/\\127.0.0.1:<other>/v3/x",
    "/v3/x@127.0.0.1:<other>/",
    "@127.0.0.1:<other>/v3/x",
    "file:///v3/x",
    "",
]


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_every_spelling_of_home_leads_home(street: Street, way: Way) -> None:
    """With the access token as the only Authorization, and without a bearer in the URL, whatever it was written as."""
    for template in HOME:
        before, visits = street.home.log, street.visits()
        send(way, street.source, "GET", street.url(template))
        (arrival,) = arrivals_since(street, before)
        assert (template, arrival.bearer, arrival.misplaced) == (template, "access_token", ())
        assert (template, street.visits()) == (template, visits)


# What leads elsewhere, and how the refusal names it.
FOREIGN: Final = [
    ("http://127.0.0.1:<other>/v3/x", "http://127.0.0.1:<other>"),
    ("http://127.0.0.1/v3/x", "http://127.0.0.1"),
    ("http://127.0.0.1:0/v3/x", "http://127.0.0.1:0"),
    ("http://127.0.0.2:<home>/v3/x", "http://127.0.0.2:<home>"),
    ("http://[::1]:<home>/v3/x", "http://[::1]:<home>"),
    ("https://127.0.0.1:<home>/v3/x", "https://127.0.0.1:<home>"),
    ("https://127.0.0.1:<other>/v3/x", "https://127.0.0.1:<other>"),
    ("ws://127.0.0.1:<home>/v3/x", "ws://127.0.0.1:<home>"),
    ("ftp://127.0.0.1:<home>/v3/x", "ftp://127.0.0.1:<home>"),
    # Other names and spellings of the same address: whether they lead home is not known before they are looked up.
    ("http://localhost:<home>/v3/x", "http://localhost:<home>"),
    ("http://LOCALHOST:<other>/v3/x", "http://localhost:<other>"),
    ("http://127.0.0.1.:<home>/v3/x", "http://127.0.0.1.:<home>"),
    ("http://127.1:<home>/v3/x", "http://127.1:<home>"),
    ("http://0x7f.1:<home>/v3/x", "http://0x7f.1:<home>"),
    ("http://0x7F000001:<home>/v3/x", "http://0x7f000001:<home>"),
    ("http://017700000001:<home>/v3/x", "http://017700000001:<home>"),
    ("http://2130706433:<home>/v3/x", "http://2130706433:<home>"),
    ("http://2130706434:<home>/v3/x", "http://2130706434:<home>"),
    ("http://[::ffff:127.0.0.1]:<home>/v3/x", "http://[::ffff:127.0.0.1]:<home>"),
    ("http://[::ffff:7f00:1]:<home>/v3/x", "http://[::ffff:7f00:1]:<home>"),
    ("http://0.0.0.0:<home>/v3/x", "http://0.0.0.0:<home>"),
    ("http://[::]:<home>/v3/x", "http://[::]:<home>"),
    # Names that look like home.
    ("http://127.0.0.1.evil.example:<home>/v3/x", "http://127.0.0.1.evil.example:<home>"),
    ("http://evil-127.0.0.1:<home>/v3/x", "http://evil-127.0.0.1:<home>"),
    ("http://evil.127.0.0.1:<home>/v3/x", "http://evil.127.0.0.1:<home>"),
    ("http://127.0.0.1,evil.example:<home>/v3/x", "http://127.0.0.1,evil.example:<home>"),
    ("http://l\u043ecalhost:<home>/v3/x", "http://xn--lcalhost-nbh:<home>"),
    ("http://xn--lcalhost-nbh:<home>/v3/x", "http://xn--lcalhost-nbh:<home>"),
    # Home as a user name or a password.
    ("http://127.0.0.1@127.0.0.1:<other>/v3/x", "http://127.0.0.1:<other>"),
    ("http://127.0.0.1:<home>@127.0.0.1:<other>/v3/x", "http://127.0.0.1:<other>"),
    ("http://127.0.0.1:<home>\\@127.0.0.1:<other>/v3/x", "http://127.0.0.1:<other>"),
    ("http://user@127.0.0.1:<home>@127.0.0.1:<other>/v3/x", "http://127.0.0.1:<other>"),
    # Encoded, they are part of a name.
    ("http://127.0.0.1%40127.0.0.2:<home>/v3/x", "http://127.0.0.1%40127.0.0.2:<home>"),
    ("http://127.0.0.1%2e:<home>/v3/x", "http://127.0.0.1%2e:<home>"),
    ("http://127.0.0.1%00.evil.example:<home>/v3/x", "http://127.0.0.1%00.evil.example:<home>"),
    # How this is shown depends on the version of httpx.
    ("http://127.0.0.1\\.evil.example:<home>/v3/x", "http://127.0.0.1"),
    ("http://" + "a" * 60_000 + ".example/v3/x", "http://aaa"),
]


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_nothing_leaves_for_anywhere_else(street: Street, way: Way) -> None:
    """Typed, or taken from a `next` link: refused by name before a connection is made, with a token at hand."""
    for template, named in FOREIGN:
        before, visits = street.home.log, street.visits()
        with pytest.raises(UntrustedOriginError) as refused:
            send(way, street.source, "GET", street.url(template))
        assert f"stays with {street.home.base_url};" in str(refused.value)
        assert f"goes to {street.url(named)}" in str(refused.value)
        assert (template, street.visits()) == (template, visits)
        assert (template, arrivals_since(street, before)) == (template, [])


# What httpx refuses to read at all.
UNREADABLE: Final = [
    "http://127.0.0.1:<home>:<other>/v3/x",
    "http://127.0.0.1:<home>%40127.0.0.1:<other>/v3/x",
    "http://127.0.0.1:<other>\t/v3/x",
    "http://127.0.0.1:<home>\r\nHost: evil.example\r\n/v3/x",
    "http://0127.0.0.1:<home>/v3/x",
    "http://[::1:<home>/v3/x",
    "http://\uff11\uff12\uff17.0.0.1:<home>/v3/x",
    "http://127.0.0.1\u200b:<home>/v3/x",
    "http://xn--a:<home>/v3/x",
    "http://127.0.0.1:<home>/" + "a" * 70_000,
]


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_what_is_no_url_is_not_sent(street: Street, way: Way) -> None:
    """What httpx refuses by itself it refuses with its own words."""
    for template in UNREADABLE:
        before, visits = street.home.log, street.visits()
        with pytest.raises((httpx.InvalidURL, UnicodeError)):  # the latter from its look at punycode
            send(way, street.source, "GET", street.url(template))
        assert (arrivals_since(street, before), street.visits()) == ([], visits)


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_name_in_capitals_is_home_and_one_with_a_dot_is_not(way: Way) -> None:
    """Names are compared in lower case, as everywhere; a trailing dot makes another name, which is refused."""
    with Sandbox(host="localhost") as home:
        port = home.base_url.rpartition(":")[2]
        credentials = ApiCredentials(home.username, home.password, home.refresh_token)
        with TokenSource(credentials, f"HTTP://LOCALHOST:{port}/") as source:
            for host in ("localhost", "LOCALHOST", "LocalHost", "user@lOCALHOST"):
                assert send(way, source, "GET", f"http://{host}:{port}/v3/x").status_code == 200
            arrived = len(home.log)
            for host in ("localhost.", "localhost.localdomain", "127.0.0.1", "[::1]", "xlocalhost", "localhostx"):
                with pytest.raises(UntrustedOriginError, match=f"goes to http://{re.escape(host)}:{port} "):
                    send(way, source, "GET", f"http://{host}:{port}/v3/x")
        assert len(home.log) == arrived


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_next_link_of_an_answer_is_followed_home_and_nowhere_else(street: Street, way: Way) -> None:
    """Whoever can write into an answer would otherwise be sent a day's access."""
    visits = street.visits()

    def next_link(response: httpx.Response) -> str:
        return str(response.json()["next"])

    for target in ("http://127.0.0.1:<home>/v3/page/2", "/v3/page/2"):
        street.home.fail_next(1, "answer", where="resource", body={"next": street.url(target)})
        assert send(way, street.source, "GET", "/v3/page/1", also=next_link).json()["path"] == "/v3/page/2"
    for target in ("http://127.0.0.1:<other>/v3/page/2", "http://127.0.0.1:<home>@127.0.0.1:<other>/v3/page/2"):
        street.home.fail_next(1, "answer", where="resource", body={"next": street.url(target)})
        with pytest.raises(UntrustedOriginError, match=street.url("goes to http://127.0.0.1:<other> ")):
            send(way, street.source, "GET", "/v3/page/1", also=next_link)
    assert street.visits() == visits


# Where the API redirects to, and who is asked.
ELSEWHERE: Final = {
    "http://127.0.0.1:<other>/v3/x": "other port",
    "//127.0.0.1:<other>/v3/x": "other port",
    "http://127.0.0.1:<home>@127.0.0.1:<other>/v3/x": "other port",
    "http://127.0.0.2:<home>/v3/x": "other address",
    "http://[::1]:<home>/v3/x": "IPv6",
}


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_redirect_that_is_followed_elsewhere_carries_no_bearer(street: Street, way: Way, status: int) -> None:
    """To a download on other servers, say: they get no bearer, and their 401 costs no token."""
    token = street.source.token(9999)
    for template, neighbour in ELSEWHERE.items():
        before, visits = street.home.log, street.visits()
        street.home.fail_next(1, "redirect", where="resource", status=status, location=street.url(template))

        response = send(way, street.source, "POST", "/v3/x", json={}, settings={"follow_redirects": True})

        assert response.status_code == 401
        assert street.visits() == visits | {neighbour: visits[neighbour] + 1}
        assert [arrival.bearer for arrival in arrivals_since(street, before)] == ["access_token"]
        street.assert_no_neighbour_got(secrets=(token.reveal(),))
    assert street.source.token(9999) is token


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_redirect_to_another_scheme_carries_no_bearer(street: Street, way: Way, status: int) -> None:
    """Not even before the TLS handshake."""
    street.home.fail_next(
        1, "redirect", where="resource", status=status, location=street.url("https://127.0.0.1:<other>/v3/x")
    )
    with pytest.raises(httpx.TransportError):
        send(way, street.source, "GET", "/v3/x", settings={"follow_redirects": True})
    street.assert_no_neighbour_got(secrets=(street.source.token(9999).reveal(),))


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_redirect_that_is_not_followed_is_refused_when_it_is_sent_by_hand(
    street: Street, way: Way, status: int
) -> None:
    """The client prepares the next request, and a program may send it: it is judged like any other."""
    for template in ELSEWHERE:
        visits = street.visits()
        street.home.fail_next(1, "redirect", where="resource", status=status, location=street.url(template))
        with pytest.raises(UntrustedOriginError, match="was not sent"):
            send(way, street.source, "GET", "/v3/x", also=lambda response: response.next_request or "")
        assert street.visits() == visits


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_redirect_within_home_keeps_the_bearer(street: Street, way: Way, status: int) -> None:
    """The origin is the same, and so is the API."""
    for location in ("/v3/moved", f"{street.home.base_url}/v3/moved"):
        before = street.home.log
        street.home.fail_next(1, "redirect", where="resource", status=status, location=location)
        assert send(way, street.source, "GET", "/v3/x", settings={"follow_redirects": True}).status_code == 200
        assert [arrival.bearer for arrival in arrivals_since(street, before)] == ["access_token"] * 2


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_401_after_a_detour_costs_no_token(street: Street, way: Way) -> None:
    """Sent elsewhere and back, a request has lost its bearer on the way: home's 401 says nothing about the token."""
    token, before = street.source.token(9999), street.home.log
    back = answer(b"", "302 Found", Location=f"{street.home.base_url}/v3/back", Connection="close")
    with RawServer(saying(back)) as detour:
        street.home.fail_next(1, "redirect", where="resource", location=f"{detour.base_url}/v3/x")
        response = send(way, street.source, "GET", "/v3/x", settings={"follow_redirects": True})
    assert response.status_code == 401
    assert [(arrival.path, arrival.bearer) for arrival in arrivals_since(street, before)] == [
        ("/v3/x", "access_token"),
        ("/v3/back", "none"),
    ]
    assert street.source.token(9999) is token


@pytest.mark.parametrize("way", DAXKOS, ids="-".join)
def test_a_daxko_stops_a_bearer_that_a_hook_or_httpx_takes_elsewhere(street: Street, way: Way) -> None:
    """The program's hooks come after the auth, and httpx keeps the bearer of a redirect from http to https."""
    visits, before = street.visits(), street.home.log

    def lead_astray(request: httpx.Request) -> None:
        request.url = httpx.URL(street.url("http://127.0.0.1:<other>/v3/x"))

    with pytest.raises(UntrustedOriginError, match=street.url("goes to http://127.0.0.1:<other> ")):
        send(way, street.source, "GET", "/v3/x", settings={"event_hooks": {"request": [hook(way, lead_astray)]}})
    with pytest.raises(UntrustedOriginError, match=street.url("goes to http://127.0.0.1:<other> ")):
        send(way, street.source, "GET", street.url("http://127.0.0.1:<other>/v3/x"), auth=("user", "password"))
    assert (arrivals_since(street, before), street.visits()) == ([], visits)

    url = street.url("http://127.0.0.1:<other>/v3/x")
    assert send(way, street.source, "GET", url, auth=None).status_code == 401, "without a bearer, anywhere"
    street.assert_no_neighbour_got()


@pytest.mark.parametrize("path", ["/v3/x", "/v3/moved"])
@pytest.mark.parametrize("way", OWN, ids="-".join)
def test_a_request_hook_takes_no_bearer_from_the_sandbox_elsewhere(street: Street, way: Way, path: str) -> None:
    """No auth of httpx comes after the hooks; but plain http is looked at once more as it is sent."""
    token = street.source.token(9999)
    street.home.fail_next(1, "redirect", where="resource", status=307, location="/v3/moved")
    with RawServer(UNAUTHORIZED) as chosen:

        def lead(request: httpx.Request) -> None:
            if request.url.path == path:
                request.url = httpx.URL(f"{chosen.base_url}/v3/chosen")

        settings = {"event_hooks": {"request": [hook(way, lead)]}, "follow_redirects": True}
        with pytest.raises(UntrustedOriginError, match=f"goes to {chosen.base_url} "):
            send(way, street.source, "GET", "/v3/x", settings=settings)
    street.home.fail_no_more()
    assert chosen.requests in ([], [b""])
    assert street.source.token(9999) is token


@pytest.mark.parametrize("way", OWN, ids="-".join)
def test_a_request_hook_of_the_programs_own_httpx_is_trusted_with_https(credentials: ApiCredentials, way: Way) -> None:
    """As the docstring of `DaxkoAuth` says: no auth of httpx comes after the hooks. Its 401 costs no token."""
    with (
        RawServer(UNAUTHORIZED) as chosen,
        TokenSource(credentials, "https://daxko.invalid", http=GrantingTransport()) as source,
    ):
        token = source.token(9999)

        def lead(request: httpx.Request) -> None:
            request.url = httpx.URL(f"{chosen.base_url}/v3/chosen")

        response = send(way, source, "GET", "/v3/x", settings={"event_hooks": {"request": [hook(way, lead)]}})
        assert source.token(9999) is token
    assert response.status_code == 401
    assert response.extensions["daxko_auth"].startswith("this request did not carry the access token")


@pytest.mark.parametrize("way", OWN, ids="-".join)
def test_a_hook_that_leads_the_replay_astray_gets_no_second_bearer(street: Street, way: Way) -> None:
    """A replay goes to the configured origin or not at all, whatever happened to its URL since."""
    visits = street.visits()
    sent: list[httpx.Request] = []

    def lead_astray(response: httpx.Response) -> None:
        sent[0].url = httpx.URL(street.url("http://127.0.0.1:<other>/v3/x")) if response.is_error else sent[0].url

    hooks = {"request": [hook(way, sent.append)], "response": [hook(way, lead_astray)]}
    street.home.fail_next(1, "redirect", where="resource", location="/v3/refused")
    street.home.always_401("/v3/refused")
    response = send(way, street.source, "GET", "/v3/x", settings={"follow_redirects": True, "event_hooks": hooks})
    street.home.always_401("/v3/refused", on=False)

    assert (response.status_code, street.visits()) == (401, visits)
    assert response.extensions["daxko_auth"].startswith("not sent again (a redirect led here")


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_an_authorization_of_the_programs_own_is_refused_by_name(street: Street, way: Way) -> None:
    """One that was pasted into the headers long ago would win, or be lost without a word; both mislead."""
    before = street.home.log
    for pasted in ({"Authorization": "Bearer pasted"}, {"authorization": "Basic cGFzdGVk"}, {"AUTHORIZATION": ""}):
        for options in ({"headers": pasted}, {"settings": {"headers": ACCEPT | pasted}}):
            with pytest.raises(CredentialsError, match="did not issue the Authorization") as refused:
                send(way, street.source, "GET", "/v3/x", **options)  # type: ignore[arg-type]
            assert "pasted" not in str(refused.value)
    assert arrivals_since(street, before) == []


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_user_and_a_password_in_a_url_are_not_sent(street: Street, way: Way) -> None:
    """By itself, httpx makes an Authorization of them."""
    street.source.token(9999)
    before = street.home.log
    assert send(way, street.source, "GET", street.url("http://user:password@127.0.0.1:<home>/v3/x")).status_code == 200
    assert {(arrival.bearer, arrival.misplaced) for arrival in arrivals_since(street, before)} == {("access_token", ())}


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_request_that_is_sent_again_has_the_token_of_its_time(street: Street, way: Way) -> None:
    """The Authorization of the first time is the source's own, and is replaced."""
    before = street.home.log

    def again(response: httpx.Response) -> httpx.Request:
        street.home.expire()
        street.source.reject(street.source.token(9999))
        return response.request

    assert send(way, street.source, "POST", "/v3/x", json={}, also=again).status_code == 200
    own = {"Authorization": f"bearer {street.source.token(9999).reveal()}"}
    assert send(way, street.source, "GET", "/v3/x", headers=own).status_code == 200
    street.home.fail_next(1, "redirect", where="resource", location="/v3/moved")
    following = send(way, street.source, "GET", "/v3/x", also=lambda response: response.next_request or "")
    assert following.json()["path"] == "/v3/moved"
    assert {arrival.bearer for arrival in arrivals_since(street, before)} == {"refresh_token", "access_token"}


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_whatever_decides_where_a_call_goes_has_to_lead_home(street: Street, way: Way) -> None:
    """A gateway goes by `Host`, a certificate by the name for TLS, a proxy by the target."""
    before = street.home.log
    netloc = street.home.base_url.removeprefix("http://")
    elsewhere: list[dict[str, Any]] = [
        *({"headers": {name: "evil.example"}} for name in ("Host", "host", "HOST")),
        {"headers": [("Host", netloc), ("host", street.url("127.0.0.1:<other>"))]},
        {"headers": {"Host": ""}},
        *({"extensions": {"sni_hostname": name}} for name in ("evil.example", b"evil.example")),
        *({"extensions": {"target": target}} for target in (b"http://evil.example/", "evil.example:443", b"*")),
    ]
    for options in elsewhere:
        with pytest.raises(UntrustedOriginError, match="nothing was sent"):
            send(way, street.source, "GET", "/v3/x", **options)
    for target in (b"/v3/partners/oauth2/token", "/v3//partners/./oauth2/%74oken/?a=b"):
        with pytest.raises(CredentialsError, match="takes the refresh token"):
            send(way, street.source, "POST", "/v3/x", extensions={"target": target})
    assert arrivals_since(street, before) == []
    home: list[dict[str, Any]] = [
        {"headers": {"Host": netloc}},
        {"extensions": {"sni_hostname": "127.0.0.1"}},
        {"extensions": {"sni_hostname": None}},
        {"extensions": {"target": b"/v3/y?a=b"}},
    ]
    for options in home:
        assert send(way, street.source, "GET", "/v3/x", **options).status_code == 200


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_netrc_file_changes_no_bearer(
    sandbox: Sandbox, source: TokenSource, way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other HTTP libraries let it win over an Authorization header; here it is never read."""
    for file in (tmp_path / "netrc", tmp_path / ".netrc"):
        file.write_text("machine 127.0.0.1 login canary password canary\ndefault login canary password canary\n")
        file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))

    send(way, source, "GET", "/v3/x")

    assert [arrival.bearer for arrival in sandbox.log] == ["refresh_token", "access_token"]


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_cookies_go_with_the_programs_calls_and_never_with_a_token_request(
    way: Way, credentials: ApiCredentials
) -> None:
    """A server that keeps a session by cookie must not tie the account's token requests to a program's calls."""
    said = answer(
        b'{"access_token": "an.access.token", "expires_in": "86400"}', Set_Cookie="theirs=1", Connection="close"
    )
    with RawServer(saying(said)) as home, TokenSource(credentials, home.base_url) as source:
        for _ in range(2):
            send(way, source, "GET", "/v3/1", settings={"cookies": {"ours": "1"}}, also=lambda _: "/v3/2")
            source.reject(source.token(9999))
        asked = [request.partition(b"\r\n\r\n")[0].splitlines() for request in home.requests]
    cookies = {
        line[0].split()[1]: {
            cookie for field in line if field.startswith(b"Cookie: ") for cookie in field[8:].split(b"; ")
        }
        for line in asked
    }
    bearers = {(line[0].split()[1], field) for line in asked for field in line if field.startswith(b"Authorization:")}
    assert cookies == {
        b"/v3/partners/oauth2/token": set(),
        b"/v3/1": {b"ours=1"},
        b"/v3/2": {b"ours=1", b"theirs=1"},
    }
    assert bearers == {
        (b"/v3/partners/oauth2/token", f"Authorization: Bearer {credentials.refresh_token.reveal()}".encode()),
        (b"/v3/1", b"Authorization: Bearer an.access.token"),
        (b"/v3/2", b"Authorization: Bearer an.access.token"),
    }


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_parameters_and_a_base_url_lead_nobody_astray(street: Street, way: Way) -> None:
    """A base URL that is another server's is refused with the first call; parameters stay parameters."""
    visits, before = street.visits(), street.home.log
    parameters = {"next": street.url("http://127.0.0.1:<other>/"), "@127.0.0.2": "/"}
    assert send(way, street.source, "GET", "/v3/x", params=parameters).status_code == 200
    assert send(way, street.source, "GET", "/v3/x", settings={"params": parameters}).status_code == 200
    base = {"base_url": f"{street.home.base_url}/v3/programs/"}
    assert send(way, street.source, "GET", "//127.0.0.2/x", settings=base).json()["path"] == "/v3/programs/x"
    for elsewhere in ("http://127.0.0.1:<other>", "http://127.0.0.2:<home>/v3", "//127.0.0.1:<home>", ""):
        with pytest.raises(UntrustedOriginError, match="was not sent"):
            send(way, street.source, "GET", "/v3/x", settings={"base_url": street.url(elsewhere)})
    assert [arrival.misplaced for arrival in arrivals_since(street, before)] == [()] * 3
    assert street.visits() == visits


PROXIES: Final = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY")
TUNNEL_REFUSED: Final = saying(answer(b"", "403 Forbidden", Connection="close"))


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_sandbox_is_not_reached_through_a_proxy(
    sandbox: Sandbox, source: TokenSource, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain http does not leave the machine; only a program's own httpx has to be told, by `NO_PROXY`."""
    with RawServer(TUNNEL_REFUSED) as proxy:
        for name in PROXIES:
            monkeypatch.setenv(name, proxy.base_url)
        if way in OWN:
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert send(way, source, "GET", "/v3/x").status_code == 200
        assert proxy.connections == 0
    assert [arrival.bearer for arrival in sandbox.log] == ["refresh_token", "access_token"]


@pytest.mark.parametrize("setting", [*PROXIES, "proxy=", "mounts="])
@pytest.mark.parametrize("way", OWN, ids="-".join)
def test_a_proxy_of_the_programs_httpx_never_gets_the_token_of_a_sandbox(
    sandbox: Sandbox, source: TokenSource, way: Way, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself, httpx sends plain http by `HTTP_PROXY`, loopback included."""
    with RawServer(TUNNEL_REFUSED) as proxy:
        how: dict[str, Any] = {}
        if setting == "proxy=":
            how = {"proxy": proxy.base_url}
        elif setting == "mounts=":
            transport = httpx.HTTPTransport if way[1] == "thread" else httpx.AsyncHTTPTransport
            how = {"mounts": {"http://": transport(proxy=proxy.base_url, verify=CERTIFICATES)}}
        else:
            monkeypatch.setenv(setting, proxy.base_url)
        if setting == "HTTPS_PROXY":
            assert send_by(way, source, how).status_code == 200
        else:
            named = setting if setting in PROXIES else "a proxy of the program's own"
            for extensions in ({}, {"trace": traced(way, [])}):
                with pytest.raises(UntrustedOriginError, match=rf"by a proxy \({named}\), and was not sent") as refused:
                    send_by(way, source, how, extensions=extensions)
                shown = "".join(TracebackException.from_exception(refused.value, capture_locals=True).format())
                assert source.token(9999).reveal() not in shown
        assert set(proxy.requests) <= {b""}, "it was connected to, at most"
    assert source.token(9999) == source.token(9999)


@pytest.mark.parametrize("way", OWN, ids="-".join)
def test_a_socks_proxy_gets_no_token_of_a_sandbox_either(source: TokenSource, way: Way) -> None:
    """It would carry the request as it is."""
    step = "socks.connect_tcp.started"
    flow: Any = DaxkoAuth(source, 9999)
    request = httpx.Request("GET", f"{source.origin.base_url}/v3/x")
    flow._check(request, asynchronous=way[1] != "thread")
    with pytest.raises(UntrustedOriginError, match="by a proxy"):
        request.extensions["trace"](step, {"host": "127.0.0.1"})


def traced(way: Way, steps: list[str]) -> Callable[[str, Any], Any]:
    """Return a `trace` extension of the program's own."""

    def trace(step: str, info: Any) -> None:
        steps.append(step)

    async def atrace(step: str, info: Any) -> None:
        steps.append(step)

    return trace if way[1] == "thread" else atrace


def send_by(way: Way, source: TokenSource, how: Mapping[str, Any], **options: Any) -> httpx.Response:
    """Send with `DaxkoAuth` by an httpx client that is made in that way."""
    arguments: dict[str, Any] = {"auth": DaxkoAuth(source, 9999), "headers": ACCEPT, "verify": CERTIFICATES, **how}
    url = f"{source.origin.base_url}/v3/x"

    async def asend() -> httpx.Response:
        async with httpx.AsyncClient(**arguments) as http:
            return await http.get(url, **options)

    if way[1] != "thread":
        return anyio.run(asend, backend=way[1])
    with httpx.Client(**arguments) as http:
        return http.get(url, **options)


@pytest.mark.parametrize("way", OWN, ids="-".join)
def test_a_programs_own_trace_goes_on(source: TokenSource, way: Way) -> None:
    """It is told of every step, also when the same request is sent again."""
    steps: list[str] = []
    send(way, source, "GET", "/v3/x", extensions={"trace": traced(way, steps)}, also=lambda response: response.request)
    assert steps.count("http11.send_request_headers.started") == 2


@pytest.mark.parametrize("names", [("HTTPS_PROXY",), ("https_proxy",), ("ALL_PROXY",), PROXIES])
@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_proxy_on_the_way_to_daxko_sees_a_host_and_no_bearer(
    credentials: ApiCredentials, way: Way, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for a tunnel; what goes through that is encrypted, and nothing goes around it."""
    received: list[bytes] = []

    def open_tunnel(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        received.append(connection.recv(1 << 16))

    with (
        RawServer(open_tunnel) as proxy,
        TokenSource(credentials, "https://daxko.invalid", http=GrantingTransport()) as source,
    ):
        for name in names:
            monkeypatch.setenv(name, proxy.base_url)
        with pytest.raises(httpx.TransportError):
            send(way, source, "GET", "/v3/x")
        (request,) = proxy.requests
    assert request.startswith(b"CONNECT daxko.invalid:443 HTTP/1.1\r\n")
    assert b"authorization:" not in request.lower()
    (hello,) = received
    assert hello[:1] == b"\x16", "a TLS handshake"
    assert GRANTED.encode() not in request + hello


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("world", ["thread", "asyncio", "trio"])
def test_a_redirected_token_request_is_never_followed(street: Street, world: str, status: int) -> None:
    """By itself, httpx would send the form with the password on, with 307 and 308; the error names where to."""
    home = street.home
    for template, named in (
        ("/v3/partners/oauth2/token/", "a path of the same host"),
        ("http://127.0.0.1:<home>/v3/partners/oauth2/token/", "127.0.0.1"),
        ("http://127.0.0.1:<other>/v3/partners/oauth2/token", "127.0.0.1"),
        ("http://127.0.0.2:<home>/v3/partners/oauth2/token", "127.0.0.2"),
        ("//[::1]:<home>/v3/partners/oauth2/token", "::1"),
        ("https://127.0.0.1:<home>/v3/partners/oauth2/token", "127.0.0.1"),
        ("https://127.0.0.1:<home>@127.0.0.2:<home>/v3/partners/oauth2/token", "127.0.0.2"),
    ):
        visits, before = street.visits(), home.log
        home.fail_next(1, "redirect", status=status, location=street.url(template))
        with TokenSource(street.source.credentials, home.base_url) as source:
            ask = source.token if world == "thread" else partial(anyio.run, source.atoken, backend=world)
            with pytest.raises(TokenResponseInvalid) as refused:
                ask(9999)
        assert f"redirects ({status}) to {named}, which is not followed" in str(refused.value)
        assert [arrival.path for arrival in arrivals_since(street, before)] == ["/v3/partners/oauth2/token"]
        assert street.visits() == visits


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("world", ["thread", "asyncio", "trio"])
def test_a_redirected_member_login_is_never_followed(street: Street, world: str, status: int) -> None:
    """Its body is the member's password."""
    source, visits, before = street.source, street.visits(), street.home.log
    location = street.url("http://127.0.0.1:<other>/v3/members/oauth2/token")
    street.home.fail_next(1, "redirect", where="member", status=status, location=location)

    async def asign_in() -> None:
        async with AsyncDaxko(source.credentials, 9999, source=source) as daxko:
            await daxko.member_token("member_name", "member_password")

    def sign_in() -> None:
        with Daxko(source.credentials, 9999, source=source) as daxko:
            daxko.member_token("member_name", "member_password")

    with pytest.raises(TokenResponseInvalid):
        sign_in() if world == "thread" else anyio.run(asign_in, backend=world)
    assert [arrival.path for arrival in arrivals_since(street, before)] == ["/v3/members/oauth2/token"]
    assert street.visits() == visits


GRANTED: Final = "a.token.that.was.granted"


class GrantingTransport(httpx.BaseTransport):
    """Answers every token request with a token."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Grant."""
        return httpx.Response(200, json={"access_token": GRANTED, "expires_in": 86_400, "token_type": "bearer"})


def test_an_upgrade_to_https_takes_no_bearer_along(credentials: ApiCredentials) -> None:
    """By itself, httpx keeps the bearer of a redirect from port 80 to port 443 of the same host; a Daxko does not."""
    answers = [answer(b"", "301 Moved Permanently", Location="https://localhost/v3/x"), answer(b"", "401 Unauthorized")]
    written: list[bytes] = []

    class Stream(httpcore.MockStream):
        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            written.append(buffer)

    class Network(httpcore.MockBackend):
        def connect_tcp(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
            return Stream([answers.pop(0)])

    with (
        TokenSource(credentials, "http://localhost", http=GrantingTransport()) as source,
        Daxko(credentials, 9999, source=source) as daxko,
    ):
        # Ports below 1024 are not everybody's, so these are bytes without a socket.
        transport = httpx.HTTPTransport(verify=CERTIFICATES)
        transport._pool = httpcore.ConnectionPool(network_backend=Network([]))
        assert isinstance(daxko._owned_transport, OwnedTransport)
        daxko._owned_transport._made["only"] = transport
        response = daxko.http.get("/v3/x", follow_redirects=True)
    assert response.status_code == 401
    assert response.extensions["daxko_auth"].startswith("this request did not carry the access token")
    assert [GRANTED.encode() in part for part in written if part] == [True, False]

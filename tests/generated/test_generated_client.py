"""The generated clients: their token, their copies, their timeout, their threads and their repr."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from daxko_api import AuthenticatedClient, Client
from daxko_api.api.partners import request_access_token
from daxko_api.models import AccessTokenRequest

CANARY = "canary-4fd1c8"
URL = "https://api.daxko.test"
Either = Client | AuthenticatedClient

EITHER = pytest.mark.parametrize("make", [Client, AuthenticatedClient])
COPY = pytest.mark.parametrize(
    "copy",
    [
        lambda client: client.with_headers({"X-Copy": "yes"}),
        lambda client: client.with_cookies({"copy": "yes"}),
        lambda client: client.with_timeout(httpx.Timeout(1.0)),
    ],
    ids=["with_headers", "with_cookies", "with_timeout"],
)


def echo(request: httpx.Request) -> httpx.Response:
    """Answer with the headers of the request."""
    return httpx.Response(200, json=dict(request.headers))


ECHO = httpx.MockTransport(echo)


def sent(client: Either) -> dict[str, str]:
    """Return the headers that `client` sends, which must be the same for both of its sides."""

    async def by_asyncio() -> dict[str, str]:
        return dict((await client.get_async_httpx_client().get("/")).json())

    headers = dict(client.get_httpx_client().get("/").json())
    assert asyncio.run(by_asyncio()) == headers
    return headers


def authorization(client: Either) -> str | None:
    """Return the Authorization header that `client` sends."""
    return sent(client).get("authorization")


def test_token_is_read_when_a_request_is_sent() -> None:
    """A renewed token must reach the client that was opened with the old one."""
    client = AuthenticatedClient(URL, "first", httpx_args={"transport": ECHO})
    assert authorization(client) == "Bearer first"
    client.token = "second"
    assert authorization(client) == "Bearer second"
    client.prefix = ""
    client.auth_header_name = "X-Token"
    assert sent(client)["x-token"] == "second"
    assert "second" not in str(client.get_httpx_client().headers.raw)


def test_client_without_a_token_sends_no_bearer() -> None:
    """`Bearer None` would be a wrong credential, and wrong credentials lock accounts."""
    assert authorization(AuthenticatedClient(URL, httpx_args={"transport": ECHO})) is None


@pytest.mark.parametrize("token", [None, "unused"])
def test_auth_in_httpx_args_takes_the_place_of_the_token(token: str | None) -> None:
    """That is how an auth that renews its token is put to work."""
    arguments = {"transport": ECHO, "auth": httpx.BasicAuth("name", "word")}
    assert authorization(AuthenticatedClient(URL, token, httpx_args=arguments)) == "Basic bmFtZTp3b3Jk"


@EITHER
@COPY
def test_copy_leaves_the_original_alone(make: type[Either], copy: Callable[[Either], Either]) -> None:
    """The original edits the live client in place, so that one caller's header travels with another's request."""
    client = make(URL, headers={"X-Own": "1"}, cookies={"own": "1"}, httpx_args={"transport": ECHO})
    before = sent(client)
    timeouts = client.get_httpx_client().timeout, client.get_async_httpx_client().timeout
    other = copy(client)
    assert sent(other) != before or other.get_httpx_client().timeout == httpx.Timeout(1.0)
    assert sent(client) == before
    assert (client.get_httpx_client().timeout, client.get_async_httpx_client().timeout) == timeouts
    assert other.get_httpx_client() is not client.get_httpx_client()
    assert other.get_async_httpx_client() is not client.get_async_httpx_client()


@COPY
@pytest.mark.parametrize(
    ("token", "auth"), [("a.b.c", {}), (None, {"auth": httpx.BasicAuth("name", "word")})], ids=["token", "auth"]
)
def test_copy_still_authenticates(
    token: str | None, auth: dict[str, httpx.Auth], copy: Callable[[AuthenticatedClient], AuthenticatedClient]
) -> None:
    """The original's copies lose the auth without a word."""
    client = AuthenticatedClient(URL, token, httpx_args={"transport": ECHO, **auth})
    other = copy(client)
    assert authorization(other) == authorization(client) is not None
    assert other.get_httpx_client().base_url == client.get_httpx_client().base_url


@EITHER
@COPY
@pytest.mark.parametrize("side", ["sync", "async"])
def test_copy_of_a_client_with_an_installed_httpx_client_is_refused(
    make: type[Either], copy: Callable[[Either], Either], side: str
) -> None:
    """What was installed cannot be copied, and losing its auth silently is worse than an error."""
    client = make(URL)
    if side == "sync":
        client.set_httpx_client(httpx.Client(transport=ECHO))
    else:
        client.set_async_httpx_client(httpx.AsyncClient(transport=ECHO))
    with pytest.raises(RuntimeError, match="httpx_args"):
        copy(client)


@EITHER
def test_twenty_threads_first_call_makes_one_httpx_client(make: type[Either]) -> None:
    """Each client made too many is a connection pool that nobody closes."""
    client = make(URL, verify_ssl=ssl.create_default_context())
    start = threading.Barrier(20)

    def first_call() -> tuple[httpx.Client, httpx.AsyncClient]:
        start.wait()
        return client.get_httpx_client(), client.get_async_httpx_client()

    with ThreadPoolExecutor(20) as threads:
        calls = [threads.submit(first_call) for _ in range(20)]
        made = [call.result() for call in calls]
    assert len({id(one) for one, _ in made}) == 1
    assert len({id(one) for _, one in made}) == 1


def test_closed_client_says_that_it_is_closed() -> None:
    """Use after `with` is a mistake that must be named, not a hang."""
    with AuthenticatedClient(URL, "a.b.c", httpx_args={"transport": ECHO}) as client:
        assert client.get_httpx_client().get("/").is_success
    with pytest.raises(RuntimeError, match="closed"):
        client.get_httpx_client().get("/")


@EITHER
def test_timeout_is_finite_unless_the_caller_says_for_ever(make: type[Either]) -> None:
    """The original's None switches off the default of httpx, and a server that is silent hangs its caller."""
    client, patient = make(URL), make(URL, timeout=None)
    assert client.get_httpx_client().timeout == httpx.Timeout(30.0)
    assert client.get_async_httpx_client().timeout == httpx.Timeout(30.0)
    assert patient.get_httpx_client().timeout == httpx.Timeout(None)
    assert client.with_timeout(None).get_httpx_client().timeout == httpx.Timeout(None)


def test_silent_server_ends_in_a_timeout() -> None:
    """The setting must reach the request and the socket. Without any, this would wait for ever."""
    limits: list[dict[str, float]] = []
    hooks = {"request": [lambda request: limits.append(request.extensions["timeout"])]}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            AuthenticatedClient(url, "a.b.c", timeout=httpx.Timeout(0.1), httpx_args={"event_hooks": hooks}) as client,
            pytest.raises(httpx.TimeoutException),
        ):
            request_access_token.sync(client=client, body=AccessTokenRequest("user", "word", "client:9999"))
    # Not that of httpx, nor that of the client where nobody says anything.
    assert limits == [dict.fromkeys(("connect", "read", "write", "pool"), 0.1)]


@EITHER
def test_no_repr_of_a_client_shows_a_secret(make: type[Either]) -> None:
    """Clients are printed by debuggers and by tools that report crashes."""
    client = make(
        f"https://user:{CANARY}@api.daxko.test/",
        headers={"Authorization": CANARY},
        cookies={"session": CANARY},
        httpx_args={"auth": ("user", CANARY), "transport": ECHO},
    )
    if isinstance(client, AuthenticatedClient):
        client.token = CANARY
    assert "api.daxko.test" in repr(client)
    client.get_httpx_client()
    client.get_async_httpx_client()
    assert CANARY not in repr(client)


@EITHER
def test_equal_settings_make_equal_clients(make: type[Either]) -> None:
    """The lock is no setting, and must not make two clients differ."""
    assert make(URL) == make(URL)

"""What is learnt of a token whose call ended in the middle: a hook that raises keeps the answer from the auth."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import httpx2
import pytest
import requests
from adapters.drivers import DRIVERS, granted
from raw_server import RawServer, saying
from support import finish_renewals

from daxko_auth import AccessToken, ApiCredentials, DaxkoAuth, Httpx2Auth, RequestsAuth, TokenSource
from daxko_auth.adapters import calls
from daxko_auth.adapters.calls import Calls
from daxko_auth.sandbox import Failure, Sandbox

Cut = Callable[..., BaseException]


@pytest.fixture
def cut(world: str, sandbox: Sandbox, source: TokenSource) -> Cut:
    """Send with a hook that raises, and return what came of it."""

    def send(hook: Callable[[httpx.Response], None], path: str = "/v3/x", **settings: Any) -> BaseException:
        async def ahook(response: httpx.Response) -> None:
            hook(response)

        async def asend() -> None:
            async with httpx.AsyncClient(event_hooks={"response": [ahook]}, **arguments) as http:
                await http.get(path)

        arguments: dict[str, Any] = {"base_url": sandbox.base_url, "auth": DaxkoAuth(source, 9999), **settings}

        def in_thread() -> None:
            with httpx.Client(event_hooks={"response": [hook]}, **arguments) as http:
                http.get(path)

        with pytest.raises(Exception) as raised:  # noqa: PT011 - the test says which
            in_thread() if world == "thread" else anyio.run(asend, backend=world)
        finish_renewals(source)
        return raised.value

    return send


def test_a_status_is_known_through_exceptions_of_the_programs_own(
    sandbox: Sandbox, source: TokenSource, cut: Cut
) -> None:
    """Programs turn httpx's errors into theirs, and keep the first as the cause."""

    class OwnError(Exception):
        """The program's own."""

    def raising(response: httpx.Response) -> None:
        try:
            response.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise OwnError from error

    token = source.token(9999)
    sandbox.revoke()
    assert isinstance(cut(raising), OwnError)
    assert source.token(9999) is not token
    assert sandbox.token_requests() == 2


def test_a_status_of_another_call_says_nothing_of_this_one(sandbox: Sandbox, source: TokenSource, cut: Cut) -> None:
    """A hook that reports elsewhere may be refused there: what this call was answered is not known."""
    elsewhere = httpx.Response(401, request=httpx.Request("GET", "https://elsewhere.example/"))

    def raising(_: httpx.Response) -> None:
        elsewhere.raise_for_status()

    token = source.token(9999)
    assert isinstance(cut(raising), httpx.HTTPStatusError)
    assert source.token(9999) is token, "handed out at once, and renewed in the background"
    finish_renewals(source)
    assert source.token(9999) is not token


def test_a_hook_that_raises_at_the_replay_keeps_no_token_in_use_either(
    sandbox: Sandbox, source: TokenSource, cut: Cut
) -> None:
    """The second answer is learnt from like the first."""
    token = source.token(9999)
    sandbox.revoke()
    answers: list[int] = []

    def second(response: httpx.Response) -> None:
        answers.append(response.status_code)
        if len(answers) == 2:
            raise ZeroDivisionError

    assert isinstance(cut(second), ZeroDivisionError)
    assert answers == [401, 200]
    replacement = source.token(9999)
    assert replacement is not token
    finish_renewals(source)
    assert source.token(9999) is not replacement, "its status was not seen"


def test_a_hook_that_raises_at_a_redirects_end_drops_the_token(sandbox: Sandbox, source: TokenSource, cut: Cut) -> None:
    """The last request carried it, and was refused."""
    token = source.token(9999)
    sandbox.fail_next(1, "redirect", where="resource", location="/v3/moved")
    sandbox.always_401("/v3/moved")

    def raising(response: httpx.Response) -> None:
        if response.is_error:
            response.raise_for_status()

    assert isinstance(cut(raising, follow_redirects=True), httpx.HTTPStatusError)
    assert source.token(9999) is not token


def test_a_redirect_that_never_ends_says_nothing_of_the_token(sandbox: Sandbox, source: TokenSource, cut: Cut) -> None:
    """It was answered, and not with a 401."""
    token = source.token(9999)
    sandbox.fail_next(30, "redirect", where="resource", location="/v3/x")
    assert isinstance(cut(lambda _: None, follow_redirects=True), httpx.TooManyRedirects)
    assert source.token(9999) is token
    finish_renewals(source)
    assert source.token(9999) is token


@pytest.mark.parametrize("world", ["asyncio", "trio"], indirect=True)
def test_a_program_that_stops_waiting_causes_no_renewal(sandbox: Sandbox, source: TokenSource, world: str) -> None:
    """Time limits end many calls a day, before there is an answer."""
    token = source.token(9999)
    sandbox.fail_next(1, "hang", where="resource")

    async def main() -> None:
        async with httpx.AsyncClient(base_url=sandbox.base_url, auth=DaxkoAuth(source, 9999)) as http:
            with anyio.move_on_after(0.05) as scope:
                await http.get("/v3/x")
            assert scope.cancelled_caught

    anyio.run(main, backend=world)
    assert source.token(9999) is token
    finish_renewals(source)
    assert source.token(9999) is token


def test_a_flow_that_is_dropped_by_hand_says_nothing(source: TokenSource) -> None:
    """Tools that only want the header begin a flow and leave it."""
    token = source.token(9999)
    flow = DaxkoAuth(source, 9999).sync_auth_flow(httpx.Request("GET", f"{source.origin.base_url}/v3/x"))
    assert next(flow).headers["Authorization"] == f"Bearer {token.reveal()}"
    flow.close()
    assert source.token(9999) is token
    finish_renewals(source)
    assert source.token(9999) is token


def test_a_chain_of_exceptions_is_not_followed_for_ever(sandbox: Sandbox, source: TokenSource, cut: Cut) -> None:
    """An error may have been wrapped again and again, by a loop that retries."""

    def raising(response: httpx.Response) -> None:
        try:
            response.raise_for_status()
        except httpx.HTTPStatusError as status_error:
            error: Exception = status_error
        for number in range(100):
            outer = ValueError(number)
            outer.__cause__ = error
            error = outer
        raise error

    token = source.token(9999)
    sandbox.fail_next(1, Failure("answer", 401, body={}), where="resource")
    assert isinstance(cut(raising), ValueError)
    assert source.token(9999) is token
    finish_renewals(source)
    assert source.token(9999) is not token, "doubted, as its status was not found"


def test_the_sources_own_tokens_are_known_for_long_and_not_for_ever(
    source: TokenSource, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of years with thousands of customers must not keep a trace of each token."""
    monkeypatch.setattr(calls, "_ISSUED_KEPT", 2)
    auth = Calls(source, 9999, replay=True)
    tokens: list[AccessToken] = []
    for _ in range(5):
        tokens.append(source.token(9999))
        auth.bearer(tokens[-1])
        source.reject(tokens[-1])
    assert [f"Bearer {token.reveal()}" in auth._issued for token in tokens] == [False, False, True, True, True]
    assert tokens[-1].reveal() not in auth._issued, "no bearer"


def test_requests_sends_https_by_a_proxy_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tunnel sees a host and no bearer, so that only plain http is judged."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    granting = httpx.MockTransport(lambda _: httpx.Response(200, json={"access_token": "a.token", "expires_in": 60}))
    with TokenSource(ApiCredentials("user", "password", "refresh"), "https://daxko.example", http=granting) as source:
        request = requests.Request("GET", "https://daxko.example/v3/x", auth=RequestsAuth(source, 9999)).prepare()
    assert request.headers["Authorization"] == "Bearer a.token"


def unauthorized(response: Any) -> None:
    """Raise an error of the program's own for a 401."""
    if response.status_code == 401:
        raise ZeroDivisionError


def wrapping(response: Any) -> None:
    """Raise the library's error for requests, from its error for a status."""
    library = LIBRARIES[type(response).__module__]
    try:
        response.raise_for_status()
    except library.HTTPStatusError as error:
        raise library.RequestError("not signed in", request=response.request) from error


def wanting_json(response: Any) -> None:
    """Raise the library's error for a body that cannot be decoded."""
    library = LIBRARIES[type(response).__module__]
    if response.status_code == 401:
        raise library.DecodingError("no JSON", request=response.request)


def redirecting(response: Any) -> None:
    """Raise what the library raises after too many redirects."""
    library = LIBRARIES[type(response).__module__]
    if response.status_code == 401:
        raise library.TooManyRedirects("log in again", request=response.request)


def reporting(response: Any) -> None:
    """Report elsewhere, where nobody listens."""
    library = LIBRARIES[type(response).__module__]
    if response.status_code == 401:
        library.get("http://127.0.0.1:1/")


def leaving(response: Any) -> None:
    """End the program."""
    if response.status_code == 401:
        raise SystemExit(1)


def hiding(response: Any) -> None:
    """Take the token out before the request is logged."""
    del response.request.headers["Authorization"]


def redacting_and_raising(response: Any) -> None:
    """Redact, and raise for the status."""
    response.request.headers["Authorization"] = "[redacted]"
    response.raise_for_status()


def with_broken_properties(response: Any) -> None:
    """Raise an error whose attributes are not set."""

    class OwnError(Exception):
        """The program's own."""

        @property
        def response(self) -> object:
            raise RuntimeError

    if response.status_code == 401:
        raise OwnError


LIBRARIES: dict[str, Any] = {"httpx": httpx, "httpx2": httpx2}
HTTPX = [name for name in DRIVERS if name.startswith("httpx")]
HOOKS = [
    unauthorized,
    wrapping,
    wanting_json,
    redirecting,
    reporting,
    leaving,
    hiding,
    redacting_and_raising,
    with_broken_properties,
]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
@pytest.mark.parametrize("in_a_retry", [False, True], ids=["", "in a retry"])
@pytest.mark.parametrize("way", HTTPX)
def test_no_hook_keeps_a_refused_token_in_use(
    way: str, hook: Callable[[Any], None], in_a_retry: bool, sandbox: Sandbox, source: TokenSource
) -> None:
    """Whatever it raises, or does to the request: a token that was taken back must not be used until it expires."""
    token = source.token(9999)
    sandbox.revoke()

    def send() -> None:
        with suppress(Exception, SystemExit):
            DRIVERS[way](source, 9999, "GET", f"{sandbox.base_url}/v3/x", hook=hook)

    if in_a_retry:
        try:
            LIBRARIES[way.partition(",")[0]].get("http://127.0.0.1:1")
        except Exception:  # noqa: BLE001 - what a loop that retries does
            send()
    else:
        send()

    source.token(9999)
    finish_renewals(source)
    assert source.token(9999) is not token


def test_a_request_without_its_token_says_so_and_is_doubted_four_times(sandbox: Sandbox, source: TokenSource) -> None:
    """Its note must not say that the token was kept because it was not refused: nobody can know."""
    sandbox.reject_all_tokens()
    with httpx.Client(auth=DaxkoAuth(source, 9999), event_hooks={"response": [hiding]}) as http:
        for _ in range(8):
            note = http.get(f"{sandbox.base_url}/v3/x").extensions["daxko_auth"]
            finish_renewals(source)
    assert "does not show the access token any more" in note
    assert sandbox.token_requests() == 1 + 4


@pytest.mark.parametrize("way", LIBRARIES)
def test_a_hook_that_reads_a_401_which_is_cut_drops_the_token(way: str) -> None:
    """It raises what is raised where there is no answer; but there was one."""
    cut = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{"

    def reading(response: Any) -> None:
        for _ in response.iter_raw():
            pass

    with RawServer(saying(cut)) as server, granted(server.base_url) as source:
        token = source.token(9999)
        with pytest.raises((httpx.RemoteProtocolError, httpx2.RemoteProtocolError)):
            DRIVERS[way](source, 9999, "GET", f"{server.base_url}/v3/x", hook=reading)
        source.token(9999)
        finish_renewals(source)
        assert source.token(9999) is not token


@pytest.mark.parametrize("answered", [None, b"", b"HTTP/1.1 nonsense"], ids=["nobody listens", "hung up", "no HTTP"])
@pytest.mark.parametrize("way", HTTPX)
def test_without_an_answer_nothing_is_learnt(way: str, answered: bytes | None) -> None:
    """A server that is down must not cause a renewal for each scope that is called."""
    with RawServer(saying(answered or b"")) as server:
        base_url = "http://127.0.0.1:1" if answered is None else server.base_url
        with granted(base_url) as source:
            token = source.token(9999)
            with pytest.raises((httpx.RequestError, httpx2.RequestError)):
                DRIVERS[way](source, 9999, "GET", f"{base_url}/v3/x")
            source.token(9999)
            finish_renewals(source)
            assert source.token(9999) is token


@pytest.mark.parametrize(("library", "auth_type"), [(httpx, DaxkoAuth), (httpx2, Httpx2Auth)])
@pytest.mark.parametrize("knows_request", [True, False])
def test_a_transport_that_raises_for_a_status_is_understood(library: Any, auth_type: Any, knows_request: bool) -> None:
    """Its response was attached to no request yet, and asking for that raises an error that would replace its own."""

    def raising(request: Any) -> Any:
        if request.headers["Authorization"].endswith("token-2"):
            return library.Response(200)
        known = request if knows_request else library.Request("GET", "https://elsewhere.example/")
        raise library.HTTPStatusError("401", request=known, response=library.Response(401))

    transport = library.MockTransport(raising)
    with (
        granted("https://daxko.example") as source,
        library.Client(base_url=source.origin.base_url, auth=auth_type(source, 9999), transport=transport) as http,
    ):
        first = source.token(9999)
        with pytest.raises(library.HTTPStatusError):
            http.get("/v3/x")
        assert (source.token(9999) is first) is not knows_request
        finish_renewals(source)
        assert http.get("/v3/x").status_code == 200


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_program_that_stops_waiting_in_a_hook_does_not_keep_the_token(
    backend: str, sandbox: Sandbox, source: TokenSource
) -> None:
    """The answer was there, and nobody knows which."""

    async def main() -> None:
        with anyio.CancelScope() as scope:

            async def waiting(_: httpx.Response) -> None:
                scope.cancel()
                await anyio.lowlevel.checkpoint()

            async with httpx.AsyncClient(auth=DaxkoAuth(source, 9999), event_hooks={"response": [waiting]}) as http:
                await http.get(f"{sandbox.base_url}/v3/x")
        assert scope.cancelled_caught

    token = source.token(9999)
    sandbox.revoke()
    anyio.run(main, backend=backend)
    source.token(9999)
    finish_renewals(source)
    assert source.token(9999) is not token


def test_a_handler_of_the_programs_log_that_fails_costs_no_answer(
    sandbox: Sandbox, source: TokenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why a 401 is handed over is said in the log; a full disk must not take the 401 away."""

    def failing(_: logging.LogRecord) -> bool:
        raise OSError

    monkeypatch.setattr(logging.getLogger("daxko_auth"), "filters", [failing])
    sandbox.reject_all_tokens()
    for send in DRIVERS.values():
        assert send(source, 9999, "GET", f"{sandbox.base_url}/v3/x", replay=False).status == 401
        assert send(source, 9999, "GET", f"{sandbox.base_url}/v3/x").status == 401

"""What is learnt of a token whose call ended in the middle: a hook that raises keeps the answer from the auth."""

from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
import requests
from support import finish_renewals

from daxko_auth import AccessToken, ApiCredentials, DaxkoAuth, RequestsAuth, TokenSource
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

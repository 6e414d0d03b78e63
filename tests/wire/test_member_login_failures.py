"""A member login that could not be asked or was not answered: typed, once, and never repeated."""

import socket
import traceback
from typing import Self

import anyio
import httpx
import pytest
from asking import SENT_AT
from logging_in import log_in
from raw_server import RawServer, answer, everything_about, saying
from support import eventually

from daxko_auth.model.errors import TokenEndpointUnavailable, TokenRequestError, TokenResponseInvalid
from daxko_auth.model.origin import Origin
from daxko_auth.model.scope import ClientScope
from daxko_auth.model.secret import Secret
from daxko_auth.model.tokens import AccessToken
from daxko_auth.sandbox import Failure, Sandbox
from daxko_auth.wire.http import new_async_transport
from daxko_auth.wire.member_login import MemberLogin, Refusal
from daxko_auth.wire.token_response import utc
from daxko_auth.wire.transports import LARGEST_ANSWER

CANARY = "canary-of-a-member"
TOKEN = AccessToken(ClientScope(9999), Secret("canary.access.token"), utc(SENT_AT + 86_400), 86_400)
NOT_REPEATED = "The login was not repeated, because a doubled failed login can lock the member out"

UNAVAILABLE = [
    (Failure("status", 503), 503, None),
    (Failure("status", 429, retry_after=7), 429, 7.0),
    (Failure("status", 502, html=True), 502, None),
    (Failure("drop"), None, None),
    (Failure("cut"), None, None),
    (Failure("hang"), None, None),
]


@pytest.mark.parametrize(("failure", "status", "retry_after"), UNAVAILABLE, ids=str)
def test_no_answer_is_no_refusal(
    world: str, sandbox: Sandbox, failure: Failure, status: int | None, retry_after: float | None
) -> None:
    """The member can try again; the program must not do so on its own."""
    sandbox.fail_next(1, failure, where="member")
    # For the answer alone: to connect may take a busy machine as long as it likes.
    timeout = httpx.Timeout(None, read=0.1) if failure.kind == "hang" else None
    outcome = log_in(world, TOKEN, sandbox.base_url, password=CANARY, timeout=timeout)
    assert type(outcome) is TokenEndpointUnavailable
    assert (outcome.status_code, outcome.retry_after, outcome.retryable) == (status, retry_after, True)
    assert outcome.scope == "client:9999"
    assert NOT_REPEATED in str(outcome)
    assert "canary" not in everything_about(outcome)
    eventually(lambda: bool(sandbox.log))
    assert len(sandbox.log) == 1


def test_a_port_where_nobody_listens(world: str) -> None:
    """A network in trouble looks the same for both endpoints."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        outcome = log_in(world, TOKEN, f"http://127.0.0.1:{unheard.getsockname()[1]}", password=CANARY)
    assert type(outcome) is TokenEndpointUnavailable
    assert "could not be reached (ConnectError: " in str(outcome)
    assert "canary" not in everything_about(outcome)


INVALID = [
    Failure("html"),
    Failure("empty"),
    Failure("malformed"),
    Failure("redirect", 307),
    Failure("redirect", 302, location="https://xn--a/"),
    Failure("answer", body={"canary.access.token": 1}),
    Failure("answer", body={"access_token": "canary", "expires_in": None}),
    Failure("answer", body=b" " * 70_000),
    Failure("answer", 404, body="canary"),
]


@pytest.mark.parametrize("failure", INVALID, ids=str)
def test_an_answer_that_is_no_token_response_is_said_to_be_none(world: str, sandbox: Sandbox, failure: Failure) -> None:
    """Nothing is followed, nothing unbounded is read, and no value of the answer is repeated."""
    sandbox.fail_next(1, failure, where="member")
    outcome = log_in(world, TOKEN, sandbox.base_url, password=CANARY)
    assert type(outcome) is TokenResponseInvalid
    assert outcome.retryable is False
    assert NOT_REPEATED in str(outcome)
    assert "canary" not in everything_about(outcome)
    assert len(sandbox.log) == 1


class Failing(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport of the user's, with a mistake in it."""

    closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Fail."""
        raise ZeroDivisionError(CANARY)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Fail."""
        raise ZeroDivisionError(CANARY)

    def close(self) -> None:
        """Notice."""
        self.closed = True

    async def aclose(self) -> None:
        """Notice."""
        self.closed = True


def test_a_mistake_in_a_transport_is_named_and_the_transport_left_open(world: str) -> None:
    """It belongs to the program, which uses it for everything else."""
    transport = Failing()
    outcome = log_in(world, TOKEN, "http://127.0.0.1:9", password=CANARY, transport=transport)
    assert type(outcome) is TokenRequestError
    assert "could not be asked (ZeroDivisionError)" in str(outcome)
    assert outcome.retryable is False
    assert not transport.closed
    assert "canary" not in everything_about(outcome)


def test_a_password_of_any_characters_arrives_as_json(world: str) -> None:
    """Members choose their passwords."""
    password = 'p"ä\\s\u2028\U0001f511'
    with RawServer(saying(answer(b'{"access_token": "abc", "expires_in": 60}'))) as server:
        log_in(world, TOKEN, server.base_url, password=password)
        (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert httpx.Response(200, content=body).json() == {
        "username": "member_name",
        "password": password,
        "grant_type": "password",
        "scope": "member:auto_login",
    }
    assert b"Authorization: Bearer canary.access.token" in head.splitlines()
    assert b"Accept: application/json" in head.splitlines()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_login_is_cancelled(sandbox: Sandbox, backend: str) -> None:
    """A cancellation is the program's, and must not come back as an outcome."""
    sandbox.hold(where="member")
    login = MemberLogin(Origin.of(sandbox.base_url), httpx.Timeout(None))

    async def cancelled() -> bool:
        scope = anyio.CancelScope()

        async def cancel_when_asked() -> None:
            await anyio.to_thread.run_sync(lambda: sandbox.wait_for(lambda log: len(log) == 1))
            scope.cancel()

        async with new_async_transport(login.origin) as transport, anyio.create_task_group() as tasks:
            tasks.start_soon(cancel_when_asked)
            with scope:
                await login.arequest(TOKEN, "name", Secret(CANARY), sent_at=SENT_AT, transport=transport)
        return scope.cancelled_caught

    assert anyio.run(cancelled, backend=backend)
    assert len(sandbox.log) == 1


def test_an_interrupted_login_leaves_the_password_in_no_traceback() -> None:
    """Ctrl-C ends up in crash reports, which show the locals of each frame, of httpx's as well."""

    class Interrupted(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            request.read()
            raise KeyboardInterrupt

    login = MemberLogin(Origin.of("https://api.daxko.com"), httpx.Timeout(None))
    with pytest.raises(KeyboardInterrupt) as caught:
        login.request(TOKEN, "name", Secret(CANARY), sent_at=SENT_AT, transport=Interrupted())
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "member_login.py" in shown
    assert CANARY not in shown


class Endless(httpx.AsyncByteStream):
    """A body of a transport of the user's that goes on even when it was closed."""

    def __aiter__(self) -> Self:
        """Begin."""
        return self

    async def __anext__(self) -> bytes:
        """Go on."""
        return b" " * 1024


class EndlessTransport(httpx.AsyncBaseTransport):
    """A transport that answers with it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer without an end."""
        return httpx.Response(200, stream=Endless())


@pytest.mark.parametrize("world", ["asyncio", "trio"])
def test_a_body_without_an_end_is_given_up(world: str) -> None:
    """Neither the memory nor the loop may be its hostage."""
    outcome = log_in(world, TOKEN, "http://127.0.0.1:9", transport=EndlessTransport())
    assert type(outcome) is TokenResponseInvalid
    assert "AnswerTooLarge" in str(outcome)


@pytest.mark.parametrize("body", [b"{", b" " * (LARGEST_ANSWER + 1)], ids=["cut", "endless"])
def test_a_401_that_cannot_be_read_explains_nothing(world: str, body: bytes) -> None:
    """The access token may have been refused: with any other outcome it would be used until it expires."""
    head = b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n"
    with RawServer(saying(head + body)) as server:
        assert log_in(world, TOKEN, server.base_url) is Refusal.UNEXPLAINED
    with RawServer(saying(head.replace(b"401", b"400") + body)) as server:
        assert isinstance(log_in(world, TOKEN, server.base_url), TokenRequestError)


def test_each_login_has_a_status_of_its_own() -> None:
    """One without an answer after one that was refused was not refused."""
    login = MemberLogin(Origin.of("https://api.daxko.com"), httpx.Timeout(None))
    who = (TOKEN, "name", Secret(CANARY))
    refusing = httpx.MockTransport(lambda _: httpx.Response(401))
    assert login.request(*who, sent_at=SENT_AT, transport=refusing) is Refusal.UNEXPLAINED
    assert login.is_unauthorized

    def failing(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    outcome = login.request(*who, sent_at=SENT_AT, transport=httpx.MockTransport(failing))
    assert isinstance(outcome, TokenEndpointUnavailable)
    assert not login.is_unauthorized

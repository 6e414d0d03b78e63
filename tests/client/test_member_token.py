"""Signing a member in: what is sent again, what never is, and whose fault it was."""

import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import anyio
import httpx
import pytest
from support import PATIENCE, eventually

from daxko_api.api.members import request_member_token
from daxko_api.errors import UnexpectedBody
from daxko_api.models import MemberTokenRequest
from daxko_auth import (
    AsyncDaxko,
    Daxko,
    MemberLoginRefused,
    Secret,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenResponseInvalid,
    TokenSource,
)
from daxko_auth.model.vendor import MEMBER_TOKEN_ENDPOINT
from daxko_auth.sandbox import Sandbox

MEMBER = ("member_name", "member_password")


def logins(sandbox: Sandbox) -> int:
    """Count the member logins that arrived."""
    return sum(arrival.path == MEMBER_TOKEN_ENDPOINT.path for arrival in sandbox.log)


@pytest.mark.parametrize("style", ["invalid_grant", "invalid_grant_401", "unexplained"])
def test_the_typed_api_repeats_no_failed_login_either(sandbox: Sandbox, source: TokenSource, style: Any) -> None:
    """The same endpoint by another entry: a doubled failed login locks people out."""
    sandbox.set_member_refusal(style)
    wrong = MemberTokenRequest("member_name", "wrong")

    async def main() -> None:
        async with AsyncDaxko(source.credentials, 9999, source=source) as daxko:
            await request_member_token.asyncio(client=daxko.api, body=wrong)

    with suppress(UnexpectedBody):  # the unexplained 401 has no body
        anyio.run(main)
    assert logins(sandbox) == 1

    with Daxko(source.credentials, 9999, source=source) as daxko, suppress(UnexpectedBody):
        request_member_token.sync(client=daxko.api, body=wrong)
    assert logins(sandbox) == 2
    assert sandbox.token_requests() == (2 if style == "unexplained" else 1)


def test_a_member_signs_in(sandbox: Sandbox, sign_in: Any) -> None:
    """Guide, "Access API resource": the second token endpoint, with the access token as bearer."""
    token = sign_in(*MEMBER)

    assert token.expires_in == 86_400
    assert token.reveal().startswith("eyJ")
    assert token.reveal() not in repr(token)
    assert [(arrival.bearer, arrival.body) for arrival in sandbox.log] == [
        ("refresh_token", "multipart"),
        ("access_token", "json"),
    ]


def test_a_member_password_may_come_as_a_secret(sandbox: Sandbox, sign_in: Any) -> None:
    """A web form's password is best wrapped where it is read."""
    assert sign_in("member_name", Secret("member_password"))


def test_unknown_fields_of_a_member_token_are_kept(sandbox: Sandbox, sign_in: Any) -> None:
    """The guide shows no answer; what Daxko adds must not be lost."""
    answer = {"access_token": "t", "expires_in": "60", "token_type": "bearer", "member_id": 7}
    sandbox.fail_next(1, "answer", where="member", body=answer)

    assert sign_in(*MEMBER).other_fields == {"member_id": 7}


@pytest.mark.parametrize("style", ["invalid_grant", "invalid_grant_401"])
def test_a_wrong_member_password_is_the_members_affair(sandbox: Sandbox, sign_in: Any, style: Any) -> None:
    """It must neither be sent twice, which locks people out, nor cost an access token."""
    sandbox.set_member_refusal(style)

    for _ in range(3):
        with pytest.raises(MemberLoginRefused, match="not those of the API account") as raised:
            sign_in("member_name", "wrong")
    assert raised.value.error == "invalid_grant"
    assert logins(sandbox) == 3
    assert sandbox.token_requests() == 1


def test_an_expired_access_token_is_renewed_and_the_login_sent_again(sandbox: Sandbox, sign_in: Any) -> None:
    """The answer says that the access token was the problem, so the member was not judged yet."""
    sign_in(*MEMBER)
    sandbox.expire()

    assert sign_in(*MEMBER)
    assert logins(sandbox) == 3
    assert sandbox.token_requests() == 2


def test_an_unexplained_401_repeats_no_login_and_renews_for_the_next_call(sandbox: Sandbox, sign_in: Any) -> None:
    """It may have been the password: a doubled failed login locks people out. It may have been the token."""
    sandbox.set_member_refusal("unexplained")

    with pytest.raises(MemberLoginRefused, match="or the access token") as raised:
        sign_in("member_name", "wrong")
    assert raised.value.status_code == 401
    assert logins(sandbox) == 1

    assert sign_in(*MEMBER)
    assert sandbox.token_requests() == 2


def test_members_who_mistype_cost_no_storm_of_access_tokens(sandbox: Sandbox, sign_in: Any) -> None:
    """A hundred wrong passwords with unexplained 401s must not be a hundred token requests."""
    sandbox.set_member_refusal("unexplained")
    for _ in range(10):
        with pytest.raises(MemberLoginRefused):
            sign_in("member_name", "wrong")

    assert logins(sandbox) == 10
    assert sandbox.token_requests() == 1 + 4


def test_an_access_token_refused_even_when_fresh_is_not_blamed_on_the_member(sandbox: Sandbox, sign_in: Any) -> None:
    """A suspended account; and no storm of logins either."""
    sandbox.reject_all_tokens()

    for _ in range(5):
        with pytest.raises(TokenRefused, match=r"fresh token|new token did not help") as raised:
            sign_in(*MEMBER)
    assert raised.value.error == "invalid_token"
    assert sandbox.token_requests() == 2
    assert logins(sandbox) == 2 + 4


@pytest.mark.parametrize(
    ("how", "options", "error"),
    [
        ("drop", {}, TokenEndpointUnavailable),
        ("cut", {}, TokenEndpointUnavailable),
        ("status", {"status": 503}, TokenEndpointUnavailable),
        ("status", {"status": 429, "retry_after": 7}, TokenEndpointUnavailable),
        ("html", {}, TokenResponseInvalid),
        ("redirect", {}, TokenResponseInvalid),
        ("hang", {}, TokenEndpointUnavailable),
    ],
)
def test_a_member_login_is_never_repeated_on_a_fault(
    sandbox: Sandbox, sign_in: Any, how: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    """Nobody knows whether the first one counted."""
    sandbox.fail_next(1, how, where="member", **options)

    with pytest.raises(error, match="not repeated"):
        sign_in(*MEMBER, timeout=httpx.Timeout(None, read=0.1) if how == "hang" else PATIENCE)
    # What was sent and not waited for may arrive only now.
    eventually(lambda: logins(sandbox) > 0)
    assert logins(sandbox) == 1


def test_no_member_password_is_in_an_error_or_a_log(
    sandbox: Sandbox, sign_in: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors and logs are shown to people who are not the member."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(MemberLoginRefused) as raised:
        sign_in("member_name", "canary-password")

    assert "canary-password" not in caplog.text + str(raised.value) + repr(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@pytest.mark.parametrize("member", [(None, "canary"), ("name", b"canary"), ("name", None)])
def test_a_member_login_that_is_no_text_is_refused_without_showing_it(sign_in: Any, member: Any) -> None:
    """A password in bytes is a password."""
    with pytest.raises(TypeError, match="are strings") as raised:
        sign_in(*member)

    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    frames = [frame for frame in shown.stack if "/daxko_auth/" in frame.filename]
    assert frames
    assert "canary" not in repr([frame.locals for frame in frames])


@pytest.mark.parametrize("status", [299, 400, 403, 404, 418, 429, 499, 500, 520, 561])
def test_no_answer_to_a_login_is_nothing(sandbox: Sandbox, sign_in: Any, status: int) -> None:
    """Whatever number comes back: a typed error, and neither None nor the ValueError of an enum."""
    sandbox.fail_next(1, "answer", where="member", status=status, body="<html>busy</html>", content_type="text/html")

    with pytest.raises((MemberLoginRefused, TokenEndpointUnavailable, TokenResponseInvalid)) as raised:
        sign_in(*MEMBER)
    assert raised.value.status_code == status
    assert logins(sandbox) == 1


def test_an_interrupt_while_a_401_is_read_drops_the_access_token(source: TokenSource) -> None:
    """It may have been the reason; nobody gets to see the outcome of this login, and the next one needs a new token."""
    for status, is_kept in ((200, True), (401, False)):
        with Daxko(source.credentials, 9999, source=source) as daxko:
            daxko._transport = Interrupted(status)
            token = source.token(9999)
            with pytest.raises(KeyboardInterrupt):
                daxko.member_token(*MEMBER)
            assert (source.token(9999) is token) is is_kept


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancellation_while_a_401_is_read_drops_the_access_token(source: TokenSource, backend: str) -> None:
    """The same for tasks, which end like this at every time limit of a program's own."""

    async def main() -> None:
        async with AsyncDaxko(source.credentials, 9999, source=source) as daxko:
            daxko._transport = Stopping()
            with anyio.CancelScope() as Stopping.scope:
                await daxko.member_token(*MEMBER)
            assert Stopping.scope.cancelled_caught

    token = source.token(9999)
    anyio.run(main, backend=backend)
    assert source.token(9999) is not token


class Interrupted(httpx.BaseTransport, httpx.SyncByteStream):
    """A transport whose answers have this status, and whose reader is interrupted."""

    def __init__(self, status: int) -> None:
        self._status = status

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer with the head."""
        return httpx.Response(self._status, stream=self)

    def __iter__(self) -> Iterator[bytes]:
        """Interrupt."""
        raise KeyboardInterrupt


class Stopping(httpx.AsyncBaseTransport, httpx.AsyncByteStream):
    """A transport that refuses, and whose reader is cancelled."""

    scope: anyio.CancelScope

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer with the head."""
        return httpx.Response(401, stream=self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Cancel."""
        self.scope.cancel()
        await anyio.sleep_forever()
        yield b""

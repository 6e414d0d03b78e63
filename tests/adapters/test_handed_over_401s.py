"""A 401 that is handed over says why, and hides nothing that came before it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from support import Call, FakeClock

from daxko_auth import TokenSource
from daxko_auth.sandbox import Failure, Sandbox

FRESH_REFUSED = "fresh token refused: "


def test_a_fresh_token_that_is_refused_too_is_said_to_be(sandbox: Sandbox, source: TokenSource, call: Call) -> None:
    """Whoever sees only a 401 looks for an expired token; here the account is the one to ask about."""
    sandbox.reject_all_tokens()

    response = call(source, 9999, "GET", "/v3/anything")

    assert response.status_code == 401
    assert response.extensions["daxko_auth"].startswith(FRESH_REFUSED)
    assert [first.status_code for first in response.history] == [401]


def test_both_bodies_of_two_401s_can_be_read(sandbox: Sandbox, source: TokenSource, call: Call) -> None:
    """The reason may stand in the first only; elsewhere a lockout message was thrown away by the retry."""
    source.token(9999)
    for said in ("locked out", "refused again"):
        sandbox.fail_next(1, Failure("answer", 401, body={"error_description": said}), where="resource")

    response = call(source, 9999, "GET", "/v3/anything")

    assert response.json() == {"error_description": "refused again"}
    assert [first.json() for first in response.history] == [{"error_description": "locked out"}]


def test_a_401_during_a_hold_says_that_it_was_not_tried_again(
    sandbox: Sandbox, source: TokenSource, call: Call
) -> None:
    """It looks like the first 401 of a token that has expired, which would have been replayed."""
    sandbox.reject_all_tokens()
    call(source, 9999, "GET", "/v3/anything")

    response = call(source, 9999, "GET", "/v3/anything")

    assert response.extensions["daxko_auth"].startswith("not sent again: a new token did not help a moment ago; ")
    assert response.history == []


def test_a_401_that_is_not_replayed_says_why_and_what_the_next_call_gets(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, call: Call
) -> None:
    """The program can tell a call to repeat from one that will fail again."""
    source.token(9999)
    sandbox.reject_all_tokens()

    notes = [call(source, 9999, "GET", "/v3/anything", replay=False).extensions["daxko_auth"] for _ in range(5)]

    assert notes == [
        *4 * ["not sent again (replay=False); the next call has a new token"],
        "not sent again (replay=False); the token is kept, since it was renewed a moment ago",
    ]


def test_a_body_that_is_gone_is_the_reason_given(sandbox: Sandbox, source: TokenSource, world: str, call: Call) -> None:
    """An empty upload would be worse than a 401."""
    source.token(9999)
    sandbox.expire()

    def chunks() -> Iterator[bytes]:
        yield b"once"

    async def achunks() -> AsyncIterator[bytes]:
        yield b"once"

    response = call(source, 9999, "POST", "/v3/anything", content=chunks() if world == "thread" else achunks())

    assert response.status_code == 401
    assert response.extensions["daxko_auth"].startswith("not sent again (its body cannot be sent twice); ")


@pytest.mark.parametrize("status", [200, 403])
def test_no_other_answer_has_a_note(sandbox: Sandbox, source: TokenSource, call: Call, status: int) -> None:
    """A note means that something was left undone."""
    if status == 403:
        sandbox.forbid("/v3/anything")
    response = call(source, 9999, "GET", "/v3/anything")
    assert response.status_code == status
    assert "daxko_auth" not in response.extensions

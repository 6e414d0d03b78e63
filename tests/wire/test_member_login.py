"""A member signs in, or is refused; the same for threads, asyncio and trio."""

from datetime import UTC, datetime, timedelta

import pytest
from asking import SENT_AT, AskOnce
from logging_in import log_in
from raw_server import everything_about

from daxko_auth.model.errors import MemberLoginRefused
from daxko_auth.model.tokens import AccessToken, MemberToken
from daxko_auth.sandbox import Failure, Sandbox
from daxko_auth.wire.member_login import Refusal

CANARY = "canary-of-a-member"


@pytest.fixture
def token(sandbox: Sandbox, ask_once: AskOnce) -> AccessToken:
    """Return an access token, and forget that it was asked for."""
    outcome = ask_once()
    assert isinstance(outcome, AccessToken)
    sandbox.clear_log()
    return outcome


def test_a_member_signs_in_with_the_access_token_as_bearer(world: str, sandbox: Sandbox, token: AccessToken) -> None:
    """The sandbox judges the body by the guide; the life counts from the moment of sending."""
    outcome = log_in(world, token, sandbox.base_url)
    assert isinstance(outcome, MemberToken)
    assert outcome.expires_in == 86_400
    assert outcome.expires_at == datetime.fromtimestamp(SENT_AT, UTC) + timedelta(days=1)
    assert outcome.reveal() != token.reveal()
    (arrival,) = sandbox.log
    assert (arrival.path, arrival.status) == ("/v3/members/oauth2/token", 200)
    assert (arrival.bearer, arrival.body, arrival.scope) == ("access_token", "json", "client:9999")


def test_what_the_guide_does_not_show_is_kept(world: str, sandbox: Sandbox, token: AccessToken) -> None:
    """The guide shows no answer for members; whatever else Daxko sends is the user's, and in no repr."""
    body = {"access_token": CANARY, "expires_in": "60", "member_id": 7, "refresh_token": CANARY}
    sandbox.fail_next(1, "answer", where="member", body=body)
    outcome = log_in(world, token, sandbox.base_url)
    assert isinstance(outcome, MemberToken)
    assert outcome.other_fields == {"member_id": 7, "refresh_token": CANARY}
    assert outcome.reveal() == CANARY
    assert CANARY not in repr(outcome)


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize(
    "change", [{"password": CANARY}, {"username": "nobody"}, {"password": ""}, {"password": "grant"}]
)
def test_a_wrong_name_or_password_is_the_members(
    world: str, sandbox: Sandbox, token: AccessToken, change: dict[str, str], status: int
) -> None:
    """The program has nothing to renew and nothing to repeat: a doubled failed login locks people out."""
    sandbox.set_member_refusal("invalid_grant" if status == 400 else "invalid_grant_401")
    outcome = log_in(world, token, sandbox.base_url, **change)  # type: ignore[arg-type]
    assert type(outcome) is MemberLoginRefused
    assert (outcome.status_code, outcome.error, outcome.scope) == (status, "invalid_grant", "client:9999")
    assert (outcome.retryable, outcome.retry_after) == (False, None)
    assert f"{sandbox.base_url}/v3/members/oauth2/token refused ({status}, invalid_grant: " in str(outcome)
    assert "they are not those of the API account" in str(outcome)
    assert CANARY not in everything_about(outcome)
    assert len(sandbox.log) == 1


def test_an_unexplained_401_is_left_open(world: str, sandbox: Sandbox, token: AccessToken) -> None:
    """It may be the member or the token; whoever decides must know that nobody said."""
    sandbox.set_member_refusal("unexplained")
    assert log_in(world, token, sandbox.base_url, password=CANARY) is Refusal.UNEXPLAINED
    assert len(sandbox.log) == 1


def test_an_expired_access_token_is_told_from_a_wrong_password(
    world: str, sandbox: Sandbox, token: AccessToken
) -> None:
    """Only this login may be repeated, with another bearer: the member's password was never looked at."""
    sandbox.expire()
    assert log_in(world, token, sandbox.base_url) is Refusal.ACCESS_TOKEN
    assert len(sandbox.log) == 1


@pytest.mark.parametrize("password", ["token", "invalid", "_", ""])
def test_the_body_may_say_so_as_well_as_the_challenge(
    world: str, sandbox: Sandbox, token: AccessToken, password: str
) -> None:
    """Some servers send no WWW-Authenticate; and the member's password must not change how a code reads."""
    sandbox.fail_next(1, "answer", where="member", status=401, body={"error": "invalid_token"})
    assert log_in(world, token, sandbox.base_url, password=password) is Refusal.ACCESS_TOKEN


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure("answer", 200, body={"error": "invalid_grant"}), "invalid_grant"),
        (Failure("answer", 200, body={"error": "locked", "access_token": CANARY}), "locked"),
        (Failure("answer", 404, body={"error": "daxko_new_code"}), "daxko_new_code"),
        (Failure("answer", 403, body="<html>"), None),
        (Failure("answer", 400, body=""), None),
        (Failure("answer", 401, body={"error": "invalid_request"}), "invalid_request"),
    ],
    ids=str,
)
def test_every_other_refusal_is_passed_on(
    world: str, sandbox: Sandbox, token: AccessToken, failure: Failure, error: str | None
) -> None:
    """Also a success that is none, and codes nobody has heard of."""
    sandbox.fail_next(1, failure, where="member")
    outcome = log_in(world, token, sandbox.base_url)
    assert type(outcome) is MemberLoginRefused
    assert (outcome.status_code, outcome.error) == (failure.status, error)
    assert f"({failure.status}, {error or 'no reason given'})" in str(outcome)


def test_an_echo_of_password_or_bearer_is_masked(world: str, sandbox: Sandbox, token: AccessToken) -> None:
    """Servers say what they did not like."""
    said = f"{CANARY} is wrong for {token.reveal()}"
    sandbox.fail_next(1, "answer", where="member", status=400, body={"error": CANARY, "error_description": said})
    outcome = log_in(world, token, sandbox.base_url, password=CANARY)
    assert type(outcome) is MemberLoginRefused
    assert (outcome.error, outcome.error_description) == ("***", "*** is wrong for ***")
    everything = everything_about(outcome)
    assert CANARY not in everything
    assert token.reveal() not in everything

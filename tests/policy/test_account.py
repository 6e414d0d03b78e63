"""What one scope's outcome says about the account, and so about every other scope."""

import pytest
from support import NOON, FakeClock

from daxko_auth import (
    AccessToken,
    ClientScope,
    RenewalPolicy,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenRequestError,
    TokenResponseInvalid,
)
from daxko_auth.model.secret import Secret
from daxko_auth.policy.account import Account
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.wire.token_response import utc

SCOPE = ClientScope(1234)


@pytest.mark.parametrize(
    ("outcome", "accepted"),
    [
        (TokenRefused("no", error="invalid_scope"), True),
        (TokenRefused("no", error="invalid_client"), False),
        (TokenEndpointUnavailable("no"), False),
        (TokenEndpointUnavailable("no", error="invalid_client"), False),
        (TokenResponseInvalid("no"), False),
    ],
)
def test_only_an_answer_that_takes_the_password_for_right_shows_the_account_accepted(
    outcome: TokenRequestError, accepted: bool
) -> None:
    """Sixteen requests at once with a wrong password, or to a server that is down, are what locks accounts."""
    assert Account.is_accepted(outcome) is accepted


def test_a_token_shows_the_account_accepted(clock: FakeClock) -> None:
    """From then on, many scopes may ask at once."""
    token = AccessToken(SCOPE, Secret("a-token"), utc(NOON + 3_600), 3_600)
    held = HeldToken.of(token, RenewalPolicy(), wall=clock.wall(), monotonic=clock.monotonic())

    assert Account.is_accepted(held) is True


def test_a_failure_of_the_account_is_every_scopes_until_its_pause_is_over(clock: FakeClock) -> None:
    """The others are told without a request, each by its own name, and ask again when the pause ends."""
    account = Account(RenewalPolicy(refusal_memory=30), clock)
    assert account.failure_for(SCOPE) is None
    failure = TokenRefused("refused", scope="client:9999", error="invalid_client", status_code=401)
    account.note(failure)

    clock.pass_time(29.5)
    told = account.failure_for(SCOPE)
    assert isinstance(told, TokenRefused)
    assert (told.scope, told.error, told.status_code) == ("client:1234", "invalid_client", 401)
    assert str(told) == (
        "no access token for client:1234, not asked for because of what was answered a moment ago: refused"
    )
    assert (failure.scope, str(failure)) == ("client:9999", "refused"), "its own is left as it was"
    clock.pass_time(0.5)
    assert account.failure_for(SCOPE) is None


def test_what_is_one_scopes_own_is_no_matter_of_the_account(clock: FakeClock) -> None:
    """A customer who left, or a hiccup without a word of how long, keeps no other customer from asking."""
    account = Account(RenewalPolicy(), clock)
    account.note(TokenRefused("no", error="invalid_scope"))
    account.note(TokenEndpointUnavailable("no"))

    assert account.failure_for(SCOPE) is None


@pytest.mark.parametrize(
    ("failure", "passing"),
    [
        (TokenEndpointUnavailable("no", retry_after=29.0), True),
        (TokenEndpointUnavailable("no", retry_after=30.0), False),
        (TokenRefused("no", error="invalid_client", retry_after=7.0), False),
        (TokenRefused("no", error="invalid_scope", retry_after=7.0), False),
    ],
)
def test_only_a_pause_that_ends_within_the_deadline_is_waited_for(
    clock: FakeClock, failure: TokenRequestError, passing: bool
) -> None:
    """A caller rather waits seven seconds than fails; but not an hour, and not for a wrong password."""
    account = Account(RenewalPolicy(deadline=30), clock)
    assert not account.is_passing()
    account.note(failure)

    assert account.is_passing() is passing
    assert account.pause_left() == failure.retry_after


def test_the_pause_that_is_left_runs_out(clock: FakeClock) -> None:
    """Whoever comes later waits for the rest only."""
    account = Account(RenewalPolicy(first_pause=9), clock)
    assert account.pause_left() == 0
    account.note(TokenEndpointUnavailable("no", retry_after=7.0))

    clock.pass_time(5)
    assert account.pause_left() == 2
    clock.pass_time(3)
    assert account.pause_left() == 0
    assert account.failure_for(SCOPE) is not None
    clock.pass_time(1)
    assert account.failure_for(SCOPE) is None


def _too_many(retry_after: float = 1.0) -> TokenEndpointUnavailable:
    return TokenEndpointUnavailable("slow down", retry_after=retry_after, status_code=429)


def test_each_pause_that_was_too_short_is_followed_by_one_twice_as_long(clock: FakeClock) -> None:
    """Daxko tells each of a hundred processes to wait for one second; all of them are back after that one."""
    account = Account(RenewalPolicy(first_pause=1, deadline=30), clock)
    pauses = []
    for _ in range(8):
        account.note(_too_many())
        pauses.append(account.pause_left())
        assert account.failure_for(SCOPE) is not None
        clock.pass_time(pauses[-1])

    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30], "up to the deadline, which is as long as anybody waits"
    account.note(_too_many(retry_after=45.0))
    assert account.pause_left() == 45


def test_answers_to_what_was_under_way_together_are_one_pause(clock: FakeClock) -> None:
    """Sixteen renewals that are told at once to wait were too many by one second, not by a day."""
    account = Account(RenewalPolicy(first_pause=1), clock)
    account.note(_too_many())
    clock.pass_time(1)
    for _ in range(16):
        account.note(_too_many())
        clock.pass_time(0.0625)
    assert account.pause_left() == 2 - 0.0625

    clock.pass_time(account.pause_left())
    account.note(_too_many())
    assert account.pause_left() == 4


def test_a_token_ends_the_row_of_pauses_and_not_the_pause(clock: FakeClock) -> None:
    """It was asked for before; what Daxko said to the others holds, and the next pause is a first one again."""
    account = Account(RenewalPolicy(first_pause=1), clock)
    token = AccessToken(SCOPE, Secret("a-token"), utc(NOON + 3_600), 3_600)
    held = HeldToken.of(token, RenewalPolicy(), wall=clock.wall(), monotonic=clock.monotonic())
    account.note(held)
    assert account.failure_for(SCOPE) is None

    account.note(_too_many())
    clock.pass_time(1)
    account.note(_too_many())
    account.note(held)
    assert account.pause_left() == 2
    clock.pass_time(2)
    account.note(_too_many(retry_after=3.0))
    assert account.pause_left() == 3
    clock.pass_time(3)
    account.note(_too_many(retry_after=3.0))
    assert account.pause_left() == 3
    clock.pass_time(3)
    account.note(_too_many(retry_after=3.0))
    assert account.pause_left() == 4


def test_a_wrong_password_is_no_pause(clock: FakeClock) -> None:
    """The row begins with the first that Daxko asks for."""
    account = Account(RenewalPolicy(first_pause=1), clock)
    account.note(TokenRefused("no", error="invalid_client"))
    assert account.pause_left() == 0
    account.note(_too_many())

    assert account.pause_left() == 1

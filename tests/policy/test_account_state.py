"""What one scope's outcome says about the account, and so about every other scope."""

import pytest
from support import FakeClock

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
from daxko_auth.policy.account_state import AccountState
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.wire.token_response import utc

SCOPE = ClientScope(1234)


def refused(error: str | None = None, *, scope: str = "client:9999", status_code: int = 401) -> TokenRefused:
    """Make a refusal of a token request."""
    return TokenRefused("no", scope=scope, error=error, status_code=status_code)


def held(clock: FakeClock) -> HeldToken:
    """Make a token that was just asked for."""
    token = AccessToken(SCOPE, Secret("a-token"), utc(clock.wall() + 3_600), 3_600)
    return HeldToken(token, RenewalPolicy(), wall=clock.wall(), monotonic=clock.monotonic())


def test_only_a_token_shows_the_account_accepted(clock: FakeClock) -> None:
    """Sixteen requests at once with a wrong password, or to a server that is down, are what locks accounts."""
    account = AccountState(RenewalPolicy(), clock)
    for outcome in (
        refused("invalid_scope"),
        refused("invalid_client"),
        refused(),
        TokenEndpointUnavailable("no"),
        TokenResponseInvalid("no"),
    ):
        account.note(outcome)
        assert not account.is_accepted
    account.note(held(clock))
    assert account.is_accepted
    account.note(refused("invalid_client"))
    assert not account.is_accepted, "the password was changed: one at a time again"


@pytest.mark.parametrize(
    ("outcome", "the_accounts"),
    [
        (refused("invalid_client"), True),
        (refused("invalid_client", status_code=400), True),
        (refused(), True),
        (refused("a_new_code"), True),
        (TokenResponseInvalid("a page", scope="client:9999", status_code=403), True),
        (refused("invalid_scope"), False),
        (refused("unauthorized_client"), False),
        (TokenResponseInvalid("no", scope="client:9999", status_code=404), False),
        (TokenEndpointUnavailable("no", scope="client:9999", status_code=503), False),
    ],
)
def test_a_refusal_is_the_accounts_unless_it_says_that_it_is_the_scopes(
    clock: FakeClock, outcome: TokenRequestError, the_accounts: bool
) -> None:
    """A wrong password is sent once, however many customers there are and whatever the 401 looks like."""
    account = AccountState(RenewalPolicy(), clock)
    account.note(outcome)
    assert (account.failure_for(SCOPE) is not None) is the_accounts


def test_once_there_was_a_token_an_unclear_refusal_is_the_scopes_and_two_in_a_row_are_the_accounts(
    clock: FakeClock,
) -> None:
    """The password is right, then; but it may have been changed since."""
    account = AccountState(RenewalPolicy(), clock)
    account.note(held(clock))
    account.note(refused(scope="client:1"))
    account.note(refused(scope="client:1"))
    assert account.failure_for(SCOPE) is None, "the same customer, twice"
    account.note(held(clock))
    account.note(refused(scope="client:2"))
    assert account.failure_for(SCOPE) is None, "there was a token between"
    account.note(refused(scope="client:3"))
    assert account.failure_for(SCOPE) is not None


def test_after_a_refusal_is_forgotten_another_scope_is_asked_for_first(clock: FakeClock) -> None:
    """One customer who is not opened yet, and is always asked for first, must never stop the others."""
    account = AccountState(RenewalPolicy(refusal_memory=30), clock)
    first, second = ClientScope(9999), ClientScope(1234)
    account.note(refused(scope=first.wire))
    assert account.failure_for(second) is not None
    clock.pass_time(30)

    assert account.failure_for(first) is not None, "it gives way"
    assert account.failure_for(second) is None
    clock.pass_time(29.5)
    assert account.failure_for(first) is not None
    clock.pass_time(0.5)
    assert account.failure_for(first) is None, "once: the other may never come again"


def test_a_scope_that_is_alone_gives_way_to_nobody(clock: FakeClock) -> None:
    """A program of one customer asks again as soon as the refusal is forgotten."""
    account = AccountState(RenewalPolicy(refusal_memory=30), clock)
    account.note(refused(scope="client:9999"))
    assert account.failure_for(ClientScope(9999)) is not None
    clock.pass_time(30)
    assert account.failure_for(ClientScope(9999)) is None


def test_a_token_ends_what_is_remembered_of_a_refusal(clock: FakeClock) -> None:
    """It was asked for before; the password is right."""
    account = AccountState(RenewalPolicy(), clock)
    account.note(refused("invalid_client"))
    account.note(held(clock))
    assert account.failure_for(SCOPE) is None


def test_a_failure_of_the_account_is_every_scopes_until_its_pause_is_over(clock: FakeClock) -> None:
    """The others are told without a request, each by its own name, and ask again when the pause ends."""
    account = AccountState(RenewalPolicy(refusal_memory=30), clock)
    assert account.failure_for(SCOPE) is None
    failure = TokenRefused("refused", "Look", scope="client:9999", error="invalid_client", status_code=401)
    account.note(failure)

    clock.pass_time(29.5)
    told = account.failure_for(SCOPE)
    assert isinstance(told, TokenRefused)
    assert (told.scope, told.error, told.status_code) == ("client:1234", "invalid_client", 401)
    assert str(told) == (
        "no access token for client:1234, not asked for because of what was answered a moment ago: refused. Look"
    )
    assert (failure.scope, str(failure)) == ("client:9999", "refused. Look"), "its own is left as it was"
    clock.pass_time(0.5)
    assert account.failure_for(SCOPE) is None


def test_what_is_one_scopes_own_is_no_matter_of_the_account(clock: FakeClock) -> None:
    """A customer who left, or a hiccup without a word of how long, keeps no other customer from asking."""
    account = AccountState(RenewalPolicy(), clock)
    account.note(refused("invalid_scope"))
    account.note(TokenEndpointUnavailable("no"))

    assert account.failure_for(SCOPE) is None


@pytest.mark.parametrize(
    ("failure", "passing"),
    [
        (TokenEndpointUnavailable("no", retry_after=29.0), True),
        (TokenEndpointUnavailable("no", retry_after=30.0), False),
        (TokenRefused("no", error="invalid_client", retry_after=7.0), False),
    ],
)
def test_only_a_pause_that_ends_within_the_deadline_is_waited_for(
    clock: FakeClock, failure: TokenRequestError, passing: bool
) -> None:
    """A caller rather waits seven seconds than fails; but not an hour, and not for a wrong password."""
    account = AccountState(RenewalPolicy(deadline=30), clock)
    assert not account.is_passing(SCOPE)
    account.note(failure)

    assert account.is_passing(SCOPE) is passing
    assert account.pause_left() == failure.retry_after


def test_the_pause_that_is_left_runs_out(clock: FakeClock) -> None:
    """Whoever comes later waits for the rest only."""
    account = AccountState(RenewalPolicy(first_pause=9), clock)
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
    account = AccountState(RenewalPolicy(first_pause=1, deadline=30), clock)
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
    account = AccountState(RenewalPolicy(first_pause=1), clock)
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
    account = AccountState(RenewalPolicy(first_pause=1), clock)
    account.note(held(clock))
    assert account.failure_for(SCOPE) is None

    account.note(_too_many())
    clock.pass_time(1)
    account.note(_too_many())
    account.note(held(clock))
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
    account = AccountState(RenewalPolicy(first_pause=1), clock)
    account.note(refused("invalid_client"))
    assert account.pause_left() == 0
    account.note(_too_many())

    assert account.pause_left() == 1

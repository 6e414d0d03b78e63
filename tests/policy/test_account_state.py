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
from daxko_auth.policy.account_state import AccountState
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.wire.token_response import utc

SCOPE = ClientScope(1234)


OTHER = ClientScope(9999)
MEMORY = 30.0


def _refused(scope: ClientScope, error: str | None, status_code: int = 401) -> TokenRefused:
    return TokenRefused("refused", scope=scope.wire, error=error, status_code=status_code)


def _held(clock: FakeClock) -> HeldToken:
    token = AccessToken(SCOPE, Secret("a-token"), utc(NOON + 3_600), 3_600)
    return HeldToken(token, RenewalPolicy(), wall=clock.wall(), monotonic=clock.monotonic())


@pytest.fixture
def account(clock: FakeClock) -> AccountState:
    """Give an account that nothing is known of."""
    return AccountState(RenewalPolicy(refusal_memory=MEMORY), clock)


@pytest.mark.parametrize(
    "failure",
    [
        _refused(SCOPE, "invalid_scope", 400),
        _refused(SCOPE, "invalid_client"),
        _refused(SCOPE, None),
        TokenEndpointUnavailable("no", scope=SCOPE.wire, status_code=503),
        TokenEndpointUnavailable("no", scope=SCOPE.wire, retry_after=1.0, status_code=429),
        TokenResponseInvalid("no", scope=SCOPE.wire, status_code=200),
    ],
    ids=["invalid_scope", "invalid_client", "a bare 401", "503", "429", "no token in it"],
)
def test_an_account_is_accepted_by_a_token_and_by_nothing_else(
    account: AccountState, failure: TokenRequestError
) -> None:
    """Sixteen requests at once with a wrong password, or to a server that is down, are what locks accounts."""
    assert not account.is_accepted
    account.note(failure)
    assert not account.is_accepted


def test_an_account_is_accepted_until_it_is_refused(account: AccountState, clock: FakeClock) -> None:
    """Many scopes may ask at once; once the password is changed, one asks at a time again."""
    account.note(_held(clock))
    assert account.is_accepted
    account.note(_refused(SCOPE, "invalid_scope", 400))
    account.note(TokenEndpointUnavailable("no", scope=SCOPE.wire, retry_after=1.0, status_code=429))
    account.note(TokenEndpointUnavailable("no", scope=SCOPE.wire, status_code=503))
    assert account.is_accepted, "none of these is the account's refusal"

    account.note(_refused(SCOPE, "invalid_client"))
    assert not account.is_accepted
    account.note(_held(clock))
    assert account.is_accepted


@pytest.mark.parametrize("has_produced", [False, True], ids=["no token yet", "there was a token"])
@pytest.mark.parametrize(
    ("failure", "is_the_accounts"),
    [
        (_refused(SCOPE, "invalid_scope", 400), (False, False)),
        (_refused(SCOPE, "unauthorized_client", 400), (False, False)),
        (_refused(SCOPE, "unauthorized_client", 403), (False, False)),
        (_refused(SCOPE, "invalid_client", 400), (True, True)),
        (_refused(SCOPE, "invalid_client", 401), (True, True)),
        (_refused(SCOPE, "invalid_grant", 400), (True, False)),
        (_refused(SCOPE, "a word of the vendor's", 403), (True, False)),
        (_refused(SCOPE, None, 400), (True, False)),
        (_refused(SCOPE, None, 401), (True, False)),
        (_refused(SCOPE, None, 403), (True, False)),
        # An error code makes any answer a refusal.
        (_refused(SCOPE, "invalid_client", 200), (True, True)),
        (_refused(SCOPE, "a word of the vendor's", 422), (True, False)),
        (TokenResponseInvalid("no", scope=SCOPE.wire, status_code=404), (False, False)),
        (TokenEndpointUnavailable("no", scope=SCOPE.wire, error="invalid_client", status_code=503), (False, False)),
        (TokenResponseInvalid("no", scope=SCOPE.wire, status_code=200), (False, False)),
        (TokenEndpointUnavailable("no", scope=SCOPE.wire), (False, False)),
    ],
)
def test_whose_a_failure_is(
    account: AccountState,
    clock: FakeClock,
    has_produced: bool,
    failure: TokenRequestError,
    is_the_accounts: tuple[bool, bool],
) -> None:
    """A refusal that says nothing of whose it is may be a wrong password, until these secrets have had a token."""
    if has_produced:
        account.note(_held(clock))
    account.note(failure)

    assert (account.failure_for(OTHER) is not None) is is_the_accounts[has_produced]


def test_two_scopes_refused_in_a_row_are_the_accounts(account: AccountState, clock: FakeClock) -> None:
    """A gateway's bare 401 for one customer is that customer's; for the second as well, it is the password."""
    account.note(_held(clock))
    account.note(_refused(SCOPE, None))
    account.note(_refused(SCOPE, None))
    assert account.failure_for(OTHER) is None, "one scope, however often"
    account.note(_refused(OTHER, None))

    assert account.failure_for(ClientScope(1)) is not None
    assert not account.is_accepted


def test_two_scopes_refused_with_a_token_between_are_each_their_own(account: AccountState, clock: FakeClock) -> None:
    """The password was right in between."""
    account.note(_held(clock))
    account.note(_refused(SCOPE, None))
    account.note(_held(clock))
    account.note(_refused(OTHER, None))

    assert account.failure_for(ClientScope(1)) is None
    assert account.is_accepted


def test_a_token_ends_the_refusal(account: AccountState, clock: FakeClock) -> None:
    """It was asked for with the same secrets, so they are right."""
    account.note(_refused(SCOPE, "invalid_client"))
    account.note(_held(clock))

    assert account.failure_for(OTHER) is None
    assert account.failure_for(SCOPE) is None


def test_after_a_refusal_another_scope_asks_first(account: AccountState, clock: FakeClock) -> None:
    """A customer who is not opened yet, and asks each second, must not stop all the others for ever."""
    account.note(_refused(SCOPE, "invalid_client"))
    assert account.failure_for(OTHER) is not None
    clock.pass_time(MEMORY)

    assert account.failure_for(SCOPE) is not None, "it gives way"
    assert not account.is_passing(SCOPE)
    assert account.failure_for(OTHER) is None
    clock.pass_time(MEMORY - 0.25)
    assert account.failure_for(SCOPE) is not None
    clock.pass_time(0.25)
    assert account.failure_for(SCOPE) is None, "once, and no longer: the other may never come"
    assert account.failure_for(OTHER) is None


def test_customers_who_are_not_opened_yet_take_no_turns_at_stopping_the_others(
    account: AccountState, clock: FakeClock
) -> None:
    """Each of the two is another scope than the one refused last; who was never refused goes first."""
    third = ClientScope(1)
    for refused in (SCOPE, OTHER):
        account.note(_refused(refused, None))
        for each in (SCOPE, OTHER, third):
            assert account.failure_for(each) is not None
        clock.pass_time(MEMORY)

    assert account.failure_for(SCOPE) is not None, "it gives way"
    assert account.failure_for(OTHER) is not None, "it gives way"
    assert account.failure_for(third) is None
    account.note(_refused(third, None))
    account.failure_for(OTHER)
    clock.pass_time(MEMORY)
    assert account.failure_for(OTHER) is None, "of those who were refused, whoever waits longest"
    assert account.failure_for(third) is not None


def test_a_scope_that_is_alone_gives_way_to_nobody(account: AccountState, clock: FakeClock) -> None:
    """There is no other that could ask instead."""
    account.note(_refused(SCOPE, "invalid_client"))
    clock.pass_time(MEMORY - 0.25)
    assert account.failure_for(SCOPE) is not None
    clock.pass_time(0.25)

    assert account.failure_for(SCOPE) is None


def test_a_refusal_is_told_first_and_is_never_waited_out(account: AccountState) -> None:
    """A pause is over in a second; a wrong password is not."""
    account.note(TokenEndpointUnavailable("slow down", retry_after=1.0, status_code=429))
    assert account.is_passing(SCOPE)
    account.note(_refused(OTHER, "invalid_client"))

    assert not account.is_passing(SCOPE)
    assert isinstance(account.failure_for(SCOPE), TokenRefused)


def test_a_failure_of_the_account_is_every_scopes_until_its_pause_is_over(clock: FakeClock) -> None:
    """The others are told without a request, each by its own name, and ask again when the pause ends."""
    account = AccountState(RenewalPolicy(refusal_memory=30), clock)
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
    account = AccountState(RenewalPolicy(), clock)
    account.note(TokenRefused("no", error="invalid_scope", status_code=400))
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
    held = _held(clock)
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
    account = AccountState(RenewalPolicy(first_pause=1), clock)
    account.note(TokenRefused("no", error="invalid_client", status_code=401))
    assert account.pause_left() == 0
    account.note(_too_many())

    assert account.pause_left() == 1

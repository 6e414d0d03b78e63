"""One renewal: what it asks of the exchange and of the store, in which order, and what it does when they fail."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support import NOON, FakeClock

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    ClientScope,
    RenewalPolicy,
    TokenEndpointUnavailable,
    TokenKey,
    TokenRequestError,
)
from daxko_auth.model.secret import Secret
from daxko_auth.model.shared_result import SharedResult
from daxko_auth.policy.account_state import AccountState
from daxko_auth.policy.announcer import Announcer
from daxko_auth.policy.clock import Waitable
from daxko_auth.policy.flight import Flight, Slot, State
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal import Renewal
from daxko_auth.policy.shared_store import SharedStore
from daxko_auth.policy.store import TokenStore
from daxko_auth.wire.token_response import utc

SCOPE = ClientScope(9999)
KEY = TokenKey("https://api.daxko.com", ApiCredentials("daxko_api_user", "a-password", "a-refresh-token"), SCOPE)
HOUR = 3_600


def _token(number: int, *, end: float = NOON + HOUR, life: int = HOUR) -> AccessToken:
    return AccessToken(SCOPE, Secret(f"token-number-{number}"), utc(end), life)


class _Exchange:
    """Answers in order, each after so many seconds and the first frozen for some more; notes how long it was given."""

    def __init__(
        self, clock: FakeClock, *answers: AccessToken | TokenRequestError, takes: float = 0, frozen: float = 0
    ) -> None:
        self._clock = clock
        self._answers = list(answers)
        self._takes = takes
        self._frozen = frozen
        self.given: list[float] = []

    def request(self, scope: ClientScope, *, sent_at: float, timeout: float) -> AccessToken | TokenRequestError:
        """Answer."""
        assert (scope, sent_at) == (SCOPE, self._clock.wall())
        self.given.append(timeout)
        self._clock.pass_time(min(self._takes, timeout) + self._frozen)
        self._frozen = 0
        return self._answers.pop(0)


class _Store:
    """Notes what it is asked; fails where it is told to."""

    def __init__(self, kept: AccessToken | None = None, *, failing: str = "") -> None:
        self._kept = kept
        self._failing = failing
        self.asked: list[Any] = []

    def _note(self, what: str, *details: object) -> None:
        self.asked.append((what, *details))
        if what == self._failing:
            raise OSError

    def read(self, key: TokenKey) -> AccessToken | None:
        """Read."""
        self._note("read", key)
        return self._kept

    def write(self, key: TokenKey, token: AccessToken) -> None:
        """Write."""
        self._note("write", key, token)

    def drop(self, key: TokenKey, token: AccessToken) -> None:
        """Drop."""
        self._note("drop", key, token)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        self._note("enter")
        try:
            yield
        finally:
            self._note("leave")

    def turn(self, key: TokenKey, timeout: float) -> Any:
        """Give the turn."""
        self._note("turn", key, timeout)
        return self._turn()


def _renewal(exchange: _Exchange, clock: FakeClock, store: TokenStore | None = None, **numbers: Any) -> Renewal:
    policy = RenewalPolicy(jitter=0, **numbers)
    announce = Announcer(None, clock)
    return Renewal(
        exchange=exchange,
        store=SharedStore(store, policy, clock, announce) if store else None,
        account=AccountState(policy, clock),
        policy=policy,
        clock=clock,
        announce=announce,
        closing=SharedResult(),
    )


def _flight(clock: FakeClock, *, held: AccessToken | None = None, past: AccessToken | None = None) -> Flight:
    slot = Slot(KEY)
    if past is not None:
        slot.retire(past)
    if held is not None:
        now = {"wall": clock.wall(), "monotonic": clock.monotonic()}
        slot.state = State(HeldToken(held, RenewalPolicy(), **now))
    return Flight(slot, slot.state, _nothing, _nothing)


def _nothing(flight: Flight) -> None:
    raise AssertionError(flight)


def test_a_store_is_asked_within_a_turn_and_told_before_it_ends(clock: FakeClock) -> None:
    """Half of the time at most is waited for the turn; whoever comes next finds the token."""
    store, new = _Store(), _token(1)
    outcome = _renewal(_Exchange(clock, new), clock, store, deadline=30).run(_flight(clock))

    assert isinstance(outcome, HeldToken)
    assert outcome.token == new
    assert store.asked == [("turn", KEY, 15), ("enter",), ("read", KEY), ("write", KEY, new), ("leave",)]


@pytest.mark.parametrize("failing", ["turn", "enter", "read", "write", "leave"])
def test_a_store_that_fails_is_named_in_the_log_and_costs_nothing(
    clock: FakeClock, caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    """What failed is what an operator looks for; a turn that was never entered is never left."""
    store = _Store(failing=failing)
    outcome = _renewal(_Exchange(clock, _token(1)), clock, store).run(_flight(clock))

    assert isinstance(outcome, HeldToken)
    called = {"enter": "turn", "leave": "turn"}.get(failing, failing)
    said = f"token store: {called} failed (OSError); tokens are asked for directly"
    assert [record.getMessage() for record in caplog.records] == [said]
    assert (("leave",) in store.asked) is (failing not in {"turn", "enter"})


@pytest.mark.parametrize("failing", ["", "drop"])
def test_a_token_of_the_past_is_dropped_from_the_store(
    clock: FakeClock, caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    """A server refused it: so that nobody else takes it, either."""
    old, new = _token(1, end=NOON + 2 * HOUR), _token(2)
    store = _Store(old, failing=failing)
    outcome = _renewal(_Exchange(clock, new), clock, store).run(_flight(clock, past=old))

    assert isinstance(outcome, HeldToken)
    assert outcome.token == new
    assert ("drop", KEY, old) in store.asked
    said = "token store: drop failed (OSError); tokens are asked for directly"
    assert [record.getMessage() for record in caplog.records] == ([said] if failing else [])
    assert all(record.levelno == logging.WARNING for record in caplog.records)


@pytest.mark.parametrize(("later", "taken"), [(-1, False), (0, False), (1, True)])
def test_only_a_newer_token_in_the_store_spares_a_request(clock: FakeClock, later: float, taken: bool) -> None:
    """One that ends no later is no renewal of the one held."""
    held, kept, new = _token(1), _token(2, end=NOON + HOUR + later), _token(3)
    outcome = _renewal(_Exchange(clock, new), clock, _Store(kept)).run(_flight(clock, held=held))

    assert isinstance(outcome, HeldToken)
    assert outcome.token == (kept if taken else new)


def test_each_attempt_gets_what_is_left_and_no_more_than_its_own_limit(clock: FakeClock) -> None:
    """The last one must not outlive the deadline that callers were promised."""
    hiccups = [TokenEndpointUnavailable("no", retryable=True, retry_after=2.0) for _ in range(4)]
    exchange = _Exchange(clock, *hiccups, takes=10)
    renewal = _renewal(exchange, clock, deadline=30, attempt_timeout=10, attempts=4, first_retry_wait=0.001)

    assert renewal.run(_flight(clock)) is hiccups[2]
    assert exchange.given == pytest.approx([10, 10, 6], abs=0.004)


@pytest.mark.parametrize(("asked", "waits"), [(19.75, [19.75]), (20.0, [])])
def test_a_wait_that_ends_at_the_deadline_is_not_waited(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, asked: float, waits: list[float]
) -> None:
    """There would be no time left to ask in."""
    monkeypatch.setattr(RenewalPolicy, "retry_wait", lambda *_: 0.0)
    hiccup = TokenEndpointUnavailable("no", retryable=True, retry_after=asked)
    exchange = _Exchange(clock, hiccup, _token(1))
    outcome = _renewal(exchange, clock, deadline=20).run(_flight(clock))

    assert isinstance(outcome, HeldToken) is bool(waits)
    assert clock.waits == waits


def test_a_token_that_is_dead_on_arrival_is_a_failure_that_says_so(clock: FakeClock) -> None:
    """Handed out, it would be a 401 for everybody; and the next may arrive in time."""
    exchange = _Exchange(clock, _token(1, end=NOON + 10, life=10), takes=9)
    outcome = _renewal(exchange, clock).run(_flight(clock))

    assert isinstance(outcome, TokenEndpointUnavailable)
    assert (outcome.scope, outcome.retryable) == ("client:9999", True)
    assert str(outcome) == (
        "no access token for client:9999: the life of the one from https://api.daxko.com/v3/partners/oauth2/token was "
        "over before it arrived. Ask again later; if it lasts, check the network, and the life that Daxko grants"
    )


def test_what_nobody_foresaw_is_a_typed_error_with_its_scope(clock: FakeClock) -> None:
    """An empty list of answers is an IndexError of the stand-in, which callers must be told of."""
    outcome = _renewal(_Exchange(clock), clock).run(_flight(clock))

    assert isinstance(outcome, TokenRequestError)
    assert outcome.scope == "client:9999"
    assert "(IndexError). Please report this" in str(outcome)


@pytest.mark.parametrize(
    "first",
    [TokenEndpointUnavailable("timed out", retryable=True), _token(1)],
    ids=["a timeout", "a token that died meanwhile"],
)
def test_a_process_that_was_frozen_has_lost_no_attempt(
    clock: FakeClock, first: AccessToken | TokenRequestError
) -> None:
    """A lid was closed while the answer was under way: that time is nobody's fault, and one attempt is still left."""
    exchange = _Exchange(clock, first, _token(2, end=NOON + 3 * HOUR), frozen=HOUR)
    outcome = _renewal(exchange, clock, deadline=30, attempt_timeout=10, attempts=1).run(_flight(clock))

    assert isinstance(outcome, HeldToken)
    assert outcome.token == _token(2, end=NOON + 3 * HOUR)
    assert exchange.given == [10, 10]


class _Slow(FakeClock):
    """Oversleeps, by as much as it was told."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self._by = by

    def wait(self, event: Waitable, seconds: float) -> bool:
        """Wait for longer."""
        is_set = super().wait(event, seconds)
        self.pass_time(self._by)
        return is_set


def test_a_process_that_was_frozen_between_two_attempts_begins_anew() -> None:
    """The hour that the lid was closed is no part of the deadline."""
    clock = _Slow(by=HOUR)
    hiccup = TokenEndpointUnavailable("no", retryable=True)
    exchange = _Exchange(clock, hiccup, _token(1, end=NOON + 3 * HOUR))
    outcome = _renewal(exchange, clock, deadline=30, attempt_timeout=10).run(_flight(clock))

    assert isinstance(outcome, HeldToken)
    assert exchange.given == [10, 10]


def test_a_wait_that_ends_a_little_late_is_followed_by_no_attempt_without_time() -> None:
    """A busy machine; an attempt that may take less than nothing would be an error of our own."""
    clock, hiccup = _Slow(by=0.75), TokenEndpointUnavailable("no", retryable=True)
    exchange = _Exchange(clock, hiccup)
    renewal = _renewal(exchange, clock, deadline=0.5, attempt_timeout=10, first_retry_wait=0.25)

    assert renewal.run(_flight(clock)) is hiccup
    assert exchange.given == [0.5]


def test_what_the_end_of_the_program_has_cancelled_sends_nothing(clock: FakeClock) -> None:
    """It would be cut off, and the next program asks again."""
    exchange, flight = _Exchange(clock), _flight(clock)
    flight.is_cancelled = True
    assert isinstance(_renewal(exchange, clock).run(flight), TokenRequestError)
    assert (exchange.given, flight.is_sent) == ([], False)


def test_nothing_is_sent_for_a_source_that_is_closed(clock: FakeClock) -> None:
    """Whoever closes it waits for what is sent, and only for that."""
    exchange, flight = _Exchange(clock), _flight(clock)
    renewal = _renewal(exchange, clock)
    renewal.closing.set(True)
    outcome = renewal.run(flight)

    assert isinstance(outcome, TokenRequestError)
    assert "its TokenSource is closed" in str(outcome)
    assert (exchange.given, flight.is_sent) == ([], False)


def test_a_request_under_way_is_known(clock: FakeClock) -> None:
    """A source that is closed meanwhile gives its token a second to reach the store."""
    flight = _flight(clock)
    assert not flight.is_sent
    _renewal(_Exchange(clock, _token(1)), clock).run(flight)

    assert flight.is_sent


def test_a_pause_that_another_scope_was_told_of_meanwhile_is_waited_for(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rate limits are per account: whoever wakes up from a wait looks whether Daxko has asked for another."""
    monkeypatch.setattr(RenewalPolicy, "retry_wait", lambda *_: 1.0)
    exchange = _Exchange(clock, TokenEndpointUnavailable("no", retryable=True), _token(1))
    renewal = _renewal(exchange, clock)
    wait = clock.wait

    def told_meanwhile(event: Waitable, seconds: float) -> bool:
        is_set = wait(event, seconds)
        if len(clock.waits) == 1:
            renewal.account.note(
                TokenEndpointUnavailable("slow down", retryable=True, scope="client:1234", retry_after=7.0)
            )
        return is_set

    monkeypatch.setattr(clock, "wait", told_meanwhile)

    assert isinstance(renewal.run(_flight(clock)), HeldToken)
    assert clock.waits == [1, 8]
    assert len(exchange.given) == 2

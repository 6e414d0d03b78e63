"""A source at its edges: the very second in which a pause, a hold or a memory ends."""

from datetime import timedelta

import pytest
from attrs import evolve
from support import FakeClock, finish_renewals, held_by

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    ClientScope,
    RenewalPolicy,
    Secret,
    TokenEndpointUnavailable,
    TokenRequestError,
    TokenSource,
)
from daxko_auth.wire.token_response import utc

DAY = 86_400
CALL = {"method": "GET", "path": "/v3/members"}
HOLD = RenewalPolicy().hold


class _Vendor:
    """Gives a token to each who asks, or fails while it is down; counts."""

    def __init__(self) -> None:
        self.requests = 0
        self.is_down = False

    def request(self, scope: ClientScope, *, sent_at: float, timeout: float) -> AccessToken | TokenRequestError:
        """Answer."""
        self.requests += 1
        if self.is_down:
            return TokenEndpointUnavailable("down", scope=scope.wire)
        return AccessToken(scope, Secret(f"token-number-{self.requests}"), utc(sent_at) + timedelta(seconds=DAY), DAY)


@pytest.fixture
def vendor() -> _Vendor:
    """Give a vendor who is up."""
    return _Vendor()


@pytest.fixture
def source(clock: FakeClock, vendor: _Vendor) -> TokenSource:
    """Give a source that asks once for each renewal, at three quarters of the life."""
    policy = RenewalPolicy(jitter=0, renew_after=0.75, attempts=1)
    source = TokenSource(ApiCredentials("u", "p", "r"), "https://api.daxko.com", clock=clock, policy=policy)
    source._renewal = evolve(source._renewal, exchange=vendor)
    return source


def _requests(source: TokenSource, vendor: _Vendor) -> int:
    finish_renewals(source)
    return vendor.requests


def test_a_pause_ends_on_the_second(source: TokenSource, vendor: _Vendor, clock: FakeClock) -> None:
    """Until then everybody gets the same failure; from then on somebody asks."""
    vendor.is_down = True
    for passes, requests in ((0, 1), (0.75, 1), (0.25, 2)):
        clock.pass_time(passes)
        with pytest.raises(TokenEndpointUnavailable):
            source.token(9999)
        assert vendor.requests == requests


def test_a_pause_behind_a_usable_token_ends_on_the_second_and_doubles(
    source: TokenSource, vendor: _Vendor, clock: FakeClock
) -> None:
    """Callers get the token all the while; a success ends the row of failures."""
    token = source.token(9999)
    vendor.is_down = True
    clock.pass_time(DAY * 0.75)
    for requests, pause in ((2, 1), (3, 2), (4, 4)):
        assert source.token(9999) == token
        assert _requests(source, vendor) == requests
        clock.pass_time(pause - 0.25)
        assert source.token(9999) == token
        assert _requests(source, vendor) == requests
        clock.pass_time(0.25)
    vendor.is_down = False
    source.token(9999)
    finish_renewals(source)
    assert source.token(9999) != token


def test_a_hold_ends_on_the_second(source: TokenSource, vendor: _Vendor, clock: FakeClock) -> None:
    """During a hold a 401 is handed over; the second at which it ends, somebody asks again."""
    token = source.token(9999)
    assert source.replacement_refused(token, **CALL)
    clock.pass_time(HOLD - 0.25)
    assert source.replacement_for(token, **CALL) is None
    assert source.token(9999) == token
    clock.pass_time(0.25)

    assert source.replacement_for(token, **CALL) not in {None, token}
    assert vendor.requests == 2


def test_each_hold_is_announced_once(source: TokenSource, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """A thousand 401s are one line in the log, and the next hold is another."""
    token = source.token(9999)
    for passes, lines in ((0, 1), (HOLD - 0.25, 1)):
        clock.pass_time(passes)
        source.replacement_refused(token, **CALL)
        assert len(caplog.records) == lines
    source.reject(token)
    token = source.token(9999)
    clock.pass_time(HOLD)
    source.replacement_refused(token, **CALL)

    assert len(caplog.records) == 2


def test_a_token_as_old_as_the_hold_is_fresh_and_an_older_one_is_not(source: TokenSource, clock: FakeClock) -> None:
    """Only a renewal that could have helped and did not shows that none will."""
    token = source.token(9999)
    clock.pass_time(HOLD)
    assert source.replacement_refused(token, **CALL)
    assert source.token(9999) == token

    clock.pass_time(0.25)
    assert not source.replacement_refused(token, **CALL)
    assert source.token(9999) != token, "it was refused, so nobody gets it again"


def test_a_401_that_is_not_replayed_where_a_renewal_did_not_help_costs_no_token(
    source: TokenSource, clock: FakeClock
) -> None:
    """The endpoint says 401 for "not allowed"."""
    first = source.token(9999)
    assert source.replacement_refused(first, **CALL)

    clock.pass_time(HOLD - 0.25)
    assert not source.refused_without_replay(first, **CALL)
    assert source.token(9999) == first
    clock.pass_time(0.25)
    assert source.refused_without_replay(first, **CALL)
    assert source.refused_without_replay(first, **CALL), "the next caller gets another in any case"
    assert source.token(9999) != first


def test_401s_that_are_not_replayed_drop_four_tokens_a_hold(source: TokenSource, clock: FakeClock) -> None:
    """Nobody learns whether a new token helps, so the fifth is kept for as long as a hold."""
    for _ in range(4):
        assert source.refused_without_replay(source.token(9999), **CALL)
    kept = source.token(9999)

    clock.pass_time(HOLD - 0.25)
    assert not source.refused_without_replay(kept, **CALL)
    assert source.token(9999) == kept
    clock.pass_time(0.25)
    assert source.refused_without_replay(kept, **CALL)
    assert source.token(9999) != kept


def test_exactly_one_token_is_dropped(source: TokenSource, clock: FakeClock) -> None:
    """A late 401 for an old one must not cost its successor."""
    first = source.token(9999)
    source.reject(first)
    second = source.token(9999)
    source.reject(first)

    assert source.token(9999) == second


@pytest.mark.parametrize(
    ("what", "seconds"),
    [
        ("a token", DAY - 60),
        ("a failure", 1.0),
        ("a replay in vain", HOLD),
        ("a call without a replay", HOLD),
    ],
)
def test_a_slot_is_idle_once_nothing_would_be_lost_with_it(
    source: TokenSource, vendor: _Vendor, clock: FakeClock, what: str, seconds: float
) -> None:
    """Whoever is forgotten too early asks once more, or forgets a refusal; whoever is not, costs memory."""
    slot = source._slot_of(9999)
    assert source._is_idle(slot)
    if what == "a failure":
        vendor.is_down = True
        with pytest.raises(TokenEndpointUnavailable):
            source.token(9999)
    else:
        token = source.token(9999)
        if what == "a replay in vain":
            source.replacement_refused(token, **CALL)
            source.reject(token)
        elif what == "a call without a replay":
            source.refused_without_replay(token, **CALL)
    finish_renewals(source)
    held = held_by(source)
    assert (held is not None) is (what != "a failure")

    clock.pass_time(seconds - 0.25)
    assert not source._is_idle(slot)
    clock.pass_time(0.25)
    assert source._is_idle(slot)


def test_a_slot_with_a_renewal_under_way_is_not_idle(source: TokenSource) -> None:
    """Somebody waits for it."""
    slot = source._slot_of(9999)
    source._find(slot)

    assert not source._is_idle(slot)

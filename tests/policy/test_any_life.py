"""Any token, any policy and any clock: what is handed out is alive, and what is waited is finite."""

import math
from datetime import timedelta

from attrs import fields_dict, frozen
from hypothesis import assume, given
from hypothesis import strategies as st

from daxko_auth import (
    AccessToken,
    ClientScope,
    RenewalPolicy,
    Secret,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenRequestError,
)
from daxko_auth.model.tokens import early_expiry_of
from daxko_auth.policy.clock import Waitable
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.wire.token_response import LONGEST_LIFE, utc

# What a float of Unix time does not tell apart.
A_MOMENT = 1e-5

A_MONTH = 31 * 86_400
POSITIVE = st.floats(0, A_MONTH, exclude_min=True) | st.floats(min_value=1e-3, max_value=1e4)
SHARES = st.floats(0, 1)
LIVES = st.integers(1, LONGEST_LIFE) | st.integers(1, 100)
# Some day between 1970 and 2100, some time after the machine was started.
WALLS = st.floats(0, 4e9)
MONOTONICS = st.floats(0, 1e8)
STEPS = st.floats(0, 2 * LONGEST_LIFE) | st.floats(0, 100)


@frozen
class Reading:
    """Two clocks at one moment."""

    wall_reads: float
    monotonic_reads: float

    def wall(self) -> float:
        """Return Unix time."""
        return self.wall_reads

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return self.monotonic_reads

    def wait(self, event: Waitable, seconds: float) -> bool:
        """Not here."""
        raise NotImplementedError


@st.composite
def policies(draw: st.DrawFn) -> RenewalPolicy:
    """Draw any policy that can be made."""
    renew_after, jitter = draw(SHARES), draw(SHARES)
    assume(jitter < renew_after)
    return RenewalPolicy(renew_after=renew_after, jitter=jitter, early_expiry=draw(POSITIVE))


@st.composite
def held_tokens(draw: st.DrawFn) -> tuple[HeldToken, Reading]:
    """Draw a token as it is held, with the two readings at which it was: just asked for, or found in a store."""
    life, start = draw(LIVES), Reading(draw(WALLS), draw(MONOTONICS))
    # Found, it may have ended long ago, or end later than it can if our clock is behind.
    end = start.wall() + draw(st.just(float(life)) | st.floats(-2.0 * LONGEST_LIFE, 2.0 * LONGEST_LIFE))
    assume(end > 0)
    token = AccessToken(ClientScope(9999), Secret("a token"), utc(0) + timedelta(seconds=end), life)
    return HeldToken(token, draw(policies()), wall=start.wall(), monotonic=start.monotonic()), start


@st.composite
def later(draw: st.DrawFn, held: HeldToken, start: Reading) -> Reading:
    """Draw what the clocks read later on: time passed, the machine slept, somebody set the wall clock."""
    turns = (held.stale_at_monotonic, held.dead_at_monotonic, start.monotonic() + held.token.expires_in)
    near = st.sampled_from(turns).map(lambda instant: max(0.0, instant - start.monotonic() - 1e-3))
    passed, slept = draw(near | STEPS), draw(st.just(0.0) | STEPS)
    set_by = draw(st.just(0.0) | st.floats(-4e9, 4e9))
    return Reading(start.wall() + passed + slept + set_by, start.monotonic() + passed)


@given(held_tokens(), st.data())
def test_fresh_implies_usable_and_usable_implies_alive_on_both_clocks(
    drawn: tuple[HeldToken, Reading], data: st.DataObject
) -> None:
    """A fresh token is handed out without another look, so it must never be one that is given up."""
    held, start = drawn
    now = data.draw(later(*drawn))

    if held.is_fresh(now):
        assert held.is_usable(now)
    if held.is_usable(now):
        assert now.wall() < held.token.expires_at.timestamp() + A_MOMENT
        assert now.monotonic() - start.monotonic() < held.token.expires_in + A_MOMENT


@given(held_tokens())
def test_a_token_is_stale_before_it_is_dead(drawn: tuple[HeldToken, Reading]) -> None:
    """Otherwise nobody would renew it behind the callers, and all would wait."""
    held, _ = drawn

    assert held.stale_at_wall <= held.dead_at_wall
    assert held.stale_at_monotonic <= held.dead_at_monotonic


@given(held_tokens(), STEPS, st.floats(0, 1e8))
def test_a_clock_that_is_set_back_or_stands_still_lengthens_no_life(
    drawn: tuple[HeldToken, Reading], passed: float, back: float
) -> None:
    """Each instant comes with the clock that reaches it first."""
    held, start = drawn
    set_back = Reading(start.wall() + passed - back, start.monotonic() + passed)
    asleep = Reading(start.wall() + passed, start.monotonic())

    for now in (set_back, asleep):
        assert not held.is_usable(now) or passed < held.token.expires_in + A_MOMENT


@given(LIVES, policies())
def test_a_token_just_asked_for_is_usable(life: int, policy: RenewalPolicy) -> None:
    """However short its life and however long the margins; a useless fresh token would be asked for again at once."""
    start = Reading(1.8e9, 1_000.0)
    token = AccessToken(ClientScope(9999), Secret("a token"), utc(start.wall()) + timedelta(seconds=life), life)

    held = HeldToken(token, policy, wall=start.wall(), monotonic=start.monotonic())

    assert held.is_usable(start)
    assert held.token.usable_at(utc(start.wall()), policy.early_expiry)


@given(LIVES | st.floats(0, 1e9), POSITIVE)
def test_the_margin_is_a_tenth_of_the_life_at_most(life: float, early_expiry: float) -> None:
    """And never below zero."""
    assert 0 <= early_expiry_of(life, early_expiry) <= life / 10 + A_MOMENT


@given(
    st.sampled_from(sorted(fields_dict(RenewalPolicy))),
    st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0, -1]) | st.floats() | st.integers(),
)
def test_any_number_makes_a_policy_or_is_refused_by_name(name: str, value: float) -> None:
    """A wrong number is found where it is written, not a day later in a renewal."""
    try:
        policy = RenewalPolicy(**{name: value})  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        refusal = error
    else:
        assert getattr(policy, name) is value
        assert not math.isnan(value)
        return
    assert name in str(refusal)


AFTER = st.none() | st.floats(0, 1e9)
ERRORS = st.builds(
    lambda kind, retry_after: kind("no token", retry_after=retry_after),
    st.sampled_from([TokenRequestError, TokenRefused, TokenEndpointUnavailable]),
    AFTER,
)


@given(POSITIVE, st.integers(0, 10**6))
def test_every_wait_between_attempts_is_a_number(first_retry_wait: float, attempt: int) -> None:
    """However many attempts there were."""
    wait = RenewalPolicy(first_retry_wait=first_retry_wait).retry_wait(attempt)

    assert wait >= 0
    if attempt == 1:
        assert wait <= first_retry_wait


@given(ERRORS, POSITIVE, POSITIVE, POSITIVE, st.integers(1, 10**6))
def test_every_pause_is_above_zero_and_within_the_policys_numbers(
    error: TokenRequestError, first_pause: float, longest_pause: float, deadline: float, failures: int
) -> None:
    """No pause is a storm; one without end is a failure that never heals."""
    policy = RenewalPolicy(first_pause=first_pause, longest_pause=longest_pause, deadline=deadline)
    longest = max(first_pause, longest_pause, deadline, policy.refusal_memory)

    assert 0 < policy.pause(error) <= policy.pause_while_usable(error, failures) <= longest
    assert policy.pause_while_usable(error, failures) <= policy.pause_while_usable(error, failures + 1)


@given(LIVES, policies())
def test_a_renewal_is_due_within_the_life(life: int, policy: RenewalPolicy) -> None:
    """Drawn anew for each token, and never before its beginning or after its end."""
    age = policy.renewal_age(life)

    assert life * (policy.renew_after - policy.jitter) - A_MOMENT <= age <= life * policy.renew_after
    assert age >= 0

"""The two instants of a held token, on both clocks."""

from datetime import timedelta

import pytest
from support import NOON, FakeClock

from daxko_auth import AccessToken, ClientScope, RenewalPolicy
from daxko_auth.model.secret import Secret
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.wire.token_response import utc

HOUR = 3_600


@pytest.fixture
def token() -> AccessToken:
    """Give a token that lives an hour from noon."""
    return AccessToken(ClientScope(9999), Secret("a-token"), utc(NOON + HOUR), HOUR)


@pytest.mark.parametrize("clocks", ["both run", "monotonic time stands still", "wall time was set back"])
def test_an_instant_has_come_when_the_first_clock_reaches_it(clock: FakeClock, token: AccessToken, clocks: str) -> None:
    """A laptop sleeps and a wall clock is set: a token is as old as the clock says that says more."""
    policy = RenewalPolicy(renew_after=0.5, jitter=0, early_expiry=40)
    held = HeldToken(token, policy, wall=clock.wall(), monotonic=clock.monotonic())
    if clocks == "wall time was set back":
        clock.set_wall(-HOUR / 8)
    run = clock.set_wall if clocks == "monotonic time stands still" else clock.pass_time

    run(HOUR / 2 - 0.5)
    assert held.is_fresh(clock)
    run(0.5)
    assert not held.is_fresh(clock)
    run(HOUR / 2 - 40.5)
    assert held.is_usable(clock)
    run(0.5)
    assert not held.is_usable(clock)


def test_a_token_found_late_keeps_its_own_instants(clock: FakeClock, token: AccessToken) -> None:
    """One from a store, half an hour old, is stale and dead when it would have been where it was asked for."""
    clock.pass_time(HOUR / 2)
    policy = RenewalPolicy(renew_after=0.75, jitter=0)
    held = HeldToken(token, policy, wall=clock.wall(), monotonic=clock.monotonic())

    assert utc(held.stale_at_wall) == token.expires_at - timedelta(seconds=HOUR / 4)
    assert utc(held.dead_at_wall) == token.expires_at - timedelta(seconds=60)
    assert held.stale_at_wall - clock.wall() == held.stale_at_monotonic - clock.monotonic()
    assert held.dead_at_wall - clock.wall() == held.dead_at_monotonic - clock.monotonic()


@pytest.mark.parametrize("how", ["doubted", "rejected"])
def test_a_token_changes_only_for_the_worse(clock: FakeClock, token: AccessToken, how: str) -> None:
    """One that is doubted is renewed behind the callers; one that a server refused is never handed out again."""
    held = HeldToken(token, RenewalPolicy(), wall=clock.wall(), monotonic=clock.monotonic())
    assert held.is_fresh(clock)
    if how == "doubted":
        held.doubt()
    else:
        held.reject(clock.monotonic())

    assert not held.is_fresh(clock)
    assert held.is_usable(clock) is (how == "doubted")


def test_the_first_of_several_rejections_counts(clock: FakeClock, token: AccessToken) -> None:
    """Late 401s to a token must not make a renewal look older than the first of them."""
    held = HeldToken(token, RenewalPolicy(), wall=clock.wall(), monotonic=clock.monotonic())
    held.reject(clock.monotonic())
    first = held.rejected_at
    clock.pass_time(5)
    held.reject(clock.monotonic())

    assert held.rejected_at == first == clock.monotonic() - 5


@pytest.mark.parametrize("found", [0, HOUR / 2])
def test_a_token_knows_when_it_was_asked_for_and_shows_no_secret(
    clock: FakeClock, token: AccessToken, found: float
) -> None:
    """Here, or long ago by another process: what is older than the hold is not fresh."""
    asked_at = clock.monotonic()
    clock.pass_time(found)
    held = HeldToken(token, RenewalPolicy(), wall=clock.wall(), monotonic=clock.monotonic())

    assert held.asked_at == asked_at
    assert repr(held) == f"<held {token!r}>"
    assert "a-token" not in repr(held)

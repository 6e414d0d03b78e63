"""The numbers of the policy at their edges, and what is made of them."""

import re

import pytest

from daxko_auth import RenewalPolicy, TokenEndpointUnavailable, TokenRefused
from daxko_auth.policy import renewal_policy

SECONDS = {
    "early_expiry": 60,
    "deadline": 30,
    "attempt_timeout": 10,
    "first_retry_wait": 1,
    "first_pause": 1,
    "longest_pause": 300,
    "refusal_memory": 30,
    "hold": 30,
}
SHARES = {"renew_after": 0.75, "jitter": 0.05}
WORDS = {
    **dict.fromkeys(SECONDS, "a number of seconds above zero, a month at most"),
    "attempts": "a whole number above zero",
    "early_expiry": "a number of seconds, from 0 to a month",
}
WORDS |= dict.fromkeys(SHARES, "a share of a token's life, from 0 to 1")


def test_the_defaults_are_the_documented_ones() -> None:
    """They are a promise to Daxko's rate limits as much as to the user."""
    policy = RenewalPolicy()

    assert {name: getattr(policy, name) for name in WORDS} == {**SECONDS, **SHARES, "attempts": 4}


@pytest.mark.parametrize("field", WORDS)
def test_a_number_is_above_zero_and_says_what_it_is(field: str) -> None:
    """The message names the setting, shows what it got and says what to pass, for each of them."""
    expected = f"RenewalPolicy.{field} is -1; pass {WORDS[field]}"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        RenewalPolicy(**{field: -1})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", SECONDS)
def test_times_may_be_short_but_not_nothing(field: str) -> None:
    """Half a second is a time; none is a storm, and one without end, or of centuries, is a hang or an overflow."""
    for seconds in (0.5, 31 * 86_400):
        assert getattr(RenewalPolicy(**{field: seconds}), field) == seconds
    for nothing in (31 * 86_400 + 1, float("inf"), float("nan"), "1", True, *([] if field == "early_expiry" else [0])):
        with pytest.raises(ValueError, match=f"RenewalPolicy.{field}"):
            RenewalPolicy(**{field: nothing})  # type: ignore[arg-type]


def test_no_margin_is_a_choice() -> None:
    """Whoever knows both clocks may use a token to its last second."""
    assert RenewalPolicy(early_expiry=0).early_expiry == 0


def test_shares_run_from_nothing_to_all() -> None:
    """To renew only at the end, and never by lot, are choices somebody may make."""
    policy = RenewalPolicy(renew_after=1, jitter=0)

    assert (policy.renewal_age(100), policy.attempts) == (100, 4)
    for beyond in (1.001, -0.001, True):
        with pytest.raises(ValueError, match="from 0 to 1"):
            RenewalPolicy(renew_after=beyond)
    assert RenewalPolicy(attempts=1).attempts == 1


def test_a_jitter_as_large_as_the_age_is_refused() -> None:
    """By a lot in some billions it would ask for a token after each token."""
    expected = (
        "RenewalPolicy.jitter is 0.5; not below renew_after, it makes every token stale at once. Pass less than 0.5"
    )
    with pytest.raises(ValueError, match=f"^{expected}$"):
        RenewalPolicy(renew_after=0.5, jitter=0.5)


class _Lot:
    """Draws the largest there is, or the smallest."""

    def __init__(self, *, largest: bool) -> None:
        self._largest = largest

    def random(self) -> float:
        """Draw from 0 to 1."""
        return float(self._largest)

    def uniform(self, smallest: float, largest: float) -> float:
        """Draw from the one to the other."""
        return largest if self._largest else smallest


@pytest.mark.parametrize(
    ("largest", "age", "waits"), [(True, 70, [3, 6, 12]), (False, 75, [0, 0, 0])], ids=["largest", "smallest"]
)
def test_what_is_drawn_by_lot_stays_within_its_bounds(
    monkeypatch: pytest.MonkeyPatch, largest: bool, age: float, waits: list[float]
) -> None:
    """Full jitter: from nothing to twice as much with each attempt; and the age from 70 to 75 percent."""
    monkeypatch.setattr(renewal_policy, "_RANDOM", _Lot(largest=largest))
    policy = RenewalPolicy(first_retry_wait=3)

    assert policy.renewal_age(100) == pytest.approx(age)
    assert [policy.retry_wait(attempt) for attempt in (1, 2, 3)] == waits


def test_the_pause_after_a_failure_is_what_the_server_asked_within_the_deadline() -> None:
    """A refusal is remembered for longer than a hiccup; an hour asked for is not an hour of certain failure."""
    policy = RenewalPolicy(first_pause=2, deadline=20, refusal_memory=50)

    assert policy.pause(TokenRefused("no", retry_after=3.0)) == 50
    hiccups = [TokenEndpointUnavailable("no", retry_after=asked) for asked in (None, 1.0, 15.0, 3600.0)]
    assert [policy.pause(hiccup) for hiccup in hiccups] == [2, 2, 15, 20]
    assert RenewalPolicy(first_pause=0.5).pause(hiccups[0]) == 0.5


def test_the_pause_behind_a_usable_token_doubles_up_to_the_longest() -> None:
    """And never below what the failure itself asks for; a thousand failures are no overflow."""
    policy = RenewalPolicy(first_pause=2, longest_pause=30)
    hiccup, asked = TokenEndpointUnavailable("no"), TokenEndpointUnavailable("no", retry_after=9.0)

    assert [policy.pause_while_usable(hiccup, failures) for failures in (1, 2, 3, 4, 5, 5000)] == [2, 4, 8, 16, 30, 30]
    assert [policy.pause_while_usable(asked, failures) for failures in (1, 4)] == [9, 16]

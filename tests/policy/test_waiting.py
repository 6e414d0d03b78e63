"""How long one caller waits, and what becomes of a renewal that does not end."""

import time

import pytest

from daxko_auth import ApiCredentials, ClientScope, TokenEndpointUnavailable, TokenKey
from daxko_auth.policy import waiting as module
from daxko_auth.policy.clock import SYSTEM_CLOCK
from daxko_auth.policy.flight import Flight, Slot, State
from daxko_auth.policy.waiting import Wait
from daxko_auth.policy.workers import Workers

KEY = TokenKey("https://api.daxko.com", ApiCredentials("u", "a-password", "a-refresh-token"), ClientScope(9999))
LONGEST = 60.0


@pytest.fixture
def flight() -> Flight:
    """Give a renewal that the thread of another caller has claimed."""
    made = Flight(Slot(KEY), State(), lambda _: None, lambda _: None)
    made._claim[""] = object()
    return made


def waited(flight: Flight, seconds: float, monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Return a wait that began so many seconds ago, and is over in vain."""
    wait = Wait(flight, Workers[Flight]("test"), SYSTEM_CLOCK, longest=LONGEST, timeout=None)
    now = time.monotonic() + seconds
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    wait.ended(is_set=False)
    return wait


def test_a_renewal_on_the_thread_of_a_caller_is_given_up_after_a_whole_turn(
    flight: Flight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is none of the workers' jobs, and yet nobody waits for it for ever."""
    wait = waited(flight, LONGEST, monkeypatch)

    state = flight.next_state.get()
    assert state
    assert isinstance(state.failure, TokenEndpointUnavailable)
    assert wait.seconds == LONGEST, "another turn has begun"


@pytest.mark.parametrize("seconds", [LONGEST - 1, LONGEST + 3_600], ids=["woken early", "frozen"])
def test_a_wait_that_was_no_whole_turn_gives_up_nothing(
    flight: Flight, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """A process that was frozen has not waited, and what was answered meanwhile lies in the socket."""
    waited(flight, seconds, monkeypatch)

    assert flight.next_state.get() is None

"""The table of states at its edges: the very second in which a pause, a hold or a memory ends."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import NOON, FakeClock

from daxko_auth import AccessToken, ApiCredentials, ClientScope, RenewalPolicy, TokenEndpointUnavailable, TokenKey
from daxko_auth.model.secret import Secret
from daxko_auth.policy.flight import Flight
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.slot import Outcome, Slot
from daxko_auth.wire.token_response import utc

DAY = 86_400
SCOPE = ClientScope(9999)
POLICY = RenewalPolicy(jitter=0)
FAILURE = TokenEndpointUnavailable("no")

Start = Callable[[Slot], Flight[Outcome]]


def _token(number: int, asked_at: float = NOON) -> AccessToken:
    return AccessToken(SCOPE, Secret(f"token-number-{number}"), utc(asked_at + DAY), DAY)


def _held(clock: FakeClock, number: int) -> HeldToken:
    return HeldToken.of(_token(number, clock.wall()), POLICY, wall=clock.wall(), monotonic=clock.monotonic())


@pytest.fixture
def slot(clock: FakeClock) -> Slot:
    """Give a slot that nobody has asked."""
    credentials = ApiCredentials("daxko_api_user", "a-password", "a-refresh-token")
    return Slot(TokenKey("https://api.daxko.com", credentials, SCOPE), POLICY, clock)


@pytest.fixture
def flights() -> list[Flight[Outcome]]:
    """Collect what was launched."""
    return []


@pytest.fixture
def start(flights: list[Flight[Outcome]]) -> Start:
    """Give a launch that only counts."""

    def launch(_: Slot) -> Flight[Outcome]:
        flights.append(Flight(longest_wait=1, given_up=lambda: FAILURE))
        return flights[-1]

    return launch


def _land(slot: Slot, flight: Flight[Outcome], outcome: Outcome) -> bool:
    unnoticed = slot.settle(flight, outcome)
    flight.land(outcome)
    return unnoticed


def test_a_pause_ends_on_the_second(slot: Slot, clock: FakeClock, start: Start, flights: list[Flight[Outcome]]) -> None:
    """Until then everybody gets the same failure; from then on somebody asks."""
    assert slot.board(start) is flights[0]
    assert not _land(slot, flights[0], FAILURE), "whoever waited has noticed"

    clock.pass_time(0.75)
    assert slot.board(start) is FAILURE
    clock.pass_time(0.25)
    assert slot.board(start) is flights[1]
    assert slot.board(start) is flights[1], "one at a time"


def test_a_pause_behind_a_usable_token_ends_on_the_second_and_doubles(
    slot: Slot, clock: FakeClock, start: Start, flights: list[Flight[Outcome]]
) -> None:
    """Callers get the token all the while; the second failure in a row pauses for twice as long."""
    slot.board(start)
    held = _held(clock, 1)
    assert not _land(slot, flights[0], held)
    clock.pass_time(DAY * 0.75)
    for launched, pause in ((2, 1), (3, 2), (4, 4)):
        assert slot.board(start) is held
        assert len(flights) == launched
        assert _land(slot, flights[-1], FAILURE), "nobody waited, so nobody noticed"
        clock.pass_time(pause - 0.25)
        assert slot.board(start) is held
        assert len(flights) == launched
        clock.pass_time(0.25)
    slot.board(start)
    _land(slot, flights[-1], _held(clock, 2))
    clock.pass_time(DAY * 0.75)
    slot.board(start)
    _land(slot, flights[-1], FAILURE)
    clock.pass_time(1)
    slot.board(start)
    assert len(flights) == 7, "a success ends the row of failures"


def test_a_hold_ends_on_the_second(slot: Slot, clock: FakeClock, start: Start, flights: list[Flight[Outcome]]) -> None:
    """During a hold a 401 is handed over; the second at which it ends, somebody asks again."""
    slot.held = _held(clock, 1)
    token = slot.held.token
    assert slot.hold(token), "one begins"
    clock.pass_time(29.5)
    assert not slot.hold(token), "one was there; it lasts from now on"
    clock.pass_time(29.5)
    assert slot.board_after_401(token, start) is None
    assert slot.held is not None
    clock.pass_time(0.5)
    assert slot.board_after_401(token, start) is flights[0]
    assert slot.held is None


def test_a_token_as_old_as_the_hold_is_fresh_and_an_older_one_is_not(slot: Slot, clock: FakeClock) -> None:
    """Only a renewal that could have helped and did not shows that none will."""
    slot.held = _held(clock, 1)
    clock.pass_time(30)
    assert slot.hold(slot.held.token)
    assert slot.held is not None

    clock.pass_time(0.5)
    assert not slot.hold(slot.held.token)
    assert slot.held is None, "it was refused, so nobody gets it again"


def test_a_hold_that_ends_this_second_begins_anew(slot: Slot, clock: FakeClock) -> None:
    """Each hold is announced once, and the next one again."""
    slot.hold(_token(1, clock.wall()))
    clock.pass_time(30)

    assert slot.hold(_token(2, clock.wall()))


@pytest.mark.parametrize("begin", ["hold", "drop without replay"])
def test_401s_that_are_not_replayed_drop_one_token_a_hold(slot: Slot, clock: FakeClock, begin: str) -> None:
    """Whichever began it: nobody learns whether a new token helps, so the next is kept for as long as a hold."""
    slot.held = _held(clock, 1)
    if begin == "hold":
        slot.hold(slot.held.token)
    else:
        assert slot.drop_without_replay(slot.held.token)
        assert slot.held is None
        slot.held = _held(clock, 2)
    kept = slot.held

    clock.pass_time(29.5)
    assert not slot.drop_without_replay(kept.token)
    assert slot.held is kept
    clock.pass_time(0.5)
    assert slot.drop_without_replay(kept.token)
    assert slot.held is None
    assert slot.drop_without_replay(kept.token), "the next caller gets another in any case"


def test_the_last_eight_refused_tokens_are_remembered(slot: Slot) -> None:
    """A store may bring one back; more than eight nobody brings, and memory stays flat."""
    tokens = [_token(number) for number in range(10)]
    for token in tokens:
        slot.drop(token)
        slot.drop(token)

    assert slot.past == tuple(tokens[2:])


def test_exactly_one_token_is_dropped(slot: Slot, clock: FakeClock) -> None:
    """A late 401 for an old one must not cost its successor."""
    slot.held = _held(clock, 1)
    slot.drop(_token(2))
    assert slot.held is not None

    slot.drop(_token(1))
    assert slot.held is None


def test_a_child_process_waits_for_no_lock_and_no_flight_of_its_parent(
    slot: Slot, clock: FakeClock, start: Start, flights: list[Flight[Outcome]]
) -> None:
    """The thread that holds the one and lands the other exists in the parent only."""
    slot.board(start)
    with ThreadPoolExecutor(1) as pool:
        parents_lock = slot._lock
        pool.submit(parents_lock.acquire).result()
        slot.after_fork_in_child()
        assert slot.board(start) is flights[1]
        pool.submit(parents_lock.release).result()


def test_what_was_replaced_is_past(slot: Slot, clock: FakeClock, start: Start, flights: list[Flight[Outcome]]) -> None:
    """The one before this one is never taken from a store again; this one may be."""
    slot.board(start)
    first = _held(clock, 1)
    _land(slot, flights[0], first)
    assert (slot.held, slot.past) == (first, ())
    clock.pass_time(DAY * 0.8)
    slot.board(start)
    second = _held(clock, 2)
    _land(slot, flights[1], second)

    assert (slot.held, slot.past) == (second, (first.token,))


def test_a_slot_that_is_cleared_gives_up_its_token_and_its_flight(
    slot: Slot, clock: FakeClock, start: Start, flights: list[Flight[Outcome]]
) -> None:
    """Whoever closes a source lets those go who wait; a flight that landed has nobody who waits."""
    slot.held = _held(clock, 1)
    clock.pass_time(DAY * 0.8)
    slot.board(start)
    assert slot.clear() is flights[0]
    assert slot.held is None
    flights[0].land(FAILURE)
    assert slot.clear() is None


def test_a_slot_is_idle_once_nothing_would_be_lost_with_it(
    slot: Slot, clock: FakeClock, start: Start, flights: list[Flight[Outcome]]
) -> None:
    """Whoever is forgotten too early asks once more, or forgets a refusal; whoever is not, costs memory."""
    assert slot.is_idle()

    slot.board(start)
    assert not slot.is_idle(), "somebody waits"
    _land(slot, flights[-1], FAILURE)
    clock.pass_time(POLICY.pause(FAILURE) - 0.25)
    assert not slot.is_idle(), "the failure is for everybody"
    clock.pass_time(0.25)
    assert slot.is_idle()

    slot.board(start)
    _land(slot, flights[-1], _held(clock, 1))
    assert not slot.is_idle(), "a token is held"
    slot.hold(_token(1, clock.wall()))
    clock.pass_time(POLICY.hold - 0.25)
    slot.drop(_token(1, clock.wall() - POLICY.hold + 0.25))
    assert not slot.is_idle(), "401s are handed over"
    clock.pass_time(0.25)
    assert slot.is_idle()

    slot.board(start)
    _land(slot, flights[-1], _held(clock, 2))
    slot.drop_without_replay(_token(2, clock.wall()))
    clock.pass_time(POLICY.hold - 0.25)
    assert not slot.is_idle(), "the next 401 without a replay changes nothing"
    clock.pass_time(0.25)
    assert slot.is_idle()

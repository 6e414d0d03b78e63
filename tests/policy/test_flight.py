"""The chain of states of one scope, and the renewals that lead from one to the next."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import NOON, FakeClock

from daxko_auth import AccessToken, ApiCredentials, ClientScope, RenewalPolicy, TokenEndpointUnavailable, TokenKey
from daxko_auth.model.secret import Secret
from daxko_auth.policy.flight import Flight, Slot, State
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.wire.token_response import utc

DAY = 86_400
SCOPE = ClientScope(9999)
POLICY = RenewalPolicy(jitter=0)
FAILURE = TokenEndpointUnavailable("no")
HERE = object()


def _token(number: int, asked_at: float = NOON) -> AccessToken:
    return AccessToken(SCOPE, Secret(f"token-number-{number}"), utc(asked_at + DAY), DAY)


def _held(clock: FakeClock, number: int) -> HeldToken:
    return HeldToken(_token(number, clock.wall()), POLICY, wall=clock.wall(), monotonic=clock.monotonic())


@pytest.fixture
def slot() -> Slot:
    """Give a slot that nobody has asked."""
    credentials = ApiCredentials("daxko_api_user", "a-password", "a-refresh-token")
    return Slot(TokenKey("https://api.daxko.com", credentials, SCOPE))


def _nothing(_: Flight) -> None:
    pass


def _begin(slot: Slot, process: object = HERE, renew: Callable[[Flight], None] = _nothing) -> Flight:
    state = slot.current(process)
    return state.next.setdefault(process, Flight(slot, state, renew, _nothing))


def test_a_slot_begins_with_nothing(slot: Slot) -> None:
    """No token, no failure, no pause."""
    state = slot.current(HERE)

    assert (state.held, state.replaced, state.failure, state.failures) == (None, None, None, 0)
    assert state.pause_ends(POLICY, usable=True) == state.pause_ends(POLICY, usable=False) == float("-inf")


def test_of_two_who_begin_one_renewal_begins(slot: Slot) -> None:
    """Whoever comes second, a signal handler in between too, joins the first."""
    assert _begin(slot) is _begin(slot)


def test_the_chain_goes_on_where_a_renewal_has_landed(slot: Slot, clock: FakeClock) -> None:
    """Until then its beginning counts; afterwards everybody reads the newest state, wherever they begin."""
    began = slot.current(HERE)
    states = [began]
    for number in range(3):
        flight = _begin(slot)
        assert slot.current(HERE) is states[-1]
        states.append(states[-1].after(_held(clock, number), clock))
        flight.next_state.set(states[-1])
        assert slot.current(HERE) is states[-1]
    slot.state = began

    assert slot.current(HERE) is states[-1], "the hint may be an old one"


def test_a_child_process_has_the_token_and_none_of_the_renewals(slot: Slot, clock: FakeClock) -> None:
    """The thread that renews exists in the parent only."""
    _begin(slot).next_state.set(State(_held(clock, 1)))
    state, parents = slot.current(HERE), _begin(slot)
    child = object()

    assert slot.current(child) is state
    assert _begin(slot, child) is not parents


def test_a_token_replaces_the_one_before_it(clock: FakeClock) -> None:
    """A late 401 is to the one before, and not to its successor."""
    first, second = _held(clock, 1), _held(clock, 2)
    state = State(failure=FAILURE, failures=3).after(first, clock)
    assert (state.held, state.replaced, state.failure, state.failures) == (first, None, None, 0)
    state = state.after(second, clock)
    assert (state.held, state.replaced) == (second, first)

    clock.pass_time(2 * DAY)
    state = state.after(FAILURE, clock)
    third = _held(clock, 3)
    assert (state.after(third, clock).held, state.after(third, clock).replaced) == (third, second)


def test_a_failure_leaves_a_usable_token_and_ends_another(clock: FakeClock) -> None:
    """Nobody fails who has a token that works; one that is dead or was rejected is in nobody's way."""
    first, second = _held(clock, 1), _held(clock, 2)
    began = State(second, first)
    state = began.after(FAILURE, clock)
    assert (state.held, state.replaced, state.failure) == (second, first, FAILURE)

    second.reject(clock.monotonic())
    state = state.after(FAILURE, clock)
    assert (state.held, state.replaced, state.failure, state.failures) == (None, second, FAILURE, 2)
    assert (began.held, began.failure) == (second, None), "a state never changes"


def test_a_pause_counts_from_the_end_of_the_renewal_and_doubles_behind_a_usable_token(clock: FakeClock) -> None:
    """Callers get the token all the while; without one they are told the failure, and ask again soon."""
    state = State()
    pauses = []
    for _ in range(3):
        clock.pass_time(100)
        state = state.after(FAILURE, clock)
        pauses.append([state.pause_ends(POLICY, usable=usable) - clock.monotonic() for usable in (False, True)])
    assert pauses == [[1, 1], [1, 2], [1, 4]]

    assert state.after(_held(clock, 1), clock).after(FAILURE, clock).failures == 1, "a success ends the row"


def test_the_last_eight_refused_tokens_are_remembered(slot: Slot) -> None:
    """A store may bring one back; more than eight nobody brings, and memory stays flat."""
    tokens = [_token(number) for number in range(10)]
    for token in tokens:
        slot.retire(token)
        slot.retire(token)

    assert list(slot.past) == [token.fingerprint for token in tokens[2:]]


def test_another_thread_that_forgets_at_the_same_time_does_no_harm(slot: Slot) -> None:
    """Both make room, and one of them finds the memory changed while it looks."""

    class Changing(dict[str, None]):
        def __iter__(self) -> "object":  # type: ignore[override]
            msg = "dictionary changed size during iteration"
            raise RuntimeError(msg)

    slot.past = Changing.fromkeys(map(str, range(9)))
    slot.retire(_token(1))

    assert _token(1).fingerprint in slot.past


def test_one_thread_flies_it_once(slot: Slot) -> None:
    """Whoever sees nobody at it flies it, and several may: one does."""
    flown: list[int] = []
    together = threading.Barrier(4)
    flight = _begin(slot, renew=lambda _: flown.append(threading.get_ident()))
    assert not flight.is_claimed

    def fly() -> int:
        together.wait()
        flight()
        return threading.get_ident()

    with ThreadPoolExecutor(4) as pool:
        who = [run.result() for run in [pool.submit(fly) for _ in range(4)]]
    flight()

    assert len(flown) == 1
    assert flown[0] in who
    assert flight.is_claimed
    assert flight.over.is_set()


def test_the_thread_that_flies_it_knows_that(slot: Slot) -> None:
    """A log handler that asks for the token it is being asked for must not wait for itself."""
    seen: list[bool] = []
    flight = _begin(slot, renew=lambda flight: seen.append(flight.runs_here()))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(flight).result()

    assert seen == [True]
    assert not flight.runs_here()


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, ValueError])
def test_whatever_comes_in_between_it_is_ended_and_over(slot: Slot, raised: type[BaseException]) -> None:
    """Ctrl-C in a thread that renews: those who wait are let go."""
    ended: list[tuple[Flight, bool]] = []

    def fail(_: Flight) -> None:
        raise raised

    flight = Flight(slot, slot.state, fail, lambda flight: ended.append((flight, flight.over.is_set())))
    with pytest.raises(raised):
        flight()

    assert ended == [(flight, False)]
    assert flight.over.is_set()


def test_whoever_finds_it_flown_ends_nothing(slot: Slot) -> None:
    """A second one that comes by must not tell those who wait that all is over."""
    goes_on, began = threading.Event(), threading.Event()

    def renew(_: Flight) -> None:
        began.set()
        goes_on.wait()

    flight = _begin(slot, renew=renew)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(flight)
        began.wait()
        flight()
        assert not flight.over.is_set()
        goes_on.set()
        run.result()

    assert flight.over.is_set()

"""Nobody waits for ever: whatever a store, a thread, a signal or a log handler does in the middle of it."""

import gc
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import anyio
import pytest
from support import PATIENCE, Ask, FakeClock, land_all

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    RenewalPolicy,
    TokenEndpointUnavailable,
    TokenKey,
    TokenRequestError,
    TokenSource,
)
from daxko_auth.policy.crew import Crew
from daxko_auth.policy.flight import Flight
from daxko_auth.sandbox import Sandbox


class StoreThat:
    """Does something of its own when it is read."""

    def __init__(self, read: Any) -> None:
        self._read = read

    def read(self, key: TokenKey) -> AccessToken | None:
        """Do what it was made for."""
        self._read()

    def write(self, key: TokenKey, token: AccessToken) -> None:
        """Keep nothing."""

    def drop(self, key: TokenKey, token: AccessToken) -> None:
        """Forget nothing."""

    def turn(self, key: TokenKey, timeout: float) -> AbstractContextManager[None]:
        """Let everybody pass."""
        return self._turn()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        yield


def test_a_store_that_blocks_ends_in_an_error_and_the_next_caller_asks_again(
    sandbox: Sandbox, credentials: ApiCredentials, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared store that hangs is the commonest outage of all."""
    unblocked = threading.Event()
    board, waits = Flight.__init__, list[float]()

    def short_wait(flight: Flight[Any], *, longest_wait: float, given_up: Any) -> None:
        waits.append(longest_wait)
        board(flight, longest_wait=0.05, given_up=given_up)

    # The wait alone is short: the request that comes late must have all the time that it needs.
    monkeypatch.setattr(Flight, "__init__", short_wait)
    policy = RenewalPolicy(deadline=PATIENCE, attempt_timeout=PATIENCE)
    with TokenSource(credentials, sandbox.base_url, policy=policy, store=StoreThat(unblocked.wait)) as source:
        with pytest.raises(TokenEndpointUnavailable, match="did not end in time"):
            ask(source, 9999)
        assert waits == [2 * PATIENCE]
        unblocked.set()
        land_all(source)

        assert ask(source, 9999)
    assert sandbox.token_requests() == 1, "what came late was kept"


def test_a_late_failure_does_not_undo_what_happened_since(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """A renewal that was given up comes back with an error when another has long succeeded."""
    with TokenSource(credentials, sandbox.base_url, clock=clock) as source:
        token = source.token(9999)
        slot = source._slots[9999]
        given_up = source._launch(slot)
        land_all(source)

        assert not slot.settle(given_up, TokenEndpointUnavailable("late"))  # type: ignore[arg-type]
        assert source.token(9999) == token


def test_a_late_success_is_kept_where_nothing_better_is_held(sandbox: Sandbox, source: TokenSource) -> None:
    """With a store that always hangs, every renewal is late; throwing each away would be for ever."""
    source.token(9999)
    slot = source._slots[9999]
    given_up = source._launch(slot)
    land_all(source)
    late = slot.held
    assert late is not None
    slot.clear()

    assert not slot.settle(given_up, late)  # type: ignore[arg-type]
    assert source.token(9999) == late.token


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_store_that_raises_anything_costs_no_request(
    sandbox: Sandbox, credentials: ApiCredentials, ask: Ask, error: type[BaseException]
) -> None:
    """Some libraries' time-outs are no Exception."""

    def fail() -> None:
        raise error

    with TokenSource(credentials, sandbox.base_url, store=StoreThat(fail)) as source:
        assert ask(source, 9999)


def test_a_renewal_that_asks_for_its_own_token_is_told_so(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """A store or a log handler behind the same API would wait for the token that waits for it."""
    errors: list[TokenRequestError] = []

    def ask() -> None:
        try:
            source.token(9999)
        except TokenRequestError as error:
            errors.append(error)

    with TokenSource(credentials, sandbox.base_url, store=StoreThat(ask)) as source:
        assert source.token(9999)
    assert "waits for itself" in str(errors[0])


def test_a_log_handler_may_ask_for_a_token(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, request: pytest.FixtureRequest
) -> None:
    """Handlers that ship logs over HTTP are ordinary programs."""
    seen: list[AccessToken] = []

    class Shipping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(source.token(9999))

    handler = Shipping()
    logging.getLogger("daxko_auth").addHandler(handler)
    request.addfinalizer(lambda: logging.getLogger("daxko_auth").removeHandler(handler))
    token = source.token(9999)
    clock.pass_time(86_400 * 0.76)
    sandbox.fail_next(4, "status", status=503)
    source.token(9999)
    land_all(source)

    assert seen == [token]


def test_a_signal_handler_may_ask_in_the_middle_of_asking(sandbox: Sandbox, source: TokenSource) -> None:
    """Python runs it in the main thread between any two instructions, with every lock that is held."""
    previous = signal.signal(signal.SIGUSR1, lambda *_: source.token(9999) and None)
    try:
        source.token(9999)
        with source._slots[9999]._lock, source._lock, source._crew._lock:
            signal.raise_signal(signal.SIGUSR1)
            source.reject(source.token(9999))
            source._slots[9999].held = None
    finally:
        signal.signal(signal.SIGUSR1, previous)

    assert source.token(9999)


def test_a_finalizer_may_reject_in_the_middle_of_asking(source: TokenSource) -> None:
    """The collector runs it wherever it happens to."""
    token = source.token(9999)

    class Finalized:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            source.reject(token)

    Finalized()
    with source._slots[9999]._lock:
        gc.collect()

    assert source.token(9999) != token


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_whoever_comes_after_the_landing_does_not_wait(backend: str) -> None:
    """Nobody is left to wake a task that lies down after everybody has been woken."""
    flight = Flight[int](longest_wait=60, given_up=lambda: 0)
    flight.land(7)
    flight.land(8)

    assert (flight.join(), anyio.run(flight.ajoin, backend=backend)) == (7, 7)


def test_a_crew_is_never_larger_than_it_may_be() -> None:
    """A crew of one is what keeps a wrong password from being sent once for each scope."""
    crew, go_on = Crew(2), threading.Event()
    at_work = threading.Semaphore(0)

    def job() -> None:
        at_work.release()
        go_on.wait()

    for _ in range(5):
        crew.run(job)
    at_work.acquire()
    at_work.acquire()
    assert (crew._at_work, len(crew._jobs)) == (2, 3)
    crew.grow(4)
    at_work.acquire()
    at_work.acquire()
    assert (crew._at_work, len(crew._jobs)) == (4, 1)
    go_on.set()
    at_work.acquire()


def test_a_crew_without_threads_says_so_and_forgets_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that stayed behind would run at some later time, for nobody."""
    crew, done = Crew(2), threading.Event()

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError):
            crew.run(done.set)
    assert not crew._jobs

    crew.run(done.set)
    done.wait()


def test_a_crew_that_gets_no_further_thread_goes_on_with_those_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread is enough to get everything done."""
    crew, hold, done = Crew(2), threading.Event(), threading.Event()
    crew.run(lambda: hold.wait() and None)

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        crew.run(done.set)
        crew.grow(3)
    hold.set()

    done.wait()

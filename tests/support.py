"""
What tests share that is no fixture: a clock whose time they make pass, and a few words.
"""

import os
import time
import traceback
from collections.abc import Callable
from typing import Any

import anyio
import httpx

from daxko_auth import AccessToken, TokenSource
from daxko_auth.policy.clock import Waitable
from daxko_auth.policy.flight import Flight
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.workers import Workers

NOON = 1_800_000_000.0
"""Where the tests' wall clock starts: some day in 2027."""

PATIENCE = 600.0
"""Seconds, where a limit wants a number: more than pytest gives any test, so that no machine is too slow for it."""


class FakeClock:
    """Time that passes when a test says so, or when somebody waits."""

    def __init__(self) -> None:
        self._wall = NOON
        self._monotonic = 1_000.0
        self.waits: list[float] = []

    def wall(self) -> float:
        """Return Unix time."""
        return self._wall

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._monotonic

    def wait(self, event: Waitable, seconds: float) -> bool:
        """Let the time pass at once."""
        self.waits.append(seconds)
        self.pass_time(seconds)
        return event.is_set()

    def pass_time(self, seconds: float) -> None:
        """Let both clocks run on."""
        self._wall += seconds
        self._monotonic += seconds

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock, or let the machine sleep: monotonic time stands still."""
        self._wall += seconds


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds. It sets no limit of its own: pytest ends a test that hangs."""
    while not condition():
        time.sleep(0.001)


async def aeventually(condition: Callable[[], bool]) -> None:
    """Await the same, so that the event loop goes on meanwhile."""
    while not condition():
        await anyio.sleep(0.001)


def finish_renewals(source: TokenSource) -> None:
    """Wait until no renewal of `source` is under way."""
    eventually(lambda: is_idle(source._workers))


def kept_house(source: TokenSource) -> None:
    """Wait until the store was told of all that was rejected so far."""
    eventually(lambda: is_idle(source._housekeeping))


def waiting_tasks(source: TokenSource, scope: int = 9999) -> int:
    """Count the tasks that wait for a token of `scope`."""
    flight = flight_of(source, scope)
    return sum(map(len, flight.next_state._tasks.values())) if flight else 0


def flight_of(source: TokenSource, scope: int = 9999) -> Flight | None:
    """Return the renewal of `scope` that is under way."""
    slot = source._slots.table.young.get(scope)
    return slot.current(source._process).next.get(source._process) if slot else None


def held_by(source: TokenSource, scope: int = 9999) -> HeldToken | None:
    """Return the token of `scope` that is held, usable or not."""
    slot = source._slots.table.young.get(scope)
    return slot.current(source._process).held if slot else None


def told_all(source: TokenSource) -> None:
    """Wait until all events that happened so far have been told."""
    finish_renewals(source)
    eventually(lambda: is_idle(source._announce._workers))


def is_idle(workers: Workers[Any]) -> bool:
    """Return whether no job waits and no thread works."""
    # In this order: a thread takes a job from the queue only after it has said that it works.
    if len(workers):
        # As a caller does who waits: a thread may be lost on its way.
        workers.start()
        return False
    return not any(workers._at(number).is_at_work for number in range(len(workers._places)))


def no_thread(*_: object) -> None:
    """Stand in for `_thread.start_new_thread` where a system has no more threads, or Python shuts down."""
    msg = "can't start new thread"
    raise RuntimeError(msg)


START_THREAD = "daxko_auth.model.threads._thread.start_new_thread"
"""Where the library starts its threads, for `monkeypatch.setattr(START_THREAD, no_thread)`."""


def in_child(check: Callable[[], bool]) -> bool:
    """Fork, run `check` in the child, and return whether it came back true."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if check() else 1
        except BaseException:  # noqa: BLE001 - whatever it is, the child ends here
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


Ask = Callable[[TokenSource, Any], AccessToken]
Call = Callable[..., httpx.Response]

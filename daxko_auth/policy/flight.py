"""
One renewal under way, and everybody who waits for it.

Threads wait for an event; tasks wait for an event that their own loop sets. Nobody leads, so
whoever stops waiting harms nobody, and nobody waits for ever.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

if TYPE_CHECKING:
    import anyio

_Outcome = TypeVar("_Outcome")


class Flight(Generic[_Outcome]):
    """An outcome that any number of threads and tasks, of any number of event loops, wait for."""

    def __init__(self, *, longest_wait: float, given_up: Callable[[], _Outcome]) -> None:
        """Land with `given_up()` once somebody has waited `longest_wait` seconds."""
        self._longest_wait: Final = longest_wait
        self._given_up: Final = given_up
        self._landed = threading.Event()
        self._lock = threading.RLock()
        self._outcome: _Outcome | None = None
        # By event loop, in the order in which they came; a dict, so that whoever gives up is found at once.
        self._waiting: dict[Any, dict[anyio.Event, None]] = {}
        self._pilot: int | None = None

    @property
    def has_landed(self) -> bool:
        """Whether the outcome is known."""
        return self._landed.is_set()

    def take_off(self) -> None:
        """Say that the renewal runs in this thread, which must not wait for itself."""
        self._pilot = threading.get_ident()

    def land(self, outcome: _Outcome) -> None:
        """Set the outcome and wake everybody. Only the first landing counts."""
        with self._lock:
            if self._landed.is_set():
                return
            self._outcome = outcome
            self._landed.set()
            waiting, self._waiting = self._waiting, {}
        for loop, events in waiting.items():
            # Never a call that waits for the loop: this may be the loop's own thread.
            wake_soon = cast("Callable[..., object]", getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon)
            with suppress(RuntimeError):  # the loop has ended, and its tasks with it
                wake_soon(_wake_next, deque(events), wake_soon)

    def join(self) -> _Outcome:
        """Wait in this thread."""
        if threading.get_ident() == self._pilot and not self._landed.is_set():
            # A log handler or a store that asks for the token it is being asked for.
            return self._given_up()
        if not self._landed.wait(self._longest_wait):
            self.land(self._given_up())
        return cast("_Outcome", self._outcome)

    async def ajoin(self) -> _Outcome:
        """Wait in this task, under asyncio or trio."""
        # Imported where a task waits: a program of threads never needs it.
        import anyio  # noqa: PLC0415
        from anyio.lowlevel import current_token  # noqa: PLC0415

        event, loop = anyio.Event(), current_token().native_token
        with self._lock:
            if self._landed.is_set():
                return cast("_Outcome", self._outcome)
            self._waiting.setdefault(loop, {})[event] = None
        try:
            with anyio.move_on_after(self._longest_wait):
                await event.wait()
        finally:
            self._leave(loop, event)
        if not self._landed.is_set():
            self.land(self._given_up())
        return cast("_Outcome", self._outcome)

    def _leave(self, loop: object, event: "anyio.Event") -> None:
        # Or else a renewal that hangs keeps the events of all who gave up, and loops that have ended.
        with self._lock:
            events = self._waiting.get(loop, {})
            events.pop(event, None)
            if not events:
                self._waiting.pop(loop, None)


def _wake_next(events: "deque[anyio.Event]", wake_soon: Callable[..., object]) -> None:
    # One task per turn of the loop. A thousand tasks woken together would all queue in the same
    # connection pool at once, and httpx's pool scans its whole queue at each step.
    events.popleft().set()
    if events:
        wake_soon(_wake_next, events, wake_soon)

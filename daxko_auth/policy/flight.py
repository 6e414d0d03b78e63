"""
One renewal under way, and everybody who waits for it.

It runs on a daemon thread of its own. Threads wait for an event; tasks wait for an event that their
own loop sets. Nobody leads, so whoever stops waiting harms nobody.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    import anyio

_Outcome = TypeVar("_Outcome")


class Flight(Generic[_Outcome]):
    """Runs one function once; any number of threads and tasks, of any number of event loops, share what it returns."""

    def __init__(self) -> None:
        self._landed = threading.Event()
        self._lock = threading.Lock()
        self._outcome: _Outcome | None = None
        self._waiting: dict[Any, deque[anyio.Event]] = {}

    def take_off(self, work: Callable[[], _Outcome]) -> None:
        """
        Run `work`, which must not raise, on a thread of its own, in the caller's context (`contextvars`).

        Raises:
            RuntimeError: no thread can be started.
        """
        threading.Thread(
            target=copy_context().run, args=(lambda: self.land(work()),), name="daxko-auth renewal", daemon=True
        ).start()

    def land(self, outcome: _Outcome) -> None:
        """Set the outcome and wake everybody. Only the first landing counts."""
        with self._lock:
            if self._landed.is_set():
                return
            self._outcome = outcome
            self._landed.set()
        for loop, events in self._waiting.items():
            # Never a call that waits for the loop: this may be the loop's own thread.
            wake_soon = cast("Callable[..., object]", getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon)
            with suppress(RuntimeError):  # the loop has ended, and its tasks with it
                wake_soon(_wake_next, events, wake_soon)

    def join(self) -> _Outcome:
        """Wait in this thread."""
        self._landed.wait()
        return cast("_Outcome", self._outcome)

    async def ajoin(self) -> _Outcome:
        """Wait in this task, under asyncio or trio."""
        # Imported where a task waits: a program of threads never needs it.
        import anyio  # noqa: PLC0415
        from anyio.lowlevel import current_token  # noqa: PLC0415

        event = anyio.Event()
        with self._lock:
            if not self._landed.is_set():
                self._waiting.setdefault(current_token().native_token, deque()).append(event)
        if not self._landed.is_set():
            await event.wait()
        return cast("_Outcome", self._outcome)


def _wake_next(events: "deque[anyio.Event]", wake_soon: Callable[..., object]) -> None:
    # One task per turn of the loop. A thousand tasks woken together would all queue in the same
    # connection pool at once, and httpx's pool scans its whole queue at each step.
    events.popleft().set()
    if events:
        wake_soon(_wake_next, events, wake_soon)

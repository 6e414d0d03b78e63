"""
A result that is set once, and that any number of threads and tasks wait for.

Nothing here takes a lock that two of them share, so that a signal handler, a finalizer or Ctrl-C may come between any
two steps, and may itself wait or set. Each step that others see is one call of C code: a `dict` is written, read or
copied in one.
"""

from _thread import allocate_lock
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    import threading

    import anyio

_Result = TypeVar("_Result")


class SharedResult(Generic[_Result]):
    """Empty until `set`; after that it never changes. A caller that stops waiting does not affect the others."""

    __slots__ = ("_result", "_tasks", "_threads")

    def __init__(self) -> None:
        self._result: dict[str, _Result] = {}
        # Each waiting thread sleeps on a lock of its own. `threading.Event` has one that its thread cannot take twice.
        self._threads: dict[threading.Lock, None] = {}
        # By event loop, in the order in which they came.
        self._tasks: dict[Any, dict[anyio.Event, None]] = {}

    def get(self) -> _Result | None:
        """Return the result, or None while there is none."""
        return self._result.get("")

    def is_set(self) -> bool:
        """Whether there is a result."""
        return bool(self._result)

    def set(self, result: _Result) -> bool:
        """
        Set the result and wake everybody; return whether it was the first, which alone counts.

        An interrupt may leave somebody asleep. To set it again, to whatever, wakes them.
        """
        first = self._result.setdefault("", result) is result
        self.wake()
        return first

    def wake(self) -> None:
        """Wake everybody who waits, whether there is a result or not."""
        for lock in self._threads.copy():
            with suppress(RuntimeError):  # woken already
                lock.release()
        for loop, events in self._tasks.copy().items():
            # Never a call that waits for the loop: this may be the loop's own thread.
            wake_soon = cast("Callable[..., object]", getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon)
            with suppress(RuntimeError):  # the loop has ended, and its tasks with it
                wake_soon(_wake_next, deque(events.copy()), wake_soon)

    def wait(self, seconds: float = -1) -> bool:
        """Wait in this thread, for at most `seconds` if they are not below zero; return whether there is a result."""
        lock = allocate_lock()
        lock.acquire()
        self._threads[lock] = None
        try:
            # Looked at only now: whoever sets the result looks at the list afterwards.
            return bool(self._result) or lock.acquire(timeout=seconds) or bool(self._result)
        finally:
            self._threads.pop(lock, None)

    async def await_(self, seconds: float = -1) -> bool:
        """Wait in this task, under asyncio or trio, just so."""
        # Imported where a task waits: a program of threads never needs it.
        import anyio  # noqa: PLC0415
        from anyio.lowlevel import current_token  # noqa: PLC0415

        event = anyio.Event()
        loop = current_token().native_token
        events = self._tasks.setdefault(loop, {})
        events[event] = None
        try:
            with anyio.move_on_after(seconds if seconds >= 0 else None):
                if not self._result:
                    await event.wait()
        finally:
            events.pop(event, None)
            # Nobody else adds to it meanwhile: only tasks of this loop do, and they run in this thread.
            if not events:
                self._tasks.pop(loop, None)
        return bool(self._result)


def _wake_next(events: "deque[anyio.Event]", wake_soon: Callable[..., object]) -> None:
    # One task per turn of the loop. A thousand tasks woken together would all queue in the same connection pool at
    # once, and httpx's pool scans its whole queue at each step.
    if not events:
        return
    event = events.popleft()
    # The next first: what this event wakes may end the loop.
    with suppress(RuntimeError):  # the loop is ending, and its tasks with it
        wake_soon(_wake_next, events, wake_soon)
    event.set()

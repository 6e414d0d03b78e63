"""
The threads that renewals run on: few, short-lived, and never waited for at exit.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context


class Crew:
    """
    Runs jobs on at most `size` daemon threads, which end when nothing is left to do.

    Bounded, because five hundred scopes that turn stale together must not be five hundred threads
    and five hundred requests; and because starting a thread takes time from the loop that asks.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._at_work = 0
        self._jobs: deque[tuple[Context, Callable[[], None]]] = deque()
        # Re-entrant: a signal handler or a finalizer may ask for a token in the middle of this.
        self._lock = threading.RLock()

    def run(self, job: Callable[[], None]) -> None:
        """
        Run `job`, which must not raise, as soon as a thread is free, in the caller's context (`contextvars`).

        Raises:
            RuntimeError: no thread can be started.
        """
        entry = (copy_context(), job)
        with self._lock:
            self._jobs.append(entry)
            try:
                self._start()
            except RuntimeError:
                if not self._at_work:
                    self._jobs.remove(entry)
                    raise

    def grow(self, size: int) -> None:
        """Let more threads work at once, also on what waits already."""
        # Without another thread, those at work do everything.
        with self._lock, suppress(RuntimeError):
            self._size = max(size, self._size)
            for _ in range(len(self._jobs)):
                self._start()

    def _start(self) -> None:
        if self._at_work < self._size:
            self._at_work += 1
            try:
                threading.Thread(target=self._work, name="daxko-auth renewal", daemon=True).start()
            except RuntimeError:
                self._at_work -= 1
                raise

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._at_work -= 1
                    return
                context, job = self._jobs.popleft()
            context.run(job)

"""
Tells the program what happens, and lets nothing that the program does with it come back.
"""

import _thread
import inspect
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, cast

from daxko_auth.model.events import Event
from daxko_auth.model.log import WarningThrottle, warn
from daxko_auth.model.shared_result import SharedResult
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.workers import Workers

#: Events that wait to be told, at most; more are no use to anybody, and memory ends.
LONGEST_QUEUE: Final = 10_000


class Announcer:
    """Calls `on_event`, if there is one, with one event after another, on a thread that does nothing else."""

    def __init__(self, on_event: Callable[[Event], object] | None, clock: Clock) -> None:
        self._on_event = on_event
        self._clock = clock
        self._failed = WarningThrottle()
        self._lost = WarningThrottle()
        self._unawaited = WarningThrottle()
        self._is_closed = False
        # One for each event that was dropped since the last that was told: a list counts itself.
        self._dropped: list[None] = []
        # The thread that tells, while it does.
        self._telling: int | None = None
        self._workers: Workers[Callable[[], None]] = Workers("daxko-auth events")

    def __call__(self, event: Event) -> None:
        """Tell of `event` soon, unless it happened because something was told: that would never end."""
        if self._on_event is None or self._is_closed or self._telling == _thread.get_ident():
            return
        if len(self._workers) >= LONGEST_QUEUE:
            self._workers.drop_oldest()
            self._dropped.append(None)
        self._submit(partial(self._tell, event))

    def end(self) -> SharedResult[bool]:
        """Take no more events; the result is set once all that were taken have been told."""
        self._is_closed = True
        told: SharedResult[bool] = SharedResult()
        if self._on_event is None or self._telling == _thread.get_ident():
            told.set(True)
        else:
            self._submit(partial(_set, told))
        return told

    def after_fork_in_child(self) -> None:
        """Begin again: what was not told yet, the parent tells."""
        self._telling = None
        self._workers = Workers("daxko-auth events")

    def _submit(self, job: Callable[[], None]) -> None:
        if not self._workers.submit(job):
            job()

    def _tell(self, event: Event) -> None:
        on_event = self._on_event
        if on_event is None:  # pragma: no cover - then nothing is told
            return
        self._telling = _thread.get_ident()
        try:
            self._dispose_of(on_event(event))
        except BaseException as error:
            # In the main thread, which tells where no thread can be had, it may be Ctrl-C.
            if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
                raise
            kind = type(error).__name__
            warn(
                "on_event failed (%s) at %s; tokens are not affected",
                kind,
                type(event).__name__,
                level=self._failed.level(self._clock.monotonic()),
            )
        finally:
            self._telling = None
        if self._dropped:
            dropped, self._dropped = len(self._dropped), []
            warn(
                "on_event is too slow: %d events were dropped; keep it short",
                dropped,
                level=self._lost.level(self._clock.monotonic()),
            )

    def _dispose_of(self, returned: object) -> None:
        """Warn of what somebody would have to await, or to go through, for anything to happen."""
        if not (inspect.isawaitable(returned) or inspect.isgenerator(returned) or inspect.isasyncgen(returned)):
            return
        with suppress(Exception):  # of the program's own object
            # Or else Python warns as well, wherever it is collected.
            cast("Any", returned).close()
        warn(
            "on_event returned something to be awaited (%s), and nobody awaits it; pass a plain function, which may "
            "call loop.call_soon_threadsafe(...)",
            type(returned).__name__,
            level=self._unawaited.level(self._clock.monotonic()),
        )


def _set(told: SharedResult[bool]) -> None:
    told.set(True)

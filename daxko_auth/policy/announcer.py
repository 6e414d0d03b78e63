"""
Tells the program what happens, and lets nothing that the program does with it come back.
"""

import threading
from collections.abc import Callable

from daxko_auth.model.events import Event
from daxko_auth.model.log import Seldom, log
from daxko_auth.policy.clock import Clock


class Announcer:
    """Calls `on_event`, if there is one. Never called under a lock, so that it may ask the source for tokens."""

    def __init__(self, on_event: Callable[[Event], object] | None, clock: Clock) -> None:
        self._on_event = on_event
        self._clock = clock
        self._trouble = Seldom()
        # Of each thread: whether it is in the middle of an announcement.
        self._busy = threading.local()

    def __call__(self, event: Event) -> None:
        """Tell of `event`, unless it happened because of an announcement in this thread: that would never end."""
        if self._on_event is None or getattr(self._busy, "is_set", False):
            return
        self._busy.is_set = True
        try:
            self._on_event(event)
        except BaseException as error:
            # In the main thread, it may be a signal's: Ctrl-C, or a server that is told to stop.
            if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
                raise
            log.log(
                self._trouble.level(self._clock.monotonic()),
                "on_event failed (%s) at %s; tokens are not affected",
                type(error).__name__,
                type(event).__name__,
            )
        finally:
            self._busy.is_set = False

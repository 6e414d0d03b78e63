"""
Time, as an argument: the policy reads no clock and waits for no time but through this.
"""

import time
from typing import Final, Protocol


class Waitable(Protocol):
    """Something that may be set: a `threading.Event`, for example."""

    def is_set(self) -> bool:
        """Whether it is."""
        ...

    def wait(self, timeout: float, /) -> bool:
        """Wait until it is, for at most `timeout` seconds; return whether it is."""
        ...


class Clock(Protocol):
    """Two clocks and a way to wait. Tests bring one whose time they make pass."""

    def wall(self) -> float:
        """Unix time in seconds. It can be set, and it runs on while the machine sleeps."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; on some systems they stand still while the machine sleeps."""
        ...

    def wait(self, event: Waitable, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; return whether it is set."""
        ...


class SystemClock:
    """The machine's own."""

    wall = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    @staticmethod
    def wait(event: Waitable, seconds: float) -> bool:
        """Wait in real time."""
        return event.wait(seconds)


SYSTEM_CLOCK: Final[Clock] = SystemClock()

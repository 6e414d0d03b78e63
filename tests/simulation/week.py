"""
What goes wrong in the week, and when.
"""

from typing import Final

from attrs import frozen

from simulation.fleet import DAY, HOUR


def at(day: int, hour: float) -> float:
    """Return the time of an hour of a day: 1 is Monday, 0 the Sunday before."""
    return day * DAY + hour * HOUR


MINUTE: Final = 60.0
ROLLING_DEPLOY: Final = at(2, 10)
ROLLING_TAKES: Final = 30 * MINUTE
BIG_BANG: Final = at(2, 15)
BIG_BANG_TAKES: Final = 10.0
OUTAGE: Final = (at(3, 10), at(3, 10) + 20 * MINUTE)
SLOW: Final = (at(3, 15), at(3, 15) + 20 * MINUTE)
STORE_DOWN: Final = (at(4, 10), at(4, 11))
REVOCATION: Final = at(4, 15)
LIMITED: Final = (at(5, 0), at(6, 0))
LIMITED_BIG_BANG: Final = at(5, 10)
COLD_START: Final = at(5, 15)
DEPLOYS: Final = (
    (ROLLING_DEPLOY, ROLLING_TAKES),
    *((start, BIG_BANG_TAKES) for start in (BIG_BANG, LIMITED_BIG_BANG, COLD_START)),
)


@frozen
class Window:
    """A part of the week that is reported by itself."""

    name: str
    start: float
    end: float


WINDOWS: Final = (
    Window("Monday: calm", at(1, 0), at(2, 0)),
    Window("Tuesday 10:00: rolling deploy, 30 minutes", at(2, 10), at(2, 13)),
    Window("Tuesday 15:00: every worker restarted within 10 s", at(2, 15), at(2, 18)),
    Window("Wednesday 10:00: token endpoint says 503 for 20 minutes", at(3, 10), at(3, 13)),
    Window("Wednesday 15:00: token endpoint takes 8 to 12 s for 20 minutes", at(3, 15), at(3, 18)),
    Window("Thursday 10:00: Redis does not answer for an hour", at(4, 10), at(4, 13)),
    Window("Thursday 15:00: every token revoked", at(4, 15), at(4, 18)),
    Window("Friday 10:00, with a rate limit: every worker restarted within 10 s", at(5, 10), at(5, 13)),
    Window("Friday 15:00, with a rate limit: the same, and every store empty", at(5, 15), at(5, 18)),
    Window("Sunday: calm weekend", at(7, 0), at(8, 0)),
)


def during(window: tuple[float, float], now: float) -> bool:
    """Whether it is that time."""
    return window[0] <= now < window[1]

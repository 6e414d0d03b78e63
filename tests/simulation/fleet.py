"""
Who calls what, and when: workers, machines, scopes, and the calls of a week.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from math import exp, inf
from random import Random
from typing import Final

from attrs import frozen

DAY: Final = 86_400.0
HOUR: Final = 3_600.0
DAYS: Final = 8
"""A Sunday to get warm in, which is not counted, and a week from Monday to Sunday."""

# Share of the busiest hour's calls, by hour of the day: clubs open at five, and people sign up in the evening, too.
_WEEKDAY: Final = (
    *(0.05, 0.04, 0.03, 0.03, 0.06, 0.2, 0.4, 0.6, 0.85, 1.0, 1.0, 0.95),
    *(0.9, 0.9, 0.95, 1.0, 1.0, 0.95, 0.85, 0.7, 0.5, 0.35, 0.2, 0.1),
)
_WEEKEND: Final = 0.4
_SHARES: Final = tuple(share * (_WEEKEND if day in (0, 6, 7) else 1) for day in range(DAYS) for share in _WEEKDAY)
# Busy hours' worth of calls up to each hour.
_UP_TO: Final = (0.0, *accumulate(share * HOUR for share in _SHARES))


def busy_seconds(until: float) -> float:
    """Return how many seconds of the busiest hour make as many calls as all the time from 0 to `until`."""
    hour = min(int(until // HOUR), len(_SHARES) - 1)
    return _UP_TO[hour] + (until - hour * HOUR) * _SHARES[hour]


def share_at(when: float) -> float:
    """Return the share of the busiest hour's calls that come at that time."""
    return _SHARES[min(int(when // HOUR), len(_SHARES) - 1)]


@frozen
class Size:
    """How much is simulated."""

    workers: int = 10_000
    machines: int = 500
    scopes: int = 5_000
    #: Pairs of a worker and a scope that it serves, about.
    pairs: int = 100_000
    #: Calls a second in the busiest hour.
    busy_rate: float = 300.0
    #: Token requests a second that the vendor grants while it limits.
    limit: int = 10


class Fleet:
    """Which worker serves which scopes how often. The same for every design."""

    def __init__(self, size: Size, seed: int) -> None:
        self.size = size
        self._random = Random(f"calls {seed}")  # noqa: S311 - to be drawn again
        random = Random(f"fleet {seed}")  # noqa: S311 - the same
        #: Of each pair.
        self.worker: list[int] = []
        self.scope: list[int] = []
        self.rate: list[float] = []
        #: The pairs of each worker.
        self.pairs_of: list[list[int]] = [[] for _ in range(size.workers)]
        weights = [1 / rank for rank in range(1, size.scopes + 1)]
        whole = sum(weights)
        for scope, weight in enumerate(weights, start=1):
            # The busiest is served by everybody, none by fewer than two.
            serving = max(2, min(size.workers, round(size.pairs * weight / whole)))
            for worker in random.sample(range(size.workers), serving):
                self.pairs_of[worker].append(len(self.rate))
                self.worker.append(worker)
                self.scope.append(scope)
                self.rate.append(size.busy_rate * weight / whole / serving)
        #: How far each machine's clock is off: a minute or two, but one is two hours slow, and one as much fast.
        self.skew = [max(-180.0, min(180.0, random.gauss(0, 60))) for _ in range(size.machines)]
        self.skew[0], self.skew[-1] = -2 * HOUR, 2 * HOUR

    def machine(self, worker: int) -> int:
        """Return where a worker runs; neighbours share a machine."""
        return worker * self.size.machines // self.size.workers

    def next_call(self, pair: int, after: float) -> float:
        """Return when the first call of a pair after that time comes, or infinity."""
        # Calls do not know of each other, so it does not matter how long ago the last one was.
        worth = busy_seconds(after) + self._random.expovariate(self.rate[pair])
        if worth >= _UP_TO[-1]:
            return inf
        hour = bisect_right(_UP_TO, worth) - 1
        return hour * HOUR + (worth - _UP_TO[hour]) / _SHARES[hour]

    def calls_by_second(self, random: Random) -> Iterator[tuple[int, int]]:
        """Return how many calls come in each second."""
        for second in range(int(DAYS * DAY)):
            yield second, poisson(random, self.size.busy_rate * share_at(second))


def poisson(random: Random, mean: float) -> int:
    """Draw how often something happens that happens `mean` times on average."""
    if mean > 30:
        return max(0, round(random.gauss(mean, mean**0.5)))
    product, limit, happened = random.random(), exp(-mean), 0
    while product > limit:
        product *= random.random()
        happened += 1
    return happened

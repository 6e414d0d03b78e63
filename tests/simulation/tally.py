"""
What is counted: token requests by second; calls that failed or waited by minute.
"""

from array import array
from collections import Counter
from itertools import accumulate
from typing import Final

from attrs import frozen

from simulation.fleet import DAY, DAYS, Fleet, busy_seconds, share_at

_SECONDS: Final = int(DAYS * DAY)
_MINUTES: Final = _SECONDS // 60


@frozen
class Figures:
    """What came of some part of the week."""

    calls: int
    requests: int
    #: The most token requests in one second, and in ten.
    peak: int
    peak_of_10: int
    too_many: int
    failed: int
    waited: int
    #: Of the calls that waited, in seconds: what 99 of 100 waited at most, and the longest.
    p99: float
    longest: float


class Tally:
    """Counts; everything is given by the time at which it began."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.requests = array("L", bytes(8 * _SECONDS))
        self.too_many = array("L", bytes(8 * _MINUTES))
        self._failed = array("L", bytes(8 * _MINUTES))
        # By minute, to the hundredth of a second.
        self._waits: dict[int, Counter[int]] = {}
        # Where every call of some pairs fails and none changes anything: changes of their rate, by minute.
        self._failing = array("d", bytes(8 * (_MINUTES + 1)))

    def call(self, began: float, waited: float, *, worked: bool, count: int = 1) -> None:
        """Count a call that was answered, or calls."""
        minute = int(began // 60)
        if not worked:
            self._failed[minute] += count
        if waited > 0:
            self._waits.setdefault(minute, Counter())[round(waited * 100)] += count

    def failing(self, pair: int, start: float, end: float) -> None:
        """Count every call of a pair between two times as failed; to the minute."""
        self._failing[int(start // 60)] += self._fleet.rate[pair]
        self._failing[min(int(end // 60), _MINUTES)] -= self._fleet.rate[pair]

    def failed_by_minute(self) -> list[float]:
        """Return the calls that failed in each minute."""
        rates = accumulate(self._failing)
        return [
            failed + max(0.0, rate) * share_at(minute * 60.0) * 60
            for minute, (failed, rate) in enumerate(zip(self._failed, rates, strict=False))
        ]

    def figures(self, start: float, end: float) -> Figures:
        """Return what came of that time."""
        requests = self.requests[int(start) : int(end)]
        minutes = range(int(start // 60), int(end // 60))
        waits: Counter[int] = Counter()
        for minute in minutes:
            waits.update(self._waits.get(minute, {}))
        up_to = [0, *accumulate(requests)]
        return Figures(
            calls=round(self._fleet.size.busy_rate * (busy_seconds(end) - busy_seconds(start))),
            requests=up_to[-1],
            peak=max(requests),
            peak_of_10=max(late - early for early, late in zip(up_to, up_to[10:], strict=False)),
            too_many=sum(self.too_many[minute] for minute in minutes),
            failed=round(sum(self.failed_by_minute()[minutes.start : minutes.stop])),
            waited=waits.total(),
            p99=_percentile(waits, 0.99),
            longest=max(waits, default=0) / 100,
        )


def _percentile(waits: Counter[int], share: float) -> float:
    so_far = 0
    for wait in sorted(waits):
        so_far += waits[wait]
        if so_far >= share * waits.total():
            return wait / 100
    return 0.0

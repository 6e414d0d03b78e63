"""
What arrived: one line for each request, in order of arrival, and a way to wait for the next.

Bearers are logged as fingerprints and bodies by kind. Nothing that was sent is kept, so a log can
be printed, pasted into a report and sent to a browser.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Literal

from attrs import evolve, frozen

from daxko_auth.model.vendor import PARTNER_TOKEN_ENDPOINT
from daxko_auth.sandbox.seen import BodyKind

BearerSent = Literal["refresh_token", "access_token", "other", "none"]

# A sandbox may run for weeks; nobody reads further back than this.
_MOST_KEPT: Final = 100_000


@frozen(kw_only=True)
class Arrival:
    """One request: what it looked like and what it was answered. Never what it said."""

    #: Counts from 1, and goes on after the log is cleared.
    number: int
    method: str
    #: Without the query; a segment that holds a secret reads `<withheld>`.
    path: str
    #: The status answered; None while nothing is, and for ever if the failure was to stay silent.
    status: int | None
    bearer: BearerSent
    #: Eight digits that stand for the bearer in this process, or a blank.
    bearer_fingerprint: str
    body: BodyKind
    #: `client:9999`: asked for at the partner token endpoint, held by the bearer elsewhere; else a blank.
    scope: str
    #: From the whole request's arrival to its answer.
    milliseconds: float | None
    #: `"refresh_token in url"`: each secret that lay where it does not belong.
    misplaced: tuple[str, ...]

    @property
    def is_token_request(self) -> bool:
        """Whether an access token was asked for with the refresh token's endpoint."""
        return self.method == "POST" and self.path == PARTNER_TOKEN_ENDPOINT.path


class Log:
    """The arrivals of one sandbox. Safe from any thread."""

    def __init__(self) -> None:
        self._changed: Final = threading.Condition()
        self._arrivals: dict[int, tuple[Arrival, float]] = {}
        self._last = 0
        self._token_requests: Counter[str] = Counter()

    def arrived(self, make: Callable[[int], Arrival]) -> int:
        """Add the arrival that `make` makes of the next number; return the number."""
        with self._changed:
            self._last += 1
            arrival = make(self._last)
            self._arrivals[self._last] = (arrival, time.perf_counter())
            self._arrivals.pop(self._last - _MOST_KEPT, None)
            if arrival.is_token_request:
                self._token_requests[arrival.scope] += 1
            self._changed.notify_all()
        return arrival.number

    def answered(self, number: int, status: int) -> None:
        """Complete an arrival with its answer; one that was cleared away meanwhile stays away."""
        with self._changed:
            held = self._arrivals.get(number)
            if held is not None:
                arrival, began = held
                took = round((time.perf_counter() - began) * 1000, 3)
                self._arrivals[number] = (evolve(arrival, status=status, milliseconds=took), began)
                self._changed.notify_all()

    def arrivals(self) -> list[Arrival]:
        """Return what arrived since the log was last cleared, oldest first."""
        with self._changed:
            return [arrival for arrival, _ in self._arrivals.values()]

    def token_requests(self, scope: str | None) -> int:
        """Count the partner token requests for `scope`, or for any, answered or not."""
        with self._changed:
            return self._token_requests.total() if scope is None else self._token_requests[scope]

    def clear(self) -> None:
        """Forget every arrival; numbers go on."""
        with self._changed:
            self._arrivals.clear()
            self._token_requests.clear()

    def wait_for(self, condition: Callable[[Sequence[Arrival]], bool], timeout: float) -> bool:
        """Wait until `condition` holds for the arrivals; return whether it did in time."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self.arrivals()), timeout)

    def wait_for_token_requests(self, count: int, scope: str | None, timeout: float) -> bool:
        """Wait until `count` partner token requests have arrived; return whether they did in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.token_requests(scope) >= count, timeout)

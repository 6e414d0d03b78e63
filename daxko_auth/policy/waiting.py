"""
How a caller waits for a renewal, and what becomes of renewals that do not end.
"""

import sys
import time
from typing import Final

from daxko_auth.model.errors import TokenEndpointUnavailable, TokenRequestError
from daxko_auth.model.scope import Scope
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.flight import Flight
from daxko_auth.policy.workers import Workers

# Seconds by which a wait may overrun on a busy machine; by more, the process was frozen, and the wait says nothing.
_OVERRUN: Final = 1.0
# Seconds until a caller without a thread looks again whether there is a place for its own.
_NEXT_LOOK: Final = 0.05
# Seconds until a caller looks again whether a thread has taken its renewal, or was lost.
_LONGEST_UNCLAIMED: Final = 1.0


class Wait:
    """How long one caller waits for a renewal, and what follows if it is in vain."""

    def __init__(
        self, flight: Flight, workers: Workers[Flight], clock: Clock, *, longest: float, timeout: float | None
    ) -> None:
        self._flight = flight
        self._clock = clock
        self._workers = workers
        self._longest = longest
        self._until = None if timeout is None else time.monotonic() + timeout
        self._begin()

    def _begin(self) -> None:
        self._began = time.monotonic()
        # What is under way before and after a whole turn does not end in time.
        self._busy = self._workers.busy()
        self._is_claimed = self._flight.is_claimed

    @property
    def seconds(self) -> float:
        """How long to wait before the next look."""
        now = time.monotonic()
        left = self._began + self._longest - now
        if self._until is not None:
            left = min(left, self._until - now)
        if not self._flight.is_claimed:
            # Where no thread can be had, callers' own may be in all places, and nobody tells when there is one.
            left = min(left, _LONGEST_UNCLAIMED if self._flight.is_submitted else _NEXT_LOOK)
        return max(0.0, left)

    @property
    def is_over(self) -> bool:
        """Whether it is in vain to wait."""
        # At the end of Python its other threads stand still.
        is_stranded = sys.is_finalizing() and self._flight.is_claimed
        is_late = self._until is not None and time.monotonic() >= self._until
        return self._flight.runs_here() or is_stranded or is_late

    @property
    def error(self) -> TokenRequestError:
        """Why it is."""
        scope = self._flight.slot.key.scope
        if self._flight.runs_here():
            return _given_up_error(scope)
        if sys.is_finalizing():
            return TokenEndpointUnavailable(
                f"no access token for {scope}: Python is shutting down, and the renewal under way ends with it",
                "Ask earlier",
                scope=scope.wire,
                retryable=True,
            )
        where = "its request is under way" if self._is_claimed else "its request waits for its turn among others"
        return TokenEndpointUnavailable(
            f"no access token for {scope} within the timeout of this call: {where}; it goes on",
            "Ask again, or allow more time",
            scope=scope.wire,
            retryable=True,
        )

    def ended(self, *, is_set: bool) -> None:
        """After a wait. If a whole turn was in vain, let nobody wait any more for what is stuck, and begin another."""
        waited = time.monotonic() - self._began
        if is_set or waited < self._longest:
            return
        # By more than a little, the process was frozen meanwhile.
        if waited <= self._longest + _OVERRUN:
            stuck = self._workers.abandon(self._busy)
            if self._is_claimed and self._flight not in stuck:
                stuck.append(self._flight)
            for flight in stuck:
                error = _given_up_error(flight.slot.key.scope)
                flight.next_state.set(flight.state.after(error, self._clock))
        self._begin()


def _given_up_error(scope: Scope) -> TokenRequestError:
    return TokenEndpointUnavailable(
        f"no access token for {scope}: the renewal did not end in time, or waits for itself",
        "Ask again later; if it lasts, look at the token store, and at log handlers that ask for tokens",
        scope=scope.wire,
        retryable=True,
    )

"""
How a caller waits for a renewal, and what becomes of renewals that do not end.
"""

import time
from typing import Final

from daxko_auth.model.errors import TokenEndpointUnavailable, TokenRequestError
from daxko_auth.model.scope import Scope
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.flight import Flight
from daxko_auth.policy.workers import Workers

# Seconds by which a wait may overrun on a busy machine; by more, the process was frozen, and the wait says nothing.
_OVERRUN: Final = 1.0


class Wait:
    """One turn of waiting for a renewal, and what follows if it was in vain."""

    def __init__(
        self, flight: Flight, workers: Workers[Flight], clock: Clock, *, longest: float, until: float | None
    ) -> None:
        self._flight = flight
        self._clock = clock
        self._workers = workers
        # What is under way before and after a whole turn does not end in time.
        self._busy = workers.busy()
        self._is_claimed = flight.is_claimed
        self._began = time.monotonic()
        left = longest if until is None else until - self._began
        self._is_whole = longest <= left
        self.seconds = max(0.0, min(longest, left))

    @property
    def is_over(self) -> bool:
        """Whether it is in vain to wait."""
        return self._flight.runs_here() or self.seconds <= 0

    @property
    def error(self) -> TokenRequestError:
        """Why it is."""
        scope = self._flight.slot.key.scope
        if self._flight.runs_here():
            return _given_up_error(scope)
        where = "its request is under way" if self._is_claimed else "its request waits for its turn among others"
        return TokenEndpointUnavailable(
            f"no access token for {scope} within the timeout of this call: {where}; it goes on",
            "Ask again, or allow more time",
            scope=scope.wire,
            retryable=True,
        )

    def ended(self, *, is_set: bool) -> None:
        """If it was in vain, and the process was not frozen meanwhile, let nobody wait any more for what is stuck."""
        if is_set or not self._is_whole or time.monotonic() - self._began > self.seconds + _OVERRUN:
            return
        stuck = self._workers.abandon(self._busy)
        if self._is_claimed and self._flight not in stuck:
            stuck.append(self._flight)
        for flight in stuck:
            error = _given_up_error(flight.slot.key.scope)
            flight.next_state.set(flight.state.after(error, self._clock))


def _given_up_error(scope: Scope) -> TokenRequestError:
    return TokenEndpointUnavailable(
        f"no access token for {scope}: the renewal did not end in time, or waits for itself",
        "Ask again later; if it lasts, look at the token store, and at log handlers that ask for tokens",
        scope=scope.wire,
        retryable=True,
    )

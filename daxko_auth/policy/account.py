"""
What Daxko said to the API account, whichever scope it was asked about.

A wrong password is wrong for every customer, and rate limits are per account: what one scope
learned, the others need not ask.
"""

import copy

from attrs import evolve, frozen

from daxko_auth.model.errors import TokenEndpointUnavailable, TokenRefused, TokenRequestError
from daxko_auth.model.scope import ClientScope
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal_policy import RenewalPolicy


@frozen
class _Failure:
    """The last one, when it was (monotonic), and how many seconds at least nobody asks after it."""

    error: TokenRequestError
    at: float
    least_pause: float = 0.0
    #: How many pauses there were since the last token, with this one; 0 if Daxko asked for none.
    pauses: int = 0


class Account:
    """Remembers the last failure that was the account's, for as long as the policy says."""

    def __init__(self, policy: RenewalPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        # Replaced whole, and read without a lock.
        self._last: _Failure | None = None

    @staticmethod
    def is_accepted(outcome: HeldToken | TokenRequestError) -> bool:
        """Whether a renewal that ended like this shows that Daxko accepts the account."""
        if isinstance(outcome, TokenRefused):
            return not _is_wrong_credentials(outcome)
        return isinstance(outcome, HeldToken)

    def note(self, outcome: HeldToken | TokenRequestError) -> None:
        """Take in how a token request ended; from now on, every renewal goes by it."""
        if isinstance(outcome, HeldToken):
            # A pause that somebody else was told of meanwhile holds on.
            if self._last is not None:
                self._last = evolve(self._last, pauses=0)
        elif outcome.retry_after is not None:
            self._last = self._paused(outcome, self._clock.monotonic())
        elif _is_wrong_credentials(outcome):
            self._last = _Failure(outcome, self._clock.monotonic())

    def _paused(self, error: TokenRequestError, now: float) -> _Failure:
        last = self._last
        before = 0 if last is None else last.pauses
        if last is not None and before and now < self._end_of_pause(last):
            # One of those that were under way when it began.
            return _Failure(error, now, last.least_pause, before)
        # What Daxko asks for is for one program alone. If that was too early, others ask as well: each time it is,
        # wait twice as long.
        least_pause = self._policy.first_pause * 2.0 ** min(before, 32) if before else 0.0
        return _Failure(error, now, min(least_pause, self._policy.deadline), before + 1)

    def failure_for(self, scope: ClientScope) -> TokenRequestError | None:
        """Return what `scope` is told without a request of its own, or None. A slot remembers its own failures."""
        failure = self._failure_now()
        if failure is None:
            return None
        same = copy.copy(failure.error)
        same.scope = scope.wire
        same.args = (
            f"no access token for {scope}, not asked for because of what was answered a moment ago: {failure.error}",
        )
        return same

    def is_passing(self) -> bool:
        """Whether that failure is a pause that Daxko asked for, and a renewal can wait for its end."""
        failure = self._failure_now()
        return (
            failure is not None
            and isinstance(failure.error, TokenEndpointUnavailable)
            and self.pause_left() < self._policy.deadline
        )

    def pause_left(self) -> float:
        """Return for how many more seconds Daxko wants no token request (RFC 9110 section 10.2.3, Retry-After)."""
        failure = self._failure_now()
        return 0.0 if failure is None else max(0.0, self._end_of_pause(failure) - self._clock.monotonic())

    def _failure_now(self) -> _Failure | None:
        failure = self._last
        if failure is None:
            return None
        memory = max(self._policy.pause(failure.error), failure.least_pause)
        return failure if self._clock.monotonic() < failure.at + memory else None

    @staticmethod
    def _end_of_pause(failure: _Failure) -> float:
        return failure.at + max(failure.error.retry_after or 0.0, failure.least_pause)


def _is_wrong_credentials(failure: TokenRequestError) -> bool:
    # RFC 6749 section 5.2: invalid_client is about the credentials, every other code about the request.
    return isinstance(failure, TokenRefused) and failure.error == "invalid_client"

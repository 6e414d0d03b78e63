"""
What Daxko said to the API account, whichever scope it was asked about.

A wrong password is wrong for every customer, and rate limits are per account: what one scope
learned, the others need not ask.
"""

import copy

from daxko_auth.facts.errors import TokenEndpointUnavailable, TokenRefused, TokenRequestError
from daxko_auth.facts.scope import ClientScope
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal_policy import RenewalPolicy


class Account:
    """Remembers the last failure that was the account's, for as long as the policy says."""

    def __init__(self, policy: RenewalPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        # Replaced whole, and read without a lock: the failure, and when it was (monotonic).
        self._failure: tuple[TokenRequestError, float] | None = None

    @staticmethod
    def is_accepted(outcome: HeldToken | TokenRequestError) -> bool:
        """Whether a renewal that ended like this shows that Daxko accepts the account."""
        if isinstance(outcome, TokenRefused):
            return not _is_wrong_credentials(outcome)
        return isinstance(outcome, HeldToken)

    def note(self, failure: TokenRequestError) -> None:
        """Take in how a token request failed; from now on, every renewal goes by it."""
        if _is_wrong_credentials(failure) or failure.retry_after is not None:
            self._failure = (failure, self._clock.monotonic())

    def failure_for(self, scope: ClientScope) -> TokenRequestError | None:
        """Return what `scope` is told without a request of its own, or None. A slot remembers its own failures."""
        failure = self._failure_now()
        if failure is None:
            return None
        same = copy.copy(failure[0])
        same.scope = scope.wire
        same.args = (
            f"no access token for {scope}, not asked for because of what was answered a moment ago: {failure[0]}",
        )
        return same

    def is_passing(self) -> bool:
        """Whether that failure is a pause that Daxko asked for, and a renewal can wait for its end."""
        failure = self._failure_now()
        return (
            failure is not None
            and isinstance(failure[0], TokenEndpointUnavailable)
            and self.pause_left() < self._policy.deadline
        )

    def pause_left(self) -> float:
        """Return for how many more seconds Daxko wants no token request (RFC 9110 section 10.2.3, Retry-After)."""
        failure = self._failure_now()
        if failure is None:
            return 0.0
        return max(0.0, failure[1] + (failure[0].retry_after or 0.0) - self._clock.monotonic())

    def _failure_now(self) -> tuple[TokenRequestError, float] | None:
        failure = self._failure
        if failure is None or self._clock.monotonic() >= failure[1] + self._policy.pause(failure[0]):
            return None
        return failure


def _is_wrong_credentials(failure: TokenRequestError) -> bool:
    # RFC 6749 section 5.2: invalid_client is about the credentials, every other code about the request.
    return isinstance(failure, TokenRefused) and failure.error == "invalid_client"

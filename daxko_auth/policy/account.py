"""
What Daxko said to the API account, whichever scope it was asked about.

A wrong password is wrong for every customer, and rate limits are per account: what one scope
learned, the others need not ask.
"""

import copy

from daxko_auth.facts.errors import TokenRefused, TokenRequestError
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

    def note(self, outcome: HeldToken | TokenRequestError) -> bool:
        """Take in how a renewal ended; return whether Daxko accepted the account."""
        if isinstance(outcome, HeldToken):
            return True
        refused = isinstance(outcome, TokenRefused)
        # RFC 6749 section 5.2: invalid_client is about the credentials, every other code about the request.
        wrong_credentials = refused and outcome.error == "invalid_client"
        if wrong_credentials or outcome.retry_after is not None:
            self._failure = (outcome, self._clock.monotonic())
        return refused and not wrong_credentials

    def failure_for(self, scope: ClientScope) -> TokenRequestError | None:
        """Return why there is no point in asking for `scope` now, or None. A slot remembers its own failures."""
        if self._failure is None:
            return None
        failure, failed_at = self._failure
        if self._clock.monotonic() >= failed_at + self._policy.pause(failure):
            return None
        same = copy.copy(failure)
        same.scope = scope.wire
        same.args = (
            f"no access token for {scope}, not asked for because of what was answered a moment ago: {failure}",
        )
        return same

"""
What Daxko said to the account, whichever scope it was asked about.

A wrong password is wrong for every customer, and rate limits are per account: what one scope learned, the others need
not ask. Each fact is replaced whole, and read without a lock.
"""

import copy
from typing import Final

from attrs import evolve, frozen

from daxko_auth.model.errors import REFUSALS, TokenEndpointUnavailable, TokenRefused, TokenRequestError
from daxko_auth.model.scope import Scope
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal_policy import RenewalPolicy

# RFC 6749 section 5.2. Every other code, and a refusal without one, leaves open whose it is.
_OF_THE_SCOPE: Final = frozenset({"invalid_scope", "unauthorized_client"})
_OF_THE_ACCOUNT: Final = frozenset({"invalid_client"})
_NEVER: Final = float("-inf")


class _Refusal:
    """The account was refused, while a token was asked for one scope."""

    def __init__(self, error: TokenRequestError, at: float) -> None:
        self.error = error
        #: Monotonic.
        self.at = at
        #: The scopes that were told of it.
        self.told: set[str] = set()
        #: Until when (monotonic) scopes that were refused give way to others; None until one of them asks again.
        self.gives_way_until: float | None = None


@frozen
class _Pause:
    """Daxko asked for it with `error`, at an instant (monotonic)."""

    error: TokenRequestError
    at: float
    least: float = 0.0
    #: How many there were since the last token, with this one.
    number: int = 1

    @property
    def ends_at(self) -> float:
        return self.at + max(self.error.retry_after or 0.0, self.least)


class AccountState:
    """Remembers what was the account's, for as long as the policy says."""

    def __init__(self, policy: RenewalPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        #: Whether the last that Daxko said of the account is a token. Until then, one token request at a time.
        self.is_accepted = False
        # Whether these secrets have ever produced a token.
        self._has_produced = False
        self._refusal: _Refusal | None = None
        self._pause: _Pause | None = None
        # The scope of the last refusal that left open whose it is; None once there was a token since.
        self._unclear: str | None = None
        # When (monotonic) each scope was refused last, since there was a token.
        self._refused_at: dict[str, float] = {}

    def note(self, outcome: HeldToken | TokenRequestError) -> None:
        """Take in how a token request ended; from now on, every renewal goes by it."""
        if isinstance(outcome, HeldToken):
            self.is_accepted = self._has_produced = True
            self._refusal = self._unclear = None
            self._refused_at = {}
            # A pause that somebody else was told of meanwhile holds on.
            if self._pause is not None:
                self._pause = evolve(self._pause, number=0)
        elif outcome.retry_after is not None:
            self._pause = self._next_pause(outcome, self._clock.monotonic())
        elif self._is_the_accounts(outcome):
            self.is_accepted = False
            self._refusal = _Refusal(outcome, self._clock.monotonic())

    def _is_the_accounts(self, error: TokenRequestError) -> bool:
        # By what it is, not by its status: an error code makes any answer a refusal.
        is_refusal = isinstance(error, TokenRefused) or error.status_code in REFUSALS
        if not is_refusal or error.error in _OF_THE_SCOPE:
            return False
        self._refused_at[error.scope] = self._clock.monotonic()
        if error.error in _OF_THE_ACCOUNT or not self._has_produced:
            return True
        before, self._unclear = self._unclear, error.scope
        return before is not None and before != error.scope

    def _next_pause(self, error: TokenRequestError, now: float) -> _Pause:
        last = self._pause
        if last is None or not last.number:
            return _Pause(error, now)
        if now < last.ends_at:
            # One of those that were under way when it began.
            return _Pause(error, now, last.least, last.number)
        # What Daxko asks for is for one program alone. If that was too early, others ask as well: each time it is,
        # wait twice as long.
        least = self._policy.first_pause * 2.0 ** min(last.number, 32)
        return _Pause(error, now, min(least, self._policy.deadline), last.number + 1)

    def failure_for(self, scope: Scope) -> TokenRequestError | None:
        """Return what `scope` is told without a request of its own, or None. A slot remembers its own failures."""
        error = self._refusal_for(scope) or self._pause_error()
        if error is None:
            return None
        same = copy.copy(error)
        same.scope = scope.wire
        same.what = (
            f"no access token for {scope}, not asked for because of what was answered a moment ago: {error.what}"
        )
        same.args = (f"{same.what}. {same.advice}" if same.advice else same.what,)
        return same

    def _refusal_for(self, scope: Scope) -> TokenRequestError | None:
        refusal = self._refusal
        if refusal is None:
            return None
        now, memory = self._clock.monotonic(), self._policy.refusal_memory
        if now < refusal.at + memory:
            refusal.told.add(scope.wire)
            return refusal.error
        # Somebody has to ask again: whoever was never refused, or longest ago, so that customers who are not opened
        # yet never stop the others. But those may never come.
        refused_at = self._refused_at
        mine = refused_at.get(scope.wire, _NEVER)
        if any(refused_at.get(other, _NEVER) < mine for other in refusal.told.copy()):
            if refusal.gives_way_until is None:
                refusal.gives_way_until = now + memory
            if now < refusal.gives_way_until:
                return refusal.error
        return None

    def _pause_error(self) -> TokenRequestError | None:
        pause = self._pause
        if pause is None:
            return None
        memory = max(self._policy.pause(pause.error), pause.least)
        return pause.error if self._clock.monotonic() < pause.at + memory else None

    def is_passing(self, scope: Scope) -> bool:
        """Whether that failure is a pause that Daxko asked for, and a renewal can wait for its end."""
        return (
            self._refusal_for(scope) is None
            and isinstance(self._pause_error(), TokenEndpointUnavailable)
            and self.pause_left() < self._policy.deadline
        )

    def pause_left(self) -> float:
        """Return for how many more seconds Daxko wants no token request (RFC 9110 section 10.2.3, Retry-After)."""
        pause = self._pause
        if pause is None or self._pause_error() is None:
            return 0.0
        return max(0.0, pause.ends_at - self._clock.monotonic())

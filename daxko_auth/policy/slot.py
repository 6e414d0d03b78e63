"""
What one process knows about one scope: the table of states, as code.

Everything here changes under the slot's lock, but `held`, which is read without one because it is
only ever replaced whole. Nothing here waits, asks or logs.
"""

import threading
from collections.abc import Callable
from typing import Final

from daxko_auth.model.errors import TokenRequestError
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.flight import Flight
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal_policy import RenewalPolicy

#: How a renewal ends.
Outcome = HeldToken | TokenRequestError
#: What a caller finds: the token at hand, the failure at hand, or the flight to wait for.
Boarding = HeldToken | TokenRequestError | Flight[Outcome]

_NEVER: Final = float("-inf")
# More than anybody brings back late; fewer than would be felt in memory.
_PAST_KEPT: Final = 8


class Slot:
    """The token of one scope, what became of those before it, and the renewal under way."""

    __slots__ = (
        "_clock",
        "_failed_at",
        "_failure",
        "_failures",
        "_flight",
        "_hold_until",
        "_lock",
        "_policy",
        "_refused_at",
        "_unreplayed_until",
        "held",
        "key",
        "past",
    )

    def __init__(self, key: TokenKey, policy: RenewalPolicy, clock: Clock) -> None:
        self.key = key
        self.held: HeldToken | None = None
        #: The last few that were replaced or refused by a server; never taken from a store again.
        self.past: tuple[AccessToken, ...] = ()
        self._policy = policy
        self._clock = clock
        # Re-entrant: a signal handler or a finalizer may ask for a token in the middle of this.
        self._lock = threading.RLock()
        self._flight: Flight[Outcome] | None = None
        # The last failed renewal, when it ended (monotonic), and how many failed in a row.
        self._failure: TokenRequestError | None = None
        self._failed_at = _NEVER
        self._failures = 0
        # When (wall time) a 401 last dropped the token held.
        self._refused_at = _NEVER
        # Until when (monotonic) a 401 starts no renewal: after one that did not help, and
        # after a 401 whose call was not replayed, so that nobody knows whether it would help.
        self._hold_until = _NEVER
        self._unreplayed_until = _NEVER

    @property
    def flight(self) -> Flight[Outcome] | None:
        """The renewal under way, if there is one."""
        flight = self._flight
        return None if flight is None or flight.has_landed else flight

    def board(self, launch: Callable[["Slot"], Flight[Outcome] | TokenRequestError]) -> Boarding:
        """Return what a caller gets now; start a renewal with `launch` if one is due."""
        with self._lock:
            held, now = self.held, self._clock.monotonic()
            if held is not None and held.is_fresh(self._clock):
                return held
            if held is not None and held.is_usable(self._clock):
                if self.flight is None and now >= self._failed_at + self._pause_while_usable():
                    self._launch(launch)
                return held
            if (flight := self.flight) is not None:
                return flight
            if self._failure is not None and now < self._failed_at + self._policy.pause(self._failure):
                return self._failure
            return self._launch(launch)

    def board_after_401(
        self, token: AccessToken, launch: Callable[["Slot"], Flight[Outcome] | TokenRequestError]
    ) -> Boarding | None:
        """Return what a caller gets whose `token` was refused, or None during a hold."""
        with self._lock:
            held = self.held
            if held is not None and held.token != token and held.is_usable(self._clock):
                return held  # a late 401: the successor is here already
            if self._clock.monotonic() < self._hold_until:
                return None
            if held is not None and held.token == token:
                self._refused_at = self._clock.wall()
            self.drop(token)
            return self.board(launch)

    def settle(self, flight: Flight[Outcome], outcome: Outcome) -> bool:
        """Take in how a renewal ended; return whether it failed behind callers who noticed nothing."""
        with self._lock:
            current = self._flight is flight
            usable = self.held is not None and self.held.is_usable(self._clock)
            if current:
                self._flight = None
            elif usable or not isinstance(outcome, HeldToken):
                return False  # it was given up, and others have been here since
            if isinstance(outcome, HeldToken):
                if self.held is not None:
                    self._bury(self.held.token)
                self.held, self._failure, self._failures = outcome, None, 0
                return False
            self._failure, self._failed_at = outcome, self._clock.monotonic()
            self._failures += 1
            return usable

    def drop(self, token: AccessToken) -> None:
        """Forget exactly this token."""
        with self._lock:
            self._bury(token)
            if self.held is not None and self.held.token == token:
                self.held = None

    def drop_without_replay(self, token: AccessToken) -> bool:
        """Forget exactly this token, at most once per hold; say whether the next caller gets another."""
        with self._lock:
            now = self._clock.monotonic()
            if self.held is not None and self.held.token == token:
                if now < max(self._hold_until, self._unreplayed_until):
                    return False
                self.drop(token)
                self._unreplayed_until = now + self._policy.hold
            return True

    def hold(self, token: AccessToken) -> bool:
        """Begin a hold if `token`, refused on a replay, is fresh; return whether a hold began that was not there."""
        with self._lock:
            now = self._clock.monotonic()
            asked_for_at = token.expires_at.timestamp() - token.expires_in
            # A datetime is exact to the microsecond.
            before = asked_for_at < self._refused_at - 1e-6
            if before or self._clock.wall() - asked_for_at > self._policy.hold:
                # It was at hand long before the call, or under way already when the first was refused, and may
                # have been taken back together with it: nothing was renewed that could have helped.
                self.drop(token)
                return False
            began = now >= self._hold_until
            self._hold_until = now + self._policy.hold
            return began

    def is_idle(self) -> bool:
        """Whether nothing would be lost with it: no usable token, no renewal, nothing that it remembers."""
        with self._lock:
            now = self._clock.monotonic()
            remembers = self._failure is not None and now < self._failed_at + self._policy.pause(self._failure)
            return not (
                remembers
                or (self.held is not None and self.held.is_usable(self._clock))
                or self.flight is not None
                or now < max(self._hold_until, self._unreplayed_until)
            )

    def clear(self) -> Flight[Outcome] | None:
        """Forget the token; return the renewal under way."""
        with self._lock:
            self.held = None
            return self.flight

    def after_fork_in_child(self) -> None:
        """Keep the token; the lock and the flight belong to threads of the parent."""
        self._lock = threading.RLock()
        self._flight = None

    def _launch(
        self, launch: Callable[["Slot"], Flight[Outcome] | TokenRequestError]
    ) -> Flight[Outcome] | TokenRequestError:
        launched = launch(self)
        if isinstance(launched, Flight):
            self._flight = launched
        return launched

    def _pause_while_usable(self) -> float:
        return self._policy.pause_while_usable(self._failure, self._failures) if self._failure else 0.0

    def _bury(self, token: AccessToken) -> None:
        # A store goes by the wall clock, which can be set back; to it, a token of the past may look alive.
        if token not in self.past:
            self.past = (*self.past, token)[-_PAST_KEPT:]

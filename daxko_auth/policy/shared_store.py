"""
A store as renewals use it: whatever it raises costs a shared token, never a request.
"""

import threading
from collections.abc import Callable, Container, Generator
from contextlib import contextmanager
from typing import Final, TypeVar

from daxko_auth.model.events import StoreFailed
from daxko_auth.model.log import WarningThrottle, warn
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken
from daxko_auth.policy.announcer import Announcer
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal_policy import RenewalPolicy
from daxko_auth.policy.store import TokenStore

_Result = TypeVar("_Result")

# Seconds for which a store that failed is left alone: one that does not answer costs its timeout at each step.
_REST: Final = 5.0


class SharedStore:
    """Somebody's `TokenStore`, with the policy's rules for its use. Called from renewal threads only."""

    def __init__(self, store: TokenStore, policy: RenewalPolicy, clock: Clock, announce: Announcer) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._announce = announce
        self._trouble = WarningThrottle()
        self._rest_until = float("-inf")

    def find(self, key: TokenKey, held: AccessToken | None, past: Container[str]) -> HeldToken | None:
        """Return the token kept for `key` if it is usable, newer than the one held and not of the past."""
        kept = self._attempt("read", key, lambda: self._store.read(key))
        try:
            return self._usable(key, kept, held, past)
        except BaseException as error:
            if _is_ctrl_c(error):
                raise
            # Anybody's store may give what cannot be reckoned with.
            kind = type(error).__name__
        self._tell("read", key, kind)
        return None

    def keep(self, key: TokenKey, token: AccessToken) -> None:
        """Keep `token` for everybody."""
        self._attempt("write", key, lambda: self._store.write(key, token))

    def drop(self, key: TokenKey, token: AccessToken) -> None:
        """See that nobody else takes exactly this token."""
        self._attempt("drop", key, lambda: self._store.drop(key, token))

    @contextmanager
    def turn(self, key: TokenKey) -> Generator[None, None, None]:
        """Wait until nobody else renews this token, or for half of the deadline."""
        # At most half of the time: whoever holds the turn may be stuck, and then we ask ourselves.
        turn = self._attempt("turn", key, lambda: self._store.turn(key, self._policy.deadline / 2))
        entered = turn is not None and self._attempt("turn", key, lambda: (turn.__enter__(), True)[1])
        try:
            yield
        finally:
            if turn is not None and entered:
                # Also where the store has failed meanwhile: others wait until the turn is given back.
                self._attempt("turn", key, lambda: turn.__exit__(None, None, None), at_rest=True)

    def _usable(self, key: TokenKey, kept: object, held: AccessToken | None, past: Container[str]) -> HeldToken | None:
        if kept is None:
            return None
        if not isinstance(kept, AccessToken):
            raise TypeError
        if kept.scope != key.scope or kept == held:
            return None
        if kept.fingerprint in past:
            self.drop(key, kept)
            return None
        if held is not None and kept.expires_at <= held.expires_at:
            return None
        found = HeldToken(kept, self._policy, wall=self._clock.wall(), monotonic=self._clock.monotonic())
        return found if found.is_usable(self._clock) else None

    def _attempt(
        self, operation: str, key: TokenKey, do: Callable[[], _Result], *, at_rest: bool = False
    ) -> _Result | None:
        if self._clock.monotonic() < self._rest_until and not at_rest:
            return None
        try:
            return do()
        except BaseException as error:
            if _is_ctrl_c(error):
                raise
            # A store is optional; a request is not.
            kind = type(error).__name__
        self._rest_until = self._clock.monotonic() + _REST
        self._tell(operation, key, kind)
        return None

    def _tell(self, operation: str, key: TokenKey, kind: str) -> None:
        # Not the message: what a store says may hold its password.
        level = self._trouble.level(self._clock.monotonic())
        warn("token store: %s failed (%s); tokens are asked for directly", operation, kind, level=level)
        self._announce(StoreFailed(key.scope, operation, kind))


def _is_ctrl_c(error: BaseException) -> bool:
    # Only in the main thread, which renews where no other can be had. Elsewhere somebody has raised it by hand.
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()

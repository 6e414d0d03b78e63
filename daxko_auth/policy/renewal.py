"""
One renewal from beginning to end: look into the store, ask, ask again where that can help.

A blocking function; who runs it, and who waits for it, is decided elsewhere.
"""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

from attrs import frozen

from daxko_auth.facts.errors import TokenEndpointUnavailable, TokenRequestError
from daxko_auth.facts.log import log
from daxko_auth.facts.scope import ClientScope
from daxko_auth.facts.token_key import TokenKey
from daxko_auth.facts.tokens import AccessToken
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal_policy import RenewalPolicy
from daxko_auth.policy.store import TokenStore

_Result = TypeVar("_Result")


class TokenExchange(Protocol):
    """What a renewal asks of the exchange."""

    def request(self, scope: ClientScope, *, sent_at: float, timeout: float) -> AccessToken | TokenRequestError:
        """Ask once; return the token or the error, and raise nothing."""
        ...


@frozen
class Renewal:
    """How the tokens of one account are renewed."""

    exchange: TokenExchange
    store: TokenStore
    policy: RenewalPolicy
    clock: Clock
    #: Set when nobody wants tokens any more; it ends every wait.
    closing: threading.Event

    def run(
        self, key: TokenKey, *, held: AccessToken | None, past: tuple[AccessToken, ...]
    ) -> HeldToken | TokenRequestError:
        """
        Return another token than `held` and those of the `past`, or the error that says why there is none.

        Somebody else's token from the store will do, if it is usable and newer than the one held.
        """
        deadline = self.clock.monotonic() + self.policy.deadline
        try:
            with self._turn(key):
                found = self._find(key, held, past)
                if found is not None:
                    return found
                outcome = self._request(key.scope, deadline)
                if isinstance(outcome, HeldToken):
                    self._in_store("write", lambda: self.store.write(key, outcome.token))
                return outcome
        except Exception as error:  # noqa: BLE001 - callers wait for this thread and must be told, whatever happened
            kind = type(error).__name__
        return TokenRequestError(
            f"no access token for {key.scope}: the renewal failed unexpectedly ({kind}); please report this",
            scope=key.scope.wire,
        )

    def _find(self, key: TokenKey, held: AccessToken | None, past: tuple[AccessToken, ...]) -> HeldToken | None:
        token = self._in_store("read", lambda: self.store.read(key))
        if token is None or token.scope != key.scope or token == held:
            return None
        if token in past:
            # So that nobody else takes it, either.
            self._in_store("drop", lambda: self.store.drop(key, token))
            return None
        if held is not None and token.expires_at <= held.expires_at:
            return None
        found = HeldToken.of(token, self.policy, wall=self.clock.wall(), monotonic=self.clock.monotonic())
        return found if found.is_usable(self.clock) else None

    def _request(self, scope: ClientScope, deadline: float) -> HeldToken | TokenRequestError:
        attempt = 1
        while True:
            wall, monotonic = self.clock.wall(), self.clock.monotonic()
            timeout = min(self.policy.attempt_timeout, deadline - monotonic)
            outcome = self.exchange.request(scope, sent_at=wall, timeout=timeout)
            if isinstance(outcome, AccessToken):
                # Its life counts from before it was sent: the answer may have been long under way.
                return HeldToken.of(outcome, self.policy, wall=wall, monotonic=monotonic)
            if not isinstance(outcome, TokenEndpointUnavailable) or attempt == self.policy.attempts:
                return outcome
            wait = self.policy.retry_wait(attempt, outcome.retry_after)
            if self.clock.monotonic() + wait >= deadline or self.clock.wait(self.closing, wait):
                return outcome
            attempt += 1

    @contextmanager
    def _turn(self, key: TokenKey) -> Generator[None, None, None]:
        # At most half of the time: whoever holds the turn may be stuck, and then we ask ourselves.
        turn = self._in_store("turn", lambda: self.store.turn(key, self.policy.deadline / 2))
        entered = turn is not None and self._in_store("turn", lambda: (turn.__enter__(), True)[1])
        try:
            yield
        finally:
            if turn is not None and entered:
                with suppress(Exception):
                    turn.__exit__(None, None, None)

    def _in_store(self, what: str, do: Callable[[], _Result]) -> _Result | None:
        try:
            return do()
        except Exception as error:  # noqa: BLE001 - a store is optional; a request is not
            log.warning("token store: %s failed (%s); tokens are asked for directly", what, type(error).__name__)
        return None

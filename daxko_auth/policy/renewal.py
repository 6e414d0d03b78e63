"""
One renewal from beginning to end: look into the store, ask, ask again where that can help.

A blocking function; who runs it, and who waits for it, is decided elsewhere.
"""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

from attrs import field, frozen

from daxko_auth.facts.errors import TokenEndpointUnavailable, TokenRequestError
from daxko_auth.facts.log import Seldom, log
from daxko_auth.facts.scope import ClientScope
from daxko_auth.facts.token_key import TokenKey
from daxko_auth.facts.tokens import AccessToken
from daxko_auth.facts.vendor import PARTNER_TOKEN_ENDPOINT
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
    store: TokenStore | None
    policy: RenewalPolicy
    clock: Clock
    #: Set when nobody wants tokens any more; it ends every wait.
    closing: threading.Event
    _store_trouble: Seldom = field(factory=Seldom, init=False, repr=False)

    def run(
        self, key: TokenKey, *, held: AccessToken | None, past: tuple[AccessToken, ...]
    ) -> HeldToken | TokenRequestError:
        """
        Return another token than `held` and those of the `past`, or the error that says why there is none.

        Somebody else's token from the store will do, if it is usable and newer than the one held.
        """
        try:
            store = self.store
            if store is None:
                return self._request(key)
            with self._turn(store, key):
                # All of the looking: what a store gives may be a token that cannot be reckoned with.
                found = self._attempt("read", lambda: self._find(store, key, held, past))
                return found or self._request_and_keep(store, key)
        except BaseException as error:  # noqa: BLE001 - callers wait for this thread and must be told, whatever happened
            kind = type(error).__name__
        return TokenRequestError(
            f"no access token for {key.scope}: the renewal failed unexpectedly ({kind}). Please report this",
            scope=key.scope.wire,
        )

    def _find(
        self, store: TokenStore, key: TokenKey, held: AccessToken | None, past: tuple[AccessToken, ...]
    ) -> HeldToken | None:
        token = _token_or_none(store.read(key))
        if token is None or token.scope != key.scope or token == held:
            return None
        if token in past:
            # So that nobody else takes it, either.
            self._attempt("drop", lambda: store.drop(key, token))
            return None
        if held is not None and token.expires_at <= held.expires_at:
            return None
        found = HeldToken.of(token, self.policy, wall=self.clock.wall(), monotonic=self.clock.monotonic())
        return found if found.is_usable(self.clock) else None

    def _request_and_keep(self, store: TokenStore, key: TokenKey) -> HeldToken | TokenRequestError:
        outcome = self._request(key)
        if isinstance(outcome, HeldToken):
            self._attempt("write", lambda: store.write(key, outcome.token))
        return outcome

    def _request(self, key: TokenKey) -> HeldToken | TokenRequestError:
        deadline = self.clock.monotonic() + self.policy.deadline
        attempt = 1
        while True:
            wall, monotonic = self.clock.wall(), self.clock.monotonic()
            timeout = min(self.policy.attempt_timeout, deadline - monotonic)
            outcome = self.exchange.request(key.scope, sent_at=wall, timeout=timeout)
            if isinstance(outcome, AccessToken):
                # Its life counts from before it was sent: the answer may have been long under way.
                held = HeldToken.of(outcome, self.policy, wall=wall, monotonic=monotonic)
                return held if held.is_usable(self.clock) else _dead_on_arrival(key)
            if not isinstance(outcome, TokenEndpointUnavailable) or attempt >= self.policy.attempts:
                return outcome
            wait = self.policy.retry_wait(attempt, outcome.retry_after)
            if self.clock.monotonic() + wait >= deadline or self.clock.wait(self.closing, wait):
                return outcome
            attempt += 1

    @contextmanager
    def _turn(self, store: TokenStore, key: TokenKey) -> Generator[None, None, None]:
        # At most half of the time: whoever holds the turn may be stuck, and then we ask ourselves.
        turn = self._attempt("turn", lambda: store.turn(key, self.policy.deadline / 2))
        entered = turn is not None and self._attempt("turn", lambda: (turn.__enter__(), True)[1])
        try:
            yield
        finally:
            if turn is not None and entered:
                with suppress(BaseException):
                    turn.__exit__(None, None, None)

    def _attempt(self, what: str, do: Callable[[], _Result]) -> _Result | None:
        try:
            return do()
        except BaseException as error:  # noqa: BLE001 - a store is optional; a request is not
            level = self._store_trouble.level(self.clock.monotonic())
            log.log(level, "token store: %s failed (%s); tokens are asked for directly", what, type(error).__name__)
        return None


def _dead_on_arrival(key: TokenKey) -> TokenRequestError:
    return TokenEndpointUnavailable(
        f"no access token for {key.scope}: the life of the one from {key.origin}{PARTNER_TOKEN_ENDPOINT.path} was "
        "over before it arrived. Ask again later; if it lasts, check the network, and the life that Daxko grants",
        scope=key.scope.wire,
        retryable=True,
    )


def _token_or_none(read: object) -> AccessToken | None:
    # Stores can be anybody's, and what they keep may have been kept by another version.
    if read is None or isinstance(read, AccessToken):
        return read
    raise TypeError

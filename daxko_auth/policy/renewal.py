"""
One renewal from beginning to end: look into the store, ask, ask again where that can help.

A blocking function; who runs it, and who waits for it, is decided elsewhere.
"""

import threading
from typing import Protocol

from attrs import frozen

from daxko_auth.model.errors import TokenEndpointUnavailable, TokenRequestError
from daxko_auth.model.events import TokenRequested
from daxko_auth.model.scope import ClientScope
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken
from daxko_auth.model.vendor import PARTNER_TOKEN_ENDPOINT
from daxko_auth.policy.account import Account
from daxko_auth.policy.announcer import Announcer
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal_policy import RenewalPolicy
from daxko_auth.policy.shared_store import SharedStore


class TokenExchange(Protocol):
    """What a renewal asks of the exchange."""

    def request(self, scope: ClientScope, *, sent_at: float, timeout: float) -> AccessToken | TokenRequestError:
        """Ask once; return the token or the error, and raise nothing."""
        ...


@frozen
class Renewal:
    """How the tokens of one account are renewed."""

    exchange: TokenExchange
    store: SharedStore | None
    account: Account
    policy: RenewalPolicy
    clock: Clock
    announce: Announcer
    #: Set when nobody wants tokens any more; it ends every wait.
    closing: threading.Event

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
            with store.turn(key):
                return store.find(key, held, past) or self._request_and_keep(store, key)
        except BaseException as error:  # noqa: BLE001 - callers wait for this thread and must be told, whatever happened
            kind = type(error).__name__
        return TokenRequestError(
            f"no access token for {key.scope}: the renewal failed unexpectedly ({kind}). Please report this",
            scope=key.scope.wire,
        )

    def _request_and_keep(self, store: SharedStore, key: TokenKey) -> HeldToken | TokenRequestError:
        outcome = self._request(key)
        if isinstance(outcome, HeldToken):
            store.keep(key, outcome.token)
        return outcome

    def _request(self, key: TokenKey) -> HeldToken | TokenRequestError:
        deadline = self.clock.monotonic() + self.policy.deadline
        # What another scope was answered counts as what this one was.
        failure = self.account.failure_for(key.scope)
        attempt = 0
        while True:
            if failure is not None:
                if not isinstance(failure, TokenEndpointUnavailable) or attempt >= self.policy.attempts:
                    return failure
                wait = self.account.pause_left() + self.policy.retry_wait(attempt)
                if self.clock.monotonic() + wait >= deadline or self.clock.wait(self.closing, wait):
                    return failure
                if self.account.pause_left():
                    continue  # another scope was told to wait, meanwhile
            attempt += 1
            outcome = self._exchange(key.scope, attempt, deadline)
            self.account.note(outcome)
            if isinstance(outcome, HeldToken):
                return outcome if outcome.is_usable(self.clock) else _dead_on_arrival(key)
            failure = outcome

    def _exchange(self, scope: ClientScope, attempt: int, deadline: float) -> HeldToken | TokenRequestError:
        wall, monotonic = self.clock.wall(), self.clock.monotonic()
        timeout = min(self.policy.attempt_timeout, deadline - monotonic)
        outcome = self.exchange.request(scope, sent_at=wall, timeout=timeout)
        error = None if isinstance(outcome, AccessToken) else outcome
        self.announce(TokenRequested(scope, wall, self.clock.monotonic() - monotonic, attempt, error))
        if isinstance(outcome, AccessToken):
            # Its life counts from before it was sent: the answer may have been long under way.
            return HeldToken.of(outcome, self.policy, wall=wall, monotonic=monotonic)
        return outcome


def _dead_on_arrival(key: TokenKey) -> TokenRequestError:
    return TokenEndpointUnavailable(
        f"no access token for {key.scope}: the life of the one from {key.origin}{PARTNER_TOKEN_ENDPOINT.path} was "
        "over before it arrived. Ask again later; if it lasts, check the network, and the life that Daxko grants",
        scope=key.scope.wire,
        retryable=True,
    )

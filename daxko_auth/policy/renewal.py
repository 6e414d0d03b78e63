"""
One renewal from beginning to end: look into the store, ask, ask again where that can help.

A blocking function; who runs it, and who waits for it, is decided elsewhere.
"""

from collections.abc import Callable
from typing import Final, Protocol

from attrs import frozen

from daxko_auth.model.errors import TokenEndpointUnavailable, TokenRequestError
from daxko_auth.model.events import Event, TokenRequested
from daxko_auth.model.scope import Scope
from daxko_auth.model.shared_result import SharedResult
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken
from daxko_auth.model.vendor import PARTNER_TOKEN_ENDPOINT
from daxko_auth.policy.account_state import AccountState
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.flight import Flight, Outcome
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal_policy import RenewalPolicy
from daxko_auth.policy.shared_store import SharedStore

# Seconds by which a request that has a limit of time may overrun it on a busy machine. One that overruns it by more was
# frozen with its process: a suspended container, a closed lid.
_OVERRUN: Final = 1.0


class TokenExchange(Protocol):
    """What a renewal asks of the exchange."""

    def request(self, scope: Scope, *, sent_at: float, timeout: float) -> AccessToken | TokenRequestError:
        """Ask once; return the token or the error, and raise nothing."""
        ...


@frozen
class Renewal:
    """How the tokens of one account are renewed."""

    exchange: TokenExchange
    store: SharedStore | None
    account: AccountState
    policy: RenewalPolicy
    clock: Clock
    announce: Callable[[Event], None]
    #: Set when nobody wants tokens any more; it ends every wait.
    closing: SharedResult[bool]

    def run(self, flight: Flight) -> Outcome:
        """
        Return another token than those that `flight` knows, or the error that says why there is none.

        Somebody else's token from the store will do, if it is usable and newer than the one held.
        """
        key = flight.slot.key
        try:
            store = self.store
            if store is None:
                return self._request(flight)
            with store.turn(key):
                held = flight.state.held
                found = store.find(key, held.token if held else None, flight.slot.past)
                return found or self._request_and_keep(store, flight)
        except Exception as error:  # noqa: BLE001 - callers wait for this thread and must be told, whatever happened
            kind = type(error).__name__
        return TokenRequestError(
            f"no access token for {key.scope}: the renewal failed unexpectedly ({kind})",
            "Please report this",
            scope=key.scope.wire,
        )

    def _request_and_keep(self, store: SharedStore, flight: Flight) -> Outcome:
        outcome = self._request(flight)
        if isinstance(outcome, HeldToken):
            store.keep(flight.slot.key, outcome.token)
        return outcome

    def _request(self, flight: Flight) -> Outcome:
        key = flight.slot.key
        deadline = self.clock.monotonic() + self.policy.deadline
        # What another scope was answered counts as what this one was.
        failure = self.account.failure_for(key.scope)
        attempt = 0
        while True:
            if failure is not None:
                until = self._wait_for_next_attempt(failure, attempt, deadline)
                if until is None:
                    return failure
                deadline = until
                if self.account.pause_left():
                    continue  # another scope was told to wait, meanwhile
            # Said before it is looked whether the source is closed, so that `close` sees one or the other.
            flight.is_sent = True
            if self.closing.is_set() or flight.is_cancelled:
                flight.is_sent = False
                return failure or closed_error(key.scope)
            attempt += 1
            timeout = min(self.policy.attempt_timeout, deadline - self.clock.monotonic())
            outcome, took = self._exchange(key, attempt, timeout)
            was_frozen = took > timeout + _OVERRUN
            if not isinstance(outcome, HeldToken):
                failure = outcome
            elif outcome.is_usable(self.clock):
                return outcome
            else:
                failure = _dead_on_arrival(key)
                if not was_frozen:
                    return failure
            if was_frozen:
                # That time is nobody's fault, and says nothing of Daxko.
                deadline = self.clock.monotonic() + self.policy.deadline
                attempt -= 1

    def _wait_for_next_attempt(self, failure: TokenRequestError, attempt: int, deadline: float) -> float | None:
        """Return until when (monotonic) the attempts may go on, or None if there is no other."""
        if not failure.retryable or attempt >= self.policy.attempts:
            return None
        began, wait = self.clock.monotonic(), self.account.pause_left() + self.policy.retry_wait(attempt)
        if began + wait >= deadline or self.clock.wait(self.closing, wait):
            return None
        now = self.clock.monotonic()
        if now > began + wait + _OVERRUN:
            # The process was frozen, and that time is nobody's fault.
            return now + self.policy.deadline
        return deadline if now < deadline else None

    def _exchange(self, key: TokenKey, attempt: int, timeout: float) -> tuple[Outcome, float]:
        wall, monotonic = self.clock.wall(), self.clock.monotonic()
        answer = self.exchange.request(key.scope, sent_at=wall, timeout=timeout)
        took = self.clock.monotonic() - monotonic
        # The life of a token counts from before it was asked for: the answer may have been long under way.
        outcome = (
            HeldToken(answer, self.policy, wall=wall, monotonic=monotonic)
            if isinstance(answer, AccessToken)
            else answer
        )
        self.account.note(outcome)
        self.announce(
            TokenRequested(key.scope, wall, took, attempt, None if isinstance(answer, AccessToken) else answer)
        )
        return outcome, took


def closed_error(scope: Scope) -> TokenRequestError:
    """Return what everybody is told who asks a source that is closed."""
    return TokenRequestError(
        f"no access token for {scope}: its TokenSource is closed",
        "Keep it open for as long as it is used",
        scope=scope.wire,
    )


def _dead_on_arrival(key: TokenKey) -> TokenRequestError:
    return TokenEndpointUnavailable(
        f"no access token for {key.scope}: the life of the one from {key.origin}{PARTNER_TOKEN_ENDPOINT.path} was "
        "over before it arrived",
        "Ask again later; if it lasts, check the network, and the life that Daxko grants",
        scope=key.scope.wire,
        retryable=True,
    )

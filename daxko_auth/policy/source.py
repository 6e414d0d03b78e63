"""
Where access tokens come from: held while fresh, renewed behind the callers while stale.

The decisions of the policy stand here: who gets the token at hand, who waits, when a renewal
starts, and what a 401 means. Nothing here knows HTTP, and reading a fresh token takes no lock.
"""

import copy
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

import httpx
from attrs import evolve

from daxko_auth.edges.exchange import Exchange
from daxko_auth.edges.memory_store import MemoryStore
from daxko_auth.facts.credentials import ApiCredentials, base_url_from_env
from daxko_auth.facts.errors import DaxkoAuthError, TokenEndpointUnavailable, TokenRequestError
from daxko_auth.facts.fork import reset_after_fork
from daxko_auth.facts.log import log
from daxko_auth.facts.origin import Origin
from daxko_auth.facts.scope import ClientScope, ScopeLike
from daxko_auth.facts.token_key import TokenKey
from daxko_auth.facts.tokens import AccessToken
from daxko_auth.facts.vendor import DEFAULT_BASE_URL
from daxko_auth.policy.clock import SYSTEM_CLOCK, Clock
from daxko_auth.policy.flight import Flight
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal import Renewal
from daxko_auth.policy.renewal_policy import RenewalPolicy
from daxko_auth.policy.store import TokenStore

_Outcome = HeldToken | TokenRequestError
_NEVER: Final = float("-inf")
# More than anybody brings back late; fewer than would be felt in memory.
_PAST_KEPT: Final = 8
# True == 1 and 9999.0 == 9999 to a dict, but neither is the number of a Daxko client.
_SCOPE_TYPES: Final = frozenset({int, str, ClientScope})


class _Slot:
    """What one process knows about one scope. Written under its lock; `held` is read without."""

    __slots__ = (
        "failed_at",
        "failure",
        "failures",
        "flight",
        "held",
        "hold_until",
        "key",
        "lock",
        "past",
        "unreplayed_until",
    )

    def __init__(self, key: TokenKey) -> None:
        self.key = key
        self.lock = threading.Lock()
        self.held: HeldToken | None = None
        self.flight: Flight[_Outcome] | None = None
        #: The last few that were replaced or refused by a server; never taken from the store again.
        self.past: tuple[AccessToken, ...] = ()
        # The last failed renewal, when it ended (monotonic), and how many failed in a row.
        self.failure: TokenRequestError | None = None
        self.failed_at = _NEVER
        self.failures = 0
        # Until when (monotonic) a 401 starts no renewal: after one that did not help, and
        # after a 401 whose call was not replayed, so that nobody knows whether it would help.
        self.hold_until = _NEVER
        self.unreplayed_until = _NEVER


class TokenSource:
    """
    Access tokens of one API account, for any number of Daxko clients, threads and tasks.

    One token request at a time per scope, shared by everyone who waits. Keep one for the life of
    the program: tokens are held in it, and it is never shared behind your back.
    """

    def __init__(  # noqa: PLR0913 - the public signature; all but two by name
        self,
        credentials: ApiCredentials,
        base_url: str | None = None,
        *,
        store: TokenStore | None = None,
        policy: RenewalPolicy | None = None,
        clock: Clock = SYSTEM_CLOCK,
        http: httpx.BaseTransport | None = None,
    ) -> None:
        """
        Prepare; nothing is sent before the first token is asked for.

        Args:
            credentials: the API account.
            base_url: Daxko's origin; by default `DAXKO_BASE_URL`, or else https://api.daxko.com.
            store: where tokens are kept beside this source; by default a `MemoryStore` of its own.
            policy: the numbers; by default those of `RenewalPolicy`.
            clock: time, for tests.
            http: the transport that token requests travel by, for a proxy or certificates of your own. It is
                left open. No other part of your HTTP ever touches a token request.

        Raises:
            CredentialsError: the base URL is not an https origin.
        """
        if not isinstance(credentials, ApiCredentials):  # pyright: ignore[reportUnnecessaryIsInstance] - callers are not all typed
            msg = f"credentials are ApiCredentials, not {type(credentials).__name__}; use ApiCredentials.from_env()"
            raise TypeError(msg)
        self._credentials = credentials
        self._origin = origin_of(base_url)
        self._policy = policy or RenewalPolicy()
        self._clock = clock
        self._closing = threading.Event()
        self._renewal = Renewal(
            exchange=Exchange(credentials, self._origin, http),
            store=MemoryStore() if store is None else store,
            policy=self._policy,
            clock=clock,
            closing=self._closing,
        )
        # One slot under every spelling of its scope that was used; one scope, one slot.
        self._slots: dict[ScopeLike, _Slot] = {}
        self._lock = threading.Lock()
        reset_after_fork(self)

    @property
    def origin(self) -> Origin:
        """Where its tokens may be sent."""
        return self._origin

    @property
    def credentials(self) -> ApiCredentials:
        """The account it asks for."""
        return self._credentials

    def token(self, scope: ScopeLike) -> AccessToken:
        """
        Return a token that is usable now, asking Daxko for one only if none is held.

        Safe from any thread. Callers that arrive while a request is under way share its outcome,
        including its failure.

        Raises:
            TokenRequestError: no token is to be had, and one of its kinds says why.
            CredentialsError: `scope` is not the number of a Daxko client.
        """
        held = self._fresh(scope)
        if held is not None:
            return held.token
        outcome = self._board(self._slot_of(scope))
        return _token_in(outcome.join() if isinstance(outcome, Flight) else outcome)

    async def atoken(self, scope: ScopeLike) -> AccessToken:
        """Return the same as `token`, awaiting the same request, under asyncio or trio."""
        held = self._fresh(scope)
        if held is not None:
            return held.token
        outcome = self._board(self._slot_of(scope))
        return _token_in(await outcome.ajoin() if isinstance(outcome, Flight) else outcome)

    def reject(self, token: AccessToken) -> None:
        """
        Forget exactly this token, because a server refused it; a successor is kept.

        The next caller gets another one. `DaxkoAuth` does this by itself after a 401.
        """
        slot = self._slot_of(token.scope)
        with slot.lock:
            _drop(slot, token)

    def replacement_for(self, token: AccessToken) -> AccessToken | None:
        """
        After a 401 to `token`: return the token to replay the call with, or None to hand the 401 over.

        For adapters to other HTTP libraries. Tell `replacement_refused` if the replay gets a 401 too.

        Raises:
            TokenRequestError: no other token is to be had.
        """
        outcome = self._after_401(self._slot_of(token.scope), token)
        if outcome is None:
            return None
        return _token_in(outcome.join() if isinstance(outcome, Flight) else outcome)

    async def areplacement_for(self, token: AccessToken) -> AccessToken | None:
        """Return the same as `replacement_for`, awaiting."""
        outcome = self._after_401(self._slot_of(token.scope), token)
        if outcome is None:
            return None
        return _token_in(await outcome.ajoin() if isinstance(outcome, Flight) else outcome)

    def replacement_refused(self, token: AccessToken) -> None:
        """
        After a 401 to a replay: for a while, hand over 401s of this scope without renewing.

        The account may be suspended, or the endpoint says 401 for "not allowed"; asking for more
        tokens would be a storm.
        """
        slot = self._slot_of(token.scope)
        with slot.lock:
            now = self._clock.monotonic()
            if slot.held is not None and slot.held.since < now - self._policy.hold and _drop(slot, token):
                return  # it was at hand long before the call: nothing was renewed that could have helped
            known = now < slot.hold_until
            slot.hold_until = now + self._policy.hold
        if known:
            return
        log.warning(
            "%s: %s refused the fresh token %s too; for %g s its 401s are handed over without a renewal. Check that "
            "the account may use this endpoint",
            token.scope,
            self._origin.base_url,
            token.fingerprint,
            self._policy.hold,
        )

    def refused_without_replay(self, token: AccessToken) -> None:
        """
        After a 401 to a call that is not replayed: the next call gets a new token.

        At most once per hold, because without a replay nobody learns whether a new token helps.
        """
        slot = self._slot_of(token.scope)
        with slot.lock:
            now = self._clock.monotonic()
            if now >= max(slot.hold_until, slot.unreplayed_until) and _drop(slot, token):
                slot.unreplayed_until = now + self._policy.hold

    def warm(
        self, scopes: Iterable[ScopeLike], *, concurrency: int = 8
    ) -> dict[ClientScope, AccessToken | TokenRequestError]:
        """
        Get a token for each scope, `concurrency` at a time; a failure is an entry and stops nothing.

        Raises:
            CredentialsError: one of `scopes` is not the number of a Daxko client; nothing was sent.
        """
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - for start-up only

        def token_or_error(scope: ClientScope) -> AccessToken | TokenRequestError:
            try:
                return self.token(scope)
            except TokenRequestError as error:
                return error

        wanted = list(dict.fromkeys(map(ClientScope, scopes)))
        with ThreadPoolExecutor(concurrency, thread_name_prefix="daxko-auth warm") as pool:
            return dict(zip(wanted, pool.map(token_or_error, wanted), strict=True))

    def close(self) -> None:
        """Stop: waiting callers get an error at once, later ones too. Nothing is kept in memory."""
        self._closing.set()
        with self._lock:
            slots = set(self._slots.values())
            self._slots.clear()
        for slot in slots:
            with slot.lock:
                slot.held, flight = None, slot.flight
            if flight is not None:
                flight.land(
                    TokenEndpointUnavailable(
                        f"no access token for {slot.key.scope}: its TokenSource was closed meanwhile",
                        scope=slot.key.scope.wire,
                    )
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def after_fork_in_child(self) -> None:
        """Keep the tokens; the locks and flights belong to threads of the parent."""
        self._lock = threading.Lock()
        closing = threading.Event()
        if self._closing.is_set():
            closing.set()
        self._closing, self._renewal = closing, evolve(self._renewal, closing=closing)
        for slot in self._slots.values():
            slot.lock = threading.Lock()
            slot.flight = None

    def __repr__(self) -> str:
        return f"<TokenSource for {self._credentials.username!r} at {self._origin.base_url}>"

    def _fresh(self, scope: ScopeLike) -> HeldToken | None:
        """Return the token held if nothing needs to be done; what nearly every call comes to."""
        slot = self._slots.get(scope) if type(scope) in _SCOPE_TYPES else None
        held = None if slot is None else slot.held
        return held if held is not None and held.is_fresh(self._clock) else None

    def _slot_of(self, scope: ScopeLike) -> _Slot:
        if self._closing.is_set():
            raise DaxkoAuthError("this TokenSource is closed; make another, or keep it open for as long as it is used")
        slot = self._slots.get(scope) if type(scope) in _SCOPE_TYPES else None
        if slot is None:
            parsed = ClientScope(scope)
            with self._lock:
                slot = self._slots.get(parsed)
                if slot is None:
                    slot = _Slot(TokenKey(self._origin.base_url, self._credentials, parsed))
                    self._slots[parsed] = slot
                self._slots[scope] = slot
        return slot

    def _board(self, slot: _Slot) -> HeldToken | TokenRequestError | Flight[_Outcome]:
        with slot.lock:
            return self._board_locked(slot)

    def _board_locked(self, slot: _Slot) -> HeldToken | TokenRequestError | Flight[_Outcome]:
        """Return the token at hand, the failure at hand, or the flight to wait for."""
        now = self._clock.monotonic()
        held = slot.held
        if held is not None and held.is_fresh(self._clock):
            return held
        if held is not None and held.is_usable(self._clock):
            pause = self._policy.pause_while_usable(slot.failure, slot.failures) if slot.failure else 0.0
            if slot.flight is None and now >= slot.failed_at + pause:
                self._launch(slot)
            return held
        if slot.flight is not None:
            return slot.flight
        if slot.failure is not None and now < slot.failed_at + self._policy.pause(slot.failure):
            return slot.failure
        return self._launch(slot)

    def _launch(self, slot: _Slot) -> Flight[_Outcome]:
        flight = slot.flight = Flight[_Outcome]()
        held = slot.held.token if slot.held else None
        past = slot.past

        def renew() -> _Outcome:
            outcome = self._renewal.run(slot.key, held=held, past=past)
            self._settle(slot, outcome)
            return outcome

        try:
            flight.take_off(renew)
        except RuntimeError:
            slot.flight = None
            flight.land(
                TokenEndpointUnavailable(
                    f"no access token for {slot.key.scope}: no thread can be started; is Python shutting down?",
                    scope=slot.key.scope.wire,
                    retryable=True,
                )
            )
        return flight

    def _settle(self, slot: _Slot, outcome: _Outcome) -> None:
        with slot.lock:
            slot.flight = None
            if isinstance(outcome, HeldToken):
                if slot.held is not None:
                    _bury(slot, slot.held.token)
                slot.held, slot.failure, slot.failures = outcome, None, 0
                return
            slot.failure, slot.failed_at = outcome, self._clock.monotonic()
            slot.failures += 1
            served = slot.held is not None and slot.held.is_usable(self._clock)
        if served:
            log.warning("%s; the token held is used on for now", outcome)

    def _after_401(self, slot: _Slot, token: AccessToken) -> HeldToken | TokenRequestError | Flight[_Outcome] | None:
        with slot.lock:
            held = slot.held
            if held is not None and held.token != token and held.is_usable(self._clock):
                return held  # a late 401: the successor is here already
            if self._clock.monotonic() < slot.hold_until:
                return None
            _drop(slot, token)
            return self._board_locked(slot)


def origin_of(base_url: str | None) -> Origin:
    """
    Judge the base URL that was passed, or the environment's, or take the vendor's.

    Raises:
        CredentialsError: naming the setting.
    """
    if base_url is not None:
        return Origin.of(base_url)
    from_env = base_url_from_env()
    return Origin.of(DEFAULT_BASE_URL) if from_env is None else Origin.of(from_env, setting="DAXKO_BASE_URL")


def _drop(slot: _Slot, token: AccessToken) -> bool:
    """Drop this very token from the slot, and say whether it was there."""
    _bury(slot, token)
    if slot.held is None or slot.held.token != token:
        return False
    slot.held = None
    return True


def _bury(slot: _Slot, token: AccessToken) -> None:
    # A store goes by the wall clock, which can be set back; to it, a token of the past may look alive.
    if token not in slot.past:
        slot.past = (*slot.past, token)[-_PAST_KEPT:]


def _token_in(outcome: _Outcome) -> AccessToken:
    if isinstance(outcome, HeldToken):
        return outcome.token
    # A fresh one for each caller: a raised exception collects the tracebacks of whoever raises it.
    raise copy.copy(outcome)

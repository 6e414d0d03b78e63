"""
Where access tokens come from: held while fresh, renewed behind the callers while stale.

Brings together the slots (what is decided for one scope), the account (what is known for all) and
the threads that renew. Nothing here knows HTTP, and reading a fresh token takes no lock.
"""

import copy
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Final, NoReturn, Self

import httpx
from attrs import evolve

from daxko_auth.model.credentials import ApiCredentials, base_url_from_env
from daxko_auth.model.errors import TokenEndpointUnavailable, TokenRequestError
from daxko_auth.model.events import (
    CallReplayed,
    Event,
    RenewalFailed,
    RenewalJoined,
    ReplacementRefused,
    StaleTokenServed,
    TokenRejected,
    TokenRenewed,
)
from daxko_auth.model.fork import reset_after_fork
from daxko_auth.model.half_made import also_half_made
from daxko_auth.model.log import log
from daxko_auth.model.origin import Origin, Unseen, unseen
from daxko_auth.model.scope import ClientScope, ScopeLike
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken
from daxko_auth.model.vendor import DEFAULT_BASE_URL
from daxko_auth.policy.account import Account
from daxko_auth.policy.announcer import Announcer
from daxko_auth.policy.arguments import (
    unfit_clock,
    unfit_concurrency,
    unfit_on_event,
    unfit_policy,
    unfit_store,
)
from daxko_auth.policy.clock import SYSTEM_CLOCK, Clock
from daxko_auth.policy.crew import Crew
from daxko_auth.policy.flight import Flight
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal import Renewal
from daxko_auth.policy.renewal_policy import RenewalPolicy
from daxko_auth.policy.shared_store import SharedStore
from daxko_auth.policy.slot import Boarding, Outcome, Slot
from daxko_auth.policy.store import TokenStore
from daxko_auth.wire.exchange import Exchange

# True == 1 and 9999.0 == 9999 to a dict, but neither is the number of a Daxko client.
_SCOPE_TYPES: Final = frozenset({int, str, ClientScope})
# Renewals at once. Until Daxko has accepted the account, one: a wrong password is sent once, not
# once for each scope.
_AT_ONCE: Final = 16
# How many spellings of scopes are remembered before the first look for those that nobody uses any more.
_SWEEP_FROM: Final = 1_024


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
        on_event: Callable[[Event], object] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        http: httpx.BaseTransport | None = None,
    ) -> None:
        """
        Prepare; nothing is sent before the first token is asked for.

        Args:
            credentials: the API account.
            base_url: Daxko's origin; by default `DAXKO_BASE_URL`, or else https://api.daxko.com.
            store: where tokens are shared with other sources; by default, with none.
            policy: the numbers; by default those of `RenewalPolicy`.
            on_event: called with each of `daxko_auth.events`, in the thread it happens in: keep it short. It may ask
                this source for tokens; what it raises is logged.
            clock: time, for tests.
            http: the transport that token requests travel by, for a proxy or certificates of your own. It is
                left open. No other part of your HTTP ever touches a token request.

        Raises:
            CredentialsError: the base URL is not an https origin.
            TypeError: an argument is something else, or `on_event` is async.
        """
        given = unseen(base_url)
        del base_url  # see `unseen`
        if not isinstance(credentials, ApiCredentials):  # pyright: ignore[reportUnnecessaryIsInstance] - callers are not all typed
            kind = type(credentials).__name__
            del credentials  # it may be the bare password
            msg = f"credentials are ApiCredentials, not {kind}; use ApiCredentials.from_env()"
            raise TypeError(msg)
        if http is not None and not isinstance(http, httpx.BaseTransport):  # pyright: ignore[reportUnnecessaryIsInstance] - the same
            kind = f"{type(http).__module__}.{type(http).__qualname__}"
            msg = f"http is an httpx.BaseTransport, not {kind}; pass one, such as httpx.HTTPTransport(proxy=...)"
            raise TypeError(msg)
        unfit = unfit_store(store) or unfit_policy(policy) or unfit_on_event(on_event) or unfit_clock(clock)
        if unfit is not None:
            del store  # it may be a URL with a password in it
            raise TypeError(unfit)
        self._credentials = credentials
        self._origin = origin_of(given)
        self._policy = policy or RenewalPolicy()
        self._clock = clock
        self._closing = threading.Event()
        self._announce = Announcer(on_event, clock)
        self._account = Account(self._policy, clock)
        self._store = None if store is None else SharedStore(store, self._policy, clock, self._announce)
        self._renewal = Renewal(
            exchange=Exchange(credentials, self._origin, http),
            store=self._store,
            account=self._account,
            policy=self._policy,
            clock=clock,
            announce=self._announce,
            closing=self._closing,
        )
        # One slot under every spelling of its scope that was used; one scope, one slot.
        self._slots: dict[ScopeLike, Slot] = {}
        self._sweep_at = _SWEEP_FROM
        # Re-entrant: a signal handler or a finalizer may come in the middle of this.
        self._lock = threading.RLock()
        self._crew = Crew(1)
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
        outcome = self._board(scope)
        return _token_in(outcome.join() if isinstance(outcome, Flight) else outcome)

    async def atoken(self, scope: ScopeLike) -> AccessToken:
        """Return the same as `token`, awaiting the same request, under asyncio or trio."""
        held = self._fresh(scope)
        if held is not None:
            return held.token
        outcome = self._board(scope)
        return _token_in(await outcome.ajoin() if isinstance(outcome, Flight) else outcome)

    def reject(self, token: AccessToken) -> None:
        """
        Forget exactly this token, because a server refused it; a successor is kept.

        The next caller gets another one. `DaxkoAuth` does this by itself after a 401.
        """
        if not isinstance(token, AccessToken):  # pyright: ignore[reportUnnecessaryIsInstance] - callers are not all typed
            kind = type(token).__name__
            del token  # it may be the bare string, which a traceback must not show
            msg = f"reject takes the AccessToken that token() returned, not {kind}; pass that"
            raise TypeError(msg)
        if self._closing.is_set():
            return
        with self._lock:
            slot = self._slot_of(token.scope)
            slot.drop(token)
        self._rejected(slot, token)

    def replacement_for(self, token: AccessToken, *, method: str = "", path: str = "") -> AccessToken | None:
        """
        After a 401 to `token`: return the token to replay the call with, or None to hand the 401 over.

        For adapters to other HTTP libraries. Tell `replacement_refused` if the replay gets a 401 too.

        Raises:
            TokenRequestError: no other token is to be had.
        """
        boarding = self._board_after_401(token)
        if boarding is None:
            return None
        return self._replacement(token, boarding.join() if isinstance(boarding, Flight) else boarding)

    async def areplacement_for(self, token: AccessToken, *, method: str = "", path: str = "") -> AccessToken | None:
        """Return the same as `replacement_for`, awaiting."""
        boarding = self._board_after_401(token)
        if boarding is None:
            return None
        return self._replacement(token, await boarding.ajoin() if isinstance(boarding, Flight) else boarding)

    def replacement_refused(self, token: AccessToken, *, method: str = "", path: str = "") -> bool:
        """
        After a 401 to a replay: for a while, hand over 401s of this scope without renewing.

        The account may be suspended, or the endpoint says 401 for "not allowed"; asking for more
        tokens would be a storm.
        """
        if self._closing.is_set():
            return False
        with self._lock:
            slot = self._slot_of(token.scope)
            began = slot.hold(token)
            fresh = slot.held is not None and slot.held.token == token
        self._announce(ReplacementRefused(token.scope, token.fingerprint))
        if not began:
            return fresh
        log.warning(
            "%s: %s refused the fresh token %s too; for %g s its 401s are handed over without a renewal. Check that "
            "the account may use this endpoint",
            token.scope,
            self._origin.base_url,
            token.fingerprint,
            self._policy.hold,
        )
        return fresh

    def doubt(self, token: AccessToken) -> None:
        """Whether a server refused `token` could not be seen: it counts as stale."""
        with self._lock:
            slot = self._slot_of(token.scope)
            if slot.held is not None and slot.held.token == token:
                slot.held = evolve(slot.held, stale_at_monotonic=float("-inf"))

    def refused_without_replay(self, token: AccessToken, *, method: str = "", path: str = "") -> bool:
        """
        After a 401 to a call that is not replayed: let the next call have a new token; return whether it will.

        At most once per hold, because without a replay nobody learns whether a new token helps.
        """
        if self._closing.is_set():
            return False
        with self._lock:
            slot = self._slot_of(token.scope)
            dropped = slot.drop_without_replay(token)
        self._rejected(slot, token)
        return dropped

    def warm(
        self, scopes: Iterable[ScopeLike], *, concurrency: int = 8
    ) -> dict[ClientScope, AccessToken | TokenRequestError]:
        """
        Get a token for each scope, `concurrency` at a time (at most 16); a failure is an entry and stops nothing.

        Raises:
            CredentialsError: one of `scopes` is not the number of a Daxko client; nothing was sent.
            ValueError: `concurrency` is no whole number above zero.
        """
        unfit = unfit_concurrency(concurrency)
        if unfit is not None:
            raise ValueError(unfit)
        wanted = list(dict.fromkeys(map(ClientScope, scopes)))
        boarded: deque[tuple[ClientScope, Boarding]] = deque()
        outcomes: dict[ClientScope, AccessToken | TokenRequestError] = {}

        def settle_oldest() -> None:
            scope, boarding = boarded.popleft()
            outcome = boarding.join() if isinstance(boarding, Flight) else boarding
            outcomes[scope] = outcome.token if isinstance(outcome, HeldToken) else copy.copy(outcome)

        for scope in wanted:
            if len(boarded) >= concurrency:
                settle_oldest()
            boarded.append((scope, self._closed(scope) or self._board(scope)))
        while boarded:
            settle_oldest()
        return outcomes

    def close(self) -> None:
        """Stop: waiting callers get an error at once, later ones too. No token is kept in memory."""
        self._closing.set()
        with self._lock:
            slots = set(self._slots.values())
            self._slots.clear()
        for slot in slots:
            flight = slot.clear()
            if flight is not None:
                flight.land(_closed_error(slot.key.scope))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def after_fork_in_child(self) -> None:
        """Keep the tokens; the locks and flights belong to threads of the parent."""
        self._lock = threading.RLock()
        self._crew = Crew(1)
        closing = threading.Event()
        if self._closing.is_set():
            closing.set()
        self._closing, self._renewal = closing, evolve(self._renewal, closing=closing)
        for slot in self._slots.values():
            slot.after_fork_in_child()

    def __reduce__(self) -> NoReturn:
        msg = (
            "a TokenSource is neither pickled nor copied: it holds secrets, and threads wait for it. Share it between "
            "threads and tasks; in another process make one, from ApiCredentials.from_env() there"
        )
        raise TypeError(msg)

    @also_half_made
    def __repr__(self) -> str:
        return f"<TokenSource for {self._credentials.username!r} at {self._origin.base_url}>"

    def _fresh(self, scope: ScopeLike) -> HeldToken | None:
        """Return the token held if nothing needs to be done; what nearly every call comes to."""
        slot = self._slots.get(scope) if type(scope) in _SCOPE_TYPES else None
        held = None if slot is None else slot.held
        if held is None:
            return None
        # As in HeldToken.is_fresh, whose call would be a tenth of all the time that this takes.
        clock = self._clock
        fresh = clock.wall() < held.stale_at_wall and clock.monotonic() < held.stale_at_monotonic
        return held if fresh else None

    def _board(self, scope: ScopeLike) -> Boarding:
        # Under the lock as well, so that no sweep comes between finding a slot and using it.
        with self._lock:
            slot = self._slot_of(scope)
            boarding = slot.board(self._launch)
        if isinstance(boarding, Flight):
            self._announce(RenewalJoined(slot.key.scope))
        elif isinstance(boarding, HeldToken) and not boarding.is_fresh(self._clock):
            self._announce(StaleTokenServed(slot.key.scope, boarding.token.fingerprint))
        return boarding

    def _board_after_401(self, token: AccessToken) -> Boarding | None:
        with self._lock:
            boarding = self._slot_of(token.scope).board_after_401(token, self._launch)
        self._announce(TokenRejected(token.scope, token.fingerprint))
        if isinstance(boarding, Flight):
            self._announce(RenewalJoined(token.scope))
        return boarding

    def _replacement(self, token: AccessToken, outcome: Outcome) -> AccessToken:
        replacement = _token_in(outcome)
        self._announce(CallReplayed(token.scope, token.fingerprint, replacement.fingerprint))
        return replacement

    def _rejected(self, slot: Slot, token: AccessToken) -> None:
        self._announce(TokenRejected(token.scope, token.fingerprint))
        store = self._store
        if store is not None:
            # For everybody who shares the store. If no thread can be had, the next renewal does it.
            with suppress(RuntimeError):
                self._crew.run(lambda: store.drop(slot.key, token))

    def _slot_of(self, scope: ScopeLike) -> Slot:
        """Return the slot of `scope`; called under the lock."""
        slot = self._slots.get(scope) if type(scope) in _SCOPE_TYPES else None
        if slot is None:
            parsed = ClientScope(scope)
            closed = self._closed(parsed)
            if closed is not None:
                raise closed
            if len(self._slots) >= self._sweep_at:
                self._sweep()
            slot = self._slots.get(parsed)
            if slot is None:
                key = TokenKey(self._origin.base_url, self._credentials, parsed)
                slot = self._slots[parsed] = Slot(key, self._policy, self._clock)
            self._slots[scope] = slot
        return slot

    def _sweep(self) -> None:
        """Forget scopes that nobody has asked for since their token died. Done at each doubling, it costs little."""
        self._slots = {scope: slot for scope, slot in self._slots.items() if not slot.is_idle()}
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._slots))

    def _launch(self, slot: Slot) -> Flight[Outcome] | TokenRequestError:
        """Start a renewal, or return why not. Called under the slot's lock, so that it cannot land unseen."""
        scope, held, past = slot.key.scope, slot.held, slot.past
        not_now = self._closed(scope)
        if not_now is None and not self._account.is_passing():
            not_now = self._account.failure_for(scope)
        if not_now is not None:
            return not_now
        # A store may take its time before the first request; after that, whoever waits is told.
        flight = Flight[Outcome](longest_wait=2 * self._policy.deadline, given_up=lambda: _given_up_error(scope))

        def renew() -> None:
            flight.take_off()
            outcome = self._renewal.run(slot.key, held=held.token if held else None, past=past)
            if self._account.is_accepted(outcome):
                self._crew.grow(_AT_ONCE)
            unnoticed = slot.settle(flight, outcome)
            if self._closing.is_set():
                slot.clear()
            flight.land(outcome)
            if unnoticed:
                log.warning("%s; the token held is used on for now", outcome)
            self._announce(
                TokenRenewed(scope, outcome.token.fingerprint, outcome.token.expires_at)
                if isinstance(outcome, HeldToken)
                else RenewalFailed(scope, outcome, unnoticed)
            )

        try:
            self._crew.run(renew)
        except RuntimeError:
            return TokenEndpointUnavailable(
                f"no access token for {scope}: no thread can be started to ask for it. Raise the limit on threads; or "
                "ask earlier, if Python is shutting down",
                scope=scope.wire,
                retryable=True,
            )
        return flight

    def _closed(self, scope: ClientScope) -> TokenRequestError | None:
        return _closed_error(scope) if self._closing.is_set() else None


def origin_of(base_url: str | Unseen) -> Origin:
    """
    Judge the base URL that was passed, or the environment's, or take the vendor's.

    Raises:
        CredentialsError: naming the setting.
    """
    given = unseen(base_url)
    del base_url  # see `unseen`
    if given is not None:
        return Origin.of(given)
    from_env = unseen(base_url_from_env())
    return Origin.of(DEFAULT_BASE_URL) if from_env is None else Origin.of(from_env, setting="DAXKO_BASE_URL")


def _closed_error(scope: ClientScope) -> TokenRequestError:
    return TokenRequestError(
        f"no access token for {scope}: its TokenSource is closed; keep it open for as long as it is used",
        scope=scope.wire,
    )


def _given_up_error(scope: ClientScope) -> TokenRequestError:
    return TokenEndpointUnavailable(
        f"no access token for {scope}: the renewal did not end in time, or waits for itself. Ask again later; if it "
        "lasts, look at the token store, and at log handlers that ask for tokens",
        scope=scope.wire,
        retryable=True,
    )


def _token_in(outcome: Outcome) -> AccessToken:
    if isinstance(outcome, HeldToken):
        return outcome.token
    # A fresh one for each caller: a raised exception collects the tracebacks of whoever raises it.
    raise copy.copy(outcome)


def check_source(source: object) -> None:
    """
    See that `source` is one.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(source, TokenSource):
        kind = type(source).__name__
        del source  # it may be a secret
        msg = f"source is a TokenSource, not {kind}; make one: TokenSource(credentials)"
        raise TypeError(msg)

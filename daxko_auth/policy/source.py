"""
Where access tokens come from: held while fresh, renewed behind the callers while stale.

Brings together the slots (what is known of one scope), the account (what is known for all) and the threads that renew.
Nothing here knows HTTP, and nothing takes a lock: a signal handler, a finalizer or Ctrl-C may come between any two
steps, and what it leaves half done is done by whoever comes next.
"""

import atexit
import copy
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Final, NoReturn, Self

import httpx

from daxko_auth.model.credentials import ApiCredentials, base_url_from_env
from daxko_auth.model.errors import TokenRequestError
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
from daxko_auth.model.hidden_locals import empty_frames, hides_locals
from daxko_auth.model.log import warn
from daxko_auth.model.origin import Origin
from daxko_auth.model.scope import ClientScope, Scope, ScopeLike
from daxko_auth.model.shared_result import SharedResult
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken
from daxko_auth.model.vendor import DEFAULT_BASE_URL
from daxko_auth.policy import holds
from daxko_auth.policy.account_state import AccountState
from daxko_auth.policy.announcer import Announcer
from daxko_auth.policy.arguments import (
    unfit_call,
    unfit_clock,
    unfit_concurrency,
    unfit_on_event,
    unfit_policy,
    unfit_scopes,
    unfit_store,
    unfit_timeout,
    unfit_token,
)
from daxko_auth.policy.clock import SYSTEM_CLOCK, Clock
from daxko_auth.policy.flight import Flight, Outcome, Slot, State, is_renewing
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal import Renewal, closed_error
from daxko_auth.policy.renewal_policy import RenewalPolicy
from daxko_auth.policy.shared_store import SharedStore
from daxko_auth.policy.slots import Slots
from daxko_auth.policy.store import TokenStore
from daxko_auth.policy.waiting import Wait
from daxko_auth.policy.workers import MOST, Job, Workers
from daxko_auth.wire.exchange import Exchange

# True == 1 and 9999.0 == 9999 to a dict, but neither is the number of a Daxko client.
_SCOPE_TYPES: Final = frozenset({int, str, ClientScope})
# Seconds that the end of a source, or of the program, waits for a token that was asked for and that a store wants.
_LAST_WAIT: Final = 1.0
# Tokens that a store was not told to drop yet, at most. The next renewal sees to the others.
_LONGEST_HOUSEKEEPING: Final = 1_000

#: What a caller finds: the token at hand, the failure at hand, or the renewal to wait for.
_Found = HeldToken | TokenRequestError | Flight


class TokenSource:
    """
    Access tokens of one API account, for any number of Daxko clients, threads and tasks.

    One token request at a time per scope, shared by everyone who waits. Keep one for the life of
    the program: tokens are held in it, and it is never shared implicitly.
    """

    @hides_locals
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
            on_event: called with each of `daxko_auth.events`, one after another, on a thread of its own; `close` waits
                up to a second for the last. It may ask this source for tokens; what it raises is logged. If more than
                10,000 events wait, the oldest are dropped, and the log says how many.
            clock: time, for tests.
            http: the transport that token requests travel by, for a proxy or certificates of your own. It is
                left open. No other part of your HTTP ever touches a token request.

        Raises:
            CredentialsError: the base URL is not an https origin.
            TypeError: an argument is something else, or `on_event` is async.
        """
        if not isinstance(credentials, ApiCredentials):  # pyright: ignore[reportUnnecessaryIsInstance] - callers are not all typed
            msg = f"credentials are ApiCredentials, not {type(credentials).__name__}; use ApiCredentials.from_env()"
            raise TypeError(msg)
        if http is not None and not isinstance(http, httpx.BaseTransport):  # pyright: ignore[reportUnnecessaryIsInstance] - the same
            kind = f"{type(http).__module__}.{type(http).__qualname__}"
            msg = f"http is an httpx.BaseTransport, not {kind}; pass one, such as httpx.HTTPTransport(proxy=...)"
            raise TypeError(msg)
        unfit = unfit_store(store) or unfit_policy(policy) or unfit_on_event(on_event) or unfit_clock(clock)
        if unfit is not None:
            raise TypeError(unfit)
        self._credentials = credentials
        self._origin = origin_of(base_url)
        self._policy = policy or RenewalPolicy()
        self._clock = clock
        self._wall, self._monotonic = clock.wall, clock.monotonic
        # Set once it is closed.
        self._closing: SharedResult[bool] = SharedResult()
        self._announce = Announcer(on_event, clock)
        self._account = AccountState(self._policy, clock)
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
        self._slots = Slots(self._new_slot, self._is_idle)
        # A child after a fork has another, and so none of the renewals of its parent.
        self._process = object()
        # One token request at a time until Daxko has accepted the account: a wrong password is sent once, not once for
        # each scope.
        self._workers: Workers[Flight] = Workers("daxko-auth renewal")
        self._housekeeping: Workers[Job] = Workers("daxko-auth store")
        reset_after_fork(self)
        if store is not None:
            _with_store.add(self)

    @property
    def origin(self) -> Origin:
        """Where its tokens may be sent."""
        return self._origin

    @property
    def credentials(self) -> ApiCredentials:
        """The account it asks for."""
        return self._credentials

    def token(self, scope: ScopeLike, *, timeout: float | None = None) -> AccessToken:
        """
        Return a token that is usable now, asking Daxko for one only if none is held.

        Safe from any thread, and from a signal handler. Callers that arrive while a request is under way share its
        outcome, including its failure.

        Args:
            scope: the Daxko client.
            timeout: seconds that this caller waits at most; the request goes on for the others. By default, a caller
                waits for its turn as long as it takes, and then for at most twice the policy's deadline.

        Raises:
            TokenRequestError: no token is to be had, and one of its kinds says why.
            CredentialsError: `scope` is not the number of a Daxko client.
        """
        # As in `_fresh`, whose call would be a quarter of all the time that this takes.
        slot = self._slots.table.young.get(scope) if type(scope) in _SCOPE_TYPES else None
        held = None if slot is None else slot.state.held
        if held is not None and self._wall() < held.stale_at_wall and self._monotonic() < held.stale_at_monotonic:
            return held.token
        try:
            return _token_in(self._join(self._find(self._slot_of(scope)), timeout))
        except BaseException as error:
            # What `hides_locals` does, whose call would cost every caller of a fresh token.
            del scope, timeout
            empty_frames(error)
            raise

    async def atoken(self, scope: ScopeLike, *, timeout: float | None = None) -> AccessToken:  # noqa: ASYNC109 - as `token`
        """Return the same as `token`, awaiting the same request, under asyncio or trio."""
        held = self._fresh(scope)
        if held is not None:
            return held.token
        try:
            return _token_in(await self._ajoin(self._find(self._slot_of(scope)), timeout))
        except BaseException as error:
            del scope, timeout  # as in `token`
            empty_frames(error)
            raise

    @hides_locals
    def reject(self, token: AccessToken) -> None:
        """
        Forget exactly this token, because a server refused it; a successor is kept.

        The next caller gets another one. `DaxkoAuth` does this by itself after a 401.
        """
        _check_call("reject", token)
        if not self._closing.is_set():
            self._reject(self._slot_of(token.scope), token)

    @hides_locals
    def replacement_for(self, token: AccessToken, *, method: str = "", path: str = "") -> AccessToken | None:
        """
        After a 401 to `token`: return the token to replay the call with, or None to hand the 401 over.

        For adapters to other HTTP libraries. `method` and `path` are those of the call: where a renewal did not help,
        the next is not tried for a while. Tell `replacement_refused` if the replay gets a 401 too.

        Raises:
            TokenRequestError: no other token is to be had.
        """
        _check_call("replacement_for", token, method, path)
        found = self._find_after_401(token, method, path)
        return None if found is None else self._replacement(token, self._join(found, None))

    @hides_locals
    async def areplacement_for(self, token: AccessToken, *, method: str = "", path: str = "") -> AccessToken | None:
        """Return the same as `replacement_for`, awaiting."""
        _check_call("areplacement_for", token, method, path)
        found = self._find_after_401(token, method, path)
        return None if found is None else self._replacement(token, await self._ajoin(found, None))

    @hides_locals
    def replacement_refused(self, token: AccessToken, *, method: str = "", path: str = "") -> bool:
        """
        After a 401 to a replay with `token`: return whether the token was fresh, so that the endpoint itself says no.

        If it was, the 401s of this method and path are handed over for a while (`RenewalPolicy.hold`) without a
        renewal: asking for more tokens would be a storm. If it was not, it is dropped, and the next call has a new one.
        """
        _check_call("replacement_refused", token, method, path)
        if self._closing.is_set():
            return False
        slot = self._slot_of(token.scope)
        self._announce(ReplacementRefused(token.scope, token.fingerprint))
        state, now, hold = slot.current(self._process), self._clock.monotonic(), self._policy.hold
        held, replaced = state.held, state.replaced
        if held is None or held.token != token:
            return False
        rejected_at = None if replaced is None else replaced.rejected_at
        # It was at hand long before the call, or under way already when the first was refused, and may have been taken
        # back together with it: nothing was renewed that could have helped.
        if now - held.asked_at > hold or (rejected_at is not None and held.asked_at < rejected_at):
            self._reject(slot, token)
            return False
        endpoint = holds.endpoint_of(method, path)
        if not holds.is_held(slot, endpoint, now, hold):
            warn(
                "%s: %s refused the fresh token %s too (%s); for %g s its 401s there are handed over without a "
                "renewal. Check that the account may use this endpoint",
                token.scope,
                self._origin.base_url,
                token.fingerprint,
                endpoint.strip() or "an unnamed endpoint",
                hold,
            )
        holds.begin(slot, endpoint, now)
        return True

    @hides_locals
    def refused_without_replay(self, token: AccessToken, *, method: str = "", path: str = "") -> bool:
        """
        After a 401 to a call that is not replayed: let the next call have a new token; return whether it will.

        At most four times per `RenewalPolicy.hold` for all calls of one scope, because without a replay nobody learns
        whether a new token helps.
        """
        _check_call("refused_without_replay", token, method, path)
        if self._closing.is_set():
            return False
        slot = self._slot_of(token.scope)
        held, now, hold = slot.current(self._process).held, self._clock.monotonic(), self._policy.hold
        endpoint = holds.endpoint_of(method, path)
        if held is not None and held.token == token and held.rejected_at is None:
            did_not_help = holds.is_held(slot, endpoint, now, hold) or holds.is_at_ceiling(slot, now, hold)
            if did_not_help or not holds.may_renew_unseen(slot, now, hold):
                self._announce(TokenRejected(token.scope, token.fingerprint))
                return False
        self._reject(slot, token)
        return True

    @hides_locals
    def doubt(self, token: AccessToken) -> None:
        """
        After a call whose answer could not be seen: count `token` as stale, so that the next call begins a renewal.

        For adapters, where the program's own code came between. At most four times per `RenewalPolicy.hold`, together
        with calls that were not replayed: whether a new token helps cannot be seen, either.
        """
        _check_call("doubt", token)
        if self._closing.is_set():
            return
        slot, now = self._slot_of(token.scope), self._clock.monotonic()
        held = slot.current(self._process).held
        is_fresh = held is not None and held.token == token and held.is_fresh(self._clock)
        if held is not None and is_fresh and holds.may_renew_unseen(slot, now, self._policy.hold):
            held.doubt()

    @hides_locals
    def warm(
        self, scopes: Iterable[ScopeLike], *, concurrency: int = 8
    ) -> dict[Scope, AccessToken | TokenRequestError]:
        """
        Get a token for each scope, `concurrency` at a time (at most 16); a failure is an entry and stops nothing.

        Raises:
            CredentialsError: one of `scopes` is not the number of a Daxko client; nothing was sent.
            TypeError: `scopes` is a single one.
            ValueError: `concurrency` is no whole number above zero.
        """
        unfit = unfit_scopes(scopes)
        if unfit is not None:
            raise TypeError(unfit)
        unfit = unfit_concurrency(concurrency)
        if unfit is not None:
            raise ValueError(unfit)
        wanted = list(dict.fromkeys(map(self._credentials.scope, scopes)))
        under_way: deque[tuple[Scope, _Found]] = deque()
        outcomes: dict[Scope, AccessToken | TokenRequestError] = {}

        def settle_oldest() -> None:
            scope, found = under_way.popleft()
            outcome = self._join(found, None)
            outcomes[scope] = outcome.token if isinstance(outcome, HeldToken) else copy.copy(outcome)

        for scope in wanted:
            if len(under_way) >= concurrency:
                settle_oldest()
            try:
                found = self._find(self._slot_of(scope))
            except TokenRequestError as closed:
                found = closed
            if isinstance(found, Flight):
                self._ensure_started(found)
            under_way.append((scope, found))
        while under_way:
            settle_oldest()
        return outcomes

    def close(self) -> None:
        """
        Stop: nothing more is sent, and whoever waits, or asks later, gets an error. No token is kept in memory.

        Waits, for a second at most, until all events were told, and for a token that was asked for already if a store
        wants it. On a running event loop it does not wait; there, await `aclose`.
        """
        ends = self._close()
        if not _is_on_event_loop():
            _wait_for(ends)

    async def aclose(self) -> None:
        """Stop as `close` does, awaiting."""
        until = time.monotonic() + _LAST_WAIT
        for end in self._close():
            await end.await_(max(0.0, until - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def after_fork_in_child(self) -> None:
        """Keep the tokens; the renewals and the threads are the parent's."""
        # What the parent's renewals led to is reached by its name only; after that, by no other way.
        parents, self._process = self._process, object()
        for slot in self._slots.all():
            flight = slot.current(parents).next.get(parents)
            if flight is not None:
                # Whoever was forked while it waited asks again.
                flight.next_state.wake()
        self._workers = Workers("daxko-auth renewal")
        self._housekeeping = Workers("daxko-auth store")
        self._announce.after_fork_in_child()

    def __reduce__(self) -> NoReturn:
        msg = (
            "a TokenSource is neither pickled nor copied: it holds secrets, and threads wait for it. Share it between "
            "threads and tasks; in another process make one, from ApiCredentials.from_env() there"
        )
        raise TypeError(msg)

    def __repr__(self) -> str:
        return f"<TokenSource for {self._credentials.account_name!r} at {self._origin.base_url}>"

    def _fresh(self, scope: ScopeLike) -> HeldToken | None:
        """Return the token held if nothing needs to be done; what nearly every call comes to."""
        slot = self._slots.table.young.get(scope) if type(scope) in _SCOPE_TYPES else None
        held = None if slot is None else slot.state.held
        return held if held is not None and held.is_fresh(self._clock) else None

    def _slot_of(self, scope: ScopeLike) -> Slot:
        table, known = self._slots.table, type(scope) in _SCOPE_TYPES
        slot = table.young.get(scope) if known and not table.next else None
        if slot is None:
            parsed = self._credentials.scope(scope)
            slot = self._slots.find(scope if known else parsed, parsed)
        if self._closing.is_set():
            self._slots.clear()
            raise closed_error(slot.key.scope)
        return slot

    def _new_slot(self, scope: Scope) -> Slot:
        return Slot(TokenKey(self._origin.base_url, self._credentials, scope))

    def _is_idle(self, slot: Slot) -> bool:
        """Whether nothing would be lost with it: no usable token, no renewal, nothing that it remembers."""
        state, now = slot.current(self._process), self._clock.monotonic()
        return not (
            (state.held is not None and state.held.is_usable(self._clock))
            or self._process in state.next
            or now < state.pause_ends(self._policy, usable=False)
            or any(now < at + self._policy.hold for at in (slot.unhelpful or {}).copy().values())
            or (slot.unseen is not None and now < slot.unseen[-1] + self._policy.hold)
        )

    def _find(self, slot: Slot) -> _Found:
        """Return what a caller gets now; begin a renewal if one is due."""
        state = slot.current(self._process)
        held, scope = state.held, slot.key.scope
        if held is not None and held.is_usable(self._clock):
            if not held.is_fresh(self._clock):
                self._renew_behind(slot, state)
                self._announce(StaleTokenServed(scope, held.token.fingerprint))
            return held
        flight = state.next.get(self._process)
        if flight is None:
            if state.failure is not None and self._clock.monotonic() < state.pause_ends(self._policy, usable=False):
                return state.failure
            failure = self._failure_for(scope)
            if failure is not None:
                return failure
            flight = state.next.setdefault(self._process, Flight(slot, state, self._renew, self._end))
        self._announce(RenewalJoined(scope))
        return flight

    def _renew_behind(self, slot: Slot, state: State) -> None:
        flight = state.next.get(self._process)
        if flight is None:
            too_early = self._clock.monotonic() < state.pause_ends(self._policy, usable=True)
            if too_early or _at_exit.is_set() or self._failure_for(slot.key.scope) is not None:
                return
            flight = state.next.setdefault(self._process, Flight(slot, state, self._renew, self._end))
        if not flight.is_submitted:
            # Where no thread can be had, it waits until somebody needs it.
            flight.is_submitted = self._workers.submit(flight)
        elif not flight.is_claimed:
            self._workers.start()

    def _failure_for(self, scope: Scope) -> TokenRequestError | None:
        return None if self._account.is_passing(scope) else self._account.failure_for(scope)

    def _find_after_401(self, token: AccessToken, method: str, path: str) -> _Found | None:
        slot = self._slot_of(token.scope)
        state, now, hold = slot.current(self._process), self._clock.monotonic(), self._policy.hold
        held, replaced = state.held, state.replaced
        if held is not None and held.token != token and held.is_usable(self._clock):
            # A late 401: the successor is here already.
            if replaced is not None and replaced.token == token:
                replaced.reject(now)
            self._announce(TokenRejected(token.scope, token.fingerprint))
            return held
        endpoint = holds.endpoint_of(method, path)
        if holds.is_held(slot, endpoint, now, hold) or holds.is_at_ceiling(slot, now, hold):
            self._announce(TokenRejected(token.scope, token.fingerprint))
            return None
        self._reject(slot, token)
        return self._find(slot)

    def _replacement(self, token: AccessToken, outcome: Outcome) -> AccessToken:
        replacement = _token_in(outcome)
        self._announce(CallReplayed(token.scope, token.fingerprint, replacement.fingerprint))
        return replacement

    def _reject(self, slot: Slot, token: AccessToken) -> None:
        held = slot.current(self._process).held
        slot.retire(token)
        if held is not None and held.token == token:
            held.reject(self._clock.monotonic())
        self._announce(TokenRejected(token.scope, token.fingerprint))
        if self._store is not None and len(self._housekeeping) < _LONGEST_HOUSEKEEPING:
            # For everybody who shares the store. Where no thread can be had, the next renewal does it.
            self._housekeeping.submit(partial(self._store.drop, slot.key, token))

    def _ensure_started(self, flight: Flight) -> None:
        """See that a thread runs it."""
        if flight.is_claimed:
            return
        if is_renewing():
            # It must not wait for the place that the renewal has which it is a part of.
            flight()
        elif not flight.is_submitted:
            if self._workers.submit(flight):
                flight.is_submitted = True
            else:
                self._workers.run_here(flight)  # no other thread can be had
        elif not self._workers.start():
            self._workers.run_here(flight)

    def _join(self, found: _Found, timeout: float | None) -> Outcome:
        """Return the outcome; wait for it in this thread."""
        unfit = unfit_timeout(timeout)
        if unfit is not None:
            raise ValueError(unfit)
        if not isinstance(found, Flight):
            return found
        wait, process = self._wait_for(found, timeout), self._process
        while (outcome := self._outcome_of(found)) is None:
            if wait.is_over:
                return wait.error
            wait.ended(is_set=found.next_state.wait(wait.seconds))
            if process is not self._process:
                # A signal handler has forked: this is the child, and that renewal its parent's.
                return self._join(self._find(found.slot), timeout)
        return outcome

    async def _ajoin(self, found: _Found, timeout: float | None) -> Outcome:  # noqa: ASYNC109 - as `_join`
        """Return the outcome; wait for it in this task."""
        unfit = unfit_timeout(timeout)
        if unfit is not None:
            raise ValueError(unfit)
        if not isinstance(found, Flight):
            return found
        wait = self._wait_for(found, timeout)
        while (outcome := self._outcome_of(found)) is None:
            if wait.is_over:
                return wait.error
            wait.ended(is_set=await found.next_state.await_(wait.seconds))
        return outcome

    def _wait_for(self, flight: Flight, timeout: float | None) -> Wait:
        return Wait(flight, self._workers, self._clock, longest=2 * self._policy.deadline, timeout=timeout)

    def _outcome_of(self, flight: Flight) -> Outcome | None:
        self._ensure_started(flight)
        state = flight.next_state.get()
        return None if state is None else state.failure or state.held

    def _renew(self, flight: Flight) -> None:
        """Renew, on a thread of the workers or, where none can be had, of a caller."""
        slot, outcome = flight.slot, self._renewal.run(flight)
        state = flight.state.after(outcome, self._clock)
        if flight.state.held is not None and flight.state.held is not state.held:
            slot.retire(flight.state.held.token)
        if not flight.next_state.set(state) and isinstance(outcome, HeldToken):
            self._keep_late(slot, outcome)
        # So that the next caller finds it at once, and so does a child after a fork.
        slot.current(self._process)
        self._workers.size = MOST if self._account.is_accepted else 1
        for _ in range(min(len(self._workers), MOST)):
            self._workers.start()
        if isinstance(outcome, HeldToken):
            self._announce(TokenRenewed(slot.key.scope, outcome.token.fingerprint, outcome.token.expires_at))
            return
        unnoticed = state.held is not None
        self._announce(RenewalFailed(slot.key.scope, outcome, unnoticed))
        if unnoticed:
            warn("%s; the token held is used on for now", outcome)

    def _keep_late(self, slot: Slot, outcome: HeldToken) -> None:
        """Take in the token of a renewal that was given up, if nobody has another."""
        state = slot.current(self._process)
        if self._closing.is_set() or (state.held is not None and state.held.is_usable(self._clock)):
            return
        late = Flight(slot, state, self._renew, self._end)
        late.next_state.set(state.after(outcome, self._clock))
        state.next.setdefault(self._process, late)

    def _end(self, flight: Flight) -> None:
        """Whatever came in between, let everybody go who waits; if all went well, they are gone."""
        scope, began = flight.slot.key.scope, flight.state
        interrupted = TokenRequestError(
            f"no access token for {scope}: the renewal was interrupted", "Ask again", scope=scope.wire, retryable=True
        )
        flight.next_state.set(State(began.held, began.replaced, interrupted))

    def _close(self) -> list[SharedResult[bool]]:
        """Stop; return what is worth waiting for."""
        self._closing.set(True)
        sent: list[SharedResult[bool]] = []
        for slot in self._slots.all():
            flight = slot.current(self._process).next.get(self._process)
            if flight is not None:
                flight.next_state.set(State(failure=closed_error(slot.key.scope)))
                if flight.is_sent and self._store is not None:
                    sent.append(flight.over)
        self._slots.clear()
        if len(self._housekeeping) or self._housekeeping.busy():
            # Nobody else is to begin with a token that was refused.
            dropped: SharedResult[bool] = SharedResult()
            if self._housekeeping.submit(partial(_set, dropped)):
                sent.append(dropped)
        return [*sent, self._announce.end()]

    def _under_way(self) -> list[Flight]:
        return [*(flight for _, flight in self._workers.busy()), *self._workers.waiting()]


# Sources whose last token somebody else may want.
_with_store: "weakref.WeakSet[TokenSource]" = weakref.WeakSet()
# Set as the program ends. From then on nothing is renewed that nobody waits for.
_at_exit: SharedResult[bool] = SharedResult()


@atexit.register
def _end_at_exit() -> None:
    _finish(list(_with_store))
    _at_exit.set(True)


def _finish(sources: "Iterable[TokenSource]") -> None:
    """
    Let tokens reach the store that are being asked for: a program that is started each minute must not ask each time.

    What has not been sent within a second is not sent any more: the end of the program would cut it off.
    """
    flights = [flight for source in sources for flight in source._under_way()]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - its own module
    _wait_for([flight.over for flight in flights])
    for flight in flights:
        flight.is_cancelled = True


def _wait_for(ends: Iterable[SharedResult[bool]]) -> None:
    until = time.monotonic() + _LAST_WAIT
    for end in ends:
        end.wait(max(0.0, until - time.monotonic()))


def _set(end: SharedResult[bool]) -> None:
    end.set(True)


def _is_on_event_loop() -> bool:
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return True
    try:
        return asyncio is not None and bool(asyncio.get_running_loop())
    except RuntimeError:
        return False


@hides_locals
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


def _check_call(what: str, token: object, method: object = "", path: object = "") -> None:
    unfit = unfit_token(token, what) or unfit_call(method, path)
    if unfit is not None:
        raise TypeError(unfit)


def _token_in(outcome: Outcome) -> AccessToken:
    if isinstance(outcome, HeldToken):
        return outcome.token
    # A fresh one for each caller: a raised exception collects the tracebacks of whoever raises it.
    raise copy.copy(outcome)


@hides_locals
def check_source(source: object) -> None:
    """
    See that `source` is one.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(source, TokenSource):
        msg = f"source is a TokenSource, not {type(source).__name__}; make one: TokenSource(credentials)"
        raise TypeError(msg)

"""
One renewal under way, and what comes of it: the single-flight of one scope.

What one process knows of a scope is a chain of states. A state never changes; a renewal that begins from it is its one
successor, and a renewal that has ended leads on to the state that came of it. So each step is published whole, by one
`dict.setdefault`, and nothing is locked: whoever comes in between, a signal handler too, reads one state or the next.
"""

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from daxko_auth.model.errors import TokenRequestError
from daxko_auth.model.shared_result import SharedResult
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal_policy import RenewalPolicy

if TYPE_CHECKING:
    from collections import deque

#: How a renewal ends.
Outcome = HeldToken | TokenRequestError

_NEVER: Final = float("-inf")
# More than anybody brings back late; fewer than would be felt in memory.
_PAST_KEPT: Final = 8


class State:
    """What is known of one scope between two renewals."""

    __slots__ = ("failed_at", "failure", "failures", "held", "next", "replaced")

    def __init__(
        self,
        held: HeldToken | None = None,
        replaced: HeldToken | None = None,
        failure: TokenRequestError | None = None,
        failures: int = 0,
        failed_at: float = _NEVER,
    ) -> None:
        #: The token, usable or not.
        self.held = held
        #: The token before it.
        self.replaced = replaced
        #: Why the last renewal failed, how many failed in a row, and when the last one ended (monotonic).
        self.failure = failure
        self.failures = failures
        self.failed_at = failed_at
        #: By process (a child after a fork knows none of its parent's), the renewal that begins from here.
        self.next: dict[object, Flight] = {}

    def after(self, outcome: Outcome, clock: Clock) -> "State":
        """Return the state that comes of a renewal that ended so."""
        if isinstance(outcome, HeldToken):
            return State(outcome, self.held or self.replaced)
        if self.held is None or self.held.is_usable(clock):
            return State(self.held, self.replaced, outcome, self.failures + 1, clock.monotonic())
        return State(None, self.held, outcome, self.failures + 1, clock.monotonic())

    def pause_ends(self, policy: RenewalPolicy, *, usable: bool) -> float:
        """Return until when (monotonic) no renewal begins, with a usable token at hand or without."""
        if self.failure is None:
            return _NEVER
        if usable:
            return self.failed_at + policy.pause_while_usable(self.failure, self.failures)
        return self.failed_at + policy.pause(self.failure)


class Slot:
    """One scope, and the newest of its states that anybody has seen."""

    __slots__ = ("key", "past", "state", "unhelpful", "unseen")

    def __init__(self, key: TokenKey) -> None:
        self.key = key
        #: A hint: the chain goes on from here.
        self.state = State()
        #: The fingerprints of the last few tokens that were replaced or rejected; never taken from a store again.
        self.past: dict[str, None] = {}
        #: By endpoint, when (monotonic) a renewal last did not help there; None as long as all did.
        self.unhelpful: dict[str, float] | None = None
        #: When (monotonic) the last renewals were caused of which nobody learns whether they helped; None before one.
        self.unseen: deque[float] | None = None

    def current(self, process: object) -> State:
        """Return the newest state."""
        state = self.state
        while (flight := state.next.get(process)) is not None and (newer := flight.next_state.get()) is not None:
            self.state = state = newer
        return state

    def retire(self, token: AccessToken) -> None:
        """Remember that `token` was replaced or rejected."""
        # A store goes by the wall clock, which can be set back; to it, a token of the past may look alive.
        self.past[token.fingerprint] = None
        with suppress(RuntimeError):  # another thread has just retired one; it does the same
            while len(self.past) > _PAST_KEPT:
                self.past.pop(next(iter(self.past)), None)


# The renewals that the running code is a part of, on whichever of their threads: a log handler may be called on the one
# that carries the request.
_running: ContextVar[tuple["Flight", ...]] = ContextVar("daxko_auth renewals", default=())


def is_renewing() -> bool:
    """Whether the caller is a part of a renewal: a store, a transport, a log handler."""
    return bool(_running.get())


class Flight:
    """One renewal, from the first who wanted it until the state that comes of it."""

    __slots__ = (
        "_claim",
        "_end",
        "_renew",
        "is_cancelled",
        "is_sent",
        "is_submitted",
        "next_state",
        "over",
        "slot",
        "state",
    )

    def __init__(
        self, slot: Slot, state: State, renew: Callable[["Flight"], None], end: Callable[["Flight"], None]
    ) -> None:
        self.slot = slot
        #: Where it began.
        self.state = state
        self._renew = renew
        self._end = end
        # Who runs it; claimed by `setdefault`.
        self._claim: dict[str, object] = {}
        #: Set after the act, so that whoever finds it unset does it again.
        self.is_submitted = False
        #: Set at the end of the program, so that it sends nothing that would be cut off.
        self.is_cancelled = False
        #: Whether a token request of it may be on the wire.
        self.is_sent = False
        #: The state that came of it.
        self.next_state: SharedResult[State] = SharedResult()
        #: Set once nothing of it runs any more.
        self.over: SharedResult[bool] = SharedResult()

    @property
    def is_claimed(self) -> bool:
        """Whether a thread runs it, or has done so."""
        return bool(self._claim)

    def runs_here(self) -> bool:
        """Whether the caller is a part of it, and so must not wait for it."""
        return self in _running.get()

    def __call__(self) -> None:
        """Renew, unless a thread does already."""
        me, outer, is_complete = object(), _running.get(), False
        try:
            if self._claim.setdefault("", me) is me:
                _running.set((*outer, self))
                self._renew(self)
            is_complete = True
        finally:
            if self._claim.get("") is me:
                _running.set(outer)
                if not is_complete:
                    self._end(self)
                self.over.set(True)

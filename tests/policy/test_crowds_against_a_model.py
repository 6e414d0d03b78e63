"""A crowd against a model: callers who come, wait, are cancelled and refused while renewals are under way."""

import asyncio
import queue
import threading
from collections import Counter, deque
from datetime import timedelta

from attrs import define, evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support import FakeClock, eventually, finish_renewals, held_by, is_idle

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    ClientScope,
    Secret,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenRequestError,
    TokenSource,
)
from daxko_auth.wire.token_response import utc

LIFE = 1_000
SCOPES = st.sampled_from([9999, 1234])


class SlowVendor:
    """Answers a token request when it is told to; knows how many are under way for each scope."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.issued: dict[AccessToken, tuple[float, float]] = {}
        self.requests = 0
        self.under_way: Counter[ClientScope] = Counter()
        self.most_under_way = 0
        self.answers_at_once = False
        # Each request waits at a queue of its own: one that has been answered no longer counts as waiting, even
        # before its thread has taken the answer.
        self.waiting: deque[queue.SimpleQueue[TokenRequestError | None]] = deque()
        self._lock = threading.Lock()

    def answer(self, error: TokenRequestError | None) -> None:
        """Answer the request that has waited longest."""
        self.waiting.popleft().put(error)

    def answer_everything(self) -> None:
        """Answer what waits, and from now on every request at once."""
        with self._lock:
            self.answers_at_once = True
            while self.waiting:
                self.answer(None)

    def request(self, scope: ClientScope, *, sent_at: float, timeout: float) -> AccessToken | TokenRequestError:
        """Wait for the answer."""
        mine: queue.SimpleQueue[TokenRequestError | None] = queue.SimpleQueue()
        with self._lock:
            self.requests += 1
            self.under_way[scope] += 1
            self.most_under_way = max(self.most_under_way, self.under_way[scope])
            asked_at = (self.clock.wall(), self.clock.monotonic())
            if self.answers_at_once:
                mine.put(None)
            else:
                self.waiting.append(mine)
        try:
            error = mine.get()
            if error is not None:
                return error
            with self._lock:
                secret = Secret(f"token-{self.requests}-{len(self.issued)}")
                token = AccessToken(scope, secret, utc(sent_at) + timedelta(seconds=LIFE), LIFE)
                self.issued[token] = asked_at
            return token
        finally:
            with self._lock:
                self.under_way[scope] -= 1


@define(eq=False)
class Caller:
    """A task that asks, and what was rejected before it asked."""

    scope: int
    task: "asyncio.Task[AccessToken]"
    cancelled: bool = False


class Crowd(RuleBasedStateMachine):
    """Tasks of one event loop, and threads, around one source."""

    @initialize()
    def begin(self) -> None:
        """Start with nobody waiting."""
        self.clock = FakeClock()
        self.vendor = SlowVendor(self.clock)
        self.loop = asyncio.new_event_loop()
        # One attempt: what a second one does is the other model's.
        self.source = TokenSource(ApiCredentials("u", "p", "r"), "https://api.daxko.com", clock=self.clock)
        renewal = self.source._renewal
        policy = evolve(renewal.policy, attempts=1)
        self.source._renewal = evolve(renewal, exchange=self.vendor, policy=policy)
        self.callers: list[Caller] = []
        self.rejected: set[AccessToken] = set()

    @rule(scope=SCOPES, count=st.integers(1, 5))
    def come(self, scope: int, count: int) -> None:
        """Ask, in tasks; who finds a token has it at once, everybody else waits."""
        for _ in range(count):
            self.callers.append(Caller(scope, self.loop.create_task(self.source.atoken(scope))))
        self._turn()

    @rule(which=st.integers(0, 100))
    def cancel(self, which: int) -> None:
        """Cancel one of those who wait, if anybody does; the first one as well."""
        if not self.callers:
            return
        caller = self.callers[which % len(self.callers)]
        caller.cancelled = caller.task.cancel() or caller.cancelled
        self._turn()

    @rule(failure=st.sampled_from([None, None, "down", "refused"]))
    def answer(self, failure: str | None) -> None:
        """Let the vendor answer one request, if one is under way."""
        if not self.vendor.waiting:
            return
        errors = {
            "down": TokenEndpointUnavailable("down", retryable=True),
            "refused": TokenRefused("no", error="invalid_scope"),
        }
        self.vendor.answer(errors.get(failure or ""))
        self._turn()

    @rule(scope=SCOPES)
    def reject(self, scope: int) -> None:
        """Refuse the token that is held, if there is one."""
        held = held_by(self.source, scope)
        if held is not None:
            self.rejected.add(held.token)
            self.source.reject(held.token)

    @rule(seconds=st.sampled_from([0.5, 1, 31, 300, 800, 2_000]))
    def wait(self, seconds: float) -> None:
        """Time passes, also while requests are under way."""
        self.clock.pass_time(seconds)

    @invariant()
    def asks_once_at_a_time(self) -> None:
        """Never are two requests under way for one scope."""
        if hasattr(self, "vendor"):
            assert self.vendor.most_under_way <= 1

    def teardown(self) -> None:
        """Answer what is under way: nobody is left waiting, and everybody who was not cancelled has an outcome."""
        if not hasattr(self, "vendor"):
            return
        self.vendor.answer_everything()
        finish_renewals(self.source)
        while not all(caller.task.done() for caller in self.callers):
            self._turn()
        for caller in self.callers:
            assert caller.task.cancelled() <= caller.cancelled, "cancelled, and did not ask for it"
            if not caller.task.cancelled() and (error := caller.task.exception()) is not None:
                assert isinstance(error, TokenRequestError)
        self.source.close()
        self.loop.close()

    def _turn(self) -> None:
        """Let threads and loop go on until nothing more comes of it, and look at who has come back."""
        eventually(lambda: is_idle(self.source._workers) or self._all_wait())
        for _ in range(12):
            self.loop.run_until_complete(asyncio.sleep(0))
        for caller in [caller for caller in self.callers if caller.task.done()]:
            self.callers.remove(caller)
            if caller.task.cancelled():
                assert caller.cancelled, "cancelled with somebody else"
            elif (error := caller.task.exception()) is None:
                self._check(caller.task.result(), caller.scope)
            else:
                assert isinstance(error, TokenRequestError)

    def _all_wait(self) -> bool:
        """Whether each thread that works has its request under way, and no thread is missing."""
        busy, size = len(self.source._workers.busy()), self.source._workers.size
        return 0 < busy == len(self.vendor.waiting) and (busy >= size or not len(self.source._workers))

    def _check(self, token: AccessToken, scope: int) -> None:
        assert token.scope.client_id == scope
        assert token not in self.rejected, "a token that was refused is handed out again"
        wall, monotonic = self.vendor.issued[token]
        assert max(self.clock.wall() - wall, self.clock.monotonic() - monotonic) < LIFE - 60, "a dead one"


TestCrowd = Crowd.TestCase
TestCrowd.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)

"""
A signal may come between any two steps: what it leaves half done is done by whoever comes next.

At the entry of every function that a public call enters, ours and the standard library's, the call is interrupted as
Ctrl-C interrupts it, or a token is asked for as a signal handler or a finalizer would. Afterwards the source renews.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import anyio
import httpx
import pytest
from support import PATIENCE, FakeClock, finish_renewals

from daxko_auth import ApiCredentials, MemoryStore, RenewalPolicy, TokenRequestError, TokenSource
from daxko_auth.model import threads as ours

DAY = 86_400
Call = Callable[[TokenSource, FakeClock], object]


class Endpoint(httpx.BaseTransport):
    """Grants a token of a day for each request, and counts them."""

    def __init__(self) -> None:
        self.granted: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer at once."""
        self.granted.append(f"token-{len(self.granted)}")
        return httpx.Response(200, json={"access_token": self.granted[-1], "expires_in": str(DAY)})


def new_source(clock: FakeClock, endpoint: Endpoint, **options: Any) -> TokenSource:
    """Return a source in which whatever hangs, hangs for longer than a test may take."""
    account, policy = (
        ApiCredentials("user", "password", "refresh"),
        RenewalPolicy(deadline=PATIENCE, attempt_timeout=PATIENCE),
    )
    return TokenSource(account, "https://daxko.example", http=endpoint, policy=policy, clock=clock, **options)


def cold(source: TokenSource, _: FakeClock) -> None:
    """Ask for the first token."""
    source.token(9999)


def stale(source: TokenSource, clock: FakeClock) -> None:
    """Have a token renewed behind the call."""
    clock.pass_time(0.8 * DAY)
    source.token(1234)


def dead(source: TokenSource, clock: FakeClock) -> None:
    """Ask once the token held is over."""
    clock.pass_time(2 * DAY)
    source.token(1234)


def after_401(source: TokenSource, _: FakeClock) -> None:
    """Do all that an adapter does after a 401 and another."""
    token = source.token(1234)
    replacement = source.replacement_for(token, method="GET", path="/v3/x")
    assert replacement
    source.replacement_refused(replacement, method="GET", path="/v3/x")
    source.doubt(replacement)
    source.refused_without_replay(replacement, method="POST", path="/v3/y")


def rejected(source: TokenSource, _: FakeClock) -> None:
    """Ask after a rejection."""
    source.reject(source.token(1234))
    source.token(1234)


def warm(source: TokenSource, _: FakeClock) -> None:
    """Ask for several at once."""
    source.warm([9999, 1, 2])


def bounded(source: TokenSource, _: FakeClock) -> None:
    """Wait no longer than a caller's own bound."""
    source.token(9999, timeout=5)


def awaited(source: TokenSource, _: FakeClock) -> None:
    """Ask as a task."""
    anyio.run(source.atoken, 9999)


CALLS: list[Call] = [cold, stale, dead, after_401, rejected, warm, bounded]


def is_ours(frame: FrameType) -> bool:
    """Whether it was entered from our code, and from nobody else's in between."""
    ours = False
    caller: FrameType | None = frame
    while caller is not None:
        # Logging holds a lock while it formats and writes: an interrupt there keeps it for ever, and whoever waits
        # there for a thread that logs waits for himself. Both are Python's.
        if caller.f_globals["__name__"] == "logging":
            return False
        if not ours and "/site-packages/" in caller.f_code.co_filename:
            return False
        ours = ours or "/daxko_auth/" in caller.f_code.co_filename
        caller = caller.f_back
    return ours


@contextmanager
def at_entry(number: int, do: Callable[[], None]) -> Iterator[list[str]]:
    """In this block, do something where function number `number` is entered from our code; give where that is."""
    found: list[str] = []
    entered = 0

    def trace(frame: FrameType, _: str, __: object) -> None:
        nonlocal entered
        if not is_ours(frame):
            return
        entered += 1
        if entered == number:
            sys.settrace(None)
            found.append(f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_code.co_qualname}")
            do()

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield found
    finally:
        sys.settrace(before)


def interrupt() -> None:
    """Do what Python does with Ctrl-C."""
    raise KeyboardInterrupt


@pytest.fixture(params=["threads", "no threads"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Try it where renewals have threads, and where an interpreter allows none."""
    if request.param == "no threads":

        def refused(*_: object) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(ours._thread, "start_new_thread", refused)


def each_entry(call: Call, do: Callable[[TokenSource], None], **options: Any) -> Iterator[tuple[TokenSource, str]]:
    """Do something at each entry of `call` in turn; give the source afterwards, and where it was done."""
    number = 0
    while True:
        number += 1
        clock, endpoint = FakeClock(), Endpoint()
        source = new_source(clock, endpoint, **options)
        source.token(1234)
        finish_renewals(source)
        with at_entry(number, lambda source=source: do(source)) as found, suppress(KeyboardInterrupt):
            call(source, clock)
        if not found:
            source.close()
            assert number > 10, "nothing was tried"
            return
        yield source, found[0]
        source.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # one in a finalizer is lost
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("call", CALLS)
def test_an_interrupt_anywhere_leaves_a_source_that_renews(call: Call) -> None:
    """Ctrl-C in a notebook, where the program goes on: the next call gets a token."""
    for source, where in each_entry(call, lambda _: interrupt()):
        try:
            assert source.token(1234), where
            source.reject(source.token(1234))
            assert source.token(1234), where
            assert source.token(9999), where
        except TokenRequestError as error:
            raise AssertionError(where) from error


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("call", [*CALLS, awaited])
def test_a_signal_handler_may_ask_for_a_token_anywhere(call: Call) -> None:
    """And so may a finalizer, which Python runs wherever it likes. Neither it nor what it came upon waits for ever."""

    def ask(source: TokenSource) -> None:
        # In the thread that renews, where there is no other, what it asks for may be what it came upon.
        with suppress(TokenRequestError):
            source.token(9999)

    for source, where in each_entry(call, ask):
        assert source.token(9999), where
        assert source.token(1234), where


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # one in a finalizer is lost
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("do", ["interrupt", "close", "token"])
def test_a_close_that_was_interrupted_can_be_repeated(do: str) -> None:
    """A program that is told twice to stop stops."""

    def act(source: TokenSource) -> None:
        if do == "interrupt":
            interrupt()
        elif do == "close":
            source.close()
        else:
            with suppress(TokenRequestError):
                source.token(9999)

    def close(source: TokenSource, clock: FakeClock) -> None:
        clock.pass_time(0.8 * DAY)
        with suppress(TokenRequestError):
            source.token(1234)
        source.close()

    for source, where in each_entry(close, act, store=MemoryStore(), on_event=lambda _: None):
        source.close()
        with pytest.raises(TokenRequestError, match="is closed"):
            source.token(1234)
        assert not source._slots.all(), where


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("turns", range(12))
def test_a_task_that_is_cancelled_anywhere_harms_no_other(backend: str, turns: int) -> None:
    """Nobody leads: whoever began the renewal may go at any await of it."""
    clock, endpoint = FakeClock(), Endpoint()
    answer = threading.Event()
    granted = endpoint.handle_request
    endpoint.handle_request = lambda request: granted(request) if answer.wait() else None  # type: ignore[method-assign, assignment, return-value]
    tokens: list[object] = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            first = anyio.CancelScope()

            async def ask(scope: anyio.CancelScope) -> None:
                with scope:
                    tokens.append(await source.atoken(9999))

            tasks.start_soon(ask, first)
            for _ in range(5):
                tasks.start_soon(ask, anyio.CancelScope())
            for turn in range(turns):
                await anyio.lowlevel.checkpoint()
                if turn == turns // 2:
                    answer.set()
            first.cancel()
            answer.set()

    with new_source(clock, endpoint) as source:
        anyio.run(main, backend=backend)
        assert len(tokens) in {5, 6}
        assert source.token(9999)
    assert len(endpoint.granted) == 1


def test_threads_that_race_cause_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask, reject and renew from eight threads that are switched as often as can be."""
    interval = sys.getswitchinterval()
    if sys.gettrace() is None:
        # CPython 3.11 fails to trace threads that begin so close to each other.
        sys.setswitchinterval(1e-6)
    try:
        for _ in range(40):
            race_once()
    finally:
        sys.setswitchinterval(interval)


def race_once() -> None:
    """Each of five tokens is asked for once, by whoever comes first, and rejected by all."""
    clock, endpoint = FakeClock(), Endpoint()
    barrier = threading.Barrier(8)
    seen: list[list[str]] = []

    def ask() -> None:
        mine: list[str] = []
        for _ in range(5):
            barrier.wait()
            token = source.token(9999)
            mine.append(token.reveal())
            barrier.wait()
            source.reject(token)
        seen.append(mine)

    with new_source(clock, endpoint) as source:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == [[f"token-{number}" for number in range(5)]] * 8
    assert len(endpoint.granted) == 5

"""Many callers, one token request: threads, tasks, several loops, and what happens when some give up."""

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from itertools import pairwise

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio
from attrs import evolve
from support import PATIENCE, START_THREAD, FakeClock, aeventually, eventually, no_thread, waiting_tasks

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    ClientScope,
    DaxkoAuth,
    RenewalPolicy,
    Secret,
    TokenEndpointUnavailable,
    TokenRequestError,
    TokenSource,
)
from daxko_auth.sandbox import Sandbox
from daxko_auth.wire.token_response import utc

WOKEN_AT_ONCE = 3
"""Tasks that may be woken between two turns of another one. It is one at a time, but trio shuffles the turns."""

ENDLESS = RenewalPolicy(attempt_timeout=PATIENCE, deadline=PATIENCE)
"""For requests that are held back: whoever waited for their end would wait for ever."""


@pytest.fixture
def source(sandbox: Sandbox, credentials: ApiCredentials) -> TokenSource:
    """On the real clock: nothing here waits for time to pass."""
    return TokenSource(credentials, sandbox.base_url, policy=ENDLESS)


def test_256_threads_cause_one_token_request(sandbox: Sandbox, source: TokenSource) -> None:
    """A web server's first second must not cost a request per worker thread."""
    sandbox.hold()
    everybody = threading.Barrier(257)

    def ask() -> AccessToken:
        everybody.wait()
        return source.token(9999)

    with ThreadPoolExecutor(256) as pool:
        tokens = [pool.submit(ask) for _ in range(256)]
        everybody.wait()
        sandbox.wait_for_token_requests(1)
        sandbox.release()

        assert len({token.result() for token in tokens}) == 1
    assert sandbox.token_requests() == 1


def test_an_expired_token_costs_one_request_whoever_asks(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """Every worker notices the end of a token at the same moment: threads, tasks, and both together."""

    async def ask_often(source: TokenSource) -> set[AccessToken]:
        return set(await asyncio.gather(*(source.atoken(9999) for _ in range(100))))

    with (
        TokenSource(credentials, sandbox.base_url, clock=clock, policy=ENDLESS) as source,
        ThreadPoolExecutor(51) as pool,
        ExitStack() as last,
    ):
        # Before the threads are waited for, whatever happens.
        last.callback(sandbox.release)
        for threads, loops in ((0, 1), (50, 0), (50, 1)):
            expired = source.token(9999)
            clock.pass_time(86_400)
            sandbox.clear_log()
            sandbox.hold()
            asked = [pool.submit(source.token, 9999) for _ in range(threads)]
            asked_often = [pool.submit(asyncio.run, ask_often(source)) for _ in range(loops)]
            sandbox.wait_for_token_requests(1)
            eventually(lambda expected=100 * loops: waiting_tasks(source) == expected)  # type: ignore[misc]
            sandbox.release()

            tokens = {one.result() for one in asked}.union(*(some.result() for some in asked_often))
            assert len(tokens - {expired}) == 1
            assert sandbox.token_requests() == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ten_thousand_tasks_cause_one_token_request_and_no_stall(
    sandbox: Sandbox, source: TokenSource, backend: str
) -> None:
    """Waiting for a token must not stop a loop from serving everybody else, nor must the waking of all who waited."""
    tokens: list[AccessToken] = []
    turns: list[int] = []

    async def ask() -> None:
        tokens.append(await source.atoken(9999))

    async def somebody_else() -> None:
        while len(tokens) < 10_000:
            turns.append(len(tokens))
            await anyio.lowlevel.checkpoint()
        turns.append(len(tokens))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(10_000):
                group.start_soon(ask)
            # Only a loop that goes on meanwhile comes to what is below.
            await aeventually(lambda: waiting_tasks(source) == 10_000)
            group.start_soon(somebody_else)
            await anyio.lowlevel.checkpoint()
            sandbox.release()

    sandbox.hold()
    anyio.run(main, backend=backend)

    assert len(tokens) == 10_000
    assert len(set(tokens)) == 1
    assert sandbox.token_requests() == 1
    assert max(later - earlier for earlier, later in pairwise(turns)) <= WOKEN_AT_ONCE


def test_threads_and_several_loops_share_one_token_request(sandbox: Sandbox, source: TokenSource) -> None:
    """A program with a loop per thread, and threads beside them, is still one program to Daxko."""
    sandbox.hold()

    async def ask_often() -> set[AccessToken]:
        tokens: set[AccessToken] = set()

        async def ask() -> None:
            tokens.add(await source.atoken(9999))

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(ask)
        return tokens

    # Released before the threads are waited for, whatever happens.
    with ThreadPoolExecutor(40) as pool, ExitStack() as last:
        last.callback(sandbox.release)
        threads = [pool.submit(source.token, 9999) for _ in range(30)]
        loops = [pool.submit(anyio.run, ask_often, backend=backend) for backend in ["asyncio", "trio"] * 3]
        sandbox.wait_for_token_requests(1)
        eventually(lambda: waiting_tasks(source) == 300)
        sandbox.release()
        tokens = {thread.result() for thread in threads}.union(*(loop.result() for loop in loops))

    assert len(tokens) == 1
    assert sandbox.token_requests() == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_first_waiter_cancelled_harms_nobody(sandbox: Sandbox, source: TokenSource, backend: str) -> None:
    """Whoever came first must not take everybody down when its user closes the page."""
    sandbox.hold()
    tokens: list[AccessToken] = []

    async def ask() -> None:
        tokens.append(await source.atoken(9999))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            first = anyio.CancelScope()

            async def ask_first() -> None:
                with first:
                    await ask()

            group.start_soon(ask_first)
            for _ in range(19):
                group.start_soon(ask)
            await aeventually(lambda: waiting_tasks(source) == 20)
            first.cancel()
            await anyio.lowlevel.checkpoint()
            sandbox.release()

    anyio.run(main, backend=backend)

    assert len(tokens) == 19
    assert len(set(tokens)) == 1
    assert sandbox.token_requests() == 1


def test_a_waiter_with_a_time_limit_leaves_the_request_to_the_others(sandbox: Sandbox, source: TokenSource) -> None:
    """`asyncio.wait_for` around one caller is a cancellation like any other."""
    sandbox.hold()

    async def main() -> AccessToken:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(source.atoken(9999), timeout=0.01)
        patient = asyncio.create_task(source.atoken(9999))
        await aeventually(lambda: waiting_tasks(source) == 1)
        sandbox.release()
        return await patient

    assert asyncio.run(main()) == source.token(9999)
    assert sandbox.token_requests() == 1


def test_one_source_serves_loops_that_come_and_go(sandbox: Sandbox, source: TokenSource) -> None:
    """Scripts call `asyncio.run` again and again; nothing may stay bound to a loop that has ended."""
    first = asyncio.run(source.atoken(9999))
    source.reject(first)

    second = trio.run(source.atoken, 9999)

    assert second != first
    assert asyncio.run(source.atoken(9999)) == second
    assert sandbox.token_requests() == 2


def test_one_auth_object_serves_every_loop_and_keeps_none(sandbox: Sandbox, source: TokenSource) -> None:
    """A lock that belongs to a loop fails in the next one; one lock per loop would keep the loops of years."""
    auth = DaxkoAuth(source, 9999)
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def call_twice() -> list[int]:
        with suppress(RuntimeError):  # under trio
            loops.append(weakref.ref(asyncio.get_running_loop()))
        statuses: list[int] = []

        async def call() -> None:
            async with httpx.AsyncClient(
                base_url=sandbox.base_url, auth=auth, headers={"Accept": "application/json"}
            ) as http:
                statuses.append((await http.get("/v3/x")).status_code)

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            group.start_soon(call)
        return statuses

    sandbox.hold()
    # Released before the threads are waited for, whatever happens.
    with ThreadPoolExecutor(3) as pool, ExitStack() as last:
        last.callback(sandbox.release)
        at_once = [pool.submit(anyio.run, call_twice, backend=backend) for backend in ("asyncio", "asyncio", "trio")]
        eventually(lambda: waiting_tasks(source) == 6)
        sandbox.release()
        answers = [each.result() for each in at_once]
    answers += [anyio.run(call_twice, backend=backend) for backend in ("asyncio", "asyncio", "trio")]

    assert answers == [[200, 200]] * 6
    assert sandbox.token_requests() == 1
    assert len(loops) == 4
    # The threads that ran them, or woke them, may be on their way out.
    eventually(lambda: gc.collect() >= 0 and not any(loop() for loop in loops))


def test_a_loop_that_ends_while_it_waits_does_not_harm_the_others(sandbox: Sandbox, source: TokenSource) -> None:
    """Nobody can wake a loop that is gone; the renewal must not stumble over it."""
    sandbox.hold()
    ended = asyncio.new_event_loop()
    waiter = ended.create_task(source.atoken(9999))
    ended.run_until_complete(aeventually(lambda: waiting_tasks(source) == 1))
    waiter.cancel()
    ended.run_until_complete(asyncio.gather(waiter, return_exceptions=True))
    ended.close()
    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(source.token, 9999)
        sandbox.release()

        assert thread.result() == source.token(9999)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_slow_token_endpoint_does_not_stall_the_loop(sandbox: Sandbox, source: TokenSource, backend: str) -> None:
    """The request runs on a thread of its own, so other tasks of the loop go on, whether they ask or call."""
    sandbox.hold()

    async def main() -> None:
        async with (
            httpx.AsyncClient(
                base_url=sandbox.base_url, auth=DaxkoAuth(source, 9999), headers={"Accept": "application/json"}
            ) as http,
            anyio.create_task_group() as group,
        ):
            for _ in range(5):
                group.start_soon(source.atoken, 9999)
                group.start_soon(http.get, "/v3/x")
            # Only a loop that goes on meanwhile comes to the end of the request.
            await aeventually(lambda: (waiting_tasks(source), sandbox.token_requests()) == (10, 1))
            sandbox.release()

    anyio.run(main, backend=backend)

    assert [arrival.status for arrival in sandbox.log] == [200] * (1 + 5)


def test_waiters_share_a_failure_and_each_raises_its_own(sandbox: Sandbox, source: TokenSource) -> None:
    """One exception raised by a hundred threads would collect a hundred tracebacks, with everybody's locals."""
    sandbox.hold()
    sandbox.fail_next(1, "status", status=401)
    raised: list[Exception] = []
    everybody = threading.Barrier(101)

    def ask() -> None:
        everybody.wait()
        try:
            source.token(9999)
        except Exception as error:  # noqa: BLE001 - whatever comes is what the test looks at
            raised.append(error)

    with ThreadPoolExecutor(100) as pool:
        for _ in range(100):
            pool.submit(ask)
        everybody.wait()
        sandbox.wait_for_token_requests(1)
        sandbox.release()

    assert len({id(error) for error in raised}) == 100
    assert len({str(error) for error in raised}) == 1
    assert sandbox.token_requests() == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_hundred_tasks_share_the_attempts_of_an_endpoint_that_is_down(
    sandbox: Sandbox, credentials: ApiCredentials, backend: str
) -> None:
    """Each waiter that tries again by itself would make a queue of a hundred failing requests."""
    sandbox.fail_next(1_000, "status", status=503)
    raised: list[TokenEndpointUnavailable] = []
    policy = RenewalPolicy(first_retry_wait=0.02, first_pause=PATIENCE, attempt_timeout=PATIENCE, deadline=PATIENCE)
    source = TokenSource(credentials, sandbox.base_url, policy=policy)

    async def ask() -> None:
        try:
            await source.atoken(9999)
        except TokenEndpointUnavailable as error:
            raised.append(error)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(ask)
        await ask()

    anyio.run(main, backend=backend)

    assert len({id(error) for error in raised}) == 101
    assert {str(error) for error in raised} == {str(raised[0])}
    assert sandbox.token_requests() == 4


def test_waking_is_one_task_per_turn_and_in_order(sandbox: Sandbox, source: TokenSource) -> None:
    """A thousand tasks woken together would all queue in httpx's pool at once, which scans its whole queue."""
    sandbox.hold()
    woken: list[int] = []
    turns: list[int] = []

    async def ask(number: int) -> None:
        await source.atoken(9999)
        woken.append(number)

    async def count_turns() -> None:
        while len(woken) < 100:
            turns.append(len(woken))
            await asyncio.sleep(0)
        turns.append(len(woken))

    async def main() -> None:
        tasks = [asyncio.create_task(ask(number)) for number in range(100)]
        await aeventually(lambda: waiting_tasks(source) == 100)
        counting = asyncio.create_task(count_turns())
        await asyncio.sleep(0)
        sandbox.release()
        await asyncio.gather(*tasks, counting)

    asyncio.run(main())

    assert woken == list(range(100))
    assert max(later - earlier for earlier, later in pairwise(turns)) <= 1


def test_closing_lets_waiters_go_at_once(sandbox: Sandbox, source: TokenSource) -> None:
    """A program that shuts down does not wait for a token endpoint that hangs."""
    sandbox.hold()
    # Released before its thread is waited for, whatever happens.
    with ThreadPoolExecutor(1) as pool, ExitStack() as last:
        last.callback(sandbox.release)
        waiter = pool.submit(source.token, 9999)
        sandbox.wait_for_token_requests(1)

        source.close()

        with pytest.raises(TokenRequestError, match="closed"):
            waiter.result()


class Flipping:
    """An exchange whose every token differs from the one before in its secret, its life and its end."""

    def __init__(self) -> None:
        self.issued: dict[str, tuple[ClientScope, datetime, int]] = {}

    def request(self, scope: ClientScope, *, sent_at: float, timeout: float) -> AccessToken:
        """Issue the next token."""
        number = len(self.issued)
        life = 80_000 + number
        token = AccessToken(scope, Secret(f"token-{number}"), utc(sent_at) + timedelta(seconds=life), life)
        self.issued[token.reveal()] = (scope, token.expires_at, life)
        return token


@pytest.fixture
def restless() -> Iterator[None]:
    """Let threads take turns thousands of times more often than Python usually does."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


def test_no_reader_sees_half_of_a_renewal(
    credentials: ApiCredentials, restless: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret of one token with the expiry of another is a 401 that nobody can explain."""
    source = TokenSource(credentials, "https://api.daxko.com")
    exchange = Flipping()
    # In place: ten thousand threads, started one after another, would be what takes the time.
    monkeypatch.setattr(START_THREAD, no_thread)
    source._renewal = evolve(source._renewal, exchange=exchange)
    done = threading.Event()
    seen: set[tuple[str, ClientScope, datetime, int]] = set()

    def take(token: AccessToken) -> None:
        seen.add((token.reveal(), token.scope, token.expires_at, token.expires_in))

    def read() -> None:
        while not done.is_set():
            take(source.token(9999))

    async def aread() -> None:
        while not done.is_set():
            take(await source.atoken(9999))
            await asyncio.sleep(0)

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read), pool.submit(read), pool.submit(asyncio.run, aread())]
        try:
            # On a busy machine the readers may not get a turn for a while.
            while len(exchange.issued) < 10_000 or len(seen) < 100:
                source.reject(source.token(9999))
        finally:
            done.set()
        for reader in readers:
            reader.result()

    assert [each for each in seen if exchange.issued[each[0]] != each[1:]] == []

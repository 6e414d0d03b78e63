"""Many callers, one token request: threads, tasks, several loops, and what happens when some give up."""

import asyncio
import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio
from attrs import evolve
from support import FakeClock, waiting_tasks

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
from daxko_auth.edges.token_response import utc
from daxko_auth.sandbox import Sandbox

LONGEST_STALL = 0.05
"""Seconds for which an event loop may stand still, as users notice it."""


@pytest.fixture
def source(sandbox: Sandbox, credentials: ApiCredentials) -> TokenSource:
    """On the real clock: nothing here waits for time to pass."""
    return TokenSource(credentials, sandbox.base_url)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Python's collector stops the world for 100 ms to look at ten thousand tasks, whoever made them."""
    gc.disable()
    yield
    gc.enable()


async def heartbeat(stalls: list[float]) -> None:
    """Note for how long the loop stood still, until cancelled."""
    last = time.perf_counter()
    while True:
        await anyio.sleep(0.001)
        now = time.perf_counter()
        stalls.append(now - last)
        last = now


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

    with TokenSource(credentials, sandbox.base_url, clock=clock) as source, ThreadPoolExecutor(51) as pool:
        for threads, loops in ((0, 1), (50, 0), (50, 1)):
            expired = source.token(9999)
            clock.pass_time(86_400)
            sandbox.clear_log()
            sandbox.hold()
            asked = [pool.submit(source.token, 9999) for _ in range(threads)]
            asked_often = [pool.submit(asyncio.run, ask_often(source)) for _ in range(loops)]
            sandbox.wait_for_token_requests(1)
            while waiting_tasks(source) < 100 * loops:
                time.sleep(0.001)
            sandbox.release()

            tokens = {one.result() for one in asked}.union(*(some.result() for some in asked_often))
            assert len(tokens - {expired}) == 1
            assert sandbox.token_requests() == 1


def least_stall(run: Callable[[list[float]], None]) -> float:
    """Return the longest stall of the calmest of ten runs: what we cause is in all of them, noise is not."""
    longest: list[float] = []
    for _ in range(10):
        stalls: list[float] = []
        run(stalls)
        longest.append(max(stalls))
        if longest[-1] < LONGEST_STALL:
            break
    return min(longest)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ten_thousand_tasks_cause_one_token_request_and_no_stall(
    sandbox: Sandbox, source: TokenSource, no_collector: None, backend: str
) -> None:
    """Waiting for a token must not stop a loop from serving everybody else."""

    async def main(stalls: list[float], tokens: list[AccessToken]) -> None:
        async def ask() -> None:
            tokens.append(await source.atoken(9999))

        async with anyio.create_task_group() as beating:
            beating.start_soon(heartbeat, stalls)
            async with anyio.create_task_group() as group:
                for begun in range(10_000):
                    group.start_soon(ask)
                    if begun % 100 == 0:
                        await anyio.lowlevel.checkpoint()  # starting tasks is the test's own work, not the library's
                while waiting_tasks(source) < 10_000:
                    await anyio.sleep(0.001)
                sandbox.release()
            beating.cancel_scope.cancel()

    def run(stalls: list[float]) -> None:
        sandbox.clear_log()
        sandbox.hold()
        tokens: list[AccessToken] = []
        anyio.run(main, stalls, tokens, backend=backend)
        assert len(tokens) == 10_000
        assert len(set(tokens)) == 1
        assert sandbox.token_requests() == 1
        source.reject(tokens[0])

    assert least_stall(run) < LONGEST_STALL


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

    with ThreadPoolExecutor(40) as pool:
        threads = [pool.submit(source.token, 9999) for _ in range(30)]
        loops = [pool.submit(anyio.run, ask_often, backend=backend) for backend in ["asyncio", "trio"] * 3]
        sandbox.wait_for_token_requests(1)
        while waiting_tasks(source) < 300:
            time.sleep(0.001)
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
            while waiting_tasks(source) < 20:
                await anyio.sleep(0.001)
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
        while not waiting_tasks(source):
            await asyncio.sleep(0.001)
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
    with ThreadPoolExecutor(3) as pool:
        at_once = [pool.submit(anyio.run, call_twice, backend=backend) for backend in ("asyncio", "asyncio", "trio")]
        while waiting_tasks(source) < 6:
            time.sleep(0.001)
        sandbox.release()
        answers = [each.result() for each in at_once]
    answers += [anyio.run(call_twice, backend=backend) for backend in ("asyncio", "asyncio", "trio")]
    gc.collect()

    assert answers == [[200, 200]] * 6
    assert [loop() for loop in loops] == [None] * 4
    assert sandbox.token_requests() == 1


def test_a_loop_that_ends_while_it_waits_does_not_harm_the_others(sandbox: Sandbox, source: TokenSource) -> None:
    """Nobody can wake a loop that is gone; the renewal must not stumble over it."""
    sandbox.hold()
    ended = asyncio.new_event_loop()
    waiter = ended.create_task(source.atoken(9999))
    while not waiting_tasks(source):
        ended.run_until_complete(asyncio.sleep(0.001))
    waiter.cancel()
    ended.run_until_complete(asyncio.gather(waiter, return_exceptions=True))
    ended.close()
    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(source.token, 9999)
        sandbox.release()

        assert thread.result(timeout=10) == source.token(9999)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_slow_token_endpoint_does_not_stall_the_loop(sandbox: Sandbox, source: TokenSource, backend: str) -> None:
    """The request runs on a thread of its own, so other tasks of the loop go on, whether they ask or call."""
    source.token(1234)  # what is imported with the first request is no affair of the loop
    sandbox.set_latency(0.3)

    async def main(stalls: list[float]) -> None:
        async with (
            httpx.AsyncClient(
                base_url=sandbox.base_url, auth=DaxkoAuth(source, 9999), headers={"Accept": "application/json"}
            ) as http,
            anyio.create_task_group() as beating,
        ):
            beating.start_soon(heartbeat, stalls)
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(source.atoken, 9999)
                    group.start_soon(http.get, "/v3/x")
            beating.cancel_scope.cancel()

    def run(stalls: list[float]) -> None:
        anyio.run(main, stalls, backend=backend)
        source.reject(source.token(9999))

    assert least_stall(run) < LONGEST_STALL


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
    policy = RenewalPolicy(first_retry_wait=0.02, first_pause=60)
    source = TokenSource(credentials, sandbox.base_url, policy=policy)

    async def ask() -> None:
        try:
            await source.atoken(9999)
        except TokenEndpointUnavailable as error:
            raised.append(error)

    async def main() -> None:
        with anyio.fail_after(10):
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

    async def main() -> None:
        tasks = [asyncio.create_task(ask(number)) for number in range(100)]
        while waiting_tasks(source) < 100:
            await asyncio.sleep(0.001)
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
    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(source.token, 9999)
        sandbox.wait_for_token_requests(1)

        source.close()

        with pytest.raises(TokenRequestError, match="closed"):
            waiter.result(timeout=5)
    sandbox.release()


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
    monkeypatch.setattr(source._crew, "run", lambda job: job())
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

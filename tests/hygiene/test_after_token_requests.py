"""After token requests that succeed, fail, are given up or closed: no thread, file, socket or task is left."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import anyio
import httpx
import pytest
from inventory import nothing_left_behind, tasks_now
from raw_server import Behaviour, RawServer, answer, dripping, pouring, resetting, saying
from support import PATIENCE, Ask, FakeClock, aeventually, finish_renewals, waiting_tasks

from daxko_auth import (
    ApiCredentials,
    RenewalPolicy,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenRequestError,
    TokenResponseInvalid,
    TokenSource,
)
from daxko_auth.sandbox import Failure, Sandbox

TIMES = 4
"""How often each thing is done: what is left of each adds up."""

PATIENT = RenewalPolicy(attempts=2, attempt_timeout=PATIENCE, deadline=PATIENCE)
IMPATIENT = RenewalPolicy(attempts=2, attempt_timeout=0.1)
"""Where there never is an answer, so that it does not matter how long a slow machine takes for one."""
LONG_AFTER = 400.0
"""Seconds after which no failure is remembered any more."""

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"

FAILURES: dict[str, tuple[Failure | Behaviour, type[TokenRequestError]]] = {
    "refused": (Failure("status", 401, error="invalid_client"), TokenRefused),
    "unavailable": (Failure("status", 503), TokenEndpointUnavailable),
    "too many": (Failure("status", 429, retry_after=1), TokenEndpointUnavailable),
    "malformed": (Failure("malformed"), TokenResponseInvalid),
    "redirected": (Failure("redirect", 307), TokenResponseInvalid),
    "no answer": (Failure("hang"), TokenEndpointUnavailable),
    "dropped": (Failure("drop"), TokenEndpointUnavailable),
    "cut": (Failure("cut"), TokenEndpointUnavailable),
    "reset": (resetting, TokenEndpointUnavailable),
    "not HTTP": (saying(b"SSH-2.0-OpenSSH_9.9\r\n"), TokenEndpointUnavailable),
    "too large": (saying(answer(b" " * 100_000)), TokenResponseInvalid),
    "an endless body": (pouring(ENDLESS, b" " * 8192), TokenResponseInvalid),
    "endless chunks": (pouring(CHUNKED, b"1000\r\n" + b" " * 4096 + b"\r\n"), TokenResponseInvalid),
    "a slow body": (dripping(ENDLESS, b" "), TokenEndpointUnavailable),
    "a slow header": (dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x"), TokenEndpointUnavailable),
    "informational answers": (pouring(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), TokenEndpointUnavailable),
}

SLOW = {"no answer", "a slow body", "a slow header", "informational answers"}
"""Those that end because the time is up."""


@pytest.mark.parametrize("failure", FAILURES)
def test_requests_that_fail_leave_nothing_behind(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, ask: Ask, failure: str
) -> None:
    """A token endpoint in trouble is asked every second for hours; what each attempt left would add up."""
    how, error = FAILURES[failure]
    with ExitStack() as servers:
        if isinstance(how, Failure):
            base_url = sandbox.base_url
            sandbox.fail_next(1000, how)
        else:
            base_url = servers.enter_context(RawServer(how)).base_url
        policy = IMPATIENT if failure in SLOW else PATIENT
        with TokenSource(credentials, base_url, clock=clock, policy=policy) as source:

            def fail() -> None:
                with pytest.raises(error):
                    ask(source, 9999)
                clock.pass_time(LONG_AFTER)

            fail()
            with nothing_left_behind():
                for _ in range(TIMES):
                    fail()


def test_requests_that_succeed_leave_nothing_behind(sandbox: Sandbox, source: TokenSource, ask: Ask) -> None:
    """A connection kept for the next token would be kept for a day."""
    source.reject(ask(source, 9999))
    with nothing_left_behind():
        for _ in range(TIMES):
            source.reject(ask(source, 9999))
    assert sandbox.token_requests() == TIMES + 1


def test_a_transport_that_is_lent_keeps_no_connection_for_the_next_token(
    sandbox: Sandbox, credentials: ApiCredentials
) -> None:
    """The next may be a day away; meanwhile the connection would stay half closed, or be shared by forked processes."""
    with (
        httpx.HTTPTransport() as lent,
        TokenSource(credentials, sandbox.base_url, http=lent) as source,
        nothing_left_behind(),
    ):
        source.warm([9999, 1234])
        finish_renewals(source)


def test_renewals_that_fail_behind_their_callers_leave_nothing_behind(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask
) -> None:
    """Nobody waits for them, so nobody would notice."""
    ask(source, 9999)
    clock.pass_time(0.76 * 86_400)
    sandbox.fail_next(1000, "drop")
    with nothing_left_behind():
        for _ in range(TIMES):
            ask(source, 9999)
            finish_renewals(source)
            clock.pass_time(LONG_AFTER)
    assert sandbox.token_requests() == 1 + TIMES * 4


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_callers_that_are_cancelled_leave_nothing_behind(sandbox: Sandbox, source: TokenSource, backend: str) -> None:
    """Users close pages all day; the one request they waited for goes on, and nothing else does."""

    async def give_up() -> None:
        before = tasks_now()
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(source.atoken, 9999)
            await aeventually(lambda: waiting_tasks(source) == 20)
            group.cancel_scope.cancel()
        assert tasks_now() == before
        assert waiting_tasks(source) == 0, "the event of somebody who is gone"

    def give_up_and_ask() -> None:
        sandbox.clear_log()
        sandbox.hold()
        anyio.run(give_up, backend=backend)
        sandbox.release()
        source.reject(source.token(9999))
        assert sandbox.token_requests() == 1
        finish_renewals(source)

    give_up_and_ask()
    with nothing_left_behind():
        for _ in range(TIMES):
            give_up_and_ask()


def test_threads_that_wait_when_it_closes_leave_nothing_behind(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """A program that reads its settings anew closes one source and opens another while requests are under way."""

    def close_under_way() -> None:
        sandbox.clear_log()
        sandbox.hold()
        source = TokenSource(credentials, sandbox.base_url, policy=PATIENT)
        # Released before the threads are waited for, whatever happens.
        with ThreadPoolExecutor(10) as pool, ExitStack() as last:
            last.callback(sandbox.release)
            waiting = [pool.submit(source.token, 9999) for _ in range(10)]
            sandbox.wait_for_token_requests(1)
            source.close()
            for waiter in waiting:
                with pytest.raises(TokenRequestError, match="closed"):
                    waiter.result()

    close_under_way()
    with nothing_left_behind():
        for _ in range(TIMES):
            close_under_way()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tasks_that_wait_when_it_closes_leave_nothing_behind(
    sandbox: Sandbox, credentials: ApiCredentials, backend: str
) -> None:
    """The same in an event loop, which must find its tasks ended."""

    async def close_under_way() -> None:
        before = tasks_now()
        sandbox.hold()
        source = TokenSource(credentials, sandbox.base_url, policy=PATIENT)

        async def wait() -> None:
            with pytest.raises(TokenRequestError, match="closed"):
                await source.atoken(9999)

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(wait)
            await aeventually(lambda: waiting_tasks(source) == 10)
            source.close()
        assert tasks_now() == before
        sandbox.release()

    anyio.run(close_under_way, backend=backend)
    with nothing_left_behind():
        for _ in range(TIMES):
            anyio.run(close_under_way, backend=backend)


def test_a_source_that_nobody_closes_is_collected_with_its_tokens(
    sandbox: Sandbox, credentials: ApiCredentials
) -> None:
    """Closing is for those who wait; a source that is merely forgotten must not be kept for forks or for anything."""
    source = TokenSource(credentials, sandbox.base_url)
    source.token(9999)
    finish_renewals(source)
    forgotten = weakref.ref(source)
    del source
    gc.collect()
    assert forgotten() is None

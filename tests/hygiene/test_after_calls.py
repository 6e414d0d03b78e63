"""After calls through `Daxko` and `AsyncDaxko` that succeed, fail or are given up: connections are reused, or gone."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress

import anyio
import httpx
import pytest
from either_daxko import EitherDaxko
from inventory import nothing_left_behind, nothing_left_behind_in_this_loop
from support import FakeClock, aeventually

from daxko_auth import (
    ApiCredentials,
    AsyncDaxko,
    Daxko,
    DaxkoAuthError,
    MemberLoginRefused,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenResponseInvalid,
    TokenSource,
    UntrustedOriginError,
)
from daxko_auth.sandbox import Sandbox

# Under trio, httpx's own generators complain of any stream that is left half read, whoever authenticates it.
HALF_READ = pytest.mark.filterwarnings("ignore:Async generator 'http(x|core)\\.:ResourceWarning")

TIMES = 4
"""How often each thing is done: what is left of each adds up."""

LONG = b"x" * 1_000_000


async def a_call(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Succeed."""
    assert (await daxko.get()).status_code == 200


async def an_expired_token(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Be replayed after a 401."""
    sandbox.expire()
    assert (await daxko.get()).status_code == 200


async def a_401_for_good(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Be refused after the replay, too."""
    sandbox.always_401("/v3/never")
    assert (await daxko.get("/v3/never")).status_code == 401


async def an_error(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Be answered 503."""
    sandbox.fail_next(1, "status", where="resource")
    assert (await daxko.get()).status_code == 503


async def a_dropped_connection(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Get no answer."""
    sandbox.fail_next(1, "drop", where="resource")
    with pytest.raises(httpx.RemoteProtocolError):
        await daxko.get()


async def a_cut_answer(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Get half an answer."""
    sandbox.fail_next(1, "cut", where="resource")
    with pytest.raises(httpx.RemoteProtocolError):
        await daxko.get()


async def a_time_limit(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Get no answer in time."""
    sandbox.fail_next(1, "hang", where="resource")
    # For the answer alone: to connect may take a busy machine as long as it likes.
    with pytest.raises(httpx.ReadTimeout):
        await daxko.get(timeout=httpx.Timeout(None, read=0.05))
    # What was sent may arrive only now, and the next call must not be the one that gets no answer.
    await aeventually(lambda: hangs_to_come(sandbox) == 0)


def hangs_to_come(sandbox: Sandbox) -> int:
    """Count the calls that are still to fail."""
    return sandbox._station("resource").now().failures_to_come


async def another_origin(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Be refused before anything is sent."""
    with pytest.raises(UntrustedOriginError):
        await daxko.get("https://elsewhere.example/")


async def no_token(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Find that none is to be had, after a 401 that was read."""
    sandbox.expire()
    sandbox.fail_next(1, "status", status=401, error="unauthorized_client")
    with pytest.raises(TokenRefused):
        await daxko.get()


async def a_stream(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Be read to its end."""
    sandbox.fail_next(1, "answer", where="resource", body=LONG)
    async with daxko.stream() as chunks:
        assert sum([len(chunk) async for chunk in chunks]) == len(LONG)


async def a_stream_after_a_401(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Be replayed: the first answer was read and is done with."""
    sandbox.expire()
    async with daxko.stream() as chunks:
        assert b"client_id" in b"".join([chunk async for chunk in chunks])


async def a_stream_refused_for_good(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Be a 401 that is handed over."""
    sandbox.always_401("/v3/never")
    async with daxko.stream("/v3/never") as chunks:
        assert [chunk async for chunk in chunks]


async def a_stream_left_half_read(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Be left with most of it unread."""
    sandbox.fail_next(1, "answer", where="resource", body=LONG)
    async with daxko.stream() as chunks, aclosing(chunks):
        assert await anext(chunks)


async def a_stream_left_unread_after_a_401(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Be replayed, and left."""
    sandbox.expire()
    async with daxko.stream():
        pass


async def a_stream_that_raises(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Be left by an error of the program's own."""
    sandbox.fail_next(1, "answer", where="resource", body=LONG)
    with suppress(ZeroDivisionError):
        async with daxko.stream() as chunks, aclosing(chunks):
            await anext(chunks)
            raise ZeroDivisionError


async def a_member(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Sign in."""
    assert await daxko.member_token()


async def a_wrong_member_password(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Be refused."""
    with pytest.raises(MemberLoginRefused):
        await daxko.member_token("wrong")


async def a_member_after_a_401(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Sign in with a new access token."""
    sandbox.expire()
    assert await daxko.member_token()


async def a_member_unavailable(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Get a 503, nothing, and half an answer."""
    for how in ("status", "drop", "cut"):
        sandbox.fail_next(1, how, where="member")
        with pytest.raises(TokenEndpointUnavailable):
            await daxko.member_token()


async def a_member_answered_otherwise(daxko: EitherDaxko, sandbox: Sandbox) -> None:
    """Get an answer that is none: malformed, redirected, too large."""
    for how in ("malformed", "redirect", "html", "empty"):
        sandbox.fail_next(1, how, where="member")
        with pytest.raises(TokenResponseInvalid):
            await daxko.member_token()
    sandbox.fail_next(1, "answer", where="member", body=LONG)
    with pytest.raises(TokenResponseInvalid):
        await daxko.member_token()


Doing = Callable[[EitherDaxko, Sandbox], Awaitable[None]]
DOINGS = [
    a_call,
    an_expired_token,
    a_401_for_good,
    an_error,
    a_dropped_connection,
    a_cut_answer,
    a_time_limit,
    another_origin,
    no_token,
    a_stream,
    a_stream_after_a_401,
    a_stream_refused_for_good,
    pytest.param(a_stream_left_half_read, marks=HALF_READ),
    a_stream_left_unread_after_a_401,
    pytest.param(a_stream_that_raises, marks=HALF_READ),
    a_member,
    a_wrong_member_password,
    a_member_after_a_401,
    a_member_unavailable,
    a_member_answered_otherwise,
]


def opened(world: str, source: TokenSource) -> EitherDaxko:
    """Return a daxko of the kind that goes with this world."""
    made = Daxko if world == "thread" else AsyncDaxko
    return EitherDaxko(made(source.credentials, 9999, source=source))


def backend_of(world: str) -> str:
    """Return the event loop of this world; blocking calls are made from one like any other."""
    return "asyncio" if world == "thread" else world


@pytest.mark.parametrize("doing", DOINGS, ids=lambda doing: doing.__name__)
def test_calls_leave_no_connection_but_the_one_that_is_reused(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, world: str, doing: Doing
) -> None:
    """A pool that loses one connection per error stands still after a hundred errors."""

    async def main() -> None:
        async with nothing_left_behind_in_this_loop():
            daxko = opened(world, source)
            await a_call(daxko, sandbox)
            async with nothing_left_behind_in_this_loop():
                for _ in range(TIMES):
                    await doing(daxko, sandbox)
                    # What was refused is remembered, and what did not help is held, for half a minute each.
                    clock.pass_time(60)
            await a_call(daxko, sandbox)
            await daxko.close()

    source.token(9999)
    anyio.run(main, backend=backend_of(world))


@pytest.mark.parametrize("doing", DOINGS, ids=lambda doing: doing.__name__)
def test_what_is_open_when_it_closes_is_closed(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, world: str, doing: Doing
) -> None:
    """Closing is where all of it ends, whatever happened last."""

    async def main() -> None:
        daxko = opened(world, source)
        await doing(daxko, sandbox)
        await daxko.close()
        clock.pass_time(60)
        sandbox.fail_no_more()

    source.token(9999)
    anyio.run(main, backend=backend_of(world))
    with nothing_left_behind():
        for _ in range(TIMES):
            anyio.run(main, backend=backend_of(world))


@asynccontextmanager
async def given_up(daxko: EitherDaxko, what: Callable[[EitherDaxko], Awaitable[object]]) -> AsyncIterator[None]:
    """Begin a call, do what stands in the block, and cancel it."""
    async with anyio.create_task_group() as group:
        group.start_soon(what, daxko)
        yield
        group.cancel_scope.cancel()


async def arrived(sandbox: Sandbox, path: str) -> None:
    """Wait until a request to `path` is held back."""
    await aeventually(lambda: any(each.path == path and each.status is None for each in sandbox.log))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("where", ["partner", "member", "resource"])
def test_calls_that_are_cancelled_leave_no_connection_but_the_one_that_is_reused(
    sandbox: Sandbox, source: TokenSource, backend: str, where: str
) -> None:
    """Wherever the call stands: before its token, before its answer, or in the middle of a login."""
    path = {"partner": "/v3/partners/oauth2/token", "member": "/v3/members/oauth2/token", "resource": "/v3/x"}[where]

    async def main() -> None:
        async with nothing_left_behind_in_this_loop(), AsyncDaxko(source.credentials, 9999, source=source) as one:
            daxko = EitherDaxko(one)
            await a_call(daxko, sandbox)
            await daxko.member_token()
            async with nothing_left_behind_in_this_loop():
                for _ in range(TIMES):
                    sandbox.clear_log()
                    if where == "partner":
                        sandbox.expire()
                    sandbox.hold(where=where)  # type: ignore[arg-type]
                    what = EitherDaxko.member_token if where == "member" else EitherDaxko.get
                    async with given_up(daxko, what):
                        await arrived(sandbox, path)
                    sandbox.release(where=where)  # type: ignore[arg-type]
                    await a_call(daxko, sandbox)
            await a_call(daxko, sandbox)

    anyio.run(main, backend=backend)


@HALF_READ
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_stream_that_is_cancelled_half_way_leaves_no_connection(
    sandbox: Sandbox, source: TokenSource, backend: str
) -> None:
    """Downloads are what users give up most."""

    async def read_and_wait(daxko: EitherDaxko, begun: anyio.Event) -> None:
        async with daxko.stream() as chunks:
            async for _ in chunks:
                begun.set()
                await anyio.sleep_forever()

    async def main() -> None:
        async with nothing_left_behind_in_this_loop(), AsyncDaxko(source.credentials, 9999, source=source) as one:
            daxko = EitherDaxko(one)
            await a_call(daxko, sandbox)
            async with nothing_left_behind_in_this_loop():
                for _ in range(TIMES):
                    sandbox.expire()
                    sandbox.fail_next(1, "status", where="resource", status=401)
                    sandbox.fail_next(1, "answer", where="resource", body=LONG)
                    async with anyio.create_task_group() as group:
                        begun = anyio.Event()
                        group.start_soon(read_and_wait, daxko, begun)
                        await begun.wait()
                        group.cancel_scope.cancel()
            await a_call(daxko, sandbox)

    anyio.run(main, backend=backend)


def test_objects_that_are_opened_for_each_call_leave_nothing_behind(
    sandbox: Sandbox, credentials: ApiCredentials
) -> None:
    """The commonest way to use it in a web handler, also when the call fails."""

    async def with_tasks() -> None:
        async with AsyncDaxko(credentials, 9999, base_url=sandbox.base_url) as daxko, daxko.for_scope(1234) as sibling:
            await daxko.http.get("/v3/x")
            await sibling.http.get("/v3/x")
            assert daxko.api.get_async_httpx_client()

    def open_and_close() -> None:
        with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko, daxko.for_scope(1234) as sibling:
            daxko.http.get("/v3/x")
            sibling.http.get("/v3/x")
            assert daxko.api.get_httpx_client()
        with pytest.raises(DaxkoAuthError), Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
            daxko.http.get("https://elsewhere.example/")
        Daxko(credentials, 9999, base_url=sandbox.base_url)
        anyio.run(with_tasks)

    open_and_close()
    with nothing_left_behind():
        for _ in range(TIMES):
            open_and_close()
    assert sandbox.token_requests() == 2

"""One source and one auth serve event loops that come and go, one after another and at once, and keep none of them."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx
import pytest
from anyio.lowlevel import current_token
from inventory import nothing_left_behind
from support import aeventually, finish_renewals, waiting_tasks

from daxko_auth import ApiCredentials, AsyncDaxko, DaxkoAuth, TokenSource
from daxko_auth.sandbox import Sandbox

TIMES = 4


async def call(auth: DaxkoAuth, base_url: str) -> int:
    """Send three requests at once with an HTTP object of this loop's own."""
    async with httpx.AsyncClient(base_url=base_url, auth=auth) as http, anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(http.get, "/v3/x")
        return (await http.get("/v3/x")).status_code


def test_loops_one_after_another_leave_nothing_behind(sandbox: Sandbox, source: TokenSource) -> None:
    """Scripts call `asyncio.run` again and again, with one source and one auth at the top of the file."""
    auth = DaxkoAuth(source, 9999)

    def run_both() -> None:
        for backend in ("asyncio", "trio"):
            sandbox.expire()
            assert anyio.run(call, auth, sandbox.base_url, backend=backend) == 200
        finish_renewals(source)

    run_both()
    with nothing_left_behind():
        for _ in range(TIMES):
            run_both()
    assert sandbox.token_requests() == 2 * (TIMES + 1)


def test_loops_at_once_share_a_token_and_leave_nothing_behind(sandbox: Sandbox, source: TokenSource) -> None:
    """A loop per thread is how blocking programs use async libraries."""
    auth = DaxkoAuth(source, 9999)

    def run_six() -> None:
        sandbox.expire()
        with ThreadPoolExecutor(6) as pool:
            runs = [
                pool.submit(anyio.run, call, auth, sandbox.base_url, backend=backend)
                for backend in ["asyncio", "trio"] * 3
            ]
            assert {run.result() for run in runs} == {200}
        finish_renewals(source)

    run_six()
    with nothing_left_behind():
        for _ in range(TIMES):
            run_six()
    assert sandbox.token_requests() == TIMES + 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_has_ended_is_kept_by_nobody(
    sandbox: Sandbox, credentials: ApiCredentials, source: TokenSource, backend: str
) -> None:
    """A loop holds its tasks, and they hold everything they had in hand."""
    loops: list[weakref.ref[object]] = []

    async def main() -> None:
        loops.append(weakref.ref(current_token().native_token))
        await source.atoken(9999)
        async with AsyncDaxko(credentials, 9999, source=source) as daxko:
            sandbox.expire()
            await daxko.http.get("/v3/x")
            await daxko.member_token("member_name", "member_password")

    for _ in range(TIMES):
        anyio.run(main, backend=backend)
    finish_renewals(source)
    gc.collect()
    assert [loop() for loop in loops] == [None] * TIMES


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_ended_while_it_waited_is_kept_by_nobody(
    sandbox: Sandbox, source: TokenSource, backend: str
) -> None:
    """The renewal goes on when the program that wanted it does not."""
    loops: list[weakref.ref[object]] = []

    async def main() -> None:
        loops.append(weakref.ref(current_token().native_token))
        async with anyio.create_task_group() as group:
            group.start_soon(source.atoken, 9999)
            await aeventually(lambda: waiting_tasks(source) > 0)
            group.cancel_scope.cancel()

    sandbox.hold()
    for _ in range(TIMES):
        anyio.run(main, backend=backend)
    gc.collect()
    assert [loop() for loop in loops] == [None] * TIMES, "while the renewal is still under way"
    sandbox.release()
    assert source.token(9999)
    assert sandbox.token_requests() == 1

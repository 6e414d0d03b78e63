"""After `os.fork`, wherever it happens: the child has connections of its own, and waits for nothing of its parent's."""

import asyncio
import os
import shlex
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import anyio
import httpx
import pytest
from inventory import held_now
from support import PATIENCE, eventually, finish_renewals, in_child

from daxko_auth import ApiCredentials, AsyncDaxko, Daxko, MemoryStore, RenewalPolicy, TokenSource
from daxko_auth.sandbox import Failure, Sandbox

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    # From Python 3.12 on. That is what these tests are about.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

# The same, for a program of its own.
FORKS_WITH_THREADS = ("-W", "ignore:This process:DeprecationWarning")


def line_of(response: httpx.Response) -> Any:
    """Return this side's address of the connection that an answer came over."""
    return response.extensions["network_stream"].get_extra_info("client_addr")


def test_a_child_opens_connections_of_its_own_and_leaves_its_parents_alone(
    sandbox: Sandbox, source: TokenSource
) -> None:
    """Two processes that send over one connection get each other's answers: another customer's, perhaps."""
    with Daxko(source.credentials, 9999, source=source) as daxko, daxko.for_scope(1234) as sibling:
        line = line_of(daxko.http.get("/v3/x"))

        def differs() -> bool:
            open_before = held_now()["open socket"]
            lines = {line_of(daxko.http.get("/v3/x")), line_of(sibling.http.get("/v3/x"))}
            daxko.member_token("member_name", "member_password")
            assert line_of(daxko.http.get("/v3/x")) in lines, "its own is kept and reused"
            return len(lines) == 1 and line not in lines and held_now()["open socket"] == open_before + 1

        assert in_child(differs)
        assert in_child(differs), "a second worker, too"
        assert line_of(daxko.http.get("/v3/x")) == line, "the parent's is as good as before"


def test_a_child_keeps_no_copy_of_its_parents_idle_connections(sandbox: Sandbox, source: TokenSource) -> None:
    """A copy would keep the connection open when the parent has closed it."""
    with Daxko(source.credentials, 9999, source=source) as daxko:
        daxko.http.get("/v3/x")
        before = held_now()["open socket"]
        assert in_child(lambda: held_now()["open socket"] == before - 1)


def test_a_child_of_an_async_program_has_a_loop_and_connections_of_its_own(
    sandbox: Sandbox, source: TokenSource
) -> None:
    """The parent's connections belong to an event loop that does not run in the child."""

    async def main() -> None:
        async with AsyncDaxko(source.credentials, 9999, source=source) as daxko:

            async def call() -> Any:
                return line_of(await daxko.http.get("/v3/x"))

            line = await call()
            # From a thread, because the child cannot run a second loop inside this one.
            assert await asyncio.to_thread(in_child, lambda: asyncio.run(call()) != line)
            assert await call() == line, "the parent's is as good as before"

    asyncio.run(main())


def test_what_was_closed_before_is_closed_in_the_child(sandbox: Sandbox, source: TokenSource) -> None:
    """A fork is no way back."""
    daxko = Daxko(source.credentials, 9999, source=source)
    adaxko = AsyncDaxko(source.credentials, 9999, source=source)
    daxko.close()
    anyio.run(adaxko.aclose)

    def is_closed() -> bool:
        with pytest.raises(RuntimeError, match="closed"):
            daxko.http.get("/v3/x")
        with pytest.raises(RuntimeError, match="closed"):
            anyio.run(adaxko.http.get, "/v3/x")
        return True

    source.token(9999)
    assert in_child(is_closed)


def test_many_children_and_their_parent_each_get_their_own_answers(sandbox: Sandbox, source: TokenSource) -> None:
    """A prefork server at work: one object made before the forks, used by everybody at once."""
    ready, started = os.pipe(), os.pipe()
    with Daxko(source.credentials, 9999, source=source) as daxko, ThreadPoolExecutor(6) as pool:
        daxko.http.get("/v3/x")

        def asks(name: str) -> bool:
            paths = [f"/v3/{name}/{number}" for number in range(25)]
            return all(daxko.http.get(path).json()["path"] == path for path in paths)

        def waits_and_asks(number: int) -> bool:
            os.write(ready[1], b"!")
            os.close(started[1])
            os.read(started[0], 1)  # returns when the last of us has closed the other end
            return asks(f"child-{number}")

        children = [pool.submit(in_child, lambda number=number: waits_and_asks(number)) for number in range(6)]
        for _ in children:
            os.read(ready[0], 1)
        os.close(started[1])
        assert asks("parent")
        assert all(child.result() for child in children)
    for number in (*ready, started[0]):
        os.close(number)
    assert sandbox.token_requests() == 1


def test_a_child_forked_from_another_thread_with_everything_under_way(
    sandbox: Sandbox, credentials: ApiCredentials
) -> None:
    """Renewals, a member's login and a call hang in the parent; the child has nothing to do with any of them."""

    def let_go() -> None:
        for where in ("partner", "member", "resource"):
            sandbox.release(where=where)  # type: ignore[arg-type]

    policy = RenewalPolicy(attempt_timeout=PATIENCE, deadline=PATIENCE)
    with (
        TokenSource(credentials, sandbox.base_url, store=MemoryStore(), policy=policy) as source,
        Daxko(credentials, 9999, source=source, timeout=PATIENCE) as daxko,
        ThreadPoolExecutor(4) as pool,
        ExitStack() as last,
    ):
        # Before the threads are waited for, whatever happens.
        last.callback(let_go)
        daxko.http.get("/v3/x")
        for where in ("partner", "member", "resource"):
            sandbox.hold(where=where)  # type: ignore[arg-type]
        hanging = [
            pool.submit(source.token, 1234),
            pool.submit(anyio.run, source.atoken, 1234),
            pool.submit(daxko.http.get, "/v3/hanging"),
            pool.submit(daxko.member_token, "member_name", "member_password"),
        ]
        sandbox.wait_for(lambda log: sum(arrival.status is None for arrival in log) == 3)

        def gets_everything() -> bool:
            with Daxko(credentials, 1234, source=source, timeout=PATIENCE) as other:
                return (
                    source.token(1234).scope.client_id == 1234
                    and other.http.get("/v3/x").json()["client_id"] == 1234
                    and daxko.http.get("/v3/x").json()["client_id"] == 9999
                    and bool(daxko.member_token("member_name", "member_password"))
                    and bool(anyio.run(source.atoken, 9999))
                )

        forking = threading.Thread(target=lambda: outcomes.append(in_child(gets_everything)), daemon=True)
        outcomes: list[bool] = []
        forking.start()
        # The child's own requests arrive, and are let go together with the parent's.
        eventually(lambda: sandbox.token_requests(1234) == 2 or not forking.is_alive())
        let_go()
        forking.join()
        assert outcomes == [True]
        assert all(future.result() for future in hanging)
        finish_renewals(source)
    assert (sandbox.token_requests(9999), sandbox.token_requests(1234)) == (1, 2)


FIRST_REQUESTS = """
import sys
from daxko_auth import ApiCredentials, TokenSource, TokenRequestError

source = TokenSource(ApiCredentials.from_env())
known = set(sys.modules)
try:
    source.reject(source.token(9999))
except TokenRequestError as error:
    print(error.status_code, end=" ")
print(sorted(set(sys.modules) - known))
"""


@pytest.mark.parametrize("answer", ["token", "refusal", "page", "date"])
def test_a_token_request_imports_nothing(sandbox: Sandbox, answer: str) -> None:
    """A module that a thread of the library had half imported at a fork would be locked in the child for ever."""
    until = format_datetime(datetime.now(UTC), usegmt=True)
    failures = {
        "refusal": Failure(
            "answer", 400, body={"error": "invalid_client", "error_description": "&amp; caf\u00e9 %41 QUJD"}
        ),
        "page": Failure("status", 403, html=True),
        "date": Failure("status", 429, retry_after=until),
    }
    if answer in failures:
        sandbox.fail_next(1, failures[answer])
    settings = dict(shlex.split(line)[1].split("=", 1) for line in sandbox.exports())
    ran = subprocess.run(  # noqa: S603 - our own lines
        [sys.executable, "-c", FIRST_REQUESTS],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **settings},
    )
    assert (ran.stdout.rpartition(" ")[2], ran.stderr) == ("[]\n", "")


CROSSING_IMPORTS = """
import importlib.util, sys, threading, time
from daxko_auth import ApiCredentials, Daxko, TokenSource

credentials = ApiCredentials.from_env()
importing = threading.Event()
outcomes = []

def is_kept_waiting(thread):
    frame = sys._current_frames().get(thread.ident)
    # By a lock of Python's import.
    return frame is not None and frame.f_code.co_name == "acquire"

class Slow:
    def find_spec(self, name, path=None, target=None):
        return package if name == "daxko_api" else None

def pause(spec):
    importing.set()
    while not is_kept_waiting(second) and second.is_alive():
        time.sleep(0.001)

def ask():
    with TokenSource(credentials) as source:
        outcomes.append(str(source.token(9999).scope))

def call():
    importing.wait()
    with Daxko(credentials, 9999) as daxko:
        assert daxko.api
        outcomes.append(daxko.http.get("/v3/x").status_code)

first, second = threading.Thread(target=ask), threading.Thread(target=call)
package = importlib.util.find_spec("daxko_api")
package.loader.create_module = pause
sys.meta_path.insert(0, Slow())
first.start(), second.start()
first.join(), second.join()
print(*sorted(map(str, outcomes)))
"""


def test_threads_that_begin_at_once_do_not_get_in_the_way_of_each_others_imports(sandbox: Sandbox) -> None:
    """Python refuses whoever imports the parts of one package in another order than somebody else just then."""
    settings = dict(shlex.split(line)[1].split("=", 1) for line in sandbox.exports())
    ran = subprocess.run(  # noqa: S603 - our own lines
        [sys.executable, "-c", CROSSING_IMPORTS],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **settings},
    )
    assert (ran.stderr, ran.stdout) == ("", "200 client:9999\n")

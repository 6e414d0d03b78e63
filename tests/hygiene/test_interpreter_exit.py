"""A program ends when it ends: promptly, with its own exit status and in silence, whatever is under way then."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support import eventually

from daxko_auth.sandbox import Sandbox

# Whoever waited for a token request that hangs would do so for an hour, and the test would hang with it.
BEGINNING = """
import asyncio, atexit, contextlib, os, signal, sys, threading
import trio
from daxko_auth import ApiCredentials, AsyncDaxko, Daxko, RenewalPolicy, TokenRequestError, TokenSource

def at(step):
    # Not print(): Python ends with an error where another thread is still in it.
    os.write(1, (step + chr(10)).encode())

credentials = ApiCredentials.from_env()
patient = RenewalPolicy(attempt_timeout=3_600, deadline=3_600)
source = TokenSource(credentials, policy=patient)
"""


class Program:
    """A Python program of its own, which says where it stands, and goes on when it is told to."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def comes_to(self, step: str) -> None:
        """Wait until it says that it has come to `step`."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"{step}\n", self._process.communicate()

    def goes_on(self) -> None:
        """Let it read a line."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def has_asked(self, sandbox: Sandbox, times: int = 1) -> None:
        """Wait until it has sent so many token requests."""
        eventually(lambda: sandbox.token_requests() >= times or self._process.poll() is not None)
        assert self._process.poll() is None, self._process.communicate()

    def gets(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def ends(self, status: int = 0) -> None:
        """See that it ends, with `status`, and without a word."""
        said = self._process.communicate()
        assert (self._process.returncode, *said) == (status, "", "")


@contextmanager
def running(sandbox: Sandbox, lines: str) -> Iterator[Program]:
    """Run a program with the sandbox's account in its environment."""
    settings = dict(shlex.split(line)[1].split("=", 1) for line in sandbox.exports())
    process = subprocess.Popen(  # noqa: S603 - our own lines
        [sys.executable, "-c", BEGINNING + lines],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **settings},
    )
    with process:
        try:
            yield Program(process)
        finally:
            process.kill()


BEHIND = """
source = TokenSource(
    credentials, policy=RenewalPolicy(renew_after=1e-9, jitter=0, attempt_timeout=3_600, deadline=3_600)
)
source.token(9999)
at("a token")
input()
source.token(9999)  # stale at once, so that a renewal runs behind this
input()
"""


@pytest.mark.parametrize(("last", "status"), [("", 0), ("source.close()", 0), ("sys.exit(3)", 3)])
def test_with_a_renewal_behind_it_that_hangs(sandbox: Sandbox, last: str, status: int) -> None:
    """Nobody waits for it, least of all a script that has done its work."""
    with running(sandbox, f"{BEHIND}\n{last}") as program:
        program.comes_to("a token")
        sandbox.hold()
        program.goes_on()
        program.has_asked(sandbox, times=2)
        program.goes_on()
        program.ends(status)


WAITING = {
    "a thread": "source.token(9999)",
    "many threads": """
for client_id in range(1, 20):
    threading.Thread(target=source.token, args=[client_id], daemon=True).start()
source.token(9999)
""",
    "warming": "source.warm(range(1, 100))",
    "an asyncio task": "asyncio.run(source.atoken(9999))",
    "a trio task": "trio.run(source.atoken, 9999)",
    "a Daxko": "Daxko(credentials, 9999, source=source).http.get('/v3/x')",
    "an AsyncDaxko": """
async def main():
    async with AsyncDaxko(credentials, 9999, source=source) as daxko:
        await daxko.member_token("member_name", "member_password")
asyncio.run(main())
""",
    "many tasks": """
async def main():
    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(source.atoken(9999))
asyncio.run(main())
""",
}


@pytest.mark.parametrize("waiting", WAITING)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_with_somebody_who_waits_for_a_token_request_that_hangs(
    sandbox: Sandbox, waiting: str, number: signal.Signals, status: int
) -> None:
    """Whoever presses Ctrl-C, or stops a container, has waited long enough."""
    lines = f"""
def ask():
    {WAITING[waiting].strip().replace(chr(10), chr(10) + "    ")}

try:
    ask()
except KeyboardInterrupt:
    sys.exit(130)
"""
    sandbox.hold()
    with running(sandbox, lines) as program:
        program.has_asked(sandbox)
        program.gets(number)
        program.ends(status)


BLOCKING_STORE = """
class Store:
    def read(self, key):
        at("reading")
        threading.Event().wait()
    def write(self, key, token): ...
    def drop(self, key, token): ...
    def turn(self, key, timeout):
        return contextlib.nullcontext()

source = TokenSource(credentials, store=Store(), policy=patient)
"""


def test_with_a_store_that_blocks(sandbox: Sandbox) -> None:
    """A network file system that is gone must not keep a program that is going."""
    lines = "threading.Thread(target=source.token, args=[9999], daemon=True).start()\ninput()"
    with running(sandbox, f"{BLOCKING_STORE}\n{lines}") as program:
        program.comes_to("reading")
        program.goes_on()
        program.ends()


def test_with_a_store_that_blocks_and_somebody_who_waits(sandbox: Sandbox) -> None:
    """The same with Ctrl-C in an event loop."""
    lines = """
try:
    asyncio.run(source.atoken(9999))
except KeyboardInterrupt:
    sys.exit(130)
"""
    with running(sandbox, f"{BLOCKING_STORE}\n{lines}") as program:
        program.comes_to("reading")
        program.gets(signal.SIGINT)
        program.ends(130)


@pytest.mark.parametrize(
    "lines",
    [
        "daxko = Daxko(credentials, 9999); daxko.http.get('/v3/x').raise_for_status()",
        "asyncio.run(AsyncDaxko(credentials, 9999).http.get('/v3/x'))",
        "trio.run(AsyncDaxko(credentials, 9999).http.get, '/v3/x')",
        "loop = asyncio.new_event_loop(); loop.run_until_complete(source.atoken(9999)); loop.close()",
        "source.warm([9999, 1234])",
    ],
)
def test_without_anything_having_been_closed(sandbox: Sandbox, lines: str) -> None:
    """Scripts do not close things. Python itself reports what is left only where it is asked to."""
    with running(sandbox, lines) as program:
        program.ends()
    assert sandbox.token_requests() in {1, 2}


OUTLIVES = """
import threading
def start_another():
    threading.main_thread().join()
    threading.Thread(target=int).start()
threading.Thread(target=start_another).start()
"""


def test_with_a_thread_that_asks_when_the_main_one_has_ended(sandbox: Sandbox) -> None:
    """Python waits for it; in 3.12.0 and 3.12.1 (gh-113964) it lets no other thread start any more, ours included."""
    alone = subprocess.run([sys.executable, "-c", OUTLIVES], capture_output=True, text=True, check=False)  # noqa: S603
    if alone.stderr:
        pytest.skip("need a Python in which threads may start others once the main one has ended")

    with running(sandbox, "threading.Thread(target=source.token, args=[9999]).start()") as program:
        program.ends()
    assert sandbox.token_requests() == 1


PLAIN = """
import httpx, os
class Auth(httpx.Auth):
    def auth_flow(self, request):
        yield request
stream = httpx.Client(auth=Auth()).stream("GET", os.environ["DAXKO_BASE_URL"])
stream.__enter__()
"""


def test_with_a_stream_that_is_open(sandbox: Sandbox) -> None:
    """
    Nobody closed it, and it is no worse for that than with httpx alone.

    Some Pythons end httpx's own open streams with a message (3.14) or a crash (3.13), with any authentication or none.
    """
    env = {**os.environ, **sandbox.settings()}
    alone = subprocess.run([sys.executable, "-c", PLAIN], env=env, capture_output=True, text=True, check=False)  # noqa: S603
    if alone.returncode or alone.stderr:
        pytest.skip("need a Python that ends well with an open stream of httpx alone")

    with running(
        sandbox, "stream = Daxko(credentials, 9999).http.stream('GET', '/v3/x'); stream.__enter__()"
    ) as program:
        program.ends()


def test_with_a_token_asked_for_at_the_very_end(sandbox: Sandbox) -> None:
    """Some programs report home when they end; where Python starts no more threads, they are told so."""
    lines = """
def report():
    try:
        source.token(9999)
    except TokenRequestError as error:
        assert "shutting down" in str(error)

atexit.register(report)
"""
    with running(sandbox, lines) as program:
        program.ends()

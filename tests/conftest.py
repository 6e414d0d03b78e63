"""
What all tests share: a sandbox, its credentials, a clock whose time they make pass.

Also the hunt for leaks, in every test.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import guard
import httpx
import hypothesis
import last_line
import processes
import pytest
import surroundings
import tools
from guard import Guard
from leaks.hunt import Hunt
from redis_server import RedisServer, redis_server
from support import PATIENCE, Ask, Call, FakeClock, finish_renewals

from daxko_auth import AccessToken, ApiCredentials, DaxkoAuth, RenewalPolicy, TokenSource, client
from daxko_auth.sandbox import Sandbox

# A busy machine may take longer than a program under test would wait.
for wait in (Sandbox.wait_for, Sandbox.wait_for_token_requests):
    wait.__kwdefaults__["timeout"] = PATIENCE
for http in (httpx.Client, httpx.AsyncClient):
    http.__init__.__kwdefaults__["timeout"] = httpx.Timeout(PATIENCE)  # type: ignore[misc]

# Every run tries the same examples, so that a run that is red says something about the change at hand. New ones are
# looked for with --hypothesis-profile=explore.
hypothesis.settings.register_profile("repeat", derandomize=True, database=None, deadline=None, print_blob=True)
hypothesis.settings.register_profile("explore", database=None, deadline=None, print_blob=True)
hypothesis.settings.load_profile("repeat")

_folder = pytest.StashKey[Path]()
_guard = pytest.StashKey[Guard]()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let scripts/check ask for the watch over a whole run."""
    parser.addoption("--guard", action="store_true", help="fail a run that changes anything outside its own folder")


def pytest_configure(config: pytest.Config) -> None:
    """Leave the surroundings of whoever starts the tests."""
    processes.adopt_orphans()
    if _is_worker(config):
        surroundings.enter_worker()
        return
    watched = guard.watched()
    folder = config.stash[_folder] = surroundings.enter()
    if config.getoption("--guard"):
        config.stash[_guard] = Guard(folder, watched)
        config.stash[_guard].begin()


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Fail a run that leaves something behind, and clean up after it."""
    yield
    if not _is_worker(session.config):
        config = session.config
        said = [f"left running: {line}" for line in processes.end_all_but(set())]
        said += config.stash[_guard].end() if _guard in config.stash else []
        said += [f"written into the home: {path}" for path in surroundings.leave(config.stash[_folder])]
        for line in said:
            config.get_terminal_writer().line(f"\noutside of the tests' own folder: {line}", red=True)
        if said and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Say in the last line what passed, and what was skipped and why."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if _is_worker(config) or reporter is None or config.option.collectonly:
        return
    config.get_terminal_writer().line(last_line.of(reporter))


@pytest.fixture(autouse=True)
def no_process_left_running() -> Iterator[None]:
    """End what a test left running, and fail it for that. First of all fixtures, and so the last to be left."""
    before = processes.running()
    yield
    left = processes.end_all_but(before)
    assert left == [], "left running"


@pytest.fixture(autouse=True)
def no_shared_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every test without sources: what tests share by accident is no promise."""
    monkeypatch.setattr(client, "_shared_sources", {})


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that stands still until told otherwise."""
    return FakeClock()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Run a sandbox of the test's own."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def credentials(sandbox: Sandbox) -> ApiCredentials:
    """Give the credentials of the sandbox's account."""
    return ApiCredentials(sandbox.username, sandbox.password, sandbox.refresh_token)


@pytest.fixture
def source(sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock) -> Iterator[TokenSource]:
    """Give a source on the test's own clock."""
    policy = RenewalPolicy(attempt_timeout=PATIENCE)
    with TokenSource(credentials, sandbox.base_url, clock=clock, policy=policy) as made:
        yield made
        finish_renewals(made)


@pytest.fixture(scope="session")
def redis_of_all_tests() -> Iterator[RedisServer]:
    """Run a Redis for the whole session."""
    with redis_server() as server:
        processes.shared.add(server.process.pid)
        yield server
        processes.shared.clear()


@pytest.fixture
def shared_redis(redis_of_all_tests: RedisServer) -> RedisServer:
    """Give a Redis without a key in it, which other tests need afterwards."""
    redis_of_all_tests.tell("FLUSHALL")
    return redis_of_all_tests


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """Run a Redis of the test's own, for ill use."""
    with redis_server() as server:
        yield server


@pytest.fixture
def curl() -> str:
    """Give the path of curl."""
    return tools.curl()


@pytest.fixture(params=["thread", "asyncio", "trio"])
def world(request: pytest.FixtureRequest) -> str:
    """Run the test in each world: what holds for threads has to hold for tasks."""
    return str(request.param)


@pytest.fixture
def ask(world: str) -> Ask:
    """Ask a source for a token, in this world."""

    def ask_in_world(source: TokenSource, scope: Any) -> AccessToken:
        if world == "thread":
            return source.token(scope)
        return anyio.run(source.atoken, scope, backend=world)

    return ask_in_world


@pytest.fixture
def call(world: str, sandbox: Sandbox) -> Call:
    """Send one request with `DaxkoAuth`, in this world."""

    async def send(
        source: TokenSource, scope: Any, method: str, url: str, replay: bool, **options: Any
    ) -> httpx.Response:
        auth = DaxkoAuth(source, scope, replay=replay)
        async with httpx.AsyncClient(base_url=sandbox.base_url, auth=auth) as http:
            return await http.request(method, url, headers={"Accept": "application/json"}, **options)

    def call_in_world(
        source: TokenSource, scope: Any, method: str, url: str, *, replay: bool = True, **options: Any
    ) -> httpx.Response:
        if world != "thread":
            return anyio.run(partial(send, **options), source, scope, method, url, replay, backend=world)
        auth = DaxkoAuth(source, scope, replay=replay)
        with httpx.Client(base_url=sandbox.base_url, auth=auth) as http:
            return http.request(method, url, headers={"Accept": "application/json"}, **options)

    return call_in_world


@pytest.fixture(autouse=True)
def leak_hunt(request: pytest.FixtureRequest) -> Iterator[None]:
    """
    Over the whole run: no secret is logged, printed, raised, written to a file or sent where it does not belong.

    A test that shows secrets on purpose is marked `shows_secrets`, with the places where it does.
    """
    allowed = [place for mark in request.node.iter_markers("shows_secrets") for place in mark.args]
    hunt = Hunt()
    with pytest.MonkeyPatch.context() as monkeypatch:
        hunt.begin(monkeypatch)
        yield
    hunt.end(
        (text for _, kind, text in request.node._report_sections if kind != "log"),
        request.node.funcargs.get("tmp_path"),
    )
    assert hunt.leaks(allowed) == []

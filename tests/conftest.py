"""
What the tests of every floor share: a sandbox, its credentials, a clock whose time they make pass.

Also the watch that no secret ever arrives where it does not belong, over the whole run.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
from support import Ask, Call, FakeClock, land_all

from daxko_auth import AccessToken, ApiCredentials, DaxkoAuth, TokenSource
from daxko_auth.sandbox import Arrival, Sandbox


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
    with TokenSource(credentials, sandbox.base_url, clock=clock) as made:
        yield made
        land_all(made)


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
def bearers_stay_home(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Over the whole run: no secret arrives at a sandbox where it does not belong.

    Tests that send secrets to wrong places on purpose are marked `misplaces_secrets`.
    """
    arrivals: list[Arrival] = []
    close = Sandbox.close

    def close_and_keep_log(sandbox: Sandbox) -> None:
        close(sandbox)
        arrivals.extend(sandbox.log)

    monkeypatch.setattr(Sandbox, "close", close_and_keep_log)
    yield
    if request.node.get_closest_marker("misplaces_secrets") is None:
        assert [arrival for arrival in arrivals if arrival.misplaced] == []
        strayed = [a for a in arrivals if a.bearer == "refresh_token" and not a.is_token_request]
        assert strayed == []

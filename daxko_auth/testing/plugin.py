"""
The pytest plugin: a sandbox as fixtures. It comes with the package, and until a test asks for one it does nothing.

Each test has a sandbox of its own, with its own account, tokens, clock and log: one starts in less than a
millisecond, so there is nothing to share and nothing to clean up. What a sandbox can be made to do, such as
`daxko_sandbox.expire()`, are its own methods. Other members or Daxko clients: define `daxko_sandbox` anew in a
`conftest.py`; the other fixtures follow.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.policy.source import TokenSource

if TYPE_CHECKING:
    from daxko_auth.sandbox import Sandbox

_DUMMIES: Final = {
    f"DAXKO_{what.upper().replace('-', '_')}": f"dummy-{what}" for what in ("username", "password", "refresh-token")
}


@pytest.fixture
def daxko_sandbox() -> Iterator["Sandbox"]:
    """Run a stand-in for Daxko that is this test's own: a `daxko_auth.sandbox.Sandbox`."""
    from daxko_auth.sandbox import Sandbox  # noqa: PLC0415 - it needs an extra, and this plugin is loaded in every run

    with Sandbox() as running:
        yield running


@pytest.fixture
def daxko_credentials(daxko_sandbox: "Sandbox") -> ApiCredentials:
    """Give the `ApiCredentials` of the sandbox's account."""
    return ApiCredentials(daxko_sandbox.username, daxko_sandbox.password, daxko_sandbox.refresh_token)


@pytest.fixture
def daxko_source(daxko_sandbox: "Sandbox", daxko_credentials: ApiCredentials) -> Iterator[TokenSource]:
    """Give a `TokenSource` that asks the sandbox, closed after the test."""
    with TokenSource(daxko_credentials, daxko_sandbox.base_url) as source:
        yield source


@pytest.fixture
def daxko_env(daxko_sandbox: "Sandbox", monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the environment at the sandbox for the length of this test: DAXKO_BASE_URL and the account's settings."""
    for name, value in daxko_sandbox.settings().items():
        monkeypatch.setenv(name, value)
        # Both at once would be refused.
        monkeypatch.delenv(f"{name}_FILE", raising=False)


@pytest.fixture
def daxko_recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Give a test with a cassette what it needs: token requests of its own, and dummy credentials where none are set.

    `Daxko` objects of one account share tokens for the life of the process; with those of an earlier test, the token
    request would be missing from this test's cassette.
    """
    if not any(f"{name}{ending}" in os.environ for name in _DUMMIES for ending in ("", "_FILE")):
        for name, value in _DUMMIES.items():
            monkeypatch.setenv(name, value)
    sources: dict[object, TokenSource] = {}
    monkeypatch.setattr("daxko_auth.client._shared_sources", sources)
    yield
    for source in sources.values():
        source.close()

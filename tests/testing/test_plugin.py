"""
The pytest plugin: fixtures that work as they are, one sandbox a test, and nothing at all for those who use none.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from daxko_auth import ApiCredentials, Daxko, TokenSource
from daxko_auth import client as daxko_door
from daxko_auth.sandbox import Sandbox
from daxko_auth.testing import plugin


def run_tests(folder: Path, source: str, *options: str, conftest: str = "") -> subprocess.CompletedProcess[str]:
    """Run a test file of somebody else's, in a folder of its own, without settings of ours."""
    (folder / "test_of_somebody.py").write_text(source, "utf-8")
    (folder / "conftest.py").write_text(conftest, "utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("DAXKO_", "PYTEST_"))}
    # Without the plugins of our own tools, which import much.
    off = [f"-pno:{name}" for name in ("cacheprovider", "schemathesis", "hypothesispytest", "anyio", "randomly")]
    command = [sys.executable, "-m", "pytest", "-q", *off, *options, str(folder)]
    return subprocess.run(  # noqa: S603 - our own interpreter
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


def test_source_credentials_and_sandbox_belong_together(
    daxko_sandbox: Sandbox, daxko_credentials: ApiCredentials, daxko_source: TokenSource
) -> None:
    """The commonest test needs a token and somebody who knows it."""
    daxko_source.token(9999)
    daxko_sandbox.expire()
    with Daxko(daxko_credentials, 9999, source=daxko_source) as daxko:
        assert daxko.http.get("/v3/anything").is_success
    assert daxko_sandbox.token_requests(9999) == 2


@pytest.mark.usefixtures("daxko_env")
def test_the_environment_leads_to_the_sandbox(daxko_sandbox: Sandbox) -> None:
    """Most programs read their settings there, and so do the processes that they start."""
    assert daxko_sandbox.settings().items() <= os.environ.items()
    with Daxko(ApiCredentials.from_env(), 1234) as daxko:
        assert daxko.http.get("/v3/anything").json()["client_id"] == 1234


@pytest.fixture
def settings_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a file where the developer's own shell would."""
    monkeypatch.setenv("DAXKO_PASSWORD_FILE", "/nowhere")


@pytest.mark.usefixtures("settings_in_files", "daxko_env")
def test_settings_in_files_make_way(daxko_sandbox: Sandbox) -> None:
    """A developer's own account must not be what a test runs with, nor be in its way."""
    assert ApiCredentials.from_env().password.reveal() == daxko_sandbox.password


CLEAN = """
import sys, threading

def test_nothing_is_there_that_nobody_asked_for():
    heavy = {"starlette", "uvicorn", "jwt", "vcr", "yaml", "redis", "cryptography"}
    assert heavy & set(sys.modules) == set()
    assert "daxko_auth.sandbox" not in sys.modules
    assert threading.active_count() == 1
"""


def test_a_run_that_uses_no_fixture_notices_nothing(tmp_path: Path) -> None:
    """The plugin is loaded in every test run of the environment that it is installed in."""
    done = run_tests(tmp_path, CLEAN, "-W", "error")
    assert done.returncode == 0, done.stdout


def test_a_run_in_which_the_sandbox_cannot_be_imported_works(tmp_path: Path) -> None:
    """The package without extras brings the plugin, too; a test that wants more is told what to install."""
    hide = "import sys\nsys.modules['starlette'] = sys.modules['starlette.responses'] = None\n"
    done = run_tests(tmp_path, "def test_own(): ...\n\ndef test_ours(daxko_source): ...\n", conftest=hide)
    assert "1 passed, 1 error" in done.stdout
    assert "pip install '.[sandbox]'" in done.stdout


TWO = """
seen = []

def test_one(daxko_sandbox, daxko_source):
    daxko_source.token(9999)
    daxko_sandbox.reject_all_tokens()
    seen.append((daxko_sandbox, daxko_sandbox.refresh_token))

def test_two(daxko_sandbox, daxko_source):
    (before, refresh_token), = seen
    assert daxko_sandbox is not before
    assert daxko_sandbox.refresh_token != refresh_token
    assert daxko_sandbox.log == []
    assert list(daxko_sandbox.account.members) == ["ann"]
"""
OTHER_MEMBERS = """
import pytest
from daxko_auth.sandbox import Sandbox

@pytest.fixture
def daxko_sandbox():
    with Sandbox(members={"ann": "her password"}) as sandbox:
        yield sandbox
"""


RECORDINGS = """
import pytest
from daxko_auth import ApiCredentials, Daxko, TokenRequestError
from daxko_auth import client as entry

seen = []

@pytest.mark.usefixtures("daxko_recording")
def test_one():
    Daxko(ApiCredentials.from_env(), 9999).close()
    seen.extend(entry._shared_sources.values())

def test_two():
    (source,) = seen
    assert source not in entry._shared_sources.values()
    with pytest.raises(TokenRequestError, match="closed"):
        source.token(9999)
"""


def test_sources_of_a_recording_end_with_it(tmp_path: Path) -> None:
    """Else each test would leave one behind."""
    done = run_tests(tmp_path, RECORDINGS)
    assert done.returncode == 0, done.stdout


def test_no_test_sees_what_another_did_and_the_sandbox_can_be_another(tmp_path: Path) -> None:
    """A switch that one test left on must not fail the next; and one fixture defined anew serves all."""
    done = run_tests(tmp_path, TWO, conftest=OTHER_MEMBERS)
    assert done.returncode == 0, done.stdout


def test_every_fixture_is_named_after_us_and_explained() -> None:
    """Fixtures of plugins share one name space; `pytest --fixtures` prints the explanation."""
    fixtures = [name for name in vars(plugin) if name.startswith("daxko_")]
    assert sorted(fixtures) == [
        "daxko_credentials",
        "daxko_env",
        "daxko_recording",
        "daxko_sandbox",
        "daxko_source",
    ]


@pytest.fixture
def account_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set one of the settings, as for a recording."""
    for name in ("DAXKO_USERNAME", "DAXKO_PASSWORD", "DAXKO_REFRESH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DAXKO_PASSWORD_FILE", "/kept/by/the/developer")


@pytest.mark.usefixtures("account_of_the_developer", "daxko_recording")
def test_a_recording_uses_the_account_that_is_set() -> None:
    """Dummies in place of what is missing would hide that it is missing, and be refused by Daxko."""
    assert "DAXKO_USERNAME" not in os.environ
    assert "DAXKO_PASSWORD" not in os.environ


@pytest.mark.usefixtures("daxko_recording")
def test_a_replay_without_an_account_has_a_dummy_one() -> None:
    """The library refuses to begin without credentials, and CI has none."""
    assert ApiCredentials.from_env().username == "dummy-username"


def test_tests_with_cassettes_share_no_tokens(request: pytest.FixtureRequest, sandbox: Sandbox) -> None:
    """A token request that another test has made would be missing from this test's cassette."""
    credentials = ApiCredentials(sandbox.username, sandbox.password, sandbox.refresh_token)
    with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
        daxko.http.get("/v3/anything")
    shared = dict(daxko_door._shared_sources)

    request.getfixturevalue("daxko_recording")
    with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
        daxko.http.get("/v3/anything")

    assert sandbox.token_requests() == 2
    assert not set(daxko_door._shared_sources.values()) & set(shared.values())

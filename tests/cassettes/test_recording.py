"""
scripts/record: cassettes that anybody can make anew, the same to the byte, with nothing leaking on the way.
"""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from recording import record
from recording.cases import CASES
from recording.cassette import CASSETTES
from recording.stage import Stage
from recording.studio import RecordingError, record_live, record_sandbox

from daxko_auth import AccessToken, CredentialsError, Secret
from daxko_auth.testing import placeholders
from daxko_auth.testing.scrubber import Scrubber

SCRIPT = CASSETTES.parents[1] / "scripts" / "record"
PASSWORD, REFRESH_TOKEN, ISSUED = "canary-password", "canary-refresh-token", "canary-access-token"
SETTINGS = {"DAXKO_USERNAME": "somebody", "DAXKO_PASSWORD": PASSWORD, "DAXKO_REFRESH_TOKEN": REFRESH_TOKEN}


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the script, with these settings of ours and no others."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DAXKO_")}
    return subprocess.run(  # noqa: S603 - the arguments are ours
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False, env=environ | settings
    )


@pytest.mark.shows_secrets("wire")
def test_new_recording_is_what_is_committed(tmp_path: Path) -> None:
    """The library, the sandbox or the cases changed, and the cassettes did not: then they prove the past."""
    made = {file.name: file.read_bytes() for file in record_sandbox(tmp_path)}
    committed = {file.name: file.read_bytes() for file in CASSETTES.glob("*.yaml")}
    assert made == committed, "run scripts/record and look at the difference"


def test_check_says_the_same(tmp_path: Path) -> None:
    """Whoever has no test run at hand asks the script."""
    done = run("--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.shows_secrets("files")  # a copy of the tests, and with them of the guide's commands
def test_check_fails_where_a_cassette_was_edited(tmp_path: Path) -> None:
    """A check that cannot fail lets the cassettes drift away from the sandbox and the spec."""
    for folder in ("tests", "scripts"):
        shutil.copytree(SCRIPT.parent.parent / folder, tmp_path / folder)
    edited = tmp_path / "tests" / "cassettes" / "partner-granted.yaml"
    edited.write_text(edited.read_text("utf-8").replace("client:9999", "client:1111"), "utf-8")

    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, tmp_path / "scripts" / "record", "--check"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "client:1111" in done.stdout + done.stderr


@pytest.mark.parametrize("logger", ["", "vcr", "vcr.cassette", "vcr.stubs.httpx_stubs", "httpcore.http11", "httpx"])
def test_nothing_that_logs_shows_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture, logger: str) -> None:
    """Vcrpy logs each answer whole before it is scrubbed, and a build's log is public."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger)
    logging.getLogger(logger).addHandler(caplog.handler)

    def answer(_: httpx.Request) -> httpx.Response:
        body = {"access_token": ISSUED, "expires_in": "60", "token_type": "bearer"}
        return httpx.Response(200, json=body, headers={"Set-Cookie": "canary-cookie"})

    stage = Stage.for_replay()
    scrubber = Scrubber({PASSWORD: placeholders.CLIENT_SECRET, REFRESH_TOKEN: placeholders.REFRESH_TOKEN})
    try:
        with record(tmp_path / "a.yaml", scrubber, origin="a test"):
            transport = httpx.MockTransport(answer)
            outcome = Stage(stage.credentials, stage.access_token, stage.member_password, transport=transport).ask(
                password=PASSWORD, refresh_token=REFRESH_TOKEN
            )
    finally:
        logging.getLogger(logger).removeHandler(caplog.handler)
    assert isinstance(outcome, AccessToken)
    assert outcome.reveal() == ISSUED
    assert "canary" not in caplog.text
    assert "canary" not in (tmp_path / "a.yaml").read_text(encoding="utf-8")


def test_loggers_are_as_before_once_the_recording_is_over(tmp_path: Path) -> None:
    """A test that silences somebody else's logger for good hides what the next test looks for."""
    with record(tmp_path / "a.yaml", Scrubber({}), origin="a test"):
        assert logging.getLogger("vcr.cassette").disabled
    assert not logging.getLogger("vcr.cassette").disabled


def test_recording_does_not_touch_what_is_there(tmp_path: Path) -> None:
    """Vcrpy would play an old cassette instead of recording a new one."""
    (tmp_path / "a.yaml").touch()
    with pytest.raises(FileExistsError), record(tmp_path / "a.yaml", Scrubber({}), origin="a test"):
        pass


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["--live"], SETTINGS, "--scope 9999, or DAXKO_SCOPE"),
        (["--live", "--scope", "9999"], {}, "DAXKO_USERNAME and DAXKO_PASSWORD and DAXKO_REFRESH_TOKEN are not set"),
        (["--live"], SETTINGS | {"DAXKO_SCOPE": "here"}, "the scope is the number of a Daxko client"),
        (["--live"], SETTINGS | {"DAXKO_SCOPE": "1", "DAXKO_MEMBER_USERNAME": "m"}, "DAXKO_MEMBER_PASSWORD"),
        (["--live", "--check"], {}, "--check compares with a sandbox"),
    ],
)
def test_live_recording_says_what_is_missing(arguments: list[str], settings: dict[str, str], said: str) -> None:
    """Real credentials are set by hand, so the mistake has to be named before anything is sent."""
    done = run(*arguments, **settings)
    assert done.returncode != 0
    assert said in done.stderr
    assert "canary" not in done.stderr
    assert "Traceback" not in done.stderr


def test_live_recording_plays_the_live_cases_and_withholds_real_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can run it here against Daxko; that it works must not be found out with real credentials."""

    def answer(_: object, asked: httpx.Request) -> httpx.Response:
        body = {"access_token": ISSUED, "expires_in": 60, "token_type": "Bearer", "member_id": "canary"}
        return httpx.Response(200, json=body, headers={"Set-Cookie": "canary", "Server": "canary"}, request=asked)

    # Below vcrpy, which has taken hold of the original before any test began.
    monkeypatch.setattr("vcr.patch._HttpxHttpTransport_handle_request", answer)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    member = {"DAXKO_MEMBER_USERNAME": "canary.member", "DAXKO_MEMBER_PASSWORD": "canary-of-a-member"}
    files = record_live(tmp_path, 9999, SETTINGS | member)
    assert [file.stem for file in files] == [case.name for case in CASES if case.live]
    assert "canary" not in "".join(file.read_text(encoding="utf-8") for file in files)

    with pytest.raises(CredentialsError, match="set both"):
        record_live(tmp_path, 9999, SETTINGS | {"DAXKO_MEMBER_PASSWORD": "canary"})


def test_recording_without_a_token_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong account would otherwise be refused a dozen times in a row."""
    asked: list[object] = []

    def refuse(_: object, request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(401, json={"error": "invalid_client"}, request=request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", refuse)
    with pytest.raises(RecordingError, match="invalid_client"):
        record_live(tmp_path, 9999, SETTINGS)
    assert (len(asked), list(tmp_path.iterdir())) == (1, [])


def test_stage_does_not_show_its_secrets() -> None:
    """A failing test prints the stage it stood on."""
    stage = Stage.for_replay()
    assert "replayed" not in repr(stage)
    assert isinstance(stage.access_token, Secret)

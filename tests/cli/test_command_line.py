"""The command line as a user meets it, with the mistakes a user makes."""

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import daxko_auth
from daxko_auth import ApiCredentials, Daxko
from daxko_auth import __main__ as entry
from daxko_auth.cli import demo, streams
from daxko_auth.cli.command_line import app
from daxko_auth.sandbox import Sandbox

TOKEN_SHAPE = re.compile(r"eyJ[\w-]+\.")


def run(*arguments: str) -> tuple[int, str]:
    """Run a command; return its exit status and what it printed."""
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "80", "NO_COLOR": "1"})
    return result.exit_code, result.output


@contextmanager
def started(*arguments: str) -> Iterator[tuple[dict[str, str], "subprocess.Popen[str]"]]:
    """Start `daxko-auth sandbox` as a process and yield the settings it prints."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "daxko_auth", "sandbox", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(4)]
            words = [shlex.split(line) for line in lines]
            assert [first for first, *_ in words] == ["export"] * 4
            yield dict(setting.split("=", 1) for _, setting in words), process
        finally:
            try:
                process.send_signal(signal.SIGINT)
                process.wait()
            finally:
                process.kill()


def test_the_sandbox_prints_settings_that_work_and_ends_with_ctrl_c() -> None:
    """Nobody has an account to try with: pasting four lines has to be enough."""
    with started("--client", "7", "--client", "client:8", "--token-life", "60") as (settings, process):
        credentials = ApiCredentials.from_env(settings)
        with Daxko(credentials, 7, base_url=settings["DAXKO_BASE_URL"]) as daxko:
            assert daxko.http.get("/v3/x").json()["client_id"] == 7
            assert daxko.member_token("member_name", "member_password").expires_in == 60
            with daxko.for_scope(8) as sibling:
                assert sibling.http.get("/v3/x").json()["client_id"] == 8

        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate()

    assert process.returncode == 0
    assert "not Daxko" in complaints
    assert "Traceback" not in complaints


@pytest.mark.shows_secrets("files")
def test_the_sandbox_takes_members_from_a_file(tmp_path: Path) -> None:
    """A password in an option would be in the shell's history."""
    members = tmp_path / "members.json"
    members.write_text(json.dumps({"ann": "her password"}))
    with started("--members", str(members)) as (settings, _):
        credentials = ApiCredentials.from_env(settings)
        with Daxko(credentials, 9999, base_url=settings["DAXKO_BASE_URL"]) as daxko:
            assert daxko.member_token("ann", "her password")


def test_a_port_that_is_taken_is_said_in_one_line(sandbox: Sandbox) -> None:
    """The commonest mistake of all deserves better than a traceback."""
    status, output = run("sandbox", "--port", sandbox.base_url.rpartition(":")[2])

    assert status == 1
    assert re.fullmatch(r"daxko-auth: cannot listen on 127.0.0.1 port \d+: .+ in use. .* Try --port 0, too\n", output)


def test_a_host_that_is_none_is_said_in_one_line() -> None:
    """The resolver's own numbers mean nothing to anybody."""
    status, output = run("sandbox", "--host", "nowhere.invalid")

    assert status == 1
    assert re.fullmatch(r"daxko-auth: cannot listen on nowhere.invalid port 0: [A-Z][a-z ]+.*machine.*\n", output)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sandbox", "--client", "ymca"], "number of a Daxko client"),
        (["sandbox", "--members", "/does/not/exist"], "cannot be read"),
        (["sandbox", "--token-life", "0"], "--token-life"),
        (["sandbox", "--token-life", "9" * 30], "the life of a token is a whole number of seconds"),
        *[
            (["sandbox", "--host", host], "neither an address nor the name")
            for host in ("a..b", "a" * 64, ".", "\udcff")
        ],
        (["sandbox", "--port", "70000"], "--port"),
        (["sandbx"], "No such command"),
        (["sandbox", "--password", "x"], "No such option"),
    ],
)
def test_a_mistake_is_explained_and_exits_with_2(arguments: list[str], says: str) -> None:
    """2 is what every command line means by a wrong call."""
    status, output = run(*arguments)

    assert status == 2
    assert says in " ".join(output.replace("│", " ").split())


@pytest.mark.parametrize("content", ["[" * 100_000, "not json", "[1]", '{"ann": 1}', "\ufeff{}"])
def test_a_members_file_that_is_none_is_explained(tmp_path: Path, content: str) -> None:
    """What the file should look like is the one thing its writer wants to know."""
    (tmp_path / "members").write_text(content, "utf-8")

    status, output = run("sandbox", "--members", str(tmp_path / "members"))

    assert status == 2
    assert "member_password" in output


def test_the_version_can_be_asked_for() -> None:
    """A bug report begins with it."""
    assert run("--version") == (0, f"daxko-auth {daxko_auth.__version__}\n")


def test_help_without_a_command_lists_them() -> None:
    """The first thing anybody types."""
    _, output = run()

    assert "demo" in output
    assert "sandbox" in output


def test_a_missing_extra_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core installs without the command line's needs; a ModuleNotFoundError explains nothing."""
    monkeypatch.setitem(sys.modules, "daxko_auth.cli.command_line", None)
    monkeypatch.delitem(sys.modules, "daxko_auth.cli.command_line")
    monkeypatch.setitem(sys.modules, "typer", None)

    with pytest.raises(SystemExit, match=r"needs typer, .*the extra `cli`.* pip install '\.\[cli\]'$"):
        entry.main()


def test_the_sandbox_names_its_missing_extra() -> None:
    """The README shows this import; the core installs without what it needs."""
    lines = """
import sys
sys.modules["starlette"] = None
try:
    import daxko_auth.sandbox
except ModuleNotFoundError as error:
    print(error)
"""
    shown = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)  # noqa: S603

    assert "the sandbox needs starlette" in shown.stdout
    assert "the extra `sandbox`" in shown.stdout
    assert "pip install '.[sandbox]'" in shown.stdout


def test_a_fault_of_our_own_is_not_taken_for_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that we broke must not send people to pip."""
    monkeypatch.setitem(sys.modules, "daxko_auth.cli.command_line", None)

    with pytest.raises(ModuleNotFoundError):
        entry.main()


def test_both_spellings_of_the_command_are_the_same() -> None:
    """`python -m daxko_auth` is for when scripts are not on the path."""
    shown = subprocess.run(
        [sys.executable, "-m", "daxko_auth", "--version"], capture_output=True, text=True, check=True
    )

    assert shown.stdout == f"daxko-auth {daxko_auth.__version__}\n"


def test_the_demo_tells_every_step_in_80_columns_without_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """It is the first thing a newcomer sees, and it may be pasted into a ticket."""
    assert demo.run(Console(width=80, highlight=False)) == 0

    told = capsys.readouterr().out
    assert [line[0] for line in told.splitlines() if re.match(r"\d\. ", line)] == list("1234567")
    assert max(map(len, told.splitlines())) <= 80
    assert demo.run(Console(width=40, highlight=False)) == 0
    assert capsys.readouterr().out.count(" ms") == 9, "a narrow terminal folds, and loses nothing"
    assert "…" not in told, "nothing is cut off"
    assert not TOKEN_SHAPE.search(told)
    assert "d9a2652cf96d734661c10d5ff2f8061f" not in told
    assert "member_password" not in told
    assert [line.split()[0] for line in told.splitlines() if re.match(r"  [24]0\d ", line)] == [
        *["200", "200", "200", "200"],
        *["401", "200", "200"],
        *["200", "200"],
    ]
    assert "from daxko_auth import ApiCredentials, Daxko" in told


def test_the_demo_runs_as_a_command() -> None:
    """One command of the README shows the main job."""
    status, output = run("demo")

    assert status == 0
    assert "A member signs in" in output


def test_a_demo_whose_step_does_not_hold_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A demo that cannot fail shows nothing."""
    monkeypatch.setattr(Sandbox, "expire", lambda _: 0)

    assert demo.run(Console(width=80)) == 1
    assert "This step did not do what it says: The token expires" in capsys.readouterr().out


def test_the_lines_that_the_demo_ends_with_run(sandbox: Sandbox) -> None:
    """They are what a newcomer pastes first."""
    settings = dict(shlex.split(line)[1].split("=", 1) for line in sandbox.exports())
    shown = subprocess.run(  # noqa: S603 - our own lines
        [sys.executable, "-c", demo._NEXT], capture_output=True, text=True, check=True, env={**os.environ, **settings}
    )

    assert "'client_id': 9999" in shown.stdout


def test_the_sandbox_of_the_command_line_is_open_to_this_machine_only() -> None:
    """It has switches without a password."""
    with (
        started() as (settings, _),
        urllib.request.urlopen(f"{settings['DAXKO_BASE_URL']}/") as page,  # noqa: S310 - our own address
    ):
        assert settings["DAXKO_BASE_URL"].startswith("http://127.0.0.1:")
        assert b"not Daxko" in page.read()


@pytest.mark.parametrize("name", ["COLUMNS", "TERMINAL_WIDTH", "LINES"])
@pytest.mark.parametrize("size", ["0", "-1", "", "abc", "\u00b2", "9" * 12, "9" * 5_000])
def test_a_size_of_a_terminal_that_is_none_is_forgotten(monkeypatch: pytest.MonkeyPatch, name: str, size: str) -> None:
    """Serial lines and some job runners set it to 0; what is printed for it would be nothing, or a traceback."""
    monkeypatch.setenv(name, size)
    streams.make_usable()
    assert name not in os.environ

    monkeypatch.setenv(name, "120")
    streams.make_usable()
    assert os.environ[name] == "120"


def test_a_mistake_is_explained_where_the_terminal_has_no_size() -> None:
    """Nobody finds a mistake that is told in no columns."""
    ended = subprocess.run(
        [sys.executable, "-m", "daxko_auth", "sandbx"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "0"},
    )

    assert ended.returncode == 2
    assert "No such command" in ended.stderr


def test_streams_that_somebody_has_replaced_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that collects the output in memory has no charset to fail for."""
    collected = io.StringIO()
    monkeypatch.setattr(sys, "stdout", collected)

    streams.make_usable()

    assert sys.stdout is collected

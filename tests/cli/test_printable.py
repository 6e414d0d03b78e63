"""What strangers wrote reaches a terminal as text: nothing in it acts, whichever command shows it."""

import ast
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

import daxko_auth.cli
from daxko_auth.cli import doctor, printing, request
from daxko_auth.cli.command_line import app
from daxko_auth.cli.links import Finding
from daxko_auth.sandbox import Sandbox

# A title, a colour, a control of one byte, text that runs backwards, what nobody sees, half a character.
EVIL = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202e\u200b\u2028\x7f"
SHOWN = r"\x1b]0;owned\x07\x1b[31m\x9b2J\u202e\u200b\u2028\x7f"
TELLER = request._Teller(is_verbose=True)
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028\u202e\ud800-\udfff]")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command take its output for a terminal."""
    monkeypatch.setattr(request, "is_watched", lambda: True)


def answer(content: bytes, content_type: str) -> httpx.Response:
    """Make an answer of Daxko's."""
    return httpx.Response(200, content=content, headers={"Content-Type": content_type})


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "latin-1", "hex", "nonsense", "idna"])
def test_a_text_on_a_terminal_keeps_its_lines_and_acts_on_nothing(
    capsys: pytest.CaptureFixture[str], charset: str
) -> None:
    """Whoever writes into a field of Daxko's writes to its operators' terminals; a charset may be none."""
    body = "one\r\n\ttwo\x1b[2J\rthree \x07".encode("utf-16" if charset == "utf-16" else "ascii")
    request._print(answer(body, f"text/plain; charset={charset}"), TELLER)

    assert capsys.readouterr().out == "one\n\ttwo\\x1b[2J\\rthree \\x07\n"


@pytest.mark.usefixtures("watched")
def test_json_on_a_terminal_is_still_the_same_json(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has its own way to write such a character."""
    body = {EVIL: [EVIL, "\ud83d", "\U0001f511 \u00e4\u00a0"]}
    request._print(answer(json.dumps(body).encode(), "application/json"), TELLER)

    shown = capsys.readouterr().out
    assert not ACTS.search(shown)
    assert json.loads(shown) == body
    assert "\U0001f511 \u00e4" in shown


@pytest.mark.usefixtures("watched")
def test_json_that_nests_too_deeply_is_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    """It is no reason for a traceback."""
    request._print(answer(b"[" * 100_000, "application/json"), TELLER)

    assert capsys.readouterr().out == "[" * 100_000 + "\n"


def test_into_a_pipe_a_body_goes_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes next reads bytes."""
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe))
    request._print(answer(EVIL.encode() + b"\xff\r\n", "text/plain"), TELLER)

    assert pipe.getvalue() == EVIL.encode() + b"\xff\r\n"


@pytest.mark.usefixtures("watched")
def test_a_reason_headers_and_a_media_type_are_printable(capsys: pytest.CaptureFixture[str]) -> None:
    """They come before any body is looked at."""
    response = httpx.Response(
        400,
        headers=[
            (b"Server", b"x\x1b]0;owned\x07\x9b"),
            (b"Content-Type", b"image/\x1b[31m\xe2\x80\xae"),
            (b"X\x1b", b"y"),
        ],
        content=b"1",
        extensions={"reason_phrase": b"Bad\x1b]0;owned\x07"},
    )
    TELLER.answered(response)
    request._print(response, TELLER)

    shown = capsys.readouterr().err
    assert r"400 Bad\x1b]0;owned\x07" in shown
    assert not ACTS.search(shown)


SPEAKING: dict[str, Callable[[], object]] = {
    "say": lambda: printing.say(f"one {EVIL}\ntwo"),
    "tell": lambda: printing.tell(f"one {EVIL}\ntwo"),
    "tell_lines": lambda: printing.tell_lines(f"one {EVIL}"),
    "print_fields": lambda: printing.print_fields({"name": EVIL}),
    "print_json": lambda: printing.print_json({EVIL: EVIL}),
    "console": lambda: printing.console().print(EVIL, markup=False),
    "console, a table": lambda: printing.console().print(_table()),
    "doctor": lambda: doctor._print(Finding("name", "failed", EVIL, f"{EVIL}\nok"), printing.console()),
}


def _table() -> Table:
    table = Table()
    table.add_column(EVIL)
    table.add_row(Text(EVIL, "bold"))
    return table


@pytest.mark.parametrize("way", SPEAKING)
def test_no_way_to_speak_lets_it_through(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Care is forgotten; so all ways there are do it."""
    SPEAKING[way]()

    shown = "".join(capsys.readouterr())
    assert "owned" in shown
    assert not ACTS.search(shown)


def test_a_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A name with a line break in it would forge another finding."""
    printing.tell("file\nfile2.yaml: no secret")
    doctor._print(Finding("name", "ok", "a\nclock  ok"), printing.console())

    told = capsys.readouterr().out.splitlines()
    assert told[0] == r"file\nfile2.yaml: no secret"
    assert len(told) == 2


def test_only_one_module_of_the_command_line_writes() -> None:
    """Where something else could write, it would have to remember."""
    folder = Path(str(daxko_auth.cli.__file__)).parent
    calls = [
        (file.name, getattr(node.func, "id", getattr(node.func, "attr", "")), isinstance(node.func, ast.Name))
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call)
    ]
    writers = {
        file
        for file, called, is_plain in calls
        if called in {"echo", "secho", "Console"} or (called == "print" and is_plain)
    }

    assert writers == {"printing.py"}


def test_a_cassette_is_named_printably(tmp_path: Path) -> None:
    """A file's name comes with a pull request."""
    (tmp_path / f"{EVIL}.yaml").write_text("body: password=hunter22\n")
    shown = CliRunner().invoke(app, ["scan-cassettes", str(tmp_path)])
    as_json = CliRunner().invoke(app, ["scan-cassettes", "--json", str(tmp_path)])

    assert shown.exit_code == 1
    assert f"{SHOWN}.yaml: " in shown.stdout
    assert not ACTS.search(shown.stdout + as_json.stdout)
    assert json.loads(as_json.stdout)["findings"][0]["file"] == str(tmp_path / f"{EVIL}.yaml")


@pytest.mark.parametrize(
    "arguments",
    [[f"--{EVIL}"], [EVIL], ["sandbox", f"--{EVIL}"], ["sandbox", "--client", EVIL], ["warm", "--file", f"/{EVIL}"]],
)
def test_what_was_typed_is_repeated_printably(arguments: list[str]) -> None:
    """A shell puts file names there for a `*`."""
    shown = CliRunner().invoke(app, arguments)

    assert shown.exit_code == 2
    assert not ACTS.search(shown.output)


def test_an_error_of_a_server_is_printable(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A refusal is repeated in three commands."""
    for name, value in sandbox.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for arguments in (["token", "9999"], ["warm", "9999"], ["warm", "9999", "--json"], ["doctor", "9999"]):
        sandbox.fail_next(1, "answer", status=400, body={"error": f"bad{EVIL}", "error_description": f"very{EVIL}"})
        shown = CliRunner().invoke(app, arguments)

        assert shown.exit_code == 1
        assert "owned" in shown.output
        assert not ACTS.search(shown.output)

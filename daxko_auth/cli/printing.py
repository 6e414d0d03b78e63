"""
How commands speak: what was asked for goes to standard output, everything else on standard error.

All output passes here, and what strangers wrote is made printable here: nothing that a server, a file's name or a
cassette says acts on the terminal. Only the bytes of a body that goes into a pipe or a file are left as they came.
"""

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.highlighter import JSONHighlighter
from rich.segment import Segment

from daxko_auth.model.masking import printable

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
# Columns.
_NARROWEST: Final = 40


def say(line: str) -> None:
    """Tell whoever watches; no program reads this."""
    typer.echo(printable(line), err=True)


def tell(line: str) -> None:
    """Print a line for a person or a program."""
    typer.echo(printable(line))


def tell_lines(text: str) -> None:
    """Print a text with its line breaks and tabs."""
    typer.echo(printable(text, keep_lines=True))


def pass_on(body: bytes) -> None:
    """Print a body as it came, where standard output is no terminal."""
    typer.echo(body, nl=False)


def fail(message: str, status: int = 1) -> NoReturn:
    """End the command with one clear paragraph."""
    say(f"daxko-auth: {message}")
    raise typer.Exit(status)


def print_json(fields: object) -> None:
    """Print `fields` for a program."""
    typer.echo(_json(fields))


def show_json(body: bytes) -> bool:
    """Print a body that is JSON for a person, in colours; return whether it is."""
    try:
        text = _json(json.loads(body))
    except (ValueError, RecursionError):
        return False
    console().print(JSONHighlighter()(text), soft_wrap=True)
    return True


def print_fields(fields: dict[str, str]) -> None:
    """Print one value a line, their names aligned."""
    width = max(map(len, fields))
    for name, value in fields.items():
        tell(f"{name:<{width}}  {value}")


def console(*, stderr: bool = False) -> Console:
    """Return a console for tables, colours and progress; what it prints is made printable as well."""
    made = Console(stderr=stderr, highlight=False)
    # Rich would leave out what has no room; a terminal breaks lines by itself.
    made.width = max(made.width, _NARROWEST)
    made.push_render_hook(_PrintableHook())
    return made


@contextmanager
def printable_mistakes() -> Generator[None, None, None]:
    """Make what typer says about a wrong call printable: it repeats what was typed, or what a shell made of `*`."""
    try:
        yield
    except Exception as error:
        # Whatever typer can explain has one; it is no name of typer's own, and its class was click's before.
        message = getattr(error, "message", None)
        if isinstance(message, str):
            error.message = printable(message)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        raise


class _PrintableHook(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Printable(each) for each in renderables]


class _Printable:
    """What something looks like, with its colours, and without what its texts would do to a terminal."""

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(printable(segment.text, keep_lines=True), segment.style)


def _json(fields: object) -> str:
    text = json.dumps(fields, indent=2, ensure_ascii=False)
    # JSON has its own way to write such a character, so a program reads what was there.
    return "".join(char if char == "\n" or printable(char) == char else json.dumps(char).strip('"') for char in text)


def is_watched() -> bool:
    """Whether standard output is a terminal, so that a person reads what is printed."""
    return sys.stdout.isatty()


def instant(moment: datetime) -> str:
    """Write a moment for a person."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """Write a duration for a person, in its two largest units."""
    left = int(seconds)
    if left < _MINUTE:
        return f"{left} s"
    if left < _HOUR:
        return f"{left // _MINUTE} min {left % _MINUTE} s"
    if left < _DAY:
        return f"{left // _HOUR} h {left % _HOUR // _MINUTE} min"
    return f"{left // _DAY} d {left % _DAY // _HOUR} h"

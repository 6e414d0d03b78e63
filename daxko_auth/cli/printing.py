"""
How commands speak: facts on standard output, everything else on standard error.
"""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated, NoReturn

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def say(line: str) -> None:
    """Tell whoever watches; no program reads this."""
    typer.echo(line, err=True)


def fail(message: str, status: int = 1) -> NoReturn:
    """End the command with one clear paragraph."""
    say(f"daxko-auth: {message}")
    raise typer.Exit(status)


def print_json(facts: object) -> None:
    """Print `facts` for a program."""
    typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))


def print_facts(facts: dict[str, str]) -> None:
    """Print one fact a line, their names aligned."""
    width = max(map(len, facts))
    for name, fact in facts.items():
        typer.echo(f"{name:<{width}}  {fact}")


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

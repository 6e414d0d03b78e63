"""docs/command-line.md lists the commands as they are."""

import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from daxko_auth.cli.command_line import app

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
BEGIN = "<!-- From the commands themselves: -->\n"


def reference() -> str:
    """Write what each command says about itself."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return "\n".join(line for command in commands.values() for line in _lines(command))


def _lines(command: Any) -> Iterator[str]:
    arguments = [param.metavar or param.name.upper() for param in command.params if param.param_type_name == "argument"]
    yield f"\n### {command.name}\n"
    yield f"    daxko-auth {' '.join([command.name, *arguments, '[OPTIONS]'])}\n"
    yield inspect.cleandoc(command.help)
    if command.params:
        yield "\n| | |\n|---|---|"
    for param in command.params:
        is_option = param.param_type_name == "option"
        value = f" {param.metavar or 'VALUE'}" if is_option and not param.is_flag else ""
        names = ", ".join(param.opts) if is_option else arguments[0] if len(arguments) == 1 else param.metavar
        required = " Required." if is_option and param.required else ""
        yield f"| `{names}{value}` | {param.help}{required} |"


def test_the_page_lists_every_command_as_it_is() -> None:
    """An option that is documented and gone costs somebody an hour. UPDATE_SNAPSHOTS=1 writes it anew."""
    written = PAGE.read_text("utf-8").partition(BEGIN)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(f"{written[0]}{BEGIN}{reference()}\n", "utf-8")
        written = PAGE.read_text("utf-8").partition(BEGIN)

    assert written[2] == f"{reference()}\n"

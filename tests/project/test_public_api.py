"""The public names and their signatures, as a text that a change has to change as well."""

import os
from collections.abc import Iterator
from pathlib import Path

import griffe
import pytest

import daxko_auth

PROJECT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).parent / "public_api.txt"


def public_api() -> str:
    """Write every public name with what it takes and returns, read off the source."""
    paths = [PROJECT, PROJECT / "generated"]
    package = griffe.load("daxko_auth", search_paths=paths, resolve_aliases=True)
    lines: list[str] = []
    for name in sorted({*daxko_auth.__all__, *daxko_auth._LAZY} - {"events"}):
        lines += _lines(package[name], name)
    for room in ("model.events", "sandbox", "testing"):
        shown = package[room]
        public = shown.exports or [name for name, member in shown.members.items() if _is_own(member, name)]
        path = f"daxko_auth.{room.removeprefix('model.')}"
        for name in sorted(map(str, public)):
            lines += _lines(shown[name], f"{path}.{name}")
    return "\n".join(lines) + "\n"


def _is_own(member: griffe.Object | griffe.Alias, name: str) -> bool:
    return not name.startswith("_") and not member.is_alias and not member.is_module


def _lines(found: griffe.Object | griffe.Alias, name: str) -> Iterator[str]:
    found = found.final_target if isinstance(found, griffe.Alias) else found
    if isinstance(found, griffe.Function):
        yield f"{name}({_parameters(found)}) -> {found.returns}"
    elif isinstance(found, griffe.Class):
        yield f"class {name}({', '.join(map(str, found.bases))})"
        for own, member in sorted(found.all_members.items()):
            if own == "__init__" or (not own.startswith("_") and not member.is_module):
                yield from (f"    {line}" for line in _lines(member, own))
    elif isinstance(found, griffe.Attribute):
        yield f"{name}: {found.annotation}"


def _parameters(function: griffe.Function) -> str:
    written: list[str] = []
    for parameter in function.parameters:
        if parameter.name in {"self", "cls"}:
            continue
        if parameter.kind is griffe.ParameterKind.keyword_only and "*" not in written:
            written.append("*")
        default = "" if parameter.required else f" = {parameter.default}"
        written.append(f"{parameter.name}: {parameter.annotation}{default}")
    return ", ".join(written)


def test_no_public_name_changes_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is public is what programs are written against. UPDATE_SNAPSHOTS=1 writes the text again."""
    # griffe asks git where the package comes from, which nobody reads here, and does without.
    monkeypatch.setenv("PATH", "")
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(public_api(), "utf-8")

    assert public_api() == SNAPSHOT.read_text("utf-8")

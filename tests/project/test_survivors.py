"""The list of mutants that may live: it is read, it gives reasons, and it is about the code as it is."""

import ast
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
FIELDS: Final = {"module", "function", "was", "becomes", "reason"}
SURVIVORS: Final[list[dict[str, Any]]] = tomllib.loads((ROOT / "tests/mutation/survivors.toml").read_text())["survivor"]


def _lines_of(module: str, function: str) -> list[str]:
    """Return the lines of a function or class, or of the whole module, without indentation."""
    source = (ROOT / module).read_text()
    nodes: list[ast.AST] = [ast.parse(source)]
    for name in filter(None, function.split(".")):
        nodes = [child for node in nodes for child in ast.walk(node) if getattr(child, "name", None) == name]
    parts = [ast.get_source_segment(source, node) if function else source for node in nodes]
    return [line.strip() for part in parts for line in (part or "").splitlines()]


@pytest.mark.parametrize("survivor", SURVIVORS, ids=lambda survivor: f"{survivor['module']}:{survivor['was'][:40]}")
def test_a_survivor_has_a_reason_and_stands_in_the_code(survivor: dict[str, Any]) -> None:
    """A list that rots lets mutants live that a test should have killed."""
    assert set(survivor) == FIELDS
    assert len(survivor["reason"].split()) > 3
    assert survivor["becomes"]
    assert survivor["was"] not in survivor["becomes"]
    assert survivor["was"] in " ".join(_lines_of(survivor["module"], survivor["function"]))


def test_no_survivor_is_listed_twice() -> None:
    """One change, one reason."""
    listed = [(each["module"], each["function"], each["was"], one) for each in SURVIVORS for one in each["becomes"]]
    assert len(set(listed)) == len(listed)

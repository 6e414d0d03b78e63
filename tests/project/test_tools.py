"""The tools that look over the project's shoulder: what they are told to look at."""

import re
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
SCRIPT = (PROJECT / "scripts" / "check").read_text("utf-8")


@pytest.mark.parametrize(("checker", "files"), [("mypy", "files"), ("pyright", "include")])
def test_both_type_checkers_read_the_sample_program_strictly(checker: str, files: str) -> None:
    """What users write must pass in their editor; a checker that is no longer run finds nothing."""
    told = SETTINGS["tool"][checker]
    assert {"daxko_auth", "tests/typing"} <= set(told[files])
    assert told.get("strict") or told["typeCheckingMode"] == "strict"
    assert re.search(rf"^{checker}( --\w+)*$", SCRIPT, re.MULTILINE)
    assert list((PROJECT / "tests" / "typing").glob("*.py"))

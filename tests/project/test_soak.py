"""The soak runs, and its verdict bites."""

import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SOAK = Path(__file__).parents[2] / "scripts" / "soak"

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says there what is held")


def loaded() -> Any:
    """Return the script as a module."""
    module = ModuleType("soak")
    SourceFileLoader("soak", str(SOAK)).exec_module(module)
    return module


def test_a_soak_of_some_seconds_finds_nothing_wrong() -> None:
    """It takes minutes to see a slow leak, and a moment to see that the script still works."""
    ran = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, SOAK, "0.1"], capture_output=True, text=True, check=False
    )
    # After so short a warm-up memory may still grow, and one call is many of few.
    pardoned = re.compile(r"(memory|blocks) grew by .*|\d+ of \d+ calls were answered 401")
    assert [line for line in ran.stderr.splitlines() if not pardoned.fullmatch(line)] == []
    assert len([line for line in ran.stdout.splitlines() if line.startswith("|")]) == 2 + 6
    assert "threads +0, files +0" in ran.stdout


@pytest.mark.parametrize(
    ("grown", "said"),
    [
        ({}, []),
        ({"threads": 2}, ["threads grew by 1"]),
        ({"files": 8}, ["files grew by 1"]),
        ({"memory": 54.5}, ["memory grew by 4.5"]),
        ({"memory": 53.5, "blocks": 202_000, "objects": 20_000}, []),
        ({"blocks": 202_001}, ["blocks grew by 2001"]),
    ],
)
def test_what_grew_is_said(grown: dict[str, float], said: list[str]) -> None:
    """A soak that is always content shows nothing."""
    soak = loaded()
    warm = {"threads": 1, "files": 7, "memory": 50.0, "blocks": 200_000, "objects": 10_000}
    assert soak.Held(**warm | grown).grown_since(soak.Held(**warm)) == said


def test_calls_that_should_not_have_failed_are_said() -> None:
    """Each kind once, with how often it happened."""
    soak = loaded()
    assert soak.Tally(calls=1000, failed=500, refused=1).complaints() == []
    tally = soak.Tally(calls=999, refused=1, unexpected=["KeyError: 1", "KeyError: 1"])
    assert tally.complaints() == [
        "2 calls failed that should not have: KeyError: 1",
        "1 of 999 calls were answered 401",
    ]

"""Every process that collects the tests finds the same ones: pytest-xdist refuses to run them otherwise."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

PLUGIN = """
import json, os, time

# Read at once: conftest.py takes the environment away.
file, now, shift = os.environ["FOUND"], time.time, float(os.environ["SHIFT"])
time.time = lambda: now() + shift


def pytest_collection_finish(session):
    with open(file, "w", encoding="utf-8") as found:
        json.dump([item.nodeid for item in session.items], found)
"""


def collected(folder: Path, *, seed: int, shift: float) -> list[str]:
    """Return the tests' identifiers, in order, as a process finds them that hashes with a seed, on a shifted clock."""
    (folder / "finding.py").write_text(PLUGIN, "utf-8")
    found = folder / "found"
    settings = {"PYTHONPATH": str(folder), "PYTHONHASHSEED": str(seed), "SHIFT": str(shift), "FOUND": str(found)}
    options = ["-qq", "-n", "0", "-p", "no:cacheprovider", "-p", "finding"]
    # The oldest pytest that we try has the whole of a long value in the identifier.
    options += ["-o", "parametrize_long_str_id_strategy=legacy"]
    ran = subprocess.run(  # noqa: S603 - our own tests
        [sys.executable, "-m", "pytest", "--collect-only", *options],
        cwd=PROJECT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
    identifiers: list[str] = json.loads(found.read_text("utf-8"))
    return identifiers


@pytest.mark.shows_secrets("files")
def test_the_same_tests_are_found_at_any_time_and_in_any_order_of_sets(tmp_path: Path) -> None:
    """A test whose identifier held the second in which it was compressed stopped a whole run."""
    first = collected(tmp_path, seed=1, shift=0)
    assert len(first) > 5000
    assert collected(tmp_path, seed=2, shift=4e7) == first

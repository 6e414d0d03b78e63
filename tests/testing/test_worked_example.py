"""
docs/testing.md and examples/testing: the page shows what is there, and what is there runs.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daxko_auth.sandbox import Sandbox
from daxko_auth.testing import plugin
from daxko_auth.testing.scrubber import _SECRET_FIELDS

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "examples" / "testing"
PAGE = (PROJECT / "docs" / "testing.md").read_text("utf-8")
SOURCES = "\n".join(file.read_text("utf-8") for file in sorted(EXAMPLE.glob("*.py")))
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
# Fixtures of a conftest.py; the example needs neither.
OF_A_CONFTEST = [block for block in BLOCKS if block not in SOURCES]


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command as an integrator would: in their folder, without an account."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("DAXKO_", "PYTEST_"))}
    return subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def run_tests(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run pytest without the plugins of our own tools, which take long to import."""
    return run(folder, "pytest", "-q", "-W", "error", "-pno:schemathesis", "-pno:hypothesispytest", "-rA")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Copy the example to where no settings of this project reach."""
    return shutil.copytree(EXAMPLE, tmp_path / "example", ignore=shutil.ignore_patterns("__pycache__", ".*"))


def test_the_example_runs_against_sandbox_and_cassette(copied: Path) -> None:
    """Whoever copies it begins with tests that pass, without an account and without a network."""
    before = (copied / "cassettes" / "locations.yaml").read_bytes()
    done = run_tests(copied)
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout
    assert (copied / "cassettes" / "locations.yaml").read_bytes() == before


def test_the_examples_tests_can_fail(copied: Path) -> None:
    """A program that asks for the wrong customer is noticed by the sandbox and by the cassette."""
    program = copied / "locations.py"
    program.write_text(program.read_text("utf-8").replace("from_env(), client_id)", "from_env(), 1234)"), "utf-8")
    done = run_tests(copied)
    assert {line.split("::")[1].split()[0] for line in done.stdout.splitlines() if line.startswith("FAILED")} == {
        "test_a_customer_who_is_not_ours_is_refused",
        "test_an_expired_token_is_replaced",
        "test_an_outage_is_survived",
        "test_each_customer_is_asked_for_with_its_own_token",
        "test_the_names_are_those_of_the_customers_locations",
    }


def test_the_examples_cassette_is_clean(copied: Path) -> None:
    """The command as the page shows it."""
    (shown,) = re.findall(r"```sh\ndaxko-auth (.*)\n```", PAGE)
    done = run(copied, "daxko_auth", *shown.split())
    assert (done.returncode, done.stdout) == (0, "No secret found. Cassettes looked at: 1\n")


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_block_of_python_is_in_the_example_or_for_a_conftest(block: str) -> None:
    """What the page shows has to be what was run."""
    assert block in SOURCES or block.startswith("@pytest.fixture")


def test_the_blocks_for_a_conftest_run(copied: Path) -> None:
    """The two fixtures that the example itself does not need."""
    head = "from collections.abc import Iterator\nfrom typing import Any\n\nimport pytest\n\n"
    head += "import daxko_auth.testing\nfrom daxko_auth.sandbox import Sandbox\n\n\n"
    assert len(OF_A_CONFTEST) == 2
    (copied / "conftest.py").write_text(head + "\n\n".join(OF_A_CONFTEST), "utf-8")
    for file in copied.glob("test_*.py"):
        file.unlink()
    (copied / "test_mine.py").write_text(
        "from locations import locations\n\n"
        "def test_mine(daxko_env, vcr_config):\n"
        "    assert locations(7)['client_id'] == 7\n"
        "    assert 'headers' in vcr_config['match_on']\n",
        "utf-8",
    )
    done = run_tests(copied)
    assert done.returncode == 0, done.stdout


def test_every_fixture_is_in_the_table() -> None:
    """A fixture nobody reads of is written once more by everybody."""
    named = set(re.findall(r"^\| `(daxko_\w+)` \|", PAGE, re.MULTILINE))
    assert named == {name for name in vars(plugin) if name.startswith("daxko_")}


def test_the_names_of_secret_fields_are_the_real_ones() -> None:
    """Whoever looks for a name finds it here or knows that it is not taken out."""
    (listed,) = re.findall(r"that are called (.*?), cookies", PAGE, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", listed)) == _SECRET_FIELDS


def test_what_the_sandbox_is_said_to_do_it_can() -> None:
    """The table names its methods."""
    (row,) = re.findall(r"^\| `daxko_sandbox` \|(.*)\|$", PAGE, re.MULTILINE)
    assert all(hasattr(Sandbox, name) for name in re.findall(r"`(\w+)(?:\(|`)", row))

"""What the README and the pages of docs show runs: every block of Python, in the order in which it is read."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import daxko_auth
from daxko_auth import RenewalPolicy
from daxko_auth.model import errors
from daxko_auth.sandbox import Sandbox

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text("utf-8")
# The blocks of docs/testing.md belong together, and run as examples/testing.
PAGES = [PROJECT / "README.md", *sorted({*(PROJECT / "docs").glob("*.md")} - {PROJECT / "docs" / "testing.md"})]
BLOCKS = {
    f"{page.name}-{number}": block
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL))
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_every_block_of_python_runs(sandbox: Sandbox, tmp_path: Path, block: str) -> None:
    """An example that does not run is the first thing a newcomer finds out."""
    settings = dict(shlex.split(line)[1].split("=", 1) for line in sandbox.exports())
    settings["HOME"] = str(tmp_path)

    subprocess.run([sys.executable, "-c", block], check=True, env=settings)  # noqa: S603 - our own README


def test_the_policys_numbers_are_the_ones_in_force() -> None:
    """A table that has drifted is worse than none."""
    policy = RenewalPolicy()
    table = re.search(r"\| argument \| default \|.*?\n\n", README, re.DOTALL)
    assert table is not None
    documented: dict[str, float] = {}
    for names, defaults in re.findall(r"^\| (`.*?`) \| ([\d., ]+) \|", table.group(), re.MULTILINE):
        numbers = map(float, defaults.split(", "))
        documented |= dict(zip(re.findall(r"`(\w+)`", names), numbers, strict=True))

    assert documented == {name: getattr(policy, name) for name in policy.__slots__ if not name.startswith("__")}


def test_the_tree_of_errors_is_the_real_one() -> None:
    """People catch what the README names."""
    named = set(re.findall(r"^[├│└─ ]*(\w+)(?:\(ValueError\))?  ", README.split("## Errors")[1], re.MULTILINE))
    real = {name for name in daxko_auth.__all__ if issubclass_of_error(name)}

    assert named | {"DaxkoAuthError"} == real


def issubclass_of_error(name: str) -> bool:
    """Whether a public name is one of our errors."""
    public = getattr(daxko_auth, name)
    return isinstance(public, type) and issubclass(public, errors.DaxkoAuthError)


def test_every_path_it_names_exists() -> None:
    """A reader follows them."""
    assert (PROJECT / "docs" / "console.png").exists()
    for path in re.findall(r"`((?:(?:scripts|openapi|tests|generated|docs)/[\w./]*)|[A-Z]+\.md)`", README):
        assert (PROJECT / path).exists(), path


def test_the_links_lead_somewhere_public() -> None:
    """Not to a registry, a machine, or a file that is not shipped."""
    assert set(re.findall(r"\]\((.*?)\)", README)) == {"https://www.daxko.com", "docs/console.png"}


def test_it_says_what_is_shared_and_what_is_not() -> None:
    """A source per request is a token request per request; that is in the behaviour, and has to be in the words."""
    words = " ".join(README.split())
    assert "`Daxko` and `AsyncDaxko` made without `source=` share one source per origin and account" in words
    assert "keep one for the life of the program" in words
    assert "A `TokenSource` is never shared behind your back" in words

"""docs/reliability.md: every case once, in order, with a promise, and with tests that exist and run."""

import re
from pathlib import Path

import pytest
from named_tests import wrong_with

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "reliability.md"
CASES = 57

# A case by its number, or a kind of fault by its letter.
_ROW = re.compile(r"^\| *(\d+|[A-Z]) *\|(.*)\|$", re.MULTILINE)


def complaints(page: str, tests: Path = PROJECT / "tests") -> list[str]:
    """Return what is wrong with the table of a page."""
    rows = [(number, [cell.strip() for cell in rest.split("|")]) for number, rest in _ROW.findall(page)]
    found: list[str] = []
    if [int(number) for number, _ in rows if number.isdigit()] != list(range(1, CASES + 1)):
        found.append(f"not the cases 1 to {CASES}, each once and in order")
    for number, cells in rows:
        if len(cells) != 3 or not all(cells):
            found.append(f"{number}: a cell is empty, missing or too many")
            continue
        found += [
            f"{number}: {what}"
            for entry in cells[2].split("<br>")
            if (what := wrong_with(entry.strip(), tests, way="../tests/"))
        ]
    return found


def test_the_table_is_whole_and_every_test_it_names_exists() -> None:
    """A promise whose test was renamed, skipped or never written is a wish."""
    assert complaints(PAGE.read_text("utf-8")) == []


def test_every_kind_of_fault_is_in_the_table() -> None:
    """Eleven kinds, each with the structure that closed it."""
    section = PAGE.read_text("utf-8").split("## Protected by structure")[1].split("\n## ")[0]
    assert [number for number, _ in _ROW.findall(section)] == list("ABCDEFGHIJK")


def test_what_is_done_otherwise_is_said_by_case() -> None:
    """A difference without a reason is a gap; a reason for a case that does not exist is a leftover."""
    section = PAGE.read_text("utf-8").split("## Where we do otherwise, and why")[1].split("\n## ")[0]
    numbers = [int(number) for number in re.findall(r"^- \*\*(\d+)\. ", section, re.MULTILINE)]
    assert numbers
    assert numbers == sorted(numbers)
    assert set(numbers) <= set(range(1, CASES + 1))


ALL_RUN = """
import pytest

def test_good(): ...

async def test_async(): ...

@pytest.mark.skipif(True, reason="on some machines")
def test_here_only(): ...

class TestMany:
    def test_one(self): ...

TestMade = TestMany
"""
SOME_NOT_RUN = """
import pytest

@pytest.mark.skip(reason="later")
def test_skipped(): ...

@pytest.mark.xfail
def test_expected(): ...

def test_gives_up():
    pytest.skip("later")

@pytest.mark.skip
class TestSkipped:
    def test_one(self): ...

def helper(): ...
"""
NONE_RUN = "import pytest\npytestmark = [pytest.mark.skip]\ndef test_good(): ...\n"


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    """Write tests to link to."""
    for name, source in (("all", ALL_RUN), ("some", SOME_NOT_RUN), ("none", NONE_RUN)):
        (tmp_path / f"test_{name}.py").write_text(source, "utf-8")
    return tmp_path


def link(file: str, name: str) -> str:
    """Write a link as the page does."""
    return f"[{file}::{name}](../tests/{file})"


def page(entry: str, numbers: list[int] | None = None) -> str:
    """Write a table whose every row links to the same."""
    return "\n".join(f"| {number} | broke | holds | {entry} |" for number in numbers or range(1, CASES + 1))


@pytest.mark.parametrize(
    "name", ["test_good", "test_async", "test_here_only", "TestMany", "TestMany::test_one", "TestMade"]
)
def test_a_test_that_is_there_is_found(tests: Path, name: str) -> None:
    """Functions, methods and what a library makes into a test."""
    assert complaints(page(link("test_all.py", name)), tests) == []


@pytest.mark.parametrize(
    "entry",
    [
        link("test_all.py", "test_renamed"),
        link("test_all.py", "TestMany::test_renamed"),
        link("test_all.py", "TestRenamed::test_one"),
        link("test_moved.py", "test_good"),
        link("test_some.py", "helper"),
        link("test_some.py", "test_skipped"),
        link("test_some.py", "test_expected"),
        link("test_some.py", "test_gives_up"),
        link("test_some.py", "TestSkipped"),
        link("test_some.py", "TestSkipped::test_one"),
        link("test_none.py", "test_good"),
        link("test_all.py", "test_good") + "<br>" + link("test_all.py", "test_renamed"),
        "[test_all.py::test_good](../tests/test_some.py)",
        "TODO",
        "test_all.py::test_good",
        "",
    ],
)
def test_a_test_that_is_not_there_or_not_run_is_found_missing(tests: Path, entry: str) -> None:
    """A check that accepts everything proves nothing."""
    assert len(complaints(page(entry), tests)) == CASES


@pytest.mark.parametrize("numbers", [range(1, 57), range(1, 59), [*range(1, 57), 56], [2, 1, *range(3, 58)]])
def test_a_case_left_out_doubled_or_moved_is_noticed(tests: Path, numbers: list[int]) -> None:
    """No case is dropped in silence."""
    assert complaints(page(link("test_all.py", "test_good"), list(numbers)), tests)


@pytest.mark.parametrize("row", ["| 7 |  | holds | {} |", "| 7 | broke |  | {} |", "| 7 | broke | {} |"])
def test_an_empty_cell_is_noticed(tests: Path, row: str) -> None:
    """A test without a promise says nothing, nor does a promise without its reason."""
    good = page(link("test_all.py", "test_good")).splitlines()
    good[6] = row.format(link("test_all.py", "test_good"))
    assert complaints("\n".join(good), tests) == ["7: a cell is empty, missing or too many"]

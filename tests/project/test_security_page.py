"""SECURITY.md: what it says is protected is shown by tests that exist and run."""

import re
from pathlib import Path

import pytest
from named_tests import wrong_with

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "SECURITY.md").read_text("utf-8")
ROWS = re.findall(r"^\| (.*?) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)[1:]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_protection_is_shown_by_tests(row: tuple[str, str, str]) -> None:
    """A protection that nothing shows is a hope."""
    from_whom, how, shown_by = row

    assert from_whom
    assert how
    assert [
        wrong for link in shown_by.split("<br>") if (wrong := wrong_with(link, PROJECT / "tests", way="tests/"))
    ] == []


def test_no_row_and_no_link_is_passed_over() -> None:
    """A row that is not read as one would not be checked."""
    table = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert len(ROWS) == len(table) - 2
    links = re.findall(r"\[[^\]]*::[^\]]*\]\([^)]*\)", PAGE)
    assert len(links) == PAGE.count("::test_") - 1  # one shows the form
    assert [wrong for link in links if (wrong := wrong_with(link, PROJECT / "tests", way="tests/"))] == []


def test_it_says_how_to_report_what_is_supported_and_what_is_not_protected() -> None:
    """What a reader looks for in such a page; nobody is promised an address that does not exist."""
    assert re.findall(r"^## (.*)$", PAGE, re.MULTILINE) == [
        "Reporting a hole",
        "Supported versions",
        "What is protected, from whom",
        "What is not protected",
    ]
    assert "@" not in PAGE

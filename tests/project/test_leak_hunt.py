"""The leak hunt bites: every planted leak turns its test red, and none is red for another reason."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest
from leaks.needles import found_in, is_worth_hunting

TESTS: Final = Path(__file__).parent.parent
PLANTED: Final = TESTS / "leaks" / "planted.py"


def planted() -> dict[str, str]:
    """Return what the hunt has to say of each planted leak."""
    text = PLANTED.read_text("utf-8")
    return dict(re.findall(r"def (test_\w+)\([^)]*\) -> None:  # found in: (.+)", text))


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """Run the planted leaks, and return what became of each: how it failed, and the message."""
    report = tmp_path_factory.mktemp("planted") / "report.xml"
    options = ["-q", "-p", "no:cacheprovider", "--tb=short", f"--junit-xml={report}"]
    done = subprocess.run(  # noqa: S603 - our own tests
        [sys.executable, "-m", "pytest", PLANTED, *options],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout[-2_000:]
    found: dict[str, list[tuple[str, str]]] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - written by our own pytest
        outcomes = [(each.tag, str(each.text)) for each in case if each.tag in ("failure", "error")]
        found.setdefault(str(case.get("name")).partition("[")[0], []).extend(outcomes or [("passed", "")])
    return found


@pytest.mark.parametrize(("leak", "where"), planted().items(), ids=planted())
def test_every_planted_leak_is_found(verdicts: dict[str, list[tuple[str, str]]], leak: str, where: str) -> None:
    """A watch that never barks is worse than none."""
    for kind, message in verdicts[leak]:
        # The test itself passes; what is red is the hunt after it.
        assert kind == "error", message
        assert where in message


def test_every_test_there_is_a_planted_leak(verdicts: dict[str, list[tuple[str, str]]]) -> None:
    """None was forgotten by the list above."""
    written = set(re.findall(r"^def (test_\w+)", PLANTED.read_text("utf-8"), re.MULTILINE))
    assert written == set(planted()) == set(verdicts)
    assert len(written) > 25


def test_what_is_found_is_not_shown(verdicts: dict[str, list[tuple[str, str]]]) -> None:
    """A report of a leak goes into the logs of a CI server."""
    shown = "\n".join(message.partition("AssertionError")[2] for found in verdicts.values() for _, message in found)
    assert re.search(r"eyJ[A-Za-z0-9_-]{10}", shown.partition("Captured")[0]) is None


@pytest.mark.parametrize("word", ["", "short", "member_password", "        "])
def test_words_are_not_hunted(word: str) -> None:
    """What stands in every text by chance would turn everything red, and then be switched off."""
    assert not is_worth_hunting(word)


def test_an_ordinary_text_holds_no_secret() -> None:
    """The other half of biting: it does not bite at random."""
    text = PLANTED.read_text("utf-8") * 20
    assert not found_in(text, ["correct-horse-battery", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"])
    assert found_in(text + "correct-horse-battery", ["correct-horse-battery"])

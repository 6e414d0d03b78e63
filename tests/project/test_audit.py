"""What is said of known vulnerabilities: that there are none, that there are some, or that nobody could be asked."""

import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
ONE = {"name": "one", "version": "1.0", "vulns": []}
TWO = {"name": "two", "version": "2.0", "vulns": []}
UNSAFE = TWO | {"vulns": [{"id": "CVE-2027-1", "fix_versions": ["2.1"], "aliases": [], "description": "a hole"}]}
UNKNOWN = [{"name": name, "skip_reason": f"{name} was not found"} for name in ("one", "two")]
Report = list[dict[str, object]] | str
NO_WAY = "Traceback (most recent call last):\nrequests.exceptions.ConnectionError: Failed to resolve 'x.example'\n"


def executable(path: Path, text: str) -> None:
    """Write a script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def run(*command: str | Path, path: Path, **environ: str) -> tuple[int, str, str]:
    """Run a script of ours with `path` before everything else on PATH; return its status and what it printed."""
    environment = os.environ | environ | {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    return done.returncode, done.stdout, done.stderr


def audit(folder: Path, *reports: Report, status: int = 0, said: str = "") -> tuple[int, str, str]:
    """Run scripts/audit over one file of two pins for each of `reports`, where a stand-in for pip-audit says that."""
    files = []
    for number, report in enumerate(reports):
        pins = folder / f"pins-{number}.txt"
        pins.write_text("# two of them\none==1.0\ntwo==2.0\n", encoding="utf-8")
        answer = report if isinstance(report, str) else json.dumps({"dependencies": report, "fixes": []})
        pins.with_suffix(".answer").write_text(answer, encoding="utf-8")
        files.append(pins)
    stand_in = folder / "stand_in.py"
    stand_in.write_text(
        "import pathlib, sys\n"
        "print(pathlib.Path(sys.argv[-1]).with_suffix('.answer').read_text())\n"
        f"sys.exit({said!r} or {status})\n",
        encoding="utf-8",
    )
    # Not with Python in its first line: the path of that may hold a blank.
    command = shlex.join((sys.executable, str(stand_in)))
    executable(folder / "bin" / "pip-audit", f'#!/bin/sh\nexec {command} "$@"\n')
    return run(sys.executable, PROJECT / "scripts" / "audit", *files, path=folder / "bin")


def test_pins_that_were_all_looked_up_without_a_finding_are_clean(tmp_path: Path) -> None:
    """And it says how many were, so that an empty file is noticed."""
    status, printed, _ = audit(tmp_path, [ONE, TWO], [ONE, TWO])

    assert (status, printed.count("2 pins looked up, none has a known vulnerability")) == (0, 2)
    assert "nothing was audited" not in printed


@pytest.mark.parametrize("status", [0, 1])
def test_a_finding_fails_and_is_named_with_its_cure(tmp_path: Path, status: int) -> None:
    """Whatever pip-audit itself makes of it, and in whichever file it is."""
    failed, printed, said = audit(tmp_path, [ONE, TWO], [ONE, UNSAFE], status=status)

    assert failed == 1
    assert "two 2.0: CVE-2027-1, fixed in 2.1" in said
    assert "nothing was audited" not in printed


@pytest.mark.parametrize(("reports", "said"), [([UNKNOWN, UNKNOWN], ""), (["", ""], NO_WAY)], ids=["unknown", "no way"])
def test_where_no_service_is_within_reach_it_says_so_and_never_clean(
    tmp_path: Path, reports: list[Report], said: str
) -> None:
    """A mirror that knows no advisories lets pip-audit end with "no known vulnerabilities found"."""
    status, printed, _ = audit(tmp_path, *reports, said=said)

    assert status == 75
    (line,) = printed.splitlines()
    assert line.startswith("nothing was audited: ")
    assert "was not found" in line or "ConnectionError" in line


def test_a_finding_weighs_more_than_a_file_that_was_not_looked_up(tmp_path: Path) -> None:
    """Otherwise a mirror that is half there would hide what it knows."""
    status, printed, said = audit(tmp_path, UNKNOWN, [ONE, UNSAFE])

    assert status == 1
    assert "CVE-2027-1" in said
    assert "nothing was audited" not in printed


@pytest.mark.parametrize(
    ("reports", "status", "said", "message"),
    [
        ([[ONE, UNKNOWN[1]]], 0, "", "could not look up ['two']"),
        ([[ONE]], 0, "", "reports on 1"),
        ([[]], 0, "", "reports on 0"),
        ([[ONE, TWO], UNKNOWN], 0, "", "not every file was audited"),
        ([""], 2, "", "pip-audit failed"),
        ([""], 0, "", "pip-audit failed"),
        (["[]"], 0, "", "pip-audit failed"),
        (["{}"], 1, "", "pip-audit failed"),
        ([""], 0, "ERROR: pins-0.txt has an invalid line", "an invalid line"),
        ([], 0, "", "say which files"),
    ],
)
def test_everything_else_is_a_failure(
    tmp_path: Path, reports: list[Report], status: int, said: str, message: str
) -> None:
    """A tool that broke, or that left out a pin, is not the same as no network."""
    failed, printed, explained = audit(tmp_path, *reports, status=status, said=said)

    assert failed == 1
    assert message in explained
    assert "nothing was audited" not in printed

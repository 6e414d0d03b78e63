"""What CI runs: the programs it installs, then the README's test command, then every other check."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
BASH = shutil.which("bash") or "/bin/bash"


def stand_in(path: Path, line: str = "") -> None:
    """Write a program that says in `said` beside it what it was called with, then runs `line`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'#!{BASH}\necho "${{0##*/}} $* ${{REQUIRE_TOOLS:-}}" >> "{path.parent.parent}/said"\n{line}\n', "utf-8"
    )
    path.chmod(0o755)


def said(folder: Path) -> list[str]:
    """Return what the stand-ins were called with."""
    file = folder / "said"
    return [" ".join(line.split()) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


@pytest.mark.parametrize(
    ("fails", "status", "reached"),
    [
        ("", 0, ["install", "test 1", "check 1"]),
        ("scripts/check", 3, ["install", "test 1", "check 1"]),
        ("scripts/test", 3, ["install", "test 1"]),
        (".ci/install", 3, ["install"]),
    ],
)
def test_ci_runs_both_tiers_and_stops_at_the_first_that_fails(
    tmp_path: Path, fails: str, status: int, reached: list[str]
) -> None:
    """In both a missing program is an error: a skipped test guards nothing."""
    for name in (".ci/install", "scripts/test", "scripts/check"):
        stand_in(tmp_path / name, "exit 3" if name == fails else "")
    shutil.copy(PROJECT / ".ci" / "run", tmp_path / ".ci")

    ran = subprocess.run([BASH, ".ci/run"], cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, check=False)  # noqa: S603 - ours

    assert ran.returncode == status
    assert said(tmp_path) == reached


@pytest.mark.parametrize(
    ("missing", "installed"),
    [
        ([], []),
        (["curl"], ["apt-get update -qq", "apt-get install -y -qq curl"]),
        (
            ["chromium", "redis-server"],
            ["apt-get update -qq", "apt-get install -y -qq chromium redis-server", "service redis-server stop"],
        ),
        (["python3"], ["apt-get update -qq", "apt-get install -y -qq python3 python3-venv"]),
    ],
)
def test_ci_installs_what_is_missing_and_nothing_else(tmp_path: Path, missing: list[str], installed: list[str]) -> None:
    """A machine that has everything is left as it is, without an index being asked for."""
    programs = tmp_path / "bin"
    for name in {"apt-get", "service", "chromium", "curl", "redis-server"} - set(missing):
        stand_in(programs / name)
    if "python3" not in missing:
        (programs / "python3").symlink_to(sys.executable)

    ran = subprocess.run([BASH, PROJECT / ".ci" / "install"], env={"PATH": str(programs)}, check=False)  # noqa: S603 - ours

    assert ran.returncode == 0
    assert said(tmp_path) == installed

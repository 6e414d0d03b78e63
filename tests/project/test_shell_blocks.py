"""What the README and the pages of docs show of the shell runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daxko_auth.sandbox import Sandbox

PROJECT = Path(__file__).parents[2]
PAGES = [PROJECT / "README.md", PROJECT / "CHANGELOG.md", PROJECT / "SECURITY.md", *(PROJECT / "docs").glob("*.md")]
# Whoever reads it for the first time has run these; CI does, before anything else. The last does not end by itself.
RUN_ELSEWHERE = ("pip install ", "scripts/demo", "scripts/test", "scripts/setup", "scripts/check", "daxko-auth sandbox")


def shown() -> list[str]:
    """Return every line of every block, once."""
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)]
    lines = (line.partition("  #")[0].strip() for block in blocks for line in block.splitlines())
    return sorted({line for line in lines if line and not line.startswith("#")})


@pytest.mark.parametrize("line", [line for line in shown() if not line.startswith(RUN_ELSEWHERE)])
def test_every_line_for_the_shell_runs(
    sandbox: Sandbox, tmp_path: Path, request: pytest.FixtureRequest, line: str
) -> None:
    """A command that is pasted and fails is the last that somebody tries."""
    if line.startswith("curl "):
        request.getfixturevalue("curl")
    shutil.copytree(PROJECT / "examples" / "testing" / "cassettes", tmp_path / "cassettes")
    paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(  # noqa: S603 - our own pages
        ["bash", "-c", f"set -e -o pipefail; {line}"],  # noqa: S607 - the one that is there
        env={**os.environ, **sandbox.settings(), "PATH": paths, "XDG_CACHE_HOME": str(tmp_path)},
        cwd=tmp_path,
        input="member_password\n",
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr


def test_what_is_run_elsewhere_is_still_shown() -> None:
    """An exception that nothing needs hides the next mistake."""
    for start in RUN_ELSEWHERE:
        assert any(line.startswith(start) for line in shown()), start

"""The benchmark runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _titles(markdown: str) -> set[str]:
    # A quick run has smaller herds.
    return {re.sub(r"[\d.,]+", "#", title) for title in re.findall(r"^\*\*(.+?)\*\*", markdown, re.MULTILINE)}


def test_a_quick_run_measures_every_contestant_and_has_the_tables_of_the_page() -> None:
    """Peers change, and so do we; a benchmark that no longer runs is found when somebody doubts a figure."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bench.report", "--quick"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "tests"},
    )

    assert ran.stdout.count("| daxko_auth |") == 7
    assert all(f"| {peer} |" in ran.stdout for peer in ("Authlib", "httpx-auth", "google-auth", "by hand, with a lock"))
    assert "1 token request, 0 calls failed" in ran.stdout
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8").partition("<!-- so far. -->")[0]
    # Instructions take minutes to count.
    assert _titles(page) == _titles(ran.stdout) | {"Machine instructions"}

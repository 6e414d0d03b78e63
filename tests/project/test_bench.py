"""The benchmark runs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_quick_run_measures_every_contestant() -> None:
    """Peers change, and so do we; a benchmark that no longer runs is found when somebody doubts a figure."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bench.report", "--quick"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "tests"},
    )

    assert ran.stdout.count("| daxko_auth |") == 7
    assert all(f"| {peer} |" in ran.stdout for peer in ("Authlib", "httpx-auth", "google-auth", "by hand, with a lock"))
    assert "1 token request, 0 calls failed" in ran.stdout

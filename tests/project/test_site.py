"""The documentation site is built without a warning, and loads nothing from anywhere else."""

import os
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def test_the_site_is_whole_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    """A link that leads nowhere, or a font that a reader's network does not let through."""
    subprocess.run(  # noqa: S603 - our own project
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        check=True,
        cwd=PROJECT,
        # It would ask git about the package, which no page shows.
        env={**os.environ, "PATH": ""},
    )

    pages = sorted((tmp_path / "site").glob("*.html"))
    assert {f"{page.stem}.md" for page in pages} - {"404.md"} == {page.name for page in (PROJECT / "docs").glob("*.md")}
    for page in pages:
        shown = page.read_text("utf-8")
        loaded = re.findall(r'<(?:script|img|link|iframe)\b[^>]*?(?:src|href)="(https?:[^"]+)"', shown)
        assert loaded == [], page.name
    reference = (tmp_path / "site" / "reference.html").read_text("utf-8")
    assert "AccessToken" in reference
    assert "Raises:" in reference

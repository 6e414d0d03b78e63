"""A real Chromium without a window, where there is one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run it; a newcomer without one is told how to get it, and CI does not do without."""
    path = shutil.which("chromium")
    if path is None:
        how = "chromium is not installed: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(how)
        pytest.skip(how)
    # It has no sandbox of its own where everything runs as root, and nothing but this page to look at.
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=["--no-sandbox"]) as browser,
    ):
        yield browser

"""A real Chromium without a window, where there is one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import tools
from playwright.sync_api import Browser, sync_playwright


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run it."""
    path = tools.chromium()
    # It has no sandbox of its own where everything runs as root, and nothing but this page to look at. It keeps reports
    # of crashes in the home.
    with (
        TemporaryDirectory() as home,
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"], env={"HOME": home, "PATH": os.environ["PATH"]}
        ) as browser,
    ):
        yield browser

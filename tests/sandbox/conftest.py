"""
A running sandbox and a program that calls it.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_calls import Caller

from daxko_auth.sandbox import Sandbox


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let secrets go astray on the wire: here that is done on purpose, to see that it is noticed."""
    if item.path.is_relative_to(Path(__file__).parent):
        item.add_marker(pytest.mark.shows_secrets("wire"))


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Run a sandbox of the guide's account."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    """Be a program that calls it."""
    one = Caller(sandbox)
    with one.http:
        yield one

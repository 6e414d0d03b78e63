"""
A running sandbox and a program that calls it.
"""

from collections.abc import Iterator

import pytest
from sandbox_calls import Caller

from daxko_auth.sandbox import Sandbox


@pytest.fixture(autouse=True)
def bearers_stay_home() -> None:
    """Stand in for the watch of the same name over all other tests: here secrets go astray on purpose."""


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

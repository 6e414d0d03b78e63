"""What every test of this room ends with: nothing was left to the garbage collector to complain about."""

import gc
import sys
from collections.abc import Iterator
from typing import Final

import pytest

# What Python 3.11 says where coverage wants to trace two threads that start at the same moment.
_TRACED_AT_ONCE: Final = "Cannot install a trace function while another trace function is being installed"


@pytest.fixture(scope="module", autouse=True)
def tools_set_aside() -> Iterator[None]:
    """
    Keep the collector from searching what Python and pytest hold, some hundred times a test, for what a test left.

    What comes to be from here on is searched as ever. In a whole run this is the greater part of this room's time.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def nothing_left_to_the_collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """See that Python has nothing to say when it collects: a socket that nobody closed is reported then or never."""
    complaints: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: complaints.append(f"{raised.exc_value!r}"))
    yield
    gc.collect()
    assert [complaint for complaint in complaints if _TRACED_AT_ONCE not in complaint] == []

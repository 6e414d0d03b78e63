"""What registers for it is reset in every forked child, and only there."""

import gc
import os
import subprocess
import sys

import pytest

from daxko_auth.model import fork


class Counter:
    """Counts how often it was reset."""

    def __init__(self) -> None:
        self.resets = 0

    def after_fork_in_child(self) -> None:
        """Count."""
        self.resets += 1


def test_everything_registered_is_reset_once_and_what_is_gone_is_forgotten() -> None:
    """Registering must not keep a closed source alive for ever."""
    kept, dropped = Counter(), Counter()
    for counter in (kept, kept, dropped):
        fork.reset_after_fork(counter)
    held = len(fork._forkables)
    del counter, dropped
    gc.collect()
    assert len(fork._forkables) < held
    fork._reset_all()
    assert kept.resets == 1


IN_A_CHILD = """
import os
from daxko_auth.model.fork import reset_after_fork

class Counter:
    resets = 0
    def after_fork_in_child(self):
        self.resets += 1

counter = Counter()
reset_after_fork(counter)
child = os.fork()
if child == 0:
    os._exit(counter.resets)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), counter.resets)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_resets_and_its_parent_does_not() -> None:
    """With --preload, gunicorn forks after the program has made its objects."""
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", IN_A_CHILD], check=True, capture_output=True, text=True
    )
    assert ran.stdout.split() == ["1", "0"]

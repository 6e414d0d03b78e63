"""
No process outlives the test that started it, also where that test failed or ran out of time.

Linux tells whose child a process is, and gives orphans to whoever asks for them; elsewhere nothing is looked for.
"""

import ctypes
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from support import eventually

_PR_SET_CHILD_SUBREAPER: Final = 36
_TASKS: Final = Path("/proc/self/task")
#: What multiprocessing keeps for the next use, and what ends by itself a moment after the process that it serves.
_KEPT: Final = re.compile(r"from multiprocessing\.(resource_tracker|forkserver) import main")

#: Servers of the whole session. One that a test asks for by name only starts in the middle of that test.
shared: set[int] = set()


def adopt_orphans() -> None:
    """Become the parent of every process that a child of this one leaves behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def running() -> set[int]:
    """Return the children of this process that have not ended, without the helpers of `multiprocessing`."""
    found: set[int] = set()
    for task in _TASKS.glob("*"):
        # A thread may have ended since, and some kernels are built without these files.
        with suppress(OSError):
            found.update(map(int, (task / "children").read_text("ascii").split()))
    lines = {process: _command_line(process) for process in found if not _has_ended(process)}
    # One that is about to end has none any more.
    return {process for process, line in lines.items() if line and not _KEPT.search(line)} - shared


def end_all_but(known: set[int]) -> list[str]:
    """End every child of this process that is not among `known`, and all that it started; return the command lines."""
    ended: list[str] = []
    # Again and again, because the children of what was ended are this process's then.
    while left := running() - known:
        for process in left:
            ended.append(_command_line(process))
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        eventually(lambda killed=left: all(map(_has_ended, killed)))
    return ended


def _has_ended(process: int) -> bool:
    try:
        # The name, which may hold anything, is in parentheses; the state follows it.
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b") ")[2][:1] in (b"Z", b"X")
    except OSError:
        return True


def _command_line(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""

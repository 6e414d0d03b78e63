"""
No process outlives the test that started it, also where that test failed or ran out of time.

Linux tells whose child a process is, and gives orphans to whoever asks for them; elsewhere nothing is looked for.
"""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any, Final

from support import eventually

_PR_SET_CHILD_SUBREAPER: Final = 36
_TASKS: Final = Path("/proc/self/task")


def adopt_orphans() -> None:
    """Become the parent of every process that a child of this one leaves behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def running() -> set[int]:
    """Return the children of this process that have not ended, without those that `multiprocessing` keeps for later."""
    found: set[int] = set()
    for task in _TASKS.glob("*"):
        # A thread may have ended since, and some kernels are built without these files.
        with suppress(OSError):
            found.update(map(int, (task / "children").read_text("ascii").split()))
    kept: set[Any] = {resource_tracker._resource_tracker._pid, forkserver._forkserver._forkserver_pid}  # type: ignore[attr-defined]
    return {process for process in found - kept if not _has_ended(process)}


def end(processes: set[int]) -> list[str]:
    """End these, and all that they started; return their command lines."""
    left: list[str] = []
    while processes:
        for process in processes:
            left.append(_command_line(process))
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        before = processes
        eventually(lambda ended=before: all(map(_has_ended, ended)))
        # Their own children are this process's by now.
        processes = running() - before
    return left


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
        return str(process)

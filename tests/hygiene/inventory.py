"""
What a process holds: its threads, and its open files and sockets by kind.

Taken before and after, and compared. The other side of a connection lives in the same process here,
so what is left behind on either side shows.
"""

import asyncio
import gc
import os
import stat
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import sniffio
import trio
from support import aeventually, eventually

_KINDS: Final = {stat.S_IFSOCK: "socket", stat.S_IFIFO: "pipe", stat.S_IFREG: "file"}


def held_now() -> Counter[str]:
    """Count this process's threads by name, and its open files by kind."""
    gc.collect()
    held = Counter(f"thread {thread.name}" for thread in threading.enumerate())
    for number in os.listdir("/dev/fd"):  # noqa: PTH208 - the listing's own descriptor is among them, and gone by now
        try:
            kind = stat.S_IFMT(os.fstat(int(number)).st_mode)
        except OSError:
            continue
        held[f"open {_KINDS.get(kind, 'other')}"] += 1
    return held


class _Left:
    """What is held beyond what was held in the beginning: everybody else needs a moment to notice the end."""

    def __init__(self) -> None:
        self._before = held_now()
        self._found: Counter[str] = Counter()

    def is_nothing(self) -> bool:
        """Look again."""
        self._found = held_now() - self._before
        return not self._found

    @contextmanager
    def told(self) -> Iterator[None]:
        """Say what it is where it stays: nobody waits for it longer than pytest does for the test."""
        try:
            yield
        except BaseException:
            print(f"left behind: {dict(self._found)}", file=sys.stderr)  # noqa: T201 - pytest shows it
            raise


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """See that the process holds no more afterwards than before, as soon as everybody has noticed the end."""
    left = _Left()
    yield
    with left.told():
        eventually(left.is_nothing)


@asynccontextmanager
async def nothing_left_behind_in_this_loop() -> AsyncIterator[None]:
    """See the same, and that no task is left, without standing in the way of the loop."""
    left, tasks = _Left(), tasks_now()
    yield
    with left.told():
        await aeventually(lambda: left.is_nothing() and tasks_now() <= tasks)


def tasks_now() -> int:
    """Count the tasks of the event loop that this runs in, itself included."""
    if sniffio.current_async_library() == "trio":
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())

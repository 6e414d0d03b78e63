"""
What a process holds: its threads, and its open files and sockets by kind.

Taken before and after, and compared. The other side of a connection lives in the same process here,
so what is left behind on either side shows.
"""

import asyncio
import gc
import os
import stat
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio
import sniffio
import trio

#: Far more than a server needs to notice that somebody has hung up; nothing waits that long unless it fails.
_AT_MOST: Final = 10.0

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


@contextmanager
def nothing_left_behind(at_most: float = _AT_MOST) -> Iterator[None]:
    """See that the process holds no more afterwards than before, as soon as everybody has noticed the end."""
    before = held_now()
    yield
    until = time.monotonic() + at_most
    while (left := held_now() - before) and time.monotonic() < until:
        time.sleep(0.005)
    assert not left, f"left behind: {dict(left)}"


@asynccontextmanager
async def nothing_left_behind_in_this_loop() -> AsyncIterator[None]:
    """See the same, and that no task is left, without standing in the way of the loop."""
    before, tasks = held_now(), tasks_now()
    yield
    with anyio.move_on_after(_AT_MOST):
        while held_now() - before or tasks_now() > tasks:
            await anyio.sleep(0.005)
    left = held_now() - before
    assert not left, f"left behind: {dict(left)}"
    assert tasks_now() <= tasks


def tasks_now() -> int:
    """Count the tasks of the event loop that this runs in, itself included."""
    if sniffio.current_async_library() == "trio":
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())

"""
Files that are open for a moment, and that no forked child keeps open.

The kernel gives a lock back when the last process that has the file open is gone: a child that inherits one would
hold its parent's lock, long after the parent was killed.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from daxko_auth.model.fork import no_fork, reset_after_fork


class OpenFiles:
    """The descriptors that are open now."""

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        reset_after_fork(self)

    @contextmanager
    def opened(self, path: Path | str, flags: int, *, within: int | None = None) -> Generator[int, None, None]:
        """Open `path`, below the folder `within` if it is given; a file that is made is its owner's only."""
        # A child must know of each that it inherits, and of no other: by then the number may be somebody else's.
        with no_fork():
            number = os.open(path, flags, 0o600, dir_fd=within)
            self._numbers.add(number)
        try:
            yield number
        finally:
            with no_fork():
                # Gone only if this is a child, forked in the middle of the block.
                if number in self._numbers:
                    self._numbers.remove(number)
                    os.close(number)

    def after_fork_in_child(self) -> None:
        """Close what the parent has open. Not unlock: that would take the lock from the parent."""
        while self._numbers:
            os.close(self._numbers.pop())

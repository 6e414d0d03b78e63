"""
What must be made anew in a child process after `os.fork` (gunicorn --preload, prefork pools).

A child inherits locks that a thread of the parent may hold for ever, and none of those threads.
"""

import os
import threading
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol


class Forkable(Protocol):
    """Something that holds locks or waits for threads."""

    def after_fork_in_child(self) -> None:
        """Replace every lock and forget every thread; runs in the child's only thread."""


_forkables: "weakref.WeakSet[Forkable]" = weakref.WeakSet()
# Re-entrant, because what is imported may fork, too.
_no_fork = threading.RLock()


def reset_after_fork(forkable: Forkable) -> None:
    """Have `after_fork_in_child` called in every child of this process, as long as `forkable` lives."""
    _forkables.add(forkable)


@contextmanager
def no_fork() -> Generator[None, None, None]:
    """
    Let forks wait until the block is left: for imports in threads that the program knows nothing of.

    A module that is half imported at a fork is locked in the child for ever, and so is whoever imports it there.
    """
    with _no_fork:
        yield


def _before() -> None:
    _no_fork.acquire()


def _after_in_parent() -> None:
    _no_fork.release()


def _after_in_child() -> None:
    global _no_fork  # noqa: PLW0603 - other threads may have waited for the old one
    _no_fork = threading.RLock()
    _reset_all()


def _reset_all() -> None:
    for forkable in list(_forkables):
        forkable.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork and nothing to reset
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)

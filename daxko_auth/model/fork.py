"""
What must be made anew in a child process after `os.fork` (gunicorn --preload, prefork pools).

A child inherits locks that a thread of the parent may hold for ever, and none of those threads.
"""

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something that holds locks or waits for threads."""

    def after_fork_in_child(self) -> None:
        """Replace every lock and forget every thread; runs in the child's only thread."""


_forkables: "weakref.WeakSet[Forkable]" = weakref.WeakSet()


def reset_after_fork(forkable: Forkable) -> None:
    """Have `after_fork_in_child` called in every child of this process, as long as `forkable` lives."""
    _forkables.add(forkable)


def _reset_all() -> None:
    for forkable in list(_forkables):
        forkable.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork and nothing to reset
    os.register_at_fork(after_in_child=_reset_all)

"""
What an object shows of itself before it is whole.
"""

import functools
from collections.abc import Callable
from typing import TypeVar

_Self = TypeVar("_Self")


def also_half_made(show: Callable[[_Self], str]) -> Callable[[_Self], str]:
    """
    Let a `__repr__` work before `__init__` has ended.

    A traceback that shows locals shows `self`, and the one from `__init__` is where it matters; Python 3.11 fails
    to render a traceback in which one repr fails.
    """

    @functools.wraps(show)
    def shown(self: _Self) -> str:
        try:
            return show(self)
        except AttributeError:
            return f"<{type(self).__name__}, half made>"

    return shown

"""
The standard streams, as a process may find them: closed, or in a charset that cannot hold what is written.
"""

import io
import os
import sys
from typing import Final

# Reading ends at once, writing fails: nobody is told that a token was printed where there is nothing to print to. What
# goes to standard error is for whoever watches, and nobody does.
_MODES: Final = {"stdin": (os.O_RDONLY, "r"), "stdout": (os.O_RDONLY, "w"), "stderr": (os.O_WRONLY, "w")}


def make_usable() -> None:
    """
    Open those that were closed when Python started, and let none fail for a character that its charset does not have.

    In their order, so that each gets its own number, which would else be that of the next file or connection.
    """
    for name, (flags, mode) in _MODES.items():
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

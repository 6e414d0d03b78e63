"""
The standard streams, as a process may find them: closed, in a charset that cannot hold what is written, or of a
terminal without a size.
"""

import io
import os
import sys
from collections.abc import Mapping
from typing import Final

# Reading ends at once, writing fails: nobody is told that a token was printed where there is nothing to print to. What
# goes to standard error is for whoever watches, and nobody does.
_MODES: Final = {"stdin": (os.O_RDONLY, "r"), "stdout": (os.O_RDONLY, "w"), "stderr": (os.O_WRONLY, "w")}

# The settings that rich and typer take a terminal's size from, and the least that anything can be shown in. A terminal
# without a size has 0; what is no number ends in a traceback.
_SIZES: Final[Mapping[str, int]] = {"COLUMNS": 40, "TERMINAL_WIDTH": 40, "LINES": 1}
_LARGEST_SIZE: Final = 9_999


def make_usable() -> None:
    """
    Forget sizes that nothing can be shown in, and open the streams that were closed when Python started.

    None of these fails for a character that its charset does not have. They are opened in their order, so that each
    gets its own number, which would else be that of the next file or connection.
    """
    for name, least in _SIZES.items():
        size = os.environ.get(name, "")
        if not (size.isascii() and size.isdigit() and len(size) <= len(str(_LARGEST_SIZE)) and int(size) >= least):
            os.environ.pop(name, None)
    for name, (flags, mode) in _MODES.items():
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

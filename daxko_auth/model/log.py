"""
The one logger: `daxko_auth`. Silent until the program configures logging, as libraries are.

What it is told about, by a server or a program, can neither forge a line nor act on the terminal that shows the log.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from daxko_auth.model.masking import printable


class _Printable(logging.Filter):
    """Makes the arguments of a message printable, before any handler sees them; numbers stay numbers."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, Mapping):
            record.args = {name: _shown(value) for name, value in record.args.items()}
        elif record.args:
            record.args = tuple(map(_shown, record.args))
        return True


def _shown(value: object) -> object:
    return value if isinstance(value, int | float) else printable(str(value))


log: Final = logging.getLogger("daxko_auth")
log.addHandler(logging.NullHandler())
log.addFilter(_Printable())


def warn(message: str, *args: object, level: int = logging.WARNING) -> None:
    """Log; a filter or a handler of the program that fails costs the line, and nothing else."""
    with suppress(Exception):
        log.log(level, message, *args)


#: Seconds in which a trouble that lasts is warned of once.
WARNING_WINDOW: Final = 60.0


class WarningThrottle:
    """The level to log a lasting trouble at: a warning, then `DEBUG` until the window is over."""

    def __init__(self) -> None:
        self._warned_at: float | None = None

    def level(self, now: float) -> int:
        """Return the level for this time; `now` is in seconds, of one clock. A clock that was set back warns anew."""
        if self._warned_at is not None and 0 <= now - self._warned_at < WARNING_WINDOW:
            return logging.DEBUG
        self._warned_at = now
        return logging.WARNING

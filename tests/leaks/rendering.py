"""
All that can be seen of an exception: by whoever prints, logs, pickles or reports it with its locals.
"""

import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.pretty import pretty_repr

import daxko_api
import daxko_auth
from daxko_api.errors import UnexpectedBody, UnexpectedStatus
from daxko_auth import DaxkoAuthError

_OURS: Final = tuple(str(Path(str(package.__file__)).parent) for package in (daxko_auth, daxko_api))
_OUR_ERRORS: Final = (DaxkoAuthError, UnexpectedBody, UnexpectedStatus)


def rendered(error: BaseException) -> str:
    """
    Return everything about `error`, its notes, causes and contexts, and the locals of the frames they came through.

    Of an error of ours, all frames from our first one on: before it, they are the caller's own. Of anybody else's
    error, the frames of our packages.
    """
    return "\n".join(part for each in _chain(error) for part in _parts(each))


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        # Suppressed contexts as well: error reporters walk them.
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions


def _parts(error: BaseException) -> Iterator[str]:
    ours = isinstance(error, _OUR_ERRORS)
    if ours:
        yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
        yield from getattr(error, "__notes__", ())
        yield pickle.dumps(error).decode("latin-1")
    entered = False
    for frame, _ in traceback.walk_tb(error.__traceback__):
        in_ours = frame.f_code.co_filename.startswith(_OURS)
        entered |= in_ours
        if in_ours or (ours and entered):
            for name, value in list(frame.f_locals.items()):
                yield f"{name} in {frame.f_code.co_qualname}: {_shown(value)}"


def _shown(value: object) -> str:
    try:
        # Rich, which draws what it finds in attrs and dataclasses; and repr, as everybody else does.
        return f"{value!r} {pretty_repr(value, max_depth=6)}"
    except Exception as error:  # noqa: BLE001 - half-made objects cannot be shown, and so show nothing
        return f"<{type(error).__name__}>"

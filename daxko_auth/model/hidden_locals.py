"""
What keeps the arguments of public functions out of the tracebacks of their errors.

Any argument may be a secret: a URL with a password in it, or the password itself in the place of a scope. Crash
reporters and test runners show the locals of every frame that an error came through; ours then have none.
"""

import functools
import inspect
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, cast, overload

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Class = TypeVar("_Class", bound=type)


@overload
def hides_locals(entry: _Class) -> _Class: ...
@overload
def hides_locals(entry: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]: ...
def hides_locals(entry: Any) -> Any:
    """
    Decorate a public function or coroutine function: no error that leaves it shows a local of the frames in between.

    Of a class whose objects do not change, the constructor is decorated, and what refuses a change.
    """
    if isinstance(entry, type):
        constructed = cast("Any", entry)
        constructed.__init__ = _hiding(constructed.__init__)
        constructed.__setattr__ = _hiding(constructed.__setattr__)
        return entry
    return _hiding_async(entry) if inspect.iscoroutinefunction(entry) else _hiding(entry)


def _hiding(entry: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    @functools.wraps(entry)
    def call(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return entry(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            empty_frames(error)
            raise

    return call


def _hiding_async(
    entry: Callable[_Parameters, Coroutine[Any, Any, _Result]],
) -> Callable[_Parameters, Coroutine[Any, Any, _Result]]:
    @functools.wraps(entry)
    async def call(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return await entry(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            empty_frames(error)
            raise

    return call


def empty_frames(error: BaseException) -> None:
    """Take the locals from all frames between the caller of this and where `error` was raised, or what led to it."""
    # What still runs keeps its locals: that is, whoever called the public function.
    traceback.clear_frames(error.__traceback__)
    earlier = error.__context__
    while earlier is not None:
        came_through = earlier.__traceback__
        if came_through is not None:
            try:
                came_through.tb_frame.clear()
            except RuntimeError:
                # It was caught outside of the public function, by a program that was handling it when it called.
                return
            traceback.clear_frames(came_through)
        earlier = earlier.__context__

"""No error that leaves a public function shows what was passed to it."""

import asyncio
import traceback
from collections.abc import Callable

import pytest

from daxko_auth.model.hidden_locals import hides_locals

CANARY = "canary-among-the-locals"


def _fail(value: str) -> None:
    raise KeyError(len(value))


def _fail_in_turn(value: str) -> None:
    try:
        _fail(value)
    except KeyError:
        raise ValueError(len(value))  # noqa: B904 - with the first one as its context


def _fail_before_it_is_raised(value: str) -> None:
    error = ValueError(len(value))
    error.__context__ = KeyError()
    raise error


@hides_locals
def _plain(fail: Callable[[str], None], value: str) -> None:
    fail(value)


@hides_locals
async def _coroutine(fail: Callable[[str], None], value: str) -> None:
    await asyncio.sleep(0)
    fail(value)


@hides_locals
class _Class:
    def __init__(self, fail: Callable[[str], None], value: str) -> None:
        fail(value)


class _Derived(_Class):
    pass


ENTRIES: dict[str, Callable[[Callable[[str], None]], object]] = {
    "function": lambda fail: _plain(fail, CANARY),
    "by name": lambda fail: _plain(fail=fail, value=CANARY),
    "coroutine function": lambda fail: asyncio.run(_coroutine(fail, CANARY)),
    "class": lambda fail: _Class(fail, CANARY),
    "derived class": lambda fail: _Derived(fail, CANARY),
}


@pytest.mark.parametrize("fail", [_fail, _fail_in_turn, _fail_before_it_is_raised])
@pytest.mark.parametrize("entry", ENTRIES)
def test_no_frame_of_an_error_and_of_what_led_to_it_has_locals(entry: str, fail: Callable[[str], None]) -> None:
    """A crash reporter that shows them sends them away."""
    with pytest.raises((KeyError, ValueError)) as caught:
        ENTRIES[entry](fail)

    error: BaseException | None = caught.value
    frames = []
    while error is not None:
        frames += [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        error = error.__context__
    assert len(frames) > 3
    assert CANARY not in repr([frame.f_locals for frame in frames])


def test_what_is_returned_comes_through() -> None:
    """It changes nothing else."""
    assert hides_locals(len)([1, 2, 3]) == 3

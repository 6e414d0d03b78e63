"""The inventory bites: what is left on purpose is found."""

import os
import re
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from types import SimpleNamespace

import anyio
import pytest
import support
from inventory import nothing_left_behind, nothing_left_behind_in_this_loop, tasks_now


def _thread(stack: ExitStack) -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="left")
    thread.start()
    stack.callback(thread.join)
    stack.callback(end.set)


def _socket(stack: ExitStack) -> None:
    stack.enter_context(socket.socket())


def _file(stack: ExitStack) -> None:
    stack.callback(os.close, os.open(__file__, os.O_RDONLY))


def _pipe(stack: ExitStack) -> None:
    for number in os.pipe():
        stack.callback(os.close, number)


class TimeIsUpError(Exception):
    """What pytest raises in a test that hangs, as far as it matters here."""


@pytest.mark.parametrize("leave", [_thread, _socket, _file, _pipe])
def test_what_is_left_behind_is_found(
    leave: Callable[[ExitStack], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A count that is always right shows nothing. It is waited for, and named when nobody waits any longer."""

    def time_is_up(_: float) -> None:
        raise TimeIsUpError

    monkeypatch.setattr(support, "time", SimpleNamespace(sleep=time_is_up))
    with ExitStack() as stack, pytest.raises(TimeIsUpError), nothing_left_behind():
        leave(stack)
    assert re.search(f"left behind.*{leave.__name__[1:]}", capsys.readouterr().err)


@pytest.mark.parametrize("leave", [_thread, _socket, _file, _pipe])
def test_what_goes_a_moment_later_is_not_left_behind(
    leave: Callable[[ExitStack], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server notices that somebody has hung up when it has its turn."""
    stack, pauses = ExitStack(), count()

    def goes(_: float) -> None:
        next(pauses)
        stack.close()

    monkeypatch.setattr(support, "time", SimpleNamespace(sleep=goes))
    with nothing_left_behind():
        leave(stack)
    assert next(pauses) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("leave", [_thread, _socket, _file, _pipe])
def test_what_is_left_behind_in_a_loop_is_found(
    leave: Callable[[ExitStack], None],
    backend: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same where tasks wait."""

    async def time_is_up(_: float) -> None:
        raise TimeIsUpError

    async def main() -> None:
        with ExitStack() as stack:
            async with nothing_left_behind_in_this_loop():
                leave(stack)

    monkeypatch.setattr(support, "anyio", SimpleNamespace(sleep=time_is_up))
    with pytest.raises(TimeIsUpError):
        anyio.run(main, backend=backend)
    assert re.search(f"left behind.*{leave.__name__[1:]}", capsys.readouterr().err)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_task_that_goes_on_is_counted(backend: str) -> None:
    """In both kinds of loop."""

    async def main() -> int:
        before = tasks_now()
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            more = tasks_now() - before
            group.cancel_scope.cancel()
        return more

    assert anyio.run(main, backend=backend) == 1

"""The inventory bites: what is left on purpose is found."""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack

import anyio
import pytest
from inventory import nothing_left_behind, tasks_now


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


@pytest.mark.parametrize("leave", [_thread, _socket, _file, _pipe])
def test_what_is_left_behind_is_found(leave: Callable[[ExitStack], None]) -> None:
    """A count that is always right shows nothing."""
    with (
        ExitStack() as stack,
        pytest.raises(AssertionError, match=f"left behind.*{leave.__name__[1:]}"),
        nothing_left_behind(0.01),
    ):
        leave(stack)


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

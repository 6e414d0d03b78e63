"""Everybody who waits for a result is let go: in time, whatever happens to the others."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
from support import PATIENCE, aeventually, eventually

from daxko_auth.model.shared_result import SharedResult


def waiting(result: SharedResult[Any]) -> int:
    """Count the tasks that wait."""
    return sum(map(len, result._tasks.values()))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_whoever_waits_gets_what_it_was_set_to(backend: str) -> None:
    """Threads and tasks alike, those that waited and those that come afterwards."""
    result: SharedResult[str] = SharedResult()

    async def main() -> list[bool]:
        found: list[bool] = []

        async def wait() -> None:
            found.append(await result.await_())

        with ThreadPoolExecutor(1) as pool:
            thread = pool.submit(result.wait)
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(wait)
                await aeventually(lambda: waiting(result) == 3 and len(result._threads) == 1)
                result.set("set")
            return [*found, thread.result(), await result.await_(), result.wait()]

    assert result.get() is None
    assert anyio.run(main, backend=backend) == [True] * 6
    assert (result.get(), result.is_set()) == ("set", True)


@pytest.mark.parametrize("world", ["thread", "asyncio", "trio"])
def test_a_wait_has_an_end(world: str) -> None:
    """A renewal whose thread is stuck, or gone, is given up."""
    result: SharedResult[int] = SharedResult()
    found = result.wait(0.01) if world == "thread" else anyio.run(result.await_, 0.01, backend=world)
    assert found is False
    assert not result._threads
    assert waiting(result) == 0


def test_only_the_first_result_counts() -> None:
    """Of a token and a failure that come together, everybody sees the same."""
    result: SharedResult[str] = SharedResult()
    assert result.set("first")
    assert not result.set("second")
    assert result.get() == "first"


def test_setting_it_again_wakes_who_was_left_asleep() -> None:
    """An interrupt in the middle of waking must cost nobody more than the time until it is repeated."""
    result: SharedResult[str] = SharedResult()
    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(result.wait, PATIENCE)
        eventually(lambda: bool(result._threads))
        result._result.setdefault("", "set")  # as far as it came
        result.set("again")
        assert thread.result()
    assert result.get() == "set"


def test_waking_somebody_twice_is_no_error() -> None:
    """Two threads may set it at once."""
    result: SharedResult[str] = SharedResult()
    awake = threading.Lock()
    result._threads[awake] = None
    assert result.set("set")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_who_gives_up_leaves_nothing_behind_and_the_others_waiting(backend: str) -> None:
    """A renewal that hangs must not gather the remains of every request that was cancelled meanwhile."""
    result: SharedResult[str] = SharedResult()

    async def main() -> list[bool]:
        found: list[bool] = []

        async def wait(patience: anyio.CancelScope) -> None:
            with patience:
                found.append(await result.await_())

        async with anyio.create_task_group() as tasks:
            scopes = [anyio.CancelScope() for _ in range(3)]
            for scope in scopes:
                tasks.start_soon(wait, scope)
            await aeventually(lambda: waiting(result) == 3)
            for scope in scopes[1:]:
                scope.cancel()
            await aeventually(lambda: waiting(result) == 1)
            result.set("set")
        return found

    assert anyio.run(main, backend=backend) == [True]


class _Loop:
    """An event loop as far as a result sees it."""

    def __init__(self, *, ended: bool) -> None:
        self.ended = ended
        self.soon: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()

    def call_soon_threadsafe(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Take a call, as long as the loop runs."""
        if self.ended:
            msg = "Event loop is closed"
            raise RuntimeError(msg)
        self.soon.append((call, arguments))


class _Event:
    """Knows whether it was set."""

    was_set = False

    def set(self) -> None:
        """Wake its task."""
        self.was_set = True


def test_tasks_are_woken_one_a_turn_and_a_loop_that_has_ended_stops_no_other() -> None:
    """A thousand tasks woken together would all queue in one connection pool; those of an ended loop ended with it."""
    result: SharedResult[str] = SharedResult()
    gone, alive = _Loop(ended=True), _Loop(ended=False)
    events: list[Any] = [_Event(), _Event()]
    result._tasks[gone] = {_Event(): None}  # type: ignore[dict-item]
    result._tasks[alive] = dict.fromkeys(events)

    result.set("set")

    woken = []
    while alive.soon:
        call, arguments = alive.soon.popleft()
        call(*arguments)
        woken.append([event.was_set for event in events])
    assert woken == [[True, False], [True, True], [True, True]]


def test_a_loop_that_ends_between_two_turns_is_no_error() -> None:
    """What the first task does may be to stop the program: trio calls that an internal error."""
    result: SharedResult[str] = SharedResult()
    loop = _Loop(ended=False)
    events: list[Any] = [_Event(), _Event()]
    result._tasks[loop] = dict.fromkeys(events)
    result.set("set")

    call, arguments = loop.soon.popleft()
    loop.ended = True
    call(*arguments)
    assert [event.was_set for event in events] == [True, False]

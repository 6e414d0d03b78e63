"""Everybody who waits for a result is woken: in time, whatever happens to the others."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import anyio
import pytest
from support import aeventually, eventually

from daxko_auth.model.shared_result import SharedResult

BACKENDS = ["asyncio", "trio"]


def _waiting(result: SharedResult[str]) -> int:
    return len(result._threads) + sum(map(len, result._tasks.values()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_whoever_waits_gets_the_result(backend: str) -> None:
    """Threads and tasks alike, those that waited and those that come afterwards."""
    result: SharedResult[str] = SharedResult()

    async def main() -> list[bool]:
        woken: list[bool] = []

        async def wait() -> None:
            woken.append(await result.await_())

        with ThreadPoolExecutor(2) as pool:
            threads = [pool.submit(result.wait) for _ in range(2)]
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(wait)
                await aeventually(lambda: _waiting(result) == 5)
                assert result.set("done")
            return [*woken, *(thread.result() for thread in threads), await result.await_(), result.wait()]

    assert anyio.run(main, backend=backend) == [True] * 7
    assert result.get() == "done"
    assert _waiting(result) == 0


def test_tasks_of_several_loops_are_woken_by_one_set() -> None:
    """A program may run an asyncio loop in each thread, and trio in another; all wait for the same renewal."""
    result: SharedResult[str] = SharedResult()
    worlds = ["asyncio", "asyncio", "trio", "trio"]
    with ThreadPoolExecutor(len(worlds)) as pool:
        runs = [pool.submit(anyio.run, result.await_, backend=world) for world in worlds]
        eventually(lambda: _waiting(result) == len(worlds))
        result.set("done")

        assert [run.result() for run in runs] == [True] * len(worlds)


def test_only_the_first_result_counts() -> None:
    """A renewal that was given up and comes back late changes nothing for those who were told."""
    result: SharedResult[str] = SharedResult()
    assert (result.get(), result.is_set()) == (None, False)
    assert result.set("first")
    assert not result.set("second")

    assert (result.get(), result.is_set()) == ("first", True)


@pytest.mark.parametrize("seconds", [0, 0.01])
@pytest.mark.parametrize("world", ["thread", *BACKENDS])
def test_nobody_waits_longer_than_was_said(world: str, seconds: float) -> None:
    """A caller with a timeout gets an error of ours, not a hang."""
    result: SharedResult[str] = SharedResult()
    is_set = result.wait(seconds) if world == "thread" else anyio.run(result.await_, seconds, backend=world)

    assert is_set is False
    assert _waiting(result) == 0


@pytest.mark.parametrize("world", ["thread", *BACKENDS])
def test_whoever_has_no_time_left_gets_what_is_there(world: str) -> None:
    """A timeout of zero means: only what is at hand."""
    result: SharedResult[str] = SharedResult()
    result.set("done")

    assert result.wait(0) if world == "thread" else anyio.run(result.await_, 0, backend=world)


@pytest.mark.parametrize("backend", BACKENDS)
def test_whoever_stops_waiting_is_forgotten_and_the_others_wait_on(backend: str) -> None:
    """A renewal that hangs must not gather the remains of every request that was cancelled meanwhile."""
    result: SharedResult[str] = SharedResult()

    async def main() -> tuple[list[int], list[bool]]:
        woken: list[bool] = []
        waiting: list[int] = []

        async def wait(patience: anyio.CancelScope) -> None:
            with patience:
                woken.append(await result.await_())

        async def until(number: int) -> None:
            await aeventually(lambda: _waiting(result) == number)
            waiting.append(len(result._tasks))

        async with anyio.create_task_group() as tasks:
            scopes = [anyio.CancelScope() for _ in range(3)]
            for scope in scopes:
                tasks.start_soon(wait, scope)
            await until(3)
            scopes[0].cancel()
            await until(2)
            scopes[1].cancel()
            scopes[2].cancel()
            await until(0)
            tasks.start_soon(wait, anyio.CancelScope())
            await until(1)
            result.set("done")
        return waiting, woken

    assert anyio.run(main, backend=backend) == ([1, 1, 0, 1], [True])


class _Loop:
    """An event loop as far as a result sees it."""

    def __init__(self, *, ends_after: int = 100) -> None:
        self._left = ends_after
        self.soon: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()

    def call_soon_threadsafe(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Take a call, as long as the loop runs."""
        if self._left == 0:
            msg = "Event loop is closed"
            raise RuntimeError(msg)
        self._left -= 1
        self.soon.append((call, arguments))

    def turn(self) -> None:
        """Run what was there at the beginning of this turn."""
        for _ in range(len(self.soon)):
            call, arguments = self.soon.popleft()
            call(*arguments)


class _Event:
    """Knows whether it was set."""

    was_set = False

    def set(self) -> None:
        """Wake its task."""
        self.was_set = True


def _wait_on(result: SharedResult[str], loop: _Loop, number: int) -> list[Any]:
    events: list[Any] = [_Event() for _ in range(number)]
    result._tasks[loop] = dict.fromkeys(events)
    return events


def _woken_by_turn(loop: _Loop, events: list[Any]) -> list[int]:
    woken = []
    while loop.soon:
        loop.turn()
        woken.append(sum(event.was_set for event in events))
    return woken


def test_one_task_is_woken_per_turn_of_the_loop_in_the_order_in_which_they_came() -> None:
    """A thousand woken together would queue in the same connection pool at once, which scans its queue at each step."""
    result: SharedResult[str] = SharedResult()
    loop = _Loop()
    events = _wait_on(result, loop, 3)
    result.set("done")

    loop.turn()
    assert [event.was_set for event in events] == [True, False, False]
    loop.turn()
    assert [event.was_set for event in events] == [True, True, False]
    loop.turn()
    assert [event.was_set for event in events] == [True, True, True]


def test_a_loop_that_has_ended_keeps_no_other_from_being_woken() -> None:
    """Its tasks ended with it; those of the next loop wait."""
    result: SharedResult[str] = SharedResult()
    _wait_on(result, _Loop(ends_after=0), 1)
    alive = _Loop()
    events = _wait_on(result, alive, 2)
    result.set("done")

    assert _woken_by_turn(alive, events)[:2] == [1, 2]


def test_a_loop_that_is_ending_wakes_the_task_whose_turn_it_is() -> None:
    """Nothing is raised into the loop while it ends."""
    result: SharedResult[str] = SharedResult()
    ending = _Loop(ends_after=1)
    events = _wait_on(result, ending, 2)
    result.set("done")

    assert _woken_by_turn(ending, events) == [1]


def test_a_closed_loop_of_asyncio_stops_nobody() -> None:
    """A program runs one loop after another; the first was left with tasks that wait."""
    result: SharedResult[str] = SharedResult()
    loop = asyncio.new_event_loop()
    task = loop.create_task(result.await_())
    loop.run_until_complete(asyncio.sleep(0))
    assert _waiting(result) == 1
    loop.call_soon(loop.stop)
    loop.run_forever()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(result.wait)
        eventually(lambda: _waiting(result) == 2)
        result.set("done")

        assert thread.result()


def test_to_set_it_again_wakes_whoever_an_interrupt_left_asleep() -> None:
    """Ctrl-C comes after the result is there, and before anybody is told; the renewal then sets it once more."""
    result: SharedResult[str] = SharedResult()
    loop = _Loop()
    events = _wait_on(result, loop, 2)
    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(result.wait)
        eventually(lambda: _waiting(result) == 3)
        # What the interrupt has left: a result, and nobody woken.
        result._result[""] = "done"
        assert not thread.done()
        assert not result.set("something else")

        assert thread.result()
    assert _woken_by_turn(loop, events)[:2] == [1, 2]
    assert result.get() == "done"


def test_to_wake_a_thread_that_is_awake_does_no_harm() -> None:
    """Two may set the result at the same time, and both wake everybody."""
    result: SharedResult[str] = SharedResult()
    awake = threading.Lock()
    result._threads[awake] = None
    result.set("done")
    result.set("done")

    assert not awake.locked()


def test_whoever_comes_between_the_result_and_the_waking_does_not_sleep() -> None:
    """A waiter looks at the result only after it has entered its name, so one of the two sees the other."""
    result: SharedResult[str] = SharedResult()

    class SetMeanwhile(dict[Any, None]):
        def __setitem__(self, lock: Any, value: None) -> None:
            """Set the result just before the name is there."""
            result.set("done")
            super().__setitem__(lock, value)

    result._threads = SetMeanwhile()

    assert result.wait()


def test_an_interrupted_wait_leaves_nothing_behind() -> None:
    """Ctrl-C ends a wait in the main thread; the renewal goes on without it."""
    result: SharedResult[str] = SharedResult()

    class Interrupted(dict[str, str]):
        def __bool__(self) -> bool:
            """Interrupt whoever looks."""
            raise KeyboardInterrupt

    result._result = Interrupted()
    with suppress(KeyboardInterrupt):
        result.wait()

    assert _waiting(result) == 0


@pytest.mark.parametrize("setter", ["the loop's own thread", "a task of another loop"])
def test_the_thread_of_a_loop_may_set_it(setter: str) -> None:
    """A signal handler, or a caller where no thread can be had, lands the renewal that the loop's tasks wait for."""
    result: SharedResult[str] = SharedResult()

    async def main() -> bool:
        task = asyncio.create_task(result.await_())
        await aeventually(lambda: _waiting(result) == 1)
        if setter == "the loop's own thread":
            result.set("done")
        else:

            async def set_it() -> bool:
                return result.set("done")

            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(anyio.run, set_it, backend="trio").result()
        return await task

    assert anyio.run(main, backend="asyncio")

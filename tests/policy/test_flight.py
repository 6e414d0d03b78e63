"""Everybody who waits for a flight is let go: in time, whatever happens to the others."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
from support import PATIENCE, aeventually

from daxko_auth.policy.flight import Flight


def _flight(longest_wait: float = PATIENCE) -> Flight[str]:
    return Flight(longest_wait=longest_wait, given_up=lambda: "given up")


@pytest.mark.parametrize("world", ["thread", "asyncio", "trio"])
def test_nobody_waits_longer_than_the_longest_wait(world: str) -> None:
    """A renewal whose thread is stuck, or gone, is given up, for all who wait and all who come later."""
    flight = _flight(longest_wait=0.05)
    assert not flight.has_landed

    outcome = flight.join() if world == "thread" else anyio.run(flight.ajoin, backend=world)

    assert outcome == "given up"
    assert flight.has_landed
    flight.land("too late")
    assert flight.join() == "given up", "only the first landing counts"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_whoever_waits_gets_what_it_lands_with(backend: str) -> None:
    """Threads and tasks alike, those that waited and those that come afterwards."""
    flight = _flight()

    async def main() -> list[str]:
        outcomes: list[str] = []

        async def wait() -> None:
            outcomes.append(await flight.ajoin())

        with ThreadPoolExecutor(1) as pool:
            thread = pool.submit(flight.join)
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(wait)
                await aeventually(lambda: sum(map(len, flight._waiting.values())) == 3)
                flight.land("landed")
            return [*outcomes, thread.result(), await flight.ajoin()]

    assert anyio.run(main, backend=backend) == ["landed"] * 5


def test_the_renewal_does_not_wait_for_itself() -> None:
    """A log handler that asks for the token it is being asked for gets an answer, and the flight goes on."""
    flight = _flight()
    flight.take_off()
    assert flight.join() == "given up"
    assert not flight.has_landed

    flight.land("landed")
    assert flight.join() == "landed"


def test_another_thread_than_the_renewals_waits() -> None:
    """Only the one that renews must not."""
    flight = _flight()

    class Landing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            """Land as soon as somebody waits, and no sooner."""
            flight.land("landed")
            return super().wait(timeout)

    flight._landed = Landing()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(flight.take_off).result()
        assert flight.join() == "landed"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_who_gives_up_leaves_nothing_behind_and_the_others_waiting(backend: str) -> None:
    """A renewal that hangs must not gather the remains of every request that was cancelled meanwhile."""
    flight = _flight()

    async def main() -> tuple[list[int], list[str]]:
        outcomes: list[str] = []
        waiting: list[int] = []

        async def wait(patience: anyio.CancelScope) -> None:
            with patience:
                outcomes.append(await flight.ajoin())

        async def until(number: int) -> None:
            await aeventually(lambda: sum(map(len, flight._waiting.values())) == number)
            waiting.append(len(flight._waiting))

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
            flight.land("landed")
        return waiting, outcomes

    assert anyio.run(main, backend=backend) == ([1, 1, 0, 1], ["landed"])


class _Loop:
    """An event loop as far as a flight sees it."""

    def __init__(self, *, ended: bool) -> None:
        self._ended = ended
        self.soon: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()

    def call_soon_threadsafe(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Take a call, as long as the loop runs."""
        if self._ended:
            msg = "Event loop is closed"
            raise RuntimeError(msg)
        self.soon.append((call, arguments))


class _Event:
    """Knows whether it was set."""

    was_set = False

    def set(self) -> None:
        """Wake its task."""
        self.was_set = True


def test_a_loop_that_has_ended_keeps_no_other_from_being_woken() -> None:
    """Its tasks ended with it; those of the next loop wait."""
    flight, gone, alive = _flight(), _Loop(ended=True), _Loop(ended=False)
    events: list[Any] = [_Event(), _Event()]
    flight._waiting[gone] = {_Event(): None}  # type: ignore[dict-item]
    flight._waiting[alive] = dict.fromkeys(events)

    flight.land("landed")

    woken = []
    while alive.soon:
        call, arguments = alive.soon.popleft()
        call(*arguments)
        woken.append([event.was_set for event in events])
    assert woken == [[True, False], [True, True]], "one task a turn of the loop, in order"

"""
Simulated time, in which the library's own blocking code runs.

Whatever waits is a greenlet: waiting means telling the world when to go on. Between two waits no time passes.
"""

import heapq
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from itertools import count
from random import Random
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from greenlet import getcurrent, greenlet

from daxko_auth.model.log import log
from daxko_auth.model.shared_result import SharedResult
from daxko_auth.policy import flight, renewal_policy, source, waiting, workers
from daxko_auth.policy.clock import Waitable

#: What simulated time 0 is on a clock that is right: a Sunday, 0:00.
EPOCH: Final = 1_800_144_000.0


class World:
    """The time, and what happens next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._due: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._hub = getcurrent()

    def at(self, when: float, do: Callable[..., Any], *arguments: Any) -> None:
        """Have `do` called at `when`; what is due at the same time comes in the order in which it was said."""
        heapq.heappush(self._due, (when, next(self._order), do, arguments))

    def spawn(self, do: Callable[..., Any], *arguments: Any) -> None:
        """Run `do`, which may wait, up to where it waits first."""
        greenlet(do, self._hub).switch(*arguments)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.at(self.now + seconds, getcurrent().switch)
        self.pause()

    def pause(self) -> object:
        """Wait until somebody switches back to the current greenlet; return what they bring."""
        return self._hub.switch()

    def run(self, until: float) -> None:
        """Let time pass."""
        due = self._due
        while due and due[0][0] < until:
            self.now, _, do, arguments = heapq.heappop(due)
            do(*arguments)
        self.now = until


class Result(SharedResult[Any]):
    """What the library's threads wait for."""

    __slots__ = ("_waiting",)
    world: World

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[greenlet, None] = {}

    def set(self, result: Any) -> bool:
        """Set it, and wake everybody."""
        waiting, self._waiting = self._waiting, {}
        for one in waiting:
            self.world.at(self.world.now, one.switch)
        return super().set(result)

    def wait(self, seconds: float = -1) -> bool:
        """Wait until it is set, or so long."""
        if not self.is_set():
            me = getcurrent()
            self._waiting[me] = None
            if seconds >= 0:
                self.world.at(self.world.now + seconds, self._give_up, me)
            self.world.pause()
        return self.is_set()

    def _give_up(self, one: greenlet) -> None:
        if one in self._waiting:
            del self._waiting[one]
            one.switch()


class MachineClock:
    """A machine's clock, right but for `skew` seconds."""

    def __init__(self, world: World, skew: float) -> None:
        self._world = world
        self._offset = EPOCH + skew

    def wall(self) -> float:
        """Return what the machine takes for Unix time."""
        return self._world.now + self._offset

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._world.now

    def wait(self, event: Waitable, seconds: float) -> bool:
        """Let time pass for everybody else."""
        self._world.sleep(seconds)
        return event.is_set()


@contextmanager
def simulated(world: World, random: Random, exchange: object) -> Generator[None, None, None]:
    """Let the library run in `world`: its threads, its lots, and what it asks for tokens."""

    def start_thread(run: Callable[[], None], _: str) -> None:
        world.at(world.now, world.spawn, run)

    result = type("Result", (Result,), {"__slots__": (), "world": world})
    with ExitStack() as stack:
        stack.enter_context(patch.object(workers, "start_thread", start_thread))
        for module in (source, flight):
            stack.enter_context(patch.object(module, "SharedResult", result))
        for module in (source, waiting, workers):
            stack.enter_context(patch.object(module, "time", SimpleNamespace(monotonic=lambda: world.now)))
        stack.enter_context(patch.object(renewal_policy, "_RANDOM", random))
        stack.enter_context(patch.object(source, "Exchange", lambda *_: exchange))
        # A warning a minute from each of 10,000 workers is nothing anybody reads.
        stack.enter_context(patch.object(log, "disabled", new=True))
        yield

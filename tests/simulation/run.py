"""
Runs the week for a design.
"""

import gc
from collections.abc import Callable
from random import Random
from typing import Final

from simulation import week
from simulation.designs import Design, LockedProcessCache, Ours, ProcessCache, SharedCache
from simulation.fleet import DAY, DAYS, Fleet, Size
from simulation.models import ModelExchange, ModelStore, TokenEndpoint
from simulation.tally import Tally
from simulation.world import MachineClock, World, simulated

#: Seconds for one step of a store, and between two looks of whoever waits for a turn.
REDIS: Final = (0.001, 0.1)
FILES: Final = (0.0005, 0.05)


class Week:
    """One design, one fleet, one seed."""

    def __init__(self, size: Size, seed: int) -> None:
        self.fleet = Fleet(size, seed)
        self.tally = Tally(self.fleet)
        self.world = World()
        self.lots = Random(f"lots {seed}")  # noqa: S311 - to be drawn again
        self.endpoint = TokenEndpoint(self.world, self.lots, self.tally, size.limit)
        # By pair: how often its calls were announced anew, and since when each of them fails.
        self._version = [0] * len(self.fleet.rate)
        self._failing: dict[int, float] = {}

    def run(self, design: Design) -> None:
        """Let it pass."""
        self._design = design
        with simulated(self.world, self.lots, ModelExchange(self.endpoint)):
            self._begin()
            self.world.run(DAYS * DAY)
        for pair in tuple(self._failing):
            self._no_longer_failing(pair)

    def _begin(self) -> None:
        world, workers = self.world, self.fleet.size.workers
        for worker in range(workers):
            self._design.restart(worker)
        self._announce_all()
        for start, takes in week.DEPLOYS:
            for worker in range(workers):
                # Machine after machine.
                world.at(start + takes * self.fleet.machine(worker) / self.fleet.size.machines, self._restart, worker)
        world.at(week.COLD_START, self._design.empty_store)
        world.at(week.REVOCATION, self.endpoint.revoke)
        for change in (week.REVOCATION, week.COLD_START, *week.STORE_DOWN):
            world.at(change, self._announce_all)

    def _announce_all(self) -> None:
        for pair in range(len(self._version)):
            self._announce_anew(pair)

    def _restart(self, worker: int) -> None:
        self._design.restart(worker)
        for pair in self.fleet.pairs_of[worker]:
            self._announce_anew(pair)

    def _announce_anew(self, pair: int) -> None:
        self._no_longer_failing(pair)
        self._version[pair] += 1
        self._announce(pair, self.world.now)

    def _announce(self, pair: int, after: float) -> None:
        when = self.fleet.next_call(pair, after)
        if when < DAYS * DAY:
            self.world.at(when, self._arrive, pair, self._version[pair])

    def _arrive(self, pair: int, version: int) -> None:
        if version != self._version[pair]:
            return
        self._no_longer_failing(pair)
        self.world.spawn(self._call, pair)
        # Those up to then would find what this one found: calls that change nothing are not simulated.
        outlook = self._design.outlook(self.fleet.worker[pair], self.fleet.scope[pair])
        if outlook.failing:
            self._failing[pair] = self.world.now
        self._announce(pair, max(outlook.until, self.world.now))

    def _call(self, pair: int) -> None:
        began = self.world.now
        worked = self._design.call(self.fleet.worker[pair], self.fleet.scope[pair])
        self.tally.call(began, self.world.now - began, worked=worked)

    def _no_longer_failing(self, pair: int) -> None:
        since = self._failing.pop(pair, None)
        if since is not None:
            self.tally.failing(pair, since, self.world.now)


def _ours(passing: Week, stores: list[ModelStore]) -> None:
    size, fleet = passing.fleet.size, passing.fleet
    clocks = [MachineClock(passing.world, skew) for skew in fleet.skew]

    def empty() -> None:
        for store in stores:
            store.empty()

    passing.run(
        Ours(
            world=passing.world,
            endpoint=passing.endpoint,
            clocks=[clocks[fleet.machine(worker)] for worker in range(size.workers)],
            stores=[stores[worker * len(stores) // size.workers] if stores else None for worker in range(size.workers)],
            empty_store=empty,
        )
    )


def _no_store(passing: Week) -> None:
    _ours(passing, [])


def _redis(passing: Week) -> None:
    step, poll = REDIS
    _ours(passing, [ModelStore(passing.world, passing.lots, step=step, poll=poll, may_fail=True)])


def _files(machines: int) -> Callable[[Week], None]:
    def run(passing: Week) -> None:
        step, poll = FILES
        count = min(machines, passing.fleet.size.machines)
        _ours(
            passing,
            [ModelStore(passing.world, passing.lots, step=step, poll=poll, may_fail=False) for _ in range(count)],
        )

    return run


def _token_per_call(passing: Week) -> None:
    # Sixty million calls that know nothing of each other: drawn by the second.
    size, lots, tally = passing.fleet.size, passing.lots, passing.tally
    for second, calls in passing.fleet.calls_by_second(lots):
        tally.requests[second] = calls
        down = week.during(week.OUTAGE, second)
        too_many = max(0, calls - size.limit) if week.during(week.LIMITED, second) else 0
        tally.too_many[second // 60] += too_many
        refused = calls if down else too_many
        takes = 10.0 if week.during(week.SLOW, second) else 0.25
        if refused:
            tally.call(second, 0.05, worked=False, count=refused)
        if calls > refused:
            tally.call(second, takes, worked=True, count=calls - refused)


DESIGNS: Final[dict[str, Callable[[Week], None]]] = {
    "a token per call": _token_per_call,
    "cache per process": lambda passing: passing.run(ProcessCache(passing.world, passing.endpoint)),
    "cache per process, one flight": lambda passing: passing.run(LockedProcessCache(passing.world, passing.endpoint)),
    "shared cache, no lock": lambda passing: passing.run(SharedCache(passing.world, passing.endpoint)),
    "ours, no store": _no_store,
    "ours, a FileStore on each of 500 machines": _files(500),
    "ours, a FileStore on each of 20 machines": _files(20),
    "ours, one RedisStore": _redis,
}


def simulate(design: str, size: Size, seed: int) -> Tally:
    """Run the week for one design, and return what was counted."""
    # Most of what is made here lives for a simulated day; looking for cycles in it takes longer than the week.
    gc.disable()
    try:
        passing = Week(size, seed)
        DESIGNS[design](passing)
        return passing.tally
    finally:
        gc.enable()

"""
The threads that jobs run on: few, short-lived, and never waited for at exit.

Like `shared_result`, it takes no lock. What an interrupt leaves undone, the next who comes by does: a thread that was
to be started and was not, a job that waits though a thread is free.
"""

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Final, Generic, TypeVar

from daxko_auth.model.log import warn
from daxko_auth.model.threads import start_thread

Job = Callable[[], None]
_Job = TypeVar("_Job", bound=Job)

#: As many threads at a time as any `Workers` may have.
MOST: Final = 16
# Seconds in which a thread that was started begins. Python may lose one: where threads are traced, it fails in between.
_TO_BEGIN: Final = 1.0


class _Waiting(Generic[_Job]):
    """A job in the queue, and the context it is to run in; two are the same only if they are one."""

    __slots__ = ("context", "job")

    def __init__(self, job: _Job) -> None:
        self.context = copy_context()
        self.job = job


class _Worker(Generic[_Job]):
    """One life of a thread, or none yet. Its place is taken by the next one in the chain."""

    __slots__ = ("is_lent", "job", "next", "started_at", "thread")

    def __init__(self) -> None:
        #: When (monotonic) a thread was started, set after the act: of several that were started, one goes on.
        self.started_at = float("-inf")
        #: Whether a caller's own thread stands here, which does its own job and no other.
        self.is_lent = False
        #: Who works here; claimed by `setdefault`.
        self.thread: dict[str, object] = {}
        self.job: _Job | None = None
        #: Who takes this place; there once this one has left it, or has been given up.
        self.next: dict[str, _Worker[_Job]] = {}

    @property
    def is_at_work(self) -> bool:
        """Whether somebody works here, or is about to."""
        return bool(self.thread) or time.monotonic() < self.started_at + _TO_BEGIN


class Workers(Generic[_Job]):
    """
    Runs jobs on at most `size` daemon threads, which end when nothing is left to do.

    Bounded, because five hundred scopes that turn stale together must not be five hundred threads and five hundred
    requests; and because starting a thread takes time from the loop that asks.
    """

    def __init__(self, name: str, size: int = 1) -> None:
        self._name = name
        #: How many may work at once, at most `MOST`; it can be changed at any time.
        self.size = size
        self._jobs: deque[_Waiting[_Job]] = deque()
        # Of each place, somebody in its chain; readers go on to the end.
        self._places: list[_Worker[_Job]] = [_Worker() for _ in range(size)]

    def __len__(self) -> int:
        """Return how many jobs wait."""
        return len(self._jobs)

    def submit(self, job: _Job) -> bool:
        """
        Run `job` as soon as a thread is free, in the caller's context (`contextvars`).

        Return False, and forget it, if no thread works and none can be started.
        """
        waiting = _Waiting(job)
        self._jobs.append(waiting)
        if self.start():
            return True
        try:
            self._jobs.remove(waiting)
        except (ValueError, IndexError):  # somebody has taken it after all, or others meanwhile
            return True
        return False

    def start(self) -> bool:
        """See that what waits is worked on: start a thread if there may be another. Return whether anybody works."""
        works = False
        for number in range(self.size):
            worker = self._at(number)
            if worker.is_at_work:
                works |= not worker.is_lent
            elif not self._jobs:
                return True
            else:
                try:
                    start_thread(partial(self._work, number, worker), self._name)
                except RuntimeError:
                    return works
                worker.started_at = time.monotonic()
                return True
        return works

    def run_here(self, job: _Job) -> bool:
        """Run `job` in this thread, in a free place: where no thread can be started. Return whether there was one."""
        me = object()
        for number in range(self.size):
            worker = self._at(number)
            try:
                if not worker.is_at_work and worker.thread.setdefault("", me) is me:
                    worker.is_lent, worker.job = True, job
                    job()
                    return True
            finally:
                if worker.thread.get("") is me:
                    worker.job = None
                    worker.next.setdefault("", _Worker())
        return False

    def drop_oldest(self) -> None:
        """Forget the job that waits longest, if one does."""
        with suppress(IndexError):
            self._jobs.popleft()

    def busy(self) -> list[tuple[_Worker[_Job], _Job]]:
        """Return who works on what."""
        workers = [self._at(number) for number in range(len(self._places))]
        return [(worker, job) for worker in workers if (job := worker.job) is not None]

    def waiting(self) -> list[_Job]:
        """Return the jobs that wait."""
        return [waiting.job for waiting in self._jobs.copy()]

    def abandon(self, busy: list[tuple[_Worker[_Job], _Job]]) -> list[_Job]:
        """Give the places of those who are still at the same job to others; return these jobs."""
        stuck = [(worker, job) for worker, job in busy if worker.job is job]
        for worker, _ in stuck:
            worker.next.setdefault("", _Worker())
        return [job for _, job in stuck]

    def _at(self, number: int) -> _Worker[_Job]:
        while number >= len(self._places):
            self._places.append(_Worker())
        worker = self._places[number]
        while (successor := worker.next.get("")) is not None:
            self._places[number] = worker = successor
        return worker

    def _work(self, number: int, worker: _Worker[_Job]) -> None:
        me = object()
        while worker.thread.setdefault("", me) is me:
            while not worker.next and number < self.size:
                try:
                    waiting = self._jobs.popleft()
                except IndexError:
                    break
                worker.job = waiting.job
                try:
                    waiting.context.run(waiting.job)
                except BaseException as error:  # noqa: BLE001 - a thread that ended here would leave its place taken
                    warn("a job of %r failed unexpectedly (%s). Please report this", self._name, type(error).__name__)
                del waiting
                worker.job = None
            # Leave first and look once more: whoever has brought a job meanwhile may have seen this one at work.
            worker.next.setdefault("", _Worker())
            if not self._jobs:
                return
            if number >= self.size:
                self.start()
                return
            worker = self._at(number)

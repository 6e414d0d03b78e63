"""Threads that jobs run on: never more than were allowed, and none that is lost."""

import _thread
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import pytest
from support import eventually, is_idle

from daxko_auth.policy.workers import Job, Workers, _Waiting

_start = _thread.start_new_thread


class _Held:
    """A job that goes on until it is let go."""

    def __init__(self) -> None:
        self._let_go = threading.Event()
        self.began = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> None:
        """Wait."""
        self.began.set()
        self._let_go.wait()
        self.ended.set()

    def let_go(self) -> None:
        """End it."""
        self._let_go.set()


def _no_thread(*_: object) -> NoReturn:
    msg = "can't start new thread"
    raise RuntimeError(msg)


def _idle(workers: Workers[Job]) -> None:
    eventually(lambda: is_idle(workers))


@contextmanager
def _held(workers: Workers[Job], number: int) -> Iterator[list[_Held]]:
    """Submit so many jobs that go on until the end of this context."""
    jobs = [_Held() for _ in range(number)]
    try:
        for job in jobs:
            assert workers.submit(job)
        yield jobs
    finally:
        for job in jobs:
            job.let_go()
        eventually(lambda: all(job.ended.is_set() for job in jobs))
        _idle(workers)


@pytest.fixture
def workers() -> Workers[Job]:
    """Give two places."""
    return Workers("a worker", 2)


def test_no_more_threads_than_places(workers: Workers[Job]) -> None:
    """Five hundred scopes that turn stale together must not be five hundred requests."""
    with _held(workers, 5) as jobs:
        eventually(lambda: sum(job.began.is_set() for job in jobs) == 2)
        assert len(workers) == 3
        assert {job for _, job in workers.busy()} == set(jobs[:2])
        assert sum(thread.name == "a worker" for thread in threading.enumerate()) == 2
        jobs[1].let_go()
        jobs[2].began.wait()
        assert not jobs[3].began.is_set(), "the first place is still taken"
        assert len(workers) == 2


def test_more_places_are_used_once_there_are_any() -> None:
    """An account that was accepted may ask for sixteen scopes at once."""
    workers: Workers[Job] = Workers("a worker")
    with _held(workers, 3) as jobs:
        jobs[0].began.wait()
        workers.size = 3
        workers.start()
        workers.start()
        eventually(lambda: all(job.began.is_set() for job in jobs))


def test_fewer_places_end_no_job_and_begin_no_other() -> None:
    """An account that is refused asks for one scope at a time again; what is under way goes on."""
    workers: Workers[Job] = Workers("a worker", 3)
    with _held(workers, 3) as jobs:
        eventually(lambda: all(job.began.is_set() for job in jobs))
        workers.size = 1
        assert {job for _, job in workers.busy()} == set(jobs)
        assert workers.start(), "somebody works"


def test_whoever_is_one_too_many_sees_to_what_waits() -> None:
    """The places that stay may be empty: then somebody has to begin there."""
    workers: Workers[Job] = Workers("a worker", 2)
    first, last, waiting = _Held(), _Held(), _Held()
    for job in (first, last):
        workers.submit(job)
        job.began.wait()
    first.let_go()
    eventually(lambda: [job for _, job in workers.busy()] == [last])
    # Brought by somebody whom an interrupt kept from starting a thread.
    workers._jobs.append(_Waiting(waiting))
    workers.size = 1
    last.let_go()
    waiting.began.wait()
    waiting.let_go()
    _idle(workers)


def test_threads_end_when_nothing_is_left_and_begin_again(workers: Workers[Job]) -> None:
    """A program that asks twice a day has no thread in between."""
    seen: list[str] = []
    for number in range(3):
        assert workers.submit(lambda: seen.append(threading.current_thread().name))
        eventually(lambda wanted=number + 1: len(seen) == wanted)  # type: ignore[misc]
        eventually(lambda: all(thread.name != "a worker" for thread in threading.enumerate()))

    assert seen == ["a worker"] * 3


@pytest.mark.parametrize("raised", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_job_that_raises_keeps_its_place_usable(
    workers: Workers[Job], caplog: pytest.LogCaptureFixture, raised: type[BaseException]
) -> None:
    """A log handler of the program raises whatever it likes; the renewals after it have their threads."""

    def fail() -> NoReturn:
        raise raised

    after = threading.Event()
    workers.size = 1
    assert workers.submit(fail)
    assert workers.submit(after.set)
    after.wait()
    _idle(workers)

    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, f"a job of 'a worker' failed unexpectedly ({raised.__name__}). Please report this")
    ]


def test_a_place_that_is_given_up_is_free_for_others() -> None:
    """A store that hangs, or a network drive, costs a thread, and not every renewal after it."""
    workers: Workers[Job] = Workers("a worker")
    with _held(workers, 1) as (stuck,):
        stuck.began.wait()
        after = threading.Event()
        workers.submit(after.set)
        assert not after.is_set()
        assert workers.abandon(workers.busy()) == [stuck]
        assert workers.start()
        after.wait()
        eventually(lambda: not len(workers))


def test_whoever_was_given_up_takes_no_other_job() -> None:
    """Its place is another's by now; two of them would be one more than were allowed."""
    workers: Workers[Job] = Workers("a worker")
    stuck, second, third = _Held(), _Held(), _Held()
    workers.submit(stuck)
    stuck.began.wait()
    workers.abandon(workers.busy())
    workers.submit(second)
    second.began.wait()
    workers.submit(third)
    stuck.let_go()
    eventually(lambda: sum(thread.name == "a worker" for thread in threading.enumerate()) == 1)

    assert not third.began.is_set()
    assert workers.abandon([]) == []
    second.let_go()
    third.began.wait()
    third.let_go()
    _idle(workers)


def test_only_who_is_still_at_the_same_job_is_given_up() -> None:
    """A wait that was in vain looks at who worked on what when it began; a worker that has gone on is not stuck."""
    workers: Workers[Job] = Workers("a worker")
    with _held(workers, 2) as (first, second):
        first.began.wait()
        before = workers.busy()
        first.let_go()
        second.began.wait()

        assert workers.abandon(before) == []
        assert [job for _, job in workers.busy()] == [second]


def test_whoever_finds_no_thread_is_told_and_the_job_is_forgotten(
    workers: Workers[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a limit of the system, or while Python shuts down: the caller does it itself, and it is not done twice."""
    monkeypatch.setattr(_thread, "start_new_thread", _no_thread)
    done: list[int] = []
    assert not workers.submit(lambda: done.append(1))
    assert len(workers) == 0

    monkeypatch.undo()
    after = threading.Event()
    assert workers.submit(after.set)
    after.wait()
    _idle(workers)
    assert done == []


def test_a_job_waits_for_whoever_works_where_no_more_threads_can_be_had(
    workers: Workers[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread is slower than two, and gets there as well."""
    with _held(workers, 1) as (first,):
        first.began.wait()
        monkeypatch.setattr(_thread, "start_new_thread", _no_thread)
        after = threading.Event()
        assert workers.submit(after.set)
        first.let_go()
        after.wait()


@pytest.mark.parametrize("taken_by", ["somebody", "somebody who takes the next one as well"])
def test_a_job_that_somebody_has_taken_meanwhile_is_not_given_back(
    workers: Workers[Job], monkeypatch: pytest.MonkeyPatch, taken_by: str
) -> None:
    """No thread could be had, and one that was about to end has seen the job after all: it is done once."""
    done: list[int] = []

    def take(*_: object) -> NoReturn:
        workers._jobs.popleft().job()
        _no_thread()

    monkeypatch.setattr(_thread, "start_new_thread", take)
    if taken_by != "somebody":
        # `deque.remove` says so where the deque changes under it.
        class Changing(type(workers._jobs)):  # type: ignore[misc]
            def remove(self, _: object) -> NoReturn:
                """Find another deque than a moment ago."""
                msg = "deque mutated during remove()."
                raise IndexError(msg)

        workers._jobs = Changing()

    assert workers.submit(lambda: done.append(1))
    assert done == [1]


def test_two_starters_of_one_place_make_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both find the place free and start a thread: one of the two goes home, and no job is done by it."""
    started: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
    meanwhile: list[bool] = []
    workers: Workers[Job] = Workers("a worker")
    first, second = _Held(), _Held()

    def start(run: Callable[..., object], arguments: tuple[Any, ...]) -> int:
        started.append((run, arguments))
        if len(started) == 1:
            # A signal handler comes between the look at the place and the thread that takes it.
            meanwhile.append(workers.submit(second))
        return 0

    monkeypatch.setattr(_thread, "start_new_thread", start)
    assert workers.submit(first)
    assert meanwhile == [True]
    assert len(started) == 2
    monkeypatch.undo()
    for run, arguments in started:
        _start(run, arguments)
    first.began.wait()
    eventually(lambda: sum(thread.name == "a worker" for thread in threading.enumerate()) == 1)

    assert not second.began.is_set(), "one place, one job"
    first.let_go()
    second.began.wait()
    second.let_go()
    _idle(workers)


def test_a_job_runs_in_the_context_of_whoever_submitted_it(workers: Workers[Job]) -> None:
    """Traces and log fields of the call show at its token request, and nothing of it stays in the thread."""
    request: ContextVar[str] = ContextVar("request", default="none")
    seen: list[str] = []

    def note() -> None:
        seen.append(request.get())
        request.set("left behind")

    workers.size = 1
    with _held(workers, 1):
        for name in ("first", "second"):
            request.set(name)
            workers.submit(note)
        request.set("later")
    eventually(lambda: len(seen) == 2)

    assert seen == ["first", "second"]
    assert request.get() == "later"


def test_a_caller_may_take_a_place_and_does_only_its_own_job(workers: Workers[Job]) -> None:
    """Where no thread can be had, so that there are no more at once than may be."""
    done: list[str] = []
    seen: list[bool] = []

    def job() -> None:
        seen.append(workers.run_here(lambda: done.append("in the other place")))
        seen.append(workers.start())
        done.append("here")

    one: Workers[Job] = Workers("a worker", 1)
    assert workers.run_here(job)
    assert one.run_here(lambda: seen.append(one.run_here(lambda: done.append("never"))))

    assert done == ["in the other place", "here"]
    assert seen == [True, True, False]
    assert one.run_here(lambda: done.append("again"))


def test_a_caller_that_is_interrupted_leaves_its_place(workers: Workers[Job]) -> None:
    """Ctrl-C is the program's, and the place everybody's."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    one: Workers[Job] = Workers("a worker", 1)
    with pytest.raises(KeyboardInterrupt):
        one.run_here(interrupted)
    assert one.busy() == []
    assert one.run_here(lambda: None)


def test_the_oldest_job_can_be_dropped(workers: Workers[Job]) -> None:
    """A queue that nobody empties must not fill the memory."""
    done: list[int] = []
    workers.size = 1
    with _held(workers, 1) as (first,):
        first.began.wait()
        for number in range(3):
            workers.submit(lambda number=number: done.append(number))  # type: ignore[misc]
        workers.drop_oldest()
        assert len(workers) == 2
    eventually(lambda: len(done) == 2)
    assert done == [1, 2]

    workers.drop_oldest()
    assert len(workers) == 0


def test_a_job_that_comes_while_a_thread_ends_is_not_left_waiting() -> None:
    """The thread has looked, found nothing, and not left yet: whoever came then has seen it at work."""
    workers: Workers[Job] = Workers("a worker")
    late: list[int] = []

    class Jobs(type(workers._jobs)):  # type: ignore[misc]
        def popleft(self) -> Any:
            """Bring another job just after the queue was found empty."""
            try:
                return super().popleft()
            except IndexError:
                if not late:
                    late.append(0)
                    assert workers.submit(lambda: late.append(1))
                raise

    workers._jobs = Jobs()
    workers.submit(lambda: None)

    eventually(lambda: late == [0, 1])
    _idle(workers)


def test_a_crowd_of_submitters_gets_every_job_done_once(workers: Workers[Job]) -> None:
    """However they come between each other."""
    done: list[int] = []
    running: list[None] = []
    most: list[int] = []

    def job(number: int) -> None:
        running.append(None)
        most.append(len(running))
        done.append(number)
        running.pop()

    with ThreadPoolExecutor(8) as pool:
        for number in range(2_000):
            pool.submit(workers.submit, lambda number=number: job(number))  # type: ignore[misc]
    eventually(lambda: len(done) >= 2_000)
    _idle(workers)

    assert sorted(done) == list(range(2_000))
    assert max(most) <= 2


def test_where_nothing_waits_no_thread_is_started(workers: Workers[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sees to a job that somebody has just taken need not do it himself."""
    monkeypatch.setattr(_thread, "start_new_thread", _no_thread)

    assert workers.start()

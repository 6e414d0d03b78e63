"""Threads for jobs: few, and none lost."""

import _thread
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from support import eventually

from daxko_auth.model import threads
from daxko_auth.policy.workers import Workers

Job = Callable[[], None]


@pytest.fixture
def workers() -> Workers[Job]:
    """Give two places."""
    return Workers("daxko-auth test", 2)


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no thread start."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads._thread, "start_new_thread", refuse)


def test_no_more_work_at_once_than_there_are_places(workers: Workers[Job]) -> None:
    """One place is what keeps a wrong password from being sent once for each scope."""
    go_on, at_work = threading.Event(), threading.Semaphore(0)

    def job() -> None:
        at_work.release()
        go_on.wait()

    for _ in range(6):
        assert workers.submit(job)
    at_work.acquire()
    at_work.acquire()
    assert (len(workers.busy()), len(workers)) == (2, 4)
    workers.size = 3
    assert workers.start()
    at_work.acquire()
    assert (len(workers.busy()), len(workers)) == (3, 3)
    go_on.set()
    eventually(lambda: not workers.busy() and not len(workers))


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1)])
def test_a_job_that_raises_takes_no_place_with_it(
    workers: Workers[Job], error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """A log handler that raises must not end the renewals of a program."""
    done = threading.Event()

    def fail() -> None:
        raise error

    for _ in range(4):
        workers.submit(fail)
    workers.submit(done.set)
    done.wait()
    eventually(lambda: not workers.busy())
    said = f"a job of 'daxko-auth test' failed unexpectedly ({type(error).__name__}). Please report this"
    assert [record.getMessage() for record in caplog.records if record.name == "daxko_auth"] == [said] * 4


@pytest.mark.usefixtures("no_threads")
def test_without_a_thread_a_job_is_refused_and_forgotten(workers: Workers[Job]) -> None:
    """One that stayed behind would run at some later time, for nobody."""
    assert workers.submit(lambda: None) is False
    assert len(workers) == 0


def test_where_no_further_thread_is_to_be_had_the_others_go_on(
    workers: Workers[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread is enough to get everything done."""
    hold, done = threading.Event(), threading.Event()
    workers.submit(lambda: hold.wait() and None)
    eventually(lambda: bool(workers.busy()))

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threads._thread, "start_new_thread", refuse)
        assert workers.submit(done.set)
    hold.set()
    done.wait()


def test_a_job_that_somebody_takes_meanwhile_is_not_refused(
    workers: Workers[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else it would be done twice."""

    def take() -> bool:
        workers.drop_oldest()
        return False

    monkeypatch.setattr(workers, "start", take)
    assert workers.submit(lambda: None)
    workers.drop_oldest()


def test_a_stuck_job_gives_up_its_place(workers: Workers[Job]) -> None:
    """A store that hangs must not stop the renewals of all customers; and its thread is not used again."""
    workers.size = 1
    stuck, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        stuck.set()
        go_on.wait()

    workers.submit(hang)
    stuck.wait()
    workers.submit(done.set)
    busy = workers.busy()
    assert workers.abandon(busy) == [hang]
    assert workers.start()
    done.wait()
    go_on.set()
    eventually(lambda: busy[0][0].job is None)
    assert workers.abandon(busy) == []


def test_two_who_start_one_place_make_one_worker(workers: Workers[Job]) -> None:
    """An interrupt may come after the start and before it is noted; whoever comes next starts another thread."""
    workers.size = 1
    go_on, at_work = threading.Event(), threading.Semaphore(0)

    def job() -> None:
        at_work.release()
        go_on.wait()

    workers.submit(job)
    at_work.acquire()
    place = workers._at(0)
    place.is_started = False
    workers.submit(job)
    assert place.is_started
    eventually(lambda: sum(thread.name == "daxko-auth test" for thread in threading.enumerate()) == 1)
    assert (len(workers.busy()), len(workers)) == (1, 1)
    go_on.set()
    eventually(lambda: not len(workers))


def test_a_job_that_comes_as_its_worker_leaves_is_not_left_behind(
    workers: Workers[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever brings it sees somebody at work, who has looked already."""
    done = threading.Event()
    place = workers._at(0)

    class Leaving(dict[str, Any]):
        def setdefault(self, key: str, value: Any = None) -> Any:
            # Seen as at work: no thread is started.
            monkeypatch.setattr(workers, "start", lambda: True)
            workers.submit(done.set)
            return super().setdefault(key, value)

    place.next = Leaving()
    workers._work(0, place)
    assert done.is_set()


def test_a_job_runs_in_the_context_of_who_submits_it(workers: Workers[Job]) -> None:
    """Tracing goes by it."""
    variable: ContextVar[str] = ContextVar("variable", default="none")
    found: list[str] = []
    done = threading.Event()
    variable.set("mine")

    def job() -> None:
        found.append(variable.get())
        done.set()

    workers.submit(job)
    done.wait()
    assert found == ["mine"]


def test_a_job_knows_that_it_is_one(workers: Workers[Job]) -> None:
    """It must not wait for another that stands behind it."""
    found: list[bool] = []
    done = threading.Event()

    def job() -> None:
        found.append(workers.is_current_thread())
        done.set()

    workers.submit(job)
    done.wait()
    assert (found, workers.is_current_thread()) == ([True], False)


def test_a_thread_that_threading_cannot_start_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has begun already, and may be the last that is to be had."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    # No Event: its thread would have to be one that `threading` knows.
    done = _thread.allocate_lock()
    done.acquire()
    threads.start_thread(done.release, "daxko-auth test")
    assert done.acquire()

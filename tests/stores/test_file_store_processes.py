"""Processes that use one folder at the same time, are killed in the middle of it, or are forked there."""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from keeping import KEY, child_that, entry_in, key, token, warnings_of, whole
from support import PATIENCE, eventually, in_child

from daxko_auth import FileStore
from daxko_auth.stores import file_store
from daxko_auth.stores.sealing import entry_name

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    # From Python 3.12 on. That is what these tests are about.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

WRITERS, WRITES = 30, 20
#: In how many minutes the tokens of each writer end, in the order in which it writes them.
ENDS = [random.Random(writer).sample(range(1_000), WRITES) for writer in range(WRITERS)]  # noqa: S311 - no secret


def test_thirty_processes_that_write_and_read_never_see_half_a_file(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Elsewhere writers tore the file a few times a week; nobody could use it until it was deleted."""
    store = FileStore(folder)

    def writes_and_reads(ends: list[int]) -> bool:
        for minutes in ends:
            mine = token(str(minutes), minutes)
            store.write(KEY, mine)
            read = store.read(KEY)
            # Its end says which secret belongs to it.
            later = round((read.expires_at - token().expires_at).total_seconds() / 60) if read else -1
            if later < minutes or whole(read) != whole(token(str(later), later)):
                return False
        return not warnings_of(caplog)

    with ThreadPoolExecutor(WRITERS) as pool:
        assert all(pool.map(lambda ends: in_child(lambda: writes_and_reads(ends)), ENDS))
    last = max(max(ends) for ends in ENDS)
    assert whole(store.read(KEY)) == whole(token(str(last), last))
    assert sorted(path.suffix for path in folder.iterdir()) == ["", ".token"]


@pytest.mark.parametrize("step", ["fchmod", "fdopen", "fsync", "replace", "unlink"])
def test_a_writer_killed_at_any_step_loses_nothing_and_holds_nobody_up(
    store: FileStore, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The file is the old one or the new one; the lock is free; what is left behind is in nobody's way."""
    store.write(KEY, token("a"))
    entry_in(folder).chmod(0o644)  # or else there is no mode to set

    def writes() -> bool:
        monkeypatch.setattr(os, step, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        store.write(KEY, token("b", minutes=1))
        return False

    assert not in_child(writes)
    assert store.read(KEY) == token("b" if step == "unlink" else "a", minutes=1)
    store.write(KEY, token("c", minutes=2))  # raises where it is held up
    assert store.read(KEY) == token("c")
    assert warnings_of(caplog) == []


def begun(turn: AbstractContextManager[None]) -> AbstractContextManager[None]:
    """Begin a turn that ends when nobody has it any more."""
    turn.__enter__()
    return turn


def test_whoever_is_killed_in_its_turn_leaves_it_to_the_next(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel gives the lock back, and it is looked for often; without that, the next would wait for ever."""
    entered, pauses = threading.Event(), list[float]()

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        time.sleep(seconds)

    def wait() -> None:
        with store.turn(KEY, timeout=PATIENCE):
            entered.set()

    monkeypatch.setattr(file_store, "time", SimpleNamespace(time=time.time, monotonic=time.monotonic, sleep=sleep))
    waiting = threading.Thread(target=wait, daemon=True)
    with child_that(lambda: begun(store.turn(KEY, timeout=0))):
        waiting.start()
        eventually(lambda: len(pauses) >= 3)
        assert not entered.is_set(), "it is the child's turn"
    waiting.join()
    assert max(pauses) < 0.1


def test_a_forked_child_does_not_go_on_with_its_parents_turn(store: FileStore) -> None:
    """Or a worker that lives for weeks would hold the lock of a parent that is done, or was killed long ago."""
    turn = begun(store.turn(KEY, timeout=0))
    with child_that(lambda: None):
        turn.__exit__(None, None, None)
        # It hangs where the child has it still.
        with store.turn(KEY, timeout=PATIENCE):
            pass


def test_a_turn_whose_holder_was_killed_is_free_while_a_child_of_it_lives_on(store: FileStore, folder: Path) -> None:
    """A child inherits descriptors; with the lock, a worker that lives for weeks would keep its dead parent's turn."""
    told, tell = os.pipe()

    def forks_in_its_turn() -> object:
        turn = begun(store.turn(KEY, timeout=0))
        if os.fork() == 0:
            try:
                os.write(tell, str(os.getpid()).encode().ljust(10))
                signal.pause()
            finally:
                os._exit(1)
        return turn

    with child_that(forks_in_its_turn):
        orphan = int(os.read(told, 10))
    try:
        # It hangs where the orphan has it.
        with store.turn(KEY, timeout=PATIENCE), (folder / f"{entry_name(KEY)}.lock").open("r+") as lock:
            assert in_child(lambda: not file_store._locks(lock.fileno())), "it is ours"
    finally:
        os.kill(orphan, signal.SIGKILL)
        with suppress(ChildProcessError):  # where nobody adopts orphans
            os.waitpid(orphan, 0)
        os.close(told)
        os.close(tell)


def test_a_fork_does_not_wait_for_a_file_system_that_hangs(
    store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One folder on a server that is away would stop all that the program starts."""
    folder.mkdir(0o700)
    real, hangs, go_on = os.open, threading.Event(), threading.Event()

    def slow(path: Any, *args: Any, **options: Any) -> int:
        if path == folder:
            hangs.set()
            go_on.wait()
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", slow)
    with ThreadPoolExecutor(1) as pool, ExitStack() as last:
        last.callback(go_on.set)
        reading = pool.submit(store.read, KEY)
        hangs.wait()
        assert in_child(lambda: True)
        assert not reading.done()


def test_a_child_forked_in_the_middle_of_everything_harms_nobody(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads of the parent are in a turn and in a write; the child waits for neither, and leaves both alone."""
    writing, go_on = threading.Event(), threading.Event()
    real = os.replace

    def waits(*args: Any, **options: Any) -> None:
        writing.set()
        go_on.wait()
        real(*args, **options)

    monkeypatch.setattr(os, "replace", waits)

    def is_free_of_it() -> bool:
        monkeypatch.setattr(os, "replace", real)
        with store.turn(KEY, timeout=0), store.turn(key(scope=1234), timeout=PATIENCE):
            return store.read(KEY) is None

    # Let go before its thread is waited for, whatever happens.
    with store.turn(KEY, timeout=0), ThreadPoolExecutor(1) as pool, ExitStack() as last:
        last.callback(go_on.set)
        written = pool.submit(store.write, KEY, token("a"))
        writing.wait()
        assert in_child(is_free_of_it)
        go_on.set()
        written.result()
        assert store.read(KEY) == token("a")


def test_a_child_that_leaves_a_turn_it_was_forked_in_closes_only_what_it_inherited(store: FileStore) -> None:
    """The number of a descriptor that was closed before may be another file's by then."""
    ours = begun(store.turn(KEY, timeout=0))

    def leaves() -> bool:
        number = os.open(os.devnull, os.O_RDONLY)
        ours.__exit__(None, None, None)
        return os.fstat(number) is not None

    assert in_child(leaves)
    ours.__exit__(None, None, None)

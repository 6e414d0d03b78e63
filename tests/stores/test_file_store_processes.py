"""Processes that use one folder at the same time, are killed in the middle of it, or are forked there."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from keeping import KEY, entry_in, token, warnings_of, whole
from support import PATIENCE, eventually, in_child

from daxko_auth import FileStore
from daxko_auth.stores import file_store

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


@contextmanager
def child_that(does: Callable[[], object]) -> Iterator[None]:
    """Fork a child that does that, keeps what comes of it, and waits; yield when it is done so, and kill it."""
    done, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            held = does()
            os.write(tell, b"!")
            signal.pause()
            del held
        finally:
            os._exit(1)
    os.close(tell)
    try:
        assert os.read(done, 1) == b"!"
        yield
    finally:
        os.close(done)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


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


def held_open(folder: Path) -> list[str]:
    """Return which files of the folder this process has open."""
    links = (f"/dev/fd/{number}" for number in os.listdir("/dev/fd"))  # noqa: PTH208 - the numbers only
    return [path for link in links if (path := os.path.realpath(link)).startswith(f"{folder}/")]


def test_a_child_forked_in_the_middle_of_everything_has_nothing_open_and_harms_nobody(
    store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads of the parent are in a turn and in a write; the child has neither, and leaves both alone."""
    writing, go_on = threading.Event(), threading.Event()
    real = os.replace

    def waits(*args: Any, **options: Any) -> None:
        writing.set()
        go_on.wait()
        real(*args, **options)

    monkeypatch.setattr(os, "replace", waits)

    def is_free_of_it() -> bool:
        monkeypatch.setattr(os, "replace", real)
        with store.turn(KEY, timeout=0):
            return store.read(KEY) is None

    # Let go before its thread is waited for, whatever happens.
    with store.turn(KEY, timeout=0), ThreadPoolExecutor(1) as pool, ExitStack() as last:
        last.callback(go_on.set)
        written = pool.submit(store.write, KEY, token("a"))
        writing.wait()
        assert in_child(lambda: held_open(folder) == [])
        assert in_child(is_free_of_it)
        go_on.set()
        written.result()
        assert store.read(KEY) == token("a")
    assert held_open(folder) == []


def test_a_child_closes_only_what_it_inherited(store: FileStore) -> None:
    """By the time it leaves a turn that it was forked in, the number may be another file's."""
    ours = begun(store.turn(KEY, timeout=0))

    def leaves() -> bool:
        number = os.open(os.devnull, os.O_RDONLY)
        ours.__exit__(None, None, None)
        return os.fstat(number) is not None

    assert in_child(leaves)
    ours.__exit__(None, None, None)

"""How a thread is started: in one step, under a name, and never one that the end of the program waits for."""

import threading
from typing import NoReturn

import pytest

from daxko_auth.model import threads


def test_a_thread_has_its_name_and_is_not_waited_for() -> None:
    """Logs, debuggers and `threading.enumerate` show it; a renewal that hangs must not keep a program from ending."""
    seen: list[threading.Thread] = []
    ran = threading.Event()

    def run() -> None:
        seen.append(threading.current_thread())
        ran.set()

    threads.start_thread(run, "a name")
    ran.wait()

    assert [(thread.name, thread.daemon) for thread in seen] == [("a name", True)]
    assert seen[0] is not threading.current_thread()


@pytest.mark.parametrize("is_refused", [False, True])
def test_what_is_to_run_is_run_once_with_a_name_or_without(monkeypatch: pytest.MonkeyPatch, is_refused: bool) -> None:
    """There may be room for one thread, and not for the second, which only has the name."""

    def refuse(_: threading.Thread) -> NoReturn:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    if is_refused:
        monkeypatch.setattr(threading.Thread, "start", refuse)
    names: list[str] = []
    ran = threading.Event()

    def run() -> None:
        names.append(threading.current_thread().name)
        ran.set()

    threads._name_and_run(run, "a name")
    ran.wait()

    assert names == [threading.current_thread().name if is_refused else "a name"]

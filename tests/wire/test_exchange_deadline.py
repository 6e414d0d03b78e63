"""A token request ends in time, whatever the other side does."""

import _thread
import socket
import threading

import pytest
from asking import AskOnce
from raw_server import RawServer, answer, dripping, everything_about
from support import PATIENCE, eventually

from daxko_auth import AccessToken
from daxko_auth.model.errors import TokenEndpointUnavailable
from daxko_auth.model.shared_result import SharedResult
from daxko_auth.sandbox import Sandbox
from daxko_auth.wire.http import run_within

TIMEOUT = 0.25


def is_given_up(outcome: object, status: int | None = None) -> None:
    """See that it ended as unavailable. That it ended at all is the promise: no server here ever comes to an end."""
    assert type(outcome) is TokenEndpointUnavailable
    assert outcome.retryable
    # On a busy machine the time may be up before the first line came.
    assert outcome.status_code in {None, status}
    assert "did not answer within 0.25 s" in str(outcome) or "did not answer in time (" in str(outcome)
    everything_about(outcome)


def test_a_server_that_never_answers(sandbox: Sandbox, ask_once: AskOnce) -> None:
    """In an auth flow httpx would wait for ever for a request that is yielded there; ours is not."""
    sandbox.fail_next(9, "hang")
    is_given_up(ask_once(timeout=TIMEOUT))
    # On a busy machine the time may be up before it was sent; it is never sent again.
    assert sandbox.token_requests() <= 1


def test_a_server_that_answers_too_late(sandbox: Sandbox, ask_once: AskOnce) -> None:
    """A token that comes after nobody waits is of no use."""
    sandbox.set_latency(PATIENCE)
    is_given_up(ask_once(timeout=TIMEOUT))


@pytest.mark.parametrize(
    ("head", "drip"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP", b""),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (answer(b"")[:-4].replace(b"Length: 0", b"Length: 60000") + b"\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["a header", "headers", "nothing more", "informational answers", "a body", "chunks"],
)
def test_a_server_that_sends_a_little_at_a_time(ask_once: AskOnce, head: bytes, drip: bytes) -> None:
    """Each byte starts httpx's read timeout anew; the deadline here is for the whole."""
    with RawServer(dripping(head, drip)) as server:
        is_given_up(ask_once(base_url=server.base_url, timeout=TIMEOUT), 200)
        assert len(server.requests) <= 1


def test_a_body_that_never_ends_keeps_no_thread(ask_once: AskOnce) -> None:
    """A server that trickles for hours would collect a thread and a socket per attempt."""
    slow = answer(b"")[:-4].replace(b"Length: 0", b"Length: 60000") + b"\r\n\r\n"
    with RawServer(dripping(slow, b" ")) as server:
        is_given_up(ask_once(base_url=server.base_url, timeout=TIMEOUT), 200)
        for thread in threading.enumerate():
            if thread.name == "daxko-auth exchange":
                thread.join()


def test_a_server_that_accepts_nobody(ask_once: AskOnce) -> None:
    """The kernel shakes hands for it, and then nothing happens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        is_given_up(ask_once(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=TIMEOUT))


@pytest.mark.parametrize("seconds", [0, -1, -3600.0])
def test_no_time_at_all_is_an_answer_too(ask_once: AskOnce, seconds: float) -> None:
    """A retry may come when the deadline has passed: just now, or while the process was frozen."""
    outcome = ask_once(timeout=seconds)
    assert type(outcome) is TokenEndpointUnavailable
    assert "-" not in outcome.what.rpartition("/token ")[2]


def test_fewer_seconds_than_none_are_none() -> None:
    """To a lock, they would be for ever."""
    release = threading.Event()
    try:
        for seconds in (-1, -0.5):
            with pytest.raises(TimeoutError):
                run_within(seconds, release.wait)
    finally:
        release.set()


def test_where_no_thread_can_be_started_the_request_is_made_in_the_callers_own(
    sandbox: Sandbox, ask_once: AskOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a limit of the machine, in an interpreter that allows none, or while Python shuts down."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    assert isinstance(ask_once(), AccessToken)
    assert sandbox.token_requests() == 1


def test_an_answer_that_lies_in_the_socket_after_a_freeze_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suspended container or a closed lid: the time is over when the process wakes, and the answer is there."""
    woken, times = threading.Event(), iter([0.0, 3600.0])
    monkeypatch.setattr("daxko_auth.wire.http.time.monotonic", lambda: next(times))
    wait = SharedResult.wait

    def frozen(result: SharedResult[object], seconds: float) -> bool:
        if woken.is_set():
            return wait(result, PATIENCE)
        woken.set()
        return False

    monkeypatch.setattr(SharedResult, "wait", frozen)
    assert run_within(0.01, lambda: woken.wait() and 7) == 7


def test_a_call_within_its_time_returns_or_raises_as_it_would_alone() -> None:
    """The thread in between must not change what comes of it."""
    assert run_within(PATIENCE, lambda: 7) == 7
    for error in (ValueError("x"), KeyboardInterrupt("x")):

        def fail(error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            run_within(PATIENCE, fail)
        assert caught.value is error


def test_a_call_that_is_left_behind_does_not_keep_the_program_alive() -> None:
    """Its thread is a daemon."""
    seen: list[threading.Thread] = []
    release = threading.Event()

    def wait() -> None:
        seen.append(threading.current_thread())
        release.wait()

    with pytest.raises(TimeoutError):
        run_within(0.1, wait)
    eventually(lambda: bool(seen))
    release.set()
    (thread,) = seen
    assert thread.daemon
    thread.join()

"""
Starting and stopping: at once, cleanly, many at a time, and only where asked.
"""

import asyncio
import errno
import gc
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sandbox_calls import Caller, form
from support import PATIENCE, eventually

from daxko_auth.sandbox import Account, Sandbox, serving
from daxko_auth.sandbox.serving import Serving


def our_threads() -> list[str]:
    """Return the names of the sandboxes' threads."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("daxko-auth")]


def connected(sandbox: Sandbox) -> socket.socket:
    """Return a bare connection to a sandbox."""
    address = urlsplit(sandbox.base_url)
    return socket.create_connection((address.hostname, address.port or 0), timeout=PATIENCE)


def test_it_answers_before_the_block_begins() -> None:
    """No test should have to wait for its server."""
    with Sandbox() as sandbox:
        answer = httpx.get(sandbox.base_url, trust_env=False)

    assert answer.status_code == 200
    assert "not Daxko" in answer.text


@pytest.mark.parametrize("path", ["/", "/v3/x", "/v3/partners/oauth2/token", "/x", "/_sandbox/log"])
def test_every_answer_says_that_it_is_not_daxko(caller: Caller, path: str) -> None:
    """Nobody must take a sandbox for the vendor."""
    assert caller.http.get(path).headers["server"] == "daxko-auth-sandbox (not Daxko)"


def test_even_what_is_not_http_is_answered_so(sandbox: Sandbox) -> None:
    """A TLS client that meets a plain port sees who is there."""
    with connected(sandbox) as connection:
        connection.sendall(b"\x16\x03\x01junk\r\n\r\n")
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Server: daxko-auth-sandbox (not Daxko)" in answer


@pytest.mark.parametrize("way", ["hang", "hold", "latency"])
def test_it_closes_at_once_however_many_requests_hang(way: str) -> None:
    """A test of timeouts must not pay for them at its end."""
    with ThreadPoolExecutor(10) as pool:
        sandbox = Sandbox().start()
        one = Caller(sandbox)
        match way:
            case "hang":
                sandbox.fail_next(10, "hang")
            case "hold":
                sandbox.hold()
            case _:
                sandbox.set_latency(PATIENCE)
        with one.http, connected(sandbox), connected(sandbox) as half:
            half.sendall(b"POST /v3/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
            waiting = [pool.submit(one.token) for _ in range(10)]
            sandbox.wait_for_token_requests(10)
            # It hangs where closing waits for any of them.
            sandbox.close()
            errors = [request.exception() for request in waiting]
    sandbox.release()

    assert our_threads() == []
    assert all(isinstance(error, httpx.RemoteProtocolError | httpx.ReadError) for error in errors)


def test_connections_just_accepted_are_closed_too() -> None:
    """Closing races with accepting; a connection lost between the two would be a leak, and a warning later."""
    for _ in range(30):
        sandbox = Sandbox().start()
        connections = [connected(sandbox) for _ in range(20)]
        sandbox.close()
        for connection in connections:
            with connection, suppress(ConnectionResetError):
                assert connection.recv(1) == b""
    gc.collect()

    assert our_threads() == []


def test_a_request_cut_short_is_in_the_log(sandbox: Sandbox) -> None:
    """Its headers may have held a secret."""
    with connected(sandbox) as connection:
        head = f"POST /v3/x HTTP/1.1\r\nHost: x\r\nX-Note: {sandbox.refresh_token}\r\nContent-Length: 9\r\n\r\nhalf"
        connection.sendall(head.encode())
    log = sandbox.wait_for(bool)

    assert [(one.status, one.misplaced) for one in log] == [(None, ("refresh_token in headers",))]


def test_closing_twice_is_fine_and_starting_twice_is_not(sandbox: Sandbox) -> None:
    """Clean-up code runs more than once; a second start would leak the first."""
    with pytest.raises(RuntimeError, match="running already"):
        sandbox.start()
    sandbox.close()
    sandbox.close()

    assert our_threads() == []


def test_started_again_it_is_the_same_one(caller: Caller) -> None:
    """An outage: the server is gone for a while, at the address where it will be again."""
    sandbox, token = caller.sandbox, caller.access_token()
    address = sandbox.base_url
    sandbox.close()
    with pytest.raises(httpx.TransportError):
        caller.get("/v3/x", token)
    sandbox.start()

    assert sandbox.base_url == address
    assert caller.get("/v3/x", token).status_code == 200
    assert [one.number for one in sandbox.log] == [1, 2]


def test_many_run_side_by_side_and_know_only_their_own_tokens() -> None:
    """Tests run in parallel, and two environments must be told apart."""
    sandboxes = [Sandbox().start() for _ in range(8)]
    try:
        assert len({sandbox.base_url for sandbox in sandboxes}) == 8
        first, second = Caller(sandboxes[0]), Caller(sandboxes[1])
        with first.http, second.http:
            assert second.get("/v3/x", first.access_token()).status_code == 401
            assert second.token(bearer=sandboxes[0].refresh_token).status_code == 401
    finally:
        for sandbox in sandboxes:
            sandbox.close()
    assert our_threads() == []


def test_three_hundred_connections_at_once_are_served(sandbox: Sandbox) -> None:
    """A herd of callers is what the library is tested with."""
    body = form(Caller(sandbox).fields().items())
    Caller(sandbox).http.close()
    head = (
        "POST /v3/partners/oauth2/token HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nConnection: close\r\n"
        f"Authorization: Bearer {sandbox.refresh_token}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=----together\r\n\r\n"
    )
    connections = [connected(sandbox) for _ in range(300)]
    try:
        sandbox.hold()
        for connection in connections:
            connection.sendall(head.encode() + body)
        sandbox.wait_for_token_requests(300)
        sandbox.release()
        answers = [connection.makefile("rb").read() for connection in connections]
    finally:
        for connection in connections:
            connection.close()

    assert {answer[:15] for answer in answers} == {b"HTTP/1.1 200 OK"}


def test_a_connection_is_kept_alive(caller: Caller) -> None:
    """Renewal through a pool is only tested if there is a pool to speak of."""
    with connected(caller.sandbox) as connection, connection.makefile("rb") as answers:
        for _ in range(2):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            while answers.readline() != b"\r\n":
                pass
            answers.read(len(caller.sandbox.banner))


def test_the_port_can_be_chosen_and_a_taken_one_is_an_error(sandbox: Sandbox) -> None:
    """Silently listening elsewhere would send a program to somebody else."""
    taken = urlsplit(sandbox.base_url).port or 0

    with pytest.raises(OSError, match=r"(?i)address already in use"):
        Sandbox(port=taken).start()
    assert repr(sandbox) == f"<Sandbox http://127.0.0.1:{taken}>"


def test_before_it_starts_it_has_no_address() -> None:
    """A URL with port 0 would fail much later, and strangely."""
    sandbox = Sandbox()

    assert repr(sandbox) == "<Sandbox, not started>"
    with pytest.raises(RuntimeError, match="before it is started"):
        sandbox.exports()


@pytest.mark.parametrize(
    ("host", "url", "warns"),
    [
        ("127.0.0.1", "http://127.0.0.1:", False),
        ("localhost", "http://localhost:", False),
        ("::1", "http://[::1]:", False),
        ("0.0.0.0", "http://127.0.0.1:", True),  # noqa: S104 - binding everywhere is what is tested
        ("::", "http://[::1]:", True),
    ],
)
def test_whoever_lets_other_machines_in_is_warned(host: str, url: str, warns: bool) -> None:
    """Its switches have no password."""
    with Sandbox(host=host) as sandbox:
        answer = httpx.get(sandbox.base_url, trust_env=False)

        assert sandbox.base_url.startswith(url)
        assert ("other machines" in sandbox.exposure_warning) == warns
        assert ("other machines" in answer.text) == warns


def test_a_name_that_is_not_loopback_is_warned_about() -> None:
    """A host name may lead anywhere."""
    assert Sandbox(host="example.test").exposure_warning


@pytest.mark.shows_secrets("output")
def test_the_exports_can_be_pasted_into_a_shell() -> None:
    """Quoted, so that a password with a quote or a dollar arrives as it is."""
    with Sandbox(account=Account(password="it's $5")) as sandbox:
        lines = sandbox.exports()
        script = "\n".join(
            [
                *lines,
                'printf "%s\\n" "$DAXKO_BASE_URL" "$DAXKO_USERNAME" "$DAXKO_PASSWORD" "$DAXKO_REFRESH_TOKEN"',
            ]
        )
        shown = subprocess.run(  # noqa: S603 - our own lines, which are what is tested
            ["/bin/sh", "-c", script], capture_output=True, text=True, check=True
        ).stdout

        assert all(line.startswith("export DAXKO_") for line in lines)
        assert shown.splitlines() == [sandbox.base_url, sandbox.username, sandbox.password, sandbox.refresh_token]


def test_ctrl_c_ends_it_cleanly(sandbox: Sandbox) -> None:
    """An operator stops it with the keyboard and expects no traceback."""
    serving = sandbox._serving
    assert serving is not None

    def interrupt() -> None:
        eventually(lambda: bool(serving._waiting))
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    sandbox.serve_until_interrupted()
    interrupting.join()

    assert our_threads() == []


@pytest.mark.parametrize("step", range(5))
def test_ctrl_c_ends_it_wherever_it_comes_on_the_way_to_the_wait(step: int) -> None:
    """An interrupt between two steps once left a lock behind, and closing waited for that lock for ever."""
    steps = itertools.count()

    def interrupt(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code is Serving.wait.__code__ and event == "line" and next(steps) == step:
            raise KeyboardInterrupt
        return interrupt

    with Sandbox() as sandbox:
        traced = sys.gettrace()
        sys.settrace(interrupt)
        try:
            sandbox.serve_until_interrupted()
        finally:
            sys.settrace(traced)

    assert our_threads() == []


def test_another_thread_can_end_it(sandbox: Sandbox) -> None:
    """Waiting ends when it is closed, and at once if it is."""
    closing = threading.Thread(target=sandbox.close)
    closing.start()
    sandbox.serve_until_interrupted()
    closing.join()
    sandbox.serve_until_interrupted()

    assert our_threads() == []


def test_a_failure_of_ours_is_heard(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Quiet about traffic, not about defects: nobody should debug a program because of its sandbox."""
    sandbox._judged = lambda *_: 1 / 0  # type: ignore[method-assign, assignment]

    assert httpx.get(sandbox.base_url, trust_env=False).status_code == 500
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == ["daxko_auth.sandbox"]


def test_other_servers_of_the_process_stay_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    """The loggers of uvicorn belong to whoever runs uvicorn here."""
    access = logging.getLogger("uvicorn.access")
    before = (access.level, list(access.handlers), access.propagate)
    with Sandbox():
        pass

    assert (access.level, list(access.handlers), access.propagate) == before


def test_it_listens_on_this_machine_only_unless_told_otherwise() -> None:
    """Its switches have no password, and a base_url of 127.0.0.1 does not prove where it listens."""
    with Sandbox() as sandbox:
        assert sandbox._serving is not None
        assert sandbox._serving._listener.getsockname()[0] == "127.0.0.1"


def test_without_a_file_for_its_loop_it_says_so_and_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts it waits for its thread; that one has ended."""
    sandbox = Sandbox()

    def refuse() -> asyncio.AbstractEventLoop:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "SelectorEventLoop", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            sandbox.start()
    with sandbox:
        assert httpx.get(sandbox.base_url, trust_env=False).status_code == 200


def test_a_connection_that_the_machine_refuses_is_no_defect_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """Asyncio would log a traceback; it tries again by itself."""
    with asyncio.Runner() as runner:
        refused = OSError(errno.EMFILE, "Too many open files")
        serving._handle(runner.get_loop(), {"message": "no connection accepted", "exception": refused})
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []

        serving._handle(runner.get_loop(), {"message": "a defect", "exception": ZeroDivisionError()})
        assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == ["asyncio"]

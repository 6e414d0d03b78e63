"""The connections a token request travels by: our own, closed afterwards, or the user's, left open."""

import asyncio
import contextvars
import socket
import threading
import traceback

import httpx
import pytest
from asking import AskOnce
from raw_server import RawServer, answer, everything_about

from daxko_auth.model.errors import TokenEndpointUnavailable, TokenRequestError, TokenResponseInvalid
from daxko_auth.model.tokens import AccessToken
from daxko_auth.sandbox import Sandbox

GRANTED = b'{"access_token": "canary", "expires_in": "86400"}'
REQUEST_ID: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")


class OwnTransport(httpx.HTTPTransport):
    """A transport of the user's, which notices what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.closed = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Note what the program says of itself, and send."""
        self.requests.append(REQUEST_ID.get())
        return super().handle_request(request)

    def close(self) -> None:
        """Note and close."""
        self.closed += 1
        super().close()


class FailingTransport(httpx.BaseTransport):
    """A transport of the user's, with a mistake in it."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Fail."""
        raise self.error


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "302 Found", "503 Busy"])
def test_no_connection_of_ours_is_left_open(ask_once: AskOnce, status: str) -> None:
    """Token requests are rare: a connection kept for the next would be idle for a day, once per customer."""
    closed = threading.Event()

    def answer_and_wait(connection: socket.socket, stopped: threading.Event) -> None:
        connection.sendall(answer(GRANTED, status, Connection="keep-alive", Location="/elsewhere"))
        if connection.recv(1) == b"" and not stopped.is_set():
            closed.set()

    with RawServer(answer_and_wait) as server:
        ask_once(base_url=server.base_url)
        closed.wait()
        assert len(server.requests) == 1


def test_a_transport_given_is_used_and_left_open(sandbox: Sandbox, ask_once: AskOnce) -> None:
    """It belongs to the user, with its certificates, proxies and connections."""
    transport = OwnTransport()
    for count in (1, 2):
        assert isinstance(ask_once(transport=transport), AccessToken)
        assert len(transport.requests) == count == sandbox.token_requests()
    assert transport.closed == 0
    transport.close()


def test_a_transport_given_runs_in_the_callers_context(ask_once: AskOnce) -> None:
    """Tracing and logging go by context variables, and the request runs on another thread."""
    transport = OwnTransport()
    REQUEST_ID.set("request 7")
    ask_once(transport=transport)
    transport.close()
    assert transport.requests == ["request 7"]


def test_redirects_and_sizes_are_limited_on_a_transport_given_too(sandbox: Sandbox, ask_once: AskOnce) -> None:
    """What protects the credentials does not depend on who opened the connection."""
    transport = OwnTransport()
    sandbox.fail_next(1, "redirect", status=307, location="/v3/elsewhere")
    sandbox.fail_next(1, "answer", body=b" " * 100_000)
    outcomes = [ask_once(transport=transport) for _ in range(2)]
    transport.close()
    assert [type(outcome) for outcome in outcomes] == [TokenResponseInvalid, TokenResponseInvalid]
    assert len(sandbox.log) == 2


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("canary"),
        OSError("canary"),
        TimeoutError("canary"),
        RuntimeError("canary"),
        httpx.LocalProtocolError("Illegal header value b'Bearer canary'"),
        httpx.InvalidURL("canary"),
        httpx.TooManyRedirects("canary"),
        asyncio.CancelledError("canary"),
        SystemExit("canary"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_mistake_in_a_transport_given_is_named_and_blamed(ask_once: AskOnce, error: BaseException) -> None:
    """Callers wait for this thread: whatever is raised there must reach them as an error of ours."""
    outcome = ask_once(transport=FailingTransport(error))
    assert type(outcome) is TokenRequestError
    assert f"could not be asked ({type(error).__name__}). Check the transport given as http=" in str(outcome)
    assert (outcome.scope, outcome.status_code, outcome.retryable) == ("client:9999", None, False)
    assert "canary" not in everything_about(outcome)


def test_ctrl_c_goes_on_to_the_caller_without_the_request(ask_once: AskOnce) -> None:
    """Where no thread can be had, the request is made in the caller's own: Ctrl-C is meant for the program."""
    with pytest.raises(KeyboardInterrupt) as caught:
        ask_once(transport=FailingTransport(KeyboardInterrupt()))
    frames = [frame for frame, _ in traceback.walk_tb(caught.tb) if frame.f_code.co_name == "handle_request"]
    assert frames
    assert all(frame.f_locals == {} for frame in frames)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ReadTimeout("canary"), "did not answer in time (ReadTimeout)"),
        (httpx.PoolTimeout("canary"), "did not answer in time (PoolTimeout)"),
        (httpx.ConnectError(""), "could not be reached (ConnectError: no reason given)"),
        (httpx.ConnectError("name unknown\r\n"), "could not be reached (ConnectError: name unknown)"),
        (httpx.RemoteProtocolError("illegal header line: b'canary'"), "(RemoteProtocolError: illegal header line)"),
        (httpx.RemoteProtocolError(""), "did not answer in HTTP (RemoteProtocolError: no reason given)"),
    ],
)
def test_a_network_in_trouble_is_described_and_can_be_asked_again(
    ask_once: AskOnce, error: Exception, said: str
) -> None:
    """The reason helps; the line of the answer that was at fault does not belong into a message."""
    outcome = ask_once(transport=FailingTransport(error))
    assert type(outcome) is TokenEndpointUnavailable
    assert said in str(outcome)
    assert "canary" not in everything_about(outcome)


def test_a_reason_that_repeats_a_secret_is_masked(sandbox: Sandbox, ask_once: AskOnce) -> None:
    """An exception may quote what could not be sent."""
    error = httpx.ConnectError(f"could not send {sandbox.password} and Bearer {sandbox.refresh_token}")
    outcome = ask_once(transport=FailingTransport(error))
    assert isinstance(outcome, TokenRequestError)
    assert "could not send *** and Bearer ***" in str(outcome)
    everything = everything_about(outcome)
    assert sandbox.password not in everything
    assert sandbox.refresh_token not in everything

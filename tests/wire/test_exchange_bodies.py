"""Answers that are too long, or compressed although nothing compressed was asked for."""

import gzip
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from functools import partial

import httpx
import pytest
from asking import AskOnce
from raw_server import Behaviour, RawServer, answer, dripping, everything_about, saying
from support import PATIENCE

from daxko_auth.model.errors import TokenEndpointUnavailable, TokenRefused, TokenResponseInvalid
from daxko_auth.model.tokens import AccessToken
from daxko_auth.wire.transports import LARGEST_ANSWER

GRANTED = b'{"access_token": "canary", "expires_in": "86400"}'


def test_an_answer_of_the_largest_size_is_read(ask_once: AskOnce) -> None:
    """The cap is far above every token, and counts exactly."""
    with RawServer(saying(answer(GRANTED.ljust(LARGEST_ANSWER)))) as server:
        assert isinstance(ask_once(base_url=server.base_url), AccessToken)


@pytest.mark.parametrize("header", ["Content-Type", "WWW-Authenticate", "Retry-After", "Date", "Location"])
def test_a_header_of_any_letters_does_no_harm(ask_once: AskOnce, header: str) -> None:
    """Header values are bytes; a proxy that signs its name with an accent must not cost the token."""
    headers = "".join(f"{header}: {value}\r\n" for value in ("ä", "\U0001f511"))
    said = b"HTTP/1.1 200 OK\r\n" + headers.encode() + b"X: \xff\r\nContent-Length: %d\r\n\r\n" % len(GRANTED) + GRANTED
    for bytes_of_header in (said, said.replace("ä".encode(), b"\xff")):
        with RawServer(saying(bytes_of_header)) as server:
            assert isinstance(ask_once(base_url=server.base_url), AccessToken)


def test_one_byte_more_is_not(ask_once: AskOnce) -> None:
    """Somebody else answers."""
    with RawServer(saying(answer(GRANTED.ljust(LARGEST_ANSWER + 1)))) as server:
        outcome = ask_once(base_url=server.base_url)
    assert type(outcome) is TokenResponseInvalid
    assert "answered with a body that cannot be read (AnswerTooLarge)" in str(outcome)
    assert outcome.status_code == 200
    assert "canary" not in everything_about(outcome)


# How a body does not arrive as a whole, behind the status and the headers of the answer.
UNREADABLE = {
    "cut": saying(b"Content-Length: 1000\r\n\r\n{"),
    "too long": saying(b"Content-Length: 70000\r\n\r\n" + b" " * 70_000),
    "no chunks": saying(b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "slow": dripping(b"Content-Length: 60000\r\n\r\n", b" "),
    "stopped": dripping(b"Content-Length: 60000\r\n\r\n", b""),
}


@pytest.fixture(params=UNREADABLE)
def unreadable(request: pytest.FixtureRequest) -> Callable[..., Behaviour]:
    """Return what makes a behaviour: to send a head, and then a body that cannot be read."""

    def unreadable(status: str, content_type: str = "application/json", **headers: str) -> Behaviour:
        head = answer(b"", status, content_type, **headers).replace(b"Content-Length: 0\r\n", b"")

        def behave(connection: socket.socket, stopped: threading.Event) -> None:
            connection.sendall(head.removesuffix(b"\r\n"))
            UNREADABLE[request.param](connection, stopped)

        return behave

    return unreadable


@pytest.fixture
def ask_in_time(request: pytest.FixtureRequest, ask_once: AskOnce) -> AskOnce:
    """Ask with a limit that is reached where the body never ends, and only there."""
    ends = request.node.callspec.params["unreadable"] not in {"slow", "stopped"}
    return partial(ask_once, timeout=PATIENCE if ends else 0.5)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_counts_whatever_becomes_of_its_body(
    ask_in_time: AskOnce, unreadable: Callable[..., Behaviour], status: int
) -> None:
    """A wrong password must not be sent again and again because a gateway cuts its answers."""
    with RawServer(unreadable(f"{status} No")) as server:
        outcome = ask_in_time(base_url=server.base_url)
        assert len(server.requests) == 1
    assert type(outcome) is TokenRefused
    assert (outcome.status_code, outcome.retryable, outcome.server_said) == (status, False, None)
    assert f"refused ({status}, no reason: its body could not be read). Check the username, pass" in str(outcome)
    everything_about(outcome)


def test_a_page_in_place_of_a_refusal_is_known_without_its_body(
    ask_in_time: AskOnce, unreadable: Callable[..., Behaviour]
) -> None:
    """Nothing is wrong with the password."""
    with RawServer(unreadable("403 Forbidden", "text/html")) as server:
        outcome = ask_in_time(base_url=server.base_url)
    assert type(outcome) is TokenResponseInvalid
    assert (outcome.status_code, outcome.retryable) == (403, False)
    assert "answered 403 with text/html, with a body that could not be read. Check that DAXKO_BASE_URL" in str(outcome)


def test_a_wait_that_is_asked_for_counts_without_the_body(
    ask_in_time: AskOnce, unreadable: Callable[..., Behaviour]
) -> None:
    """A limit of the rate is the account's, and a page of 70 KB about it changes nothing."""
    with RawServer(unreadable("429 Too Many Requests", Retry_After="7")) as server:
        outcome = ask_in_time(base_url=server.base_url)
    assert type(outcome) is TokenEndpointUnavailable
    assert (outcome.status_code, outcome.retryable, outcome.retry_after) == (429, True, 7)


def test_a_transport_that_reads_bodies_itself_loses_no_status(ask_once: AskOnce) -> None:
    """Logging transports do: what they raise comes before the answer."""

    class Reading(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            response.read()
            return response

    cut = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 1000\r\n\r\n{"
    with RawServer(saying(cut)) as server, Reading() as transport:
        outcome = ask_once(base_url=server.base_url, transport=transport)
    assert type(outcome) is TokenRefused
    assert outcome.status_code == 401


def test_an_endless_answer_is_hung_up_on(ask_once: AskOnce) -> None:
    """It would fill the memory; the server sees the connection close instead."""
    hung_up = threading.Event()

    def pour(connection: socket.socket, stopped: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        try:
            while not stopped.is_set():
                connection.sendall(b" " * 65_536)
        except OSError:
            hung_up.set()

    with RawServer(pour) as server:
        outcome = ask_once(base_url=server.base_url)
        hung_up.wait()
    assert type(outcome) is TokenResponseInvalid


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(GRANTED, mtime=0)),
        ("deflate", zlib.compress(GRANTED)),
        ("gzip", b"\x1f\x8b\x08\x00junk"),
        ("gzip", b"junk"),
        ("br", b"junk"),
        ("zstd", b"junk"),
    ],
)
def test_a_compressed_answer_is_left_compressed(ask_once: AskOnce, encoding: str, body: bytes) -> None:
    """It was asked not to be, and what it unfolds into has no limit; the status still counts."""
    with RawServer(saying(answer(body, Content_Encoding=encoding))) as server:
        outcome = ask_once(base_url=server.base_url)
    assert type(outcome) is TokenResponseInvalid
    assert "status 200 with a body that is not a JSON object" in str(outcome)
    with RawServer(saying(answer(body, "503 Busy", Content_Encoding=encoding))) as server:
        outcome = ask_once(base_url=server.base_url)
    assert type(outcome) is TokenEndpointUnavailable


def test_a_compressed_bomb_does_not_go_off(ask_once: AskOnce) -> None:
    """Fifty megabytes of blanks fit below the cap once compressed, and a thousand times that with other codings."""
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < LARGEST_ANSWER
    with RawServer(saying(answer(bomb, Content_Encoding="gzip"))) as server:
        ask_once(base_url=server.base_url)
        tracemalloc.start()
        try:
            outcome = ask_once(base_url=server.base_url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert type(outcome) is TokenResponseInvalid
    assert peak < 10_000_000


NO_ANSWERS = {
    "HTML": (b"<html><head><title>Busy</title></head><body>canary</body></html>", "text/html", ""),
    "empty": (b"", "application/json", ""),
    "list": (b"[]", "application/json", ""),
    "text": (b'"ok"', "application/json", ""),
    "mislabelled": (b"<html>canary</html>", "application/json", ""),
    "not UTF-8": (b'{"access_token": "canary\xff"}', "application/json", ""),
    "byte order mark": (b"\xef\xbb\xbf" + GRANTED, "application/json", ""),
    "gzip junk": (b"\x1f\x8b\x08canary", "application/json", "gzip"),
    "truncated": (GRANTED[:-2], "application/json", ""),
    "no type": (b"canary", "", ""),
}


@pytest.mark.parametrize("status", ["200 OK", "502 Bad Gateway"])
@pytest.mark.parametrize(("body", "content_type", "encoding"), NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_no_body_is_a_parsers_error(
    ask_once: AskOnce, status: str, body: bytes, content_type: str, encoding: str
) -> None:
    """A JSONDecodeError says nothing of the load balancer that answered; status and content type do."""
    headers = {"Content_Encoding": encoding} if encoding else {}
    with RawServer(saying(answer(body, status, content_type, **headers))) as server:
        outcome = ask_once(base_url=server.base_url)

    assert type(outcome) is (TokenResponseInvalid if status == "200 OK" else TokenEndpointUnavailable)
    assert outcome.status_code == int(status[:3])
    assert status[:3] in str(outcome)
    assert f"({content_type or 'no content type'}" in str(outcome)
    assert ('titled "Busy"' in str(outcome)) == (b"<title>" in body)
    assert "canary" not in everything_about(outcome)

"""The transports around transports, each by itself: what they let through, cap, cut and leave to the parent."""

import socket
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from support import PATIENCE

from daxko_auth.model.origin import Origin
from daxko_auth.wire.transports import (
    LARGEST_ANSWER,
    LOCATION_SEEN,
    AnswerTooLarge,
    AsyncOwnedTransport,
    CappedTransport,
    Line,
    OwnedTransport,
)

DAXKO = Origin.of("https://api.daxko.com")
REQUEST = httpx.Request("GET", "https://api.daxko.com/v3")


class _Stream:
    """A connection as httpcore shows it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def get_extra_info(self, name: str) -> socket.socket | None:
        """Give the socket and nothing else."""
        return self._connection if name == "socket" else None


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give both ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("cut_first", [False, True])
def test_a_line_is_cut_now_or_as_soon_as_there_is_one(
    ends: tuple[socket.socket, socket.socket], cut_first: bool
) -> None:
    """The time may be up while the name is still being looked up."""
    ours, theirs = ends
    line = Line()
    if cut_first:
        line.cut()
    line.watch("connect_tcp.started", {"host": "api.daxko.com"})
    line.watch("connect_tcp.complete", {"return_value": _Stream(ours)})
    line.watch("send_request_headers.complete", {"return_value": None})
    if not cut_first:
        line.cut()

    assert theirs.recv(1) == b""


def test_a_line_that_is_gone_already_may_be_cut(ends: tuple[socket.socket, socket.socket]) -> None:
    """The answer may end in the very moment in which the time is up."""
    line = Line()
    line.watch("connect_tcp.complete", {"return_value": _Stream(ends[0])})
    ends[0].close()
    line.cut()


def test_a_line_that_was_not_cut_stays(ends: tuple[socket.socket, socket.socket]) -> None:
    """To look at a connection is not to end it."""
    ours, theirs = ends
    Line().watch("connect_tcp.complete", {"return_value": _Stream(ours)})
    ours.sendall(b"x")

    assert theirs.recv(1) == b"x"


def _answering(content: bytes = b"", **headers: str) -> httpx.MockTransport:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.MockTransport(lambda _: httpx.Response(200, headers=fields, stream=httpx.ByteStream(content)))


def test_of_the_headers_those_are_kept_that_are_read() -> None:
    """Httpx makes something of others: a body that unfolds, a redirect that is followed."""
    kept = {"content-type": "a/b", "date": "now", "retry-after": "1", "www-authenticate": "Bearer"}
    sent = {name.replace("-", "_"): value for name, value in kept.items()}
    answer = CappedTransport(_answering(Location="/elsewhere", Set_Cookie="a=b", Link="<x>", **sent)).handle_request(
        REQUEST
    )

    assert dict(answer.headers) == {**kept, LOCATION_SEEN.lower(): "/elsewhere"}


def test_64_kib_are_read_and_not_a_byte_more() -> None:
    """A token response has some hundred bytes; who sends more has something else in mind."""
    assert LARGEST_ANSWER == 65_536
    whole = CappedTransport(_answering(b"x" * LARGEST_ANSWER)).handle_request(REQUEST)
    assert len(whole.read()) == LARGEST_ANSWER

    with pytest.raises(AnswerTooLarge, match=r"^more than 65536 bytes$"):
        CappedTransport(_answering(b"x" * (LARGEST_ANSWER + 1))).handle_request(REQUEST).read()


@pytest.mark.parametrize(("seconds", "whole"), [(None, True), (PATIENCE, True), (-1.0, False)])
def test_a_body_is_read_as_long_as_there_is_time(seconds: float | None, whole: bool) -> None:
    """Httpx's own timeouts start anew with every read."""
    answer = CappedTransport(_answering(b"slow"), seconds=seconds).handle_request(REQUEST)
    if whole:
        assert answer.read() == b"slow"
    else:
        with pytest.raises(httpx.ReadTimeout, match=r"^the body came too slowly$"):
            answer.read()


def test_the_line_is_told_of_every_step() -> None:
    """The `trace` extension of a request is what httpcore calls."""
    line, seen = Line(), list[Any]()

    def look(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions.get("trace"))
        return httpx.Response(200)

    request = httpx.Request("GET", "https://api.daxko.com/v3")
    CappedTransport(httpx.MockTransport(look), line=line).handle_request(request)

    assert seen == [line.watch]


class _Inner(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A pool that complains, as httpx's does, when it is forgotten."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin

    def __del__(self) -> None:
        warnings.warn("unclosed", ResourceWarning, stacklevel=1)


@pytest.mark.parametrize("owned", [OwnedTransport, AsyncOwnedTransport])
def test_a_child_process_begins_anew_and_says_nothing_of_what_it_left(
    owned: Callable[[Callable[[Origin], Any], Origin], Any],
) -> None:
    """Two processes that send over one connection get each other's answers."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        transport = owned(_Inner, DAXKO)
        before = id(transport._transport), transport._transport.origin
        marker = transport._transport.__dict__["marker"] = object()
        transport.after_fork_in_child()

        assert transport._transport.origin == before[1] == DAXKO
        assert transport._transport.__dict__.get("marker") is not marker
        assert said == []
        warnings.simplefilter("ignore")
        transport._transport = None
        transport.after_fork_in_child()
        assert transport._transport is None, "what was closed stays closed"


def test_a_closed_transport_says_whose_it_was() -> None:
    """The program sees an httpx client, and the end was that of a Daxko around it."""
    transport = OwnedTransport(lambda _: _answering(), DAXKO)
    transport.close()
    with pytest.raises(RuntimeError) as caught:
        transport.handle_request(REQUEST)
    assert str(caught.value) == (
        "Cannot send a request, as the Daxko or AsyncDaxko whose connections these are has been closed."
    )

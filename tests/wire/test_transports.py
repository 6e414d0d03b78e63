"""The transports around transports, each by itself: what they let through, cap, cut and leave to the parent."""

import asyncio
import gc
import socket
import threading
import warnings
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from anyio.lowlevel import checkpoint, current_token
from support import PATIENCE

from daxko_auth.model.origin import Origin
from daxko_auth.wire.transports import (
    LARGEST_ANSWER,
    LOCATION_SEEN,
    AnswerTooLarge,
    AsyncOwnedTransport,
    CappedTransport,
    ConnectionHandle,
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


@pytest.mark.parametrize("end_first", [False, True])
def test_a_line_is_aborted_now_or_as_soon_as_there_is_one(
    ends: tuple[socket.socket, socket.socket], end_first: bool
) -> None:
    """The time may be up while the name is still being looked up."""
    ours, theirs = ends
    connection = ConnectionHandle(DAXKO)
    if end_first:
        connection.abort()
    connection.watch("connect_tcp.started", {"host": "api.daxko.com"})
    connection.watch("connect_tcp.complete", {"return_value": _Stream(ours)})
    connection.watch("send_request_headers.complete", {"return_value": None})
    if not end_first:
        connection.abort()

    assert theirs.recv(1) == b""


def test_a_connection_that_is_gone_already_may_be_ended(ends: tuple[socket.socket, socket.socket]) -> None:
    """The answer may end in the very moment in which the time is up."""
    connection = ConnectionHandle(DAXKO)
    connection.watch("connect_tcp.complete", {"return_value": _Stream(ends[0])})
    ends[0].close()
    connection.abort()


def test_a_connection_that_was_not_ended_stays(ends: tuple[socket.socket, socket.socket]) -> None:
    """To look at a connection is not to end it."""
    ours, theirs = ends
    ConnectionHandle(DAXKO).watch("connect_tcp.complete", {"return_value": _Stream(ours)})
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


def test_the_connection_is_told_of_every_step() -> None:
    """The `trace` extension of a request is what httpcore calls."""
    connection, seen = ConnectionHandle(DAXKO), list[Any]()

    def look(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions.get("trace"))
        return httpx.Response(200)

    request = httpx.Request("GET", "https://api.daxko.com/v3")
    CappedTransport(httpx.MockTransport(look), connection=connection).handle_request(request)

    assert seen == [connection.watch]
    assert connection.head is not None
    assert connection.head.status_code == 200


class _Sent:
    """A request as httpcore shows it."""

    def __init__(self, method: bytes) -> None:
        self.method = method


HEADERS = [(b"Content-Type", b"text/html"), (b"Location", b"/x"), (b"Set-Cookie", b"a=b")]


@pytest.mark.parametrize("head", [(b"HTTP/1.1", 401, b"Unauthorized", HEADERS), (401, HEADERS)], ids=["1.1", "2"])
def test_the_head_of_an_answer_is_known_before_its_body(head: tuple[object, ...]) -> None:
    """A transport of the program's own may read the body itself, and fail over it; the status counts all the same."""
    connection = ConnectionHandle(DAXKO)
    connection.watch("http11.receive_response_headers.started", {"request": _Sent(b"POST")})
    assert connection.head is None
    connection.watch("http11.receive_response_headers.complete", {"return_value": head})

    assert connection.head is not None
    assert connection.head.status_code == 401
    assert dict(connection.head.headers) == {"content-type": "text/html", LOCATION_SEEN.lower(): "/x"}


def test_what_a_proxy_says_to_a_tunnel_is_no_answer() -> None:
    """Its 200 is nobody's token, and its 403 is no refusal of the account."""
    connection = ConnectionHandle(DAXKO)
    connection.watch("http11.receive_response_headers.started", {"request": _Sent(b"CONNECT")})
    connection.watch("http11.receive_response_headers.complete", {"return_value": (b"HTTP/1.1", 403, b"No", HEADERS)})

    assert connection.head is None


class _Inner(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A pool that complains, as httpx's does, when it is forgotten with a connection open."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.is_open = False
        self.closed = 0
        made.append(weakref.ref(self))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.is_open = True
        return httpx.Response(200, json=made.index(weakref.ref(self)))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        return self.handle_request(request)

    def close(self) -> None:
        """Close."""
        self.is_open = False

    async def aclose(self) -> None:
        """Close, in a loop."""
        with anyio.CancelScope(shield=True):
            await checkpoint()
        self.is_open = False

    def __del__(self) -> None:
        if self.is_open:
            warnings.warn("unclosed", ResourceWarning, stacklevel=1)


#: Each pool, in the order in which they were made.
made: "list[weakref.ref[_Inner]]" = []


@pytest.fixture(autouse=True)
def none_made() -> None:
    """Begin each test without pools."""
    made.clear()


def is_gone(number: int) -> bool:
    """Whether nobody holds that pool any more."""
    gc.collect()
    return made[number]() is None


async def pool_of(transport: AsyncOwnedTransport) -> int:
    """Send, and return which pool answered."""
    response = await transport.handle_async_request(REQUEST)
    return int((await response.aread()).decode())


def test_a_child_process_begins_again_on_first_use_and_says_nothing_of_what_it_left() -> None:
    """Two processes that send over one connection get each other's answers; a child that sends nothing opens none."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        transport = OwnedTransport(_Inner, DAXKO)
        assert transport.handle_request(REQUEST).json() == 0
        transport.after_fork_in_child()
        assert is_gone(0)
        assert len(made) == 1
        assert transport.handle_request(REQUEST).json() == 1
        assert transport.handle_request(REQUEST).json() == 1
    assert said == []
    transport.close()
    transport.after_fork_in_child()
    with pytest.raises(RuntimeError, match="closed"):
        transport.handle_request(REQUEST)
    transport.close()


def test_a_child_process_leaves_the_loops_of_its_parent_alone() -> None:
    """The loop that would close the connections is the parent's, and is told nothing."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        transport = AsyncOwnedTransport(_Inner, DAXKO)

        async def main() -> int:
            before = await pool_of(transport)
            transport.after_fork_in_child()
            assert before == 0
            return await pool_of(transport)

        assert asyncio.run(main()) == 1
    assert said == []
    assert is_gone(0)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_each_run_of_a_loop_has_connections_of_its_own_which_end_with_it(backend: str) -> None:
    """`asyncio.run` for each invocation of a function, one AsyncDaxko for all of them: Lambda, Celery, Flask."""
    transport = AsyncOwnedTransport(_Inner, DAXKO)

    async def main() -> list[int]:
        return [await pool_of(transport) for _ in range(3)]

    for number in range(4):
        assert anyio.run(main, backend=backend) == [number] * 3
        assert is_gone(number), "closed and forgotten with its loop"
    assert len(made) == 4


def test_loops_at_once_do_not_share_connections() -> None:
    """A loop per thread is how blocking programs use async libraries."""
    transport = AsyncOwnedTransport(_Inner, DAXKO)
    together = threading.Barrier(2)

    async def main() -> tuple[int, int]:
        first = await pool_of(transport)
        await anyio.to_thread.run_sync(together.wait)
        return first, await pool_of(transport)

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(anyio.run, main, backend=backend) for backend in ("asyncio", "trio")]
    assert sorted(run.result() for run in runs) == [(0, 0), (1, 1)]


def test_a_loop_that_was_closed_without_being_shut_down_is_forgotten_by_the_next() -> None:
    """Its connections can be closed by nobody; they must not be used, and not be kept for ever."""
    transport = AsyncOwnedTransport(_Inner, DAXKO)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for number in range(3):
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(pool_of(transport)) == number
            loop.close()
        del loop
        assert asyncio.run(pool_of(transport)) == 3
        assert [is_gone(number) for number in range(3)] == [True] * 3


def test_a_loop_that_is_gone_altogether_is_forgotten_as_well() -> None:
    """Its place in memory may be another loop's already."""
    transport = AsyncOwnedTransport(_Inner, DAXKO)

    async def main() -> None:
        assert await pool_of(transport) == 0
        (own,) = transport._by_loop.values()
        elsewhere = own._replace(loop=weakref.ref(type("Loop", (), {})()))
        transport._by_loop[id(current_token().native_token)] = elsewhere
        assert await pool_of(transport) == 1
        await own.transport.aclose()

    asyncio.run(main())


def test_connections_are_closed_in_their_own_loop_and_then_no_more_are_made() -> None:
    """A pool that comes back to life after its end is a leak."""
    transport = AsyncOwnedTransport(_Inner, DAXKO)

    async def main() -> None:
        await pool_of(transport)
        await transport.aclose()
        assert is_gone(0)
        with pytest.raises(RuntimeError, match="closed"):
            await pool_of(transport)
        await transport.aclose()

    asyncio.run(main())


def test_threads_that_come_at_once_share_their_connections() -> None:
    """After a fork, the first use makes them, and there may be several."""
    transport = OwnedTransport(_Inner, DAXKO)
    transport.after_fork_in_child()
    kept = transport._made
    first = kept.setdefault("only", _Inner(DAXKO))
    assert transport.handle_request(REQUEST).json() == 1
    assert transport._made["only"] is first
    transport.close()


def test_a_closed_transport_says_whose_it_was() -> None:
    """The program sees an httpx client, and the end was that of a Daxko around it."""
    transport = OwnedTransport(lambda _: _answering(), DAXKO)
    transport.close()
    with pytest.raises(RuntimeError) as caught:
        transport.handle_request(REQUEST)
    assert str(caught.value) == (
        "Cannot send a request, as the Daxko or AsyncDaxko whose connections these are has been closed."
    )

"""
Transports around transports: one that ends, and one that reads no more than it should.
"""

import socket
import time
import warnings
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple, NoReturn, cast

import httpx

from daxko_auth.model.errors import UntrustedOriginError
from daxko_auth.model.fork import reset_after_fork
from daxko_auth.model.origin import Origin
from daxko_auth.wire.direct import require_direct

#: A token response has some hundred bytes; more than this is not read.
LARGEST_ANSWER: Final = 64 * 1024

#: Where the `Location` of an answer is found: httpx reads one even if it follows none, and fails if it is no URL.
LOCATION_SEEN: Final = "Location-Seen"

# Of other headers httpx would make something: of Content-Encoding a body that unfolds into any size after the cap.
_HEADERS_READ: Final = ("Content-Type", "Date", "Retry-After", "WWW-Authenticate")

_ONLY: Final = "only"
_CLOSED: Final = "Cannot send a request, as the Daxko or AsyncDaxko whose connections these are has been closed."


class OwnedTransport(httpx.BaseTransport):
    """
    Sends through a transport until it is closed, and never afterwards: httpx's own would open again.

    The last gate on the way out: no `Authorization` passes it but to `origin`.
    """

    def __init__(self, make: Callable[[Origin], httpx.BaseTransport], origin: Origin) -> None:
        self._make = make
        self._origin = origin
        self._closed = False
        # By `setdefault`, so that threads that come at once share one; after a fork, it is empty.
        self._made = {_ONLY: make(origin)}
        reset_after_fork(self)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, unless this is closed."""
        if self._closed:
            raise RuntimeError(_CLOSED)
        _keep_home(request, self._origin)
        made = self._made
        transport = made.get(_ONLY) or made.setdefault(_ONLY, self._make(self._origin))
        return transport.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        transport = self._made.pop(_ONLY, None)
        if transport is not None:
            transport.close()

    def after_fork_in_child(self) -> None:
        """Forget the connections: two processes that send over one get each other's answers."""
        with _left_to_the_parent():
            self._made = {}


class _LoopsOwn(NamedTuple):
    """The transport of one event loop, and what closes it when the loop ends."""

    loop: weakref.ref[Any]
    transport: httpx.AsyncBaseTransport
    closing: AsyncGenerator[None, None]


class AsyncOwnedTransport(httpx.AsyncBaseTransport):
    """
    The same for asyncio and trio.

    A connection belongs to the event loop that opened it. So each loop has a transport of its own, which is closed as
    the loop ends: `asyncio.run` may be called again and again.
    """

    def __init__(self, make: Callable[[Origin], httpx.AsyncBaseTransport], origin: Origin) -> None:
        self._make = make
        self._origin = origin
        self._closed = False
        # Made already, so that settings that are wrong are found here; the first loop takes it.
        self._spare = [make(origin)]
        self._by_loop: dict[int, _LoopsOwn] = {}
        reset_after_fork(self)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, unless this is closed."""
        if self._closed:
            raise RuntimeError(_CLOSED)
        _keep_home(request, self._origin)
        loop = _running_loop()
        own = self._by_loop.get(id(loop))
        if own is None or own.loop() is not loop:
            own = await self._open(loop)
        return await own.transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections of this event loop. Those of others are closed as they end."""
        self._closed = True
        own = self._by_loop.get(id(_running_loop()))
        if own is not None:
            await own.closing.aclose()

    def after_fork_in_child(self) -> None:
        """Forget the connections: they are the parent's, and so is the event loop they belong to."""
        self._spare = []
        self._forget(list(self._by_loop))

    def _forget(self, loops: list[int]) -> None:
        """Leave the connections of these loops to themselves: no loop can close them any more."""
        with _left_to_the_parent():
            forgotten = (self._by_loop.pop(key, None) for key in loops)
            closings = [own.closing for own in forgotten if own is not None]
            for closing in closings:
                # Run to its end here, where it finds nothing to wait for; its loop would be asked to otherwise.
                with suppress(StopIteration, RuntimeError):
                    closing.aclose().send(None)

    async def _open(self, loop: object) -> _LoopsOwn:
        # Loops that were closed without being shut down, which would have closed their connections.
        self._forget([key for key, other in list(self._by_loop.items()) if _has_ended(other.loop())])
        try:
            transport = self._spare.pop()
        except IndexError:
            transport = self._make(self._origin)
        closing = _closed_at_the_end(self._by_loop, id(loop))
        own = self._by_loop[id(loop)] = _LoopsOwn(weakref.ref(loop), transport, closing)
        # Loops close the asynchronous generators that were begun in them when they end, and nothing else.
        await anext(closing)
        return own


async def _closed_at_the_end(by_loop: dict[int, _LoopsOwn], key: int) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        own = by_loop.pop(key, None)
        if own is not None:
            await own.transport.aclose()


def _running_loop() -> object:
    # Imported where a task sends: a program of threads never needs it.
    from anyio.lowlevel import current_token  # noqa: PLC0415

    return current_token().native_token


def _has_ended(loop: Any) -> bool:  # noqa: ANN401 - of asyncio, or what stands for a run of trio
    if loop is None:
        return True
    # A run of trio closes its generators itself, always.
    is_closed = getattr(loop, "is_closed", None)
    return is_closed is not None and is_closed()


@contextmanager
def _left_to_the_parent() -> Generator[None, None, None]:
    # Not closed but forgotten: closing takes locks that a thread of the parent may hold, and speaks to an event
    # loop that the parent watches. Python then closes this process's copies, and need not complain.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield


def _keep_home(request: httpx.Request, origin: Origin) -> None:
    # Whoever attached it has judged the URL, but a hook of the program may have changed it since; and of redirects
    # from http to https httpx keeps the header.
    if "Authorization" in request.headers:
        origin.require(request.url)


class AnswerTooLarge(httpx.TransportError):
    """The body was longer than `LARGEST_ANSWER` and the rest was not read."""


class Head(NamedTuple):
    """An answer without its body."""

    status_code: int
    #: Those that are read.
    headers: httpx.Headers
    content: bytes = b""


class ConnectionHandle:
    """A request under way, for another thread: how to end it, and what was answered until then."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._is_plain = origin.base_url.startswith("http://")
        self._asks_a_proxy = False
        self._socket: socket.socket | None = None
        self._is_aborted = False
        #: The answer, as far as it has come: a body may never end, or be cut, but its status counts.
        self.head: Head | None = None

    def abort(self) -> None:
        """Hang up, now or as soon as there is a connection. Whoever reads from it reads the end."""
        self._is_aborted = True
        if self._socket is not None:
            # Shut down, not closed: another thread reads from it, and its number must not become somebody else's.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def watch(self, step: str, info: Mapping[str, Any]) -> None:
        """
        Be told by httpcore of each step of a request (its `trace` extension).

        Raises:
            UntrustedOriginError: over plain http, it would reach a proxy or another server. Nothing was sent.
        """
        if self._is_plain:
            require_direct(self._origin, step, info, _refuse_proxy)
        stream_info = getattr(info.get("return_value"), "get_extra_info", None)
        if stream_info is not None:
            self._socket = stream_info("socket")
            if self._is_aborted:
                self.abort()

        if step.endswith(".receive_response_headers.started"):
            self._asks_a_proxy = info["request"].method == b"CONNECT"
        elif step.endswith(".receive_response_headers.complete") and not self._asks_a_proxy:
            # Here already, as a transport of the program's own may read the body before it hands the answer over.
            # Of HTTP/1.1: version, status, reason and headers. Of HTTP/2: status and headers.
            *_, status, headers = (part for part in info["return_value"] if not isinstance(part, bytes))
            self.note(status, httpx.Headers(headers))

    def note(self, status: int, headers: httpx.Headers) -> None:
        """Take in the head of an answer."""
        self.head = Head(status, _read_headers(headers))


def _refuse_proxy() -> NoReturn:
    raise UntrustedOriginError(
        "the transport given as http= has a proxy, which would read the password and the refresh token, as they travel "
        "over plain http. Pass one without a proxy"
    )


class CappedTransport(httpx.BaseTransport):
    """Sends through another transport, which it leaves open, and reads no answer that is too long to be one."""

    def __init__(
        self,
        transport: httpx.BaseTransport,
        *,
        seconds: float | None = None,
        connection: ConnectionHandle | None = None,
    ) -> None:
        """Stop reading `seconds` after sending, too: httpx's own timeouts start anew with every read."""
        self._transport = transport
        self._seconds = seconds
        self._connection = connection

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and hand over the answer with its body capped."""
        until = None if self._seconds is None else time.monotonic() + self._seconds
        if self._connection is not None:
            request.extensions["trace"] = self._connection.watch
        response = self._transport.handle_request(_uncompressed(request))
        if self._connection is not None:
            self._connection.note(response.status_code, response.headers)
        return _capped(response, until)


class AsyncCappedTransport(httpx.AsyncBaseTransport):
    """The same for asyncio and trio."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and hand over the answer with its body capped."""
        return _capped(await self._transport.handle_async_request(_uncompressed(request)), None)


def _uncompressed(request: httpx.Request) -> httpx.Request:
    request.headers["Accept-Encoding"] = "identity"
    return request


def _capped(response: httpx.Response, until: float | None) -> httpx.Response:
    response.headers = _read_headers(response.headers)
    response.stream = _CappedStream(response.stream, until)
    return response


def _read_headers(headers: httpx.Headers) -> httpx.Headers:
    location = headers.get("Location")
    kept = {name: headers[name] for name in _HEADERS_READ if name in headers}
    # Not in ASCII, as httpx would have it: servers send any letters.
    return httpx.Headers(kept if location is None else kept | {LOCATION_SEEN: location}, encoding="utf-8")


class _CappedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream | httpx.AsyncByteStream, until: float | None) -> None:
        self._stream = stream
        self._until = until
        self._received = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in cast("httpx.SyncByteStream", self._stream):
            yield self._counted(chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(cast("httpx.AsyncByteStream", self._stream))
        async for chunk in chunks:
            try:
                counted = self._counted(chunk)
            except AnswerTooLarge:
                await self._run_out(chunks)
                raise
            yield counted

    async def _run_out(self, chunks: AsyncIterator[bytes]) -> None:
        # trio warns of generators that are left in the middle. Closed, the connection gives what was received already.
        await self.aclose()
        with suppress(Exception):
            for _ in range(LARGEST_ANSWER):
                await anext(chunks)

    def _counted(self, chunk: bytes) -> bytes:
        if self._until is not None and time.monotonic() > self._until:
            raise httpx.ReadTimeout("the body came too slowly")
        self._received += len(chunk)
        if self._received > LARGEST_ANSWER:
            msg = f"more than {LARGEST_ANSWER} bytes"
            raise AnswerTooLarge(msg)
        return chunk

    def close(self) -> None:
        cast("httpx.SyncByteStream", self._stream).close()

    async def aclose(self) -> None:
        await cast("httpx.AsyncByteStream", self._stream).aclose()

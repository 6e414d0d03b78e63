"""
The HTTP that token requests travel by: ours alone, and short.

No hook, cookie, redirect or missing timeout of the user's program touches it. The refresh token is
attached here and is refused to every path but the one it is for.
"""

import contextvars
import functools
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, TypeVar, cast
from urllib.request import getproxies, proxy_bypass

import httpx

from daxko_auth.facts.errors import CredentialsError
from daxko_auth.facts.origin import Origin, is_loopback
from daxko_auth.facts.vendor import BearerKind, bearer_for

#: A token response has some hundred bytes; more than this is not read.
LARGEST_ANSWER: Final = 64 * 1024

#: Where the `Location` of an answer is found: httpx reads one even if it follows none, and fails if it is no URL.
LOCATION_SEEN: Final = "Location-Seen"

# Of other headers httpx would make something: of Content-Encoding a body that unfolds into any size after the cap.
_HEADERS_READ: Final = ("Content-Type", "Date", "Retry-After", "WWW-Authenticate")

_Result = TypeVar("_Result")


class BearerAuth(httpx.Auth):
    """One bearer of a known kind for requests to one origin, and only where that kind belongs."""

    def __init__(self, kind: BearerKind, reveal: Callable[[], str], origin: Origin) -> None:
        self._kind = kind
        self._reveal = reveal
        self._origin = origin

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """
        Attach the bearer and send once.

        Raises:
            UntrustedOriginError: another origin.
            CredentialsError: a path that takes the other kind of bearer.
        """
        self._origin.require(request.url)
        if bearer_for(request.url.path) is not self._kind:
            msg = f"{request.url.path} does not take the {self._kind.value}; nothing was sent"
            raise CredentialsError(msg)
        request.headers["Authorization"] = f"Bearer {self._reveal()}"
        yield request


class BorrowedTransport(httpx.BaseTransport):
    """Sends through a transport that belongs to somebody else, and leaves it open."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send through the owner's connections."""
        return self._transport.handle_request(request)


class AsyncBorrowedTransport(httpx.AsyncBaseTransport):
    """The same for asyncio and trio."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send through the owner's connections."""
        return await self._transport.handle_async_request(request)


class AnswerTooLarge(httpx.TransportError):
    """The body was longer than `LARGEST_ANSWER` and the rest was not read."""


class CappedTransport(httpx.BaseTransport):
    """Sends through another transport and stops reading an answer that is too long to be one."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and hand over the answer with its body capped."""
        return _capped(self._transport.handle_request(_uncompressed(request)))

    def close(self) -> None:
        """Close the other transport."""
        self._transport.close()


class AsyncCappedTransport(httpx.AsyncBaseTransport):
    """The same for asyncio and trio."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and hand over the answer with its body capped."""
        return _capped(await self._transport.handle_async_request(_uncompressed(request)))

    async def aclose(self) -> None:
        """Close the other transport."""
        await self._transport.aclose()


def _uncompressed(request: httpx.Request) -> httpx.Request:
    request.headers["Accept-Encoding"] = "identity"
    return request


def _capped(response: httpx.Response) -> httpx.Response:
    location = response.headers.get("Location")
    kept = {name: response.headers[name] for name in _HEADERS_READ if name in response.headers}
    response.headers = httpx.Headers(kept if location is None else kept | {LOCATION_SEEN: location})
    response.stream = _CappedStream(response.stream)
    return response


class _CappedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream | httpx.AsyncByteStream) -> None:
        self._stream = stream
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
        self._received += len(chunk)
        if self._received > LARGEST_ANSWER:
            msg = f"more than {LARGEST_ANSWER} bytes"
            raise AnswerTooLarge(msg)
        return chunk

    def close(self) -> None:
        cast("httpx.SyncByteStream", self._stream).close()

    async def aclose(self) -> None:
        await cast("httpx.AsyncByteStream", self._stream).aclose()


def new_transport(origin: Origin) -> httpx.HTTPTransport:
    """Return a pool of connections, through the proxy the environment asks for."""
    return httpx.HTTPTransport(verify=_certificates(), proxy=proxy_for(origin))


def new_async_transport(origin: Origin) -> httpx.AsyncHTTPTransport:
    """Return the same for asyncio and trio."""
    return httpx.AsyncHTTPTransport(verify=_certificates(), proxy=proxy_for(origin))


@functools.cache
def _certificates() -> ssl.SSLContext:
    # Loading them is by far the slowest part of making a connection; it is done once.
    return httpx.create_ssl_context()


def proxy_for(origin: Origin) -> str | None:
    """
    Return the proxy the environment asks for, as httpx itself would use it.

    Never for loopback, which is where the only plain http may go.
    """
    url = httpx.URL(origin.base_url)
    if is_loopback(url.raw_host.decode("ascii")) or proxy_bypass(url.netloc.decode("ascii")):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def run_within(seconds: float, call: Callable[[], _Result]) -> _Result:
    """
    Return what `call` returns.

    httpx has no total deadline: its timeouts start anew with every read, and name resolution has
    none. So the call runs on a thread of its own and is left behind when the time is up.

    Raises:
        TimeoutError: `seconds` have passed.
    """
    outcome: Future[_Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
            outcome.set_exception(error)

    # The caller's context goes along: a transport of somebody's own may trace or log by it.
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name="daxko-auth exchange", daemon=True).start()
    return outcome.result(timeout=seconds)

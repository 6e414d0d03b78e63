"""A 401 whose body cannot be read: its status is known, so the token that was refused is not used again."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
from adapters.drivers import DRIVERS, granted
from raw_server import Behaviour, RawServer, answer, saying

from daxko_auth import AiohttpAuth, AsyncDaxko, Daxko, DaxkoAuth, Httpx2Auth, TokenSource

CUT = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n{"
MISLABELLED = b"HTTP/1.1 401 Unauthorized\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
OK = answer(b"{}", Connection="close")


def by_daxko(source: TokenSource, _: int, method: str, url: str) -> object:
    """Send with `Daxko.http`."""
    with Daxko(source.credentials, 9999, source=source) as daxko:
        return daxko.http.request(method, url)


def by_async_daxko(source: TokenSource, _: int, method: str, url: str) -> object:
    """Send with `AsyncDaxko.http`."""

    async def main() -> object:
        async with AsyncDaxko(source.credentials, 9999, source=source) as daxko:
            return await daxko.http.request(method, url)

    return asyncio.run(main())


WAYS: dict[str, Callable[..., object]] = {**DRIVERS, "Daxko": by_daxko, "AsyncDaxko": by_async_daxko}


@pytest.mark.parametrize("refusal", [CUT, MISLABELLED], ids=["cut", "mislabelled"])
@pytest.mark.parametrize("way", WAYS)
def test_a_401_that_cannot_be_read_drops_the_token(way: str, refusal: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A gateway that breaks off its refusals would otherwise refuse every call until the token expires."""
    with RawServer(refusing_the_first(saying(refusal))) as server, granted(server.base_url) as source:
        first = source.token(9999)
        with pytest.raises(Exception):  # noqa: B017, PT011 - each library has its own
            WAYS[way](source, 9999, "GET", f"{server.base_url}/v3/x")
        assert source.token(9999) is not first
        WAYS[way](source, 9999, "GET", f"{server.base_url}/v3/x")
        tokens = [request.partition(b"Bearer ")[2].partition(b"\r\n")[0] for request in server.requests]
        assert tokens == [b"token-1", b"token-2"]
    assert "its body could not be read" in caplog.text


def refusing_the_first(behave: Behaviour) -> Behaviour:
    """Answer the first connection in that way, and the others with a 200."""
    behaviours = iter([behave])

    def either(connection: socket.socket, stopped: threading.Event) -> None:
        next(behaviours, saying(OK))(connection, stopped)

    return either


Get = Callable[[TokenSource, str], Awaitable[object]]


async def _get(http: Any, url: str) -> object:
    async with http:
        return await http.get(url)


async def _by_async_daxko(source: TokenSource, url: str) -> object:
    async with AsyncDaxko(source.credentials, 9999, source=source) as daxko:
        return await daxko.http.get(url)


async def _by_aiohttp(source: TokenSource, url: str) -> object:
    # A session is made on a running loop.
    return await _get(aiohttp.ClientSession(middlewares=[AiohttpAuth(source, 9999)]), url)


ASYNC_WAYS: dict[str, Get] = {
    "httpx": lambda source, url: _get(httpx.AsyncClient(auth=DaxkoAuth(source, 9999)), url),
    "httpx2": lambda source, url: _get(httpx2.AsyncClient(auth=Httpx2Auth(source, 9999)), url),
    "aiohttp": _by_aiohttp,
    "AsyncDaxko": _by_async_daxko,
}


def stopping_after_the_head(connection: socket.socket, stopped: threading.Event) -> None:
    """Refuse, and keep the body back."""
    connection.sendall(CUT)
    stopped.wait()


@pytest.mark.parametrize("way", ASYNC_WAYS)
def test_a_401_whose_body_is_not_waited_for_drops_the_token(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time limits of a program's own cancel calls; a slow gateway must not turn each into one with the old token."""
    reading: list[asyncio.Event] = []
    for response in (httpx.Response, httpx2.Response):
        monkeypatch.setattr(response, "aread", _announced(response.aread, reading))
    monkeypatch.setattr(aiohttp.ClientResponse, "read", _announced(aiohttp.ClientResponse.read, reading))

    async def main() -> bool:
        reading.append(asyncio.Event())
        call = asyncio.ensure_future(ASYNC_WAYS[way](source, f"{server.base_url}/v3/x"))
        await reading[0].wait()
        # It is at the body by now: one turn of the loop takes it there.
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        return call.cancelled()

    with RawServer(stopping_after_the_head) as server, granted(server.base_url) as source:
        first = source.token(9999)
        assert asyncio.run(main())
        assert source.token(9999) is not first


def _announced(read: Callable[..., Awaitable[bytes]], reading: list[asyncio.Event]) -> Callable[..., Awaitable[bytes]]:
    async def announced(response: Any) -> bytes:
        reading[0].set()
        return await read(response)

    return announced

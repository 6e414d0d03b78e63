"""The HTTP libraries that the contract of the adapters is tried with, each behind the same few words."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import httpx
import httpx2
import requests
from attrs import frozen
from support import PATIENCE

from daxko_auth import AiohttpAuth, DaxkoAuth, Httpx2Auth, RequestsAuth, TokenSource


@frozen
class Answer:
    """What came back."""

    status: int
    text: str


def _chunks() -> Iterator[bytes]:
    yield b"one"
    yield b"two"


async def _achunks() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


def _body(options: dict[str, Any], name: str, chunks: Any) -> dict[str, Any]:
    """Put a one-shot body in the place where the library takes it."""
    return options | {name: chunks()} if options.pop("one_shot", False) else options


def _httpx(library: Any, auth_type: Any) -> Callable[..., Answer]:
    def send(source: TokenSource, scope: Any, method: str, url: str, *, replay: bool = True, **options: Any) -> Answer:
        with library.Client(auth=auth_type(source, scope, replay=replay), follow_redirects=True) as http:
            response = http.request(method, url, **_body(options, "content", _chunks))
        return Answer(response.status_code, response.text)

    return send


def _async_httpx(library: Any, auth_type: Any) -> Callable[..., Answer]:
    async def send(
        source: TokenSource, scope: Any, method: str, url: str, *, replay: bool = True, **options: Any
    ) -> Answer:
        async with library.AsyncClient(auth=auth_type(source, scope, replay=replay), follow_redirects=True) as http:
            response = await http.request(method, url, **_body(options, "content", _achunks))
        return Answer(response.status_code, response.text)

    return lambda *given, **options: asyncio.run(send(*given, **options))


def _requests(source: TokenSource, scope: Any, method: str, url: str, *, replay: bool = True, **options: Any) -> Answer:
    with requests.Session() as session:
        session.auth = RequestsAuth(source, scope, replay=replay)
        response = session.request(method, url, timeout=PATIENCE, **_body(options, "data", _chunks))
    return Answer(response.status_code, response.text)


async def _aiohttp(
    source: TokenSource, scope: Any, method: str, url: str, *, replay: bool = True, **options: Any
) -> Answer:
    auth = AiohttpAuth(source, scope, replay=replay)
    async with (
        aiohttp.ClientSession(middlewares=[auth]) as session,
        session.request(method, url, **_body(options, "data", _achunks)) as response,
    ):
        return Answer(response.status, await response.text())


DRIVERS: dict[str, Callable[..., Answer]] = {
    "httpx": _httpx(httpx, DaxkoAuth),
    "httpx, async": _async_httpx(httpx, DaxkoAuth),
    "httpx2": _httpx(httpx2, Httpx2Auth),
    "httpx2, async": _async_httpx(httpx2, Httpx2Auth),
    "requests": _requests,
    "aiohttp": lambda *given, **options: asyncio.run(_aiohttp(*given, **options)),
}

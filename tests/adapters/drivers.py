"""The HTTP libraries that the contract of the adapters is tried with, each behind the same few words."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import aiohttp
import httpx
import httpx2
import requests
from attrs import frozen
from support import PATIENCE

from daxko_auth import AiohttpAuth, ApiCredentials, DaxkoAuth, Httpx2Auth, RequestsAuth, TokenSource
from daxko_auth.adapters.auth_flow import NOTE


@frozen
class Answer:
    """What came back."""

    status: int
    text: str
    #: Why a 401 was handed over; of libraries whose responses have no place for it, it stands in the log.
    note: str = ""


def _chunks() -> Iterator[bytes]:
    yield b"one"
    yield b"two"


async def _achunks() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


def _body(options: dict[str, Any], name: str, chunks: Any) -> dict[str, Any]:
    """Put a one-shot body in the place where the library takes it."""
    return options | {name: chunks()} if options.pop("one_shot", False) else options


Hook = Callable[[Any], None]


def _httpx(library: Any, auth_type: Any) -> Callable[..., Answer]:
    def send(  # noqa: PLR0913 - what can differ, all but four by name
        source: TokenSource,
        scope: Any,
        method: str,
        url: str,
        *,
        replay: bool = True,
        hook: Hook | None = None,
        **options: Any,
    ) -> Answer:
        hooks = {"response": [hook] if hook else []}
        auth = auth_type(source, scope, replay=replay)
        with library.Client(auth=auth, follow_redirects=True, event_hooks=hooks) as http:
            response = http.request(method, url, **_body(options, "content", _chunks))
        return Answer(response.status_code, response.text, response.extensions.get(NOTE, ""))

    return send


def _async_httpx(library: Any, auth_type: Any) -> Callable[..., Answer]:
    async def send(  # noqa: PLR0913 - what can differ, all but four by name
        source: TokenSource,
        scope: Any,
        method: str,
        url: str,
        *,
        replay: bool = True,
        hook: Hook | None = None,
        **options: Any,
    ) -> Answer:
        async def ahook(response: Any) -> None:
            if hook:
                hook(response)

        auth = auth_type(source, scope, replay=replay)
        async with library.AsyncClient(auth=auth, follow_redirects=True, event_hooks={"response": [ahook]}) as http:
            response = await http.request(method, url, **_body(options, "content", _achunks))
        return Answer(response.status_code, response.text, response.extensions.get(NOTE, ""))

    return lambda *given, **options: asyncio.run(send(*given, **options))


def _requests(  # noqa: PLR0913 - what can differ, all but four by name
    source: TokenSource,
    scope: Any,
    method: str,
    url: str,
    *,
    replay: bool = True,
    hook: Hook | None = None,
    **options: Any,
) -> Answer:
    def called(response: Any, **_: Any) -> None:
        if hook:
            hook(response)

    with requests.Session() as session:
        session.auth = RequestsAuth(source, scope, replay=replay)
        session.hooks["response"].append(called)
        response = session.request(method, url, timeout=PATIENCE, **_body(options, "data", _chunks))
    return Answer(response.status_code, response.text)


async def _aiohttp(  # noqa: PLR0913 - what can differ, all but four by name
    source: TokenSource,
    scope: Any,
    method: str,
    url: str,
    *,
    replay: bool = True,
    hook: Hook | None = None,
    **options: Any,
) -> Answer:
    async def called(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        response = await handler(request)
        try:
            if hook:
                hook(response)
        except BaseException:
            response.close()
            raise
        return response

    auth = AiohttpAuth(source, scope, replay=replay)
    async with (
        aiohttp.ClientSession(middlewares=[auth, called], trust_env=True) as session,
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


@contextmanager
def granted(base_url: str) -> Iterator[TokenSource]:
    """Give a source of the tokens token-1, token-2 ..."""
    numbers = count(1)

    def grant(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"access_token": f"token-{next(numbers)}", "expires_in": "86400"})

    credentials = ApiCredentials("granted_user", "granted-pass-phrase", "granted.refresh.token")
    with TokenSource(credentials, base_url, http=httpx.MockTransport(grant)) as source:
        yield source

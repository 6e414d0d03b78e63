"""An authentication that is given to another library than its own says which one to take."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests

from daxko_auth import AiohttpAuth, DaxkoAuth, Httpx2Auth, RequestsAuth, TokenSource

URL = "https://daxko.example/v3/x"


async def _by_aiohttp(middleware: Any) -> None:
    async with aiohttp.ClientSession(middlewares=[middleware]) as http:
        await http.get(URL)


async def _by_async_httpx(auth: Any) -> None:
    async with httpx.AsyncClient(auth=auth) as http:
        await http.get(URL)


SENDERS: dict[str, tuple[type, Callable[[Any], object]]] = {
    "auth=DaxkoAuth": (DaxkoAuth, lambda auth: httpx.get(URL, auth=auth)),
    "auth=DaxkoAuth(...)": (DaxkoAuth, lambda auth: asyncio.run(_by_async_httpx(auth))),
    "auth=Httpx2Auth": (Httpx2Auth, lambda auth: httpx2.get(URL, auth=auth)),
    "auth=RequestsAuth": (RequestsAuth, lambda auth: requests.get(URL, auth=auth, timeout=9)),
    "middlewares=[AiohttpAuth": (AiohttpAuth, lambda auth: asyncio.run(_by_aiohttp(auth))),
}


@pytest.mark.parametrize("given", [DaxkoAuth, Httpx2Auth, RequestsAuth, AiohttpAuth])
@pytest.mark.parametrize("right", SENDERS)
def test_the_message_names_the_right_class(right: str, given: type, source: TokenSource) -> None:
    """What they are given is called by the libraries, whatever it is; the names are easily confused."""
    own, send = SENDERS[right]
    if given is own:
        return
    with pytest.raises(TypeError) as raised:
        send(given(source, 9999))
    assert str(raised.value).startswith(f"{given.__name__} does not fit here; with ")
    assert f"use {right}" in str(raised.value)


def test_a_caller_that_is_no_library_hears_of_all(source: TokenSource) -> None:
    """A wrapper of the program's own may call it with anything."""
    auth: Any = DaxkoAuth(source, 9999)
    with pytest.raises(TypeError, match=r"DaxkoAuth\(.*Httpx2Auth\(.*RequestsAuth\(.*AiohttpAuth\("):
        auth("a request")
    middleware: Any = AiohttpAuth(source, 9999)
    with pytest.raises(TypeError, match="AiohttpAuth does not fit here"):
        middleware("a request")

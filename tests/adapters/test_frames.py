"""No frame that an error of a call came through shows a bearer: crash reporters send the locals of each."""

import asyncio
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
from adapters.drivers import granted
from raw_server import RawServer, saying

from daxko_auth import (
    AiohttpAuth,
    AsyncDaxko,
    Daxko,
    DaxkoAuth,
    Httpx2Auth,
    RequestsAuth,
    TokenRequestError,
    TokenSource,
)
from daxko_auth.sandbox import Failure, Sandbox

#: What is given by mistake; it may be a secret.
GIVEN = "yranac-nevig"[::-1]

Request = Callable[..., object]


async def _by_async_daxko(source: TokenSource, method: str, **options: Any) -> object:
    async with AsyncDaxko(source.credentials, 9999, source=source) as daxko:
        return await daxko.http.request(method, "/v3/x", **options)


async def _by_async_httpx(library: Any, auth: Any, source: TokenSource, method: str, **options: Any) -> object:
    async with library.AsyncClient(auth=auth(source, 9999), base_url=source.origin.base_url) as http:
        return await http.request(method, "/v3/x", **options)


async def _by_aiohttp(source: TokenSource, method: str, **options: Any) -> object:
    async with aiohttp.ClientSession(middlewares=[AiohttpAuth(source, 9999)], base_url=source.origin.base_url) as http:
        return await http.request(method, "/v3/x", **options)


def _by_daxko(source: TokenSource, method: str, **options: Any) -> object:
    with Daxko(source.credentials, 9999, source=source) as daxko:
        return daxko.http.request(method, "/v3/x", **options)


def _by_httpx(library: Any, auth: Any, source: TokenSource, method: str, **options: Any) -> object:
    with library.Client(auth=auth(source, 9999), base_url=source.origin.base_url) as http:
        return http.request(method, "/v3/x", **options)


HTTPX: dict[str, Request] = {
    "Daxko": _by_daxko,
    "AsyncDaxko": lambda *given, **options: asyncio.run(_by_async_daxko(*given, **options)),
    "httpx": lambda *given, **options: _by_httpx(httpx, DaxkoAuth, *given, **options),
    "httpx2": lambda *given, **options: _by_httpx(httpx2, Httpx2Auth, *given, **options),
    "httpx, async": lambda *given, **options: asyncio.run(_by_async_httpx(httpx, DaxkoAuth, *given, **options)),
    "httpx2, async": lambda *given, **options: asyncio.run(_by_async_httpx(httpx2, Httpx2Auth, *given, **options)),
}
WAYS: dict[str, Request] = {
    **HTTPX,
    "aiohttp": lambda *given, **options: asyncio.run(_by_aiohttp(*given, **options)),
    "requests": lambda source, method, **options: requests.request(
        method, f"{source.origin.base_url}/v3/x", auth=RequestsAuth(source, 9999), timeout=9, **options
    ),
}


def locals_of(error: BaseException | None, *, ours: bool = False) -> Iterator[str]:
    """Return what can be shown of the locals of each frame but those of tests, also of what led to `error`."""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            file = frame.f_code.co_filename
            if "/daxko_auth/" in file or not (ours or "/tests/" in file):
                yield from map(_shown, frame.f_locals.values())
        error = error.__cause__ or error.__context__


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - of an object that is half made
        return ""


def raised_by(call: Callable[[], object]) -> BaseException:
    """Return what it raises."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 - each library has its own
        call()
    return raised.value


@pytest.mark.parametrize("wrong", [{"headers": {"X-Note": "two\nlines"}}, {"method": "GE T"}, {}], ids=repr)
@pytest.mark.parametrize("way", [*HTTPX, "aiohttp"])
def test_no_frame_shows_the_access_token(way: str, wrong: dict[str, Any]) -> None:
    """Below httpx, the headers are bytes that nothing hides; what is refused there is a mistake that is easily made."""
    with RawServer(saying(b"")) as server, granted(server.base_url) as source:
        token = source.token(9999).reveal()
        error = raised_by(lambda: WAYS[way](source, **{"method": "GET", **wrong}))
    assert not [shown for shown in locals_of(error) if token in shown]


def test_the_locals_of_the_programs_own_hook_stay(sandbox: Sandbox, source: TokenSource) -> None:
    """Only the HTTP engine's are emptied: the program has to find its own mistakes."""

    def failing(response: httpx.Response) -> None:
        status = response.status_code
        raise ZeroDivisionError(status)

    with httpx.Client(auth=DaxkoAuth(source, 9999), event_hooks={"response": [failing]}) as http:
        error = raised_by(lambda: http.get(f"{sandbox.base_url}/v3/x"))
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    assert frame.f_locals["status"] == 200


REFUSED: dict[str, dict[str, Any]] = {
    "Authorization": {"headers": {"Authorization": f"Bearer {GIVEN}"}},
    "Host": {"headers": {"Host": f"{GIVEN}!"}},
    "target": {"extensions": {"target": GIVEN.encode()}},
    "TLS name": {"extensions": {"sni_hostname": f"{GIVEN}!"}},
}


@pytest.mark.parametrize("refused", REFUSED)
@pytest.mark.parametrize("way", WAYS)
def test_no_frame_of_ours_shows_what_is_refused(way: str, refused: str) -> None:
    """Another credential in the place of ours, most likely."""
    if "extensions" in REFUSED[refused] and way not in HTTPX:
        return
    with granted("https://daxko.example") as source:
        error = raised_by(lambda: WAYS[way](source, "GET", **REFUSED[refused]))
    assert GIVEN not in str(error)
    assert not [shown for shown in locals_of(error, ours=True) if GIVEN in shown]


def test_no_frame_of_ours_shows_a_password_in_a_url_that_requests_is_given() -> None:
    """It hands over the whole URL."""
    with granted("https://daxko.example") as source:
        url = f"https://user:{GIVEN}@daxko.example/v3/x"
        error = raised_by(lambda: requests.get(url, auth=RequestsAuth(source, 9999), timeout=9))
    assert not [shown for shown in locals_of(error, ours=True) if GIVEN in shown]


@pytest.mark.parametrize("way", WAYS)
def test_no_frame_of_ours_shows_the_answer_when_the_renewal_fails(
    way: str, sandbox: Sandbox, source: TokenSource
) -> None:
    """The body of a 401 may repeat the bearer."""
    sandbox.fail_next(1, Failure("answer", 401, body={"message": GIVEN}), where="resource")
    source.token(9999)
    sandbox.fail_next(9, Failure("status", 403))
    error = raised_by(lambda: WAYS[way](source, "GET"))
    assert isinstance(error, TokenRequestError)
    assert not [shown for shown in locals_of(error, ours=True) if GIVEN in shown]

"""What is learnt of a token where another middleware of aiohttp keeps the answer from ours."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from adapters.drivers import granted
from raw_server import RawServer, saying
from support import finish_renewals

from daxko_auth import AiohttpAuth, TokenSource
from daxko_auth.sandbox import Failure, Sandbox


class ApiError(aiohttp.ClientError):
    """A program's own error, of aiohttp's kind."""


def of_aiohttps_kind(response: aiohttp.ClientResponse) -> None:
    """Raise it."""
    if response.status == 401:
        raise ApiError


def from_the_status(response: aiohttp.ClientResponse) -> None:
    """Raise it from aiohttp's error for the status."""
    try:
        response.raise_for_status()
    except aiohttp.ClientResponseError as error:
        raise ApiError from error


def no_connection(response: aiohttp.ClientResponse) -> None:
    """Raise what aiohttp raises where there is no answer."""
    if response.status == 401:
        raise aiohttp.ClientConnectionError


def late(response: aiohttp.ClientResponse) -> None:
    """Raise what a time limit raises."""
    if response.status == 401:
        raise TimeoutError


def leaving(response: aiohttp.ClientResponse) -> None:
    """Give up, as a task that is cancelled does."""
    if response.status == 401:
        raise asyncio.CancelledError


RAISING = [of_aiohttps_kind, from_the_status, no_connection, late, leaving]


async def _get(source: TokenSource, url: str, *inner: Any) -> int:
    async with (
        aiohttp.ClientSession(middlewares=[AiohttpAuth(source, 9999), *inner]) as http,
        http.get(url) as response,
    ):
        return response.status


def judging(judge: Callable[[aiohttp.ClientResponse], None]) -> Any:
    """Return a middleware that raises what `judge` does."""

    async def middleware(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        response: aiohttp.ClientResponse = await handler(request)
        try:
            judge(response)
        except BaseException:
            response.close()
            raise
        return response

    return middleware


@pytest.mark.parametrize("judge", RAISING, ids=lambda judge: judge.__name__)
def test_a_status_that_a_middleware_keeps_from_us_is_learnt_all_the_same(
    sandbox: Sandbox, source: TokenSource, judge: Callable[[aiohttp.ClientResponse], None]
) -> None:
    """Errors of a program's own often look like aiohttp's; the request knows its answer."""
    token = source.token(9999)
    sandbox.revoke()
    with pytest.raises(BaseException):  # noqa: B017, PT011 - each has its own
        asyncio.run(_get(source, f"{sandbox.base_url}/v3/x", judging(judge)))
    assert source.token(9999) is not token
    assert asyncio.run(_get(source, f"{sandbox.base_url}/v3/x", judging(judge))) == 200


def test_another_status_that_a_middleware_raises_for_says_nothing(sandbox: Sandbox, source: TokenSource) -> None:
    """A 500 is no reason for a renewal."""

    def raising(response: aiohttp.ClientResponse) -> None:
        response.raise_for_status()

    token = source.token(9999)
    sandbox.fail_next(1, Failure("status", 500), where="resource")
    with pytest.raises(aiohttp.ClientResponseError):
        asyncio.run(_get(source, f"{sandbox.base_url}/v3/x", judging(raising)))
    source.token(9999)
    finish_renewals(source)
    assert source.token(9999) is token


@pytest.mark.parametrize("said", [None, b"", b"HTTP/1.1 nonsense"], ids=["nobody listens", "hung up", "no HTTP"])
def test_without_an_answer_nothing_is_learnt(said: bytes | None) -> None:
    """A server that is down must not cause a renewal for each scope that is called."""
    with RawServer(saying(said or b"")) as server:
        base_url = "http://127.0.0.1:1" if said is None else server.base_url
        with granted(base_url) as source:
            token = source.token(9999)
            with pytest.raises(aiohttp.ClientError):
                asyncio.run(_get(source, f"{base_url}/v3/x"))
            source.token(9999)
            finish_renewals(source)
            assert source.token(9999) is token


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_middleware_that_sends_by_itself_is_understood_by_its_error(
    sandbox: Sandbox, source: TokenSource, elsewhere: bool
) -> None:
    """It may send a copy of the request with our token; a 401 that it gets from somebody else says nothing of that."""

    async def sending(request: aiohttp.ClientRequest, _: Any) -> aiohttp.ClientResponse:
        headers = {} if elsewhere else dict(request.headers)
        async with aiohttp.ClientSession() as http, http.get(request.url, headers=headers) as response:
            response.raise_for_status()
        raise AssertionError

    token = source.token(9999)
    sandbox.revoke()
    with pytest.raises(aiohttp.ClientResponseError):
        asyncio.run(_get(source, f"{sandbox.base_url}/v3/x", sending))
    assert (source.token(9999) is token) is elsewhere
    finish_renewals(source)
    assert source.token(9999) is not token, "doubted, at least"


def test_an_error_for_a_status_that_was_made_by_hand_is_a_doubt(sandbox: Sandbox, source: TokenSource) -> None:
    """It does not say which request it is of."""
    unknown: Any = None

    async def raising(_: aiohttp.ClientRequest, __: Any) -> aiohttp.ClientResponse:
        raise aiohttp.ClientResponseError(unknown, (), status=401)

    token = source.token(9999)
    with pytest.raises(aiohttp.ClientResponseError):
        asyncio.run(_get(source, f"{sandbox.base_url}/v3/x", raising))
    assert source.token(9999) is token
    finish_renewals(source)
    assert source.token(9999) is not token

"""
Authentication in the transport, where HTTP is ours: `Daxko.http` and `AsyncDaxko.http`.

A transport sees each request as it leaves and each answer as it arrives, redirects included, and before any hook of
the program does. The request that the program holds never carries the token; a copy of it does.
"""

import time
from collections.abc import AsyncGenerator, Generator
from datetime import timedelta
from typing import Final, TypeVar

import httpx

from daxko_auth.adapters.auth_flow import NOTE
from daxko_auth.adapters.calls import NOT_CARRIED, UNAUTHORIZED
from daxko_auth.adapters.httpx import DaxkoAuth
from daxko_auth.model.hidden_locals import empty_frames
from daxko_auth.model.origin import Origin
from daxko_auth.model.scope import ScopeLike
from daxko_auth.model.tokens import AccessToken
from daxko_auth.policy.source import TokenSource

_Item = TypeVar("_Item")

# The extension of a request that is to be authenticated: its `_Call`, which redirects pass on.
_CALL: Final = "daxko_auth.call"


class _Call:
    """One call of the program: a request, and those that it is redirected to."""

    def __init__(self) -> None:
        self.is_over = False
        #: Each 401 that was answered with a replay, and what the replay was answered.
        self.replays: list[tuple[httpx.Response, httpx.Response]] = []
        self._has_begun = False
        self._has_strayed = False

    def strays(self, url: httpx.URL, origin: Origin) -> bool:
        """Whether a redirect leads, or has led, to another server: from there on, there is no token."""
        if self._has_begun and not origin.admits(url):
            self._has_strayed = True
        self._has_begun = True
        return self._has_strayed

    def end(self, response: httpx.Response) -> None:
        """Put the 401s into the history of the last response, each before the answer to its replay."""
        for refused, answer in self.replays:
            history = response.history
            place = history.index(answer) if answer in history else len(history)
            response.history = [*history[:place], refused, *history[place:]]


class InTransport(httpx.Auth):
    """Marks a request as one that the transport authenticates; `auth=None` leaves it unmarked."""

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send once, redirects included."""
        call = request.extensions[_CALL] = _Call()
        try:
            call.end((yield request))
        finally:
            call.is_over = True

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same."""
        call = request.extensions[_CALL] = _Call()
        try:
            call.end((yield request))
        finally:
            call.is_over = True


class _Flow(DaxkoAuth):
    """What `DaxkoAuth` does, around a transport of ours instead of an httpx client."""

    def _watch(self, request: httpx.Request, *, asynchronous: bool) -> None:
        # To loopback, ours uses no proxy.
        pass

    def _ended_by(
        self, error: BaseException | None, outer: BaseException | None, request: httpx.Request, token: AccessToken
    ) -> None:
        # No hook comes between: a transport that raises has no answer.
        pass


class _Authenticating:
    """What is the same for threads and for tasks."""

    def __init__(self, source: TokenSource, scope: ScopeLike) -> None:
        self._auth = _Flow(source, scope)
        self._origin = source.origin

    def _call_of(self, request: httpx.Request) -> _Call | None:
        call = request.extensions.get(_CALL)
        return call if isinstance(call, _Call) and not call.is_over else None


class AuthTransport(_Authenticating, httpx.BaseTransport, httpx.AsyncBaseTransport):
    """
    Authenticates requests of an `httpx.Client` and sends them through another transport, which it leaves open.

    It is an asynchronous transport only to refuse: the generated client makes either kind of httpx client of it.
    """

    def __init__(self, source: TokenSource, scope: ScopeLike, transport: httpx.BaseTransport) -> None:
        super().__init__(source, scope)
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """
        Send, with a token if `InTransport` marked the request.

        Raises:
            DaxkoAuthError: as `DaxkoAuth.sync_auth_flow`.
        """
        call = self._call_of(request)
        if call is None:
            return self._transport.handle_request(request)
        if call.strays(request.url, self._origin):
            return _noted(self._transport.handle_request(request))
        copy = _copy(request)
        flow = self._auth.sync_auth_flow(copy)
        refused: httpx.Response | None = None
        response: httpx.Response | None = None
        try:
            next(flow)
            _take_over(request, copy)
            while True:
                started = time.perf_counter()
                response = self._transport.handle_request(copy)
                response.request = copy
                again = _next(flow, response)
                _conclude(response, request, started)
                if refused is not None:
                    call.replays.append((refused, response))
                if not again:
                    return response
                refused = response
        except BaseException as error:
            # The locals of httpcore and h11 are the headers, as they are sent.
            empty_frames(error)
            if response is not None:
                response.close()
            raise
        finally:
            flow.close()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - httpx's name
        """
        Refuse.

        Raises:
            TypeError: naming what to use.
        """
        raise TypeError(
            "this is Daxko.api, for the functions of daxko_api.api that block; with asyncio, use AsyncDaxko.api"
        )


class AsyncAuthTransport(_Authenticating, httpx.AsyncBaseTransport, httpx.BaseTransport):
    """The same for asyncio and trio."""

    def __init__(self, source: TokenSource, scope: ScopeLike, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(source, scope)
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Do the same, awaiting."""
        call = self._call_of(request)
        if call is None:
            return await self._transport.handle_async_request(request)
        if call.strays(request.url, self._origin):
            return _noted(await self._transport.handle_async_request(request))
        copy = _copy(request)
        flow = self._auth.async_auth_flow(copy)
        refused: httpx.Response | None = None
        response: httpx.Response | None = None
        try:
            await anext(flow)
            _take_over(request, copy)
            while True:
                started = time.perf_counter()
                response = await self._transport.handle_async_request(copy)
                response.request = copy
                again = await _anext(flow, response)
                _conclude(response, request, started)
                if refused is not None:
                    call.replays.append((refused, response))
                if not again:
                    return response
                refused = response
        except BaseException as error:
            # The locals of httpcore and h11 are the headers, as they are sent.
            empty_frames(error)
            if response is not None:
                await response.aclose()
            raise
        finally:
            await flow.aclose()

    def handle_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - httpx's name
        """
        Refuse.

        Raises:
            TypeError: naming what to use.
        """
        raise TypeError("this is AsyncDaxko.api, for the asyncio functions of daxko_api.api; without, use Daxko.api")


def _copy(request: httpx.Request) -> httpx.Request:
    return httpx.Request(
        request.method, request.url, headers=request.headers, stream=request.stream, extensions=request.extensions
    )


def _take_over(request: httpx.Request, copy: httpx.Request) -> None:
    # A redirect may send the body again, and then needs it as it was read; and no token of another time.
    request.stream = copy.stream
    request.headers.pop("Authorization", None)


def _next(flow: Generator[_Item, httpx.Response, None], response: httpx.Response) -> bool:
    """Whether the flow has something to send after `response`."""
    try:
        flow.send(response)
    except StopIteration:
        return False
    return True


async def _anext(flow: AsyncGenerator[_Item, httpx.Response], response: httpx.Response) -> bool:
    """Do the same, awaiting."""
    try:
        await flow.asend(response)
    except StopAsyncIteration:
        return False
    return True


def _conclude(response: httpx.Response, request: httpx.Request, started: float) -> None:
    """Make a response as httpx would have it; what the flow has read is closed, and httpx measures no more."""
    response.request = request
    if response.is_closed:
        response.elapsed = timedelta(seconds=time.perf_counter() - started)


def _noted(response: httpx.Response) -> httpx.Response:
    if response.status_code == UNAUTHORIZED:
        response.extensions[NOTE] = NOT_CARRIED
    return response

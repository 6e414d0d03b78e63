"""
Authentication for aiohttp: a middleware of the program's session.
"""

import sys
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Final

import aiohttp
from attrs import field, frozen
from yarl import URL

from daxko_auth.adapters.calls import (
    HELD,
    PROGRAM_RAISED,
    UNAUTHORIZED,
    UNREADABLE,
    Calls,
    attribute,
    causes,
    wrong_library,
)
from daxko_auth.model.errors import DaxkoAuthError
from daxko_auth.model.hidden_locals import hides_locals
from daxko_auth.model.scope import ScopeLike
from daxko_auth.model.tokens import AccessToken
from daxko_auth.policy.source import TokenSource

# What is raised where there is no answer to learn from.
_UNSENT: Final = (aiohttp.ClientConnectionError, TimeoutError, DaxkoAuthError)


@frozen
class _Url:
    """A URL as aiohttp takes it apart to connect."""

    scheme: str
    netloc: bytes
    path: str

    @classmethod
    def of(cls, url: URL) -> "_Url":
        return cls(url.scheme, f"{url.host_subcomponent}:{url.port}".encode("ascii", "backslashreplace"), url.path)


@frozen
class _Answered:
    """An answer that was read."""

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)


class AiohttpAuth:
    """
    Authenticates requests to Daxko for one Daxko client, with tokens from a `TokenSource`.

    For `aiohttp.ClientSession(middlewares=[...])`; any number of tasks and sessions may share it. A 401 is answered
    with one renewal and one replay; why one is handed over stands in the log. A session with it speaks to Daxko
    only: a request, or a redirect, to any other server is refused. The token is taken out of the request once that
    was sent, so that no `ClientResponseError` shows it.

    The extra `aiohttp` installs what it needs: `pip install '.[aiohttp]'` in a checkout.
    """

    @hides_locals
    def __init__(self, source: TokenSource, scope: ScopeLike, *, replay: bool = True) -> None:
        """
        Authenticate for `scope`. With `replay=False` a 401 is handed over; the next call has a new token.

        Raises:
            CredentialsError: `scope` is not the number of a Daxko client.
        """
        self._calls = Calls(source, scope, replay=replay)

    @hides_locals
    def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType | None = None
    ) -> Awaitable[aiohttp.ClientResponse]:
        """
        Send with a token; on a 401, renew and send once more.

        Raises:
            UntrustedOriginError: the URL, `Host` or TLS name is not of the source's origin, or a request to the
                sandbox would leave by a proxy. Nothing was sent there.
            CredentialsError: the URL is the partner token endpoint, which takes no access token; or the request has
                an `Authorization` that the source did not issue.
            TokenRequestError: no token is to be had. Nothing was sent, or nothing after the 401.
            TypeError: it is another library that asks.
        """
        if handler is None or not isinstance(request, aiohttp.ClientRequest):  # pyright: ignore[reportUnnecessaryIsInstance] - httpx and requests call what they are given
            raise wrong_library(self, (request,))
        return self._answer(request, handler)

    def __repr__(self) -> str:
        return f"<AiohttpAuth for {self._calls.scope} at {self._calls.origin.base_url}>"

    @hides_locals
    async def _answer(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        calls, url = self._calls, _Url.of(request.url)
        self._check(request, url)
        token = await calls.source.atoken(calls.client_id)
        response = await self._send(request, handler, token)
        if response.status != UNAUTHORIZED:
            return response
        # Read before anybody waits, so that the connection is free for others meanwhile.
        try:
            answer = _Answered(response.status, response.headers, await response.read())
        except BaseException:
            calls.not_again(token, request.method, url.path, UNREADABLE)
            raise
        sendable = not getattr(request.body, "consumed", False)
        if calls.why_not_again(token, request.method, url.path, answer, sendable=sendable) is not None:
            return response
        replacement = await calls.source.areplacement_for(token, method=request.method, path=url.path)
        if replacement is None:
            calls.tell(request.method, url.path, UNAUTHORIZED, HELD)
            return response
        response = await self._send(request, handler, replacement)
        if response.status == UNAUTHORIZED:
            calls.tell(
                request.method, url.path, UNAUTHORIZED, calls.refused_again(replacement, request.method, url.path)
            )
        return response

    def _check(self, request: aiohttp.ClientRequest, url: _Url) -> None:
        headers = [(name.encode("utf-8"), value.encode("utf-8")) for name, value in request.headers.items()]
        self._calls.check(request.method, url, headers)
        if request.server_hostname:
            self._calls.origin.require_tls_name(request.server_hostname)
        if request.proxy is not None and self._calls.is_plain:
            self._calls.refuse_proxy()

    async def _send(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType, token: AccessToken
    ) -> aiohttp.ClientResponse:
        before, outer = request.response, sys.exception()
        request.headers["Authorization"] = self._calls.bearer(token)
        try:
            return await handler(request)
        except BaseException as error:
            answered = None if request.response is before else request.response
            self._learn([*causes(error, until=outer)], request, answered, token)
            raise
        finally:
            # What aiohttp raises for an answer shows the headers of the request as they are then.
            request.headers.popall("Authorization", None)

    def _learn(
        self,
        chain: Sequence[BaseException],
        request: aiohttp.ClientRequest,
        answered: aiohttp.ClientResponse | None,
        token: AccessToken,
    ) -> None:
        """
        Learn what can be learnt about `token` from what ended the call.

        Another middleware that raises for a status keeps the response from us; aiohttp's request has it, from before
        the head arrives. A middleware that sends another request leaves us its error alone.
        """
        status = _status_in(chain, self._calls.bearer(token)) if answered is None else answered.status
        if status == UNAUTHORIZED:
            self._calls.not_again(token, request.method, request.url.path, PROGRAM_RAISED)
        elif (
            status is None
            and answered is None
            and isinstance(chain[0], Exception)
            and not isinstance(chain[0], _UNSENT)
        ):
            self._calls.source.doubt(token)


def _status_in(chain: Iterable[BaseException], bearer: str) -> int | None:
    for error in chain:
        if isinstance(error, aiohttp.ClientResponseError):
            headers = attribute(error.request_info, "headers")
            if headers is not None and headers.get("Authorization") == bearer:
                return error.status
    return None

"""
Authentication for aiohttp: a middleware of the program's session.
"""

from collections.abc import Mapping

import aiohttp
from attrs import frozen
from yarl import URL

from daxko_auth.adapters.calls import HELD, UNAUTHORIZED, Calls, says_nothing
from daxko_auth.model.hidden_locals import hides_locals
from daxko_auth.model.scope import ScopeLike
from daxko_auth.model.tokens import AccessToken
from daxko_auth.policy.source import TokenSource


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
    headers: Mapping[str, str]
    content: bytes


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

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """
        Send with a token; on a 401, renew and send once more.

        Raises:
            UntrustedOriginError: the URL, `Host` or TLS name is not of the source's origin, or a request to the
                sandbox would leave by a proxy. Nothing was sent there.
            CredentialsError: the URL is the partner token endpoint, which takes no access token; or the request has
                an `Authorization` that the source did not issue.
            TokenRequestError: no token is to be had. Nothing was sent, or nothing after the 401.
        """
        calls, url = self._calls, _Url.of(request.url)
        self._check(request, url)
        token = await calls.source.atoken(calls.client_id)
        response = await self._send(request, handler, token)
        if response.status != UNAUTHORIZED:
            return response
        # Read before anybody waits, so that the connection is free for others meanwhile.
        answer = _Answered(response.status, response.headers, await response.read())
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

    def __repr__(self) -> str:
        return f"<AiohttpAuth for {self._calls.scope} at {self._calls.origin.base_url}>"

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
        request.headers["Authorization"] = self._calls.bearer(token)
        try:
            return await handler(request)
        except aiohttp.ClientResponseError as error:
            # Another middleware raised for the status.
            if error.status == UNAUTHORIZED:
                path = request.url.path
                self._calls.not_again(token, request.method, path, "the program's middleware raised")
            raise
        except Exception as error:
            if not says_nothing(error) and not isinstance(error, aiohttp.ClientError | TimeoutError):
                self._calls.source.doubt(token)
            raise
        finally:
            # What aiohttp raises for an answer shows the headers of the request as they are then.
            request.headers.popall("Authorization", None)

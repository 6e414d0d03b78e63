"""
The door for aiohttp programs: a middleware of their session.
"""

from collections.abc import Mapping

import aiohttp
from attrs import frozen
from yarl import URL

from daxko_auth.adapters.calls import FRESH_REFUSED, HELD, UNAUTHORIZED, Calls
from daxko_auth.model.half_made import also_half_made
from daxko_auth.model.log import log
from daxko_auth.model.scope import ScopeLike
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
    only: a request, or a redirect, to any other server is refused.

    The extra `aiohttp` installs what it needs: `pip install '.[aiohttp]'` in a checkout.
    """

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
            UntrustedOriginError: the URL is not of the source's origin. Nothing was sent there.
            CredentialsError: the URL is the partner token endpoint, which takes no access token.
            TokenRequestError: no token is to be had. Nothing was sent, or nothing after the 401.
        """
        url, source = _Url.of(request.url), self._calls.source
        self._calls.check(request.method, url)
        token = await source.atoken(self._calls.client_id)
        request.headers["Authorization"] = f"Bearer {token.reveal()}"
        response = await handler(request)
        if response.status != UNAUTHORIZED:
            return response
        # Read before anybody waits, so that the connection is free for others meanwhile.
        answer = _Answered(response.status, response.headers, await response.read())
        sendable = not getattr(request.body, "consumed", False)
        if self._calls.why_not_again(token, request.method, url.path, answer, sendable=sendable) is not None:
            return response
        replacement = await source.areplacement_for(token)
        if replacement is None:
            self._tell(request.method, url, HELD)
            return response
        request.headers["Authorization"] = f"Bearer {replacement.reveal()}"
        response = await handler(request)
        if response.status == UNAUTHORIZED:
            self._tell(request.method, url, FRESH_REFUSED)
            source.replacement_refused(replacement)
        return response

    @also_half_made
    def __repr__(self) -> str:
        return f"<AiohttpAuth for {self._calls.scope} at {self._calls.origin.base_url}>"

    def _tell(self, method: str, url: _Url, note: str) -> None:
        log.warning("%s: %s %s was answered 401; %s", self._calls.scope, method, url.path, note)

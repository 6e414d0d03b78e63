"""
The door for httpx programs: an `httpx.Auth` that opens every endpoint of one Daxko client.

Attaches the access token, and answers a 401 with one renewal and one replay. The token request
itself never passes through the program's own httpx client.
"""

from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime
from typing import Final

import httpx

from daxko_auth.edges.member_login import Refusal, refusal_in
from daxko_auth.edges.token_response import Answer
from daxko_auth.facts.errors import CredentialsError
from daxko_auth.facts.half_made import also_half_made
from daxko_auth.facts.log import log
from daxko_auth.facts.scope import ClientScope, ScopeLike
from daxko_auth.facts.tokens import AccessToken
from daxko_auth.facts.vendor import MEMBER_TOKEN_ENDPOINT, BearerKind, bearer_for
from daxko_auth.policy.source import TokenSource

#: Where a 401 that is handed over says why: `response.extensions[NOTE]`, a sentence.
NOTE: Final = "daxko_auth"

#: A body up to this size is read into memory before it is sent, so that it can be sent again.
LARGEST_BUFFERED_BODY: Final = 1024 * 1024

_UNAUTHORIZED: Final = 401
_FRESH_REFUSED: Final = (
    "fresh token refused: this is the answer to the replay with a new access token (the first is in response.history); "
    "check with Daxko that the API account may use this endpoint"
)
_HELD: Final = (
    "not sent again: a fresh token was refused a moment ago; check with Daxko that the API account may use this "
    "endpoint"
)


class DaxkoAuth(httpx.Auth):
    """
    Authenticates requests to Daxko for one Daxko client, with tokens from a `TokenSource`.

    Works with `httpx.Client` and `httpx.AsyncClient`; any number of threads and tasks may share it.
    Build the source once: a source per request would ask for a token per request.

    The URL is judged before the bearer is attached. The program's own request hooks run after that: one that
    changes the URL takes the bearer along. (`Daxko.http` refuses that, too.)
    """

    def __init__(self, source: TokenSource, scope: ScopeLike, *, replay: bool = True) -> None:
        """
        Authenticate for `scope`. With `replay=False` a 401 is handed over; the next call has a new token.

        Raises:
            CredentialsError: `scope` is not the number of a Daxko client.
        """
        self._source = source
        self._origin = source.origin
        self._scope = ClientScope(scope)
        # What the source finds fastest.
        self._client_id = self._scope.client_id
        self._replay = replay

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """
        Send with a token; on a 401, renew and send once more. A 401 that is handed over carries a note.

        Raises:
            UntrustedOriginError: the URL is not of the source's origin. Nothing was sent.
            CredentialsError: the URL is the partner token endpoint, which takes no access token.
            TokenRequestError: no token is to be had. Nothing was sent, or nothing after the 401.
        """
        self._check(request)
        if not isinstance(request.stream, httpx.ByteStream) and _wants_buffering(request, httpx.SyncByteStream):
            request.read()
        token = self._source.token(self._client_id)
        response = yield _with(token, request)
        if not self._refuses(response, token, request):
            return
        # Read before anybody waits, so that the connection is free for others meanwhile.
        response.read()
        if not self._calls_for_replay(request, response, token):
            return
        replacement = self._source.replacement_for(token)
        if replacement is None:
            _note(response, _HELD)
            return
        response = yield _with(replacement, request)
        if self._refuses(response, replacement, request):
            _note(response, _FRESH_REFUSED)
            self._source.replacement_refused(replacement)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same as `sync_auth_flow`, awaiting."""
        self._check(request)
        if not isinstance(request.stream, httpx.ByteStream) and _wants_buffering(request, httpx.AsyncByteStream):
            await request.aread()
        token = await self._source.atoken(self._client_id)
        response = yield _with(token, request)
        if not self._refuses(response, token, request):
            return
        await response.aread()
        if not self._calls_for_replay(request, response, token):
            return
        replacement = await self._source.areplacement_for(token)
        if replacement is None:
            _note(response, _HELD)
            return
        response = yield _with(replacement, request)
        if self._refuses(response, replacement, request):
            _note(response, _FRESH_REFUSED)
            self._source.replacement_refused(replacement)

    @also_half_made
    def __repr__(self) -> str:
        return f"<DaxkoAuth for {self._scope} at {self._origin.base_url}>"

    def _check(self, request: httpx.Request) -> None:
        self._origin.require(request.url)
        # Another method there is a mistake without consequences: the endpoint takes POST only.
        if request.method == "POST" and bearer_for(request.url.path) is not BearerKind.ACCESS_TOKEN:
            msg = (
                f"{request.url.path} takes the refresh token, which never travels through a program's own HTTP; "
                f"nothing was sent. Ask for an access token with TokenSource.token({self._scope.client_id})"
            )
            raise CredentialsError(msg)

    def _refuses(self, response: httpx.Response, token: AccessToken, request: httpx.Request) -> bool:
        """Whether this is our server's 401 to this very token, and the request may be sent there again."""
        # A redirect may have led to another server, which got no bearer and knows nothing of our token; or on
        # from there back to ours, without the bearer. And a hook of the program may have changed the URL.
        return (
            response.status_code == _UNAUTHORIZED
            and self._origin.admits(response.url)
            and response.request.headers.get("Authorization") == f"Bearer {token.reveal()}"
            and self._origin.admits(request.url)
        )

    def _calls_for_replay(self, request: httpx.Request, response: httpx.Response, token: AccessToken) -> bool:
        """Whether a 401 is to be answered by a renewal and a replay; if not, see to the next call."""
        if not self._replay:
            why_not = "replay=False"
        elif not isinstance(request.stream, httpx.ByteStream):
            why_not = "its body cannot be sent twice"
        elif request.url.path == MEMBER_TOKEN_ENDPOINT.path:
            answer = Answer.of(response, now=datetime.now(UTC))
            refusal = refusal_in(answer)
            if refusal is not Refusal.UNEXPLAINED:
                return refusal is Refusal.ACCESS_TOKEN
            why_not = "a doubled failed login can lock the member out"
        else:
            return True
        renewed = self._source.refused_without_replay(token)
        next_call = "the next call has a new token" if renewed else "a new token a moment ago did not help"
        _note(response, f"not sent again ({why_not}); {next_call}")
        log.warning(
            "%s: %s %s was answered 401 and is not sent again (%s); %s",
            self._scope,
            request.method,
            request.url.path,
            why_not,
            next_call,
        )
        return False


def _note(response: httpx.Response, note: str) -> None:
    response.extensions[NOTE] = note


def _with(token: AccessToken, request: httpx.Request) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token.reveal()}"
    return request


def _wants_buffering(request: httpx.Request, sendable: type) -> bool:
    """Whether the body is not in memory, but says that it is small: a multipart form, a file; no bare generator."""
    length = request.headers.get("Content-Length", "")
    return (
        isinstance(request.stream, sendable)
        and length.isascii()
        and length.isdecimal()
        and int(length) <= LARGEST_BUFFERED_BODY
    )

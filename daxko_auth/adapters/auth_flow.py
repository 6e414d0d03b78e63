"""
The authentication of one request of httpx, or of httpx2, which is made alike.
"""

from collections.abc import AsyncGenerator, Generator, MutableMapping
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from daxko_auth.adapters.calls import FRESH_REFUSED, HELD, UNAUTHORIZED, Calls, Target
from daxko_auth.model.half_made import also_half_made
from daxko_auth.model.scope import ScopeLike
from daxko_auth.model.tokens import AccessToken
from daxko_auth.policy.source import TokenSource
from daxko_auth.wire.token_response import Answered

#: Where a 401 that is handed over says why: `response.extensions[NOTE]`, a sentence.
NOTE: Final = "daxko_auth"

#: A body up to this size is read into memory before it is sent, so that it can be sent again.
LARGEST_BUFFERED_BODY: Final = 1024 * 1024


class _Request(Protocol):
    @property
    def method(self) -> str: ...
    @property
    def url(self) -> Target: ...
    @property
    def headers(self) -> MutableMapping[str, str]: ...
    @property
    def stream(self) -> object: ...
    def read(self) -> bytes: ...
    async def aread(self) -> bytes: ...


class _Response(Answered, Protocol):
    @property
    def url(self) -> Target: ...
    @property
    def request(self) -> _Request: ...
    @property
    def extensions(self) -> MutableMapping[str, Any]: ...
    def read(self) -> bytes: ...
    async def aread(self) -> bytes: ...


_RequestT = TypeVar("_RequestT", bound=_Request)
_ResponseT = TypeVar("_ResponseT", bound=_Response)


class AuthFlow(Generic[_RequestT, _ResponseT]):
    """Attaches the access token, and answers a 401 with one renewal and one replay."""

    #: A body in memory, and what else can be sent; the library's own.
    _in_memory: ClassVar[type]
    _sendable: ClassVar[type]
    _asendable: ClassVar[type]

    def __init__(self, source: TokenSource, scope: ScopeLike, *, replay: bool = True) -> None:
        """
        Authenticate for `scope`. With `replay=False` a 401 is handed over; the next call has a new token.

        Raises:
            CredentialsError: `scope` is not the number of a Daxko client.
        """
        self._calls = Calls(source, scope, replay=replay)
        self._source = source
        self._client_id = self._calls.client_id

    def sync_auth_flow(self, request: _RequestT) -> Generator[_RequestT, _ResponseT, None]:
        """
        Send with a token; on a 401, renew and send once more. A 401 that is handed over carries a note.

        Raises:
            UntrustedOriginError: the URL is not of the source's origin. Nothing was sent.
            CredentialsError: the URL is the partner token endpoint, which takes no access token.
            TokenRequestError: no token is to be had. Nothing was sent, or nothing after the 401.
        """
        self._calls.check(request.method, request.url)
        if not isinstance(request.stream, self._in_memory) and _wants_buffering(request, self._sendable):
            request.read()
        token = self._source.token(self._client_id)
        response = yield _with(token, request)
        if response.status_code != UNAUTHORIZED or not self._refuses(response, token, request):
            return
        # Read before anybody waits, so that the connection is free for others meanwhile.
        response.read()
        if not self._calls_for_replay(request, response, token):
            return
        replacement = self._source.replacement_for(token)
        if replacement is None:
            _note(response, HELD)
            return
        response = yield _with(replacement, request)
        if response.status_code == UNAUTHORIZED and self._refuses(response, replacement, request):
            _note(response, FRESH_REFUSED)
            self._source.replacement_refused(replacement)

    async def async_auth_flow(self, request: _RequestT) -> AsyncGenerator[_RequestT, _ResponseT]:
        """Do the same as `sync_auth_flow`, awaiting."""
        self._calls.check(request.method, request.url)
        if not isinstance(request.stream, self._in_memory) and _wants_buffering(request, self._asendable):
            await request.aread()
        token = await self._source.atoken(self._client_id)
        response = yield _with(token, request)
        if response.status_code != UNAUTHORIZED or not self._refuses(response, token, request):
            return
        await response.aread()
        if not self._calls_for_replay(request, response, token):
            return
        replacement = await self._source.areplacement_for(token)
        if replacement is None:
            _note(response, HELD)
            return
        response = yield _with(replacement, request)
        if response.status_code == UNAUTHORIZED and self._refuses(response, replacement, request):
            _note(response, FRESH_REFUSED)
            self._source.replacement_refused(replacement)

    @also_half_made
    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self._calls.scope} at {self._calls.origin.base_url}>"

    def _refuses(self, response: _ResponseT, token: AccessToken, request: _RequestT) -> bool:
        """Whether this 401 is our server's, to this very token, and the request may be sent there again."""
        # A redirect may have led to another server, which got no bearer and knows nothing of our token; or on
        # from there back to ours, without the bearer. And a hook of the program may have changed the URL.
        return (
            self._calls.origin.admits(response.url)
            and response.request.headers.get("Authorization") == f"Bearer {token.reveal()}"
            and self._calls.origin.admits(request.url)
        )

    def _calls_for_replay(self, request: _RequestT, response: _ResponseT, token: AccessToken) -> bool:
        """Whether a 401 is to be answered by a renewal and a replay; if not, see to the next call."""
        sendable = isinstance(request.stream, self._in_memory)
        why_not = self._calls.why_not_again(token, request.method, request.url.path, response, sendable=sendable)
        if why_not:
            _note(response, why_not)
        return why_not is None


def _note(response: _Response, note: str) -> None:
    response.extensions[NOTE] = note


def _with(token: AccessToken, request: _RequestT) -> _RequestT:
    request.headers["Authorization"] = f"Bearer {token.reveal()}"
    return request


def _wants_buffering(request: _Request, sendable: type) -> bool:
    """Whether the body is not in memory, but says that it is small: a multipart form, a file; no bare generator."""
    length = request.headers.get("Content-Length", "")
    return (
        isinstance(request.stream, sendable)
        and length.isascii()
        and length.isdecimal()
        and int(length) <= LARGEST_BUFFERED_BODY
    )

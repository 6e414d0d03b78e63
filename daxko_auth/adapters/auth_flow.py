"""
The authentication of one request of httpx, or of httpx2, which is made alike.
"""

import sys
import traceback
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, NoReturn, Protocol, TypeVar

from daxko_auth.adapters.calls import (
    HELD,
    NOT_CARRIED,
    PROGRAM_RAISED,
    REDIRECTED,
    TAKEN_OUT,
    UNAUTHORIZED,
    UNREADABLE,
    Calls,
    Target,
    attribute,
    causes,
    wrong_library,
)
from daxko_auth.model.hidden_locals import empty_frames, hides_locals
from daxko_auth.model.scope import ScopeLike
from daxko_auth.model.tokens import AccessToken
from daxko_auth.policy.source import TokenSource
from daxko_auth.wire.direct import require_direct
from daxko_auth.wire.token_response import Answered

#: Where a 401 that is handed over says why: `response.extensions[NOTE]`, a sentence.
NOTE: Final = "daxko_auth"

#: A body up to this size is read into memory before it is sent, so that it can be sent again.
LARGEST_BUFFERED_BODY: Final = 1024 * 1024

# Extensions of a request (https://www.python-httpx.org/advanced/extensions/) that decide where it goes, or are told.
_TLS_NAME: Final = "sni_hostname"
_TARGET: Final = "target"
_TRACE: Final = "trace"

# What httpx and httpx2 connect and send with. A pool of theirs returns from these once the head of an answer is there.
_ENGINES: Final = frozenset({"httpcore", "httpcore2"})
_WAITING: Final = frozenset({"handle_request", "handle_async_request"})


class _Headers(Protocol):
    @property
    def raw(self) -> list[tuple[bytes, bytes]]: ...
    def get(self, key: str, default: str, /) -> str: ...
    def __setitem__(self, key: str, value: str) -> None: ...


class _Request(Protocol):
    @property
    def method(self) -> str: ...
    @property
    def url(self) -> Target: ...
    @property
    def headers(self) -> _Headers: ...
    @property
    def extensions(self) -> MutableMapping[str, Any]: ...
    @property
    def stream(self) -> object: ...
    def read(self) -> bytes: ...
    async def aread(self) -> bytes: ...


class _Response(Answered, Protocol):
    @property
    def request(self) -> _Request: ...
    @property
    def extensions(self) -> MutableMapping[str, Any]: ...
    @property
    def history(self) -> "Sequence[_Response]": ...
    def read(self) -> bytes: ...
    async def aread(self) -> bytes: ...


_RequestT = TypeVar("_RequestT", bound=_Request)
_ResponseT = TypeVar("_ResponseT", bound=_Response)


class AuthFlow(Generic[_RequestT, _ResponseT]):
    """Attaches the access token, and answers a 401 with one renewal and one replay."""

    #: A body in memory, and what else can be sent; a response, and what is raised after too many; the library's.
    _in_memory: ClassVar[type]
    _sendable: ClassVar[type]
    _asendable: ClassVar[type]
    _answer: ClassVar[type[Any]]
    _too_many: ClassVar[type[Exception]]

    @hides_locals
    def __init__(self, source: TokenSource, scope: ScopeLike, *, replay: bool = True) -> None:
        """
        Authenticate for `scope`. With `replay=False` a 401 is handed over; the next call has a new token.

        Raises:
            CredentialsError: `scope` is not the number of a Daxko client.
        """
        self._calls = Calls(source, scope, replay=replay)
        self._source = source
        self._client_id = self._calls.client_id
        self._watches = (_Watch(self._calls, None, asynchronous=False), _Watch(self._calls, None, asynchronous=True))

    def sync_auth_flow(self, request: _RequestT) -> Generator[_RequestT, _ResponseT, None]:
        """
        Send with a token; on a 401, renew and send once more. A 401 that is handed over carries a note.

        Raises:
            UntrustedOriginError: the URL, `Host`, TLS name or target is not of the source's origin. Nothing was sent.
            CredentialsError: the URL is the partner token endpoint, which takes no access token; or the request has
                an `Authorization` that the source did not issue.
            TokenRequestError: no token is to be had. Nothing was sent, or nothing after the 401.
        """
        outer, url = sys.exception(), request.url
        try:
            self._check(request, asynchronous=False)
        except BaseException as error:
            empty_frames(error)
            raise
        if not isinstance(request.stream, self._in_memory) and _wants_buffering(request, self._sendable):
            request.read()
        token = self._source.token(self._client_id)
        response: _ResponseT | None
        try:
            response = yield self._with(token, request)
        except GeneratorExit:
            response = None
        if response is None:
            self._ended_by(sys.exception(), outer, request, token)
            return
        if response.status_code != UNAUTHORIZED or not self._is_answer_to(request, url, response, token):
            return
        with self._reading(request, token):
            response.read()
        if not self._calls_for_replay(request, response, token):
            return
        replacement = self._source.replacement_for(token, method=request.method, path=_path(request))
        if replacement is None:
            _note(response, HELD)
            return
        try:
            response = yield self._with(replacement, request)
        except GeneratorExit:
            response = None
        if response is None:
            self._ended_by(sys.exception(), outer, request, replacement)
            return
        self._replayed(request, url, response, replacement)

    async def async_auth_flow(self, request: _RequestT) -> AsyncGenerator[_RequestT, _ResponseT]:
        """Do the same as `sync_auth_flow`, awaiting."""
        outer, url = sys.exception(), request.url
        try:
            self._check(request, asynchronous=True)
        except BaseException as error:
            empty_frames(error)
            raise
        if not isinstance(request.stream, self._in_memory) and _wants_buffering(request, self._asendable):
            await request.aread()
        token = await self._source.atoken(self._client_id)
        response: _ResponseT | None
        try:
            response = yield self._with(token, request)
        except GeneratorExit:
            response = None
        if response is None:
            self._ended_by(sys.exception(), outer, request, token)
            return
        if response.status_code != UNAUTHORIZED or not self._is_answer_to(request, url, response, token):
            return
        with self._reading(request, token):
            await response.aread()
        if not self._calls_for_replay(request, response, token):
            return
        replacement = await self._source.areplacement_for(token, method=request.method, path=_path(request))
        if replacement is None:
            _note(response, HELD)
            return
        try:
            response = yield self._with(replacement, request)
        except GeneratorExit:
            response = None
        if response is None:
            self._ended_by(sys.exception(), outer, request, replacement)
            return
        self._replayed(request, url, response, replacement)

    @hides_locals
    def __call__(self, *called_with: object) -> NoReturn:
        """
        Say which class the library needs that calls this.

        Raises:
            TypeError: always; it is another library that asks.
        """
        raise wrong_library(self, called_with)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self._calls.scope} at {self._calls.origin.base_url}>"

    def _check(self, request: _RequestT, *, asynchronous: bool) -> None:
        """Refuse a request that must not have the access token, by everything that decides where it goes."""
        calls, extensions = self._calls, request.extensions
        calls.check(request.method, request.url, request.headers.raw)
        if extensions.get(_TLS_NAME):
            calls.origin.require_tls_name(_text(extensions[_TLS_NAME]))
        if _TARGET in extensions:
            target = _text(extensions[_TARGET])
            calls.origin.require_target(target)
            calls.check_endpoint(target.partition("?")[0])
        if calls.is_plain:
            self._watch(request, asynchronous=asynchronous)

    def _watch(self, request: _RequestT, *, asynchronous: bool) -> None:
        """See to it that no proxy of the program's HTTP object gets the token; the object itself is out of sight."""
        theirs = request.extensions.get(_TRACE)
        if isinstance(theirs, _Watch):
            theirs = theirs.theirs
        usual = self._watches[asynchronous]
        request.extensions[_TRACE] = usual if theirs is None else _Watch(self._calls, theirs, asynchronous=asynchronous)

    def _with(self, token: AccessToken, request: _RequestT) -> _RequestT:
        request.headers["Authorization"] = self._calls.bearer(token)
        return request

    def _carries(self, request: _Request, token: AccessToken) -> bool:
        """Whether this request brought this very token to our server."""
        authorization = request.headers.get("Authorization", "")
        return authorization == f"Bearer {token.reveal()}" and self._calls.origin.admits(request.url)

    def _is_answer_to(self, request: _RequestT, url: Target, response: _ResponseT, token: AccessToken) -> bool:
        """Whether this 401 answers the very request that was authenticated; if not, see to the next call."""
        # The library follows redirects by itself, and returns the last answer: a POST that was carried out and a 401
        # for the page that it led to, or the 401 of a stranger. And a hook of the program may have changed the URL.
        answered = response.request
        hops: list[_Response] = [*response.history, response]
        if self._carries(answered, token):
            if answered is request and request.url is url:
                return True
            _note(response, self._calls.not_again(token, answered.method, answered.url.path, REDIRECTED))
        elif all(self._calls.origin.admits(each.request.url) for each in hops):
            # Only code of the program takes it out then: before it was sent, or afterwards.
            self._source.doubt(token)
            _note(response, TAKEN_OUT)
        else:
            _note(response, NOT_CARRIED)
        return False

    @contextmanager
    def _reading(self, request: _RequestT, token: AccessToken) -> Generator[None, None, None]:
        """See to the next call if the body of a 401 cannot be read: cut, in another encoding, or not waited for."""
        # Read before anybody waits for a renewal, so that the connection is free for others meanwhile.
        try:
            yield
        except BaseException:
            self._calls.not_again(token, request.method, _path(request), UNREADABLE)
            raise

    def _calls_for_replay(self, request: _RequestT, response: _ResponseT, token: AccessToken) -> bool:
        """Whether a 401 is to be answered by a renewal and a replay; if not, see to the next call."""
        sendable = isinstance(request.stream, self._in_memory)
        why_not = self._calls.why_not_again(token, request.method, _path(request), response, sendable=sendable)
        if why_not:
            _note(response, why_not)
        return why_not is None

    def _replayed(self, request: _RequestT, url: Target, response: _ResponseT, token: AccessToken) -> None:
        """Take in the answer to the replay."""
        if response.status_code == UNAUTHORIZED and self._is_answer_to(request, url, response, token):
            _note(response, self._calls.refused_again(token, request.method, _path(request)))

    def _ended_by(
        self, error: BaseException | None, outer: BaseException | None, request: _RequestT, token: AccessToken
    ) -> None:
        """
        Learn what can be learnt about `token` from what ended the call in the middle of the flow.

        A hook that raises for a status, as httpx itself recommends, keeps the response from us. `outer` is what the
        program was handling when it called; it says nothing of this call.
        """
        chain = list(causes(error, until=outer))
        if chain:
            self._learn(chain, request, token)
        for each in chain:
            # The engine's locals are the headers, as they are sent.
            traceback.clear_frames(next((tb for tb in _frames(each) if _package(tb) in _ENGINES), None))

    def _learn(self, chain: Sequence[BaseException], request: _RequestT, token: AccessToken) -> None:
        for cause in chain:
            response = attribute(cause, "response")
            # A response that nobody attached a request to has none; the error may.
            answered = attribute(response, "request") or attribute(cause, "request")
            if (
                isinstance(response, self._answer)
                and isinstance(answered, type(request))
                and self._carries(answered, token)
            ):
                if response.status_code == UNAUTHORIZED:
                    self._calls.not_again(token, answered.method, answered.url.path, PROGRAM_RAISED)
                return
        if not self._is_of_library(chain[0], token):
            self._source.doubt(token)

    def _is_of_library(self, error: BaseException, token: AccessToken) -> bool:
        """Whether it was not the program's code that ended the call: there was no answer, or one redirect too many."""
        if isinstance(error, self._too_many) and _package([*_frames(error)][-1]) == self._too_many.__module__:
            return True
        bearer = self._calls.bearer(token).encode()
        # The library raises errors of its own from those of the engine; others come through it.
        return any(_is_waiting_for_answer(tb, bearer) for each in (error, error.__cause__) for tb in _frames(each))


class _Watch:
    """Looks on while a request to plain http is sent, and stops it before a proxy, or anybody else, gets the token."""

    def __init__(self, calls: Calls, theirs: Callable[[str, Any], Any] | None, *, asynchronous: bool) -> None:
        self._calls = calls
        #: The program's own extension.
        self.theirs = theirs
        self._asynchronous = asynchronous

    def __call__(self, step: str, info: Mapping[str, Any]) -> object:
        """Be told of a step; for the asynchronous side, in return for something to await."""
        require_direct(self._calls.origin, step, info, self._calls.refuse_proxy)
        if self.theirs is not None:
            return self.theirs(step, info)
        return _nothing() if self._asynchronous else None


async def _nothing() -> None:
    pass


def _frames(error: BaseException | None) -> Iterator[TracebackType]:
    """Return the steps of the traceback of `error`, the outermost first."""
    tb = error.__traceback__ if error else None
    while tb is not None:
        yield tb
        tb = tb.tb_next


def _package(tb: TracebackType) -> str:
    name: str = tb.tb_frame.f_globals.get("__name__", "")
    return name.partition(".")[0]


def _is_waiting_for_answer(tb: TracebackType, bearer: bytes) -> bool:
    """Whether the HTTP engine had sent, or was about to send, that header, and had no answer yet."""
    frame = tb.tb_frame
    if _package(tb) not in _ENGINES or frame.f_code.co_name not in _WAITING:
        return False
    headers: Iterable[tuple[bytes, bytes]] = getattr(frame.f_locals.get("request"), "headers", ())
    return any(name.lower() == b"authorization" and value == bearer for name, value in headers)


def _note(response: _Response, note: str) -> None:
    response.extensions[NOTE] = note


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _path(request: _Request) -> str:
    """Return the path that is sent."""
    target = request.extensions.get(_TARGET)
    return request.url.path if target is None else _text(target).partition("?")[0]


def _wants_buffering(request: _Request, sendable: type) -> bool:
    """Whether the body is not in memory, but says that it is small: a multipart form, a file; no bare generator."""
    length = request.headers.get("Content-Length", "")
    return (
        isinstance(request.stream, sendable)
        and length.isascii()
        and length.isdecimal()
        and int(length) <= LARGEST_BUFFERED_BODY
    )

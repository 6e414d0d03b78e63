"""
The whole of Daxko's API for one Daxko client, for programs that want nothing else.

`Daxko` for threads and `AsyncDaxko` for tasks are twins around one source and one connection pool.
"""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import httpx

from daxko_auth.adapters.transports import AsyncAuthTransport, AuthTransport, InTransport
from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.errors import CredentialsError, MemberLoginRefused, TokenRefused
from daxko_auth.model.hidden_locals import hides_locals
from daxko_auth.model.origin import Origin
from daxko_auth.model.scope import ClientScope, ScopeLike
from daxko_auth.model.secret import Secret
from daxko_auth.model.tokens import AccessToken, MemberToken
from daxko_auth.model.vendor import ACCEPT, MEMBER_TOKEN_ENDPOINT
from daxko_auth.policy.source import TokenSource, check_source, origin_of
from daxko_auth.wire.http import new_async_transport, new_transport
from daxko_auth.wire.member_login import LoginOutcome, MemberLogin, Refusal
from daxko_auth.wire.transports import AsyncOwnedTransport, OwnedTransport

if TYPE_CHECKING:
    from daxko_api.client import AuthenticatedClient

#: Seconds that any one step of a call (connecting, reading, ...) may take.
DEFAULT_TIMEOUT: Final = 30.0

# Seconds, about a month, as in a RenewalPolicy: far less than makes a clock overflow.
_LONGEST_TIMEOUT: Final = 31 * 86_400.0
_TIMEOUT_WANTED: Final = (
    "timeout is a number of seconds above zero (a month at most), an httpx.Timeout of such, or None to wait for ever"
)

# One source per origin and account, for the life of the process: a web handler that builds a
# Daxko per request still causes one token request. `setdefault` is atomic, so no lock.
_shared_sources: dict[tuple[str, ApiCredentials], TokenSource] = {}


class Daxko:
    """
    Daxko's API for one Daxko client.

    Without `source`, all Daxko and AsyncDaxko objects of one account and origin share one, which
    lives as long as the process. Use it as a context manager, or call `close`.
    """

    #: An `httpx.Client` that authenticates in its transport, so that hooks see no token, and no 401 that is answered
    #: with a replay; `response.history` has it. Relative URLs go to Daxko. `auth=None` sends one request without a
    #: token; an `Authorization` header that the source did not issue is refused.
    http: httpx.Client
    #: The generated typed client, for the functions of `daxko_api.api`.
    api: "AuthenticatedClient"

    @hides_locals
    def __init__(
        self,
        credentials: ApiCredentials,
        scope: ScopeLike,
        *,
        base_url: str | None = None,
        source: TokenSource | None = None,
        timeout: float | httpx.Timeout | None = DEFAULT_TIMEOUT,
    ) -> None:
        """
        Prepare; nothing is sent before the first call.

        Args:
            credentials: the API account.
            scope: the Daxko client: `9999`, `"9999"`, `"client:9999"` or a ClientScope.
            base_url: Daxko's origin; by default `DAXKO_BASE_URL`, or else https://api.daxko.com.
            source: a source of your own, for the same account; it brings its own base URL.
            timeout: seconds for each step of a call, or an `httpx.Timeout`; None waits for ever.

        Raises:
            CredentialsError: the scope, the base URL or the source does not fit.
            TypeError: `timeout` is none of these.
            ValueError: `timeout` is not above zero, or more than a month.
        """
        source = _source_for(credentials, base_url, source)
        transport = OwnedTransport(new_transport, source.origin)
        self._open(source, ClientScope(scope), _timeout_of(timeout), transport)
        self._owned_transport: httpx.BaseTransport | None = transport

    def _open(
        self, source: TokenSource, scope: ClientScope, timeout: httpx.Timeout, transport: httpx.BaseTransport
    ) -> None:
        self._source = source
        self._scope = scope
        self._timeout = timeout
        self._transport = transport
        authenticating = AuthTransport(source, scope, transport)
        self.http = httpx.Client(
            auth=InTransport(),
            base_url=source.origin.base_url,
            headers={"Accept": ACCEPT},
            timeout=timeout,
            transport=authenticating,
            # The transport goes by the environment's proxy already, and never on loopback.
            trust_env=False,
        )
        self.api = _api(source.origin, timeout, authenticating)

    @hides_locals
    def member_token(self, username: str, password: str | Secret) -> MemberToken:
        """
        Sign a member in (guide, "Access API resource").

        The login is sent again only if the answer says that the access token was the problem.

        Raises:
            MemberLoginRefused: the member's name or password was refused, or, after an unexplained
                401, perhaps the access token.
            TokenRequestError: no access token, or no answer that could be used.
        """
        name, secret = _checked(username, password)
        token = first = self._source.token(self._scope)
        outcome = self._login(token, name, secret)
        if outcome is Refusal.ACCESS_TOKEN:
            replacement = self._source.replacement_for(token, method="POST", path=MEMBER_TOKEN_ENDPOINT.path)
            if replacement is not None:
                token = replacement
                outcome = self._login(token, name, secret)
        return _conclude(outcome, token, self._source, was_replaced=token is not first)

    def _login(self, token: AccessToken, username: str, password: Secret) -> LoginOutcome:
        login = MemberLogin(self._source.origin, self._timeout)
        try:
            return login.request(token, username, password, sent_at=time.time(), transport=self._transport)
        except BaseException:
            _interrupted(login, token, self._source)
            raise

    @hides_locals
    def for_scope(self, scope: ScopeLike) -> "Daxko":
        """Return a sibling for another Daxko client; it shares the connection pool, which ends with the first."""
        sibling = Daxko.__new__(Daxko)
        sibling._open(self._source, ClientScope(scope), self._timeout, self._transport)  # noqa: SLF001 - of its own kind
        sibling._owned_transport = None  # noqa: SLF001 - of its own kind
        return sibling

    def close(self) -> None:
        """Close the connections. The source lives on: it may have other users."""
        self.http.close()
        self.api.get_httpx_client().close()
        if self._owned_transport is not None:
            self._owned_transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Daxko for {self._scope} at {self._source.origin.base_url}>"


class AsyncDaxko:
    """The same as `Daxko`, for asyncio and trio."""

    #: An `httpx.AsyncClient` that authenticates, as `Daxko.http` does. One AsyncDaxko serves any number of event loops.
    http: httpx.AsyncClient
    #: The generated typed client, for the functions of `daxko_api.api`.
    api: "AuthenticatedClient"

    @hides_locals
    def __init__(
        self,
        credentials: ApiCredentials,
        scope: ScopeLike,
        *,
        base_url: str | None = None,
        source: TokenSource | None = None,
        timeout: float | httpx.Timeout | None = DEFAULT_TIMEOUT,
    ) -> None:
        """Prepare as `Daxko` does, from the same arguments."""
        source = _source_for(credentials, base_url, source)
        transport = AsyncOwnedTransport(new_async_transport, source.origin)
        self._open(source, ClientScope(scope), _timeout_of(timeout), transport)
        self._owned_transport: httpx.AsyncBaseTransport | None = transport

    def _open(
        self, source: TokenSource, scope: ClientScope, timeout: httpx.Timeout, transport: httpx.AsyncBaseTransport
    ) -> None:
        self._source = source
        self._scope = scope
        self._timeout = timeout
        self._transport = transport
        authenticating = AsyncAuthTransport(source, scope, transport)
        self.http = httpx.AsyncClient(
            auth=InTransport(),
            base_url=source.origin.base_url,
            headers={"Accept": ACCEPT},
            timeout=timeout,
            transport=authenticating,
            trust_env=False,
        )
        self.api = _api(source.origin, timeout, authenticating)

    @hides_locals
    async def member_token(self, username: str, password: str | Secret) -> MemberToken:
        """Sign a member in as `Daxko.member_token` does, awaiting."""
        name, secret = _checked(username, password)
        token = first = await self._source.atoken(self._scope)
        outcome = await self._login(token, name, secret)
        if outcome is Refusal.ACCESS_TOKEN:
            replacement = await self._source.areplacement_for(token, method="POST", path=MEMBER_TOKEN_ENDPOINT.path)
            if replacement is not None:
                token = replacement
                outcome = await self._login(token, name, secret)
        return _conclude(outcome, token, self._source, was_replaced=token is not first)

    async def _login(self, token: AccessToken, username: str, password: Secret) -> LoginOutcome:
        login = MemberLogin(self._source.origin, self._timeout)
        try:
            return await login.arequest(token, username, password, sent_at=time.time(), transport=self._transport)
        except BaseException:
            _interrupted(login, token, self._source)
            raise

    @hides_locals
    def for_scope(self, scope: ScopeLike) -> "AsyncDaxko":
        """Return a sibling for another Daxko client; it shares the connection pool, which ends with the first."""
        sibling = AsyncDaxko.__new__(AsyncDaxko)
        sibling._open(self._source, ClientScope(scope), self._timeout, self._transport)  # noqa: SLF001 - of its own kind
        sibling._owned_transport = None  # noqa: SLF001 - of its own kind
        return sibling

    async def aclose(self) -> None:
        """Close the connections. The source lives on: it may have other users."""
        await self.http.aclose()
        await self.api.get_async_httpx_client().aclose()
        if self._owned_transport is not None:
            await self._owned_transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<AsyncDaxko for {self._scope} at {self._source.origin.base_url}>"


def _source_for(credentials: ApiCredentials, base_url: str | None, source: TokenSource | None) -> TokenSource:
    if source is None:
        origin = origin_of(base_url)
        key = (origin.base_url, credentials)
        return _shared_sources.get(key) or _shared_sources.setdefault(key, TokenSource(credentials, origin.base_url))
    check_source(source)
    if source.credentials != credentials:
        msg = "the source was made with other credentials; pass those, or leave source= out"
        raise CredentialsError(msg)
    if base_url is not None and Origin.of(base_url) != source.origin:
        msg = f"the source was made for {source.origin.base_url}; leave base_url= out, or make a source for the other"
        raise CredentialsError(msg)
    return source


def _timeout_of(timeout: float | httpx.Timeout | None) -> httpx.Timeout:
    steps = timeout.as_dict().values() if isinstance(timeout, httpx.Timeout) else [timeout]
    for seconds in steps:
        if seconds is None:
            continue
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):  # pyright: ignore[reportUnnecessaryIsInstance] - or a text, a timedelta
            raise TypeError(_TIMEOUT_WANTED)
        # In an httpx.Timeout, 0 has a meaning: to wait for no connection of the pool.
        if not 0 <= seconds <= _LONGEST_TIMEOUT or (seconds == 0 and seconds is timeout):
            raise ValueError(_TIMEOUT_WANTED)
    return httpx.Timeout(timeout)


def _api(
    origin: Origin, timeout: httpx.Timeout, transport: httpx.BaseTransport | httpx.AsyncBaseTransport
) -> "AuthenticatedClient":
    from daxko_api.client import AuthenticatedClient  # noqa: PLC0415 - see Exchange

    return AuthenticatedClient(
        base_url=origin.base_url,
        headers={"Accept": ACCEPT},
        timeout=timeout,
        httpx_args={"auth": InTransport(), "transport": transport, "trust_env": False},
    )


def _checked(username: object, password: object) -> tuple[str, Secret]:
    if not isinstance(username, str | Secret) or not isinstance(password, str | Secret):
        raise TypeError("a member's name and password are strings; pass the password as text or as a Secret")
    return (
        username.reveal() if isinstance(username, Secret) else username,
        password if isinstance(password, Secret) else Secret(password),
    )


def _interrupted(login: MemberLogin, token: AccessToken, source: TokenSource) -> None:
    # While the body of a 401 was read: it may have been the access token's, as it is without an explanation.
    if login.is_unauthorized:
        source.refused_without_replay(token, method="POST", path=MEMBER_TOKEN_ENDPOINT.path)


def _conclude(outcome: LoginOutcome, token: AccessToken, source: TokenSource, *, was_replaced: bool) -> MemberToken:
    path = MEMBER_TOKEN_ENDPOINT.path
    where = f"{source.origin.base_url}{path}"
    match outcome:
        case MemberToken():
            return outcome
        case Refusal.UNEXPLAINED:
            # It may have been the access token, so the next call gets another; it may have been
            # the member's password, so the login is not repeated.
            renewed = source.refused_without_replay(token, method="POST", path=path)
            kept = "the access token is kept, since it was renewed a moment ago"
            next_call = "the next call has a new access token" if renewed else kept
            raise MemberLoginRefused(
                f"the member was not signed in at {token.scope}: {where} answered 401 without saying "
                "whether the member's name or password was refused, or the access token. The login was not repeated; "
                f"{next_call}",
                "Let the member try again",
                scope=token.scope.wire,
                status_code=401,
            )
        case Refusal.ACCESS_TOKEN:
            advice = "Check with Daxko that the API account may sign members in for this Daxko client"
            if not was_replaced:
                what = "refused the access token, and a new token did not help a moment ago"
            elif source.replacement_refused(token, method="POST", path=path):
                what = "refused a fresh token, too"
            else:
                what, advice = "refused two access tokens; the next call has a new one", "Let the member try again"
            raise TokenRefused(
                f"the member was not signed in at {token.scope}: {where} {what}",
                advice,
                scope=token.scope.wire,
                status_code=401,
                error="invalid_token",
            )
        case error:
            raise error

"""
The contestants: what each does to have a token at hand, and to send a request with it.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from functools import partial
from typing import Any, Final

import google.auth.transport.requests
import google.oauth2.credentials
import httpx
import httpx_auth
from attrs import frozen
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client

from bench.server import TokenServer
from daxko_auth import ApiCredentials, DaxkoAuth, TokenSource

CLIENT_ID: Final = 9999
_USER, _PASSWORD = "bench-user", "bench-password"

OURS, BY_HAND, NO_AUTH, FLOOR = "daxko_auth", "by hand, with a lock", "no auth", "a static header"
AUTHLIB, HTTPX_AUTH, GOOGLE = "Authlib", "httpx-auth", "google-auth"


def our_source(server: TokenServer) -> TokenSource:
    """Return a cold one."""
    return TokenSource(ApiCredentials(_USER, _PASSWORD, "bench-refresh-token"), server.base_url)


class HandMade(httpx.Auth):
    """What people write: a token, its end, and a lock."""

    def __init__(self, server: TokenServer) -> None:
        self._token_url = server.token_url
        self._token, self._end = "", 0.0
        self._lock, self._alock = threading.Lock(), asyncio.Lock()

    def token(self) -> str:
        """Return it, asking if it is over."""
        with self._lock:
            if time.time() > self._end - 60:
                answer = httpx.post(self._token_url, data={"client_id": _USER, "client_secret": _PASSWORD}).json()
                self._token, self._end = answer["access_token"], time.time() + answer["expires_in"]
            return self._token

    async def atoken(self) -> str:
        """Return it, awaiting."""
        async with self._alock:
            if time.time() > self._end - 60:
                async with httpx.AsyncClient() as http:
                    answer = (await http.post(self._token_url, data={"client_id": _USER})).json()
                self._token, self._end = answer["access_token"], time.time() + answer["expires_in"]
            return self._token

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Attach it."""
        request.headers["Authorization"] = f"Bearer {self.token()}"
        yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Attach it, awaiting."""
        request.headers["Authorization"] = f"Bearer {await self.atoken()}"
        yield request


def authlib_client(server: TokenServer, *, cold: bool = False, **options: Any) -> OAuth2Client:
    """Return a client with a token, or with one whose end has come: without any it raises."""
    return OAuth2Client(**_authlib(server, cold=cold), **options)


def async_authlib_client(server: TokenServer, *, cold: bool = False, **options: Any) -> AsyncOAuth2Client:
    """Return the same for tasks."""
    return AsyncOAuth2Client(**_authlib(server, cold=cold), **options)


def _authlib(server: TokenServer, *, cold: bool) -> dict[str, Any]:
    return {
        "client_id": _USER,
        "client_secret": _PASSWORD,
        "token_endpoint": server.token_url,
        "grant_type": "client_credentials",
        "token": {"access_token": "at-hand", "token_type": "Bearer", "expires_at": 1 if cold else time.time() + 86_400},
    }


def httpx_auth_of(server: TokenServer) -> httpx_auth.OAuth2ClientCredentials:
    """Return a cold one: its cache is one for the process."""
    httpx_auth.OAuth2.token_cache.clear()
    return httpx_auth.OAuth2ClientCredentials(server.token_url, client_id=_USER, client_secret=_PASSWORD)


def google_credentials(server: TokenServer) -> google.oauth2.credentials.Credentials:
    """Return cold ones."""
    return google.oauth2.credentials.Credentials(  # type: ignore[no-untyped-call]
        None, refresh_token="r", token_uri=server.token_url, client_id=_USER, client_secret=_PASSWORD
    )


@frozen
class Herd:
    """How one contestant gets a token in a thread, and in a task; None where it has no such way."""

    name: str
    in_thread: Callable[[TokenServer], Callable[[], object]] | None
    in_task: Callable[[TokenServer], Callable[[], Any]] | None


def _ours_in_thread(server: TokenServer) -> Callable[[], object]:
    source = our_source(server)
    return lambda: source.token(CLIENT_ID)


def _ours_in_task(server: TokenServer) -> Callable[[], Any]:
    source = our_source(server)
    return lambda: source.atoken(CLIENT_ID)


def _httpx_auth_in_thread(server: TokenServer) -> Callable[[], object]:
    auth = httpx_auth_of(server)
    return lambda: next(auth.sync_auth_flow(httpx.Request("GET", server.base_url)))


def _google_in_thread(server: TokenServer) -> Callable[[], object]:
    credentials = google_credentials(server)
    request = google.auth.transport.requests.Request()
    return lambda: credentials.before_request(request, "GET", server.base_url, {})  # type: ignore[no-untyped-call]


def _authlib_in_task(server: TokenServer) -> Callable[[], Any]:
    client = async_authlib_client(server, cold=True)
    return lambda: client.ensure_active_token(client.token)


HERDS: Final = (
    Herd(OURS, _ours_in_thread, _ours_in_task),
    Herd(BY_HAND, lambda server: HandMade(server).token, lambda server: HandMade(server).atoken),
    Herd(AUTHLIB, lambda server: authlib_client(server, cold=True).ensure_active_token, _authlib_in_task),
    Herd(HTTPX_AUTH, _httpx_auth_in_thread, None),
    Herd(GOOGLE, _google_in_thread, None),
)


def tokens_at_hand(server: TokenServer) -> dict[str, Callable[[], object]]:
    """Return how each gets at a token that it holds."""
    source, by_hand, authlib, google_ = (
        our_source(server),
        HandMade(server),
        authlib_client(server),
        google_credentials(server),
    )
    held, end = {CLIENT_ID: "token"}, time.time() + 86_400
    httpx_auth_ = httpx_auth_of(server)
    next(httpx_auth_.sync_auth_flow(httpx.Request("GET", server.base_url)))
    google_.refresh(google.auth.transport.requests.Request())  # type: ignore[no-untyped-call]
    ways: dict[str, Callable[[], object]] = {
        "a dictionary and the time": lambda: held[CLIENT_ID] if time.time() < end else None,
        OURS: lambda: source.token(CLIENT_ID),
        BY_HAND: by_hand.token,
        GOOGLE: lambda: google_.token if google_.valid else None,
        AUTHLIB: lambda: authlib.ensure_active_token() and authlib.token["access_token"],
        HTTPX_AUTH: lambda: httpx_auth.OAuth2.token_cache.get_token(httpx_auth_.state),
    }
    for way in ways.values():
        way()
    return ways


_REQUEST: Final = ("GET", "/v3/x")


def flows(server: TokenServer) -> dict[str, Callable[[], object]]:
    """Return what each does to one request of httpx, with a token at hand: all but the sending."""
    request = httpx.Request(_REQUEST[0], f"{server.base_url}{_REQUEST[1]}")
    answer, headers = httpx.Response(200, request=request), request.headers.raw

    def through(auth: httpx.Auth) -> None:
        # As it was, at far less cost than a new one: one that is authenticated already is another task, or refused.
        request.headers._list = [(name, name, value) for name, value in headers]
        flow = auth.sync_auth_flow(request)
        next(flow)
        with suppress(StopIteration):
            flow.send(answer)

    authlib = authlib_client(server)

    def through_authlib() -> None:
        authlib.ensure_active_token(authlib.token)
        through(authlib.token_auth)

    auths = _auths(server)
    return {name: partial(through, auth) for name, auth in auths.items()} | {AUTHLIB: through_authlib}


def async_flows(server: TokenServer) -> dict[str, Callable[[], Any]]:
    """Return the same for tasks."""
    request = httpx.Request(_REQUEST[0], f"{server.base_url}{_REQUEST[1]}")
    answer, headers = httpx.Response(200, request=request), request.headers.raw

    async def through(auth: httpx.Auth) -> None:
        request.headers._list = [(name, name, value) for name, value in headers]
        flow = auth.async_auth_flow(request)
        await anext(flow)
        with suppress(StopAsyncIteration):
            await flow.asend(answer)

    authlib = async_authlib_client(server)

    async def through_authlib() -> None:
        await authlib.ensure_active_token(authlib.token)
        await through(authlib.token_auth)

    auths = _auths(server)
    return {name: partial(through, auth) for name, auth in auths.items()} | {AUTHLIB: through_authlib}


def _auths(server: TokenServer) -> dict[str, httpx.Auth]:
    # The first is what httpx runs where there is no auth at all.
    return {
        NO_AUTH: httpx.Auth(),
        OURS: DaxkoAuth(our_source(server), CLIENT_ID),
        BY_HAND: HandMade(server),
        HTTPX_AUTH: httpx_auth_of(server),
    }

"""
The HTTP that token requests travel by: ours alone, and short.

No hook, cookie, redirect or missing timeout of the user's program touches it. The refresh token is
attached here and is refused to every path but the one it is for.
"""

import contextvars
import functools
import ssl
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Final, TypeVar, cast
from urllib.request import getproxies, proxy_bypass

import httpx

from daxko_auth.model.errors import CredentialsError
from daxko_auth.model.origin import Origin, is_loopback
from daxko_auth.model.shared_result import SharedResult
from daxko_auth.model.threads import start_thread
from daxko_auth.model.vendor import BearerKind, bearer_for

_Result = TypeVar("_Result")

# Seconds by which a wait may overrun on a busy machine; by more, the process was frozen.
_OVERRUN: Final = 1.0


class BearerAuth(httpx.Auth):
    """One bearer of a known kind for requests to one origin, and only where that kind belongs."""

    def __init__(self, kind: BearerKind, reveal: Callable[[], str], origin: Origin) -> None:
        self._kind = kind
        self._reveal = reveal
        self._origin = origin

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """
        Attach the bearer and send once.

        Raises:
            UntrustedOriginError: another origin.
            CredentialsError: a path that takes the other kind of bearer.
        """
        self._origin.require(request.url)
        if bearer_for(request.url.path) is not self._kind:
            msg = f"{request.url.path} does not take the {self._kind.value}; nothing was sent. Please report this"
            raise CredentialsError(msg)
        request.headers["Authorization"] = f"Bearer {self._reveal()}"
        yield request


def new_transport(origin: Origin) -> httpx.HTTPTransport:
    """Return a pool of connections, through the proxy the environment asks for."""
    return httpx.HTTPTransport(verify=_certificates(), proxy=proxy_for(origin))


def new_async_transport(origin: Origin) -> httpx.AsyncHTTPTransport:
    """Return the same for asyncio and trio."""
    return httpx.AsyncHTTPTransport(verify=_certificates(), proxy=proxy_for(origin))


@functools.cache
def _certificates() -> ssl.SSLContext:
    # Loading them is by far the slowest part of making a connection; it is done once.
    return httpx.create_ssl_context()


def proxy_for(origin: Origin) -> str | None:
    """
    Return the proxy the environment asks for, as httpx itself would use it.

    Never for loopback, which is where the only plain http may go.
    """
    url = httpx.URL(origin.base_url)
    if is_loopback(url.raw_host.decode("ascii")) or proxy_bypass(url.netloc.decode("ascii")):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def run_within(seconds: float, call: Callable[[], _Result], *, what: str = "exchange") -> _Result:
    """
    Return what `call` returns; `what` it is names its thread.

    Neither httpx nor redis-py has a total deadline: timeouts start anew with every read, and name resolution has
    none. So the call runs on a thread of its own and is left behind when the time is up.

    Raises:
        TimeoutError: `seconds` have passed.
    """
    outcome: SharedResult[tuple[_Result | None, BaseException | None]] = SharedResult()

    def run() -> None:
        try:
            outcome.set((call(), None))
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
            outcome.set((None, error))

    began = time.monotonic()
    try:
        # The caller's context goes along: a transport of somebody's own may trace or log by it.
        start_thread(partial(contextvars.copy_context().run, run), f"daxko-auth {what}")
    except RuntimeError:
        # Where there is no thread to be had, the timeouts of each step have to do.
        return call()
    if not outcome.wait(seconds) and time.monotonic() - began > seconds + _OVERRUN:
        # The process was frozen meanwhile. What was answered lies in the socket.
        outcome.wait(_OVERRUN)
    ended = outcome.get()
    if ended is None:
        raise TimeoutError
    result, error = ended
    if error is not None:
        raise error
    return cast("_Result", result)

"""
The HTTP that token requests travel by: ours alone, and short.

No hook, cookie, redirect or missing timeout of the user's program touches it. The refresh token is
attached here and is refused to every path but the one it is for.
"""

import contextvars
import functools
import ssl
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx

from daxko_auth.model.errors import CredentialsError
from daxko_auth.model.origin import Origin, is_loopback
from daxko_auth.model.vendor import BearerKind, bearer_for

_Result = TypeVar("_Result")


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
    outcome: Future[_Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
            outcome.set_exception(error)

    # The caller's context goes along: a transport of somebody's own may trace or log by it.
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name=f"daxko-auth {what}", daemon=True).start()
    return outcome.result(timeout=seconds)

"""
The HTTP that token requests travel by: ours alone, and short.

No hook, cookie, redirect or missing timeout of the user's program touches it. The refresh token is
attached here and is refused to every path but the one it is for.

The environment's certificates and proxy are read here and nowhere else. A setting of it that cannot be
used is a `CredentialsError` that names it; the URL of a proxy, which may hold a password, is never quoted.
"""

import contextvars
import errno
import functools
import importlib.util
import os
import re
import ssl
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar, cast
from urllib.request import getproxies, proxy_bypass

import httpx

from daxko_auth.model.errors import CredentialsError
from daxko_auth.model.origin import PORTS, Origin, is_host_name, is_loopback
from daxko_auth.model.secret import Secret
from daxko_auth.model.shared_result import SharedResult
from daxko_auth.model.threads import start_thread
from daxko_auth.model.vendor import BearerKind, bearer_for

_Result = TypeVar("_Result")
_Transport = TypeVar("_Transport")

_SOCKS: Final = frozenset({"socks5", "socks5h"})
# How OpenSSL finds a certificate in a folder: by a hash of its subject. Files of other names are never looked at.
_HASHED_NAME: Final = re.compile(r"[0-9a-f]{8}\.[0-9]+")

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
    """
    Return a pool of connections, through the proxy the environment asks for.

    Raises:
        CredentialsError: naming the setting of the environment that cannot be used.
    """
    return _made(httpx.HTTPTransport, origin)


def new_async_transport(origin: Origin) -> httpx.AsyncHTTPTransport:
    """Return the same for asyncio and trio."""
    return _made(httpx.AsyncHTTPTransport, origin)


def _made(make: Callable[..., _Transport], origin: Origin) -> _Transport:
    proxy = proxy_for(origin)
    try:
        return make(verify=certificates(), proxy=None if proxy is None else proxy.url.reveal())
    except OSError as error:
        # With the first transport httpx imports its engine.
        refused = why_refused(error)
    raise CredentialsError(refused)


def certificates() -> ssl.SSLContext:
    """
    Return what servers are verified with: the authorities of `SSL_CERT_FILE` or `SSL_CERT_DIR`, or else certifi's.

    Loading them is by far the slowest part of making a connection; it is done once for each value of these settings.

    Raises:
        CredentialsError: naming the setting that cannot be used.
        OSError: this process can open no other file.
    """
    return _loaded(*(os.environ.get(name, "") for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")))


@functools.lru_cache(maxsize=4)  # a failure is not kept
def _loaded(file: str, folders: str, key_log: str) -> ssl.SSLContext:
    try:
        # Until httpx 0.28 it passed over a file that is not there.
        context = ssl.create_default_context(cafile=file) if file else httpx.create_ssl_context()
    except OSError as error:
        if is_out_of_files(error):
            raise
        wrong = _unusable(error, file, key_log)
    else:
        if file or not folders or _hold_certificates(folders):
            return context
        wrong = (
            f"SSL_CERT_DIR is {folders!r}, where no certificate is found by its hash. Correct it, run `openssl rehash` "
            "there, or unset it: then the authorities of the package certifi are trusted"
        )
    raise CredentialsError(wrong)


def _unusable(error: OSError, file: str, key_log: str) -> str:
    reason = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else str(error.strerror)
    if key_log and error.filename == key_log:
        return f"SSLKEYLOGFILE is {key_log!r}, which cannot be written: {reason}. Correct it, or unset it"
    if file:
        return (
            f"SSL_CERT_FILE is {file!r}, which cannot be used: {reason}. Correct it, or unset it: then the authorities "
            "of the package certifi are trusted"
        )
    return (
        f"the certificates of the package certifi cannot be used: {reason}. Install certifi again, or set "
        "SSL_CERT_FILE to a file of the authorities to trust"
    )


def _hold_certificates(folders: str) -> bool:
    names: list[str] = []
    for folder in folders.split(os.pathsep):
        with suppress(OSError):
            names += (path.name for path in Path(folder).iterdir())
    return any(map(_HASHED_NAME.fullmatch, names))


def is_out_of_files(error: OSError) -> bool:
    """Whether the system refused another open file, to this process or to all."""
    return error.errno in {errno.EMFILE, errno.ENFILE}


def why_refused(error: OSError) -> str:
    """Say what to do where the system refuses a file that is needed before anything can be sent."""
    return (
        f"a file that this process needs cannot be opened: {error.strerror}. If too many are open, close some, or "
        "raise the limit on open files (ulimit -n)"
    )


class EnvironmentProxy(NamedTuple):
    """The proxy the environment asks for."""

    #: The name of the variable, such as `HTTPS_PROXY`.
    setting: str
    #: It may hold a password.
    url: Secret


def proxy_for(origin: Origin) -> EnvironmentProxy | None:
    """
    Return the proxy the environment asks for, as httpx itself would use it.

    Never for loopback, which is where the only plain http may go.

    Raises:
        CredentialsError: naming the setting that is no URL of a proxy that can be used.
    """
    setting = proxy_setting(origin)
    if setting is None:
        return None
    proxy = EnvironmentProxy(setting, _url_in(setting))
    wrong = _why_unusable(proxy)
    if wrong is not None:
        raise CredentialsError(f"{setting} {wrong}")
    return proxy


def proxy_secrets(origin: Origin) -> tuple[Secret, ...]:
    """Return all that nobody may see of the proxy the environment asks for: its password, with the user name too."""
    setting = proxy_setting(origin)
    if setting is None:
        return ()
    try:
        url = httpx.URL(_url_in(setting).reveal())
    except (httpx.InvalidURL, UnicodeError):
        # Nothing is sent through it.
        return ()
    if not url.userinfo:
        return ()
    # A key may stand in the user name's place, without a password.
    password = Secret(url.password or url.username)
    return password, Secret(f"{url.username}:{password.reveal()}")


def _url_in(setting: str) -> Secret:
    given = getproxies()[setting.lower().removesuffix("_proxy")].strip()
    return Secret(given if "://" in given else f"http://{given}")


def proxy_setting(origin: Origin) -> str | None:
    """Return the name of the setting that asks for a proxy, such as `HTTPS_PROXY`, or None."""
    url = httpx.URL(origin.base_url)
    if is_loopback(url.raw_host.decode("ascii")) or proxy_bypass(url.netloc.decode("ascii")):
        return None
    proxies = getproxies()
    for name in (f"{url.scheme}_proxy", "all_proxy"):
        if proxies.get(name.removesuffix("_proxy"), "").strip():
            # Small letters come first.
            return name if name in os.environ else name.upper()
    return None


def _why_unusable(proxy: EnvironmentProxy) -> str | None:
    try:
        url = httpx.URL(proxy.url.reveal())
        host = url.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        url, host = httpx.URL(), ""
    if host and url.scheme not in {"http", "https", *_SOCKS}:
        return (
            "names a proxy by a scheme that is none of http, https, socks5 and socks5h. Write http://HOST:PORT, or "
            "socks5://HOST:PORT for a SOCKS proxy"
        )
    # A path, because the end of a password that is not escaped looks like one.
    if not is_host_name(host) or not (url.port is None or url.port in PORTS) or url.raw_path != b"/" or url.fragment:
        return (
            "is not the URL of a proxy. Write one such as http://proxy.example:3128, and percent-encode what is no "
            "letter or digit in its user name and password (%40 for @)"
        )
    if url.scheme in _SOCKS and importlib.util.find_spec("socksio") is None:
        return "names a SOCKS proxy, which needs the package socksio: install httpx[socks]"
    return None


def run_within(seconds: float, call: Callable[[], _Result], *, what: str = "exchange") -> _Result:
    """
    Return what `call` returns; `what` it is names its thread. Fewer seconds than none are none.

    Neither httpx nor redis-py has a total deadline: timeouts start anew with every read, and name resolution has
    none. So the call runs on a thread of its own and is left behind when the time is up.

    Raises:
        TimeoutError: `seconds` have passed.
    """
    # Below zero, a wait is one for ever.
    seconds = max(seconds, 0.0)
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

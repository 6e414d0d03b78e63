"""
The one origin (RFC 9110 section 4.3.1: scheme, host, port) that bearer tokens may travel to.

A base URL is judged once, when it is set; each request's URL is compared with it before a bearer
is attached. https only, except to loopback, where the sandbox lives.
"""

import re
from ipaddress import ip_address
from typing import Final, Protocol

import httpx
from attrs import field, frozen

from daxko_auth.model.errors import CredentialsError, UntrustedOriginError
from daxko_auth.model.hidden_locals import hides_locals
from daxko_auth.model.vendor import DEFAULT_BASE_URL, PARTNERS_API_HOST

# What a name in the DNS or an IP address looks like; httpx lets more pass, percent-encoded.
_HOST: Final = re.compile(r"[a-z0-9._:-]*[a-z0-9]\.?", re.ASCII)
#: Those that a server may have.
PORTS: Final = range(1, 65_536)
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
# RFC 1035 section 2.3.4.
_LONGEST_LABEL: Final = 63
# A name in the DNS has at most 253 characters; a URL may have a thousand times as many.
_LONGEST_SHOWN: Final = 300


class Addressed(Protocol):
    """A URL, as httpx and httpx2 have them: to whom it leads."""

    @property
    def scheme(self) -> str:
        """`https`, in small letters."""
        ...

    @property
    def netloc(self) -> bytes:
        """Host, and port if there is one, in small letters; no user name."""
        ...


@frozen
class Origin:
    """Scheme, host and port, in the normal form in which httpx gives them."""

    base_url: str
    _scheme: str = field(repr=False)
    # With and without the default port: httpx drops ":443", but not of "HTTPS://api.daxko.com:443".
    _netlocs: frozenset[bytes] = field(repr=False)

    @classmethod
    @hides_locals
    def of(cls, base_url: object, *, setting: str = "base_url") -> "Origin":
        """
        Judge a base URL; `setting` is its name in messages.

        Raises:
            CredentialsError: not an https origin (nor http to loopback), or more than an origin.
        """
        judged = _judged(base_url, setting)
        if isinstance(judged, CredentialsError):
            raise judged
        return judged

    def admits(self, url: Addressed) -> bool:
        """Whether `url` has this scheme, host and port, and so may be sent a bearer token."""
        return url.netloc in self._netlocs and url.scheme == self._scheme

    def require(self, url: Addressed) -> None:
        """
        Refuse a URL of any other origin.

        Raises:
            UntrustedOriginError: naming that origin; nothing was sent.
        """
        if url.netloc not in self._netlocs or url.scheme != self._scheme:
            raise UntrustedOriginError(f"the access token stays with {self.base_url}; {self._why_not(url)}")

    def require_host(self, host: bytes) -> None:
        """
        Refuse a `Host` header that names another server: a gateway goes by it, whatever the URL says.

        Raises:
            UntrustedOriginError: naming that host; nothing was sent.
        """
        if host not in self._netlocs and host.lower() not in self._netlocs:
            raise self._misdirected("Host header", host.decode("latin-1"))

    def require_tls_name(self, name: str) -> None:
        """
        Refuse another server name for TLS (RFC 6066 section 3) than the origin's: its certificate would be trusted.

        Raises:
            UntrustedOriginError: naming it; nothing was sent.
        """
        if name.lower() != httpx.URL(self.base_url).raw_host.decode("ascii"):
            raise self._misdirected("server name for TLS", name)

    def require_target(self, target: str) -> None:
        """
        Refuse a request target (RFC 9112 section 3.2) that is more than a path: it may name another server.

        Raises:
            UntrustedOriginError: nothing was sent.
        """
        if not target.startswith("/"):
            raise self._misdirected("request target", "")

    def _misdirected(self, what: str, name: str) -> UntrustedOriginError:
        # Only what looks like a host is shown: anything may have been written there.
        shown = name if len(name) <= _LONGEST_SHOWN and _HOST.fullmatch(name.lower()) else "something else"
        return UntrustedOriginError(
            f"the access token stays with {self.base_url}; this request's {what} names {shown}, and nothing was sent. "
            f"Leave the {what} out"
        )

    def _why_not(self, url: Addressed) -> str:
        if not url.netloc:
            return (
                "this request names no server and was not sent. Write the whole URL, or give the httpx client "
                f"base_url={self.base_url!r}"
            )
        _, user, netloc = url.netloc.decode("ascii").rpartition("@")
        if user:
            return (
                "the URL of this request holds a user name or password, and nothing was sent. Take them out of the "
                "URL: the access token is all that Daxko takes"
            )
        target = f"{url.scheme}://{netloc}"
        if len(target) > _LONGEST_SHOWN:
            target = f"{target[:_LONGEST_SHOWN]}..."
        return (
            f"this request goes to {target} and was not sent. Use an httpx client without DaxkoAuth for other "
            "servers, or pass that as base_url= if it is your Daxko origin"
        )


def _judged(given: object, setting: str) -> Origin | CredentialsError:
    try:
        url = httpx.URL(given.strip().rstrip("/") if isinstance(given, str) else "")
        # Not url.host: that turns punycode back into look-alike letters, or raises if it cannot.
        host = url.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        url, host = httpx.URL(), ""
    if not is_host_name(host) or not (url.port is None or url.port in PORTS) or url.scheme not in {"http", "https"}:
        return CredentialsError(
            f"{setting} is not a URL such as {DEFAULT_BASE_URL}. Write scheme and host, and a port if it has one"
        )
    # From here on only the host is quoted: userinfo, path and query may hold a secret.
    if url.userinfo:
        return CredentialsError(
            f"{setting} holds a user name or password; write https://{_bracketed(host)} and pass ApiCredentials instead"
        )
    if host.removesuffix(".") == PARTNERS_API_HOST:
        return CredentialsError(
            f"{setting} is the older Partners API ({PARTNERS_API_HOST}), which has other tokens; "
            f"this library speaks to the v3 Operations API at {DEFAULT_BASE_URL}. Write that instead"
        )
    if url.path not in {"", "/"} or url.query or url.fragment:
        return CredentialsError(
            f"{setting} is more than an origin; write {url.scheme}://{url.netloc.decode('ascii')} "
            'without a path (the endpoints already begin with "/v3"), query or fragment'
        )
    if url.scheme == "http" and not is_loopback(host):
        return CredentialsError(
            f"{setting} would send credentials to {host} over plain http, and only a loopback address such as "
            f"http://127.0.0.1:8700 (the sandbox) may be http. Write https://{_bracketed(host)}"
        )
    host, default = _bracketed(host), _DEFAULT_PORTS[url.scheme]
    netlocs = [host, f"{host}:{default}"] if url.port in {None, default} else [f"{host}:{url.port}"]
    return Origin(f"{url.scheme}://{netlocs[0]}", url.scheme, frozenset(netloc.encode() for netloc in netlocs))


def is_host_name(host: str) -> bool:
    """Whether `host`, as httpx normalises it, can be looked up: a name in the DNS, or an IP address."""
    # Of other labels Python makes no bytes, and raises no OSError.
    labels = host.removesuffix(".").split(".")
    return _HOST.fullmatch(host) is not None and all(0 < len(label) <= _LONGEST_LABEL for label in labels)


def is_loopback(host: str) -> bool:
    """Whether `host`, as httpx normalises it, never leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host

"""
What every adapter decides about a call, whichever HTTP library sends it.

Where an access token may go, what a 401 is worth, and whether a call may be sent again. Nothing here sends.
"""

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, Protocol
from weakref import WeakKeyDictionary

from daxko_auth.model.endpoint_path import normalised
from daxko_auth.model.errors import CredentialsError, UntrustedOriginError
from daxko_auth.model.log import warn
from daxko_auth.model.origin import Addressed
from daxko_auth.model.scope import ClientScope, ScopeLike
from daxko_auth.model.secret import Secret
from daxko_auth.model.tokens import AccessToken
from daxko_auth.model.vendor import MEMBER_TOKEN_ENDPOINT, BearerKind, bearer_for
from daxko_auth.policy.source import TokenSource, check_source
from daxko_auth.wire.member_login import Refusal, refusal_in
from daxko_auth.wire.token_response import Answer, Answered

UNAUTHORIZED: Final = 401

#: What is said of a 401 that is handed over.
FRESH_REFUSED: Final = (
    "fresh token refused: this is the answer to the replay with a new access token; check with Daxko that the API "
    "account may use this endpoint"
)
REFUSED_AGAIN: Final = (
    "refused again: the access token of the replay had been requested before the call; the next call has a new token"
)
HELD: Final = (
    "not sent again: a new token did not help a moment ago; check with Daxko that the API account may use this endpoint"
)
NOT_CARRIED: Final = (
    "this request did not carry the access token, because a redirect led to another server or something replaced the "
    "Authorization header (netrc, a hook); the token was not refused and is kept"
)
TAKEN_OUT: Final = (
    "this request does not show the access token any more, because something replaced or removed its Authorization "
    "header (a hook); whether the token was refused cannot be known, so it is renewed behind the next call"
)
REDIRECTED: Final = "a redirect led here, and the request that was redirected may have been carried out"
UNREADABLE: Final = "its body could not be read"
PROGRAM_RAISED: Final = "the program's code raised"

_PROXY_SETTINGS: Final = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_AUTHENTICATIONS: Final = {
    "httpx": "auth=DaxkoAuth(...)",
    "httpx2": "auth=Httpx2Auth(...)",
    "requests": "auth=RequestsAuth(...)",
    "aiohttp": "middlewares=[AiohttpAuth(...)]",
}
# Fingerprints of tokens that are remembered for each source, at least; a process of 10,000 scopes needs as many.
_ISSUED_KEPT: Final = 16_384
# An exception that was raised from another, that from another ...; longer chains are not looked through.
_LONGEST_CHAIN: Final = 16


class Target(Addressed, Protocol):
    """A URL, as httpx and httpx2 have them: where a call goes."""

    @property
    def path(self) -> str:
        """The path, without the query."""
        ...


class _Issued:
    """The tokens that were attached to requests lately, by their keyed fingerprints."""

    def __init__(self) -> None:
        # Replaced whole, so that no lock is needed: those since the last change of generations, and those before.
        self._generations: tuple[set[str], set[str]] = (set(), set())

    def add(self, token: AccessToken) -> None:
        """Remember `token`."""
        young, _ = self._generations
        young.add(token.fingerprint)
        if len(young) >= _ISSUED_KEPT:
            self._generations = (set(), young)

    def __contains__(self, authorization: str) -> bool:
        kind, _, token = authorization.partition(" ")
        young, old = self._generations
        fingerprint = Secret(token.strip()).fingerprint
        return kind.lower() == "bearer" and (fingerprint in young or fingerprint in old)


# For all adapters of one source; `setdefault` is atomic.
_issued: "WeakKeyDictionary[TokenSource, _Issued]" = WeakKeyDictionary()


class Calls:
    """The calls to one Daxko client through one adapter."""

    def __init__(self, source: TokenSource, scope: ScopeLike, *, replay: bool) -> None:
        check_source(source)
        self.source = source
        self.origin = source.origin
        self.scope = ClientScope(scope)
        # What the source finds fastest.
        self.client_id = self.scope.client_id
        #: Whether the origin is plain http, which is loopback: a proxy would be sent the bearer in clear.
        self.is_plain = self.origin.base_url.startswith("http://")
        self._replay = replay
        self._issued = _issued.setdefault(source, _Issued())
        self._attached: AccessToken | None = None

    def check(self, method: str, url: Target, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """
        Refuse a call that must not have the access token; nothing was sent.

        Raises:
            UntrustedOriginError: the URL or the `Host` header is not of the source's origin.
            CredentialsError: it is the partner token endpoint, which takes no access token; or there is an
                `Authorization` header already that the source did not issue.
        """
        self.origin.require(url)
        for name, value in headers:
            size = len(name)
            if size == 4 and name.lower() == b"host":  # noqa: PLR2004 - its length
                self.origin.require_host(value)
            elif size == 13 and name.lower() == b"authorization":  # noqa: PLR2004 - its length
                self._require_own(value)
        if method == "POST":
            self.check_endpoint(url.path)

    def check_endpoint(self, path: str) -> None:
        """
        Refuse a POST to the partner token endpoint. Another method there has no consequences.

        Raises:
            CredentialsError: it takes the refresh token.
        """
        if bearer_for(normalised(path)) is not BearerKind.ACCESS_TOKEN:
            msg = (
                f"{normalised(path)} takes the refresh token, which never travels through a program's own HTTP; "
                f"nothing was sent. Ask for an access token with TokenSource.token({self.client_id})"
            )
            raise CredentialsError(msg)

    def bearer(self, token: AccessToken) -> str:
        """Return the `Authorization` header for `token`, which is known as this source's own from now on."""
        if token is not self._attached:
            self._issued.add(token)
            self._attached = token
        return f"Bearer {token.reveal()}"

    def refuse_proxy(self) -> NoReturn:
        """
        Refuse a call to loopback that is about to leave by a proxy.

        Raises:
            UntrustedOriginError: naming the setting.
        """
        setting = next((name for name in _PROXY_SETTINGS if os.environ.get(name)), "a proxy of the program's own")
        raise UntrustedOriginError(
            f"the access token stays with {self.origin.base_url}; this request would leave this machine by a proxy "
            f"({setting}), and was not sent. Set NO_PROXY=localhost,127.0.0.1,::1, or an HTTP client without proxies"
        )

    def why_not_again(
        self, token: AccessToken, method: str, path: str, answer: Answered, *, sendable: bool
    ) -> str | None:
        """Return None if a 401 is to be answered by a renewal and a replay; if not, why, and see to the next call."""
        if not self._replay:
            why_not = "replay=False"
        elif not sendable:
            why_not = "its body cannot be sent twice"
        elif method == "POST" and normalised(path) == MEMBER_TOKEN_ENDPOINT.path:
            refusal = refusal_in(Answer.of(answer, now=datetime.now(UTC)))
            if refusal is Refusal.ACCESS_TOKEN:
                return None
            if refusal is not Refusal.UNEXPLAINED:
                return ""
            why_not = "a doubled failed login can lock the member out"
        else:
            return None
        return self.not_again(token, method, path, why_not)

    def not_again(self, token: AccessToken, method: str, path: str, why_not: str) -> str:
        """See to it that the call after a 401 that is not replayed has a new token, and return what to say."""
        renewed = self.source.refused_without_replay(token, method=method, path=path)
        kept = "the token is kept, since it was renewed a moment ago"
        next_call = "the next call has a new token" if renewed else kept
        warn("%s: %s %s was answered 401 and is not sent again (%s); %s", self.scope, method, path, why_not, next_call)
        return f"not sent again ({why_not}); {next_call}"

    def refused_again(self, token: AccessToken, method: str, path: str) -> str:
        """Tell the source that the replay with `token` was refused as well, and return what to say."""
        fresh = self.source.replacement_refused(token, method=method, path=path)
        return FRESH_REFUSED if fresh else REFUSED_AGAIN

    def tell(self, method: str, path: str, status: int, note: str) -> None:
        """Log why an answer is handed over, for adapters whose responses have no place for a note."""
        warn("%s: %s %s was answered %d; %s", self.scope, method, path, status, note)

    def _require_own(self, authorization: bytes) -> None:
        # Not a dictionary of secrets: what is not this source's own is not even remembered.
        if authorization.decode("latin-1") not in self._issued:
            raise CredentialsError(
                "the source did not issue the Authorization that this request has already, and nothing was sent. Leave "
                "it out of the headers, auth=, the URL and netrc, or use an HTTP client without this authentication"
            )


def causes(error: BaseException | None, *, until: BaseException | None) -> Iterator[BaseException]:
    """Return `error`, what it was raised from, and so on; `until` is what was being handled before the call."""
    for _ in range(_LONGEST_CHAIN):
        if error is None or error is until:
            return
        yield error
        error = error.__cause__ or error.__context__


def attribute(holder: object, name: str) -> Any:  # noqa: ANN401 - of somebody else's object
    """Return that attribute, or None where there is none: httpx raises for what is not set, and others may."""
    try:
        return getattr(holder, name, None)
    except Exception:  # noqa: BLE001 - of a program's own class
        return None


def wrong_library(auth: object, called_with: Iterable[object]) -> TypeError:
    """Return the error for an authentication that was called by another library than its own."""
    packages = {kind.__module__.partition(".")[0] for given in called_with for kind in type(given).__mro__}
    library = next((name for name in _AUTHENTICATIONS if name in packages), None)
    right = _AUTHENTICATIONS[library] if library else ", ".join(_AUTHENTICATIONS.values())
    return TypeError(
        f"{type(auth).__name__} does not fit here; with {library or 'the library that you use'}, use {right}"
    )

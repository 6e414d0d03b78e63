"""
The door for programs that use requests.
"""

from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests
from attrs import frozen
from requests.auth import AuthBase
from requests.utils import rewind_body

from daxko_auth.adapters.calls import FRESH_REFUSED, HELD, UNAUTHORIZED, Calls
from daxko_auth.model.half_made import also_half_made
from daxko_auth.model.log import log
from daxko_auth.model.scope import ScopeLike
from daxko_auth.model.tokens import AccessToken
from daxko_auth.policy.source import TokenSource


@frozen
class _Url:
    """A URL as requests takes it apart to connect. A user name is part of `netloc`, so that it is refused."""

    scheme: str
    netloc: bytes
    path: str

    @classmethod
    def of(cls, url: str | None) -> "_Url":
        parts = urlsplit(url or "")
        return cls(parts.scheme, parts.netloc.lower().encode("ascii", "backslashreplace"), parts.path)


class RequestsAuth(AuthBase):
    """
    Authenticates requests to Daxko for one Daxko client, with tokens from a `TokenSource`.

    For `requests.Session().auth` and for `auth=`; any number of threads may share it. A 401 is answered with one
    renewal and one replay, and the first answer is in `response.history`. Why one is handed over stands in the log.

    The extra `requests` installs what it needs: `pip install '.[requests]'` in a checkout.
    """

    def __init__(self, source: TokenSource, scope: ScopeLike, *, replay: bool = True) -> None:
        """
        Authenticate for `scope`. With `replay=False` a 401 is handed over; the next call has a new token.

        Raises:
            CredentialsError: `scope` is not the number of a Daxko client.
        """
        self._calls = Calls(source, scope, replay=replay)

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """
        Attach a token.

        Raises:
            UntrustedOriginError: the URL is not of the source's origin. Nothing was sent.
            CredentialsError: the URL is the partner token endpoint, which takes no access token.
            TokenRequestError: no token is to be had. Nothing was sent.
            TypeError: it is another library that asks.
        """
        if not isinstance(r, requests.PreparedRequest):  # pyright: ignore[reportUnnecessaryIsInstance] - httpx calls what it is given
            msg = f"RequestsAuth is for requests, and was called with a {type(r).__name__}; with httpx use DaxkoAuth"
            raise TypeError(msg)
        self._calls.check(r.method or "", _Url.of(r.url))
        token = self._calls.source.token(self._calls.client_id)
        r.headers["Authorization"] = f"Bearer {token.reveal()}"
        answered = partial(self._answered, token)
        # requests declares no types here.
        r.register_hook("response", answered)  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]
        return r

    @also_half_made
    def __repr__(self) -> str:
        return f"<RequestsAuth for {self._calls.scope} at {self._calls.origin.base_url}>"

    def _answered(
        self,
        token: AccessToken,
        response: requests.Response,
        **how: Any,  # noqa: ANN401 - how requests sent it: timeouts, proxies, certificates
    ) -> requests.Response:
        sent, source = response.request, self._calls.source
        url = _Url.of(sent.url)
        # A redirect may have led elsewhere, or back from there, without the bearer.
        if (
            response.status_code != UNAUTHORIZED
            or not self._calls.origin.admits(url)
            or sent.headers.get("Authorization") != f"Bearer {token.reveal()}"
        ):
            return response
        # Read before anybody waits, so that the connection is free for others meanwhile.
        response.content  # noqa: B018 - reading it is what requests does then
        response.close()
        in_memory = isinstance(sent.body, str | bytes | None)  # pyright: ignore[reportUnnecessaryIsInstance] - see below
        # A file, or a generator.
        sendable = in_memory or isinstance(_position(sent), int)
        method = sent.method or ""
        if self._calls.why_not_again(token, method, url.path, response, sendable=sendable) is not None:
            return response
        replacement = source.replacement_for(token)
        if replacement is None:
            self._tell(method, url, HELD)
            return response
        again = sent.copy()
        again.headers["Authorization"] = f"Bearer {replacement.reveal()}"
        if isinstance(_position(again), int):
            rewind_body(again)
        answer: requests.Response = response.connection.send(again, **how)
        answer.history.append(response)
        answer.request = again
        if answer.status_code == UNAUTHORIZED:
            self._tell(method, url, FRESH_REFUSED)
            source.replacement_refused(replacement)
        return answer

    def _tell(self, method: str, url: _Url, note: str) -> None:
        log.warning("%s: %s %s was answered 401; %s", self._calls.scope, method, url.path, note)


def _position(sent: requests.PreparedRequest) -> object:
    """Where a file began that is the body; requests notes it for redirects."""
    return getattr(sent, "_body_position", None)

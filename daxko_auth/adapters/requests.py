"""
Authentication for requests.
"""

from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests
from attrs import frozen
from requests.auth import AuthBase
from requests.utils import get_environ_proxies, rewind_body, select_proxy

from daxko_auth.adapters.calls import HELD, NOT_CARRIED, UNAUTHORIZED, UNREADABLE, Calls, wrong_library
from daxko_auth.model.hidden_locals import hides_locals
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

    A request to the sandbox is refused to the proxies of the environment. Those of `Session.proxies` and `proxies=`
    cannot be seen before it is sent: then the answer is refused, so that this is noticed at once.

    An error of requests, such as a refused connection, shows the access token in its `request` and in the locals of
    urllib3's frames, which no authentication of requests can prevent: have a crash reporter leave locals out.

    The extra `requests` installs what it needs: `pip install '.[requests]'` in a checkout.
    """

    @hides_locals
    def __init__(self, source: TokenSource, scope: ScopeLike, *, replay: bool = True) -> None:
        """
        Authenticate for `scope`. With `replay=False` a 401 is handed over; the next call has a new token.

        Raises:
            CredentialsError: `scope` is not the number of a Daxko client.
        """
        self._calls = Calls(source, scope, replay=replay)

    @hides_locals
    def __call__(self, r: requests.PreparedRequest, *others: object) -> requests.PreparedRequest:
        """
        Attach a token.

        Raises:
            UntrustedOriginError: the URL or `Host` is not of the source's origin, or a request to the sandbox would
                leave by a proxy. Nothing was sent.
            CredentialsError: the URL is the partner token endpoint, which takes no access token; or the request has
                an `Authorization` that the source did not issue.
            TokenRequestError: no token is to be had. Nothing was sent.
            TypeError: it is another library that asks.
        """
        if not isinstance(r, requests.PreparedRequest):  # pyright: ignore[reportUnnecessaryIsInstance] - httpx calls what it is given
            raise wrong_library(self, (r, *others))
        calls, url = self._calls, r.url or ""
        calls.check(r.method or "", _Url.of(url), [(_bytes(name), _bytes(value)) for name, value in r.headers.items()])
        if calls.is_plain:
            self._refuse_proxy(url, get_environ_proxies(url))
        token = calls.source.token(calls.client_id)
        r.headers["Authorization"] = calls.bearer(token)
        answered = partial(self._answered, token)
        # requests declares no types here.
        r.register_hook("response", answered)  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]
        return r

    def __repr__(self) -> str:
        return f"<RequestsAuth for {self._calls.scope} at {self._calls.origin.base_url}>"

    def _refuse_proxy(self, url: str, proxies: Any) -> None:  # noqa: ANN401 - as requests has it
        if select_proxy(url, proxies):
            self._calls.refuse_proxy()

    @hides_locals
    def _answered(
        self,
        token: AccessToken,
        response: requests.Response,
        **how: Any,  # noqa: ANN401 - how requests sent it: timeouts, proxies, certificates
    ) -> requests.Response:
        sent, calls = response.request, self._calls
        url, method = _Url.of(sent.url), sent.method or ""
        carried = calls.origin.admits(url) and sent.headers.get("Authorization") == f"Bearer {token.reveal()}"
        if carried and calls.is_plain:
            self._refuse_proxy(sent.url or "", how.get("proxies"))
        if not carried and (response.status_code == UNAUTHORIZED or calls.origin.admits(url)):
            # A redirect led elsewhere, or back from there; or a netrc file has an entry for the host, which requests
            # reads at each redirect.
            calls.tell(method, url.path, response.status_code, NOT_CARRIED)
        if not carried or response.status_code != UNAUTHORIZED:
            return response
        # Read before anybody waits, so that the connection is free for others meanwhile.
        try:
            response.content  # noqa: B018 - reading it is what requests does then
        except BaseException:
            calls.not_again(token, method, url.path, UNREADABLE)
            raise
        finally:
            response.close()
        sendable = isinstance(sent.body, str | bytes | None) or _rewound(sent)  # pyright: ignore[reportUnnecessaryIsInstance] - or a file, or a generator
        if calls.why_not_again(token, method, url.path, response, sendable=sendable) is not None:
            return response
        replacement = calls.source.replacement_for(token, method=method, path=url.path)
        if replacement is None:
            calls.tell(method, url.path, response.status_code, HELD)
            return response
        again = sent.copy()
        again.headers["Authorization"] = calls.bearer(replacement)
        answer: requests.Response = response.connection.send(again, **how)
        answer.history.append(response)
        answer.request = again
        if answer.status_code == UNAUTHORIZED:
            note = calls.refused_again(replacement, method, url.path)
            calls.tell(method, url.path, answer.status_code, note)
        return answer


def _rewound(sent: requests.PreparedRequest) -> bool:
    """Whether the body is a file that is at its beginning again."""
    # requests notes where it began, and takes a place that can be told for one that can be gone back to.
    if not isinstance(getattr(sent, "_body_position", None), int):
        return False
    try:
        rewind_body(sent)
    except Exception:  # noqa: BLE001 - it is the program's own file, and may raise anything
        return False
    return True


def _bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8") if isinstance(value, str) else value

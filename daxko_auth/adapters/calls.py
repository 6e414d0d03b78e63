"""
What every door decides about a call, whichever HTTP library sends it.

Where an access token may go, what a 401 is worth, and whether a call may be sent again. Nothing here sends.
"""

from datetime import UTC, datetime
from typing import Final, Protocol

from daxko_auth.model.errors import CredentialsError
from daxko_auth.model.log import log
from daxko_auth.model.origin import Addressed
from daxko_auth.model.scope import ClientScope, ScopeLike
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
HELD: Final = (
    "not sent again: a fresh token was refused a moment ago; check with Daxko that the API account may use this "
    "endpoint"
)


class Target(Addressed, Protocol):
    """A URL, as httpx and httpx2 have them: where a call goes."""

    @property
    def path(self) -> str:
        """The path, without the query."""
        ...


class Calls:
    """The calls to one Daxko client through one door."""

    def __init__(self, source: TokenSource, scope: ScopeLike, *, replay: bool) -> None:
        check_source(source)
        self.source = source
        self.origin = source.origin
        self.scope = ClientScope(scope)
        # What the source finds fastest.
        self.client_id = self.scope.client_id
        self._replay = replay

    def check(self, method: str, url: Target) -> None:
        """
        Refuse a call that must not have the access token; nothing was sent.

        Raises:
            UntrustedOriginError: the URL is not of the source's origin.
            CredentialsError: it is the partner token endpoint, which takes no access token.
        """
        self.origin.require(url)
        # Another method there is a mistake without consequences: the endpoint takes POST only.
        if method == "POST" and bearer_for(url.path) is not BearerKind.ACCESS_TOKEN:
            msg = (
                f"{url.path} takes the refresh token, which never travels through a program's own HTTP; "
                f"nothing was sent. Ask for an access token with TokenSource.token({self.client_id})"
            )
            raise CredentialsError(msg)

    def why_not_again(
        self, token: AccessToken, method: str, path: str, answer: Answered, *, sendable: bool
    ) -> str | None:
        """Return None if a 401 is to be answered by a renewal and a replay; if not, why, and see to the next call."""
        if not self._replay:
            why_not = "replay=False"
        elif not sendable:
            why_not = "its body cannot be sent twice"
        elif path == MEMBER_TOKEN_ENDPOINT.path:
            refusal = refusal_in(Answer.of(answer, now=datetime.now(UTC)))
            if refusal is Refusal.ACCESS_TOKEN:
                return None
            if refusal is not Refusal.UNEXPLAINED:
                return ""
            why_not = "a doubled failed login can lock the member out"
        else:
            return None
        renewed = self.source.refused_without_replay(token)
        next_call = "the next call has a new token" if renewed else "a new token a moment ago did not help"
        log.warning(
            "%s: %s %s was answered 401 and is not sent again (%s); %s", self.scope, method, path, why_not, next_call
        )
        return f"not sent again ({why_not}); {next_call}"

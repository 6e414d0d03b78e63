"""
What happens to tokens, as values: what `TokenSource(on_event=...)` is called with.

None holds a secret; tokens stand here as their fingerprints. Nothing here decides anything.
"""

from datetime import datetime

from attrs import frozen

from daxko_auth.model.errors import TokenRequestError
from daxko_auth.model.scope import Scope


@frozen
class TokenRequested:
    """A token request was answered, or was not in time. Told from the thread that renews, while callers may wait."""

    scope: Scope
    #: When it was sent, in Unix time.
    sent_at: float
    #: Seconds until the answer, or until it was given up.
    seconds: float
    #: Which request of this renewal it was; the first is 1.
    attempt: int
    #: Why it brought no token, or None.
    error: TokenRequestError | None


@frozen
class TokenRenewed:
    """The source holds a new token: just requested, or found in the store."""

    scope: Scope
    fingerprint: str
    expires_at: datetime


@frozen
class RenewalFailed:
    """A renewal ended without a token; `error` is a `TokenRefused` where Daxko refused the account or the scope."""

    scope: Scope
    error: TokenRequestError
    #: Whether a usable token is held, so that no caller noticed.
    unnoticed: bool


@frozen
class StaleTokenServed:
    """A caller got a token that is due for renewal, and did not wait."""

    scope: Scope
    fingerprint: str


@frozen
class RenewalJoined:
    """A caller waits for a renewal, which it started or found under way."""

    scope: Scope


@frozen
class TokenRejected:
    """A server refused this token with a 401, or somebody called `reject`."""

    scope: Scope
    fingerprint: str


@frozen
class CallReplayed:
    """A call that was answered 401 is sent again, with another token."""

    scope: Scope
    rejected_fingerprint: str
    fingerprint: str


@frozen
class ReplacementRefused:
    """The replay was answered 401 as well."""

    scope: Scope
    fingerprint: str


@frozen
class StoreFailed:
    """The store could not be used; tokens are asked for directly."""

    scope: Scope
    #: `turn`, `read`, `write` or `drop`.
    operation: str
    #: The name of the exception's type.
    error: str


#: Everything that `on_event` can be called with.
Event = (
    TokenRequested
    | TokenRenewed
    | RenewalFailed
    | StaleTokenServed
    | RenewalJoined
    | TokenRejected
    | CallReplayed
    | ReplacementRefused
    | StoreFailed
)

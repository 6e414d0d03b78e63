"""
What can go wrong, grouped by what the caller can do about it.

    DaxkoAuthError
    |-- CredentialsError(ValueError)      missing, blank, swapped or ill-formed; nothing was sent
    |-- UntrustedOriginError              a bearer was about to leave the configured origin
    |-- TokenRequestError                 asked for an access token, got none
    |   |-- TokenEndpointUnavailable        no answer, deadline, 429 or 5xx to the end
    |   |-- TokenRefused                    Daxko refused the account or the scope
    |   `-- TokenResponseInvalid            answered, but not with a token response
    |-- MemberLoginRefused                the member's name or password, not ours
    `-- TokenStoreError                   a token store that was asked for explicitly

Every message says what happened, to which scope and endpoint, and what to do next. No error holds
a secret, a request, an answer's body or a header; every one can be copied and pickled.
"""

from typing import Final

#: Statuses by which a token endpoint refuses (RFC 6749 section 5.2, RFC 9110 section 15.5), if it is what answers.
REFUSALS: Final = frozenset({400, 401, 403})


class DaxkoAuthError(Exception):
    """The root: everything this library raises on its own account."""


class CredentialsError(DaxkoAuthError, ValueError):
    """A setting is missing, blank, swapped or ill-formed. Nothing was sent."""


class UntrustedOriginError(DaxkoAuthError):
    """A bearer token was about to leave the configured origin, or to travel over plain http. Nothing was sent."""


class _AnsweredError(DaxkoAuthError):
    """What every failed token request can tell: which scope, and how the server answered, if it did."""

    def __init__(  # noqa: PLR0913 - one fact each, all but the first two by name
        self,
        what: str,
        advice: str = "",
        *,
        server_said: str | None = None,
        scope: str = "",
        status_code: int | None = None,
        error: str | None = None,
        error_description: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        # Only the message goes into `args`; the rest travels in __dict__, so that copy and pickle
        # rebuild the error without knowing its parameters.
        super().__init__(f"{what}. {advice}" if advice else what)
        #: What happened, to which scope and endpoint: the message without the advice.
        self.what = what
        #: What the server gave as its reason, in short and without secrets; None if it gave none.
        self.server_said = server_said
        #: What to try, by the cause.
        self.advice = advice
        #: The Daxko client asked for, as on the wire: `client:9999`.
        self.scope = scope
        #: The HTTP status of the last answer, or None if there was none.
        self.status_code = status_code
        #: The `error` code of RFC 6749 section 5.2, as sent; new codes are possible.
        self.error = error
        #: The `error_description` of RFC 6749 section 5.2, shortened and without secrets.
        self.error_description = error_description
        #: Whether asking again later can help without anybody changing anything.
        self.retryable = retryable
        #: Seconds the server asked us to wait (RFC 9110 section 10.2.3), or None.
        self.retry_after = retry_after


class TokenRequestError(_AnsweredError):
    """Asked for an access token and got none."""


class TokenEndpointUnavailable(TokenRequestError):  # noqa: N818 - names a state
    """No answer, too late an answer, or 408, 429 and 5xx to the end. Asking again later can help."""


class TokenRefused(TokenRequestError):  # noqa: N818 - says what the server did
    """Daxko refused the account or the scope. Asking again with the same credentials does not help."""


class TokenResponseInvalid(TokenRequestError):  # noqa: N818 - says what is wrong with the answer
    """The endpoint answered, but not with a token response (RFC 6749 section 5.1)."""


class MemberLoginRefused(_AnsweredError):  # noqa: N818 - says what the server did
    """The member was not signed in: the name or the password is the member's, not the API account's."""


class TokenStoreError(DaxkoAuthError):
    """A token store failed where it was asked for explicitly; a request for a token never raises it."""

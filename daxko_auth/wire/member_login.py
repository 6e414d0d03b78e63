"""
One member login on the wire: the member token endpoint, asked once.

What went wrong is returned, not raised, as in the exchange. Nothing is repeated: a doubled failed
login locks people out.
"""

from collections.abc import Callable, Generator
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

import httpx
from attrs import define, field

from daxko_auth.model.errors import (
    REFUSALS,
    DaxkoAuthError,
    MemberLoginRefused,
    TokenEndpointUnavailable,
    TokenRequestError,
    TokenResponseInvalid,
)
from daxko_auth.model.hidden_locals import hides_locals
from daxko_auth.model.masking import quote
from daxko_auth.model.origin import Origin
from daxko_auth.model.secret import Secret
from daxko_auth.model.tokens import AccessToken, MemberToken
from daxko_auth.model.vendor import ACCEPT, MEMBER_TOKEN_ENDPOINT
from daxko_auth.wire.failure import UNTRUSTED_ADVICE, FailureKind, describe_failure
from daxko_auth.wire.http import BearerAuth, proxy_secrets
from daxko_auth.wire.token_response import Answer, is_unavailable, utc
from daxko_auth.wire.transports import AsyncCappedTransport, CappedTransport

if TYPE_CHECKING:
    from daxko_api.client import AuthenticatedClient
    from daxko_api.models.member_token_request import MemberTokenRequest

_UNAUTHORIZED: Final = 401


class Refusal(Enum):
    """A 401 that does not end the matter."""

    #: The answer says that the access token was the problem, not the member.
    ACCESS_TOKEN = auto()
    #: The answer does not say whose fault it was, or could not be read.
    UNEXPLAINED = auto()


_ADVICE: Final = {
    FailureKind.UNAVAILABLE: "Let the member try again later",
    FailureKind.UNTRUSTED: UNTRUSTED_ADVICE,
    FailureKind.UNREADABLE: (
        "Check that DAXKO_BASE_URL is Daxko's API and that no proxy or firewall answers in its place"
    ),
    FailureKind.SETTING: "Correct that setting first",
    FailureKind.MISDIRECTED: "Please report this",
    FailureKind.UNEXPECTED: "Check that the Daxko or AsyncDaxko is still open; if it is, please report this",
}

_KINDS: Final = {
    FailureKind.UNAVAILABLE: TokenEndpointUnavailable,
    FailureKind.UNTRUSTED: TokenEndpointUnavailable,
    FailureKind.UNREADABLE: TokenResponseInvalid,
}

#: How a member login ends.
LoginOutcome = MemberToken | DaxkoAuthError | Refusal


class _LoginBearer(BearerAuth):
    """The bearer of a login, which hears the status as soon as the head of the answer is there."""

    def __init__(self, token: AccessToken, origin: Origin, hear: Callable[[int], None]) -> None:
        super().__init__(MEMBER_TOKEN_ENDPOINT.bearer, token.reveal, origin)
        self._hear = hear

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Attach the bearer and send once."""
        response = yield next(super().auth_flow(request))
        self._hear(response.status_code)


@define(eq=False)
class MemberLogin:
    """Turns a member's name and password into a member token, with an access token as the bearer."""

    origin: Origin
    timeout: httpx.Timeout
    #: Whether the last login was answered 401, which is known before the body is read.
    is_unauthorized: bool = field(default=False, init=False)

    @hides_locals
    def request(
        self, token: AccessToken, username: str, password: Secret, *, sent_at: float, transport: httpx.BaseTransport
    ) -> LoginOutcome:
        """Ask once through `transport`, which is left open. `sent_at` is now, in Unix time. Raises nothing."""
        from daxko_api.api.members import request_member_token  # noqa: PLC0415 - see Exchange

        try:
            with self._api(token, CappedTransport(transport)) as api:
                response = request_member_token.sync_detailed(client=api, body=_body(username, password))
            answer = Answer.of(response, now=utc(sent_at))
            return self._judge(answer, token, password, sent_at)
        except Exception as error:  # noqa: BLE001 - it holds the request, and so the member's password
            if self.is_unauthorized:
                return Refusal.UNEXPLAINED
            failure = describe_failure(error, self._secrets(token, password))
        return self._failed(token, *failure)

    @hides_locals
    async def arequest(
        self,
        token: AccessToken,
        username: str,
        password: Secret,
        *,
        sent_at: float,
        transport: httpx.AsyncBaseTransport,
    ) -> LoginOutcome:
        """Ask the same, awaiting."""
        from daxko_api.api.members import request_member_token  # noqa: PLC0415 - see Exchange

        try:
            async with self._api(token, AsyncCappedTransport(transport)) as api:
                response = await request_member_token.asyncio_detailed(client=api, body=_body(username, password))
            answer = Answer.of(response, now=utc(sent_at))
            return self._judge(answer, token, password, sent_at)
        except Exception as error:  # noqa: BLE001 - it holds the request, and so the member's password
            if self.is_unauthorized:
                return Refusal.UNEXPLAINED
            failure = describe_failure(error, self._secrets(token, password))
        return self._failed(token, *failure)

    def _api(self, token: AccessToken, transport: Any) -> "AuthenticatedClient":  # noqa: ANN401 - sync or async
        from daxko_api.client import AuthenticatedClient  # noqa: PLC0415 - see Exchange

        self.is_unauthorized = False
        return AuthenticatedClient(
            base_url=self.origin.base_url,
            headers={"Accept": ACCEPT},
            timeout=self.timeout,
            follow_redirects=False,
            raise_on_unexpected_status=False,
            httpx_args={
                "auth": _LoginBearer(token, self.origin, self._hear),
                "transport": transport,
            },
        )

    def _hear(self, status_code: int) -> None:
        self.is_unauthorized = status_code == _UNAUTHORIZED

    def _secrets(self, token: AccessToken, password: Secret) -> tuple[Secret, ...]:
        return password, Secret(token.reveal()), *proxy_secrets(self.origin)

    @property
    def _where(self) -> str:
        return f"{self.origin.base_url}{MEMBER_TOKEN_ENDPOINT.path}"

    def _judge(self, answer: Answer, token: AccessToken, password: Secret, sent_at: float) -> LoginOutcome:
        status = answer.status_code
        secrets = self._secrets(token, password)
        error = quote(answer.error, secrets, limit=64)
        refusal = None if answer.is_page else refusal_in(answer)
        if refusal is not None:
            return refusal
        if is_unavailable(status):
            what = f"answered {status} ({quote(answer.described, secrets)})"
            return self._failed(token, FailureKind.UNAVAILABLE, what, answer)
        unreadable = answer.redirect
        if answer.is_page and status in REFUSALS:
            unreadable = f"answered {status} with {answer.described}"
        if unreadable is not None:
            return self._failed(token, FailureKind.UNREADABLE, f"{quote(unreadable, secrets, limit=400)}", answer)
        # Also a success that is none: 200 with an error in its body.
        if status in REFUSALS or error is not None:
            description = quote(answer.error_description, secrets)
            said = ": ".join(filter(None, (error, description))).rstrip(".") or None
            return MemberLoginRefused(
                f"the member was not signed in at {token.scope}: {self._where} refused ({status}, "
                f"{said or 'no reason given'})",
                "Check the member's name and password; they are not those of the API account",
                server_said=said,
                scope=token.scope.wire,
                status_code=status,
                error=error,
                error_description=description,
            )
        grant = answer.grant(now=utc(sent_at))
        if isinstance(grant, str):
            wrong = quote(grant, secrets, limit=500)
            return self._failed(token, FailureKind.UNREADABLE, f"did not answer with a token response: {wrong}", answer)
        return MemberToken(
            grant.secret, utc(sent_at) + timedelta(seconds=grant.expires_in), grant.expires_in, grant.other_fields
        )

    def _failed(
        self, token: AccessToken, failure: FailureKind, what: str, answer: Answer | None = None
    ) -> TokenRequestError:
        kind = _KINDS.get(failure, TokenRequestError)
        return kind(
            f"no member token at {token.scope}: {self._where} {what}. The login was not repeated, because a doubled "
            "failed login can lock the member out",
            _ADVICE[failure],
            scope=token.scope.wire,
            status_code=answer.status_code if answer else None,
            retryable=failure is FailureKind.UNAVAILABLE,
            retry_after=answer.retry_after if answer else None,
        )


def refusal_in(answer: Answer) -> Refusal | None:
    """Return whether a 401 to a member login blames the access token, or nobody; None if it is the member's."""
    if answer.status_code != _UNAUTHORIZED:
        return None
    if "invalid_token" in (answer.bearer_error, answer.error):
        return Refusal.ACCESS_TOKEN
    return None if isinstance(answer.error, str) and answer.error.strip() else Refusal.UNEXPLAINED


def _body(username: str, password: Secret) -> "MemberTokenRequest":
    from daxko_api.models.member_token_request import MemberTokenRequest  # noqa: PLC0415 - see Exchange

    return MemberTokenRequest(username=username, password=password.reveal())

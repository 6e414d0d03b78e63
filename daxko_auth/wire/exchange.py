"""
One token request on the wire: the partner token endpoint, asked once.

The only importer of generated code for that endpoint. What went wrong is returned, not raised:
a traceback from in here would hold the form and the answer. Nothing is retried or remembered.
"""

import codecs
import importlib
from contextlib import ExitStack, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import httpx

from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.errors import (
    REFUSALS,
    CredentialsError,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenRequestError,
    TokenResponseInvalid,
)
from daxko_auth.model.hidden_locals import hides_locals
from daxko_auth.model.log import WarningThrottle, warn
from daxko_auth.model.masking import quote
from daxko_auth.model.origin import Origin
from daxko_auth.model.scope import Scope
from daxko_auth.model.secret import Secret
from daxko_auth.model.tokens import AccessToken
from daxko_auth.model.vendor import ACCEPT, PARTNER_TOKEN_ENDPOINT
from daxko_auth.wire.failure import UNTRUSTED_ADVICE, FailureKind, describe_failure
from daxko_auth.wire.http import BearerAuth, new_transport, proxy_secrets, proxy_setting, run_within, why_refused
from daxko_auth.wire.token_response import OK, Answer, is_unavailable, utc
from daxko_auth.wire.transports import CappedTransport, ConnectionHandle, Head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Seconds between our clock and the answer's that are worth a word; an answer may itself be some under way.
_LARGEST_SKEW: Final = 60.0

# Seconds for which a token waits until a log handler is done with what there is to say of it.
_LONGEST_REMARK: Final = 0.5

# What httpx, the generated client, Python and we ourselves import only where it is used first.
_NEEDED: Final = (
    "daxko_api.api.partners.request_access_token",
    "httpcore",
    "dateutil.parser",
)
_CHARSETS: Final = ("idna", "cp1252", "utf-16-be", "utf-16-le")

# How many addresses of a host are tried at least, where the first ones swallow what is sent to them: a broken path of
# IPv6, a dead A record. One after another, each gets the whole time for connecting.
_ADDRESSES: Final = 4

#: How a token request ends.
Outcome = AccessToken | TokenRequestError


class Exchange:
    """Turns API credentials into an access token for one scope, over connections of its own."""

    def __init__(
        self, credentials: ApiCredentials, origin: Origin, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._credentials = credentials
        self._origin = origin
        self._transport = transport
        self._wrong_clock = WarningThrottle()
        refused = _import_the_rest()
        if refused is not None:
            raise CredentialsError(refused)

    @hides_locals
    def request(self, scope: Scope, *, sent_at: float, timeout: float) -> Outcome:
        """
        Ask once, for at most `timeout` seconds in all. `sent_at` is now, in Unix time.

        Returns the token, or the error that says why there is none. Raises nothing.
        """
        # The time may have passed in a wait.
        timeout = max(timeout, 0.0)
        connection = ConnectionHandle(self._origin)
        ended: tuple[Outcome, Answer | None] | None = None
        try:
            ended = run_within(timeout, lambda: self._ask(scope, sent_at, timeout, connection))
        except TimeoutError:
            # Or else a server that goes on sending something keeps a thread and a socket for ever.
            connection.abort()
        late = FailureKind.UNAVAILABLE, f"did not answer within {timeout:.3g} s"
        outcome, answer = ended or self._failed(late, connection.head, scope, sent_at)
        remarks = [] if answer is None else list(self._remarks(answer, outcome, sent_at))
        if remarks:
            # A log handler may block, or want a token itself: it must not cost this one.
            with suppress(TimeoutError):
                run_within(_LONGEST_REMARK, lambda: [remark() for remark in remarks], what="log")
        return outcome

    def _ask(
        self, scope: Scope, sent_at: float, timeout: float, connection: ConnectionHandle
    ) -> tuple[Outcome, Answer | None]:
        try:
            answer = self._send(scope, sent_at, timeout, connection)
            return self._judge(answer, scope, sent_at), answer
        except KeyboardInterrupt:
            # Where there is no thread to be had, this is the caller's.
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the callers that wait must hear of it
            # A sentence in here and an error out there: the error must not have the request in its context.
            failure = describe_failure(error, self._secrets)
            # It came through frames of httpcore and httpx, whose locals are the request.
            error.__traceback__ = None
        return self._failed(failure, connection.head, scope, sent_at)

    def _failed(
        self, failure: tuple[FailureKind, str], head: Head | None, scope: Scope, sent_at: float
    ) -> tuple[Outcome, Answer | None]:
        """Judge a request that brought no whole answer: all statuses but one say enough without a body."""
        answer = None if head is None else Answer.of(head, now=utc(sent_at), is_whole=False)
        if answer is not None and answer.status_code != OK:
            return self._judge(answer, scope, sent_at), answer
        kind, what = failure
        failed: Mapping[FailureKind, Callable[[Scope, str, Answer | None], TokenRequestError]] = {
            FailureKind.UNAVAILABLE: self._unavailable,
            FailureKind.UNTRUSTED: self._untrusted,
            FailureKind.UNREADABLE: self._invalid,
            FailureKind.SETTING: self._unsent,
            FailureKind.MISDIRECTED: self._unsent,
            FailureKind.UNEXPECTED: self._unexpected,
        }
        return failed[kind](scope, what, answer), answer

    def _send(self, scope: Scope, sent_at: float, timeout: float, connection: ConnectionHandle) -> Answer:
        from daxko_api.api.partners import request_access_token  # noqa: PLC0415 - see _import_the_rest
        from daxko_api.client import AuthenticatedClient  # noqa: PLC0415
        from daxko_api.models.access_token_request import AccessTokenRequest  # noqa: PLC0415

        with ExitStack() as opened:
            # One of the program's own is left open.
            transport = self._transport
            if transport is None:
                transport = opened.enter_context(new_transport(self._origin))
            bearer = BearerAuth(PARTNER_TOKEN_ENDPOINT.bearer, self._credentials.refresh_token.reveal, self._origin)
            api = AuthenticatedClient(
                base_url=self._origin.base_url,
                # The next token may be a day away, and a forked process must not share the connection.
                headers={"Accept": ACCEPT, "Connection": "close"},
                timeout=httpx.Timeout(timeout, connect=timeout / _ADDRESSES),
                follow_redirects=False,
                raise_on_unexpected_status=False,
                httpx_args={
                    "auth": bearer,
                    "transport": CappedTransport(transport, seconds=timeout, connection=connection),
                },
            )
            response = request_access_token.sync_detailed(
                client=opened.enter_context(api),
                body=AccessTokenRequest(
                    client_id=self._credentials.username,
                    client_secret=self._credentials.password.reveal(),
                    scope=scope.wire,
                ),
            )
        return Answer.of(response, now=utc(sent_at))

    def _judge(self, answer: Answer, scope: Scope, sent_at: float) -> Outcome:
        status = answer.status_code
        secrets = self._secrets
        if is_unavailable(status):
            return self._unavailable(scope, f"answered {status} ({quote(answer.described, secrets)})", answer)
        if answer.redirect is not None:
            return self._invalid(scope, f"{quote(answer.redirect, secrets, limit=400)}", answer)
        error = quote(answer.error, secrets, limit=64)
        if answer.is_page and status in REFUSALS:
            return self._invalid(scope, f"answered {status} with {quote(answer.described, secrets)}", answer)
        if status in REFUSALS or error is not None:
            return self._refused(scope, answer, error)
        grant = answer.grant(now=utc(sent_at))
        if isinstance(grant, str):
            # It names keys of the answer, and a server may send anything back.
            wrong = quote(grant, secrets, limit=500)
            return self._invalid(scope, f"did not answer with a token response: {wrong}", answer)
        return AccessToken(scope, grant.secret, utc(sent_at) + timedelta(seconds=grant.expires_in), grant.expires_in)

    def _remarks(self, answer: Answer, outcome: Outcome, sent_at: float) -> "Iterator[Callable[[], None]]":
        """Return what there is to log, each for whoever says it."""
        ahead = 0.0 if answer.date is None else sent_at - answer.date.timestamp()
        if abs(ahead) > _LARGEST_SKEW:
            yield partial(
                warn,
                "this machine's clock is about %d s %s the Date header of %s; set it. Tokens are counted from when "
                "they were asked for, so none is lost, but their ends as stored and logged are off by as much",
                abs(ahead),
                "ahead of" if ahead > 0 else "behind",
                self._origin.base_url,
                level=self._wrong_clock.level(sent_at),
            )
        if isinstance(outcome, AccessToken) and answer.says_no_life(now=utc(sent_at)):
            yield partial(
                warn, "%s: the answer does not say how long %s lives; one hour is assumed", outcome.scope, outcome
            )

    @property
    def _secrets(self) -> tuple[Secret, ...]:
        """All that no message may show: an answer may repeat any of what was sent, a proxy's own password too."""
        return (*self._credentials.secrets, *(() if self._transport else proxy_secrets(self._origin)))

    @property
    def _where(self) -> str:
        return f"{self._origin.base_url}{PARTNER_TOKEN_ENDPOINT.path}"

    def _unavailable(self, scope: Scope, what: str, answer: Answer | None) -> TokenRequestError:
        wait = answer.retry_after if answer else None
        proxy = None if self._transport else proxy_setting(self._origin)
        return TokenEndpointUnavailable(
            f"no access token for {scope}: {self._where} {what}",
            f"Ask again {f'in {wait:.0f} s' if wait else 'later'}; if it lasts, check the network, "
            f"{f'the proxy of {proxy}, ' if proxy else ''}DAXKO_BASE_URL and Daxko's status",
            scope=scope.wire,
            status_code=answer.status_code if answer else None,
            retryable=True,
            retry_after=wait,
        )

    def _untrusted(self, scope: Scope, what: str, answer: Answer | None) -> TokenRequestError:
        return TokenEndpointUnavailable(
            f"no access token for {scope}: {self._where} {what}",
            UNTRUSTED_ADVICE,
            scope=scope.wire,
            status_code=answer.status_code if answer else None,
        )

    def _refused(self, scope: Scope, answer: Answer, error: str | None) -> TokenRequestError:
        secrets = self._secrets
        description = quote(answer.error_description, secrets)
        message = None if error else quote(answer.message, secrets)
        none = "no reason given" if answer.is_whole else "no reason: its body could not be read"
        said = ": ".join(filter(None, (error, description, message))).rstrip(".") or None
        return TokenRefused(
            f"no access token for {scope}: {self._where} refused ({answer.status_code}, {said or none})",
            self._advice(scope, answer.bearer_error or error, by_gateway=message is not None),
            server_said=said,
            scope=scope.wire,
            status_code=answer.status_code,
            error=error,
            error_description=description,
        )

    def _advice(self, scope: Scope, error: str | None, *, by_gateway: bool) -> str:
        """Return what to try: a wrong password, a refused bearer and a customer without a link have different cures."""
        account = f"account {self._credentials.account_name!r}"
        if error in {"invalid_scope", "unauthorized_client"}:
            return f"Ask Daxko whether it has linked {account} to Daxko client {scope.customer_id}"
        if error == "invalid_client":
            return f"Check the username and password of {account}"
        if error == "invalid_token":
            return f"Check the refresh token of {account}; Daxko gives a new one if it has ended"
        if by_gateway:
            return f"A gateway in front of Daxko says so. Check the refresh token of {account}, and DAXKO_BASE_URL"
        return (
            f"Check the username, password and refresh token of {account}, and that Daxko has linked it to "
            f"Daxko client {scope.customer_id}"
        )

    def _invalid(self, scope: Scope, what: str, answer: Answer | None) -> TokenRequestError:
        return TokenResponseInvalid(
            f"no access token for {scope}: {self._where} {what}",
            "Check that DAXKO_BASE_URL is Daxko's API and that no proxy or firewall answers in its place",
            scope=scope.wire,
            status_code=answer.status_code if answer else None,
        )

    def _unsent(self, scope: Scope, what: str, _: Answer | None) -> TokenRequestError:
        return TokenRequestError(f"no access token for {scope}: {self._where} {what}", scope=scope.wire)

    def _unexpected(self, scope: Scope, what: str, answer: Answer | None) -> TokenRequestError:
        return TokenRequestError(
            f"no access token for {scope}: {self._where} {what}",
            "Check the transport given as http=; if there is none, please report this",
            scope=scope.wire,
            status_code=answer.status_code if answer else None,
        )


def _import_the_rest() -> str | None:
    """
    Import what a request needs, or return why that is not possible.

    With the exchange, in a thread of the program's. A module that a thread of ours had half imported when the program
    forks would be locked in the child for ever. It is not needed to import this library.
    """
    try:
        for module in _NEEDED:
            importlib.import_module(module)
        for charset in _CHARSETS:
            codecs.lookup(charset)
        # It imports what it finds its file with.
        importlib.import_module("certifi").where()
    except OSError as error:
        return why_refused(error)
    return None

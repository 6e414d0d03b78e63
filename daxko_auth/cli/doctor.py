"""
`daxko-auth doctor`: walks the chain from the settings to a call that is answered.

Says for each link what it found and what to do. What a link depends on comes before it; where that failed, the link
is skipped and says so.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Final

import attrs
import httpx
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from daxko_auth.adapters.auth_flow import NOTE
from daxko_auth.cli.links import Finding, reach
from daxko_auth.cli.opening import BaseUrl
from daxko_auth.cli.printing import AsJson, console, duration, instant, print_json
from daxko_auth.client import Daxko
from daxko_auth.model.credentials import ApiCredentials, settings_in_env
from daxko_auth.model.errors import CredentialsError, DaxkoAuthError, TokenRequestError, TokenStoreError
from daxko_auth.model.events import Event, TokenRequested
from daxko_auth.model.jwt_claims import claims_of
from daxko_auth.model.masking import printable
from daxko_auth.model.origin import Origin
from daxko_auth.model.scope import ClientScope
from daxko_auth.model.secret import Secret
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken
from daxko_auth.policy.source import TokenSource, origin_of
from daxko_auth.stores.file_store import FileStore
from daxko_auth.wire.http import new_transport

_CALL: Final = "/v3/programs/locations"
_UNAUTHORIZED: Final = 401
_TOO_MANY_REQUESTS: Final = 429
#: Seconds that two clocks may be apart: as much as a token is given up before its end.
_SKEW: Final = 60.0
_DAY: Final = 86_400
#: Days before its end at which a refresh token is worth a warning: a new one has to be asked for.
_DAYS_LEFT: Final = 30

#: In Unix time: more than any clock shows.
_LATEST: Final = 1e12

_WIDEST_VERDICT, _WIDEST_LINK = len("warning"), len("refresh token")
_COLOURS: Final = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "default"}


def doctor(
    scope: Annotated[
        str | None, typer.Argument(metavar="[SCOPE]", help="The Daxko client to ask a token for, such as 9999.")
    ] = None,
    *,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> None:
    """
    Say what is wrong: settings, name, connection, certificate, clock, token, a call, the store.

    One token request is sent, and one call. The exit status is 1 if a link failed.
    """
    checked = None if scope is None else ClientScope(scope)
    findings: list[Finding] = []
    shown_on = console()
    for finding in _chain(checked, base_url):
        findings.append(finding)
        if not as_json:
            _print(finding, shown_on)
    if as_json:
        print_json([attrs.asdict(finding) for finding in findings])
    raise typer.Exit(1 if any(finding.verdict == "failed" for finding in findings) else 0)


def _print(finding: Finding, shown_on: Console) -> None:
    row = Table.grid(padding=(0, 1))
    row.add_column(width=_WIDEST_VERDICT)
    row.add_column(width=_WIDEST_LINK)
    row.add_column(overflow="fold")
    # A server's line break would make a row of its own.
    said = "\n".join(map(printable, [finding.found, f"{finding.advice}."] if finding.advice else [finding.found]))
    row.add_row(Text(finding.verdict, _COLOURS[finding.verdict]), Text(finding.link, "bold"), Text(said))
    shown_on.print(row)


def _chain(scope: ClientScope | None, base_url: str | None) -> Iterator[Finding]:
    credentials, finding = _account()
    yield finding
    if credentials is not None:
        yield _refresh_token(credentials.refresh_token)
    origin, finding = _origin(base_url)
    yield finding
    if origin is None:
        yield Finding("Daxko", "skipped", "without a base URL there is nobody to ask")
        return
    try:
        new_transport(origin).close()
        reached = reach(origin)
    except CredentialsError as error:
        reached = [Finding("environment", "failed", str(error))]
    yield from reached
    if reached[-1].verdict == "failed":
        yield Finding("token", "skipped", "nobody answers")
        return
    yield _clock(origin)
    if credentials is None or scope is None:
        missing = "the account is not known" if credentials is None else "no Daxko client was named"
        advice = "" if credentials is None else "Add its number: daxko-auth doctor 9999"
        yield Finding("token", "skipped", missing, advice)
        return
    yield from _authenticated(credentials, origin, scope)


def _account() -> tuple[ApiCredentials | None, Finding]:
    named = ", ".join(settings_in_env()) or "none"
    try:
        return ApiCredentials.from_env(), Finding("settings", "ok", f"set in the environment: {named}")
    except CredentialsError as error:
        return None, Finding("settings", "failed", f"set in the environment: {named}", str(error).rstrip("."))


def _refresh_token(refresh_token: Secret) -> Finding:
    ends = claims_of(refresh_token).get("exp")
    # NaN is smaller than nothing, and some numbers of JSON are more than a clock can count.
    if not isinstance(ends, int | float) or isinstance(ends, bool) or not abs(ends) < _LATEST:
        return Finding("refresh token", "ok", "it does not say when it ends")
    left = ends - time.time()
    advice = "Ask Daxko for a new one"
    if left <= 0:
        return Finding("refresh token", "failed", f"it ended {duration(-left)} ago", advice)
    if left < _DAYS_LEFT * _DAY:
        return Finding("refresh token", "warning", f"it ends in {duration(left)}", advice)
    return Finding("refresh token", "ok", f"it ends in {duration(left)}")


def _origin(base_url: str | None) -> tuple[Origin | None, Finding]:
    try:
        origin = origin_of(base_url)
    except CredentialsError as error:
        return None, Finding("base URL", "failed", "it cannot be used", str(error).rstrip("."))
    if base_url is not None:
        place = "--base-url"
    else:
        place = "DAXKO_BASE_URL" if "DAXKO_BASE_URL" in settings_in_env() else "the default"
    return origin, Finding("base URL", "ok", f"{origin.base_url}, from {place}")


def _clock(origin: Origin) -> Finding:
    try:
        with httpx.Client(transport=new_transport(origin)) as http:
            answer = http.head(f"{origin.base_url}/")
        offset = datetime.now(UTC) - parsedate_to_datetime(answer.headers["Date"])
    except httpx.HTTPError as error:
        advice = "See which server it is; it does not speak HTTP as Daxko does"
        return Finding("clock", "failed", f"no answer over HTTP: {type(error).__name__}", advice)
    except (KeyError, ValueError, TypeError, OverflowError):
        return Finding("clock", "skipped", "the server does not say what time it is")
    seconds = offset.total_seconds()
    if abs(seconds) <= _SKEW:
        return Finding("clock", "ok", f"{abs(seconds):.0f} s off the server's")
    ahead = "ahead of" if seconds > 0 else "behind"
    advice = "Set the clock (NTP): tokens are renewed by it"
    return Finding("clock", "warning", f"{duration(abs(seconds))} {ahead} the server's", advice)


def _authenticated(credentials: ApiCredentials, origin: Origin, scope: ClientScope) -> Iterator[Finding]:
    requests: list[TokenRequested] = []

    def happened(event: Event) -> None:
        if isinstance(event, TokenRequested):
            requests.append(event)

    # Without a store: the request itself is what is looked at.
    source = TokenSource(credentials, origin.base_url, on_event=happened)
    try:
        token = source.token(scope)
        call = _call(Daxko(credentials, scope, source=source), source)
    except TokenRequestError as error:
        source.close()
        yield Finding("token", "failed", f"{scope} got none, at request {len(requests)}", str(error).rstrip("."))
        yield Finding("call", "skipped", "there is no token to call with")
        return
    # Only then have all events been told.
    source.close()
    granted = next(request for request in requests if request.error is None)
    yield Finding("token", "ok", f"{scope} got one in {granted.seconds:.2f} s, at request {granted.attempt}")
    yield _claims(token)
    yield call
    yield _store(TokenKey(origin.base_url, credentials, scope), token)


def _claims(token: AccessToken) -> Finding:
    found = f"it lives {duration(token.expires_in)}, until {instant(token.expires_at)}"
    claims = claims_of(Secret(token.reveal()))
    said = claims.get("scope")
    if isinstance(said, str) and said != token.scope.wire:
        advice = f"Ask Daxko why a request for {token.scope} was answered with it"
        return Finding("claims", "warning", f"{found}; it says that it is for another scope", advice)
    return Finding("claims", "ok", f"{found}; {'it says so itself' if claims else 'it is opaque'}")


def _call(daxko: Daxko, source: TokenSource) -> Finding:
    with daxko:
        try:
            answer = daxko.http.get(_CALL)
        except (httpx.HTTPError, DaxkoAuthError) as error:
            advice = "Try again; if it stays, tell Daxko"
            return Finding("call", "failed", f"GET {_CALL}: {type(error).__name__}", advice)
    found = f"GET {_CALL} at {source.origin.base_url} was answered {answer.status_code}"
    if answer.status_code == _UNAUTHORIZED:
        return Finding("call", "failed", found, str(answer.extensions.get(NOTE, "Ask Daxko")))
    if answer.is_redirect:
        return Finding("call", "warning", found, "Daxko redirects no call: see whether it is Daxko that answers")
    if answer.is_server_error or answer.status_code == _TOO_MANY_REQUESTS:
        return Finding("call", "warning", found, "The token was not refused; the endpoint has a trouble of its own")
    return Finding("call", "ok", f"{found}: the token is accepted")


def _store(key: TokenKey, token: AccessToken) -> Finding:
    try:
        store = FileStore()
        store.write(key, token)
        kept = store.read(key)
    except TokenStoreError as error:
        advice = "Commands and programs with a FileStore ask Daxko for a token each until that is mended"
        return Finding("store", "warning", str(error).rstrip("."), advice)
    if kept is None:
        return Finding(
            "store", "warning", "what was written was not there afterwards", "Look at the warnings in the log"
        )
    return Finding("store", "ok", "tokens are kept in this user's cache, encrypted")

"""
`daxko-auth request`: one call to Daxko, as a program would make it.
"""

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import httpx
import typer

from daxko_auth.adapters.auth_flow import NOTE
from daxko_auth.adapters.httpx import DaxkoAuth
from daxko_auth.cli.opening import BaseUrl, ScopeOption, open_source
from daxko_auth.cli.printing import fail, is_watched, pass_on, say, show_json, tell_lines
from daxko_auth.client import DEFAULT_TIMEOUT
from daxko_auth.model import events
from daxko_auth.model.masking import SHORTEST, KnownSecrets
from daxko_auth.model.origin import Origin
from daxko_auth.model.secret import Secret, fingerprint
from daxko_auth.model.vendor import ACCEPT
from daxko_auth.wire.http import new_transport, proxy_for

# Everything else may be a secret, or hold one.
_SHOWN_HEADERS: Final = frozenset(
    {
        *("accept", "accept-encoding", "cache-control", "connection", "content-encoding", "content-length"),
        *("content-type", "date", "etag", "host", "retry-after", "server", "transfer-encoding", "user-agent", "vary"),
    }
)

# RFC 9110 sections 5.6.2 and 9.1.
_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What the request has anyway; another one would say something else than what is sent.
_FORM: Final = "application/x-www-form-urlencoded"
_OURS: Final = frozenset({"authorization", "content-length", "transfer-encoding"})


def request(  # noqa: PLR0913 - an option each
    method: Annotated[str, typer.Argument(metavar="METHOD", help="GET, POST, PUT, DELETE, ...")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="Such as /v3/programs/locations?page=2.")],
    *,
    scope: ScopeOption,
    data: Annotated[
        str | None, typer.Option(metavar="JSON", help="A JSON body: itself, @FILE, or @- for standard input.")
    ] = None,
    form: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A field of a form; repeat it for more.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="NAME:VALUE", help="A header; repeat it for more.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show what goes over the wire, without secrets, on standard error.")
    ] = False,
    base_url: BaseUrl = None,
) -> None:
    """
    Send one request, and print the body of its answer: JSON indented on a terminal, bytes as they came into a pipe.

    The exit status is 0 after 2xx, 3 after 3xx, 4 after 4xx and 5 after 5xx; 1 if there is no answer. Redirects are not
    followed.
    """
    if not _METHOD.fullmatch(method):
        raise typer.BadParameter("a method is a word such as GET or POST", param_hint="METHOD")
    content, content_type = _body(data, form)
    headers = {"Content-Type": content_type} if content_type else {}
    headers |= dict(_header(line) for line in header or ())
    teller = _Teller(is_verbose=verbose)
    hooks: dict[str, list[Any]] = {"request": [teller.sent], "response": [teller.answered]}
    # Not a Daxko, whose hooks see neither the token nor a 401 that is answered with a replay.
    with (
        open_source(base_url, teller.happened if verbose else None) as source,
        httpx.Client(
            auth=DaxkoAuth(source, scope),
            base_url=source.origin.base_url,
            headers={"Accept": ACCEPT},
            timeout=DEFAULT_TIMEOUT,
            transport=new_transport(source.origin),
            trust_env=False,
            event_hooks=hooks,
        ) as http,
    ):
        teller.hide(*source.credentials.secrets, *_secrets_of_proxy(source.origin))
        try:
            response = http.request(method.upper(), path, content=content, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            reason = f"{type(error).__name__}, {teller.masked(str(error))}" if str(error) else type(error).__name__
            fail(f"no answer from {source.origin.base_url} to this {method.upper()}: {reason}. Try daxko-auth doctor")
    _print(response, teller)
    if not response.is_success:
        teller.say(f"daxko-auth: answered {response.status_code} {response.reason_phrase}".rstrip())
        if NOTE in response.extensions:
            teller.say(f"daxko-auth: {response.extensions[NOTE]}")
        raise typer.Exit(response.status_code // 100)


class _Teller:
    """Says what goes over the wire, on standard error, and masks what is secret of it, whoever repeats it."""

    def __init__(self, *, is_verbose: bool) -> None:
        self._known = KnownSecrets()
        self._is_verbose = is_verbose

    def hide(self, *secrets: Secret) -> None:
        """Mask these, too, from now on."""
        for secret in secrets:
            self._known.add(secret)

    def masked(self, text: str) -> str:
        """Return `text` without what is secret."""
        return self._known.mask(text)

    def say(self, line: str) -> None:
        """Say a line without what is secret."""
        say(self.masked(line))

    def happened(self, event: events.Event) -> None:
        """Say what a source tells."""
        match event:
            case events.TokenRequested():
                outcome = "no token" if event.error else "a token"
                self.say(f"* token request {event.attempt} for {event.scope}: {outcome} after {event.seconds:.2f} s")
            case events.TokenRejected():
                self.say(f"* access token {event.fingerprint} was refused")
            case events.CallReplayed():
                self.say(f"* sent again, with access token {event.fingerprint}")
            case _:
                pass

    def sent(self, request: httpx.Request) -> None:
        """Note the secrets of a request, and say what it is."""
        for name, value in request.headers.multi_items():
            secret = _bearer(value) if name == "authorization" else value
            # A shorter one stands in many texts by chance.
            if name not in _SHOWN_HEADERS and len(secret) >= SHORTEST:
                self.hide(Secret(secret))
        if self._is_verbose:
            query = "?..." if request.url.query else ""
            self.say(f"> {request.method} {request.url.path}{query}")
            self._say_headers(">", request.headers)

    def answered(self, response: httpx.Response) -> None:
        """Say what an answer begins with."""
        if self._is_verbose:
            self.say(f"< {response.status_code} {response.reason_phrase}".rstrip())
            self._say_headers("<", response.headers)

    def _say_headers(self, sign: str, headers: httpx.Headers) -> None:
        for name, value in headers.multi_items():
            if name == "authorization":
                self.say(f"{sign} {name}: Bearer <access token {fingerprint(_bearer(value).encode())}>")
            else:
                self.say(f"{sign} {name}: {value if name in _SHOWN_HEADERS else '<withheld>'}")


def _bearer(value: str) -> str:
    return value.removeprefix("Bearer ")


def _secrets_of_proxy(origin: Origin) -> list[Secret]:
    # A proxy may repeat what it was sent, as it refuses it.
    proxy = proxy_for(origin)
    return [Secret(httpx.URL(proxy.url.reveal()).password)] if proxy else []


def _body(data: str | None, form: list[str] | None) -> tuple[bytes | None, str]:
    if data is not None and form:
        raise typer.BadParameter("a request has one body; leave out --data or --form", param_hint="--form")
    if form:
        return urlencode([_field(field) for field in form], errors="surrogateescape").encode(), _FORM
    if data is None:
        return None, ""
    try:
        content = _read(data)
        json.loads(content)
    except OSError as error:
        # Not the path: with the @ in front, it may be something else.
        raise typer.BadParameter(f"the file cannot be read: {error.strerror}", param_hint="--data") from None
    except (ValueError, RecursionError):
        example = '{"name": "value"}'
        says = f"it is not JSON such as {example}; quote it for the shell"
        raise typer.BadParameter(says, param_hint="--data") from None
    return content, "application/json"


def _read(data: str) -> bytes:
    if data == "@-":
        return sys.stdin.buffer.read()
    return Path(data[1:]).read_bytes() if data.startswith("@") else data.encode()


def _field(field: str) -> tuple[str, str]:
    name, equals, value = field.partition("=")
    if not equals:
        raise typer.BadParameter("a field of a form is NAME=VALUE", param_hint="--form")
    return name, value


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    name = name.strip()
    if not colon or not name:
        raise typer.BadParameter("a header is NAME:VALUE", param_hint="--header")
    if name.lower() in _OURS:
        raise typer.BadParameter(f"{name} is what daxko-auth sets; leave it out", param_hint="--header")
    return name, value.strip()


def _print(response: httpx.Response, teller: _Teller) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not is_watched():
        pass_on(response.content)
    elif not response.content or (kind.endswith(("/json", "+json")) and show_json(response.content)):
        pass
    elif kind.startswith("text/") or kind.endswith(("json", "xml")):
        tell_lines(_text(response))
    else:
        teller.say(f"{len(response.content):,} bytes of {kind or 'no said type'}; send them to a file with > FILE")


def _text(response: httpx.Response) -> str:
    try:
        return response.content.decode(response.charset_encoding or "utf-8", "replace")
    except (LookupError, ValueError):
        # What the server calls a charset is none, or not one that takes any bytes.
        return response.content.decode("utf-8", "replace")

"""
`daxko-auth request`: one call to Daxko, as a program would make it.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlencode

import httpx
import typer

from daxko_auth.adapters.auth_flow import NOTE
from daxko_auth.cli.opening import BaseUrl, ScopeOption, open_source
from daxko_auth.cli.printing import fail, is_watched, pass_on, say, show_json, tell_lines
from daxko_auth.client import Daxko
from daxko_auth.model import events
from daxko_auth.model.secret import fingerprint

# Everything else may be a secret, or hold one.
_SHOWN_HEADERS: Final = frozenset(
    {
        *("accept", "accept-encoding", "cache-control", "connection", "content-encoding", "content-length"),
        *("content-type", "date", "etag", "host", "retry-after", "server", "transfer-encoding", "user-agent", "vary"),
    }
)


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
    content, content_type = _body(data, form)
    headers = {"Content-Type": content_type} if content_type else {}
    headers |= dict(_header(line) for line in header or ())
    told = _told if verbose else None
    with open_source(base_url, told) as source, Daxko(source.credentials, scope, source=source) as daxko:
        if verbose:
            daxko.http.event_hooks = {"request": [_sent], "response": [_answered]}
        try:
            response = daxko.http.request(method.upper(), path, content=content, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = f"{type(error).__name__}, {error}" if str(error) else type(error).__name__
            fail(f"no answer from {source.origin.base_url} to this {method.upper()}: {reason}. Try daxko-auth doctor")
    _print(response)
    if not response.is_success:
        say(f"daxko-auth: answered {response.status_code} {response.reason_phrase}".rstrip())
        if NOTE in response.extensions:
            say(f"daxko-auth: {response.extensions[NOTE]}")
        raise typer.Exit(response.status_code // 100)


def _body(data: str | None, form: list[str] | None) -> tuple[bytes | None, str]:
    if data is not None and form:
        raise typer.BadParameter("a request has one body; leave out --data or --form", param_hint="--form")
    if form:
        return urlencode([_field(field) for field in form]).encode(), "application/x-www-form-urlencoded"
    if data is None:
        return None, ""
    try:
        content = _read(data)
        json.loads(content)
    except OSError as error:
        # Not the path: with the @ in front, it may be something else.
        raise typer.BadParameter(f"the file cannot be read: {error.strerror}", param_hint="--data") from None
    except ValueError:
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
    if name.lower() == "authorization":
        raise typer.BadParameter("Authorization is what daxko-auth sets; leave it out", param_hint="--header")
    return name, value.strip()


def _print(response: httpx.Response) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not is_watched():
        pass_on(response.content)
    elif not response.content or (kind.endswith(("/json", "+json")) and show_json(response.content)):
        pass
    elif kind.startswith("text/") or kind.endswith(("json", "xml")):
        tell_lines(_text(response))
    else:
        say(f"{len(response.content):,} bytes of {kind or 'no said type'}; send them to a file with > FILE")


def _text(response: httpx.Response) -> str:
    try:
        return response.content.decode(response.charset_encoding or "utf-8", "replace")
    except (LookupError, ValueError):
        # What the server calls a charset is none, or not one that takes any bytes.
        return response.content.decode("utf-8", "replace")


def _told(event: events.Event) -> None:
    match event:
        case events.TokenRequested():
            outcome = "no token" if event.error else "a token"
            say(f"* token request {event.attempt} for {event.scope}: {outcome} after {event.seconds:.2f} s")
        case events.TokenRejected():
            say(f"* access token {event.fingerprint} was refused")
        case events.CallReplayed():
            say(f"* sent again, with access token {event.fingerprint}")
        case _:
            pass


def _sent(sent: httpx.Request) -> None:
    query = "?..." if sent.url.query else ""
    say(f"> {sent.method} {sent.url.path}{query}")
    _say_headers(">", sent.headers)


def _answered(response: httpx.Response) -> None:
    say(f"< {response.status_code} {response.reason_phrase}".rstrip())
    _say_headers("<", response.headers)


def _say_headers(sign: str, headers: httpx.Headers) -> None:
    for name, value in headers.multi_items():
        if name == "authorization":
            token = value.removeprefix("Bearer ")
            say(f"{sign} {name}: Bearer <access token {fingerprint(token.encode())}>")
        else:
            say(f"{sign} {name}: {value if name in _SHOWN_HEADERS else '<withheld>'}")

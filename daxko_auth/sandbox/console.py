"""
The page at `/`: what a developer sees of a program that authenticates, while it does.

Rendered here and nowhere else, from the log and the tokens issued. It works without a script; with one it stays up to
date: each event of `/_sandbox/changes` is the whole picture, so nothing is lost by whoever reads slowly or connects
again. Tokens are shown as fingerprints, and everything that came over the wire is escaped.
"""

import asyncio
import html
import shlex
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Final
from urllib.parse import parse_qs, quote

from attrs import frozen
from starlette.responses import RedirectResponse, Response, StreamingResponse

from daxko_auth.model.vendor import MEMBER_TOKEN_ENDPOINT
from daxko_auth.sandbox.log import Arrival
from daxko_auth.sandbox.seen import Seen
from daxko_auth.sandbox.switches import Switches
from daxko_auth.sandbox.tokens import Standing

_PAGE: Final = "/"
_CHANGES: Final = "/_sandbox/changes"
_CONSOLE: Final = "/_sandbox/console"
_ASSETS: Final = {"/_sandbox/console.css": "text/css", "/_sandbox/console.js": "text/javascript"}

_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
#: Rows of the timeline, and of the tokens.
_MOST_ARRIVALS, _MOST_TOKENS = 200, 50
#: Seconds between two looks at whether anything has changed.
_LOOK_EVERY: Final = 0.2
_SLOW: Final = 3.0
_FOR_EVER: Final = 1_000_000
_UNAUTHORIZED: Final = 401
_LEAST_FAILURE: Final = 400

_STANDINGS: Final = {Standing.EXPIRED: "expired", Standing.REVOKED: "taken back"}
_BEARERS: Final = {  # nosec B105 # names
    "refresh_token": "refresh token",
    "access_token": "access token",
    "other": "unknown bearer",
    "none": "no bearer",
}
_BUTTONS: Final = {
    "expire": ("Expire", "Access tokens end now"),
    "revoke": ("Take back", "Access tokens are refused from now on"),
    "slow": ("Slow down", f"Token requests take {_SLOW:g} s longer"),
    "break": ("Break", "Token requests are answered 503"),
    "mend": ("Mend", "Token requests are answered at once again"),
    "clear": ("Clear", "The timeline starts anew"),
}


def respond(switches: Switches, settings: Mapping[str, str], seen: Seen) -> Response | None:
    """Answer what belongs to the page; None if something else was asked for."""
    if seen.method == "POST":
        return _press(switches, seen) if seen.path == _CONSOLE else None
    if seen.method != "GET":
        return None
    if seen.path in _ASSETS:
        name = seen.path.rpartition("/")[2]
        content = files("daxko_auth.sandbox").joinpath(name).read_bytes()
        return Response(content, 200, _HEADERS, _ASSETS[seen.path])
    if seen.path == _CHANGES:
        return StreamingResponse(_changes(switches, _scope_in(seen.query)), 200, _HEADERS, "text/event-stream")
    if seen.path == _PAGE and "text/html" in (seen.header("accept") or ""):
        return Response(_page(switches, settings, _scope_in(seen.query)), 200, _HEADERS, "text/html")
    return None


def is_foreign(seen: Seen) -> bool:
    """Whether the page of another site sends this: browsers say so, and nobody else sends an Origin."""
    origin = seen.header("origin")
    return origin is not None and origin != f"http://{seen.header('host')}"


def _press(switches: Switches, seen: Seen) -> Response:
    fields = parse_qs(seen.body.decode("utf-8", "replace"))
    scope = fields.get("scope", [""])[0]
    match fields.get("press", [""])[0]:
        case "expire":
            switches.expire(scope or None)
        case "revoke":
            switches.revoke(scope or None)
        case "slow":
            switches.set_latency(_SLOW)
        case "break":
            switches.fail_next(_FOR_EVER, "status", status=503)
        case "mend":
            switches.fail_no_more()
            switches.set_latency(0)
            switches.release()
        case "clear":
            switches.clear_log()
        case _:
            return Response("There is no such button.\n", 400, _HEADERS, "text/plain")
    return RedirectResponse(_link(scope), 303, _HEADERS)


async def _changes(switches: Switches, scope: str) -> AsyncIterator[str]:
    shown = ""
    while True:
        now = _live(switches, scope)
        if now != shown:
            shown = now
            yield f"data: {now}\n\n"
        await asyncio.sleep(_LOOK_EVERY)


def _scope_in(query: str) -> str:
    return parse_qs(query).get("scope", [""])[0]


def _link(scope: str) -> str:
    return f"{_PAGE}?scope={quote(scope)}" if scope else _PAGE


def _page(switches: Switches, settings: Mapping[str, str], scope: str) -> str:
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in settings.items())
    buttons = "".join(
        f'<li><button name="press" value="{name}" aria-describedby="what-{name}">{label}</button> '
        f'<span id="what-{name}">{what}</span></li>'
        for name, (label, what) in _BUTTONS.items()
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sandbox of daxko-auth</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/_sandbox/console.css">
<script src="/_sandbox/console.js" defer></script>
</head>
<body>
<header>
<h1>Sandbox <small>stands in for Daxko; nothing here is real</small></h1>
<p id="connection" role="status">Reload for news.</p>
</header>
<main>
<section aria-labelledby="settings">
<h2 id="settings">Settings</h2>
<p>Paste these into the shell of the program to watch.</p>
<pre tabindex="0"><code id="exports">{html.escape(exports)}</code></pre>
<button type="button" id="copy" hidden>Copy</button>
</section>
<section aria-labelledby="switches">
<h2 id="switches">Switches</h2>
<form method="post" action="{_CONSOLE}">
<input type="hidden" name="scope" value="{html.escape(scope)}">
<ul class="buttons">{buttons}</ul>
</form>
</section>
<div id="live">{_live(switches, scope)}</div>
</main>
</body>
</html>
"""


def _live(switches: Switches, scope: str) -> str:
    """Write what changes, in one line. It depends on no clock but through the state of the tokens."""
    arrivals = switches.log
    return "".join(
        [
            *_state(switches),
            *_scopes(arrivals, scope),
            *_tokens(switches, scope),
            *_timeline(_entries(arrivals), scope),
        ]
    )


def _state(switches: Switches) -> Iterator[str]:
    partner = switches.partner_endpoint()
    troubles: list[str] = []
    if partner.held:
        troubles.append("keeps requests waiting")
    if partner.latency:
        troubles.append(f"is {partner.latency:g} s slow")
    if partner.failures_to_come:
        troubles.append("is broken")
    said, name = (f"The token endpoint {' and '.join(troubles)}.", "trouble") if troubles else ("All is well.", "well")
    yield f'<p class="state {name}">{said}</p>'


def _scopes(arrivals: Iterable[Arrival], chosen: str) -> Iterator[str]:
    counts = Counter(arrival.scope for arrival in arrivals if arrival.is_token_request and arrival.scope)
    yield '<nav aria-label="Daxko clients"><ul class="scopes">'
    for scope in ["", *sorted({*counts, chosen} - {""})]:
        current = ' aria-current="page"' if scope == chosen else ""
        count = counts.total() if not scope else counts[scope]
        label = html.escape(scope or "All")
        requests = _counted(count, "token request")
        yield f'<li><a href="{html.escape(_link(scope))}"{current}>{label} <b>{requests}</b></a></li>'
    yield "</ul></nav>"


def _tokens(switches: Switches, scope: str) -> Iterator[str]:
    issued = [held for held in switches.issued() if scope in {"", held.token.scope, f"client:{held.token.client_id}"}]
    yield '<section aria-labelledby="tokens"><h2 id="tokens">Tokens</h2>'
    if not issued:
        yield "<p>None was issued yet.</p></section>"
        return
    yield "<table><thead><tr><th>For</th><th>Token</th><th>Time left</th></tr></thead><tbody>"
    for held in reversed(issued[-_MOST_TOKENS:]):
        whom = f"{held.token.subject}, a member" if held.token.is_member_token else held.token.scope
        over = _STANDINGS.get(held.standing)
        left = over or f'<time data-ends="{held.ends_at}">until its end</time>'
        yield (
            f'<tr{" class=over" if over else ""}><td data-label="For">{html.escape(whom)}</td>'
            f'<td data-label="Token"><code>{held.fingerprint}</code></td><td data-label="Time left">{left}</td></tr>'
        )
    yield "</tbody></table></section>"


@frozen
class _Entry:
    arrival: Arrival
    kind: str
    is_failure: bool


def _entries(arrivals: Iterable[Arrival]) -> list[_Entry]:
    """Say of each arrival what it is: a replay is a call that comes again after its 401, with another bearer."""
    refused: Counter[tuple[str, str, str]] = Counter()
    entries: list[_Entry] = []
    for arrival in arrivals:
        call = (arrival.method, arrival.path, arrival.scope)
        if arrival.is_token_request:
            kind = "token request"
        elif refused[call] and arrival.status != _UNAUTHORIZED:
            refused[call] -= 1
            kind = "replay"
        else:
            kind = "member login" if arrival.path == MEMBER_TOKEN_ENDPOINT.path else "call"
            refused[call] += arrival.status == _UNAUTHORIZED
        entries.append(_Entry(arrival, kind, arrival.status is not None and arrival.status >= _LEAST_FAILURE))
    return entries


def _timeline(entries: Sequence[_Entry], scope: str) -> Iterator[str]:
    shown = [entry for entry in entries if scope in {"", entry.arrival.scope}]
    yield '<section aria-labelledby="timeline"><h2 id="timeline">Timeline</h2>'
    if not shown:
        yield "<p>Nothing has arrived yet.</p></section>"
        return
    kinds = Counter(entry.kind for entry in shown)
    said = ", ".join(_counted(count, kind) for kind, count in kinds.items())
    yield f'<p id="summary">{said}; {_counted(sum(entry.is_failure for entry in shown), "refusal or failure")}.</p>'
    yield (
        "<table><thead><tr><th>No.</th><th>What</th><th>Answer</th><th>Client</th><th>Request</th><th>Bearer</th>"
        "<th>ms</th></tr></thead><tbody>"
    )
    for entry in reversed(shown[-_MOST_ARRIVALS:]):
        yield _row(entry)
    yield "</tbody></table></section>"


def _row(entry: _Entry) -> str:
    arrival = entry.arrival
    bearer = _BEARERS[arrival.bearer]
    if arrival.bearer_fingerprint:
        bearer += f" <code>{arrival.bearer_fingerprint}</code>"
    request = f"<code>{html.escape(f'{arrival.method} {arrival.path}')}</code>"
    if arrival.misplaced:
        request += f'<br><strong class="trouble">{html.escape(", ".join(arrival.misplaced))}</strong>'
    took = "" if arrival.milliseconds is None else f"{arrival.milliseconds:.1f}"
    cells = {
        "No.": arrival.number,
        "What": entry.kind,
        "Answer": arrival.status or "none yet",
        "Client": html.escape(arrival.scope) or "none",
        "Request": request,
        "Bearer": bearer,
        "ms": took,
    }
    look = "failed" if entry.is_failure else entry.kind.replace(" ", "-")
    written = "".join(f'<td data-label="{name}">{cell}</td>' for name, cell in cells.items())
    return f'<tr class="{look}">{written}</tr>'


def _counted(count: int, what: str) -> str:
    first, *rest = what.split(" or ")
    many = "" if count == 1 else "s"
    return " or ".join([f"{count} {first}{many}", *(f"{other}{many}" for other in rest)])

"""
Answers like Daxko: the ASGI application.

A request is read whole, logged, then held, delayed and failed as the switches say, and only then
judged: what it is answered depends on the moment it is let go. Its answer is logged before it is
sent, so whoever has an answer finds it in the log.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import Final

from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from daxko_auth.model.secret import fingerprint
from daxko_auth.model.vendor import ACCEPT, MEMBER_TOKEN_ENDPOINT, PARTNER_TOKEN_ENDPOINT
from daxko_auth.sandbox import console, remote, rules
from daxko_auth.sandbox.failures import Failure
from daxko_auth.sandbox.log import Arrival, BearerSent
from daxko_auth.sandbox.rules import Granted, Refused
from daxko_auth.sandbox.seen import Seen
from daxko_auth.sandbox.switches import Station, Switches, Where
from daxko_auth.sandbox.tokens import Standing

_KINDS: Final[dict[Standing, BearerSent]] = {
    Standing.NONE: "none",
    Standing.REFRESH_TOKEN: "refresh_token",
    Standing.LIVE: "access_token",
    Standing.EXPIRED: "access_token",
    Standing.REVOKED: "access_token",
}
# RFC 6749 section 5.1: whatever holds a token is not stored on its way.
_NO_STORE: Final = {"cache-control": "no-store", "pragma": "no-cache"}


class App(Switches):
    """The switches, and the application that obeys them."""

    #: What `GET /` says.
    banner = "This is a sandbox of daxko-auth, a stand-in for tests. It is not Daxko, and nothing here is real.\n"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        try:
            await self._serve(scope, receive, send)
        except asyncio.CancelledError:
            # The sandbox closes: the connection is gone, and nobody is left to be told.
            return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen, is_whole = await _read(scope, receive)
        page = self._console(seen)
        if page is not None:
            await page(scope, receive, send)
            return
        where = _where(seen.path)
        station = self._station(where) if where and is_whole else None
        # Before it is logged: whoever reads there that it has arrived can let it go with `release()`.
        place = station.gate.queue() if station else None
        number = self._log.arrived(lambda number: self._arrival(number, seen))
        if not is_whole:
            return
        failure = await _delayed(station, place) if station and place else None
        if failure is None:
            response = self._judged(where, seen)
        elif failure.is_silent:
            await _break_off(failure, scope, receive)
            return
        else:
            body, headers = failure.answer
            response = Response(body, failure.status, headers)
        self._log.answered(number, response.status_code)
        if failure is not None and failure.kind == "cut":
            await _cut(response, scope, receive, send)
        else:
            await response(scope, receive, send)

    def _console(self, seen: Seen) -> Response | None:
        """Answer the page and the switches, which are not logged."""
        if seen.method == "POST" and seen.path.startswith(remote.PREFIX) and console.is_foreign(seen):
            return _json(403, {"problem": "The page of another site may not press this sandbox's switches."})
        page = console.respond(self, self.settings_at(f"http://{seen.header('host') or ''}"), seen)
        if page is None and seen.path.startswith(remote.PREFIX):
            return _json(*remote.operate(self, seen))
        return page

    def _arrival(self, number: int, seen: Seen) -> Arrival:
        bearer = seen.bearer
        held = self._mint.find(bearer or "")
        at_partner = seen.path == PARTNER_TOKEN_ENDPOINT.path
        return Arrival(
            number=number,
            method=seen.method,
            path=self._watch.withhold(seen.path),
            status=None,
            bearer=_KINDS.get(self._mint.judge(bearer), "other"),
            bearer_fingerprint=fingerprint(bearer.encode()) if bearer else "",
            body=seen.body_kind,
            scope=rules.scope_asked(seen) if at_partner else held.scope if held else "",
            milliseconds=None,
            misplaced=self._watch.misplaced(seen),
        )

    def _judged(self, where: Where | None, seen: Seen) -> Response:
        if where is None:
            return PlainTextResponse(self.banner) if seen.path == "/" else _refusal(Refused(404, "not_found", _NOWHERE))
        if where != "resource" and seen.method != "POST":
            refused = Refused(405, "invalid_request", "A token is asked for by POST.")
            return _refusal(refused, {"allow": "POST"})
        if not seen.accepts_json:
            return _refusal(Refused(406, "invalid_request", f"Accept: {ACCEPT} is wanted on every request."))
        match where:
            case "partner":
                return self._token(rules.judge_partner(seen, self.account, self._mint))
            case "member":
                return self._member(seen)
            case _:
                return self._resource(seen)

    def _token(self, verdict: Granted | Refused) -> Response:
        if isinstance(verdict, Refused):
            return _refusal(verdict)
        life = self._token_life
        token = self._mint.issue(subject=verdict.subject, scope=verdict.scope, client_id=verdict.client_id, life=life)
        # A string, as in the vendor's guide, although RFC 6749 says a number.
        fields = {"access_token": token, "expires_in": str(life), "token_type": "bearer"}  # nosec B105 # a type
        return _json(200, fields, _NO_STORE)

    def _member(self, seen: Seen) -> Response:
        access = rules.judge_access(seen, self._mint)
        if isinstance(access, Refused):
            return _refusal(access)
        verdict = rules.judge_member(seen, self.account, access.client_id)
        if isinstance(verdict, Refused) and verdict.error == "invalid_grant":
            if self._member_refusal == "unexplained":
                return Response(status_code=401)
            if self._member_refusal == "invalid_grant_401":
                verdict = Refused(401, verdict.error, verdict.description, 'Bearer realm="daxko"')
        return self._token(verdict)

    def _resource(self, seen: Seen) -> Response:
        if seen.path in self._unauthorized:
            description = "This sandbox was told to refuse every bearer here."
            return _refusal(Refused(401, "invalid_token", description, rules.challenge(seen, description)))
        access = rules.judge_access(seen, self._mint)
        if isinstance(access, Refused):
            return _refusal(access)
        if seen.path in self._forbidden:
            return _refusal(Refused(403, "forbidden", "This sandbox was told to forbid this path."))
        return _json(
            200,
            {
                "client_id": access.client_id,
                "scope": access.scope,
                "username": access.subject,
                "method": seen.method,
                "path": seen.path,
                "query": seen.query,
                "token": fingerprint((seen.bearer or "").encode()),
                "body": {"bytes": len(seen.body), "sha256": hashlib.sha256(seen.body).hexdigest()},
            },
        )


_NOWHERE: Final = "Daxko's API lives under /v3/, and this sandbox's switches under /_sandbox/."


async def _delayed(station: Station, place: asyncio.Event) -> Failure | None:
    await station.gate.passed(place)
    if station.latency:
        await asyncio.sleep(station.latency)
    return station.failures.popleft() if station.failures else None


def _where(path: str) -> Where | None:
    match path:
        case PARTNER_TOKEN_ENDPOINT.path:
            return "partner"
        case MEMBER_TOKEN_ENDPOINT.path:
            return "member"
        case _:
            return "resource" if path.startswith("/v3/") else None


def _json(status: int, content: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Response:
    # Not Starlette's JSONResponse: that one cannot send a lone surrogate back to whoever sent it.
    return Response(json.dumps(content), status, headers, "application/json")


def _refusal(refused: Refused, headers: Mapping[str, str] | None = None) -> Response:
    challenge = {"www-authenticate": refused.challenge} if refused.challenge else {}
    content = {"error": refused.error, "error_description": refused.description}
    return _json(refused.status, content, {**_NO_STORE, **challenge, **(headers or {})})


async def _read(scope: Scope, receive: Receive) -> tuple[Seen, bool]:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            is_whole = False
            break
        body += message["body"]
        if not message["more_body"]:
            is_whole = True
            break
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    seen = Seen(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers, bytes(body))
    return seen, is_whole


async def _break_off(failure: Failure, scope: Scope, receive: Receive) -> None:
    if failure.kind == "drop":
        scope["state"]["connection"].abort()
    await _gone(receive)


async def _cut(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    body = bytes(response.body)
    response.headers["content-length"] = str(len(body) * 2)
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    scope["state"]["connection"].close()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    # A loop, because ASGI lets a server repeat an empty end of the body first.
    while (await receive())["type"] != "http.disconnect":
        pass

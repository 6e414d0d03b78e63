"""
When a request is the recorded one: same method, address, kind of bearer, Accept and fields of the body.

vcrpy alone compares no body and no header, so one customer's token request would be answered with
another's token. It compares what is scrubbed already; no secret comes this far.
"""

from typing import Final

from vcr.request import Request

from recording.bodies import Body, parse

#: The names under which vcrpy asks for all of it, its own matchers first.
MATCH_ON: Final = ("method", "scheme", "host", "port", "path", "query", "bearer_kind", "accept", "fields")


def bearer_kind(asked: Request, recorded: Request) -> None:
    """Hold the kinds of bearer against each other: refresh token, access token, another, none."""
    _same("the bearer", asked.headers.get("Authorization"), recorded.headers.get("Authorization"))


def accept(asked: Request, recorded: Request) -> None:
    """Hold the Accept headers against each other: the vendor requires one on every request."""
    _same("Accept", asked.headers.get("Accept"), recorded.headers.get("Accept"))


def fields(asked: Request, recorded: Request) -> None:
    """Hold what the bodies say against each other: the same media type and fields, whatever the boundary."""
    mine = _body(asked)
    if mine.kind == "unreadable":
        raise AssertionError("the body cannot be read, so nothing says that it is the recorded one")
    _same("the body", mine, _body(recorded))


def _body(request: Request) -> Body:
    return parse(request.headers.get("Content-Type", ""), request.body or b"")


def _same(what: str, asked: object, recorded: object) -> None:
    if asked != recorded:
        msg = f"{what} is {asked!r}, and {recorded!r} was recorded"
        raise AssertionError(msg)

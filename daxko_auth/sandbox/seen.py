"""
One request as it arrived: bytes and what can be read off them without judging.

It holds everything that was sent, so it has no repr worth printing, and it never goes into a log.
"""

import re
from typing import Final, Literal

from attrs import field, frozen

BodyKind = Literal["multipart", "json", "form", "none", "other"]

# RFC 6750 section 2.1, and the one space that the vendor's guide shows. Schemes ignore case (RFC 9110).
_BEARER: Final = re.compile(r"bearer (?P<token>[A-Za-z0-9\-._~+/]+=*)", re.ASCII | re.IGNORECASE)
_MEDIA_RANGES: Final = frozenset({"application/json", "application/*", "*/*"})


@frozen
class Seen:
    """A request. Not a verdict: nothing here says whether it is right."""

    method: str
    path: str
    query: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """Return the value of a header that was sent, joined by commas if sent more than once, or None."""
        values = [value for held, value in self.headers if held == name]
        return ", ".join(values) if values else None

    @property
    def bearer(self) -> str | None:
        """The bearer token; None if no Authorization was sent, blank if it is no bearer."""
        sent = self.header("authorization")
        if sent is None:
            return None
        bearer = _BEARER.fullmatch(sent)
        return bearer["token"] if bearer else ""

    @property
    def media_type(self) -> str:
        """The Content-Type in lower case, without its parameters; blank if there is none."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def body_kind(self) -> BodyKind:
        """What the body claims to be."""
        if not self.body:
            return "none"
        match self.media_type:
            case "multipart/form-data":
                return "multipart"
            case "application/json":
                return "json"
            case "application/x-www-form-urlencoded":
                return "form"
            case _:
                return "other"

    @property
    def accepts_json(self) -> bool:
        """Whether Accept was sent and admits application/json."""
        for wish in (self.header("accept") or "").split(","):
            media_range, *parameters = (piece.strip().lower() for piece in wish.split(";"))
            refused = any(re.fullmatch(r"q=0(\.0{0,3})?", parameter) for parameter in parameters)
            if media_range in _MEDIA_RANGES and not refused:
                return True
        return False

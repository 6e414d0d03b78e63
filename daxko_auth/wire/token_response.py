"""
What a token endpoint answered, read without trusting it.

Whatever the bytes are, reading them ends in a grant or in a sentence that says what is wrong with
them. The sentence names keys, never values. Nothing here raises, and nothing here sends.
"""

import html
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol, cast

import httpx
from attrs import field, frozen

from daxko_auth.model.jwt_claims import claims_of
from daxko_auth.model.secret import MaskedFields, Secret
from daxko_auth.wire.retry_after import http_date_of, retry_after_of
from daxko_auth.wire.transports import LOCATION_SEEN

#: A life longer than this is shortened to it: no token should outlive a month unchecked.
LONGEST_LIFE: Final = 30 * 86_400
#: The life of a token whose answer does not say, when the token does not say either.
ASSUMED_LIFE: Final = 3_600

#: The one status that comes with a token (RFC 6749 section 5.1).
OK: Final = 200
_REDIRECTS: Final = range(300, 400)
# More seconds than any clock counts; keeps arithmetic with absurd numbers finite.
_FOREVER: Final = 1e15
_KNOWN_FIELDS: Final = frozenset({"access_token", "expires_in", "token_type"})
# Whatever else a token may be, it has to fit into a header.
_HEADER_SAFE: Final = re.compile(r"[\x21-\x7e]+")
_SECONDS: Final = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
# RFC 6750 section 3: WWW-Authenticate: Bearer error="invalid_token", ...
_BEARER_ERROR: Final = re.compile(r'bearer\b.*?\berror\s*=\s*"?([a-z_]{1,64})', re.IGNORECASE | re.ASCII)
# A challenge is short; searching a very long one would take a while.
_LONGEST_CHALLENGE: Final = 2_048
# With the sign behind it: of a title that is cut, a part of a secret could be left that is not recognized.
_TITLE: Final = re.compile(r"<title[^>]{0,100}>([^<\ufffd]{1,200})<", re.IGNORECASE)
_LONGEST_HEAD: Final = 4_096
_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?([a-z0-9_-]{1,20})", re.ASCII)
# Those that pages are written in, without hyphens, and how each is read. As in browsers, Latin-1 is cp1252.
_CODECS: Final = {
    "": "utf-8",
    "utf8": "utf-8",
    "usascii": "utf-8",
    "iso88591": "cp1252",
    "latin1": "cp1252",
    "windows1252": "cp1252",
    "cp1252": "cp1252",
    "utf16": "utf-16-le",
    "utf16le": "utf-16-le",
    "utf16be": "utf-16-be",
}
# A mark at the beginning says more than the content type.
_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}", re.ASCII)


class Answered(Protocol):
    """What both the generated client and httpx call a response; neither shows its body in its repr."""

    @property
    def status_code(self) -> int:
        """The HTTP status, whatever number it is."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields, looked up without regard to case."""
        ...

    @property
    def content(self) -> bytes:
        """The body, through a capped transport."""
        ...


class Grant(NamedTuple):
    """A token response (RFC 6749 section 5.1) that can be used."""

    secret: Secret
    #: Seconds, 1 to `LONGEST_LIFE`.
    expires_in: int
    #: Whether neither the answer nor the token said how long it lives.
    life_assumed: bool
    other_fields: MaskedFields


@frozen
class Answer:
    """An HTTP answer, reduced to what may be looked at: no body, no header, but what they say."""

    status_code: int
    #: `text/html`, or "no content type".
    media_type: str
    #: The body's JSON object; None if it is not one.
    fields: MaskedFields | None
    #: The title of an HTML page, or None: what a proxy or a load balancer says about itself.
    page_title: Secret | None
    #: The answer's own `Date`, or None.
    date: datetime | None
    #: Seconds, or None.
    retry_after: float | None
    #: The `error` of a `WWW-Authenticate: Bearer` challenge, lower case, or None.
    bearer_error: str | None
    #: The `Location` of a redirect, or None.
    location: str | None = field(repr=False)
    #: Whether its body was read; if not, the status and the headers are all that is known.
    is_whole: bool = True

    @classmethod
    def of(cls, response: Answered, *, now: datetime, is_whole: bool = True) -> "Answer":
        """Read a response that came through a capped transport, or what has come of it."""
        headers = response.headers
        content_type = headers.get("content-type", "").lower()
        media_type = content_type.partition(";")[0].strip()
        challenge = _BEARER_ERROR.search(headers.get("www-authenticate", "")[:_LONGEST_CHALLENGE])
        date = http_date_of(headers.get("date"))
        return cls(
            status_code=response.status_code,
            media_type=media_type if _MEDIA_TYPE.fullmatch(media_type) else "no content type",
            fields=_json_object(response),
            page_title=_page_title(response, content_type) if media_type == "text/html" else None,
            date=date,
            # A date is compared with the answer's own clock, so that ours may be wrong.
            retry_after=retry_after_of(headers.get("retry-after"), now=date or now),
            bearer_error=challenge.group(1).lower() if challenge else None,
            location=headers.get(LOCATION_SEEN),
            is_whole=is_whole,
        )

    @property
    def described(self) -> str:
        """The content type, and a page's title, not yet fit to be quoted. The rest may hold a token unlike any."""
        if not self.is_whole:
            return f"{self.media_type}, with a body that could not be read"
        return f'{self.media_type}, titled "{self.page_title.reveal()}"' if self.page_title else self.media_type

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people: what firewalls and proxies answer, and no API does."""
        return self.media_type in {"text/html", "application/xhtml+xml"}

    @property
    def message(self) -> object:
        """The `message` of a gateway in front of Daxko, as sent, or None; not yet fit to be quoted."""
        return None if self.fields is None else self.fields.get("message")

    @property
    def redirect(self) -> str | None:
        """The rest of a sentence that says where a redirect leads, by the host alone; None if it is none."""
        if self.status_code not in _REDIRECTS:
            return None
        try:
            host = httpx.URL(self.location or "").raw_host.decode("ascii") or "a path of the same host"
        except (httpx.InvalidURL, UnicodeError):
            host = "an address that is not a URL"
        return f"redirects ({self.status_code}) to {host}, which is not followed"

    @property
    def error(self) -> object:
        """The `error` of RFC 6749 section 5.2 as sent, or None; not yet fit to be quoted."""
        return None if self.fields is None else self.fields.get("error")

    @property
    def error_description(self) -> object:
        """The `error_description` of the same section; not yet fit to be quoted, either."""
        return None if self.fields is None else self.fields.get("error_description")

    def grant(self, *, now: datetime) -> Grant | str:
        """Return what was granted, or what is wrong with the answer."""
        if self.status_code != OK:
            return f"status {self.status_code} ({self.described})"
        if self.fields is None:
            return f"status 200 with a body that is not a JSON object ({self.described})"
        secret = self.fields.secret("access_token")
        if secret is None or not _HEADER_SAFE.fullmatch(secret.reveal()):
            return f"no access_token that fits into a header; its keys are {_names(self.fields)}"
        token_type = self.fields.get("token_type")
        if token_type is not None and str(token_type).lower() != "bearer":
            return "its token_type is not bearer"
        life = _life_of(self.fields, secret, now)
        if isinstance(life, str):
            return life
        other_fields = MaskedFields({name: self.fields[name] for name in self.fields if name not in _KNOWN_FIELDS})
        return Grant(secret, min(life or ASSUMED_LIFE, LONGEST_LIFE), life is None, other_fields)

    def says_no_life(self, *, now: datetime) -> bool:
        """Whether a token was granted, and nobody says for how long."""
        grant = self.grant(now=now)
        return isinstance(grant, Grant) and grant.life_assumed


def _json_object(response: Answered) -> MaskedFields | None:
    try:
        # RFC 8259 section 8.1: UTF-8 without a byte order mark.
        decoded = json.loads(response.content.decode())
    except (ValueError, RecursionError):
        return None
    return MaskedFields(cast("dict[str, object]", decoded)) if isinstance(decoded, dict) else None


def _page_title(response: Answered, content_type: str) -> Secret | None:
    """Return the title of a page as it was written, or None: what is misread could hold a secret unlike itself."""
    head = response.content[:_LONGEST_HEAD]
    named = _CHARSET.search(content_type)
    charset = named.group(1).replace("-", "").replace("_", "") if named else ""
    codec = next((codec for mark, codec in _MARKS if head.startswith(mark)), _CODECS.get(charset))
    title = _TITLE.search(head.decode(codec, "replace")) if codec else None
    return Secret(html.unescape(title.group(1)).strip()) if title else None


def _life_of(fields: MaskedFields, secret: Secret, now: datetime) -> int | str | None:
    """Return seconds, None where nobody says, or what is wrong."""
    if "expires_in" not in fields:
        return _life_in_claims(secret, now)
    seconds = _seconds(fields["expires_in"])
    if seconds is None or seconds < 1:
        return "its expires_in is not a number of seconds above zero"
    return int(min(seconds, LONGEST_LIFE))


def _seconds(sent: object) -> float | None:
    # The guide shows a string, "86400"; the vendor's older API reference says integer. Both are taken.
    if isinstance(sent, str) and _SECONDS.fullmatch(sent.strip()):
        return min(float(sent), _FOREVER)
    if not isinstance(sent, int | float) or isinstance(sent, bool):
        return None
    # Bounded first: an int may be too large for a float.
    bounded = max(-_FOREVER, min(sent, _FOREVER))
    return float(bounded) if isinstance(sent, int) or math.isfinite(sent) else None


def _life_in_claims(secret: Secret, now: datetime) -> int | str | None:
    claims = claims_of(secret)
    end = _seconds(claims.get("exp"))
    if end is None:
        return None
    # Issue time by the server's clock where the token has it, so that ours may be wrong.
    issued = _seconds(claims.get("iat"))
    life = end - (now.timestamp() if issued is None else issued)
    return int(life) if life >= 1 else "it does not say expires_in, and the token's own exp has passed"


def _names(fields: MaskedFields) -> str:
    shown = sorted(name for name in fields if name.isidentifier() and len(name) <= 40)[:8]  # noqa: PLR2004 - what a reader takes in
    return ", ".join(shown) or "none that can be shown"


def is_unavailable(status_code: int) -> bool:
    """Whether the request itself was not at fault: 408, 429 (RFC 6585 section 4) and 5xx."""
    return status_code in {408, 429} or status_code in range(500, 600)


def utc(timestamp: float) -> datetime:
    """Return a Unix time in seconds as an aware UTC datetime."""
    return datetime.fromtimestamp(timestamp, UTC)

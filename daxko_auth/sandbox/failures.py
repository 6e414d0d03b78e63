"""
The named ways in which a sandbox can fail when told to.

Each is what a token endpoint, or something in front of it, has been seen to do. A failure decides
what is answered, if anything; it never decides when or how often.
"""

import json
import re
from typing import Final, Literal, get_args

from attrs import Factory, field, frozen

FailureKind = Literal["status", "html", "empty", "malformed", "redirect", "answer", "hang", "drop", "cut"]

_HTML: Final = b"<!DOCTYPE html><html><head><title>Sandbox</title></head><body>Not what you asked for.</body></html>"
_JSON: Final = "application/json"
_SILENT: Final = frozenset({"hang", "drop"})
_HEADER_VALUE: Final = re.compile(r"[ -~]*")
_BODILESS: Final = frozenset({204, 304})


def _bytes(body: object) -> bytes:
    match body:
        case bytes():
            return body
        case str():
            return body.encode()
        case _:
            return json.dumps(body).encode()


def _text(value: float | str | None) -> str | None:
    return None if value is None else str(value)


def _usual_status(failure: "Failure") -> int:
    return {"status": 503, "redirect": 302}.get(str(failure.kind), 200)


@frozen
class Failure:
    """
    One way to fail, by name.

    `status`: any status, with an RFC 6749 JSON body, or with an HTML page if `html`.
    `html`: 200 and an HTML page. `empty`: 200 and nothing. `malformed`: 200 and JSON cut in half.
    `redirect`: a status and a Location. `answer`: any status, body and content type.
    `hang`: no answer, ever. `drop`: the connection closes without an answer. `cut`: it closes
    before the body that was promised is whole.

    Raises:
        ValueError: there is no failure of that name, or no such status.
    """

    kind: FailureKind
    #: 503 for `status`, 302 for `redirect`, 200 otherwise, unless given.
    status: int = field(default=Factory(_usual_status, takes_self=True))
    #: Sent as Retry-After: seconds, or a date.
    retry_after: str | None = field(default=None, converter=_text, kw_only=True)
    #: The `error` of a `status` failure's JSON body.
    error: str = field(default="temporarily_unavailable", kw_only=True)
    #: Whether a `status` failure sends a web page in place of JSON.
    html: bool = field(default=False, kw_only=True)
    #: Where a `redirect` points.
    location: str = field(default="/elsewhere", converter=str, kw_only=True)
    #: What an `answer` sends; anything but text and bytes is sent as JSON. It may be a token.
    body: bytes = field(default=b"", converter=_bytes, kw_only=True, repr=False)
    content_type: str = field(default=_JSON, converter=str, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.kind not in get_args(FailureKind):
            msg = f"there is no failure of that name; there are {', '.join(get_args(FailureKind))}"
            raise ValueError(msg)
        if type(self.status) is not int or not 200 <= self.status <= 599:  # noqa: PLR2004 - what HTTP allows
            raise ValueError("the status of an answer is a whole number from 200 to 599")
        for value in (self.retry_after or "", self.location, self.content_type):
            if not _HEADER_VALUE.fullmatch(value):
                raise ValueError("retry_after, location and content_type are header values: printable ASCII")

    @property
    def is_silent(self) -> bool:
        """Whether nothing at all is answered."""
        return self.kind in _SILENT

    @property
    def answer(self) -> tuple[bytes, dict[str, str]]:
        """The body and the headers that are sent with `status`."""
        body, content_type = self._content()
        headers = {"content-type": content_type}
        if self.retry_after is not None:
            headers["retry-after"] = self.retry_after
        if self.kind == "redirect":
            headers["location"] = self.location
        return (b"" if self.status in _BODILESS else body), headers

    def _content(self) -> tuple[bytes, str]:
        match self.kind:
            case "answer":
                return self.body, self.content_type
            case "html":
                return _HTML, "text/html; charset=utf-8"
            case "malformed" | "cut":
                return b'{"access_token": "eyJhbGciOiJIUzI1NiIs', _JSON
            case "status" if self.html:
                return _HTML, "text/html; charset=utf-8"
            case "status":
                described = {"error": self.error, "error_description": "The sandbox was told to fail."}
                return json.dumps(described).encode(), _JSON
            case _:
                return b"", _JSON

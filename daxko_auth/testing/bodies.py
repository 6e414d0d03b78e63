"""
A body as what it says: its fields in order, whatever the boundary, the spacing or the charset was.

It reads and it writes; it does not scrub or compare. What it cannot read is said to be unreadable, never guessed.
"""

import hashlib
import json
import secrets
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlencode

from attrs import frozen

from daxko_auth.testing.placeholders import WITHHELD

#: Under which every multipart body is written, so that a second recording has the same bytes.
BOUNDARY: Final = "part-of-a-cassette"

# A longer body is compared by its digest.
_LONGEST_SAID: Final = 1000

Kind = Literal["none", "multipart", "json", "form", "unreadable"]
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | None"


@frozen
class Part:
    """A field of a form; of a multipart one, with whatever its head says beside the name."""

    name: str
    value: str
    file_name: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


@frozen
class Body:
    """A media type without parameters, and what was read: the fields of a form, or a JSON value."""

    media_type: str
    kind: Kind
    parts: tuple[Part, ...] = ()
    value: Json = None

    def fields(self) -> list[tuple[str, Json]]:
        """Return every field with its name; of a JSON value, at whatever depth."""
        return [*((part.name, part.value) for part in self.parts), *_fields(self.value)]


def parse(content_type: str, body: bytes) -> Body:
    """Read a body by its content type, and JSON also without one, as the guide's own curl sends it."""
    media_type = content_type.partition(";")[0].strip().lower()
    if not body:
        return Body(media_type, "none")
    try:
        if media_type.startswith("multipart/"):
            return Body(media_type, "multipart", _parts(content_type, body))
        if "json" in media_type or body.lstrip()[:1] in (b"{", b"["):
            return Body(media_type, "json", value=json.loads(body.decode("utf-8")))
        if media_type == "application/x-www-form-urlencoded" or (not media_type and b"=" in body):
            pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, strict_parsing=True)
            return Body(media_type, "form", tuple(Part(name, value) for name, value in pairs))
    except (ValueError, RecursionError):
        pass
    return Body(media_type, "unreadable")


def render(body: Body) -> tuple[str, bytes]:
    """Return the content type and the bytes of a body that was read."""
    match body.kind:
        case "none":
            return body.media_type, b""
        case "multipart":
            return f"{body.media_type}; boundary={BOUNDARY}", _multipart(body.parts)
        case "form":
            # The brackets of placeholders stay readable.
            pairs = [(part.name, part.value) for part in body.parts]
            return body.media_type, urlencode(pairs, safe="<>:").encode()
        case "json":
            return body.media_type, json.dumps(body.value).encode()
        case _:
            # Without fields nobody knows what is secret in it.
            return body.media_type, WITHHELD.encode()


def said(body: Body) -> str:
    """Return what a body says, in one line: the same for two bodies that say the same, and unlike all if unreadable."""
    if body.kind == "none":
        return "nothing"
    if body.kind == "unreadable":
        return f"something unreadable, which is like nothing else ({secrets.token_hex(4)})"
    content = body.value if body.kind == "json" else [_listed(part) for part in body.parts]
    text = f"{body.kind} {json.dumps(content, sort_keys=True)}"
    if len(text) <= _LONGEST_SAID:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{text[:200]} ... in {len(text)} characters, {digest}"


def _fields(value: Json) -> list[tuple[str, Json]]:
    match value:
        case dict():
            return [*value.items(), *(field for held in value.values() for field in _fields(held))]
        case list():
            return [field for held in value for field in _fields(held)]
        case _:
            return []


def _listed(part: Part) -> list[object]:
    more = [part.file_name, part.headers] if part.file_name is not None or part.headers else []
    return [part.name, part.value, *more]


def _parts(content_type: str, body: bytes) -> tuple[Part, ...]:
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if not boundary:
        raise ValueError("a multipart body without a boundary")
    _, *pieces, end = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if not pieces or not end.startswith(b"--"):
        raise ValueError("a multipart body without parts or without an end")
    return tuple(map(_part, pieces))


def _part(piece: bytes) -> Part:
    head, separator, value = piece.lstrip(b" \t").removeprefix(b"\r\n").partition(b"\r\n\r\n")
    message = BytesHeaderParser().parsebytes(head)
    name, file_name = (message.get_param(key, header="content-disposition") for key in ("name", "filename"))
    if not separator or not isinstance(name, str) or not isinstance(file_name, str | None):
        raise ValueError("a part without a name")
    headers = tuple((key.lower(), str(text)) for key, text in message.items() if key.lower() != "content-disposition")
    return Part(name, value.decode("utf-8"), file_name, headers)


def _multipart(parts: tuple[Part, ...]) -> bytes:
    written = ""
    for part in parts:
        written += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{_quoted(part.name)}"'
        written += "" if part.file_name is None else f'; filename="{_quoted(part.file_name)}"'
        written += "".join(f"\r\n{name}: {value}" for name, value in part.headers)
        written += f"\r\n\r\n{part.value}\r\n"
    return f"{written}--{BOUNDARY}--\r\n".encode()


def _quoted(text: str) -> str:
    return text.replace('"', "%22")

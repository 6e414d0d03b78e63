"""
A body as what it says: its fields in order, whatever the boundary, the spacing or the charset was.

It reads and it writes; it does not scrub or compare. What it cannot read is said to be unreadable, never guessed.
"""

import json
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Final, Literal
from urllib.parse import parse_qsl, urlencode

from attrs import evolve, frozen

#: Under which every multipart body is written, so that a second recording has the same bytes.
BOUNDARY: Final = "part-of-a-cassette"

Kind = Literal["none", "multipart", "json", "form", "unreadable"]


@frozen
class Part:
    """A field of a multipart form, with whatever its head says beside the name."""

    name: str
    value: str
    file_name: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


@frozen
class Body:
    """A media type without parameters, and what was read: parts, a JSON value, pairs or None."""

    media_type: str
    kind: Kind
    content: object

    def holding(self, content: object) -> "Body":
        """Return a body of the same kind that holds something else."""
        return evolve(self, content=content)


def parse(content_type: str, body: bytes) -> Body:
    """Read a body by its content type, and JSON also without one, as the guide's own curl sends it."""
    media_type = content_type.partition(";")[0].strip().lower()
    if not body:
        return Body(media_type, "none", None)
    kind: Kind = "unreadable"
    content: object = None
    try:
        if media_type.startswith("multipart/"):
            kind, content = "multipart", _parts(content_type, body)
        elif "json" in media_type or body.lstrip()[:1] in (b"{", b"["):
            kind, content = "json", json.loads(body.decode("utf-8"))
        elif media_type == "application/x-www-form-urlencoded" or (not media_type and b"=" in body):
            kind, content = "form", tuple(parse_qsl(body.decode("utf-8"), keep_blank_values=True, strict_parsing=True))
    except (ValueError, RecursionError):
        kind = "unreadable"
    return Body(media_type, kind, content)


def render(body: Body) -> tuple[str, bytes]:
    """Return the content type and the bytes of a body that was read."""
    match body.kind, body.content:
        case "multipart", tuple() as parts:
            return f"{body.media_type}; boundary={BOUNDARY}", _multipart(parts)
        case "form", tuple() as pairs:
            # The brackets of placeholders stay readable.
            return body.media_type, urlencode(pairs, safe="<>:").encode()
        case _, content:
            return body.media_type, json.dumps(content).encode()


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

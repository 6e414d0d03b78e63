"""
Reads multipart/form-data strictly (RFC 2046, RFC 7578) and shows the headers of each part.

It takes what `curl -F` sends and refuses whatever a lenient parser would guess at: a preamble, an
epilogue, a bare line feed, a part without a name. It never raises, whatever the bytes.
"""

import re
from typing import Final

from attrs import frozen

# RFC 2046 section 5.1.1: 1 to 70 of these characters, the last one not a space; quoted if it must be.
_BOUNDARY: Final = re.compile(
    r"""multipart/form-data[ \t]*;[ \t]*boundary=(?:"(?P<quoted>[\w'()+,\-./:=? ]{0,69}[\w'()+,\-./:=?])"|"""
    r"""(?P<bare>[\w'+\-.]{1,70}))[ \t]*""",
    re.ASCII | re.IGNORECASE,
)
_HEADER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\0]*?)[ \t]*")
_DISPOSITION: Final = re.compile(rb'form-data; name="([^"\\\r\n]*)"(.*)', re.IGNORECASE | re.DOTALL)


@frozen
class Part:
    """One field as it was sent: its name, its bytes, and what its headers say beyond the name."""

    name: str
    value: bytes
    #: The names of its headers, in lower case.
    headers: frozenset[str]
    #: Whether Content-Disposition says more than the name: a file name, for one.
    has_parameters: bool


@frozen
class Malformed:
    """Why a body is not multipart/form-data; the reason quotes nothing that was sent."""

    reason: str


def parse(content_type: str, body: bytes) -> tuple[Part, ...] | Malformed:
    """Return the parts in the order in which they were sent, or why there are none."""
    named = _BOUNDARY.fullmatch(content_type)
    if named is None:
        return Malformed("the Content-Type names no boundary")
    delimiter = b"\r\n--" + (named["quoted"] or named["bare"]).encode("ascii")
    # The CRLF before a boundary belongs to the boundary, so the first one is lent its own.
    before, *pieces = (b"\r\n" + body).split(delimiter)
    if before or not pieces:
        return Malformed("the body does not begin with the boundary that the Content-Type names")
    if pieces.pop() not in {b"--", b"--\r\n"}:
        return Malformed("the body does not end with the closing boundary")
    parts: list[Part] = []
    for piece in pieces:
        part = _part(piece)
        if part is None:
            return Malformed(f"part {len(parts) + 1} has no well-formed headers, or no name")
        parts.append(part)
    return tuple(parts)


def _part(piece: bytes) -> Part | None:
    head, blank, value = piece.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    # What stands between the boundary and its CRLF is nothing, or not a part.
    if not blank or lines.pop(0):
        return None
    headers: dict[str, bytes] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None or header[1].lower().decode("ascii") in headers:
            return None
        headers[header[1].lower().decode("ascii")] = header[2]
    disposition = _DISPOSITION.fullmatch(headers.get("content-disposition", b""))
    if disposition is None:
        return None
    return Part(
        name=disposition[1].decode("utf-8", "replace"),
        value=value,
        headers=frozenset(headers),
        has_parameters=bool(disposition[2]),
    )

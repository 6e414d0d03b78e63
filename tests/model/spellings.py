"""How programs write a text into another: the encoders of the standard library, a function each."""

import base64
import binascii
import html
import json
from collections.abc import Callable
from html.entities import codepoint2name
from typing import Final
from urllib.parse import quote, quote_plus

Spelling = Callable[[str], str]


def utf_8(text: str) -> bytes:
    """Encode any text, half characters included."""
    return text.encode("utf-8", "surrogatepass")


def in_utf_16(text: str) -> str:
    """Write each unit of UTF-16 as JSON escapes it."""
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex().upper()}" for at in range(0, len(units), 2))


def in_cp1252(text: str) -> str:
    """Percent-encode as old servers do; what they cannot write stays as it is."""
    try:
        return quote(text.encode("cp1252"))
    except ValueError:
        return text


def misread_as_cp1252(text: str) -> str:
    """Take each byte for a character, as browsers do, who have one for those that cp1252 lacks."""
    return "".join(
        bytes([byte]).decode("latin-1" if byte in b"\x81\x8d\x8f\x90\x9d" else "cp1252") for byte in utf_8(text)
    )


def named_without_semicolons(text: str) -> str:
    """Write names that HTML allows without a semicolon, where what follows does not make another one of them."""
    spelt = "".join(f"&{codepoint2name[ord(char)]}" if 160 <= ord(char) <= 255 else char for char in text)
    return spelt if html.unescape(spelt) == text else text


SPELLINGS: Final[dict[str, Spelling]] = {
    "percent": lambda text: quote(utf_8(text), safe=""),
    "percent, a path": lambda text: quote(utf_8(text)),
    "percent, a form": lambda text: quote_plus(utf_8(text)),
    "percent, in small letters": lambda text: "".join(f"%{byte:02x}" for byte in utf_8(text)),
    "percent, cp1252": in_cp1252,
    "percent, UTF-16": lambda text: quote(text.encode("utf-16-le", "surrogatepass")),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON, with its slashes": lambda text: json.dumps(text)[1:-1].replace("/", r"\/"),
    "JSON, every letter": in_utf_16,
    "HTML": html.escape,
    "HTML, ASCII": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    "HTML, decimal": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "HTML, hexadecimal": lambda text: "".join(f"&#x{ord(char):X};" for char in text),
    "HTML, the last semicolon": lambda text: "".join(f"&#{ord(char)}" for char in text) + ";",
    "HTML, names without semicolons": named_without_semicolons,
    "read as Latin-1": lambda text: utf_8(text).decode("latin-1"),
    "read as cp1252": misread_as_cp1252,
    "quoted-printable": lambda text: binascii.b2a_qp(utf_8(text), istext=False).decode(),
    "quoted-printable, with its blanks": lambda text: binascii.b2a_qp(utf_8(text), quotetabs=True).decode(),
    "base64": lambda text: base64.b64encode(utf_8(text)).decode(),
    "base64, one on": lambda text: base64.b64encode(b":" + utf_8(text) + b"??").decode(),
    "base64, two on": lambda text: base64.b64encode(b"a:" + utf_8(text)).decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(b"user:" + utf_8(text)).decode().rstrip("="),
    "base64, in lines": lambda text: base64.encodebytes(b"x" * 50 + utf_8(text) + b"y" * 60).decode(),
    "base64, UTF-16": lambda text: base64.b64encode(text.encode("utf-16", "surrogatepass")).decode(),
    "base64, UTF-16, big end first": lambda text: base64.b64encode(
        b"." + text.encode("utf-16-be", "surrogatepass")
    ).decode(),
}

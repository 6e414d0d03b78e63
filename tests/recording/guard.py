"""
Finds what must not stand in a cassette: known secrets in any encoding, and whatever looks like a token.

It shares no decision with the scrubber: it decodes what is written instead of encoding what is known. A
finding says where and what kind, never the value.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote_plus

import yaml

_SHAPES: Final = {
    "a JWT": re.compile(r"eyJ[A-Za-z0-9_-]{5,}"),
    "a long opaque string": re.compile(r"(?=[A-Za-z_-]*[0-9])(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{32,}"),
    "a bearer": re.compile(r"(?:Bearer|(?i:authorization\W+bearer)) +(?!<|realm=)\S"),
    "other credentials": re.compile(r"\b(?:basic|digest) +(?!<)\S{6,}", re.IGNORECASE),
    "a cookie": re.compile(r"^\s*set-cookie|\bcookie:", re.IGNORECASE | re.MULTILINE),
    "a secret part": re.compile(r'name="?(?:client_secret|password)"?[^<]*?\r?\n\r?\n(?!<)\S', re.IGNORECASE),
    "a secret field": re.compile(r'"(?:client_secret|password|refresh_token|\w*cookie)"\s*:\s*"(?!<)', re.IGNORECASE),
    "an access token": re.compile(r'"access_token"\s*:\s*"(?!placeholder-access-token")', re.IGNORECASE),
    "a secret pair": re.compile(r"\b(?:client_secret|password|refresh_token)=(?!<|%3C)[^&\s]", re.IGNORECASE),
}
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{8,}")


def leaks(text: str, secrets: Iterable[str] = ()) -> list[str]:
    """Return what a cassette's text holds and must not: by value, in any encoding, and by shape."""
    secrets = [secret for secret in secrets if secret]
    found: set[str] = set()
    for where, view in _views(text):
        found |= {f"{where}: a known secret" for secret in secrets if secret in view}
        if where != "in base64":
            found |= {f"{where}: {what}" for what, shape in _SHAPES.items() if shape.search(view)}
        elif _SHAPES["a JWT"].search(view):
            found.add(f"{where}: a JWT")
    return sorted(found)


def _views(text: str) -> Iterator[tuple[str, str]]:
    for written in (text, *_strings(yaml.safe_load(text))):
        unescaped = _unescaped(written)
        yield "as written", written
        yield "JSON-escaped", unescaped
        for readable in {written, unescaped}:
            once = unquote_plus(readable)
            yield "percent-encoded", once
            yield "percent-encoded", unquote_plus(once)
            for run in _BASE64.findall(once):
                yield from (("in base64", decoded) for decoded in _decoded(run))


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case bytes():
            yield value.decode("utf-8", "replace")
        case dict():
            for name, held in value.items():
                yield from _strings(name)
                yield from _strings(held)
        case list():
            for held in value:
                yield from _strings(held)


def _unescaped(text: str) -> str:
    plain = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else _plain(escape[2]), text)
    # Two escapes may have been one character.
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _plain(letter: str) -> str:
    # Of the escapes of a single letter, those of white space; the rest stand for themselves.
    return {"n": "\n", "r": "\r", "t": "\t"}.get(letter, letter)


def _decoded(run: str) -> Iterator[str]:
    run = run.replace("-", "+").replace("_", "/")
    # It may begin anywhere in the run, for example behind a slash of a path.
    for start in range(4):
        piece = run[start:]
        piece = piece[: len(piece) - (len(piece) % 4 == 1)]
        yield base64.b64decode(piece + "=" * (-len(piece) % 4)).decode("utf-8", "replace")

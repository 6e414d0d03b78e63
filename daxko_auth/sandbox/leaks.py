"""
Finds secrets in places where they do not belong.

It looks at everything that was sent, as it is and behind percent- and base64-encoding, and says which
secret lay where by name. It never repeats a value.
"""

import binascii
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from daxko_auth.model.vendor import MEMBER_TOKEN_ENDPOINT, PARTNER_TOKEN_ENDPOINT
from daxko_auth.sandbox.accounts import Account
from daxko_auth.sandbox.seen import Seen
from daxko_auth.sandbox.tokens import Mint

SecretName = Literal["refresh_token", "password", "member_password", "access_token"]
Place = Literal["authorization", "headers", "url", "body"]

_WITHHELD: Final = "<withheld>"
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{6,}")
# The signature of HS256 is 43 characters, so a token glued to something else is still found.
_JWT: Final = re.compile(rb"eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")
# Encoded forms are sought in this much of a body; a large upload is not worth decoding four times.
_MOST_DECODED: Final = 1 << 17

_Belongs = frozenset[tuple[SecretName, Place]]
_AT_PARTNER_ENDPOINT: Final[_Belongs] = frozenset({("refresh_token", "authorization"), ("password", "body")})
_AT_MEMBER_ENDPOINT: Final[_Belongs] = frozenset({("access_token", "authorization"), ("member_password", "body")})
_ELSEWHERE: Final[_Belongs] = frozenset({("access_token", "authorization")})


class Watch:
    """Knows every secret of one sandbox by sight."""

    def __init__(self, account: Account, mint: Mint) -> None:
        members = [("member_password", password) for password in account.members.values()]
        secrets = [("refresh_token", mint.refresh_token), ("password", account.password), *members]
        self._needles: Final = [(name, secret.reveal().encode("utf-8", "surrogatepass")) for name, secret in secrets]
        self._mint = mint
        # The same headers come again and again. A token issued later cannot have been in them.
        self._seen_before = lru_cache(maxsize=512)(self._look)

    def misplaced(self, seen: Seen) -> tuple[str, ...]:
        """Return `"<secret> in <place>"` for each secret that lies where it does not belong, sorted."""
        match seen.path:
            case PARTNER_TOKEN_ENDPOINT.path:
                belongs = _AT_PARTNER_ENDPOINT
            case MEMBER_TOKEN_ENDPOINT.path:
                belongs = _AT_MEMBER_ENDPOINT
            case _:
                belongs = _ELSEWHERE
        return tuple(
            sorted(
                f"{name} in {place}"
                for place, sent in _places(seen)
                for name in self._names(sent)
                if (name, place) not in belongs
            )
        )

    def withhold(self, path: str) -> str:
        """Return `path` as it may be logged: a segment that holds a secret, or looks like a token, is left out."""
        segments = (
            _WITHHELD if _JWT.search(segment.encode("utf-8", "replace")) or self._names(segment.encode()) else segment
            for segment in path.split("/")
        )
        return "/".join(segments)

    def _names(self, sent: bytes) -> frozenset[str]:
        return self._seen_before(sent) if len(sent) < _MOST_DECODED else self._look(sent)

    def _look(self, sent: bytes) -> frozenset[str]:
        found: set[str] = set()
        for view in {sent, *_views(sent[:_MOST_DECODED])}:
            found.update(name for name, value in self._needles if value and value in view)
            if any(self._mint.find(token.decode("ascii")) for token in _JWT.findall(view)):
                found.add("access_token")
        return frozenset(found)


def _places(seen: Seen) -> Iterator[tuple[Place, bytes]]:
    authorization = seen.header("authorization") or ""
    others = "\n".join(f"{name}: {value}" for name, value in seen.headers if name != "authorization")
    yield "authorization", authorization.encode("utf-8", "replace")
    yield "headers", others.encode("utf-8", "replace")
    yield "url", f"{seen.path}?{seen.query}".encode("utf-8", "replace")
    yield "body", seen.body


def _views(sent: bytes) -> set[bytes]:
    plain = {sent, unquote_to_bytes(sent), unquote_to_bytes(sent.replace(b"+", b" "))}
    decoded = {view for each in plain for view in _base64(each)}
    return plain | decoded | {unquote_to_bytes(view) for view in decoded}


def _base64(sent: bytes) -> Iterator[bytes]:
    runs = [run.translate(bytes.maketrans(b"-_", b"+/")) for run in _BASE64.findall(sent)]
    # Where in a run the encoded secret begins is not known, so each of the four alignments is tried.
    for start in range(4):
        yield b"\n".join(binascii.a2b_base64(_trimmed(run[start:])) for run in runs)


def _trimmed(run: bytes) -> bytes:
    # A single leftover character encodes nothing; two or three are completed by padding.
    whole = run[:-1] if len(run) % 4 == 1 else run
    return whole + b"=" * (-len(whole) % 4)

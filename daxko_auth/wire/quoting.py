"""
Words of a server, made fit for an error message: short, printable and without secrets.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final
from urllib.parse import quote as percent_encoded
from urllib.parse import quote_plus

from daxko_auth.model.secret import Secret

_MASK: Final = "***"
# How a value may stand in a sentence: as it is, or as in a URL.
_SPELLINGS: Final[tuple[Callable[[str], str], ...]] = (str, partial(percent_encoded, safe=""), quote_plus)
_TOKEN_SHAPE: Final = re.compile(r"eyJ[A-Za-z0-9_-]{6,}[A-Za-z0-9_.\-]*|[A-Za-z0-9+/_-]{40,}=*")
# Codes of RFC 6749 section 5.2 and RFC 6750 section 3.1: words of theirs, even if a password is one of the words.
_CODES: Final = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_token",
        "insufficient_scope",
    }
)


def quote(text: object, secrets: Iterable[Secret], *, limit: int = 200) -> str | None:
    """
    Return `text` if it is a string with anything in it, masked and shortened; otherwise None.

    Known secrets are masked by value, whatever looks like a token by shape.
    """
    if not isinstance(text, str):
        return None
    if text in _CODES:
        return text
    said = Secret(_in_one_line(text))
    del text  # as long as there may be a secret in it, no traceback shows it
    # The longest first: one may be part of another, and the rest of that must not stay behind.
    for secret in sorted(secrets, key=lambda each: len(each.reveal()), reverse=True):
        for spelling in _SPELLINGS:
            # In one line as well: a blank in a secret may have come back as a line break.
            if _in_one_line(spelling(secret.reveal())):
                said = Secret(said.reveal().replace(_in_one_line(spelling(secret.reveal())), _MASK))
    quoted = _TOKEN_SHAPE.sub(_MASK, said.reveal())
    return (quoted if len(quoted) <= limit else quoted[: limit - 3] + "...") or None


def _in_one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())

"""
Words of a server, made fit for an error message: short, printable and without secrets.
"""

import re
from collections.abc import Iterable
from typing import Final

from daxko_auth.facts.secret import Secret

_MASK: Final = "***"
_TOKEN_SHAPE: Final = re.compile(r"eyJ[A-Za-z0-9_-]{6,}[A-Za-z0-9_.\-]*|[A-Za-z0-9+/_-]{40,}=*")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e\xa0-\uffff]+|[\u2028\u2029\ufeff]+")


def quote(text: object, secrets: Iterable[Secret], *, limit: int = 200) -> str | None:
    """
    Return `text` if it is a string with anything in it, masked and shortened; otherwise None.

    Known secrets are masked by value, whatever looks like a token by shape.
    """
    if not isinstance(text, str):
        return None
    for secret in secrets:
        text = text.replace(secret.reveal(), _MASK)
    text = _UNPRINTABLE.sub(" ", _TOKEN_SHAPE.sub(_MASK, text)).strip()
    return (text if len(text) <= limit else text[: limit - 3] + "...") or None

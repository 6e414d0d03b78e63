"""
How a secret looks once something has encoded it, and what tokens that nobody knows look like.

Spellings are for finding values that are known; the shapes are for those that are not. Neither decides
what to put in their place.
"""

import base64
import json
import re
from typing import Final
from urllib.parse import quote, quote_plus

#: Shorter values stand in many texts by chance, so they are looked for only where a secret has its place.
SHORTEST: Final = 8
#: The beginning of a JSON object in base64url, which is how every JWT begins.
JWT: Final = re.compile(r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)*")

#: What may be a token, if it looks drawn by lot.
LONG: Final = re.compile(r"[A-Za-z0-9_-]{32,}")

# No part of a UUID, and no word of a long name in an address, is longer than this and has digits and letters.
_LONGEST_PART: Final = 12


def spellings(value: str) -> list[str]:
    """Return `value`, which is not too short, raw, percent-encoded, JSON-escaped and in base64; the longest first."""
    percent = [quote(value), quote(value, safe=""), quote_plus(value), quote(quote(value, safe=""), safe="")]
    percent += [re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), spelling) for spelling in percent]
    escaped = [json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]]
    escaped += [spelling.replace("/", r"\/") for spelling in escaped]
    escaped.append("".join(f"\\u{ord(unit):04x}" for unit in value))
    return sorted({value, *percent, *escaped, *_base64(value)}, key=len, reverse=True)


def looks_drawn_by_lot(long: str) -> bool:
    """Return whether a long string is neither words nor a UUID: some part of it is long, with digits and letters."""
    return any(
        len(part) > _LONGEST_PART and not part.isalpha() and not part.isdigit() for part in re.split("[-_]", long)
    )


def _base64(value: str) -> set[str]:
    found: set[str] = set()
    # Whatever stands before it in the same text shifts its bits, so there are three ways.
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + value.encode("utf-8", "surrogatepass")).decode()
        whole = (
            len(encoded.rstrip("=")) if shift == 0 else (shift + len(value.encode("utf-8", "surrogatepass"))) * 8 // 6
        )
        fragment = encoded[(shift * 8 + 5) // 6 : whole]
        found |= {fragment, fragment.replace("+", "-").replace("/", "_")}
    return found

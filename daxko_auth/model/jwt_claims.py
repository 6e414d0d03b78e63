"""
What a token says about itself, if it is a JWT (RFC 7519).

Claims are read, never verified: they serve to notice a mix-up or a missing lifetime, not to trust
anybody. A string that is not a JWT has no claims; nothing here raises.
"""

import base64
import json
from typing import Final, cast

from daxko_auth.model.secret import Secret

_PARTS_OF_A_JWT: Final = 3


def looks_like_jwt(secret: Secret) -> bool:
    """Whether it has the shape of a signed JWT: three dotted parts, the first a JSON object in base64."""
    return secret.reveal().count(".") == _PARTS_OF_A_JWT - 1 and secret.reveal().startswith("eyJ")


def claims_of(secret: Secret) -> dict[str, object]:
    """Return the unverified claims; empty if there are none to read."""
    if not looks_like_jwt(secret):
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(secret.reveal().split(".")[1].encode() + b"=="))
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", claims) if isinstance(claims, dict) else {}

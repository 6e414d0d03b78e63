"""
How a token looks in a store that others can read: encrypted, and bound to whom it belongs to.

The key is derived from the account's own secrets, so there is nothing to configure, and whoever may use
an entry could have asked Daxko for the token. An entry that was kept under another password, or moved
from another account, origin or scope, does not open. Nothing here reads or writes a store.
"""

import struct
from datetime import UTC, datetime
from os import urandom
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from daxko_auth.model.credentials import Account
from daxko_auth.model.secret import Secret
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken

# What an entry begins with. Another version of it is another entry to everybody who knows only this one.
_VERSION: Final = b"daxko_auth 1\n"
# NIST SP 800-38D section 8.2.2: random nonces of 96 bits do for 2**32 entries under one key; an account writes
# one per scope and renewal.
_NONCE_BYTES: Final = 12
#: Bytes. Twice as much as the largest answer that a token is taken from; what is longer is no entry.
LARGEST_ENTRY: Final = 1 << 17
# Expiry in microseconds since 1970, life in seconds; the token follows.
_HEAD: Final = struct.Struct(">qq")


def entry_name(key: TokenKey) -> str:
    """
    Return the name of the entry for `key`: the customer organisation, and what tells accounts and origins apart.

    The second part is keyed with the account's secrets: nobody without them can check a guess against it.

    Raises:
        TypeError: `key` is something else.
    """
    _require_key(key)
    mac = HMAC(_derived(key.credentials, b"name"), SHA256())
    mac.update(_owner(key))
    return f"{key.scope.customer_id}-{mac.finalize()[:16].hex()}"


def sealed(key: TokenKey, token: AccessToken) -> bytes:
    """
    Return the entry that keeps `token` for `key`.

    Raises:
        TypeError: one of them is something else.
    """
    _require_key(key)
    if not isinstance(token, AccessToken):  # pyright: ignore[reportUnnecessaryIsInstance] - callers are not all typed
        msg = f"token is an AccessToken, not {type(token).__name__}; pass what token() of a TokenSource returned"
        raise TypeError(msg)
    nonce = urandom(_NONCE_BYTES)
    head = _HEAD.pack(round(token.expires_at.timestamp() * 1e6), token.expires_in)
    cipher = AESGCM(_derived(key.credentials, b"entry"))
    return _VERSION + nonce + cipher.encrypt(nonce, head + token.reveal().encode(), _VERSION + _owner(key))


def _require_key(key: object) -> None:
    if not isinstance(key, TokenKey):
        msg = f"key is a TokenKey, not {type(key).__name__}; pass TokenKey(origin, credentials, ClientScope(9999))"
        raise TypeError(msg)


def unsealed(key: TokenKey, entry: bytes) -> AccessToken | None:
    """Return the token in `entry`, or None if it is no entry for `key` that this version can read."""
    if not entry.startswith(_VERSION):
        return None
    nonce, box = entry[len(_VERSION) :][:_NONCE_BYTES], entry[len(_VERSION) + _NONCE_BYTES :]
    try:
        opened = Secret(_opened(key, nonce, box))
    except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
        return None
    expires_at, expires_in = _HEAD.unpack(opened.reveal()[: _HEAD.size].encode("latin-1"))
    return AccessToken(
        key.scope,
        Secret(opened.reveal()[_HEAD.size :]),
        datetime.fromtimestamp(expires_at / 1e6, UTC),
        expires_in,
    )


def _opened(key: TokenKey, nonce: bytes, box: bytes) -> str:
    # A token is ASCII (RFC 6750 section 2.1), so every byte is a character of its own.
    return AESGCM(_derived(key.credentials, b"entry")).decrypt(nonce, box, _VERSION + _owner(key)).decode("latin-1")


def _derived(account: Account, purpose: bytes) -> bytes:
    # RFC 5869. The refresh token alone is beyond guessing; the password is in it so that changing it changes the key.
    return HKDF(SHA256(), length=32, salt=None, info=b"daxko_auth store 1, " + purpose).derive(
        b"\0".join(part.encode() for part in (account.account_name, *(each.reveal() for each in account.secrets)))
    )


def _owner(key: TokenKey) -> bytes:
    # None of them holds a control character, so no two owners read the same.
    return b"\0".join(part.encode() for part in (key.origin, key.credentials.account_name, key.scope.wire))

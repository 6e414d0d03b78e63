"""
The sandbox's clock, and the mint: which tokens it issued and what each of them is worth now.

A bearer is worth something only if this very mint made it: it is looked up whole, never decoded, so
no crafted token can confuse it. Time is the sandbox's own, and tests move it instead of sleeping.
"""

import math
import secrets
import threading
import time
from collections.abc import Callable
from enum import Enum
from hmac import compare_digest
from typing import Final

import jwt
from attrs import evolve, frozen

from daxko_auth.model.secret import Secret, fingerprint
from daxko_auth.sandbox.accounts import Account

_ALGORITHM: Final = "HS256"
# RFC 7518 section 3.2: a key for HS256 is no shorter than its hash.
_KEY_BYTES: Final = 32


class Clock:
    """Wall time, moved ahead as tests ask."""

    def __init__(self) -> None:
        #: Seconds between this clock and the machine's.
        self.ahead = 0.0

    def now(self) -> float:
        """Return the sandbox's time in seconds since 1970."""
        return time.time() + self.ahead

    def advance(self, seconds: float) -> None:
        """Move the clock ahead; a negative number moves it back."""
        self.ahead += seconds


class Standing(Enum):
    """What a bearer is worth at this moment."""

    NONE = "none was sent"
    UNKNOWN = "it is none of this account's tokens"
    REFRESH_TOKEN = "it is the refresh token"  # noqa: S105 # nosec B105 # words about it
    LIVE = "it is a live access token"
    EXPIRED = "it is an access token that has expired"
    REVOKED = "it is an access token that was revoked"
    MEMBER = "it is a member's token"


@frozen
class IssuedToken:
    """What an access token was issued for, and until when. Not its value."""

    id: str
    subject: str
    scope: str
    client_id: int
    expires_at: float
    revoked: bool = False

    @property
    def is_member_token(self) -> bool:
        """Whether a member's login, not the API account, was given this token."""
        return self.scope != f"client:{self.client_id}"


@frozen
class IssuedNow:
    """An access token as it stands now."""

    token: IssuedToken
    fingerprint: str
    standing: Standing
    #: When its life ends, in Unix time, unless the sandbox's clock is moved.
    ends_at: int


class Mint:
    """Issues access tokens for one account and remembers every one. Safe from any thread."""

    def __init__(self, account: Account, clock: Clock, signing_key: bytes | None = None) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(_KEY_BYTES) if signing_key is None else signing_key
        if len(self._key) < _KEY_BYTES:
            raise ValueError("a signing key has at least 32 bytes")
        self._lock = threading.Lock()
        self._issued: dict[str, IssuedToken] = {}
        #: Whether every access token is refused, however new.
        self.refuses_all = False
        # No expiry and no scope: the vendor's refresh token is long-lived and not bound to a Daxko client.
        self.refresh_token: Final = Secret(self._sign({"sub": account.username, "use": "refresh"}))

    def issue(self, *, subject: str, scope: str, client_id: int, life: int) -> str:
        """Return a new access token, unlike every other, that lives `life` seconds."""
        now = self._clock.now()
        token = IssuedToken(secrets.token_hex(8), subject, scope, client_id, now + life)
        value = self._sign(
            {
                "jti": token.id,
                "sub": subject,
                "scope": scope,
                "iat": math.floor(now),
                # Rounded up, so that nobody who reads it gives the token up before `expires_in` says.
                "exp": math.ceil(token.expires_at),
            }
        )
        with self._lock:
            self._issued[value] = token
        return value

    def find(self, value: str) -> IssuedToken | None:
        """Return what is known of an access token, live or not; None if this mint did not issue it."""
        with self._lock:
            return self._issued.get(value)

    def issued(self) -> list[IssuedNow]:
        """Return every access token, oldest first."""
        with self._lock:
            issued = list(self._issued.items())
        return [
            IssuedNow(
                token, fingerprint(value.encode()), self.judge(value), round(token.expires_at - self._clock.ahead)
            )
            for value, token in issued
        ]

    def is_refresh_token(self, value: str) -> bool:
        """Return whether `value` is the account's refresh token."""
        # As bytes: compare_digest refuses strings that are not ASCII.
        return compare_digest(value.encode("utf-8", "surrogatepass"), self.refresh_token.reveal().encode())

    def judge(self, value: str | None) -> Standing:
        """Say what a bearer is worth now; None means that none was sent."""
        if value is None:
            return Standing.NONE
        if self.is_refresh_token(value):
            return Standing.REFRESH_TOKEN
        token = self.find(value)
        if token is None:
            return Standing.UNKNOWN
        if token.expires_at <= self._clock.now():
            return Standing.EXPIRED
        if token.revoked or self.refuses_all:
            return Standing.REVOKED
        return Standing.MEMBER if token.is_member_token else Standing.LIVE

    def expire(self, scope: str | None) -> int:
        """End the life of every access token of `scope` (None: of all); return how many there were."""
        now = self._clock.now()
        return self._replace(scope, lambda token: evolve(token, expires_at=min(now, token.expires_at)))

    def revoke(self, scope: str | None) -> int:
        """Take back every access token of `scope` (None: of all); return how many there were."""
        return self._replace(scope, lambda token: evolve(token, revoked=True))

    def _sign(self, claims: dict[str, object]) -> str:
        return jwt.encode(claims, self._key, _ALGORITHM)  # pyright: ignore[reportUnknownMemberType] - a type of its optional dependency

    def _replace(self, scope: str | None, change: Callable[[IssuedToken], IssuedToken]) -> int:
        with self._lock:
            chosen = [(value, token) for value, token in self._issued.items() if scope in {None, token.scope}]
            self._issued.update((value, change(token)) for value, token in chosen)
        return len(chosen)

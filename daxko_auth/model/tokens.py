"""
What Daxko hands out: an access token for one Daxko client, a member token for one end user.

Values that never change, so a reader can take scope, expiry and secret together without a lock.
Nothing here asks for a token or decides when to.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from attrs import field, frozen

from daxko_auth.model.hidden_locals import hides_locals
from daxko_auth.model.scope import Scope
from daxko_auth.model.secret import MaskedFields, Secret

#: Seconds before its end at which a token is given up, so that it does not die on the way.
EARLY_EXPIRY: Final = 60.0

# A margin longer than a short life would make every fresh token useless.
_LARGEST_SHARE_OF_LIFE: Final = 0.1


def early_expiry_of(life: float, early_expiry: float = EARLY_EXPIRY) -> float:
    """Return the margin in seconds for a token of that life: `early_expiry`, at most a tenth of the life."""
    return min(early_expiry, life * _LARGEST_SHARE_OF_LIFE)


@hides_locals
@frozen(repr=False)
class AccessToken:
    """
    What opens every endpoint but the partner token endpoint, for one Daxko client.

    Two are equal when scope and secret are: that is what `TokenSource.reject` goes by.
    """

    #: The Daxko client it acts for.
    scope: Scope
    _secret: Secret
    #: When it ends, as an aware UTC datetime, counted from the moment it was asked for.
    expires_at: datetime = field(eq=False)
    #: The whole life it was granted, in seconds, as an int whatever Daxko sent.
    expires_in: int = field(eq=False)

    @hides_locals
    def usable_at(self, now: datetime, early_expiry: float = EARLY_EXPIRY) -> bool:
        """
        Whether the clock lets us use it at `now` (an aware datetime). Only Daxko knows if it is accepted.

        `early_expiry` is the margin in seconds, at most a tenth of the token's life; 0 is none.

        Raises:
            TypeError: `now` is no datetime or a naive one, or `early_expiry` no number.
            ValueError: `early_expiry` is below zero.
        """
        if not isinstance(now, datetime):  # pyright: ignore[reportUnnecessaryIsInstance] - callers are not all typed
            msg = f"now is an aware datetime, not {type(now).__name__}; pass one, such as datetime.now(UTC)"
            raise TypeError(msg)
        if now.utcoffset() is None:
            raise TypeError("now is a naive datetime; pass an aware one, such as datetime.now(UTC)")
        if not isinstance(early_expiry, int | float) or isinstance(early_expiry, bool):  # pyright: ignore[reportUnnecessaryIsInstance] - the same
            msg = f"early_expiry is a margin in seconds, not {type(early_expiry).__name__}; pass a number, at least 0"
            raise TypeError(msg)
        if not early_expiry >= 0:  # NaN is not, either
            raise ValueError("early_expiry is a margin in seconds, at least 0")
        return now < self.expires_at - timedelta(seconds=early_expiry_of(self.expires_in, early_expiry))

    def reveal(self) -> str:
        """Return the token itself, for an `Authorization: Bearer` header and nothing else."""
        return self._secret.reveal()

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that tell it from other tokens in this process's logs."""
        return self._secret.fingerprint

    def __repr__(self) -> str:
        return f"<AccessToken {self.fingerprint} for {self.scope}, expires {self.expires_at:%Y-%m-%dT%H:%M:%SZ}>"


@hides_locals
@frozen(repr=False)
class MemberToken:
    """What Daxko answers when a member signs in (guide, "Access API resource")."""

    _secret: Secret
    #: When it ends, as an aware UTC datetime, counted from the moment it was asked for.
    expires_at: datetime = field(eq=False)
    #: The whole life it was granted, in seconds.
    expires_in: int = field(eq=False)
    #: Fields of the answer that this library does not know, as sent. They may be secret.
    other_fields: Mapping[str, object] = field(eq=False, converter=MaskedFields)

    def reveal(self) -> str:
        """Return the token itself."""
        return self._secret.reveal()

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that tell it from other tokens in this process's logs."""
        return self._secret.fingerprint

    def __repr__(self) -> str:
        return f"<MemberToken {self.fingerprint}, expires {self.expires_at:%Y-%m-%dT%H:%M:%SZ}>"

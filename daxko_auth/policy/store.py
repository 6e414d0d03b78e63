"""
What the policy asks of a place where tokens are kept.
"""

from contextlib import AbstractContextManager
from typing import Protocol

from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken


class TokenStore(Protocol):
    """
    Keeps access tokens for everyone who shares it. Called from renewal threads only, so it may block for a while.

    Whatever it raises is logged and costs a shared token, never a request. An error means the whole store, which is
    left alone for some seconds; what is wrong with one key is not raised, and counts as missing. The time it takes is
    waited for, so an implementation bounds it: by a socket's timeout, for example.
    """

    def read(self, key: TokenKey) -> AccessToken | None:
        """Return the token kept for `key`, usable or not, or None."""
        ...

    def write(self, key: TokenKey, token: AccessToken) -> None:
        """Keep `token`, unless one that ends later is kept already."""
        ...

    def drop(self, key: TokenKey, token: AccessToken) -> None:
        """Forget exactly this token, not its successor."""
        ...

    def turn(self, key: TokenKey, timeout: float) -> AbstractContextManager[None]:
        """Wait up to `timeout` seconds until nobody else renews this token, then go on in any case."""
        ...

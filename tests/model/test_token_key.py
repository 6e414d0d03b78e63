"""Who may share a token: nobody who differs in origin, account or Daxko client."""

import pytest

from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.scope import ClientScope
from daxko_auth.model.token_key import TokenKey

ORIGIN = "https://api.daxko.com"
ACCOUNT = ApiCredentials("user", "canary-password", "canary.token")
KEY = TokenKey(ORIGIN, ACCOUNT, ClientScope(9999))


def test_the_same_three_find_the_same_token() -> None:
    """Two parts of a program that build their own objects still share one token."""
    same = TokenKey(ORIGIN, ApiCredentials("user", "canary-password", "canary.token"), ClientScope("client:9999"))
    assert same == KEY
    assert {KEY: 1}[same] == 1


@pytest.mark.parametrize(
    "other",
    [
        TokenKey("https://api.daxko.com:8443", ACCOUNT, ClientScope(9999)),
        TokenKey(ORIGIN, ACCOUNT, ClientScope(1234)),
        TokenKey(ORIGIN, ApiCredentials("somebody", "canary-password", "canary.token"), ClientScope(9999)),
        TokenKey(ORIGIN, ApiCredentials("user", "canary-rotated", "canary.token"), ClientScope(9999)),
        TokenKey(ORIGIN, ApiCredentials("user", "canary-password", "canary.rotated"), ClientScope(9999)),
    ],
    ids=["origin", "Daxko client", "username", "password", "refresh token"],
)
def test_any_difference_keeps_tokens_apart(other: TokenKey) -> None:
    """Other libraries served one customer's token to another because a part was missing in the key."""
    assert other != KEY
    assert other not in {KEY: 1}


def test_a_key_shows_no_secret() -> None:
    """Keys are printed when caches are."""
    assert "canary" not in repr(KEY)

"""
The credentials that a replay is made with, and what each of them stands for in a cassette.

The library checks its credentials, so these are well-formed where the placeholders in cassettes are not.
Nothing here is a secret or looks like one.
"""

from typing import Final

from daxko_auth.testing.placeholders import CLIENT_SECRET, MEMBER_PASSWORD, REFRESH_TOKEN

REPLAYED_PASSWORD: Final = "replayed-password"
REPLAYED_REFRESH_TOKEN: Final = "replayed-refresh-token"
REPLAYED_MEMBER_PASSWORD: Final = "replayed-member-password"
#: One that was issued before the recording began.
REPLAYED_ACCESS_TOKEN: Final = "placeholder-access-token"

REPLAYED: Final = {
    REPLAYED_PASSWORD: CLIENT_SECRET,
    REPLAYED_REFRESH_TOKEN: REFRESH_TOKEN,
    REPLAYED_MEMBER_PASSWORD: MEMBER_PASSWORD,
}

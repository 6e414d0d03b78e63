"""
What stands in cassettes where secrets were, and the credentials that a replay is made with.

Each placeholder says which kind of secret stood there, so that a wrong kind does not match. Nothing here
is a secret or looks like one.
"""

from typing import Final

REFRESH_TOKEN: Final = "<refresh-token>"
ACCESS_TOKEN: Final = "<access-token>"
OTHER_BEARER: Final = "<other-bearer>"
CLIENT_SECRET: Final = "<client-secret>"
OTHER_CLIENT_SECRET: Final = "<other-client-secret>"
MEMBER_PASSWORD: Final = "<member-password>"
OTHER_PASSWORD: Final = "<other-password>"
WITHHELD: Final = "<withheld>"

ALL: Final = frozenset(
    {
        REFRESH_TOKEN,
        ACCESS_TOKEN,
        OTHER_BEARER,
        CLIENT_SECRET,
        OTHER_CLIENT_SECRET,
        MEMBER_PASSWORD,
        OTHER_PASSWORD,
        WITHHELD,
    }
)

# What code under test is given in a replay. The library checks its credentials, and sends the token of an
# answer in a header, so these are well-formed where those above are not.
REPLAYED_PASSWORD: Final = "replayed-password"
REPLAYED_REFRESH_TOKEN: Final = "replayed-refresh-token"
REPLAYED_MEMBER_PASSWORD: Final = "replayed-member-password"
#: The access token of every recorded answer.
REPLAYED_ACCESS_TOKEN: Final = "placeholder-access-token"

REPLAYED: Final = {
    REPLAYED_PASSWORD: CLIENT_SECRET,
    REPLAYED_REFRESH_TOKEN: REFRESH_TOKEN,
    REPLAYED_MEMBER_PASSWORD: MEMBER_PASSWORD,
    REPLAYED_ACCESS_TOKEN: ACCESS_TOKEN,
}

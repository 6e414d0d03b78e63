"""
What Daxko's token endpoints want, as data.

Every path, bearer, encoding and constant of the vendor stands here, with the section of the vendor's
authentication guide that says so. This module imports nothing of ours and decides nothing. The
library and the sandbox both read it; neither of them shares any other knowledge of the wire.
"""

from enum import Enum
from typing import Final

from attrs import frozen

#: Where Daxko's Operations API lives. The vendor has other environments, so it is a setting.
DEFAULT_BASE_URL: Final = "https://api.daxko.com"

#: The older Partners API: other endpoints, other tokens, easily mistaken for this one.
PARTNERS_API_HOST: Final = "api.partners.daxko.com"

#: The vendor requires it on every request.
ACCEPT: Final = "application/json"


class BearerKind(Enum):
    """Which of the two long strings travels in `Authorization: Bearer ...`."""

    REFRESH_TOKEN = "refresh_token"  # noqa: S105 # nosec B105 # a kind, not a token
    ACCESS_TOKEN = "access_token"  # noqa: S105 # nosec B105 # a kind, not a token


@frozen
class TokenEndpoint:
    """One of Daxko's two token endpoints: where it is, who may ask, and what it is asked."""

    name: str
    path: str
    bearer: BearerKind
    content_type: str
    grant_type: str


# Guide, "Get client-scoped access token". The refresh token travels as the bearer although the
# grant is client_credentials: it is not the refresh grant of RFC 6749 section 6.
PARTNER_TOKEN_ENDPOINT: Final = TokenEndpoint(
    name="partner token endpoint",
    path="/v3/partners/oauth2/token",
    bearer=BearerKind.REFRESH_TOKEN,
    content_type="multipart/form-data",
    grant_type="client_credentials",
)

# Guide, "Access API resource". The guide's own curl sends this JSON without saying it is JSON.
MEMBER_TOKEN_ENDPOINT: Final = TokenEndpoint(
    name="member token endpoint",
    path="/v3/members/oauth2/token",
    bearer=BearerKind.ACCESS_TOKEN,
    content_type="application/json",
    grant_type="password",
)

#: The only scope the guide gives for a member login.
MEMBER_SCOPE: Final = "member:auto_login"

#: `scope=client:9999` on the wire: the Daxko client, smuggled into OAuth's list of permissions.
SCOPE_PREFIX: Final = "client:"


def bearer_for(path: str) -> BearerKind:
    """
    Return which bearer opens `path`: the one place where that choice is made.

    Guide: the refresh token "can only be used for the /v3/partners/oauth2/token endpoint", and
    everything else takes the access token.
    """
    if path == PARTNER_TOKEN_ENDPOINT.path:
        return PARTNER_TOKEN_ENDPOINT.bearer
    return BearerKind.ACCESS_TOKEN


# The credentials of the guide's example; public, worthless, and the sandbox's default account.
EXAMPLE_USERNAME: Final = "daxko_api_user"
EXAMPLE_PASSWORD: Final = "d9a2652cf96d734661c10d5ff2f8061f"  # noqa: S105 - printed in the vendor's public guide
EXAMPLE_CLIENT_ID: Final = 9999
EXAMPLE_MEMBER_NAME: Final = "member_name"
EXAMPLE_MEMBER_PASSWORD: Final = "member_password"  # noqa: S105 - printed in the vendor's public guide
EXAMPLE_TOKEN_LIFE: Final = 86_400

"""
What stands in cassettes where secrets were.

Each placeholder says which kind of secret stood there, so that a wrong kind does not match. Nothing here
is a secret or looks like one.
"""

import re
from typing import Final

REFRESH_TOKEN: Final = "<refresh-token>"  # noqa: S105 # nosec B105 # words in its place
ACCESS_TOKEN: Final = "<access-token>"  # noqa: S105 # nosec B105 # words in its place
MEMBER_TOKEN: Final = "<member-token>"  # noqa: S105 # nosec B105 # words in its place
OTHER_BEARER: Final = "<other-bearer>"
API_USERNAME: Final = "<username>"
CLIENT_SECRET: Final = "<client-secret>"  # noqa: S105 # nosec B105 # words in its place
OTHER_CLIENT_SECRET: Final = "<other-client-secret>"  # noqa: S105 # nosec B105 # words in its place
MEMBER_NAME: Final = "<member-name>"
MEMBER_PASSWORD: Final = "<member-password>"  # noqa: S105 # nosec B105 # words in its place
OTHER_PASSWORD: Final = "<other-password>"  # noqa: S105 # nosec B105 # words in its place
WITHHELD: Final = "<withheld>"

#: The tokens of recorded answers. Code under test sends them back in a header, where the brackets of those above
#: are not allowed.
ANSWERED_TOKEN: Final = re.compile(r"placeholder-((?:access|member)-token(?:-\d+)?)")


def access_token_of(client_id: str) -> str:
    """Return what stands for an access token of a Daxko client: each has its own, so that no two are mixed up."""
    return f"<access-token-{client_id}>" if client_id else ACCESS_TOKEN


def answered(placeholder: str) -> str:
    """Return the placeholder of a token as it stands in an answer."""
    return f"placeholder-{placeholder.strip('<>')}"

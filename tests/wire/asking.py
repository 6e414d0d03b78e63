"""What the tests of token requests share: when they ask, and how."""

from collections.abc import Callable
from typing import Final

from daxko_api.types import Response
from daxko_auth.wire.exchange import Outcome

#: When the tests ask, in Unix time: some day in 2027. Nothing here looks at a clock.
SENT_AT: Final = 1_800_000_000.0

#: Asks for an access token once: a Daxko client, and by name base_url, account, timeout, transport.
AskOnce = Callable[..., Outcome]


def answered(status: int, headers: dict[str, str] | None = None, content: bytes = b"") -> Response[object]:
    """Return a response as the generated client does. Header names are in lower case."""
    return Response(status, content, headers or {}, None)

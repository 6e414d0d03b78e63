"""What the tests of the edges share: when they ask, and how."""

from collections.abc import Callable
from typing import Final

from daxko_auth.edges.exchange import Outcome

#: When the tests ask, in Unix time: some day in 2027. Nothing here looks at a clock.
SENT_AT: Final = 1_800_000_000.0

#: Asks for an access token once: a Daxko client, and by name base_url, account, timeout, transport.
AskOnce = Callable[..., Outcome]

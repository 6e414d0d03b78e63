"""What asks the token endpoint once."""

import httpx
import pytest
from asking import SENT_AT, AskOnce
from support import PATIENCE

from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.origin import Origin
from daxko_auth.model.scope import ClientScope
from daxko_auth.sandbox import Sandbox
from daxko_auth.wire.exchange import Exchange, Outcome


@pytest.fixture
def ask_once(sandbox: Sandbox, credentials: ApiCredentials) -> AskOnce:
    """Return a function that asks the sandbox, or another server, for a token once."""

    def once(
        client_id: int = 9999,
        *,
        base_url: str = "",
        account: ApiCredentials = credentials,
        timeout: float = PATIENCE,
        transport: httpx.BaseTransport | None = None,
    ) -> Outcome:
        exchange = Exchange(account, Origin.of(base_url or sandbox.base_url), transport)
        return exchange.request(ClientScope(client_id), sent_at=SENT_AT, timeout=timeout)

    return once

"""A sandbox, the credentials of its account, and something that asks it once."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from daxko_auth.edges.exchange import Exchange, Outcome
from daxko_auth.facts.credentials import ApiCredentials
from daxko_auth.facts.origin import Origin
from daxko_auth.facts.scope import ClientScope
from daxko_auth.sandbox import Sandbox

#: When the tests ask, in Unix time; nothing here looks at a clock.
SENT_AT = 1_800_000_000.0

Ask = Callable[..., Outcome]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Run a sandbox with the account of the vendor's guide."""
    with Sandbox() as running:
        yield running
        assert [arrival.misplaced for arrival in running.log if arrival.misplaced] == []


@pytest.fixture
def credentials(sandbox: Sandbox) -> ApiCredentials:
    """Return the credentials of the sandbox's account."""
    return ApiCredentials(sandbox.username, sandbox.password, sandbox.refresh_token)


@pytest.fixture
def ask(sandbox: Sandbox, credentials: ApiCredentials) -> Ask:
    """Return a function that asks the sandbox, or another server, for a token once."""

    def once(
        scope: ClientScope | int = 9999,
        *,
        base_url: str = "",
        account: ApiCredentials = credentials,
        timeout: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> Outcome:
        exchange = Exchange(account, Origin.of(base_url or sandbox.base_url), transport)
        return exchange.request(ClientScope(scope), sent_at=SENT_AT, timeout=timeout)

    return once

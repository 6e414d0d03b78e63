"""Something that asks the token endpoint once, and a store in files."""

from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from asking import SENT_AT, AskOnce
from support import PATIENCE

from daxko_auth import FileStore
from daxko_auth.edges import file_store
from daxko_auth.edges.exchange import Exchange, Outcome
from daxko_auth.facts.credentials import ApiCredentials
from daxko_auth.facts.origin import Origin
from daxko_auth.facts.scope import ClientScope
from daxko_auth.sandbox import Sandbox


@pytest.fixture(autouse=True)
def patient_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no store give up because the machine is busy: a test in which one has to sets a limit of its own."""
    monkeypatch.setattr(file_store, "_FOLDER_LOCK_WAIT", PATIENCE)
    if find_spec("redis") is not None:
        from daxko_auth.edges import redis_address, redis_line  # noqa: PLC0415 - there may be none

        monkeypatch.setattr(redis_line, "_LONGEST_STEP", PATIENCE)
        for limit in ("socket_timeout", "socket_connect_timeout"):
            monkeypatch.setitem(redis_address._LIMITS, limit, PATIENCE)


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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a path where there is nothing yet."""
    return tmp_path / "tokens"


@pytest.fixture
def store(folder: Path) -> FileStore:
    """Give a store without anything in it."""
    return FileStore(folder)

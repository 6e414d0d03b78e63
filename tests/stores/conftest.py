"""A store in files, in a folder that is not there yet."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from support import PATIENCE

from daxko_auth import FileStore
from daxko_auth.stores import file_store


@pytest.fixture(autouse=True)
def patient_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no store give up because the machine is busy: a test in which one has to sets a limit of its own."""
    monkeypatch.setattr(file_store, "_FOLDER_LOCK_WAIT", PATIENCE)
    if find_spec("redis") is not None:
        from daxko_auth.stores import redis_access, redis_connection  # noqa: PLC0415 - there may be none

        monkeypatch.setattr(redis_connection, "_LONGEST_STEP", PATIENCE)
        for limit in ("socket_timeout", "socket_connect_timeout"):
            monkeypatch.setitem(redis_access._OURS, limit, PATIENCE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a path where there is nothing yet."""
    return tmp_path / "tokens"


@pytest.fixture
def store(folder: Path) -> FileStore:
    """Give a store without anything in it."""
    return FileStore(folder)

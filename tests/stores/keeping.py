"""
What the tests of stores keep, and for whom.
"""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from daxko_auth import TokenStore
from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.scope import ClientScope
from daxko_auth.model.secret import Secret
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken
from daxko_auth.stores.sealing import entry_name

#: By the real clock, because some stores forget what has ended.
SOON: Final = datetime.now(UTC) + timedelta(hours=1)
USERNAME, PASSWORD, REFRESH_TOKEN = "canary_user", "canary-password", "canary.refresh-token"
ORIGIN: Final = "https://api.daxko.com"


def key(
    scope: int = 9999,
    origin: str = ORIGIN,
    username: str = USERNAME,
    password: str = PASSWORD,
    refresh_token: str = REFRESH_TOKEN,
) -> TokenKey:
    """Return a key that differs in what is given."""
    return TokenKey(origin, ApiCredentials(username, password, refresh_token), ClientScope(scope))


KEY: Final = key()
#: What a `RedisStore` keeps the token of `KEY` under, and whose turn it is.
ENTRY, TURN = (f"daxko_auth:{{{entry_name(KEY)}}}:{kind}" for kind in ("token", "turn"))
#: Each differs from `KEY` in one thing.
OTHERS: Final = {
    "Daxko client": key(scope=1234),
    "origin": key(origin="https://api.daxko.com:8443"),
    "username": key(username="canary_other"),
    "password": key(password="canary-rotated"),
    "refresh token": key(refresh_token="canary.rotated-token"),
}


def token(name: str = "a", minutes: int = 0, scope: int = 9999) -> AccessToken:
    """Return a token that ends so many minutes later than soon."""
    return AccessToken(ClientScope(scope), Secret(f"canary-{name}"), SOON + timedelta(minutes=minutes), 3_600)


def whole(kept: AccessToken | None) -> tuple[str, datetime, int] | None:
    """Return all that a token is: two are equal when their ends are not."""
    return kept and (kept.reveal(), kept.expires_at, kept.expires_in)


def entry_in(folder: Path) -> Path:
    """Return the file that a `FileStore` keeps the token of `KEY` in."""
    return folder / f"{entry_name(KEY)}.token"


def commands_of(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | bytes | int, ...]]:
    """Return a list that gets every command that a `RedisStore` sends from now on."""
    from daxko_auth.stores.redis_connection import RedisConnection  # noqa: PLC0415 - there may be no package for it

    commands: list[tuple[str | bytes | int, ...]] = []
    send = RedisConnection._send

    def noting(connection: RedisConnection, *command: str | bytes | int) -> object:
        commands.append(command)
        return send(connection, *command)

    monkeypatch.setattr(RedisConnection, "_send", noting)
    return commands


def works(store: TokenStore) -> bool:
    """Use everything once."""
    with store.turn(KEY, timeout=5):
        store.write(KEY, token())
        store.drop(KEY, token("b"))
    kept = store.read(KEY) == token()
    store.drop(KEY, token())
    return kept and store.read(KEY) is None


@contextmanager
def child_that(does: Callable[[], object]) -> Iterator[None]:
    """Fork a child that does that, keeps what comes of it, and waits; yield when it is done so, and kill it."""
    done, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            held = does()
            os.write(tell, b"!")
            signal.pause()
            del held
        finally:
            os._exit(1)
    os.close(tell)
    try:
        assert os.read(done, 1) == b"!"
        yield
    finally:
        os.close(done)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was warned of."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

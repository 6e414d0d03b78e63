"""
Tokens kept in this process, for as long as it runs.
"""

import threading
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn

from daxko_auth.model.fork import reset_after_fork
from daxko_auth.model.hidden_locals import hides_locals
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken


class MemoryStore:
    """Shares tokens between the sources of one process that it is given to."""

    def __init__(self) -> None:
        self._tokens: dict[TokenKey, AccessToken] = {}
        self._turns: defaultdict[TokenKey, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()
        reset_after_fork(self)

    @hides_locals
    def read(self, key: TokenKey) -> AccessToken | None:
        """Return the token kept for `key`, usable or not."""
        with self._lock:
            return self._tokens.get(key)

    @hides_locals
    def write(self, key: TokenKey, token: AccessToken) -> None:
        """Keep `token`, unless one that ends later is kept already."""
        with self._lock:
            kept = self._tokens.get(key)
            if kept is None or kept.expires_at <= token.expires_at:
                self._tokens[key] = token

    @hides_locals
    def drop(self, key: TokenKey, token: AccessToken) -> None:
        """Forget exactly this token, not its successor."""
        with self._lock:
            if self._tokens.get(key) == token:
                del self._tokens[key]

    @contextmanager
    def turn(self, key: TokenKey, timeout: float) -> Generator[None, None, None]:
        """Wait up to `timeout` seconds until nobody else renews this token, then go on in any case."""
        with self._lock:
            turn = self._turns[key]
        # A negative number would mean for ever, or nothing at all.
        mine = turn.acquire(timeout=min(max(timeout, 0.0), threading.TIMEOUT_MAX))
        try:
            yield
        finally:
            if mine:
                turn.release()

    def after_fork_in_child(self) -> None:
        """Keep the tokens; the locks may be held by threads of the parent."""
        self._lock = threading.Lock()
        self._turns = defaultdict(threading.Lock)

    def __reduce__(self) -> NoReturn:
        msg = "a MemoryStore serves one process and is neither pickled nor copied; give each TokenSource the same one"
        raise TypeError(msg)

    def __repr__(self) -> str:
        return f"<MemoryStore with {len(self._tokens)} tokens>"

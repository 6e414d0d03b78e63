"""
A connection to a Redis that keeps nobody waiting, and whose errors hold no password.

For a URL it is made for one step, or for the looks of somebody who waits, and closed at once: there is nothing to close
later, no firewall to cut it in the meantime, and a forked process inherits none. A client that the program made has
connections of its own, which redis-py replaces in a forked process.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, Self, TypeVar

from attrs import frozen

from daxko_auth.model.errors import TokenStoreError
from daxko_auth.stores.redis_access import RedisAccess, RedisClient
from daxko_auth.wire.http import run_within

_Result = TypeVar("_Result")

# Seconds for one step in all, names, sentinels, handshakes and a program's own retries included.
_LONGEST_STEP: Final = 2.0


class Send(Protocol):
    """Sends a command and returns the answer; texts are bytes."""

    def __call__(self, *command: str | bytes | int) -> object:
        """Send."""
        ...


@frozen
class _Failure:
    """What is left of an exception: its name."""

    kind: str


class RedisConnection:
    """Connected with its first step, and closed with the first that fails."""

    def __init__(self, access: RedisAccess) -> None:
        self._access = access
        self._redis: RedisClient | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def do(self, step: Callable[[Send], _Result]) -> _Result:
        """
        Return what `step` returns.

        On a thread of its own: redis-py's limits begin anew with every byte that arrives, and for each address,
        sentinel and node; the resolution of names has none.

        Raises:
            TokenStoreError: it failed, or was not over in time.
        """
        try:
            outcome = run_within(_LONGEST_STEP, lambda: self._attempt(step), what="store")
        except TimeoutError as error:
            outcome = _Failure(type(error).__name__)
        if isinstance(outcome, _Failure):
            # What is still under way ends with its connection.
            self._close()
            raise TokenStoreError(
                f"token store: {self._access.name} cannot be used ({outcome.kind}). Check that Redis runs there, can "
                "be reached and is no replica, that user and password are right, and that this user may run GET, SET, "
                "DEL, PTTL and EVAL on keys daxko_auth:*"
            )
        return outcome

    def _attempt(self, step: Callable[[Send], _Result]) -> _Result | _Failure:
        try:
            self._redis = self._redis or self._access.open()
            return step(self._send)
        except BaseException as error:  # noqa: BLE001 - redis-py's errors and their frames hold the password, and end here
            return _Failure(type(error).__name__)
        finally:
            # Nobody waits for it any more, and it may have connected after the rest was closed.
            if self._closed:
                self._close()

    def _send(self, *command: str | bytes | int) -> object:
        # Closed, redis-py's client would connect again.
        if self._redis is None or self._closed:
            raise TimeoutError
        return self._redis.execute_command(*command)

    def _close(self) -> None:
        self._closed = True
        with suppress(Exception):  # of redis-py, with the password in its frames
            self._access.give_back(self._redis)

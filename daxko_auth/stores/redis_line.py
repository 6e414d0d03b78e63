"""
A connection to a Redis that keeps nobody waiting, and whose errors hold no password.

It is made for one step, or for the looks of somebody who waits, and closed at once: there is nothing to close later,
no firewall to cut it in the meantime, and a forked process inherits none.
"""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Final, Protocol, Self, TypeVar

from attrs import frozen

from daxko_auth.model.errors import TokenStoreError
from daxko_auth.stores.redis_address import RedisAddress, RedisClient
from daxko_auth.wire.http import run_within

_Result = TypeVar("_Result")

# Seconds for one step in all, names, sentinels and handshakes included.
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


class RedisLine:
    """Connected with its first step, and hung up with the first that fails."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._closing = ExitStack()
        self._redis: RedisClient | None = None
        self._hung_up = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()

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
        except (TimeoutError, RuntimeError) as error:  # RuntimeError: no thread can be started
            outcome = _Failure(type(error).__name__)
        if isinstance(outcome, _Failure):
            # What is still under way ends with its connection.
            self._hang_up()
            raise TokenStoreError(
                f"token store: {self._address} cannot be used ({outcome.kind}). Check that Redis runs there, can be "
                "reached and is no replica, that user and password are right, and that this user may run GET, SET, "
                "DEL and EVAL on keys daxko_auth:*"
            )
        return outcome

    def _attempt(self, step: Callable[[Send], _Result]) -> _Result | _Failure:
        try:
            self._redis = self._redis or self._address.open(self._closing)
            return step(self._send)
        except BaseException as error:  # noqa: BLE001 - redis-py's errors and their frames hold the password, and end here
            return _Failure(type(error).__name__)
        finally:
            # Nobody waits for it any more, and it may have connected after the rest was closed.
            if self._hung_up:
                self._hang_up()

    def _send(self, *command: str | bytes | int) -> object:
        # Closed, redis-py's client would connect anew.
        if self._redis is None or self._hung_up:
            raise TimeoutError
        return self._redis.execute_command(*command)

    def _hang_up(self) -> None:
        self._hung_up = True
        with suppress(Exception):  # of redis-py, with the password in its frames
            self._closing.close()

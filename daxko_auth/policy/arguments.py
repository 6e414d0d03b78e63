"""
What is wrong with an argument of a wrong kind, in a sentence that says what to pass instead.

None of it quotes the argument: the likeliest mistake is a secret, or a URL with a password in it.
"""

import inspect
import sys
from collections.abc import Iterable
from typing import Final

from daxko_auth.model.tokens import AccessToken
from daxko_auth.policy.renewal_policy import RenewalPolicy

_STORE: Final = ("read", "write", "drop", "turn")
_CLOCK: Final = ("wall", "monotonic", "wait")


def unfit_store(store: object) -> str | None:
    """Return what is wrong with `store`, or None."""
    if store is None:
        return None
    if _has(store, _STORE):
        methods = [getattr(store, name) for name in _STORE]
        # `contextlib.asynccontextmanager` makes a plain function of one that is not.
        if any(map(_is_async, methods)) or inspect.isasyncgenfunction(inspect.unwrap(methods[-1])):
            return (
                "store is a TokenStore, whose methods are plain, not async: they are called by threads that have no "
                "event loop. Pass one with plain methods, such as MemoryStore() or RedisStore(url)"
            )
        return None
    example = "RedisStore(url) or FileStore(folder)" if isinstance(store, str) else "MemoryStore() or FileStore()"
    return f"store is a TokenStore, not {_kind(store)}; pass one, such as {example}"


def unfit_policy(policy: object) -> str | None:
    """Return what is wrong with `policy`, or None."""
    if policy is None or isinstance(policy, RenewalPolicy):
        return None
    return f"policy is a RenewalPolicy, not {_kind(policy)}; pass one, such as RenewalPolicy(attempts=2)"


def unfit_on_event(on_event: object) -> str | None:
    """Return what is wrong with `on_event`, or None."""
    if on_event is None:
        return None
    if not callable(on_event) or isinstance(on_event, type):
        return f"on_event is a function that is called with each event, not {_kind(on_event)}"
    if _is_async(on_event):
        return (
            "on_event is a plain function, not an async one or a generator: it is called by threads that have no event "
            "loop. To reach one, pass a function that calls loop.call_soon_threadsafe(...)"
        )
    return None


def unfit_clock(clock: object) -> str | None:
    """Return what is wrong with `clock`, or None."""
    if _has(clock, _CLOCK):
        return None
    return f"clock is a daxko_auth.Clock, not {_kind(clock)}: it has wall(), monotonic() and wait()"


def unfit_token(token: object, what: str) -> str | None:
    """Return what is wrong with `token`, which was passed to `what`, or None."""
    if isinstance(token, AccessToken):
        return None
    return f"{what} takes the AccessToken that token() returned, not {_kind(token)}; pass that"


def unfit_call(method: object, path: object) -> str | None:
    """Return what is wrong with the method and the path of a call, or None."""
    for name, given, example in (("method", method, "GET"), ("path", path, "/v3/programs/locations")):
        if not isinstance(given, str):
            return f'{name} is a string, not {_kind(given)}; pass that of the call, such as "{example}"'
    return None


def unfit_scopes(scopes: object) -> str | None:
    """Return what is wrong with `scopes`, or None."""
    # A string is many as well, and of each digit there may be a Daxko client.
    if isinstance(scopes, Iterable) and not isinstance(scopes, str | bytes | bytearray):
        return None
    return f"scopes are many, not {_kind(scopes)}; pass a list: warm([9999])"


def unfit_concurrency(concurrency: object) -> str | None:
    """Return what is wrong with `concurrency`, or None."""
    if type(concurrency) is int and concurrency > 0:
        return None
    given = "that" if isinstance(concurrency, int | float) else _kind(concurrency)
    return f"concurrency is a whole number of token requests at a time, at least 1, not {given}"


def unfit_timeout(timeout: object) -> str | None:
    """Return what is wrong with `timeout`, or None."""
    # The clock counts in floats, and there are ints that are none.
    if timeout is None or (
        isinstance(timeout, int | float)
        and not isinstance(timeout, bool)
        and (0 <= timeout <= sys.float_info.max or timeout == float("inf"))
    ):
        return None
    given = "that" if isinstance(timeout, int | float) else _kind(timeout)
    return f"timeout is a number of seconds, at least 0, or None for as long as it takes; not {given}"


def _has(given: object, methods: Iterable[str]) -> bool:
    # A class has them too, but not for itself.
    return not isinstance(given, type) and all(callable(getattr(given, name, None)) for name in methods)


_NEVER_RUNS: Final = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)


def _is_async(given: object) -> bool:
    """Whether a call of it would do nothing by itself: what it returns has to be awaited or gone through."""
    # An object with `async def __call__` is no coroutine function itself.
    return any(is_kind(each) for each in (given, type(given).__call__) for is_kind in _NEVER_RUNS)


def _kind(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__

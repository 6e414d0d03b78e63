"""
What is wrong with an argument of a wrong kind, in a sentence that says what to pass instead.

None of it quotes the argument: the likeliest mistake is a secret, or a URL with a password in it.
"""

import inspect
from collections.abc import Iterable
from typing import Final

from daxko_auth.policy.renewal_policy import RenewalPolicy

_STORE: Final = ("read", "write", "drop", "turn")
_CLOCK: Final = ("wall", "monotonic", "wait")


def unfit_store(store: object) -> str | None:
    """Return what is wrong with `store`, or None."""
    if store is None or _has(store, _STORE):
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
    # An object with `async def __call__` is no coroutine function itself.
    if inspect.iscoroutinefunction(on_event) or inspect.iscoroutinefunction(type(on_event).__call__):
        return (
            "on_event is a plain function, not an async one: it is called by threads that have no event loop. To reach "
            "one, pass a function that calls loop.call_soon_threadsafe(...)"
        )
    return None


def unfit_clock(clock: object) -> str | None:
    """Return what is wrong with `clock`, or None."""
    if _has(clock, _CLOCK):
        return None
    return f"clock is a daxko_auth.Clock, not {_kind(clock)}: it has wall(), monotonic() and wait()"


def unfit_concurrency(concurrency: object) -> str | None:
    """Return what is wrong with `concurrency`, or None."""
    if type(concurrency) is int and concurrency > 0:
        return None
    given = "that" if isinstance(concurrency, int | float) else _kind(concurrency)
    return f"concurrency is a whole number of token requests at a time, at least 1, not {given}"


def unfit_timeout(timeout: object) -> str | None:
    """Return what is wrong with `timeout`, or None."""
    if timeout is None or (isinstance(timeout, int | float) and not isinstance(timeout, bool) and timeout >= 0):
        return None
    given = "that" if isinstance(timeout, int | float) else _kind(timeout)
    return f"timeout is a number of seconds, at least 0, or None for as long as it takes; not {given}"


def _has(given: object, methods: Iterable[str]) -> bool:
    # A class has them too, but not for itself.
    return not isinstance(given, type) and all(callable(getattr(given, name, None)) for name in methods)


def _kind(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__

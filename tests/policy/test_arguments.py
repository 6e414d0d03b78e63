"""Arguments of a wrong kind are refused where they are passed, with what to pass instead; none is quoted."""

from collections.abc import Callable
from typing import Any

import pytest

from daxko_auth import AiohttpAuth, ApiCredentials, Daxko, DaxkoAuth, Httpx2Auth, MemoryStore, RequestsAuth, TokenSource
from daxko_auth.sandbox import Sandbox

CANARY = "canary-of-an-argument"


async def async_function(_: object) -> None:
    """Hear nothing."""


class AsyncObject:
    """Another way to write it."""

    async def __call__(self, _: object) -> None:
        """Hear nothing."""


@pytest.mark.parametrize(
    ("argument", "given", "says"),
    [
        ("store", f"redis://:{CANARY}@localhost", "not str; pass one, such as RedisStore(url) or FileStore(folder)"),
        ("store", MemoryStore, "not the class MemoryStore; pass one, such as MemoryStore() or FileStore()"),
        ("store", {CANARY: CANARY}, "not dict; pass one, such as MemoryStore() or FileStore()"),
        ("policy", {"attempts": 1}, "not dict; pass one, such as RenewalPolicy(attempts=2)"),
        ("policy", 30, "not int"),
        ("on_event", CANARY, "on_event is a function that is called with each event, not str"),
        ("on_event", MemoryStore, "not the class MemoryStore"),
        ("on_event", async_function, "a plain function, not an async one"),
        ("on_event", AsyncObject(), "a plain function, not an async one"),
        ("clock", CANARY, "not str: it has wall(), monotonic() and wait()"),
    ],
)
def test_an_option_of_a_source_that_is_something_else_is_named_with_what_to_pass(
    sandbox: Sandbox, credentials: ApiCredentials, argument: str, given: Any, says: str
) -> None:
    """A fleet that has silently no shared store finds out from its rate limit."""
    with pytest.raises(TypeError) as raised:
        TokenSource(credentials, sandbox.base_url, **{argument: given})

    assert str(raised.value).startswith(argument)
    assert says in str(raised.value)
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize("make", [DaxkoAuth, Httpx2Auth, RequestsAuth, AiohttpAuth])
def test_an_adapter_is_given_a_source(credentials: ApiCredentials, make: Callable[..., Any]) -> None:
    """Most first programs pass the credentials."""
    with pytest.raises(TypeError) as raised:
        make(credentials, 9999)

    assert str(raised.value) == "source is a TokenSource, not ApiCredentials; make one: TokenSource(credentials)"


def test_a_daxko_is_given_a_source(credentials: ApiCredentials) -> None:
    """The same, where it is an option."""
    with pytest.raises(TypeError, match=r"^source is a TokenSource, not ApiCredentials; make one"):
        Daxko(credentials, 9999, source=credentials)  # type: ignore[arg-type]


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True, "8", None])
def test_warming_some_at_a_time_is_at_least_one(sandbox: Sandbox, source: TokenSource, concurrency: Any) -> None:
    """And it is said before anything is sent."""
    with pytest.raises(ValueError, match=r"^concurrency is a whole number of token requests at a time, at least 1"):
        source.warm([9999], concurrency=concurrency)

    assert sandbox.token_requests() == 0

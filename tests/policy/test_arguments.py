"""Arguments of a wrong kind are refused where they are passed, with what to pass instead; none is quoted."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from daxko_auth import (
    AiohttpAuth,
    ApiCredentials,
    ClientScope,
    Daxko,
    DaxkoAuth,
    Httpx2Auth,
    MemoryStore,
    RequestsAuth,
    TokenSource,
)
from daxko_auth.sandbox import Sandbox

CANARY = "canary-of-an-argument"


async def async_function(_: object) -> None:
    """Hear nothing."""


def generator_function(_: object) -> Iterator[None]:
    """Hear nothing."""
    yield


async def async_generator_function(_: object) -> AsyncIterator[None]:
    """Hear nothing."""
    yield


class AsyncStore:
    """A store for event loops, of which there are none where it is used."""

    async def read(self, key: object) -> None:
        """Find nothing."""

    async def write(self, key: object, token: object) -> None:
        """Keep nothing."""

    async def drop(self, key: object, token: object) -> None:
        """Forget nothing."""

    @asynccontextmanager
    async def turn(self, key: object, timeout: float) -> AsyncIterator[None]:  # noqa: ASYNC109 - as the protocol has it
        """Let everybody pass."""
        yield


class StoreOfAsyncTurns(MemoryStore):
    """One that was changed in a single place."""

    turn = AsyncStore.turn  # type: ignore[assignment]


class StoreOfGenerators(MemoryStore):
    """One whose decorator was forgotten."""

    def turn(self, key: object, timeout: float) -> Iterator[None]:  # type: ignore[override]
        """Let everybody pass."""
        yield


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
        ("store", AsyncStore(), "methods are plain, not async"),
        ("store", StoreOfAsyncTurns(), "methods are plain, not async"),
        ("store", StoreOfGenerators(), "methods are plain, not async"),
        ("policy", {"attempts": 1}, "not dict; pass one, such as RenewalPolicy(attempts=2)"),
        ("policy", 30, "not int"),
        ("on_event", CANARY, "on_event is a function that is called with each event, not str"),
        ("on_event", MemoryStore, "not the class MemoryStore"),
        ("on_event", async_function, "a plain function, not an async one"),
        ("on_event", AsyncObject(), "a plain function, not an async one"),
        ("on_event", generator_function, "not an async one or a generator"),
        ("on_event", async_generator_function, "not an async one or a generator"),
        ("on_event", functools.partial(async_function), "not an async one or a generator"),
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


@pytest.mark.parametrize(
    "scopes",
    ["9999", b"9999", bytearray(b"9999"), 9999, None, ClientScope(9999), iter],
    ids=lambda scopes: type(scopes).__name__,
)
def test_warming_takes_many(sandbox: Sandbox, source: TokenSource, scopes: Any) -> None:
    """Of each digit of a string there may be a Daxko client: another customer's."""
    with pytest.raises(TypeError, match=r"^scopes are many, not .*; pass a list: warm\(\[9999\]\)$"):
        source.warm(scopes)

    assert sandbox.token_requests() == 0


@pytest.mark.parametrize("make", [list, tuple, set, iter, dict.fromkeys], ids=["list", "tuple", "set", "iter", "dict"])
def test_many_may_be_of_any_kind(source: TokenSource, make: Callable[[Any], Any]) -> None:
    """What can be gone through is enough."""
    assert list(source.warm(make([9999]))) == [ClientScope(9999)]


@pytest.mark.parametrize("timeout", [-1, float("nan"), 10**400, -(10**400), True, "1", b"1", [1]])
def test_a_timeout_is_a_number_of_seconds(source: TokenSource, timeout: Any) -> None:
    """Also one that a clock can count."""
    with pytest.raises(ValueError, match=r"^timeout is a number of seconds, at least 0, or None for as long"):
        source.token(9999, timeout=timeout)


@pytest.mark.parametrize("timeout", [None, 60, 60.0, 10**300, float("inf")])
def test_a_timeout_may_be_long(source: TokenSource, timeout: Any) -> None:
    """As long as it takes."""
    assert source.token(9999, timeout=timeout)


AFTER_401: dict[str, Callable[..., Any]] = {
    "reject": TokenSource.reject,
    "replacement_for": TokenSource.replacement_for,
    "areplacement_for": lambda *args, **options: asyncio.run(TokenSource.areplacement_for(*args, **options)),
    "replacement_refused": TokenSource.replacement_refused,
    "refused_without_replay": TokenSource.refused_without_replay,
    "doubt": TokenSource.doubt,
}


@pytest.mark.parametrize("name", AFTER_401)
@pytest.mark.parametrize("token", [CANARY, None, 9999, object()], ids=lambda token: type(token).__name__)
def test_after_a_401_the_token_itself_is_passed(source: TokenSource, name: str, token: Any) -> None:
    """Its text is what an adapter has at hand."""
    with pytest.raises(TypeError, match=rf"^{name} takes the AccessToken that token\(\) returned, not ") as raised:
        AFTER_401[name](source, token)

    assert CANARY not in str(raised.value)


@pytest.mark.parametrize("name", sorted(AFTER_401.keys() - {"reject", "doubt"}))
@pytest.mark.parametrize("argument", ["method", "path"])
@pytest.mark.parametrize("given", [None, b"GET", 5, ["GET"]], ids=repr)
def test_the_method_and_the_path_of_a_call_are_strings(
    source: TokenSource, name: str, argument: str, given: Any
) -> None:
    """Some libraries have bytes, or None for a blank path; another endpoint would be noted than was called."""
    token = source.token(9999)
    with pytest.raises(TypeError, match=rf"^{argument} is a string, not .*; pass that of the call, such as"):
        AFTER_401[name](source, token, **{argument: given})

    assert source.token(9999) == token

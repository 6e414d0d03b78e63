"""A secret in the place of any argument of any public function is in no message, and in no local of ours."""

import asyncio
import functools
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis_server import RedisServer

import daxko_auth
from daxko_auth import (
    AccessToken,
    AiohttpAuth,
    ApiCredentials,
    AsyncDaxko,
    ClientScope,
    Daxko,
    DaxkoAuth,
    DaxkoAuthError,
    FileStore,
    Httpx2Auth,
    MemberToken,
    MemoryStore,
    RedisStore,
    RenewalPolicy,
    RequestsAuth,
    Secret,
    TokenKey,
    TokenSource,
)
from daxko_auth.sandbox import Sandbox

CANARY = "canary-in-the-wrong-place"
MISPLACED = {
    "str": CANARY,
    "bytes": CANARY.encode(),
    "list": [CANARY],
    "dict": {"password": CANARY},
    "URL": f"https://user:{CANARY}@host.example/{CANARY}",
    "Secret": Secret(CANARY),
}


_TESTS = Path(__file__).parents[1]


class Entries:
    """Every public function, with arguments that are right."""

    def __init__(self, sandbox: Sandbox, folder: Path, redis_url: str) -> None:
        account = ApiCredentials(sandbox.username, sandbox.password, sandbox.refresh_token)
        self.source = TokenSource(account, sandbox.base_url)
        self.loop = asyncio.Runner()
        self.token = self.source.token(9999)
        end = datetime.now(UTC) + timedelta(days=1)
        key = TokenKey(sandbox.base_url, account, ClientScope(9999))
        #: By the name of the parameter.
        self.right: Mapping[str, Any] = {
            "base_url": None,
            "client_id": 9999,
            "concurrency": 8,
            "credentials": account,
            "early_expiry": 0,
            "environ": {},
            "expires_at": end,
            "expires_in": 60,
            "folder": folder,
            "key": key,
            "now": end,
            "origin": sandbox.base_url,
            "other_fields": {},
            "password": "a-password-of-nobody",
            "refresh_token": "refresh-token",
            "scope": 9999,
            "scopes": [9999],
            "secret": Secret("secret"),
            "source": self.source,
            "token": self.token,
            "url": redis_url,
            "username": "username",
            "value": "value",
        }
        self.daxko = Daxko(account, 9999, source=self.source)
        self.adaxko = AsyncDaxko(account, 9999, source=self.source)
        objects = [
            account,
            self.source,
            self.token,
            self.daxko,
            self.adaxko,
            MemoryStore(),
            FileStore(folder),
            RedisStore(redis_url),
            Secret("secret"),
        ]
        classes = [*map(type, objects), ClientScope, MemberToken, RenewalPolicy, TokenKey]
        classes += [DaxkoAuth, Httpx2Auth, RequestsAuth, AiohttpAuth]
        self.classes = {one.__name__: one for one in classes}
        self.all: dict[str, Callable[..., Any]] = dict(self.classes)
        for one in objects:
            for name in dir(one):
                # A context manager of a store begins where it is entered: by the policy alone.
                if not name.startswith("_") and name != "turn" and callable(member := getattr(one, name)):
                    self.all[f"{type(one).__name__}.{name}"] = member

    def calls(self) -> Iterator[tuple[str, Callable[[Any], Any]]]:
        """Return what each call is with an argument in the place of each parameter."""
        for entry, function in self.all.items():
            parameters = inspect.signature(function).parameters
            for wrong in parameters:
                right = {
                    name: self.right[name]
                    for name, parameter in parameters.items()
                    if name != wrong and parameter.default is parameter.empty
                }
                yield f"{entry}({wrong}=)", functools.partial(self._call, function, right, wrong)

    def _call(self, function: Callable[..., Any], right: Mapping[str, Any], wrong: str, given: object) -> None:
        made = function(**right, **{wrong: given})
        if inspect.iscoroutine(made):
            self.loop.run(made)

    def close(self) -> None:
        """Close what they opened."""
        self.loop.run(self.adaxko.aclose())
        self.loop.close()
        self.daxko.close()
        self.source.close()


@pytest.fixture
def entries(sandbox: Sandbox, shared_redis: RedisServer, tmp_path: Path) -> Iterator[Entries]:
    """Every public function."""
    made = Entries(sandbox, tmp_path / "tokens", shared_redis.url)
    yield made
    made.close()


@pytest.mark.parametrize("kind", MISPLACED)
def test_a_secret_in_the_place_of_any_argument_is_told_to_nobody(entries: Entries, kind: str) -> None:
    """Whoever mixes up two arguments gets an error, and the crash reporter that sends it away gets no secret."""
    told: list[str] = []
    refused = 0
    for what, call in entries.calls():
        try:
            call(MISPLACED[kind])
        except Exception as error:  # noqa: BLE001 - whatever it is
            refused += 1
            told += [f"{what}: {where}" for where in _where_shown(error)]
    assert told == []
    assert refused > 40, "the mistakes were none"


def _where_shown(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        if CANARY in f"{error} {error!r} {vars(error)}":
            yield f"the text of {type(error).__name__}"
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if not Path(frame.f_code.co_filename).is_relative_to(_TESTS) and CANARY in _shown(frame.f_locals):
                yield f"the locals of {frame.f_code.co_qualname}"
        error = error.__context__


def _shown(values: Mapping[str, object]) -> str:
    shown: list[str] = []
    for value in values.values():
        with suppress(AttributeError):  # an object that is not whole
            shown.append(repr(value))
    return " ".join(shown)


def test_every_public_class_is_looked_at(entries: Entries) -> None:
    """A class that is added tomorrow is tried, too."""
    public = [getattr(daxko_auth, name) for name in dir(daxko_auth) if not name.startswith("_")]
    classes = {one.__name__ for one in public if isinstance(one, type) and not issubclass(one, DaxkoAuthError)}
    # What only has to be implemented, and one whose arguments are OpenTelemetry's.
    assert classes - entries.classes.keys() == {"Account", "Clock", "Scope", "TokenStore", "OpenTelemetryEvents"}


def test_an_error_that_the_program_was_handling_keeps_its_locals(entries: Entries) -> None:
    """They are the program's own, for its own reports."""

    def fail(note: str) -> None:
        raise KeyError(len(note))

    def ask_after_a_failure() -> None:
        try:
            fail("a local of the program")
        except KeyError:
            entries.source.token("no scope")

    with pytest.raises(daxko_auth.CredentialsError) as caught:
        ask_after_a_failure()

    earlier = caught.value.__context__
    assert earlier is not None
    assert "a local of the program" in repr([frame.f_locals for frame, _ in traceback.walk_tb(earlier.__traceback__)])


def test_what_is_decorated_still_says_what_it_takes() -> None:
    """Editors and help() go by it."""
    assert "scopes" in inspect.signature(TokenSource.warm).parameters
    assert TokenSource.warm.__doc__
    assert inspect.iscoroutinefunction(AsyncDaxko.member_token)
    assert AccessToken.usable_at.__name__ == "usable_at"

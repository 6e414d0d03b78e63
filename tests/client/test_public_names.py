"""The names people write, and what an import of them costs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import daxko_auth
from daxko_auth import (
    ApiCredentials,
    AsyncDaxko,
    ClientScope,
    Daxko,
    DaxkoAuth,
    FileStore,
    MemoryStore,
    RedisStore,
    RenewalPolicy,
    TokenSource,
)
from daxko_auth.sandbox import Sandbox

PROJECT = Path(__file__).parents[2]

# What the core must not import: the extras, the tools of the tests, and what most programs never need.
NOT_IMPORTED = [
    *["typer", "rich.console", "starlette", "uvicorn", "jwt", "redis", "trio", "asyncio"],
    *["cryptography", "platformdirs", "opentelemetry"],
    *["dateutil", "daxko_api", "daxko_auth.sandbox", "daxko_auth.cli.demo", "concurrent.futures.thread"],
]


EXTRAS = {
    "AiohttpAuth": (["adapters.aiohttp"], "aiohttp", "aiohttp"),
    "FileStore": (["stores.file_store"], "platformdirs", "files"),
    "Httpx2Auth": (["adapters.httpx2"], "httpx2", "httpx2"),
    "OpenTelemetryEvents": (["adapters.opentelemetry"], "opentelemetry.metrics", "otel"),
    "RedisStore": (["stores.redis_store", "stores.redis_access"], "redis", "redis"),
    "RequestsAuth": (["adapters.requests"], "requests", "requests"),
}
PUBLIC = {*daxko_auth.__all__, *EXTRAS}


def test_all_names_what_can_be_imported_and_nothing_else() -> None:
    """A name that is public by accident is public for ever."""
    # Those with an at sign come from pytest, which rewrites the assertions of whoever brings a plugin.
    public = {name for name in dir(daxko_auth) if not name.startswith(("_", "@"))}
    rooms = {"adapters", "cli", "client", "model", "policy", "sandbox", "stores", "testing", "wire"}

    assert public - rooms == PUBLIC
    assert sorted(daxko_auth.__all__) == daxko_auth.__all__


@pytest.mark.parametrize("name", sorted(PUBLIC - {"events"}))
def test_public_things_name_themselves_by_the_public_door(name: str) -> None:
    """A traceback that says daxko_auth.model.errors.TokenRefused teaches people to import from there."""
    public = getattr(daxko_auth, name)

    assert (public.__module__, public.__qualname__) == ("daxko_auth", name)
    assert public.__doc__


@pytest.mark.parametrize("absent", NOT_IMPORTED)
def test_an_import_brings_in_no_extra(absent: str) -> None:
    """The core is for scripts and serverless functions, too; nor does one of all names ask for one."""
    # Without rich and click: httpx imports them for its own command line where they are installed.
    lines = f"""
import sys
sys.modules["click"] = sys.modules["rich"] = None
import httpx
before = set(sys.modules)
from daxko_auth import *
assert {absent!r} not in set(sys.modules) - before
"""
    subprocess.run([sys.executable, "-c", lines], check=True)  # noqa: S603 - our own lines


@pytest.mark.parametrize(("name", "modules", "missing", "extra"), [(name, *rest) for name, rest in EXTRAS.items()])
def test_what_needs_an_extra_says_so_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, name: str, modules: list[str], missing: str, extra: str
) -> None:
    """Nobody knows by heart which package a store is made of, nor needs to."""
    public = getattr(daxko_auth, name)
    monkeypatch.delattr(daxko_auth, name)
    assert getattr(daxko_auth, name) is public, "found again"
    monkeypatch.delattr(daxko_auth, name)
    for module in modules:
        monkeypatch.delitem(sys.modules, f"daxko_auth.{module}")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=rf"^{name} needs {missing}, .*`{extra}`.* pip install '\.\[{extra}\]'$"):
        getattr(daxko_auth, name)


def test_a_name_that_is_not_there_is_missed_as_in_any_module() -> None:
    """Programs ask with hasattr."""
    assert not hasattr(daxko_auth, "FileStorr")


def test_the_types_are_shipped() -> None:
    """Without the marker every type checker ignores every annotation."""
    for package in ("daxko_auth", "generated/daxko_api"):
        assert (PROJECT / package / "py.typed").exists()


TAKERS: dict[str, Callable[..., Any]] = {
    "ApiCredentials": lambda credentials, _, **typo: ApiCredentials(
        credentials.username, credentials.password, credentials.refresh_token, **typo
    ),
    "ClientScope": lambda *_, **typo: ClientScope(9999, **typo),
    "RenewalPolicy": lambda *_, **typo: RenewalPolicy(**typo),
    "MemoryStore": lambda *_, **typo: MemoryStore(**typo),
    "FileStore": lambda *_, **typo: FileStore(**typo),
    "RedisStore": lambda *_, **typo: RedisStore("redis://localhost", **typo),
    "TokenSource": TokenSource,
    "TokenSource.token": lambda credentials, url, **typo: TokenSource(credentials, url).token(9999, **typo),
    "TokenSource.warm": lambda credentials, url, **typo: TokenSource(credentials, url).warm([9999], **typo),
    "DaxkoAuth": lambda credentials, url, **typo: DaxkoAuth(TokenSource(credentials, url), 9999, **typo),
    "Daxko": lambda credentials, url, **typo: Daxko(credentials, 9999, base_url=url, **typo),
    "AsyncDaxko": lambda credentials, url, **typo: AsyncDaxko(credentials, 9999, base_url=url, **typo),
    "member_token": lambda credentials, url, **typo: Daxko(credentials, 9999, base_url=url).member_token(
        "member_name", "member_password", **typo
    ),
}


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
def test_a_misspelt_argument_is_an_error_and_goes_nowhere(
    sandbox: Sandbox, credentials: ApiCredentials, take: Callable[..., Any]
) -> None:
    """Elsewhere an argument nobody knew was posted to the token server; and what was meant never took effect."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'refresh_tokn'"):
        take(credentials, sandbox.base_url, refresh_tokn="canary")
    assert sandbox.log == []

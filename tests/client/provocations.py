"""
How a user comes by each error: in words, and in deed, in each world.

Secrets are spelt so that no line of this file holds one: a traceback shows the lines it came through.
"""

import copy
import errno
import os
import pickle
import shutil
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import anyio
import httpx
import pytest
import redis
import redis.asyncio
from attrs import frozen
from raw_server import Behaviour, RawServer, answer, saying
from support import PATIENCE, FakeClock, finish_renewals

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    AsyncDaxko,
    ClientScope,
    Daxko,
    DaxkoAuth,
    DaxkoAuthError,
    FileStore,
    MemoryStore,
    RedisStore,
    RenewalPolicy,
    Secret,
    TokenKey,
    TokenRequestError,
    TokenSource,
    TokenStore,
)
from daxko_auth.model import threads
from daxko_auth.model.vendor import BearerKind
from daxko_auth.policy.flight import Flight
from daxko_auth.sandbox import Account, Sandbox
from daxko_auth.stores import file_store
from daxko_auth.wire import exchange
from daxko_auth.wire import http as http_wire
from daxko_auth.wire.http import BearerAuth
from daxko_auth.wire.transports import LARGEST_ANSWER

#: A part of every secret here.
CANARY: Final = "yranac"[::-1]
PASSWORD: Final = f"{CANARY}-of-a-password"
MEMBER_PASSWORD: Final = f"{CANARY}-of-a-member"
WRONG: Final = f"{CANARY}-that-is-wrong"
REFRESH_TOKEN: Final = f"{CANARY}.refresh.token"
JWT: Final = f"eyJ{CANARY}.e30.{CANARY}"
ACCESS_TOKEN: Final = f"eyJhbGciOiJIUzI1NiJ9.eyJzY29wZSI6ImNsaWVudDo5OTk5In0.{CANARY}"


@frozen
class Stage:
    """What a provocation needs: a sandbox, a clock, and the world in which it happens."""

    world: str
    sandbox: Sandbox
    clock: FakeClock
    monkeypatch: pytest.MonkeyPatch
    folder: Path
    stack: ExitStack
    over: threading.Event

    def credentials(self, password: str | Secret | None = None, refresh_token: str | None = None) -> ApiCredentials:
        """Return those of the sandbox's account, but for what is given."""
        return ApiCredentials(
            self.sandbox.username, password or self.sandbox.password, refresh_token or self.sandbox.refresh_token
        )

    def source(self, base_url: str | None = None, **options: Any) -> TokenSource:
        """Return a source, which ends with the stage."""
        credentials = options.pop("credentials", None) or self.credentials()
        source = TokenSource(credentials, base_url or self.sandbox.base_url, **{"clock": self.clock, **options})
        self.stack.callback(finish_renewals, source)
        return self.stack.enter_context(source)

    def served(self, behaviour: Behaviour) -> str:
        """Return the URL of a server that does that."""
        return self.stack.enter_context(RawServer(behaviour)).base_url

    def token(self, source: TokenSource, scope: Any = 9999) -> object:
        """Ask for a token."""
        return source.token(scope) if self.world == "thread" else anyio.run(source.atoken, scope, backend=self.world)

    def send(self, source: TokenSource, method: str, url: str, **options: Any) -> object:
        """Send one request with `DaxkoAuth`, through an httpx client without a base URL."""
        auth = DaxkoAuth(source, 9999)

        async def asend() -> object:
            async with httpx.AsyncClient(auth=auth, verify=False) as http:  # noqa: S501 - plain http
                return await http.request(method, url, **options)

        if self.world != "thread":
            return anyio.run(asend, backend=self.world)
        with httpx.Client(auth=auth, verify=False) as http:  # noqa: S501 - plain http
            return http.request(method, url, **options)

    def use(
        self,
        source: TokenSource,
        do: Callable[[Any], Any],
        *,
        closed: bool = False,
        timeout: float | httpx.Timeout = PATIENCE,
    ) -> object:
        """Do something with a `Daxko`, or the same, awaiting, with an `AsyncDaxko`; perhaps once it is closed."""

        async def ause() -> object:
            async with AsyncDaxko(source.credentials, 9999, source=source, timeout=timeout) as daxko:
                if not closed:
                    return await do(daxko)
            return await do(daxko)

        if self.world != "thread":
            return anyio.run(ause, backend=self.world)
        with Daxko(source.credentials, 9999, source=source, timeout=timeout) as daxko:
            if not closed:
                return do(daxko)
        return do(daxko)


@contextmanager
def staged(world: str, folder: Path) -> Any:
    """Set the stage for one provocation, and clear it afterwards."""
    account = Account(password=PASSWORD, members={"member_name": MEMBER_PASSWORD})
    with pytest.MonkeyPatch.context() as monkeypatch, ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(account=account))
        stage = Stage(world, sandbox, FakeClock(), monkeypatch, folder, stack, threading.Event())
        try:
            yield stage
        finally:
            stage.over.set()


class FailingTransport(httpx.BaseTransport):
    """A transport of the program's own, with a mistake in it."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Fail."""
        raise self._error


class LateTransport(httpx.HTTPTransport):
    """A slow network: time passes while a request is under way."""

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        super().__init__(verify=False)
        self._clock = clock
        self._seconds = seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Take long, and send."""
        self._clock.pass_time(self._seconds)
        return super().handle_request(request)


class StuckTransport(httpx.BaseTransport):
    """A transport of the program's own that knows no time-out."""

    def __init__(self, over: threading.Event) -> None:
        self._over = over

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Wait until it is over."""
        self._over.wait()
        return httpx.Response(503)


class StuckStore(MemoryStore):
    """A shared store that does not answer."""

    def __init__(self, over: threading.Event) -> None:
        super().__init__()
        self._over = over

    def turn(self, key: TokenKey, timeout: float) -> AbstractContextManager[None]:
        """Wait until it is over."""
        self._over.wait()
        return super().turn(key, timeout)


class AsyncStore(MemoryStore):
    """A store of the program's own, for event loops."""

    async def read(self, key: TokenKey) -> AccessToken | None:  # type: ignore[override]
        """Find nothing."""


class BrokenClock(FakeClock):
    """A clock of the program's own that fails where tokens are renewed."""

    def wall(self) -> float:
        """Fail."""
        if threading.current_thread().name.startswith("daxko-auth"):
            raise ZeroDivisionError
        return super().wall()


def ask_for_itself(stage: Stage) -> None:
    """Have a store ask for the token that it is asked for."""
    errors: list[TokenRequestError] = []

    class Asking(MemoryStore):
        def read(self, key: TokenKey) -> AccessToken | None:
            try:
                source.token(9999)
            except TokenRequestError as error:
                errors.append(error)
            source.close()
            return None

    source = stage.source(store=Asking())
    with suppress(TokenRequestError):
        source.token(9999)
    raise errors[0]


class _Interrupted(httpx.BaseTransport):
    """Ctrl-C, in the middle of a request."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt


def interrupted(stage: Stage) -> None:
    """Have a renewal in this thread interrupted, and look at what the others are told who wait for it."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    stage.monkeypatch.setattr(threads._thread, "start_new_thread", refuse)
    source = stage.source(http=stage.stack.enter_context(_Interrupted()))
    flight = source._find(source._slot_of(9999))
    assert isinstance(flight, Flight)
    with suppress(KeyboardInterrupt):
        source.token(9999)
    state = flight.next_state.get()
    assert state
    assert state.failure
    raise state.failure


def ask_a_source_while_python_ends(stage: Stage) -> object:
    """Ask while a renewal is under way on a thread that stands still from now on."""
    stage.sandbox.hold()
    source = stage.source()
    stage.stack.callback(stage.sandbox.release)
    with suppress(DaxkoAuthError):
        source.token(9999, timeout=0)
    stage.sandbox.wait_for_token_requests(1)
    stage.monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    return source.token(9999)


def out_of_files(*_: object) -> Any:
    """Refuse to open another file."""
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def homeless(*_: object, **__: object) -> Path:
    """Know no home."""
    raise RuntimeError


def ask(stage: Stage, scope: int = 9999, base_url: str | None = None, **options: Any) -> object:
    """Ask once, with a source made for it."""
    once = RenewalPolicy(attempts=1, attempt_timeout=PATIENCE, deadline=PATIENCE)
    return stage.token(stage.source(base_url, **{"policy": once, **options}), scope)


def ask_twice(stage: Stage, source: TokenSource) -> object:
    """Ask for one Daxko client, and then for another."""
    with suppress(DaxkoAuthError):
        source.token(9999)
    return stage.token(source, 1234)


def ask_a_closed_source(stage: Stage) -> object:
    """Ask a source that was closed."""
    source = stage.source()
    source.close()
    return stage.token(source)


def ask_a_source_that_closes(stage: Stage) -> object:
    """Ask a source, and close it meanwhile."""
    source = stage.source()
    stage.sandbox.hold()

    def close() -> None:
        stage.sandbox.wait_for_token_requests(1)
        source.close()
        stage.sandbox.release()

    closing = threading.Thread(target=close)
    closing.start()
    stage.stack.callback(closing.join)
    return stage.token(source)


def sign_in(
    stage: Stage,
    *,
    wrong: bool = False,
    source: TokenSource | None = None,
    closed: bool = False,
    timeout: float | httpx.Timeout = PATIENCE,
) -> object:
    """Sign the member in."""

    def do(daxko: Any) -> Any:
        return daxko.member_token("member_name", WRONG if wrong else MEMBER_PASSWORD)

    return stage.use(source or stage.source(), do, closed=closed, timeout=timeout)


def sign_in_refused(stage: Stage, style: Any, times: int = 1) -> object:
    """Sign the member in with a wrong password, refused in that style, for the so-manyeth time."""
    stage.sandbox.set_member_refusal(style)
    source = stage.source()
    for _ in range(times - 1):
        with suppress(DaxkoAuthError):
            sign_in(stage, wrong=True, source=source)
    return sign_in(stage, wrong=True, source=source)


def sign_in_suspended(stage: Stage, times: int = 1) -> object:
    """Sign the member in where every access token is refused, for the so-manyeth time."""
    stage.sandbox.reject_all_tokens()
    source = stage.source()
    for _ in range(times - 1):
        with suppress(DaxkoAuthError):
            sign_in(stage, source=source)
    return sign_in(stage, source=source)


def env(**settings: str) -> dict[str, str]:
    """Return an environment in which these settings differ from good ones; "unset" is not there at all."""
    good = {"DAXKO_USERNAME": "daxko_api_user", "DAXKO_PASSWORD": PASSWORD, "DAXKO_REFRESH_TOKEN": REFRESH_TOKEN}
    return {name: value for name, value in (good | settings).items() if value != "unset"}


def account(**given: Any) -> Any:
    """Return arguments of `ApiCredentials` of which these differ from good ones."""
    return {"username": "daxko_api_user", "password": PASSWORD, "refresh_token": REFRESH_TOKEN, **given}


def file_of(stage: Stage, content: bytes) -> str:
    """Return the path of a file that holds that."""
    (stage.folder / "secret").write_bytes(content)
    return str(stage.folder / "secret")


def foreign(stage: Stage, url: str) -> object:
    """Send a request elsewhere, with a token at hand."""
    source = stage.source()
    source.token(9999)
    return stage.send(source, "GET", url)


def misdirected(stage: Stage, **options: Any) -> object:
    """Send a request home that something else than its URL leads elsewhere."""
    return stage.send(stage.source(), "GET", f"{stage.sandbox.base_url}/v3/programs/locations", **options)


def proxied(stage: Stage) -> object:
    """Send a request to loopback by the proxy of the environment."""
    stage.monkeypatch.setenv("HTTP_PROXY", stage.served(saying(b"")))
    return misdirected(stage)


def sign_in_with_two_old_tokens(stage: Stage) -> object:
    """Sign the member in with a token that was replaced meanwhile, where the one in its place is refused as well."""
    source = stage.source()
    old = source.token(9999)
    source.reject(old)
    source.token(9999)
    stage.clock.pass_time(60)
    stage.sandbox.reject_all_tokens()

    async def atoken(*_: object) -> AccessToken:
        return old

    stage.monkeypatch.setattr(TokenSource, "token", lambda *_: old)
    stage.monkeypatch.setattr(TokenSource, "atoken", atoken)
    return sign_in(stage, source=source)


def refused_by_bytes(source: TokenSource) -> object:
    """Tell a source of a refused call, as a library does that has paths as bytes."""
    return source.replacement_refused(source.token(9999), method="GET", path=CANARY.encode())  # type: ignore[arg-type]


def mistaken_path(stage: Stage) -> object:
    """Attach the refresh token to a path that takes the access token; only a mistake of ours could."""
    bearer = BearerAuth(BearerKind.REFRESH_TOKEN, stage.credentials().refresh_token.reveal, stage.source().origin)
    return httpx.get(f"{stage.sandbox.base_url}/v3/programs/locations", auth=bearer)


def stored(stage: Stage, store: TokenStore) -> object:
    """Keep a token in a store."""
    scope = ClientScope(9999)
    token = AccessToken(scope, Secret(ACCESS_TOKEN), datetime.fromtimestamp(stage.clock.wall(), UTC), 60)
    store.write(TokenKey(stage.sandbox.base_url, stage.credentials(), scope), token)
    return None


def store_in_an_open_folder(stage: Stage) -> object:
    """Let others into the folder of a store."""
    folder = stage.folder / "tokens"
    store = FileStore(folder)
    folder.mkdir(0o755)
    stage.stack.callback(folder.rmdir)
    return stored(stage, store)


def store_on_a_full_disk(stage: Stage) -> object:
    """Keep a token where there is no space."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = stage.folder / "tokens"
    stage.stack.callback(shutil.rmtree, folder)
    stage.monkeypatch.setattr(os, "fsync", full)
    return stored(stage, FileStore(folder))


def store_behind_a_link(stage: Stage) -> object:
    """Look for a folder through a link in one that others can write to."""
    folder, link = stage.folder / "others", stage.folder / "others" / "link"
    folder.mkdir()
    folder.chmod(0o777)
    stage.stack.callback(shutil.rmtree, folder)
    link.symlink_to(stage.folder)
    return FileStore(link / "tokens")


def store_in_a_locked_folder(stage: Stage) -> object:
    """Wait, for no time, until a process goes on that has the lock."""
    folder = stage.folder / "tokens"
    stage.stack.callback(shutil.rmtree, folder)
    stored(stage, FileStore(folder))
    stage.monkeypatch.setattr(file_store, "_locks", lambda _: False)
    seconds = SimpleNamespace(monotonic=count().__next__, sleep=lambda _: None)
    stage.monkeypatch.setattr(file_store, "time", seconds)
    return stored(stage, FileStore(folder))


Deed = Callable[[Stage], object | Awaitable[object]]

PROVOCATIONS: Final[dict[str, Deed]] = {
    # Settings, before anything is sent.
    "No setting is made": lambda _: ApiCredentials.from_env({}),
    "One setting is not made, and nothing like it": lambda _: ApiCredentials.from_env(env(DAXKO_PASSWORD="unset")),
    "A setting has OAuth's name": lambda _: ApiCredentials.from_env(
        env(DAXKO_PASSWORD="unset", DAXKO_CLIENT_SECRET=PASSWORD)
    ),
    "A setting's name is misspelt": lambda _: ApiCredentials.from_env(
        env(DAXKO_REFRESH_TOKEN="unset", DAXKO_REFERESH_TOKEN=REFRESH_TOKEN)
    ),
    "A setting is blank": lambda _: ApiCredentials.from_env(env(DAXKO_USERNAME="")),
    "A setting is made twice, once as a file": lambda _: ApiCredentials.from_env(
        env(DAXKO_PASSWORD_FILE="/run/secrets/password")
    ),
    "A setting's file is not there": lambda _: ApiCredentials.from_env(
        env(DAXKO_PASSWORD="unset", DAXKO_PASSWORD_FILE=f"/none/{CANARY}")
    ),
    "A setting's file is not text": lambda stage: ApiCredentials.from_env(
        env(DAXKO_PASSWORD="unset", DAXKO_PASSWORD_FILE=file_of(stage, CANARY.encode("utf-16")))
    ),
    "A setting's file ends in two lines": lambda stage: ApiCredentials.from_env(
        env(DAXKO_PASSWORD="unset", DAXKO_PASSWORD_FILE=file_of(stage, f"{CANARY}\n\n".encode()))
    ),
    "The password is not set in the code": lambda _: ApiCredentials(**account(password=None)),
    "The password is blank": lambda _: ApiCredentials(**account(password="  ")),
    "The password holds a line break": lambda _: ApiCredentials(**account(password=f"{PASSWORD}\n")),
    "The password begins with a blank": lambda _: ApiCredentials(**account(password=f" {PASSWORD}")),
    "The password is no text": lambda _: ApiCredentials(**account(password=f"{PASSWORD}\udc80")),
    "The refresh token is in the password's place": lambda _: ApiCredentials(**account(password=JWT)),
    "The refresh token is in the username's place": lambda _: ApiCredentials(**account(username=JWT)),
    "The password is in the refresh token's place, too": lambda _: ApiCredentials(**account(refresh_token=PASSWORD)),
    'The refresh token begins with "Bearer "': lambda _: ApiCredentials(
        **account(refresh_token=f"Bearer {REFRESH_TOKEN}")
    ),
    "The refresh token is shortened, as the guide shows it": lambda _: ApiCredentials(
        **account(refresh_token=f"{REFRESH_TOKEN}...")
    ),
    "An access token is in the refresh token's place": lambda _: ApiCredentials(**account(refresh_token=ACCESS_TOKEN)),
    "The base URL is no URL": lambda stage: TokenSource(stage.credentials(), CANARY),
    "The base URL holds a password": lambda stage: TokenSource(
        stage.credentials(), f"https://me:{CANARY}@api.daxko.com"
    ),
    "The base URL is that of the older API": lambda stage: TokenSource(
        stage.credentials(), "https://api.partners.daxko.com"
    ),
    "The base URL has a path": lambda stage: TokenSource(stage.credentials(), f"https://api.daxko.com/v3/{CANARY}"),
    "The base URL is plain http": lambda stage: TokenSource(stage.credentials(), "http://api.daxko.com"),
    "A Daxko's base URL holds a password": lambda stage: Daxko(
        stage.credentials(), 9999, base_url=f"https://me:{CANARY}@api.daxko.com"
    ),
    "DAXKO_BASE_URL is a password": lambda stage: (
        stage.monkeypatch.setenv("DAXKO_BASE_URL", CANARY),
        TokenSource(stage.credentials()),
    ),
    "DAXKO_BASE_URL is plain http": lambda stage: (
        stage.monkeypatch.setenv("DAXKO_BASE_URL", "http://[2001:db8::1]"),
        TokenSource(stage.credentials()),
    ),
    "DAXKO_BASE_URL is misspelt": lambda stage: (
        stage.monkeypatch.setenv("DAXKO_BASEURL", "https://api.daxko.com"),
        TokenSource(stage.credentials()),
    ),
    "SSL_CERT_FILE names no file": lambda stage: (
        stage.monkeypatch.setenv("SSL_CERT_FILE", "/none/ca.pem"),
        Daxko(stage.credentials(), 9999, source=stage.source()),
    ),
    "HTTPS_PROXY is no proxy's URL": lambda stage: (
        stage.monkeypatch.setenv("HTTPS_PROXY", f"http://me:{CANARY}@proxy:31:28"),
        Daxko(stage.credentials(), 9999, base_url="https://api.daxko.com"),
    ),
    "Too many files are open to make a connection": lambda stage: (
        stage.monkeypatch.setattr(http_wire, "certificates", out_of_files),
        Daxko(stage.credentials(), 9999, source=stage.source()),
    ),
    "Too many files are open to make a source": lambda stage: (
        stage.monkeypatch.setattr(exchange, "importlib", SimpleNamespace(import_module=out_of_files)),
        stage.source(),
    ),
    "The environment is the path of a file": lambda _: ApiCredentials.from_env(CANARY),  # type: ignore[arg-type]
    "The environment is one of bytes": lambda _: ApiCredentials.from_env({CANARY.encode(): b""}),  # type: ignore[dict-item]
    "A setting has no value": lambda _: ApiCredentials.from_env({**env(), "DAXKO_PASSWORD": None}),  # type: ignore[dict-item]
    "The scope is a name": lambda _: ClientScope(WRONG),
    "The scope is blank": lambda _: ClientScope(""),
    "The scope is half a scope": lambda _: ClientScope(f"client:{WRONG}"),
    "The scope is zero": lambda _: ClientScope(0),
    "The scope is no number": lambda stage: stage.token(stage.source(), 9999.0),
    "A Daxko is given the source of another account": lambda stage: Daxko(
        ApiCredentials(**account()), 9999, source=stage.source()
    ),
    "A Daxko is given the source of another origin": lambda stage: Daxko(
        stage.credentials(), 9999, source=stage.source(), base_url="https://api.daxko.com"
    ),
    # What Python itself would call a mistake.
    "A source is made without credentials": lambda _: TokenSource(WRONG),  # type: ignore[arg-type]
    "A source is given a client for a transport": lambda stage: stage.source(http=httpx.Client(verify=False)),  # noqa: S501
    "A token is rejected by its text": lambda stage: stage.source().reject(WRONG),  # type: ignore[arg-type]
    "A replacement is asked for with a token's text": lambda stage: stage.source().replacement_for(WRONG),  # type: ignore[arg-type]
    "The path of a refused call is bytes": lambda stage: refused_by_bytes(stage.source()),
    "One scope is warmed": lambda stage: stage.source().warm(WRONG),
    "A token is looked at with a time that is none": lambda stage: stage.source().token(9999).usable_at(0.0),  # type: ignore[arg-type]
    "A token is looked at with a naive time": lambda stage: (
        stage.source().token(9999).usable_at(datetime(2030, 1, 1))  # noqa: DTZ001 - that is what it is about
    ),
    "A token is looked at with a margin that is text": lambda stage: (
        stage.source().token(9999).usable_at(datetime.now(UTC), WRONG)  # type: ignore[arg-type]
    ),
    "A source is given a store for event loops": lambda stage: stage.source(store=AsyncStore()),
    "A member's password is bytes": lambda stage: stage.use(
        stage.source(),
        lambda daxko: daxko.member_token("member_name", WRONG.encode()),
    ),
    "A secret is made of bytes": lambda _: Secret(WRONG.encode()),  # type: ignore[arg-type]
    "Credentials are pickled": lambda stage: pickle.dumps(stage.credentials()),
    "A source is copied": lambda stage: copy.copy(stage.source()),
    "A policy has a negative number": lambda _: RenewalPolicy(deadline=-1),
    "A policy has text for a number": lambda _: RenewalPolicy(hold="30"),  # type: ignore[arg-type]
    "A policy has a share above one": lambda _: RenewalPolicy(renew_after=75),
    "A policy has half an attempt": lambda _: RenewalPolicy(attempts=2.5),  # type: ignore[arg-type]
    "A policy makes every token stale": lambda _: RenewalPolicy(renew_after=0.05),
    # Bearers that stay at home.
    "A call goes to another host": lambda stage: foreign(stage, "https://evil.example/v3?page=2"),
    "A call goes to a very long host": lambda stage: foreign(stage, f"https://{'a' * 10_000}.example/"),
    "A call names no host": lambda stage: foreign(stage, "/v3/programs/locations"),
    "A call goes to the partner token endpoint": lambda stage: stage.send(
        stage.source(), "POST", f"{stage.sandbox.base_url}/v3/partners/oauth2/token"
    ),
    "A call has a Host header of another server": lambda stage: misdirected(stage, headers={"Host": "evil.example"}),
    "A call has a Host header that is none": lambda stage: misdirected(stage, headers={"Host": "a@b c"}),
    "A call has another server's name for TLS": lambda stage: misdirected(
        stage, extensions={"sni_hostname": "evil.example"}
    ),
    "A call has a whole URL as its target": lambda stage: misdirected(
        stage, extensions={"target": "http://evil.example/"}
    ),
    "A call has an Authorization of its own": lambda stage: misdirected(
        stage, headers={"Authorization": "Bearer pasted"}
    ),
    "A call to the sandbox would leave by a proxy": proxied,
    "The library attaches the refresh token to another path": mistaken_path,
    # A token request is refused.
    "The password is wrong": lambda stage: ask(stage, credentials=stage.credentials(WRONG)),
    "The refresh token is wrong": lambda stage: ask(stage, credentials=stage.credentials(None, WRONG)),
    "The account is not linked to the Daxko client": lambda stage: ask(stage, 4711),
    "Daxko refuses without a reason": lambda stage: (
        stage.sandbox.fail_next(1, "answer", status=403, body="<html>"),
        ask(stage),
    ),
    "Daxko refuses and repeats the password": lambda stage: (
        stage.sandbox.fail_next(
            1, "answer", status=400, body={"error": "invalid_request", "error_description": f"{PASSWORD} is no good"}
        ),
        ask(stage),
    ),
    "Daxko refuses, and its reason does not arrive": lambda stage: ask(
        stage, base_url=stage.served(saying(answer(b" ", "401 Unauthorized")[:-1]))
    ),
    "The password was wrong a moment ago": lambda stage: ask_twice(
        stage, stage.source(credentials=stage.credentials(WRONG))
    ),
    # A token request is not answered.
    "Daxko is in trouble": lambda stage: (stage.sandbox.fail_next(1, "status", status=503), ask(stage)),
    "Daxko is in trouble and shows a page": lambda stage: (
        stage.sandbox.fail_next(1, "status", status=502, html=True),
        ask(stage),
    ),
    "Daxko says to wait": lambda stage: (stage.sandbox.fail_next(1, "status", status=429, retry_after=7), ask(stage)),
    "Daxko said to wait a moment ago": lambda stage: (
        stage.sandbox.fail_next(1, "status", status=429, retry_after=40),
        ask_twice(stage, stage.source(policy=RenewalPolicy(attempts=1))),
    ),
    "The connection breaks": lambda stage: ask(stage, base_url=stage.served(saying(b""))),
    "Nobody listens": lambda stage: ask(stage, base_url="http://127.0.0.1:9"),
    "Something else listens": lambda stage: ask(stage, base_url=stage.served(saying(b"SSH-2.0-OpenSSH_9.6\r\n"))),
    "The certificate is nobody's": lambda stage: ask(
        stage, http=FailingTransport(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"))
    ),
    "The transport runs out of time": lambda stage: ask(stage, http=FailingTransport(httpx.ReadTimeout("late"))),
    "The transport never ends": lambda stage: ask(
        stage, http=StuckTransport(stage.over), policy=RenewalPolicy(attempts=1, attempt_timeout=0.05)
    ),
    "The store never ends": lambda stage: stage.token(
        stage.source(store=StuckStore(stage.over), policy=RenewalPolicy(deadline=0.1))
    ),
    "The token comes too late": lambda stage: (
        stage.sandbox.set_token_life(10),
        ask(stage, http=stage.stack.enter_context(LateTransport(stage.clock, 11)), policy=RenewalPolicy()),
    ),
    "A renewal waits for itself": ask_for_itself,
    "A caller has no more time": lambda stage: (stage.sandbox.hold(), stage.source().token(9999, timeout=0)),
    "Python is shutting down": ask_a_source_while_python_ends,
    "The source is closed": ask_a_closed_source,
    "The source is closed meanwhile": ask_a_source_that_closes,
    # A token request is answered with something else.
    "A web page answers": lambda stage: (stage.sandbox.fail_next(1, "html"), ask(stage)),
    "A firewall answers": lambda stage: (stage.sandbox.fail_next(1, "status", status=403, html=True), ask(stage)),
    "Ctrl-C ends a renewal in the caller's thread": interrupted,
    "Nothing is there": lambda stage: (stage.sandbox.fail_next(1, "status", status=404, html=True), ask(stage)),
    "Half an answer comes": lambda stage: (stage.sandbox.fail_next(1, "malformed"), ask(stage)),
    "The answer has other fields": lambda stage: (
        stage.sandbox.fail_next(1, "answer", body={"token": CANARY, PASSWORD: 1}),
        ask(stage),
    ),
    "The token's life is over": lambda stage: (
        stage.sandbox.fail_next(1, "answer", body={"access_token": CANARY, "expires_in": 0}),
        ask(stage),
    ),
    "The token is for another scheme": lambda stage: (
        stage.sandbox.fail_next(1, "answer", body={"access_token": CANARY, "expires_in": 60, "token_type": "mac"}),
        ask(stage),
    ),
    "The answer does not end": lambda stage: ask(
        stage, base_url=stage.served(saying(answer(b" " * (LARGEST_ANSWER + 1))))
    ),
    "The token endpoint redirects elsewhere": lambda stage: (
        stage.sandbox.fail_next(1, "redirect", status=308, location=f"https://{CANARY}:{CANARY}@evil.example/{CANARY}"),
        ask(stage),
    ),
    "The token endpoint redirects to itself": lambda stage: (
        stage.sandbox.fail_next(1, "redirect", location=f"/{CANARY}"),
        ask(stage),
    ),
    "The token endpoint redirects to nowhere": lambda stage: (
        stage.sandbox.fail_next(1, "redirect", location="https://[::1"),
        ask(stage),
    ),
    "No request can be sent in this environment": lambda stage: (
        stage.monkeypatch.setenv("SSL_CERT_FILE", "/none/ca.pem"),
        ask(stage),
    ),
    "The transport has a proxy": lambda stage: ask(
        stage,
        http=stage.stack.enter_context(httpx.HTTPTransport(proxy=stage.served(saying(b"")), verify=False)),
    ),
    "The transport is broken": lambda stage: ask(stage, http=FailingTransport(ZeroDivisionError(CANARY))),
    "The clock is broken": lambda stage: ask(stage, clock=BrokenClock()),
    # A member does not get in.
    "The member's password is wrong": lambda stage: sign_in_refused(stage, "invalid_grant"),
    "The member's password is wrong, with a 401": lambda stage: sign_in_refused(stage, "invalid_grant_401"),
    "The member is refused without a reason": lambda stage: sign_in_refused(stage, "unexplained"),
    "The member is refused without a reason again": lambda stage: sign_in_refused(stage, "unexplained", 5),
    "Every access token is refused": sign_in_suspended,
    "Two access tokens that were at hand are refused": sign_in_with_two_old_tokens,
    "Every access token is refused again": lambda stage: sign_in_suspended(stage, 2),
    "The member login is not answered": lambda stage: (
        stage.sandbox.fail_next(1, "hang", where="member"),
        sign_in(stage, timeout=httpx.Timeout(None, read=0.1)),
    ),
    "The member login meets trouble": lambda stage: (
        stage.sandbox.fail_next(1, "status", status=503, retry_after=7, where="member"),
        sign_in(stage),
    ),
    "A web page answers the member login": lambda stage: (
        stage.sandbox.fail_next(1, "html", where="member"),
        sign_in(stage),
    ),
    "The member login is redirected": lambda stage: (
        stage.sandbox.fail_next(1, "redirect", location=f"https://evil.example/{CANARY}", where="member"),
        sign_in(stage),
    ),
    "The Daxko is closed": lambda stage: sign_in(stage, closed=True),
    "No access token is to be had for the member": lambda stage: sign_in(
        stage, source=stage.source(credentials=stage.credentials(WRONG))
    ),
    # A store cannot be used.
    "The folder of a store is a file": lambda _: FileStore(os.devnull),
    "The folder of a store is a URL": lambda _: FileStore(f"redis://user:{CANARY}@localhost"),
    "The folder of a store is a number": lambda _: FileStore(5),  # type: ignore[arg-type]
    "The folder of a store cannot be used": store_on_a_full_disk,
    "A store is asked about a scope": lambda stage: FileStore(stage.folder / "none").read(WRONG),  # type: ignore[arg-type]
    "A store is to keep a token's text": lambda stage: FileStore(stage.folder / "none").write(
        TokenKey(stage.sandbox.base_url, stage.credentials(), ClientScope(9999)),
        WRONG,  # type: ignore[arg-type]
    ),
    "The folder of a store becomes open to others": store_in_an_open_folder,
    "The folder of a store stays locked": store_in_a_locked_folder,
    "The system cannot keep a folder private": lambda stage: (
        stage.monkeypatch.delattr(os, "geteuid"),
        FileStore(stage.folder),
    ),
    "The folder of a store is reached by a link": store_behind_a_link,
    "The user of a store has no home": lambda stage: (
        stage.monkeypatch.setattr(file_store, "user_cache_path", homeless),
        FileStore(),
    ),
    "The URL of a store is none": lambda _: RedisStore(f"redis://{CANARY}/{CANARY}@localhost"),
    "The URL of a store lets others in between": lambda _: RedisStore(f"rediss://:{CANARY}@one?ssl_cert_reqs=none"),
    "The URL of a store names no certificates": lambda _: RedisStore(f"rediss://:{CANARY}@one?ssl_ca_certs=/{CANARY}"),
    "The client of a store is async": lambda _: RedisStore(redis.asyncio.Redis()),
    "The client of a store decodes": lambda _: RedisStore(redis.Redis(decode_responses=True)),
    "The client of a store may wait for ever": lambda _: RedisStore(redis.Redis(socket_timeout=None)),
    "No Redis is where a store looks for it": lambda stage: stored(
        stage, RedisStore(f"redis://user:{CANARY}@127.0.0.1:1")
    ),
}

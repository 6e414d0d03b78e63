"""From the first token to the last: base URLs, transports, context, closing."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import ContextVar

import anyio
import httpx
import pytest
from support import START_THREAD, Ask, FakeClock, finish_renewals, flight_of, no_thread

from daxko_auth import (
    ApiCredentials,
    ClientScope,
    CredentialsError,
    MemoryStore,
    RenewalPolicy,
    TokenKey,
    TokenRequestError,
    TokenSource,
)
from daxko_auth.model.events import TokenRejected
from daxko_auth.model.shared_result import SharedResult
from daxko_auth.policy import source as source_module
from daxko_auth.policy.flight import Flight
from daxko_auth.policy.workers import _Waiting
from daxko_auth.sandbox import Sandbox


def test_nothing_is_sent_before_a_token_is_asked_for(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """A module that makes its source at import must not make a request at import."""
    TokenSource(credentials, sandbox.base_url).close()

    assert sandbox.log == []


def test_the_base_url_comes_from_the_environment_unless_it_is_passed(
    sandbox: Sandbox, credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same script runs against the sandbox and against Daxko."""
    assert TokenSource(credentials).origin.base_url == "https://api.daxko.com"

    monkeypatch.setenv("DAXKO_BASE_URL", sandbox.base_url)
    assert TokenSource(credentials).origin.base_url == sandbox.base_url
    assert TokenSource(credentials, "https://other.example").origin.base_url == "https://other.example"


@pytest.mark.parametrize("blank_or_bad", ["http://api.daxko.com", "https://api.daxko.com/v3"])
def test_a_bad_base_url_is_refused_by_the_name_of_its_setting(
    credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch, blank_or_bad: str
) -> None:
    """Whoever reads the message has to know which setting to change."""
    with pytest.raises(CredentialsError, match=r"^base_url"):
        TokenSource(credentials, blank_or_bad)
    monkeypatch.setenv("DAXKO_BASE_URL", blank_or_bad)
    with pytest.raises(CredentialsError, match=r"^DAXKO_BASE_URL"):
        TokenSource(credentials)


def test_something_else_than_credentials_is_refused_at_once() -> None:
    """A dictionary of settings would fail much later, in a thread, with its values in the traceback."""
    with pytest.raises(TypeError, match="from_env"):
        TokenSource({"username": "u"})  # type: ignore[arg-type]


class ElsewhereTransport:
    """Looks like a transport, and is of another library: its requests and answers are of other types."""

    def handle_request(self, request: object) -> object:
        """Answer nothing."""


@pytest.mark.parametrize("http", [ElsewhereTransport(), httpx.Client(), httpx.AsyncHTTPTransport(), "http://proxy"])
def test_a_transport_of_another_library_is_refused_by_name(credentials: ApiCredentials, http: object) -> None:
    """It would fail with the first token request, in a thread, far from where the mistake was made."""
    kind = f"{type(http).__module__}.{type(http).__qualname__}"
    with pytest.raises(TypeError, match=rf"^http is an httpx.BaseTransport, not {re.escape(kind)}; pass one"):
        TokenSource(credentials, "https://api.daxko.com", http=http)  # type: ignore[arg-type]


@pytest.mark.parametrize("scope", ["", "daxko_api_user", 0, True, 9999.0, None, [9999]])
def test_a_bad_scope_is_refused_before_anything_is_sent(
    sandbox: Sandbox, source: TokenSource, ask: Ask, scope: object
) -> None:
    """Also where it equals one in use: True is 1 and 9999.0 is 9999 to a dict."""
    ask(source, 9999)

    with pytest.raises(CredentialsError, match="number of a Daxko client"):
        ask(source, scope)
    assert sandbox.token_requests() == 1


def test_a_renewal_that_breaks_in_an_unforeseen_way_is_told_to_the_callers(
    sandbox: Sandbox, credentials: ApiCredentials, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that dies in silence would leave everybody waiting."""
    policy = RenewalPolicy()
    monkeypatch.setattr(RenewalPolicy, "renewal_age", lambda *_: 1 / 0)
    with (
        TokenSource(credentials, sandbox.base_url, policy=policy) as source,
        pytest.raises(TokenRequestError, match="ZeroDivisionError"),
    ):
        ask(source, 9999)


def test_a_transport_of_ones_own_carries_the_token_requests(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """For a proxy or a certificate of one's own; it is left open, because it is not ours."""
    seen: list[str] = []

    class Watching(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request.url.path)
            return super().handle_request(request)

        def close(self) -> None:
            seen.append("closed")
            super().close()

    with Watching() as transport:
        with TokenSource(credentials, sandbox.base_url, http=transport) as source:
            source.token(9999)
        assert seen == ["/v3/partners/oauth2/token"]


def test_the_renewal_runs_in_the_context_of_whoever_caused_it(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """Trace ids and log fields live in context variables; a thread starts without them."""
    customer: ContextVar[str] = ContextVar("customer", default="nobody")
    seen: list[str] = []

    class Watching(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(customer.get())
            return super().handle_request(request)

    customer.set("ymca")
    source = TokenSource(credentials, sandbox.base_url)
    with Watching() as transport:
        flying = TokenSource(credentials, sandbox.base_url, http=transport)
        flying.token(9999)
    source.close()

    assert seen == ["ymca"]


def test_a_closed_source_says_so(sandbox: Sandbox, source: TokenSource, ask: Ask) -> None:
    """Asking later must not start threads again behind a program that shuts down."""
    ask(source, 9999)
    source.close()

    for scope in (9999, 1234):
        with pytest.raises(TokenRequestError, match="closed"):
            ask(source, scope)
    assert isinstance(source.warm([9999])[ClientScope(9999)], TokenRequestError)
    assert sandbox.token_requests() == 1


def test_a_401_that_comes_after_the_end_is_handed_over(sandbox: Sandbox, source: TokenSource) -> None:
    """A program that shuts down during a call still gets the call's answer."""
    token = source.token(9999)
    source.close()

    source.reject(token)
    source.replacement_refused(token)

    assert source.refused_without_replay(token) is False


def test_a_source_closed_while_a_renewal_runs_keeps_no_token(sandbox: Sandbox, source: TokenSource) -> None:
    """What comes back late must not bring a closed source back to life."""
    sandbox.hold()
    # Released before its thread is waited for, whatever happens.
    with ThreadPoolExecutor(1) as pool, ExitStack() as last:
        last.callback(sandbox.release)
        waiting = pool.submit(source.token, 9999)
        sandbox.wait_for_token_requests(1)
        slot = source._slot_of(9999)
        source.close()
        with pytest.raises(TokenRequestError, match="closed"):
            waiting.result()
    finish_renewals(source)

    assert slot.current(source._process).held is None
    with pytest.raises(TokenRequestError, match="closed"):
        source.token(9999)


def test_a_closed_source_ends_its_waiting_for_a_retry(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """A renewal between two attempts must not go on for half a minute."""
    sandbox.fail_next(4, "status", status=503)
    source = TokenSource(credentials, sandbox.base_url, clock=clock)
    clock.wait = lambda event, _: source.close() or event.is_set()  # type: ignore[method-assign, func-returns-value]

    with pytest.raises(TokenRequestError):
        source.token(9999)

    assert sandbox.token_requests() == 1


def test_no_thread_is_left_when_nothing_is_under_way(source: TokenSource) -> None:
    """A library that keeps threads cannot be forked, and keeps programs from ending."""
    source.warm([9999, 1234])
    finish_renewals(source)

    assert [thread.name for thread in threading.enumerate() if "daxko-auth renewal" in thread.name] == []


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return what the end of a source waits for, without waiting."""
    found: list[object] = []
    monkeypatch.setattr(source_module, "_wait_for", found.extend)
    return found


@pytest.mark.parametrize("has_store", [True, False])
def test_closing_waits_only_for_a_request_whose_token_a_store_wants(
    sandbox: Sandbox, credentials: ApiCredentials, waited: list[object], has_store: bool
) -> None:
    """A program that is started each minute must not ask each time; nobody else needs to wait for what nobody keeps."""
    store = MemoryStore() if has_store else None
    key = TokenKey(sandbox.base_url, credentials, ClientScope(9999))
    with ThreadPoolExecutor(1) as pool, ExitStack() as last:
        last.callback(sandbox.release)
        source = TokenSource(credentials, sandbox.base_url, store=store)
        sandbox.hold()
        waiting = pool.submit(source.token, 9999)
        sandbox.wait_for_token_requests(1)
        flight = flight_of(source)
        assert flight is not None
        source.close()
        with pytest.raises(TokenRequestError, match="closed"):
            waiting.result()
        assert (flight.over in waited) is has_store
        sandbox.release()
        flight.over.wait()

    assert store is None or store.read(key) is not None


def test_closing_does_not_wait_for_what_was_not_sent(
    sandbox: Sandbox, credentials: ApiCredentials, waited: list[object]
) -> None:
    """A store that hangs would keep the program; and what was not sent is not sent any more."""
    inside, go_on = threading.Event(), threading.Event()

    class Hanging(MemoryStore):
        def read(self, key: TokenKey) -> None:
            inside.set()
            go_on.wait()

    with ThreadPoolExecutor(1) as pool, ExitStack() as last:
        last.callback(go_on.set)
        source = TokenSource(credentials, sandbox.base_url, store=Hanging())
        waiting = pool.submit(source.token, 9999)
        inside.wait()
        flight = flight_of(source)
        assert flight is not None
        source.close()
        with pytest.raises(TokenRequestError, match="closed"):
            waiting.result()
        assert flight.over not in waited
        go_on.set()
        flight.over.wait()
    assert sandbox.token_requests() == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_closing_on_an_event_loop_does_not_wait(
    credentials: ApiCredentials, waited: list[object], backend: str
) -> None:
    """All its other tasks would wait, too."""

    async def main() -> None:
        TokenSource(credentials, "https://daxko.example", on_event=lambda _: None).close()

    anyio.run(main, backend=backend)
    assert waited == []
    TokenSource(credentials, "https://daxko.example", on_event=lambda _: None).close()
    assert len(waited) == 1


def test_closing_where_no_thread_can_be_had_waits_for_nobody(
    credentials: ApiCredentials, waited: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token is to be dropped from the store, and Python shuts down: then its life has to do."""
    source = TokenSource(credentials, "https://daxko.example", store=MemoryStore())
    source._housekeeping._jobs.append(_Waiting(lambda: None))
    monkeypatch.setattr(START_THREAD, no_thread)
    source.close()
    assert len(waited) == 1, "only for the events, which are told at once where there are none"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_program_awaits_the_end(sandbox: Sandbox, credentials: ApiCredentials, backend: str) -> None:
    """`async with`, or `aclose` by hand: what happened before was told."""
    told: list[object] = []

    async def main() -> None:
        async with TokenSource(credentials, sandbox.base_url, on_event=told.append) as source:
            token = await source.atoken(9999)
            source.reject(token)
        with pytest.raises(TokenRequestError, match="closed"):
            await source.atoken(9999)
        await source.aclose()

    anyio.run(main, backend=backend)
    assert TokenRejected in map(type, told)


def test_the_end_of_the_program_lets_a_token_that_was_asked_for_reach_the_store(
    sandbox: Sandbox, credentials: ApiCredentials, waited: list[object]
) -> None:
    """Nobody has closed the source, and its thread would end with the program."""
    with ThreadPoolExecutor(1) as pool, ExitStack() as last:
        last.callback(sandbox.release)
        source = TokenSource(credentials, sandbox.base_url, store=MemoryStore())
        last.callback(source.close)
        sandbox.hold()
        waiting = pool.submit(source.token, 9999)
        sandbox.wait_for_token_requests(1)
        flight = flight_of(source)
        assert flight is not None
        source_module._finish([source])
        assert flight.over in waited
        sandbox.release()
        assert waiting.result()


def test_the_end_of_the_program_cancels_what_it_would_cut_off(
    credentials: ApiCredentials, waited: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal that waits for its turn at the store would send its request in the very last moment."""
    source = TokenSource(credentials, "https://daxko.example", store=MemoryStore())
    waiting = source._find(source._slot_of(9999))
    assert isinstance(waiting, Flight)
    monkeypatch.setattr(START_THREAD, lambda *_: None)
    source._workers.submit(waiting)
    source_module._finish([source])

    assert waited == [waiting.over]
    assert waiting.is_cancelled


def test_as_the_program_ends_nothing_is_renewed_behind_the_callers(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exit callback that sends a last call gets the token that is held."""
    first = source.token(9999)
    clock.pass_time(0.8 * first.expires_in)
    ended: SharedResult[bool] = SharedResult()
    ended.set(True)
    monkeypatch.setattr(source_module, "_at_exit", ended)
    assert source.token(9999) == first
    finish_renewals(source)
    assert sandbox.token_requests() == 1


def test_a_repr_names_the_account_and_no_secret(source: TokenSource, credentials: ApiCredentials) -> None:
    """A source ends up in logs and in tracebacks."""
    assert repr(source) == f"<TokenSource for 'daxko_api_user' at {source.origin.base_url}>"
    assert source.credentials is credentials

"""From the first token to the last: base URLs, stores, warm-up, closing, forks."""

import asyncio
import gc
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import ContextVar

import httpx
import pytest
from support import Ask, FakeClock, land_all

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    ClientScope,
    CredentialsError,
    MemoryStore,
    RenewalPolicy,
    TokenEndpointUnavailable,
    TokenKey,
    TokenRefused,
    TokenRequestError,
    TokenSource,
)
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


@pytest.mark.parametrize("blank_or_bad", ["", "http://api.daxko.com", "https://api.daxko.com/v3"])
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


@pytest.mark.parametrize("scope", ["", "daxko_api_user", 0, True, 9999.0, None, [9999]])
def test_a_bad_scope_is_refused_before_anything_is_sent(
    sandbox: Sandbox, source: TokenSource, ask: Ask, scope: object
) -> None:
    """Also where it equals one in use: True is 1 and 9999.0 is 9999 to a dict."""
    ask(source, 9999)

    with pytest.raises(CredentialsError, match="number of a Daxko client"):
        ask(source, scope)
    assert sandbox.token_requests() == 1


def test_sources_of_their_own_share_through_a_store(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """What a store is for: whoever shares it shares the tokens in it."""
    store = MemoryStore()
    with (
        TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as one,
        TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as other,
    ):
        assert one.token(9999) == other.token(9999)
    assert sandbox.token_requests() == 1


def test_sources_that_share_a_store_take_turns(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """Two cold sources at the same moment: the second finds what the first asked for."""
    store = MemoryStore()
    sandbox.hold()
    with ThreadPoolExecutor(2) as pool:
        sources = [TokenSource(credentials, sandbox.base_url, store=store) for _ in range(2)]
        tokens = [pool.submit(source.token, 9999) for source in sources]
        sandbox.wait_for_token_requests(1)
        sandbox.release()

        assert tokens[0].result() == tokens[1].result()
    assert sandbox.token_requests() == 1


def test_a_newer_token_in_the_store_spares_a_request(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """When one process of a fleet has renewed, the others take its token."""
    store = MemoryStore()
    with (
        TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as one,
        TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as other,
    ):
        one.token(9999)
        other.token(9999)
        clock.pass_time(86_400 * 0.76)
        one.token(9999)
        land_all(one)
        other.token(9999)
        land_all(other)

        assert one.token(9999) == other.token(9999)
    assert sandbox.token_requests() == 2


def test_an_older_token_in_the_store_is_no_renewal(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """A store that lost its last write must not take a process back to a token that ends sooner."""
    store = MemoryStore()
    with (
        TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as one,
        TokenSource(credentials, sandbox.base_url, clock=clock) as other,
    ):
        older = one.token(9999)
        clock.pass_time(60)
        newer = other.token(9999)
        with TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as third:
            assert third.token(9999) == older
            third._slots[9999].held = other._slots[9999].held
            clock.pass_time(86_400 * 0.76)
            assert third.token(9999) == newer
            land_all(third)
            assert third.token(9999) not in (older, newer)


def test_a_dead_token_in_the_store_is_not_taken(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """A store may be read by a process that starts tomorrow."""
    store = MemoryStore()
    with TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as one:
        yesterday = one.token(9999)
    clock.pass_time(86_400)
    with TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as other:
        assert other.token(9999) != yesterday


class BrokenStore:
    """Fails at one step, or at every one."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.memory = MemoryStore()

    def _at(self, step: str) -> None:
        if self.step in (step, "every"):
            raise OSError("the store is down")

    def read(self, key: TokenKey) -> AccessToken | None:
        """Read, or fail."""
        self._at("read")
        return self.memory.read(key)

    def write(self, key: TokenKey, token: AccessToken) -> None:
        """Write, or fail."""
        self._at("write")
        self.memory.write(key, token)

    def drop(self, key: TokenKey, token: AccessToken) -> None:
        """Drop, or fail."""
        self._at("drop")
        self.memory.drop(key, token)

    def turn(self, key: TokenKey, timeout: float) -> AbstractContextManager[None]:
        """Take a turn, or fail."""
        self._at("turn")
        return _Turn(self)


class _Turn:
    def __init__(self, store: BrokenStore) -> None:
        self.store = store

    def __enter__(self) -> None:
        self.store._at("enter")

    def __exit__(self, *_: object) -> None:
        self.store._at("exit")


@pytest.mark.parametrize("step", ["read", "write", "drop", "turn", "enter", "exit", "every"])
def test_a_store_that_fails_costs_no_caller_anything(
    sandbox: Sandbox,
    credentials: ApiCredentials,
    ask: Ask,
    caplog: pytest.LogCaptureFixture,
    step: str,
) -> None:
    """A shared store is there to save requests; when it is down they are made."""
    with TokenSource(credentials, sandbox.base_url, store=BrokenStore(step)) as source:
        first = ask(source, 9999)
        source.reject(first)
        assert ask(source, 9999) != first
    if step != "exit":
        assert "asked for directly" in caplog.text
    assert "is down" not in caplog.text, "what a store says may hold its password"


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


def test_warming_gets_every_token_and_reports_every_failure(sandbox: Sandbox, source: TokenSource) -> None:
    """One customer who left must not keep a fleet from starting."""
    outcome = source.warm([9999, "1234", 4321, "client:9999"], concurrency=2)

    assert list(outcome) == [ClientScope(9999), ClientScope(1234), ClientScope(4321)]
    assert outcome[ClientScope(9999)] == source.token(9999)
    assert isinstance(outcome[ClientScope(4321)], TokenRefused)
    assert sandbox.token_requests() == 3


def test_warming_is_bounded() -> None:
    """Five hundred customers at once would be five hundred requests at once."""
    with Sandbox(clients=range(1, 50)) as vendor, ThreadPoolExecutor(1) as pool:
        account = ApiCredentials(vendor.username, vendor.password, vendor.refresh_token)
        with TokenSource(account, vendor.base_url) as source:
            source.token(1)
            vendor.hold()
            warming = pool.submit(source.warm, range(2, 50), concurrency=3)
            vendor.wait_for_token_requests(4)
            assert vendor.token_requests() == 4
            vendor.release()
            assert len(warming.result()) == 48


def test_many_scopes_at_once_are_few_requests_at_once() -> None:
    """Five hundred scopes that turn stale together must not be five hundred threads, nor stall the loop."""
    with Sandbox(clients=range(1, 201)) as vendor:
        account = ApiCredentials(vendor.username, vendor.password, vendor.refresh_token)
        with TokenSource(account, vendor.base_url) as source:

            async def main() -> set[AccessToken]:
                return set(await asyncio.gather(*map(source.atoken, range(1, 201))))

            before = threading.active_count()
            vendor.hold()
            with ThreadPoolExecutor(1) as pool:
                tokens = pool.submit(asyncio.run, main())
                vendor.wait_for_token_requests(1)
                assert vendor.token_requests() == 1, "until the account is accepted, one at a time"
                vendor.release()
                vendor.hold()
                vendor.wait_for_token_requests(17)
                assert threading.active_count() - before <= 2 * 16 + 2
                vendor.release()
                assert len(tokens.result()) == 200


def test_a_wrong_password_is_sent_once_however_many_scopes(sandbox: Sandbox, clock: FakeClock) -> None:
    """Five hundred refusals lock the account as surely as one caller's five hundred."""
    wrong = ApiCredentials(sandbox.username, "wrong", sandbox.refresh_token)
    with TokenSource(wrong, sandbox.base_url, clock=clock) as source:
        outcome = source.warm(range(1, 101))

        assert {type(error) for error in outcome.values()} == {TokenRefused}
        assert {str(error).count("not asked for") for error in outcome.values()} == {0, 1}
        assert all(error.scope == scope.wire for scope, error in outcome.items() if isinstance(error, TokenRefused))
        assert sandbox.token_requests() == 1

        clock.pass_time(31)
        source.warm([8])
        with pytest.raises(TokenRefused, match="client:7, not asked for") as raised:
            source.token(7)
        assert raised.value.error == "invalid_client"
    assert sandbox.token_requests() == 2


def test_a_pause_that_daxko_asks_for_is_the_accounts(sandbox: Sandbox, source: TokenSource, clock: FakeClock) -> None:
    """Rate limits are per account: asking for the next customer at once would be the next 429."""
    sandbox.fail_next(1, "status", status=429, retry_after=3_600)

    for scope in (9999, 1234):
        with pytest.raises(TokenEndpointUnavailable) as raised:
            source.token(scope)
        assert raised.value.scope == f"client:{scope}"
    assert sandbox.token_requests() == 1

    clock.pass_time(31)
    assert source.token(1234)


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
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(source.token, 9999)
        sandbox.wait_for_token_requests(1)
        slot = source._slots[9999]
        source.close()
        with pytest.raises(TokenRequestError, match="closed"):
            waiting.result(timeout=5)
    sandbox.release()
    land_all(source)

    assert slot.held is None
    assert isinstance(slot.board(source._launch), TokenRequestError)


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
    land_all(source)

    assert [thread.name for thread in threading.enumerate() if "daxko-auth renewal" in thread.name] == []


def test_a_source_that_nobody_holds_is_collected(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """A source per tenant must not be a leak per tenant."""
    source = TokenSource(credentials, sandbox.base_url)
    source.token(9999)
    land_all(source)
    gone = weakref.ref(source)

    del source
    gc.collect()

    assert gone() is None


def test_a_repr_names_the_account_and_no_secret(source: TokenSource, credentials: ApiCredentials) -> None:
    """A source ends up in logs and in tracebacks."""
    assert repr(source) == f"<TokenSource for 'daxko_api_user' at {source.origin.base_url}>"
    assert source.credentials is credentials


def _in_child(check: Callable[[], bool]) -> bool:
    """Fork, run `check` in the child, and return whether it came back true."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if check() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_child_process_keeps_the_tokens_and_asks_for_none(sandbox: Sandbox, source: TokenSource) -> None:
    """`gunicorn --preload`: what the parent has asked for is good in every worker."""
    token = source.token(9999)

    assert _in_child(lambda: source.token(9999) == token)
    assert sandbox.token_requests() == 1


def test_a_child_forked_during_a_renewal_asks_for_itself(sandbox: Sandbox, source: TokenSource) -> None:
    """The parent's thread does not exist in the child; waiting for it would be for ever."""
    sandbox.hold()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(source.token, 9999)
        sandbox.wait_for_token_requests(1)
        with source._lock, source._slots[9999]._lock:
            releaser = threading.Timer(0.05, sandbox.release)
            releaser.start()
            assert _in_child(lambda: source.token(9999).scope.client_id == 9999)
        releaser.join()
        assert waiting.result()
    assert sandbox.token_requests() == 2


def test_a_child_of_a_closed_source_has_a_closed_source(source: TokenSource) -> None:
    """Closing is final, in every copy."""
    source.close()

    def is_closed() -> bool:
        try:
            source.token(9999)
        except TokenRequestError:
            return True
        return False

    assert _in_child(is_closed)

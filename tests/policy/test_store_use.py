"""What a source does with a store that it shares with others, and with one that fails."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from typing import Any

import anyio
import pytest
from support import NOON, START_THREAD, Ask, FakeClock, finish_renewals, kept_house, no_thread

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    ClientScope,
    MemoryStore,
    RenewalPolicy,
    Secret,
    TokenKey,
    TokenRefused,
    TokenSource,
)
from daxko_auth.policy import source as source_module
from daxko_auth.sandbox import Sandbox
from daxko_auth.wire.token_response import utc


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
        finish_renewals(one)
        other.token(9999)
        finish_renewals(other)

        assert one.token(9999) == other.token(9999)
    assert sandbox.token_requests() == 2


def test_an_older_token_in_the_store_is_no_renewal(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """A store that lost its last write must not take a process back to a token that ends sooner."""
    store = MemoryStore()
    key = TokenKey(sandbox.base_url, credentials, ClientScope(9999))
    with (
        TokenSource(credentials, sandbox.base_url, clock=clock) as other,
        TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as source,
    ):
        older = other.token(9999)
        clock.pass_time(60)
        newer = source.token(9999)
        store.write(key, older)
        clock.pass_time(86_400 * 0.76)
        assert source.token(9999) == newer
        finish_renewals(source)
        assert source.token(9999) not in (older, newer)


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
    assert "asked for directly" in caplog.text
    assert "is down" not in caplog.text, "what a store says may hold its password"


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings about the store."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and "token store" in record.getMessage()
    ]


def test_a_turn_that_was_not_taken_is_not_given_back(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """It would be somebody else's by now, or a second trouble about the first."""
    ended: list[str] = []

    class Turn(_Turn):
        def __exit__(self, *_: object) -> None:
            ended.append("exit")

    class Store(BrokenStore):
        def turn(self, key: TokenKey, timeout: float) -> Turn:
            return Turn(self)

    store = Store("enter")
    with TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as source:
        source.token(9999)
        assert ended == []
        store.step = "none"
        clock.pass_time(5)
        source.token(1234)
        assert ended == ["exit"]


def test_a_store_that_stays_down_is_warned_of_once_a_window_and_used_again_when_it_is_back(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Five hundred scopes and a store that is down must not be thousands of lines; nor must it take a restart."""
    store = BrokenStore("every")
    with TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as source:
        for scope in (9999, 1234):
            source.token(scope)
        assert len(warnings_of(caplog)) == 1
        clock.pass_time(54)
        source.reject(source.token(1234))
        source.token(1234)
        assert len(warnings_of(caplog)) == 1
        clock.pass_time(6)
        source.reject(source.token(9999))
        source.token(9999)
        assert len(warnings_of(caplog)) == 2

        store.step = "none"
        clock.pass_time(5)
        source.reject(source.token(1234))
        kept = source.token(1234)
    assert len(warnings_of(caplog)) == 2
    with TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as other:
        assert other.token(1234) == kept


@pytest.mark.parametrize("garbage", ["canary", b"canary", {"access_token": "canary"}, 7, object()])
def test_what_is_no_token_in_a_store_is_a_miss(
    sandbox: Sandbox, credentials: ApiCredentials, caplog: pytest.LogCaptureFixture, garbage: object
) -> None:
    """Another version or another program may have written it."""
    store = BrokenStore("none")
    store.read = lambda _: garbage  # type: ignore[assignment, misc, return-value]
    with TokenSource(credentials, sandbox.base_url, store=store) as source:
        assert source.token(9999).scope.client_id == 9999
    assert warnings_of(caplog) == ["token store: read failed (TypeError); tokens are asked for directly"]
    assert sandbox.token_requests() == 1


class StoreOf:
    """Returns whatever it was made with, and keeps nothing."""

    def __init__(self, kept: object) -> None:
        self.kept = kept
        self.reads = 0
        self.written: list[AccessToken] = []

    def read(self, key: TokenKey) -> Any:
        """Return it."""
        self.reads += 1
        return self.kept

    def write(self, key: TokenKey, token: AccessToken) -> None:
        """Note it."""
        self.written.append(token)

    def drop(self, key: TokenKey, token: AccessToken) -> None:
        """Forget nothing."""

    def turn(self, key: TokenKey, timeout: float) -> AbstractContextManager[None]:
        """Let everybody pass."""
        return nullcontext()


# Stores may be anybody's, and an attrs class takes what it is given.
UNUSABLE = {
    "no life": AccessToken(ClientScope(9999), Secret("canary"), utc(NOON + 86_400), 0),
    "a naive end": AccessToken(ClientScope(9999), Secret("canary"), utc(NOON + 90_000).replace(tzinfo=None), 86_400),
    "a text for an end": AccessToken(ClientScope(9999), Secret("canary"), "tomorrow", 86_400),  # type: ignore[arg-type]
    "a text for a scope": AccessToken("client:9999", Secret("canary"), utc(NOON + 86_400), 86_400),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kept", UNUSABLE.values(), ids=UNUSABLE)
def test_a_store_whose_token_cannot_be_reckoned_with_costs_no_caller_anything(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, ask: Ask, kept: AccessToken
) -> None:
    """A store of somebody's own forgot the time zone: that must not fail the renewals of the whole fleet."""
    store = StoreOf(None)
    with TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as source:
        token = ask(source, 9999)
        store.kept = kept
        clock.pass_time(86_400 * 0.76)
        ask(source, 9999)
        finish_renewals(source)
        renewed = ask(source, 9999)

    assert renewed not in (token, kept)
    assert store.written == [token, renewed]


def test_a_token_of_somebody_else_is_not_taken_from_a_store(
    sandbox: Sandbox, credentials: ApiCredentials, ask: Ask
) -> None:
    """A store whose keys got mixed up must not open one customer's data to another."""
    with TokenSource(credentials, sandbox.base_url) as other:
        store = StoreOf(other.token(1234))
    with TokenSource(credentials, sandbox.base_url, store=store) as source:
        assert ask(source, 9999).scope == ClientScope(9999)
    assert sandbox.token_requests() == 2


@pytest.mark.parametrize("other", ["rotated password", "another username", "another host", "another scope"])
def test_nothing_is_shared_through_a_store_unless_all_is_the_same(
    sandbox: Sandbox, credentials: ApiCredentials, other: str
) -> None:
    """A key that leaves out the password serves a token to whoever knows the name."""
    store = MemoryStore()
    secrets = (sandbox.password, sandbox.refresh_token)
    account, scope, base_url = credentials, 9999, sandbox.base_url
    match other:
        case "rotated password":
            account = ApiCredentials(sandbox.username, "rotated", sandbox.refresh_token)
        case "another username":
            account = ApiCredentials("somebody", *secrets)
        case "another host":
            base_url = base_url.replace("127.0.0.1", "localhost")
        case _:
            scope = 1234
    with (
        TokenSource(credentials, sandbox.base_url, store=store) as one,
        TokenSource(account, base_url, store=store) as another,
    ):
        one.token(9999)
        with suppress(TokenRefused):  # where it is asked, and rightly refused
            another.token(scope)
    assert sandbox.token_requests() == 2


def test_whoever_holds_the_turn_for_ever_delays_the_others_by_half_a_deadline(
    sandbox: Sandbox, credentials: ApiCredentials, ask: Ask
) -> None:
    """The holder may have died with the turn in its hand; nobody takes it away, and nobody waits for it for ever."""
    waited: list[float] = []

    class Impatient(MemoryStore):
        def turn(self, key: TokenKey, timeout: float) -> AbstractContextManager[None]:
            waited.append(timeout)
            return super().turn(key, 0.01)

    store = Impatient()
    key = TokenKey(sandbox.base_url, credentials, ClientScope(9999))
    with (
        TokenSource(credentials, sandbox.base_url, store=store, policy=RenewalPolicy(deadline=50)) as source,
        MemoryStore.turn(store, key, timeout=0),
    ):
        token = ask(source, 9999)
        assert store._turns[key].locked(), "it is still the other's turn"
    assert waited == [25]
    assert store.read(key) == token
    assert sandbox.token_requests() == 1


def test_twenty_sources_that_share_a_store_cost_one_request_when_their_token_ends(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """A fleet notices the end of a token at the same moment."""
    store = MemoryStore()
    sources = [TokenSource(credentials, sandbox.base_url, store=store, clock=clock) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        for requests in (1, 2):
            sandbox.hold()
            tokens = [pool.submit(source.token, 9999) for source in sources]
            sandbox.wait_for_token_requests(requests)
            sandbox.release()
            assert len({token.result() for token in tokens}) == 1
            assert sandbox.token_requests() == requests
            clock.pass_time(86_400)


def test_ten_thousand_calls_with_a_token_at_hand_read_the_store_once(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, ask: Ask
) -> None:
    """A store across the network for every call is a second outage to wait for."""
    store = StoreOf(None)
    with TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as source:
        ask(source, 9999)

        async def often() -> None:
            for _ in range(5_000):
                await source.atoken(9999)

        anyio.run(often)
        for _ in range(5_000):
            source.token(9999)
    assert store.reads == 1
    assert sandbox.token_requests() == 1


@pytest.mark.parametrize("stored", [True, False])
def test_a_day_of_calls_costs_two_requests(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, stored: bool
) -> None:
    """A cache that lives five minutes makes 288 requests of them."""
    store = MemoryStore() if stored else None
    with TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as source:
        for _ in range(24 * 60):
            source.token(9999)
            finish_renewals(source)
            clock.pass_time(60)
    assert sandbox.token_requests() == 2


@pytest.mark.parametrize("how", ["reject", "refused_without_replay"])
def test_a_rejected_token_leaves_the_store_at_once(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, how: str
) -> None:
    """A process that starts a second later must not begin with a token that a server refused."""
    store = MemoryStore()
    key = TokenKey(sandbox.base_url, credentials, ClientScope(9999))
    with TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as source:
        token = source.token(9999)
        finish_renewals(source)
        assert store.read(key) == token
        getattr(source, how)(token)
        kept_house(source)
        assert store.read(key) is None


def test_a_rejection_for_which_no_thread_can_be_had_is_no_error(
    sandbox: Sandbox, credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next renewal sees to the store."""
    store = MemoryStore()
    with TokenSource(credentials, sandbox.base_url, store=store) as source:
        token = source.token(9999)
        finish_renewals(source)
        with monkeypatch.context() as patched:
            patched.setattr(START_THREAD, no_thread)
            source.reject(token)
        assert source.token(9999) != token
        assert store.read(TokenKey(sandbox.base_url, credentials, ClientScope(9999))) == source.token(9999)


def test_a_store_that_hangs_holds_up_no_rejection_and_its_queue_is_bounded(
    sandbox: Sandbox, credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that got a 401 has to go on; and what waits for a store that is down must not grow without end."""
    monkeypatch.setattr(source_module, "_LONGEST_HOUSEKEEPING", 2)
    inside, go_on = threading.Event(), threading.Event()
    dropped: list[AccessToken] = []

    class Hanging(MemoryStore):
        def drop(self, key: TokenKey, token: AccessToken) -> None:
            inside.set()
            go_on.wait()
            dropped.append(token)

    with TokenSource(credentials, sandbox.base_url, store=Hanging()) as source, ExitStack() as last:
        last.callback(go_on.set)
        token = source.token(9999)
        finish_renewals(source)
        source.reject(token)
        inside.wait()
        for _ in range(10):
            source.reject(token)
        go_on.set()
        kept_house(source)

    assert dropped == [token] * 3, "one at the store, and two that waited"


def test_a_store_that_failed_is_left_alone_for_a_moment(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """One that does not answer costs its timeout at every step of every renewal, and callers wait for that."""
    store = BrokenStore("turn")
    tried: list[str] = []
    fail_or_not = store._at
    store._at = lambda step: (tried.append(step), fail_or_not(step))[1]  # type: ignore[method-assign, func-returns-value]
    with TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as source:
        source.token(9999)
        assert tried == ["turn"]
        source.token(1234)
        assert tried == ["turn"]

        store.step = "none"
        clock.pass_time(5)
        source.reject(source.token(9999))
        kept_house(source)
        source.token(9999)
    assert tried == ["turn", "drop", "turn", "enter", "read", "write", "exit"]


def test_a_turn_is_given_back_also_to_a_store_that_failed_meanwhile(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """Others wait for it."""
    store = BrokenStore("write")
    left: list[str] = []
    store._at = lambda step: left.append(step) or BrokenStore._at(store, step)  # type: ignore[method-assign, func-returns-value]
    with TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as source:
        source.token(9999)
    assert left == ["turn", "enter", "read", "write", "exit"]

"""What a program is told of its tokens: everything that happens, and nothing that comes back at it."""

import logging
import re
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import pytest
from support import START_THREAD, Ask, FakeClock, finish_renewals, in_child, no_thread, told_all

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    ClientScope,
    DaxkoAuth,
    MemoryStore,
    TokenRefused,
    TokenRequestError,
    TokenSource,
    events,
)
from daxko_auth.model.events import Event
from daxko_auth.policy.announcer import Announcer
from daxko_auth.sandbox import Sandbox

SCOPE = ClientScope(9999)
DAY = 86_400

Listen = Callable[..., tuple[TokenSource, list[Event]]]


@pytest.fixture
def listened(sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock) -> Any:
    """Return a source, and the list of what it tells."""
    told: list[Event] = []
    with TokenSource(credentials, sandbox.base_url, on_event=told.append, clock=clock) as source:
        yield source, told


def test_a_first_token_is_told_as_joined_requested_and_renewed(
    listened: tuple[TokenSource, list[Event]], clock: FakeClock, ask: Ask
) -> None:
    """The request with how long it took, the token by its fingerprint."""
    source, told = listened
    sent_at = clock.wall()
    token = ask(source, 9999)
    told_all(source)

    assert sorted(told, key=repr) == sorted(
        [
            events.RenewalJoined(SCOPE),
            events.TokenRequested(SCOPE, sent_at=sent_at, seconds=0, attempt=1, error=None),
            events.TokenRenewed(SCOPE, token.fingerprint, token.expires_at),
        ],
        key=repr,
    )
    told.clear()
    assert ask(source, 9999) == token
    told_all(source)
    assert told == [], "a token at hand is nothing to tell of"


def test_each_attempt_is_told_with_its_number_and_its_error(
    sandbox: Sandbox, listened: tuple[TokenSource, list[Event]]
) -> None:
    """An operator counts answers, not renewals."""
    source, told = listened
    sandbox.fail_next(2, "status", status=503)
    source.token(9999)
    told_all(source)

    requested = [event for event in told if isinstance(event, events.TokenRequested)]
    assert [(each.attempt, each.error and each.error.status_code) for each in requested] == [
        (1, 503),
        (2, 503),
        (3, None),
    ]


def test_a_stale_token_and_a_failure_behind_the_callers_are_told(
    sandbox: Sandbox, listened: tuple[TokenSource, list[Event]], clock: FakeClock, ask: Ask
) -> None:
    """Six hours before the token ends, this is the only sign of it."""
    source, told = listened
    token = ask(source, 9999)
    told_all(source)
    told.clear()
    clock.pass_time(DAY * 0.76)
    sandbox.fail_next(1, "status", status=400, error="invalid_client")
    assert ask(source, 9999) == token
    told_all(source)

    assert events.StaleTokenServed(SCOPE, token.fingerprint) in told
    (failed,) = (event for event in told if isinstance(event, events.RenewalFailed))
    assert (failed.scope, failed.unnoticed, type(failed.error)) == (SCOPE, True, TokenRefused)


def test_a_failure_that_callers_get_is_told_as_noticed(
    sandbox: Sandbox, listened: tuple[TokenSource, list[Event]], ask: Ask
) -> None:
    """The difference between a line in a log and a call in the night."""
    source, told = listened
    sandbox.fail_next(1, "status", status=400, error="invalid_client")
    with pytest.raises(TokenRefused):
        ask(source, 9999)
    told_all(source)

    assert [event.unnoticed for event in told if isinstance(event, events.RenewalFailed)] == [False]


def test_a_401_and_its_replay_are_told(sandbox: Sandbox, listened: tuple[TokenSource, list[Event]]) -> None:
    """Which token was refused, and which was sent instead."""
    source, told = listened
    first = source.token(9999)
    sandbox.revoke(9999)
    with httpx.Client(base_url=sandbox.base_url, auth=DaxkoAuth(source, 9999)) as http:
        assert http.get("/v3/x").status_code == 200
    second = source.token(9999)
    told_all(source)

    rejected = told.index(events.TokenRejected(SCOPE, first.fingerprint))
    assert told.index(events.RenewalJoined(SCOPE), rejected), "the call waits for the renewal that it began"
    assert events.CallReplayed(SCOPE, first.fingerprint, second.fingerprint) in told


def test_a_token_that_is_rejected_by_hand_or_without_a_replay_is_told(
    listened: tuple[TokenSource, list[Event]],
) -> None:
    """Whoever counts 401s counts these, too."""
    source, told = listened
    first = source.token(9999)
    source.reject(first)
    second = source.token(9999)
    source.refused_without_replay(second)
    told_all(source)

    rejected = [event for event in told if isinstance(event, events.TokenRejected)]
    assert rejected == [events.TokenRejected(SCOPE, token.fingerprint) for token in (first, second)]


def test_a_replay_that_is_refused_is_told(listened: tuple[TokenSource, list[Event]]) -> None:
    """A suspended account looks like this."""
    source, told = listened
    token = source.token(9999)
    source.replacement_refused(token)
    source.replacement_refused(token)
    told_all(source)

    assert told.count(events.ReplacementRefused(SCOPE, token.fingerprint)) == 2


class _StoreThatIsDown(MemoryStore):
    def read(self, key: object) -> AccessToken | None:
        raise OSError("canary")


def test_a_store_that_fails_is_told_by_step_and_kind(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """The log says it once a minute; whoever counts wants each, without what the store says, which may be secret."""
    told: list[Event] = []
    with TokenSource(
        credentials, sandbox.base_url, on_event=told.append, store=_StoreThatIsDown(), clock=clock
    ) as source:
        source.token(9999)
        told_all(source)

    assert [event for event in told if isinstance(event, events.StoreFailed)] == [
        events.StoreFailed(SCOPE, "read", "OSError")
    ]


@pytest.mark.parametrize("trouble", [ValueError("canary"), SystemExit(3)])
def test_a_callback_that_fails_harms_nobody(
    sandbox: Sandbox,
    credentials: ApiCredentials,
    ask: Ask,
    caplog: pytest.LogCaptureFixture,
    trouble: BaseException,
) -> None:
    """It is somebody's metrics. Even one that ends its thread must not end a renewal."""

    def fail(event: Event) -> None:
        if isinstance(trouble, Exception) or threading.current_thread() is not threading.main_thread():
            raise trouble

    with TokenSource(credentials, sandbox.base_url, on_event=fail) as source:
        first = ask(source, 9999)
        source.reject(first)
        assert ask(source, 9999) != first
        told_all(source)

    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1
    kinds = "RenewalJoined|TokenRequested|TokenRenewed|TokenRejected"
    assert re.fullmatch(
        rf"on_event failed \({type(trouble).__name__}\) at ({kinds}); tokens are not affected", warned[0]
    )


def test_without_a_thread_an_event_is_told_where_it_happens_and_ctrl_c_is_not_swallowed(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Python shuts down there may be none. In the main thread, Ctrl-C comes in whatever that is doing."""

    def interrupted(event: Event) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(START_THREAD, no_thread)
    announce = Announcer(interrupted, clock)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            announce(events.RenewalJoined(SCOPE))


def test_a_callback_that_blocks_holds_up_no_caller(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, ask: Ask
) -> None:
    """A log shipper or a metrics server that does not answer is somebody else's outage."""
    told: list[Event] = []
    go_on = threading.Event()

    def blocked(event: Event) -> None:
        go_on.wait()
        told.append(event)

    with ExitStack() as last:
        source = last.enter_context(TokenSource(credentials, sandbox.base_url, on_event=blocked, clock=clock))
        last.callback(go_on.set)
        first = ask(source, 9999)
        assert ask(source, 1234)
        source.reject(first)
        assert ask(source, 9999) != first
        assert told == []
        go_on.set()
        told_all(source)

    assert [type(event) for event in told].count(events.TokenRenewed) == 3, "it is told late, and nothing is lost"


def test_a_source_that_is_closed_tells_what_happened_before(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """The last events of a program that runs each minute are all that it has."""
    told: list[Event] = []
    with TokenSource(credentials, sandbox.base_url, on_event=told.append) as source:
        token = source.token(9999)
        finish_renewals(source)

    assert events.TokenRenewed(SCOPE, token.fingerprint, token.expires_at) in told
    before = len(told)
    source._announce(events.RenewalJoined(SCOPE))
    assert len(told) == before, "what happens after the end is told to nobody"


def test_a_callback_may_close_its_source(sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock) -> None:
    """It must not wait for its own end."""
    closed = threading.Event()

    def close(event: Event) -> None:
        source.close()
        closed.set()

    source = TokenSource(credentials, sandbox.base_url, on_event=close, clock=clock)
    with suppress(TokenRequestError):
        source.token(9999)
    closed.wait()
    told_all(source)


def test_events_that_nobody_takes_are_dropped_oldest_first_and_it_is_said(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback that hangs must not fill the memory; and whoever counts has to know what is missing."""
    monkeypatch.setattr("daxko_auth.policy.announcer.LONGEST_QUEUE", 3)
    told: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def slow(event: Event) -> None:
        inside.set()
        go_on.wait()
        told.append(event.scope.wire)

    announce = Announcer(slow, clock)
    announce(events.RenewalJoined(ClientScope(1)))
    inside.wait()
    for number in range(2, 7):
        announce(events.RenewalJoined(ClientScope(number)))
    end = announce.end()
    go_on.set()
    end.wait()

    assert told == ["client:1", "client:4", "client:5", "client:6"]
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "on_event is too slow: 2 events were dropped; keep it short"
    ]


def test_a_callback_may_ask_for_tokens(sandbox: Sandbox, credentials: ApiCredentials, ask: Ask) -> None:
    """No lock is held; and what it causes in its own thread is not told again, without end."""
    told: list[Event] = []
    asked: list[AccessToken] = []

    def curious(event: Event) -> None:
        told.append(event)
        if isinstance(event, events.TokenRenewed | events.RenewalJoined):
            asked.append(source.token(1234))

    with TokenSource(credentials, sandbox.base_url, on_event=curious) as source:
        token = ask(source, 9999)
        told_all(source)

    assert token.scope == SCOPE
    assert {each.scope for each in asked} == {ClientScope(1234)}
    assert sandbox.token_requests() == 2
    assert [event for event in told if isinstance(event, events.RenewalJoined)] == [events.RenewalJoined(SCOPE)]


def test_events_are_told_one_after_another_and_in_order(clock: FakeClock) -> None:
    """Most callbacks are not made for two threads at once; and what came first is told first."""
    told: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def slow(event: Event) -> None:
        inside.set()
        go_on.wait()
        told.append(type(event).__name__)

    announce = Announcer(slow, clock)
    announce(events.RenewalJoined(SCOPE))
    inside.wait()
    announce(events.StaleTokenServed(SCOPE, "0123abcd"))
    end = announce.end()
    assert told == []
    go_on.set()
    end.wait()

    assert told == ["RenewalJoined", "StaleTokenServed"]


def test_a_child_process_tells_its_own_events_and_none_of_its_parents(clock: FakeClock) -> None:
    """Two lines for one request would be one too many; and the thread that told does not exist in the child."""
    told: list[Event] = []
    inside, go_on = threading.Event(), threading.Event()

    def slow(event: Event) -> None:
        inside.set()
        go_on.wait()
        told.append(event)

    announce = Announcer(slow, clock)
    announce(events.RenewalJoined(SCOPE))
    inside.wait()

    def child() -> bool:
        announce.after_fork_in_child()
        go_on.set()
        announce(events.StaleTokenServed(SCOPE, "0123abcd"))
        return announce.end().wait() and told == [events.StaleTokenServed(SCOPE, "0123abcd")]

    assert in_child(child)
    go_on.set()
    announce.end().wait()
    assert told == [events.RenewalJoined(SCOPE)]


def test_every_kind_of_event_is_public_and_names_its_scope() -> None:
    """A program that tells them apart needs their names."""
    kinds = [kind for name, kind in vars(events).items() if isinstance(kind, type) and hasattr(kind, "__attrs_attrs__")]
    own = [kind for kind in kinds if kind.__module__ == events.__name__]

    assert set(Event.__args__) == set(own)
    assert all("scope" in kind.__annotations__ for kind in own)


class _Closed:
    """Something to be awaited, by somebody else's library."""

    def __await__(self) -> Any:
        """Never end."""

    def close(self) -> None:
        """Fail."""
        raise ZeroDivisionError


class _NotClosed:
    """The same, with nothing to close."""

    def __await__(self) -> Any:
        """Never end."""


async def _coroutine(event: Event) -> None:
    raise AssertionError(event)


def _generator(event: Event) -> Any:
    yield event


async def _async_generator(event: Event) -> Any:
    yield event


@pytest.mark.parametrize(
    "returned", [_coroutine, _generator, _async_generator, lambda _: _Closed(), lambda _: _NotClosed()]
)
def test_what_a_callback_returns_to_be_awaited_is_closed_and_warned_of_once(
    sandbox: Sandbox,
    credentials: ApiCredentials,
    caplog: pytest.LogCaptureFixture,
    returned: Callable[[Event], object],
) -> None:
    """No function says of itself what it returns: `lambda event: queue.put(event)` loses every event."""
    made: list[object] = []

    def listen(event: Event) -> object:
        made.append(returned(event))
        return made[-1]

    with TokenSource(credentials, sandbox.base_url, on_event=listen) as source:
        assert source.token(9999)
        told_all(source)

    kind = type(made[0]).__name__
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(made) > 1
    (line,) = warned
    assert line.startswith(f"on_event returned something to be awaited ({kind}), and nobody awaits it; pass a plain")

"""What a program is told of its tokens: everything that happens, and nothing that comes back at it."""

import logging
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from support import PATIENCE, Ask, FakeClock, land_all, told_all

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
from daxko_auth.model import threads
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


def test_where_no_thread_can_be_had_it_is_told_in_the_callers_own_and_ctrl_c_goes_on(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C comes as an exception, in whatever the main thread is doing."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    def interrupted(event: Event) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(threads._thread, "start_new_thread", refuse)
    announce = Announcer(interrupted, clock)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            announce(events.RenewalJoined(SCOPE))


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


def test_a_callback_that_blocks_holds_up_no_renewal_and_loses_the_oldest_events(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody's metrics are down: tokens go on, memory does not grow, and the log says what was lost."""
    told: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def slow(event: Event) -> None:
        told.append(event.fingerprint if isinstance(event, events.StaleTokenServed) else "first")
        inside.set()
        go_on.wait()

    monkeypatch.setattr("daxko_auth.policy.announcer.LONGEST_QUEUE", 3)
    announce = Announcer(slow, clock)
    announce(events.RenewalJoined(SCOPE))
    inside.wait()
    for number in range(5):
        announce(events.StaleTokenServed(SCOPE, str(number)))
    ended = announce.end()
    announce(events.StaleTokenServed(SCOPE, "after the end"))
    go_on.set()

    assert ended.wait(PATIENCE)
    assert told == ["first", "2", "3", "4"]
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == ["on_event is too slow: 2 events were dropped; keep it short"]


def test_the_end_of_a_source_waits_until_all_was_told(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """A program that counts its token requests, and ends."""
    told: list[Event] = []
    with TokenSource(credentials, sandbox.base_url, on_event=told.append) as source:
        token = source.token(9999)
        land_all(source)
    assert told[-1] == events.TokenRenewed(SCOPE, token.fingerprint, token.expires_at)


def test_a_source_may_be_closed_from_its_callback(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """It must not wait for itself."""
    closed = threading.Event()

    def close(event: Event) -> None:
        source.close()
        closed.set()

    source = TokenSource(credentials, sandbox.base_url, on_event=close)
    with suppress(TokenRequestError):
        source.token(9999)
    closed.wait()


def test_every_kind_of_event_is_public_and_names_its_scope() -> None:
    """A program that tells them apart needs their names."""
    kinds = [kind for name, kind in vars(events).items() if isinstance(kind, type) and hasattr(kind, "__attrs_attrs__")]
    own = [kind for kind in kinds if kind.__module__ == events.__name__]

    assert set(Event.__args__) == set(own)
    assert all("scope" in kind.__annotations__ for kind in own)

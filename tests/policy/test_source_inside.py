"""What a source promises beside its tokens: no lock where it is busiest, few requests, a life after a fork."""

import copy
import logging
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support import Ask, FakeClock, land_all

from daxko_auth import ApiCredentials, ClientScope, TokenEndpointUnavailable, TokenRequestError, TokenSource
from daxko_auth.policy.flight import Flight
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.source import _given_up_error
from daxko_auth.sandbox import Sandbox


@pytest.mark.parametrize("scope", [9999, "9999", "client:9999", ClientScope(9999)], ids=repr)
def test_a_fresh_token_is_handed_out_without_a_lock(source: TokenSource, ask: Ask, scope: Any) -> None:
    """Nearly every call comes to this, in every thread at once."""
    token = ask(source, scope)
    (slot,) = set(source._slots.values())
    locks = (source._lock, slot._lock)
    with ThreadPoolExecutor(1) as elsewhere, ThreadPoolExecutor(1) as asking:
        for lock in locks:
            elsewhere.submit(lock.acquire).result()
        try:
            assert asking.submit(ask, source, scope).result() is token
        finally:
            for lock in locks:
                elsewhere.submit(lock.release).result()


@pytest.mark.parametrize(("options", "bound"), [({}, 8), ({"concurrency": 3}, 3)], ids=["by default", "three"])
def test_warming_asks_for_no_more_at_a_time_than_it_was_told(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, int], bound: int
) -> None:
    """Counted at the moment it first waits, when as many are under way as ever will be."""
    under_way: list[int] = []
    join: Callable[[Flight[Any]], Any] = Flight.join

    with Sandbox(clients=range(1, 20)) as vendor:
        account = ApiCredentials(vendor.username, vendor.password, vendor.refresh_token)
        with TokenSource(account, vendor.base_url) as source:

            def counted(flight: Flight[Any]) -> Any:
                under_way.append(sum(slot.flight is not None for slot in set(source._slots.values())))
                vendor.release()
                return join(flight)

            vendor.hold()
            monkeypatch.setattr(Flight, "join", counted)
            assert len(source.warm(range(1, 20), **options)) == 19

    assert under_way[0] == bound


def test_a_hold_is_announced_once_with_all_that_one_needs_to_look(
    source: TokenSource, caplog: pytest.LogCaptureFixture
) -> None:
    """Which scope, which origin, which token, for how long, and what to check."""
    token = source.token(9999)
    source.replacement_refused(token)
    (announced,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    source.replacement_refused(token)

    assert [record for record in caplog.records if record.levelno == logging.WARNING] == [announced]
    assert announced.getMessage() == (
        f"client:9999: {source.origin.base_url} refused the fresh token {token.fingerprint} too; for 30 s its 401s "
        "are handed over without a renewal. Check that the account may use this endpoint"
    )


def test_a_child_process_has_threads_locks_and_an_end_of_its_own(sandbox: Sandbox, source: TokenSource) -> None:
    """Those of the parent are gone, or held for ever; and the child's end must not be its parent's."""
    token = source.token(9999)
    parents_crew, parents_lock, parents_end = source._crew, source._lock, source._closing
    with ThreadPoolExecutor(1) as pool:
        pool.submit(parents_lock.acquire).result()
        source.after_fork_in_child()
        assert source.token(9999) is token
        assert source.token(1234)
        pool.submit(parents_lock.release).result()

    assert source._crew is not parents_crew
    assert sandbox.token_requests() == 2
    source.close()
    assert not parents_end.is_set()
    assert source._renewal.closing.is_set()


def test_a_child_process_does_not_trust_what_its_parent_has_learned_of_the_account(source: TokenSource) -> None:
    """It asks for one token at a time, until it has seen for itself that the account is accepted."""
    source.token(9999)
    source.after_fork_in_child()

    assert source._crew._size == 1


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_source_that_is_taken_elsewhere_says_what_to_do_instead(
    source: TokenSource, take: Callable[[TokenSource], object]
) -> None:
    """The whole sentence."""
    with pytest.raises(TypeError) as caught:
        take(source)
    assert str(caught.value) == (
        "a TokenSource is neither pickled nor copied: it holds secrets, and threads wait for it. Share it between "
        "threads and tasks; in another process make one, from ApiCredentials.from_env() there"
    )


def test_what_is_no_account_is_named_by_its_kind() -> None:
    """A tuple of three strings is the commonest mistake, and its strings are secrets."""
    with pytest.raises(TypeError) as caught:
        TokenSource(("a-user", "a-password", "a-refresh-token"))  # type: ignore[arg-type]
    assert str(caught.value) == "credentials are ApiCredentials, not tuple; use ApiCredentials.from_env()"


def test_a_source_starts_with_one_thread_at_most_and_may_have_sixteen(source: TokenSource) -> None:
    """Until the account is accepted, requests go one at a time; after that, no more at once than a server bears."""
    before = threading.active_count()
    assert source._crew._size == 1
    assert threading.active_count() == before
    source.token(9999)
    assert source._crew._size == 16


def test_a_closed_source_keeps_nothing_of_who_still_asks(source: TokenSource) -> None:
    """A program that goes on asking a closed source must not grow."""
    source.close()
    for scope in range(1, 10):
        with pytest.raises(TokenRequestError, match="is closed"):
            source.token(scope)

    assert source._slots == {}


def test_callers_wait_twice_the_deadline_at_most(sandbox: Sandbox, source: TokenSource) -> None:
    """A store may take its time before the first request; after that, whoever waits is told."""
    sandbox.hold()
    flight = source._slot_of(9999).board(source._launch)
    sandbox.release()

    assert isinstance(flight, Flight)
    assert flight._longest_wait == 60
    assert isinstance(flight.join(), HeldToken)


def test_an_error_without_an_answer_says_which_scope_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, source: TokenSource
) -> None:
    """Whoever catches it goes by `scope` and `retryable`; whoever reads it, by what to look at."""
    scope = ClientScope(9999)

    def no_thread(_: object) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    monkeypatch.setattr(source._crew, "run", no_thread)
    flight: Flight[Any] = Flight(longest_wait=0.01, given_up=lambda: _given_up_error(scope))
    with pytest.raises(TokenEndpointUnavailable) as caught:
        source.token(scope)

    for error in (caught.value, flight.join()):
        assert isinstance(error, TokenEndpointUnavailable)
        assert (error.scope, error.retryable) == ("client:9999", True)
    assert str(caught.value).endswith("ask earlier, if Python is shutting down")
    assert str(flight.join()).endswith("lasts, look at the token store, and at log handlers that ask for tokens")


def test_a_failed_renewal_behind_the_callers_is_logged_with_its_reason(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody raises it, so the log is the only place where it can be read."""
    source.token(9999)
    clock.pass_time(86_400 * 0.8)
    sandbox.fail_next(1, "status", status=404)
    source.token(9999)
    land_all(source)

    (warned,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned.startswith("no access token for client:9999: ")
    assert "404" in warned
    assert warned.endswith("; the token held is used on for now")

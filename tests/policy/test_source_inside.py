"""What a source promises beside its tokens: no lock where it is busiest, few requests, a life after a fork."""

import copy
import logging
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from support import Ask, FakeClock, flight_of, land_all

from daxko_auth import ApiCredentials, ClientScope, TokenRequestError, TokenSource
from daxko_auth.sandbox import Sandbox


@pytest.mark.parametrize("scope", [9999, "9999", "client:9999", ClientScope(9999)], ids=repr)
def test_a_fresh_token_is_handed_out_without_a_look_at_anything_else(
    source: TokenSource, ask: Ask, scope: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearly every call comes to this, in every thread at once."""
    token = ask(source, scope)
    land_all(source)
    monkeypatch.setattr(source, "_find", None)
    monkeypatch.setattr(source, "_slot_of", None)
    assert ask(source, scope) is token


@pytest.mark.parametrize(("options", "bound"), [({}, 8), ({"concurrency": 3}, 3)], ids=["by default", "three"])
def test_warming_asks_for_no_more_at_a_time_than_it_was_told(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, int], bound: int
) -> None:
    """Counted at the moment it first waits, when as many are under way as ever will be."""
    under_way: list[int] = []

    with Sandbox(clients=range(1, 20)) as vendor:
        account = ApiCredentials(vendor.username, vendor.password, vendor.refresh_token)
        with TokenSource(account, vendor.base_url) as source:
            join = source._join

            def counted(*found: Any) -> Any:
                under_way.append(sum(flight_of(source, scope) is not None for scope in range(1, 20)))
                vendor.release()
                return join(*found)

            vendor.hold()
            monkeypatch.setattr(source, "_join", counted)
            assert len(source.warm(range(1, 20), **options)) == 19

    assert under_way[0] == bound


def test_a_hold_is_announced_once_with_all_that_one_needs_to_look(
    source: TokenSource, caplog: pytest.LogCaptureFixture
) -> None:
    """Which scope, which origin, which token, which endpoint, for how long, and what to check."""
    token = source.token(9999)
    source.replacement_refused(token, method="GET", path="/v3/x")
    (announced,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    source.replacement_refused(token, method="GET", path="/v3/x")

    assert [record for record in caplog.records if record.levelno == logging.WARNING] == [announced]
    assert announced.getMessage() == (
        f"client:9999: {source.origin.base_url} refused the fresh token {token.fingerprint} too "
        "(GET /v3/x); for 30 s its 401s there are handed over without a renewal. Check that the account may use this "
        "endpoint"
    )


def test_a_child_process_has_threads_of_its_own_and_no_renewal_of_its_parent(
    sandbox: Sandbox, source: TokenSource
) -> None:
    """Those of the parent are gone; whoever waited for them would wait for ever."""
    token = source.token(9999)
    parents = source._workers
    sandbox.hold()
    with ThreadPoolExecutor(1) as pool, ExitStack() as last:
        last.callback(sandbox.release)
        waiting = pool.submit(source.token, 1234)
        sandbox.wait_for_token_requests(2)
        source.after_fork_in_child()
        assert source.token(9999) is token
        sandbox.release()
        assert source.token(1234)
        waiting.result()
    assert source._workers is not parents
    assert sandbox.token_requests() == 3


def test_a_child_process_does_not_trust_what_its_parent_has_learned_of_the_account(source: TokenSource) -> None:
    """It asks for one token at a time, until it has seen for itself that the account is accepted."""
    source.token(9999)
    source.after_fork_in_child()

    assert source._workers.size == 1


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
    assert source._workers.size == 1
    assert threading.active_count() == before
    source.token(9999)
    assert source._workers.size == 16


def test_a_closed_source_keeps_nothing_of_who_still_asks(source: TokenSource) -> None:
    """A program that goes on asking a closed source must not grow."""
    source.close()
    for scope in range(1, 10):
        with pytest.raises(TokenRequestError, match="is closed"):
            source.token(scope)

    assert source._slots.all() == set()


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

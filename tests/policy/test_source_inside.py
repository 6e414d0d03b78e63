"""What a source promises beside its tokens: no lock where it is busiest, few requests, a life after a fork."""

import asyncio
import copy
import logging
import pickle
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support import Ask, FakeClock, finish_renewals

from daxko_auth import ApiCredentials, ClientScope, TokenRequestError, TokenSource
from daxko_auth.policy import source as source_module
from daxko_auth.sandbox import Sandbox


@pytest.mark.parametrize("scope", [9999, "9999", "client:9999", ClientScope(9999)], ids=repr)
def test_a_fresh_token_is_handed_out_without_looking_further(
    source: TokenSource, ask: Ask, scope: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearly every call comes to this, in every thread at once."""
    ask(source, scope)
    token = ask(source, scope)
    monkeypatch.delattr(TokenSource, "_slot_of")
    monkeypatch.delattr(TokenSource, "_find")

    assert ask(source, scope) is token


def test_nothing_in_a_source_is_a_lock_that_two_share() -> None:
    """Whoever holds one can be interrupted: by a signal handler that waits for it, by Ctrl-C, by a fork."""
    shared = re.compile(r"\b(R?Lock|Condition|Semaphore|Event|Queue)\(|\bwith .*\block\b")
    for module in ("announcer", "account_state", "flight", "slots", "source", "workers"):
        text = Path(f"{Path(source_module.__file__).parent}/{module}.py").read_text(encoding="utf-8")
        assert shared.findall(text) == [], module


@pytest.mark.parametrize(("options", "bound"), [({}, 8), ({"concurrency": 3}, 3)], ids=["by default", "three"])
def test_warming_asks_for_no_more_at_a_time_than_it_was_told(options: dict[str, int], bound: int) -> None:
    """Counted while nothing is answered, when as many are under way as ever will be."""
    with Sandbox(clients=range(1, 20)) as vendor, ThreadPoolExecutor(1) as pool, ExitStack() as last:
        last.callback(vendor.release)
        account = ApiCredentials(vendor.username, vendor.password, vendor.refresh_token)
        with TokenSource(account, vendor.base_url) as source:
            source.token(1)
            vendor.hold()
            warming = pool.submit(source.warm, range(2, 20), **options)
            vendor.wait_for_token_requests(1 + bound)
            slots = source._slots.all()
            assert sum(source._process in slot.current(source._process).next for slot in slots) == bound
            vendor.release()
            assert len(warming.result()) == 18


def test_a_hold_is_announced_once_with_all_that_one_needs_to_look(
    source: TokenSource, caplog: pytest.LogCaptureFixture
) -> None:
    """Which scope, which origin, which token, for how long, and what to check."""
    token = source.token(9999)
    source.replacement_refused(token, method="GET", path="/v3/members/17")
    (announced,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    source.replacement_refused(token, method="GET", path="/v3/members/18")

    assert [record for record in caplog.records if record.levelno == logging.WARNING] == [announced]
    assert announced.getMessage() == (
        f"client:9999: {source.origin.base_url} refused the fresh token {token.fingerprint} too "
        "(GET /v3/members/*); for 30 s its 401s there are handed over without a renewal. Check that the account may "
        "use this endpoint"
    )
    source.replacement_refused(token)
    assert "(an unnamed endpoint)" in caplog.records[-1].getMessage()


def test_a_child_process_has_threads_of_its_own_and_knows_what_its_parent_has_learned(
    sandbox: Sandbox, source: TokenSource
) -> None:
    """The parent's do not exist in it; that Daxko has accepted the account is as true there."""
    source.token(9999)
    finish_renewals(source)
    parents = source._workers, source._housekeeping
    source.after_fork_in_child()

    assert source._workers is not parents[0]
    assert source._housekeeping is not parents[1]
    assert source.token(1234)
    finish_renewals(source)
    assert source._workers.size == 16
    assert sandbox.token_requests() == 2


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
    finish_renewals(source)
    assert source._workers.size == 16


def test_a_closed_source_keeps_nothing_of_who_still_asks(source: TokenSource) -> None:
    """A program that goes on asking a closed source must not grow."""
    source.close()
    for scope in range(1, 10):
        with pytest.raises(TokenRequestError, match="is closed"):
            source.token(scope)

    assert source._slots.all() == set()


def test_a_bound_of_a_caller_is_a_number_of_seconds(source: TokenSource, ask: Ask) -> None:
    """A timedelta, or a number below zero, is a mistake that must not become a wait without end."""
    for timeout in ("5", True, -1, timedelta(seconds=5), float("nan")):
        with pytest.raises(ValueError, match=r"^timeout is a number of seconds, at least 0"):
            source.token(9999, timeout=timeout)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^timeout is a number of seconds, at least 0"):
            asyncio.run(source.atoken(9999, timeout=timeout))  # type: ignore[arg-type]


def test_a_failed_renewal_behind_the_callers_is_logged_with_its_reason(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody raises it, so the log is the only place where it can be read."""
    source.token(9999)
    clock.pass_time(86_400 * 0.8)
    sandbox.fail_next(1, "status", status=404)
    source.token(9999)
    finish_renewals(source)

    (warned,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned.startswith("no access token for client:9999: ")
    assert "404" in warned
    assert warned.endswith("; the token held is used on for now")

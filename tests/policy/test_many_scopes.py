"""Many Daxko clients in one source: warming them, and what they share of one account."""

import asyncio
import gc
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import FakeClock

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    ClientScope,
    Secret,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenSource,
)
from daxko_auth.policy import slots
from daxko_auth.policy.flight import State
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.sandbox import Sandbox


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
                assert len(source._workers.busy()) == 16
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


def test_a_wrong_password_is_nobodys_longer_than_the_accounts(sandbox: Sandbox, clock: FakeClock) -> None:
    """Once it is put right, the scopes that asked last do not wait longest."""
    wrong = ApiCredentials(sandbox.username, "wrong", sandbox.refresh_token)
    with TokenSource(wrong, sandbox.base_url, clock=clock) as source:
        source.warm([1])
        clock.pass_time(29)
        with pytest.raises(TokenRefused, match="client:2, not asked for"):
            source.token(2)
        clock.pass_time(1)
        with pytest.raises(TokenRefused, match=r"client:2.*refused"):
            source.token(2)
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


def test_a_renewal_is_known_by_its_thread_and_ends_with_the_program(sandbox: Sandbox, source: TokenSource) -> None:
    """Who dumps the threads of a program that hangs sees whose they are; and none of them keeps it from ending."""
    with ThreadPoolExecutor(1) as pool:
        sandbox.hold()
        asked = pool.submit(source.token, 9999)
        sandbox.wait_for_token_requests(1)
        renewing = [thread for thread in threading.enumerate() if thread.name == "daxko-auth renewal"]
        sandbox.release()
        asked.result()

    assert [thread.daemon for thread in renewing] == [True]


def test_a_pause_is_waited_for_by_scopes_that_come_later(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock
) -> None:
    """One 429 is enough: the next scope waits for the rest of that pause, and does not fail."""
    sandbox.fail_next(1, "status", status=429, retry_after=7)
    with ThreadPoolExecutor(1) as pool:
        sandbox.hold()
        first = pool.submit(source.token, 9999)
        sandbox.wait_for_token_requests(1)
        second = pool.submit(source.token, 1234)
        sandbox.release()
        assert first.result()
        assert second.result()

    assert sandbox.token_requests() == 3

    sandbox.fail_next(1, "status", status=429, retry_after=40)
    source.reject(source.token(9999))
    with pytest.raises(TokenEndpointUnavailable):
        source.token(9999)
    clock.pass_time(15)
    before = len(clock.waits)
    assert source.warm([1]).popitem()[1], "what is left of the pause, 25 s, is within the deadline of 30"
    (waited,) = clock.waits[before:]
    assert 25 <= waited <= 26


def test_a_renewal_that_waits_is_told_of_a_longer_pause(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """What another scope was answered meanwhile counts for all; asking at once would be the next 429."""

    class Overtaken(FakeClock):
        def wait(self, event: threading.Event, seconds: float) -> bool:
            over = super().wait(event, seconds)
            if len(self.waits) == 1:
                source._account.note(TokenEndpointUnavailable("slow down", retry_after=5))
            return over

    overtaken = Overtaken()
    with TokenSource(credentials, sandbox.base_url, clock=overtaken) as source:
        sandbox.fail_next(1, "status", status=503)
        assert source.token(9999)

    assert sandbox.token_requests() == 2
    assert len(overtaken.waits) == 2
    assert overtaken.waits[1] >= 5


def test_scopes_that_nobody_asks_for_any_more_are_forgotten(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A web server that is asked for any number of customers must not grow with each that was ever named."""
    monkeypatch.setattr(slots, "_SMALLEST", 16)
    with TokenSource(credentials, sandbox.base_url, clock=clock) as source:
        kept = source.token(9999)

        def refused(first: int) -> None:
            for scope in range(first, first + 40):
                with pytest.raises(TokenRefused):
                    source.token(scope)

        def known() -> set[int]:
            return {slot.key.scope.client_id for slot in source._slots.all()}

        refused(20_000)
        assert known() == {9999, *range(20_000, 20_040)}, "what they were answered is remembered"
        for first in (30_000, 40_000, 50_000):
            clock.pass_time(31)
            refused(first)

        assert not known() & set(range(20_000, 20_040))
        requests = sandbox.token_requests()
        assert source.token(9999) == kept
        assert sandbox.token_requests() == requests, "a scope with a usable token is not forgotten"


def test_ten_thousand_scopes_cost_less_than_a_kibibyte_each(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """Beside the token itself; whoever serves every customer holds them all."""
    with TokenSource(credentials, sandbox.base_url) as source:
        life = source.token(9999)
        tokens = [
            AccessToken(ClientScope(number), Secret(f"token-{number}"), life.expires_at, life.expires_in)
            for number in range(1, 10_001)
        ]
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for token in tokens:
                held = HeldToken(token, source._policy, wall=time.time(), monotonic=time.monotonic())
                source._slot_of(token.scope.client_id).state = State(held)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert (after - before) / len(tokens) < 1024
        assert source.token(7_777) is tokens[7_776]

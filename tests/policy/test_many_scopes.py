"""Many Daxko clients in one source: warming them, and what they share of one account."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import FakeClock

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    ClientScope,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenSource,
)
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
                assert source._crew._at_work == 16
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

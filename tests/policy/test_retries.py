"""What is asked again, for how long, and what is remembered."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from support import NOON, PATIENCE, START_THREAD, Ask, FakeClock, finish_renewals, no_thread, told_all

from daxko_auth import (
    ApiCredentials,
    RenewalPolicy,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenRequestError,
    TokenResponseInvalid,
    TokenSource,
)
from daxko_auth.model.events import Event, TokenRequested
from daxko_auth.policy.flight import Flight
from daxko_auth.sandbox import Failure, Sandbox
from daxko_auth.wire.token_response import utc

DAY = 86_400


def test_two_hiccups_are_survived(sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask) -> None:
    """503, 503, 200 is a deployment at the other end, not a failure."""
    sandbox.fail_next(2, "status", status=503)

    assert ask(source, 9999).scope.client_id == 9999
    assert sandbox.token_requests() == 3
    assert len(clock.waits) == 2


@pytest.mark.parametrize("how", ["drop", "cut"])
def test_a_connection_that_breaks_is_tried_again(sandbox: Sandbox, source: TokenSource, how: str) -> None:
    """A token request has no effect that could happen twice."""
    sandbox.fail_next(1, how)  # type: ignore[arg-type]

    assert source.token(9999)
    assert sandbox.token_requests() == 2


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520])
def test_a_server_that_stays_unwell_is_asked_four_times(
    sandbox: Sandbox, source: TokenSource, ask: Ask, status: int
) -> None:
    """More would be a burden, fewer would give up at the first hiccup."""
    sandbox.fail_next(100, "status", status=status)

    with pytest.raises(TokenEndpointUnavailable) as raised:
        ask(source, 9999)
    assert (raised.value.status_code, raised.value.scope) == (status, "client:9999")
    assert sandbox.token_requests() == 4


def test_waits_grow_and_are_drawn_by_lot(clock: FakeClock) -> None:
    """Full jitter: a fleet that failed together must not come back together."""
    policy = RenewalPolicy()
    drawn = {attempt: [policy.retry_wait(attempt) for _ in range(200)] for attempt in (1, 2, 3)}

    assert [max(waits) <= 2 ** (attempt - 1) for attempt, waits in drawn.items()] == [True] * 3
    assert [len(set(waits)) > 190 for waits in drawn.values()] == [True] * 3
    assert max(drawn[3]) > 2


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_is_asked_once_and_remembered(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask, status: int
) -> None:
    """A wrong password at full speed locks the account, and everybody else out of it."""
    sandbox.fail_next(1, "status", status=status, error="invalid_client")
    for _ in range(30):
        with pytest.raises(TokenRefused) as raised:
            ask(source, 9999)

    assert (raised.value.error, raised.value.status_code) == ("invalid_client", status)
    assert sandbox.token_requests() == 1

    clock.pass_time(31)
    assert ask(source, 9999), "the password was put right; no restart is needed"


def test_a_thousand_calls_a_minute_with_a_wrong_password_are_two_requests(
    sandbox: Sandbox, clock: FakeClock, ask: Ask
) -> None:
    """At full speed they would lock the account, and everybody else out of it."""
    wrong = ApiCredentials(sandbox.username, "mistyped", sandbox.refresh_token)
    with TokenSource(wrong, sandbox.base_url, clock=clock) as source:
        for _ in range(1_000):
            with pytest.raises(TokenRefused):
                ask(source, 9999)
            clock.pass_time(0.06)

    assert sandbox.token_requests() == 2, "one at once, and one after half a minute"


@pytest.mark.parametrize("how", ["drop", "status", "html"])
def test_a_failure_heals_by_itself_once_its_cause_is_gone(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask, how: Any
) -> None:
    """A network that was away for an hour must not cost a restart of every process."""
    sandbox.fail_next(1_000, how)
    for _ in range(60):
        with pytest.raises(TokenRequestError):
            ask(source, 9999)
        clock.pass_time(60)
    sandbox.fail_no_more()

    assert ask(source, 9999)


@pytest.mark.parametrize("failure", [Failure("status", 503), Failure("status", 429, retry_after=9), Failure("drop")])
def test_no_outage_costs_the_credentials(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask, failure: Failure
) -> None:
    """Elsewhere a 429 erased what was stored, and somebody had to type it in again."""
    before = source.credentials
    sandbox.fail_next(4, failure)
    with pytest.raises(TokenEndpointUnavailable):
        ask(source, 9999)
    clock.pass_time(31)

    assert ask(source, 9999)
    assert source.credentials is before


def test_a_refusal_behind_the_callers_leaves_them_their_token_to_its_end(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask
) -> None:
    """The password was changed at three quarters of the day: what was granted is good for the last quarter."""
    held = ask(source, 9999)
    sandbox.fail_next(1_000, "status", status=400, error="invalid_client")
    clock.pass_time(DAY * 0.76)
    for _ in range(100):
        assert ask(source, 9999) == held
        finish_renewals(source)
        clock.pass_time(30)
    assert sandbox.token_requests() <= 20, "at first twice a minute, then every five minutes"

    clock.pass_time(DAY)
    with pytest.raises(TokenRefused):
        ask(source, 9999)


def test_an_unknown_error_code_is_a_refusal_like_any_other(sandbox: Sandbox, source: TokenSource) -> None:
    """RFC 6749 lets a server add codes; a closed list would be a crash on the day it does."""
    sandbox.fail_next(1, "status", status=400, error="daxko_new_code")

    with pytest.raises(TokenRefused, match="daxko_new_code") as raised:
        source.token(9999)
    assert raised.value.error == "daxko_new_code"


@pytest.mark.parametrize("how", ["html", "empty", "malformed", "redirect"])
def test_an_answer_that_is_no_token_response_is_not_asked_again_at_once(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask, how: str
) -> None:
    """A proxy's login page does not change in a second, and each request carries the password."""
    sandbox.fail_next(1, how)  # type: ignore[arg-type]
    for _ in range(3):
        with pytest.raises(TokenResponseInvalid):
            ask(source, 9999)
    assert sandbox.token_requests() == 1

    clock.pass_time(1)
    assert ask(source, 9999)


@pytest.mark.parametrize(
    "advice",
    [
        ("7", 7),
        ("0", 0),
        ((utc(NOON) + timedelta(seconds=9)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 9),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("junk", 0),
        ("-1", 0),
        (None, 0),
    ],
)
def test_retry_after_is_honoured(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask, advice: tuple[str | None, float]
) -> None:
    """The server knows best when it is well again; what is not a number or a date is no advice."""
    retry_after, waited = advice
    sandbox.fail_next(1, "status", status=429, retry_after=retry_after)

    assert ask(source, 9999)
    assert waited <= sum(clock.waits) <= waited + 1


def test_a_wait_that_the_server_asks_for_is_shared_by_all_who_wait(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock
) -> None:
    """Fifty callers that each wait and ask again would be fifty times what was too much."""
    sandbox.fail_next(1, "status", status=429, retry_after=7)
    sandbox.hold()
    with ThreadPoolExecutor(50) as pool:
        waiting = [pool.submit(source.token, 9999) for _ in range(50)]
        sandbox.wait_for_token_requests(1)
        sandbox.release()

        assert len({token.result() for token in waiting}) == 1
    assert len(clock.waits) == 1
    assert 7 <= clock.waits[0] <= 8
    assert sandbox.token_requests() == 2


def test_a_long_retry_after_is_not_slept_through_but_reported_and_respected(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask
) -> None:
    """Nobody waits longer than the deadline; and nobody asks again before the deadline either."""
    sandbox.fail_next(1, "status", status=429, retry_after="99999999")

    for _ in range(20):
        with pytest.raises(TokenEndpointUnavailable) as raised:
            ask(source, 9999)
        clock.pass_time(1)

    assert raised.value.retry_after == 99_999_999
    assert sandbox.token_requests() == 1
    clock.pass_time(10)
    assert ask(source, 9999)


def test_a_failing_endpoint_is_asked_once_a_window_however_many_ask(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """A lock without a memory is a queue of failing requests."""
    sandbox.fail_next(1_000, "status", status=503)
    with TokenSource(credentials, sandbox.base_url, clock=clock, policy=RenewalPolicy(attempts=1)) as source:
        for _ in range(100):
            with pytest.raises(TokenEndpointUnavailable):
                source.token(9999)

    assert sandbox.token_requests() == 1


def test_a_token_endpoint_that_hangs_is_given_up_after_some_attempts(
    sandbox: Sandbox, credentials: ApiCredentials, ask: Ask
) -> None:
    """Httpx's own timeouts never end a request that was given none."""
    sandbox.fail_next(100, "hang")
    policy = RenewalPolicy(deadline=PATIENCE, attempt_timeout=0.05, attempts=3, first_retry_wait=0.01)
    told: list[Event] = []

    with TokenSource(credentials, sandbox.base_url, policy=policy, on_event=told.append) as source:
        with pytest.raises(TokenEndpointUnavailable, match="did not answer") as raised:
            ask(source, 9999)
        told_all(source)
    assert raised.value.retryable
    assert [event.attempt for event in told if isinstance(event, TokenRequested)] == [1, 2, 3]
    # One that is given up early may not even be sent.
    assert sandbox.token_requests() <= 3


def test_a_token_endpoint_that_hangs_is_given_up_at_the_deadline(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """That of the whole renewal ends an attempt that could go on by itself, and there is no time for another."""
    sandbox.fail_next(100, "hang")
    policy = RenewalPolicy(deadline=0.1, attempt_timeout=PATIENCE)
    told: list[Event] = []

    with TokenSource(credentials, sandbox.base_url, policy=policy, on_event=told.append) as source:
        # Without anybody who waits for it, and might be the first to give up.
        slot = source._slot_of(9999)
        outcome = source._renewal.run(Flight(slot, slot.state, source._renew, source._end))
        told_all(source)
    assert isinstance(outcome, TokenEndpointUnavailable)
    assert "did not answer within 0." in str(outcome) or "did not answer in time" in str(outcome)
    assert [event.attempt for event in told if isinstance(event, TokenRequested)] == [1]


def test_one_scope_refused_does_not_touch_another(sandbox: Sandbox, source: TokenSource, ask: Ask) -> None:
    """One customer who left must not stop the others."""
    with pytest.raises(TokenRefused, match="4321"):
        ask(source, 4321)

    assert ask(source, 9999)


def test_a_failure_in_the_background_is_forgotten_with_the_next_success(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock
) -> None:
    """The pauses grow with failures in a row, not with failures in a life."""
    source.token(9999)
    for _ in range(2):
        clock.pass_time(86_400 * 0.76)
        sandbox.fail_next(4, "status", status=503)
        source.token(9999)
        finish_renewals(source)
        clock.pass_time(2)
        source.token(9999)
        finish_renewals(source)

    assert sandbox.token_requests() == 1 + 2 * (4 + 1)


def test_where_no_thread_can_be_had_the_caller_renews(
    sandbox: Sandbox, source: TokenSource, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Python shuts down, or in an interpreter that allows no threads, a program still gets its token."""
    monkeypatch.setattr(START_THREAD, no_thread)

    first = ask(source, 9999)
    source.reject(first)
    assert ask(source, 9999) != first
    assert source.warm([1234])
    assert sandbox.token_requests() == 3


def test_where_no_thread_can_be_had_a_stale_token_is_used_to_its_end(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that has a token does not wait for another."""
    first = ask(source, 9999)
    finish_renewals(source)
    monkeypatch.setattr(START_THREAD, no_thread)
    clock.pass_time(DAY * 0.8)
    for _ in range(3):
        assert ask(source, 9999) == first
    assert sandbox.token_requests() == 1

    clock.pass_time(DAY * 0.2)
    assert ask(source, 9999) != first
    assert sandbox.token_requests() == 2


def test_a_renewal_that_found_no_thread_is_begun_by_the_next_who_finds_one(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit that was reached for a moment must not cost the renewal."""
    first = ask(source, 9999)
    finish_renewals(source)
    clock.pass_time(DAY * 0.8)
    with monkeypatch.context() as patched:
        patched.setattr(START_THREAD, no_thread)
        assert ask(source, 9999) == first

    assert ask(source, 9999) == first
    finish_renewals(source)
    assert ask(source, 9999) != first
    assert sandbox.token_requests() == 2


def test_a_process_that_was_frozen_during_a_request_asks_again(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, ask: Ask
) -> None:
    """A suspended container or a closed lid says nothing of Daxko, and takes none of the time or of the attempts."""
    frozen = 2

    class Frozen(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal frozen
            if frozen:
                frozen -= 1
                clock.pass_time(3_600)
                msg = "the connection is long gone"
                raise httpx.ReadError(msg)
            return super().handle_request(request)

    policy = RenewalPolicy(attempts=1)
    with (
        Frozen() as transport,
        TokenSource(credentials, sandbox.base_url, clock=clock, http=transport, policy=policy) as source,
    ):
        assert ask(source, 9999)
    assert sandbox.token_requests() == 1


def test_a_token_that_died_while_the_process_was_frozen_is_asked_for_again(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, ask: Ask
) -> None:
    """Its answer was there in time; nobody was there to read it."""

    class Frozen(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            response.read()
            if sandbox.token_requests() == 1:
                clock.pass_time(2 * DAY)
            return response

    with Frozen() as transport, TokenSource(credentials, sandbox.base_url, clock=clock, http=transport) as source:
        assert ask(source, 9999)
    assert sandbox.token_requests() == 2


def test_what_tls_does_not_allow_is_tried_once(credentials: ApiCredentials, clock: FakeClock) -> None:
    """A firewall's certificate does not become trusted in a second; whoever waits for it waits for nothing."""
    sent: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed")

    transport = httpx.MockTransport(refuse)
    with (
        TokenSource(credentials, "https://daxko.example", clock=clock, http=transport) as source,
        pytest.raises(TokenEndpointUnavailable) as caught,
    ):
        source.token(9999)
    assert len(sent) == 1
    assert caught.value.retryable is False
    assert "self-signed" in caught.value.what
    assert "set SSL_CERT_FILE to a file of its authority" in caught.value.advice

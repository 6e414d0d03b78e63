"""Fresh, stale, dead: what a caller gets, and who pays for it."""

import logging
import random
from datetime import timedelta
from itertools import pairwise

import anyio
import httpx
import pytest
from support import NOON, Ask, Call, FakeClock, finish_renewals, held_by

from daxko_auth import (
    ApiCredentials,
    DaxkoAuth,
    RenewalPolicy,
    TokenEndpointUnavailable,
    TokenResponseInvalid,
    TokenSource,
)
from daxko_auth.sandbox import Sandbox
from daxko_auth.wire.token_response import utc

DAY = 86_400


def test_a_token_is_asked_for_once_and_then_held(sandbox: Sandbox, source: TokenSource, ask: Ask) -> None:
    """Daxko limits requests per account; a token per call is the commonest mistake of all."""
    first = ask(source, 9999)

    assert [ask(source, 9999) for _ in range(3)] == [first] * 3
    assert sandbox.token_requests() == 1


def test_every_spelling_of_a_scope_shares_one_token(sandbox: Sandbox, source: TokenSource) -> None:
    """A number from a form and a number from a database must not cost two tokens."""
    assert source.token(9999) is source.token("9999") is source.token("client:9999")
    assert sandbox.token_requests() == 1


def test_each_scope_has_a_token_of_its_own(sandbox: Sandbox, source: TokenSource, ask: Ask) -> None:
    """One customer's token must never open another customer's data."""
    assert ask(source, 9999) != ask(source, 1234)
    assert {arrival.scope for arrival in sandbox.log} == {"client:9999", "client:1234"}


def test_life_counts_from_the_moment_of_asking(source: TokenSource) -> None:
    """An answer that was long under way is younger than its token."""
    token = source.token(9999)

    assert token.expires_at == utc(NOON) + timedelta(days=1)
    assert token.expires_in == DAY


def test_a_fresh_token_is_handed_out_until_three_quarters_of_its_life(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock
) -> None:
    """The jitter is at most five percent, so nothing happens before 70 percent."""
    source.token(9999)
    clock.pass_time(DAY * 0.70 - 1)

    source.token(9999)

    finish_renewals(source)
    assert sandbox.token_requests() == 1


def test_a_stale_token_is_handed_out_at_once_while_one_renewal_runs_behind(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask
) -> None:
    """Nobody waits for a renewal that is not urgent, however many ask."""
    stale = ask(source, 9999)
    clock.pass_time(DAY * 0.76)
    sandbox.hold()

    assert [ask(source, 9999) for _ in range(20)] == [stale] * 20

    sandbox.wait_for_token_requests(2)
    sandbox.release()
    finish_renewals(source)
    assert ask(source, 9999) != stale
    assert sandbox.token_requests() == 2


def test_a_failing_renewal_never_fails_a_caller_before_the_token_is_dead(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    """A blip of the token endpoint must not become an outage: that is what renewing early is for."""
    stale = ask(source, 9999)
    clock.pass_time(DAY * 0.76)
    sandbox.fail_next(100, "status", status=503)

    for _ in range(20):
        assert ask(source, 9999) == stale
        finish_renewals(source)

    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) >= 1
    assert "used on for now" in warnings[0].message


def test_an_outage_five_minutes_before_the_end_fails_none_of_a_hundred_calls(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, world: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The last minutes of a token are there for the token endpoint to come back in."""
    held = source.token(9999)
    clock.pass_time(DAY - 300)
    sandbox.fail_next(100, "status", status=503)
    auth, accept = DaxkoAuth(source, 9999), {"Accept": "application/json"}

    async def tasks() -> list[str]:
        async with httpx.AsyncClient(base_url=sandbox.base_url, auth=auth, headers=accept) as http:
            return [(await http.get("/v3/x")).json()["token"] for _ in range(100)]

    if world == "thread":
        with httpx.Client(base_url=sandbox.base_url, auth=auth, headers=accept) as http:
            used = [http.get("/v3/x").json()["token"] for _ in range(100)]
    else:
        used = anyio.run(tasks, backend=world)
    finish_renewals(source)

    assert used == [held.fingerprint] * 100
    assert [record.levelname for record in caplog.records if record.name == "daxko_auth"] == ["WARNING"]
    assert sandbox.token_requests() == 1 + 4, "one renewal, with its four attempts"
    clock.pass_time(1)
    source.token(9999)
    finish_renewals(source)
    assert sandbox.token_requests() == 1 + 2 * 4, "and the next after a pause"


def test_failed_background_renewals_back_off_up_to_five_minutes(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """While the endpoint is down, hundreds of requests a second must not become hundreds of token requests."""
    with TokenSource(credentials, sandbox.base_url, clock=clock, policy=RenewalPolicy(attempts=1)) as source:
        source.token(9999)
        clock.pass_time(DAY * 0.76)
        sandbox.fail_next(1_000, "status", status=503)
        starts: list[float] = []
        for _ in range(2_000):
            before = sandbox.token_requests()
            source.token(9999)
            finish_renewals(source)
            if sandbox.token_requests() > before:
                starts.append(clock.monotonic())
            clock.pass_time(1)

    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]


def test_a_dead_token_is_not_handed_out(sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask) -> None:
    """Sixty seconds before its end a token is given up, so that it does not die on the way."""
    first = ask(source, 9999)
    clock.pass_time(DAY - 60)

    assert ask(source, 9999) != first
    assert sandbox.token_requests() == 2


def test_a_dead_token_and_a_dead_endpoint_are_a_typed_error(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask
) -> None:
    """When nothing is left to hand out the caller has to know that it is the endpoint, not the password."""
    ask(source, 9999)
    clock.pass_time(DAY)
    sandbox.fail_next(4, "status", status=503)

    with pytest.raises(TokenEndpointUnavailable) as raised:
        ask(source, 9999)
    assert raised.value.status_code == 503
    assert raised.value.retryable


def test_a_short_life_shrinks_the_margin_instead_of_the_token(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask, call: Call
) -> None:
    """A sixty second margin on a thirty second token would ask for a token per call."""
    sandbox.set_token_life(30)

    assert ask(source, 9999) == ask(source, 9999)
    assert [call(source, 9999, "GET", "/v3/x").status_code for _ in range(3)] == [200] * 3
    clock.pass_time(20)
    assert call(source, 9999, "GET", "/v3/x").status_code == 200
    assert sandbox.token_requests() == 1


def test_a_token_whose_life_was_over_before_it_arrived_is_not_handed_out(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, ask: Ask
) -> None:
    """The caller would get a 401, and the next one too."""
    sandbox.set_token_life(10)

    class Slow(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            clock.pass_time(11)
            return super().handle_request(request)

    with (
        Slow() as transport,
        TokenSource(credentials, sandbox.base_url, clock=clock, http=transport) as source,
        pytest.raises(TokenEndpointUnavailable, match="before it arrived"),
    ):
        ask(source, 9999)


def test_an_answer_that_was_long_under_way_is_held_for_less(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """On both clocks: what counts is when Daxko began to count, and that may be when it was asked."""
    sandbox.set_token_life(1_000)

    class Slow(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            clock.pass_time(300)
            return super().handle_request(request)

    asked_at = clock.monotonic()
    with Slow() as transport, TokenSource(credentials, sandbox.base_url, clock=clock, http=transport) as source:
        source.token(9999)
        held = held_by(source)

    assert held is not None
    assert (held.dead_at_monotonic, held.dead_at_wall) == (asked_at + 940, NOON + 940)


def test_a_machine_that_slept_does_not_keep_an_expired_token(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask
) -> None:
    """Monotonic time stands still while a laptop sleeps; wall time does not."""
    first = ask(source, 9999)
    clock.set_wall(+25 * 3_600)

    assert ask(source, 9999) != first


def test_a_wall_clock_that_is_set_back_does_not_lengthen_a_life(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask
) -> None:
    """Wall time can be set; monotonic time cannot be set back."""
    first = ask(source, 9999)
    clock.set_wall(-DAY)
    clock.pass_time(DAY)

    assert ask(source, 9999) != first


def test_a_token_that_was_replaced_is_not_taken_back_from_the_store(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask
) -> None:
    """A store goes by the wall clock alone: after it was set back, the token of yesterday ends last."""
    first = ask(source, 9999)
    clock.set_wall(-3 * DAY)
    clock.pass_time(DAY)
    second = ask(source, 9999)
    clock.pass_time(DAY)

    third = ask(source, 9999)

    assert len({first, second, third}) == 3
    assert sandbox.token_requests() == 3


@pytest.mark.parametrize("sent", ["86400", 86_400, 86_400.0, " 86400 "])
def test_the_life_may_be_a_string_or_a_number(sandbox: Sandbox, source: TokenSource, ask: Ask, sent: object) -> None:
    """The guide shows a string, the older reference says integer; adding a string to a clock is a crash."""
    answer = {"access_token": "opaque", "expires_in": sent, "token_type": "bearer"}
    sandbox.fail_next(1, "answer", body=answer)

    token = ask(source, 9999)

    assert (token.expires_in, token.expires_at) == (DAY, utc(NOON) + timedelta(days=1))
    assert type(token.expires_in) is int


@pytest.mark.parametrize("sent", ["null", "0", "-1", '"abc"', "NaN", "true", "[]"])
def test_a_life_that_is_none_is_a_typed_error_and_no_request_per_call(
    sandbox: Sandbox, source: TokenSource, ask: Ask, sent: str
) -> None:
    """Read as "for ever" it would outlive the token; read as "over" it would cost a token request with every call."""
    body = f'{{"access_token": "opaque", "expires_in": {sent}, "token_type": "bearer"}}'
    sandbox.fail_next(100, "answer", body=body)

    for _ in range(20):
        with pytest.raises(TokenResponseInvalid, match="its expires_in is not a number of seconds above zero"):
            ask(source, 9999)
    assert sandbox.token_requests() == 1


@pytest.mark.parametrize("said", ["", ', "expires_in": 1e30'], ids=["absent", "huge"])
def test_a_life_unsaid_or_absurd_is_bounded_and_the_token_kept(
    sandbox: Sandbox, source: TokenSource, ask: Ask, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    """One documented length for each, an hour and a month, so that nobody learns of a guess from an outage."""
    sandbox.fail_next(1, "answer", body=f'{{"access_token": "opaque", "token_type": "bearer"{said}}}')

    assert {ask(source, 9999).expires_in for _ in range(20)} == {30 * DAY if said else 3_600}

    assert sandbox.token_requests() == 1
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert ["one hour is assumed" in warning for warning in warnings] == ([] if said else [True])


def test_renewals_of_many_tokens_are_spread(clock: FakeClock) -> None:
    """A hundred processes started together must not renew together."""
    ages = {RenewalPolicy().renewal_age(DAY) for _ in range(100)}

    assert len(ages) > 90
    assert min(ages) >= DAY * 0.70
    assert max(ages) <= DAY * 0.75


def test_forked_processes_draw_different_ages() -> None:
    """The jitter must not come from a generator whose state a fork copies."""
    random.seed(1)
    first = RenewalPolicy().renewal_age(DAY)
    random.seed(1)

    assert RenewalPolicy().renewal_age(DAY) != first


def test_a_policy_whose_jitter_makes_every_token_stale_is_refused() -> None:
    """It would ask for a token after each token."""
    with pytest.raises(ValueError, match="stale at once"):
        RenewalPolicy(renew_after=0.05)


def test_attempts_are_counted_in_whole_numbers() -> None:
    """Two and a half attempts would never be equal to any number of attempts."""
    with pytest.raises(ValueError, match=r"RenewalPolicy\.attempts is 2\.5; pass a whole number"):
        RenewalPolicy(attempts=2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("renew_after", 1.5),
        ("renew_after", "0.5"),
        ("jitter", -0.1),
        ("deadline", 0),
        ("deadline", float("inf")),
        ("deadline", "30"),
        ("attempts", 0),
        ("attempts", True),
        ("hold", float("nan")),
        ("hold", True),
    ],
)
def test_a_policy_with_a_senseless_number_is_refused(field: str, value: object) -> None:
    """A typing error in a setting should not become a storm."""
    with pytest.raises(ValueError, match=f"RenewalPolicy.{field}"):
        RenewalPolicy(**{field: value})  # type: ignore[arg-type]

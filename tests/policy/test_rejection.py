"""A token that a server refused: what is forgotten, what is renewed, and what never becomes a storm."""

import threading
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import anyio
import anyio.to_thread
import httpx
import pytest
from support import PATIENCE, Ask, Call, FakeClock, eventually, finish_renewals, held_by

from daxko_auth import (
    ApiCredentials,
    ClientScope,
    DaxkoAuth,
    MemoryStore,
    RenewalPolicy,
    TokenKey,
    TokenRefused,
    TokenSource,
)
from daxko_auth.sandbox import Sandbox


def test_rejecting_a_bare_string_is_refused_without_showing_it(source: TokenSource) -> None:
    """The string is the token itself, and the error ends up in a log."""
    with pytest.raises(TypeError, match="not str") as raised:
        source.reject("eyJ-canary")  # type: ignore[arg-type]

    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    frames = [frame for frame in shown.stack if "daxko_auth" in frame.filename]
    assert "canary" not in repr([frame.locals for frame in frames])


def test_rejecting_forgets_exactly_this_token(sandbox: Sandbox, source: TokenSource, ask: Ask) -> None:
    """A late 401 for an old token must not discard its successor."""
    first = ask(source, 9999)
    source.reject(first)
    second = ask(source, 9999)
    assert second != first

    source.reject(first)

    assert ask(source, 9999) == second
    assert sandbox.token_requests() == 2


def test_a_rejected_token_is_never_taken_from_the_store_again(
    sandbox: Sandbox, credentials: ApiCredentials, ask: Ask
) -> None:
    """Its expiry is a day away, so every clock would call it good: 147 identical 401s elsewhere."""
    store = MemoryStore()
    with TokenSource(credentials, sandbox.base_url, store=store) as source:
        first = ask(source, 9999)
        key = TokenKey(sandbox.base_url, credentials, ClientScope(9999))
        assert store.read(key) == first

        source.reject(first)

        assert ask(source, 9999) != first
        assert store.read(key) == ask(source, 9999)


def test_a_401_is_answered_by_one_renewal_and_one_replay(sandbox: Sandbox, source: TokenSource, call: Call) -> None:
    """The guide: watch for the 401 and request a new access token."""
    call(source, 9999, "GET", "/v3/first")
    sandbox.expire()

    answer = call(source, 9999, "POST", "/v3/second", content=b"whole")

    assert answer.status_code == 200
    assert answer.json()["body"]["bytes"] == len(b"whole")
    assert [earlier.status_code for earlier in answer.history] == [401], "the first answer can be looked at"
    assert sandbox.token_requests() == 2


def test_64_calls_in_flight_refused_together_cost_one_renewal_and_lose_no_body(
    sandbox: Sandbox, source: TokenSource
) -> None:
    """A token revoked under load must not cost a token request per call, nor a byte."""
    with httpx.Client(
        base_url=sandbox.base_url,
        auth=DaxkoAuth(source, 9999),
        headers={"Accept": "application/json"},
        limits=httpx.Limits(max_connections=64),
    ) as http:
        http.get("/v3/warm")
        sandbox.hold(where="resource")
        with ThreadPoolExecutor(64) as pool:
            calls = [pool.submit(http.post, f"/v3/call/{n}", content=bytes([n]) * (1_000 + n)) for n in range(64)]
            sandbox.wait_for(lambda log: sum(arrival.path.startswith("/v3/call/") for arrival in log) == 64)
            sandbox.revoke()
            sandbox.release(where="resource")
            answers = [each.result() for each in calls]

    assert [answer.status_code for answer in answers] == [200] * 64
    assert [answer.json()["body"]["bytes"] for answer in answers] == [1_000 + n for n in range(64)]
    assert [len(answer.history) for answer in answers] == [1] * 64
    assert sandbox.token_requests() == 2


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_calls_refused_together_leave_their_token_nowhere(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, backend: str
) -> None:
    """Its end is tomorrow, so neither this process nor the next may find it: not in memory, not in the store."""
    store = MemoryStore()
    key = TokenKey(sandbox.base_url, credentials, ClientScope(9999))
    with TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as source:
        refused = source.token(9999)
        assert store.read(key) == refused
        sandbox.revoke()
        sandbox.hold(where="resource")
        answers: list[httpx.Response] = []

        async def main() -> None:
            async with httpx.AsyncClient(
                base_url=sandbox.base_url, auth=DaxkoAuth(source, 9999), headers={"Accept": "application/json"}
            ) as http:

                async def post(number: int) -> None:
                    answers.append(await http.post(f"/v3/call/{number}", content=b"x" * number))

                async with anyio.create_task_group() as group:
                    for number in range(1, 21):
                        group.start_soon(post, number)
                    await anyio.to_thread.run_sync(lambda: sandbox.wait_for(lambda log: len(log) == 21))
                    sandbox.release(where="resource")

        anyio.run(main, backend=backend)
        successor = source.token(9999)

    assert sorted(answer.json()["body"]["bytes"] for answer in answers) == list(range(1, 21))
    assert {answer.json()["token"] for answer in answers} == {successor.fingerprint}
    assert successor != refused
    assert store.read(key) == successor
    assert sandbox.token_requests() == 2


def test_a_late_401_takes_what_another_has_stored_and_asks_for_nothing(
    sandbox: Sandbox, credentials: ApiCredentials, call: Call
) -> None:
    """One process of a fleet has renewed; the 401s of all the others must not renew again."""
    store = MemoryStore()
    with (
        TokenSource(credentials, sandbox.base_url, store=store) as one,
        TokenSource(credentials, sandbox.base_url, store=store) as other,
    ):
        first = one.token(9999)
        assert other.token(9999) == first
        sandbox.revoke()
        one.reject(first)
        second = one.token(9999)
        assert sandbox.token_requests() == 2

        answer = call(other, 9999, "POST", "/v3/late", content=b"whole")

    assert [earlier.status_code for earlier in answer.history] == [401]
    assert (answer.status_code, answer.json()["token"]) == (200, second.fingerprint)
    assert sandbox.token_requests() == 2


def test_a_call_that_was_under_way_during_a_renewal_is_replayed_with_its_token(
    sandbox: Sandbox, source: TokenSource, call: Call
) -> None:
    """It went out with the old token and comes back when the new one is there: nothing needs to be asked for."""
    first = source.token(9999)
    sandbox.hold(where="resource")
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(call, source, 9999, "GET", "/v3/late")
        sandbox.wait_for(lambda log: log[-1].path == "/v3/late")
        sandbox.revoke()
        source.reject(first)
        second = source.token(9999)
        sandbox.release(where="resource")

        assert late.result().json()["token"] == second.fingerprint
    assert sandbox.token_requests() == 2


def test_a_clock_that_runs_hours_slow_costs_one_renewal(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, call: Call
) -> None:
    """To it, the token another machine has stored lives for two hours more than it does; the 401 knows better."""
    store = MemoryStore()
    slow = FakeClock()
    slow.set_wall(-7_200)
    with (
        TokenSource(credentials, sandbox.base_url, store=store, clock=clock) as right,
        TokenSource(credentials, sandbox.base_url, store=store, clock=slow) as wrong,
    ):
        dead = right.token(9999)
        for each in (clock, slow):
            each.pass_time(86_400)
        sandbox.advance(86_400)
        assert wrong.token(9999) == dead

        answer = call(wrong, 9999, "GET", "/v3/x")
        finish_renewals(wrong)

    assert [answer.status_code, *(earlier.status_code for earlier in answer.history)] == [200, 401]
    assert sandbox.token_requests() == 2


def test_a_late_401_is_replayed_with_the_token_at_hand(sandbox: Sandbox, source: TokenSource, call: Call) -> None:
    """The call went out before the renewal and came back after it; nothing needs to be asked for."""
    first = source.token(9999)
    source.reject(first)
    second = source.token(9999)

    assert source.replacement_for(first) == second
    assert sandbox.token_requests() == 2


def test_tokens_refused_as_soon_as_issued_are_no_storm(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, call: Call
) -> None:
    """A suspended account gets tokens and 401s; elsewhere that was 13,750 token requests in 30 seconds."""
    sandbox.reject_all_tokens()

    answers = [call(source, 9999, "GET", "/v3/anything") for _ in range(30)]

    assert [answer.status_code for answer in answers] == [401] * 30
    assert sandbox.token_requests() == 2
    assert len(sandbox.log) == 2 + 2 + 29, "one replay in all, and the 401s after it as they came"

    clock.pass_time(31)
    call(source, 9999, "GET", "/v3/anything")
    assert sandbox.token_requests() == 3


def test_a_hundred_calls_at_once_that_no_token_opens_are_no_storm_either(
    sandbox: Sandbox, source: TokenSource, world: str
) -> None:
    """What holds for one after the other has to hold in a crowd: each call is replayed once at most."""
    sandbox.reject_all_tokens()
    auth, accept = DaxkoAuth(source, 9999), {"Accept": "application/json"}
    paths = [f"/v3/call/{number}" for number in range(100)]
    answers: list[httpx.Response] = []

    async def tasks() -> None:
        async with httpx.AsyncClient(base_url=sandbox.base_url, auth=auth, headers=accept) as http:

            async def get(path: str) -> None:
                answers.append(await http.get(path))

            async with anyio.create_task_group() as group:
                for path in paths:
                    group.start_soon(get, path)

    if world == "thread":
        # A connection for each thread: httpcore 1.0.9 may close one that is over its limit of idle connections just
        # when it is given to another thread, whose call then fails with EBADF.
        limits = httpx.Limits(max_keepalive_connections=50)
        with (
            httpx.Client(base_url=sandbox.base_url, auth=auth, headers=accept, limits=limits) as http,
            ThreadPoolExecutor(50) as pool,
        ):
            answers.extend(pool.map(http.get, paths))
    else:
        anyio.run(tasks, backend=world)
    arrived = Counter(arrival.path for arrival in sandbox.log if not arrival.is_token_request)

    assert [answer.status_code for answer in answers] == [401] * 100
    assert sorted(arrived) == sorted(paths)
    assert max(arrived.values()) <= 2
    # Three, where a call goes out with the second token before any replay with it has been refused.
    assert 2 <= sandbox.token_requests() <= 3


def test_an_account_that_is_well_again_recovers_by_itself(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, call: Call
) -> None:
    """Holding back must end without a restart."""
    sandbox.reject_all_tokens()
    assert call(source, 9999, "GET", "/v3/anything").status_code == 401
    sandbox.reject_all_tokens(False)

    assert call(source, 9999, "GET", "/v3/anything").status_code == 200


def test_an_endpoint_that_says_401_for_not_allowed_does_not_spoil_the_others(
    sandbox: Sandbox, source: TokenSource, call: Call
) -> None:
    """One endpoint's odd habit must cost neither tokens nor the rest of the API."""
    sandbox.always_401("/v3/odd")

    answers = [call(source, 9999, "GET", path).status_code for path in ["/v3/odd", "/v3/even"] * 10]

    assert answers == [401, 200] * 10
    assert sandbox.token_requests() == 2


def test_a_hold_is_for_one_method_and_one_kind_of_path(sandbox: Sandbox, source: TokenSource, clock: FakeClock) -> None:
    """That an account may not write does not say that its token still opens what it may read."""
    refused = source.token(9999)
    assert source.replacement_refused(refused, method="POST", path="/v3/members/17")

    assert source.replacement_for(refused, method="post", path="/v3/members/18") is None, "the same, of another member"
    assert sandbox.token_requests() == 1
    second = source.replacement_for(refused, method="GET", path="/v3/members/17")
    assert second not in (None, refused), "another method"
    assert second
    assert source.replacement_for(second, method="POST", path="/v3/members") not in (None, second), "another path"
    assert sandbox.token_requests() == 3


def test_a_hold_ends(sandbox: Sandbox, source: TokenSource, clock: FakeClock) -> None:
    """An endpoint that is opened to the account later must not say no for the rest of the program's life."""
    token = source.token(9999)
    assert source.replacement_refused(token, method="GET", path="/v3/odd")
    clock.pass_time(29)
    assert source.replacement_for(token, method="GET", path="/v3/odd") is None
    clock.pass_time(1)

    assert source.replacement_for(token, method="GET", path="/v3/odd") not in (None, token)


def test_four_renewals_that_did_not_help_end_all_others_for_a_while(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, call: Call
) -> None:
    """A suspended account gets 401s everywhere, and must not cost a token for each endpoint there is."""
    sandbox.reject_all_tokens()
    for letter in "abcdefghij":
        assert call(source, 9999, "GET", f"/v3/{letter}").status_code == 401
        assert call(source, 9999, "POST", f"/v3/{letter}", replay=False).status_code == 401
    asked = sandbox.token_requests()
    assert asked <= 1 + 4 + 4, "four of which it is known that they did not help, and four of which nobody knows"

    clock.pass_time(31)
    sandbox.reject_all_tokens(False)
    sandbox.revoke()
    assert call(source, 9999, "GET", "/v3/k").status_code == 200
    assert sandbox.token_requests() == asked + 1


def test_whoever_tells_of_a_refused_replay_is_told_whether_the_token_was_fresh(
    source: TokenSource, clock: FakeClock
) -> None:
    """Only of a fresh token does a 401 say something of the endpoint."""
    first = source.token(9999)
    assert source.replacement_refused(first) is True
    clock.pass_time(31)
    assert source.replacement_refused(first) is False, "it is as old as a hold, and is dropped"
    second = source.token(9999)
    assert second != first
    assert source.replacement_refused(first) is False, "another is here already"
    assert source.token(9999) == second
    source.close()
    assert source.replacement_refused(second) is False


def test_a_token_in_doubt_is_handed_out_while_another_is_asked_for(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, ask: Ask
) -> None:
    """Nobody saw the answer, which may have been a 401; but most are not, and the token may be good."""
    token = ask(source, 9999)
    clock.pass_time(31)
    source.doubt(token)
    assert sandbox.token_requests() == 1, "nobody has asked yet"

    assert ask(source, 9999) == token
    finish_renewals(source)
    assert ask(source, 9999) != token
    assert sandbox.token_requests() == 2


def test_what_is_new_or_gone_is_not_doubted(sandbox: Sandbox, source: TokenSource, clock: FakeClock) -> None:
    """A program whose every call is cut short must not ask for a token for each."""
    first = source.token(9999)
    for _ in range(10):
        source.doubt(first)
        assert source.token(9999) == first
    source.reject(first)
    second = source.token(9999)
    clock.pass_time(31)
    source.doubt(first)
    assert source.token(9999) == second
    finish_renewals(source)
    assert sandbox.token_requests() == 2
    source.close()
    source.doubt(second)


def test_a_token_revoked_again_at_once_is_replaced_again_at_once(
    sandbox: Sandbox, source: TokenSource, call: Call
) -> None:
    """Only a renewal that did not help starts a hold; a revocation is news each time."""
    for _ in range(5):
        sandbox.revoke()
        assert call(source, 9999, "GET", "/v3/anything").status_code == 200
    assert sandbox.token_requests() == 5


def test_a_token_long_at_hand_that_is_refused_too_starts_no_hold(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock
) -> None:
    """A late call's 401 is replayed with the token at hand; if that was revoked as well, nothing was renewed yet."""
    first = source.token(9999)
    source.reject(first)
    second = source.token(9999)
    clock.pass_time(31)
    assert source.replacement_for(first) == second
    source.replacement_refused(second)

    third = source.token(9999)

    assert third != second
    assert source.replacement_for(third) not in (None, third), "a 401 now renews at once"
    assert sandbox.token_requests() == 4


def test_a_token_under_way_when_all_are_taken_back_starts_no_hold(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock
) -> None:
    """A renewal happened to run behind when somebody revoked everything; the next token is as good as any."""
    issued, arrives = threading.Event(), threading.Event()

    class Delayed(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            if sandbox.token_requests() == 2:
                response.read()
                issued.set()
                arrives.wait()
            return response

    policy = RenewalPolicy(attempt_timeout=PATIENCE, deadline=PATIENCE)
    with (
        Delayed() as transport,
        TokenSource(credentials, sandbox.base_url, clock=clock, http=transport, policy=policy) as source,
        httpx.Client(base_url=sandbox.base_url, auth=DaxkoAuth(source, 9999), headers={"Accept": "*/*"}) as http,
        ThreadPoolExecutor(1) as pool,
        ExitStack() as last,
    ):
        # Before the threads are waited for, whatever happens.
        last.callback(arrives.set)
        source.token(9999)
        clock.pass_time(0.76 * 86_400)
        source.token(9999)
        issued.wait()
        clock.pass_time(1)
        sandbox.revoke()
        refused_twice = pool.submit(http.get, "/v3/x")
        eventually(lambda: (held := held_by(source)) is not None and held.rejected_at is not None)
        arrives.set()
        assert refused_twice.result().status_code == 401

        assert http.get("/v3/x").status_code == 200
    assert sandbox.token_requests() == 3


def test_a_late_401_during_a_hold_is_replayed_with_the_token_at_hand(sandbox: Sandbox, source: TokenSource) -> None:
    """A hold spares token requests; a replay with a token that is there costs none."""
    first = source.token(9999)
    second = source.replacement_for(first)
    assert second is not None
    source.replacement_refused(second)

    assert source.replacement_for(second) is None
    assert source.replacement_for(first) == second
    assert sandbox.token_requests() == 2


def test_a_403_never_renews(sandbox: Sandbox, source: TokenSource, call: Call) -> None:
    """Forbidden is an answer, not an expiry."""
    sandbox.forbid("/v3/private")

    assert [call(source, 9999, "GET", "/v3/private").status_code for _ in range(3)] == [403] * 3
    assert sandbox.token_requests() == 1


def test_a_renewal_refused_after_a_401_is_told_to_the_caller(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, call: Call
) -> None:
    """An account that was closed meanwhile: the 401 alone would send people after the wrong thing."""
    call(source, 9999, "GET", "/v3/first")
    sandbox.revoke()
    sandbox.fail_next(1, "status", status=401, error="invalid_client")

    with pytest.raises(TokenRefused, match="invalid_client"):
        call(source, 9999, "GET", "/v3/second")


@pytest.mark.parametrize("opted_out", [True, False])
def test_a_401_that_is_not_replayed_gives_the_next_call_a_new_token(
    sandbox: Sandbox, source: TokenSource, call: Call, world: str, opted_out: bool
) -> None:
    """A generator cannot be sent twice: what would leave is an empty body, or half of one."""
    call(source, 9999, "GET", "/v3/first")
    sandbox.expire()

    async def achunks() -> object:
        yield b"once"

    body = b"once" if opted_out else (iter([b"once"]) if world == "thread" else achunks())
    answer = call(source, 9999, "POST", "/v3/second", replay=not opted_out, content=body)

    assert answer.status_code == 401
    assert [arrival.path for arrival in sandbox.log].count("/v3/second") == 1
    assert sandbox.token_requests() == 1, "nobody has asked for another token yet"
    assert call(source, 9999, "GET", "/v3/third").status_code == 200
    assert sandbox.token_requests() == 2


def test_a_late_401_that_is_not_replayed_leaves_the_successor_alone(sandbox: Sandbox, source: TokenSource) -> None:
    """The next call has a new token already."""
    first = source.token(9999)
    source.reject(first)
    second = source.token(9999)

    assert source.refused_without_replay(first)
    assert source.token(9999) == second
    assert sandbox.token_requests() == 2


def test_calls_that_cannot_be_replayed_cause_no_storm_either(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, call: Call
) -> None:
    """Without a replay nobody learns whether a new token helps, so it is tried four times a hold."""
    sandbox.always_401("/v3/odd")

    for _ in range(20):
        assert call(source, 9999, "GET", "/v3/odd", replay=False).status_code == 401
    assert sandbox.token_requests() == 1 + 4

    clock.pass_time(31)
    for _ in range(20):
        call(source, 9999, "GET", "/v3/odd", replay=False)
    assert sandbox.token_requests() == 1 + 4 + 4


def test_a_token_that_is_revoked_again_and_again_is_replaced_without_a_replay_too(
    sandbox: Sandbox, source: TokenSource, call: Call
) -> None:
    """Renewals that helped are none that did not, and a call that is replayed later is answered."""
    for letter in "abc":
        assert call(source, 9999, "POST", f"/v3/{letter}", replay=False).status_code == 200
        sandbox.revoke()
        assert call(source, 9999, "POST", f"/v3/{letter}", replay=False).status_code == 401
    sandbox.revoke()
    assert call(source, 9999, "GET", "/v3/d").status_code == 200


def test_a_token_rejected_while_a_renewal_runs_behind_is_not_asked_for_twice(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock
) -> None:
    """The renewal of the stale token is already what the 401 asks for."""
    first = source.token(9999)
    clock.pass_time(86_400 * 0.76)
    sandbox.hold()
    source.token(9999)
    sandbox.wait_for_token_requests(2)

    source.reject(first)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(source.token, 9999)
        sandbox.release()
        assert waiting.result() != first

    finish_renewals(source)
    assert sandbox.token_requests() == 2

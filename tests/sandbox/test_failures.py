"""
Failing on demand: by name, so often as asked, where asked.
"""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import httpx
import pytest
from sandbox_calls import PARTNER, Caller
from starlette.types import Message
from support import eventually

from daxko_auth import ApiCredentials, TokenSource
from daxko_auth.sandbox import Arrival, Failure, Sandbox, app, log


@pytest.mark.parametrize("status", [200, 204, 304, 400, 408, 429, 500, 503, 520, 599])
def test_any_status_can_be_answered(caller: Caller, status: int) -> None:
    """Gateways answer with numbers that no list has."""
    caller.sandbox.fail_next(1, "status", status=status, retry_after=7, error="slow_down")

    answer = caller.token()

    assert (answer.status_code, answer.headers["retry-after"]) == (status, "7")
    assert answer.content == b"" if status in {204, 304} else answer.json()["error"] == "slow_down"
    assert caller.token().status_code == 200


@pytest.mark.parametrize(
    ("how", "status", "content_type", "body"),
    [
        (Failure("status"), 503, "application/json", b'{"error": "temporarily_unavailable"'),
        (Failure("status", 502, html=True), 502, "text/html; charset=utf-8", b"<!DOCTYPE html>"),
        (Failure("html"), 200, "text/html; charset=utf-8", b"<!DOCTYPE html>"),
        (Failure("empty"), 200, "application/json", b""),
        (Failure("malformed"), 200, "application/json", b'{"access_token": "ey'),
        (Failure("redirect", 307, location="https://elsewhere.example/"), 307, "application/json", b""),
        (Failure("answer", body={"expires_in": None}), 200, "application/json", b'{"expires_in": null}'),
        (Failure("answer", 400, body="no", content_type="text/plain"), 400, "text/plain", b"no"),
        (Failure("answer", body=b"\xff"), 200, "application/json", b"\xff"),
    ],
    ids=lambda value: value.kind if isinstance(value, Failure) else "",
)
def test_a_failure_is_what_its_name_says(
    caller: Caller, how: Failure, status: int, content_type: str, body: bytes
) -> None:
    """Each of these has been seen in front of a token endpoint."""
    caller.sandbox.fail_next(1, how)

    answer = caller.token()

    assert (answer.status_code, answer.headers["content-type"].startswith(content_type)) == (status, True)
    assert answer.content.startswith(body)
    assert bool(answer.content) == bool(body)
    assert answer.headers.get("location") == (how.location if how.kind == "redirect" else None)
    assert caller.sandbox.log[0].status == status


@pytest.mark.parametrize("how", ["drop", "cut"])
def test_a_connection_can_break_before_and_during_the_answer(caller: Caller, how: str) -> None:
    """A pool meets both, and only the first may be taken for a stale connection."""
    caller.sandbox.fail_next(1, Failure(how))  # type: ignore[arg-type]

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        caller.token()
    assert caller.token().status_code == 200
    assert [arrival.status for arrival in caller.sandbox.log] == [None if how == "drop" else 200, 200]


def test_a_hanging_request_is_logged_and_never_answered(caller: Caller) -> None:
    """The library's own deadline must end it."""
    caller.sandbox.fail_next(1, "hang")

    with pytest.raises(httpx.ReadTimeout):
        caller.http.post(PARTNER, timeout=httpx.Timeout(None, read=0.1))
    # What was sent may arrive only now.
    eventually(lambda: caller.sandbox.partner_endpoint().failures_to_come == 0)
    assert [(arrival.status, arrival.milliseconds) for arrival in caller.sandbox.log] == [(None, None)]
    assert caller.token().status_code == 200


def test_silence_lasts_until_the_caller_is_gone() -> None:
    """ASGI lets a server repeat an empty end of the body before it tells."""
    messages: list[Message] = [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return messages.pop(0)

    asyncio.run(app._gone(receive))
    assert messages == []


def test_failures_come_in_the_order_in_which_they_were_asked_for(caller: Caller) -> None:
    """A retry policy is tested with a row of different failures."""
    caller.sandbox.fail_next(2, "status", status=503)
    caller.sandbox.fail_next(1, "answer", status=418, body={}, content_type="application/json")

    assert [caller.token().status_code for _ in range(4)] == [503, 503, 418, 200]


def test_failures_happen_only_where_they_were_asked_for(caller: Caller) -> None:
    """A token endpoint in trouble leaves the resources alone, and the other way round."""
    token = caller.access_token()
    caller.sandbox.fail_next(1, "status", where="member")
    caller.sandbox.fail_next(1, "status", where="resource", status=500)

    assert caller.token().status_code == 200
    assert [caller.member(token).status_code for _ in range(2)] == [503, 200]
    assert [caller.get("/v3/x", token).status_code for _ in range(2)] == [500, 200]


def test_failures_to_come_can_be_called_off(caller: Caller) -> None:
    """`Until I say so` is many, then none."""
    caller.sandbox.fail_next(1000, "status")
    assert caller.token().status_code == 503
    caller.sandbox.fail_no_more()

    assert caller.token().status_code == 200


@pytest.mark.parametrize(
    ("where", "path"), [("partner", PARTNER), ("member", "/v3/members/oauth2/token"), ("resource", "/v3/x")]
)
def test_answers_can_be_late(caller: Caller, monkeypatch: pytest.MonkeyPatch, where: str, path: str) -> None:
    """It waits before it judges, for as long as it was told, and the log says how long it took."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(app, "asyncio", SimpleNamespace(sleep=sleep, CancelledError=asyncio.CancelledError))
    monkeypatch.setattr(log, "time", SimpleNamespace(perf_counter=lambda: sum(waits)))
    caller.sandbox.set_latency(60, where=where)  # type: ignore[arg-type]
    caller.http.post(path)

    assert waits == [60]
    assert caller.sandbox.log[0].milliseconds == 60_000


def test_held_requests_line_up_and_go_on_together(caller: Caller) -> None:
    """Tests bring their waiters into position without sleeping."""
    sandbox = caller.sandbox
    sandbox.hold()
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(caller.token) for _ in range(20)]
        sandbox.wait_for_token_requests(20, 9999)
        assert {arrival.status for arrival in sandbox.log} == {None}
        assert not any(one.done() for one in waiting)
        sandbox.release()

        assert {one.result().status_code for one in waiting} == {200}
    assert caller.token().status_code == 200


def test_a_held_request_is_judged_when_it_is_let_go(caller: Caller) -> None:
    """So that a thousand calls in flight can all meet the same 401."""
    token = caller.access_token()
    caller.sandbox.hold(where="resource")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(caller.get, "/v3/x", token)
        caller.sandbox.wait_for(lambda log: len(log) == 2)
        caller.sandbox.expire()
        caller.sandbox.release(where="resource")

        assert waiting.result().status_code == 401


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("fail_next", (1, "explode")),
        ("fail_next", (1, [])),
        ("fail_next", (-1, "html")),
        ("fail_next", (True, "html")),
        ("fail_next", (10**7, "html")),
        ("set_token_life", (0,)),
        ("set_token_life", (10**400,)),
        ("set_token_life", (1.5,)),
        ("set_latency", (-1,)),
        ("set_latency", (float("nan"),)),
        ("advance", ("1",)),
        ("advance", (True,)),
        ("advance", (10**400,)),
        ("expire", (1.5,)),
        ("revoke", (True,)),
        ("reject_all_tokens", (1,)),
        ("forbid", ("v3/x",)),
        ("always_401", (3,)),
    ],
)
def test_a_switch_that_makes_no_sense_is_refused(sandbox: Sandbox, name: str, arguments: tuple[object, ...]) -> None:
    """A typing mistake in a test must not go by unnoticed."""
    before = sandbox.state()

    with pytest.raises(ValueError, match=r"\w"):
        getattr(sandbox, name)(*arguments)
    assert sandbox.state() == before


@pytest.mark.parametrize(
    "options",
    [
        {"status": 99},
        {"status": 600},
        {"status": "503"},
        {"retry_after": "1\r\nX: y"},
        {"location": "/ä"},
        {"content_type": "text/\n"},
        {"where": "elsewhere"},
    ],
)
def test_a_failure_that_cannot_be_sent_is_refused(sandbox: Sandbox, options: dict[str, object]) -> None:
    """It would break the sandbox later, in a thread where nobody looks."""
    with pytest.raises(ValueError, match=r"\w"):
        sandbox.fail_next(1, "status", **options)  # type: ignore[arg-type]


def test_a_failure_does_not_show_the_body_it_will_send() -> None:
    """Tests put tokens there."""
    assert "s3cret" not in repr(Failure("answer", body=json.dumps({"access_token": "s3cret"})))


def test_what_has_arrived_is_let_go_by_a_release_that_another_hold_follows_at_once(
    sandbox: Sandbox, credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that the log shows and that `release()` misses would wait for ever."""
    arrived = sandbox._log.arrived

    def arrived_and_let_go(make: Callable[[int], Arrival]) -> int:
        number = arrived(make)
        # As early as anybody can know of it.
        sandbox.release()
        sandbox.hold()
        return number

    monkeypatch.setattr(sandbox._log, "arrived", arrived_and_let_go)
    sandbox.hold()
    with TokenSource(credentials, sandbox.base_url) as source:
        assert source.token(9999).scope.client_id == 9999

"""What a token request hands on, and every sentence that it ends in, word for word."""

import base64
import json
import logging
import socket
import threading
from collections.abc import Iterator
from email.utils import formatdate

import httpx
import pytest
from asking import SENT_AT, AskOnce
from support import PATIENCE

from daxko_auth import AccessToken, ApiCredentials, ClientScope, TokenEndpointUnavailable, TokenRefused
from daxko_auth.model.errors import TokenResponseInvalid
from daxko_auth.model.origin import Origin
from daxko_auth.sandbox import Sandbox
from daxko_auth.wire.exchange import Exchange

GRANTED = {"access_token": "canary.token", "expires_in": 60}


def _saying(status: int, fields: object = None, **headers: str) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, json=fields, headers=headers))


def test_each_limit_is_handed_to_whoever_keeps_it(ask_once: AskOnce) -> None:
    """Httpx bounds each step; the connection is not kept, because the next token may be a day away."""
    seen: list[httpx.Request] = []

    def look(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=GRANTED)

    limit = PATIENCE + 7.5
    assert isinstance(ask_once(timeout=limit, transport=httpx.MockTransport(look)), AccessToken)

    (request,) = seen
    # Of several addresses each gets this long, one after another: where the first are dead, there is time for others.
    assert request.extensions["timeout"] == {"connect": limit / 4, "read": limit, "write": limit, "pool": limit}
    assert request.headers["Connection"] == "close"


def test_a_transport_that_never_answers_is_not_waited_for(ask_once: AskOnce) -> None:
    """The one limit that holds whatever the transport does."""
    gate = threading.Event()

    def hang(_: httpx.Request) -> httpx.Response:
        gate.wait()
        return httpx.Response(200, json=GRANTED)

    try:
        outcome = ask_once(timeout=0.05, transport=httpx.MockTransport(hang))
    finally:
        gate.set()
    assert isinstance(outcome, TokenEndpointUnavailable)
    assert "/v3/partners/oauth2/token did not answer within 0.05 s. Ask again later" in str(outcome)


class _Endless(httpx.SyncByteStream):
    """A body that goes on until nobody reads it, or until the test is over."""

    def __init__(self) -> None:
        self.left = threading.Event()
        self.over = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        while not self.over.is_set():
            yield b""

    def close(self) -> None:
        """Note that nobody reads on."""
        self.left.set()


def test_a_body_that_goes_on_is_left_when_the_time_is_up(ask_once: AskOnce) -> None:
    """Whatever carries it: a transport of somebody's own has no connection that could be cut."""
    body = _Endless()
    try:
        ask_once(timeout=0.05, transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=body)))
        body.left.wait()
    finally:
        body.over.set()


def test_the_connection_is_cut_when_the_time_is_up(ask_once: AskOnce) -> None:
    """Or else a server that goes on sending keeps a thread and a socket."""
    ours, theirs = socket.socketpair()
    ended = threading.Event()

    class Stream:
        @staticmethod
        def get_extra_info(name: str) -> socket.socket:
            assert name == "socket"
            return ours

    def read(request: httpx.Request) -> httpx.Response:
        request.extensions["trace"]("connect_tcp.complete", {"return_value": Stream})
        if ours.recv(1) == b"":
            ended.set()
        return httpx.Response(200)

    with ours, theirs:
        ask_once(timeout=0.05, transport=httpx.MockTransport(read))
        ended.wait()


@pytest.mark.parametrize(
    ("transport", "kind", "said"),
    [
        (
            _saying(503),
            TokenEndpointUnavailable,
            (
                "answered 503 (no content type). Ask again later; if it lasts, check the network, DAXKO_BASE_URL "
                "and Daxko's status"
            ),
        ),
        (
            _saying(302),
            TokenResponseInvalid,
            (
                "redirects (302) to a path of the same host, which is not followed. "
                "Check that DAXKO_BASE_URL is Daxko's API and that no proxy or firewall answers in its place"
            ),
        ),
        (
            _saying(400, {"error": "invalid_scope"}),
            TokenRefused,
            (
                "refused (400, invalid_scope). "
                "Ask Daxko whether it has linked account 'daxko_api_user' to Daxko client 9999"
            ),
        ),
    ],
    ids=["unavailable", "invalid", "refused"],
)
def test_an_error_says_what_happened_where_and_what_to_do(
    sandbox: Sandbox, ask_once: AskOnce, transport: httpx.BaseTransport, kind: type, said: str
) -> None:
    """The whole sentence, and the scope for whoever catches it."""
    outcome = ask_once(transport=transport)

    assert type(outcome) is kind
    assert str(outcome) == f"no access token for client:9999: {sandbox.base_url}/v3/partners/oauth2/token {said}"
    assert getattr(outcome, "scope", None) == "client:9999"


def test_an_error_code_is_quoted_up_to_64_characters(ask_once: AskOnce) -> None:
    """It is a word, and what is no word is no code."""
    outcome = ask_once(transport=_saying(400, {"error": "no " * 100}))

    assert isinstance(outcome, TokenRefused)
    assert outcome.error == ("no " * 100)[:61] + "..."


def test_the_keys_of_an_answer_are_all_shown_however_long(ask_once: AskOnce) -> None:
    """Eight long ones: more than is quoted of anything else."""
    keys = sorted(f"k{number}".ljust(39, "_") for number in range(8))
    outcome = ask_once(transport=_saying(200, dict.fromkeys(keys, 1)))

    assert ", ".join(keys) in str(outcome)
    assert "..." not in str(outcome)


def test_a_life_that_only_the_token_tells_counts_from_when_it_was_asked_for(ask_once: AskOnce) -> None:
    """By the clock that was handed in."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": SENT_AT + 90}).encode()).decode().rstrip("=")
    outcome = ask_once(transport=_saying(200, {"access_token": f"eyJhbGciOiJIUzI1NiJ9.{claims}.c2ln"}))

    assert isinstance(outcome, AccessToken)
    assert outcome.expires_in == 90


def test_an_assumed_life_is_told_with_its_token(ask_once: AskOnce, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever wonders about a token of an hour finds why."""
    outcome = ask_once(transport=_saying(200, {"access_token": "canary.token"}))

    assert isinstance(outcome, AccessToken)
    said = f"client:9999: the answer does not say how long {outcome} lives; one hour is assumed"
    assert [record.getMessage() for record in caplog.records if record.name == "daxko_auth"] == [said]


@pytest.mark.parametrize(("ahead", "told"), [(60.0, 0), (60.5, 1)])
def test_a_wrong_clock_is_told_from_a_minute_on(
    ask_once: AskOnce, caplog: pytest.LogCaptureFixture, ahead: float, told: int
) -> None:
    """An answer may itself be some seconds under way."""
    exchange = _exchange(_saying(200, GRANTED, Date=formatdate(SENT_AT, usegmt=True)))
    exchange.request(ClientScope(9999), sent_at=SENT_AT + ahead, timeout=PATIENCE)

    assert len(_about_clocks(caplog)) == told


def test_a_wrong_clock_is_warned_of_once_a_minute_and_how_bad_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """It lasts, so to say it with every token would be noise."""
    exchange = _exchange(_saying(200, GRANTED, Date=formatdate(SENT_AT - 7_200, usegmt=True)))
    for later in (0, 59, 61):
        exchange.request(ClientScope(9999), sent_at=SENT_AT + later, timeout=PATIENCE)

    records = _about_clocks(caplog)
    assert [record.levelno for record in records] == [logging.WARNING, logging.DEBUG, logging.WARNING]
    assert records[0].getMessage() == (
        "this machine's clock is about 7200 s ahead of the Date header of https://api.daxko.com; set it. Tokens are "
        "counted from when they were asked for, so none is lost, but their ends as stored and logged are off by as much"
    )


def _exchange(transport: httpx.BaseTransport) -> Exchange:
    account = ApiCredentials("daxko_api_user", "a-password", "a-refresh-token")
    return Exchange(account, Origin.of("https://api.daxko.com"), transport)


def _about_clocks(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if "clock" in record.getMessage()]


@pytest.fixture
def said_by() -> Iterator[list[str]]:
    """Have a log handler that hangs, until the test is over; give the threads that it hung."""
    threads: list[str] = []
    over = threading.Event()

    class Hanging(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            threads.append(threading.current_thread().name)
            over.wait()

    handler, logger = Hanging(), logging.getLogger("daxko_auth")
    logger.addHandler(handler)
    yield threads
    over.set()
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    "transport",
    [_saying(200, GRANTED, Date=formatdate(SENT_AT - 7_200, usegmt=True)), _saying(200, {"access_token": "canary"})],
    ids=["a wrong clock", "an assumed life"],
)
def test_a_log_handler_that_hangs_costs_no_token(
    ask_once: AskOnce, said_by: list[str], transport: httpx.BaseTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A syslog that takes no more, or a handler that wants a token itself. It is waited for a little."""
    monkeypatch.setattr("daxko_auth.wire.exchange._LONGEST_REMARK", 0.05)

    assert isinstance(ask_once(transport=transport), AccessToken)
    assert said_by in ([], ["daxko-auth log"])


@pytest.mark.parametrize("json", [GRANTED, {"access_token": "canary"}], ids=["a wrong clock", "an assumed life"])
def test_a_log_filter_that_fails_costs_no_token(ask_once: AskOnce, json: object) -> None:
    """It costs the line."""

    class Failing(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise OSError

    failing, logger = Failing(), logging.getLogger("daxko_auth")
    logger.addFilter(failing)
    try:
        outcome = ask_once(transport=_saying(200, json, Date=formatdate(SENT_AT - 7_200, usegmt=True)))
    finally:
        logger.removeFilter(failing)
    assert isinstance(outcome, AccessToken)

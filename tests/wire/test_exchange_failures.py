"""A token endpoint that fails in one of the ways a server can."""

from datetime import UTC, datetime, timedelta

import pytest
from asking import SENT_AT, AskOnce
from raw_server import RawServer, answer, everything_about, saying

from daxko_auth.model.errors import TokenEndpointUnavailable, TokenResponseInvalid
from daxko_auth.sandbox import Failure, Sandbox


@pytest.mark.parametrize("html", [False, True], ids=["JSON", "HTML"])
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 599])
def test_a_server_in_trouble_can_be_asked_again(sandbox: Sandbox, ask_once: AskOnce, status: int, html: bool) -> None:
    """Nothing is wrong with the account; whoever retries must be told so."""
    sandbox.fail_next(1, "status", status=status, html=html)
    outcome = ask_once()
    assert type(outcome) is TokenEndpointUnavailable
    assert (outcome.status_code, outcome.retryable, outcome.retry_after) == (status, True, None)
    assert outcome.error is None
    kind = 'text/html, titled "Sandbox"' if html else "application/json"
    said = f"no access token for client:9999: {sandbox.base_url}/v3/partners/oauth2/token answered {status} ({kind}). "
    assert said in str(outcome)
    assert sandbox.token_requests() == 1


# The sandbox writes no Date, so that the moment of asking counts.
SOON = datetime.fromtimestamp(SENT_AT, UTC) + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        (7, 7),
        ("99999999", 99_999_999),
        (SOON.strftime("%a, %d %b %Y %H:%M:%S GMT"), 300),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("-1", None),
        ("junk", None),
        ("", None),
        ("1.5", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_the_server_asks_for_is_passed_on(
    sandbox: Sandbox, ask_once: AskOnce, status: int, retry_after: float | str, seconds: float | None
) -> None:
    """Rate limits are per account and shared by all machines: a wait that is ignored costs everybody."""
    sandbox.fail_next(1, "status", status=status, retry_after=retry_after)
    outcome = ask_once()
    assert type(outcome) is TokenEndpointUnavailable
    assert outcome.retry_after == seconds
    assert f". Ask again {f'in {seconds} s' if seconds else 'later'}; if it lasts" in str(outcome)


def test_a_date_to_wait_for_is_measured_by_the_servers_clock(ask_once: AskOnce) -> None:
    """A machine whose clock is years off still waits the right time."""
    headers = {"Retry_After": "Sun, 06 Nov 1994 08:49:37 GMT", "Date": "Sun, 06 Nov 1994 08:49:30 GMT"}
    with RawServer(saying(answer(b"", "503 Service Unavailable", **headers))) as server:
        outcome = ask_once(base_url=server.base_url)
    assert type(outcome) is TokenEndpointUnavailable
    assert outcome.retry_after == 7


INVALID = {
    "html": (Failure("html"), 'status 200 with a body that is not a JSON object (text/html, titled "Sandbox")'),
    "empty": (Failure("empty"), "status 200 with a body that is not a JSON object (application/json)"),
    "malformed": (Failure("malformed"), "status 200 with a body that is not a JSON object (application/json)"),
    "list": (Failure("answer", body=["canary"]), "status 200 with a body that is not a JSON object"),
    "other": (Failure("answer", body={"token": "canary"}), "its keys are token"),
    "life": (Failure("answer", body={"access_token": "canary", "expires_in": 0}), "its expires_in is not a number"),
    "long": (Failure("answer", body='{"access_token": "canary", "expires_in": -1' + "0" * 400 + "}"), "its expires_in"),
    "mac": (Failure("answer", body={"access_token": "canary", "token_type": "mac"}), "its token_type is not bearer"),
    "not found": (Failure("status", 404, html=True), 'status 404 (text/html, titled "Sandbox")'),
    "no content": (Failure("answer", 204), "status 204"),
    "teapot": (Failure("answer", 418, body="canary", content_type="text/plain"), "status 418 (text/plain)"),
}


@pytest.mark.parametrize(("failure", "reason"), INVALID.values(), ids=INVALID)
def test_an_answer_that_is_no_token_response_is_said_to_be_none(
    sandbox: Sandbox, ask_once: AskOnce, failure: Failure, reason: str
) -> None:
    """Somebody else answers, or the URL is wrong: asking again does not help, a look at the settings does."""
    sandbox.fail_next(1, failure)
    outcome = ask_once()
    assert type(outcome) is TokenResponseInvalid
    assert (outcome.status_code, outcome.retryable, outcome.scope) == (failure.status, False, "client:9999")
    assert "did not answer with a token response: " in str(outcome)
    assert reason in str(outcome)
    assert "Check that DAXKO_BASE_URL is Daxko's API and that no proxy or firewall answers in its place" in str(outcome)
    assert "canary" not in everything_about(outcome)
    assert sandbox.token_requests() == 1


def test_a_secret_that_comes_back_in_a_title_is_masked(sandbox: Sandbox, ask_once: AskOnce) -> None:
    """A debug page of a framework shows what it was sent, in any place."""
    page = f"<title>KeyError at {sandbox.password}: {sandbox.refresh_token}</title>"
    for status in (200, 404, 500):
        sandbox.fail_next(1, "answer", status=status, body=page, content_type="text/html")
        outcome = ask_once()
        assert 'titled "KeyError at ***: ***"' in str(outcome)
        assert sandbox.password not in everything_about(outcome)


def test_a_secret_that_comes_back_as_a_key_is_masked(sandbox: Sandbox, ask_once: AskOnce) -> None:
    """Keys are listed to help; a server that turned a form upside down must not make us print the password."""
    sandbox.fail_next(1, "answer", body={sandbox.password: "client_secret", "hint": 1})
    outcome = ask_once()
    assert type(outcome) is TokenResponseInvalid
    assert "its keys are ***, hint" in str(outcome)


@pytest.mark.parametrize(("failure", "status"), [(Failure("drop"), None), (Failure("cut"), 200)], ids=["drop", "cut"])
def test_a_connection_that_breaks_can_be_tried_again(
    sandbox: Sandbox, ask_once: AskOnce, failure: Failure, status: int | None
) -> None:
    """No answer is no refusal."""
    sandbox.fail_next(1, failure)
    outcome = ask_once()
    assert type(outcome) is TokenEndpointUnavailable
    assert (outcome.status_code, outcome.retryable) == (status, True)
    assert "did not answer in HTTP (RemoteProtocolError: " in str(outcome) or "(ReadError: " in str(outcome)
    assert sandbox.token_requests() == 1


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"canary\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ncanary",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "garbage", "status", "length", "header", "chunks", "SSH", "TLS", "long header"],
)
def test_what_is_not_http_is_an_endpoint_out_of_order(ask_once: AskOnce, said: bytes) -> None:
    """A port of somebody else's, or a proxy in trouble."""
    with RawServer(saying(said)) as server:
        outcome = ask_once(base_url=server.base_url)
    assert type(outcome) is TokenEndpointUnavailable
    assert outcome.status_code == (200 if b"chunked" in said else None)
    assert str(outcome).isprintable()
    assert len(str(outcome)) < 600
    assert "canary" not in everything_about(outcome)

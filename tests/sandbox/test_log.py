"""
The log: what is in it, what is found by it, and what never gets into it.
"""

import base64
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from sandbox_calls import MEMBER, PARTNER, Caller, form

from daxko_auth.model.secret import fingerprint
from daxko_auth.sandbox import Sandbox


def test_an_arrival_says_what_was_sent_and_answered(caller: Caller) -> None:
    """A test reads here what its library really did."""
    token = caller.access_token("client:1234")
    caller.get("/v3/x?q=1", token)
    caller.http.get("/v3/y")
    caller.http.post("/v3/z", content=b"x", headers={"authorization": "Basic eDp5"})
    log = caller.sandbox.log

    refresh_token = fingerprint(caller.sandbox.refresh_token.encode())
    assert [
        (one.number, one.method, one.path, one.status, one.bearer, one.bearer_fingerprint, one.body, one.scope)
        for one in log
    ] == [
        (1, "POST", PARTNER, 200, "refresh_token", refresh_token, "multipart", "client:1234"),
        (2, "GET", "/v3/x", 200, "access_token", fingerprint(token.encode()), "none", "client:1234"),
        (3, "GET", "/v3/y", 401, "none", "", "none", ""),
        (4, "POST", "/v3/z", 401, "other", "", "other", ""),
    ]
    assert all(one.milliseconds is not None and one.milliseconds >= 0 for one in log)
    assert all(one.misplaced == () for one in log)


@pytest.mark.parametrize("end", ["expire", "revoke"])
def test_an_ended_token_is_still_known_in_the_log(caller: Caller, end: str) -> None:
    """Whether an old token or junk was sent is what one wants to know."""
    token = caller.access_token()
    getattr(caller.sandbox, end)()
    caller.get("/v3/x", token)

    last = caller.sandbox.log[-1]
    assert (last.bearer, last.scope, last.status) == ("access_token", "client:9999", 401)


def test_token_requests_are_counted_by_scope_whatever_became_of_them(caller: Caller) -> None:
    """`Exactly one token request` is the promise most tests check."""
    sandbox = caller.sandbox
    sandbox.fail_next(1, "status")
    caller.token()
    caller.token("client:1234")
    caller.token("s3cret")
    caller.http.get(PARTNER)
    caller.form(b"not multipart")

    assert sandbox.token_requests() == 4
    assert [sandbox.token_requests(scope) for scope in (9999, "1234", "client:1234", 5)] == [1, 1, 1, 0]
    assert sandbox.log[2].scope == ""
    sandbox.clear_log()
    assert (sandbox.log, sandbox.token_requests()) == ([], 0)
    caller.token()
    assert [one.number for one in sandbox.log] == [6]


def test_a_request_that_was_cleared_away_stays_away(caller: Caller) -> None:
    """Its answer must not bring half of it back."""
    sandbox = caller.sandbox
    sandbox.set_latency(0.01)
    sandbox.fail_next(1, "answer", body=b"{}")
    sandbox.hold()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(caller.token)
        sandbox.wait_for_token_requests(1)
        sandbox.clear_log()
        sandbox.release()
        waiting.result()

    assert sandbox.log == []


def test_waiting_ends_with_an_error_that_counts(sandbox: Sandbox) -> None:
    """A test that waits in vain should say what did arrive."""
    with pytest.raises(TimeoutError, match="0 of 3 token requests"):
        sandbox.wait_for_token_requests(3, timeout=0.01)
    with pytest.raises(TimeoutError, match="0 requests are in the log"):
        sandbox.wait_for(bool, timeout=0.01)


def test_the_log_forgets_the_oldest_before_it_grows_for_ever(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox may run for weeks."""
    monkeypatch.setattr("daxko_auth.sandbox.log._MOST_KEPT", 3)
    for _ in range(5):
        caller.http.get("/v3/x")

    assert [one.number for one in caller.sandbox.log] == [3, 4, 5]


Encode = Callable[[str], str]
ENCODINGS: dict[str, Encode] = {
    "raw": str,
    "percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "quoted": lambda text: quote(text, safe=""),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of a pair": lambda text: base64.b64encode(f"{'user'}:{text}".encode()).decode(),
    "base64url, bare": lambda text: base64.urlsafe_b64encode(f"?{text}".encode()).decode().rstrip("="),
    "base64 inside a word": lambda text: "x" + base64.b64encode(text.encode()).decode(),
    "percent in base64": lambda text: base64.b64encode(quote(f"({text})").encode()).decode(),
    "base64 in percent": lambda text: quote(base64.b64encode(f"~~{text}".encode()).decode()),
}


# The stray secret may stand in the URL, which httpx logs.
@pytest.mark.shows_secrets("log")
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("secret", ["refresh_token", "password", "member_password", "access_token"])
def test_a_secret_is_found_wherever_it_does_not_belong(caller: Caller, secret: str, encoding: str) -> None:
    """Encoded or not: who reads a proxy's log can decode it too."""
    access_token = caller.access_token()
    values = {
        "refresh_token": caller.sandbox.refresh_token,
        "password": caller.sandbox.password,
        "member_password": "member_password",
        "access_token": access_token,
    }
    written = ENCODINGS[encoding](values[secret])
    bearer = {"authorization": f"Bearer {access_token}"}
    for path in ("/v3/x", PARTNER, MEMBER):
        caller.http.post(f"{path}?q={written}", headers={"x-note": written})
    caller.http.post("/v3/x", content=f'{{"note": "{written}"}}', headers=bearer)
    caller.http.get(f"/v3/{written}/x", headers=bearer)
    found = [one.misplaced for one in caller.sandbox.log]

    both = (f"{secret} in headers", f"{secret} in url")
    assert found == [(), both, both, both, (f"{secret} in body",), (f"{secret} in url",)]
    assert caller.sandbox.log[-1].path == "/v3/<withheld>/x"


def test_a_secret_in_the_wrong_header_or_endpoint_is_found(caller: Caller) -> None:
    """The right secret at the wrong endpoint, and the right endpoint in the wrong place."""
    sandbox, access_token = caller.sandbox, caller.access_token()
    caller.get("/v3/x", sandbox.refresh_token)
    caller.token(bearer=access_token)
    caller.token(scope=sandbox.refresh_token)
    caller.member(access_token, password=sandbox.password)
    caller.member(sandbox.refresh_token)
    caller.form(form(caller.fields(note=access_token, more="member_password").items()))
    basic = base64.b64encode(f"{sandbox.username}:{sandbox.password}".encode()).decode()
    caller.http.post(PARTNER, headers={"authorization": f"Basic {basic}", "cookie": f"token={access_token}"})

    assert [one.misplaced for one in sandbox.log[1:]] == [
        ("refresh_token in authorization",),
        ("access_token in authorization",),
        ("refresh_token in body",),
        ("password in body",),
        ("refresh_token in authorization",),
        ("access_token in body", "member_password in body"),
        ("access_token in headers", "password in authorization"),
    ]


def test_a_secret_is_found_in_a_large_upload(caller: Caller) -> None:
    """Raw, however far back it lies."""
    body = b"x" * 300_000 + caller.sandbox.password.encode()
    caller.http.post("/v3/x", content=body)

    assert caller.sandbox.log[0].misplaced == ("password in body",)


def test_a_blank_password_is_not_found_everywhere() -> None:
    """Every text contains a blank."""
    with Sandbox(members={"ann": ""}) as sandbox:
        one = Caller(sandbox)
        with one.http:
            one.http.get("/v3/x")

        assert sandbox.log[0].misplaced == ()


@pytest.mark.shows_secrets("log")
def test_no_secret_gets_into_the_log_or_a_repr(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A log is pasted into reports; a strange JWT in a path may be a real one."""
    caplog.set_level(logging.DEBUG)
    with Sandbox(members={"member_name": "m3mber-s3cret"}) as sandbox:
        caller = Caller(sandbox)
        with caller.http:
            strange = f"eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.{'s' * 43}"
            secrets = [sandbox.refresh_token, sandbox.password, caller.access_token(), "m3mber-s3cret", strange]
            for value in secrets:
                caller.http.post(f"/v3/{value}?q={value}", headers={"x": value}, content=value)
                caller.token(scope=value)
                caller.member(value, username=value)
        seen = f"{sandbox.log} {sandbox!r} {sandbox.account!r} {vars(sandbox)} {capfd.readouterr()}"
    # httpx logs the URLs that this very test sends; the sandbox and its server log nothing.
    seen += " ".join(str(record.__dict__) for record in caplog.records if not record.name.startswith("http"))

    assert len(sandbox.log) == 16
    for value in secrets:
        assert value not in seen

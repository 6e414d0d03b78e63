"""
Everything else under /v3: who may pass, and what is said to those who may not.
"""

import hashlib
from collections.abc import Callable

import pytest
from sandbox_calls import MEMBER, Caller

from daxko_auth.model.secret import fingerprint
from daxko_auth.sandbox import Sandbox


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "JUMP"])
def test_a_live_access_token_is_told_who_it_is(caller: Caller, method: str) -> None:
    """Tests see whose token arrived, and that a replayed body arrived whole."""
    token = caller.access_token("client:1234")
    body = b"\x00\xff" * 500

    answer = caller.http.request(
        method, "/v3/any/thing?a=1&b", content=body, headers={"authorization": f"Bearer {token}"}
    )

    assert answer.status_code == 200
    assert answer.json() == {
        "client_id": 1234,
        "scope": "client:1234",
        "username": "daxko_api_user",
        "method": method,
        "path": "/v3/any/thing",
        "query": "a=1&b",
        "token": fingerprint(token.encode()),
        "body": {"bytes": 1000, "sha256": hashlib.sha256(body).hexdigest()},
    }


def test_the_scheme_ignores_case(caller: Caller) -> None:
    """RFC 9110 section 11.1."""
    headers = {"authorization": f"bEARER {caller.access_token()}"}

    assert caller.http.get("/v3/x", headers=headers).status_code == 200


Spoil = Callable[[Sandbox], object]


@pytest.mark.parametrize("path", ["/v3/x", MEMBER])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda sandbox: sandbox.expire(), "has expired"),
        (lambda sandbox: sandbox.expire(9999), "has expired"),
        (lambda sandbox: sandbox.advance(86400), "has expired"),
        (lambda sandbox: sandbox.revoke(), "was revoked"),
        (lambda sandbox: sandbox.revoke("client:9999"), "was revoked"),
        (lambda sandbox: sandbox.reject_all_tokens(), "was revoked"),
    ],
)
def test_an_access_token_that_ended_is_refused_with_its_reason(
    caller: Caller, spoil: Spoil, said: str, path: str
) -> None:
    """RFC 6750 section 3.1: 401 and invalid_token, for which the guide says to ask for another."""
    token = caller.access_token()
    spoil(caller.sandbox)

    answer = caller.http.post(path, headers={"authorization": f"Bearer {token}"})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert said in answer.json()["error_description"]
    assert answer.headers["www-authenticate"].startswith('Bearer realm="daxko", error="invalid_token"')


@pytest.mark.parametrize("path", ["/v3/x", MEMBER])
@pytest.mark.parametrize(
    ("authorization", "said"),
    [
        ("Bearer {refresh_token}", "it is the refresh token"),
        ("Bearer junk", "none of this account's tokens"),
        ("Basic junk", "none of this account's tokens"),
    ],
)
def test_any_other_bearer_is_refused(caller: Caller, authorization: str, said: str, path: str) -> None:
    """The refresh token opens one endpoint and no other."""
    filled = authorization.format(refresh_token=caller.sandbox.refresh_token)

    answer = caller.http.post(path, headers={"authorization": filled})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert said in answer.json()["error_description"]
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/v3/x", MEMBER])
def test_without_a_bearer_the_challenge_has_no_code(caller: Caller, path: str) -> None:
    """RFC 6750 section 3.1: whoever did not try is not told what went wrong."""
    answer = caller.http.post(path)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="daxko"')
    assert answer.json()["error"] == "invalid_token"


def test_a_token_lives_exactly_as_long_as_it_says(caller: Caller) -> None:
    """The sandbox's clock decides, so no test has to sleep."""
    # So long that no machine is slow enough to end it.
    caller.sandbox.set_token_life(1_000_000)
    token = caller.access_token()
    caller.sandbox.advance(900_000)
    assert caller.get("/v3/x", token).status_code == 200
    caller.sandbox.advance(100_000)

    assert caller.get("/v3/x", token).status_code == 401
    assert caller.get("/v3/x", caller.access_token()).status_code == 200


@pytest.mark.parametrize("end", ["expire", "revoke"])
def test_only_the_tokens_of_the_scope_end(caller: Caller, end: str) -> None:
    """One customer's trouble must not look like another's."""
    ours, theirs = caller.access_token("client:9999"), caller.access_token("client:1234")

    assert getattr(caller.sandbox, end)(9999) == 1
    assert [caller.get("/v3/x", token).status_code for token in (ours, theirs)] == [401, 200]


def test_rejected_tokens_are_issued_all_the_same_and_can_be_good_again(caller: Caller) -> None:
    """A suspended account looks like this: every renewal works, and none helps."""
    caller.sandbox.reject_all_tokens()
    token = caller.access_token()
    assert caller.get("/v3/x", token).status_code == 401

    caller.sandbox.reject_all_tokens(on=False)
    assert caller.get("/v3/x", token).status_code == 200


def test_a_forbidden_path_is_403_for_a_live_token_only(caller: Caller) -> None:
    """403 says that the token is fine, so an ended one gets its 401 first."""
    token = caller.access_token()
    caller.sandbox.forbid("/v3/secret")

    assert caller.get("/v3/secret", token).status_code == 403
    assert caller.get("/v3/secret", "junk").status_code == 401
    assert caller.get("/v3/secrets", token).status_code == 200
    caller.sandbox.forbid("/v3/secret", on=False)
    assert caller.get("/v3/secret", token).status_code == 200


def test_a_path_can_refuse_every_bearer(caller: Caller) -> None:
    """Some endpoints say 401 for `not allowed`; renewing the token does not help there."""
    token = caller.access_token()
    caller.sandbox.always_401("/v3/secret")
    answer = caller.get("/v3/secret", token)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert caller.get("/v3/other", token).status_code == 200
    caller.sandbox.always_401("/v3/secret", on=False)
    assert caller.get("/v3/secret", token).status_code == 200


def test_json_must_be_accepted_here_too(caller: Caller) -> None:
    """The vendor requires it on every request."""
    headers = {"authorization": f"Bearer {caller.access_token()}", "accept": "text/html"}
    answer = caller.http.get("/v3/x", headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (406, "invalid_request")


@pytest.mark.parametrize("path", ["/v2/x", "/v3", "/favicon.ico", "//v3/x"])
def test_outside_v3_there_is_nothing(caller: Caller, path: str) -> None:
    """A base URL with a path too many shows itself."""
    answer = caller.http.get(f"{caller.sandbox.base_url}{path}")

    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


@pytest.mark.parametrize(
    "path", ["/v3/partners/oauth2/token/", "/v3/partners/oauth2/token%0A", "/v3//partners/oauth2/token"]
)
def test_a_path_that_only_looks_like_the_token_endpoint_is_another(caller: Caller, path: str) -> None:
    """The refresh token belongs to one path, letter by letter."""
    answer = caller.get(path, caller.sandbox.refresh_token)

    assert answer.status_code == 401
    assert caller.sandbox.log[-1].misplaced == ("refresh_token in authorization",)

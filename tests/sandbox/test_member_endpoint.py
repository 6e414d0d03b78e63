"""
The member token endpoint: what it grants, and each thing it refuses.
"""

import json

import jwt
import pytest
from sandbox_calls import MEMBER, Caller

from daxko_auth.sandbox import Sandbox

LOGIN = {
    "username": "member_name",
    "password": "member_password",
    "grant_type": "password",
    "scope": "member:auto_login",
}


def send(caller: Caller, body: bytes, content_type: str = "application/json") -> tuple[int, dict[str, str]]:
    """Send bytes with a live access token; return the status and the JSON answered."""
    headers = {"authorization": f"Bearer {caller.access_token()}", "content-type": content_type}
    answer = caller.http.post(MEMBER, content=body, headers=headers)
    return answer.status_code, answer.json()


def test_a_member_gets_the_three_fields_and_no_more(caller: Caller) -> None:
    """The guide shows no answer here; the sister endpoint's is what can be relied on."""
    answer = caller.member(caller.access_token())

    token = answer.json()["access_token"]
    assert answer.status_code == 200
    assert answer.json() == {"access_token": token, "expires_in": "86400", "token_type": "bearer"}
    assert jwt.decode(token, options={"verify_signature": False})["sub"] == "member_name"


def test_a_members_token_opens_nothing_here(caller: Caller) -> None:
    """A library that stored it as the access token would act for the wrong party."""
    member_token = caller.member(caller.access_token()).json()["access_token"]

    answer = caller.get("/v3/x", member_token)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert caller.sandbox.log[-1].bearer == "other"


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "application/json"])
def test_the_body_is_read_as_json_whatever_it_is_called(caller: Caller, content_type: str) -> None:
    """The guide's curl -d sends it as a urlencoded form."""
    assert send(caller, json.dumps(LOGIN).encode(), content_type)[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b'"text"',
        b"1" * 5_000,
        json.dumps({**LOGIN, "more": "x"}).encode(),
        json.dumps({**LOGIN, "password": None}).encode(),
        json.dumps(LOGIN).replace("{", '{"scope": "member:auto_login", ').encode(),
        *(json.dumps({name: LOGIN[name] for name in LOGIN if name != left_out}).encode() for left_out in LOGIN),
    ],
)
def test_anything_but_the_four_fields_is_an_invalid_request(caller: Caller, body: bytes) -> None:
    """Exactly these four, each once, each a string."""
    status, answer = send(caller, body)

    assert (status, answer["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("grant_type", "client_credentials", "unsupported_grant_type"),
        ("scope", "client:9999", "invalid_scope"),
        ("username", "nobody", "invalid_grant"),
        ("password", "wrong-password", "invalid_grant"),
        ("password", "\ud800", "invalid_grant"),
    ],
)
def test_a_wrong_value_has_its_error_code(caller: Caller, name: str, value: str, error: str) -> None:
    """An unknown member and a wrong password look alike, and neither is repeated."""
    status, answer = send(caller, json.dumps({**LOGIN, name: value}).encode())

    assert (status, answer["error"]) == (400, error)
    assert value not in answer["error_description"]


def test_a_refused_login_can_be_a_401_with_a_code(caller: Caller) -> None:
    """Some servers answer so; the access token is not the problem then."""
    caller.sandbox.set_member_refusal("invalid_grant_401")

    answer = caller.member(caller.access_token(), password="wrong")

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_grant")
    assert answer.headers["www-authenticate"] == 'Bearer realm="daxko"'


def test_a_refused_login_can_be_a_401_that_says_nothing(caller: Caller) -> None:
    """The library cannot know then whether the access token or the password was wrong."""
    caller.sandbox.set_member_refusal("unexplained")

    answer = caller.member(caller.access_token(), password="wrong")

    assert (answer.status_code, answer.content) == (401, b"")
    assert "www-authenticate" not in answer.headers
    assert caller.member(caller.access_token()).status_code == 200


def test_there_is_no_other_way_to_refuse_a_member(sandbox: Sandbox) -> None:
    """A typing mistake in a test must not go by unnoticed."""
    with pytest.raises(ValueError, match="unexplained"):
        sandbox.set_member_refusal("politely")  # type: ignore[arg-type]


def test_other_members_can_be_named() -> None:
    """Passwords by name; they replace the guide's member."""
    with Sandbox(members={"ann": 'pä"ss'}, clients=[5]) as sandbox:
        one = Caller(sandbox)
        with one.http:
            bearer = one.access_token("client:5")

            assert one.member(bearer, username="ann", password='pä"ss').status_code == 200
            assert one.member(bearer).status_code == 400
            assert [arrival.misplaced for arrival in sandbox.log] == [()] * 3

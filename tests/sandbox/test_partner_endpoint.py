"""
The partner token endpoint: what it grants, and each thing it refuses.
"""

import jwt
import pytest
from sandbox_calls import BOUNDARY, PARTNER, Caller, form

from daxko_auth.sandbox import Account, Sandbox


def test_a_right_request_gets_the_three_fields_of_the_guide(caller: Caller) -> None:
    """expires_in is a string in the guide, which is what breaks programs, so it is one here."""
    answer = caller.token()

    token = answer.json().pop("access_token")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert answer.status_code == 200
    assert answer.json() == {"access_token": token, "expires_in": "86400", "token_type": "bearer"}
    assert answer.headers["cache-control"] == "no-store"
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    assert (claims["sub"], claims["scope"]) == ("daxko_api_user", "client:9999")
    assert claims["exp"] - claims["iat"] >= 86400


def test_no_two_access_tokens_are_alike(caller: Caller) -> None:
    """A library that drops a token by its value must not drop its successor."""
    assert len({caller.access_token() for _ in range(5)}) == 5


def test_the_refresh_token_is_a_jwt_without_a_scope(sandbox: Sandbox) -> None:
    """Tools tell the two long strings apart by their scope."""
    claims = jwt.decode(sandbox.refresh_token, options={"verify_signature": False})

    assert claims == {"sub": "daxko_api_user", "use": "refresh"}


def test_the_refresh_token_is_the_same_for_the_same_key() -> None:
    """Recorded sessions stay good when the sandbox is started anew."""
    key = bytes(32)

    assert Sandbox(signing_key=key).refresh_token == Sandbox(signing_key=key).refresh_token
    assert Sandbox().refresh_token != Sandbox().refresh_token


def test_a_short_signing_key_is_refused_at_once() -> None:
    """The JWT library would only warn, at the first request."""
    with pytest.raises(ValueError, match="32 bytes"):
        Sandbox(signing_key=b"short")


@pytest.mark.parametrize("scope", ["client:9999", "client:1234"])
def test_each_linked_client_has_tokens_of_its_own(caller: Caller, scope: str) -> None:
    """Mixing up two customers is the worst mistake a cache can make, so there are two from the start."""
    seen = caller.get("/v3/x", caller.access_token(scope)).json()

    assert (seen["scope"], seen["client_id"]) == (scope, int(scope.removeprefix("client:")))


@pytest.mark.parametrize(
    ("authorization", "said"),
    [
        (None, "none was sent"),
        ("Bearer junk", "none of this account's tokens"),
        ("Basic {refresh_token}", "none of this account's tokens"),
        ("Bearer", "none of this account's tokens"),
        ("Bearer  {refresh_token}", "none of this account's tokens"),
        ("Bearer é", "none of this account's tokens"),
        ("Bearer {access_token}", "live access token"),
        ("Bearer {member_token}", "member's token"),
    ],
)
def test_any_bearer_but_the_refresh_token_is_refused(caller: Caller, authorization: str | None, said: str) -> None:
    """Sending the access token here is the commonest mistake with this API; the answer must say so."""
    access_token = caller.access_token()
    member_token = caller.member(access_token).json()["access_token"]
    headers = {}
    if authorization is not None:
        filled = authorization.format(
            refresh_token=caller.sandbox.refresh_token, access_token=access_token, member_token=member_token
        )
        headers["authorization"] = filled.encode("latin-1")

    answer = caller.http.post(PARTNER, files={"scope": (None, "client:9999")}, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert said in answer.json()["error_description"]
    has_code = 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert answer.headers["www-authenticate"].startswith('Bearer realm="daxko"')
    assert has_code == (authorization is not None)


def test_two_authorization_headers_are_no_bearer(caller: Caller) -> None:
    """Which of two headers counts is the kind of guess that lets a wrong one through."""
    bearer = f"Bearer {caller.sandbox.refresh_token}"

    answer = caller.http.post(PARTNER, headers=[("authorization", bearer), ("authorization", bearer)])

    assert answer.status_code == 401


FOUR = ("grant_type", "client_id", "client_secret", "scope")


@pytest.mark.parametrize("name", FOUR)
def test_a_missing_field_is_named(caller: Caller, name: str) -> None:
    """Whoever forgot a field should read which."""
    answer = caller.form(form((held, value) for held, value in caller.fields().items() if held != name))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.json()["error_description"].startswith(f"{name} is missing")


@pytest.mark.parametrize("name", FOUR)
def test_a_repeated_field_is_named(caller: Caller, name: str) -> None:
    """RFC 6749 section 3.2 forbids it, and servers differ in which one they take."""
    fields = caller.fields()
    answer = caller.form(form([*fields.items(), (name, fields[name])]))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.json()["error_description"] == f"{name} was sent more than once."


def test_a_field_too_many_is_refused_and_not_quoted(caller: Caller) -> None:
    """Its name may be a secret that slipped."""
    answer = caller.form(form([*caller.fields().items(), ("s3cret", "x")]))

    assert answer.json()["error"] == "invalid_request"
    assert "field too many" in answer.json()["error_description"]
    assert "s3cret" not in answer.text


@pytest.mark.parametrize(
    ("content_type", "said"),
    [
        ("application/json", "JSON was sent"),
        ("application/x-www-form-urlencoded", "urlencoded form was sent"),
        ("text/plain", "missing or another"),
        ("", "missing or another"),
        ("multipart/form-data", "names no boundary"),
        ("multipart/form-data; boundary=other", "does not begin with the boundary"),
    ],
)
def test_any_other_encoding_is_refused_by_name(caller: Caller, content_type: str, said: str) -> None:
    """OAuth libraries send a urlencoded form by themselves; the guide asks for multipart."""
    body = form(caller.fields().items())
    headers = {"authorization": f"Bearer {caller.sandbox.refresh_token}", "content-type": content_type}

    answer = caller.http.post(PARTNER, content=body, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert said in answer.json()["error_description"]


@pytest.mark.parametrize(
    "options", [{"part_header": "Content-Type: text/plain\r\n"}, {"disposition": '; filename="scope"'}]
)
def test_parts_are_as_bare_as_those_of_curl(caller: Caller, options: dict[str, str]) -> None:
    """Generated code adds a Content-Type to each part, which the guide's curl -F does not send."""
    answer = caller.form(form(caller.fields().items(), **options))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "no Content-Type and no file name" in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_id": "somebody"}, "invalid_client"),
        ({"client_secret": "s3cret"}, "invalid_client"),
        ({"client_secret": "d9a2652cf96d734661c10d5ff2f8061f\n"}, "invalid_client"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "9999"}, "invalid_scope"),
        ({"scope": "client:09999"}, "invalid_scope"),
        ({"scope": "client:9999 client:1234"}, "invalid_scope"),
        ({"scope": "client:9999\n"}, "invalid_scope"),
        ({"scope": "client:٩٩٩٩"}, "invalid_scope"),
        ({"scope": "member:auto_login"}, "invalid_scope"),
        ({"scope": "client:5"}, "unauthorized_client"),
    ],
)
def test_a_wrong_value_has_its_error_code(caller: Caller, change: dict[str, str], error: str) -> None:
    """The library decides by the code of RFC 6749 section 5.2 whether asking again can help."""
    answer = caller.token(**change)

    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"
    assert not any(
        len(value) > 5 and value in answer.text for value in [*change.values(), caller.sandbox.password]
    ) or (change == {"scope": "member:auto_login"})


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "JUMP"])
@pytest.mark.parametrize("path", [PARTNER, "/v3/members/oauth2/token"])
def test_another_method_is_told_to_post(caller: Caller, method: str, path: str) -> None:
    """RFC 9110 section 15.5.6 wants the Allow header."""
    answer = caller.http.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("*/*", 200),
        ("application/*", 200),
        ("text/html, application/JSON;q=0.5", 200),
        ("text/html", 406),
        ("application/json;q=0", 406),
        ("", 406),
        (None, 406),
    ],
)
def test_every_request_must_accept_json(caller: Caller, accept: str | None, status: int) -> None:
    """The vendor requires it, and a library that leaves it out works everywhere else."""
    del caller.http.headers["accept"]
    body = form(caller.fields().items())
    headers = {
        "authorization": f"Bearer {caller.sandbox.refresh_token}",
        "content-type": f'multipart/form-data; boundary="{BOUNDARY}"',
    }
    request = caller.http.build_request("POST", PARTNER, content=body, headers=headers)
    if accept is None:
        assert "accept" not in request.headers
    else:
        request.headers["accept"] = accept

    answer = caller.http.send(request)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")


def test_the_account_can_be_another(caller: Caller) -> None:
    """A test may need credentials that are its own, to look for them afterwards."""
    account = Account(username="sam", password="s3cret's", clients=(7,), members={"ann": "pw"})
    with Sandbox(account=account) as sandbox, Caller(sandbox).http as http:
        one = Caller(sandbox)
        one.http.close()
        one.http = http

        assert one.token("client:7").status_code == 200
        assert one.token("client:9999").json()["error"] == "unauthorized_client"
        assert "s3cret" not in repr(account)
        assert "pw" not in repr(account)


@pytest.mark.parametrize("clients", [("9999",), (0,), (True,)])
def test_clients_are_numbers(clients: tuple[int, ...]) -> None:
    """A client that can never be asked for would be a riddle later."""
    with pytest.raises(ValueError, match="numbers of Daxko clients"):
        Sandbox(clients=clients)

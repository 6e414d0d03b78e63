"""What a token says about itself is read without trust, and whatever it is, nothing is raised."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxko_auth.model.jwt_claims import claims_of, looks_like_jwt
from daxko_auth.model.secret import Secret


def token(body: bytes, *, padding: str = "") -> Secret:
    """Return a token with that body."""
    return Secret(f"eyJhbGciOiJIUzI1NiJ9.{base64.urlsafe_b64encode(body).decode().rstrip('=')}{padding}.c2ln")


@pytest.mark.parametrize("claims", [{}, {"a": 1}, {"ab": 12}, {"exp": 1, "iat": 0}, {"sub": "ü?>~"}])
@pytest.mark.parametrize("padding", ["", "=", "=="])
def test_the_claims_of_a_jwt_are_read_whatever_its_padding(claims: dict[str, object], padding: str) -> None:
    """Base64url comes without padding in JWTs, and with some from servers that know no better."""
    assert claims_of(token(json.dumps(claims).encode(), padding=padding)) == claims


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"text"',
        b"7",
        b"null",
        b"{",
        b"\xff\xfe",
        b'{"a": \xff}',
        b"[" * 200_000,
        b'{"exp": ' + b"9" * 9_999,
    ],
    ids=["empty", "list", "text", "number", "null", "half", "BOM", "not UTF-8", "deep", "long number"],
)
def test_a_body_that_is_no_object_has_no_claims(body: bytes) -> None:
    """An opaque token may have two dots by chance."""
    assert claims_of(token(body)) == {}


@pytest.mark.parametrize(
    "value", ["", "opaque", "a.b.c", "eyJ.x", "eyJ.x.y.z", "eyJ.\udc80.c", "eyJ.ü.c", "..", "eyJ.a.c"]
)
def test_a_string_that_is_no_jwt_has_no_claims(value: str) -> None:
    """Daxko may issue anything."""
    assert claims_of(Secret(value)) == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("eyJhbGciOiJIUzI1NiJ9.e30.c2ln", True), ("eyJ..", True), ("eyJhbGciOiJIUzI1NiJ9", False), ("d9a2652c", False)],
)
def test_a_jwt_is_known_by_its_shape(value: str, expected: bool) -> None:
    """It tells a swapped password from a token before either is sent."""
    assert looks_like_jwt(Secret(value)) is expected


@given(st.text() | st.binary().map(lambda body: token(body).reveal()))
def test_no_string_raises(value: str) -> None:
    """It reads what a server sent."""
    assert isinstance(claims_of(Secret(value)), dict)

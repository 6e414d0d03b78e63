"""The three credentials given as arguments: what is taken, and which mistake each refusal names."""

import base64
import json
import pickle

import pytest

from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.errors import CredentialsError
from daxko_auth.model.secret import Secret

USERNAME = "daxko_api_user"
PASSWORD = "d9a2652cf96d734661c10d5ff2f8061f"
REFRESH_TOKEN = "canary.refresh-token_of~the+account/=="


def jwt(**claims: object) -> str:
    """Return an unsigned token that says `claims`."""
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims))
    return f"eyJ{head}.{body}.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("username", "password", "refresh_token"),
    [
        (USERNAME, PASSWORD, REFRESH_TOKEN),
        (USERNAME, Secret(PASSWORD), Secret(REFRESH_TOKEN)),
        (USERNAME, PASSWORD, jwt(sub=USERNAME)),
        (USERNAME, PASSWORD, jwt(scope=["client:9999"])),
        (USERNAME, PASSWORD, "eyJh..encrypted.with.gaps"),
        (USERNAME, PASSWORD, "bearer"),
        ("ümlaut user", "pä ss\"; name='x' +++ \U0001f511", "t"),
        ("a", "a", "b"),
    ],
)
def test_what_daxko_issues_is_taken_as_it_is(username: str, password: str, refresh_token: str) -> None:
    """Passwords are any text, refresh tokens any bearer; none of it is trimmed, folded or guessed at."""
    credentials = ApiCredentials(username, password, refresh_token)
    assert credentials.username == username
    assert credentials.password == (password if isinstance(password, Secret) else Secret(password))
    assert credentials.refresh_token.reveal() == str(
        refresh_token.reveal() if isinstance(refresh_token, Secret) else refresh_token
    )


def test_credentials_are_values_of_all_three() -> None:
    """They are part of the key of every cache: a rotated password must not find the old one's token."""
    one = ApiCredentials(USERNAME, PASSWORD, REFRESH_TOKEN)
    assert one == ApiCredentials(USERNAME, Secret(PASSWORD), Secret(REFRESH_TOKEN))
    assert hash(one) == hash(ApiCredentials(USERNAME, PASSWORD, REFRESH_TOKEN))
    others = [(USERNAME, PASSWORD, "x"), (USERNAME, "x", REFRESH_TOKEN), ("x", PASSWORD, REFRESH_TOKEN)]
    assert all(one != ApiCredentials(*other) for other in others)
    with pytest.raises(AttributeError):
        one.username = "somebody"  # type: ignore[misc]
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(one)


MISTAKES: list[tuple[str, object, str]] = [
    ("username", None, "username is a string, not NoneType"),
    ("password", None, "password is a string, not NoneType"),
    ("refresh_token", None, "refresh_token is a string, not NoneType"),
    ("password", b"hunter2", "password is a string, not bytes"),
    ("username", 9999, "username is a string, not int"),
    ("username", "", "username is blank"),
    ("password", " ", "password is blank"),
    ("refresh_token", "\n", "refresh_token is blank"),
    ("username", "daxko\nuser", "username holds a line break"),
    ("password", "pass\x00word", "password holds a line break, a control character"),
    ("password", "pass\x7fword", "password holds a line break, a control character"),
    ("password", "pass\x85word", "password holds a line break, a control character"),
    ("password", "pass\u2028word", "password holds a line break, a control character"),
    ("password", "\ufeffpassword", "or an invisible one"),
    ("password", "pass\u200bword", "or an invisible one"),
    ("password", "hunter2\r\n--+++", "password holds a line break"),
    ("refresh_token", "abc\r\nX-Evil: yes", "refresh_token holds a line break"),
    ("refresh_token", "abc\n", "refresh_token holds a line break"),
    ("username", " daxko_api_user", "username begins or ends with white space"),
    ("password", "hunter2 ", "password begins or ends with white space"),
    ("password", "hunter2\u00a0", "password begins or ends with white space"),
    ("refresh_token", " abc", "refresh_token begins or ends with white space"),
    ("username", "daxko\udc80", "username is not text that UTF-8 can hold"),
    ("password", "hunter\ud800", "password is not text that UTF-8 can hold"),
    ("refresh_token", "Bearer abc", 'refresh_token begins with "Bearer "; leave that out'),
    ("refresh_token", "bearer abc", 'refresh_token begins with "Bearer "; leave that out'),
    ("refresh_token", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9…", "was it shortened with dots"),
    ("refresh_token", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9...", "was it shortened with dots"),
    ("refresh_token", '"abc"', "pasted with quotes"),
    ("refresh_token", "ab c", "characters that no bearer token has"),
    ("refresh_token", "ab=c", "characters that no bearer token has"),
    ("refresh_token", "täst", "characters that no bearer token has"),
    ("password", jwt(sub=USERNAME), "password looks like a token (eyJ...); the refresh token belongs in refresh_token"),
    ("password", jwt(sub=USERNAME), "In password, put the shorter string that Daxko issued as password"),
    ("username", jwt(sub=USERNAME), "username looks like a token (eyJ...); the refresh token belongs in refresh_token"),
    ("username", jwt(sub=USERNAME), "In username, put the shorter string that Daxko issued as username"),
    ("refresh_token", PASSWORD, "refresh_token repeats username or password"),
    ("refresh_token", USERNAME, "refresh_token repeats username or password"),
    ("refresh_token", jwt(scope="client:9999"), "refresh_token holds an access token"),
]


@pytest.mark.parametrize(
    ("name", "value", "message"), MISTAKES, ids=[f"{name}={value!a}" for name, value, _ in MISTAKES]
)
def test_a_mistake_is_named_before_anything_is_sent(name: str, value: object, message: str) -> None:
    """Daxko's own answer to each of these would be the same invalid_client, an hour of searching away."""
    given = {"username": USERNAME, "password": PASSWORD, "refresh_token": REFRESH_TOKEN, name: value}
    with pytest.raises(CredentialsError) as caught:
        ApiCredentials(**given)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_two_swapped_credentials_are_told_apart() -> None:
    """Three strings are easily given in the wrong order; the names of both places help."""
    with pytest.raises(CredentialsError, match="password looks like a token"):
        ApiCredentials(USERNAME, jwt(sub=USERNAME), PASSWORD)
    with pytest.raises(CredentialsError, match="username looks like a token"):
        ApiCredentials(jwt(sub=USERNAME), PASSWORD, USERNAME)

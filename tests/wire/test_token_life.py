"""How long a token lives, whatever form the answer says it in."""

import base64
import json
from datetime import UTC, datetime

import pytest
from asking import answered

from daxko_auth.wire.token_response import ASSUMED_LIFE, LONGEST_LIFE, Answer, Grant

NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
DAY = 86_400


def granted(body: str) -> Grant | str:
    """Return what an answer of 200 with that body grants."""
    return Answer.of(answered(200, {"content-type": "application/json"}, body.encode()), now=NOW).grant(now=NOW)


def jwt(**claims: object) -> str:
    """Return an unsigned token that says `claims`."""
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.c2ln"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ('"86400"', DAY),
        ("86400", DAY),
        ("86400.0", DAY),
        ('" 86400 "', DAY),
        ('"86400.0"', DAY),
        ('"\\t86400\\n"', DAY),
        ("8.64e4", DAY),
        ('"0086400"', DAY),
        ("1", 1),
        ("1.9", 1),
        ('"30"', 30),
        (str(LONGEST_LIFE), LONGEST_LIFE),
        (str(LONGEST_LIFE + 1), LONGEST_LIFE),
        ("1e30", LONGEST_LIFE),
        ("1" + "0" * 400, LONGEST_LIFE),
        ('"' + "9" * 400 + '"', LONGEST_LIFE),
        ('"' + "9" * 40_000 + '"', LONGEST_LIFE),
        ('"' + "9" * 40_000 + '.5"', LONGEST_LIFE),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_number_of_seconds_is_taken_in_every_form(written: str, seconds: int) -> None:
    """The guide shows a string, the older reference an integer; adding either to a clock must not fail."""
    grant = granted(f'{{"access_token": "abc", "expires_in": {written}, "token_type": "bearer"}}')
    assert isinstance(grant, Grant)
    assert grant.expires_in == seconds
    assert type(grant.expires_in) is int
    assert not grant.life_assumed


@pytest.mark.parametrize(
    "written",
    [
        "null",
        "0",
        "0.0",
        "0.9",
        '"0"',
        '"0.5"',
        "-1",
        '"-1"',
        "-86400",
        "-1e30",
        "-1" + "0" * 400,
        '"abc"',
        '""',
        '" "',
        '"86,400"',
        '"86400s"',
        '"1e5"',
        '"1e30"',
        '"0x15180"',
        '"8_6400"',
        '"٨٦٤٠٠"',
        '"Infinity"',
        '"nan"',
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "true",
        "false",
        "[]",
        "[86400]",
        "{}",
        '{"seconds": 86400}',
    ],
    ids=lambda value: value[:30],
)
def test_a_life_that_is_no_number_above_zero_is_refused(written: str) -> None:
    """Other libraries read these as "for ever", or as "ask again with every call"."""
    for token in ("abc", jwt(exp=NOW.timestamp() + DAY)):
        problem = granted(f'{{"access_token": "{token}", "expires_in": {written}, "token_type": "bearer"}}')
        assert problem == "its expires_in is not a number of seconds above zero"


def test_a_number_too_long_for_python_is_not_a_token_response() -> None:
    """Python refuses to read such an integer at all, and that refusal must not escape."""
    problem = granted(f'{{"access_token": "abc", "expires_in": {"9" * 5_000}}}')
    assert problem == "status 200 with a body that is not a JSON object (application/json)"


@pytest.mark.parametrize(
    ("claims", "seconds"),
    [
        ({"exp": NOW.timestamp() + DAY}, DAY),
        ({"exp": int(NOW.timestamp()) + DAY}, DAY),
        ({"exp": str(int(NOW.timestamp()) + 90)}, 90),
        ({"exp": 5_000, "iat": 2_000}, 3_000),
        ({"exp": 5_001, "iat": 5_000}, 1),
        ({"exp": 5_000.9, "iat": 5_000}, None),
        ({"exp": 5_000, "iat": "junk"}, None),
        ({"exp": NOW.timestamp() + 60, "iat": True}, 60),
        ({"exp": NOW.timestamp() + 10 * LONGEST_LIFE}, LONGEST_LIFE),
        ({"exp": 10**400, "iat": 1}, LONGEST_LIFE),
        ({"exp": 1e300}, LONGEST_LIFE),
    ],
    ids=str,
)
def test_without_expires_in_the_token_itself_may_say(claims: dict[str, object], seconds: int | None) -> None:
    """By its own clock from `iat` to `exp`, or to `exp` from now where it does not say when it was issued."""
    grant = granted(json.dumps({"access_token": jwt(**claims)}))
    if seconds is None:
        assert grant == "it does not say expires_in, and the token's own exp has passed"
    else:
        assert isinstance(grant, Grant)
        assert (grant.expires_in, grant.life_assumed) == (seconds, False)


@pytest.mark.parametrize("end", [NOW.timestamp(), NOW.timestamp() - 1, NOW.timestamp() + 0.5, 0, -1, -1e300])
def test_a_token_whose_own_end_has_passed_is_refused(end: float) -> None:
    """It would be asked for again with every call."""
    problem = granted(json.dumps({"access_token": jwt(exp=end)}))
    assert problem == "it does not say expires_in, and the token's own exp has passed"


@pytest.mark.parametrize(
    "token", ["opaque", jwt(), jwt(exp=None), jwt(exp="soon"), jwt(exp=[]), jwt(exp=True), "eyJ.x.y"]
)
def test_where_nobody_says_an_hour_is_assumed_and_admitted(token: str) -> None:
    """Neither "never expires" nor "expires at once": bounded, and the caller can warn."""
    grant = granted(json.dumps({"access_token": token, "token_type": "bearer"}))
    assert isinstance(grant, Grant)
    assert grant.expires_in == ASSUMED_LIFE == 3_600
    assert grant.life_assumed


def test_a_month_is_the_longest_life() -> None:
    """The number itself: a table that reads it from the code would agree with any."""
    assert LONGEST_LIFE == 2_592_000
    assert ASSUMED_LIFE == 3_600

"""
No committed cassette holds a secret, however it is spelled; and the guard that says so bites.

A cassette is public the moment it is pushed, and a refresh token lives for years.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from recording.cassette import CASSETTES

from daxko_auth.model.vendor import EXAMPLE_MEMBER_PASSWORD, EXAMPLE_PASSWORD
from daxko_auth.testing.scan import leaks

CANARY = 'cänary/pass "word"+&1'
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"

SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "percent": lambda value: quote(value, safe=""),
    "percent, small letters": lambda value: quote_plus(value).replace("%C3", "%c3"),
    "percent twice": lambda value: quote(quote(value, safe=""), safe=""),
    "JSON": lambda value: json.dumps(value)[1:-1],
    "JSON, slashes escaped": lambda value: json.dumps(value)[1:-1].replace("/", r"\/"),
    "JSON, all escaped": lambda value: "".join(f"\\u{ord(letter):04X}" for letter in value),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64url, no padding": lambda value: base64.urlsafe_b64encode(value.encode()).decode().rstrip("="),
    "base64 of a pair": lambda value: base64.b64encode(f"daxko_api_user:{value}".encode()).decode(),
    "base64 behind a letter": lambda value: base64.b64encode(f"u:{value}".encode()).decode(),
    "base64 in a path": lambda value: "ab/" + base64.urlsafe_b64encode(value.encode()).decode(),
    "base64 in percent": lambda value: quote(base64.b64encode(value.encode() + b"?>").decode(), safe=""),
}


def written(text: str) -> str:
    """Return a cassette that holds a text."""
    return f"interactions:\n- request: {json.dumps(text)}\n"


@pytest.mark.parametrize("file", sorted(CASSETTES.rglob("*.yaml")), ids=lambda file: file.stem)
def test_committed_cassette_holds_no_secret(file: Path) -> None:
    """By value, the credentials that are public but must not become a habit; by shape, all others."""
    assert leaks(file.read_text(encoding="utf-8"), [EXAMPLE_PASSWORD, EXAMPLE_MEMBER_PASSWORD]) == []


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_guard_finds_a_known_secret_in_any_spelling(spell: Callable[[str], str]) -> None:
    """What encodes a request also encodes the secrets in it."""
    text = written(f"before {spell(CANARY)} after")
    assert [finding for finding in leaks(text, ["something-else", CANARY]) if "a known secret" in finding]
    assert [finding for finding in leaks(text, ["something-else"]) if "a known secret" in finding] == []


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_guard_finds_a_token_that_nobody_told_it_of(spell: Callable[[str], str]) -> None:
    """A token that was issued while recording is in no list of secrets."""
    assert leaks(written(spell(JWT)))


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc",
        "authorization: bearer abc",
        "Authorization: Basic dTpwYXNzd29yZA==",
        "Set-Cookie: session=abc",
        "d9a2652cf96d734661c10d5ff2f8061f",
        '--b\r\nContent-Disposition: form-data; name="client_secret"\r\n\r\nabc\r\n--b--',
        "grant_type=client_credentials&client_secret=abc",
        '{"password": "abc"}',
        '{"access_token": "abc"}',
        '{"refresh_token":"abc"}',
    ],
)
def test_guard_knows_where_secrets_stand(text: str) -> None:
    """A short password has no shape of its own; the place where it stands gives it away."""
    assert leaks(written(text))
    assert leaks(f"headers:\n  note: |\n    {text!r}\n")


def test_guard_finds_headers_as_vcrpy_writes_them() -> None:
    """In a cassette the name of a header and its value are apart."""
    assert leaks("headers:\n  Set-Cookie:\n  - a=b\n")
    assert leaks("headers:\n  Authorization:\n  - Bearer abc\n")
    assert leaks("headers:\n  Authorization:\n  - Bearer <refresh-token>\n") == []


def test_finding_does_not_repeat_the_secret() -> None:
    """What the guard prints stands in the build's log."""
    assert CANARY not in "".join(leaks(written(CANARY), [CANARY]))
    assert "eyJ" not in "".join(leaks(written(JWT)))

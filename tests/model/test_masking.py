"""A server's words in our messages: short, printable, and without a secret."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxko_auth.model.masking import quote
from daxko_auth.model.secret import Secret

PASSWORD = Secret("hunter2 & more")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("It is wrong.", "It is wrong."),
        ("the password hunter2 & more is wrong", "the password *** is wrong"),
        ("hunter2 & morehunter2 & more", "******"),
        (f"token {JWT} is wrong", "token *** is wrong"),
        (f"Bearer {JWT}", "Bearer ***"),
        ("eyJhbGciOiJIUzI1NiIs", "***"),
        (f"key {'a1' * 20} ends", "key *** ends"),
        (f"key {'A+/_-' * 8}==", "key ***"),
        ("d9a2652cf96d734661c10d5ff2f8061f", "***"),
        ("two\nlines\r\n\tand\x00more\x1b[31m", "two lines and more [31m"),
        ("line\u2028line\u2029line\x85line", "line line line line"),
        ("evil\u202eterces", "evil terces"),
        ("bom\ufeff zero\u200bwidth", "bom zero width"),
        ("half \ud800 a letter", "half a letter"),
        ("Größe ☃ 🔑", "Größe ☃ 🔑"),
        ("  blank  ", "blank"),
    ],
)
def test_words_are_masked_and_made_printable(text: str, quoted: str) -> None:
    """A line break would forge a log line; half a letter would stop the log."""
    assert quote(text, [PASSWORD]) == quoted
    quoted.encode()


@pytest.mark.parametrize(
    "text", [None, "", " ", "\n\x00", 7, True, ["invalid_grant"], {"error": "x"}, b"invalid_grant"]
)
def test_what_is_no_text_is_nothing(text: object) -> None:
    """`error` may be an object, or a number; neither is worth repeating."""
    assert quote(text, [PASSWORD]) is None


def test_long_texts_are_cut_after_masking() -> None:
    """Cutting first could leave half a secret that no longer looks like one."""
    assert quote("no " * 1000, []) == ("no " * 66)[:197] + "..."
    assert quote("a b", [], limit=3) == "a b"
    assert quote("a b c d e", [], limit=6) == "a b..."
    assert "hunter" not in (quote("x " * 30 + PASSWORD.reveal(), [PASSWORD], limit=66) or "hunter")


def test_a_secret_that_holds_another_is_masked_whole() -> None:
    """Masked in the other order, the rest of the longer one would stay behind."""
    short, long = Secret("abc"), Secret("12-abc-34")
    assert quote("it was 12-abc-34 or abc", [short, long]) == "it was *** or ***"
    assert quote("it was 12-abc-34 or abc", [long, short]) == "it was *** or ***"


@pytest.mark.parametrize("between", [" ", "\n", "\t \r\n", "\x00\x01", "\u2028", "  "])
def test_a_secret_that_was_broken_into_lines_is_masked(between: str) -> None:
    """A page wraps its lines; put together again for our message, they would be the secret."""
    assert quote(f"no: c4nary{between}wo/rd.", [Secret("c4nary wo/rd")]) == "no: ***."
    assert quote("no: c4nary wo/rd.", [Secret(f" c4nary{between}wo/rd")]) == "no: ***."


def test_a_blank_secret_masks_nothing() -> None:
    """A member without a password must not turn a message into asterisks."""
    assert quote("No member has this name.", [Secret("")]) == "No member has this name."


@pytest.mark.parametrize(
    "code",
    [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_token",
        "insufficient_scope",
    ],
)
@pytest.mark.parametrize("password", ["invalid", "grant", "_", "t", "invalid_grant"])
def test_a_code_of_the_rfcs_stays_whole_whatever_the_password(code: str, password: str) -> None:
    """Programs compare it; and asterisks in a known word would spell the password out."""
    assert quote(code, [Secret(password)]) == code


@given(st.text(), st.text(min_size=1), st.text())
def test_no_text_raises_and_no_secret_stays(before: str, secret: str, after: str) -> None:
    """Whatever a server wraps around it."""
    quoted = quote(f"{before}{secret}{after}", [Secret(secret)])
    json.dumps(quoted).encode("ascii")
    if quoted is not None:
        assert len(quoted) <= 200
        assert quoted.isprintable()
        assert len(secret) < 4 or secret not in quoted or secret in "***..."


@pytest.mark.parametrize("shown", ["a b/c+d", "a%20b%2Fc%2Bd", "a+b%2Fc%2Bd"])
def test_a_secret_is_masked_in_every_spelling_of_a_url(shown: str) -> None:
    """As in a path, with its slash encoded too, and as in a form."""
    assert quote(f"wrong: {shown}!", [Secret("a b/c+d")]) == "wrong: ***!"

"""What counts as a token response, and what is said of an answer that is none."""

import json

import pytest
from asking import answered
from hypothesis import example, given
from hypothesis import strategies as st
from test_token_life import NOW, granted

from daxko_auth.model.secret import Secret
from daxko_auth.wire.token_response import Answer, Grant, is_unavailable, utc
from daxko_auth.wire.transports import LOCATION_SEEN


def body(**fields: object) -> str:
    """Return a good token response with some fields replaced; None leaves one out."""
    good: dict[str, object] = {"access_token": "canary.token", "expires_in": "86400", "token_type": "bearer"}
    return json.dumps({name: value for name, value in (good | fields).items() if value is not None})


@pytest.mark.parametrize("token_type", ["bearer", "Bearer", "BEARER", None])
def test_every_spelling_of_bearer_or_none_is_taken(token_type: str | None) -> None:
    """RFC 6749 section 7.1 compares it without regard to case, and servers leave it out."""
    grant = granted(body(token_type=token_type))
    assert isinstance(grant, Grant)
    assert grant.secret.reveal() == "canary.token"
    assert "canary" not in repr(grant)


@pytest.mark.parametrize("token_type", ["mac", "", "Bearer ", "bearer token", 7, True, [], ["bearer"], {"a": "bearer"}])
def test_another_token_type_is_refused(token_type: object) -> None:
    """A token of a type we cannot send is no token for us."""
    assert granted(body(token_type=token_type)) == "its token_type is not bearer"


def test_a_token_type_of_null_is_none() -> None:
    """Serialisers write null for what is not there."""
    assert isinstance(granted('{"access_token": "abc", "expires_in": 60, "token_type": null}'), Grant)


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        " ",
        7,
        True,
        [],
        ["abc"],
        {"value": "abc"},
        "a b",
        "abc ",
        "abc\n",
        "a\r\nX-Evil: 1",
        "a\x00b",
        "t\u00e4st",
        "\ud800",
        "a\x7f",
    ],
)
def test_a_token_that_does_not_fit_into_a_header_is_refused_before_any_header_is_built(token: object) -> None:
    """A newline in a header is another header; the message lists the keys and no value."""
    problem = granted(body(access_token=token, refresh_token="canary"))
    assert isinstance(problem, str)
    assert problem.startswith("no access_token that fits into a header; its keys are ")
    assert problem.endswith("expires_in, refresh_token, token_type")
    assert "canary" not in problem


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "none that can be shown"),
        ({"eyJhbGciOiJIUzI1NiJ9.e30.c2ln": 1, "a b": 1, "": 1, "x" * 41: 1}, "none that can be shown"),
        ({"y" * 40: 1, "x" * 41: 1}, "y" * 40),
        ({f"k{number}": 1 for number in range(20)}, "k0, k1, k10, k11, k12, k13, k14, k15"),
        ({"error": None, "message": "no"}, "error, message"),
    ],
)
def test_only_a_few_plain_key_names_are_listed(fields: dict[str, object], shown: str) -> None:
    """A key can be anything, also a token."""
    assert granted(json.dumps(fields)) == f"no access_token that fits into a header; its keys are {shown}"


BODIES = {
    "empty": b"",
    "HTML": b"<!DOCTYPE html><html>canary</html>",
    "list": b"[]",
    "text": b'"ok"',
    "number": b"200",
    "null": b"null",
    "true": b"true",
    "half": b'{"access_token": "canary',
    "two": b"{}{}",
    "form": b"access_token=canary&expires_in=86400",
    "not UTF-8": b'{"access_token": "canary\xff"}',
    "UTF-16": '{"access_token": "canary"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"access_token": "canary", "expires_in": 60}',
    "gzip": b"\x1f\x8b\x08\x00canary",
    "deep list": b"[" * 60_000,
    "deep object": b'{"a":' * 10_000,
    "single quotes": b"{'access_token': 'canary'}",
}


@pytest.mark.parametrize("content", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_json_object_is_named_by_status_and_type(content: bytes) -> None:
    """A proxy's login page is the usual one; its text is nobody's business."""
    answer = Answer.of(answered(200, {"content-type": "text/html; charset=utf-8"}, content), now=NOW)
    assert answer.grant(now=NOW) == "status 200 with a body that is not a JSON object (text/html)"
    assert answer.error is None
    assert "canary" not in repr(answer)


@pytest.mark.parametrize(
    ("media_type", "content", "described"),
    [
        ("text/html", b"<html><head><TITLE lang='en'> Sign &amp; in\n</TITLE>canary", 'text/html, titled "Sign & in"'),
        ("text/html", b"<title>\xff</title>", "text/html"),
        ("text/html; charset=x", b"<title>anything</title>", "text/html"),
        ("text/html; charset=latin-1", b"<title>\x81</title>", "text/html"),
        ("text/html", b"\xef\xbb\xbf<title>\xc3\xa4</title>", 'text/html, titled "\u00e4"'),
        ("text/html", b"<title>a\x1b[31m</title>", 'text/html, titled "a\x1b[31m"'),
        ("text/html", b"<title></title>", "text/html"),
        ("text/html", b"<title> </title>", "text/html"),
        ("text/html", b"<title>" + b"x" * 200 + b"</title>", f'text/html, titled "{"x" * 200}"'),
        ("text/html", b"<title>" + b"x" * 201 + b"</title>", "text/html"),
        ("text/html", b"<title>cut".rjust(4_096) + b"</title>", "text/html"),
        ("text/html", b" " * 5_000 + b"<title>late</title>", "text/html"),
        ("text/plain", b"<title>canary</title>", "text/plain"),
        ("application/json", b'{"access_token": "<title>canary</title>', "application/json"),
    ],
)
def test_a_page_is_known_by_its_title_and_nothing_else_of_a_body_is_quoted(
    media_type: str, content: bytes, described: str
) -> None:
    """The title tells whose login page it is. A body that cannot be read may hold a token nobody can recognise."""
    answer = Answer.of(answered(200, {"content-type": media_type}, content), now=NOW)
    assert answer.described == described
    assert answer.grant(now=NOW) == f"status 200 with a body that is not a JSON object ({described})"
    assert "Sign" not in repr(answer)


@pytest.mark.parametrize("quoted", ["{}", '"{}"', "'{}'"])
@pytest.mark.parametrize(
    "charset",
    [
        "utf-8",
        "UTF8",
        "iso-8859-1",
        "ISO_8859-1",
        "latin-1",
        "cp1252",
        "Windows-1252",
        "utf-16-le",
        "UTF-16BE",
        "utf-16",
    ],
)
def test_a_title_is_read_in_its_own_charset(charset: str, quoted: str) -> None:
    """Misread, a password in it would be another text, which nobody recognizes."""
    content = "<title>gr\u00f6\u00dfer</title>".encode(charset)
    # By what it says of itself, and also by the mark at its beginning.
    for named in {charset, "utf-8" if charset == "utf-16" else charset}:
        headers = {"content-type": f"text/html; Charset = {quoted.format(named)}; x"}
        assert Answer.of(answered(403, headers, content), now=NOW).page_title == Secret("gr\u00f6\u00dfer")


@pytest.mark.parametrize("status", [100, 201, 202, 204, 206, 302, 404, 418, 520, 599, 999])
def test_only_200_is_a_token_response(status: int) -> None:
    """RFC 6749 section 5.1 knows no other, and statuses that Python has no name for are numbers, too."""
    assert (
        Answer.of(answered(status, {}, body().encode()), now=NOW).grant(now=NOW) == f"status {status} (no content type)"
    )


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("application/json", "application/json"),
        ("Application/JSON;charset=utf-8", "application/json"),
        ("", "no content type"),
        ("canary canary", "no content type"),
        ("text/html\x1b[31m", "no content type"),
        ("a/" + "b" * 100, "no content type"),
        (";", "no content type"),
    ],
)
def test_the_content_type_is_shown_if_it_is_one(sent: str, shown: str) -> None:
    """A header is a stranger's text like any other."""
    assert Answer.of(answered(200, {"content-type": sent}, b""), now=NOW).media_type == shown


def test_of_two_equal_keys_the_last_one_counts() -> None:
    """As in every JSON reader people compare with; what matters is that both are never mixed."""
    grant = granted('{"access_token": "first", "expires_in": 60, "access_token": "last", "expires_in": "90"}')
    assert isinstance(grant, Grant)
    assert (grant.secret.reveal(), grant.expires_in) == ("last", 90)


def test_unknown_fields_are_kept_and_known_ones_are_not_repeated() -> None:
    """The guide shows no answer for members, so whatever Daxko adds is the user's."""
    grant = granted(body(member_id=7, nested={"a": [1]}))
    assert isinstance(grant, Grant)
    assert grant.other_fields == {"member_id": 7, "nested": {"a": [1]}}


@pytest.mark.parametrize(
    ("challenge", "error"),
    [
        ('Bearer realm="daxko", error="invalid_token", error_description="expired"', "invalid_token"),
        ("bearer error=INVALID_TOKEN", "invalid_token"),
        ('Basic realm="x", Bearer error = "insufficient_scope"', "insufficient_scope"),
        ('Bearer realm="daxko"', None),
        ('Basic realm="x", error="invalid_token"', None),
        ('Bearer error_description="error invalid_token"', None),
        ('Bearer error="<script>"', None),
        ("bearer " * 20_000, None),
        ("bearer " * 20_000 + "error=late", None),
        ("", None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_challenge_says_whether_the_bearer_was_the_problem(challenge: str, error: str | None) -> None:
    """RFC 6750 section 3; a hostile header must not take minutes to search."""
    assert Answer.of(answered(401, {"www-authenticate": challenge}, b""), now=NOW).bearer_error == error


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (408, True),
        (429, True),
        (500, True),
        (520, True),
        (599, True),
        (600, False),
        (400, False),
        (404, False),
        (200, False),
    ],
)
def test_some_statuses_are_nobodys_fault_and_may_pass(status: int, expected: bool) -> None:
    """Only these are worth asking again."""
    assert is_unavailable(status) is expected


HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "date", "www-authenticate", "location"]), st.text(max_size=80)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["access_token", "expires_in"]), inner),
    max_leaves=8,
)


@given(
    status=st.integers(0, 999),
    headers=HEADERS,
    content=st.binary() | JSON.map(lambda value: json.dumps(value).encode()),
)
@example(status=200, headers={}, content=b'{"access_token": "a", "expires_in": 1' + b"0" * 400 + b"}")
def test_no_answer_raises(status: int, headers: dict[str, str], content: bytes) -> None:
    """Callers wait for an outcome; a stranger's bytes must not turn into an exception of any other kind."""
    answer = Answer.of(answered(status, headers, content), now=NOW)
    outcome = answer.grant(now=NOW)
    assert isinstance(outcome, Grant | str)


def test_unix_time_becomes_an_aware_moment() -> None:
    """Naive moments are the beginning of every time zone bug."""
    assert utc(NOW.timestamp()) == NOW
    assert utc(0).isoformat() == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize(("length", "error"), [(2_048, "invalid_token"), (2_049, "invalid_toke")])
def test_a_challenge_is_read_up_to_2048_characters(length: int, error: str) -> None:
    """Searching a very long one would take a while."""
    challenge = 'bearer realm="' + "x" * (length - 35) + '" error=invalid_token'

    assert len(challenge) == length
    assert Answer.of(answered(401, {"www-authenticate": challenge}, b""), now=NOW).bearer_error == error


@pytest.mark.parametrize(("before", "title"), [(4_082, Secret("abcdef")), (4_083, None)])
def test_a_page_is_read_up_to_4096_bytes(before: int, title: Secret | None) -> None:
    """Its title stands at its beginning, whole, or is none: of a secret that is cut a part would be shown."""
    page = answered(502, {"content-type": "text/html"}, b" " * before + b"<title>abcdef</title>")

    assert Answer.of(page, now=NOW).page_title == title


def test_where_a_redirect_leads_is_in_no_repr() -> None:
    """Its query may hold what was sent."""
    answer = Answer.of(answered(302, {LOCATION_SEEN: "https://other.example/?canary"}), now=NOW)

    assert answer.location == "https://other.example/?canary"
    assert "canary" not in repr(answer)

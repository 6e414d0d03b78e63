"""
Any status, header and body, read as the answer of a token endpoint (scripts/fuzz; the seeds run as a test, too).

Whatever comes, reading it raises nothing, and what is said of it is bounded, printable and without secrets.
"""

import math
from datetime import UTC, datetime
from typing import Final

from daxko_api.types import Response
from daxko_auth.model.masking import quote
from daxko_auth.model.secret import Secret
from daxko_auth.wire.member_login import refusal_in
from daxko_auth.wire.token_response import LONGEST_LIFE, Answer, Grant

NOW: Final = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
SECRETS: Final = (Secret("c4nary/p+ss w\u00f6rd"), Secret("c4nary-refresh-token"))
HEADERS: Final = ("content-type", "date", "retry-after", "www-authenticate")

#: A status, four header lines and the body, one to a line; the body takes the rest.
SEEDS: Final = (
    b'200\napplication/json\nFri, 15 Jan 2027 08:00:00 GMT\n\n\n{"access_token": "abc", "expires_in": "86400", "a": 7}',
    b'200\napplication/json;charset=utf-8\n\n\n\n{"access_token": "eyJhbGciOiJub25lIn0.eyJleHAiOjE4MDAwMDM2MDB9.x"}',
    b'400\napplication/json\n\n\n\n{"error": "invalid_client", "error_description": "c4nary-refresh-token?"}',
    b'401\napplication/json\n\n\nBearer realm="x", error="invalid_token", error_description="expired"\n{}',
    b"429\ntext/html\n\nFri, 15 Jan 2027 08:00:07 GMT\n\n<title>c4nary/p+ss w\xc3\xb6rd</title>",
    b"503\ntext/html\nSunday, 06-Nov-94 08:49:37 GMT\n7\n\n<TITLE lang=en>Down &amp; out &#x1F4A9;</TITLE>",
    b"502\n\nSun Nov  6 08:49:37 1994\n-1\n\n\x1f\x8b\x08\x00",
    b'200\n\n\n99999999999\n\n{"access_token": "c4nary/p+ss w\\u00f6rd", "expires_in": 1e400}',
    b'200\n\n\n\n\n{"access_token": "a", "expires_in": -0.0, "c4nary-refresh-token": null, "error": "\\ud800"}',
    b"500\ntext/html\n\n\n\n<title>c4nary/p+ss\x01\n w\xc3\xb6rd</title>",
    b'200\n\n\n\n\n{"access_token": "abcdefgh", "expires_in": NaN, "expires_in": 60.5, "token_type": null}',
    b"200\n\n\n\n\n" + b"[" * 3_000,
)


def read(data: bytes) -> Grant | str:
    """Read `data` as an answer; fail where a promise does not hold."""
    status, *lines = data.split(b"\n", len(HEADERS) + 1)
    lines += [b""] * (len(HEADERS) + 1 - len(lines))
    headers = {name: line.decode("latin-1") for name, line in zip(HEADERS, lines, strict=False) if line}
    number = int(status) if status.isdigit() and len(status) <= 3 else 200
    answer = Answer.of(Response(number, lines[-1], headers, None), now=NOW)

    assert answer.retry_after is None or (answer.retry_after >= 0 and math.isfinite(answer.retry_after))
    assert answer.date is None or answer.date.tzinfo is UTC
    refusal_in(answer)
    for said in (answer.error, answer.error_description, answer.described):
        check_words(said)
    outcome = answer.grant(now=NOW)
    if isinstance(outcome, Grant):
        assert type(outcome.expires_in) is int
        assert 1 <= outcome.expires_in <= LONGEST_LIFE
        assert outcome.secret.reveal().isascii()
        assert outcome.secret.reveal().isprintable()
        assert outcome.secret.reveal() not in repr(outcome) or len(outcome.secret.reveal()) < 8
    else:
        check_words(outcome)
    return outcome


def check_words(said: object) -> None:
    """Fail unless `said` can be quoted in an error."""
    quoted = quote(said, SECRETS)
    if quoted is not None:
        assert 0 < len(quoted) <= 200
        assert quoted.isprintable()
        assert not any(secret.reveal() in quoted for secret in SECRETS)

"""How long the server asks us to wait."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from asking import answered
from hypothesis import given
from hypothesis import strategies as st

from daxko_auth.wire.retry_after import http_date_of, retry_after_of
from daxko_auth.wire.token_response import Answer

NOW = datetime(1994, 11, 6, 8, 49, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("007", 7.0),
        ("99999999", 99_999_999.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 7.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 7.0),
        ("Sun Nov  6 08:49:37 1994", 7.0),
        ("Sun Nov 16 08:49:37 1994", 864_007.0),
        ("Sun, 06 Nov 1994 08:49:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - NOW).total_seconds()),
    ],
)
def test_seconds_and_the_three_forms_of_a_date_are_understood(value: str, seconds: float) -> None:
    """RFC 9110 section 10.2.3; a moment that has passed means now."""
    assert retry_after_of(value, now=NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "-1",
        "+7",
        "7.5",
        "7s",
        "7, 9",
        "1e3",
        "0x7",
        "\u0667",
        "9999999999",
        "9" * 10_000,
        "soon",
        "tomorrow",
        "1994-11-06T08:49:37Z",
        "06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 XYZ",
        "Sun, 06 Nov 1994 08:49:37 +9999",
        "Sun, 06 Nov 1994 08:49:37 PST",
        "Sun, 99 Nov 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Foo, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 99:49:37 GMT",
        "Sun, 06 Nov 1994 :::::::: GMT",
        "Sun Foo  6 08:49:37 1994",
        "Mon, 1 2 3 4 5 6 7",
    ],
    ids=lambda value: str(value)[:40],
)
def test_anything_else_is_no_wait_at_all(value: str | None) -> None:
    """A senseless header must neither stop the program nor make it hammer; our own pace applies."""
    assert retry_after_of(value, now=NOW) is None


@pytest.mark.parametrize(
    ("date", "seconds"),
    [("Sun, 06 Nov 1994 08:49:27 GMT", 10.0), ("Sunday, 06-Nov-94 08:49:27 GMT", 10.0), ("junk", 7.0), (None, 7.0)],
)
def test_a_date_is_compared_with_the_answers_own_clock(date: str | None, seconds: float) -> None:
    """Our clock may be hours wrong; the server's difference is right."""
    headers = {"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"} | ({} if date is None else {"date": date})
    assert Answer.of(answered(503, headers, b""), now=NOW).retry_after == seconds


# The three forms of a date, with digits of any value; and what comes near.
NEARLY_A_DATE = st.from_regex(
    r"(Sun|Foo), [0-9]{2} (Nov|Foo) [0-9]{4} [0-9:]{8} (GMT|EST)"
    r"|Sunday, [0-9]{2}-Nov-[0-9]{2} [0-9:]{8} GMT"
    r"|Sun (Nov|Feb) [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}",
    fullmatch=True,
)
DATES = st.datetimes(datetime(1000, 1, 1)).map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT"))  # noqa: DTZ001 - it says GMT
ANY_HEADER = DATES | (
    st.text(st.characters(exclude_categories=())) | NEARLY_A_DATE | st.integers().map(str) | st.floats().map(str)
)


@given(ANY_HEADER, st.datetimes(timezones=st.just(UTC)))
def test_no_header_raises_or_warns_and_every_wait_is_a_number(value: str, now: datetime) -> None:
    """It is read on the way to an error that callers wait for; warnings are errors in many programs."""
    wait = retry_after_of(value, now=now)
    assert wait is None or 0 <= wait < math.inf


@given(ANY_HEADER)
def test_any_date_is_an_aware_moment_or_none(value: str) -> None:
    """A naive one could not be compared with the clock."""
    date = http_date_of(value)
    assert date is None or date.utcoffset() == timedelta(0)


@given(st.integers(0, 10**9 - 1), st.datetimes(timezones=st.just(UTC)))
def test_every_number_of_seconds_is_the_wait_whenever_it_is_read(seconds: int, now: datetime) -> None:
    """Up to what fits into nine digits: thirty years."""
    assert retry_after_of(str(seconds), now=now) == seconds


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001 - made aware below
def test_every_date_that_a_server_can_write_is_read(moment: datetime) -> None:
    """Each weekday and month, to the second."""
    aware = moment.replace(microsecond=0, tzinfo=UTC)
    assert http_date_of(aware.strftime("%a, %d %b %Y %H:%M:%S GMT")) == aware
    assert (
        http_date_of(
            aware.strftime("%a %b ") + aware.strftime("%d").lstrip("0").rjust(2) + aware.strftime(" %H:%M:%S %Y")
        )
        == aware
    )


def test_two_digits_of_a_year_mean_the_nearest() -> None:
    """RFC 9110 section 5.6.7: not half a century ahead."""
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    assert http_date_of(soon.strftime("%A, %d-%b-%y %H:%M:%S GMT")) == soon

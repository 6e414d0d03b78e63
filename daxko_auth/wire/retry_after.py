"""
How long a server asks us to wait: `Retry-After`, RFC 9110 section 10.2.3.
"""

import re
from datetime import UTC, datetime
from typing import Final

_SECONDS: Final = re.compile(r"[0-9]{1,9}")
# The three forms of an HTTP-date; dateutil alone would find a date in almost anything, in any time zone.
_HTTP_DATE: Final = re.compile(
    r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [1-9][0-9]{3} [0-9:]{8} GMT"
    r"|[A-Z][a-z]{5,8}, [0-9]{2}-[A-Z][a-z]{2}-[0-9]{2} [0-9:]{8} GMT"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [0-9 ][0-9] [0-9:]{8} [1-9][0-9]{3}",
)


def retry_after_of(value: str | None, *, now: datetime) -> float | None:
    """
    Return the wait in seconds, never negative; None for a missing or senseless value.

    `now` is the moment a date is compared with, best the answer's own `Date`.
    """
    value = (value or "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    until = http_date_of(value)
    return None if until is None else max(0.0, (until - now).total_seconds())


def http_date_of(value: str | None) -> datetime | None:
    """Return an HTTP-date (RFC 9110 section 5.6.7) as an aware datetime, or None if it is not one."""
    if value is None or not _HTTP_DATE.fullmatch(value):
        return None
    from dateutil.parser import parse  # noqa: PLC0415 - see Exchange

    try:
        return parse(value).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None

"""
How long a server asks us to wait: `Retry-After`, RFC 9110 section 10.2.3.
"""

import re
from datetime import UTC, datetime
from typing import Final

_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
# An HTTP-date begins with the name of a day; dateutil alone would find a date in almost anything.
_HTTP_DATE: Final = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? .{8,40}", re.ASCII)


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
    # Imported where a date is really read: most programs never meet one.
    from dateutil.parser import parse  # noqa: PLC0415

    try:
        moment = parse(value)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

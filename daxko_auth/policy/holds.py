"""
When a 401 causes no renewal: where a fresh token was refused, too, and where nobody would learn whether another helps.

An endpoint may say 401 for "not allowed", and an account may be suspended. Asking for more tokens would be a storm.
"""

import re
from collections import deque
from typing import Final

from daxko_auth.policy.flight import Slot

#: Renewals of one scope that did not help, after which no endpoint of it gets another.
CEILING: Final = 4
# Renewals of one scope after calls that are not replayed, or whose answer was not seen, in the time of one hold: nobody
# learns whether they help.
_UNSEEN: Final = 4

# Segments of a path that are numbers or UUIDs: `/v3/members/17` and `/v3/members/18` are one endpoint.
_NUMBERED: Final = re.compile(
    r"(?<=/)([0-9]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?=/|\Z)", re.ASCII | re.IGNORECASE
)
# Of a longer path, the beginning stands for all.
_LONGEST_PATH: Final = 500


def endpoint_of(method: str, path: str) -> str:
    """Return what the calls of one method to one kind of path have in common."""
    return f"{method.upper()} {_NUMBERED.sub('*', path[:_LONGEST_PATH])}"


def begin(slot: Slot, endpoint: str, now: float) -> None:
    """Remember that a renewal did not help at `endpoint`; `now` is monotonic."""
    known = slot.unhelpful
    if known is None:
        known = slot.unhelpful = {}
    known[endpoint] = now


def is_held(slot: Slot, endpoint: str, now: float, hold: float) -> bool:
    """Whether a renewal did not help at `endpoint` within the last `hold` seconds."""
    return now < (slot.unhelpful or {}).get(endpoint, float("-inf")) + hold


def is_at_ceiling(slot: Slot, now: float, hold: float) -> bool:
    """Whether so many did not help in that time, wherever it was, that none is tried."""
    known = slot.unhelpful
    if known is None:
        return False
    live = {endpoint: at for endpoint, at in known.copy().items() if now < at + hold}
    if len(live) < len(known):
        # What another thread has noted since is lost with the rest: one more renewal, at most.
        slot.unhelpful = live or None
    return len(live) >= CEILING


def may_renew_unseen(slot: Slot, now: float, hold: float) -> bool:
    """Whether there may be another renewal of which nobody learns whether it helps; if so, remember it."""
    begun = slot.unseen
    if begun is None:
        slot.unseen = deque([now], maxlen=_UNSEEN)
        return True
    if len(begun) == _UNSEEN and now < begun[0] + hold:
        return False
    begun.append(now)
    return True

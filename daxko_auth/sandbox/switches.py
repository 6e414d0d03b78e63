"""
Every switch of a sandbox: what a test, or somebody over HTTP, can make it do.

Each switch checks what it is given and takes effect before it returns; requests sent afterwards see
it. All are safe from any thread. Switches decide nothing about a request.
"""

import asyncio
import threading
from collections import deque
from typing import Final, Literal, get_args

from attrs import asdict, define, field, frozen

from daxko_auth.model.vendor import EXAMPLE_TOKEN_LIFE
from daxko_auth.sandbox.accounts import Account
from daxko_auth.sandbox.failures import Failure, FailureKind
from daxko_auth.sandbox.leaks import Watch
from daxko_auth.sandbox.log import Arrival, Log
from daxko_auth.sandbox.tokens import Clock, IssuedNow, Mint

#: What a switch acts on: one of the two token endpoints, or everything else under /v3.
Where = Literal["partner", "member", "resource"]
#: How a wrong member name or password is answered: 400 or 401 with `invalid_grant`, or a 401 that says nothing.
MemberRefusal = Literal["invalid_grant", "invalid_grant_401", "unexplained"]


_AGES: Final = 10_000_000_000


class _Gate:
    """Holds requests back while it is shut, and lets them go in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shut = False
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def shut(self) -> None:
        with self._lock:
            self._shut = True

    def open(self) -> None:
        with self._lock:
            self._shut = False
            for event, loop in self._waiting.items():
                loop.call_soon_threadsafe(event.set)

    @property
    def is_shut(self) -> bool:
        return self._shut

    def queue(self) -> asyncio.Event:
        """Take a place in the queue; `passed` waits there until the gate opens, or not at all where it is open."""
        event = asyncio.Event()
        with self._lock:
            if self._shut:
                self._waiting[event] = asyncio.get_running_loop()
            else:
                event.set()
        return event

    async def passed(self, event: asyncio.Event) -> None:
        try:
            await event.wait()
        finally:
            # Also when the sandbox closes meanwhile: its loop must not be called afterwards.
            with self._lock:
                self._waiting.pop(event, None)


@frozen
class StationNow:
    """How one kind of request is treated now."""

    held: bool
    latency: float
    failures_to_come: int


@define(eq=False)
class Station:
    """What one kind of request meets before it is judged."""

    gate: _Gate = field(factory=_Gate)
    latency: float = 0.0
    failures: deque[Failure] = field(factory=deque[Failure])

    def now(self) -> StationNow:
        """Return how its requests are treated at this moment."""
        return StationNow(self.gate.is_shut, self.latency, len(self.failures))


class Switches:
    """The switches of one sandbox, and what they act on."""

    def __init__(self, account: Account, token_life: int, signing_key: bytes | None) -> None:
        self.account: Final = account
        self._clock: Final = Clock()
        self._mint: Final = Mint(account, self._clock, signing_key)
        self._watch: Final = Watch(account, self._mint)
        self._log: Final = Log()
        self._stations: Final[dict[str, Station]] = {where: Station() for where in get_args(Where)}
        self._token_life = EXAMPLE_TOKEN_LIFE
        self._member_refusal: MemberRefusal = "invalid_grant"
        # Replaced, never changed, so that the server's thread can read them without a lock.
        self._forbidden: frozenset[str] = frozenset()
        self._unauthorized: frozenset[str] = frozenset()
        self.set_token_life(token_life)

    def set_token_life(self, seconds: int) -> None:
        """Let access tokens issued from now on live `seconds`: a whole number, at least 1."""
        if type(seconds) is not int or not 1 <= seconds <= _AGES:
            raise ValueError("the life of a token is a whole number of seconds, at least 1")
        self._token_life = seconds

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock ahead, so that tokens expire without anybody sleeping."""
        self._clock.advance(_number(seconds))

    def expire(self, scope: int | str | None = None) -> int:
        """End the life of the access tokens of `scope` (None: all) now; return how many there were."""
        return self._mint.expire(scope_text(scope))

    def revoke(self, scope: int | str | None = None) -> int:
        """Take back the access tokens of `scope` (None: all) now; return how many there were."""
        return self._mint.revoke(scope_text(scope))

    def reject_all_tokens(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 - reads as a switch
        """Go on issuing access tokens, and refuse every one of them; or no longer."""
        self._mint.refuses_all = _flag(on)

    def fail_next(  # noqa: PLR0913 - the same options as Failure, so that one call suffices
        self,
        count: int,
        how: Failure | FailureKind,
        *,
        where: Where = "partner",
        status: int | None = None,
        retry_after: float | str | None = None,
        error: str = "temporarily_unavailable",
        html: bool = False,
        location: str = "/elsewhere",
        body: object = b"",
        content_type: str = "application/json",
    ) -> None:
        """
        Fail the next `count` requests to `where`, after those that are to fail already.

        `how` is a Failure, which has options of its own, or the name of one with its options here.

        Raises:
            ValueError: there is no such failure, or an option of it cannot be sent.
        """
        if type(count) is not int or not 0 <= count <= 1_000_000:  # noqa: PLR2004 - each is kept in a queue
            raise ValueError("count is a whole number from 0 to 1000000")
        if not isinstance(how, Failure):
            given = {} if status is None else {"status": status}
            how = Failure(
                how,
                **given,
                retry_after=retry_after,
                error=error,
                html=html,
                location=location,
                body=body,
                content_type=content_type,
            )
        self._station(where).failures.extend([how] * count)

    def fail_no_more(self) -> None:
        """Forget the failures that have not happened yet, everywhere."""
        for station in self._stations.values():
            station.failures.clear()

    def set_latency(self, seconds: float, *, where: Where = "partner") -> None:
        """Answer requests to `where` so many seconds late."""
        if _number(seconds) < 0:
            raise ValueError("a latency is at least 0 seconds")
        self._station(where).latency = seconds

    def hold(self, *, where: Where = "partner") -> None:
        """Log requests to `where` as they arrive, and let them wait until `release()`."""
        self._station(where).gate.shut()

    def release(self, *, where: Where = "partner") -> None:
        """Let the requests that `hold()` keeps waiting go on, in the order in which they came."""
        self._station(where).gate.open()

    def forbid(self, path: str, on: bool = True) -> None:  # noqa: FBT001, FBT002 - reads as a switch
        """Answer 403 at a resource path, whoever asks with a live access token; or no longer."""
        self._forbidden = _switched(self._forbidden, path, on)

    def always_401(self, path: str, on: bool = True) -> None:  # noqa: FBT001, FBT002 - reads as a switch
        """Answer 401 at a resource path, whatever the bearer; or no longer."""
        self._unauthorized = _switched(self._unauthorized, path, on)

    def set_member_refusal(self, style: MemberRefusal) -> None:
        """Choose how a wrong member name or password is answered."""
        if style not in get_args(MemberRefusal):
            msg = f"a member is refused in one of these ways: {', '.join(get_args(MemberRefusal))}"
            raise ValueError(msg)
        self._member_refusal = style

    def clear_log(self) -> None:
        """Forget every arrival, and count token requests from zero again."""
        self._log.clear()

    def token_requests(self, scope: int | str | None = None) -> int:
        """Count the partner token requests for `scope` (None: any) since the log was cleared, answered or not."""
        return self._log.token_requests(scope_text(scope))

    @property
    def log(self) -> list[Arrival]:
        """What arrived since the log was last cleared, oldest first."""
        return self._log.arrivals()

    def settings_at(self, base_url: str) -> dict[str, str]:
        """Return the settings that point a program at this sandbox, where it is reached at `base_url`."""
        return {
            "DAXKO_BASE_URL": base_url,
            "DAXKO_USERNAME": self.account.username,
            "DAXKO_PASSWORD": self.account.password.reveal(),
            "DAXKO_REFRESH_TOKEN": self._mint.refresh_token.reveal(),
        }

    def issued(self) -> list[IssuedNow]:
        """Return the access tokens that were issued, oldest first, as they stand now."""
        return self._mint.issued()

    def partner_endpoint(self) -> StationNow:
        """Return how requests for access tokens are treated now."""
        return self._station("partner").now()

    def state(self) -> dict[str, object]:
        """Return the settings in force, for people to look at."""
        return {
            "token_life": self._token_life,
            "rejects_all_tokens": self._mint.refuses_all,
            "member_refusal": self._member_refusal,
            "forbidden": sorted(self._forbidden),
            "always_401": sorted(self._unauthorized),
            "where": {where: asdict(station.now()) for where, station in self._stations.items()},
        }

    def _station(self, where: Where) -> Station:
        if where not in get_args(Where):
            msg = f"where is one of {', '.join(get_args(Where))}"
            raise ValueError(msg)
        return self._stations[where]


def scope_text(scope: object) -> str | None:
    """
    Return `client:9999` for `9999`, `"9999"` and itself; any other text as it is; None for None.

    Raises:
        ValueError: it is neither a number nor text.
    """
    match scope:
        case None:
            return None
        case bool():
            pass
        case int():
            return f"client:{scope}"
        case str():
            return f"client:{scope}" if scope.isdecimal() else scope
        case _:
            pass
    raise ValueError("a scope is the number of a Daxko client, such as 9999 or client:9999")


def _number(value: object) -> float:
    # Bounded, so that no sum with it overflows; NaN is in no bounds.
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_AGES <= value <= _AGES:
        raise ValueError("seconds are a finite number")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("a switch is true or false")  # noqa: TRY004 - one kind of error for every wrong value
    return value


def _switched(paths: frozenset[str], path: object, on: object) -> frozenset[str]:
    if not isinstance(path, str) or not path.startswith("/v3/"):
        raise ValueError("a resource path begins with /v3/ and has no query")
    return paths | {path} if _flag(on) else paths - {path}

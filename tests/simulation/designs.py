"""
How programs get tokens: the library, and what is written by hand instead.
"""

from collections.abc import Callable
from math import inf
from typing import Final, Protocol

from attrs import define, field, frozen
from greenlet import getcurrent, greenlet

from daxko_auth import ApiCredentials, TokenRequestError, TokenSource
from daxko_auth.policy.store import TokenStore
from simulation import week
from simulation.models import LIFE, TokenEndpoint
from simulation.world import MachineClock, World

_CREDENTIALS: Final = ApiCredentials("simulated", "simulated password", "simulated-refresh-token")
# Whatever should go past the simulation finds nobody there.
_ORIGIN: Final = "http://127.0.0.1:9"
#: Seconds before its end at which careful hands give a token up.
_MARGIN: Final = 60.0


@frozen
class Outlook:
    """Until when the calls of a worker for a scope change nothing, and whether they fail until then."""

    until: float
    failing: bool = False


class Design(Protocol):
    """What the simulation asks of one."""

    def call(self, worker: int, scope: int) -> bool:
        """Call Daxko, waiting for a token where one is needed; return whether it worked."""
        ...

    def outlook(self, worker: int, scope: int) -> Outlook:
        """Say which calls need not be simulated."""
        ...

    def restart(self, worker: int) -> None:
        """Lose what the process held."""
        ...

    def empty_store(self) -> None:
        """Lose what the store held."""
        ...


@define
class Ours:
    """`TokenSource`, one for each worker, and a 401 treated as `DaxkoAuth` does."""

    world: World
    endpoint: TokenEndpoint
    #: Of each worker.
    clocks: list[MachineClock]
    stores: list[TokenStore | None]
    empty_store: Callable[[], None]
    _sources: dict[int, TokenSource] = field(factory=dict)

    def call(self, worker: int, scope: int) -> bool:
        """Do as `DaxkoAuth.sync_auth_flow` does."""
        source = self._sources[worker]
        try:
            token = source.token(scope)
            if self.endpoint.accepts(token.reveal()):
                return True
            replacement = source.replacement_for(token)
        except TokenRequestError:
            return False
        if replacement is None:
            return False
        if self.endpoint.accepts(replacement.reveal()):
            return True
        source.replacement_refused(replacement)
        return False

    def outlook(self, worker: int, scope: int) -> Outlook:
        """Ask the source: with a fresh token that is accepted nothing happens until it turns stale."""
        held, clock, now = self._sources[worker]._fresh(scope), self.clocks[worker], self.world.now
        if held is None:
            return Outlook(now)
        fresh_for = min(held.stale_at_wall - clock.wall(), held.stale_at_monotonic - clock.monotonic())
        return Outlook(min(now + fresh_for, self.endpoint.end_of(held.token.reveal())))

    def restart(self, worker: int) -> None:
        """Make a new source. Requests under way are served by the old one, as in a graceful restart."""
        store, clock = self.stores[worker], self.clocks[worker]
        self._sources[worker] = TokenSource(_CREDENTIALS, _ORIGIN, store=store, clock=clock)


class _Lock:
    """A lock for whoever waits in simulated time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._taken = False
        self._line: dict[greenlet, None] = {}

    def __enter__(self) -> None:
        if self._taken:
            self._line[getcurrent()] = None
            self._world.pause()
        self._taken = True

    def __exit__(self, *_: object) -> None:
        if self._line:
            first = next(iter(self._line))
            del self._line[first]
            self._world.at(self._world.now, first.switch)
        else:
            self._taken = False


@frozen
class _Kept:
    token: str
    until: float


@define
class ProcessCache:
    """A dictionary in each process. Nothing is done about a 401, as in the public scripts that were read."""

    world: World
    endpoint: TokenEndpoint
    _kept: dict[int, dict[int, _Kept]] = field(factory=dict)

    def call(self, worker: int, scope: int) -> bool:
        """Ask when the time is over, whoever else is asking."""
        kept = self._usable(worker, scope) or self._ask(worker, scope, margin=0)
        return kept is not None and self.endpoint.accepts(kept.token)

    def outlook(self, worker: int, scope: int) -> Outlook:
        """Nothing happens until the time is over, whether the token is accepted or not."""
        kept = self._usable(worker, scope)
        if kept is None:
            return Outlook(self.world.now)
        if self.endpoint.accepts(kept.token):
            return Outlook(min(kept.until, self.endpoint.end_of(kept.token)))
        return Outlook(kept.until, failing=True)

    def restart(self, worker: int) -> None:
        """Begin with an empty dictionary."""
        self._kept[worker] = {}

    def empty_store(self) -> None:
        """There is none."""

    def _usable(self, worker: int, scope: int) -> _Kept | None:
        kept = self._kept[worker].get(scope)
        return kept if kept is not None and self.world.now < kept.until else None

    def _ask(self, worker: int, scope: int, *, margin: float) -> _Kept | None:
        cache, sent = self._kept[worker], self.world.now
        token = self.endpoint.ask().token
        if token is None:
            return None
        kept = cache[scope] = _Kept(token, sent + LIFE - margin)
        return kept


@define
class LockedProcessCache(ProcessCache):
    """The same by careful hands: one request at a time for each scope, a margin, and one replay after a 401."""

    _locks: dict[tuple[int, int], _Lock] = field(factory=dict)

    def call(self, worker: int, scope: int) -> bool:
        """Look, take the lock, look again, ask; after a 401, forget, and do so once more."""
        for _ in range(2):
            kept = self._usable(worker, scope)
            if kept is None:
                with self._locks.setdefault((worker, scope), _Lock(self.world)):
                    kept = self._usable(worker, scope) or self._ask(worker, scope, margin=_MARGIN)
            if kept is None:
                return False
            if self.endpoint.accepts(kept.token):
                return True
            if self._kept[worker].get(scope) is kept:
                del self._kept[worker][scope]
        return False

    def outlook(self, worker: int, scope: int) -> Outlook:
        """Nothing happens until the time is over or the token is refused."""
        kept = self._usable(worker, scope)
        return Outlook(self.world.now if kept is None else min(kept.until, self.endpoint.end_of(kept.token)))


@define
class SharedCache:
    """One cache for all, without a lock: whoever finds nothing asks. While it is down, everybody asks each time."""

    world: World
    endpoint: TokenEndpoint
    _kept: dict[int, _Kept] = field(factory=dict)

    def call(self, worker: int, scope: int) -> bool:
        """Look, ask; after a 401, forget, and do so once more."""
        for _ in range(2):
            token = self._token(scope)
            if token is None:
                return False
            if self.endpoint.accepts(token):
                return True
            self._kept.pop(scope, None)
        return False

    def outlook(self, worker: int, scope: int) -> Outlook:
        """Nothing happens until the time is over, the token is refused or the cache is down."""
        kept, now = self._kept.get(scope), self.world.now
        if kept is None or week.during(week.STORE_DOWN, now):
            return Outlook(now)
        down = week.STORE_DOWN[0] if now < week.STORE_DOWN[0] else inf
        return Outlook(max(now, min(kept.until, self.endpoint.end_of(kept.token), down)))

    def restart(self, worker: int) -> None:
        """Lose nothing: a process holds nothing."""

    def empty_store(self) -> None:
        """Forget everything."""
        self._kept.clear()

    def _token(self, scope: int) -> str | None:
        down, sent = week.during(week.STORE_DOWN, self.world.now), self.world.now
        kept = self._kept.get(scope)
        if not down and kept is not None and sent < kept.until:
            return kept.token
        token = self.endpoint.ask().token
        if token is not None and not down:
            self._kept[scope] = _Kept(token, sent + LIFE - _MARGIN)
        return token

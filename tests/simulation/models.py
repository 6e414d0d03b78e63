"""
What stands in for Daxko's token endpoint and for the stores.
"""

from collections.abc import Generator
from contextlib import contextmanager
from random import Random
from typing import Final

from attrs import frozen
from greenlet import getcurrent, greenlet

from daxko_auth import AccessToken, ClientScope, Secret, TokenEndpointUnavailable, TokenKey, TokenRequestError
from daxko_auth.wire.token_response import utc
from simulation import week
from simulation.fleet import DAY
from simulation.tally import Tally
from simulation.world import World

#: Seconds that every token lives.
LIFE: Final = int(DAY)
#: Seconds that the endpoint asks to wait with a 429: it counts by the second.
RETRY_AFTER: Final = 1.0
#: Seconds until a store that does not answer is given up, by its own timeout.
STORE_TIMEOUT: Final = 1.0
#: Seconds until a refusal is here.
_QUICK: Final = 0.05


@frozen
class Answer:
    """What came of one token request: a token, a status, or neither if it took too long."""

    token: str | None = None
    status: int | None = None


class TokenEndpoint:
    """Grants tokens that say when they were granted, and knows which it accepts."""

    def __init__(self, world: World, random: Random, tally: Tally, limit: int) -> None:
        self._world = world
        self._random = random
        self._tally = tally
        self._limit = limit
        self._revoked_at = -1.0
        self._second, self._taken = 0, 0
        self._granted = 0

    def ask(self, timeout: float = float("inf")) -> Answer:
        """Ask once, waiting for the answer."""
        now = self._world.now
        self._tally.requests[int(now)] += 1
        status = self._status(now)
        if status:
            self._world.sleep(_QUICK)
            return Answer(status=status)
        takes = self._random.uniform(8, 12) if week.during(week.SLOW, now) else 0.15 + self._random.expovariate(10)
        self._world.sleep(min(takes, timeout))
        if takes > timeout:
            return Answer()
        self._granted += 1
        return Answer(token=f"{now!r} {self._granted}")

    def accepts(self, token: str) -> bool:
        """Whether a call with this token works now."""
        return self._world.now < self.end_of(token)

    def end_of(self, token: str) -> float:
        """Return until when a token works, as far as is known now."""
        granted = float(token.partition(" ")[0])
        return granted + LIFE if granted > self._revoked_at else self._revoked_at

    def revoke(self) -> None:
        """Accept none of the tokens granted so far."""
        self._revoked_at = self._world.now

    def _status(self, now: float) -> int | None:
        if week.during(week.OUTAGE, now):
            return 503
        if week.during(week.LIMITED, now):
            if int(now) != self._second:
                self._second, self._taken = int(now), 0
            self._taken += 1
            if self._taken > self._limit:
                self._tally.too_many[int(now // 60)] += 1
                return 429
        return None


class ModelExchange:
    """Asks the model of the endpoint as `Exchange` asks the real one."""

    def __init__(self, endpoint: TokenEndpoint) -> None:
        self._endpoint = endpoint

    def request(self, scope: ClientScope, *, sent_at: float, timeout: float) -> AccessToken | TokenRequestError:
        """Ask once; return the token or the error, and raise nothing."""
        answer = self._endpoint.ask(timeout)
        if answer.token is not None:
            return AccessToken(scope, Secret(answer.token), utc(sent_at + LIFE), LIFE)
        return TokenEndpointUnavailable(
            "unavailable",
            scope=scope.wire,
            status_code=answer.status,
            retryable=True,
            retry_after=RETRY_AFTER if answer.status == 429 else None,
        )


class ModelStore:
    """
    A store as `TokenStore` describes it, with a time for each step.

    Whoever waits for a turn looks again every `poll` seconds. One that `may_fail` is down in the week's store outage.
    """

    def __init__(self, world: World, random: Random, *, step: float, poll: float, may_fail: bool) -> None:
        self._world = world
        self._random = random
        self._step_takes, self._poll, self._may_fail = step, poll, may_fail
        self._tokens: dict[ClientScope, AccessToken] = {}
        # Who waits, for each scope whose turn is taken.
        self._lines: dict[ClientScope, dict[object, greenlet]] = {}

    def empty(self) -> None:
        """Lose everything."""
        self._tokens.clear()

    def read(self, key: TokenKey) -> AccessToken | None:
        """Return the token kept for `key`, usable or not."""
        self._step()
        return self._tokens.get(key.scope)

    def write(self, key: TokenKey, token: AccessToken) -> None:
        """Keep `token`, unless one that ends later is kept already."""
        self._step()
        kept = self._tokens.get(key.scope)
        if kept is None or kept.expires_at <= token.expires_at:
            self._tokens[key.scope] = token

    def drop(self, key: TokenKey, token: AccessToken) -> None:
        """Forget exactly this token."""
        self._step()
        if self._tokens.get(key.scope) == token:
            del self._tokens[key.scope]

    @contextmanager
    def turn(self, key: TokenKey, timeout: float) -> Generator[None, None, None]:
        """Wait for the turn, then go on in any case."""
        self._step()
        mine = self._take(key.scope, timeout)
        try:
            yield
        finally:
            if mine:
                self._world.sleep(self._step_takes)
                self._pass_on(key.scope)

    def _step(self) -> None:
        if self._may_fail and week.during(week.STORE_DOWN, self._world.now):
            self._world.sleep(STORE_TIMEOUT)
            raise TimeoutError
        self._world.sleep(self._step_takes)

    def _take(self, scope: ClientScope, timeout: float) -> bool:
        line = self._lines.get(scope)
        if line is None:
            self._lines[scope] = {}
            return True
        ticket = object()
        line[ticket] = getcurrent()
        self._world.at(self._world.now + timeout, self._give_up, line, ticket)
        return bool(self._world.pause())

    @staticmethod
    def _give_up(line: dict[object, greenlet], ticket: object) -> None:
        if ticket in line:
            line.pop(ticket).switch(False)

    def _pass_on(self, scope: ClientScope) -> None:
        line = self._lines[scope]
        if not line:
            del self._lines[scope]
            return
        # The first of so many who look again.
        looks = self._poll * (1 - self._random.random() ** (1 / len(line)))
        self._world.at(self._world.now + looks, self._hand_over, scope)

    def _hand_over(self, scope: ClientScope) -> None:
        line = self._lines[scope]
        if line:
            line.pop(next(iter(line))).switch(True)
        else:
            del self._lines[scope]

"""Turns in Redis: nobody is held up by whoever lost his, nobody loses his to somebody else, and waiting is spread."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from keeping import ENTRY, KEY, TURN, commands_of, token
from redis_server import RedisServer
from support import PATIENCE, eventually

from daxko_auth import RedisStore, TokenStoreError
from daxko_auth.stores import redis_store
from daxko_auth.stores.redis_connection import RedisConnection
from daxko_auth.stores.sealing import sealed


@pytest.fixture
def store(shared_redis: RedisServer) -> RedisStore:
    """Give a store without anything in it."""
    return RedisStore(shared_redis.url)


SOMEBODY = b"5" * 32
"""Who has a turn that is not ours."""

SOMEBODYS_TURN = ("SET", TURN, SOMEBODY, "PX", 60_000)
"""What gives it to somebody, for as long as any turn lasts."""

A_MINUTE = 90.0
"""The wait whose turn lasts a minute, which is the longest that one lasts in Redis, whose clock nobody here can set."""


def looks(server: RedisServer) -> int:
    """Count the scripts that were run."""
    return int(server.tell("INFO", "commandstats").get("cmdstat_eval", {"calls": 0})["calls"])


def looked_again(server: RedisServer, times: int = 3) -> None:
    """Wait until whoever waits has looked so many times more."""
    before = looks(server)
    eventually(lambda: looks(server) >= before + times)


def waiter(pool: ThreadPoolExecutor, store: RedisStore, server: RedisServer) -> "Future[bytes | None]":
    """Wait for a turn; return whose it was when the wait was over."""

    def wait() -> bytes | None:
        with store.turn(KEY, timeout=PATIENCE):
            owner: bytes | None = server.tell("GET", TURN)
            return owner

    waiting = pool.submit(wait)
    looked_again(server)
    return waiting


@pytest.mark.parametrize("lost", ["to somebody else", "to nobody"])
def test_a_turn_that_was_lost_is_no_error_and_anothers_is_left_alone(
    store: RedisStore, shared_redis: RedisServer, lost: str
) -> None:
    """Its life is over, or Redis was flushed or failed over, while a token was asked for."""
    with store.turn(KEY, timeout=A_MINUTE):
        shared_redis.tell("FLUSHALL")
        if lost == "to somebody else":
            shared_redis.tell(*SOMEBODYS_TURN)
    assert shared_redis.tell("GET", TURN) == (SOMEBODY if lost == "to somebody else" else None)


def test_a_turn_that_cannot_be_given_back_is_no_error(own_redis: RedisServer) -> None:
    """The token is there; and the turn ends by itself."""
    with RedisStore(own_redis.url).turn(KEY, timeout=A_MINUTE):
        own_redis.stop()


def test_who_waits_goes_on_as_soon_as_somebody_has_renewed(store: RedisStore, shared_redis: RedisServer) -> None:
    """A hundred that took their turns one after the other, to find the same token, would be a convoy."""
    store.write(KEY, token("old"))
    with ThreadPoolExecutor(20) as pool, store.turn(KEY, timeout=A_MINUTE):
        shared_redis.tell("PEXPIRE", TURN, 60_000)
        mine = shared_redis.tell("GET", TURN)
        waiting = [waiter(pool, store, shared_redis) for _ in range(20)]
        store.write(KEY, token("new", minutes=1))
        assert {each.result() for each in waiting} == {mine}
        assert shared_redis.tell("GET", TURN) == mine


def test_a_token_that_was_dropped_is_no_sign_of_a_renewal(store: RedisStore, shared_redis: RedisServer) -> None:
    """Whoever drops the refused one is about to ask; if all others asked as well, a rejection would be a storm."""
    store.write(KEY, token("refused"))
    with ThreadPoolExecutor(1) as pool, store.turn(KEY, timeout=A_MINUTE):
        shared_redis.tell("PEXPIRE", TURN, 60_000)
        waiting = waiter(pool, store, shared_redis)
        store.drop(KEY, token("refused"))
        looked_again(shared_redis)
        assert not waiting.done()
        store.write(KEY, token("new"))
        waiting.result()


@pytest.mark.parametrize("event", ["restarted", "flushed", "cut off"])
def test_who_waits_hardly_notices_what_happens_to_redis_meanwhile(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    """All that wait would ask at the same moment."""
    # However long it takes to start again on a busy machine.
    monkeypatch.setattr(redis_store, "_SHORTEST_ABSENCE", PATIENCE)
    monkeypatch.setattr(redis_store, "_LONGEST_ABSENCE", PATIENCE)
    store = RedisStore(own_redis.url)
    own_redis.tell(*SOMEBODYS_TURN)
    with ThreadPoolExecutor(1) as pool:
        waiting = waiter(pool, store, own_redis)
        if event == "restarted":
            own_redis.stop()
            own_redis.start()
        elif event == "flushed":
            own_redis.tell("FLUSHALL")
        else:
            own_redis.tell("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            looked_again(own_redis)
            own_redis.tell("DEL", TURN)
        assert waiting.result() is not None


def test_a_turn_whose_grant_got_lost_on_the_way_is_still_ours(
    store: RedisStore, shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else we would wait for ourselves."""
    ours = "a" * 32
    monkeypatch.setattr(redis_store, "token_hex", lambda _: ours)
    shared_redis.tell("SET", TURN, ours, "PX", 60_000)
    with store.turn(KEY, timeout=0):
        assert shared_redis.tell("GET", TURN) == ours.encode()
    assert shared_redis.names() == []


@pytest.mark.parametrize(("timeout", "life"), [(0, 1), (-1, 1), (15, 10), (30, 20), (float("inf"), 60)])
def test_a_turn_lasts_two_thirds_of_what_others_wait_for_it_within_reason(
    store: RedisStore, shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, timeout: float, life: float
) -> None:
    """Long enough to ask Daxko in, and never for ever."""
    commands = commands_of(monkeypatch)
    with store.turn(KEY, timeout=timeout):
        assert commands[0][-1] == life * 1_000
        left = shared_redis.tell("PTTL", TURN)
        # A second may be over before anybody looks.
        assert 0 <= left <= life * 1_000 or (life, left) == (1, NO_SUCH_KEY)


def test_a_user_who_may_not_ask_for_the_end_of_a_turn_waits_for_it(own_redis: RedisServer) -> None:
    """Those who gave the rights that older versions needed are not cut off by a newer one."""
    own_redis.tell("ACL", "SETUSER", "default", "-pttl")
    own_redis.tell(*SOMEBODYS_TURN)
    with RedisStore(own_redis.url).turn(KEY, timeout=0):
        assert own_redis.tell("GET", TURN) == SOMEBODY


NO_SUCH_KEY = -2
"""What Redis says of the life of one; of one without an end it says -1."""


class PassingTime:
    """Time that passes where somebody waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        #: What happens at the first wait, at the second, and so on.
        self.events: list[Callable[[], None]] = []
        #: When something happens, and what.
        self.later: dict[float, Callable[[], object]] = {}
        monkeypatch.setattr(redis_store, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self._wait))

    def _wait(self, seconds: float) -> None:
        if self.events:
            self.events.pop(0)()
        self.waits.append(seconds)
        self.now += seconds
        for when in [when for when in self.later if when <= self.now]:
            self.later.pop(when)()


@pytest.mark.parametrize("lot", [min, max])
def test_whoever_is_killed_in_its_turn_delays_the_next_by_less_than_that_one_waits(
    store: RedisStore, shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, lot: Callable[..., float]
) -> None:
    """The next has time left to ask in a turn of its own: one request more, not one for each that waits."""
    commands = commands_of(monkeypatch)
    dead = store.turn(KEY, timeout=60)
    dead.__enter__()
    owner, life = shared_redis.tell("GET", TURN), int(commands[0][-1]) / 1_000
    monkeypatch.setattr(redis_store, "_RANDOM", SimpleNamespace(uniform=lot))
    PassingTime(monkeypatch).later[life] = lambda: shared_redis.tell("DEL", TURN)
    with store.turn(KEY, timeout=60):
        assert shared_redis.tell("GET", TURN) not in (owner, None)
    dead.__exit__(None, None, None)


def test_those_who_give_up_do_not_do_so_together_and_look_ever_less_often(
    store: RedisStore, shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They began to wait when a deployment started them all; each that gives up is a request to Daxko."""
    shared_redis.tell(*SOMEBODYS_TURN)
    patience = []
    for _ in range(10):
        passing = PassingTime(monkeypatch)
        with store.turn(KEY, timeout=15):
            patience.append(passing.now)
        assert passing.waits[0] <= 0.05
        assert 0.1875 <= max(passing.waits) <= 0.375
        assert len(passing.waits) < 80
    assert all(12.5 <= each <= 15 for each in patience)
    assert len(set(patience)) == 10
    assert shared_redis.tell("GET", TURN) == SOMEBODY


def test_when_redis_is_gone_those_who_wait_do_not_all_give_up_at_once(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage of Redis must not be a stampede at Daxko; nor does anybody wait for it to the end."""
    for lot, absence in ((min, 1), (max, 3)):
        monkeypatch.setattr(redis_store, "_RANDOM", SimpleNamespace(uniform=lot))
        own_redis.tell(*SOMEBODYS_TURN)
        passing = PassingTime(monkeypatch)
        passing.events = [own_redis.stop]
        with pytest.raises(TokenStoreError):
            RedisStore(own_redis.url).turn(KEY, timeout=15).__enter__()
        assert absence <= passing.now <= absence + 0.5
        own_redis.start()


def test_when_redis_comes_back_those_who_wait_go_on_waiting(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart takes a moment, and a failover some seconds."""
    own_redis.tell(*SOMEBODYS_TURN)
    passing = PassingTime(monkeypatch)
    passing.events = [own_redis.stop, lambda: None, lambda: None, own_redis.start]
    with RedisStore(own_redis.url).turn(KEY, timeout=A_MINUTE):
        assert own_redis.names() == [TURN], "a new one, and ours"
    assert own_redis.names() == []


def test_a_redis_that_is_gone_from_the_beginning_is_not_waited_for(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers wait meanwhile."""
    passing = PassingTime(monkeypatch)
    own_redis.stop()
    with pytest.raises(TokenStoreError):
        RedisStore(own_redis.url).turn(KEY, timeout=15).__enter__()
    assert passing.waits == []


@pytest.mark.parametrize("before", ["an older one", "nothing"])
def test_of_two_that_write_at_once_the_newer_token_stays(
    store: RedisStore, shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """What is kept is compared here and replaced there; somebody else may come in between."""
    if before == "an older one":
        store.write(KEY, token("oldest", minutes=-1))
    real, others = RedisConnection._send, [sealed(KEY, token("newer", minutes=1))]

    def late(connection: RedisConnection, *command: str | bytes | int) -> object:
        if command[0] == "EVAL" and others:
            shared_redis.tell("SET", ENTRY, others.pop())
        return real(connection, *command)

    monkeypatch.setattr(RedisConnection, "_send", late)
    store.write(KEY, token("older"))
    assert store.read(KEY) == token("newer", minutes=1)


def test_an_older_token_that_comes_late_replaces_no_newer_one(store: RedisStore, shared_redis: RedisServer) -> None:
    """Whoever was frozen in its turn writes when it thaws."""
    with store.turn(KEY, timeout=A_MINUTE):
        shared_redis.tell("DEL", TURN)
        with store.turn(KEY, timeout=A_MINUTE):
            store.write(KEY, token("newer", minutes=1))
        newer = shared_redis.tell("GET", ENTRY)
        store.write(KEY, token("older"))
    assert shared_redis.tell("GET", ENTRY) == newer

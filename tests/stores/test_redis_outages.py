"""A Redis that is away, refuses, or says anything at all: requests go on, nobody waits long, and it is used again."""

import _thread
import re
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest
import redis
from keeping import KEY, token, warnings_of
from raw_server import Behaviour, RawServer, dripping, resetting, saying
from redis_server import RedisServer
from support import PATIENCE, FakeClock, finish_renewals, kept_house

from daxko_auth import ApiCredentials, RedisStore, RenewalPolicy, TokenKey, TokenSource, TokenStoreError
from daxko_auth.sandbox import Sandbox
from daxko_auth.stores import redis_access, redis_connection
from daxko_auth.wire.http import run_within

NewSource = Callable[[RedisServer], TokenSource]


class ShortTurns(RedisStore):
    """Waits for a turn that nobody gives back for a second, and not for half of the time of a request."""

    def turn(self, key: TokenKey, timeout: float) -> AbstractContextManager[None]:
        """Take a short one."""
        return super().turn(key, min(timeout, 1))


@pytest.fixture
def new_source(sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock) -> NewSource:
    """Return what makes a source, as each process has one, with its tokens in a Redis."""
    policy = RenewalPolicy(deadline=PATIENCE, attempt_timeout=PATIENCE)
    return lambda server: TokenSource(
        credentials, sandbox.base_url, store=ShortTurns(server.url), policy=policy, clock=clock
    )


def restart(server: RedisServer) -> None:
    """Bring it back as it was in the beginning, and empty."""
    server.stop()
    server.start()


OUTAGES: dict[str, tuple[Callable[[RedisServer], Any], Callable[[RedisServer], Any]]] = {
    "down": (RedisServer.stop, RedisServer.start),
    "silent": (RedisServer.freeze, RedisServer.thaw),
    "a replica": (
        lambda server: server.tell("REPLICAOF", "127.0.0.1", 1),
        lambda server: server.tell("REPLICAOF", "NO", "ONE"),
    ),
    "full": (
        lambda server: server.tell("CONFIG", "SET", "maxmemory", 1),
        lambda server: server.tell("CONFIG", "SET", "maxmemory", 0),
    ),
    "locked": (lambda server: server.tell("CONFIG", "SET", "requirepass", "another"), restart),
    "without leave to read": (
        lambda server: server.tell("ACL", "SETUSER", "default", "-get"),
        lambda server: server.tell("ACL", "SETUSER", "default", "+get"),
    ),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_while_redis_cannot_be_used_tokens_are_asked_for_directly_and_afterwards_it_is_used_again(
    own_redis: RedisServer, sandbox: Sandbox, new_source: NewSource, clock: FakeClock, outage: str
) -> None:
    """Elsewhere an outage of the cache became an outage of everything."""
    begin, end = OUTAGES[outage]
    with new_source(own_redis) as one, new_source(own_redis) as other:
        held = one.token(9999)
        begin(own_redis)
        with pytest.MonkeyPatch.context() as limited:
            if outage == "silent":  # for ever, so that only the store's own limit ends a step
                limited.setattr(redis_connection, "_LONGEST_STEP", 0.2)
            for _ in range(2):
                one.reject(held)
                held, before = one.token(9999), held
                assert held != before
                finish_renewals(one)
                kept_house(one)  # what is rejected is dropped behind the callers
                clock.pass_time(6)  # by then it is tried again
        assert sandbox.token_requests() == 3

        end(own_redis)
        one.reject(held)
        held = one.token(9999)
        finish_renewals(one)
        kept_house(one)
        assert other.token(9999) == held
        assert sandbox.token_requests() == 4


def test_a_redis_that_stays_away_is_warned_of_once_a_minute(
    own_redis: RedisServer, new_source: NewSource, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A log full of it hides what else is wrong."""
    own_redis.stop()
    with new_source(own_redis) as source:
        for _ in range(12):
            source.reject(source.token(9999))
            finish_renewals(source)
            clock.pass_time(9)
    # To drop the rejected token and to renew are different threads' work, and either may be the first that fails.
    assert [re.sub("drop|turn", "it", said) for said in warnings_of(caplog)] == 2 * [
        "token store: it failed (TokenStoreError); tokens are asked for directly"
    ]


def test_a_redis_that_was_emptied_costs_one_token_request(
    shared_redis: RedisServer, sandbox: Sandbox, new_source: NewSource, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a cache; and whoever has a token still uses it."""
    with new_source(shared_redis) as one, new_source(shared_redis) as two, new_source(shared_redis) as three:
        first = one.token(9999)
        shared_redis.tell("FLUSHALL")
        assert one.token(9999) == first
        assert two.token(9999) == three.token(9999) != first
    assert sandbox.token_requests() == 2
    assert warnings_of(caplog) == []


@pytest.mark.parametrize("lost", ["the command", "the answer"])
@pytest.mark.parametrize("at", range(4), ids=["turn", "read", "look before writing", "write"])
def test_whatever_step_it_fails_at_the_caller_has_a_token_and_the_next_is_shared(
    shared_redis: RedisServer, new_source: NewSource, clock: FakeClock, at: int, lost: str
) -> None:
    """A connection may end in the middle of anything, with or without an effect."""
    real, steps = redis.Redis.execute_command, iter(range(100))

    def breaks_once(client: Any, *command: Any) -> Any:
        now = next(steps) == at
        answer = None if now and lost == "the command" else real(client, *command)
        if now:
            raise redis.ConnectionError
        return answer

    with pytest.MonkeyPatch.context() as breaking, new_source(shared_redis) as one, new_source(shared_redis) as other:
        breaking.setattr(redis.Redis, "execute_command", breaks_once)
        first = one.token(9999)
        finish_renewals(one)
        assert next(steps) > at
        clock.pass_time(6)
        one.reject(first)
        second = one.token(9999)
        finish_renewals(one)
        assert other.token(9999) == second != first


def repeating(answer: bytes) -> Behaviour:
    """Say the same to whatever it is told."""

    def behave(connection: socket.socket, stopped: threading.Event) -> None:
        connection.sendall(answer)
        while connection.recv(1 << 16) and not stopped.is_set():
            connection.sendall(answer)

    return behave


RUBBISH: dict[str, Behaviour] = {
    "hangs up": saying(b""),
    "resets": resetting,
    "HTTP": saying(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
    "bytes": repeating(bytes(range(256))),
    "half a word": saying(b"$100\r\nhalf"),
    "a drop at a time": dripping(b"$1000000000\r\n", b"x"),
    "too much": saying(b"*2147483647\r\n"),
    "depths": saying(b"*1\r\n" * 10_000),
    "nothing": repeating(b"$-1\r\n"),
    "a number": repeating(b":1\r\n"),
    "OK": repeating(b"+OK\r\n"),
    "an error": repeating(b"-ERR\r\n"),
    "elsewhere": repeating(b"-MOVED 1 127.0.0.1:1\r\n"),
    "loading": repeating(b"-LOADING\r\n"),
    "no pair": repeating(b"*2\r\n$5\r\nyours\r\n:1\r\n"),
    "always yours": repeating(b"*2\r\n$5\r\nyours\r\n$0\r\n\r\n"),
    "always renewed": repeating(b"*2\r\n$7\r\nrenewed\r\n$1\r\nx\r\n"),
    "another entry each time": repeating(b"$1\r\nx\r\n"),
}


def threads_of_stores() -> list[threading.Thread]:
    """Return the threads in which a step is under way."""
    return [thread for thread in threading.enumerate() if thread.name == "daxko-auth store"]


@pytest.mark.parametrize("behave", RUBBISH.values(), ids=RUBBISH)
def test_whatever_it_answers_is_over_soon_and_leaves_nothing_behind(
    behave: Behaviour, sandbox: Sandbox, credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program may be on that port by now, or a proxy that is broken."""
    monkeypatch.setattr(redis_connection, "_LONGEST_STEP", 0.2)
    monkeypatch.setitem(redis_access._OURS, "socket_timeout", 0.2)

    def turn() -> None:
        with store.turn(KEY, timeout=0.1):
            pass

    with RawServer(behave) as server:
        store = RedisStore(f"redis://127.0.0.1:{server.port}")
        steps: list[Callable[[], object]] = [
            lambda: store.read(KEY),
            lambda: store.write(KEY, token()),
            lambda: store.drop(KEY, token()),
            turn,
        ]
        for step in steps:
            # On a thread, or else pytest would interrupt a step that never ends, and the store take that for an error.
            with suppress(TokenStoreError):
                assert run_within(PATIENCE, step, what="test") is None
        with TokenSource(credentials, sandbox.base_url, store=store) as source:
            assert source.token(9999).usable_at(token().expires_at)
        # While it still says that.
        for thread in threads_of_stores():
            thread.join()


def test_a_step_that_nobody_waits_for_any_more_sends_nothing(
    shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resolution of a name may take as long as it likes; by then the token may be an old one."""
    resolve, resolved = socket.getaddrinfo, threading.Event()
    monkeypatch.setattr(redis_connection, "_LONGEST_STEP", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: (resolved.wait(), resolve(*args, **options))[1])
    with pytest.raises(TokenStoreError, match=r"\(TimeoutError\)"):
        RedisStore(shared_redis.url).write(KEY, token())
    (late,) = threads_of_stores()
    resolved.set()
    late.join()
    assert shared_redis.names() == []


def test_without_a_thread_to_be_had_a_step_is_done_in_the_callers(
    shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of a process, or where processes are few: the limits of redis-py have to do."""

    def none_left(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    store, kept = RedisStore(shared_redis.url), token()
    monkeypatch.setattr(_thread, "start_new_thread", none_left)
    store.write(KEY, kept)

    assert store.read(KEY) == kept

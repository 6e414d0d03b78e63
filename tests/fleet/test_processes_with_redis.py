"""Sixteen processes and one Redis, as on many machines: they behave like one program, whatever happens to one or it."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from redis_server import RedisServer, redis_server
from support import PATIENCE, in_child
from workers import Worker, all_call, fleet

from daxko_auth import ApiCredentials, RedisStore, RenewalPolicy, TokenSource
from daxko_auth.sandbox import Sandbox
from daxko_auth.stores import redis_access, redis_connection

PROCESSES = 16
COLD, KILLED, FROZEN = 9999, 1234, 1235


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """Run a Redis for this module."""
    with redis_server() as running:
        yield running


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Run one sandbox for this module; each test has a Daxko client of its own in it."""
    with Sandbox(clients=(COLD, KILLED, FROZEN)) as running:
        yield running


@pytest.fixture(scope="module")
def processes(sandbox: Sandbox, server: RedisServer) -> Iterator[list[Worker]]:
    """Start them once for this module: that takes longer than what they do."""
    with fleet(sandbox, PROCESSES, "RedisStore", server.url) as workers:
        yield list(workers)


def test_sixteen_cold_processes_with_one_redis_cause_one_token_request(
    processes: list[Worker], sandbox: Sandbox
) -> None:
    """A deployment starts them all at once, on whatever machine, and the rate limit is the account's."""
    sandbox.hold()
    for worker in processes:
        worker.go(COLD)
    sandbox.wait_for_token_requests(1, COLD)
    sandbox.release()
    assert [worker.said() for worker in processes] == ["200"] * len(processes)
    assert sandbox.token_requests(COLD) == 1

    # And when a token is refused, the first to renew does so for all.
    sandbox.revoke(COLD)
    assert all_call(processes, COLD) == ["200"] * len(processes)
    assert sandbox.token_requests(COLD) == 2


def cut_short(server: RedisServer, client_id: int) -> None:
    """Let Redis end somebody's turn now. It would do so by itself, but after a minute."""
    (turn,) = [name for name in server.names() if name.startswith(f"daxko_auth:{{{client_id}-") and ":turn" in name]
    assert 0 < server.tell("PTTL", turn) <= 60_000
    server.tell("PEXPIRE", turn, 1)


def test_when_whoever_is_asking_is_killed_or_stands_still_one_other_asks(
    processes: list[Worker], server: RedisServer, sandbox: Sandbox
) -> None:
    """Nobody gives its turn back; it ends by itself, and the next in turn asks for all the others."""
    frozen, killed, *others = processes
    waiting = {FROZEN: others[:3], KILLED: others[3:]}
    sandbox.hold()
    for first, scope in ((frozen, FROZEN), (killed, KILLED)):
        first.go(scope)
        sandbox.wait_for_token_requests(1, scope)
        for worker in waiting[scope]:
            worker.go(scope)
    frozen.freeze()
    processes.remove(killed)
    killed.kill()
    for scope in waiting:
        cut_short(server, scope)
    for scope in waiting:
        # Those who wait for their turn would do so for half an hour.
        sandbox.wait_for_token_requests(2, scope)
    sandbox.release()
    assert [worker.said() for worker in others] == ["200"] * len(others)
    # It has lost its turn; what it does with the answer is its own affair.
    frozen.thaw()
    assert frozen.said() == "200"
    assert (sandbox.token_requests(KILLED), sandbox.token_requests(FROZEN)) == (2, 2)


def test_redis_that_stops_under_load_fails_no_call_and_is_used_again() -> None:
    """An outage of a cache costs each process a token request for each renewal, and nobody an error."""
    with (
        redis_server() as server,
        Sandbox() as sandbox,
        fleet(sandbox, 4, "RedisStore", server.url) as workers,
    ):

        def call_until(condition: Callable[[], bool]) -> None:
            while not condition():
                # Each needs another token then; and none of them is refused to anybody else.
                assert all_call(workers, first="reject") == ["200"] * 4

        def asked(times: int) -> Callable[[], bool]:
            enough = sandbox.token_requests() + times
            return lambda: sandbox.token_requests() >= enough

        def all_have_the_same_token() -> bool:
            calls = [arrival for arrival in sandbox.log if not arrival.is_token_request]
            return len({call.bearer_fingerprint for call in calls[-4:]}) == 1

        call_until(asked(2))
        server.stop()
        call_until(asked(6))
        assert not all_have_the_same_token()
        server.start()
        call_until(all_have_the_same_token)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
# From Python 3.12 on. That is what this is about.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers_forked_from_one_that_has_used_it_share_its_tokens_and_ask_once(
    shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --preload the source is made, and perhaps used, before there are workers."""
    # No step gives up because the machine is busy.
    monkeypatch.setattr(redis_connection, "_LONGEST_STEP", PATIENCE)
    monkeypatch.setitem(redis_access._OURS, "socket_timeout", PATIENCE)
    with (
        Sandbox() as sandbox,
        TokenSource(
            ApiCredentials(sandbox.username, sandbox.password, sandbox.refresh_token),
            sandbox.base_url,
            store=RedisStore(shared_redis.url),
            policy=RenewalPolicy(deadline=PATIENCE, attempt_timeout=PATIENCE),
        ) as source,
        ThreadPoolExecutor(8) as pool,
        ExitStack() as last,
    ):
        # Before the threads are waited for, whatever happens.
        last.callback(sandbox.release)
        known = source.token(1234)

        def works() -> bool:
            return source.token(1234) == known != source.token(9999)

        sandbox.hold()
        workers = [pool.submit(in_child, works) for _ in range(8)]
        sandbox.wait_for_token_requests(1, 9999)
        sandbox.release()
        assert all(worker.result() for worker in workers)
        assert (sandbox.token_requests(1234), sandbox.token_requests(9999)) == (1, 1)

"""Nobody waits for ever: whatever a store, a thread, a signal or a log handler does in the middle of it."""

import _thread
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
from support import PATIENCE, START_THREAD, Ask, FakeClock, eventually, finish_renewals, held_by, no_thread

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    ClientScope,
    RenewalPolicy,
    TokenEndpointUnavailable,
    TokenKey,
    TokenRequestError,
    TokenSource,
)
from daxko_auth.model.threads import start_thread
from daxko_auth.policy import source as source_module
from daxko_auth.policy import waiting as waiting_module
from daxko_auth.policy import workers as workers_module
from daxko_auth.policy.flight import Flight
from daxko_auth.policy.shared_store import SharedStore
from daxko_auth.policy.waiting import Wait
from daxko_auth.policy.workers import Job, Workers, _Waiting
from daxko_auth.sandbox import Sandbox


class StoreThat:
    """Does something of its own when it is read."""

    def __init__(self, read: Any) -> None:
        self._read = read

    def read(self, key: TokenKey) -> AccessToken | None:
        """Do what it was made for."""
        self._read()

    def write(self, key: TokenKey, token: AccessToken) -> None:
        """Keep nothing."""

    def drop(self, key: TokenKey, token: AccessToken) -> None:
        """Forget nothing."""

    def turn(self, key: TokenKey, timeout: float) -> AbstractContextManager[None]:
        """Let everybody pass."""
        return self._turn()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        yield


@contextmanager
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Let nobody wait long; give how long each would have waited."""
    waits: list[float] = []

    class Short(Wait):
        def __init__(self, flight: Any, workers: Any, clock: Any, *, longest: float, timeout: float | None) -> None:
            waits.append(longest)
            super().__init__(flight, workers, clock, longest=0.05, timeout=timeout)

    # The wait alone is short: a request that comes late must have all the time that it needs.
    with monkeypatch.context() as patched:
        patched.setattr(source_module, "Wait", Short)
        yield waits


def test_a_store_that_blocks_ends_in_an_error_and_what_comes_late_is_kept(
    sandbox: Sandbox, credentials: ApiCredentials, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared store that hangs is the commonest outage of all; if it always does, every token is late."""
    unblocked = threading.Event()
    policy = RenewalPolicy(deadline=PATIENCE, attempt_timeout=PATIENCE)
    with TokenSource(credentials, sandbox.base_url, policy=policy, store=StoreThat(unblocked.wait)) as source:
        with (
            impatient(monkeypatch) as waits,
            pytest.raises(TokenEndpointUnavailable, match="did not end in time") as raised,
        ):
            ask(source, 9999)
        assert set(waits) == {2 * PATIENCE}
        assert (raised.value.scope, raised.value.retryable) == ("client:9999", True)
        assert str(raised.value).endswith("lasts, look at the token store, and at log handlers that ask for tokens")
        unblocked.set()
        eventually(lambda: held_by(source) is not None)

        assert ask(source, 9999)
    assert sandbox.token_requests() == 1


def test_scopes_behind_one_that_is_stuck_are_let_go_with_it_and_go_on(
    sandbox: Sandbox, credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the account is accepted they stand in one queue: whatever hangs must not hang them all."""
    unblocked = threading.Event()
    blocks = [unblocked.wait]
    policy = RenewalPolicy(deadline=PATIENCE, attempt_timeout=PATIENCE)
    store = StoreThat(lambda: blocks and blocks.pop()())
    with TokenSource(credentials, sandbox.base_url, policy=policy, store=store) as source, ExitStack() as last:
        last.callback(unblocked.set)
        with impatient(monkeypatch):
            with pytest.raises(TokenEndpointUnavailable, match="did not end in time"):
                source.token(9999)
            eventually(lambda: _is_had(source, 1234))
        assert sandbox.token_requests() == 1


def _is_had(source: TokenSource, scope: int) -> bool:
    try:
        return bool(source.token(scope))
    except TokenEndpointUnavailable:
        return False


class LateFirst(httpx.BaseTransport):
    """Answers the first request last."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.requests = 0
        self.go_on = threading.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Grant a token for each."""
        self.requests += 1
        token = {"access_token": f"token-{self.requests}", "expires_in": "86400"}
        if self.requests > 1:
            return httpx.Response(200, json=token)
        self.go_on.wait()
        return httpx.Response(self.status, json=token if self.status == 200 else {})


@pytest.mark.parametrize("status", [200, 404])
def test_what_comes_late_does_not_undo_what_happened_since(
    credentials: ApiCredentials, clock: FakeClock, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal that was given up comes back when another has long succeeded."""
    late, policy = LateFirst(status), RenewalPolicy(deadline=PATIENCE, attempt_timeout=PATIENCE)
    with (
        TokenSource(credentials, "https://daxko.example", policy=policy, clock=clock, http=late) as source,
        ExitStack() as last,
    ):
        last.callback(late.go_on.set)
        with impatient(monkeypatch), pytest.raises(TokenEndpointUnavailable, match="did not end in time"):
            source.token(9999, timeout=PATIENCE)
        given_up = source._slot_of(9999)
        clock.pass_time(31)
        token = source.token(9999)
        assert token.reveal() == "token-2"
        before = given_up.current(source._process)
        renewing = [thread for thread in threading.enumerate() if thread.name == "daxko-auth renewal"]
        late.go_on.set()
        for thread in renewing:
            thread.join()

        assert source.token(9999) is token
        assert given_up.current(source._process) is before
        assert late.requests == 2


@pytest.mark.parametrize("is_first", [True, False])
def test_a_caller_who_has_no_more_time_is_told_whether_its_request_is_under_way(
    sandbox: Sandbox, source: TokenSource, ask: Ask, world: str, is_first: bool
) -> None:
    """A web server has a second for an answer; the request goes on, and the next caller has its token."""
    with ExitStack() as last:
        last.callback(sandbox.release)
        sandbox.hold()
        pool = last.enter_context(ThreadPoolExecutor(1))
        first = pool.submit(source.token, 9999)
        last.callback(sandbox.release)
        sandbox.wait_for_token_requests(1)

        scope, where = (
            (9999, "its request is under way") if is_first else (1234, "its request waits for its turn among others")
        )
        in_tasks = partial(anyio.run, partial(source.atoken, scope, timeout=0.01), backend=world)
        in_thread = partial(source.token, scope, timeout=0.01)
        with pytest.raises(TokenEndpointUnavailable, match=where) as raised:
            (in_thread if world == "thread" else in_tasks)()
        assert (raised.value.scope, raised.value.retryable) == (f"client:{scope}", True)
        sandbox.release()
        assert first.result()
        finish_renewals(source)

    assert ask(source, scope)
    assert sandbox.token_requests() == (1 if is_first else 2), "what was begun for it went on without it"


def test_a_caller_without_any_time_gets_what_is_at_hand(source: TokenSource, clock: FakeClock) -> None:
    """`timeout=0` asks whether there is one; a stale one is as good."""
    with pytest.raises(TokenEndpointUnavailable, match="within the timeout of this call"):
        source.token(9999, timeout=0)
    finish_renewals(source)
    token = source.token(9999, timeout=0)
    clock.pass_time(86_400 * 0.8)
    assert source.token(9999, timeout=0) == token


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_store_that_raises_anything_costs_no_request(
    sandbox: Sandbox, credentials: ApiCredentials, ask: Ask, error: type[BaseException]
) -> None:
    """Some libraries' time-outs are no Exception."""

    def fail() -> None:
        raise error

    with TokenSource(credentials, sandbox.base_url, store=StoreThat(fail)) as source:
        assert ask(source, 9999)


@pytest.mark.parametrize("at", ["read", "what was read"])
def test_ctrl_c_during_a_renewal_in_the_main_thread_is_not_swallowed(
    sandbox: Sandbox, credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Where no other thread can be had, whoever asks renews, and may be stopped at the keyboard; then it asks again."""

    def interrupt(*_: object) -> Any:
        raise KeyboardInterrupt

    with TokenSource(credentials, sandbox.base_url, store=StoreThat(lambda: None)) as source:
        with monkeypatch.context() as patched:
            patched.setattr(START_THREAD, no_thread)
            if at == "read":
                patched.setattr(StoreThat, "read", interrupt)
            else:
                patched.setattr(SharedStore, "_usable", interrupt)
            with pytest.raises(KeyboardInterrupt):
                source.token(9999)

        assert source.token(9999)


def test_a_renewal_that_asks_for_its_own_token_is_told_so(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """A store or a log handler behind the same API would wait for the token that waits for it."""
    errors: list[TokenRequestError] = []

    def ask() -> None:
        try:
            source.token(9999)
        except TokenRequestError as error:
            errors.append(error)

    with TokenSource(credentials, sandbox.base_url, store=StoreThat(ask)) as source:
        assert source.token(9999)
    assert "waits for itself" in str(errors[0])


def test_a_renewal_may_ask_for_the_token_of_another_scope(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """It has the only thread that there is, and must not wait for its own end."""
    tokens: list[AccessToken] = []
    asked: list[bool] = []

    def ask_once() -> None:
        if not asked:
            asked.append(True)
            tokens.append(source.token(1234))

    with TokenSource(credentials, sandbox.base_url, store=StoreThat(ask_once)) as source:
        assert source.token(9999)
    assert [token.scope for token in tokens] == [ClientScope(1234)]
    assert sandbox.token_requests() == 2


def test_a_renewal_that_a_caller_makes_and_that_hangs_is_given_up_by_the_others(
    sandbox: Sandbox, credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no thread can be had, one caller asks for all; the others wait no longer for it than for a thread."""
    unblocked, inside = threading.Event(), threading.Event()

    def block() -> None:
        inside.set()
        unblocked.wait()

    with (
        TokenSource(credentials, sandbox.base_url, store=StoreThat(block)) as source,
        ThreadPoolExecutor(1) as pool,
        ExitStack() as last,
        monkeypatch.context() as patched,
    ):
        last.callback(unblocked.set)
        asks_for_all = pool.submit(lambda: (patched.setattr(START_THREAD, no_thread), source.token(9999)))
        inside.wait()
        with impatient(monkeypatch), pytest.raises(TokenEndpointUnavailable, match="did not end in time"):
            source.token(9999)
        unblocked.set()
        with pytest.raises(TokenEndpointUnavailable, match="did not end in time"):
            asks_for_all.result()

        assert source.token(9999), "what came late was kept"
    assert sandbox.token_requests() == 1


def test_a_renewal_in_the_queue_is_made_by_whoever_waits_where_threads_can_no_longer_be_had(
    sandbox: Sandbox, source: TokenSource, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python began to shut down meanwhile."""
    begun = source._find(source._slot_of(9999))
    assert isinstance(begun, Flight)
    source._workers._jobs.append(_Waiting(begun))
    begun.is_submitted = True
    with monkeypatch.context() as patched:
        patched.setattr(START_THREAD, no_thread)
        assert ask(source, 9999)

    source.token(1234)
    finish_renewals(source)
    assert sandbox.token_requests() == 2, "what is left of it in the queue is not made twice"


def test_a_log_handler_on_the_thread_of_a_request_may_ask_for_its_token(
    sandbox: Sandbox, source: TokenSource, caplog: pytest.LogCaptureFixture
) -> None:
    """Httpx logs each request, on the thread that carries it; what asks there must not wait for that request."""
    asked: list[str] = []

    class Asking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                source.token(9999)
            except TokenRequestError as error:
                asked.append(str(error))

    logger, handler = logging.getLogger("httpx"), Asking()
    with caplog.at_level(logging.INFO, "httpx"):
        logger.addHandler(handler)
        try:
            assert source.token(9999)
        finally:
            logger.removeHandler(handler)
    assert asked
    assert all("waits for itself" in said for said in asked)
    assert sandbox.token_requests() == 1


def test_callers_of_their_own_threads_send_a_wrong_password_once(
    sandbox: Sandbox, credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no thread can be had, each caller asks itself, and they take turns until the account is accepted."""
    wrong = ApiCredentials(credentials.username, "a-wrong-password", credentials.refresh_token)
    sandbox.set_latency(0.1)
    with TokenSource(wrong, sandbox.base_url) as source, ThreadPoolExecutor(8) as pool:
        warm = [pool.submit(threading.get_ident) for _ in range(8)]
        assert all(each.result() for each in warm)
        with monkeypatch.context() as patched:
            start = _thread.start_new_thread
            patched.setattr(
                START_THREAD,
                lambda run, given: no_thread() if run.__module__.startswith("daxko_auth") else start(run, given),
            )
            asked = [pool.submit(source.token, number) for number in range(1, 9)]
            assert all(isinstance(each.exception(), TokenRequestError) for each in asked)
    assert sandbox.token_requests() == 1


def test_a_thread_that_was_started_and_never_ran_is_replaced(
    sandbox: Sandbox, source: TokenSource, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python loses one now and then where threads are traced; nobody else has begun, and nobody would."""
    lost: list[object] = []
    start = _thread.start_new_thread
    monkeypatch.setattr(workers_module, "_TO_BEGIN", 0.0)
    monkeypatch.setattr(waiting_module, "_LONGEST_UNCLAIMED", 0.01)
    monkeypatch.setattr(START_THREAD, lambda run, given: start(run, given) if lost else lost.append(run))

    assert ask(source, 9999)
    assert lost
    assert sandbox.token_requests() == 1


def test_who_waits_while_python_ends_is_let_go(
    sandbox: Sandbox, source: TokenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its other threads stand still; a finalizer that asks for a token would hang the program for ever."""
    sandbox.hold()
    with ThreadPoolExecutor(1) as pool, ExitStack() as last:
        last.callback(sandbox.release)
        waiting = pool.submit(source.token, 9999)
        sandbox.wait_for_token_requests(1)
        with monkeypatch.context() as patched:
            patched.setattr(sys, "is_finalizing", lambda: True)
            with pytest.raises(TokenEndpointUnavailable, match="Python is shutting down"):
                source.token(9999)
            with pytest.raises(RuntimeError, match="shutting down"):
                start_thread(lambda: None, "never")
        sandbox.release()
        assert waiting.result()


def test_a_child_that_was_forked_while_its_parent_waited_asks_itself(sandbox: Sandbox, source: TokenSource) -> None:
    """A signal handler forks in the middle of `token`, and the child goes on from there."""
    children: list[int] = []

    def fork(*_: object) -> None:
        children.append(os.fork())
        sandbox.release()

    def interrupt() -> None:
        sandbox.wait_for_token_requests(1)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    previous = signal.signal(signal.SIGUSR1, fork)
    sandbox.hold()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(interrupt)
        try:
            assert source.token(9999)
        finally:
            if children == [0]:
                os._exit(0 if sys.exc_info()[1] is None else 1)
            signal.signal(signal.SIGUSR1, previous)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0


def test_a_log_handler_may_ask_for_a_token(
    sandbox: Sandbox, source: TokenSource, clock: FakeClock, request: pytest.FixtureRequest
) -> None:
    """Handlers that ship logs over HTTP are ordinary programs."""
    seen: list[AccessToken] = []

    class Shipping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(source.token(9999))

    handler = Shipping()
    logging.getLogger("daxko_auth").addHandler(handler)
    request.addfinalizer(lambda: logging.getLogger("daxko_auth").removeHandler(handler))
    token = source.token(9999)
    clock.pass_time(86_400 * 0.76)
    sandbox.fail_next(4, "status", status=503)
    source.token(9999)
    finish_renewals(source)

    assert seen == [token]


def test_a_signal_handler_may_ask_for_what_its_thread_waits_for(sandbox: Sandbox, source: TokenSource) -> None:
    """Python runs it in the main thread, which goes on waiting only afterwards."""
    asked: list[AccessToken] = []

    def ask(*_: object) -> None:
        sandbox.release()
        asked.append(source.token(9999))

    def interrupt() -> None:
        sandbox.wait_for_token_requests(1)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    previous = signal.signal(signal.SIGUSR1, ask)
    try:
        sandbox.hold()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(interrupt)
            token = source.token(9999)
    finally:
        signal.signal(signal.SIGUSR1, previous)

    assert asked == [token]
    assert sandbox.token_requests() == 1


def test_no_more_threads_work_than_may() -> None:
    """A single one is what keeps a wrong password from being sent once for each scope."""
    workers, go_on = Workers[Job]("test", 2), threading.Event()
    at_work = threading.Semaphore(0)

    def job() -> None:
        at_work.release()
        go_on.wait()

    for _ in range(5):
        assert workers.submit(job)
    at_work.acquire()
    at_work.acquire()
    assert (len(workers.busy()), len(workers)) == (2, 3)
    workers.size = 4
    workers.start()
    workers.start()
    at_work.acquire()
    at_work.acquire()
    assert (len(workers.busy()), len(workers)) == (4, 1)
    go_on.set()
    at_work.acquire()


def test_workers_without_threads_say_so_and_forget_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that stayed behind would run at some later time, for nobody."""
    workers, done = Workers[Job]("test", 2), threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(START_THREAD, no_thread)
        assert not workers.submit(done.set)
    assert len(workers) == 0

    assert workers.submit(done.set)
    done.wait()


def test_workers_that_get_no_further_thread_go_on_with_those_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread is enough to get everything done."""
    workers, hold, done = Workers[Job]("test", 2), threading.Event(), threading.Event()

    def wait() -> None:
        hold.wait()

    assert workers.submit(wait)
    eventually(lambda: len(workers.busy()) == 1)
    with monkeypatch.context() as patched:
        patched.setattr(START_THREAD, no_thread)
        assert workers.submit(done.set)
    hold.set()

    done.wait()


def test_a_job_that_fails_takes_no_thread_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """Its place would stay taken, and who waits for it would wait for ever."""
    workers, done = Workers[Job]("test"), threading.Event()

    def fail() -> None:
        raise SystemExit(3)

    assert workers.submit(fail)
    assert workers.submit(done.set)
    done.wait()

    assert "a job of 'test' failed unexpectedly (SystemExit)" in caplog.text

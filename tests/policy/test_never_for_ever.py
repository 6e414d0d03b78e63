"""Nobody waits for ever: whatever a store, a thread, a signal or a log handler does in the middle of it."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import anyio
import pytest
from attrs import evolve
from support import PATIENCE, Ask, FakeClock, eventually, held_by, land_all

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    RenewalPolicy,
    TokenEndpointUnavailable,
    TokenKey,
    TokenRequestError,
    TokenSource,
)
from daxko_auth.policy import source as source_module
from daxko_auth.policy.flight import Flight
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


def test_a_store_that_blocks_ends_in_an_error_and_what_comes_late_is_kept(
    sandbox: Sandbox, credentials: ApiCredentials, ask: Ask
) -> None:
    """A shared store that hangs is the commonest outage of all."""
    unblocked = threading.Event()
    policy = RenewalPolicy(deadline=0.05, attempt_timeout=PATIENCE, first_pause=PATIENCE)
    # What is renewed has to have all the time that it needs.
    with TokenSource(credentials, sandbox.base_url, policy=policy, store=StoreThat(unblocked.wait)) as source:
        with pytest.raises(TokenEndpointUnavailable, match="did not end in time"):
            ask(source, 9999)
        source._renewal = evolve(source._renewal, policy=RenewalPolicy(deadline=PATIENCE, attempt_timeout=PATIENCE))
        (flight,) = (job for _, job in source._workers.busy()) if source._workers.busy() else (None,)
        assert flight is None, "its place is free"
        unblocked.set()
        eventually(lambda: held_by(source) is not None)

        assert ask(source, 9999)


def test_a_renewal_that_hangs_does_not_hold_up_those_of_other_scopes(
    sandbox: Sandbox, credentials: ApiCredentials
) -> None:
    """Until the account is accepted, there is one thread for all."""
    unblocked, read = threading.Event(), 0

    def block_once() -> None:
        nonlocal read
        read += 1
        if read == 1:
            unblocked.wait()

    policy = RenewalPolicy(deadline=0.5, attempt_timeout=PATIENCE)
    with (
        TokenSource(credentials, sandbox.base_url, policy=policy, store=StoreThat(block_once)) as source,
        ThreadPoolExecutor(2) as pool,
        ExitStack() as last,
    ):
        last.callback(unblocked.set)
        first = pool.submit(source.token, 9999)
        eventually(lambda: read == 1)
        assert source.token(1234)
        with pytest.raises(TokenEndpointUnavailable, match="did not end in time"):
            first.result()


def test_a_caller_may_wait_for_less_and_is_told_whether_it_is_its_turn(sandbox: Sandbox, source: TokenSource) -> None:
    """A web request has two seconds, whatever the renewal has; the renewal goes on for the others."""
    sandbox.hold()
    with ThreadPoolExecutor(1) as pool, ExitStack() as last:
        last.callback(sandbox.release)
        first = pool.submit(source.token, 9999)
        sandbox.wait_for_token_requests(1)
        for scope, said in ((9999, "its request is under way"), (1234, "its request waits for its turn among others")):
            with pytest.raises(TokenEndpointUnavailable, match=said) as caught:
                source.token(scope, timeout=0)
            assert caught.value.retryable
            with pytest.raises(TokenEndpointUnavailable, match=said):
                anyio.run(lambda scope=scope: source.atoken(scope, timeout=0.01))
        sandbox.release()
        assert first.result()
    assert source.token(1234, timeout=PATIENCE)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "2", True])
def test_a_timeout_that_is_none_is_refused_by_name(source: TokenSource, timeout: Any) -> None:
    """Before anybody waits by it."""
    with pytest.raises(ValueError, match="timeout is a number of seconds"):
        source.token(9999, timeout=timeout)
    with pytest.raises(ValueError, match="timeout is a number of seconds"):
        anyio.run(lambda: source.atoken(9999, timeout=timeout))


def test_a_wait_in_which_the_process_was_frozen_gives_nobody_up(
    sandbox: Sandbox, credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller that slept with the process has waited for no time at all."""
    real = time.monotonic
    jumps = iter([0.0, 0.0, 3600.0])
    with TokenSource(credentials, sandbox.base_url, policy=RenewalPolicy(deadline=0.02)) as source:
        slot = source._slot_of(9999)
        flight = Flight(slot, slot.state, lambda _: None, lambda _: None)
        monkeypatch.setattr(source_module.time, "monotonic", lambda: real() + next(jumps, 3600.0))
        wait = source_module._Wait(flight, source._workers, source._clock, longest=0.04, until=None)
        next(jumps)
        next(jumps)
        wait.ended(is_set=False)
        monkeypatch.undo()
        assert not flight.landed.is_set()


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit])
def test_a_store_that_raises_anything_costs_no_request(
    sandbox: Sandbox, credentials: ApiCredentials, ask: Ask, error: type[BaseException]
) -> None:
    """Some libraries' time-outs are no Exception."""

    def fail() -> None:
        raise error

    with TokenSource(credentials, sandbox.base_url, store=StoreThat(fail)) as source:
        assert ask(source, 9999)


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
    land_all(source)

    assert seen == [token]

"""Pools of processes: forked workers use what their parent had; spawned ones make their own, and are told to."""

import multiprocessing
import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver
from typing import Any

import pool_workers
import pytest

from daxko_auth import ApiCredentials, Daxko, DaxkoAuth, TokenSource
from daxko_auth.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

METHODS = [method for method in multiprocessing.get_all_start_methods() if method != "fork"]
"""Those whose workers share nothing with their parent."""

SECRETS: dict[str, Callable[[TokenSource], Any]] = {
    "TokenSource": lambda source: source,
    "DaxkoAuth": lambda source: DaxkoAuth(source, 9999),
    "Daxko": lambda source: Daxko(source.credentials, 9999, source=source),
    "ApiCredentials": lambda source: source.credentials,
    "AccessToken": lambda source: source.token(9999),
}


@pytest.fixture
def from_env(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the sandbox's account into the environment."""
    for line in sandbox.exports():
        monkeypatch.setenv(*shlex.split(line)[1].split("=", 1))
    # It would live as long as this process, and with it the environment of the first who started it.
    forkserver._forkserver._stop()
    yield
    forkserver._forkserver._stop()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork here")
def test_forked_workers_use_the_token_of_their_parent(
    sandbox: Sandbox, credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ETL job that forks eight workers needs one token, not nine."""
    with TokenSource(credentials, sandbox.base_url) as source:
        source.warm([9999, 1234])
        monkeypatch.setattr(pool_workers, "inherited", source)
        pool_workers.source.cache_clear()
        with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("fork")) as pool:
            answers = list(pool.map(pool_workers.call, [9999, 1234] * 20))
    assert [client_id for _, client_id in answers] == [9999, 1234] * 20
    assert sandbox.token_requests() == 2


@pytest.mark.parametrize("method", METHODS)
def test_spawned_workers_make_their_own_source_from_the_environment(
    sandbox: Sandbox, from_env: None, method: str
) -> None:
    """Nothing has to be sent to them, and each asks once."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        answers = list(pool.map(pool_workers.call, [9999] * 20))
    workers = {process for process, _ in answers}
    assert {client_id for _, client_id in answers} == {9999}
    assert sandbox.token_requests() == len(workers) <= 2


@pytest.mark.parametrize("method", METHODS)
def test_what_holds_secrets_is_not_sent_to_a_worker_and_the_pool_goes_on(
    sandbox: Sandbox, credentials: ApiCredentials, from_env: None, method: str
) -> None:
    """A pool pickles what it is given: the message has to say what to pass instead."""
    with (
        TokenSource(credentials, sandbox.base_url) as source,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool,
    ):
        for make in SECRETS.values():
            with pytest.raises(TypeError, match=r"ApiCredentials\.from_env\(\)"):
                pool.submit(pool_workers.take, make(source)).result()
        assert pool.submit(pool_workers.call, 9999).result()[1] == 9999


def test_a_token_is_not_brought_back_from_a_worker(sandbox: Sandbox, from_env: None) -> None:
    """The way back is a pipe, too."""
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
        pytest.raises(TypeError, match="a secret is not pickled"),
    ):
        pool.submit(pool_workers.bring_back, 9999).result()

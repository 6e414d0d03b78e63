"""A real prefork server, gunicorn with `--preload`: one object made before the forks serves every worker."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support import PATIENCE

from daxko_auth.sandbox import Sandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no gunicorn here")

WORKERS = 3

APP = """
import json, os
from daxko_auth import ApiCredentials, Daxko

daxko = Daxko(ApiCredentials.from_env(), 9999)
if {warm}:
    daxko.http.get("/v3/warm").raise_for_status()

def app(environ, start_response):
    answer = daxko.http.get("/v3" + environ["PATH_INFO"])
    line = answer.extensions["network_stream"].get_extra_info("client_addr")
    seen = {{"worker": os.getpid(), "line": line, "status": answer.status_code, "path": answer.json()["path"]}}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
"""


@contextmanager
def serving(sandbox: Sandbox, folder: Path, *options: str, warm: bool) -> Iterator[Callable[[int], Any]]:
    """Run gunicorn; yield what sends a request to some worker. It ends in order, and has had nothing to complain of."""
    (folder / "application.py").write_text(APP.format(warm=warm), "utf-8")
    settings = dict(shlex.split(line)[1].split("=", 1) for line in sandbox.exports())
    # One connection per request, or else each stays with one worker.
    ours = httpx.Client(timeout=PATIENCE, headers={"Connection": "close"})
    with socket.create_server(("127.0.0.1", 0)) as listener, ours as http:
        command = [sys.executable, "-m", "gunicorn", "--preload", f"--workers={WORKERS}", *options]
        # It would kill a worker that says nothing for half a minute, and one that takes as long to end.
        # It also would keep a socket in the home.
        command += ["--no-control-socket", "--timeout=0", f"--graceful-timeout={PATIENCE:.0f}"]
        process = subprocess.Popen(  # noqa: S603 - our own application
            [*command, "--log-level=warning", f"--bind=fd://{listener.fileno()}", "application:app"],
            cwd=folder,
            env={**os.environ, **settings},
            pass_fds=[listener.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                address = f"http://127.0.0.1:{listener.getsockname()[1]}"
                yield lambda number: http.get(f"{address}/{number}").raise_for_status().json()
                process.send_signal(signal.SIGTERM)
                _, complaints = process.communicate()
            finally:
                process.kill()
    assert (process.returncode, complaints) == (0, "")


def ask_until_all_have_answered(sandbox: Sandbox, ask: Callable[[int], Any]) -> list[Any]:
    """Send requests, several at once, until every worker has had some; return what they saw."""
    # So that one worker is busy when the next request comes.
    sandbox.set_latency(0.02, where="resource")
    seen: list[Any] = []
    with ThreadPoolExecutor(2 * WORKERS) as pool:
        while len({one["worker"] for one in seen}) < WORKERS:
            numbers = range(len(seen), len(seen) + 4 * WORKERS)
            answers = list(pool.map(ask, numbers))
            assert [(one["status"], one["path"]) for one in answers] == [(200, f"/v3/{number}") for number in numbers]
            seen += answers
    return seen


@pytest.mark.parametrize("options", [[], ["--worker-class=gthread", "--threads=4"]], ids=["sync", "gthread"])
def test_a_token_from_before_the_forks_serves_every_worker(
    sandbox: Sandbox, tmp_path: Path, options: list[str]
) -> None:
    """One token request for the server, and no connection that two workers share."""
    with serving(sandbox, tmp_path, *options, warm=True) as ask:
        seen = ask_until_all_have_answered(sandbox, ask)
    assert sandbox.token_requests() == 1
    workers_of: dict[Any, set[int]] = {}
    for one in seen:
        workers_of.setdefault(tuple(one["line"]), set()).add(one["worker"])
    assert {len(workers) for workers in workers_of.values()} == {1}


def test_without_one_each_worker_asks_at_most_once(sandbox: Sandbox, tmp_path: Path) -> None:
    """They share nothing but a store that they were given."""
    with serving(sandbox, tmp_path, warm=False) as ask:
        ask_until_all_have_answered(sandbox, ask)
    assert sandbox.token_requests() == WORKERS


@pytest.mark.parametrize("warm", [True, False])
def test_workers_that_are_replaced_serve_like_the_first(sandbox: Sandbox, tmp_path: Path, warm: bool) -> None:
    """With `--max-requests` the parent forks again and again, long after it was warmed."""
    with serving(sandbox, tmp_path, "--max-requests=4", warm=warm) as ask:
        seen = ask_until_all_have_answered(sandbox, ask)
        while len({one["worker"] for one in seen}) < 2 * WORKERS:
            seen += ask_until_all_have_answered(sandbox, ask)
    assert sandbox.token_requests() == (1 if warm else len({one["worker"] for one in seen}))

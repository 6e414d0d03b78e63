"""Every recipe runs, against a sandbox, and causes no more token requests than it says."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from redis_server import RedisServer
from support import PATIENCE

from daxko_auth.sandbox import Sandbox

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def env(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """Give the settings of the test's sandbox, and a cache of its own."""
    return {**os.environ, **sandbox.settings(), "XDG_CACHE_HOME": str(tmp_path), "RUNTIME__DLTHUB_TELEMETRY": "false"}


def run(env: dict[str, str], *arguments: str) -> str:
    """Run Python in the folder of the recipes; return what it printed."""
    ran = subprocess.run(  # noqa: S603 - our own recipes
        [sys.executable, *arguments], cwd=EXAMPLES, env=env, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_script(env: dict[str, str]) -> None:
    """Ten lines; and a mistake is one paragraph."""
    assert json.loads(run(env, "script.py"))["client_id"] == 9999

    del env["DAXKO_PASSWORD"]
    with pytest.raises(AssertionError, match=r"^DAXKO_PASSWORD is not set\."):
        run(env, "script.py")


@contextmanager
def serving(env: dict[str, str], socket: Path) -> Iterator[httpx.Client]:
    """Run the web program as a server of its own."""
    command = [sys.executable, "-m", "uvicorn", "fastapi_app:app", "--uds", str(socket)]
    with subprocess.Popen(command, cwd=EXAMPLES, env=env, stderr=subprocess.PIPE, text=True) as server:  # noqa: S603 - ours
        try:
            assert server.stderr is not None
            said = ""
            while "Uvicorn running" not in said:
                line = server.stderr.readline()
                assert line, said
                said += line
            with httpx.Client(
                transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://web", timeout=PATIENCE
            ) as web:
                yield web
        finally:
            server.terminate()


def test_the_web_program(env: dict[str, str], sandbox: Sandbox, tmp_path: Path) -> None:
    """Requests of one customer share a token, and what goes wrong at Daxko is a gateway's error, never a 500."""
    with serving(env, tmp_path / "web") as web:

        def ask(number: int) -> tuple[int, str | None, str]:
            answer = web.get(f"/customers/{number}/locations")
            return answer.status_code, answer.headers.get("retry-after"), answer.text

        assert [json.loads(ask(number)[2])["client_id"] for number in (9999, 1234, 9999)] == [9999, 1234, 9999]
        assert [sandbox.token_requests(scope) for scope in (9999, 1234)] == [1, 1]
        assert ask(0)[0] == 422

        status, later, text = ask(77)
        assert (status, later) == (502, None)
        assert "client:77" in text

        sandbox.fail_next(1, "status", where="resource", status=404)
        assert ask(9999) == (502, None, '{"detail":"Daxko answered 404 for client:9999."}')

        sandbox.fail_next(1, "drop", where="resource")
        assert ask(9999) == (503, "1", '{"detail":"No answer from Daxko: RemoteProtocolError."}')

        sandbox.expire()
        sandbox.fail_next(1, "status", status=429, retry_after=100)
        status, later, text = ask(9999)
        assert (status, later) == (401, None) or (status == 503 and 90 < int(later or 0) <= 100), text


def test_the_web_program_does_not_start_without_its_settings(env: dict[str, str], tmp_path: Path) -> None:
    """A mistake in a deployment shows when it is made, not when the first customer comes."""
    del env["DAXKO_PASSWORD"]

    with pytest.raises(AssertionError, match=r"DAXKO_PASSWORD is not set\."), serving(env, tmp_path / "web"):
        pytest.fail("it started")


def test_the_workers_that_fork(env: dict[str, str], sandbox: Sandbox, shared_redis: RedisServer) -> None:
    """Four processes, sixteen tasks, one token request for each customer; a refusal is not tried again."""
    env["CELERY_BROKER_URL"] = shared_redis.url
    command = [
        sys.executable,
        "-m",
        "celery",
        "--app",
        "celery_app",
        "worker",
        "--pool",
        "prefork",
        "--concurrency",
        "4",
    ]
    worker = subprocess.Popen(  # noqa: S603 - our own recipe
        [*command, "--without-gossip", "--without-mingle"],
        cwd=EXAMPLES,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        shown = run(
            env,
            "-c",
            """
from celery_app import locations

results = [locations.delay(number) for number in (9999, 1234) * 8]
print([result.get()["client_id"] for result in results] == [9999, 1234] * 8)
print(type(locations.delay(77).get(propagate=False)).__name__)
""",
        )
    finally:
        worker.terminate()
        worker.wait()

    assert shown == "True\nTokenRefused\n"
    assert [sandbox.token_requests(scope) for scope in (9999, 1234, 77)] == [1, 1, 1]


def test_a_task_comes_again_when_daxko_wishes(env: dict[str, str], sandbox: Sandbox, shared_redis: RedisServer) -> None:
    """Coming sooner would fail again, and use up the retries."""
    env["CELERY_BROKER_URL"] = shared_redis.url
    sandbox.fail_next(1, "status", status=429, retry_after=3600)

    shown = run(
        env,
        "-c",
        """
from unittest.mock import patch
from celery.exceptions import Retry
from celery_app import locations

with patch.object(locations, "retry", side_effect=Retry()) as retry:
    locations.apply((9999,))
print(3590 < retry.call_args.kwargs["countdown"] <= 3600)
""",
    )

    assert shown == "True\n"


def test_the_source_of_dlt(env: dict[str, str], sandbox: Sandbox) -> None:
    """Rows of every customer, each fetched with its own token."""
    shown = run(
        env,
        "-c",
        "from dlt_source import daxko\nprint([row['client_id'] for row in daxko([9999, 1234]).resources['locations']])",
    )

    assert shown == "[9999, 1234]\n"
    assert sandbox.token_requests() == 2


def test_a_load_of_dlt_outlives_a_token(env: dict[str, str], sandbox: Sandbox) -> None:
    """A 401 makes dlt raise; it has to see the answer to the replay instead."""
    shown = run(
        env,
        "-c",
        """
import os
import httpx
from dlt_source import daxko

def clients():
    yield 9999
    httpx.post(os.environ["DAXKO_BASE_URL"] + "/_sandbox/expire").raise_for_status()
    yield 9999

print([row["client_id"] for row in daxko(clients()).resources["locations"]])
""",
    )

    assert shown == "[9999, 9999]\n"
    assert sandbox.token_requests() == 2


def test_the_job_as_airflow_runs_one(env: dict[str, str], sandbox: Sandbox) -> None:
    """Tasks in processes of their own share tokens through files."""
    assert run(env, "airflow_job.py") == "fetched from 2 customers\n"
    assert run(env, "airflow_job.py") == "fetched from 2 customers\n"
    assert sandbox.token_requests() == 2


CELLS = """
import ast, asyncio, inspect, json
from pathlib import Path

async def run_cells():
    shared = {}
    for cell in json.loads(Path("notebook.ipynb").read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            outcome = eval(compile("".join(cell["source"]), "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), shared)
            if inspect.isawaitable(outcome):
                await outcome

asyncio.run(run_cells())
"""


def test_the_notebook(env: dict[str, str], sandbox: Sandbox) -> None:
    """Cell by cell, in an event loop that runs already, as a notebook has it; and no output is kept in the file."""
    assert run(env, "-c", CELLS) == "200\n"
    assert [sandbox.token_requests(scope) for scope in (9999, 1234)] == [1, 1]


def test_every_recipe_is_tried_here_and_described() -> None:
    """One that is not is the next to break, and nobody finds it."""
    recipes = {
        "airflow_job.py": test_the_job_as_airflow_runs_one,
        "celery_app.py": test_the_workers_that_fork,
        "dlt_source.py": test_the_source_of_dlt,
        "fastapi_app.py": test_the_web_program,
        "notebook.ipynb": test_the_notebook,
        "script.py": test_the_script,
    }
    described = (EXAMPLES.parent / "docs" / "recipes.md").read_text("utf-8")

    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == set(recipes)
    assert all(f"| `{name}` |" in described for name in recipes)

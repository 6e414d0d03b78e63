"""Every recipe runs, against a sandbox, and causes no more token requests than it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis_server import RedisServer

from daxko_auth.sandbox import Sandbox

EXAMPLES = Path(__file__).parents[2] / "examples"
RECIPES = {path.name for path in EXAMPLES.iterdir() if path.is_file()}


@pytest.fixture
def env(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """Give the settings of the test's sandbox, and a cache of its own."""
    return {**os.environ, **sandbox.settings(), "XDG_CACHE_HOME": str(tmp_path), "RUNTIME__DLTHUB_TELEMETRY": "false"}


def run(env: dict[str, str], *arguments: str) -> str:
    """Run Python in the folder of the recipes; return what it printed."""
    ran = subprocess.run(  # noqa: S603 - our own recipes
        [sys.executable, *arguments], cwd=EXAMPLES, env=env, capture_output=True, text=True, timeout=50, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_every_recipe_is_tried_here() -> None:
    """One that is not is the next to break."""
    tried = Path(__file__).read_text("utf-8")

    assert all(name.partition(".")[0] in tried for name in RECIPES)


def test_the_script(env: dict[str, str]) -> None:
    """Ten lines; and a mistake is one paragraph."""
    assert json.loads(run(env, "script.py"))["client_id"] == 9999

    del env["DAXKO_PASSWORD"]
    with pytest.raises(AssertionError, match=r"^DAXKO_PASSWORD is not set\."):
        run(env, "script.py")


def test_the_web_program(env: dict[str, str], sandbox: Sandbox) -> None:
    """Requests of one customer share a token, and a customer that is not linked is not a fault of the server."""
    shown = run(
        env,
        "-c",
        """
from fastapi.testclient import TestClient
from fastapi_app import app

with TestClient(app) as http:
    assert [http.get(f"/customers/{number}/locations").json()["client_id"] for number in (9999, 1234, 9999)] == [
        9999, 1234, 9999]
    print(http.get("/customers/77/locations").status_code, http.get("/customers/0/locations").status_code)
""",
    )

    assert shown == "502 404\n"
    assert [sandbox.token_requests(scope) for scope in (9999, 1234)] == [1, 1]


def test_the_workers_that_fork(env: dict[str, str], sandbox: Sandbox, shared_redis: RedisServer) -> None:
    """Four processes, sixteen tasks, one token request for each customer; trouble is tried again, a refusal is not."""
    env["CELERY_BROKER_URL"] = shared_redis.url
    sandbox.fail_next(1, "status", status=429, retry_after=60)
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
print([result.get(timeout=40)["client_id"] for result in results] == [9999, 1234] * 8)
print(type(locations.delay(77).get(timeout=40, propagate=False)).__name__)
""",
        )
    finally:
        worker.terminate()
        worker.wait(timeout=20)

    assert shown == "True\nTokenRefused\n"
    assert sorted(sandbox.token_requests(scope) for scope in (9999, 1234)) == [1, 2]
    assert sandbox.token_requests(77) == 1


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


def test_the_notebook(env: dict[str, str]) -> None:
    """Cell by cell, and no output of a cell is kept in the file."""
    notebook = json.loads((EXAMPLES / "notebook.ipynb").read_text("utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]

    assert all(cell["outputs"] == [] for cell in cells)
    assert run(env, "-c", "\n".join("".join(cell["source"]) for cell in cells)) == "200\n"

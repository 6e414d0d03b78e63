"""The workflows: what they may do, and that they run what this project says they run."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
WORKFLOWS = {path.stem: path for path in (PROJECT / ".github" / "workflows").glob("*.yml")}


def read(name: str) -> dict[str, Any]:
    """Read a workflow; YAML takes the word `on` for a truth."""
    workflow: dict[Any, Any] = yaml.safe_load(WORKFLOWS[name].read_text("utf-8"))
    workflow["on"] = workflow.pop(True)
    return workflow


def commands(name: str) -> list[str]:
    """Return every command that it runs."""
    return [step["run"] for job in read(name)["jobs"].values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_a_workflow_may_read_and_no_more(name: str) -> None:
    """A token that can write is what is stolen from them; checkouts leave none behind."""
    workflow = read(name)

    assert workflow["permissions"] == {"contents": "read"}
    for job_name, job in workflow["jobs"].items():
        assert job.get("permissions", {}) in ({}, {"id-token": "write"})
        assert "permissions" not in job or job_name == "publish"
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False


def test_the_tests_are_those_of_ci_and_the_spec_is_compared_every_week() -> None:
    """A second list of steps would drift from the first."""
    assert {"bash .ci/run", "scripts/test"} <= set(commands("tests"))
    assert ".venv/bin/python scripts/regenerate --check" in commands("tests")
    assert "schedule" in read("tests")["on"]
    assert (PROJECT / ".ci" / "run").exists()


def test_every_python_that_the_project_names_is_tested() -> None:
    """A version that is only named in the metadata breaks unseen."""
    named = re.findall(r"Python :: (3\.\d+)\"", (PROJECT / "pyproject.toml").read_text("utf-8"))
    tested = read("tests")["jobs"]["every-python"]["strategy"]["matrix"]["python"]

    assert {version.rstrip("t") for version in tested} == set(named)
    assert {"3.13t", "3.14t"} <= set(tested), "also without the GIL"


def test_the_live_contract_runs_only_with_an_account() -> None:
    """A fork has none, and a pull request gets none."""
    workflow = read("live-contract")

    assert set(workflow["on"]) == {"workflow_dispatch", "schedule"}
    (job,) = workflow["jobs"].values()
    assert all(step["if"] == "env.DAXKO_REFRESH_TOKEN != ''" for step in job["steps"])
    assert job["env"]["DAXKO_REFRESH_TOKEN"] == "${{ secrets.DAXKO_REFRESH_TOKEN }}"
    assert "daxko-auth doctor" in commands("live-contract")[-1]


def test_a_release_is_tested_first_and_published_without_a_password() -> None:
    """Trusted publishing: the identity of the workflow is what is trusted."""
    workflow = read("release")

    assert workflow["on"] == {"push": {"tags": ["v*"]}}
    assert "bash .ci/run" in commands("release")
    publish = workflow["jobs"]["publish"]
    assert publish["needs"] == "build"
    assert publish["environment"] == "release"
    assert "secrets." not in WORKFLOWS["release"].read_text("utf-8")

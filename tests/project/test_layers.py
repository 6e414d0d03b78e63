"""The shape of the house: imports only point down, and the sandbox shares nothing but facts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
MODULES = sorted((PROJECT / "daxko_auth").rglob("*.py"))


def lint_imports(project: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a project."""
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(  # noqa: S603 - a tool of ours
        [command, "--no-cache"], cwd=project, capture_output=True, text=True, check=False
    )


def test_imports_only_point_down() -> None:
    """A cycle is where a small library begins to need function-level imports."""
    shown = lint_imports(PROJECT)

    assert shown.returncode == 0, shown.stdout


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_module_opens_with_its_promise(module: Path) -> None:
    """A reader finds the room by its name, and learns at its entry what it is for."""
    assert re.match(r'"""\n\S', module.read_text("utf-8"))


def test_only_the_edges_and_the_typed_door_use_generated_code() -> None:
    """Generated code is kept in its place, so that a new generator cannot break the policy."""
    users = {
        str(module.relative_to(PROJECT / "daxko_auth"))
        for module in MODULES
        if re.search(r"^\s*(from|import) daxko_api", module.read_text("utf-8"), re.MULTILINE)
    }

    assert users == {"wire/exchange.py", "wire/member_login.py", "client.py"}


def test_one_place_only_asks_the_partner_token_endpoint() -> None:
    """The refresh token has one way out."""
    users = [module.name for module in MODULES if "import request_access_token" in module.read_text("utf-8")]

    assert users == ["exchange.py"]

"""scripts/regenerate: generated code is what the spec makes, on every machine, or the check is red."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = Path("generated/daxko_api")
CLIENT = PACKAGE / "client.py"
SPEC = Path("openapi/daxko.yaml")
PINS = Path("constraints.txt")

# Whole trees are copied, and with them the guide's example.
pytestmark = pytest.mark.shows_secrets("files")


def regenerate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script of the tree at `root`."""
    return subprocess.run(  # noqa: S603 - the arguments are ours
        [sys.executable, root / "scripts" / "regenerate", *arguments], capture_output=True, text=True, check=False
    )


def edit(file: Path, old: str, new: str) -> None:
    """Replace `old`, which must be there, with `new`."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def files(package: Path) -> dict[Path, bytes]:
    """Return what is in a package, without what Python leaves there when it imports it."""
    return {
        file.relative_to(package): file.read_bytes()
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy what the script reads and writes, so that no test touches the real tree."""
    for directory in ("openapi", PACKAGE):
        shutil.copytree(ROOT / directory, tmp_path / directory, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "scripts").mkdir()
    for file in ("scripts/regenerate", PINS):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def test_generated_code_is_what_the_spec_makes() -> None:
    """Whoever reads the spec reads what the code does."""
    done = regenerate(ROOT, "--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_hand_edit_is_shown_and_red(tree: Path) -> None:
    """An edit made by hand is lost with the next generation, so it must not be merged."""
    edit(tree / CLIENT, "httpx.Timeout(30.0)", "None")
    done = regenerate(tree, "--check")
    assert done.returncode == 1
    assert f"--- {CLIENT}" in done.stderr
    assert re.search(r"^-.*default=None, kw_only=True, alias=\"timeout\"", done.stderr, re.MULTILINE)
    assert re.search(r"^\+.*default=httpx\.Timeout\(30\.0\)", done.stderr, re.MULTILINE)
    assert "None" in (tree / CLIENT).read_text(encoding="utf-8")


def test_extra_and_missing_files_are_named_and_red(tree: Path) -> None:
    """A leftover of an older spec is importable, and a missing file is not."""
    (tree / PACKAGE / "models" / "leftover.py").touch()
    (tree / PACKAGE / "py.typed").unlink()
    done = regenerate(tree, "--check")
    assert done.returncode == 1
    assert f"extra: {PACKAGE}/models/leftover.py" in done.stderr
    assert f"missing: {PACKAGE}/py.typed" in done.stderr


def test_changed_spec_is_red_until_the_code_is_made_again(tree: Path) -> None:
    """Spec and code change in one commit, and making the code again is all it takes."""
    edit(tree / SPEC, "  /v3/members/oauth2/token:", "  /v4/members/oauth2/token:")
    done = regenerate(tree, "--check")
    assert done.returncode == 1
    assert '+        "url": "/v4/members/oauth2/token",' in done.stderr

    (tree / PACKAGE / "models" / "leftover.py").touch()
    assert regenerate(tree).returncode == 0
    assert regenerate(tree, "--check").returncode == 0


@pytest.mark.parametrize("tool", ["openapi-python-client", "ruff"])
def test_another_version_of_a_tool_is_refused_by_name(tree: Path, tool: str) -> None:
    """Another version writes other code, and a diff of hundreds of lines would not say why."""
    text = (tree / PINS).read_text(encoding="utf-8")
    (tree / PINS).write_text(re.sub(rf"(?m)^{tool}==.*$", f"{tool}==0.0.1", text), encoding="utf-8")
    before = files(tree / PACKAGE)
    done = regenerate(tree)
    assert done.returncode == 1
    assert tool in done.stderr
    assert "constraints.txt pins 0.0.1" in done.stderr
    assert files(tree / PACKAGE) == before


def test_invalid_spec_is_refused_before_anything_is_made(tree: Path) -> None:
    """The generator skips what it does not understand, so the spec is validated first."""
    edit(tree / SPEC, "  version:", "  verzion:")
    before = files(tree / PACKAGE)
    done = regenerate(tree)
    assert done.returncode == 1
    assert re.search("version.? is a required property", done.stderr)
    assert files(tree / PACKAGE) == before


def test_every_generated_module_opens_with_a_banner_of_the_pinned_version() -> None:
    """Whoever opens one learns at once where to make the change instead."""
    pin = re.search(r"^openapi-python-client==(.+)$", (ROOT / PINS).read_text(encoding="utf-8"), re.MULTILINE)
    assert pin is not None
    banner = (
        f"# Generated from openapi/daxko.yaml by openapi-python-client {pin[1]} (scripts/regenerate). Do not edit.\n"
    )
    modules = list((ROOT / PACKAGE).rglob("*.py"))
    assert modules
    assert [module for module in modules if not module.read_text(encoding="utf-8").startswith(banner)] == []


def test_every_template_says_why_it_replaces_the_original() -> None:
    """An override hides what a later generator improves, so it must be worth keeping."""
    overrides = list((ROOT / "openapi" / "templates").rglob("*.jinja"))
    assert overrides
    assert [file for file in overrides if not file.read_text(encoding="utf-8").startswith("{#")] == []

"""
Where cassettes may be used: here, and nowhere else.

A recorder reads every body into memory and answers from a file, so whatever is about sending again, redirects,
time or connections would pass for nothing.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
MAY_USE = ("cassettes/", "recording/", "project/test_cassette_spec.py")
RECORDERS = {"recording", "vcr", "vcrpy", "pytest_recording", "pytest_vcr", "betamax", "responses", "respx"}


def uses(source: str) -> list[str]:
    """Return what a file takes from a recorder: imports, and fixtures and marks that plugins bring."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [name.name for name in names if name.name.partition(".")[0] in RECORDERS]
            case ast.ImportFrom(module=str() as module, level=0):
                found += [module] if module.partition(".")[0] in RECORDERS else []
            case ast.Call(args=[ast.Constant(value=str() as name), *_]) if name.partition(".")[0] in RECORDERS:
                found.append(name)
            case ast.Attribute(attr="vcr" | "use_cassette" as name) | ast.arg(arg="vcr" | "vcr_cassette" as name):
                found.append(name)
            case _:
                pass
    return found


FILES = [file for file in sorted(TESTS.rglob("*.py")) if not str(file.relative_to(TESTS)).startswith(MAY_USE)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TESTS)))
def test_other_tests_use_no_cassette(file: Path) -> None:
    """Replays of bodies, redirects, timeouts and pools are tested on real sockets."""
    assert uses(file.read_text(encoding="utf-8")) == []


def test_folders_of_socket_tests_are_looked_at() -> None:
    """A lint that looks at nothing is always green."""
    assert {"adapters", "policy", "wire"} <= {file.relative_to(TESTS).parts[0] for file in FILES}


@pytest.mark.parametrize(
    "source",
    [
        "import vcr",
        "import vcr.cassette as c",
        "from vcr import VCR",
        "from recording import replay",
        "from recording.cassette import replay",
        "pytest.importorskip('vcr')",
        "importlib.import_module('recording.cassette')",
        "@pytest.mark.vcr\ndef test(): ...",
        "def test(vcr): ...",
    ],
)
def test_lint_bites(source: str) -> None:
    """Each way to a cassette is found."""
    assert uses(source)

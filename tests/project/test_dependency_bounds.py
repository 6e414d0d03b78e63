"""What the library needs from others: little, between bounds, and both ends of them are what is tested."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from project.checkout import texts

PROJECT = Path(__file__).parents[2]
METADATA: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
RUNTIME = [Requirement(line) for line in METADATA["dependencies"]]
EXTRAS = [Requirement(line) for lines in METADATA["optional-dependencies"].values() for line in lines]
# An extra may ask for another of our own.
BOUNDED = [requirement for requirement in RUNTIME + EXTRAS if requirement.name != METADATA["name"]]
# What constraints-oldest.txt has to pin beside the bounds, because a lower bound does not work with the newest.
HELD_BACK = {
    "click",
    "httpcore2",
    "importlib-metadata",
    "multidict",
    "opentelemetry-sdk",
    "opentelemetry-semantic-conventions",
}


def pins(name: str) -> dict[str, Version]:
    """Return the versions that a file pins; every line is a pin or a comment."""
    lines = (PROJECT / name).read_text("utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(package): Version(version) for package, version in pinned.items()}


def lower_bound(requirement: Requirement) -> Version:
    """Return the oldest version that a requirement allows."""
    (bound,) = (bound.version for bound in requirement.specifier if bound.operator == ">=")
    return Version(bound)


@pytest.mark.parametrize("requirement", BOUNDED, ids=str)
def test_every_dependency_has_a_lower_and_an_upper_bound(requirement: Requirement) -> None:
    """Without the one an old version is found out at run time, without the other a new one."""
    assert sorted(bound.operator for bound in requirement.specifier) == ["<", ">="]


def test_the_oldest_pins_are_exactly_the_lower_bounds() -> None:
    """A bound that is raised in one place only would leave the other untested."""
    oldest = pins("constraints-oldest.txt")
    bounds = {canonicalize_name(requirement.name): lower_bound(requirement) for requirement in BOUNDED}

    assert {name: version for name, version in oldest.items() if name not in HELD_BACK} == bounds
    assert set(oldest) - set(bounds) == HELD_BACK


@pytest.mark.parametrize("requirement", BOUNDED, ids=str)
def test_the_newest_pins_are_within_the_bounds(requirement: Requirement) -> None:
    """And far from the oldest ones: otherwise one end is tested twice."""
    newest = pins("constraints.txt")[canonicalize_name(requirement.name)]

    assert newest in requirement.specifier
    assert newest > lower_bound(requirement)


def test_the_library_itself_needs_four_packages() -> None:
    """Each one more is somebody else to trust with the credentials."""
    assert {requirement.name for requirement in RUNTIME} == {"anyio", "attrs", "httpx", "python-dateutil"}


def needed_by(names: set[str]) -> set[str]:
    """Return these distributions and all that they need in turn."""
    found: set[str] = set()
    left = set(names)
    while left:
        found |= left
        lines = [line for name in left for line in requires(name) or []]
        wanted = [one for one in map(Requirement, lines) if one.marker is None or one.marker.evaluate({"extra": ""})]
        left = {canonicalize_name(one.name) for one in wanted} - found
    return found


# Hides every module of anybody else, then imports; httpx for one takes what it finds for its own command line.
IMPORT_ALONE = """
import sys

allowed = set(sys.argv[1:]) | sys.stdlib_module_names | {"daxko_auth", "daxko_api"}


class Hidden:
    def find_spec(self, name, path=None, target=None):
        # The one module of Python itself that is named after the machine.
        if name.partition(".")[0] not in allowed and not name.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"hidden: {name}", name=name)


sys.meta_path.insert(0, Hidden())
import daxko_auth
from daxko_auth.wire.retry_after import http_date_of

assert http_date_of("Sun, 06 Nov 1994 08:49:37 GMT")
"""


def test_importing_the_library_imports_nobody_else() -> None:
    """What the sandbox, the command line and the tests need may be missing, and in production it is."""
    distributions = needed_by({requirement.name for requirement in RUNTIME})
    modules = {
        module
        for module, owners in packages_distributions().items()
        if distributions & {canonicalize_name(owner) for owner in owners}
    }

    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", IMPORT_ALONE, *modules], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


# A lock file's or a mirror's: an archive by its URL, an index, a hash, the place where a package was found.
ADDRESS = re.compile(
    r"""https?://[^\s"'<>]+\.(?:whl|tar\.gz|tar\.bz2|tgz|zip)\b
    |--(?:extra-)?index-url\b
    |--find-link[s]
    |--trusted-hos[t]
    |--hash[=\ ]
    |^\s*"?(?:url|resolved|registry)"?\s*[=:]\s*"?https?://
    |^\s*source\s*=\s*\{""",
    re.VERBOSE | re.MULTILINE,
)


def addresses_in(text: str) -> list[str]:
    """Return what looks like the address of a download."""
    return [match.group().strip() for match in ADDRESS.finditer(text)]


def test_no_file_says_where_packages_are_downloaded_from() -> None:
    """That is the machine's own setting; an address in a file is trusted by everybody who installs from it."""
    looked_at = dict(texts())
    found = {str(path): addresses for path, text in looked_at.items() if (addresses := addresses_in(text))}

    assert Path("constraints.txt") in looked_at
    assert found == {}


@pytest.mark.parametrize(
    "parts",
    [
        ("https://files.example/packages/ab/cd/", "httpx-0.28.1-py3-none-any.whl#sha256=00"),
        ("one @ https://files.example/", "one-1.0.tar.gz"),
        ("--index", "-url https://mirror.example/simple"),
        ("--extra-index", "-url=https://mirror.example/simple"),
        ("one==1.0 --hash", "=sha256:00"),
        ("url ", '= "https://files.example/one"'),
        ('  "resolved', '": "https://files.example/one"'),
        ("source ", '= { registry = "https://mirror.example/simple" }'),
    ],
    ids=lambda parts: parts[1][:20],
)
def test_such_an_address_is_known_when_it_is_seen(parts: tuple[str, str]) -> None:
    """In two parts here, so that this file holds none."""
    assert addresses_in(f"a line\n{''.join(parts)}\n")

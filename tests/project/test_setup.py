"""scripts/setup makes .venv once, one at a time, and again where what it was made from has changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

# Makes a "virtual environment" whose Python notes what is installed with it, and is Python in everything else.
PYTHON = """#!/bin/bash
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "$3/bin"
  cat > "$3/bin/python" << 'END'
#!/bin/bash
if [ "$1 $2" = "-m pip" ]; then
  echo "$HOME|$*" >> installed
  {slow}
fi
END
  chmod +x "$3/bin/python"
elif [ "$1" = -c ] && [[ $2 == *"print(sys.version)"* ]]; then
  echo "{version}"
else
  exec "{python}" "$@"
fi
"""


class Checkout:
    """A folder with the script, what it reads, and a Python that installs nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir(parents=True)
        for name in ("scripts/setup", "pyproject.toml", "constraints.txt"):
            shutil.copy(PROJECT / name, folder / name)

    def start(
        self, *arguments: str, version: str = "3.12.1 (main)", slow: str = "", **environ: str
    ) -> "subprocess.Popen[str]":
        """Start the script."""
        python = self.folder / f"python-{version.partition(' ')[0]}"
        text = PYTHON.replace("{slow}", slow).replace("{version}", version).replace("{python}", sys.executable)
        python.write_text(text, "utf-8")
        python.chmod(0o755)
        return subprocess.Popen(  # noqa: S603 - ours
            ["bash", "scripts/setup", *arguments],  # noqa: S607 - the one that is there
            cwd=self.folder,
            env={**os.environ, "PYTHON": str(python), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **options: str) -> tuple[int, str]:
        """Run the script; return its exit status and what it printed."""
        with self.start(*arguments, **options) as process:
            printed, _ = process.communicate()
        return process.returncode, printed

    def installed(self) -> list[str]:
        """Return what pip was asked for since the last look, without the options that are always the same."""
        file = self.folder / "installed"
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [line.partition("--constraint constraints.txt ")[2] for line in lines if "constraints.txt" in line]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Give one in a folder with a space in its name."""
    return Checkout(tmp_path / "a checkout")


NEW_PIP = "pip==26.3"
DEMO = "--editable .[cli]"
TEST = "--editable .[all] --group test"


def test_each_kind_brings_what_the_ones_before_it_bring(checkout: Checkout) -> None:
    """And the last leaves the project itself alone: tests may be running on it."""
    assert checkout.run()[0] == 0
    assert checkout.installed() == [NEW_PIP, DEMO]
    assert checkout.run("test")[0] == 0
    assert checkout.installed() == [NEW_PIP, TEST]
    assert checkout.run("dev")[0] == 0
    assert checkout.installed() == [NEW_PIP, "--group dev"]
    for kind in ("demo", "test", "dev"):
        assert checkout.run(kind) == (0, ""), "it is all there"
    assert checkout.installed() == []


def test_it_is_made_again_where_what_it_was_made_from_has_changed(checkout: Checkout) -> None:
    """A pin, the place, or the Python that is asked for."""
    checkout.run("test")
    checkout.installed()
    with (checkout.folder / "constraints.txt").open("a", encoding="utf-8") as pins:
        pins.write("one==1.0\n")
    checkout.run("test")
    assert checkout.installed() == [NEW_PIP, TEST]

    checkout.run("test", version="3.13.0 (main)")
    assert checkout.installed() == [NEW_PIP, TEST]

    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved"))
    checkout.run("test", version="3.13.0 (main)")
    assert checkout.installed() == [NEW_PIP, TEST]


def test_two_at_once_make_it_once(checkout: Checkout) -> None:
    """The other waits, and finds it there."""
    # The first installs nothing more until the second has said that it waits.
    slow = "while ! [ -e go-on ]; do sleep 0.01; done"
    with checkout.start("test", slow=slow) as first:
        assert first.stdout is not None
        assert first.stdout.readline().startswith("Making .venv")
        with checkout.start("test", slow=slow) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "Waiting for another scripts/setup in this folder ...\n"
            (checkout.folder / "go-on").touch()
            assert second.stdout.read() == ""
    assert (first.returncode, second.returncode) == (0, 0)
    assert checkout.installed() == [NEW_PIP, TEST]


def test_one_that_was_not_finished_is_finished(checkout: Checkout) -> None:
    """Ctrl-C, a full disk, a network that went away."""
    breaks = "[[ $* != *--editable* ]] || [ -e repaired ] || exit 1"
    assert checkout.run("test", slow=breaks)[0] == 1
    checkout.installed()
    (checkout.folder / "repaired").touch()

    assert checkout.run("test")[0] == 0
    assert checkout.installed() == [NEW_PIP, TEST]


def test_without_the_gil_an_older_python_gets_what_has_builds_for_it(checkout: Checkout) -> None:
    """cryptography, for one, has none."""
    checkout.run("test", version="3.13.5 experimental free-threading build (main)")
    assert checkout.installed() == [NEW_PIP, "--editable .[aiohttp,httpx2,otel,requests,sandbox] --group core"]

    checkout.run("test", version="3.14.1 free-threading build (main)")
    assert checkout.installed() == [NEW_PIP, TEST]


@pytest.mark.parametrize("home", ["", "/nonexistent"])
def test_pip_has_a_home_where_there_is_none(checkout: Checkout, home: str) -> None:
    """Without one it ends in a traceback, or makes a folder that is called ~."""
    assert checkout.run(HOME=home)[0] == 0
    assert f"{checkout.folder}/.venv|" in (checkout.folder / "installed").read_text("utf-8")


def test_settings_for_another_place_are_not_followed(checkout: Checkout) -> None:
    """They would have pip install elsewhere, or Python import from there."""
    assert checkout.run(PIP_TARGET="/nonexistent", PYTHONHOME="/nonexistent", PYTHONPATH="/nonexistent")[0] == 0


TOO_OLD = "scripts/setup: Python 3.11 or newer is needed; install it, or set PYTHON to its path\n"


@pytest.mark.parametrize(
    ("arguments", "python", "status", "said"),
    [
        (["everything"], sys.executable, 2, "usage: scripts/setup [demo|test|dev]\n"),
        (
            [],
            "/nonexistent",
            1,
            "scripts/setup: Python 3.11 or newer is needed; install it, or set PYTHON to its path\n",
        ),
    ],
)
def test_what_is_wrong_is_one_line(
    checkout: Checkout, arguments: list[str], python: str, status: int, said: str
) -> None:
    """It is the first thing that a newcomer runs."""
    assert checkout.run(*arguments, PYTHON=python) == (status, said)

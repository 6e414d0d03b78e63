"""
The tests depend on nothing of whoever starts them, and leave nothing behind, also where one fails or runs out of time.

Each runs a few tests of its own under the real conftest.py.
"""

import os
import shlex
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from guard import Guard

PROJECT = Path(__file__).parents[2]


class Inner:
    """A run of pytest over one file, under the conftest.py of the project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if name != "REQUIRE_TOOLS"}
        self.start: dict[str, Any] = {}

    def run(self, lines: str, *options: str) -> tuple[int, str]:
        """Return its exit status and what it printed."""
        file = self.folder / "test_inner.py"
        file.write_text(textwrap.dedent(lines), "utf-8")
        command = [sys.executable, "-m", "pytest", "-c", PROJECT / "pyproject.toml", "--rootdir", self.folder]
        ran = subprocess.run(  # noqa: S603 - our own tests
            [*command, "-p", "conftest", "-p", "no:cacheprovider", "--quiet", *options, file],
            cwd=self.folder,
            env={**self.environment, "PYTHONPATH": str(PROJECT / "tests")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **self.start,
        )
        return ran.returncode, ran.stdout

    def noted(self, name: str) -> list[int]:
        """Return the numbers that the tests wrote into a file of this name."""
        return list(map(int, (self.folder / name).read_text("utf-8").split()))


@pytest.fixture
def inner(tmp_path: Path) -> Inner:
    """Give a run of its own."""
    return Inner(tmp_path)


def is_running(process: int) -> bool:
    """Whether there is such a process; one that has ended and was not waited for does not count."""
    try:
        return b") Z" not in Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return False


SEEN = """
    import os, pathlib, signal, subprocess, sys, tempfile

    def test_inner():
        assert not [name for name in os.environ if name.upper().startswith("DAXKO") or "PROXY" in name.upper()]
        assert "PYTHONWARNINGS" not in os.environ and "SSL_CERT_FILE" not in os.environ
        assert not list(pathlib.Path.home().iterdir())
        assert pathlib.Path.home().parent == pathlib.Path(tempfile.gettempdir()).parent
        ignores = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
        assert subprocess.check_output([sys.executable, "-c", ignores]) == b"False\\n"
        assert os.umask(0o022) == 0o022
"""


@pytest.mark.parametrize("home", [None, "/nonexistent", "/proc"])
@pytest.mark.parametrize("options", [[], ["-n", "1"]], ids=["alone", "xdist"])
def test_nothing_of_the_callers_reaches_a_test(inner: Inner, home: str | None, options: list[str]) -> None:
    """Accounts, proxies, an ignored Ctrl-C, a missing home, another umask: each made somebody's run red once."""
    inner.environment |= {
        "DAXKO_BASE_URL": "https://elsewhere.example",
        "https_proxy": "http://127.0.0.1:9",
        "PYTHONWARNINGS": "error",
        "SSL_CERT_FILE": "/nonexistent",
    }
    inner.environment.pop("HOME")
    inner.environment |= {"HOME": home} if home else {}
    # In the background of a script, without a terminal, and with its standard input closed.
    inner.start = {
        "preexec_fn": lambda: (signal.signal(signal.SIGINT, signal.SIG_IGN), os.close(0)),
        "start_new_session": True,
        "umask": 0o077,
    }

    status, printed = inner.run(SEEN, *options)

    assert (status, printed.splitlines()[-1]) == (0, "1 passed"), printed


LEFT = """
    import os, subprocess, sys, time
    import pytest

    SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]

    def note(process):
        with open("started", "a") as file:
            print(process, file=file)

    @pytest.fixture(scope="session", autouse=True)
    def server_of_all_tests():
        with subprocess.Popen(SLEEPS) as server:
            yield server
            # Whatever a test left running is ended; what others still need is not.
            assert server.poll() is None
            server.kill()

    def test_that_passes():
        note(subprocess.Popen(SLEEPS).pid)

    def test_that_fails():
        note(subprocess.Popen(SLEEPS).pid)
        raise AssertionError

    def test_whose_child_leaves_one_of_its_own():
        apart = "dict(start_new_session=True, stdout=subprocess.DEVNULL)"
        script = f"import subprocess, sys; print(subprocess.Popen(sys.argv[1:], **{apart}).pid)"
        note(int(subprocess.check_output([sys.executable, "-c", script, *SLEEPS])))

    @pytest.mark.timeout(1)
    def test_that_takes_too_long():
        process = subprocess.Popen(SLEEPS)
        note(process.pid)
        process.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose child a process is")
@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_a_process_that_a_test_leaves_running_is_ended_and_named(inner: Inner, options: list[str]) -> None:
    """Sandboxes of runs that had failed were found hours later."""
    status, printed = inner.run(LEFT, "-W", "ignore::pytest.PytestUnraisableExceptionWarning", *options)

    assert status == 1
    assert printed.count("ERROR at teardown of test_") == 4, printed
    assert "time.sleep(600)" in printed
    started = inner.noted("started")
    assert len(started) == 4
    assert not [process for process in started if is_running(process)]


def test_what_is_written_into_the_home_fails_the_run(inner: Inner) -> None:
    """Also where every test passes."""
    status, printed = inner.run(
        """
        import pathlib

        def test_inner():
            (pathlib.Path.home() / ".settings").write_text("x")
        """
    )

    assert status == 1
    assert "written into the home: .settings" in printed


def test_temporary_files_are_gone_after_a_run(inner: Inner) -> None:
    """Also those of a test that failed."""
    status, _ = inner.run(
        """
        import pathlib, tempfile

        def test_inner(tmp_path):
            kept = pathlib.Path(tempfile.mkdtemp()) / "kept"
            kept.write_text("x")
            pathlib.Path("places").write_text(f"{tmp_path}\\n{kept}")
            raise AssertionError
        """
    )

    assert status == 1
    places = (inner.folder / "places").read_text("utf-8").splitlines()
    assert len(places) == 2
    assert not [place for place in places if Path(place).exists()]


def test_the_last_line_says_what_was_skipped_and_why(inner: Inner) -> None:
    """A newcomer whose machine lacks a program is told how to get it."""
    lines = """
        import pytest, tools

        @pytest.mark.parametrize("number", range(3))
        def test_inner(monkeypatch, number):
            monkeypatch.setenv("PATH", "")
            tools.curl()

        def test_other():
            pass
        """
    status, printed = inner.run(lines)

    assert status == 0
    assert printed.splitlines()[-1] == "1 passed, 3 skipped (3 need curl (Debian: apt-get install curl))"

    inner.environment["REQUIRE_TOOLS"] = "1"
    status, printed = inner.run(lines)

    assert status == 1
    assert printed.splitlines()[-1] == "1 passed, 3 failed"


@pytest.fixture
def guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guard:
    """Give a guard over a home and a checkout, which has begun."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setenv("PIP_NO_INDEX", "")
    for name in ("home", "checkout", "own"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkout" / "kept").write_text("as it was", "utf-8")
    (tmp_path / "checkout" / "removed").write_text("as it was", "utf-8")
    made = Guard(tmp_path / "own", {tmp_path / "home", tmp_path / "checkout"})
    made.begin()
    return made


def test_the_guard_sees_what_was_made_changed_and_removed(guard: Guard, tmp_path: Path) -> None:
    """What tools keep for themselves is theirs."""
    assert guard.end() == []

    (tmp_path / "home" / "folder").mkdir()
    (tmp_path / "home" / "folder" / "made").write_text("x", "utf-8")
    (tmp_path / "checkout" / "kept").write_text("as it was not", "utf-8")
    (tmp_path / "checkout" / "removed").unlink()
    (tmp_path / "checkout" / "__pycache__").mkdir()
    (tmp_path / "checkout" / "__pycache__" / "cached").touch()

    changed = ["checkout/kept", "checkout/removed", "home/folder", "home/folder/made"]
    assert guard.end() == [f"changed: {tmp_path / path}" for path in changed]


@pytest.mark.parametrize(
    "command",
    [
        "apt-get install -y redis-server",
        "curl --version",
        "curl http://127.0.0.1:1/ https://example.com/",
        "git -C / status https://example.com/",
        "npm install",
        "pip install .",
        "service redis-server start",
    ],
)
def test_the_guard_refuses_and_reports_what_could_change_the_machine(
    guard: Guard, command: str, tmp_path: Path
) -> None:
    """A test once installed Redis and a browser."""
    ran = subprocess.run(shlex.split(command), cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603

    assert (ran.returncode, ran.stderr) == (1, f"{shlex.split(command)[0]}: a test may not run this\n")
    assert guard.end() == [f"run in {tmp_path}: {command}"]


@pytest.mark.usefixtures("curl")
def test_the_guard_passes_on_what_stays_on_loopback(guard: Guard, tmp_path: Path) -> None:
    """What the guide and the README show is run as it stands."""
    ran = subprocess.run(["curl", "-s", "http://127.0.0.1:1/"], cwd=tmp_path, capture_output=True, check=False)  # noqa: S607

    assert ran.returncode == 7, "nobody listens there"
    assert guard.end() == []

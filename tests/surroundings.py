"""
What the tests take from whoever starts them: nearly nothing. And what they leave there: nothing.

The home, the caches and all temporary files of a run are in one folder, which is removed at its end.
"""

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Final

#: Everything else is a setting of the person or the machine that runs the tests: accounts, proxies, certificates,
#: locales, options of Python. Of these, each that changed a result would be a failure that nobody else sees.
_KEPT: Final = frozenset(
    {"LOGNAME", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHON_GIL", "REQUIRE_TOOLS"}
    | {"UPDATE_SNAPSHOTS", "USER"}
)
_KEPT_PREFIXES: Final = ("COVERAGE_", "HYPOTHESIS_")


def enter() -> Path:
    """Put this process, and with it all that it starts, into surroundings of its own; return the run's folder."""
    folder = Path(tempfile.mkdtemp(prefix="daxko-auth-"))
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    home, temporary = folder / "home", folder / "tmp"
    for made in (home, temporary):
        made.mkdir()
    # Tests that give up root's rights look into their files as somebody else.
    folder.chmod(0o755)
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update(
        HOME=str(home),
        HYPOTHESIS_STORAGE_DIRECTORY=str(temporary / "hypothesis"),
        LC_ALL="C.UTF-8",
        PYTEST_DEBUG_TEMPROOT=str(temporary),
        TERM="xterm",
        TMPDIR=str(temporary),
    )
    # It looked at TMPDIR once, before this.
    tempfile.tempdir = None
    os.umask(0o022)
    _heed_ctrl_c()
    # Whoever ends the run early, with a time limit for instance, has its fixtures clean up as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return folder


def enter_worker() -> None:
    """Do for a worker of pytest-xdist, which inherits the environment, what it does not inherit."""
    _heed_ctrl_c()


def _heed_ctrl_c() -> None:
    # A program started in the background of a script ignores Ctrl-C, and so would every program that the tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def leave(folder: Path) -> list[str]:
    """Remove the run's folder, and return what was written into its home, where nothing belongs."""
    written = sorted(str(path.relative_to(folder / "home")) for path in (folder / "home").rglob("*"))
    shutil.rmtree(folder, ignore_errors=True)
    return written

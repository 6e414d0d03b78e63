"""
A watch over one run of the tests (`pytest --guard`, as in scripts/check): nothing outside their own folder changes.

Programs that could change the machine are replaced on the PATH (tests/decoy.py), and the home and the checkout are
compared, by size and time of each file, with what they were before.
"""

import json
import os
import pwd
import shlex
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import define, field

REPLACED: Final = ("apt", "apt-get", "curl", "dpkg", "git", "npm", "npx", "pip", "pip3", "service", "systemctl", "wget")
_DECOY: Final = Path(__file__).with_name("decoy.py")
_CHECKOUT: Final = Path(__file__).parents[1]
#: What .gitignore names, and what git keeps: tools write there.
_CACHES: Final = frozenset(
    {".coverage", ".git", ".hypothesis", ".import_linter_cache", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
    | {".venv", "__pycache__", "build", "dist", "site"}
)
Fingerprint = dict[Path, tuple[int, int]]


def watched() -> set[Path]:
    """Return the checkout, the home that is set, and the home that the system knows; these may differ."""
    homes = {os.environ.get("HOME", "")}
    with suppress(KeyError):
        homes.add(pwd.getpwuid(os.getuid()).pw_dir)
    return {_CHECKOUT, *(Path(home).resolve() for home in homes if home not in ("", "/"))}


@define
class Guard:
    """Watches folders, from `begin` to `end`; it keeps what it needs in a folder of its own."""

    own: Path
    watched: set[Path]
    _before: Fingerprint = field(factory=dict)

    @property
    def _log(self) -> Path:
        return self.own / "commands"

    def begin(self) -> None:
        """Put the decoys in place, and look at what there is."""
        decoys = self.own / "decoys"
        decoys.mkdir()
        for program in REPLACED:
            words = [sys.executable, "-IS", str(_DECOY), str(self._log), shutil.which(program) or "", program]
            (decoys / program).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', "utf-8")
            (decoys / program).chmod(0o755)
        os.environ["PATH"] = os.pathsep.join([str(decoys), os.environ.get("PATH", os.defpath)])
        # For a pip that is run as a module.
        os.environ["PIP_NO_INDEX"] = "1"
        self._before = self._look()

    def end(self) -> list[str]:
        """Say what was run, made, changed or removed that should not have been."""
        noted = self._log.read_text("utf-8").splitlines() if self._log.exists() else []
        commands = [command for command in map(json.loads, noted) if not command["harmless"]]
        said = [f"run in {command['folder']}: {shlex.join(command['command'])}" for command in commands]
        now = self._look()
        changed = [path for path in {**self._before, **now} if self._before.get(path) != now.get(path)]
        return said + [f"changed: {path}" for path in sorted(changed)]

    def _look(self) -> Fingerprint:
        found: Fingerprint = {}
        for top in self.watched:
            for folder, folders, files in os.walk(top):
                here = Path(folder)
                folders[:] = [name for name in folders if name not in _CACHES and here / name != self.own]
                for path in (here / name for name in [*files, *folders] if not name.startswith(".coverage")):
                    try:
                        seen = path.lstat()
                    except OSError:
                        continue
                    # A folder's own time changes with each file that comes and goes in it again.
                    found[path] = (0, 0) if path.is_dir() else (seen.st_size, seen.st_mtime_ns)
        return found

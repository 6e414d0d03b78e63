"""The files of this checkout, also of one without .git: an archive, or a copy in a container."""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[2]


def texts(project: Path = PROJECT) -> Iterator[tuple[Path, str]]:
    """
    Yield every text file of a checkout with its path below it.

    What git ignores is made and not written, and a virtual environment is somebody else's.
    """
    lines = (project / ".gitignore").read_text("utf-8").splitlines()
    ignored = [".git", *(line.strip().rstrip("/") for line in lines if not line.startswith("#"))]
    for folder, folders, files in os.walk(project):
        kept = [name for name in sorted(folders) if not any(fnmatch(name, pattern) for pattern in ignored)]
        folders[:] = [name for name in kept if not Path(folder, name, "pyvenv.cfg").exists()]
        for name in sorted(files):
            path = Path(folder, name)
            if not any(fnmatch(name, pattern) for pattern in ignored) and b"\0" not in (content := path.read_bytes()):
                yield path.relative_to(project), content.decode("utf-8", "replace")

"""
Stands on the PATH in place of a program that could change the machine, while the tests run under guard.

Called with a log, the path of the real program ("" if there is none), and the command. It notes each command, passes on
to the real program what stays on loopback (curl) or in a temporary folder (git), and refuses everything else.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def is_harmless(program: str, arguments: list[str]) -> bool:
    """Whether a command stays where it may."""
    hosts = {urlsplit(argument).hostname for argument in arguments if "://" in argument}
    if program == "curl":
        return bool(hosts) and hosts <= LOOPBACK
    if program == "git":
        return not hosts and Path.cwd().is_relative_to(Path(tempfile.gettempdir()).resolve())
    return False


def main() -> None:
    """Note the command, then pass it on or refuse it."""
    log, real, program, *arguments = sys.argv[1:]
    harmless = bool(real) and is_harmless(program, arguments)
    with Path(log).open("a", encoding="utf-8") as file:
        file.write(
            json.dumps({"command": [program, *arguments], "folder": str(Path.cwd()), "harmless": harmless}) + "\n"
        )
    if harmless:
        os.execv(real, [program, *arguments])  # noqa: S606 - what the test called
    sys.exit(f"{program}: a test may not run this")


if __name__ == "__main__":
    main()

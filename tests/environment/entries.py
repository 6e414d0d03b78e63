"""
A program that tries the library's entries in the environment that it is started in, each in a process of its own.

Its arguments: where to write what came of them, as JSON; code to run before anything is imported; how many files may be
opened afterwards, or nothing; a folder; and the names of the entries.
"""

import fcntl
import json
import os
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_, _results, _prelude, _files, _folder, *_names = sys.argv
# Not among the numbers of the standard streams, which may be closed.
_out = os.open(_results, os.O_WRONLY | os.O_CREAT)
_results_file = fcntl.fcntl(_out, fcntl.F_DUPFD, 100)
os.close(_out)
exec(_prelude)  # noqa: S102 - it is a row of the table

import anyio  # noqa: E402
import httpx  # noqa: E402

from daxko_auth import (  # noqa: E402
    ApiCredentials,
    AsyncDaxko,
    Daxko,
    DaxkoAuth,
    DaxkoAuthError,
    RenewalPolicy,
    TokenSource,
)
from daxko_auth.__main__ import main as command  # noqa: E402
from daxko_auth.cli import command_line  # noqa: E402
from daxko_auth.sandbox import Sandbox  # noqa: E402
from daxko_auth.testing import scan  # noqa: E402
from daxko_auth.wire.http import certificates  # noqa: E402

# Nobody waits between attempts, and nobody presses Ctrl-C.
RenewalPolicy.retry_wait = lambda *_: 0.0  # type: ignore[method-assign]
Sandbox.serve_until_interrupted = Sandbox.close  # type: ignore[method-assign]
assert command_line, scan
# By far the slowest part of each entry; what fails is not kept.
if not _files:
    with suppress(DaxkoAuthError):
        certificates()

_CALL = "/v3/programs/locations"


def _token() -> None:
    with TokenSource(ApiCredentials.from_env()) as source:
        source.token(9999)


def _call() -> None:
    with Daxko(ApiCredentials.from_env(), 9999) as daxko:
        daxko.http.get(_CALL).raise_for_status()


async def _acall() -> None:
    async with AsyncDaxko(ApiCredentials.from_env(), 9999) as daxko:
        (await daxko.http.get(_CALL)).raise_for_status()


def _auth() -> None:
    # What the program's own client makes of the environment is its own affair.
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with TokenSource(ApiCredentials.from_env()) as source:
        auth = DaxkoAuth(source, 9999)
        with httpx.Client(base_url=source.origin.base_url, auth=auth, transport=transport) as http:
            http.get(_CALL).raise_for_status()


_ENTRIES: dict[str, Callable[[], Any]] = {
    "from_env": ApiCredentials.from_env,
    "TokenSource": lambda: TokenSource(ApiCredentials.from_env()).close(),
    "token()": _token,
    "Daxko": _call,
    "AsyncDaxko": lambda: anyio.run(_acall),
    "DaxkoAuth": _auth,
}
_COMMANDS = {
    "demo": ["demo"],
    "sandbox": ["sandbox"],
    "token": ["token", "9999", "--json"],
    "request": ["request", "GET", _CALL, "--scope", "9999"],
    "member": ["member", "member_name", "--scope", "9999", "--json"],
    "warm": ["warm", "9999"],
    "doctor": ["doctor", "9999"],
    "scan-cassettes": ["scan-cassettes", _folder],
}


def _enter(name: str) -> int:
    if name in _COMMANDS:
        sys.argv = ["daxko-auth", *_COMMANDS[name]]
        command()
    try:
        _ENTRIES[name]()
    except DaxkoAuthError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _allow_files(count: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
    taken = []
    with suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    for number in taken[:count]:
        os.close(number)


def _try(name: str, output: int) -> int:
    """Do what a process of its own does, and return its exit status."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        if stream is not None:
            os.dup2(output, number)
    status: object = 3
    try:
        if _files:
            _allow_files(int(_files))
        status = _enter(name)
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - as Python ends a program
        os.write(output, traceback.format_exc().encode("utf-8", "replace"))
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, AttributeError):
            stream.flush()
    return status if isinstance(status, int) else 0 if status is None else 1


_ended = {}
for _name in _names:
    with tempfile.TemporaryFile(dir=_folder) as _output:
        _number = fcntl.fcntl(_output.fileno(), fcntl.F_DUPFD, 100)
    _child = os.fork()
    if not _child:
        os._exit(_try(_name, _number))
    _status = os.waitstatus_to_exitcode(os.waitpid(_child, 0)[1])
    _ended[_name] = _status, os.pread(_number, 1_000_000, 0).decode("utf-8", "replace")
    os.close(_number)
os.write(_results_file, json.dumps(_ended).encode())

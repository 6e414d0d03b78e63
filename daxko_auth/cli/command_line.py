"""
The command line: gathers the commands, and says in one paragraph what went wrong.

Reads options, calls the library and prints. Secrets are never options: what is in a command line is
in the shell's history and in the list of processes.
"""

import errno
import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer
from typer._completion_classes import completion_init
from typer._completion_shared import get_completion_script
from typer.core import TyperGroup

import daxko_auth
from daxko_auth.cli import demo as demo_door
from daxko_auth.cli.doctor import doctor
from daxko_auth.cli.printing import AsJson, fail, print_json, printable_mistakes, say, tell, tell_lines
from daxko_auth.cli.request import request
from daxko_auth.cli.token import member, token
from daxko_auth.cli.warm import warm
from daxko_auth.model.errors import DaxkoAuthError
from daxko_auth.model.scope import ClientScope
from daxko_auth.model.vendor import EXAMPLE_CLIENT_ID, EXAMPLE_TOKEN_LIFE
from daxko_auth.sandbox import Sandbox
from daxko_auth.wire.http import is_out_of_files, why_refused

# What the script of a shell asks for suggestions with.
_COMPLETE: Final = "_DAXKO_AUTH_COMPLETE"

# How writing to standard output fails.
_NOT_WRITTEN: Final = frozenset({errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC})

_EPILOG: Final = (
    "Exit status: 0 all is well, 1 it failed, 2 the command was not understood, 130 Ctrl-C; `request` ends with 3, 4 "
    "or 5 for an answer of 3xx, 4xx or 5xx."
)


class _Commands(TyperGroup):
    """Explains what the library raises; what it does not know is a fault of our own, and keeps its traceback."""

    def make_context(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on
        # Where --help and --version print, too.
        with _explained():
            return super().make_context(*args, **options)

    # typer hands over a context of its own kind; the class that this comes from declares a more general one.
    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        with _explained():
            return super().invoke(ctx)


@contextmanager
def _explained() -> Generator[None, None, None]:
    try:
        with printable_mistakes():
            yield
    except DaxkoAuthError as error:
        fail(str(error))
    except OSError as error:
        # Whoever reads has read enough, as `head` does; typer knows that.
        if error.errno == errno.EPIPE:
            raise
        _discard_output()
        fail(_why(error))


def _why(error: OSError) -> str:
    if error.errno in _NOT_WRITTEN:
        return f"the output cannot be written: {error.strerror}"
    if is_out_of_files(error):
        return why_refused(error)
    return f"the system refused what this command needs: {error}"


def _discard_output() -> None:
    # Python would try to write what is left once more when it ends, and then change the exit status to 120.
    with suppress(OSError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Access tokens for the Daxko Operations API.",
    epilog=_EPILOG,
)
for _command in (token, request, member, warm, doctor):
    app.command()(_command)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's own way to call it
    if wanted:
        tell(f"daxko-auth {daxko_auth.__version__}")
        raise typer.Exit


# Without it typer would know the shells of click, whose scripts ask in another way.
if _COMPLETE in os.environ:
    completion_init()


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Access tokens for the Daxko Operations API."""


@app.command()
def demo() -> None:
    """Watch the main job: a token is requested, used, shared, expires, and is renewed; on a sandbox of its own."""
    raise typer.Exit(demo_door.run())


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 0,
    clients: Annotated[
        list[str] | None,
        typer.Option("--client", metavar="NUMBER", help="A Daxko client linked to the account; repeat it for more."),
    ] = None,
    members: Annotated[
        Path | None,
        typer.Option(help="A JSON file of member names and passwords, in place of the guide's one member."),
    ] = None,
    token_life: Annotated[int, typer.Option(min=1, help="Seconds that an access token lives.")] = EXAMPLE_TOKEN_LIFE,
) -> None:
    """
    Stand in for Daxko until Ctrl-C, with the account of the vendor's guide.

    Prints the settings to paste once it answers. It is not Daxko: no data, and no real credentials.
    """
    linked = [_client_id(number) for number in clients] if clients else (EXAMPLE_CLIENT_ID, 1234)
    passwords = _read_members(members) if members else None
    try:
        server = Sandbox(host=host, port=port, clients=linked, members=passwords, token_life=token_life)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    try:
        server.start()
    except UnicodeError:
        raise typer.BadParameter("this is neither an address nor the name of a host", param_hint="--host") from None
    except OSError as error:
        if is_out_of_files(error):
            raise
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        fail(f"cannot listen on {host} port {port}: {reason}. Is it an address of this machine? Try --port 0, too")
    for line in server.banner.rstrip().splitlines():
        say(line)
    for line in server.exports():
        tell(line)
    say("Ctrl-C stops it.")
    server.serve_until_interrupted()


@app.command()
def scan_cassettes(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Cassettes, or folders of them.")],
    *,
    as_json: AsJson = False,
) -> None:
    """
    Fail if a recorded cassette holds a secret: one of the environment's DAXKO_* by its value, or a token by its looks.

    Says where and what kind, one line each, and never the value.
    """
    try:
        from daxko_auth.testing.scan import scan  # noqa: PLC0415 - it needs an extra of its own

        done = scan(paths)
    except ModuleNotFoundError as error:
        fail(str(error))
    if as_json:
        found = [{"file": str(finding.file), "what": finding.what} for finding in done.findings]
        print_json({"files": done.files, "findings": found})
    elif done.findings:
        for finding in done.findings:
            tell(str(finding))
    else:
        tell(f"No secret found. Cassettes looked at: {done.files}")
    raise typer.Exit(1 if done.findings else 0)


class Shell(StrEnum):
    """The shells that can complete commands."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command()
def completion(shell: Annotated[Shell, typer.Argument(help="The shell that is to complete commands.")]) -> None:
    """
    Print what makes a shell complete commands and options.

    For bash: eval "$(daxko-auth completion bash)", in ~/.bashrc.
    """
    script = get_completion_script(  # nosec B604 # the name of a shell; nothing is run
        prog_name="daxko-auth", complete_var=_COMPLETE, shell=shell.value
    )
    tell_lines(script)


def _client_id(number: str) -> int:
    try:
        return ClientScope(number).client_id
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--client") from None


def _read_members(path: Path) -> dict[str, str]:
    try:
        members = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}", param_hint="--members") from None
    except (ValueError, RecursionError):
        members = None
    if isinstance(members, dict):
        by_name = cast("dict[str, object]", members)
        texts = {name: password for name, password in by_name.items() if isinstance(password, str)}
        if len(texts) == len(by_name):
            return texts
    example = '{"member_name": "member_password"}'
    raise typer.BadParameter(f"{path} is not a JSON object such as {example}", param_hint="--members")

"""
The command line: `daxko-auth demo` and `daxko-auth sandbox`.

Reads options, calls the library and prints. Secrets are never options: what is in a command line is
in the shell's history and in the list of processes.
"""

import json
import os
from pathlib import Path
from typing import Annotated, NoReturn, cast

import typer

import daxko_auth
from daxko_auth.doors import demo as demo_door
from daxko_auth.facts.errors import CredentialsError
from daxko_auth.facts.scope import ClientScope
from daxko_auth.facts.vendor import EXAMPLE_CLIENT_ID, EXAMPLE_TOKEN_LIFE
from daxko_auth.sandbox import Sandbox

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Access tokens for the Daxko Operations API.",
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's own way to call it
    if wanted:
        typer.echo(f"daxko-auth {daxko_auth.__version__}")
        raise typer.Exit


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
    server = Sandbox(
        host=host,
        port=port,
        clients=[_client_id(number) for number in clients] if clients else (EXAMPLE_CLIENT_ID, 1234),
        members=_read_members(members) if members else None,
        token_life=token_life,
    )
    try:
        server.start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        _fail(f"cannot listen on {host} port {port}: {reason}. Is it an address of this machine? Try --port 0, too")
    typer.echo(server.banner.rstrip(), err=True)
    for line in server.exports():
        typer.echo(line)
    typer.echo("Ctrl-C stops it.", err=True)
    server.serve_until_interrupted()


@app.command()
def scan_cassettes(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Cassettes, or folders of them.")],
) -> None:
    """
    Fail if a recorded cassette holds a secret: one of the environment's DAXKO_* by its value, or a token by its looks.

    Says where and what kind, one line each, and never the value.
    """
    try:
        from daxko_auth.testing.scan import scan  # noqa: PLC0415 - it needs an extra of its own

        done = scan(paths)
    except (ModuleNotFoundError, CredentialsError) as error:
        _fail(str(error))
    for finding in done.findings:
        typer.echo(finding)
    if done.findings:
        raise typer.Exit(1)
    typer.echo(f"No secret found. Cassettes looked at: {done.files}")


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
    except ValueError:
        members = None
    if isinstance(members, dict):
        by_name = cast("dict[str, object]", members)
        texts = {name: password for name, password in by_name.items() if isinstance(password, str)}
        if len(texts) == len(by_name):
            return texts
    example = '{"member_name": "member_password"}'
    raise typer.BadParameter(f"{path} is not a JSON object such as {example}", param_hint="--members")


def _fail(message: str) -> NoReturn:
    typer.echo(f"daxko-auth: {message}", err=True)
    raise typer.Exit(1)

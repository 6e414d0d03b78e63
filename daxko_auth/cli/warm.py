"""
`daxko-auth warm`: a token for each of many Daxko clients, before the programs that need them start.
"""

import sys
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from daxko_auth.cli.opening import BaseUrl, open_source
from daxko_auth.cli.printing import AsJson, console, print_fields, print_json, say
from daxko_auth.model.errors import TokenRequestError
from daxko_auth.model.events import Event, RenewalFailed, TokenRenewed, TokenRequested
from daxko_auth.model.scope import Scope
from daxko_auth.model.tokens import AccessToken


def warm(
    scopes: Annotated[
        list[str] | None, typer.Argument(metavar="[SCOPE]...", help="The Daxko clients, such as 9999 1234.")
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="A file with one of them a line; - for standard input.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=16, help="How many token requests go at a time.")] = 8,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> None:
    """
    Get a token for each Daxko client, and keep them for the programs of this user.

    A failure stops nothing; each is listed, and the exit status is 1 if there is any.
    """
    wanted = [*(scopes or ()), *(_lines(file) if file else ())]
    if not wanted:
        raise typer.BadParameter("name the Daxko clients, or a file of them with --file", param_hint="SCOPE")
    began = time.monotonic()
    asked: Counter[str] = Counter()
    bar = Progress("tokens", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console(stderr=True))
    task = bar.add_task("tokens", total=len(wanted))

    def happened(event: Event) -> None:
        if isinstance(event, TokenRequested):
            asked["requests"] += 1
        elif isinstance(event, TokenRenewed | RenewalFailed):
            bar.advance(task)

    with open_source(base_url, happened) as source, bar if sys.stderr.isatty() else nullcontext():
        outcomes = source.warm(wanted, concurrency=concurrency)
        # A wrong password is not sent once for each; those that were spared are done as well.
        bar.update(task, total=len(outcomes), completed=len(outcomes))
    tokens = {scope: outcome for scope, outcome in outcomes.items() if isinstance(outcome, AccessToken)}
    failures = {scope: outcome for scope, outcome in outcomes.items() if isinstance(outcome, TokenRequestError)}
    if as_json:
        print_json(_facts(tokens, failures, asked["requests"]))
    else:
        for scope, error in failures.items():
            say(f"{scope}: {error}")
        print_fields(
            {
                "tokens": f"{len(tokens):,}",
                "failures": f"{len(failures):,}",
                "token requests": f"{asked['requests']:,}",
                "seconds": f"{time.monotonic() - began:.1f}",
            }
        )
    raise typer.Exit(1 if failures else 0)


def _lines(file: Path) -> list[str]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8-sig")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint="--file") from None
    except ValueError:
        raise typer.BadParameter(f"{file} is not text in UTF-8", param_hint="--file") from None
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def _facts(
    tokens: dict[Scope, AccessToken], failures: dict[Scope, TokenRequestError], requests: int
) -> dict[str, object]:
    return {
        "tokens": [
            {"scope": scope.wire, "fingerprint": token.fingerprint, "expires_at": token.expires_at.isoformat()}
            for scope, token in tokens.items()
        ],
        "failures": [
            {"scope": scope.wire, "error": type(error).__name__, "retryable": error.retryable, "message": str(error)}
            for scope, error in failures.items()
        ],
        "token_requests": requests,
    }

"""
`daxko-auth token` and `daxko-auth member`: a token, or what can be told about it.
"""

import sys
import time
from typing import Annotated

import typer

from daxko_auth.cli.opening import BaseUrl, ScopeArgument, ScopeOption, open_source
from daxko_auth.cli.printing import (
    AsJson,
    duration,
    fail,
    instant,
    is_watched,
    print_fields,
    print_json,
    say,
    tell,
)
from daxko_auth.client import Daxko
from daxko_auth.model.credentials import secrets_from_env
from daxko_auth.model.secret import Secret
from daxko_auth.model.tokens import AccessToken, MemberToken

Reveal = Annotated[bool, typer.Option("--reveal", help="Print the token itself, on a terminal and in JSON as well.")]


def token(scope: ScopeArgument, *, reveal: Reveal = False, as_json: AsJson = False, base_url: BaseUrl = None) -> None:
    """
    Get an access token: the one that is kept, or a new one.

    On a terminal, its scope, age and end are printed. Into a pipe or a file goes the token itself:

        curl -H "Authorization: Bearer $(daxko-auth token 9999)" ...
    """
    with open_source(base_url) as source:
        held = source.token(scope)
    _print(held, {"scope": held.scope.wire, "base URL": source.origin.base_url}, reveal=reveal, as_json=as_json)


def member(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The member's user name.")],
    *,
    scope: ScopeOption,
    reveal: Reveal = False,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> None:
    """
    Sign a member in, and get the member's token.

    The password is asked for, or read from DAXKO_MEMBER_PASSWORD, from the file that DAXKO_MEMBER_PASSWORD_FILE names,
    or from standard input. It is sent once: a doubled failed login can lock the member out.
    """
    with open_source(base_url) as source, Daxko(source.credentials, scope, source=source) as daxko:
        signed_in = daxko.member_token(name, _member_password())
    _print(signed_in, {"member": name, "base URL": source.origin.base_url}, reveal=reveal, as_json=as_json)


def _member_password() -> Secret:
    of_env = secrets_from_env().get("DAXKO_MEMBER_PASSWORD")
    if of_env is not None:
        return of_env
    if sys.stdin.isatty():
        return Secret(typer.prompt("The member's password", hide_input=True, err=True))
    try:
        given = Secret(sys.stdin.readline().removesuffix("\n"))
    except (OSError, ValueError):  # a folder, or no text
        given = Secret("")
    if not given:
        fail("no password on standard input. Set DAXKO_MEMBER_PASSWORD_FILE to the path of a file that holds it", 2)
    return given


def _print(held: AccessToken | MemberToken, fields: dict[str, str], *, reveal: bool, as_json: bool) -> None:
    left = held.expires_at.timestamp() - time.time()
    age = max(0.0, held.expires_in - left)
    if as_json:
        shown: dict[str, object] = {name.lower().replace(" ", "_"): value for name, value in fields.items()}
        shown |= {
            "fingerprint": held.fingerprint,
            "age": round(age),
            "expires_in": round(left),
            "expires_at": held.expires_at.isoformat(),
        }
        print_json(shown | {"token": held.reveal()} if reveal else shown)
    elif reveal or not is_watched():
        tell(held.reveal())
    else:
        expires = f"{instant(held.expires_at)}, in {duration(left)}"
        print_fields({**fields, "fingerprint": held.fingerprint, "age": duration(age), "expires": expires})
        say("For the token itself, add --reveal, or pipe this into something.")

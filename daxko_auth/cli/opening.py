"""
What every command begins with: the settings, and a source that keeps tokens from one command to the next.

A command lives for a second. Without a store each would ask Daxko for another token, and rate limits are per account.
"""

from collections.abc import Callable
from typing import Annotated

import typer

from daxko_auth.cli.printing import say
from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.errors import TokenStoreError
from daxko_auth.model.events import Event
from daxko_auth.policy.source import TokenSource
from daxko_auth.stores.file_store import FileStore

BaseUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Daxko's origin; by default DAXKO_BASE_URL, or else https://api.daxko.com."),
]
ScopeOption = Annotated[
    str, typer.Option("--scope", metavar="NUMBER", help="The Daxko client (the customer), such as 9999.")
]
ScopeArgument = Annotated[str, typer.Argument(metavar="SCOPE", help="The Daxko client (the customer), such as 9999.")]


def open_source(base_url: str | None, on_event: Callable[[Event], object] | None = None) -> TokenSource:
    """
    Return a source for the account of the environment, with the files of `FileStore()` where they can be used.

    Raises:
        CredentialsError: a setting is missing or wrong; nothing was sent.
    """
    return TokenSource(ApiCredentials.from_env(), base_url, store=_store(), on_event=on_event)


def _store() -> FileStore | None:
    try:
        return FileStore()
    except TokenStoreError as error:
        say(
            f"daxko-auth: the token is not kept for the next command. {error}. For commands, set XDG_CACHE_HOME to a "
            "folder that this user may write to"
        )
        return None

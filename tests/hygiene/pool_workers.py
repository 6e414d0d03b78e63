"""What the worker processes of a pool run. A module of its own, because a spawned process has to import it."""

import functools
import os

from daxko_auth import AccessToken, ApiCredentials, Daxko, TokenSource

#: A forked worker finds here what its parent had made; a spawned one finds nothing.
inherited: TokenSource | None = None


@functools.cache
def source() -> TokenSource:
    """Return the parent's source, or one made from the environment, once per process."""
    return inherited or TokenSource(ApiCredentials.from_env())


def call(client_id: int) -> tuple[int, int]:
    """Use a token; return which process this is, and whom the server took it for."""
    with Daxko(source().credentials, client_id, source=source()) as daxko:
        return os.getpid(), daxko.http.get("/v3/x").json()["client_id"]


def bring_back(client_id: int) -> AccessToken:
    """Try to hand a token to the parent."""
    return source().token(client_id)


def take(given: object) -> None:
    """Take whatever is given; it is never called."""
    raise AssertionError(given)

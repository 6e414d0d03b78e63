"""
The extras of the package, and the one message for what is missing without them.

The message names a checkout, never the package's name at an index: nobody has registered that name yet, and whoever
does would get code into programs that hold secrets.
"""

from typing import Literal

#: Those that a message may name. Each is in `pyproject.toml`.
Extra = Literal["aiohttp", "cli", "files", "httpx2", "otel", "redis", "requests", "sandbox", "testing"]


def missing_extra(what: str, error: ModuleNotFoundError, extra: Extra) -> str:
    """Say which module `what` needs, which extra installs it, and how."""
    return (
        f"{what} needs {error.name}, which the extra `{extra}` installs: "
        f"in a checkout of daxko-auth, run pip install '.[{extra}]'"
    )

"""
One spelling for all paths that servers may take for the same endpoint.
"""

import re
from typing import Final
from urllib.parse import unquote

# In normal form already, which nearly every path is.
_PLAIN: Final = re.compile(r"(?:/[a-z0-9_-]+)+", re.ASCII)
# Each round undoes one more encoding of an encoding; a gateway and a server behind it undo two.
_ROUNDS: Final = 4


def normalised(path: str) -> str:
    """
    Return `path` as the most generous server would read it.

    Percent-encoding, backslashes, path parameters (`;v=1`), doubled slashes, dot segments, a slash or blanks at the end
    and capitals make no difference to some servers or gateways.
    """
    if _PLAIN.fullmatch(path):
        return path
    for _ in range(_ROUNDS):
        path = unquote(path)
    segments: list[str] = []
    for written in path.replace("\\", "/").split("/"):
        segment = "".join(filter(str.isprintable, written.partition(";")[0])).strip()
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment.casefold())
    return "/" + "/".join(segments)

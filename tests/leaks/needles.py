"""
What is looked for: every secret of a test, in every spelling, and its beginning and end.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from daxko_auth.model.vendor import EXAMPLE_MEMBER_PASSWORD
from daxko_auth.testing.spellings import SHORTEST, spellings

# The beginning of a token is a leak, too: enough of it to tell it from others.
_PIECE: Final = 12
# The guide's member password is also how it is called, in messages and in names of parameters.
_WORDS: Final = frozenset({EXAMPLE_MEMBER_PASSWORD})


def is_worth_hunting(value: str) -> bool:
    """Whether a value can be told from words that stand there by chance."""
    return len(value) >= SHORTEST and value not in _WORDS and not value.isspace()


@lru_cache(maxsize=4096)
def needles(value: str) -> tuple[str, ...]:
    """Return all spellings of `value`, and its telling pieces."""
    found = set(spellings(value))
    if value.count(".") == 2:
        # Every JWT of one issuer begins alike; its signature is its own.
        found.add(value.rpartition(".")[2])
    elif len(value) >= 2 * _PIECE:
        found |= {value[:_PIECE], value[-_PIECE:]}
    return tuple(needle for needle in found if len(needle) >= SHORTEST)


def found_in(text: str, secrets: Iterable[str]) -> bool:
    """Whether any of them stands in `text`, in any spelling."""
    return any(needle in text for secret in secrets for needle in needles(secret))

"""
A misspelt import, which both type checkers must refuse: each complains of a comment that it does not need.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from daxko_auth import Tokensource  # type: ignore[attr-defined]

__all__ = ["Tokensource"]

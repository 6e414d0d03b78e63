"""
Whose token it is: what two callers must have in common to share one.
"""

from attrs import frozen

from daxko_auth.model.credentials import Account
from daxko_auth.model.scope import Scope


@frozen
class TokenKey:
    """One origin, one API account with the very same secrets, one scope."""

    #: Scheme, host and port, e.g. `https://api.daxko.com`.
    origin: str
    credentials: Account
    scope: Scope

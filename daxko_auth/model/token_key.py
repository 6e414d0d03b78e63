"""
Whose token it is: what two callers must have in common to share one.
"""

from attrs import frozen

from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.scope import ClientScope


@frozen
class TokenKey:
    """One origin, one API account with the very same secrets, one Daxko client."""

    #: Scheme, host and port, e.g. `https://api.daxko.com`.
    origin: str
    credentials: ApiCredentials
    scope: ClientScope

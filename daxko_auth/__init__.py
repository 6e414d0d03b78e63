"""
Access tokens for the Daxko Operations API: requested once, shared, renewed in time.

The whole public door stands in `__all__`; everything else may change without notice.
"""

from daxko_auth.doors.daxko import AsyncDaxko, Daxko
from daxko_auth.doors.httpx import DaxkoAuth
from daxko_auth.edges.memory_store import MemoryStore
from daxko_auth.facts import events
from daxko_auth.facts.credentials import ApiCredentials
from daxko_auth.facts.errors import (
    CredentialsError,
    DaxkoAuthError,
    MemberLoginRefused,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenRequestError,
    TokenResponseInvalid,
    TokenStoreError,
    UntrustedOriginError,
)
from daxko_auth.facts.scope import ClientScope
from daxko_auth.facts.secret import Secret
from daxko_auth.facts.token_key import TokenKey
from daxko_auth.facts.tokens import AccessToken, MemberToken
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.renewal_policy import RenewalPolicy
from daxko_auth.policy.source import TokenSource
from daxko_auth.policy.store import TokenStore

__version__ = "0.1.0"

__all__ = [
    "AccessToken",
    "ApiCredentials",
    "AsyncDaxko",
    "ClientScope",
    "Clock",
    "CredentialsError",
    "Daxko",
    "DaxkoAuth",
    "DaxkoAuthError",
    "MemberLoginRefused",
    "MemberToken",
    "MemoryStore",
    "RenewalPolicy",
    "Secret",
    "TokenEndpointUnavailable",
    "TokenKey",
    "TokenRefused",
    "TokenRequestError",
    "TokenResponseInvalid",
    "TokenSource",
    "TokenStore",
    "TokenStoreError",
    "UntrustedOriginError",
    "events",
]

# Reprs and tracebacks name things by where they are imported from, not by the room they live in.
for _public in map(globals().__getitem__, __all__):
    if _public is not events:
        _public.__module__ = __name__

"""
Access tokens for the Daxko Operations API: requested once, shared, renewed in time.

All public names stand in `__all__` and `_LAZY`; everything else may change without notice.
"""

import sys as _sys
import typing as _typing
from importlib import import_module as _import_module

from daxko_auth.adapters.httpx import DaxkoAuth
from daxko_auth.client import AsyncDaxko, Daxko
from daxko_auth.model import events
from daxko_auth.model.credentials import Account, ApiCredentials
from daxko_auth.model.errors import (
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
from daxko_auth.model.extras import Extra as _Extra
from daxko_auth.model.extras import missing_extra as _missing_extra
from daxko_auth.model.scope import ClientScope, Scope
from daxko_auth.model.secret import Secret
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken, MemberToken
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.renewal_policy import RenewalPolicy
from daxko_auth.policy.source import TokenSource
from daxko_auth.policy.store import TokenStore
from daxko_auth.stores.memory_store import MemoryStore

if _typing.TYPE_CHECKING:  # pragma: no cover - never where the code runs
    # With `as`, so that type checkers take them for public: they are not in `__all__`.
    from daxko_auth.adapters.aiohttp import AiohttpAuth as AiohttpAuth
    from daxko_auth.adapters.httpx2 import Httpx2Auth as Httpx2Auth
    from daxko_auth.adapters.opentelemetry import OpenTelemetryEvents as OpenTelemetryEvents
    from daxko_auth.adapters.requests import RequestsAuth as RequestsAuth
    from daxko_auth.stores.file_store import FileStore as FileStore
    from daxko_auth.stores.redis_store import RedisStore as RedisStore

__version__ = "0.1.0"

__all__ = [
    "AccessToken",
    "Account",
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
    "Scope",
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

# What needs packages of an extra: public as well, and imported when it is first asked for. Not in `__all__`, because
# `from daxko_auth import *` asks for everything there.
_LAZY: dict[str, tuple[str, _Extra]] = {
    "AiohttpAuth": ("daxko_auth.adapters.aiohttp", "aiohttp"),
    "FileStore": ("daxko_auth.stores.file_store", "files"),
    "Httpx2Auth": ("daxko_auth.adapters.httpx2", "httpx2"),
    "OpenTelemetryEvents": ("daxko_auth.adapters.opentelemetry", "otel"),
    "RedisStore": ("daxko_auth.stores.redis_store", "redis"),
    "RequestsAuth": ("daxko_auth.adapters.requests", "requests"),
}

# Reprs and tracebacks name things by where they are imported from, not by the module they are defined in.
for _name in set(__all__) - {"events"}:
    globals()[_name].__module__ = __name__


# Hidden from type checkers, which would take every misspelt name for one of these.
if not _typing.TYPE_CHECKING:  # pragma: no branch - always where the code runs

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg, name=name, obj=_sys.modules[__name__])
        module, extra = _LAZY[name]
        try:
            public = getattr(_import_module(module), name)
        except ModuleNotFoundError as error:
            raise ImportError(_missing_extra(name, error, extra)) from error
        public.__module__ = __name__
        globals()[name] = public
        return public


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})

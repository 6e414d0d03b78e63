"""
A program as a user writes it, for the type checkers; `mypy --strict` and `pyright` strict both read it.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import assert_type

import httpx
import redis

from daxko_api.api.members import request_member_token
from daxko_api.models import MemberTokenRequest
from daxko_auth import (
    AccessToken,
    ApiCredentials,
    AsyncDaxko,
    ClientScope,
    Daxko,
    DaxkoAuth,
    FileStore,
    MemberToken,
    MemoryStore,
    RedisStore,
    RenewalPolicy,
    Scope,
    TokenEndpointUnavailable,
    TokenRequestError,
    TokenSource,
)


def threads(credentials: ApiCredentials) -> None:
    """Use everything that blocks."""
    policy = RenewalPolicy(renew_after=0.5, deadline=10)
    with TokenSource(credentials, "https://api.daxko.com", store=MemoryStore(), policy=policy) as source:
        token = source.token(9999)
        assert_type(token, AccessToken)
        assert_type(token.scope, Scope)
        assert_type(token.expires_at, datetime)
        assert_type(token.usable_at(datetime.now(UTC), early_expiry=30), bool)
        assert_type(source.token("client:9999").reveal(), str)
        assert_type(source.warm([9999, "1234"]), dict[Scope, AccessToken | TokenRequestError])
        source.reject(token)
        httpx.Client(auth=DaxkoAuth(source, ClientScope(9999), replay=False))
    for store in (FileStore(), FileStore("tokens"), FileStore(folder=Path("tokens"))):
        assert_type(store, FileStore)
        TokenSource(credentials, store=store).close()
    for shared in (RedisStore("rediss://redis.example"), RedisStore(redis.Redis(socket_timeout=1))):
        TokenSource(credentials, store=shared).close()
    try:
        with Daxko(credentials, "9999", timeout=5) as daxko, daxko.for_scope(1234) as sibling:
            assert_type(daxko.http, httpx.Client)
            assert_type(sibling.member_token("name", "password"), MemberToken)
            request_member_token.sync(client=daxko.api, body=MemberTokenRequest("name", "password"))
    except TokenEndpointUnavailable as error:
        assert_type(error.retry_after, float | None)


async def tasks(credentials: ApiCredentials, source: TokenSource) -> None:
    """Use everything that awaits."""
    assert_type(await source.atoken(9999), AccessToken)
    httpx.AsyncClient(auth=DaxkoAuth(source, 9999))
    async with AsyncDaxko(credentials, 9999, source=source) as daxko, daxko.for_scope(1234) as sibling:
        assert_type(sibling.http, httpx.AsyncClient)
        assert_type(await daxko.member_token("name", "password"), MemberToken)

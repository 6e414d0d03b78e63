"""Signing a member in, in each world."""

from functools import partial
from typing import Any

import anyio
import httpx
import pytest
from support import PATIENCE

from daxko_auth import (
    ApiCredentials,
    AsyncDaxko,
    Daxko,
    MemberToken,
    TokenSource,
)
from daxko_auth.sandbox import Sandbox


@pytest.fixture(params=["thread", "asyncio", "trio"])
def sign_in(request: pytest.FixtureRequest, sandbox: Sandbox, source: TokenSource, credentials: ApiCredentials) -> Any:
    """Sign a member in, in this world."""

    async def asign_in(*member: Any, limit: float | httpx.Timeout) -> MemberToken:
        async with AsyncDaxko(credentials, 9999, source=source, timeout=limit) as daxko:
            return await daxko.member_token(*member)

    def sign_in_here(*member: Any, timeout: float | httpx.Timeout = PATIENCE) -> MemberToken:
        if request.param != "thread":
            return anyio.run(partial(asign_in, limit=timeout), *member, backend=request.param)
        with Daxko(credentials, 9999, source=source, timeout=timeout) as daxko:
            return daxko.member_token(*member)

    return sign_in_here

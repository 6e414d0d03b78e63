"""A member login, asked once, in each world: threads, asyncio, trio."""

from typing import Any

import anyio
import httpx
from asking import SENT_AT

from daxko_auth.model import vendor
from daxko_auth.model.origin import Origin
from daxko_auth.model.secret import Secret
from daxko_auth.model.tokens import AccessToken
from daxko_auth.wire.http import new_async_transport, new_transport
from daxko_auth.wire.member_login import LoginOutcome, MemberLogin


def log_in(  # noqa: PLR0913 - all that can differ, by name
    world: str,
    token: AccessToken,
    base_url: str,
    *,
    username: str = vendor.EXAMPLE_MEMBER_NAME,
    password: str = vendor.EXAMPLE_MEMBER_PASSWORD,
    timeout: httpx.Timeout | None = None,
    transport: Any = None,
) -> LoginOutcome:
    """Sign a member in, through a transport of the test's own unless another is given; without a limit, as a rule."""
    origin = Origin.of(base_url)
    login = MemberLogin(origin, httpx.Timeout(timeout))
    who = (token, username, Secret(password))
    if world == "thread":
        if transport is not None:
            return login.request(*who, sent_at=SENT_AT, transport=transport)
        with new_transport(origin) as own:
            return login.request(*who, sent_at=SENT_AT, transport=own)

    async def awaiting() -> LoginOutcome:
        if transport is not None:
            return await login.arequest(*who, sent_at=SENT_AT, transport=transport)
        async with new_async_transport(origin) as own:
            return await login.arequest(*who, sent_at=SENT_AT, transport=own)

    return anyio.run(awaiting, backend=world)

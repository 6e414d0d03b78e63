"""`Daxko` and `AsyncDaxko` behind one face, so that what holds for one is written once and tried with both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from daxko_auth import AsyncDaxko, Daxko, MemberToken


class EitherDaxko:
    """A `Daxko` that is awaited although it blocks, or an `AsyncDaxko`."""

    def __init__(self, daxko: Daxko | AsyncDaxko) -> None:
        self._daxko = daxko

    async def get(self, path: str = "/v3/x", **options: Any) -> httpx.Response:
        """Send a GET."""
        match self._daxko:
            case Daxko():
                return self._daxko.http.get(path, **options)
            case AsyncDaxko():
                return await self._daxko.http.get(path, **options)

    @asynccontextmanager
    async def stream(self, path: str = "/v3/x") -> AsyncIterator[AsyncIterator[bytes]]:
        """Send a GET, and yield what comes, some bytes at a time."""
        match self._daxko:
            case Daxko():
                with self._daxko.http.stream("GET", path) as response:
                    yield _awaited(response)
            case AsyncDaxko():
                async with self._daxko.http.stream("GET", path) as response:
                    yield response.aiter_bytes(1000)

    async def member_token(self, password: str = "member_password") -> MemberToken:  # noqa: S107 - the sandbox's own
        """Sign the sandbox's member in."""
        match self._daxko:
            case Daxko():
                return self._daxko.member_token("member_name", password)
            case AsyncDaxko():
                return await self._daxko.member_token("member_name", password)

    async def close(self) -> None:
        """Close the connections."""
        match self._daxko:
            case Daxko():
                self._daxko.close()
            case AsyncDaxko():
                await self._daxko.aclose()


async def _awaited(response: httpx.Response) -> AsyncIterator[bytes]:
    for chunk in response.iter_bytes(1000):
        yield chunk

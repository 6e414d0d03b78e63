"""Answers are read up to a cap, at both token endpoints, by threads and tasks, however what pours is packed."""

import gzip
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio
import httpx
import pytest
from either_daxko import EitherDaxko
from inventory import nothing_left_behind
from raw_server import Behaviour, RawServer, answer, pouring, saying
from support import PATIENCE

from daxko_auth import ApiCredentials, AsyncDaxko, Daxko, RenewalPolicy, TokenRequestError, TokenSource

LARGEST_PEAK = 4_000_000
"""Bytes of memory that an answer may take while it is read; a bomb here unfolds to more than ten times that."""

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BLANKS = b" " * 65_536
BOMB = b" " * 50_000_000


def packed(body: bytes, encoding: str) -> Behaviour:
    """Say something compressed, and hang up."""
    return saying(answer(body, Content_Encoding=encoding, Connection="close"))


FLOODS: dict[str, Behaviour] = {
    "a body": pouring(OK + b"\r\n", BLANKS),
    "a body of a stated length": pouring(OK + b"Content-Length: 999999999999\r\n\r\n", BLANKS),
    "a status line": pouring(b"HTTP/1.1 200 ", b"O" * 65_536),
    "a header": pouring(OK + b"X: ", b"x" * 65_536),
    "headers": pouring(OK, b"X: y\r\n" * 10_000),
    "chunks": pouring(CHUNKED, b"10000\r\n" + BLANKS + b"\r\n"),
    "small chunks": pouring(CHUNKED, (b"80\r\n" + b" " * 128 + b"\r\n") * 1000),
    "a huge chunk": pouring(CHUNKED + b"ffffffffffffffff\r\n", BLANKS),
    "the size of a chunk": pouring(CHUNKED, b"1" * 65_536),
    "an extension of a chunk": pouring(CHUNKED + b"2;x=", b"y" * 65_536),
    "trailers": pouring(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n" * 10_000),
    "a gzip bomb": packed(gzip.compress(BOMB), "gzip"),
    "a deflate bomb": packed(zlib.compress(BOMB), "deflate"),
    "a bomb in a bomb": packed(gzip.compress(gzip.compress(BOMB)), "gzip, gzip"),
}


@contextmanager
def little_memory() -> Iterator[None]:
    """See that the block takes little memory at any time, on whatever thread."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LARGEST_PEAK


@pytest.mark.parametrize("flood", FLOODS)
def test_a_token_endpoint_that_pours_is_hung_up_on(credentials: ApiCredentials, flood: str) -> None:
    """Somebody else answers: a proxy, a captive portal, an attacker. None of them gets at our memory."""
    policy = RenewalPolicy(attempts=1, first_pause=1e-9, attempt_timeout=PATIENCE, deadline=PATIENCE)
    with RawServer(FLOODS[flood]) as server, TokenSource(credentials, server.base_url, policy=policy) as source:

        def fail() -> None:
            with pytest.raises(TokenRequestError) as failed:
                source.token(9999)
            assert "did not answer within" not in str(failed.value), "it ends by the cap, not by the clock"

        fail()
        with nothing_left_behind(), little_memory():
            fail()


@pytest.mark.parametrize("flood", FLOODS)
def test_a_member_endpoint_that_pours_is_hung_up_on(credentials: ApiCredentials, world: str, flood: str) -> None:
    """The same where the answer comes over the connections of a `Daxko`, which go on to be used."""
    grant = httpx.MockTransport(lambda _: httpx.Response(200, json={"access_token": "canary", "expires_in": 60}))

    async def in_world(run: Callable[[EitherDaxko], Awaitable[None]], source: TokenSource) -> None:
        if world == "thread":
            with Daxko(credentials, 9999, source=source) as daxko:
                await run(EitherDaxko(daxko))
        else:
            async with AsyncDaxko(credentials, 9999, source=source) as adaxko:
                await run(EitherDaxko(adaxko))

    async def fail(daxko: EitherDaxko) -> None:
        for _ in range(2):
            with pytest.raises(TokenRequestError, match="The login was not repeated"):
                await daxko.member_token()

    with RawServer(FLOODS[flood]) as server, TokenSource(credentials, server.base_url, http=grant) as source:

        def run() -> None:
            anyio.run(in_world, fail, source, backend="asyncio" if world == "thread" else world)

        run()
        with nothing_left_behind(), little_memory():
            run()
        assert len(server.requests) == 4

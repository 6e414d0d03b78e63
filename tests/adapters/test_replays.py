"""What `DaxkoAuth` sends a second time after a 401, byte for byte, and what it never does."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import h11
import httpx
import pytest
from support import PATIENCE, Call, eventually

from daxko_auth import DaxkoAuth, TokenSource
from daxko_auth.adapters.auth_flow import LARGEST_BUFFERED_BODY
from daxko_auth.sandbox import Sandbox

ACCEPT = {"Accept": "application/json"}
CONTENT = bytes(range(256)) * 10
# A boundary of the test's own: httpx draws another for each request, and digests could not be compared.
FORM = {"Content-Type": "multipart/form-data; boundary=always-the-same"}

Options = dict[str, Any]


class Files:
    """Opens what a test sends, and closes it afterwards."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def at(self, offset: int, content: bytes = CONTENT) -> BinaryIO:
        """Open a file, not at its beginning."""
        path = self._folder / "body"
        path.write_bytes(content)
        body = self._stack.enter_context(path.open("rb"))
        body.seek(offset)
        return body

    def pipe(self) -> BinaryIO:
        """Open a pipe with something in it."""
        reading, writing = os.pipe()
        os.write(writing, b"through a pipe")
        os.close(writing)
        return self._stack.enter_context(os.fdopen(reading, "rb"))


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    """Give files that are closed after the test."""
    with ExitStack() as stack:
        yield Files(tmp_path, stack)


class OneShot:
    """A file that can be read once and neither measured nor rewound: an upload under way from somebody else."""

    def __init__(self) -> None:
        self._left = CONTENT

    def read(self, size: int = -1) -> bytes:
        """Give what is left, and nothing ever after."""
        left, self._left = self._left, b""
        return left


def _chunks() -> Iterator[bytes]:
    yield b"once"
    yield b"only"


async def _achunks() -> AsyncIterator[bytes]:
    yield b"once"
    yield b"only"


Kind = Callable[[Files], Options]

SENT_TWICE: dict[str, Kind] = {
    "bytes": lambda _: {"content": b"\x00\xff" * 500},
    "text": lambda _: {"content": "größe"},
    "json": lambda _: {"json": {"a": [1, 2]}},
    "form": lambda _: {"data": {"a": "1", "b": "2"}},
    "multipart bytes": lambda _: {"files": {"f": b"bytes"}, "data": {"a": "1"}, "headers": FORM},
    "multipart file": lambda files: {"files": {"f": files.at(0)}, "headers": FORM},
    # httpx rewinds what it puts into a form, the first time like the second.
    "multipart file at offset": lambda files: {"files": {"f": files.at(100)}, "headers": FORM},
}
SENT_TWICE_BY_THREADS: dict[str, Kind] = {
    "file": lambda files: {"content": files.at(0)},
    "file at offset": lambda files: {"content": files.at(100), "headers": {"Content-Length": "2460"}},
}
SENT_ONCE: dict[str, Kind] = {
    "multipart one-shot": lambda _: {"files": {"f": OneShot()}, "headers": FORM},
    "multipart large file": lambda files: {"files": {"f": files.at(0, bytes(LARGEST_BUFFERED_BODY + 1))}},
}
SENT_ONCE_BY_THREADS: dict[str, Kind] = {
    "generator": lambda _: {"content": _chunks()},
    # By the chunk, because httpx itself takes a bare pipe for an empty file.
    "pipe": lambda files: {"content": iter(partial(files.pipe().read, 5), b"")},
    "large file": lambda files: {"content": files.at(0, bytes(LARGEST_BUFFERED_BODY + 1))},
}
# Files whose length httpx takes from the system, which knows nothing of where they stand.
NEVER_SENT: dict[str, Kind] = {
    "file at offset, unsaid": lambda files: {"content": files.at(100)},
    "bare pipe": lambda files: {"content": files.pipe()},
}


def post(world: str, sandbox: Sandbox, source: TokenSource, path: str, options: Options) -> httpx.Response:
    """Send one request in a world."""
    arguments: Options = {"base_url": sandbox.base_url, "auth": DaxkoAuth(source, 9999), "headers": ACCEPT}

    async def task() -> httpx.Response:
        async with httpx.AsyncClient(**arguments) as http:
            return await http.post(path, **options)

    if world != "thread":
        return anyio.run(task, backend=world)
    with httpx.Client(**arguments) as http:
        return http.post(path, **options)


def is_replayed(world: str, sandbox: Sandbox, source: TokenSource, first: Options, second: Options) -> None:
    """Send the same body twice, refused at first the second time, and see that the whole of it arrived both times."""
    unrefused = post(world, sandbox, source, "/v3/x", first)
    sandbox.expire()

    answer = post(world, sandbox, source, "/v3/x", second)

    assert [answer.status_code, *(earlier.status_code for earlier in answer.history)] == [200, 401]
    assert answer.json()["body"] == unrefused.json()["body"]
    assert answer.json()["body"]["bytes"] > 0


def is_handed_over(world: str, sandbox: Sandbox, source: TokenSource, options: Options) -> None:
    """Send a body that is refused, and see that its 401 comes back and nothing else left."""
    source.token(9999)
    sandbox.expire()

    answer = post(world, sandbox, source, "/v3/once", options)

    assert (answer.status_code, answer.history) == (401, [])
    assert [arrival.path for arrival in sandbox.log].count("/v3/once") == 1
    assert post(world, sandbox, source, "/v3/next", {}).status_code == 200
    assert sandbox.token_requests() == 2, "the next call has a new token"


@pytest.mark.parametrize("kind", SENT_TWICE.values(), ids=SENT_TWICE)
def test_a_replay_is_the_same_to_the_byte(
    sandbox: Sandbox, source: TokenSource, world: str, kind: Kind, files: Files
) -> None:
    """A replay that loses half of a body is worse than a 401."""
    is_replayed(world, sandbox, source, kind(files), kind(files))


@pytest.mark.parametrize("kind", SENT_TWICE_BY_THREADS.values(), ids=SENT_TWICE_BY_THREADS)
def test_a_file_is_replayed_from_where_it_stood(
    sandbox: Sandbox, source: TokenSource, kind: Kind, files: Files
) -> None:
    """What was read once is kept for the second time; reading on would send what is left: nothing."""
    is_replayed("thread", sandbox, source, kind(files), kind(files))


@pytest.mark.parametrize("kind", SENT_ONCE.values(), ids=SENT_ONCE)
def test_a_form_that_can_be_read_only_once_is_not_replayed(
    sandbox: Sandbox, source: TokenSource, world: str, kind: Kind, files: Files
) -> None:
    """Httpx would send such a form again with nothing in it."""
    is_handed_over(world, sandbox, source, kind(files))


@pytest.mark.parametrize("kind", SENT_ONCE_BY_THREADS.values(), ids=SENT_ONCE_BY_THREADS)
def test_a_body_that_can_be_read_only_once_is_not_replayed(
    sandbox: Sandbox, source: TokenSource, kind: Kind, files: Files
) -> None:
    """The 401 comes back as it is, and no empty body leaves."""
    is_handed_over("thread", sandbox, source, kind(files))


@pytest.mark.parametrize("world", ["asyncio", "trio"])
def test_an_async_generator_is_not_replayed_either(sandbox: Sandbox, source: TokenSource, world: str) -> None:
    """The same promise for tasks."""
    is_handed_over(world, sandbox, source, {"content": _achunks()})


@pytest.mark.parametrize("kind", NEVER_SENT.values(), ids=NEVER_SENT)
@pytest.mark.parametrize("authenticated", [True, False])
def test_a_body_whose_length_is_wrong_is_the_same_error_as_without_us(
    sandbox: Sandbox, source: TokenSource, files: Files, kind: Kind, authenticated: bool
) -> None:
    """The auth must not make a request of it that looks right and holds half."""
    auth = DaxkoAuth(source, 9999) if authenticated else None
    with (
        httpx.Client(base_url=sandbox.base_url, auth=auth, headers=ACCEPT) as http,
        pytest.raises(h11.LocalProtocolError, match="declared Content-Length"),
    ):
        http.post("/v3/x", **kind(files))


def test_a_body_of_the_wrong_world_is_httpxs_own_error(sandbox: Sandbox, source: TokenSource, files: Files) -> None:
    """What httpx refuses by itself it should refuse with its own words."""

    async def main() -> None:
        async with httpx.AsyncClient(base_url=sandbox.base_url, auth=DaxkoAuth(source, 9999), headers=ACCEPT) as http:
            await http.post("/v3/x", content=files.at(0))

    with pytest.raises(RuntimeError, match="AsyncClient"):
        anyio.run(main)
    with (
        httpx.Client(base_url=sandbox.base_url, auth=DaxkoAuth(source, 9999), headers=ACCEPT) as http,
        pytest.raises(RuntimeError, match="sync Client"),
    ):
        http.post("/v3/x", content=_achunks(), headers={"Content-Length": "4"})


def test_a_large_upload_is_streamed_and_not_held_in_memory(
    sandbox: Sandbox, source: TokenSource, tmp_path: Path
) -> None:
    """A day has one 401; it is not worth a gigabyte of memory for each upload."""
    (tmp_path / "large").write_bytes(b"x" * (LARGEST_BUFFERED_BODY + 1))
    with (
        httpx.Client(base_url=sandbox.base_url, auth=DaxkoAuth(source, 9999), headers=ACCEPT) as http,
        (tmp_path / "large").open("rb") as body,
    ):
        request = http.build_request("POST", "/v3/large", content=body)
        assert http.send(request).status_code == 200
        assert not isinstance(request.stream, httpx.ByteStream)


def test_one_request_can_do_without_a_replay(sandbox: Sandbox, source: TokenSource, world: str) -> None:
    """A call that must not be made twice is sent with an auth of its own; the client's other calls are as before."""
    usual, once = DaxkoAuth(source, 9999), DaxkoAuth(source, 9999, replay=False)
    url = f"{sandbox.base_url}/v3/x"

    async def tasks() -> list[int]:
        async with httpx.AsyncClient(auth=usual, headers=ACCEPT) as http:
            return [(await http.post(url, auth=once)).status_code, (await http.post(url)).status_code]

    def threads() -> list[int]:
        with httpx.Client(auth=usual, headers=ACCEPT) as http:
            return [http.post(url, auth=once).status_code, http.post(url).status_code]

    source.token(9999)
    sandbox.expire()

    assert (threads() if world == "thread" else anyio.run(tasks, backend=world)) == [401, 200]
    assert [arrival.status for arrival in sandbox.log if arrival.path == "/v3/x"] == [401, 200]


@pytest.mark.parametrize("status", [408, 429, 500, 503, 504])
def test_a_post_is_never_repeated_on_a_fault(sandbox: Sandbox, source: TokenSource, call: Call, status: int) -> None:
    """Nobody knows whether the registration went through; the answer is the program's to judge."""
    sandbox.fail_next(1, "status", where="resource", status=status)

    assert call(source, 9999, "POST", "/v3/x", content=b"once").status_code == status
    assert [arrival.path for arrival in sandbox.log].count("/v3/x") == 1
    assert sandbox.token_requests() == 1


@pytest.mark.parametrize(("how", "error"), [("hang", httpx.ReadTimeout), ("drop", httpx.TransportError)])
def test_a_post_without_an_answer_is_never_repeated(
    sandbox: Sandbox, source: TokenSource, call: Call, how: Any, error: type[Exception]
) -> None:
    """Silence is no 401: the call may have been carried out."""
    sandbox.fail_next(1, how, where="resource")
    source.token(9999)

    # The request's own, as a program would say it; for the answer alone, as a busy machine may be slow to connect.
    brief = {"timeout": {"read": 0.2}}
    with pytest.raises(error):
        call(source, 9999, "POST", "/v3/x", content=b"once", extensions=brief)
    # What was sent and not waited for may arrive only now.
    eventually(lambda: sandbox.log[-1].path == "/v3/x")
    assert [arrival.path for arrival in sandbox.log].count("/v3/x") == 1
    assert sandbox.token_requests() == 1


def test_a_streamed_answer_that_is_refused_leaves_no_connection_behind(
    sandbox: Sandbox, source: TokenSource, world: str
) -> None:
    """Renewed and replayed like any other, with a pool of one: a leaked connection would be the end of it."""
    limits = httpx.Limits(max_connections=1)
    auth = DaxkoAuth(source, 9999)

    async def tasks() -> None:
        async with httpx.AsyncClient(
            base_url=sandbox.base_url, auth=auth, headers=ACCEPT, limits=limits, timeout=PATIENCE
        ) as http:
            for _ in range(3):
                sandbox.expire()
                async with http.stream("GET", "/v3/streamed") as answer:
                    assert b"".join([chunk async for chunk in answer.aiter_bytes()])
            assert (await http.get("/v3/after")).status_code == 200

    def threads() -> None:
        with httpx.Client(
            base_url=sandbox.base_url, auth=auth, headers=ACCEPT, limits=limits, timeout=PATIENCE
        ) as http:
            for _ in range(3):
                sandbox.expire()
                with http.stream("GET", "/v3/streamed") as answer:
                    assert b"".join(answer.iter_bytes())
            assert http.get("/v3/after").status_code == 200

    source.token(9999)
    if world == "thread":
        threads()
    else:
        anyio.run(tasks, backend=world)
    assert [arrival.status for arrival in sandbox.log if arrival.path == "/v3/streamed"] == [401, 200] * 3

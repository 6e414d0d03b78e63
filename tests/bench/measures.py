"""
The measurements, each of which returns rows of figures.
"""

import asyncio
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
from attrs import frozen

from bench import peers
from bench.server import TokenServer
from daxko_auth import DaxkoAuth

#: Seconds of one round of one contestant.
_ROUND: Final = 0.03


@frozen
class Figure:
    """The median of many rounds, and the ends of their middle half."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Figure":
        """Sum up."""
        low, median, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
        return cls(median, low, high)


def alternating(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Figure]:
    """Return the seconds that one call of each takes; they take turns."""
    number = {}
    for name, way in ways.items():
        # The first may ask for a token.
        way()
        began = time.perf_counter()
        way()
        number[name] = max(1, min(200_000, int(_ROUND / max(time.perf_counter() - began, 1e-7))))
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            repeat = range(number[name])
            began = time.perf_counter()
            for _ in repeat:
                way()
            taken[name].append((time.perf_counter() - began) / number[name])
    return {name: Figure.of(values) for name, values in taken.items()}


def at_hand(server: TokenServer, rounds: int) -> dict[str, Figure]:
    """Measure how long each takes to get at a token that it holds."""
    return alternating(peers.tokens_at_hand(server), rounds)


def per_request(server: TokenServer, rounds: int) -> dict[str, Figure]:
    """Measure what each adds to one request of httpx."""
    return alternating(peers.flows(server), rounds)


def per_async_request(server: TokenServer, rounds: int) -> dict[str, Figure]:
    """Measure the same in a task."""

    async def measure() -> dict[str, Figure]:
        flows = peers.async_flows(server)
        taken: dict[str, list[float]] = {name: [] for name in flows}
        for flow in flows.values():
            await flow()
        for _ in range(rounds):
            for name, flow in flows.items():
                began = time.perf_counter()
                for _ in range(1_000):
                    await flow()
                taken[name].append((time.perf_counter() - began) / 1_000)
        return {name: Figure.of(values) for name, values in taken.items()}

    return asyncio.run(measure())


@frozen
class HerdFigure:
    """How long a herd took until all had a token, what it asked for, and how many of all herds got an error."""

    seconds: Figure
    requests: int
    failed: int = 0


def herd_of_threads(server: TokenServer, count: int, rounds: int) -> dict[str, HerdFigure]:
    """Let cold threads go together."""
    figures = {}
    for herd in peers.HERDS:
        if herd.in_thread is None:
            continue
        taken, requests = [], 0
        failed: list[Exception] = []
        for _ in range(rounds):
            before, get = server.granted(), herd.in_thread(server)
            together = threading.Barrier(count + 1)

            def run(
                get: Callable[[], object] = get,
                together: threading.Barrier = together,
                failed: list[Exception] = failed,
            ) -> None:
                together.wait()
                try:
                    get()
                except Exception as error:  # noqa: BLE001 - whatever a contestant raises
                    failed.append(error)

            threads = [threading.Thread(target=run) for _ in range(count)]
            for thread in threads:
                thread.start()
            together.wait()
            began = time.perf_counter()
            for thread in threads:
                thread.join()
            taken.append(time.perf_counter() - began)
            requests = max(requests, server.granted() - before)
        figures[herd.name] = HerdFigure(Figure.of(taken), requests, len(failed))
    return figures


def herd_of_tasks(server: TokenServer, count: int, rounds: int) -> dict[str, HerdFigure]:
    """Let cold tasks of one loop go together."""
    figures = {}
    for herd in peers.HERDS:
        if herd.in_task is None:
            continue
        taken, requests = [], 0
        for _ in range(rounds):
            before, get = server.granted(), herd.in_task(server)

            async def run(get: Callable[[], Any] = get) -> None:
                await asyncio.gather(*(get() for _ in range(count)))

            began = time.perf_counter()
            asyncio.run(run())
            taken.append(time.perf_counter() - began)
            requests = max(requests, server.granted() - before)
        figures[herd.name] = HerdFigure(Figure.of(taken), requests)
    return figures


def herd_with_calls(server: TokenServer, count: int, rounds: int) -> dict[str, HerdFigure]:
    """Let cold tasks go, each of which then sends a GET through one pool; and the same with a token at hand."""
    url = f"{server.base_url}/v3/x"
    limits, timeout = httpx.Limits(max_connections=100), httpx.Timeout(120)
    ways: dict[str, Callable[[], Any]] = {
        peers.FLOOR: lambda: httpx.AsyncClient(headers={"Authorization": "Bearer x"}, limits=limits, timeout=timeout),
        peers.OURS: lambda: httpx.AsyncClient(
            auth=DaxkoAuth(peers.our_source(server), peers.CLIENT_ID), limits=limits, timeout=timeout
        ),
        peers.BY_HAND: lambda: httpx.AsyncClient(auth=peers.HandMade(server), limits=limits, timeout=timeout),
        peers.AUTHLIB: lambda: peers.async_authlib_client(server, cold=True, limits=limits, timeout=timeout),
    }

    async def run(make: Callable[[], Any]) -> None:
        async with make() as http:
            answers = await asyncio.gather(*(http.get(url) for _ in range(count)))
        assert {answer.status_code for answer in answers} == {200}

    taken: dict[str, list[float]] = {name: [] for name in ways}
    requests = dict.fromkeys(ways, 0)
    for _ in range(rounds):
        for name, make in ways.items():
            before, began = server.granted(), time.perf_counter()
            asyncio.run(run(make))
            taken[name].append(time.perf_counter() - began)
            requests[name] = max(requests[name], server.granted() - before)
    return {name: HerdFigure(Figure.of(values), requests[name]) for name, values in taken.items()}


def all_refused(server: TokenServer, count: int) -> tuple[int, int]:
    """Let the token of many calls in flight be refused; return token requests, and calls that failed."""

    async def run() -> tuple[int, int]:
        source = peers.our_source(server)
        await source.atoken(peers.CLIENT_ID)
        # Somebody else's token is the last one now.
        await asyncio.to_thread(httpx.post, server.token_url)
        server.set("strict", 1)
        before = server.granted()
        auth = DaxkoAuth(source, peers.CLIENT_ID)
        async with httpx.AsyncClient(auth=auth, timeout=httpx.Timeout(120)) as http:
            answers = await asyncio.gather(*(http.get(f"{server.base_url}/v3/x") for _ in range(count)))
        source.close()
        return server.granted() - before, sum(answer.status_code != httpx.codes.OK for answer in answers)

    try:
        return asyncio.run(run())
    finally:
        server.set("strict", 0)


@frozen
class Rotation:
    """What calls take, in seconds, while nothing happens and while tokens are renewed."""

    steady: float
    rotating: float
    renewals: int
    slowest: float


def rotation(server: TokenServer, seconds: float) -> Rotation:
    """Ask for the token in turn, steadily, first with one that lives a day and then with some that live seconds."""

    def asked(source: Any) -> list[float]:
        taken, until = [], time.perf_counter() + seconds
        while time.perf_counter() < until:
            began = time.perf_counter()
            source.token(peers.CLIENT_ID)
            taken.append(time.perf_counter() - began)
            time.sleep(0.0002)
        return sorted(taken)

    with peers.our_source(server) as source:
        source.token(peers.CLIENT_ID)
        steady = asked(source)
    server.set("life", 4)
    try:
        with peers.our_source(server) as source:
            source.token(peers.CLIENT_ID)
            before = server.granted()
            rotating = asked(source)
            renewals = server.granted() - before
    finally:
        server.set("life", 86_400)
    return Rotation(steady[int(len(steady) * 0.999)], rotating[int(len(rotating) * 0.999)], renewals, rotating[-1])


@frozen
class Scopes:
    """What a token at hand costs among few scopes and among many, in seconds; and what each takes, in bytes."""

    few: Figure
    many: Figure
    bytes_each: float


def many_scopes(server: TokenServer, count: int, rounds: int) -> Scopes:
    """Hold tokens for many scopes."""
    server.set("latency", 0)
    few, many = peers.our_source(server), peers.our_source(server)
    few.warm(range(1, 11), concurrency=16)
    many.warm(range(1, 17), concurrency=16)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    outcomes = many.warm(range(17, count + 1), concurrency=16)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    figures = alternating({"few": lambda: few.token(7), "many": lambda: many.token(count // 2)}, rounds)
    return Scopes(figures["few"], figures["many"], held / len(outcomes))


def imports(rounds: int) -> dict[str, Figure]:
    """Return the seconds that importing takes, beyond those of a bare Python."""
    # httpx imports its own command line where it finds what that needs.
    alone = "import sys; sys.modules['click'] = sys.modules['rich'] = sys.modules['httpx2'] = None; "
    lines = {
        "": "pass",
        "httpx": "import httpx",
        "httpx and attrs": "import httpx, attrs",
        peers.OURS: "import daxko_auth",
        peers.HTTPX_AUTH: "import httpx_auth",
        peers.AUTHLIB: "import warnings; warnings.simplefilter('ignore'); import authlib.integrations.httpx_client",
        peers.GOOGLE: "import google.oauth2.credentials, google.auth.transport.requests",
    }
    taken: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(rounds):
        for name, line in lines.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", alone + line], check=True)  # noqa: S603 - our own lines
            taken[name].append(time.perf_counter() - began)
    bare = statistics.median(taken.pop(""))
    return {name: Figure.of([value - bare for value in values]) for name, values in taken.items()}


_COUNTED: Final = """
import sys
from bench.peers import CLIENT_ID, flows, our_source
from bench.server import TokenServer
server = TokenServer(sys.argv[1])
source = our_source(server)
source.token(CLIENT_ID)
way = ({"token": lambda: source.token(CLIENT_ID)} | flows(server))[sys.argv[2]]
way()
for _ in range(int(sys.argv[3])):
    way()
"""


def instructions(server: TokenServer) -> dict[str, float]:
    """Count the machine instructions of a token at hand and of what is added to a request; none without valgrind."""
    if shutil.which("valgrind") is None:
        return {}
    counted = {}
    for name in ("token", *peers.flows(server)):
        few, many = (_instructions(server, name, times) for times in (500, 5_500))
        counted[name] = (many - few) / 5_000
    return counted


def _instructions(server: TokenServer, name: str, times: int) -> int:
    ran = subprocess.run(  # noqa: S603 - our own lines
        [
            *("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"),
            *(sys.executable, "-W", "ignore", "-c", _COUNTED, server.base_url, name, str(times)),
        ],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    found = re.search(r"Collected : (\d+)", ran.stderr)
    assert found, ran.stderr
    return int(found[1])

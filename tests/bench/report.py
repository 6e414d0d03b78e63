"""
Runs all measurements and says what came of them: `scripts/bench` says how to call it.
"""

import argparse
import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench import measures, peers
from bench.measures import Figure, HerdFigure, Rotation, Scopes
from bench.plot import Bars, plot
from bench.server import token_server

_PEERS: Final = ("httpx", "Authlib", "httpx-auth", "google-auth")

_DOCS: Final = Path(__file__).parents[2] / "docs"
_BEGIN, _END = "<!-- what scripts/bench says: -->\n", "<!-- so far. -->"


def report(*, quick: bool) -> tuple[str, str]:
    """Measure everything; return it in Markdown, and the times as a drawing."""
    groups: list[Bars] = []
    return "\n".join(_lines(groups, quick=quick)), plot(groups)


def _lines(groups: list[Bars], *, quick: bool) -> Iterator[str]:
    rounds, herds = (3, 1) if quick else (60, 5)
    threads, tasks, calls, scopes = (16, 100, 50, 200) if quick else (256, 10_000, 1_000, 10_000)
    latency = 0.05 if quick else 0.2
    versions = ", ".join(f"{name} {version(name)}" for name in _PEERS)
    yield f"Python {platform.python_version()} on {platform.system()} {platform.machine()}; {versions}."
    with token_server(latency) as server:
        at_hand = measures.at_hand(server, rounds)
        groups.append(_bars("A token at hand", "ns", 1e9, at_hand))
        yield from _times("A token at hand", "ns", 1e9, at_hand)
        sync = measures.per_request(server, rounds)
        groups.append(_bars("What is added to a request of httpx", "µs", 1e6, sync, over=peers.NO_AUTH))
        yield from _times("What is added to a request of httpx", "µs", 1e6, sync, over=peers.NO_AUTH)
        tasked = measures.per_async_request(server, rounds)
        groups.append(_bars("The same in a task", "µs", 1e6, tasked, over=peers.NO_AUTH))
        yield from _times("The same in a task", "µs", 1e6, tasked, over=peers.NO_AUTH)
        a_token = f"{latency:g} s to get a token"
        yield from _herd(f"{threads} cold threads, {a_token}", measures.herd_of_threads(server, threads, herds))
        yield from _herd(f"{tasks:,} cold tasks, {a_token}", measures.herd_of_tasks(server, tasks, herds))
        yield from _herd(
            f"{calls:,} cold tasks, each of which sends a request through one pool of 100 connections",
            measures.herd_with_calls(server, calls, herds),
        )
        yield from _refused(calls, *measures.all_refused(server, calls))
        yield from _rotation(measures.rotation(server, 2 if quick else 20))
        counted = {} if quick else measures.instructions(server)
        yield from _scopes(scopes, measures.many_scopes(server, scopes, rounds))
    if counted:
        yield from ("", "**Machine instructions** (callgrind)", "", "| what | instructions |", "|---|---:|")
        for name, instructions in counted.items():
            what = "a token at hand, daxko_auth" if name == "token" else f"what is added to a request: {name}"
            yield f"| {what} | {instructions:,.0f} |"
    yield from _times("Import, beyond a bare Python", "ms", 1e3, measures.imports(2 if quick else 21), over="httpx")


def _bars(title: str, unit: str, scale: float, figures: Mapping[str, Figure], *, over: str = "") -> Bars:
    floor = figures[over].median if over else 0.0
    values = {name: (figure.median - floor) * scale for name, figure in figures.items() if name != over}
    return Bars(title, unit, values)


def _times(title: str, unit: str, scale: float, figures: Mapping[str, Figure], *, over: str = "") -> Iterator[str]:
    yield from ("", f"**{title}**", "")
    beside = f" beyond {over} |" if over else ""
    yield f"| | {unit} | middle half |{beside} times the first |"
    yield "|---|---:|---:|---:|" + ("---:|" if over else "")
    first = next(iter(figures.values())).median
    for name, figure in figures.items():
        more = f" {(figure.median - figures[over].median) * scale:+.2f} |" if over else ""
        yield (
            f"| {name} | {figure.median * scale:.2f} | {figure.low * scale:.2f} to {figure.high * scale:.2f} |{more} "
            f"{figure.median / first:.2f} |"
        )


def _refused(calls: int, requests: int, failed: int) -> Iterator[str]:
    yield ""
    yield f"**{calls:,} calls in flight, all answered 401**: {requests} token request, {failed} calls failed."


def _rotation(rotation: Rotation) -> Iterator[str]:
    yield ""
    yield f"**Tokens that live four seconds, asked for steadily**: {rotation.renewals} renewals. Of a thousand calls,"
    yield f"999 take at most {rotation.rotating * 1e6:.1f} µs, and {rotation.steady * 1e6:.1f} µs with a token that"
    yield f"nobody renews; the slowest took {rotation.slowest * 1e3:.2f} ms."


def _scopes(count: int, scopes: Scopes) -> Iterator[str]:
    few, many = scopes.few.median * 1e9, scopes.many.median * 1e9
    yield ""
    yield f"**{count:,} scopes in one process**: a token at hand takes {many:.0f} ns, and {few:.0f} ns among ten;"
    yield f"{scopes.bytes_each:,.0f} bytes for each scope, its token included."


_HERD: Final = "| | token requests, at most | errors, in all rounds | seconds | middle half |"


def _herd(title: str, figures: Mapping[str, HerdFigure]) -> Iterator[str]:
    yield from ("", f"**{title}**", "", _HERD, "|---|---:|---:|---:|---:|")
    for name, figure in figures.items():
        seconds, requests = figure.seconds, f"{figure.requests:,} | {figure.failed:,}"
        yield f"| {name} | {requests} | {seconds.median:.2f} | {seconds.low:.2f} to {seconds.high:.2f} |"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure the library beside others.")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--quick", action="store_true", help="see that it works; the figures mean nothing")
    ways.add_argument("--write", action="store_true", help="put the figures into docs/benchmarks.md, too")
    arguments = parser.parse_args()
    said, drawn = report(quick=arguments.quick)
    sys.stdout.write(f"{said}\n")
    if arguments.write:
        page = _DOCS / "benchmarks.md"
        before, _, rest = page.read_text("utf-8").partition(_BEGIN)
        page.write_text(f"{before}{_BEGIN}\n{said}\n\n{_END}{rest.partition(_END)[2]}", "utf-8")
        (_DOCS / "benchmarks.svg").write_text(drawn, "utf-8")


if __name__ == "__main__":
    main()

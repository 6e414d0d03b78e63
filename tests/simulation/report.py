"""
Simulates the week for every design and says what came of it: `scripts/simulate` says how to call it.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from simulation import week
from simulation.fleet import DAY, Size
from simulation.plot import plot
from simulation.run import DESIGNS, simulate
from simulation.tally import Figures
from simulation.week import WINDOWS, Window

PAGE: Final = Path(__file__).parents[2] / "docs" / "scaling.md"
PLOT: Final = PAGE.with_suffix(".svg")
BEGIN, END = "<!-- what scripts/simulate says: -->", "<!-- so far. -->"

WEEK: Final = Window("Monday to Sunday", week.at(1, 0), week.at(8, 0))
#: Seconds of one step of the plot.
_STEP: Final = 600


@frozen
class Outcome:
    """What one design came to."""

    design: str
    #: Of the whole week, and of each window in order.
    whole: Figures
    windows: tuple[Figures, ...]
    #: The most token requests in one second, for each step of the week.
    peaks: tuple[int, ...]


def outcome_of(design: str, size: Size, seed: int) -> Outcome:
    """Simulate the week for one design."""
    tally = simulate(design, size, seed)
    return Outcome(
        design,
        tally.figures(WEEK.start, WEEK.end),
        tuple(tally.figures(window.start, window.end) for window in WINDOWS),
        tuple(max(tally.requests[start : start + _STEP]) for start in range(int(WEEK.start), int(WEEK.end), _STEP)),
    )


def tables(outcomes: Iterable[Outcome], size: Size, seed: int) -> str:
    """Return what came of it, in Markdown."""
    outcomes = list(outcomes)
    days = (WEEK.end - WEEK.start) / DAY
    lines = [
        f"{size.workers:,} workers on {size.machines:,} machines, {size.scopes:,} scopes; seed {seed}.",
        "",
        "| design | token requests a day | most in 1 s | most in 10 s | answered 429 | calls failed | in a million |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for each in outcomes:
        whole = each.whole
        lines.append(
            f"| {each.design} | {whole.requests / days:,.0f} | {whole.peak:,} | {whole.peak_of_10:,} | "
            f"{whole.too_many:,} | {whole.failed:,} | {1e6 * whole.failed / whole.calls:,.1f} |"
        )
    for title, value in _VALUES.items():
        lines += ["", f"**{title}**", ""]
        lines.append("| when | " + " | ".join(each.design for each in outcomes) + " |")
        lines.append("|---|" + "---:|" * len(outcomes))
        for number, window in enumerate(WINDOWS):
            values = (f"{value(each.windows[number]):,}" for each in outcomes)
            lines.append(f"| {window.name} | {' | '.join(values)} |")
    return "\n".join(lines)


_VALUES: Final[Mapping[str, Callable[[Figures], float]]] = {
    "Token requests": lambda figures: figures.requests,
    "The most token requests in one second": lambda figures: figures.peak,
    "Calls that failed": lambda figures: figures.failed,
    "The longest that a call waited for its token, in seconds": lambda figures: figures.longest,
}


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description="Simulate a week of a fleet.")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size, such as 0.01")
    parser.add_argument("--seed", type=int, default=1, help="another one draws another week")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="designs simulated at the same time")
    parser.add_argument("--design", action="append", choices=DESIGNS, help="only this one; repeat it for more")
    parser.add_argument("--write", action="store_true", help="write it into docs/scaling.md and its plot")
    arguments = parser.parse_args()
    if arguments.write and arguments.design:
        parser.error("--write is for all designs")
    size = scaled(arguments.scale)
    designs = arguments.design or list(DESIGNS)
    with ProcessPoolExecutor(arguments.at_once) as pool:
        outcomes = list(pool.map(outcome_of, designs, [size] * len(designs), [arguments.seed] * len(designs)))
    print(tables(outcomes, size, arguments.seed))  # noqa: T201 - what it is for
    if arguments.write:
        write(outcomes, size, arguments.seed)


def scaled(scale: float) -> Size:
    """Return a fleet of so much of the full size, whose endpoint bears as much for each worker."""
    full = Size()
    return evolve(
        full,
        workers=max(20, round(full.workers * scale)),
        machines=max(4, round(full.machines * scale)),
        scopes=max(10, round(full.scopes * scale)),
        pairs=max(200, round(full.pairs * scale)),
        busy_rate=full.busy_rate * scale,
        limit=max(1, round(full.limit * scale)),
    )


def write(outcomes: Iterable[Outcome], size: Size, seed: int) -> None:
    """Put the tables into the page, and the plot beside it."""
    outcomes = list(outcomes)
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables(outcomes, size, seed)}\n\n{END}{after}", "utf-8")
    PLOT.write_text(plot({each.design: each.peaks for each in outcomes}), "utf-8")


if __name__ == "__main__":
    main()

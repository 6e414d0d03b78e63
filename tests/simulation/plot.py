"""
Draws the week, as it stands in docs/scaling.md: readable on light pages and on dark ones.
"""

import html
from collections.abc import Iterator, Mapping, Sequence
from math import log10
from typing import Final

#: Which designs are drawn, and their colours on light pages and on dark ones.
_DRAWN: Final = {
    "cache per process": ("#b45309", "#fbbf24"),
    "shared cache, no lock": ("#7c3aed", "#c4b5fd"),
    "ours, no store": ("#0369a1", "#7dd3fc"),
    "ours, one RedisStore": ("#15803d", "#86efac"),
}
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WIDTH, _HEIGHT = 960, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 944, 40, 380


def plot(peaks: Mapping[str, Sequence[int]]) -> str:
    """Return an SVG of the most token requests in a second, for each step of the week, on a logarithmic scale."""
    drawn = {design: of_design for design, of_design in peaks.items() if design in _DRAWN}
    most = max(10, *(max(of_design) for of_design in drawn.values()))
    said = "Token requests in the busiest second of every ten minutes of a week"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{said}">',
            f"<style>{_style()}</style>",
            *_grid(most),
            *(line for design, of_design in drawn.items() for line in _design(design, of_design, most)),
            "</svg>\n",
        ]
    )


def _style() -> str:
    def strokes(number: int) -> str:
        return "".join(f".d{design}{{stroke:{colours[number]}}}" for design, colours in enumerate(_DRAWN.values()))

    return (
        "text{font:12px sans-serif;fill:#374151}.grid{stroke:#d1d5db}path{fill:none;stroke-width:1.5}"
        f"{strokes(0)}@media(prefers-color-scheme:dark){{text{{fill:#d1d5db}}.grid{{stroke:#4b5563}}{strokes(1)}}}"
    )


def _grid(most: int) -> Iterator[str]:
    for power in range(int(log10(most)) + 1):
        up = _y(10**power, most)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{up:.1f}" y2="{up:.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{up + 4:.1f}" text-anchor="end">{10**power:,}</text>'
    for number, day in enumerate(_DAYS):
        begins, middle = _x(number, len(_DAYS)), _x(number + 0.5, len(_DAYS))
        yield f'<line class="grid" x1="{begins:.1f}" x2="{begins:.1f}" y1="{_TOP}" y2="{_BOTTOM}"/>'
        yield f'<text x="{middle:.1f}" y="{_BOTTOM + 26}" text-anchor="middle">{day}</text>'


def _design(design: str, peaks: Sequence[int], most: int) -> Iterator[str]:
    number = list(_DRAWN).index(design)
    points = (f"{_x(step, len(peaks)):.1f} {_y(peak, most):.1f}" for step, peak in enumerate(peaks))
    yield f'<path class="d{number}" d="M{"L".join(points)}"/>'
    begins = round(_x(number, len(_DRAWN)))
    yield f'<path class="d{number}" d="M{begins} 20h24" style="stroke-width:3"/>'
    yield f'<text x="{begins + 30}" y="24">{html.escape(design)}</text>'


def _x(step: float, steps: int) -> float:
    return _LEFT + (_RIGHT - _LEFT) * step / steps


def _y(peak: float, most: int) -> float:
    # One in a second stands a little above none.
    share = 0.0 if peak < 1 else (0.3 + log10(peak)) / (0.3 + log10(most))
    return _BOTTOM - (_BOTTOM - _TOP) * share

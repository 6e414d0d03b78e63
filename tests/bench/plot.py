"""
Draws the times of docs/benchmarks.md as bars: readable on light pages and on dark ones.
"""

import html
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import frozen

from bench import peers

_WIDTH, _ROW, _HEAD, _LABEL, _VALUE = 960, 22, 40, 220, 120
_STYLE: Final = (
    "text{font:13px sans-serif;fill:#374151}.title{font-weight:600}rect{fill:#9ca3af}.ours{fill:#15803d}"
    "@media(prefers-color-scheme:dark){text{fill:#d1d5db}rect{fill:#6b7280}.ours{fill:#86efac}}"
)


@frozen
class Bars:
    """A group of bars on a scale of its own: what is measured, in what unit, and the contestants' figures."""

    title: str
    unit: str
    values: Mapping[str, float]


def plot(groups: list[Bars]) -> str:
    """Return an SVG of the groups, one below the other."""
    height = sum(_HEAD + _ROW * len(group.values) for group in groups) + 12
    said = "; ".join(group.title for group in groups)
    role = f'role="img" aria-label="{html.escape(said)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {role}>',
        f"<style>{_STYLE}</style>",
    ]
    top = 0
    for group in groups:
        lines += _group(group, top)
        top += _HEAD + _ROW * len(group.values)
    return "\n".join([*lines, "</svg>\n"])


def _group(group: Bars, top: int) -> Iterator[str]:
    longest = max(group.values.values())
    yield f'<text class="title" x="8" y="{top + 26}">{html.escape(group.title)}, {group.unit}</text>'
    for row, (name, value) in enumerate(group.values.items()):
        up = top + _HEAD + row * _ROW
        width = max(1.0, (_WIDTH - _LABEL - _VALUE) * value / longest)
        ours = ' class="ours"' if name == peers.OURS else ""
        yield f'<text x="{_LABEL - 8}" y="{up + 12}" text-anchor="end">{html.escape(name)}</text>'
        yield f'<rect{ours} x="{_LABEL}" y="{up}" width="{width:.1f}" height="15"/>'
        yield f'<text x="{_LABEL + width + 6:.1f}" y="{up + 12}">{value:,.2f}</text>'

"""The simulated week: the same seed gives the same week, and it shows what the page says of it."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from simulation import report
from simulation.plot import plot
from simulation.report import Outcome, outcome_of, scaled
from simulation.run import DESIGNS
from simulation.week import WINDOWS

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
SIZE = scaled(0.004)

MONDAY, DEPLOY, OUTAGE, STORE_DOWN = WINDOWS[0], WINDOWS[1], WINDOWS[3], WINDOWS[5]


@pytest.fixture(scope="module")
def with_redis() -> Outcome:
    """Simulate a small fleet that shares a Redis."""
    return outcome_of("ours, one RedisStore", SIZE, seed=7)


def test_a_seed_is_a_week(with_redis: Outcome) -> None:
    """Figures that nobody can make again are an anecdote."""
    again = outcome_of("ours, one RedisStore", SIZE, seed=7)
    other = outcome_of("ours, one RedisStore", SIZE, seed=8)

    assert (again.whole, again.windows, again.peaks) == (with_redis.whole, with_redis.windows, with_redis.peaks)
    assert other.whole != with_redis.whole


def test_a_fleet_with_one_store_behaves_like_one_program(with_redis: Outcome) -> None:
    """A token request for each scope and renewal, whoever is restarted, and no call that fails in an outage."""
    figures = dict(zip(WINDOWS, with_redis.windows, strict=True))

    assert SIZE.scopes <= figures[MONDAY].requests <= 2 * SIZE.scopes
    assert figures[DEPLOY].requests < SIZE.scopes
    assert (figures[DEPLOY].failed, figures[OUTAGE].failed, figures[STORE_DOWN].failed) == (0, 0, 0)


def test_a_naive_design_is_another_thing() -> None:
    """The simulation can tell them apart: each process asks for itself, and again after each restart."""
    naive = outcome_of("cache per process", SIZE, seed=7)
    figures = dict(zip(WINDOWS, naive.windows, strict=True))

    assert figures[MONDAY].requests > 2 * SIZE.scopes
    assert figures[DEPLOY].requests > 2 * SIZE.scopes


def test_the_tables_and_the_plot_hold_every_design(with_redis: Outcome) -> None:
    """What is written is what was counted."""
    tables = report.tables([with_redis], SIZE, 7)
    drawn = ET.fromstring(plot({with_redis.design: with_redis.peaks}))  # noqa: S314 - of our own making

    assert f"| ours, one RedisStore | {with_redis.whole.requests / 7:,.0f} |" in tables
    assert all(tables.count(f"| {window.name} |") == 4 for window in WINDOWS)
    # The line, and its place in the legend.
    assert len(drawn.findall("{http://www.w3.org/2000/svg}path")) == 2


def test_the_page_shows_all_designs_at_full_size() -> None:
    """A page of a smaller fleet, or of half of the designs, would be believed all the same."""
    page = PAGE.read_text("utf-8")
    table = page.partition(report.BEGIN)[2].partition(report.END)[0]

    assert "10,000 workers on 500 machines, 5,000 scopes" in table
    assert re.findall(r"^\| ([^|]+) \| [\d,]+ \| [\d,]+ \|", table.partition("**")[0], re.MULTILINE) == list(DESIGNS)
    assert "scripts/simulate" in page
    assert report.PLOT.name in page

"""Bars are final when they are handed out, whole, and each once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from attrs import evolve

from alphaweave.core.clock import to_ns
from alphaweave.core.market import Bar, BarCorrection, BarSource
from alphaweave.data.grid import BarGrid
from alphaweave_broker_ibkr.bar_builder import BarBuilder, Recipe
from alphaweave_broker_ibkr.market_rows import FIVE_SECONDS, Part, Row, part_of

START = to_ns(datetime(2026, 11, 23, 15, 0, tzinfo=UTC))
SECOND = 10**9
MINUTE = 60 * SECOND
SETTLE = 6 * SECOND


def builder(
    interval: str = "1m", part: Part | None = None, *, since: int = START, traded: bool = True
) -> BarBuilder:
    recipe = Recipe("SPY", BarGrid(interval), part or part_of(interval), "UTC", traded)
    return BarBuilder(recipe, since=since, settle=SETTLE)


def row(minute: float, close: float = 101.0, *, volume: float = 10.0) -> Row:
    return Row(START + round(minute * MINUTE), 100.0, 102.0, 99.0, close, volume, int(volume))


def closes(found: Any) -> list[tuple[type, int, float]]:
    bars = [(type(one), one if isinstance(one, Bar) else one.bar) for one in found]
    return [(kind, (to_ns(bar.start) - START) // MINUTE, bar.close) for kind, bar in bars]


def test_forming_bar_is_handed_out_with_its_last_figures() -> None:
    """A bar is final when a later one is told of, and not before."""
    building = builder()
    assert building.take(row(0, 100.5)) == ()
    assert building.take(row(0, 101.5)) == ()
    (bar,) = building.take(row(1))
    assert isinstance(bar, Bar)
    assert (bar.close, bar.source, to_ns(bar.end)) == (101.5, BarSource.LIVE, START + MINUTE)


def test_quiet_bar_ends_by_the_clock() -> None:
    """A bar after which nothing is told is final once it has been over for long enough."""
    building = builder()
    building.take(row(0))
    assert building.due == START + MINUTE + SETTLE
    assert building.pass_time(START + MINUTE + SETTLE - 1) == ()
    assert closes(building.pass_time(START + MINUTE + SETTLE)) == [(Bar, 0, 101.0)]
    assert building.due is None


def test_late_figures_are_a_correction() -> None:
    """What is told of a bar that was handed out restates it; the same figures are no news."""
    building = builder()
    building.take(row(0, 100.5))
    building.take(row(1))
    assert building.take(row(0, 100.5)) == ()
    assert closes(building.take(row(0, 100.75))) == [(BarCorrection, 0, 100.75)]
    assert closes(building.take(row(2))) == [(Bar, 1, 101.0)]


def test_bar_without_a_trade_is_none() -> None:
    """A row that repeats the last price is no bar, but ends the one before; a trade that is told late is."""
    building = builder()
    building.take(row(0))
    assert closes(building.take(row(1, volume=0.0))) == [(Bar, 0, 101.0)]
    assert building.take(row(2, volume=0.0)) == ()
    assert closes(building.take(row(1))) == [(Bar, 1, 101.0)]


def test_midpoints_have_no_trades_and_are_bars() -> None:
    """Bars of prices that nobody trades at have no volume, and are bars."""
    building = builder(traded=False)
    building.take(row(0, volume=0.0))
    assert closes(building.take(row(1, volume=0.0))) == [(Bar, 0, 101.0)]


def test_bar_that_began_before_is_not_handed_out() -> None:
    """A bar of which the stream has only the end is left to history."""
    building = builder(part=FIVE_SECONDS, since=START + MINUTE // 2)
    for number in range(6, 12):
        assert building.take(row(number / 12), final=True) == ()
    assert building.take(row(1), final=True) == ()
    assert closes(building.take(row(2), final=True)) == [(Bar, 1, 101.0)]


def test_five_seconds_make_a_minute_with_the_last_of_them() -> None:
    """Rows that are final end their bar with its last one, with all that was between."""
    building = builder(part=FIVE_SECONDS)
    found: list[Any] = []
    for number in range(12):
        found += building.take(
            evolve(row(number / 12), high=102.0 + number, close=101.0 + number / 100), final=True
        )
    (bar,) = found
    assert isinstance(bar, Bar)
    assert (bar.open, bar.high, bar.low, bar.volume) == (100.0, 113.0, 99.0, 120.0)
    assert bar.close == 101.11


def test_longer_bars_are_those_of_their_parts() -> None:
    """An hour is made of half hours, and as history makes it."""
    building = builder("1h")
    rows = [row(0, 100.5), row(30, 101.5)]
    for one in rows:
        assert building.take(one) == ()
    (live,) = building.pass_time(START + 60 * MINUTE + SETTLE)
    assert isinstance(live, Bar)
    (past,) = building.recipe.bars(rows, START + 60 * MINUTE)
    assert evolve(live, source=past.source) == past
    assert (live.open, live.close, live.volume) == (100.0, 101.5, 20.0)


def test_what_is_long_over_is_left_alone() -> None:
    """Figures of a bar that was forgotten change nothing."""
    building = builder()
    for number in range(6):
        building.take(row(number))
    assert building.take(row(0, 99.5)) == ()
    assert building.latest == START + 5 * MINUTE

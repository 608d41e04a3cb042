"""RunMonitor: curves and figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from attrs import evolve

from alphaweave.core.clock import to_ns
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.metrics import infer_periods_per_year
from alphaweave.monitoring.monitor import BarColumns, TradeRecord
from alphaweave.monitoring.run import RunMonitor

MONDAY = datetime(2024, 3, 4, 21, tzinfo=UTC)


def curve(
    equity: Sequence[float],
    *,
    gross: Sequence[float] | None = None,
    net: Sequence[float] | None = None,
    step: timedelta = timedelta(days=1),
    meta: dict[str, Any] | None = None,
) -> InMemoryMonitor:
    """A recorded run of which only the books are known."""
    monitor = InMemoryMonitor()
    monitor.on_run_start(meta or {})
    flat = [0.0] * len(equity)
    monitor.on_bars(
        BarColumns(
            first_index=0,
            ends=[to_ns(MONDAY + row * step) for row in range(len(equity))],
            equity=equity,
            cash=equity,
            gross=gross or flat,
            net=net or gross or flat,
            closes={},
        )
    )
    return monitor


def trade(index: int, **facts: Any) -> TradeRecord:
    """A purchase of two at 100."""
    known: dict[str, Any] = {
        "timestamp": MONDAY + timedelta(days=index),
        "symbol": "A",
        "side": "buy",
        "price": 100.0,
        "size": 2.0,
        "fees": 1.5,
        "order_id": "o",
        "execution_key": f"e{index}",
        "position": 2.0,
        "index": index,
    }
    return TradeRecord(**{**known, **facts})


def test_figures_worked_by_hand() -> None:
    """Four days, up a tenth, down a tenth twice, up a third."""
    figures = RunMonitor(curve([100.0, 110.0, 99.0, 89.1, 118.8]), periods_per_year=4.0).metrics()
    returns = np.array([0.1, -0.1, -0.1, 1 / 3])
    assert figures["bars"] == 5
    assert figures["opening_equity"] == 100.0
    assert figures["final_equity"] == 118.8
    assert figures["total_return"] == pytest.approx(0.188)
    assert figures["cagr"] == pytest.approx(0.188)
    assert figures["max_drawdown"] == pytest.approx(-0.19)
    assert figures["max_drawdown_days"] == 3.0
    assert figures["calmar"] == pytest.approx(0.188 / 0.19)
    assert figures["volatility"] == pytest.approx(2.0 * returns.std(ddof=1))
    assert figures["sharpe"] == pytest.approx(2.0 * returns.mean() / returns.std(ddof=1))
    assert figures["sortino"] == pytest.approx(2.0 * returns.mean() / math.sqrt(0.02 / 4))


def test_series_are_aligned_with_the_bars(memory: InMemoryMonitor) -> None:
    """Every curve has one value a slice at the slice's end; returns lack the first."""
    run = RunMonitor(memory)
    curves = (run.equity, run.drawdown, run.exposure, run.net_exposure, run.turnover, run.costs)
    for series in curves:
        pd.testing.assert_index_equal(series.index, memory.bars_df().index)
        assert series.notna().all()
    assert run.equity.tolist() == memory.bars.columns.equity.tolist()
    assert run.returns.index.tolist() == run.equity.index.tolist()[1:]
    np.testing.assert_allclose(run.returns, run.equity.pct_change().iloc[1:], rtol=1e-12)
    np.testing.assert_allclose(run.exposure, memory.bars_df()["gross"] / run.equity, rtol=1e-12)
    np.testing.assert_allclose(run.net_exposure, memory.bars_df()["net"] / run.equity, rtol=1e-12)
    np.testing.assert_allclose(run.drawdown, run.equity / run.equity.cummax() - 1.0, atol=1e-12)
    assert not run.net_exposure.equals(run.exposure)


def test_fills_count_in_the_slice_that_booked_them() -> None:
    """Turnover and costs stand at the fill's slice; one without a number goes by its time."""
    memory = curve([100.0, 200.0, 400.0, 800.0])
    memory.on_trade(trade(1, slippage=0.25))
    memory.on_trade(trade(1, fees=-0.5, notional=1000.0, slippage=0.25))
    memory.on_trade(trade(-1, timestamp=MONDAY + timedelta(days=2, hours=-3), slippage=-0.5))
    memory.on_trade(trade(99, size=1.0))
    run = RunMonitor(memory, periods_per_year=4.0)
    assert run.turnover.tolist() == [0.0, 1200.0 / 200.0, 200.0 / 400.0, 100.0 / 800.0]
    assert run.costs.tolist() == pytest.approx([0.0, 1.5 + 0.5 - 0.5 + 2.5, 4.5, 6.0])
    figures = run.metrics()
    assert figures["fees"] == pytest.approx(4.0)
    assert figures["slippage"] == pytest.approx(2.0)
    assert figures["costs"] == pytest.approx(6.0)
    assert figures["turnover"] == pytest.approx(6.0 + 0.5 + 0.125)
    assert figures["fills"] == 4


def test_exposure_figures() -> None:
    """The share of slices that ended with a position, and the mean over all of them."""
    figures = RunMonitor(curve([100.0, 100.0, 50.0, 100.0], gross=[0.0, 50.0, 100.0, 0.0])).metrics()
    assert figures["exposure_time"] == 0.5
    assert figures["average_exposure"] == (0.5 + 2.0) / 4


def test_capital_is_the_base_of_a_replay() -> None:
    """Fees of the first slice belong to the result of a replay; elsewhere capital is only a cap."""
    equity = [99.0, 99.0, 108.9]
    replay = RunMonitor(curve(equity, meta={"mode": "replay", "capital": "100"}), periods_per_year=252.0)
    assert replay.metrics()["total_return"] == pytest.approx(0.089)
    assert replay.metrics()["max_drawdown"] == pytest.approx(-0.01)
    assert replay.metrics()["max_drawdown_days"] == 2.0
    assert replay.drawdown.iloc[0] == pytest.approx(-0.01)
    paper = RunMonitor(curve(equity, meta={"mode": "paper", "capital": "50"}), periods_per_year=252.0)
    assert paper.metrics()["total_return"] == pytest.approx(0.1)
    assert paper.metrics()["opening_equity"] == 99.0
    assert paper.metrics()["max_drawdown"] == 0.0


def assert_json_numbers(figures: dict[str, float | None]) -> None:
    """None or a finite number, nothing else."""
    for name, value in figures.items():
        assert value is None or (isinstance(value, int | float) and math.isfinite(value)), name


UNDEFINED = {"cagr", "volatility", "sharpe", "sortino", "calmar"}


def test_run_without_bars_has_no_figures() -> None:
    """Undefined is None, what can be counted is zero, and curves are empty."""
    run = RunMonitor(InMemoryMonitor())
    figures = run.metrics()
    assert_json_numbers(figures)
    assert {name for name, value in figures.items() if value is not None} == {
        "bars",
        "fills",
        "fees",
        "slippage",
        "costs",
        "round_trips",
    }
    for series in (run.equity, run.returns, run.drawdown, run.exposure, run.turnover, run.costs):
        assert len(series) == 0
    assert run.round_trips() == run.open_positions() == []


def test_fill_without_bars_is_counted() -> None:
    """A run that failed in its first slice still has its fills."""
    memory = InMemoryMonitor()
    memory.on_trade(trade(0))
    run = RunMonitor(memory)
    assert run.metrics()["fills"] == 1
    assert len(run.turnover) == 0
    assert [trip.pnl for trip in run.open_positions()] == [None]


def test_one_bar_has_a_level_but_no_returns() -> None:
    """Total return is zero, everything annualised is undefined."""
    figures = RunMonitor(curve([100.0])).metrics()
    assert_json_numbers(figures)
    assert figures["total_return"] == figures["max_drawdown"] == figures["max_drawdown_days"] == 0.0
    assert figures["periods_per_year"] is None
    assert all(figures[name] is None for name in UNDEFINED)


def test_flat_equity_has_no_ratios() -> None:
    """Nothing gained, nothing risked: the ratios have no denominator."""
    figures = RunMonitor(curve([100.0] * 10)).metrics()
    assert_json_numbers(figures)
    assert figures["total_return"] == figures["cagr"] == figures["volatility"] == 0.0
    assert (figures["sharpe"], figures["sortino"], figures["calmar"]) == (None, None, None)


def test_steady_growth_has_no_sharpe_ratio() -> None:
    """Rounding errors are no volatility to divide by."""
    figures = RunMonitor(curve([100.0 * 1.01**day for day in range(50)])).metrics()
    assert figures["sharpe"] is None
    assert figures["sortino"] is None
    assert figures["total_return"] == pytest.approx(1.01**49 - 1.0)


@pytest.mark.parametrize("last", [0.0, -20.0])
def test_ruin_leaves_what_is_still_defined(last: float) -> None:
    """Equity at or below zero has a total return and a drawdown, but no ratios after it."""
    memory = curve([100.0, 50.0, last, 10.0], gross=[50.0] * 4)
    run = RunMonitor(memory)
    figures = run.metrics()
    assert_json_numbers(figures)
    assert figures["total_return"] == pytest.approx(-0.9)
    assert figures["max_drawdown"] == pytest.approx(last / 100.0 - 1.0)
    assert all(figures[name] is None for name in UNDEFINED)
    assert figures["average_exposure"] == pytest.approx((0.5 + 1.0 + 5.0) / 3)
    assert run.exposure.isna().tolist() == [False, False, True, False]
    assert run.returns.isna().tolist() == [False, False, True]


def test_curve_that_begins_below_zero_has_no_figures() -> None:
    """There is no base to measure from."""
    figures = RunMonitor(curve([-1.0, 5.0])).metrics()
    assert_json_numbers(figures)
    assert figures["total_return"] is figures["max_drawdown"] is figures["max_drawdown_days"] is None


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("row", [0, 1, 3])
def test_books_that_are_no_numbers_leave_none(wrong: float, row: int) -> None:
    """A figure is a number or None, whatever the books say."""
    equity = [100.0, 101.0, 99.0, 102.0]
    equity[row] = wrong
    assert_json_numbers(RunMonitor(curve(equity, gross=[wrong] * 4)).metrics())


def test_growth_beyond_floats_is_undefined() -> None:
    """A few minutes of a fast run must not annualise to infinity."""
    figures = RunMonitor(curve([1.0, 1e6], step=timedelta(minutes=1))).metrics()
    assert_json_numbers(figures)
    assert figures["cagr"] is None
    assert figures["total_return"] == pytest.approx(1e6 - 1.0)


@pytest.mark.parametrize(
    ("equity", "days"),
    [
        ([1.0, 2.0, 3.0], 0.0),
        ([3.0, 2.0], 1.0),
        ([3.0, 2.0, 3.0, 1.0], 2.0),
        ([3.0, 2.0, 2.5, 2.9], 3.0),
        ([3.0, 1.0, 4.0, 1.0, 2.0, 3.0, 5.0, 4.0], 4.0),
        ([3.0, 3.0, 2.0], 1.0),
    ],
)
def test_longest_drawdown(equity: list[float], days: float) -> None:
    """From the peak to the day that reaches it again, or to the end."""
    assert RunMonitor(curve(equity)).metrics()["max_drawdown_days"] == days


def sessions(days: int, hours: Sequence[float], weekdays: set[int]) -> list[datetime]:
    """Bar ends at some hours of each trading day."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    dates = [start + timedelta(days=day) for day in range(days)]
    return [d + timedelta(hours=hour) for d in dates if d.weekday() in weekdays for hour in hours]


WEEK, WORK = set(range(7)), set(range(5))
MINUTES = [14.5 + (minute + 1) / 60 for minute in range(390)]


@pytest.mark.parametrize(
    ("ends", "per_year"),
    [
        (sessions(400, [21], WORK), 252.0),
        # daily bars of a weekday market that are known at midnight end on Tuesday to Saturday
        (sessions(400, [24], WORK), 252.0),
        (sessions(400, [24], WEEK), 365.0),
        (sessions(30, MINUTES, WORK), 252.0 * 390),
        (sessions(6, MINUTES, WEEK), 252.0 * 390),
        (sessions(1, MINUTES, WEEK), None),
        (sessions(8, range(1, 25), WEEK), 365.0 * 24),
        # the last bar of a day that never closes ends at the next midnight
        (sessions(6, range(1, 25), WEEK), 252.0 * 24),
        (sessions(60, [15, 16, 17, 18, 19, 20, 21], WORK), 252.0 * 7),
        (sessions(400, [24], WEEK)[::2], 182.5),
        (sessions(400, [21], {4}), 52.0),
        ([datetime(2020 + m // 12, m % 12 + 1, 1, tzinfo=UTC) for m in range(40)], 12.0),
        ([datetime(2000 + q // 4, q % 4 * 3 + 1, 1, tzinfo=UTC) for q in range(40)], 4.0),
        ([datetime(2000 + y, 1, 1, tzinfo=UTC) for y in range(9)], 1.0),
        ([datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=50 * n) for n in range(9)], 365.25 / 50),
        ([MONDAY], None),
        ([], None),
    ],
)
def test_periods_per_year_follow_the_spacing(ends: list[datetime], per_year: float | None) -> None:
    """The stated rule, on the markets it is meant for."""
    times = np.array([to_ns(end) for end in ends], dtype="int64")
    assert infer_periods_per_year(times) == (None if per_year is None else pytest.approx(per_year))


def test_periods_per_year_can_be_given(memory: InMemoryMonitor) -> None:
    """The given number wins, and annualised figures follow it."""
    inferred, given = RunMonitor(memory), RunMonitor(memory, periods_per_year=4 * 252.0)
    assert inferred.periods_per_year == 252.0
    assert given.metrics()["volatility"] == pytest.approx(2.0 * (inferred.metrics()["volatility"] or 0.0))


def test_reading_a_run_lets_it_go_on(memory: InMemoryMonitor) -> None:
    """Curves that someone holds do not stop the recording."""
    run = RunMonitor(memory)
    held = [run.equity, run.drawdown, run.exposure, run.turnover]
    memory.on_bar(evolve(memory.bars[-1], index=300))
    assert len(run.equity) == len(held[0]) + 1


def test_open_positions_are_marked_at_the_last_bar(
    memory: InMemoryMonitor, scripted: Callable[..., Any]
) -> None:
    """Closed and open trips together explain the change of equity."""
    run = RunMonitor(memory)
    trips = [*run.round_trips(), *run.open_positions()]
    assert len(run.open_positions()) == 2
    assert sum(trip.pnl or 0.0 for trip in trips) == pytest.approx(memory.bars.columns.equity[-1] - 100_000.0)

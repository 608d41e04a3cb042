"""InMemoryMonitor and its bars."""

from __future__ import annotations

import json
import math
import tracemalloc
from array import array
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from alphaweave.core.clock import to_ns
from alphaweave.core.errors import StateCorrupt, StateSchemaTooNew
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import BarColumns, BarSnapshot, ColumnMonitor, RunSummary

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)


def snapshot(index: int, *, prices: dict[str, float], positions: dict[str, float]) -> BarSnapshot:
    """A slice whose books are simple."""
    net = sum(quantity * prices[symbol] for symbol, quantity in positions.items())
    return BarSnapshot(
        timestamp=NOON + timedelta(days=index),
        index=index,
        prices=prices,
        equity=1000.0 + index,
        cash=1000.0 + index - net,
        gross=abs(net),
        net=net,
        positions=positions,
    )


@pytest.mark.parametrize("chunk", [0, 1, 7, 64, 4096])
def test_bars_read_back_as_they_were_told(scripted: Callable[..., Any], chunk: int) -> None:
    """Snapshots come back equal, whether they were told one by one or in columns of any length."""
    run, monitor = scripted(), InMemoryMonitor()
    run.tell(monitor, chunk=chunk)
    assert list(monitor.bars) == run.snapshots
    assert monitor.bars[-3:] == run.snapshots[-3:]
    assert monitor.bars[-1] == run.snapshots[-1]
    with pytest.raises(IndexError):
        monitor.bars[len(run.snapshots)]


def test_columns_are_preferred() -> None:
    """The engine sees that this monitor takes columns."""
    assert isinstance(InMemoryMonitor(), ColumnMonitor)


def test_slices_told_one_by_one_take_the_memory_of_columns() -> None:
    """A month of minutes, each in columns of its own, does not stay a heap of small objects."""
    monitor = InMemoryMonitor()
    one: dict[str, Any] = {name: array("d", (1.0,)) for name in ("equity", "cash", "gross", "net")}
    tracemalloc.start()
    try:
        for index in range(6000):
            ends = array("q", (to_ns(NOON) + index,))
            closes = {"A": array("d", (2.0,))}
            monitor.on_bars(BarColumns(first_index=index, ends=ends, closes=closes, **one))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held / 6000 < 200  # bytes; 48 are its columns
    assert len(monitor.bars) == 6000
    assert monitor.bars[5999].index == 5999


def test_symbol_has_no_price_before_its_first() -> None:
    """A symbol that begins to trade later is absent before, and one that falls silent keeps its price."""
    monitor = InMemoryMonitor()
    monitor.on_bar(snapshot(0, prices={"A": 1.0}, positions={}))
    monitor.on_bar(snapshot(1, prices={"A": 1.5, "B": 9.0}, positions={}))
    monitor.on_bar(snapshot(2, prices={"B": 9.5}, positions={}))
    assert [bar.prices for bar in monitor.bars] == [{"A": 1.0}, {"A": 1.5, "B": 9.0}, {"A": 1.5, "B": 9.5}]
    assert math.isnan(monitor.prices_df()["B"].iloc[0])
    ends = [to_ns(NOON + timedelta(days=day)) for day in (3, 4)]
    flat = {"equity": [1.0, 1.0], "cash": [1.0, 1.0], "gross": [0.0, 0.0], "net": [0.0, 0.0]}
    monitor.on_bars(BarColumns(first_index=3, ends=ends, closes={"C": [math.nan, 4.0]}, **flat))  # type: ignore[arg-type]
    assert monitor.bars[3].prices == {"A": 1.5, "B": 9.5}
    assert monitor.bars[4].prices == {"A": 1.5, "B": 9.5, "C": 4.0}


def test_positions_follow_every_change() -> None:
    """A position that ends is gone; one row keeps only the last of its changes."""
    monitor = InMemoryMonitor()
    held = [{}, {"A": 2.0}, {"A": 2.0, "B": -1.0}, {"B": -1.0}, {}]
    for index, positions in enumerate(held):
        monitor.on_bar(snapshot(index, prices={"A": 1.0, "B": 3.0}, positions=positions))
    flat = {"equity": [1.0], "cash": [1.0], "gross": [0.0], "net": [0.0]}
    monitor.on_bars(
        BarColumns(
            first_index=5,
            ends=[to_ns(NOON + timedelta(days=5))],
            closes={},
            positions_before={"B": 4.0},
            positions=[(0, "B", 5.0), (0, "B", 6.0)],
            **flat,  # type: ignore[arg-type]
        )
    )
    assert [bar.positions for bar in monitor.bars] == [*held, {"B": 6.0}]
    frame = monitor.positions_df()
    assert frame["A"].tolist() == [0.0, 2.0, 2.0, 0.0, 0.0, 0.0]
    assert frame["B"].tolist() == [0.0, 0.0, -1.0, -1.0, 0.0, 6.0]


def test_frames_are_indexed_in_utc(memory: InMemoryMonitor) -> None:
    """Every frame has one row a record and a UTC index, and leaves the arrays free to grow."""
    frames = {
        "bars": memory.bars_df(),
        "prices": memory.prices_df(),
        "positions": memory.positions_df(),
        "trades": memory.trades_df(),
        "orders": memory.orders_df(),
        "alerts": memory.alerts_df(),
        "metrics": memory.metrics_df(),
    }
    rows = {name: len(frame) for name, frame in frames.items()}
    assert rows == {
        "bars": 300,
        "prices": 300,
        "positions": 300,
        "trades": len(memory.trades),
        "orders": len(memory.orders),
        "alerts": 3,
        "metrics": 30,
    }
    for frame in frames.values():
        assert isinstance(frame.index, pd.DatetimeIndex)
        assert str(frame.index.tz) == "UTC"
        assert frame.index.name == "timestamp"
    last = memory.bars[-1]
    assert frames["bars"].index[-1] == last.timestamp
    assert frames["bars"].iloc[-1].to_dict() == {
        "index": 299.0,
        "equity": last.equity,
        "cash": last.cash,
        "gross": last.gross,
        "net": last.net,
    }
    assert frames["prices"].iloc[-1].to_dict() == last.prices
    trade = memory.trades[0]
    assert frames["trades"].index[0] == trade.timestamp
    assert frames["trades"].iloc[0][["symbol", "price", "index"]].tolist() == [
        trade.symbol,
        trade.price,
        trade.index,
    ]
    assert frames["orders"]["quantity"].dtype == frames["orders"]["average_price"].dtype == "float64"
    memory.on_bar(snapshot(300, prices={"SPY": 1.0}, positions={}))
    assert len(memory.bars_df()) == 301


def test_frames_of_an_empty_run_keep_their_columns() -> None:
    """Nothing recorded is an empty frame, not an error."""
    monitor = InMemoryMonitor()
    assert monitor.bars_df().columns.tolist() == ["index", "equity", "cash", "gross", "net"]
    assert monitor.trades_df().columns.tolist()[:3] == ["symbol", "side", "price"]
    assert len(monitor.orders_df()) == len(monitor.metrics_df()) == len(monitor.positions_df()) == 0
    assert str(monitor.metrics_df().index.tz) == "UTC"  # type: ignore[attr-defined]


def test_metrics_keep_every_value_and_the_frame_the_last_of_a_time() -> None:
    """Two values of one name and time are both recorded; the frame shows the later."""
    monitor = InMemoryMonitor()
    monitor.on_metric("b", 1.0, NOON)
    monitor.on_metric("b", 2.0, NOON)
    monitor.on_metric("a", 3.0, NOON + timedelta(days=1))
    assert monitor.metrics == {"b": [(NOON, 1.0), (NOON, 2.0)], "a": [(NOON + timedelta(days=1), 3.0)]}
    frame = monitor.metrics_df()
    assert frame["b"].iloc[0] == 2.0
    assert math.isnan(frame["b"].iloc[1])
    assert frame["a"].iloc[1] == 3.0


@pytest.mark.parametrize("cut", [0, 1, 20, 21, 150, 299, 300])
@pytest.mark.parametrize("chunk", [0, 64])
def test_resumed_run_records_the_same(scripted: Callable[..., Any], cut: int, chunk: int) -> None:
    """Through JSON, and with whatever cut, a resumed recording equals the uninterrupted one."""
    run = scripted()
    whole, first, second = InMemoryMonitor(), InMemoryMonitor(), InMemoryMonitor()
    for monitor, begin, end in ((whole, 0, 300), (first, 0, cut)):
        monitor.on_run_start({**run.meta, "resumed": False})
        run.tell(monitor, begin, end, chunk=chunk)
    first.on_run_end(run.summary(outcome="stopped"))
    second.set_state(json.loads(json.dumps(first.get_state(), allow_nan=False)))
    second.on_run_start({**run.meta, "resumed": True})
    run.tell(second, cut, 300, chunk=chunk)
    assert second.summary is None
    assert second.get_state() == whole.get_state()
    assert list(second.bars) == list(whole.bars)
    assert (second.trades, second.orders, second.alerts) == (whole.trades, whole.orders, whole.alerts)
    assert second.metrics == whole.metrics
    pd.testing.assert_frame_equal(second.bars_df(), whole.bars_df())


def test_state_keeps_what_json_has_no_word_for() -> None:
    """A metric that is not a number yet survives strict JSON."""
    monitor, again = InMemoryMonitor(), InMemoryMonitor()
    monitor.on_metric("sma", math.nan, NOON)
    monitor.on_metric("sma", math.inf, NOON)
    again.set_state(json.loads(json.dumps(monitor.get_state(), allow_nan=False)))
    (_, first), (_, second) = again.metrics["sma"]
    assert math.isnan(first)
    assert second == math.inf


def test_state_replaces_what_was_recorded(scripted: Callable[..., Any], memory: InMemoryMonitor) -> None:
    """Bars that nobody has read yet are replaced like all others."""
    other = InMemoryMonitor()
    scripted(bars=10, seed=1).tell(other)
    other.bars.set_state(memory.bars.get_state())
    assert len(other.bars) == 300
    assert other.bars.get_state() == memory.bars.get_state()


def test_state_says_what_run_it_is(memory: InMemoryMonitor) -> None:
    """A report can be made from it alone; a run that has begun already keeps what it said itself."""
    memory.meta["path"] = Path("data")
    state = json.loads(json.dumps(memory.get_state()))
    read, resumed = InMemoryMonitor(), InMemoryMonitor()
    read.set_state(state)
    assert read.meta == {**memory.meta, "path": "data"}
    resumed.on_run_start({"run_id": "new"})
    resumed.set_state(state)
    assert resumed.meta == {"run_id": "new"}


def damage(state: dict[str, Any], how: str) -> None:
    """One way in which a file can go wrong."""
    if how == "missing":
        del state["bars"]["equity"]
    elif how == "cut":
        state["bars"]["equity"] = state["bars"]["equity"][:-8]
    elif how == "letters":
        state["bars"]["ends"] = "é"
    elif how == "lengths":
        state["bars"]["cash"] = InMemoryMonitor().get_state()["bars"]["cash"]
    elif how == "field":
        state["trades"][0].append(1)
    elif how == "decimal":
        state["orders"][0][6] = {"decimal": "many"}
    elif how == "metric":
        state["metrics"]["spread"] = 3


@pytest.mark.parametrize("how", ["missing", "cut", "letters", "lengths", "field", "decimal", "metric"])
def test_damaged_state_is_refused_whole(memory: InMemoryMonitor, how: str) -> None:
    """A state that cannot be read changes nothing and says what is wrong."""
    state = memory.get_state()
    damage(state, how)
    monitor = InMemoryMonitor()
    with pytest.raises(StateCorrupt, match="recorded"):
        monitor.set_state(state)
    assert monitor.get_state() == InMemoryMonitor().get_state()


def test_state_of_a_newer_version_is_refused() -> None:
    """The message names both versions."""
    with pytest.raises(StateSchemaTooNew, match=r"schema 2.*up to 1"):
        InMemoryMonitor().set_state({"version": 2})


def test_run_end_is_kept(memory: InMemoryMonitor) -> None:
    """The summary is what the run said last."""
    assert isinstance(memory.summary, RunSummary)
    assert memory.summary.outcome == "finished"
    memory.on_run_start({"run_id": "again"})
    assert memory.summary is None
    assert memory.meta == {"run_id": "again"}


def test_slice_numbers_may_have_gaps() -> None:
    """Rows and slice numbers map to each other, also where a stretch of slices was not recorded."""
    monitor = InMemoryMonitor()
    for index in (5, 6, 9, 10, 20):
        monitor.on_bar(snapshot(index, prices={}, positions={}))
    bars = monitor.bars
    assert [bar.index for bar in bars] == monitor.bars_df()["index"].tolist() == [5, 6, 9, 10, 20]
    rows = {index: bars.row_of(index) for index in (0, 5, 6, 7, 8, 9, 10, 11, 20, 21)}
    assert rows == {0: 0, 5: 0, 6: 1, 7: 2, 8: 2, 9: 2, 10: 3, 11: 4, 20: 4, 21: 5}
    again = InMemoryMonitor()
    again.set_state(json.loads(json.dumps(monitor.get_state())))
    assert list(again.bars) == list(bars)

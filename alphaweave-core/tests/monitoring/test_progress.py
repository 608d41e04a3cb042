"""Progress of a run on a terminal and in a pipe."""

from __future__ import annotations

import io
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from alphaweave.core.clock import ManualClock
from alphaweave.monitoring.monitor import Alert, ColumnMonitor
from alphaweave.monitoring.progress import ProgressMonitor


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(scripted: Callable[..., Any]) -> Any:
    """A run of 300 bars whose number is known beforehand."""
    run = scripted()
    run.meta["slices"] = 300
    return run


def test_pipe_gets_a_line_an_interval(run: Any) -> None:
    """Of many chunks only those a whole interval apart are told, with share, speed and time left."""
    stream, clock = io.StringIO(), ManualClock()
    monitor = ProgressMonitor(stream, clock=clock, every=10.0)
    monitor.on_run_start(run.meta)
    for first in range(0, 300, 10):
        clock.advance(1.0)
        monitor.on_bars(run.columns(first, first + 10))
        for trade in run.trades:
            if first <= trade.index < first + 10:
                monitor.on_trade(trade)
    monitor.on_run_end(run.summary())
    lines = stream.getvalue().splitlines()
    fills = sum(trade.index < 90 for trade in run.trades)
    bar = run.snapshots[99]
    assert lines[0] == (
        f" 33 %  100 of 300 bars  {bar.timestamp:%Y-%m-%d}  equity {bar.equity:,.2f}  "
        f"{fills:,} fills, 10 bars/s, 20.0 s left"
    )
    assert [line[:5] for line in lines] == [" 33 %", " 66 %", "100 %", "finis"]
    last = run.snapshots[-1]
    assert lines[-1] == (
        f"finished: 300 bars in 30.0 s, 10 bars/s, {len(run.trades)} fills, equity {last.equity:,.2f}"
    )


def test_short_run_writes_its_last_line_only(run: Any) -> None:
    """A run that is over before the interval is one line."""
    stream = io.StringIO()
    monitor = ProgressMonitor(stream, clock=ManualClock())
    monitor.on_run_start(run.meta)
    monitor.on_bars(run.columns(0, 300))
    monitor.on_run_end(run.summary(outcome="failed"))
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("failed: 300 bars in 0.0 s, ")


def test_unknown_length_is_counted_up(run: Any) -> None:
    """A live run has no share and no end; bars come one by one."""
    stream, clock = io.StringIO(), ManualClock()
    del run.meta["slices"]
    monitor = ProgressMonitor(stream, clock=clock, every=60.0)
    monitor.on_run_start(run.meta)
    for bar in run.snapshots[:4]:
        clock.advance(30.0)
        monitor.on_bar(bar)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"4 bars  2020-01-07  equity 100,000\.00  0 fills, 0 bars/s", lines[1])


def test_resumed_run_goes_on_from_its_share(run: Any) -> None:
    """The share counts the whole run; the speed and the time left only what this process did."""
    stream, clock = io.StringIO(), ManualClock()
    monitor = ProgressMonitor(stream, clock=clock, every=10.0)
    monitor.on_run_start(run.meta)
    clock.advance(10.0)
    monitor.on_bars(run.columns(200, 250))
    (line,) = stream.getvalue().splitlines()
    assert line.startswith(" 83 %  250 of 300 bars")
    assert line.endswith("5 bars/s, 10.0 s left")


def test_short_bars_are_told_by_the_minute(run: Any) -> None:
    """A date alone would stand still for a whole day."""
    stream, clock = io.StringIO(), ManualClock()
    monitor = ProgressMonitor(stream, clock=clock)
    monitor.on_run_start({**run.meta, "interval": "1h"})
    clock.advance(10.0)
    monitor.on_bars(run.columns(0, 4))
    assert "  2020-01-07 21:00  equity" in stream.getvalue()


def test_long_durations_read_as_hours(run: Any) -> None:
    """Minutes and hours, not thousands of seconds."""
    stream, clock = io.StringIO(), ManualClock()
    monitor = ProgressMonitor(stream, clock=clock)
    monitor.on_run_start(run.meta)
    clock.advance(3600.0)
    monitor.on_bars(run.columns(0, 100))
    assert stream.getvalue().endswith(", 2:00:00 left\n")


def test_empty_chunk_says_nothing(run: Any) -> None:
    """No rows, no line."""
    stream, clock = io.StringIO(), ManualClock()
    monitor = ProgressMonitor(stream, clock=clock)
    monitor.on_run_start(run.meta)
    clock.advance(100.0)
    monitor.on_bars(run.columns(0, 0))
    assert stream.getvalue() == ""


def test_terminal_gets_a_bar_that_goes_away(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bar, redrawn in place without a thread, and erased at the end."""
    monkeypatch.setenv("COLUMNS", "140")
    stream, clock = Screen(), ManualClock()
    monitor = ProgressMonitor(stream, clock=clock)
    before = threading.active_count()
    monitor.on_run_start(run.meta)
    for first in range(0, 300, 100):
        clock.advance(0.2)
        monitor.on_bars(run.columns(first, first + 100))
    assert threading.active_count() == before
    drawn = stream.getvalue()
    assert re.search(r"sma .*100/300.*2020-05-20  equity .* 0 fills", drawn)
    assert "300/300" in drawn
    assert "\n" not in drawn.rstrip("\n")
    monitor.on_run_end(run.summary())
    assert "finished" not in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[?25h\r\x1b[1A\x1b[2K")


def test_terminal_is_redrawn_at_most_ten_times_a_second(run: Any) -> None:
    """A fast run spends its time on the run."""
    stream, clock = Screen(), ManualClock()
    monitor = ProgressMonitor(stream, clock=clock)
    monitor.on_run_start(run.meta)
    begun = len(stream.getvalue())
    clock.advance(0.09)
    monitor.on_bars(run.columns(0, 50))
    assert len(stream.getvalue()) == begun
    clock.advance(0.02)
    monitor.on_bars(run.columns(50, 100))
    assert len(stream.getvalue()) > begun
    monitor.on_run_end(run.summary())


def test_standard_error_is_the_stream(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output stays free for what a machine reads."""
    monitor = ProgressMonitor(clock=ManualClock())
    monitor.on_run_start(run.meta)
    monitor.on_run_end(run.summary())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("finished: ")


def test_replay_may_hand_over_columns() -> None:
    """It never makes the engine build snapshots."""
    assert isinstance(ProgressMonitor(sys.stderr), ColumnMonitor)


@pytest.mark.parametrize("mode", ["paper", "live", "replay"])
def test_alerts_of_a_run_that_trades_are_written_at_once(run: Any, mode: str) -> None:
    """Who trades has to know now, also that it is over; a replay has them in its record."""
    stream = io.StringIO()
    monitor = ProgressMonitor(stream, clock=ManualClock())
    meta = {"run_id": "sma", "broker": "alpaca", "datafeed": "acme", "interval": "1m"}
    monitor.on_run_start({**run.meta, **meta, "mode": mode})
    at = run.snapshots[0].timestamp
    for severity in ("info", "warning", "error"):
        monitor.on_alert(Alert(timestamp=at, severity=severity, code="feed_lost", message="gone"))
    monitor.on_alert(Alert(timestamp=at, severity="info", code="feed_restored", message="back"))
    lines = [
        f"sma is up: {mode} run at alpaca, 1m bars of acme; its books are compared with the broker's first",
        "warning: feed_lost: gone",
        "error: feed_lost: gone",
        "info: feed_restored: back",
    ]
    assert stream.getvalue().splitlines() == ([] if mode == "replay" else lines)

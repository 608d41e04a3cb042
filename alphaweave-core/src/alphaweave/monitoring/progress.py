"""How far a run is: a bar on a terminal, a line now and then where the output is piped."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TextIO

from alphaweave.core.clock import Clock, SystemClock, to_ns
from alphaweave.monitoring.dates import BarDates
from alphaweave.monitoring.monitor import (
    Alert,
    BarColumns,
    BarSnapshot,
    OrderRecord,
    RunSummary,
    TradeRecord,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["ProgressMonitor"]

_TERMINAL_SECONDS: Final = 0.1
_PIPE_SECONDS: Final = 10.0
# What says that all is well again; the other news of no consequence are in the record.
_RELIEF: Final = frozenset(
    {
        "connection_restored",
        "control_restored",
        "feed_restored",
        "fresh_data",
        "maintenance_began",
        "maintenance_ended",
        "reconciled",
        "resumed",
    }
)


class ProgressMonitor:
    """Reports a run's progress on a stream, standard error unless given.

    On a terminal it draws one bar and redraws it at most ten times a second; elsewhere it writes a line
    every ``every`` seconds. A run that is shorter than that writes nothing but its last line. Of a paper or
    live run, whose first bar may be hours away, it also writes that it is up, each warning and error as it
    comes, and when such is over.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        clock: Clock | None = None,
        terminal: bool | None = None,
        every: float = _PIPE_SECONDS,
    ) -> None:
        """``terminal`` overrules what the stream says of itself."""
        self._stream = sys.stderr if stream is None else stream
        self._clock: Clock = SystemClock() if clock is None else clock
        self._terminal = self._stream.isatty() if terminal is None else terminal
        self._every = _TERMINAL_SECONDS if self._terminal else every
        self._total: int | None = None
        self._dates = BarDates.of({})
        self._slices = self._counted = self._told_slices = 0
        self._fills = 0
        self._trading = False
        self._started = self._told = 0.0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def on_run_start(self, meta: Mapping[str, Any]) -> None:
        slices = meta.get("slices")
        self._trading = meta.get("mode") in {"paper", "live"}
        self._total = int(slices) if slices else None
        self._dates = BarDates.of(meta)
        self._started = self._told = self._clock.monotonic()
        name = str(meta.get("run_id") or "run")
        if self._terminal:
            self._draw(name)
        if self._trading:
            broker, feed, interval = (meta.get(each) for each in ("broker", "datafeed", "interval"))
            what = f"{meta['mode']} run at {broker}, {interval} bars of {feed}"
            self._say(f"{name} is up: {what}; its books are compared with the broker's first")

    def on_bar(self, snapshot: BarSnapshot) -> None:
        self._count(snapshot.index, 1)
        if self._due():
            self._tell(to_ns(snapshot.timestamp), snapshot.equity)

    def on_bars(self, columns: BarColumns) -> None:
        count = len(columns.ends)
        if not count:
            return
        self._count(columns.first_index + count - 1, count)
        if self._due():
            self._tell(columns.ends[-1], columns.equity[-1])

    def on_trade(self, trade: TradeRecord) -> None:
        self._fills += 1

    def on_order(self, order: OrderRecord) -> None:
        pass

    def on_metric(self, name: str, value: float, timestamp: datetime) -> None:
        pass

    def on_alert(self, alert: Alert) -> None:
        # A replay's are in its record; who trades has to know of them now.
        if self._trading and (alert.severity != "info" or alert.code in _RELIEF):
            self._say(f"{alert.severity}: {alert.code}: {alert.message}")

    def on_run_end(self, summary: RunSummary) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._slices)
            self._bar.stop()
            self._bar = None
            return
        took = self._clock.monotonic() - self._started
        self._line(
            f"{summary.outcome}: {summary.slices:,} bars in {_duration(took)}"
            f"{_rate(self._counted, took)}, {summary.fills:,} fills, equity {summary.equity:,.2f}"
        )

    def _count(self, index: int, count: int) -> None:
        # The number of the slice, not a count of calls: a resumed run does not begin at zero.
        self._slices = index + 1
        self._counted += count

    def _due(self) -> bool:
        return self._clock.monotonic() - self._told >= self._every

    def _tell(self, end: int, equity: float) -> None:
        now = self._clock.monotonic()
        facts = f"{self._dates.text(end)}  equity {equity:,.2f}  {self._fills:,} fills"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._slices, description=facts)
            self._bar.refresh()
        else:
            took = now - self._told
            speed = _rate(self._counted - self._told_slices, took)
            self._line(f"{self._share()}{facts}{speed}{self._left(now)}")
        self._told, self._told_slices = now, self._counted

    def _share(self) -> str:
        if self._total is None:
            return f"{self._slices:,} bars  "
        return f"{100 * self._slices // self._total:3d} %  {self._slices:,} of {self._total:,} bars  "

    def _left(self, now: float) -> str:
        if self._total is None or not self._counted:
            return ""
        seconds = (now - self._started) / self._counted * max(0, self._total - self._slices)
        return f", {_duration(seconds)} left"

    def _say(self, text: str) -> None:
        """A line of its own, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            self._line(text)

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def _draw(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        # Redrawn from the run's own calls: no thread, and no wall clock but the given one.
        self._bar = Progress(
            TextColumn("{task.fields[run]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=Console(file=self._stream, force_terminal=True),
            auto_refresh=False,
            transient=True,
            get_time=self._clock.monotonic,
        )
        self._bar.start()
        self._task = self._bar.add_task("", total=self._total, run=name)


def _rate(count: int, seconds: float) -> str:
    return f", {count / seconds:,.0f} bars/s" if seconds > 0.0 and count else ""


def _duration(seconds: float) -> str:
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))

"""From the engine to the monitors: each is told everything, and none can harm the run or another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from alphaweave.core.clock import from_ns
from alphaweave.live.effects import MetricRecord, Note
from alphaweave.live.express_orders import AcceptedNote, FilledNote, TradeNote
from alphaweave.monitoring.monitor import (
    Alert,
    BarColumns,
    BarSnapshot,
    ColumnMonitor,
    Monitor,
    OrderRecord,
    RecordDraft,
    RunSummary,
    TradeRecord,
)

__all__ = ["Fanout", "MonitorFailure"]


_CALLBACKS: Mapping[type, str] = {
    TradeRecord: "on_trade",
    TradeNote: "on_trade",
    OrderRecord: "on_order",
    AcceptedNote: "on_order",
    FilledNote: "on_order",
    MetricRecord: "on_metric",
    Alert: "on_alert",
}


@frozen(eq=False)
class MonitorFailure:
    """A monitor raised; it was told nothing more."""

    monitor: Monitor
    callback: str
    error: BaseException

    def __str__(self) -> str:
        name = type(self.monitor).__name__
        return f"monitor {name} failed in {self.callback}: {type(self.error).__name__}: {self.error}"


class Fanout:
    """Delivers to monitors in order. One that raises is put aside and remembered.

    Attributes:
        monitors: those still listening.
        failures: those put aside, and why.
        wants_columns: whether every monitor takes whole columns, so that slices may be collected.
    """

    def __init__(self, monitors: Sequence[Monitor]) -> None:
        self.monitors = list(monitors)
        self.failures: list[MonitorFailure] = []
        self.wants_columns = all(isinstance(monitor, ColumnMonitor) for monitor in monitors)
        self._listen()

    def start(self, meta: Mapping[str, Any]) -> None:
        self._each("on_run_start", lambda monitor: monitor.on_run_start(meta))

    def end(self, summary: RunSummary) -> None:
        self._each("on_run_end", lambda monitor: monitor.on_run_end(summary))

    def bars(self, columns: BarColumns) -> None:
        """Hand over consecutive slices, as columns or one by one."""
        for monitor in tuple(self.monitors):
            try:
                if isinstance(monitor, ColumnMonitor):
                    monitor.on_bars(columns)
                else:
                    for snapshot in _snapshots(columns):
                        monitor.on_bar(snapshot)
            except (
                Exception,
                SystemExit,
                GeneratorExit,
            ) as error:  # a monitor's failure must never become the run's
                self._put_aside(monitor, "on_bar", error)

    def notes(self, notes: Sequence[Note]) -> None:
        """Hand over what the kernel noted, in order."""
        hearers = self._hearers
        for note in notes:
            for monitor, tell in hearers[type(note)]:
                try:
                    tell(note)
                except (Exception, SystemExit, GeneratorExit) as error:  # as above
                    self._put_aside(monitor, _CALLBACKS[type(note)], error)
                    hearers = self._hearers

    def state_of(self, monitor: Monitor) -> Any:
        """What a monitor recorded, to be saved; None if it keeps nothing, or fails."""
        if not hasattr(monitor, "get_state"):
            return None
        try:
            return monitor.get_state()
        except (Exception, SystemExit, GeneratorExit) as error:  # as above
            self._put_aside(monitor, "get_state", error)
            return None

    def _listen(self) -> None:
        """Who hears of what; looked up once, for a replay notes a lot."""
        monitors = self.monitors
        order_drafts = [(each, _drafts(each, "on_order_draft", each.on_order)) for each in monitors]
        self._hearers: dict[type, list[tuple[Monitor, Callable[[Any], None]]]] = {
            TradeRecord: [(monitor, monitor.on_trade) for monitor in monitors],
            OrderRecord: [(monitor, monitor.on_order) for monitor in monitors],
            MetricRecord: [(monitor, _metric_teller(monitor)) for monitor in monitors],
            Alert: [(monitor, monitor.on_alert) for monitor in monitors],
            TradeNote: [
                (monitor, _drafts(monitor, "on_trade_draft", monitor.on_trade)) for monitor in monitors
            ],
            AcceptedNote: order_drafts,
            FilledNote: order_drafts,
        }

    def _each(self, name: str, call: Callable[[Monitor], None]) -> None:
        for monitor in tuple(self.monitors):
            try:
                call(monitor)
            except (Exception, SystemExit, GeneratorExit) as error:  # as above
                self._put_aside(monitor, name, error)

    def _put_aside(self, monitor: Monitor, callback: str, error: BaseException) -> None:
        # By identity: two monitors may well be equal.
        self.monitors = [each for each in self.monitors if each is not monitor]
        self._listen()
        self.failures.append(MonitorFailure(monitor, callback, error))


def _metric_teller(monitor: Monitor) -> Callable[[MetricRecord], None]:
    return lambda note: monitor.on_metric(note.name, note.value, note.timestamp)


def _drafts(monitor: Monitor, name: str, tell: Callable[[Any], None]) -> Callable[[RecordDraft[Any]], None]:
    """How a monitor takes what is not made yet: as it is, or made for it."""
    # Of its class, for a wrapper may pass on to another monitor whatever it does not have itself.
    own: Callable[[RecordDraft[Any]], None] | None = None
    if hasattr(type(monitor), name):
        own = getattr(monitor, name)
    return own or (lambda draft: tell(draft.record()))


def _snapshots(columns: BarColumns) -> list[BarSnapshot]:
    positions = dict(columns.positions_before)
    changes = list(columns.positions)
    snapshots = []
    for row, end in enumerate(columns.ends):
        while changes and changes[0][0] <= row:
            _, symbol, quantity = changes.pop(0)
            positions[symbol] = quantity
        prices = {symbol: closes[row] for symbol, closes in columns.closes.items()}
        snapshots.append(
            BarSnapshot(
                timestamp=from_ns(end),
                index=columns.first_index + row,
                # a symbol without a bar yet has NaN, the only value that differs from itself
                prices={symbol: price for symbol, price in prices.items() if price == price},  # noqa: PLR0124
                equity=columns.equity[row],
                cash=columns.cash[row],
                gross=columns.gross[row],
                net=columns.net[row],
                positions={symbol: quantity for symbol, quantity in positions.items() if quantity},
            )
        )
    return snapshots

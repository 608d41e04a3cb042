"""The monitor that keeps everything a run tells it, in memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from attrs import fields

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import StateCorrupt, StateSchemaTooNew
from alphaweave.monitoring.barlog import BarLog
from alphaweave.monitoring.monitor import (
    Alert,
    BarColumns,
    BarSnapshot,
    OrderRecord,
    RunSummary,
    TradeRecord,
)
from alphaweave.monitoring.packing import pack, unpack
from alphaweave.monitoring.recordlog import RecordLog

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["InMemoryMonitor"]

_STATE_VERSION: Final = 1
_RECORDS: Final[dict[str, type]] = {"trades": TradeRecord, "orders": OrderRecord, "alerts": Alert}


class InMemoryMonitor:
    """Records a whole run. A resumed run, given the state of the first part, records the same as one
    that was never interrupted.

    Attributes:
        meta: what the run said of itself at its start; empty before that.
        bars: every slice, as snapshots or as columns.
        trades: every fill, in order of booking.
        orders: every change of an order's status, in order.
        alerts: every alert, in order.
        summary: how the run ended; None while it runs.
    """

    def __init__(self) -> None:
        self.meta: dict[str, Any] = {}
        self.bars = BarLog()
        self.trades: RecordLog[TradeRecord] = RecordLog()
        self.orders: RecordLog[OrderRecord] = RecordLog()
        self.alerts: list[Alert] = []
        self.summary: RunSummary | None = None
        self._metrics: dict[str, tuple[array[int], array[float]]] = {}

    # What a replay has not made yet is kept as it is, until somebody reads it; where a subclass takes the
    # records itself, they are made for it.

    @property
    def on_trade_draft(self) -> Callable[[object], None] | None:
        own = type(self).on_trade is InMemoryMonitor.on_trade and isinstance(self.trades, RecordLog)
        return self.trades.draft if own else None

    @property
    def on_order_draft(self) -> Callable[[object], None] | None:
        own = type(self).on_order is InMemoryMonitor.on_order and isinstance(self.orders, RecordLog)
        return self.orders.draft if own else None

    def on_run_start(self, meta: Mapping[str, Any]) -> None:
        self.meta = dict(meta)
        self.summary = None

    def on_bar(self, snapshot: BarSnapshot) -> None:
        self.bars.append(snapshot)

    def on_bars(self, columns: BarColumns) -> None:
        self.bars.extend(columns)

    def on_trade(self, trade: TradeRecord) -> None:
        self.trades.append(trade)

    def on_order(self, order: OrderRecord) -> None:
        self.orders.append(order)

    def on_metric(self, name: str, value: float, timestamp: datetime) -> None:
        column = self._metrics.get(name)
        if column is None:
            column = self._metrics[name] = (array("q"), array("d"))
        column[0].append(to_ns(timestamp))
        column[1].append(value)

    def on_alert(self, alert: Alert) -> None:
        self.alerts.append(alert)

    def on_run_end(self, summary: RunSummary) -> None:
        self.summary = summary

    @property
    def metrics(self) -> dict[str, list[tuple[datetime, float]]]:
        """What the strategy logged: name -> (time, value) in order of logging."""
        return {
            name: [(from_ns(time), value) for time, value in zip(times, values, strict=True)]
            for name, (times, values) in self._metrics.items()
        }

    def metric_columns(self) -> Mapping[str, tuple[array[int], array[float]]]:
        """The same as columns: name -> (epoch nanoseconds UTC, values)."""
        return self._metrics

    def bars_df(self) -> pd.DataFrame:
        """One row a slice: index, equity, cash, gross, net; indexed by the slice's end, UTC."""
        import pandas as pd

        bars = self.bars
        columns = {name: _copy(getattr(bars.columns, name)) for name in ("equity", "cash", "gross", "net")}
        columns = {"index": list(map(bars.index_at, range(len(bars)))), **columns}
        return pd.DataFrame(columns, index=_utc_index(bars.columns.ends))

    def prices_df(self) -> pd.DataFrame:
        """The last known price of each symbol, one row a slice; NaN before its first one."""
        import pandas as pd

        columns = {symbol: _copy(column) for symbol, column in self.bars.columns.closes.items()}
        return pd.DataFrame(columns, index=_utc_index(self.bars.columns.ends), dtype="float64")

    def positions_df(self) -> pd.DataFrame:
        """The signed quantity of each symbol that was ever held, one row a slice."""
        import numpy as np
        import pandas as pd

        count = len(self.bars)
        columns = {}
        for symbol, (rows, quantities) in self.bars.columns.changes.items():
            spans = np.diff([*rows, count])
            columns[symbol] = np.concatenate([np.zeros(rows[0]), np.repeat(_copy(quantities), spans)])
        return pd.DataFrame(columns, index=_utc_index(self.bars.columns.ends), dtype="float64")

    def trades_df(self) -> pd.DataFrame:
        """One row a fill, the fields of TradeRecord; indexed by execution time, UTC."""
        return _records_df(TradeRecord, self.trades)

    def orders_df(self) -> pd.DataFrame:
        """One row a change of status, the fields of OrderRecord (quantities and prices as float); indexed
        by time, UTC."""
        return _records_df(OrderRecord, self.orders)

    def alerts_df(self) -> pd.DataFrame:
        """One row an alert, the fields of Alert; indexed by time, UTC."""
        return _records_df(Alert, self.alerts)

    def metrics_df(self) -> pd.DataFrame:
        """One row a time at which the strategy logged something, one column a name; NaN where it did not
        log that name. Of two values with one name and time the later stands."""
        import pandas as pd

        columns = {}
        for name, (times, values) in self._metrics.items():
            series = pd.Series(_copy(values), index=_utc_index(times))
            columns[name] = series[~series.index.duplicated(keep="last")]
        if not columns:
            return pd.DataFrame(index=_utc_index(()), dtype="float64")
        frame = pd.DataFrame(columns).sort_index()
        frame.index.name = "timestamp"
        return frame

    def get_state(self) -> dict[str, Any]:
        """All that was recorded, except how the run ended, as JSON values."""
        return {
            "version": _STATE_VERSION,
            # Whether this part of the run was resumed is no property of the whole.
            "meta": {name: _json(value) for name, value in self.meta.items() if name != "resumed"},
            "bars": self.bars.get_state(),
            **{name: _rows(kind, getattr(self, name)) for name, kind in _RECORDS.items()},
            "metrics": {name: [pack(times), pack(values)] for name, (times, values) in self._metrics.items()},
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Replace all that was recorded by what ``get_state`` returned; of a run that has begun, ``meta``
        stays what it said itself.

        Raises:
            StateSchemaTooNew: a newer AlphaWeave wrote it.
            StateCorrupt: it cannot be read; nothing has changed then.
        """
        version = state.get("version")
        if isinstance(version, int) and version > _STATE_VERSION:
            raise StateSchemaTooNew(
                f"the recorded run has schema {version}, this AlphaWeave reads up to {_STATE_VERSION}; "
                "resume it with the version that wrote it, or newer"
            )
        bars = BarLog()
        try:
            meta = dict(state["meta"])
            bars.set_state(state["bars"])
            records = {name: _restored(kind, state[name]) for name, kind in _RECORDS.items()}
            metrics = {
                name: (unpack("q", times), unpack("d", values))
                for name, (times, values) in state["metrics"].items()
            }
        except (AttributeError, InvalidOperation, KeyError, TypeError, ValueError) as error:
            raise StateCorrupt(f"the recorded run cannot be read: {error!r}") from error
        self.meta = self.meta or meta
        self.bars = bars
        self.trades.restore(records["trades"])
        self.orders.restore(records["orders"])
        self.alerts = records["alerts"]
        self._metrics = metrics


def _names(kind: type) -> list[str]:
    return [attribute.name for attribute in fields(kind)]


def _rows(kind: type, records: Iterable[Any]) -> list[list[Any]]:
    """The field values of each record as JSON values; its time, which is the first of them, in epoch
    nanoseconds."""
    values = attrgetter(*_names(kind))
    return [[to_ns(time), *map(_plain, rest)] for time, *rest in map(values, records)]


def _restored(kind: type, rows: Iterable[list[Any]]) -> list[Any]:
    return [kind(from_ns(time), *map(_lively, rest)) for time, *rest in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    return list(value) if isinstance(value, tuple) else value


def _lively(value: Any) -> Any:
    if isinstance(value, dict):
        return Decimal(value["decimal"])
    return tuple(value) if isinstance(value, list) else value


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _copy(column: array[Any]) -> Any:
    """A numpy copy: a view would forbid the array to grow while someone holds it."""
    import numpy as np

    return np.array(column, dtype="int64" if column.typecode == "q" else "float64")


def _utc_index(times: Iterable[int]) -> pd.DatetimeIndex:
    import numpy as np
    import pandas as pd

    stamps = np.array(times if isinstance(times, array) else list(times), dtype="datetime64[ns]")
    return pd.DatetimeIndex(stamps, tz="UTC", name="timestamp")


def _records_df(kind: type, records: Sequence[Any]) -> pd.DataFrame:
    import pandas as pd

    times, *columns = ([getattr(record, name) for record in records] for name in _names(kind))
    named = {
        name: [float(value) if isinstance(value, Decimal) else value for value in column]
        for name, column in zip(_names(kind)[1:], columns, strict=True)
    }
    return pd.DataFrame(named, index=_utc_index(map(to_ns, times)), columns=list(named))

"""What a dashboard page carries for its charts and tables, compact enough for half a million bars.

The page receives one JSON document, compressed and in base64: whatever a symbol or a message
contains, none of it can be read as markup. A column of numbers travels as whole numbers and the
differences between neighbours; ``k`` is how many decimals they had.
"""

from __future__ import annotations

import json
import math
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from alphaweave.core.clock import to_ns
from alphaweave.monitoring.dates import BarDates
from alphaweave.monitoring.monitor import OrderRecord

if TYPE_CHECKING:
    import numpy as np

    from alphaweave.monitoring.metrics import Floats, Times
    from alphaweave.monitoring.run import RunMonitor

__all__ = ["encode", "page_data"]

_MAX_VALUES: Final = 2_500_000
_MAX_SYMBOLS: Final = 200
_MAX_FILLS: Final = 30_000
_MAX_ORDERS: Final = 10_000
_MAX_ALERTS: Final = 5_000
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def encode(data: dict[str, Any]) -> str:
    """The document as the page carries it."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return b64encode(zlib.compress(text.encode(), 6)).decode("ascii")


def page_data(run: RunMonitor, dates: BarDates) -> dict[str, Any]:
    """Everything the charts and tables of one run show."""
    import numpy as np

    memory = run.memory
    ends = np.array(memory.bars.columns.ends, dtype="int64")
    symbols = _symbols(run)
    names = list(memory.metric_columns())
    kept = _kept_rows(run, columns=4 + len(symbols) + len(names))
    return {
        "bars": len(ends),
        "opening": run.opening_equity,
        "times": _times(ends[kept] // 1_000_000),
        "days": _steps([dates.date(end).toordinal() - _EPOCH_DAY for end in ends[kept].tolist()])
        if dates.daily
        else None,
        "equity": _column(memory.bars.columns.equity, kept, money=True),
        "gross": _column(memory.bars.columns.gross, kept, money=True),
        "net": None
        if memory.bars.columns.net == memory.bars.columns.gross
        else _column(memory.bars.columns.net, kept, money=True),
        "turnover": _turnover(run, kept),
        "prices": [[symbol, _column(memory.bars.columns.closes[symbol], kept)] for symbol in symbols],
        "symbols": len(memory.bars.columns.closes),
        "metrics": [[name, _metric(run, name, kept)] for name in names],
        "fills": _fills(run, kept),
        "trips": _trips(run, kept),
        "orders": _orders(memory.orders),
        "alerts": _alerts(run),
    }


def _symbols(run: RunMonitor) -> list[str]:
    """Those with prices, the most traded first."""
    fills = Counter(trade.symbol for trade in run.memory.trades)
    ranked = sorted(run.memory.bars.columns.closes, key=lambda symbol: -fills[symbol])
    return ranked[:_MAX_SYMBOLS]


def _kept_rows(run: RunMonitor, columns: int) -> Times:
    """The rows that are drawn: all, unless there are too many; then of each stretch of rows the last one
    and those with the lowest and the highest equity."""
    import numpy as np

    equity = np.array(run.memory.bars.columns.equity)
    budget = max(3_000, _MAX_VALUES // columns)
    if len(equity) <= budget:
        return np.arange(len(equity))
    stretch = math.ceil(3 * len(equity) / budget)
    whole = len(equity) // stretch * stretch
    blocks = equity[:whole].reshape(-1, stretch)
    first = np.arange(0, whole, stretch)
    picked = [first + blocks.argmin(axis=1), first + blocks.argmax(axis=1), first + stretch - 1]
    return np.unique(np.concatenate([*picked, [len(equity) - 1]]))


def _times(ends: Times) -> dict[str, Any]:
    import numpy as np

    steps = np.diff(ends, prepend=ends[:1])
    unit = max(1, int(np.gcd.reduce(steps))) if len(ends) else 1
    return {"first": int(ends[0]) if len(ends) else 0, "unit": unit, "d": (steps // unit).tolist()}


def _column(values: Sequence[float], kept: Times, *, money: bool = False) -> dict[str, Any]:
    """A column from its first number on; a gap further on repeats the number before it."""
    import numpy as np

    column = np.array(values, dtype="float64")[kept]
    known = np.flatnonzero(np.isfinite(column))
    if not len(known):
        return {"start": len(column), "k": 0, "d": []}
    start = int(known[0])
    column = column[start:]
    filled = np.maximum.accumulate(np.where(np.isfinite(column), np.arange(len(column)), 0))
    column = column[filled]
    decimals = _decimals(column)
    if money and float(np.abs(column).max()) >= 100.0:
        decimals = min(decimals, 2)
    whole = np.rint(column * 10.0**decimals).astype("int64")
    return {"start": start, "k": decimals, "d": np.diff(whole, prepend=0).tolist()}


def _decimals(column: Floats) -> int:
    """As many decimals as the column has, within nine significant digits or else two decimals; negative
    where whole numbers would be too large to add up."""
    import numpy as np

    largest = float(np.abs(column).max())
    if largest == 0.0:
        return 0
    digits = math.floor(math.log10(largest)) + 1
    most = min(15, max(9 - digits, min(2, 15 - digits)))
    for decimals in range(most):
        scale = 10.0**decimals
        lost = float(np.abs(column * scale - np.rint(column * scale)).max())
        if lost < min(1e-6, 1e-9 * largest * scale):
            return decimals
    return most


def _turnover(run: RunMonitor, kept: Times) -> dict[str, Any]:
    """Rows in which something was traded, and the value traded over equity, in 1/10,000."""
    import numpy as np

    turnover = np.nan_to_num(run.turnover.to_numpy(dtype="float64"), posinf=0.0)
    rows = np.flatnonzero(turnover)
    sums = np.zeros(len(kept))
    np.add.at(sums, _nearest(kept, rows), turnover[rows])
    rows = np.flatnonzero(sums)
    return {"rows": _steps(rows), "v": np.rint(sums[rows] * 1e4).astype("int64").tolist()}


def _metric(run: RunMonitor, name: str, kept: Times) -> dict[str, Any]:
    """A logged metric in rows: each value stands until the next one."""
    import numpy as np

    times, values = run.memory.metric_columns()[name]
    column = np.full(len(run.memory.bars), np.nan)
    rows = np.searchsorted(np.array(run.memory.bars.columns.ends), np.array(times))
    inside = rows < len(column)
    column[rows[inside]] = np.array(values)[inside]
    return _column(column.tolist(), kept)


def _fills(run: RunMonitor, kept: Times) -> dict[str, Any]:
    trades = run.memory.trades[-_MAX_FILLS:]
    rows = _nearest(kept, [run.row_of(trade.index, trade.timestamp) for trade in trades])
    names, symbols = _coded(trade.symbol for trade in trades)
    return {
        "total": len(run.memory.trades),
        "names": names,
        "row": _steps(rows) if len(kept) else [0] * len(trades),
        "time": _steps([_ms(trade.timestamp) for trade in trades]),
        "symbol": symbols,
        "buy": [int(trade.side == "buy") for trade in trades],
        "price": _numbers(trade.price for trade in trades),
        "size": _numbers(trade.size for trade in trades),
        "fees": _numbers(trade.fees for trade in trades),
        "slippage": _numbers(trade.slippage for trade in trades),
        "pnl": _numbers(trade.pnl for trade in trades),
        "position": _numbers(trade.position for trade in trades),
        "tag": [trade.strategy_tag or "" for trade in trades],
        "order": [trade.order_id for trade in trades],
    }


def _trips(run: RunMonitor, kept: Times) -> dict[str, Any]:
    """Open positions, then round trips from the latest on."""
    trips = [*run.open_positions(), *reversed(run.round_trips())]
    shown = trips[:_MAX_FILLS]
    opened = [run.row_of(trip.opened_index, trip.opened_at) for trip in shown]
    closed = [
        len(run.memory.bars) - 1 if trip.closed_at is None else run.row_of(trip.closed_index, trip.closed_at)
        for trip in shown
    ]
    names, symbols = _coded(trip.symbol for trip in shown)
    return {
        "total": len(trips),
        "names": names,
        "symbol": symbols,
        "long": [int(trip.side == "long") for trip in shown],
        "opened": [_ms(trip.opened_at) for trip in shown],
        "closed": [None if trip.closed_at is None else _ms(trip.closed_at) for trip in shown],
        "from": _nearest(kept, opened).tolist(),
        "to": _nearest(kept, closed).tolist(),
        "size": _numbers(trip.size for trip in shown),
        "entry": _numbers(trip.entry_price for trip in shown),
        "exit": _numbers(trip.exit_price for trip in shown),
        "pnl": _numbers(trip.pnl for trip in shown),
        "return": _numbers(trip.return_ for trip in shown),
        "fees": _numbers(trip.fees for trip in shown),
    }


def _orders(records: Sequence[OrderRecord]) -> dict[str, Any]:
    """Each order as it stood last, in the order of their first records."""
    latest: dict[str, OrderRecord] = {}
    for record in records:
        latest[record.order_id] = record
    orders = list(latest.values())
    refused = sum(order.status in ("denied", "rejected") for order in orders)
    shown = orders[-_MAX_ORDERS:]
    return {
        "total": len(orders),
        "refused": refused,
        "time": [_ms(order.timestamp) for order in shown],
        "symbol": [order.symbol for order in shown],
        "side": [order.side for order in shown],
        "type": [f"{order.type} {order.tif}".strip() for order in shown],
        "quantity": _numbers(order.quantity for order in shown),
        "filled": _numbers(order.filled for order in shown),
        "limit": _numbers(order.limit_price for order in shown),
        "stop": _numbers(order.stop_price for order in shown),
        "average": _numbers(order.average_price for order in shown),
        "status": [order.status for order in shown],
        "why": [
            " · ".join(part for part in (order.reason, order.text, *order.adjustments) if part)
            for order in shown
        ],
        "order": [order.order_id for order in shown],
    }


def _alerts(run: RunMonitor) -> dict[str, Any]:
    alerts = run.memory.alerts
    shown = alerts[-_MAX_ALERTS:]
    return {
        "total": len(alerts),
        "time": [_ms(alert.timestamp) for alert in shown],
        "severity": [alert.severity for alert in shown],
        "code": [alert.code for alert in shown],
        "symbol": [alert.symbol or "" for alert in shown],
        "message": [alert.message for alert in shown],
    }


def _ms(moment: datetime) -> int:
    return to_ns(moment) // 1_000_000


def _numbers(values: Iterable[Any]) -> list[float | None]:
    """Numbers as JSON knows them."""
    floats = (None if value is None else float(value) for value in values)
    return [value if value is not None and math.isfinite(value) else None for value in floats]


def _coded(names: Iterable[str]) -> tuple[list[str], list[int]]:
    """The different names, and for each one its place among them."""
    places: dict[str, int] = {}
    codes = [places.setdefault(name, len(places)) for name in names]
    return list(places), codes


def _steps(values: Sequence[int] | np.ndarray[Any, Any]) -> list[int]:
    import numpy as np

    steps: list[int] = np.diff(np.array(values, dtype="int64"), prepend=0).tolist()
    return steps


def _nearest(kept: Times, rows: Sequence[int] | np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Where among the kept rows each row is, or the next one after it."""
    import numpy as np

    return np.searchsorted(kept, np.array(rows, dtype="int64"))

"""From the journal of a live run to the record that a page is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from math import nan
from typing import Any, Final

from alphaweave.core.errors import JournalCorrupt
from alphaweave.live.journal_reader import JournalReader
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import Alert, BarSnapshot, OrderRecord, TradeRecord

__all__ = ["recorded_run"]

_EXACT: Final = ("quantity", "filled", "limit_price", "stop_price")
_FIGURES: Final = ("equity", "cash", "gross", "net")


def recorded_run(reader: JournalReader) -> InMemoryMonitor:
    """What monitors were told of a run, as far as it is journaled; the run may go on meanwhile.

    Raises:
        JournalError: the journal cannot be read, or holds no slice to draw.
    """
    memory = InMemoryMonitor()
    take: Mapping[str, Callable[[dict[str, Any]], None]] = {
        "bar": lambda data: memory.on_bar(_bar(data)),
        "trade": lambda data: memory.on_trade(TradeRecord(**data)),
        "order": lambda data: memory.on_order(_order(data)),
        "alert": lambda data: memory.on_alert(Alert(**data)),
        "metric": lambda data: memory.on_metric(data["name"], _number(data["value"]), data["timestamp"]),
    }
    symbols: dict[str, None] = {}
    for row, entry in reader.entries(*take):
        try:
            data = dict(entry.data)
            data["timestamp"] = datetime.fromisoformat(data["timestamp"])
            take[entry.kind](data)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise JournalCorrupt(
                f"decision {row.seq} holds no {entry.kind} that this version can read ({error})", reader.path
            ) from error
        symbols.update(dict.fromkeys(data.get("prices", ())))
    identity = reader.identity
    memory.on_run_start(
        {
            "run_id": identity.run_id,
            "mode": identity.mode,
            "strategy": identity.strategy,
            "broker": identity.broker,
            "symbols": tuple(symbols),
        }
    )
    return memory


def _bar(data: dict[str, Any]) -> BarSnapshot:
    return BarSnapshot(**{**data, **{name: _number(data[name]) for name in _FIGURES}})


def _order(data: dict[str, Any]) -> OrderRecord:
    exact = {name: None if data[name] is None else Decimal(data[name]) for name in _EXACT}
    return OrderRecord(**{**data, **exact, "adjustments": tuple(data["adjustments"])})


def _number(value: float | None) -> float:
    """JSON has no NaN."""
    return nan if value is None else value

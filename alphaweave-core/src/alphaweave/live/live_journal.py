"""What a decision of a live run holds in the journal, and how it is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import reduce
from operator import add
from threading import Lock
from typing import Any

from attrs import asdict

from alphaweave.live.effects import MetricRecord, Note
from alphaweave.live.journal_records import Entry, IntentKind
from alphaweave.live.kernel_live import Fact, LiveKernel
from alphaweave.live.reports import BrokerFill, FillCorrection
from alphaweave.live.trading_state import TradingStates
from alphaweave.monitoring.monitor import Alert, BarSnapshot, OrderRecord, TradeRecord

__all__ = [
    "AdapterStore",
    "bar_snapshot",
    "fact_entries",
    "note_entries",
    "plain_document",
    "send_name",
    "status_document",
]

_KINDS: Mapping[type, str] = {
    TradeRecord: "trade",
    OrderRecord: "order",
    MetricRecord: "metric",
    Alert: "alert",
    BarSnapshot: "bar",
}


class AdapterStore(MutableMapping[str, str]):
    """An adapter's durable key-values (``Services.store``), which knows what changed since it was asked.

    The adapter has it on the event loop, and in ``prepare`` on the core's thread, where changes are taken.
    """

    def __init__(self, saved: Mapping[str, str] | None = None) -> None:
        self._values = dict(saved or {})
        self._changes: dict[str, str | None] = {}
        self._lock = Lock()

    def take(self) -> dict[str, str | None]:
        """What changed since the last call; None is gone."""
        with self._lock:
            changes, self._changes = self._changes, {}
        return changes

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __setitem__(self, key: str, value: str) -> None:
        with self._lock:
            self._values[key] = self._changes[key] = value

    def __delitem__(self, key: str) -> None:
        with self._lock:
            del self._values[key]
            self._changes[key] = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def fact_entries(facts: Iterable[Fact]) -> list[Entry]:
    """What was booked, as entries: each revision of an execution once."""
    entries = []
    for fact in facts:
        event = fact.event
        document = plain_document(event)
        if fact.key is not None and isinstance(event, BrokerFill | FillCorrection):
            entries.append(Entry(fact.kind, document, event.account, fact.key, fact.revision))
        else:
            # The books learned more of a revision that they have: a fee, or a name.
            kind = "booked_again" if fact.kind in {"execution", "correction"} else fact.kind
            entries.append(Entry(kind, document))
    return entries


def note_entries(notes: Iterable[Note | BarSnapshot]) -> list[Entry]:
    """What monitors were told, as entries, from which a report is drawn."""
    return [Entry(_KINDS[type(note)], plain_document(note)) for note in notes]


def bar_snapshot(kernel: LiveKernel, end: datetime) -> BarSnapshot:
    """The books after a slice, as a replay records them."""
    held = {book: book.units * book.multiplier * (book.last() or 0.0) for book in kernel.held}
    prices = ((symbol, book.last()) for symbol, book in kernel.books.items())
    return BarSnapshot(
        timestamp=end,
        index=kernel.index,
        prices={symbol: price for symbol, price in prices if price is not None},
        equity=kernel.equity(),
        cash=kernel.ledger.cash,
        # One after the other, as a replay adds them: from Python 3.12 on `sum` rounds floats otherwise.
        gross=reduce(add, map(abs, held.values()), 0.0),
        net=reduce(add, held.values(), 0.0),
        positions={book.symbol: book.units for book in kernel.held},
    )


def plain_document(record: Any) -> dict[str, Any]:
    """A record as JSON values: Decimals as text, times in ISO 8601; None where a number is none."""
    document = asdict(record, value_serializer=_serialized)
    return {key: _plain(value) for key, value in document.items()}


def send_name(kind: IntentKind, client_order_id: str, seq: int) -> str:
    """The name under which the outcome of a send is reported: another for each cancel."""
    return f"cancel:{client_order_id}:{seq}" if kind is IntentKind.CANCEL else client_order_id


def status_document(kernel: LiveKernel, states: TradingStates) -> dict[str, Any]:
    """How a run stands, for an operator."""
    return {
        "state": states.state().value,
        "causes": [f"{cause.code}: {cause.reason}" for cause in states.causes()],
        "symbols": {symbol: states.state(symbol).value for symbol in states.symbols()},
        "equity": kernel.equity(),
        "cash": kernel.ledger.cash,
        "positions": {book.symbol: str(book.quantity) for book in kernel.held},
        "open_orders": sum(len(book.orders) for book in kernel.books.values()),
    }


def _serialized(_: type, __: Any, value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in {float("inf"), float("-inf")}):  # noqa: PLR0124
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value

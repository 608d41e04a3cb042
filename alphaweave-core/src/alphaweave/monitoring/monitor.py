"""What a run tells its monitors.

A monitor never influences a run. In replay the engine calls ``on_bars`` with whole columns where a
monitor has it, and falls back to ``on_bar`` for each slice where it has not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, TypeVar, runtime_checkable

from attrs import field, frozen

__all__ = [
    "Alert",
    "BarColumns",
    "BarSnapshot",
    "ColumnMonitor",
    "Monitor",
    "OrderRecord",
    "RecordDraft",
    "RunSummary",
    "TradeRecord",
]


@frozen
class BarSnapshot:
    """The books after one slice, in the run's currency; ``timestamp`` is the slice's end, UTC.

    Attributes:
        index: the slice's number, warm-up included.
        prices: last known price of each symbol that has one.
        positions: signed quantity of each symbol held.
        gross, net: sum of absolute, and of signed, position values.
    """

    timestamp: datetime
    index: int
    prices: Mapping[str, float]
    equity: float
    cash: float
    gross: float
    net: float
    positions: Mapping[str, float]

    @property
    def positions_value(self) -> float:
        return self.net

    @property
    def leverage(self) -> float:
        """Gross exposure over equity; 0 without equity."""
        return self.gross / self.equity if self.equity else 0.0


@frozen
class BarColumns:
    """Many consecutive slices at once; all columns have one length.

    Attributes:
        first_index: the slice number of the first row.
        ends: slice ends, epoch nanoseconds UTC.
        equity, cash, gross, net: as in BarSnapshot, one value a slice.
        positions: (row, symbol, signed quantity after it) for each change of a position within these
            rows, in order; ``positions_before`` holds the quantities when the first row began.
        closes: symbol -> last known price at each row (NaN before the first one).
    """

    first_index: int
    ends: Sequence[int]
    equity: Sequence[float]
    cash: Sequence[float]
    gross: Sequence[float]
    net: Sequence[float]
    closes: Mapping[str, Sequence[float]]
    positions: Sequence[tuple[int, str, float]] = ()
    positions_before: Mapping[str, float] = field(factory=dict)


@frozen
class TradeRecord:
    """One fill, as the ledger booked it.

    Attributes:
        timestamp: execution time, UTC.
        side: ``buy`` or ``sell``; size is positive.
        price: quote currency per unit; fees: in the run's currency (a rebate is negative).
        slippage: price paid minus the reference price at decision, signed so that positive is a cost,
            in quote currency per unit; None when there was no reference.
        pnl: realised by this fill after its fees, in the run's currency; None for a pure opening.
        position: signed quantity after the fill.
        index: number of the slice in which it was booked; -1 when no slice was open.
        notional: value traded in the run's currency, positive; None where it is ``price * size``, that is
            without a contract multiplier and without a currency conversion.
    """

    timestamp: datetime
    symbol: str
    side: str
    price: float
    size: float
    fees: float
    order_id: str
    execution_key: str
    position: float
    slippage: float | None = None
    pnl: float | None = None
    strategy_tag: str | None = None
    index: int = -1
    notional: float | None = None


@frozen
class OrderRecord:
    """An order after a change of its status.

    Attributes:
        quantity: units asked for; None for an order sized in quote currency that has no fill yet.
        reason: a reason code for a denial, rejection or end; None otherwise.
        adjustments: what rounding to the instrument's rules changed, in words.
    """

    timestamp: datetime
    order_id: str
    symbol: str
    side: str
    type: str
    tif: str
    status: str
    quantity: Decimal | None
    filled: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    average_price: float | None = None
    reason: str | None = None
    text: str = ""
    adjustments: tuple[str, ...] = ()


@frozen
class Alert:
    """Something a person should know now.

    Attributes:
        severity: ``info``, ``warning`` or ``error``.
        code: stable, lower case, for example ``order_rejected``.
    """

    timestamp: datetime
    severity: str
    code: str
    message: str
    symbol: str | None = None


@frozen
class RunSummary:
    """How a run ended.

    Attributes:
        outcome: ``finished``, ``stopped`` (by the user) or ``failed``.
        error: the message of what failed.
        halted: why the whole account was not traded at the end, where the engine said so and no operator:
            a strategy that raised, a loss limit, a journal that takes nothing more. None otherwise.
    """

    run_id: str
    outcome: str
    slices: int
    orders: int
    fills: int
    denials: int
    rule_evaluations: int
    equity: float
    cash: float
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    halted: str | None = None


_RecordT_co = TypeVar("_RecordT_co", covariant=True)


class RecordDraft(Protocol[_RecordT_co]):
    """A record of a replay that is made when somebody reads it."""

    def record(self) -> _RecordT_co: ...


class Monitor(Protocol):
    """What every monitor implements. Each method returns nothing and must not block."""

    def on_run_start(self, meta: Mapping[str, Any]) -> None:
        """``meta`` has run_id, mode, strategy, symbols, capital, currency, broker, datafeed, interval,
        config (secrets redacted); where known slices (their number), timezone (of the days of daily
        bars) and notices (what a person should know); keys are only ever added. A resumed run begins
        with this call too, before or after ``set_state``."""
        ...

    def on_bar(self, snapshot: BarSnapshot) -> None:
        """After each slice."""
        ...

    def on_trade(self, trade: TradeRecord) -> None:
        """After each fill was booked."""
        ...

    def on_order(self, order: OrderRecord) -> None:
        """After each change of an order's status."""
        ...

    def on_metric(self, name: str, value: float, timestamp: datetime) -> None:
        """A value the strategy logged with ``log_metric``."""
        ...

    def on_alert(self, alert: Alert) -> None:
        """Something a person should know now."""
        ...

    def on_run_end(self, summary: RunSummary) -> None:
        """Once, also after a failure."""
        ...


@runtime_checkable
class ColumnMonitor(Protocol):
    """A monitor that would rather have columns: replay then never calls its ``on_bar``."""

    def on_bars(self, columns: BarColumns) -> None:
        """Consecutive slices; the columns belong to the monitor and do not change any more."""
        ...

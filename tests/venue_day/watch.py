"""What a run says of itself while it goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import define, field

from alphaweave.monitoring.monitor import Alert, BarSnapshot, Monitor, OrderRecord, TradeRecord
from venue_day.faults import Bench

__all__ = ["Watch"]


@define
class Watch(Monitor):
    """What the run says of itself.

    Attributes:
        end: of the last slice.
        orders: order id -> where it stands.
    """

    bench: Bench
    end: datetime | None = None
    trades: int = 0
    orders: dict[str, str] = field(factory=dict)
    alerts: Counter[str] = field(factory=Counter)

    def on_run_start(self, meta: Mapping[str, Any]) -> None:
        pass

    def on_bar(self, snapshot: BarSnapshot) -> None:
        self.end = snapshot.timestamp

    def on_trade(self, trade: TradeRecord) -> None:
        self.trades += 1

    def on_order(self, order: OrderRecord) -> None:
        self.orders[order.order_id] = order.status

    def on_metric(self, name: str, value: float, timestamp: datetime) -> None:
        pass

    def on_alert(self, alert: Alert) -> None:
        self.alerts[alert.code] += 1
        self.bench.line.losses += alert.code == "connection_lost"
        self.bench.line.restored += alert.code == "connection_restored"

    def on_run_end(self, summary: Any) -> None:
        pass

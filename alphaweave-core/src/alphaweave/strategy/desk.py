"""What the kernel offers a strategy: the reads and requests behind the Strategy API."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from alphaweave.core.money import Number
from alphaweave.core.order import OrderType, TimeInForce
from alphaweave.data.series import Window
from alphaweave.indicators.base import Indicator
from alphaweave.strategy.events import GroupHandle, OrderHandle

__all__ = ["Desk"]


class Desk(Protocol):
    """Every method means what the Strategy method that calls it says."""

    symbols: tuple[str, ...]

    def equity(self) -> float: ...
    def cash(self) -> float: ...
    def close(self, symbol: str | None = None) -> float: ...
    def position(self, symbol: str | None = None) -> float: ...
    def now(self) -> datetime: ...
    def is_fresh(self, symbol: str | None = None) -> bool: ...
    def history(self, symbol: str | None, n: int | None) -> Window: ...
    def indicator(self, kind: str, symbol: str | None, period: int) -> Indicator: ...
    def order(self, order_id: str) -> OrderHandle | None: ...
    def open_orders(self, symbol: str | None) -> tuple[OrderHandle, ...]: ...
    def log_metric(self, name: str, value: float) -> None: ...

    def place(
        self,
        symbol: str | None,
        size: Number | None,
        kind: OrderType,
        tif: TimeInForce | str | None,
        *,
        value: Number | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        trail: tuple[Number | None, Number | None] | None = None,
        expire_at: datetime | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        extended_hours: bool = False,
    ) -> OrderHandle: ...

    def place_market(
        self,
        symbol: str | None,
        size: Number | None = None,
        *,
        value: Number | None = None,
        tif: TimeInForce | str | None = None,
        reduce_only: bool = False,
    ) -> OrderHandle: ...

    def place_group(
        self,
        symbol: str | None,
        size: Number,
        *,
        bracket: bool,
        take_profit: Number,
        stop_loss: Number,
        stop_limit: Number | None,
        limit_price: Number | None,
        tif: TimeInForce | str | None,
    ) -> GroupHandle: ...

    def place_target(
        self, symbol: str | None, target: float | Decimal, tif: TimeInForce | str | None = None
    ) -> OrderHandle: ...

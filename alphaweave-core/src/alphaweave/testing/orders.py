"""Requests that a venue takes: sizes and prices on its grids, times in force that the adapter declares."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from alphaweave.core.instrument import Instrument
from alphaweave.core.order import GroupKind, OrderGroup, OrderRequest, OrderType, Side, TimeInForce, Trail
from alphaweave.live.adapters.capabilities import Capabilities, usual_group_tif, usual_tif

__all__ = ["KIT_PRICE", "Orders"]

KIT_PRICE: Final = Decimal(100)
"""What every symbol trades at when a case begins, to the nearest tick."""

_RESTING: Final = (TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD)


class Orders:
    """Makes requests.

    A lot is the smallest size worth more than twice the least notional at half the price, and a whole number
    of units.
    """

    def __init__(self, capabilities: Capabilities, instruments: Mapping[str, Instrument]) -> None:
        self._capabilities = capabilities
        self._instruments = instruments

    def price(self, symbol: str, share: str = "1") -> Decimal:
        """The kit's price of a symbol, or a share of it, on the tick grid."""
        return self._instruments[symbol].nearest_price(KIT_PRICE * Decimal(share))

    def lot(self, symbol: str) -> Decimal:
        """The size of one lot, in units."""
        rules = self._instruments[symbol]
        least = max(
            Decimal(1), rules.min_size or Decimal(0), (rules.min_notional or Decimal(0)) * 4 / KIT_PRICE
        )
        steps = (least / rules.size_step).to_integral_value(ROUND_CEILING)
        size = steps * rules.size_step
        while size % 1 != 0:
            size += rules.size_step
        return size

    def size(self, symbol: str, lots: int = 1) -> Decimal:
        """So many lots, in units."""
        return self.lot(symbol) * lots

    def market(self, symbol: str, lots: int = 1, side: Side = Side.BUY) -> OrderRequest:
        """A market order with the usual time in force."""
        tif = usual_tif(self._capabilities, self._instruments[symbol], OrderType.MARKET)
        return OrderRequest(symbol, side, self.size(symbol, lots), type=OrderType.MARKET, tif=tif)

    def limit(
        self, symbol: str, lots: int = 1, side: Side = Side.BUY, share: str | None = None
    ) -> OrderRequest:
        """A limit order that rests: a buy at half the price, a sale at three halves, or at ``share``."""
        price = self.price(symbol, share or ("0.5" if side is Side.BUY else "1.5"))
        return OrderRequest(
            symbol,
            side,
            self.size(symbol, lots),
            type=OrderType.LIMIT,
            tif=self.resting(symbol, OrderType.LIMIT),
            limit_price=price,
        )

    def resting(self, symbol: str, kind: OrderType) -> TimeInForce:
        """The longest time in force that the type may rest with."""
        narrowed = self._instruments[symbol].order_types
        for tif in _RESTING[:2]:
            pair = (kind, tif)
            if pair in self._capabilities.order_types and (narrowed is None or pair in narrowed):
                return tif
        return usual_tif(self._capabilities, self._instruments[symbol], kind)

    def of(
        self, symbol: str, kind: OrderType, tif: TimeInForce, *, now: datetime, **more: Any
    ) -> OrderRequest:
        """A buy of any type and time in force, priced so that it neither trades nor triggers, if it can."""
        fields: dict[str, Any] = {"quantity": self.size(symbol)}
        limits = {OrderType.LIMIT: "0.5", OrderType.STOP_LIMIT: "1.55", OrderType.TAKE_PROFIT_LIMIT: "0.55"}
        if kind in limits:
            fields["limit_price"] = self.price(symbol, limits[kind])
        if kind in {OrderType.STOP, OrderType.STOP_LIMIT}:
            fields["stop_price"] = self.price(symbol, "1.5")
        if kind in {OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT}:
            fields["stop_price"] = self.price(symbol, "0.5")
        if kind is OrderType.TRAILING_STOP:
            percent = self._capabilities.trail_percent and not self._capabilities.trail_amount
            fields["trail"] = (
                Trail(percent=Decimal(5)) if percent else Trail(amount=self.price(symbol, "0.1"))
            )
        if tif is TimeInForce.GTD:
            fields["expire_at"] = (now + timedelta(days=1)).replace(microsecond=0)
        return OrderRequest(symbol, Side.BUY, type=kind, tif=tif, **{**fields, **more})

    def group(self, symbol: str, kind: GroupKind, lots: int = 1) -> OrderGroup:
        """A bracket that buys at half the price, or an OCO that sells what is held."""
        rules = self._instruments[symbol]
        tif = usual_group_tif(self._capabilities, rules, (OrderType.LIMIT, OrderType.STOP))
        size = self.size(symbol, lots)
        low, high = ("0.4", "0.6") if kind is GroupKind.BRACKET else ("0.5", "1.5")
        target = OrderRequest(
            symbol, Side.SELL, size, type=OrderType.LIMIT, tif=tif, limit_price=self.price(symbol, high)
        )
        stop_pair = (OrderType.STOP, tif)
        narrowed = rules.order_types
        plain = stop_pair in self._capabilities.order_types and (narrowed is None or stop_pair in narrowed)
        stop = OrderRequest(
            symbol,
            Side.SELL,
            size,
            type=OrderType.STOP if plain else OrderType.STOP_LIMIT,
            tif=tif,
            stop_price=self.price(symbol, low),
            limit_price=None if plain else self.price(symbol, str(Decimal(low) - Decimal("0.05"))),
        )
        if kind is GroupKind.OCO:
            return OrderGroup(kind, target, stop)
        entry = OrderRequest(
            symbol, Side.BUY, size, type=OrderType.LIMIT, tif=tif, limit_price=self.price(symbol, "0.5")
        )
        return OrderGroup(kind, target, stop, entry)

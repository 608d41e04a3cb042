"""What the venue itself would refuse: a price too far from its market, and too many orders that wait."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from alphaweave.core.instrument import PriceBands
from alphaweave.core.money import CONTEXT, ZERO, plain
from alphaweave.core.order import OrderRequest, OrderType, Side
from alphaweave.live.risk_rules import Proposal

__all__ = ["VenueLimits", "WaitingOrders"]


class WaitingOrders(Protocol):
    """The run's orders that a venue counts."""

    def waiting(self, symbol: str) -> tuple[int, int]:
        """How many are open, in flight or UNKNOWN in a symbol, and how many of these wait for a trigger."""
        ...


class VenueLimits:
    """``Instrument.price_bands``, ``max_orders`` and ``max_triggers``, where the venue has them.

    It goes by the last price, a venue often by an average of minutes, and counts the run's own orders, where
    a venue counts everybody's in the account: so it spares most refusals, and not each. Orders that reduce a
    position are left to the venue.
    """

    code = "venue_limit"
    applies_to_reductions = False

    def __init__(self, orders: WaitingOrders) -> None:
        self._orders = orders
        self._prices: dict[str, Decimal] = {}

    def price(self, symbol: str, last: Decimal) -> None:
        """The last price."""
        if last.is_finite() and last > ZERO:
            self._prices[symbol] = last

    def check(self, proposal: Proposal) -> str | None:
        instrument, request = proposal.instrument, proposal.request
        bounds = (instrument.price_bands, instrument.max_orders, instrument.max_triggers)
        free = all(bound is None for bound in bounds)
        if free or request is None:
            return None
        return self._price_refused(proposal, request) or self._count_refused(proposal, request)

    def _price_refused(self, proposal: Proposal, request: OrderRequest) -> str | None:
        bands, limit = proposal.instrument.price_bands, request.limit_price
        last = self._prices.get(proposal.symbol)
        if bands is None or limit is None or last is None:
            return None
        low, high = _band(bands, proposal.side, last)
        if low <= limit <= high:
            return None
        reach = f"between {plain(low)} and {plain(high)}, as far from {plain(last)} as the venue takes orders"
        return f"limit price {plain(limit)} is not {reach}"

    def _count_refused(self, proposal: Proposal, request: OrderRequest) -> str | None:
        if request.type is OrderType.MARKET:
            return None
        symbol, instrument = proposal.symbol, proposal.instrument
        waiting, triggers = self._orders.waiting(symbol)
        most = instrument.max_orders
        if most is not None and waiting >= most:
            return f"{waiting} orders wait in {symbol}, and the venue takes {most} at once"
        most = instrument.max_triggers
        if most is not None and request.type is not OrderType.LIMIT and triggers >= most:
            return f"{triggers} orders wait for a trigger in {symbol}, and the venue takes {most} at once"
        return None


def _band(bands: PriceBands, side: Side, last: Decimal) -> tuple[Decimal, Decimal]:
    low, high = (bands.buy_low, bands.buy_high) if side is Side.BUY else (bands.sell_low, bands.sell_high)
    return CONTEXT.multiply(last, low), CONTEXT.multiply(last, high)

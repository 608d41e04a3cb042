"""The venue's books in AlphaWeave's words."""

from __future__ import annotations

from collections.abc import Mapping

from alphaweave.core.clock import from_ns
from alphaweave.core.order import Side
from alphaweave.testing.venue import Truth, TruthExecution, TruthOrder
from alphaweave_broker_binance.sandbox.orders import Order
from alphaweave_broker_binance.sandbox.venue import Venue

__all__ = ["truth_of", "venue_id"]


def venue_id(order: Order) -> str:
    """An order id by itself is one of a pair only."""
    return f"{order.pair.name}:{order.id}"


def truth_of(venue: Venue, names: Mapping[str, str], currency: str) -> Truth:
    """The books as they are now.

    Args:
        names: venue symbol -> config symbol.
        currency: of which there is a balance though it be zero.
    """
    return Truth(
        orders=tuple(_order(order, names) for order in venue.orders),
        executions=tuple(
            TruthExecution(
                id=f"{one.order.pair.name}:{one.id}",
                venue_order_id=venue_id(one.order),
                client_order_id=one.order.client_id,
                symbol=names.get(one.order.pair.name, one.order.pair.name),
                side=_side(one.order),
                size=one.size,
                price=one.price,
                at=from_ns(one.at * 1_000_000),
                fees=(one.fee,) if one.fee.amount else (),
            )
            for one in venue.executions
        ),
        balances={
            asset: one.total
            for asset, one in venue.account.balances().items()
            if one.total or asset == currency
        },
    )


def _order(order: Order, names: Mapping[str, str]) -> TruthOrder:
    symbol = names.get(order.pair.name, order.pair.name)
    return TruthOrder(
        venue_order_id=venue_id(order),
        client_order_id=order.client_id,
        symbol=symbol,
        side=_side(order),
        status=order.told(),
        quantity=order.quantity or None,
        filled=order.executed,
        request=None if order.foreign else order.request(symbol),
        foreign=order.foreign,
        group=None if order.joined is None else f"list:{order.joined.id}",
    )


def _side(order: Order) -> Side:
    return Side.BUY if order.buy else Side.SELL

"""The venue's books in AlphaWeave's words."""

from __future__ import annotations

from collections.abc import Mapping

from alphaweave.core.clock import from_ns
from alphaweave.core.order import Side
from alphaweave.testing.venue import Truth, TruthExecution, TruthOrder
from alphaweave_broker_alpaca.sandbox.orders import Order
from alphaweave_broker_alpaca.sandbox.venue import Venue

__all__ = ["truth_of"]


def truth_of(venue: Venue, names: Mapping[str, str]) -> Truth:
    """The books as they are now.

    Args:
        names: venue symbol -> config symbol.
    """
    held = [position for position in venue.account.positions.values() if position.qty]
    return Truth(
        orders=tuple(_order(order, names) for order in venue.orders.values()),
        executions=tuple(
            TruthExecution(
                id=one.id,
                venue_order_id=one.order.id,
                client_order_id=one.order.client_order_id,
                symbol=names.get(one.order.asset.symbol, one.order.asset.symbol),
                side=Side(one.order.side),
                size=one.qty,
                price=one.price,
                at=from_ns(one.at),
                fees=one.fees,
            )
            for one in venue.executions
        ),
        balances={
            "USD": venue.account.cash,
            **{one.asset.symbol.partition("/")[0]: one.qty for one in held if one.asset.crypto},
        },
        positions={
            names.get(one.asset.symbol, one.asset.symbol): one.qty for one in held if not one.asset.crypto
        },
    )


def _order(order: Order, names: Mapping[str, str]) -> TruthOrder:
    symbol = names.get(order.asset.symbol, order.asset.symbol)
    family = order.parent or order
    quantity = order.qty
    if quantity is None and order.status == "filled":
        quantity = order.filled
    return TruthOrder(
        venue_order_id=order.id,
        client_order_id=order.client_order_id,
        symbol=symbol,
        side=Side(order.side),
        status=order.told(),
        quantity=quantity,
        filled=order.filled,
        request=None if order.foreign else order.request(symbol),
        foreign=order.foreign,
        group=family.id if family.legs else None,
    )

"""What prices do to an order: the rules of the simulated venue, for a bar or for a single price."""

from __future__ import annotations

from decimal import Decimal

from alphaweave.core.order import OrderRef
from alphaweave.data.series import Series
from alphaweave.sim.market import BarView
from alphaweave.sim.matching import follow, match_order
from alphaweave.sim.orders import SimOrder
from alphaweave_broker_alpaca.sandbox.orders import Order

__all__ = ["bar_of", "tick", "touch"]

# A stop to buy is worked as a stop limit, so far above its stop; from this price on, the nearer one.
_NEAR_FROM, _NEAR, _FAR = Decimal(50), Decimal("1.025"), Decimal("1.04")


def bar_of(opening: float, high: float, low: float, close: float) -> BarView:
    """Prices as the simulated venue looks at them."""
    series = Series("one", "1m")
    series.append(0, 0, opening, high, low, close, 0.0)
    return BarView(series, 0)


def tick(price: Decimal) -> BarView:
    """A market that is at one price."""
    value = float(price)
    return bar_of(value, value, value, value)


def touch(order: Order, bar: BarView) -> Decimal | None:
    """The price at which ``order`` is executed in ``bar``; None if it is not.

    A stop that is hit, and the best price that a trailing stop has seen, are remembered in the order.
    """
    symbol = order.asset.symbol
    known = SimOrder(
        seq=1,
        ref=OrderRef(order.client_order_id, symbol),
        request=order.request(symbol),
        buy=order.buy,
        quantity=order.qty,
        submitted=0,
        eligible_from=0,
        triggered=order.triggered,
        best=order.hwm,
    )
    instrument = order.asset.instrument(symbol)
    hit = match_order(known, bar, instrument, gap_improves=True)
    if order.type == "trailing_stop" and hit is None:
        follow(known, bar)
        order.hwm = known.best
    if hit is None:
        return None
    if order.type in {"stop", "stop_limit", "trailing_stop"}:
        order.triggered = True
    if not isinstance(hit, tuple):
        return None
    if order.type == "stop" and order.buy and order.stop_price is not None:
        bound = order.stop_price * (_NEAR if order.stop_price >= _NEAR_FROM else _FAR)
        if hit[0] > bound:
            return None
    return hit[0]

"""What prices do to an order: the rules of the simulated venue, for a bar or for a single price."""

from __future__ import annotations

from decimal import Decimal

from alphaweave.core.order import OrderRef
from alphaweave.data.series import Series
from alphaweave.sim.market import BarView
from alphaweave.sim.matching import follow, match_order
from alphaweave.sim.orders import SimOrder
from alphaweave_broker_ibkr.sandbox.orders import Order

__all__ = ["bar_of", "tick", "touch"]


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
    symbol = order.contract.symbol
    known = SimOrder(
        seq=1,
        ref=OrderRef(str(order.perm_id), symbol),
        request=order.request(symbol),
        buy=order.form.buy,
        quantity=order.quantity,
        submitted=0,
        eligible_from=0,
        triggered=order.triggered,
        best=order.best,
    )
    hit = match_order(known, bar, order.contract.instrument(symbol), gap_improves=True)
    if order.form.kind == "TRAIL" and hit is None:
        follow(known, bar)
        order.best = known.best
    if hit is None:
        return None
    if order.form.kind in {"STP", "STP LMT", "TRAIL"}:
        order.triggered = True
    return hit[0] if isinstance(hit, tuple) else None

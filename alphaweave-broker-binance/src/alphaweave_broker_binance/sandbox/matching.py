"""What prices do to an order: the rules of the simulated venue, for a bar or for a single price."""

from __future__ import annotations

from decimal import Decimal

from alphaweave.core.order import OrderRef, OrderRequest, OrderType, Side, TimeInForce, Trail
from alphaweave.data.series import Series
from alphaweave.sim.market import BarView
from alphaweave.sim.matching import Place, follow, match_limit, match_stop, trail_level
from alphaweave.sim.orders import SimOrder
from alphaweave_broker_binance.sandbox.orders import Order

__all__ = ["bar_of", "crosses", "tick", "touch", "would_trigger"]

_BIPS = Decimal(100)


def bar_of(opening: float, high: float, low: float, close: float) -> BarView:
    """Prices as the simulated venue looks at them."""
    series = Series("one", "1m")
    series.append(0, 0, opening, high, low, close, 0.0)
    return BarView(series, 0)


def tick(price: Decimal) -> BarView:
    """A market that is at one price."""
    value = float(price)
    return bar_of(value, value, value, value)


def crosses(buy: bool, limit: Decimal, price: Decimal) -> bool:
    """A limit trades at ``price`` as it comes."""
    return match_limit(buy, limit, tick(price), gap_improves=True) is not None


def would_trigger(upward: bool, stop: Decimal, price: Decimal) -> bool:
    """A stop is hit at ``price`` as it comes."""
    return match_stop(upward, stop, tick(price)) is not None


def touch(order: Order, bar: BarView, now: int) -> tuple[Decimal, bool] | None:
    """The price at which ``order`` is executed in ``bar``, and whether it is the maker; None if it is not.

    A trigger that is hit, and the best price that a trailing stop has seen, are remembered in the order.

    Args:
        now: milliseconds.
    """
    if order.dormant:
        at = _trigger(order, bar, now)
        if at is None:
            return None
        order.triggered, order.working_since = True, now
        price, place = at
        if not order.price:
            return price, False
        if place is Place.OPEN:
            found = match_limit(order.buy, order.price, bar, gap_improves=True)
            return None if found is None else (found[0], found[2])
        # The path after a trigger inside the bar is unknown: only a limit that the trigger itself
        # satisfies is sure to be met.
        return (price, False) if (order.price >= price if order.buy else order.price <= price) else None
    if not order.price:
        return bar.open, False
    hit = match_limit(order.buy, order.price, bar, gap_improves=not order.resting)
    return None if hit is None else (hit[0], order.resting)


def _trigger(order: Order, bar: BarView, now: int) -> tuple[Decimal, Place] | None:
    """Where a conditional order is triggered, if it is."""
    if not order.trailing:
        hit = match_stop(order.upward, order.stop_price, bar)
        return None if hit is None else (hit[0], hit[1])
    if order.best is None:
        if order.stop_price and match_stop(order.upward, order.stop_price, bar) is None:
            return None
        order.trailing_since = now
        _follow(order, bar)
        return None
    instrument = order.pair.instrument(order.pair.name)
    hit = match_stop(order.upward, trail_level(instrument, order.upward, order.best, _trail(order)), bar)
    if hit is not None:
        return hit[0], hit[1]
    _follow(order, bar)
    return None


def _trail(order: Order) -> Trail:
    return Trail(percent=order.trailing / _BIPS)


def _follow(order: Order, bar: BarView) -> None:
    """Move the best price by a bar that the order has survived."""
    side = Side.BUY if order.upward else Side.SELL
    request = OrderRequest(
        order.pair.name,
        side,
        order.quantity,
        type=OrderType.TRAILING_STOP,
        tif=TimeInForce.GTC,
        trail=_trail(order),
    )
    known = SimOrder(
        seq=1,
        ref=OrderRef(order.client_id, order.pair.name),
        request=request,
        buy=order.upward,
        quantity=order.quantity,
        submitted=0,
        eligible_from=0,
        best=order.best,
    )
    follow(known, bar)
    order.best = known.best

"""How long nothing can happen at the venue: so that a replay need not visit it bar by bar.

Only certainty counts. An order whose price is out of a bar's reach and whose time has not come is left
untouched by that bar; whatever else may be so is left to the visit itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from alphaweave.core.order import OrderType, TimeInForce
from alphaweave.data.series import Series
from alphaweave.sim.market import Market
from alphaweave.sim.orders import SimOrder

__all__ = ["idle_rows"]

_BLOCK = 256


class _Reach:
    """What wakes the orders of one symbol: a low at or below, a high at or above, an end beyond."""

    __slots__ = ("above", "below", "until")

    def __init__(self) -> None:
        self.below = -inf
        self.above = inf
        self.until: int | None = None


def idle_rows(orders: Iterable[SimOrder], market: Market, rows: int) -> int:
    """How many of the next ``rows`` bars of every symbol certainly touch none of ``orders``.

    The next bar of a symbol is the first one that its cursor does not show yet; all symbols that have
    orders must advance together.
    """
    reaches: dict[str, _Reach] = {}
    for order in orders:
        if order.held:
            continue
        symbol = order.ref.symbol
        reach = reaches.get(symbol)
        if reach is None:
            reach = reaches[symbol] = _Reach()
        if not _extend(reach, order, market):
            return 0
    for symbol, reach in reaches.items():
        series = market.board.get(symbol)
        if series is not None:
            rows = _quiet(series, reach, rows)
    return rows


def _extend(reach: _Reach, order: SimOrder, market: Market) -> bool:
    """Let ``reach`` wake this order too; False if it cannot be told when it wakes."""
    request = order.request
    if request.tif is TimeInForce.DAY:
        until = None if order.session is None else market.session_end(order.session)
        if until is None:
            return False
        reach.until = until if reach.until is None else min(reach.until, until)
    elif request.tif is not TimeInForce.GTC:
        return False
    kind = request.type
    if kind is OrderType.LIMIT or (kind is OrderType.STOP_LIMIT and order.triggered):
        assert request.limit_price is not None
        # The nearest float keeps the order of two prices, so it never hides a price that is reached.
        price = float(request.limit_price)
        falling = order.buy
    elif (kind is OrderType.STOP or kind is OrderType.STOP_LIMIT) and not order.triggered:
        assert request.stop_price is not None
        price = float(request.stop_price)
        falling = not order.buy
    else:
        return False
    if falling:
        reach.below = max(reach.below, price)
    else:
        reach.above = min(reach.above, price)
    return True


def _quiet(series: Series, reach: _Reach, rows: int) -> int:
    first = series.cursor.count
    last = min(first + rows, len(series))
    row = first
    while row < last:
        stop = min(row + _BLOCK, last)
        lows = series.low[row:stop]
        highs = series.high[row:stop]
        late = reach.until is not None and series.end[stop - 1] > reach.until
        if late or min(lows) <= reach.below or max(highs) >= reach.above:
            for ahead in range(row, stop):
                if (
                    series.low[ahead] <= reach.below
                    or series.high[ahead] >= reach.above
                    or (reach.until is not None and series.end[ahead] > reach.until)
                ):
                    return ahead - first
        row = stop
    return last - first

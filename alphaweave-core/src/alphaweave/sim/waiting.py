"""Which working orders a bar can do anything to, and for how long none can.

An order that waits for a price, and for nothing else, is put aside under that price: however many there
are, a bar out of the reach of the nearest costs them nothing. All others are awake: each bar is shown to
them. Only certainty counts; what a bar then does to an order is left to the pass over the orders.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from decimal import Decimal
from operator import attrgetter

from alphaweave.core.order import OrderType, TimeInForce
from alphaweave.data.series import Series
from alphaweave.sim.departures import Departures
from alphaweave.sim.market import Market
from alphaweave.sim.orders import SimOrder

__all__ = ["Waiting"]

_BLOCK = 64
_MOST_AHEAD = 4096
_BY_PLACE = attrgetter("seq")
# An enum member looked up in its class costs several times what a module's own name costs.
_LIMIT = OrderType.LIMIT
_TAKE_PROFIT, _TAKE_PROFIT_LIMIT = OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT
_DAY, _GTC = TimeInForce.DAY, TimeInForce.GTC

_Price = tuple[float, int]  # and the place of the order that waits for it


class _Aside:
    """The orders of one symbol that wait for a price.

    Attributes:
        below: woken by a low at or below their price; rising.
        above: woken by a high at or above it; rising.
        days: those that a later session ends, by place, with the latest end of a bar in their own.
        until: the earliest of these ends.
        clear: bars before this row of ``series`` are known to wake nothing.
        ahead: how many more to look at next.
    """

    __slots__ = ("above", "ahead", "below", "clear", "days", "series", "until")

    def __init__(self) -> None:
        self.below: list[_Price] = []
        self.above: list[_Price] = []
        self.days: dict[int, int] = {}
        self.until: int | None = None
        self.series: Series | None = None
        self.clear = 0
        self.ahead = _BLOCK

    def look_again(self) -> None:
        """Know of no quiet bars: something may be woken sooner than before."""
        self.clear = 0
        self.ahead = _BLOCK

    def woken(self, low: float, high: float, end: int) -> set[int]:
        """Places of the orders that a bar wakes."""
        places: set[int] = set()
        if self.below and low <= self.below[-1][0]:
            places.update(place for _, place in self.below[bisect_left(self.below, (low, 0)) :])
        if self.above and high >= self.above[0][0]:
            # Places are finite: this lies behind each of the price itself.
            reached = bisect_right(self.above, high, key=_price)
            places.update(place for _, place in self.above[:reached])
        if self.until is not None and end > self.until:
            places.update(self.days)
            self.until = min((last for last in self.days.values() if last >= end), default=None)
        return places

    def quiet(self, series: Series, rows: int) -> int:
        """How many of the next ``rows`` bars certainly wake nothing.

        It looks only so far ahead, and farther each time: who places an order every few bars does not pay
        for a look to the end of the data.
        """
        first = series.cursor.count
        last = min(first + rows, len(series))
        if series is not self.series:
            self.series = series
            self.look_again()
        row = max(first, self.clear)
        if row >= last:
            return last - first
        last = min(row + self.ahead, last)
        self.ahead = min(2 * self.ahead, _MOST_AHEAD)
        while row < last:
            stop = min(row + _BLOCK, last)
            if self._reached(series, row, stop):
                self.ahead = _BLOCK
                while not self._reached(series, row, row + 1):
                    row += 1
                break
            row = stop
        self.clear = row
        return row - first

    def _reached(self, series: Series, row: int, stop: int) -> bool:
        return (
            (self.until is not None and series.end[stop - 1] > self.until)
            or (bool(self.below) and min(series.low[row:stop]) <= self.below[-1][0])
            or (bool(self.above) and max(series.high[row:stop]) >= self.above[0][0])
        )


class Waiting:
    """Every working order that is not held, awake or aside.

    Attributes:
        awake: those that each bar is shown to, in the order in which they became so.
        departures: sums over the market orders among them.
        released: held exits that began to work since `due` was last called.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self.awake: dict[int, SimOrder] = {}
        self.departures = Departures()
        self.released: list[SimOrder] = []
        self._aside: dict[str, _Aside] = {}
        # by place: the order, the prices it is under, its own there, and whether these are `below`
        self._parked: dict[int, tuple[SimOrder, _Aside, list[_Price], _Price]] = {}

    def clear(self) -> None:
        """Know of no order."""
        self.awake.clear()
        self.departures.recount()
        self.released.clear()
        self._aside.clear()
        self._parked.clear()

    def add(self, order: SimOrder) -> None:
        """Take in an order that works from now on."""
        if not self._park(order):
            self.awake[order.seq] = order

    def release(self, order: SimOrder) -> None:
        """Take in an exit that was held until now."""
        self.add(order)
        self.released.append(order)

    def remove(self, order: SimOrder) -> None:
        """Forget an order; one that was held is not here."""
        if self.awake.pop(order.seq, None) is not None:
            if self.departures.counted:
                self.departures.recount()
        elif order.seq in self._parked:
            self._unpark(order)

    def met(self, order: SimOrder) -> None:
        """See to an order that a bar was shown to and that still works: it may wait for another thing."""
        if order.seq in self.awake:
            if self._park(order):
                del self.awake[order.seq]
                self.departures.recount()
        elif order.triggered and order.request.type is not _LIMIT:
            self._unpark(order)
            self.add(order)

    def due(self, end: int) -> list[SimOrder]:
        """The orders that the bars ending at ``end`` must be shown to, in the order of matching."""
        orders = list(self.awake.values())
        if self._parked:
            for symbol, aside in self._aside.items():
                series = self._market.board.get(symbol)
                if series is None:
                    continue
                row = self._market.row(series)
                if row >= 0 and series.end[row] == end:
                    places = aside.woken(series.low[row], series.high[row], end)
                    orders += [self._parked[place][0] for place in places]
        if len(orders) > 1:
            orders.sort(key=_BY_PLACE)
        if self.released:
            self.released.clear()
        return orders

    def idle(self, rows: int) -> int:
        """How many of the next ``rows`` bars of every symbol certainly touch no order.

        The next bar of a symbol is the first one that its cursor does not show yet; all symbols that have
        orders must advance together.
        """
        if self.awake:
            return 0
        for symbol, aside in self._aside.items():
            series = self._market.board.get(symbol)
            if series is not None:
                rows = aside.quiet(series, rows)
                if not rows:
                    break
        return rows

    def _park(self, order: SimOrder) -> bool:
        """Put an order aside; False if it waits for something else than a price."""
        request = order.request
        until: int | None = None
        if request.tif is _DAY:
            until = None if order.session is None else self._market.session_end(order.session)
            if until is None:
                return False
        elif request.tif is not _GTC:
            return False
        price, falling = _awaited(order)
        if price is None:
            return False
        symbol = order.ref.symbol
        aside = self._aside.get(symbol)
        if aside is None:
            aside = self._aside[symbol] = _Aside()
        # The nearest float keeps the order of two prices, so it never hides a price that is reached.
        key = (float(price), order.seq)
        if falling:
            prices = aside.below
            nearer = not prices or key[0] > prices[-1][0]
        else:
            prices = aside.above
            nearer = not prices or key[0] < prices[0][0]
        if until is not None:
            aside.days[order.seq] = until
            # One that is older ends no later: all that still work had their last bar in one session.
            if aside.until is None:
                aside.until = until
                nearer = True
        if nearer:
            aside.look_again()
        insort(prices, key)
        self._parked[order.seq] = (order, aside, prices, key)
        return True

    def _unpark(self, order: SimOrder) -> None:
        _, aside, prices, key = self._parked.pop(order.seq)
        del prices[bisect_left(prices, key)]
        aside.days.pop(order.seq, None)
        if not aside.below and not aside.above:
            del self._aside[order.ref.symbol]


def _awaited(order: SimOrder) -> tuple[Decimal | None, bool]:
    """The price that an order waits for, if it waits for one, and whether a fall reaches it."""
    request, kind = order.request, order.request.type
    if kind is _LIMIT or order.triggered:
        # Without a limit, a triggered order is one at the market.
        return request.limit_price, order.buy
    if kind is _TAKE_PROFIT or kind is _TAKE_PROFIT_LIMIT:
        return request.stop_price, order.buy
    return request.stop_price, not order.buy


def _price(key: _Price) -> float:
    return key[0]

"""Where one order meets one bar: the rules for prices, as functions of an order's terms and a bar."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import CONTEXT
from alphaweave.core.order import OrderType, Side, TimeInForce, Trail
from alphaweave.sim.market import BarView
from alphaweave.sim.orders import SimOrder

__all__ = [
    "Hit",
    "Match",
    "Place",
    "follow",
    "match_auction",
    "match_limit",
    "match_market",
    "match_order",
    "match_stop",
    "match_stop_limit",
    "place_of",
    "trail_level",
]

_HUNDRED = Decimal(100)


class Place(Enum):
    """Where in a bar something happens. LAST is in none: at once, at the last price."""

    OPEN = "open"
    WITHIN = "within"
    CLOSE = "close"
    LAST = "last"


# An enum member looked up in its class costs several times what a module's own name costs.
_OPEN, _WITHIN = Place.OPEN, Place.WITHIN
_MARKET, _LIMIT, _STOP_LIMIT = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT
_TAKE_PROFIT, _TAKE_PROFIT_LIMIT = OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT

# Tuples: one is made for each match, and nobody keeps it.
Match = tuple[Decimal, Place, bool, bool]
"""A fill that a bar offers: the price before slippage; where; whether the order rested at this price and
others came to it (it is the maker); whether slippage applies."""

Hit = Match | Place
"""What a bar does to an order: it offers a fill, or it triggers a stop limit there and offers none."""


def place_of(hit: Hit) -> Place:
    return hit[1] if isinstance(hit, tuple) else hit


# Most orders that rest are far from the bar. Floats tell that cheaply, and rightly: rounding to a float
# keeps the order of numbers, so a float that is greater is of a decimal that is greater.


def match_market(bar: BarView) -> Match:
    return (bar.open, _OPEN, False, True)


def match_limit(buy: bool, limit: Decimal, bar: BarView, *, gap_improves: bool) -> Match | None:
    """``gap_improves``: an open beyond the limit fills there, else the order only ever gets its limit."""
    if bar.lowest() > float(limit) if buy else bar.highest() < float(limit):
        return None
    if gap_improves and (bar.open <= limit if buy else bar.open >= limit):
        return (bar.open, _OPEN, False, False)
    if bar.low <= limit if buy else bar.high >= limit:
        return (limit, _WITHIN, True, False)
    return None


def match_stop(rising: bool, stop: Decimal, bar: BarView) -> Match | None:
    """``rising``: a rise triggers it, as it does a buy stop and a take profit that sells."""
    if bar.highest() < float(stop) if rising else bar.lowest() > float(stop):
        return None
    if bar.open >= stop if rising else bar.open <= stop:
        return (bar.open, _OPEN, False, True)
    if bar.high >= stop if rising else bar.low <= stop:
        return (stop, _WITHIN, False, True)
    return None


def match_stop_limit(
    buy: bool, rising: bool, stop: Decimal, limit: Decimal, bar: BarView, *, gap_improves: bool
) -> Hit | None:
    trigger = match_stop(rising, stop, bar)
    if trigger is None:
        return None
    if trigger[1] is _OPEN:
        return match_limit(buy, limit, bar, gap_improves=gap_improves) or _OPEN
    # The path after a trigger inside the bar is unknown: only a limit that the stop price itself
    # satisfies is sure to be met.
    sure = limit >= stop if buy else limit <= stop
    return (stop, _WITHIN, False, False) if sure else _WITHIN


def match_auction(buy: bool, limit: Decimal | None, price: Decimal, place: Place) -> Match | None:
    """One price at one instant: the open or the close, if the limit (None: a market order) allows it."""
    if limit is not None and (price > limit if buy else price < limit):
        return None
    return (price, place, False, limit is None)


def trail_level(instrument: Instrument, buy: bool, best: Decimal, trail: Trail) -> Decimal:
    """The stop price of a trailing stop whose best price seen is ``best``, rounded like any trigger."""
    distance = trail.amount
    if distance is None:
        assert trail.percent is not None
        distance = CONTEXT.divide(CONTEXT.multiply(best, trail.percent), _HUNDRED)
    if buy:
        return instrument.round_trigger(CONTEXT.add(best, distance), Side.BUY)
    return instrument.round_trigger(CONTEXT.subtract(best, distance), Side.SELL)


def follow(order: SimOrder, bar: BarView) -> None:
    """Move the reference of a trailing stop by a bar that it has just survived."""
    extreme = bar.low if order.buy else bar.high
    if order.best is None or (extreme < order.best if order.buy else extreme > order.best):
        order.best = extreme


def match_order(order: SimOrder, bar: BarView, instrument: Instrument, gap_improves: bool) -> Hit | None:
    """What ``bar`` does to a working order; None if nothing."""
    request = order.request
    limit = request.limit_price
    kind = request.type
    if order.once:
        if request.tif is TimeInForce.AT_CLOSE:
            return match_auction(order.buy, limit, bar.close, Place.CLOSE)
        return match_auction(order.buy, limit, bar.open, _OPEN)
    if kind is _MARKET:
        return match_market(bar)
    if kind is _LIMIT or ((kind is _STOP_LIMIT or kind is _TAKE_PROFIT_LIMIT) and order.triggered):
        assert limit is not None
        return match_limit(order.buy, limit, bar, gap_improves=gap_improves and not request.post_only)
    if order.triggered:
        return match_market(bar)
    stop = request.stop_price
    rising = order.buy
    if kind is _TAKE_PROFIT or kind is _TAKE_PROFIT_LIMIT:
        rising = not rising
    if kind is _STOP_LIMIT or kind is _TAKE_PROFIT_LIMIT:
        assert limit is not None
        assert stop is not None
        return match_stop_limit(order.buy, rising, stop, limit, bar, gap_improves=gap_improves)
    if stop is None:
        if order.best is None:
            return None
        assert request.trail is not None
        stop = trail_level(instrument, order.buy, order.best, request.trail)
    return match_stop(rising, stop, bar)

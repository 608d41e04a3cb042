"""Where one order meets one bar: the rules for prices, as functions of an order's terms and a bar."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import NamedTuple

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
    "one_shot",
    "trail_level",
]

_HUNDRED = Decimal(100)


class Place(Enum):
    """Where in a bar something happens."""

    OPEN = "open"
    WITHIN = "within"
    CLOSE = "close"
    LAST = "last"  # not in a bar: at once, at the last price


class Match(NamedTuple):
    """A fill that a bar offers.

    Attributes:
        price: before slippage.
        maker: the order rested at this price and others came to it.
        slips: slippage applies.
    """

    price: Decimal
    place: Place
    maker: bool
    slips: bool


class Hit(NamedTuple):
    """What a bar does to a stop order: where it triggers, and the fill it offers then, if any."""

    place: Place
    match: Match | None


def one_shot(tif: TimeInForce) -> bool:
    """Whether an order with this time in force has one instant to fill in, and ends after it."""
    # Compared by identity: hashing an enum member is slow, and this runs for every order in every bar.
    return tif is not TimeInForce.GTC and tif is not TimeInForce.DAY and tif is not TimeInForce.GTD


def match_market(bar: BarView) -> Match:
    return Match(bar.open, Place.OPEN, False, True)


def match_limit(buy: bool, limit: Decimal, bar: BarView, *, gap_improves: bool) -> Match | None:
    """``gap_improves``: an open beyond the limit fills there, else the order only ever gets its limit."""
    if gap_improves and (bar.open <= limit if buy else bar.open >= limit):
        return Match(bar.open, Place.OPEN, False, False)
    if bar.low <= limit if buy else bar.high >= limit:
        return Match(limit, Place.WITHIN, True, False)
    return None


def match_stop(buy: bool, stop: Decimal, bar: BarView) -> Match | None:
    if bar.open >= stop if buy else bar.open <= stop:
        return Match(bar.open, Place.OPEN, False, True)
    if bar.high >= stop if buy else bar.low <= stop:
        return Match(stop, Place.WITHIN, False, True)
    return None


def match_stop_limit(
    buy: bool, stop: Decimal, limit: Decimal, bar: BarView, *, gap_improves: bool
) -> Hit | None:
    trigger = match_stop(buy, stop, bar)
    if trigger is None:
        return None
    if trigger.place is Place.OPEN:
        return Hit(Place.OPEN, match_limit(buy, limit, bar, gap_improves=gap_improves))
    # The path after a trigger inside the bar is unknown: only a limit that the stop price itself
    # satisfies is sure to be met.
    sure = limit >= stop if buy else limit <= stop
    return Hit(Place.WITHIN, Match(stop, Place.WITHIN, False, False) if sure else None)


def match_auction(buy: bool, limit: Decimal | None, price: Decimal, place: Place) -> Match | None:
    """One price at one instant: the open or the close, if the limit (None: a market order) allows it."""
    if limit is not None and (price > limit if buy else price < limit):
        return None
    return Match(price, place, False, limit is None)


def trail_level(instrument: Instrument, buy: bool, best: Decimal, trail: Trail) -> Decimal:
    """The stop price of a trailing stop whose best price seen is ``best``, rounded like any trigger."""
    if trail.amount is not None:
        distance = trail.amount
    else:
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


def match_order(order: SimOrder, bar: BarView, instrument: Instrument, *, gap_improves: bool) -> Hit | None:
    """What ``bar`` does to a working order; None if nothing."""
    request = order.request
    kind = request.type
    limit = request.limit_price
    match: Match | None
    if one_shot(request.tif):
        if request.tif is TimeInForce.AT_CLOSE:
            match = match_auction(order.buy, limit, bar.close, Place.CLOSE)
        else:
            match = match_auction(order.buy, limit, bar.open, Place.OPEN)
    elif kind is OrderType.MARKET or (order.triggered and kind is not OrderType.STOP_LIMIT):
        match = match_market(bar)
    elif kind is OrderType.LIMIT or order.triggered:
        assert limit is not None
        match = match_limit(order.buy, limit, bar, gap_improves=gap_improves and not request.post_only)
    elif kind is OrderType.STOP_LIMIT:
        assert limit is not None
        assert request.stop_price is not None
        return match_stop_limit(order.buy, request.stop_price, limit, bar, gap_improves=gap_improves)
    else:
        stop = request.stop_price
        if stop is None:
            if order.best is None:
                return None
            assert request.trail is not None
            stop = trail_level(instrument, order.buy, order.best, request.trail)
        match = match_stop(order.buy, stop, bar)
    return None if match is None else Hit(match.place, match)

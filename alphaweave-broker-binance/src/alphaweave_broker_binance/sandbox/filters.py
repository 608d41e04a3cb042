"""The filters of a pair: what an order has to pass before the engine sees it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from alphaweave.core.money import CONTEXT, ZERO
from alphaweave_broker_binance.sandbox.figures import product
from alphaweave_broker_binance.sandbox.orders import CONDITIONAL, Order
from alphaweave_broker_binance.sandbox.pairs import Pair
from alphaweave_broker_binance.sandbox.refusals import filtered
from alphaweave_broker_binance.sandbox.terms import Terms

__all__ = ["check_counts", "check_filters", "check_position"]

_MARKETS = frozenset({"MARKET", "STOP_LOSS", "TAKE_PROFIT"})


def check_filters(terms: Terms, pair: Pair, average: Decimal | None) -> None:
    """
    Args:
        average: the price that bands and market orders are judged at; None where nothing was traded.

    Raises:
        Refused: a filter is not passed; the first one is named.
    """
    for price in (terms.price, terms.stop_price):
        if price and not (_within(price, pair.min_price, pair.max_price) and _on(price, pair.tick)):
            raise filtered("PRICE_FILTER")
    _check_band(terms, pair, average)
    if terms.quantity:
        if not (_within(terms.quantity, pair.min_qty, pair.max_qty) and _on(terms.quantity, pair.step)):
            raise filtered("LOT_SIZE")
        if terms.type == "MARKET" and not _within(terms.quantity, ZERO, pair.market_max_qty):
            raise filtered("MARKET_LOT_SIZE")
    _check_notional(terms, pair, average)
    least, most = pair.trailing
    if terms.trailing and not least <= terms.trailing <= most:
        raise filtered("TRAILING_DELTA")


def check_counts(terms: Sequence[Terms], pair: Pair, working: Sequence[Order], *, lists: int = 0) -> None:
    """
    Args:
        working: the account's open orders in the pair.
        lists: how many order lists are at work in it, the one that is asked for included.

    Raises:
        Refused: there would be too many.
    """
    resting = [one for one in terms if one.type != "MARKET"]
    if pair.max_orders and len(working) + len(resting) > pair.max_orders:
        raise filtered("MAX_NUM_ORDERS")
    algo = sum(one.type in CONDITIONAL for one in resting)
    there = sum(order.conditional and not order.triggered for order in working)
    if algo and pair.max_algo_orders and there + algo > pair.max_algo_orders:
        raise filtered("MAX_NUM_ALGO_ORDERS")
    if lists and pair.max_lists and lists > pair.max_lists:
        raise filtered("MAX_NUM_ORDER_LISTS")


def check_position(terms: Terms, pair: Pair, owned: Decimal, working: Sequence[Order]) -> None:
    """
    Args:
        owned: units of the base asset, locked ones included.

    Raises:
        Refused: with it and every open buy filled, the account would own too much.
    """
    if not pair.max_position or terms.side != "BUY":
        return
    wanted = sum((order.left for order in working if order.buy), owned)
    if wanted + terms.quantity > pair.max_position:
        raise filtered("MAX_POSITION")


def _check_band(terms: Terms, pair: Pair, average: Decimal | None) -> None:
    if not terms.price or average is None:
        return
    bid_up, bid_down, ask_up, ask_down = pair.band
    up, down = (bid_up, bid_down) if terms.side == "BUY" else (ask_up, ask_down)
    if not CONTEXT.multiply(average, down) <= terms.price <= CONTEXT.multiply(average, up):
        raise filtered("PERCENT_PRICE_BY_SIDE")


def _check_notional(terms: Terms, pair: Pair, average: Decimal | None) -> None:
    market = terms.type in _MARKETS
    price = average if market else terms.price
    if terms.quote_quantity:
        value = terms.quote_quantity
    elif price is None:
        return
    else:
        value = product(terms.quantity, price)
    if value < pair.min_notional:
        raise filtered("NOTIONAL")
    if not market and pair.max_notional and value > pair.max_notional:
        raise filtered("NOTIONAL")


def _within(value: Decimal, least: Decimal, most: Decimal) -> bool:
    return value >= least and (not most or value <= most)


def _on(value: Decimal, step: Decimal) -> bool:
    return not step or not CONTEXT.remainder(value, step)

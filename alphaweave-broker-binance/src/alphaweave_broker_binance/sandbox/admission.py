"""What the engine takes and what it binds: funds, and prices that would act at once."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from alphaweave.core.money import CONTEXT, ZERO
from alphaweave_broker_binance.sandbox.account import Account
from alphaweave_broker_binance.sandbox.figures import product
from alphaweave_broker_binance.sandbox.matching import crosses, would_trigger
from alphaweave_broker_binance.sandbox.orders import Order
from alphaweave_broker_binance.sandbox.pairs import Pair
from alphaweave_broker_binance.sandbox.refusals import engine
from alphaweave_broker_binance.sandbox.terms import Terms

__all__ = ["POOR", "admit", "cost", "need", "relock", "unfit", "units_for"]

POOR = "Account has insufficient balance for requested action."


def admit(terms: Terms, pair: Pair, account: Account, last: Decimal | None, *, funds: bool = True) -> None:
    """
    Args:
        last: the price that the market is at.
        funds: whether the account has to carry it.

    Raises:
        Refused: the engine does not take it.
    """
    buy = terms.side == "BUY"
    if last is not None:
        if terms.type == "LIMIT_MAKER" and crosses(buy, terms.price, last):
            raise engine("Order would immediately match and take.")
        upward = buy == terms.type.startswith("STOP_LOSS")
        if terms.stop_price and not terms.trailing and would_trigger(upward, terms.stop_price, last):
            raise engine("Order would trigger immediately.")
    if funds and cost(terms, pair, last) > account.of(pair.quote if buy else pair.base).free:
        raise engine(POOR)


def cost(terms: Terms, pair: Pair, last: Decimal | None) -> Decimal:
    """What an order binds of the asset that it pays with."""
    price = terms.price or terms.stop_price or last or ZERO
    if terms.side == "BUY":
        return terms.quote_quantity or product(terms.quantity, price)
    return units_for(terms.quote_quantity, pair, price) if terms.quote_quantity else terms.quantity


def units_for(value: Decimal, pair: Pair, price: Decimal) -> Decimal:
    """The units, in whole steps, that an amount of quote asset is worth."""
    if not price:
        return ZERO
    return CONTEXT.multiply(CONTEXT.divide_int(CONTEXT.divide(value, price), pair.step), pair.step)


def need(order: Order) -> Decimal:
    """What an order binds by itself."""
    if not order.buy:
        return order.left
    return product(order.left, order.price or order.stop_price or order.best or ZERO)


def relock(order: Order, account: Account) -> None:
    """Bind what it needs now. Of two of which only one can trade, the one that needs more binds."""
    wanted = ZERO
    if order.open and not order.pending and order.type != "MARKET":
        both = [] if order.joined is None or order is order.joined.working else order.joined.exits
        rivals = [one for one in both if one.open and not one.pending]
        if len(rivals) < 2 or order is max(rivals, key=need):
            wanted = need(order)
    account.lock(order.spends, CONTEXT.subtract(wanted, order.locked))
    order.locked = wanted


def unfit(exits: Sequence[Order], account: Account, last: Decimal | None) -> str | None:
    """Why orders that waited for another cannot work now."""
    if max(need(one) for one in exits) > account.of(exits[0].spends).free:
        return "INSUFFICIENT_BALANCES"
    for order in exits if last is not None else ():
        assert last is not None
        if order.type == "LIMIT_MAKER" and crosses(order.buy, order.price, last):
            return "WOULD_MATCH_IMMEDIATELY"
        stopped = order.stop_price and not order.trailing
        if stopped and would_trigger(order.upward, order.stop_price, last):
            return "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY"
    return None

"""Whether the account carries an order: money, shares, shorting, and trades with itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from alphaweave.core.money import ZERO, plain
from alphaweave_broker_alpaca.sandbox.account import Account
from alphaweave_broker_alpaca.sandbox.orders import Order
from alphaweave_broker_alpaca.sandbox.refusals import Refused, forbidden, invalid

__all__ = ["check_funds", "reserved"]

_Price = Callable[[str], Decimal | None]
_SHORT_MARGIN = Decimal("1.03")
_SHARES = "insufficient qty available for order (requested: {0}, available: {1})"


def reserved(orders: Iterable[Order], account: Account, price: _Price) -> Decimal:
    """Dollars that working orders would open positions for."""
    total = ZERO
    for order in orders:
        if order.status != "held" and not _closes(order, account):
            total += _worth(order, price)
    return total


def check_funds(order: Order, orders: Iterable[Order], account: Account, price: _Price) -> None:
    """Refuse what the account does not carry, and note what ``order`` does to its position.

    Args:
        orders: those that work already.
        price: asset symbol -> last price, None while there is none.

    Raises:
        Refused: as Alpaca words it.
    """
    working = [other for other in orders if other.status != "held"]
    _check_wash(order, working)
    held = account.held(order.asset)
    if _closes(order, account):
        _check_shares(order, working, abs(held))
        order.position_intent = "buy_to_close" if order.buy else "sell_to_close"
        return
    if order.order_class == "oco":
        raise forbidden(_SHARES.format(plain(order.left), "0"), available="0", symbol=order.asset.symbol)
    order.position_intent = "buy_to_open" if order.buy else "sell_to_open"
    if not order.buy:
        _check_short(order, account)
    worth = _worth(order, price)
    taken = reserved(working, account, price)
    power = account.spendable(taken) if order.asset.crypto else account.buying_power(price, taken)
    if worth > power:
        raise forbidden(
            "insufficient buying power",
            buying_power=plain(round(power, 2)),
            cost_basis=plain(round(worth, 2)),
        )


def _closes(order: Order, account: Account) -> bool:
    held = account.held(order.asset)
    return held < ZERO if order.buy else held > ZERO


def _worth(order: Order, price: _Price) -> Decimal:
    last = price(order.asset.symbol)
    if order.qty is None:
        return (order.notional or ZERO) - order.value
    ask = last or order.stop_price or ZERO
    limit = order.limit_price or ZERO
    if order.buy:
        return order.left * (limit or order.stop_price or ask)
    return order.left * max(limit, ask * _SHORT_MARGIN)


def _check_shares(order: Order, working: list[Order], held: Decimal) -> None:
    """What closes a position may not be more than is free of it."""
    same = [other for other in working if other.asset is order.asset and other.side == order.side]
    bound = sum((other.left for other in same), ZERO)
    free = max(ZERO, held - bound)
    if order.qty is not None and order.left > free:
        symbol = order.asset.symbol
        more = {"related_orders": [other.id for other in same]} if same else {}
        raise forbidden(
            _SHARES.format(plain(order.left), plain(free)),
            available=plain(free),
            existing_qty=plain(held),
            held_for_orders=plain(bound),
            symbol=symbol,
            **more,
        )


def _check_short(order: Order, account: Account) -> None:
    symbol = order.asset.symbol
    if order.asset.crypto:
        raise forbidden(
            f"insufficient balance for {symbol.split('/', maxsplit=1)[0]} "
            f"(requested: {plain(order.left)}, available: 0)",
            available="0",
            symbol=symbol,
        )
    if order.qty is None or order.qty % 1:
        raise invalid("fractional orders cannot be sold short")
    if account.configuration["no_shorting"]:
        raise forbidden("account is not allowed to short")
    if not order.asset.shortable:
        raise invalid(f'asset "{symbol}" cannot be sold short')


def _check_wash(order: Order, working: list[Order]) -> None:
    """Refuse what would trade with the account's own resting order."""
    if order.order_class or order.type == "trailing_stop":
        return
    for other in working:
        if other.asset is not order.asset or other.side == order.side:
            continue
        if other.order_class or other.type == "trailing_stop":
            continue
        reason = _crossing(order, other)
        if reason is not None:
            raise _washed(other, reason)


def _crossing(order: Order, other: Order) -> str | None:
    if other.type != "limit":
        return "opposite side market/stop order exists"
    if order.type != "limit":
        return "opposite side limit order exists"
    buy, sell = (order, other) if order.buy else (other, order)
    assert buy.limit_price is not None
    assert sell.limit_price is not None
    return "opposite side limit order exists" if buy.limit_price >= sell.limit_price else None


def _washed(other: Order, reason: str) -> Refused:
    return forbidden(
        "potential wash trade detected. use complex orders",
        existing_order_id=other.id,
        reject_reason=reason,
    )

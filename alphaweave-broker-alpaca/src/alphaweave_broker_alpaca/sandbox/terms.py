"""From the body of ``POST /v2/orders`` to an order, by the rules for types, times in force and classes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import uuid4

from alphaweave.core.money import ZERO, plain
from alphaweave_broker_alpaca.sandbox.assets import Asset
from alphaweave_broker_alpaca.sandbox.orders import Order
from alphaweave_broker_alpaca.sandbox.refusals import forbidden, invalid, malformed

__all__ = ["check_price", "number", "read_order"]

_TYPES = frozenset({"market", "limit", "stop", "stop_limit", "trailing_stop"})
_TIFS = frozenset({"day", "gtc", "opg", "cls", "ioc", "fok"})
_CLASSES = frozenset({"", "simple", "bracket", "oco", "oto"})
_FRACTIONAL = frozenset({"market", "limit", "stop", "stop_limit"})
_LONGEST = 128
_CENT = Decimal("0.01")


def number(body: Mapping[str, Any], key: str) -> Decimal | None:
    """A positive number under ``key``, written as a string or as JSON's own; None if there is none.

    Raises:
        Refused: it is no number, or not above zero.
    """
    value = body.get(key)
    if value is None or value == "":
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise malformed(f"invalid {key} {value}") from None
    if isinstance(value, bool) or not found.is_finite():
        raise malformed(f"invalid {key} {value}")
    if found <= ZERO:
        raise invalid(f"{key} must be > 0")
    return found


def check_price(asset: Asset, key: str, price: Decimal | None) -> None:
    """Refuse a price off the grid."""
    if price is None:
        return
    digits = -int(price.normalize().as_tuple().exponent)
    if asset.crypto:
        if price % asset.tick:
            raise invalid(f"invalid {key} {plain(price)}. price must be a multiple of {plain(asset.tick)}")
    elif digits > (2 if price >= 1 else 4):
        raise invalid(
            f"invalid {key} {plain(price)}. sub-penny increment does not fulfill minimum pricing criteria"
        )


def read_order(body: Mapping[str, Any], asset: Asset, at: int) -> Order:
    """The order that a body asks for, with its legs.

    Raises:
        Refused: it breaks a rule that depends on neither the market nor the account.
    """
    order = Order(
        asset=asset,
        side=_one_of(body, "side", {"buy", "sell"}),
        type=_type(body),
        tif=_one_of(body, "time_in_force", _TIFS),
        at=at,
        client_order_id=str(body.get("client_order_id") or uuid4()),
        qty=number(body, "qty"),
        notional=number(body, "notional"),
        limit_price=number(body, "limit_price"),
        stop_price=number(body, "stop_price"),
        trail_price=number(body, "trail_price"),
        trail_percent=number(body, "trail_percent"),
        extended_hours=body.get("extended_hours") is True,
        order_class="" if body.get("order_class") in {None, "simple"} else str(body["order_class"]),
    )
    if len(order.client_order_id) > _LONGEST:
        raise malformed("client_order_id must be no more than 128 characters")
    if order.order_class not in _CLASSES:
        raise malformed("invalid order class")
    if (order.qty is None) == (order.notional is None):
        raise malformed("exactly one of qty or notional is required")
    if order.order_class == "oco":
        _read_oco(order, body)
    _check_prices(order)
    if asset.crypto:
        _check_crypto(order)
    else:
        _check_stock(order)
    if order.order_class in {"bracket", "oto"}:
        _read_children(order, body)
    return order


def _type(body: Mapping[str, Any]) -> str:
    if body.get("type") not in _TYPES:
        raise malformed("invalid order type")
    return str(body["type"])


def _one_of(body: Mapping[str, Any], key: str, allowed: frozenset[str] | set[str]) -> str:
    value = body.get(key)
    if value not in allowed:
        raise malformed(f"invalid {key}")
    return str(value)


def _check_prices(order: Order) -> None:
    wanted = {
        "limit_price": order.type in {"limit", "stop_limit"},
        "stop_price": order.type in {"stop", "stop_limit"},
    }
    for key, needed in wanted.items():
        price = getattr(order, key)
        if needed and price is None:
            raise malformed(f"{order.type} orders require {key.replace('_', ' ')}")
        if not needed and price is not None:
            raise malformed(f"{order.type} orders must not have {key.replace('_', ' ')}")
        check_price(order.asset, key, price)
    trails = (order.trail_price is not None) + (order.trail_percent is not None)
    if trails != (order.type == "trailing_stop"):
        raise malformed("trailing stop orders require exactly one of trail_price or trail_percent")


def _check_stock(order: Order) -> None:
    fractional = order.qty is None or bool(order.qty % 1)
    if fractional:
        _check_fractional(order)
    if order.tif in {"ioc", "fok", "opg", "cls"} and order.type not in {"market", "limit"}:
        raise invalid(f"{order.tif} orders must be market or limit orders")
    if order.extended_hours and (order.type != "limit" or order.tif not in {"day", "gtc"}):
        raise invalid("extended hours order must be DAY or GTC limit orders")
    if order.order_class:
        if order.tif not in {"day", "gtc"}:
            raise invalid(f"{order.order_class} orders must be DAY or GTC orders")
        if order.extended_hours:
            raise invalid("extended hours orders must be simple orders")
        if order.type == "trailing_stop":
            raise invalid("trailing stop orders must be simple orders")


def _check_fractional(order: Order) -> None:
    if not order.asset.fractionable:
        raise forbidden(f'asset "{order.asset.symbol}" is not fractionable')
    if order.tif != "day":
        raise invalid("fractional orders must be DAY orders")
    if order.order_class:
        raise invalid("fractional orders must be simple orders")
    if order.type not in _FRACTIONAL:
        raise invalid("fractional orders must be market, limit, stop, or stop limit orders")
    if order.notional is not None:
        if order.type != "market":
            raise invalid("notional orders must be market orders")
        if order.notional < 1:
            raise forbidden("cost basis must be >= minimal amount of order 1")
    elif order.qty is not None and order.qty % order.asset.step:
        raise invalid("qty must be limited to 9 decimal places")


def _check_crypto(order: Order) -> None:
    if order.tif not in {"gtc", "ioc"}:
        raise invalid("invalid crypto time_in_force")
    if order.type not in {"market", "limit", "stop_limit"}:
        raise malformed("invalid order type for crypto order")
    if order.order_class or order.extended_hours:
        raise invalid("crypto orders must be simple orders")
    if order.qty is not None:
        if order.qty < order.asset.least:
            raise forbidden(f"qty must be >= minimal qty of order {plain(order.asset.least)}")
        if order.qty % order.asset.step:
            raise invalid(f"qty must be a multiple of {plain(order.asset.step)}")
    elif order.type != "market":
        raise invalid("notional orders must be market orders")


def _prices(body: Mapping[str, Any], key: str) -> tuple[Decimal | None, Decimal | None] | None:
    """Limit and stop price of one child; None if the body has no such child."""
    child = body.get(key)
    if not child:
        return None
    if not isinstance(child, Mapping):
        raise malformed(f"invalid {key}")
    return number(child, "limit_price"), number(child, "stop_price")


def _child(parent: Order, limit: Decimal | None, stop: Decimal | None) -> Order:
    """A leg of ``parent``, waiting."""
    check_price(parent.asset, "limit_price", limit)
    check_price(parent.asset, "stop_price", stop)
    kind = "limit" if stop is None else "stop" if limit is None else "stop_limit"
    same = parent.order_class == "oco"
    side = parent.side if same else ("sell" if parent.buy else "buy")
    return Order(
        asset=parent.asset,
        side=side,
        type=kind,
        tif=parent.tif,
        at=parent.at,
        client_order_id=str(uuid4()),
        qty=parent.qty,
        limit_price=limit,
        stop_price=stop,
        order_class=parent.order_class,
        position_intent="sell_to_close" if side == "sell" else "buy_to_close",
        status="held",
        parent=parent,
    )


def _read_oco(order: Order, body: Mapping[str, Any]) -> None:
    target, stop = _prices(body, "take_profit"), _prices(body, "stop_loss")
    if order.type != "limit":
        raise invalid("oco orders must be limit orders")
    if stop is None or stop[1] is None:
        raise malformed("oco orders require stop_loss.stop_price")
    if target is not None and target[0] is not None:
        order.limit_price = target[0]
    if order.limit_price is None:
        raise malformed("oco orders require take_profit.limit_price")
    _check_exits(not order.buy, order.limit_price, stop[1])
    order.legs = [_child(order, *stop)]


def _read_children(order: Order, body: Mapping[str, Any]) -> None:
    target, stop = _prices(body, "take_profit"), _prices(body, "stop_loss")
    if order.order_class == "oto":
        if (target is None) == (stop is None):
            raise malformed("oto orders require either take_profit or stop_loss")
    elif target is None or stop is None:
        raise malformed("bracket orders require take_profit and stop_loss")
    if target is not None:
        if target[0] is None:
            raise malformed(f"{order.order_class} orders require take_profit.limit_price")
        order.legs.append(_child(order, target[0], None))
    if stop is not None:
        if stop[1] is None:
            raise malformed(f"{order.order_class} orders require stop_loss.stop_price")
        order.legs.append(_child(order, *stop))
    if target is not None and stop is not None:
        assert target[0] is not None
        assert stop[1] is not None
        _check_exits(order.buy, target[0], stop[1])
        base = order.limit_price
        if base is not None and (stop[1] > base - _CENT if order.buy else stop[1] < base + _CENT):
            side = "<= base_price - 0.01" if order.buy else ">= base_price + 0.01"
            raise invalid(f"stop_loss.stop_price must be {side}")


def _check_exits(long: bool, target: Decimal, stop: Decimal) -> None:
    if target <= stop if long else target >= stop:
        raise invalid(f"take_profit.limit_price must be {'>' if long else '<'} stop_loss.stop_price")

"""What ``PATCH /v2/orders/{id}`` makes of an order: another order, with an id of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from attrs import evolve

from alphaweave_broker_alpaca.sandbox.orders import Order
from alphaweave_broker_alpaca.sandbox.refusals import invalid, malformed
from alphaweave_broker_alpaca.sandbox.terms import check_price, number

__all__ = ["replacement"]

_REPLACEABLE = frozenset({"new", "partially_filled", "held"})


def replacement(order: Order, changes: Mapping[str, Any], at: int) -> Order:
    """The order that takes the place of ``order``.

    ``qty`` is the new total. What was filled counts in the new order's ``filled_qty`` too.

    Raises:
        Refused: ``order`` cannot be replaced, or not like this.
    """
    if order.status not in _REPLACEABLE:
        raise invalid(f"cannot replace order in {order.status} status")
    if order.qty is None:
        raise invalid("notional orders cannot be replaced")
    found = {
        "qty": number(changes, "qty"),
        "limit_price": number(changes, "limit_price"),
        "stop_price": number(changes, "stop_price"),
    }
    trail = number(changes, "trail")
    if trail is not None:
        if order.type != "trailing_stop":
            raise malformed("trail can only be changed for trailing stop orders")
        found["trail_percent" if order.trail_price is None else "trail_price"] = trail
    terms: dict[str, Any] = {
        key: value for key, value in found.items() if value is not None and value != getattr(order, key)
    }
    tif = changes.get("time_in_force")
    if tif and tif != order.tif:
        if tif not in {"day", "gtc"}:
            raise malformed("invalid time_in_force")
        terms["tif"] = tif
    if not terms:
        raise invalid("order parameters are not changed")
    _check(order, terms)
    return evolve(
        order,
        **terms,
        id=str(uuid4()),
        client_order_id=str(changes.get("client_order_id") or uuid4()),
        at=at,
        status="pending_new",
        replaces=order.id,
        replaced_by=None,
        submitted_at=0,
        updated_at=0,
        legs=list(order.legs),
    )


def _check(order: Order, terms: Mapping[str, Any]) -> None:
    qty = terms.get("qty")
    if qty is not None:
        assert order.qty is not None
        if not order.asset.crypto and (qty % 1 or order.qty % 1):
            raise invalid("qty of fractional orders cannot be replaced")
        if qty <= order.filled:
            raise invalid("qty must be > filled_qty")
    for key, needed in (("limit_price", {"limit", "stop_limit"}), ("stop_price", {"stop", "stop_limit"})):
        if key in terms:
            if order.type not in needed:
                raise malformed(f"{order.type} orders must not have {key.replace('_', ' ')}")
            check_price(order.asset, key, terms[key])

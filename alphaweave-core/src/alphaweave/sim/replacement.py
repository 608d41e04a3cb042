"""Changing a working order: what may be changed, and what a new version takes over."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from attrs import evolve

from alphaweave.core.errors import OrderState, ReplaceRejected
from alphaweave.core.money import CONTEXT
from alphaweave.core.order import OrderChange, OrderRequest
from alphaweave.sim.orders import SimOrder

__all__ = ["changed", "left_after", "not_replaced", "take_over"]

_CARRIED: Final = (
    "seq",
    "met",
    "quantity",
    "filled",
    "value",
    "average_price",
    "triggered",
    "best",
    "session",
    "expires",
    "group",
    "held",
    "fee_due",
    "fee_paid",
)


def changed(order: SimOrder, change: OrderChange) -> OrderRequest:
    """The order's request with the change in it.

    Raises:
        ReplaceRejected: the order has no such term, its stop was reached, or so much is filled already.
    """
    request = order.request
    wanted: dict[str, Any] = {}
    for name in ("quantity", "limit_price", "stop_price", "trail"):
        value = getattr(change, name)
        if value is None:
            continue
        if getattr(request, name) is None:
            raise not_replaced(order, "unsupported_change", f"it has no {name}")
        wanted[name] = value
    if order.triggered and ("stop_price" in wanted or "trail" in wanted):
        raise not_replaced(order, "already_triggered", "its stop has been reached")
    if change.quantity is not None and change.quantity <= order.filled:
        raise not_replaced(order, "quantity_filled", f"{order.filled} are filled already")
    return evolve(request, **wanted)


def left_after(order: SimOrder, change: OrderChange) -> Decimal:
    """Units still to be filled once the change holds."""
    if change.quantity is None:
        return order.remaining
    return CONTEXT.subtract(change.quantity, order.filled)


def take_over(old: SimOrder, new: SimOrder, change: OrderChange) -> None:
    """Give a new version the place and the past of the one it replaces."""
    for name in _CARRIED:
        setattr(new, name, getattr(old, name))
    if change.quantity is not None:
        new.quantity = change.quantity


def not_replaced(order: SimOrder, reason: str, text: str) -> ReplaceRejected:
    """The refusal of a change to an order that works on unchanged."""
    return ReplaceRejected(
        f"order {order.ref.client_order_id} stays as it is: {text}",
        order_state=OrderState.ALIVE,
        code=reason,
        text=text,
    )

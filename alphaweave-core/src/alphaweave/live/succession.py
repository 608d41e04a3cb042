"""Replacing an order where the broker cannot bound the total: cancel it, wait, place another.

The versions of such an order follow one another at the broker, each an order of its own there; here they are
one order, with one total. The next version is placed only once the broker has said that the one before is
cancelled and how much of it was filled, and all of that is booked: what is left then is all that it asks for.
Whatever else ends the version before ends the order, and its replacement is refused.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from attrs import evolve

from alphaweave.core.money import ZERO
from alphaweave.core.order import OrderChange, OrderRef, OrderRequest, OrderStatus

if TYPE_CHECKING:
    from alphaweave.live.orders import Order

__all__ = [
    "EXECUTIONS_MISSING",
    "Succession",
    "called",
    "changed_request",
    "left_after",
    "recount",
    "retire",
    "retired",
    "succeed",
]

EXECUTIONS_MISSING: Final = "executions_missing"
"""Why an order ended of which the broker counts executions that it does not have."""


class Succession:
    """How far an order has come that is replaced by cancelling it and placing another.

    Attributes:
        past: names of the versions that are over at the broker, oldest first.
        base: units that those filled.
        decided_at: when the replacement was decided that is on its way, or was the last; epoch nanoseconds.
        revoked: the order was cancelled while its replacement was on its way, and has no next version.
    """

    __slots__ = ("base", "decided_at", "past", "revoked")

    def __init__(self, decided_at: int) -> None:
        self.past: tuple[OrderRef, ...] = ()
        self.base = ZERO
        self.decided_at = decided_at
        self.revoked = False


def retire(order: Order, change: OrderChange, new_ref: OrderRef, at: int) -> None:
    """The next version, of these names, waits for the end of the one that works."""
    order.version += 1
    order.change, order.change_ref = change, new_ref
    if order.succession is None:
        order.succession = Succession(at)
    order.succession.decided_at = at
    order.succession.revoked = False


def retired(order: Order) -> bool:
    """Whether the version before is over, and all that it filled is booked."""
    if not order.retiring:
        return False
    ending = order.ending
    if ending is None:
        return order.quantity is not None and order.filled >= order.quantity
    return order.filled >= ending[3]


def succeed(order: Order, ref: OrderRef) -> None:
    """The next version is placed, under these names; the one before is over."""
    succession, change = order.succession, order.change
    assert succession is not None
    assert change is not None
    succession.past += (order.ref,)
    succession.base = order.filled
    order.request = changed_request(order.request, change)
    order.quantity = order.request.quantity
    order.ref = ref
    order.change = order.change_ref = order.ending = None
    order.status = OrderStatus.PENDING


def called(order: Order, broker_order_id: str | None) -> str | None:
    """The client order id of the version that the broker knows by that name; None: of no version."""
    past = () if order.succession is None else order.succession.past
    for ref in (order.ref, *past):
        if broker_order_id and ref.broker_order_id == broker_order_id:
            return ref.client_order_id
    return None


def recount(order: Order, client_order_id: str | None, size: Decimal) -> bool:
    """An execution of ``size`` units (negative: one that is taken back) of the version of this name. One that
    is over changes how much was filled before, and with that all that the order can come to.

    Returns:
        Whether it was of one that is over.
    """
    succession = order.succession
    if succession is None or order.quantity is None or not succession.past:
        return False
    if client_order_id == order.ref.client_order_id:
        return False
    succession.base += size
    order.quantity += size
    if order.ending is not None:
        # What it counts of the version that works comes on top of those before.
        status, reason, text, counted = order.ending
        order.ending = status, reason, text, counted + size
    return True


def changed_request(old: OrderRequest, change: OrderChange) -> OrderRequest:
    """The terms of an order after a change; its quantity is the new total."""
    return OrderRequest(
        symbol=old.symbol,
        side=old.side,
        quantity=change.quantity or old.quantity,
        quote_quantity=old.quote_quantity,
        type=old.type,
        tif=old.tif,
        expire_at=old.expire_at,
        limit_price=change.limit_price or old.limit_price,
        stop_price=change.stop_price or old.stop_price,
        trail=change.trail or old.trail,
        post_only=old.post_only,
        reduce_only=old.reduce_only,
        extended_hours=old.extended_hours,
    )


def left_after(old: OrderRequest, change: OrderChange, filled: Decimal) -> OrderRequest | None:
    """What the next version asks for, where ``filled`` units are filled; None: nothing is left."""
    request = changed_request(old, change)
    if request.quantity is None or request.quantity <= filled:
        return None
    return evolve(request, quantity=request.quantity - filled)

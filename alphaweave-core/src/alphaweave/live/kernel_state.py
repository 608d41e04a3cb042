"""The kernel's part of a saved state: counters, books, open orders, indicators."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from alphaweave.core.errors import StateMismatch
from alphaweave.core.order import GroupKind, OrderRef, OrderStatus
from alphaweave.live.kernel import Kernel
from alphaweave.live.order_codec import (
    change_from_state,
    change_to_state,
    request_from_state,
    request_to_state,
)
from alphaweave.live.orders import Group, Order
from alphaweave.live.succession import Succession

__all__ = [
    "capture_kernel",
    "order_from_state",
    "order_to_state",
    "ref_from_state",
    "ref_to_state",
    "restore_kernel",
]


def capture_kernel(kernel: Kernel) -> dict[str, Any]:
    """The kernel between two slices, as JSON values."""
    kernel.materialize()
    orders: list[Order] = []
    for book in kernel.books.values():
        orders.extend(book.orders.values())
    groups: dict[int, Group] = {}
    for order in orders:
        if order.group is not None:
            groups.setdefault(id(order.group), order.group)
    # A group's finished legs still bound what its open ones may do.
    for group in groups.values():
        orders.extend(leg for leg in group.legs if leg not in orders)
    number = {id(order): position for position, order in enumerate(orders)}
    return {
        "index": kernel.index,
        "now": kernel.now,
        "booked": kernel.booked,
        "orders_placed": kernel.orders_placed,
        "denials": kernel.denials,
        "fills": kernel.fills,
        "rule_evaluations": kernel.chain.evaluations,
        "ledger": kernel.ledger.snapshot(),
        "orders": [order_to_state(order) for order in orders],
        "groups": [
            {
                "kind": group.kind.value,
                "legs": [number[id(leg)] for leg in group.legs],
                "resized": group.resized,
            }
            for group in groups.values()
        ],
        "indicators": [
            {"key": list(key), "state": indicator.get_state()}
            for key, indicator in kernel.desk.indicators.items()
        ],
    }


def restore_kernel(kernel: Kernel, state: Mapping[str, Any]) -> None:
    """Bring a kernel that has just been started (``init`` has run) to where ``state`` was captured.

    Raises:
        StateMismatch: the state holds a symbol or an indicator that this run does not have.
        StateCorrupt: the ledger or an indicator refuses its part.
    """
    kernel.index = state["index"]
    kernel.now = state["now"]
    kernel.booked = state["booked"]
    kernel.orders_placed = state["orders_placed"]
    kernel.denials = state["denials"]
    kernel.fills = state["fills"]
    kernel.chain.evaluations = state["rule_evaluations"]
    kernel.warming = kernel.index + 1 < kernel.settings.warmup
    kernel.ledger.restore(state["ledger"])
    for symbol in kernel.ledger.positions:
        if symbol not in kernel.books:
            raise StateMismatch(
                f"the state holds a position in {symbol}, which is not among the config's instruments"
            )
        kernel.refresh(kernel.books[symbol])
    made = set(kernel.desk.indicators)
    for entry in state["indicators"]:
        kind, symbol, period = entry["key"]
        if symbol not in kernel.books:
            raise StateMismatch(
                f"the state holds an indicator of {symbol}, which is not among the config's instruments"
            )
        kernel.desk.indicator(kind, symbol, period).set_state(entry["state"])
        made.discard((kind, symbol, period))
    for key in made:
        # The strategy's parameters changed: what the state cannot tell, the bars do.
        kernel.desk.catch_up(*key)
    orders = [order_from_state(kernel, entry) for entry in state["orders"]]
    for entry in state["groups"]:
        *first, take_profit, stop_loss = (orders[position] for position in entry["legs"])
        group = Group(GroupKind(entry["kind"]), take_profit, stop_loss, first[0] if first else None)
        group.resized = entry.get("resized", False)
    for order in orders:
        if order.is_open:
            order.book.orders[order.id] = order
            kernel.orders[order.id] = order
            # Of the versions in between, fills may still come late.
            for version in range(1, order.version + 1):
                kernel.orders[kernel.replacement_id(order.id, version)] = order
            if order.retiring:
                kernel.retiring[order.id] = order
            order.reserve()


def order_to_state(order: Order) -> dict[str, Any]:
    """An order as JSON values, but for its group."""
    return {
        "id": order.id,
        "ref": ref_to_state(order.ref),
        "request": request_to_state(order.request),
        "status": order.status.value,
        "filled": str(order.filled),
        "filled_value": str(order.filled_value),
        "reason": order.reason,
        "text": order.text,
        "decided_at": order.decided_at,
        "reference": order.reference,
        "adjustments": list(order.adjustments),
        "version": order.version,
        "told": order.told,
        "ending": None
        if order.ending is None
        else [order.ending[0].value, order.ending[1], order.ending[2], str(order.ending[3])],
        "change": None if order.change is None else change_to_state(order.change),
        "change_ref": None if order.change_ref is None else ref_to_state(order.change_ref),
        "succession": None if order.succession is None else _succession(order.succession, order.quantity),
    }


def order_from_state(kernel: Kernel, entry: Mapping[str, Any]) -> Order:
    """The inverse of `order_to_state`; the order is in no book yet.

    Raises:
        StateMismatch: it is in a symbol that this run does not have.
    """
    request = request_from_state(entry["request"])
    book = kernel.books.get(request.symbol)
    if book is None:
        raise StateMismatch(
            f"the state holds an order in {request.symbol}, which is not among the config's instruments"
        )
    order = Order(
        book,
        OrderRef(entry["id"], request.symbol),
        request,
        decided_at=entry["decided_at"],
        reference=entry["reference"],
        adjustments=tuple(entry["adjustments"]),
    )
    order.ref = ref_from_state(entry["ref"])
    order.status = OrderStatus(entry["status"])
    order.filled = Decimal(entry["filled"])
    order.filled_value = Decimal(entry["filled_value"])
    order.reason = entry["reason"]
    order.text = entry["text"]
    order.version = entry["version"]
    order.told = entry["told"]
    order.handed_over = True
    if entry["ending"] is not None:
        status, reason, text, cumulative = entry["ending"]
        order.ending = (OrderStatus(status), reason, text, Decimal(cumulative))
    if entry["change"] is not None:
        order.change = change_from_state(entry["change"])
        order.change_ref = ref_from_state(entry["change_ref"])
    if entry.get("succession") is not None:
        saved = entry["succession"]
        order.succession = succession = Succession(saved["decided_at"])
        succession.past = tuple(ref_from_state(ref) for ref in saved["past"])
        succession.base = Decimal(saved["base"])
        succession.revoked = saved["revoked"]
        if order.quantity is not None:
            order.quantity = Decimal(saved["quantity"])
    return order


def _succession(succession: Succession, quantity: Decimal | None) -> dict[str, Any]:
    return {
        "decided_at": succession.decided_at,
        "past": [ref_to_state(ref) for ref in succession.past],
        "base": str(succession.base),
        "revoked": succession.revoked,
        "quantity": str(quantity),
    }


def ref_to_state(ref: OrderRef) -> dict[str, Any]:
    """The names of a version as JSON values."""
    return {
        "client_order_id": ref.client_order_id,
        "symbol": ref.symbol,
        "broker_order_id": ref.broker_order_id,
        "wire": dict(ref.wire),
        "decided_at": None if ref.decided_at is None else ref.decided_at.isoformat(),
    }


def ref_from_state(entry: Mapping[str, Any]) -> OrderRef:
    """The inverse of `ref_to_state`."""
    decided_at = entry["decided_at"]
    return OrderRef(
        entry["client_order_id"],
        entry["symbol"],
        entry["broker_order_id"],
        MappingProxyType(dict(entry["wire"])),
        None if decided_at is None else datetime.fromisoformat(decided_at),
    )

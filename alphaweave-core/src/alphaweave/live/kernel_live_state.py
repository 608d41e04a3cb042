"""What a journal keeps of a live kernel: the snapshot, and how the intents of later decisions are taken up.

Besides what a replay saves these are the orders that are over, for a late word on them may still come, and
the last rows of each series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import StateCorrupt
from alphaweave.core.order import GroupKind, OrderRef
from alphaweave.live.effects import CancelOrder, Effect, ReplaceOrder, SubmitGroup, SubmitOrder
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.kernel_state import (
    capture_kernel,
    order_from_state,
    order_to_state,
    ref_from_state,
    ref_to_state,
    restore_kernel,
)
from alphaweave.live.order_codec import (
    change_from_state,
    change_to_state,
    request_from_state,
    request_to_state,
)
from alphaweave.live.orders import Group, Order

__all__ = [
    "capture_live",
    "change_again",
    "intent_documents",
    "readmit",
    "restore_live",
    "retirement_documents",
]

_Intended = tuple[str, str, str, Mapping[str, Any], int, Mapping[str, str]]
_COLUMNS = ("start", "end", "open", "high", "low", "close", "volume")


def capture_live(kernel: LiveKernel, rows: int) -> dict[str, Any]:
    """A kernel between two inputs, as JSON values, with the last ``rows`` rows of each series."""
    ended: dict[int, Order] = {}
    for order in kernel.ended.values():
        if order.handed_over:
            ended.setdefault(id(order), order)
    return {
        **capture_kernel(kernel),
        "ended": [order_to_state(order) for order in ended.values()],
        "own": sorted(kernel.own),
        "series": {
            symbol: {name: list(getattr(book.series, name)[-rows:]) for name in _COLUMNS}
            for symbol, book in kernel.books.items()
        },
    }


def restore_live(kernel: LiveKernel, state: Mapping[str, Any]) -> None:
    """Bring a kernel that has just been started to where ``state`` was captured.

    Rows that its series have already, from history, stay; of what the state has, later ones are added.

    Raises:
        StateMismatch: as `restore_kernel`.
        StateCorrupt: as `restore_kernel`; or the state counts on a journal's archive, and there is none.
    """
    for symbol, columns in state["series"].items():
        book = kernel.books.get(symbol)
        if book is None:
            continue  # what matters of it is refused below
        series = book.series
        last = series.end[-1] if len(series) else -1
        for row in zip(*(columns[name] for name in _COLUMNS), strict=True):
            if row[1] > last:
                series.append(*row)
        series.cursor.count = len(series)
    restore_kernel(kernel, state)
    kernel.follow_balances()
    ledger = kernel.ledger
    if ledger.archive is None and any(position.folded for position in ledger.positions.values()):
        raise StateCorrupt("the state is without executions of long ago, which are in its journal alone")
    kernel.row = kernel.index
    kernel.own = set(state["own"])
    kernel.flows = set(state["ledger"]["flows"])
    # A leg that is over, of a group that is not, is one order, whoever looks for it.
    legs = {
        leg.id: leg
        for order in tuple(kernel.orders.values())
        if order.group is not None
        for leg in order.group.legs
    }
    for entry in state["ended"]:
        order = legs.get(entry["id"]) or order_from_state(kernel, entry)
        for version in range(order.version + 1):
            name = order.id if not version else kernel.replacement_id(order.id, version)
            kernel.ended[name] = order
    kernel.moves.clear()


def intent_documents(
    kernel: LiveKernel, effect: Effect
) -> list[tuple[str, str, str, dict[str, Any], OrderRef]]:
    """An effect as intents: client order id, order id, kind, document and names of each.

    Raises:
        TypeError: it is of no kind that a live run has.
    """
    if isinstance(effect, SubmitOrder):
        name = effect.ref.client_order_id
        order = kernel.orders[name]
        document = _submit(kernel, order)
        if name != order.id:
            document["request"] = request_to_state(effect.request)
        return [(name, order.id, "submit", document, effect.ref)]
    if isinstance(effect, SubmitGroup):
        legs = [kernel.orders[ref.client_order_id] for ref in effect.refs]
        ids = [leg.id for leg in legs]
        group = {"kind": effect.group.kind.value, "legs": ids}
        return [
            (leg.id, leg.id, "group", {**_submit(kernel, leg), "group": group}, ref)
            for leg, ref in zip(legs, effect.refs, strict=True)
        ]
    if isinstance(effect, ReplaceOrder):
        name = effect.new_ref.client_order_id
        order = kernel.orders[name]
        document = {
            "change": change_to_state(effect.change),
            "replaces": effect.ref.client_order_id,
            "adjustments": list(order.adjustments),
            "symbol": order.symbol,
        }
        return [(name, order.id, "replace", document, effect.new_ref)]
    if isinstance(effect, CancelOrder):
        name = effect.ref.client_order_id
        found = kernel.order_of(name)
        order_id = name if found is None else found.id
        return [(name, order_id, "cancel", {"symbol": effect.ref.symbol}, effect.ref)]
    raise TypeError(f"a {type(effect).__qualname__} is no effect of a live run")


def readmit(kernel: LiveKernel, intents: Sequence[_Intended]) -> None:
    """Take up the orders that a decision intended, as it did when it was made.

    Args:
        kernel: as it was when the decision's input had been entered in the books.
        intents: client order id, order id, kind, document, decided_at and wire names of each.
    """
    legs: list[Order] = []
    for client_id, order_id, kind, document, decided_at, wire in intents:
        # The next version of an order was placed when the end of the one before was entered.
        if kind not in {"submit", "group"} or (kind == "submit" and client_id != order_id):
            continue
        request = request_from_state(document["request"])
        ref = _ref(client_id, request.symbol, decided_at, wire)
        order = Order(
            kernel.books[request.symbol],
            ref,
            request,
            decided_at,
            document["reference"],
            tuple(document["adjustments"]),
        )
        order.handed_over = True
        if document.get("own"):
            kernel.own.add(order.id)
        if kind == "submit":
            kernel.admit(order)
            continue
        legs.append(order)
        if len(legs) == len(document["group"]["legs"]):
            *entry, take_profit, stop_loss = legs
            Group(GroupKind(document["group"]["kind"]), take_profit, stop_loss, entry[0] if entry else None)
            for leg in legs:
                kernel.admit(leg)
            legs = []
    kernel.decided.clear()


def retirement_documents(kernel: LiveKernel) -> dict[str, dict[str, Any]]:
    """The orders that are to be cancelled for a next version, or to have none after all, by id."""
    documents: dict[str, dict[str, Any]] = {}
    for name, retirement in kernel.retirements.items():
        document: dict[str, Any] = {"revoked": retirement.revoked, "refused": retirement.refused}
        order = kernel.order_of(name)  # it may be over by now
        if order is not None and retirement.change is not None and retirement.new_ref is not None:
            document["change"] = change_to_state(retirement.change)
            document["new_ref"] = ref_to_state(retirement.new_ref)
            document["adjustments"] = list(order.adjustments)
        documents[name] = document
    return documents


def change_again(
    kernel: LiveKernel, intents: Sequence[_Intended], retirements: Mapping[str, Mapping[str, Any]]
) -> None:
    """Take up the replacements that a decision began, as far as their orders are there.

    That is done before its input is entered, and again after: an order that was there before was not over
    when it was to be replaced, and what is then reported of it must not end it either.
    """
    for client_id, order_id, kind, document, decided_at, wire in intents:
        order = kernel.orders.get(order_id) if kind == "replace" else None
        if order is not None and order.change is None and client_id not in kernel.orders:
            order.version += 1
            order.change = change_from_state(document["change"])
            order.change_ref = _ref(client_id, order.symbol, decided_at, wire)
            order.adjustments = tuple(document["adjustments"])
            kernel.orders[client_id] = order
            order.reserve()
    for name, document in retirements.items():
        order = kernel.orders.get(name)
        if order is None or order.change is not None or "change" not in document:
            continue
        new_ref = ref_from_state(document["new_ref"])
        if new_ref.client_order_id not in kernel.orders:
            order.adjustments = tuple(document["adjustments"])
            kernel.retire(order, change_from_state(document["change"]), new_ref)


def _submit(kernel: LiveKernel, order: Order) -> dict[str, Any]:
    document: dict[str, Any] = {
        "request": request_to_state(order.request),
        "reference": order.reference,
        "adjustments": list(order.adjustments),
    }
    if order.id in kernel.own:
        document["own"] = True
    return document


def _ref(client_id: str, symbol: str, decided_at: int, wire: Mapping[str, str]) -> OrderRef:
    return OrderRef(client_id, symbol, None, MappingProxyType(dict(wire)), from_ns(decided_at))

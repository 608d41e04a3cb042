"""A venue's records as JSON-able values, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from alphaweave.core.errors import StateCorrupt
from alphaweave.live.reports import BrokerFill, OrderUpdate
from alphaweave.sim.book import OrderBook
from alphaweave.sim.orders import SimGroup, SimOrder

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = ["readable", "restore_book", "snapshot_book"]


@contextmanager
def readable() -> Iterator[None]:
    """Say `StateCorrupt` for whatever a damaged snapshot makes go wrong."""
    from cattrs import BaseValidationError

    try:
        yield
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, BaseValidationError) as error:
        raise StateCorrupt(f"the simulated venue's state cannot be read: {error!r}") from error


@cache
def _converter() -> Converter:
    from cattrs import Converter

    converter = Converter(omit_if_default=True)
    converter.register_unstructure_hook(Decimal, str)
    converter.register_structure_hook(Decimal, lambda value, _: Decimal(value))
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    # The wire names of a version are a read-only mapping; a plain dict is equal to it.
    converter.register_unstructure_hook_func(lambda kind: kind == Mapping[str, str], dict)
    return converter


def snapshot_book(book: OrderBook) -> dict[str, Any]:
    """Everything the book knows."""
    dump = _converter().unstructure
    return {
        "now": book.now,
        "issued": book.issued,
        "complete_from": book.complete_from,
        "orders": [dump(order) for order in book.by_client.values()],
        "ended": list(book.ended),
        "groups": [dump(group) for group in book.groups.values()],
        "fills": [[booked, dump(fill)] for booked, fill in book.fills],
        "events": [
            {"fill" if isinstance(event, BrokerFill) else "update": dump(event)} for event in book.events
        ],
    }


def restore_book(book: OrderBook, snapshot: Mapping[str, Any]) -> None:
    """Put back what `snapshot_book` gave."""
    load = _converter().structure
    orders = [load(each, SimOrder) for each in snapshot["orders"]]
    groups = [load(each, SimGroup) for each in snapshot["groups"]]
    fills = [(booked, load(each, BrokerFill)) for booked, each in snapshot["fills"]]
    events = [
        load(each["fill"], BrokerFill) if "fill" in each else load(each["update"], OrderUpdate)
        for each in snapshot["events"]
    ]
    book.now, book.issued = snapshot["now"], snapshot["issued"]
    book.complete_from = snapshot["complete_from"]
    book.by_client = {order.ref.client_order_id: order for order in orders}
    book.working.clear()
    alive = (order for order in orders if not order.status.terminal)
    book.working.update((order.seq, order) for order in sorted(alive, key=lambda order: order.seq))
    book.ended.clear()
    book.ended.extend(snapshot["ended"])
    book.groups = {group.id: group for group in groups}
    book.fills.clear()
    book.fills.extend(fills)
    book.events = list(events)
    book.restored()

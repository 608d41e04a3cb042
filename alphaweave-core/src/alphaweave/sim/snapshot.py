"""A venue's records as JSON-able values, and back: all of them, or those that changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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

__all__ = ["Mark", "changed_book", "merged", "readable", "restore_book", "snapshot_book"]


class Mark:
    """How much of a venue is on record: nothing, when it is made.

    Attributes:
        newest: client order id of the last order version that came in.
        working: the orders that could still change, as they were recorded, by client order id.
        fill: the last one.
        rng: the generator's state.
    """

    __slots__ = ("fill", "newest", "rng", "working")

    def __init__(self) -> None:
        self.newest: str | None = None
        self.working: dict[str, Any] = {}
        self.fill: tuple[int, BrokerFill] | None = None
        self.rng: object = None


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
        **_pack_present(book),
        "orders": [dump(order) for order in book.by_client.values()],
        "fills": [[booked, dump(fill)] for booked, fill in book.fills],
    }


def changed_book(book: OrderBook, mark: Mark) -> dict[str, Any]:
    """What is not on record yet, and now is: orders and fills by what changed, the rest as it stands."""
    dump = _converter().unstructure
    fresh = []
    for name in reversed(book.by_client):
        if name == mark.newest:
            break
        fresh.append(name)
    fills = []
    for entry in reversed(book.fills):
        if entry is mark.fill:
            break
        fills.append([entry[0], dump(entry[1])])
    orders, working = [], {}
    for name in (*mark.working, *reversed(fresh)):
        order = book.by_client[name]
        packed = dump(order)
        if packed != mark.working.get(name):
            orders.append(packed)
        if not order.status.terminal:
            working[name] = packed
    mark.working = working
    mark.newest = fresh[0] if fresh else mark.newest
    mark.fill = book.fills[-1] if book.fills else None
    return {**_pack_present(book), "orders": orders, "fills": fills[::-1]}


def merged(changes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The snapshot that all changes of a venue come to, beginning with those since a fresh mark.

    Raises:
        KeyError, TypeError: they are damaged.
    """
    whole: dict[str, Any] = {}
    orders: dict[str, Any] = {}
    fills: list[Any] = []
    for change in changes:
        whole.update(change)
        orders.update((order["ref"]["client_order_id"], order) for order in change["book"]["orders"])
        fills.extend(change["book"]["fills"])
    whole["book"] = {**whole["book"], "orders": list(orders.values()), "fills": fills}
    return whole


def _pack_present(book: OrderBook) -> dict[str, Any]:
    dump = _converter().unstructure
    return {
        "now": book.now,
        "issued": book.issued,
        "complete_from": book.complete_from,
        "ended": list(book.ended),
        "groups": [dump(group) for group in book.groups.values()],
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

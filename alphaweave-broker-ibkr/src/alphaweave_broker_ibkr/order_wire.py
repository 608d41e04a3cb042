"""What of an order is decided before it is committed, and stays: its number, its contract, its terms."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Final

from attrs import evolve, fields, frozen

from alphaweave.core.errors import Unsupported
from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest
from alphaweave.live.order_codec import request_from_state, request_to_state

__all__ = ["Listing", "OrderNumbers", "OrderWire", "wires_of"]

_NEXT: Final = "next_order"


@frozen
class Listing:
    """A contract, as an order names it.

    Attributes:
        kind: the gateway's word: STK, CASH, FUT, CRYPTO.
        exchange: where an order is sent to (SMART, IDEALPRO, CME, PAXOS).
    """

    con_id: int
    kind: str
    exchange: str
    currency: str


@frozen(kw_only=True)
class OrderWire:
    """What `OrderRef.wire` holds of one order version.

    Attributes:
        client, order: only that client can change or cancel the order, and only under that number.
        terms: what the order is from this version on.
        replaces, first: the client order ids of the version before, and of the first; empty for the first.
        parent: number of the order that has to be filled first, or 0.
        oca: the group of which one cancels the others; empty for none.
        pair: number of the other exit of a group, which goes when this one is cancelled, or 0.
        impossible: why the order cannot be changed so; empty where it can.
        held: it waits at the gateway until the last order of its bracket is there.
    """

    client: int
    order: int
    listing: Listing
    terms: OrderRequest
    replaces: str = ""
    first: str = ""
    parent: int = 0
    oca: str = ""
    pair: int = 0
    impossible: str = ""
    held: bool = False

    def write(self) -> dict[str, str]:
        """As texts; `read` is the inverse."""
        written = {
            "client": str(self.client),
            "order": str(self.order),
            "con_id": str(self.listing.con_id),
            "kind": self.listing.kind,
            "exchange": self.listing.exchange,
            "currency": self.listing.currency,
            "terms": json.dumps(request_to_state(self.terms), separators=(",", ":")),
        }
        more = {
            "replaces": self.replaces,
            "first": self.first,
            "parent": str(self.parent or ""),
            "oca": self.oca,
            "pair": str(self.pair or ""),
            "impossible": self.impossible,
            "held": "yes" if self.held else "",
        }
        return written | {name: text for name, text in more.items() if text}

    @classmethod
    def read(cls, wire: Mapping[str, str]) -> OrderWire:
        """What was written.

        Raises:
            ValueError: something is missing or is not what it should be.
        """
        try:
            return cls(
                client=int(wire["client"]),
                order=int(wire["order"]),
                listing=Listing(int(wire["con_id"]), wire["kind"], wire["exchange"], wire["currency"]),
                terms=request_from_state(json.loads(wire["terms"])),
                replaces=wire.get("replaces", ""),
                first=wire.get("first", ""),
                parent=int(wire.get("parent", 0)),
                oca=wire.get("oca", ""),
                pair=int(wire.get("pair", 0)),
                impossible=wire.get("impossible", ""),
                held="held" in wire,
            )
        except KeyError as error:
            raise ValueError(f"what was written of an order lacks {error}") from None


class OrderNumbers:
    """Gives each order its number: never one that was given before, or that the gateway has seen.

    The gateway's own idea of the next number is not enough: it goes back when the gateway never saw an order,
    and a number that is used twice changes the order that has it.
    """

    def __init__(self, store: MutableMapping[str, str]) -> None:
        self._store = store
        self._floor = 1

    def seen(self, next_number: int) -> None:
        """The gateway counts from here on, or an order has the number before."""
        self._floor = max(self._floor, next_number)

    def reserve(self, count: int) -> int:
        """The first of so many numbers; called while an intent is prepared, with which they are kept."""
        first = max(int(self._store.get(_NEXT, "1")), self._floor)
        self._store[_NEXT] = str(first + count)
        return first


def wires_of(
    request: OrderRequest | OrderGroup | OrderChange,
    refs: Sequence[OrderRef],
    replaces: OrderRef | None,
    *,
    client: int,
    numbers: OrderNumbers,
    listing: Listing,
) -> list[OrderWire]:
    """For each of ``refs``, what it is placed and found by.

    Raises:
        Unsupported: the version that is to be replaced cannot be changed.
    """
    if isinstance(request, OrderChange):
        return [_changed(request, refs[0], replaces, client)]
    if isinstance(request, OrderRequest):
        order = numbers.reserve(1)
        return [OrderWire(client=client, order=order, listing=listing, terms=request)]
    first = numbers.reserve(len(request.legs))
    orders = range(first, first + len(request.legs))
    exits = orders[-2:]
    return [
        OrderWire(
            client=client,
            order=order,
            listing=listing,
            terms=leg,
            parent=first if order in exits and request.entry is not None else 0,
            oca=refs[0].client_order_id if order in exits else "",
            pair=sum(exits) - order if order in exits else 0,
            # Only what hangs on a parent is sent on with the last of it: an OCO has none.
            held=request.entry is not None and order != orders[-1],
        )
        for order, leg in zip(orders, request.legs, strict=True)
    ]


def _changed(change: OrderChange, ref: OrderRef, replaces: OrderRef | None, client: int) -> OrderWire:
    if replaces is None:
        raise Unsupported(f"{ref.symbol}: a change is of an order, and none is named")
    try:
        before = OrderWire.read(replaces.wire)
    except ValueError as error:
        raise Unsupported(f"{ref.symbol}: {error}") from None
    if before.client != client:
        what = f"order {before.order} was placed by client id {before.client}, which alone can change it"
        raise Unsupported(f"{ref.symbol}: {what}, not {client}", code="unsupported", text=what)
    given = {one.name: getattr(change, one.name) for one in fields(OrderChange)}
    terms, impossible = before.terms, ""
    try:
        terms = evolve(terms, **{name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        # It may be over, which is said then: that is no matter of what can be asked for.
        impossible = str(error)
    name = replaces.client_order_id
    return evolve(
        before,
        terms=terms,
        replaces=name,
        first=before.first or name,
        held=False,
        impossible=impossible,
    )

"""What a broker case works on: an adapter, its venue, and a record of everything that was said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

from alphaweave.core.instrument import Instrument
from alphaweave.core.order import (
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderStatus,
)
from alphaweave.live.adapters.base import BrokerAdapter, RunMode, Services
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.broker import BrokerEvent, BrokerFill, OrderUpdate
from alphaweave.live.plugins import BrokerPlugin
from alphaweave.testing.clear_options import parse_clear_options
from alphaweave.testing.listener import Listener
from alphaweave.testing.orders import Orders
from alphaweave.testing.sandbox import Action
from alphaweave.testing.venue import TruthExecution, TruthOrder, VenueControl, WireRequest

__all__ = ["Bench", "Sent", "broker_bench", "distinct", "plain_text"]


class Sent:
    """One order that the bench sent, or tried to.

    Attributes:
        ref: its names; with the broker's id, once an acknowledgement or an event told it.
        request: what was asked for.
        leg: one of a group. A venue may name it as it likes.
    """

    def __init__(self, ref: OrderRef, request: OrderRequest, *, leg: bool = False) -> None:
        self.ref = ref
        self.request = request
        self.leg = leg

    @property
    def id(self) -> str:
        """Its client order id."""
        return self.ref.client_order_id


class Bench(Listener[BrokerEvent]):
    """One adapter at its venue. A case opens it, trades, and asks what was heard and what is true.

    Attributes:
        plugin: the adapter's record.
        venue: the venue; it has started.
        broker: the adapter of the present process, so to speak: `reopen` makes another.
        store: the adapter's durable map, which outlives `reopen`.
        orders: makes requests that this venue takes.
    """

    broker: BrokerAdapter

    def __init__(self, plugin: BrokerPlugin, venue: VenueControl) -> None:
        super().__init__(venue)
        self.plugin = plugin
        self.venue: VenueControl = venue
        self.capabilities: Capabilities = plugin.capabilities
        self.store: dict[str, str] = {}
        self.symbols: tuple[str, ...] = tuple(venue.names)
        self.symbol, self.other = self.symbols[0], self.symbols[1]
        self.orders = Orders(plugin.capabilities, venue.instruments)
        self._made: list[BrokerAdapter] = []
        self._ids = 0

    # The adapter ---------------------------------------------------------------------------------------

    def services(self, **changes: Any) -> Services:
        """What the adapter is handed; ``changes`` are fields of `Services`."""
        venue = self.venue
        given: dict[str, Any] = {
            "clock": venue.clock,
            "mode": RunMode.PAPER,
            "account_id": venue.account_id,
            "log": self.ear,
            "store": self.store,
            "names": dict(venue.names),
            "symbols": self.symbols,
            "interval": "1m",
            "currency": venue.currency,
            "instruments": dict(venue.instruments),
        }
        return Services(**{**given, **changes})

    def make(self, options: Mapping[str, Any] | None = None, **changes: Any) -> BrokerAdapter:
        """An adapter that has connected to nothing yet."""
        block = self.venue.options() if options is None else options
        parsed: Any = parse_clear_options(
            self.plugin.options, block, path=f"broker.options.{self.plugin.name}"
        )
        broker = self.plugin.create(parsed, self.services(**changes))
        self._made.append(broker)
        self.venue.attach(broker)
        return broker

    async def open(self, **changes: Any) -> BrokerAdapter:
        """Make the adapter, listen to it, and connect."""
        self.broker = broker = self.make(**changes)
        self.listen(broker)
        await self.within(broker.connect(), "connect()")
        for symbol in self.symbols:
            await self.venue.set_price(symbol, self.orders.price(symbol))
        return broker

    async def reopen(self, *, lost: bool = True) -> BrokerAdapter:
        """Let the process end, and a new one begin with what was durable.

        Args:
            lost: what was said to the old one is forgotten.
        """
        await self.within(self.broker.disconnect(), "disconnect()")
        if lost:
            self.events.clear()
        self.broker = broker = self.make()
        self.listen(broker)
        await self.within(broker.connect(), "connect()")
        return broker

    def listen(self, broker: BrokerAdapter) -> asyncio.Task[None]:
        """Read its events from now on; the task ends when they do."""
        return self.read(broker.events())

    async def close(self) -> None:
        """Disconnect every adapter that was made."""
        for broker in self._made:
            with suppress(Exception):
                await asyncio.wait_for(broker.disconnect(), self.venue.patience)
        await self.stop_listening()

    # Sending, as the engine does it --------------------------------------------------------------------

    def ref(self, symbol: str | None = None) -> OrderRef:
        """Names for a new order, in the form that AlphaWeave's have."""
        self._ids += 1
        id_ = f"aw{'kit00'}-{self._ids:022d}"
        return OrderRef(id_, symbol or self.symbol, decided_at=self.venue.clock.now())

    def prepared(
        self,
        request: OrderRequest | OrderGroup | OrderChange,
        refs: Sequence[OrderRef],
        replaces: OrderRef | None = None,
    ) -> tuple[OrderRef, ...]:
        """The names with what `Broker.prepare` reserved for them."""
        wires = self.broker.prepare(request, refs, replaces)
        assert len(wires) == len(refs), f"prepare answered {len(wires)} mappings for {len(refs)} names"
        return tuple(
            OrderRef(ref.client_order_id, ref.symbol, None, dict(wire), ref.decided_at)
            for ref, wire in zip(refs, wires, strict=True)
        )

    def written(self, request: OrderRequest, ref: OrderRef | None = None) -> Sent:
        """An order that is prepared and not sent yet."""
        (prepared,) = self.prepared(request, (ref or self.ref(request.symbol),))
        return Sent(prepared, request)

    async def submit(self, request: OrderRequest, ref: OrderRef | None = None) -> Sent:
        """Send an order that is to be taken."""
        sent = self.written(request, ref)
        ack = await self.within(self.broker.submit_order(sent.ref, request), "submit_order()")
        self._named(sent, ack.ref.broker_order_id)
        return sent

    async def submit_group(self, group: OrderGroup) -> tuple[Sent, ...]:
        """Send a group that is to be taken."""
        refs = self.prepared(group, [self.ref(group.take_profit.symbol) for _ in group.legs])
        acks = await self.within(self.broker.submit_group(refs, group), "submit_group()")
        assert len(acks) == len(refs), (
            f"submit_group answered {len(acks)} acknowledgements for {len(refs)} legs"
        )
        legs = tuple(Sent(ref, leg, leg=True) for ref, leg in zip(refs, group.legs, strict=True))
        for leg, ack in zip(legs, acks, strict=True):
            self._named(leg, ack.ref.broker_order_id)
        return legs

    async def cancel(self, sent: Sent) -> None:
        """Ask for a cancel that is to be taken."""
        await self.within(self.broker.cancel_order(self.known(sent)), "cancel_order()")

    async def replace(self, sent: Sent, change: OrderChange) -> Sent:
        """Replace an order; the next version."""
        old = self.known(sent)
        (new_ref,) = self.prepared(change, (self.ref(old.symbol),), old)
        ack = await self.within(self.broker.replace_order(old, new_ref, change), "replace_order()")
        new = Sent(new_ref, sent.request)
        self._named(new, ack.ref.broker_order_id)
        return new

    def known(self, sent: Sent) -> OrderRef:
        """Its names, with the broker's id as soon as anything told it."""
        if sent.ref.broker_order_id is None:
            for event in self.events:
                if isinstance(event, OrderUpdate) and event.ref.client_order_id == sent.id:
                    self._named(sent, event.ref.broker_order_id)
        return sent.ref

    @staticmethod
    def _named(sent: Sent, broker_order_id: str | None) -> None:
        if broker_order_id is not None:
            ref = sent.ref
            sent.ref = OrderRef(ref.client_order_id, ref.symbol, broker_order_id, ref.wire, ref.decided_at)

    # What was heard ------------------------------------------------------------------------------------

    def fills(self, sent: Sent) -> list[BrokerFill]:
        """The executions of an order as events told them, each once, as the engine books them."""
        ref = self.known(sent)
        own = [
            fill
            for fill in self.all_of(BrokerFill)
            if fill.client_order_id == sent.id
            or (fill.client_order_id is None and fill.broker_order_id == ref.broker_order_id)
        ]
        return distinct(own)

    def filled(self, sent: Sent) -> Decimal:
        """How much of an order the events say is executed."""
        return sum((fill.size for fill in self.fills(sent)), Decimal(0))

    def statuses(self, sent: Sent) -> list[OrderStatus]:
        """What the events said of where an order stands, in order."""
        return [event.status for event in self.all_of(OrderUpdate) if event.ref.client_order_id == sent.id]

    async def until_filled(self, sent: Sent, size: Decimal | None = None) -> None:
        """Wait until the events told of so much of it (all of it)."""
        wanted = sent.request.quantity if size is None else size
        assert wanted is not None
        await self.event(
            lambda _: self.filled(sent) >= wanted, f"executions of {plain_text(wanted)} units of {sent.id}"
        )

    async def until_status(self, sent: Sent, *statuses: OrderStatus) -> None:
        """Wait until an event gave the order one of these statuses."""
        names = " or ".join(status.name for status in statuses)
        await self.event(lambda _: bool(set(statuses) & set(self.statuses(sent))), f"{sent.id} {names}")

    async def bought(self, symbol: str | None = None, lots: int = 1) -> Sent:
        """A market order that is filled, and told of."""
        request = self.orders.market(symbol or self.symbol, lots)
        sent = await self.submit(request)
        await self.trade_again(request.symbol)
        await self.until_filled(sent)
        return sent

    async def trade_again(self, symbol: str | None = None) -> None:
        """Let the market trade at the price it stands at."""
        await self.venue.set_price(symbol or self.symbol, self.orders.price(symbol or self.symbol))

    # What is true --------------------------------------------------------------------------------------

    def truth(self, sent: Sent) -> TruthOrder | None:
        """The order as the venue has it; None if it has none under that id.

        A leg that the venue named itself is looked up by the venue's id, which the acknowledgement told.
        """
        truth = self.venue.truth()
        order = truth.order(sent.id)
        if order is None and sent.leg and sent.ref.broker_order_id is not None:
            own = sent.ref.broker_order_id
            order = next((one for one in truth.orders if one.venue_order_id == own), None)
        return order

    def executions(self, sent: Sent) -> list[TruthExecution]:
        """The executions of an order as the venue has them."""
        order = self.truth(sent)
        if order is None:
            return []
        every = self.venue.truth().executions
        return [one for one in every if one.venue_order_id == order.venue_order_id]

    def working(self, sent: Sent) -> bool:
        """Whether the venue has the order, not ended."""
        order = self.truth(sent)
        return order is not None and not order.status.terminal

    def requests(self, *actions: Action) -> list[WireRequest]:
        """The requests of these actions that reached the venue."""
        return [request for request in self.venue.requests if request.action in actions]

    def sends(self, sent: Sent) -> int:
        """How many submits and replacements that make the order reached the venue."""
        submits, replaces = self.requests(Action.SUBMIT), self.requests(Action.REPLACE)
        # A replacement may name the version that it ends, before the one that it makes.
        made = [request.client_order_ids[-1:] for request in replaces]
        return sum(sent.id in ids for ids in (*(one.client_order_ids for one in submits), *made))

    def instrument(self, symbol: str | None = None) -> Instrument:
        """The true rules of a symbol."""
        return self.venue.instruments[symbol or self.symbol]


def distinct(fills: Sequence[BrokerFill]) -> list[BrokerFill]:
    """The executions among these reports: same key, or same order, cumulative, size and price, is one."""
    keys: set[str] = set()
    places: set[tuple[object, ...]] = set()
    found = []
    for fill in fills:
        place = (fill.broker_order_id, fill.cumulative, fill.size, fill.price)
        if fill.execution_key in keys or (fill.cumulative is not None and place in places):
            continue
        keys.add(fill.execution_key)
        places.add(place)
        found.append(fill)
    return found


def plain_text(number: Decimal) -> str:
    """A number as people write it."""
    return f"{number:f}"


@asynccontextmanager
async def broker_bench(plugin: BrokerPlugin, venue: VenueControl) -> AsyncIterator[Bench]:
    """A bench, and its end: every adapter disconnected, nothing logged any more."""
    bench = Bench(plugin, venue)
    with bench.ear.listening():
        try:
            yield bench
        finally:
            await bench.close()

"""Orders on the wire: what is sent to a gateway, and what its raw messages are understood to say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, evolve, field
from ib_async import Client, Contract, Execution, ExecutionFilter, Order, OrderState

from alphaweave.core.money import Money
from alphaweave.core.order import (
    GroupKind,
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    Trail,
)
from alphaweave.live.adapters.base import Services
from alphaweave.live.broker import BrokerEvent, BrokerFill, FeeReport, FillCorrection, OrderUpdate
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.sandbox import Action
from alphaweave_broker_ibkr.lookups import Answers, completed_order, open_orders
from alphaweave_broker_ibkr.names import Symbols
from alphaweave_broker_ibkr.order_wire import Listing, OrderNumbers, OrderWire, wires_of
from alphaweave_broker_ibkr.orders import contract_of, order_of
from alphaweave_broker_ibkr.sandbox.control import IbkrSandbox
from alphaweave_broker_ibkr.sandbox.options import SandboxOptions
from alphaweave_broker_ibkr.tracked import Reply
from alphaweave_broker_ibkr.translator import Translator

_PATIENCE = 30.0
LISTING = Listing(8894, "STK", "SMART", "USD")


def now() -> datetime:
    return datetime.now(UTC)


@define
class Client7:
    """A connection that hands the raw messages about orders to a translator, as they come."""

    venue: IbkrSandbox
    said: Translator = field(init=False)
    numbers: OrderNumbers = field(factory=lambda: OrderNumbers({}))
    events: list[BrokerEvent] = field(factory=list)
    replies: dict[str, Reply] = field(factory=dict)
    completed: list[tuple[Contract, Order, OrderState]] = field(factory=list)
    ends: list[str] = field(factory=list)
    client: Any = field(init=False)
    symbols: Symbols = field(factory=Symbols)
    _count: int = 0

    async def open(self) -> None:
        self.symbols.learn(8894, "ONE")
        self.said = Translator(7, self.symbols, self.numbers.seen)
        self.said.account = "DU1234567"
        self.client = Client(Raw(self))  # type: ignore[no-untyped-call]
        await self.client.connectAsync("127.0.0.1", self.venue.port, 7, _PATIENCE)
        self.numbers.seen(self.client.getReqId())

    def names(self, count: int) -> list[OrderRef]:
        self._count += count
        numbers = range(self._count - count, self._count)
        return [OrderRef(f"awkit00-{number:022d}", "ONE", decided_at=now()) for number in numbers]

    def send(self, what: OrderRequest | OrderGroup) -> list[OrderRef]:
        legs = what.legs if isinstance(what, OrderGroup) else (what,)
        refs = self.names(len(legs))
        wires = wires_of(what, refs, None, client=7, numbers=self.numbers, listing=LISTING)
        sent = [evolve(ref, wire=one.write()) for ref, one in zip(refs, wires, strict=True)]
        for ref, wire in zip(sent, wires, strict=True):
            self.said.placing(ref, self._taker(ref))
            self._place(wire, ref)
        return sent

    def change(self, ref: OrderRef, change: OrderChange) -> OrderRef:
        (new,) = self.names(1)
        (wire,) = wires_of(change, [new], ref, client=7, numbers=self.numbers, listing=LISTING)
        new = evolve(new, wire=wire.write())
        assert self.said.changing(ref, new, self._taker(new))
        self._place(wire, new)
        return new

    def _place(self, wire: OrderWire, ref: OrderRef) -> None:
        order = order_of(wire, ref.client_order_id, "DU1234567")
        self.client.placeOrder(wire.order, contract_of(wire), order)

    def _taker(self, ref: OrderRef) -> Callable[[Reply], None]:
        return lambda reply: self.replies.__setitem__(ref.client_order_id, reply)

    async def until(self, true: Callable[[], Any], what: str = "it") -> None:
        end = time.monotonic() + _PATIENCE
        while not true():
            assert time.monotonic() < end, f"{what} did not come: {self.events}"
            await asyncio.sleep(0.002)

    async def taken(self, what: OrderRequest | OrderGroup) -> list[OrderRef]:
        refs = self.send(what)
        await self.until(lambda: {ref.client_order_id for ref in refs} <= set(self.replies), "the replies")
        assert {self.replies[ref.client_order_id] for ref in refs} == {Reply()}
        return refs

    def fills(self, ref: OrderRef) -> list[BrokerFill]:
        name = ref.client_order_id
        return [one for one in self.events if isinstance(one, BrokerFill) and one.client_order_id == name]

    def statuses(self, ref: OrderRef) -> list[OrderStatus]:
        updates = [one for one in self.events if isinstance(one, OrderUpdate)]
        return [one.status for one in updates if one.ref.client_order_id == ref.client_order_id]

    async def asked(self) -> Answers:
        """All that the gateway has of orders."""
        as_of = now()
        self.said.list_orders()
        self.completed.clear()
        self.ends.clear()
        self.client.reqAllOpenOrders()
        self.client.reqCompletedOrders(False)
        self.client.reqExecutions(2**30, ExecutionFilter())
        await self.until(lambda: len(self.ends) == 3, "the ends of the answers")
        listed = self.said.listed()
        over = [completed_order(*one, self.symbols, as_of) for one in self.completed]
        keys = [one.execution_key for one in self.events if isinstance(one, BrokerFill)]
        fills = self.said.executions.fills(dict.fromkeys(keys))
        return Answers(
            listed=listed, completed=over, fills=fills, begins=datetime(2031, 1, 1, tzinfo=UTC), as_of=as_of
        )


class Raw:
    """The messages that are about orders; the others are not listened to."""

    def __init__(self, to: Client7) -> None:
        self._to = to
        self.defaultTimezone = UTC
        self.ib = type("Zone", (), {"TimezoneTWS": "US/Eastern"})()

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name in {"priceSizeTick", "tcpDataArrived", "tcpDataProcessed"}:
            raise AttributeError(name)
        return lambda *_: None

    def openOrder(self, number: int, contract: Contract, order: Order, state: OrderState) -> None:  # noqa: N802
        self._to.events += self._to.said.open_order(contract, order, state, now())

    def orderStatus(self, number: int, status: str, filled: float, remaining: float, *rest: Any) -> None:  # noqa: N802
        average, perm_id, _, _, client = rest[:5]
        told = self._to.said.order_status(
            (client, number), status, filled=filled, average=average, perm_id=perm_id, at=now()
        )
        self._to.events += told

    def execDetails(self, request: int, contract: Contract, execution: Execution) -> None:  # noqa: N802
        self._to.events += self._to.said.execution(contract, execution, now())

    def commissionReport(self, report: Any) -> None:  # noqa: N802
        self._to.events += self._to.said.commission(report, now())

    def completedOrder(self, contract: Contract, order: Order, state: OrderState) -> None:  # noqa: N802
        self._to.completed.append((contract, order, state))

    def openOrderEnd(self) -> None:  # noqa: N802
        self._to.ends.append("open")

    def completedOrdersEnd(self) -> None:  # noqa: N802
        self._to.ends.append("completed")

    def execDetailsEnd(self, request: int) -> None:  # noqa: N802
        self._to.ends.append("executions")

    def error(self, number: int, code: int, text: str, more: str) -> None:
        if number > 0:
            self._to.events += self._to.said.error(number, code, text, now())


Scenario = Callable[[Client7], Awaitable[None]]


def at_gateway(scenario: Scenario, caplog: pytest.LogCaptureFixture) -> None:
    """Run it at a gateway of its own; what the client library cannot read fails it."""

    async def whole() -> None:
        venue = IbkrSandbox(SandboxOptions(), Services(clock=RunningClock()))
        await venue.start()
        client = Client7(venue)
        try:
            await venue.set_price("ONE", Decimal(60))
            await client.open()
            await scenario(client)
        finally:
            client.client.disconnect()
            await venue.stop()

    asyncio.run(whole())
    unread = [record.getMessage() for record in caplog.records if record.name == "ib_async.Decoder"]
    assert not unread, unread


def request(**named: Any) -> OrderRequest:
    if "quote_quantity" not in named:
        named.setdefault("quantity", Decimal(10))
    return OrderRequest("ONE", named.pop("side", Side.BUY), **named)


def limit(price: str = "50", **named: Any) -> OrderRequest:
    return request(type=OrderType.LIMIT, limit_price=Decimal(price), **named)


UNTIL = datetime(2033, 3, 4, 18, 0, tzinfo=UTC)
RESTING = [
    limit(tif=TimeInForce.GTC),
    limit(tif=TimeInForce.GTD, expire_at=UNTIL),
    limit(extended_hours=True),
    limit(tif=TimeInForce.AT_CLOSE),
    limit(tif=TimeInForce.AT_OPEN),
    request(tif=TimeInForce.AT_CLOSE),
    request(type=OrderType.STOP, stop_price=Decimal("70.05")),
    request(type=OrderType.STOP_LIMIT, stop_price=Decimal(70), limit_price=Decimal("70.5")),
    request(type=OrderType.TRAILING_STOP, trail=Trail(amount=Decimal("1.5")), tif=TimeInForce.GTC),
    request(type=OrderType.TRAILING_STOP, trail=Trail(percent=Decimal(5)), tif=TimeInForce.GTC),
]


def test_every_kind_of_order_arrives_as_it_was_meant(caplog: pytest.LogCaptureFixture) -> None:
    """Its terms are those of the gateway's books, and come back out of a list of open orders."""

    async def scenario(client: Client7) -> None:
        refs = [(await client.taken(terms))[0] for terms in RESTING]
        found = await client.asked()
        listed = {order.client_order_id: order.request for order in open_orders(found.listed, now())}
        assert [listed[ref.client_order_id] for ref in refs] == RESTING
        truth = {order.client_order_id: order.request for order in client.venue.truth().orders}
        assert [truth[ref.client_order_id] for ref in refs] == RESTING

    at_gateway(scenario, caplog)


def test_quirks_change_nothing_of_what_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Executions before their order, no status, and everything twice: each execution and end is told once."""

    async def scenario(client: Client7) -> None:
        quirks = client.venue.quirks
        quirks.executions_first, quirks.no_status, quirks.repeats = True, True, 2
        (bought,) = client.send(request())
        await client.until(lambda: OrderStatus.FILLED in client.statuses(bought), "the end")
        (sold,) = client.send(limit(side=Side.SELL, tif=TimeInForce.IOC))
        await client.until(lambda: OrderStatus.FILLED in client.statuses(sold), "the end")
        await client.until(lambda: sum(isinstance(one, FeeReport) for one in client.events) == 2, "the fees")
        answers = await client.asked()
        for ref in (bought, sold):
            (fill,) = client.fills(ref)
            (true,) = client.venue.truth().executions_of(ref.client_order_id)
            assert (fill.side, fill.size, fill.price, fill.cumulative) == (true.side, 10, true.price, 10)
            assert client.statuses(ref).count(OrderStatus.FILLED) == 1
            found = answers.find(ref, client.said.known(ref))
            assert found is not None
            assert (found.status, found.filled) == (OrderStatus.FILLED, 10)

    at_gateway(scenario, caplog)


def test_execution_is_restated_and_taken_back(caplog: pytest.LogCaptureFixture) -> None:
    """Under its key, with what it costs when that is told."""

    async def scenario(client: Client7) -> None:
        (ref,) = await client.taken(request())
        await client.until(lambda: any(isinstance(one, FeeReport) for one in client.events), "the fee")
        (fill,) = client.fills(ref)
        (true,) = client.venue.truth().executions
        await client.venue.late_fee(true.id, Money("USD", Decimal("0.25")))
        await client.venue.correct(true.id, Decimal(8), Decimal("60.5"))
        await client.venue.bust(true.id)
        corrections: list[FillCorrection] = []

        def corrected() -> bool:
            corrections[:] = [one for one in client.events if isinstance(one, FillCorrection)]
            return len(corrections) == 2

        await client.until(corrected, "the corrections")
        assert {one.execution_key for one in corrections} == {fill.execution_key}
        assert corrections[0].fill is not None
        assert (corrections[0].fill.size, corrections[0].fill.price) == (8, Decimal("60.5"))
        assert corrections[1].fill is None
        assert fill.revision < corrections[0].revision < corrections[1].revision
        fees = [one.fees[0].amount for one in client.events if isinstance(one, FeeReport)]
        assert fees[:2] == [1, Decimal("1.25")]
        assert client.said.executions.fills([fill.execution_key]) == ()

    at_gateway(scenario, caplog)


def test_change_and_its_refusal(caplog: pytest.LogCaptureFixture) -> None:
    """A change keeps what was filled; one that is refused leaves the order as it was."""

    async def scenario(client: Client7) -> None:
        (first,) = await client.taken(limit())
        await client.venue.fill(first.client_order_id, Decimal(4))
        await client.until(lambda: client.fills(first), "the part")
        second = client.change(first, OrderChange(quantity=Decimal(6), limit_price=Decimal(51)))
        await client.until(lambda: second.client_order_id in client.replies, "the reply")
        assert client.replies[second.client_order_id] == Reply()
        client.venue.troubles.refuse_next(Action.REPLACE, 201, "Order rejected - reason:margin")
        third = client.change(second, OrderChange(limit_price=Decimal(52)))
        await client.until(lambda: third.client_order_id in client.replies, "the refusal")
        assert client.replies[third.client_order_id].code == 201
        answers = await client.asked()
        known = client.said.known(second)
        found = {ref.client_order_id: answers.find(ref, known) for ref in (first, second, third)}
        assert found[third.client_order_id] is None
        old, new = found[first.client_order_id], found[second.client_order_id]
        assert old is not None
        assert new is not None
        assert (old.status, old.replaced_by) == (OrderStatus.CANCELLED, second.client_order_id)
        assert (new.status, new.filled) == (OrderStatus.PARTIALLY_FILLED, 4)
        assert new.request == limit("51", quantity=Decimal(6))

    at_gateway(scenario, caplog)


def test_bracket_and_pair_arrive_whole(caplog: pytest.LogCaptureFixture) -> None:
    """The exits of a bracket wait for its entry; those of a pair work at once."""
    exits: dict[str, Any] = {"side": Side.SELL, "tif": TimeInForce.GTC}
    target = limit("70", **exits)
    stop = request(type=OrderType.STOP, stop_price=Decimal(50), **exits)

    async def scenario(client: Client7) -> None:
        entry = limit("55", tif=TimeInForce.GTC)
        legs = await client.taken(OrderGroup(GroupKind.BRACKET, target, stop, entry))
        await client.venue.set_price("ONE", Decimal(54))
        await client.until(lambda: client.fills(legs[0]), "the entry")
        # An exit is changed after its parent has ended.
        tighter = client.change(legs[2], OrderChange(stop_price=Decimal(51)))
        await client.until(lambda: tighter.client_order_id in client.replies, "the change")
        assert client.replies[tighter.client_order_id] == Reply()
        legs[2] = tighter
        pair = await client.taken(OrderGroup(GroupKind.OCO, target, stop))
        await client.venue.set_price("ONE", Decimal(71))
        await client.until(lambda: client.fills(legs[1]), "the target")
        await client.until(lambda: OrderStatus.CANCELLED in client.statuses(legs[2]), "the end of the other")
        assert not client.fills(legs[2])
        groups = {order.client_order_id: order.group for order in client.venue.truth().orders}
        for one in (legs, pair):
            assert len({groups[ref.client_order_id] for ref in one}) == 1

    at_gateway(scenario, caplog)


def test_held_order_and_notices_end_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """An order that is held back works, whatever the gateway calls it."""

    async def scenario(client: Client7) -> None:
        (ref,) = await client.taken(limit())
        client.venue.troubles.complain(ref.client_order_id, 404, "Order held while securities are located.")
        client.venue.troubles.complain(ref.client_order_id, 10349, "Order TIF was set to DAY.")
        client.venue.troubles.idle(ref.client_order_id, True)
        found = (await client.asked()).find(ref, client.said.known(ref))
        assert found is not None
        assert found.status is OrderStatus.ACCEPTED
        client.venue.troubles.idle(ref.client_order_id, False)
        await client.venue.set_price("ONE", Decimal(49))
        await client.until(lambda: OrderStatus.FILLED in client.statuses(ref), "the end")
        assert set(client.statuses(ref)) == {OrderStatus.ACCEPTED, OrderStatus.FILLED}

    at_gateway(scenario, caplog)

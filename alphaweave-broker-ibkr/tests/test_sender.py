"""Orders, changes and cancels on their way: sent at most once, and believed only when the gateway says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, evolve, field
from ib_async import Contract, Order, OrderState

from alphaweave.core.errors import (
    BrokerError,
    CancelRejected,
    NotSent,
    OrderRejected,
    OutcomeUnknown,
    ReplaceRejected,
)
from alphaweave.core.errors import OrderState as State
from alphaweave.core.order import (
    GroupKind,
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderStatus,
    OrderType,
    RejectReason,
    Side,
)
from alphaweave.live.adapters.timer import ManualTimer
from alphaweave.live.broker import BrokerEvent, OrderUpdate
from alphaweave_broker_ibkr.names import Symbols
from alphaweave_broker_ibkr.order_wire import Listing, OrderNumbers, wires_of
from alphaweave_broker_ibkr.pace import Unsent
from alphaweave_broker_ibkr.sender import Sender
from alphaweave_broker_ibkr.translator import Translator

AT = datetime(2031, 3, 4, 15, 0, tzinfo=UTC)
LISTING = Listing(8894, "STK", "SMART", "USD")
LIMIT = OrderRequest("COLA", Side.BUY, Decimal(10), type=OrderType.LIMIT, limit_price=Decimal(60))
_EXITS: dict[str, Any] = {"symbol": "COLA", "side": Side.SELL, "quantity": Decimal(10)}
TARGET = OrderRequest(type=OrderType.LIMIT, limit_price=Decimal(70), **_EXITS)
STOP = OrderRequest(type=OrderType.STOP, stop_price=Decimal(50), **_EXITS)
BRACKET = OrderGroup(GroupKind.BRACKET, TARGET, STOP, LIMIT)
PAIR = OrderGroup(GroupKind.OCO, TARGET, STOP)


@define
class Desk:
    """A sender, and a gateway whose words are put into its mouth."""

    timer: ManualTimer = field(factory=ManualTimer)
    numbers: OrderNumbers = field(factory=lambda: OrderNumbers({}))
    said: Translator = field(init=False)
    sender: Sender = field(init=False)
    sent: list[tuple[Any, ...]] = field(factory=list)
    events: list[BrokerEvent] = field(factory=list)
    failures: list[str] = field(factory=list)
    objection: str = ""
    is_open: bool = True
    is_written: bool = True
    _count: int = 0

    def __attrs_post_init__(self) -> None:
        symbols = Symbols()
        symbols.learn(8894, "COLA")
        self.said = Translator(7, symbols)
        self.said.account = "DU1"
        gateway: Any = self
        self.sender = Sender(self.said, lambda: gateway, self._may_send, self.timer, 10.0)

    # As the gateway.

    @property
    def client(self) -> Desk:
        return self

    def placeOrder(self, number: int, contract: Contract, order: Order) -> None:  # noqa: N802
        self.sent.append(("place", number, order))

    def cancelOrder(self, number: int) -> None:  # noqa: N802
        self.sent.append(("cancel", number))

    @asynccontextmanager
    async def turn(
        self, use: Any, may_leave: Callable[[], None] = lambda: None, messages: int = 1
    ) -> AsyncIterator[None]:
        if not self.is_open:
            raise Unsent("the gateway is not connected")
        may_leave()
        yield

    def _may_send(self) -> None:
        if self.objection:
            raise Unsent(self.objection)

    def fail(self, reason: str) -> None:
        self.failures.append(reason)

    # Whoever trades.

    def prepared(
        self, what: OrderRequest | OrderGroup | OrderChange, replaces: OrderRef | None = None
    ) -> list[OrderRef]:
        count = len(what.legs) if isinstance(what, OrderGroup) else 1
        self._count += count
        names = range(self._count - count, self._count)
        refs = [OrderRef(f"awkit00-{number:022d}", "COLA", decided_at=AT) for number in names]
        wires = wires_of(what, refs, replaces, client=7, numbers=self.numbers, listing=LISTING)
        return [evolve(ref, wire=wire.write()) for ref, wire in zip(refs, wires, strict=True)]

    def opened(self, ref: OrderRef, status: str = "Submitted") -> None:
        """The gateway tells of the order as it was last sent."""
        number = int(ref.wire["order"])
        order = next(one[2] for one in reversed(self.sent) if one[:2] == ("place", number))
        order.permId = 900 + number
        contract = Contract(conId=8894, symbol="KO")
        self.events += self.said.open_order(contract, order, OrderState(status=status), AT)

    def error(self, ref: OrderRef, code: int, text: str = "why") -> None:
        self.events += self.said.error(int(ref.wire["order"]), code, text, AT)

    async def working(self) -> OrderRef:
        (ref,) = self.prepared(LIMIT)
        sending = asyncio.ensure_future(self.sender.submit((ref,)))
        await self.timer.asleep()
        self.opened(ref)
        await sending
        self.sent.clear()
        return ref

    async def outcome(self, call: Awaitable[Any], *words: Callable[[], None]) -> Any:
        """What a call ends in, once the gateway has said this."""
        waiting = asyncio.ensure_future(call)
        await self.timer.asleep()
        for word in words:
            word()
        await asyncio.wait({waiting})
        assert not self.sender._waiting
        return waiting.exception() or waiting.result()


Scenario = Callable[[Desk], Awaitable[None]]


def play(scenario: Scenario) -> None:
    async def whole() -> None:
        await asyncio.wait_for(scenario(Desk()), 15.0)
        assert asyncio.all_tasks() == {asyncio.current_task()}, "something waits on"

    asyncio.run(whole())


def test_order_is_taken_when_the_gateway_tells_of_it() -> None:
    """There is no other answer; it names the order."""

    async def scenario(desk: Desk) -> None:
        (ref,) = desk.prepared(LIMIT)
        (ack,) = await desk.outcome(desk.sender.submit((ref,)), lambda: desk.opened(ref))
        assert ack.ref.broker_order_id == "901"
        assert [one[:2] for one in desk.sent] == [("place", 1)]

    play(scenario)


@pytest.mark.parametrize(
    ("code", "text", "kind", "reason"),
    [
        (201, "margin", OrderRejected, RejectReason.INSUFFICIENT_FUNDS),
        (110, "odd", OrderRejected, RejectReason.INVALID_PRICE),
        (103, "Duplicate order id", OutcomeUnknown, None),
        (100, "Max rate", OutcomeUnknown, None),
        (322, "Error processing request", OutcomeUnknown, None),
    ],
)
def test_refusal_is_final_only_where_its_code_is(
    code: int, text: str, kind: type[BrokerError], reason: RejectReason | None
) -> None:
    """Whatever else it is, the order may be there."""

    async def scenario(desk: Desk) -> None:
        (ref,) = desk.prepared(LIMIT)
        error = await desk.outcome(desk.sender.submit((ref,)), lambda: desk.error(ref, code, text))
        assert type(error) is kind
        assert isinstance(error, BrokerError)
        assert (error.code, error.text) == (str(code), text)
        assert getattr(error, "reason", None) is reason

    play(scenario)


def test_order_without_an_answer_is_unknown_and_heard_of_late() -> None:
    """It is not sent again, and what comes later is told."""

    async def scenario(desk: Desk) -> None:
        (ref,) = desk.prepared(LIMIT)
        error = await desk.outcome(desk.sender.submit((ref,)), lambda: desk.timer.advance(10.0))
        assert isinstance(error, OutcomeUnknown)
        assert len(desk.sent) == 1
        assert desk.failures == []
        desk.opened(ref)
        assert [one.status for one in desk.events if isinstance(one, OrderUpdate)] == [OrderStatus.ACCEPTED]

    play(scenario)


@pytest.mark.parametrize("given_up", [False, True])
def test_bytes_that_wait_in_the_socket_never_leave(given_up: bool) -> None:
    """When nobody waits for the answer any more, the connection goes with them."""

    async def scenario(desk: Desk) -> None:
        desk.is_written = False
        (ref,) = desk.prepared(LIMIT)
        sending = asyncio.ensure_future(desk.sender.submit((ref,)))
        await desk.timer.asleep()
        if given_up:
            sending.cancel()
        else:
            desk.timer.advance(10.0)
        (error,) = await asyncio.gather(sending, return_exceptions=True)
        assert isinstance(error, asyncio.CancelledError if given_up else OutcomeUnknown)
        assert desk.failures == ["the gateway takes nothing in"]

    play(scenario)


def test_connection_that_ends_leaves_everything_unknown() -> None:
    """At once, and not after the time limit."""

    async def scenario(desk: Desk) -> None:
        ref = await desk.working()
        (fresh,) = desk.prepared(LIMIT)
        (new,) = desk.prepared(OrderChange(limit_price=Decimal(61)), ref)
        for call in (
            desk.sender.submit((fresh,)),
            desk.sender.replace(ref, new),
            desk.sender.cancel(ref, 7),
        ):
            assert isinstance(await desk.outcome(call, desk.sender.lost), OutcomeUnknown)

    play(scenario)


@pytest.mark.parametrize("why", ["the gateway is not connected", "the servers are lost"])
def test_what_may_not_leave_is_not_sent(why: str) -> None:
    """And nothing is left of it; a cancel is tried while orders may not be sent."""

    async def scenario(desk: Desk) -> None:
        ref = await desk.working()
        (fresh,) = desk.prepared(LIMIT)
        (new,) = desk.prepared(OrderChange(limit_price=Decimal(61)), ref)
        desk.is_open, desk.objection = why != "the gateway is not connected", why
        for call in (desk.sender.submit((fresh,)), desk.sender.replace(ref, new)):
            with pytest.raises(NotSent, match=why):
                await call
        assert desk.sent == []
        assert desk.said.known(fresh) is None
        if desk.is_open:
            cancelling = desk.sender.cancel(ref, 7)
            assert await desk.outcome(cancelling, lambda: desk.error(ref, 202)) is None
        else:
            with pytest.raises(NotSent, match=why):
                await desk.sender.cancel(ref, 7)

    play(scenario)


@pytest.mark.parametrize(
    "wire", [{"symbol": "KO"}, OrderRef("x", "COLA").wire, {"client": "7", "order": "1", "con_id": "0"}]
)
def test_order_without_its_number_or_contract_is_not_sent(wire: dict[str, str]) -> None:
    """It was decided for another broker, or before the contract was known."""

    async def scenario(desk: Desk) -> None:
        (ref,) = desk.prepared(LIMIT)
        whole = {**ref.wire, **wire} if "con_id" in wire else wire
        with pytest.raises(NotSent):
            await desk.sender.submit((evolve(ref, wire=whole),))
        assert desk.sent == []

    play(scenario)


def test_legs_of_a_group_are_sent_in_their_order() -> None:
    """Each is acknowledged by its own word."""

    async def scenario(desk: Desk) -> None:
        refs = desk.prepared(BRACKET)
        words = [lambda ref=ref: desk.opened(ref, "PreSubmitted") for ref in refs]  # type: ignore[misc]
        acks = await desk.outcome(desk.sender.submit(refs), *words)
        assert [one[1] for one in desk.sent] == [1, 2, 3]
        assert [one[2].transmit for one in desk.sent] == [False, False, True]
        assert [ack.ref.broker_order_id for ack in acks] == ["901", "902", "903"]

    play(scenario)


def test_bracket_whose_entry_is_refused_is_refused() -> None:
    """Its exits cannot work without it; they are cancelled all the same."""

    async def scenario(desk: Desk) -> None:
        refs = desk.prepared(BRACKET)
        error = await desk.outcome(desk.sender.submit(refs), lambda: desk.error(refs[0], 201))
        assert isinstance(error, OrderRejected)
        assert [one[:2] for one in desk.sent[3:]] == [("cancel", 2), ("cancel", 3)]

    play(scenario)


@pytest.mark.parametrize(("group", "number"), [(PAIR, 0), (PAIR, 1), (BRACKET, 2)])
def test_group_with_a_leg_that_is_refused_is_withdrawn(group: OrderGroup, number: int) -> None:
    """What became of the others is looked up."""

    async def scenario(desk: Desk) -> None:
        refs = desk.prepared(group)
        error = await desk.outcome(desk.sender.submit(refs), lambda: desk.error(refs[number], 201))
        assert isinstance(error, OutcomeUnknown)
        cancelled = [one[1] for one in desk.sent if one[0] == "cancel"]
        assert cancelled == [int(ref.wire["order"]) for ref in refs if ref is not refs[number]]

    play(scenario)


def test_change_is_the_order_again_under_its_number() -> None:
    """With its new terms, and its new name."""

    async def scenario(desk: Desk) -> None:
        ref = await desk.working()
        (new,) = desk.prepared(OrderChange(limit_price=Decimal(61)), ref)
        ack = await desk.outcome(desk.sender.replace(ref, new), lambda: desk.opened(new))
        assert (ack.ref.client_order_id, ack.ref.broker_order_id) == (new.client_order_id, "901")
        ((_, number, order),) = desk.sent
        assert (number, order.lmtPrice, order.orderRef) == (1, "61", new.client_order_id)

    play(scenario)


@pytest.mark.parametrize(
    ("code", "kind", "state"),
    [(201, ReplaceRejected, State.ALIVE), (104, ReplaceRejected, State.GONE), (322, OutcomeUnknown, None)],
)
def test_change_that_is_refused_says_what_the_order_is(
    code: int, kind: type[Exception], state: State | None
) -> None:
    """It works on, unless it says otherwise."""

    async def scenario(desk: Desk) -> None:
        ref = await desk.working()
        (new,) = desk.prepared(OrderChange(limit_price=Decimal(61)), ref)
        error = await desk.outcome(desk.sender.replace(ref, new), lambda: desk.error(ref, code))
        assert type(error) is kind
        assert getattr(error, "order_state", None) is state

    play(scenario)


def test_change_of_what_is_over_is_refused_unsent() -> None:
    """Under its number it would be another order."""

    async def scenario(desk: Desk) -> None:
        ref = await desk.working()
        desk.error(ref, 202)
        (new,) = desk.prepared(OrderChange(limit_price=Decimal(61)), ref)
        error = await desk.outcome(desk.sender.replace(ref, new))
        assert isinstance(error, ReplaceRejected)
        assert error.order_state is State.GONE
        assert desk.sent == []

    play(scenario)


@pytest.mark.parametrize(
    ("code", "text", "kind", "state"),
    [
        (161, "why", CancelRejected, State.ALIVE),
        (10148, "cannot be cancelled, state: Filled", CancelRejected, State.GONE),
        (10147, "not found", CancelRejected, State.UNKNOWN),
        (322, "Error processing request", OutcomeUnknown, None),
    ],
)
def test_cancel_that_is_refused_says_what_the_order_is(
    code: int, text: str, kind: type[Exception], state: State | None
) -> None:
    """As far as it does."""

    async def scenario(desk: Desk) -> None:
        ref = await desk.working()
        error = await desk.outcome(desk.sender.cancel(ref, 7), lambda: desk.error(ref, code, text))
        assert type(error) is kind
        assert getattr(error, "order_state", None) is state

    play(scenario)


def test_cancel_of_an_exit_is_one_of_the_other_too() -> None:
    """One of the two is not left alone."""

    async def scenario(desk: Desk) -> None:
        refs = desk.prepared(PAIR)
        words = [lambda ref=ref: desk.opened(ref) for ref in refs]  # type: ignore[misc]
        await desk.outcome(desk.sender.submit(refs), *words)
        desk.sent.clear()
        cancelling = desk.sender.cancel(refs[0], 7)
        assert await desk.outcome(cancelling, lambda: desk.error(refs[0], 202)) is None
        assert desk.sent == [("cancel", 1), ("cancel", 2)]

    play(scenario)


def test_order_of_another_client_cannot_be_cancelled_here() -> None:
    """Nor one that is not ours at all: nothing is sent, and it is said where to cancel it."""

    async def scenario(desk: Desk) -> None:
        ref = await desk.working()
        for one, client in ((ref, 8), (OrderRef("", "PEP", "77"), 7)):
            with pytest.raises(CancelRejected, match="placed") as caught:
                await desk.sender.cancel(one, client)
            assert caught.value.order_state is State.UNKNOWN
        assert desk.sent == []

    play(scenario)

"""What the gateway says of orders: twice, too late, not at all, or with an error that is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from attrs import define, evolve, field
from ib_async import CommissionReport, Contract, Execution, OrderState

from alphaweave.core.errors import OrderState as State
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
)
from alphaweave.live.broker import BrokerEvent, BrokerFill, BrokerNotice, FeeReport, OrderUpdate
from alphaweave_broker_ibkr.codes import Meaning, Subject
from alphaweave_broker_ibkr.names import Symbols
from alphaweave_broker_ibkr.order_wire import Listing, OrderNumbers, OrderWire, wires_of
from alphaweave_broker_ibkr.orders import order_of
from alphaweave_broker_ibkr.tracked import Reply
from alphaweave_broker_ibkr.translator import Translator

NAME = "awkit00-0000000000000000000001"
NEXT = "awkit00-0000000000000000000002"
AT = datetime(2031, 3, 4, 15, 0, tzinfo=UTC)
STOCK = Contract(conId=8894, symbol="KO", localSymbol="KO", secType="STK", exchange="SMART")
LISTING = Listing(8894, "STK", "SMART", "USD")
TERMS = OrderRequest("COLA", Side.BUY, Decimal(10), type=OrderType.LIMIT, limit_price=Decimal(60))


@define
class Gateway:
    """Says to a translator what a gateway would, and keeps what it made of it."""

    said: Translator
    numbers: OrderNumbers
    events: list[BrokerEvent] = field(factory=list)
    replies: list[Reply] = field(factory=list)
    sent: bool = False

    def tell(self, events: tuple[BrokerEvent, ...]) -> list[BrokerEvent]:
        self.events += events
        return list(events)

    def placed(self, terms: OrderRequest = TERMS, name: str = NAME) -> OrderRef:
        """An order that was sent, and of which nothing was heard."""
        ref = OrderRef(name, "COLA")
        (wire,) = wires_of(terms, [ref], None, client=7, numbers=self.numbers, listing=LISTING)
        ref = OrderRef(name, "COLA", None, wire.write(), AT)
        self.said.placing(ref, self.replies.append)
        return ref

    def working(self, terms: OrderRequest = TERMS, name: str = NAME) -> OrderRef:
        """An order that the gateway has, and works."""
        ref = self.placed(terms, name)
        self.opened(ref, "Submitted")
        self.status(ref, "Submitted")
        self.events.clear()
        self.replies.clear()
        return OrderRef(ref.client_order_id, ref.symbol, "900", ref.wire, ref.decided_at)

    def changed(self, ref: OrderRef, **fields: Any) -> OrderRef:
        """A change that was sent, and of which nothing was heard."""
        change, new = OrderChange(**fields), OrderRef(NEXT, "COLA")
        (wire,) = wires_of(change, [new], ref, client=7, numbers=self.numbers, listing=LISTING)
        new = OrderRef(NEXT, "COLA", None, wire.write(), AT)
        self.sent = self.said.changing(ref, new, self.replies.append)
        return new

    def cancelled(self, ref: OrderRef) -> None:
        """A cancel that was sent, and of which nothing was heard."""
        self.said.cancelling(ref, self.replies.append)

    def opened(
        self, ref: OrderRef, status: str, contract: Contract = STOCK, **named: Any
    ) -> list[BrokerEvent]:
        wire = OrderWire.read(ref.wire)
        order = order_of(wire, ref.client_order_id, "DU1")
        order.permId = 900
        for name, value in named.items():
            setattr(order, name, value)
        return self.tell(self.said.open_order(contract, order, OrderState(status=status), AT))

    def status(
        self, ref: OrderRef, status: str, filled: float = 0, perm_id: int = 900, client: int = 7
    ) -> list[BrokerEvent]:
        key = (client, OrderWire.read(ref.wire).order)
        average = 60.0 if filled else 0.0
        told = self.said.order_status(key, status, filled=filled, average=average, perm_id=perm_id, at=AT)
        return self.tell(told)

    def executed(self, ref: OrderRef, shares: float, total: float, **named: Any) -> list[BrokerEvent]:
        execution = Execution(
            execId=f"e.{total}.01",
            time=AT,
            acctNumber="DU1",
            side="BOT",
            shares=shares,
            price=60.0,
            permId=900,
            clientId=7,
            orderId=OrderWire.read(ref.wire).order,
            cumQty=total,
            orderRef=ref.client_order_id,
        )
        return self.tell(self.said.execution(STOCK, replace(execution, **named), AT))

    def error(self, ref: OrderRef, code: int, text: str = "why") -> list[BrokerEvent]:
        return self.tell(self.said.error(OrderWire.read(ref.wire).order, code, text, AT))

    def statuses(self) -> list[OrderStatus]:
        return [event.status for event in self.events if isinstance(event, OrderUpdate)]


@pytest.fixture
def gateway() -> Gateway:
    symbols = Symbols()
    symbols.learn(8894, "COLA")
    numbers = OrderNumbers({})
    said = Translator(7, symbols, numbers.seen)
    said.account = "DU1"
    return Gateway(said, numbers)


def updates(events: list[BrokerEvent]) -> list[tuple[OrderStatus, Decimal | None]]:
    return [(event.status, event.cumulative) for event in events if isinstance(event, OrderUpdate)]


# What a placement is answered with.


def test_market_order_as_it_was_recorded(gateway: Gateway) -> None:
    """Accepted, executed, filled and charged: each told once, though the gateway says most of it twice."""
    ref = gateway.placed()
    gateway.opened(ref, "PreSubmitted")
    gateway.status(ref, "PreSubmitted")
    gateway.executed(ref, 10, 10)
    gateway.opened(ref, "Filled")
    gateway.status(ref, "Filled", 10)
    gateway.opened(ref, "Filled")
    gateway.tell(gateway.said.commission(CommissionReport("e.10.01", 1.0, "USD", 0.0, 0.0, 0), AT))
    kinds = [type(event) for event in gateway.events]
    assert kinds == [OrderUpdate, BrokerFill, OrderUpdate, FeeReport]
    assert updates(gateway.events) == [(OrderStatus.ACCEPTED, 0), (OrderStatus.FILLED, 10)]
    assert gateway.replies == [Reply()]
    first = gateway.events[0]
    assert isinstance(first, OrderUpdate)
    assert first.ref == OrderRef(NAME, "COLA", "900")


def test_execution_before_the_order_is_its_acknowledgement(gateway: Gateway) -> None:
    """It may overtake everything else that is said of its order."""
    ref = gateway.placed()
    (fill,) = gateway.executed(ref, 10, 10)
    assert isinstance(fill, BrokerFill)
    assert gateway.replies == [Reply()]
    assert updates(gateway.opened(ref, "Filled")) == [(OrderStatus.FILLED, 10)]


def test_filled_order_without_a_status_is_filled(gateway: Gateway) -> None:
    """No status need come for what is filled at once."""
    ref = gateway.working()
    gateway.executed(ref, 4, 4)
    gateway.executed(ref, 6, 10)
    assert gateway.statuses() == [OrderStatus.FILLED]
    assert gateway.status(ref, "Filled", 10) == []


def test_sent_order_that_nobody_confirmed_is_not_acknowledged(gateway: Gateway) -> None:
    """PendingSubmit is said by the gateway alone; a refusal is then still one of a new order."""
    ref = gateway.placed()
    assert gateway.opened(ref, "PendingSubmit", permId=0) == []
    assert gateway.status(ref, "PendingSubmit", perm_id=0) == []
    assert gateway.opened(ref, "Submitted", permId=0) == []
    assert gateway.replies == []
    gateway.error(ref, 110)
    assert [reply.meaning for reply in gateway.replies] == [Meaning.ORDER_REJECTED]


def test_held_order_may_still_be_refused(gateway: Gateway) -> None:
    """Inactive is held or refused: the order is there, and an error may follow."""
    ref = gateway.placed()
    assert updates(gateway.opened(ref, "Inactive")) == [(OrderStatus.ACCEPTED, 0)]
    assert gateway.replies == [Reply()]
    (told,) = gateway.error(ref, 460, "No trading permission")
    assert isinstance(told, OrderUpdate)
    assert (told.status, told.reason) == (OrderStatus.REJECTED, "account_blocked")
    assert gateway.opened(ref, "Inactive") == []


def test_refused_order_is_told_to_whoever_waits(gateway: Gateway) -> None:
    """And to nobody else: what the gateway says of it afterwards is old."""
    ref = gateway.placed()
    assert gateway.error(ref, 201, "Order rejected - reason: margin") == []
    assert gateway.replies == [Reply(Meaning.ORDER_REJECTED, 201, "Order rejected - reason: margin")]
    assert gateway.opened(ref, "Inactive") == []
    assert gateway.status(ref, "Inactive") == []


def test_refusal_that_comes_late_is_an_event(gateway: Gateway) -> None:
    """Nobody waits for it any more."""
    ref = gateway.placed()
    gateway.said.give_up(ref, Subject.NEW_ORDER)
    (told,) = gateway.error(ref, 201, "Order rejected - reason: margin")
    assert isinstance(told, OrderUpdate)
    assert (told.status, told.reason) == (OrderStatus.REJECTED, "insufficient_funds")
    assert told.text == "201: Order rejected - reason: margin"
    assert gateway.replies == []


def test_readonly_gateway_refuses_a_new_order(gateway: Gateway) -> None:
    """The client library takes 321 for a warning, and the order for one that works for ever."""
    ref = gateway.placed()
    gateway.error(ref, 321, "The API interface is currently in Read-Only mode.")
    assert [reply.meaning for reply in gateway.replies] == [Meaning.ORDER_REJECTED]
    assert gateway.opened(ref, "Submitted") == []


def test_unlisted_code_of_a_new_order_is_looked_up(gateway: Gateway) -> None:
    """Nobody knows, so that whoever waits concludes nothing; what comes then counts."""
    ref = gateway.placed()
    (notice,) = gateway.error(ref, 391, "odd")
    assert isinstance(notice, BrokerNotice)
    assert [reply.meaning for reply in gateway.replies] == [Meaning.LOOK_UP]
    assert updates(gateway.opened(ref, "Submitted")) == [(OrderStatus.ACCEPTED, 0)]


def test_refused_message_of_an_order_is_in_doubt(gateway: Gateway) -> None:
    """Whether what was too much was done is nobody's to say."""
    ref = gateway.placed()
    gateway.error(ref, 100, "Max rate of messages per second has been exceeded")
    assert [reply.meaning for reply in gateway.replies] == [Meaning.RATE_EXCEEDED]
    assert gateway.statuses() == []


# Errors that are none.


@pytest.mark.parametrize("code", [10349, 2109, 399, 404])
def test_information_is_no_cancel(gateway: Gateway, code: int) -> None:
    """An error with the number of an order ends it only where its code says so."""
    ref = gateway.working()
    (notice,) = gateway.error(ref, code, "TIF was set to DAY")
    assert isinstance(notice, BrokerNotice)
    assert (notice.code, notice.symbol) == (str(code), "COLA")
    assert notice.severity == ("warning" if code in {399, 404} else "info")
    gateway.executed(ref, 10, 10)
    assert gateway.statuses() == [OrderStatus.FILLED]


@pytest.mark.parametrize("code", [10349, 2109, 399])
def test_information_about_a_new_order_leaves_it_waiting(gateway: Gateway, code: int) -> None:
    """It is neither taken nor refused by that."""
    ref = gateway.placed()
    gateway.error(ref, code)
    assert gateway.replies == []
    gateway.opened(ref, "Submitted")
    assert gateway.replies == [Reply()]


@pytest.mark.parametrize("code", [2109, 399])
def test_warning_after_the_end_revives_nothing(gateway: Gateway, code: int) -> None:
    """What is filled is over."""
    ref = gateway.working()
    gateway.executed(ref, 10, 10)
    gateway.error(ref, code)
    gateway.status(ref, "Submitted", 10)
    gateway.opened(ref, "Submitted")
    assert gateway.statuses() == [OrderStatus.FILLED]
    gateway.said.list_orders()
    gateway.opened(ref, "Submitted")
    assert [one.status for one in gateway.said.listed().values()] == [OrderStatus.FILLED]


def test_unlisted_code_of_a_working_order_is_looked_up(gateway: Gateway) -> None:
    """The order is neither over nor well; the next that is said of it is told again."""
    ref = gateway.working()
    notice, update = gateway.error(ref, 9999, "odd")
    assert isinstance(notice, BrokerNotice)
    assert isinstance(update, OrderUpdate)
    assert (update.status, update.text) == (OrderStatus.UNKNOWN, "9999: odd")
    assert updates(gateway.status(ref, "Submitted")) == [(OrderStatus.ACCEPTED, 0)]


def test_exchange_may_refuse_a_working_order(gateway: Gateway) -> None:
    """201 ends it; what was filled of it stays."""
    ref = gateway.working()
    gateway.executed(ref, 4, 4)
    (told,) = gateway.error(ref, 201, "closed")
    assert isinstance(told, OrderUpdate)
    assert (told.status, told.cumulative) == (OrderStatus.CANCELLED, 4)


def test_error_of_an_unknown_order_is_told(gateway: Gateway) -> None:
    """It says nothing of an order that is known."""
    gateway.working()
    (notice,) = gateway.said.error(777, 201, "whose?", AT)
    assert isinstance(notice, BrokerNotice)


# Cancels.


def test_cancel_is_told_once(gateway: Gateway) -> None:
    """By its status and by 202, which is no error."""
    ref = gateway.working()
    gateway.cancelled(ref)
    gateway.opened(ref, "PendingCancel")
    assert gateway.replies == [Reply()]
    gateway.opened(ref, "Cancelled")
    gateway.status(ref, "Cancelled")
    assert gateway.error(ref, 202, "Order Canceled - reason:") == []
    assert gateway.statuses() == [OrderStatus.CANCELLED]


def test_cancelled_order_says_how_much_was_filled(gateway: Gateway) -> None:
    """An openOrder does not: its status does, or the error after it."""
    ref = gateway.working()
    assert gateway.opened(ref, "Cancelled") == []
    assert updates(gateway.status(ref, "Cancelled", 4)) == [(OrderStatus.CANCELLED, 4)]
    other = gateway.working(name=NEXT)
    gateway.executed(other, 3, 3)
    gateway.opened(other, "Cancelled")
    assert updates(gateway.error(other, 202)) == [(OrderStatus.CANCELLED, 3)]


def test_202_alone_ends_the_order(gateway: Gateway) -> None:
    """No status need come, and an order that expired says so in its text."""
    ref = gateway.working()
    (told,) = gateway.error(ref, 202, "Order Canceled - reason: expired")
    assert isinstance(told, OrderUpdate)
    assert (told.status, told.reason) == (OrderStatus.CANCELLED, "expired")


def test_execution_after_the_cancel_is_told(gateway: Gateway) -> None:
    """A fill may race the cancel, and come after it."""
    ref = gateway.working()
    gateway.status(ref, "Cancelled")
    (fill,) = gateway.executed(ref, 4, 4)
    assert isinstance(fill, BrokerFill)


@pytest.mark.parametrize(
    ("code", "text", "state"),
    [
        (161, "Cancel attempted when order is not in a cancellable state", State.ALIVE),
        (10148, "OrderId 1 that needs to be cancelled cannot be cancelled, state: Filled.", State.GONE),
        (10148, "cannot be cancelled, state: Submitted.", State.ALIVE),
        (10148, "cannot be cancelled, state: PendingCancel.", State.UNKNOWN),
        (10147, "OrderId 1 that needs to be cancelled is not found.", State.UNKNOWN),
        (321, "Read-Only mode", State.ALIVE),
    ],
)
def test_refused_cancel_ends_nothing(gateway: Gateway, code: int, text: str, state: State) -> None:
    """10148 races the fill that it speaks of; the order is what its own messages say."""
    ref = gateway.working()
    gateway.cancelled(ref)
    gateway.error(ref, code, text)
    assert gateway.replies == [Reply(Meaning.ACTION_REFUSED, code, text, state)]
    assert gateway.statuses() == []
    gateway.executed(ref, 10, 10)
    assert gateway.statuses() == [OrderStatus.FILLED]


def test_cancel_with_an_unlisted_error_is_looked_up(gateway: Gateway) -> None:
    """Whoever waits concludes nothing; what the order then says of itself counts."""
    ref = gateway.working()
    gateway.cancelled(ref)
    (notice,) = gateway.error(ref, 322, "Error processing request")
    assert isinstance(notice, BrokerNotice)
    assert [reply.meaning for reply in gateway.replies] == [Meaning.LOOK_UP]
    assert updates(gateway.status(ref, "Cancelled")) == [(OrderStatus.CANCELLED, 0)]


def test_cancel_of_a_filled_order_is_refused_by_its_fill(gateway: Gateway) -> None:
    """Whoever waits need not wait for the error."""
    ref = gateway.working()
    gateway.cancelled(ref)
    gateway.executed(ref, 10, 10)
    assert [reply.state for reply in gateway.replies] == [State.GONE]
    assert gateway.error(ref, 10148, "state: Filled") == []
    assert gateway.statuses() == [OrderStatus.FILLED]


def test_other_exit_goes_with_the_one_that_is_cancelled(gateway: Gateway) -> None:
    """That it is gone already is no news of it."""
    exits: dict[str, Any] = {"side": Side.SELL, "tif": TimeInForce.GTC}
    group = OrderGroup(
        GroupKind.OCO,
        evolve(TERMS, limit_price=Decimal(70), **exits),
        OrderRequest("COLA", quantity=Decimal(10), type=OrderType.STOP, stop_price=Decimal(50), **exits),
    )
    refs = [OrderRef(NAME, "COLA"), OrderRef(NEXT, "COLA")]
    wires = wires_of(group, refs, None, client=7, numbers=gateway.numbers, listing=LISTING)
    target, stop = [evolve(ref, wire=one.write()) for ref, one in zip(refs, wires, strict=True)]
    for ref, number in ((target, 900), (stop, 901)):
        gateway.said.placing(ref, gateway.replies.append)
        gateway.opened(ref, "Submitted", permId=number)
    gateway.events.clear()
    gateway.cancelled(target)
    gateway.status(target, "Cancelled")
    gateway.error(stop, 10148, "state: Cancelled")
    gateway.status(stop, "Cancelled", perm_id=901)
    assert gateway.statuses() == [OrderStatus.CANCELLED, OrderStatus.CANCELLED]


# Changes.


@pytest.mark.parametrize("echo", [NEXT, NAME])
def test_change_is_taken_when_its_terms_are(gateway: Gateway, echo: str) -> None:
    """Whether the order bears its new name from then on or its first."""
    ref = gateway.working()
    new = gateway.changed(ref, limit_price=Decimal(61))
    assert gateway.opened(ref, "Submitted") == []
    assert gateway.status(ref, "Submitted") == []
    assert gateway.replies == []
    old, now = gateway.opened(new, "Submitted", orderRef=echo)
    assert isinstance(old, OrderUpdate)
    assert (old.ref.client_order_id, old.status, old.replaced_by) == (NAME, OrderStatus.CANCELLED, NEXT)
    assert isinstance(now, OrderUpdate)
    assert (now.ref.client_order_id, now.status) == (NEXT, OrderStatus.ACCEPTED)
    assert gateway.replies == [Reply()]


@pytest.mark.parametrize("code", [110, 201, 321, 105, 104])
def test_refused_change_leaves_the_order_alive(gateway: Gateway, code: int) -> None:
    """The code that ends a new order only refuses a change of one that works."""
    ref = gateway.working()
    gateway.changed(ref, limit_price=Decimal("61.001"))
    assert gateway.error(ref, code, "why") == []
    state = State.GONE if code == 104 else State.ALIVE
    assert gateway.replies == [Reply(Meaning.ACTION_REFUSED, code, "why", state)]
    assert updates(gateway.status(ref, "Submitted", 4)) == [(OrderStatus.PARTIALLY_FILLED, 4)]


def test_change_that_is_refused_late_is_an_event(gateway: Gateway) -> None:
    """It is the next version that is refused, and the order works on."""
    ref = gateway.working()
    new = gateway.changed(ref, limit_price=Decimal(61))
    gateway.said.give_up(new, Subject.REPLACE)
    (told,) = gateway.error(ref, 201, "why")
    assert isinstance(told, OrderUpdate)
    assert (told.ref.client_order_id, told.status) == (NEXT, OrderStatus.REJECTED)
    assert updates(gateway.status(ref, "Submitted", 4)) == [(OrderStatus.PARTIALLY_FILLED, 4)]


def test_change_of_a_filled_order_finds_it_gone(gateway: Gateway) -> None:
    """Whatever the code is."""
    ref = gateway.working()
    gateway.changed(ref, limit_price=Decimal(61))
    gateway.status(ref, "Filled", 10)
    gateway.error(ref, 201, "why")
    assert [reply.state for reply in gateway.replies] == [State.GONE]


def test_change_of_what_is_over_is_not_sent(gateway: Gateway) -> None:
    """Under the number of an order that has ended it would be a new one."""
    ref = gateway.working()
    gateway.changed(ref, limit_price=Decimal(61))
    assert gateway.sent
    gateway.executed(ref, 10, 10)
    gateway.status(ref, "Filled", 10)
    gateway.changed(ref, limit_price=Decimal(62))
    assert not gateway.sent
    assert gateway.replies[-1].state is State.GONE


def test_change_of_what_an_order_has_not_is_not_sent(gateway: Gateway) -> None:
    """It works on; and if it is over, that is said."""
    ref = gateway.working(evolve(TERMS, type=OrderType.MARKET, limit_price=None))
    gateway.changed(ref, limit_price=Decimal(61))
    assert not gateway.sent
    assert gateway.replies[-1].state is State.ALIVE
    gateway.status(ref, "Filled", 10)
    gateway.changed(ref, limit_price=Decimal(61))
    assert gateway.replies[-1].state is State.GONE


def test_order_that_grows_is_not_filled_by_its_old_size(gateway: Gateway) -> None:
    """While a change is on its way only the gateway says that an order is over."""
    ref = gateway.working()
    new = gateway.changed(ref, quantity=Decimal(15))
    gateway.executed(ref, 10, 10)
    assert gateway.statuses() == []
    gateway.opened(new, "Submitted")
    assert gateway.statuses() == [OrderStatus.CANCELLED, OrderStatus.PARTIALLY_FILLED]


def test_change_that_never_left_is_forgotten(gateway: Gateway) -> None:
    """What is refused then is not the change."""
    ref = gateway.working()
    new = gateway.changed(ref, limit_price=Decimal(61))
    gateway.said.unsent(new, Subject.REPLACE)
    (told,) = gateway.error(ref, 201, "why")
    assert isinstance(told, OrderUpdate)
    assert (told.ref.client_order_id, told.status) == (NAME, OrderStatus.REJECTED)


def test_order_that_never_left_is_not_there(gateway: Gateway) -> None:
    """Its number is another's error."""
    ref = gateway.placed()
    gateway.said.unsent(ref, Subject.NEW_ORDER)
    assert gateway.said.known(ref) is None


# Corrections.


def test_correction_is_no_second_execution(gateway: Gateway) -> None:
    """10 units that are restated are 10, and not 20."""
    ref = gateway.working()
    gateway.executed(ref, 4, 4)
    gateway.executed(ref, 4, 4, execId="e.4.02", price=60.5)
    one = gateway.said.known(ref)
    assert one is not None
    assert one.filled == 4
    gateway.executed(ref, 6, 10)
    assert gateway.statuses() == [OrderStatus.FILLED]


@pytest.mark.parametrize("told_before", [False, True])
def test_correction_upwards_is_counted_once(gateway: Gateway, told_before: bool) -> None:
    """A status may have had it before; and what came after the execution that is restated stays."""
    ref = gateway.working()
    gateway.executed(ref, 4, 4)
    gateway.executed(ref, 2, 6)
    if told_before:
        gateway.status(ref, "Submitted", 7)
    gateway.executed(ref, 5, 5, execId="e.4.02")
    assert updates(gateway.status(ref, "Cancelled", 7)) == [(OrderStatus.CANCELLED, 7)]


def test_what_is_taken_back_was_taken_off_by_the_first_status_that_is_heard(gateway: Gateway) -> None:
    """The executions of before it came while nothing was known of the order: they are counted by now."""
    ref = gateway.placed()
    gateway.said.unsent(ref, Subject.NEW_ORDER)
    gateway.executed(ref, 4, 4)
    gateway.executed(ref, 3, 7)
    gateway.opened(ref, "Submitted")
    gateway.status(ref, "Submitted", 3)
    gateway.executed(ref, 0, 0, execId="e.4.02")
    assert updates(gateway.error(ref, 202)) == [(OrderStatus.CANCELLED, 3)]


def test_execution_that_is_taken_back_counts_no_more(gateway: Gateway) -> None:
    """An order that ends then ends with what is left."""
    ref = gateway.working()
    gateway.executed(ref, 4, 4)
    gateway.executed(ref, 0, 0, execId="e.4.02")
    assert updates(gateway.status(ref, "Cancelled", 0)) == [(OrderStatus.CANCELLED, 0)]


# Other people's.


def test_orders_of_two_clients_have_the_same_numbers(gateway: Gateway) -> None:
    """A number is of its client: what is said of another's order is not said of ours."""
    ref = gateway.working()
    assert gateway.status(ref, "Cancelled", client=5) == []
    gateway.opened(ref, "Submitted", clientId=5, permId=111, orderRef="mine")
    assert gateway.status(ref, "Cancelled", client=5) == []
    assert updates(gateway.status(ref, "Submitted", 4)) == [(OrderStatus.PARTIALLY_FILLED, 4)]


def test_second_order_under_one_number_is_foreign(gateway: Gateway) -> None:
    """A change that was sent while the servers were lost has made two of one: both are in the account."""
    ref = gateway.working()
    gateway.said.list_orders()
    gateway.opened(ref, "Submitted")
    assert gateway.opened(ref, "Submitted", permId=999) == []
    assert gateway.status(ref, "Submitted", 10, perm_id=999) == []
    found = [(one.ref.broker_order_id, one.foreign, one.filled) for one in gateway.said.listed().values()]
    assert found == [("900", False, 0), ("999", True, 10)]
    assert gateway.executed(ref, 10, 10, permId=999) != []
    assert gateway.statuses() == []


def test_other_people_s_orders_are_listed_only(gateway: Gateway) -> None:
    """What becomes of them is no event; where all orders are asked for they are there, flagged."""
    ref = gateway.working()
    gateway.said.list_orders()
    gateway.opened(ref, "Submitted")
    assert gateway.opened(ref, "Submitted", clientId=0, orderId=0, permId=5, orderRef="") == []
    assert gateway.opened(ref, "Submitted", clientId=0, orderId=0, permId=6, orderRef="") == []
    found = list(gateway.said.listed().values())
    assert [(one.ref.broker_order_id, one.foreign) for one in found] == [
        ("900", False),
        ("5", True),
        ("6", True),
    ]
    with pytest.raises(ValueError, match="not asked"):
        gateway.said.listed()
    gateway.said.list_orders()
    gateway.opened(ref, "Submitted")
    gateway.said.listed()
    assert [key for key in gateway.said._orders if key[0] != 7] == []


def test_other_accounts_and_trials_are_not_listened_to(gateway: Gateway) -> None:
    """A what-if order is none."""
    ref = gateway.placed()
    gateway.opened(ref, "Submitted", account="DU2")
    gateway.opened(ref, "PreSubmitted", whatIf=True)
    assert gateway.replies == []


def test_order_of_an_earlier_session_is_known_by_its_name(gateway: Gateway) -> None:
    """And its number is not given again."""
    ref = gateway.working()
    later = Translator(7, gateway.said._symbols, gateway.numbers.seen)
    later.account = "DU1"
    gateway.said = later
    assert gateway.status(ref, "Submitted") == []
    assert updates(gateway.opened(ref, "Submitted", orderId=500)) == [(OrderStatus.ACCEPTED, 0)]
    assert gateway.numbers.reserve(1) == 501


def test_cancel_of_an_order_of_an_earlier_session_is_answered(gateway: Gateway) -> None:
    """Nothing of it need have been heard yet."""
    ref = gateway.working()
    gateway.said = Translator(7, gateway.said._symbols)
    gateway.said.account = "DU1"
    gateway.cancelled(ref)
    assert updates(gateway.status(ref, "Cancelled")) == [(OrderStatus.CANCELLED, 0)]
    assert gateway.replies == [Reply()]


def test_orders_that_ended_are_forgotten_after_many_more(gateway: Gateway) -> None:
    """They do not pile up for ever; those that work stay."""
    alive = gateway.working()
    first = gateway.placed(name="awkit00-0000000000000000009999")
    gateway.error(first, 201)
    for number in range(1001):
        gateway.error(gateway.placed(name=f"awkit00-{number:022d}"), 201)
    assert gateway.said.known(first) is None
    assert gateway.said.known(alive) is not None


# Everything at once.


def _told_somehow(
    random: Random, gateway: Gateway, ref: OrderRef, parts: list[int]
) -> list[Callable[[], Any]]:
    """What is said of an order that is filled in parts: some of it never, some twice, some turned round."""
    said: list[Callable[[], Any]] = [lambda: gateway.opened(ref, "Submitted")]
    total = 0
    for part in parts:
        total += part
        word = "Filled" if total == 10 else "Submitted"
        said += [
            partial(gateway.executed, ref, part, total),
            partial(gateway.opened, ref, word),
            partial(gateway.status, ref, word, total),
            partial(gateway.error, ref, random.choice([399, 2109, 10349])),
        ]
    executions = [one for one in said if isinstance(one, partial) and one.func == gateway.executed]
    told = [one for one in said if one is said[0] or one in executions or random.random() < 0.7]
    told += random.choices(told, k=3)
    # Nothing is turned round by more than a few places.
    places = sorted(range(len(told)), key=lambda place: place + random.uniform(0, 4))
    return [told[place] for place in places]


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_left_out_repeated_or_turned_round(gateway: Gateway, seed: int) -> None:
    """Each execution is told once, the order ends once, and nothing is told of it afterwards."""
    random = Random(seed)
    ref = gateway.placed()
    cuts = sorted(random.sample(range(1, 10), k=random.randint(0, 3)))
    parts = [end - begin for begin, end in pairwise([0, *cuts, 10])]
    for say in _told_somehow(random, gateway, ref, parts):
        say()
    fills = [event for event in gateway.events if isinstance(event, BrokerFill)]
    assert sorted(fill.size for fill in fills) == sorted(map(Decimal, parts))
    assert len({fill.execution_key for fill in fills}) == len(parts)
    assert gateway.replies == [Reply()]
    statuses = gateway.statuses()
    assert statuses.count(OrderStatus.FILLED) == 1
    assert statuses[-1] is OrderStatus.FILLED
    assert set(statuses) <= {OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED}

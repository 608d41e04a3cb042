"""What the gateway says of orders, as the records of the contract.

It says it in messages that may come twice, in another order, or not at all, and its errors are mostly none.
What an order is follows from all of them together: executions are the truth of what was traded, statuses of
where an order stands, and an error ends an order only where its code says so (`codes`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final

from ib_async import CommissionReport, Contract, Execution, Order, OrderState

from alphaweave.core.errors import OrderState as State
from alphaweave.core.money import ZERO
from alphaweave.core.order import OrderRef, OrderStatus
from alphaweave.live.broker import BrokerEvent, BrokerFill, BrokerNotice, OrderUpdate
from alphaweave_broker_ibkr.codes import Meaning, Subject, meaning_of
from alphaweave_broker_ibkr.executions import Executions
from alphaweave_broker_ibkr.figures import exact
from alphaweave_broker_ibkr.names import Symbols, is_ours
from alphaweave_broker_ibkr.order_wire import OrderWire
from alphaweave_broker_ibkr.orders import status_of
from alphaweave_broker_ibkr.refusals import reject_reason, state_after
from alphaweave_broker_ibkr.tracked import Answer, Change, OrderKey, Reply, Tracked

__all__ = ["Translator"]

_ENDED_KEPT: Final = 1000
# What answers a cancel and nothing else, and what answers no cancel.
_OF_CANCELS: Final = frozenset({161, 321, 10147, 10148})
_OF_ORDERS: Final = frozenset({201, 202, 203})
_HELD: Final = frozenset({399, 404})


class Translator:
    """Takes the raw messages about orders, and says what there is to tell.

    Every method that takes a message raises ValueError where it lacks what it cannot do without; whoever
    calls tells it, and asks the gateway anew.

    Attributes:
        client: this connection's client id: numbers of orders are its own, and others have the same ones.
        account: the account; known after the connection is made.
        executions: those that were told of.
    """

    def __init__(self, client: int, symbols: Symbols, seen: Callable[[int], None] = lambda _: None) -> None:
        """``seen`` takes the least number that an order of this client may still have."""
        self.client = client
        self.executions = Executions(symbols)
        self._symbols = symbols
        self._seen = seen
        self._orders: dict[OrderKey, Tracked] = {}
        self._listed: dict[OrderKey, Tracked] | None = None

    @property
    def account(self) -> str:
        return self.executions.account

    @account.setter
    def account(self, account: str) -> None:
        self.executions.account = account

    # What is sent.

    def placing(self, ref: OrderRef, answer: Answer) -> None:
        """An order is about to be sent. ``answer`` is called when the gateway has it, or refuses it."""
        number = OrderWire.read(ref.wire).order
        one = Tracked(self.client, number, ref.client_order_id, ref.symbol, foreign=False)
        one.awaiting[Subject.NEW_ORDER] = answer
        self._orders[self.client, number] = one

    def changing(self, ref: OrderRef, new_ref: OrderRef, answer: Answer) -> bool:
        """A change of an order is about to be sent. False: nothing is to be sent. That is over, and under its
        number it would be another order; or it has no such thing."""
        wire = OrderWire.read(new_ref.wire)
        one = self._own(ref, wire)
        if one.ended is not None:
            answer(Reply(Meaning.ACTION_REFUSED, None, f"it is {one.ended.value}", State.GONE))
            return False
        if wire.impossible:
            answer(Reply(Meaning.ACTION_REFUSED, None, wire.impossible, State.ALIVE))
            return False
        one.change = Change(new_ref, wire.terms)
        one.awaiting[Subject.REPLACE] = answer
        return True

    def cancelling(self, ref: OrderRef, answer: Answer) -> None:
        """A cancel of an order is about to be sent, and one of the other exit of its group."""
        wire = OrderWire.read(ref.wire)
        one = self._own(ref, wire)
        one.cancelling = True
        one.awaiting[Subject.CANCEL] = answer
        other = self._orders.get((wire.client, wire.pair))
        if other is not None:
            other.cancelling = True

    def _own(self, ref: OrderRef, wire: OrderWire) -> Tracked:
        key = (wire.client, wire.order)
        if key not in self._orders:
            one = Tracked(*key, ref.client_order_id, ref.symbol, foreign=False, taken=True)
            self._orders[key] = one
        return self._orders[key]

    def give_up(self, ref: OrderRef, subject: Subject) -> None:
        """Nobody waits for that reply any more. What it says when it comes is still understood."""
        one = self.known(ref)
        if one is not None:
            one.awaiting.pop(subject, None)

    def unsent(self, ref: OrderRef, subject: Subject) -> None:
        """Not a byte of it left: the order, the change, the cancel never was."""
        wire = OrderWire.read(ref.wire)
        one = self._orders.get((wire.client, wire.order))
        if one is None:
            return
        one.awaiting.pop(subject, None)
        if subject is Subject.NEW_ORDER:
            del self._orders[wire.client, wire.order]
        elif subject is Subject.REPLACE:
            one.change = None
        else:
            one.cancelling = False

    def known(self, ref: OrderRef) -> Tracked | None:
        """What is known of an order by what was written of it."""
        wire = OrderWire.read(ref.wire)
        return self._orders.get((wire.client, wire.order))

    def working(self) -> tuple[Tracked, ...]:
        """The orders of this client of which nobody has said that they are over."""
        return tuple(
            one for key, one in self._orders.items() if key[0] == self.client and not one.status.terminal
        )

    # What comes.

    def open_order(
        self, contract: Contract, order: Order, state: OrderState, at: datetime
    ) -> tuple[BrokerEvent, ...]:
        """An order and its terms; of any client, for the list of all has everybody's."""
        if order.whatIf or (order.account and order.account != self.account):
            return ()
        one = self._tracked(contract, order)
        one.order, one.said = order, state.status
        one.perm_id = order.permId or one.perm_id
        if self._listed is not None:
            self._listed[self._key_of(order.clientId, order.orderId, order.permId)] = one
        changed = self._changed(one, order, at)
        return (*changed, *self._stands(one, at))

    def _tracked(self, contract: Contract, order: Order) -> Tracked:
        key = self._key_of(order.clientId, order.orderId, order.permId)
        one = self._orders.get(key)
        if one is None:
            # A second order under one number is nobody's: it was never meant to be.
            foreign = not (self._symbols.is_named(contract) and is_ours(order.orderRef)) or key[0] < 0
            one = Tracked(*key, order.orderRef, self._symbols.symbol(contract), foreign)
            self._orders[key] = one
            if order.clientId == self.client and order.orderId > 0:
                self._seen(order.orderId + 1)
        return one

    def _key_of(self, client: int, number: int, perm_id: int) -> OrderKey:
        key = _key(client, number, perm_id)
        one = self._orders.get(key)
        # A change that was sent while the servers were lost has made two orders of one.
        twin = one is not None and one.ended is None and one.perm_id and perm_id not in {0, one.perm_id}
        return _key(0, 0, perm_id) if twin else key

    def _changed(self, one: Tracked, order: Order, at: datetime) -> tuple[BrokerEvent, ...]:
        change = one.change
        if change is None:
            return ()
        named = order.orderRef == change.ref.client_order_id
        if not named and not one.is_changed_to(change.terms):
            return ()
        before = one.ref
        one.change = None
        one.adopt(change.ref.client_order_id)
        one.told = None
        one.answer(Subject.REPLACE, Reply())
        return (
            OrderUpdate(
                ref=before,
                status=OrderStatus.CANCELLED,
                received_at=at,
                cumulative=one.filled,
                reason="replaced",
                replaced_by=one.name,
                foreign=one.foreign,
            ),
        )

    def order_status(
        self, key: OrderKey, said: str, *, filled: float, average: float, perm_id: int, at: datetime
    ) -> tuple[BrokerEvent, ...]:
        """Where an order stands. One of which nothing else is known is waited for: its terms come too.

        Args:
            key: client id and number of the order.
        """
        key = self._key_of(*key, perm_id)
        one = self._orders.get(key)
        if one is None:
            return ()
        one.said = said
        one.perm_id = perm_id or one.perm_id
        one.filled = max(one.filled, exact(filled) or ZERO)
        one.average = exact(average) or one.average
        if self._listed is not None and one.order is not None:
            self._listed[key] = one
        return self._stands(one, at, counted=True)

    def execution(self, contract: Contract, execution: Execution, at: datetime) -> tuple[BrokerEvent, ...]:
        """An execution, told live or in an answer: both are told on, once each."""
        found = self.executions.told(contract, execution, at)
        if found is None:
            return ()
        told, added = found
        one = self._orders.get(self._key_of(execution.clientId, execution.orderId, execution.permId))
        if one is None:
            return (told,)
        one.perm_id = execution.permId or one.perm_id
        total = ZERO if added < ZERO else exact(execution.cumQty) or ZERO
        if not isinstance(told, BrokerFill):
            # A status may have counted before what is restated now.
            total = max(total, self.executions.size_of(one.ref.broker_order_id))
        one.filled = max(one.filled + min(added, ZERO), total)
        self._take(one)
        if one.status.terminal or one.change is not None or not ZERO < one.total <= one.filled:
            return (told,)
        # No status may come for what is filled at once.
        one.said = "Filled"
        return (told, *self._stands(one, at, counted=True))

    def commission(self, report: CommissionReport, at: datetime) -> tuple[BrokerEvent, ...]:
        """What an execution cost."""
        charged = self.executions.charged(report, at)
        return () if charged is None else (charged,)

    def _stands(self, one: Tracked, at: datetime, *, counted: bool = False) -> tuple[BrokerEvent, ...]:
        """Tell where an order stands, if that is new.

        Args:
            counted: the message says how much is filled.
        """
        status = status_of(one.said, one.filled)
        if status is OrderStatus.PENDING or not (status.terminal or one.perm_id):
            # Without an id of the account's it is at the gateway, and nobody has taken it.
            return ()
        if one.ended is not None and (not status.terminal or one.ended is OrderStatus.FILLED):
            return ()
        if status is OrderStatus.CANCELLED and one.ended is not None:
            return ()
        if status is OrderStatus.CANCELLED and not counted:
            # How much was filled of it comes with its status, and with the error that follows.
            return ()
        if one.said != "Inactive":
            self._take(one)
        else:
            one.answer(Subject.NEW_ORDER, Reply())
        if one.said == "PendingCancel" or status is OrderStatus.CANCELLED:
            one.answer(Subject.CANCEL, Reply())
        return self._tell(one, status, at)

    @staticmethod
    def _take(one: Tracked) -> None:
        one.taken = True
        one.answer(Subject.NEW_ORDER, Reply())

    def _tell(
        self, one: Tracked, status: OrderStatus, at: datetime, reason: str | None = None, text: str = ""
    ) -> tuple[BrokerEvent, ...]:
        if status.terminal:
            one.ended = status
            gone = Reply(Meaning.ACTION_REFUSED, None, f"it is {status.value}", State.GONE)
            one.answer(Subject.CANCEL, gone)
            self._forget()
        cumulative: Decimal | None = one.filled
        if status is OrderStatus.FILLED and one.filled < one.total:
            cumulative = None  # its executions are still to come
        told = (status, cumulative, one.perm_id)
        # What is done with other people's orders is not followed, but found where all are asked for.
        if one.told == told or one.foreign or not one.name:
            return ()
        one.told = told
        return (
            OrderUpdate(
                ref=one.ref,
                status=status,
                received_at=at,
                cumulative=cumulative,
                average_price=one.average,
                reason=reason,
                text=text,
            ),
        )

    def _forget(self) -> None:
        ended = [key for key, one in self._orders.items() if one.ended is not None]
        for key in ended[: len(ended) - _ENDED_KEPT]:
            del self._orders[key]

    def error(self, number: int, code: int, text: str, at: datetime) -> tuple[BrokerEvent, ...]:
        """An error that bears the number of an order of this client."""
        one = self._orders.get((self.client, number))
        if one is None:
            return (_notice(code, f"order {number}: {text}", None, at),)
        subject = _subject(one, code)
        meaning = meaning_of(code, subject)
        reply = Reply(meaning, code, text, state_after(code, text))
        if meaning is Meaning.ORDER_CANCELLED:
            one.answer(Subject.CANCEL, Reply())
            # One that ended before it was taken did get there.
            one.answer(Subject.NEW_ORDER, Reply())
            if one.ended is not None:
                return ()
            one.said = "Cancelled"
            reason = "expired" if "expired" in text.lower() else None
            return self._tell(one, OrderStatus.CANCELLED, at, reason, text)
        if meaning is Meaning.ORDER_REJECTED:
            return self._rejected(one, reply, at)
        if meaning is Meaning.ACTION_REFUSED or (subject is Subject.CANCEL and code in _OF_CANCELS):
            return self._refused(one, subject, reply, at)
        if meaning is Meaning.LOOK_UP or (meaning is Meaning.RATE_EXCEEDED and one.awaiting):
            return self._in_doubt(one, subject, reply, at)
        return (_notice(code, text, one.symbol, at),)

    def _rejected(self, one: Tracked, reply: Reply, at: datetime) -> tuple[BrokerEvent, ...]:
        text = f"{reply.code}: {reply.text}"
        if one.ended is not None:
            return (_notice(reply.code or 0, reply.text, one.symbol, at),)
        if one.answer(Subject.NEW_ORDER, reply):
            one.ended = OrderStatus.REJECTED
            self._forget()
            return ()
        status = OrderStatus.CANCELLED if one.filled > ZERO else OrderStatus.REJECTED
        reason = reject_reason(reply.code or 0, reply.text).value
        return self._tell(one, status, at, reason, text)

    def _refused(self, one: Tracked, subject: Subject, reply: Reply, at: datetime) -> tuple[BrokerEvent, ...]:
        """A cancel or a change was refused; the order itself works on, whatever the code is."""
        state = reply.state
        if one.ended is not None:
            state = State.GONE
        elif state is State.UNKNOWN and reply.meaning is Meaning.ACTION_REFUSED:
            state = State.ALIVE
        reply = Reply(Meaning.ACTION_REFUSED, reply.code, reply.text, state)
        waited = one.answer(subject, reply)
        if subject is Subject.CANCEL:
            one.cancelling = False
            if waited or one.ended is not None:
                return ()
            return (_notice(reply.code or 0, reply.text, one.symbol, at),)
        change, one.change = one.change, None
        if waited or change is None:
            return ()
        names = OrderRef(change.ref.client_order_id, one.symbol, one.ref.broker_order_id)
        reason = reject_reason(reply.code or 0, reply.text).value
        text = f"{reply.code}: {reply.text}"
        return (OrderUpdate(names, OrderStatus.REJECTED, at, reason=reason, text=text),)

    def _in_doubt(
        self, one: Tracked, subject: Subject, reply: Reply, at: datetime
    ) -> tuple[BrokerEvent, ...]:
        """Nobody knows: whoever waits looks it up, and where nobody does, everybody."""
        notice = _notice(reply.code or 0, reply.text, one.symbol, at)
        if one.answer(subject, reply) or one.ended is not None or one.foreign or not one.name:
            return (notice,)
        one.told = None
        text = f"{reply.code}: {reply.text}"
        return (notice, OrderUpdate(one.ref, OrderStatus.UNKNOWN, at, text=text))

    # What is asked for.

    def list_orders(self) -> None:
        """All open orders are asked for: what is told of from now on is in the answer."""
        self._listed = {}

    def listed(self) -> dict[OrderKey, Tracked]:
        """Those that were told of, everybody's, now that the last was; some may have ended meanwhile.

        Raises:
            ValueError: nobody asked.
        """
        if self._listed is None:
            raise ValueError("the open orders were not asked for")
        found, self._listed = self._listed, None
        gone = [key for key, one in self._orders.items() if one.foreign and key not in found]
        for key in gone:
            del self._orders[key]
        return found


def _key(client: int, number: int, perm_id: int) -> OrderKey:
    # Orders that were made by hand have no number, and all the same client.
    return (client, number) if number else (-1, perm_id)


def _subject(one: Tracked, code: int) -> Subject:
    """What an error about an order answers to: it only bears the order's number."""
    if one.cancelling and code in _OF_CANCELS:
        return Subject.CANCEL
    if one.change is not None:
        return Subject.REPLACE
    if Subject.CANCEL in one.awaiting and code not in _OF_ORDERS:
        return Subject.CANCEL
    return Subject.ORDER if one.taken else Subject.NEW_ORDER


def _notice(code: int, text: str, symbol: str | None, at: datetime) -> BrokerNotice:
    informs = code not in _HELD and meaning_of(code, Subject.ORDER) is Meaning.INFORMATION
    return BrokerNotice(at, "info" if informs else "warning", str(code), text, symbol)

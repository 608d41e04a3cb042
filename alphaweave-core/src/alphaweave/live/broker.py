"""The Broker contract: everything the engine asks of a broker, and what each answer promises.

An adapter author implements `BrokerAdapter` (``alphaweave.live.adapters.base``), which is this
protocol plus its life cycle. Read the two together with ``docs/contract-map.md``, which shows how
three very different brokers keep each promise.

Rules that hold for every method:

* Above the adapter only the config's ``symbol`` exists; the adapter maps it to the venue's.
* Sizes and prices are ``Decimal`` both ways and are written to the wire as plain strings
  (`alphaweave.core.money.plain`): never as a float, never with an exponent.
* Times are timezone-aware UTC, from the injected clock where they are this machine's.
* The adapter owns its timeouts. After `OutcomeUnknown`, or after a call is cancelled, no byte of that
  request may leave any more; a request still queued inside the adapter is withdrawn as `NotSent`.
* No method sends an order twice. An HTTP library that retries a POST must be told not to.
* An answer the adapter does not know is `OutcomeUnknown` to a request and `BrokerUnavailable` to a query.
* A query that fails raises `BrokerUnavailable`; an empty answer means the broker said "none".

What the engine promises in turn:

* `prepare` is called for every submit and replacement, and they reach the adapter in that order.
* A call that has not ended after a minute is cancelled: a request is then `OutcomeUnknown`, a query failed.
* At most one replacement of an order is in flight.
* While the connection is lost no order is sent; cancels are still tried.
* An outcome that is unknown is looked up with `get_order`, never sent again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest
from alphaweave.live.reports import (
    Balance,
    BrokerAccountState,
    BrokerEvent,
    BrokerFill,
    BrokerNotice,
    BrokerOrder,
    CashFlow,
    ConnectionLost,
    ConnectionRestored,
    FeeReport,
    FillCorrection,
    FillQuery,
    FillReport,
    OrderAck,
    OrderUpdate,
    PositionChange,
)

__all__ = [
    "Balance",
    "Broker",
    "BrokerAccountState",
    "BrokerEvent",
    "BrokerFill",
    "BrokerNotice",
    "BrokerOrder",
    "CashFlow",
    "ConnectionLost",
    "ConnectionRestored",
    "FeeReport",
    "FillCorrection",
    "FillQuery",
    "FillReport",
    "OrderAck",
    "OrderUpdate",
    "PositionChange",
]


class Broker(Protocol):
    """What the engine asks of a broker."""

    def prepare(
        self,
        request: OrderRequest | OrderGroup | OrderChange,
        refs: Sequence[OrderRef],
        replaces: OrderRef | None = None,
    ) -> Sequence[Mapping[str, str]]:
        """Reserve what the wire needs for this intent, before it is committed.

        It runs on the kernel thread, is synchronous and does no I/O. What it returns is committed with
        the intent and comes back in ``OrderRef.wire`` for ever, also after a restart with another
        config: so it holds the venue's own symbol or contract id, an order id the broker wants chosen
        in advance, the client id of a leg's parent. It is the one place that may write
        ``Services.store``, which is committed with the intent; a decision that is dropped afterwards
        leaves a gap in what was reserved, never a use of it.

        Args:
            request: what will be sent.
            refs: the names of what will be sent: one for an order or a change, one a leg for a group, in
                the order of ``group.legs``. They bear no broker order id and no wire names yet.
            replaces: the version that a change replaces, with its wire names; None for the others.

        Returns:
            One mapping for each of ``refs``, in their order, each complete in itself: `get_order` is
            handed a leg's own and no other. Empty where nothing is needed.

        Raises:
            Unsupported: the `Capabilities` do not declare what it asks for
                (`alphaweave.live.adapters.capabilities.refuse_undeclared`), or the adapter cannot express it
                for a reason that they cannot say. Nothing is sent and nothing is committed.
        """
        ...

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        """Send one order, at most once, ever.

        Returning means the broker has it. A rejection may still follow as an event; fills come only as
        events and from `get_fills`, and may come before this returns.

        Raises:
            OrderRejected: a final no, with a reason, the broker's code and its text. Never for "this
                client order id was used before".
            NotSent: a final no; nothing left this machine (not connected, or withdrawn from a queue).
            OutcomeUnknown: a byte may have left and no answer is known; also when the broker says that
                the client order id was used before.
        """
        ...

    async def submit_group(self, refs: Sequence[OrderRef], group: OrderGroup) -> tuple[OrderAck, ...]:
        """Send a bracket or OCO, once; ``refs`` and the answer are in the order of ``group.legs``.

        An error speaks for the whole group; after `OutcomeUnknown` every leg is looked up by itself.
        A venue that names legs itself binds them here: ``OrderAck.ref.broker_order_id``.

        Raises:
            OrderRejected: no leg will ever work.
            NotSent: nothing of any leg left this machine.
            OutcomeUnknown: as `submit_order`; also when some legs may have left and others not.
        """
        ...

    async def cancel_order(self, ref: OrderRef) -> None:
        """Ask for a cancel. Returning means the broker took the request, not that the order is gone;
        the end is an `OrderUpdate`, and fills may still come.

        A cancel may be repeated. It is tried while orders may not be sent, and while the connection is
        thought lost. A broker that wants its own id looks it up first where ``ref`` lacks it.

        Raises:
            CancelRejected: the broker refused; ``order_state`` says whether the order still works.
            NotSent: nothing left this machine.
            OutcomeUnknown: the cancel may or may not have arrived; it may be repeated.
        """
        ...

    async def cancel_all(self, symbols: Sequence[str] | None) -> None:
        """Ask for a cancel of every open order in ``symbols`` (None: in the account), other people's
        too where the broker lets us. The caller verifies with `get_open_orders`.

        Raises:
            CancelRejected: at least one was refused.
            NotSent: nothing left this machine.
            OutcomeUnknown: at least one cancel may or may not have arrived.
        """
        ...

    async def replace_order(self, ref: OrderRef, new_ref: OrderRef, change: OrderChange) -> OrderAck:
        """Change a working order; ``new_ref`` names its next version, and the answer is for it.

        ``change.quantity`` is the new total, what is filled already included. It is called only with
        fields that ``Capabilities.replace`` declares, which means that the venue itself keeps the sum of
        old and new fills within the total.

        Raises:
            ReplaceRejected: refused; ``order_state`` says whether the old version still works.
            NotSent: nothing left this machine; the old version works on.
            OutcomeUnknown: as `submit_order`; both versions are looked up.
            Unsupported: this change of this order cannot be expressed; nothing was sent.
        """
        ...

    async def get_order(self, ref: OrderRef) -> BrokerOrder | None:
        """Look one order version up, by broker id, client id or what ``ref.wire`` holds.

        Returns:
            The order as the broker has it now; for a version that was replaced, that version
            (``replaced_by``). None only if the broker answered "no such order" and its answer covers the
            order's whole life, from ``ref.decided_at`` on: a broker whose memory begins at midnight does
            not know of yesterday. A None is final after ``Capabilities.not_found_is_final_after``.

        Raises:
            BrokerUnavailable: no usable answer, or one that does not reach back far enough: with the code
                ``beyond_history`` where the order works no more, and what became of it cannot be known from
                the broker any more. The engine then ends it, and halts its symbol.
        """
        ...

    async def get_open_orders(self, symbols: Sequence[str] | None = None) -> Sequence[BrokerOrder]:
        """Every working order, other people's too (``foreign``, under their venue symbol).

        Args:
            symbols: config symbols to ask for, where asking for all is dear; None: the account. Orders
                in other symbols may be in the answer all the same.

        Raises:
            BrokerUnavailable: no usable answer, for at least one of the symbols.
        """
        ...

    async def get_fills(self, query: FillQuery) -> FillReport:
        """Every execution since an instant, at least once, and how far back the answer is complete.

        Raises:
            BrokerUnavailable: no usable answer. One that leaves out symbols is an answer, whose
                ``complete_from`` lacks them.
        """
        ...

    async def get_account_state(self) -> BrokerAccountState:
        """Balances, positions and equity at one instant.

        Raises:
            BrokerUnavailable: no usable answer.
        """
        ...

    async def get_instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        """The rules of each symbol. One that the broker does not know is absent from the answer; one
        that cannot be traded now has ``tradable`` False. Limits of the account (no short sales, say) are
        part of the rules.

        Raises:
            BrokerUnavailable: no usable answer.
            Unsupported: a symbol is ambiguous; the message lists the candidates.
        """
        ...

    async def get_time(self) -> datetime:
        """The broker's own clock, UTC, as near to the moment of its answer as it says.

        Raises:
            BrokerUnavailable: no usable answer.
        """
        ...

    def events(self) -> AsyncIterator[BrokerEvent]:
        """The event stream. It is taken once, before ``connect()``, and buffers from the first byte.

        Delivery is at least once. Events of one broker order come in order of arrival; nothing else is
        ordered, also not against the return of a call. Fills come only from here and from `get_fills`,
        never in an acknowledgement. `ConnectionLost` comes at once when order entry or events are gone,
        also when they have merely gone silent; `ConnectionRestored` only when both work again.

        Raises:
            Unsupported: it was taken before.
        """
        ...

"""The Broker contract: everything the engine asks of a broker, and what each answer promises.

An adapter author implements `BrokerAdapter` (``alphaweave.live.adapters.base``), which is this
protocol plus its life cycle. Read the two together with ``docs/contract-map.md``, which shows how
three very different brokers keep each promise.

Rules that hold for every method:

* Above the adapter only the config's ``symbol`` exists; the adapter maps it to the venue's.
* Sizes and prices are ``Decimal`` both ways and are written to the wire as plain strings.
* Times are timezone-aware UTC, from the injected clock where they are this machine's.
* The adapter owns its timeouts. After `OutcomeUnknown`, or after a call is cancelled, no byte of that
  request may leave any more; a request still queued inside the adapter is withdrawn as `NotSent`.
* No method sends an order twice. An HTTP library that retries a POST must be told not to.
* A query that fails raises `BrokerUnavailable`; an empty answer means the broker said "none".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
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

    def prepare(self, request: OrderRequest | OrderGroup | OrderChange) -> Mapping[str, str]:
        """Reserve what the wire needs for this intent (an IBKR orderId, say), before it is committed.

        Runs on the kernel thread and does no I/O. What it returns is committed with the intent and
        comes back for ever in ``OrderRef.wire``, also after a restart. For a group, keys of a leg are
        prefixed with the leg's index (``"0.order_id"``).

        Raises:
            Unsupported: the adapter cannot express this request.
        """
        ...

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        """Send one order, once.

        Raises:
            OrderRejected: a final no, with a reason code and the broker's text.
            NotSent: a final no; nothing left this machine.
            OutcomeUnknown: a byte may have left and no answer is known.
        """
        ...

    async def submit_group(self, refs: Sequence[OrderRef], group: OrderGroup) -> tuple[OrderAck, ...]:
        """Send a bracket or OCO, once; ``refs`` and the answer are in the order of ``group.legs``.

        Raises:
            OrderRejected, NotSent, OutcomeUnknown: as `submit_order`, for the whole group.
        """
        ...

    async def cancel_order(self, ref: OrderRef) -> None:
        """Ask for a cancel. Returning means the broker took the request, not that the order is gone;
        the end is an `OrderUpdate`, and fills may still come.

        Raises:
            CancelRejected: the broker refused, for example because the order is already terminal.
            OutcomeUnknown, NotSent: as `submit_order`.
        """
        ...

    async def cancel_all(self, symbols: Sequence[str] | None) -> None:
        """Ask for a cancel of every open order in ``symbols`` (None: in the account).

        Raises:
            CancelRejected: at least one was refused.
            OutcomeUnknown, NotSent: as `submit_order`.
        """
        ...

    async def replace_order(self, ref: OrderRef, new_ref: OrderRef, change: OrderChange) -> OrderAck:
        """Change a working order; ``new_ref`` is the next version's client id.

        Raises:
            ReplaceRejected: refused; ``order_state`` says whether the old version still works.
            Unsupported: the venue cannot bound the total quantity atomically (the engine then cancels,
                waits for the final filled quantity, and submits).
            OutcomeUnknown, NotSent: as `submit_order`.
        """
        ...

    async def get_order(self, ref: OrderRef) -> BrokerOrder | None:
        """Look one order up, by client id or by what ``ref.wire`` holds.

        Returns:
            The order, or None only if the broker answered "no such order".

        Raises:
            BrokerUnavailable: no usable answer.
        """
        ...

    async def get_open_orders(self) -> Sequence[BrokerOrder]:
        """Every working order of the account, other people's too (``foreign``).

        Raises:
            BrokerUnavailable: no usable answer.
        """
        ...

    async def get_fills(self, query: FillQuery) -> FillReport:
        """Executions since an instant, with how far back the answer is complete.

        Raises:
            BrokerUnavailable: no usable answer.
        """
        ...

    async def get_account_state(self) -> BrokerAccountState:
        """Balances, positions and equity at one instant.

        Raises:
            BrokerUnavailable: no usable answer.
        """
        ...

    async def get_instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        """The rules of each symbol. A symbol that the broker does not know is absent from the answer.

        Raises:
            BrokerUnavailable: no usable answer.
            Unsupported: a symbol is ambiguous; the message lists the candidates.
        """
        ...

    def events(self) -> AsyncIterator[BrokerEvent]:
        """The event stream. It is taken once, before ``connect()``, and buffers from the first byte.

        Delivery is at least once. Events of one broker order come in order of arrival; nothing else is
        ordered, also not against the return of a call. Fills come only from here and from
        `get_fills`, never in an acknowledgement. ``ConnectionLost`` comes at once, also when the
        connection has merely gone silent; ``ConnectionRestored`` only when events flow again.
        """
        ...

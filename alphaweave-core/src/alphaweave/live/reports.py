"""What a broker tells: fills, order updates, account snapshots, answers to queries.

Sizes, prices and amounts are exact ``Decimal``; times are timezone-aware UTC; ``symbol`` is the
config's symbol, or the ``venue_symbol`` of an instrument the config does not name.

``foreign`` is the adapter's word that a thing is in no symbol of the config or bears no client id of this
project's. It is reported, flagged, never dropped. The engine calls no order and no fill foreign while a
submit in its symbol is in flight or UNKNOWN: a leg whose id is the broker's own may fill before the answer
that names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from attrs import field, frozen
from attrs.validators import in_

from alphaweave.core.money import Money
from alphaweave.core.order import OrderRef, OrderRequest, OrderStatus, Side

__all__ = [
    "Balance",
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


@frozen
class BrokerFill:
    """One execution, as the broker reports it.

    Attributes:
        account: the broker's account id.
        execution_key: unique per account over all symbols for ever; a correction keeps the key and
            raises ``revision`` (Binance: ``BTCUSDT:56``; IBKR: the execId less its last segment).
        broker_order_id: the order it belongs to; alone it identifies that order in the account (Binance,
            whose order ids are unique by symbol only: ``BTCUSDT:123``).
        client_order_id: AlphaWeave's id of the order version, None where the broker does not say.
        side, size, price: size is positive, in units; price in quote currency.
        cumulative: filled quantity of the order after this execution, where the broker says. Two fills
            of one broker order with equal cumulative, size and price are one execution, whatever keys
            they bear.
        fees: None means not known; empty means there are none. A FeeReport follows a None where
            ``Capabilities.fee_reports`` says so; elsewhere it may stay None for ever, and what was charged
            comes as a CashFlow.
        executed_at: the broker's time; received_at: this machine's.
    """

    account: str
    execution_key: str
    broker_order_id: str
    client_order_id: str | None
    symbol: str
    side: Side
    size: Decimal
    price: Decimal
    executed_at: datetime
    received_at: datetime
    revision: int = 0
    cumulative: Decimal | None = None
    fees: tuple[Money, ...] | None = None
    foreign: bool = False


@frozen
class OrderUpdate:
    """The broker's word on an order's status. Fills never travel in it: ``cumulative`` is a check.

    Attributes:
        ref: the names that the broker's word bears: client id, symbol, broker id. ``wire`` and
            ``decided_at`` are the engine's own and need not be in it.
        cumulative: filled quantity so far, None where the broker does not say (it is then not zero but
            unknown).
        reason: a reason code of the adapter's own, lower case, for a refusal or an end (``expired``).
        text: the broker's own words.
        replaced_by: for a version that a replacement ended, the new version's client id.
    """

    ref: OrderRef
    status: OrderStatus
    received_at: datetime
    cumulative: Decimal | None = None
    average_price: Decimal | None = None
    reason: str | None = None
    text: str = ""
    broker_time: datetime | None = None
    replaced_by: str | None = None
    foreign: bool = False


@frozen
class FeeReport:
    """Fees of an execution that became known later than the fill. It replaces earlier figures."""

    account: str
    execution_key: str
    fees: tuple[Money, ...]
    received_at: datetime


@frozen
class FillCorrection:
    """An execution was restated: ``fill`` has the same key and the higher revision; None is a bust."""

    account: str
    execution_key: str
    revision: int
    fill: BrokerFill | None
    received_at: datetime
    text: str = ""

    def __attrs_post_init__(self) -> None:
        fill = self.fill
        if fill is not None and (fill.execution_key, fill.revision) != (self.execution_key, self.revision):
            raise ValueError(
                f"the correction is of {self.execution_key} revision {self.revision}, but its fill is "
                f"{fill.execution_key} revision {fill.revision}"
            )


@frozen
class CashFlow:
    """Money that moved for another reason than a fill: deposit, withdrawal, dividend, interest, fee.

    It comes as an event, in ``FillReport.flows``, or both. Not every broker repeats one that was missed,
    so a difference in cash that nothing explains is an alert; only one in a position halts its symbol.

    Attributes:
        key: unique per account for ever, so that a repeated report counts once.
        kind: ``deposit``, ``withdrawal``, ``dividend``, ``interest``, ``fee`` or the broker's own word.
        amount: signed: what the account has more of.
    """

    account: str
    key: str
    kind: str
    amount: Money
    at: datetime
    symbol: str | None = None
    text: str = ""


@frozen
class PositionChange:
    """A position changed without an execution: split, assignment, transfer, forced close.

    Attributes:
        key: unique per account for ever.
        quantity: the signed change, in units; ``position`` is the signed total after it, if told.
    """

    account: str
    key: str
    symbol: str
    quantity: Decimal
    at: datetime
    position: Decimal | None = None
    kind: str = "other"
    text: str = ""
    foreign: bool = False


@frozen
class ConnectionLost:
    """Order entry or events are gone from ``at`` on: either of the two is enough, and silence counts.

    The engine sends no order until `ConnectionRestored` and a reconciliation. Cancels are still tried.

    Attributes:
        reason: which channel, and what is known of why.
    """

    at: datetime
    reason: str


@frozen
class ConnectionRestored:
    """Order entry works and events flow again (not merely: a socket is open).

    What was missed in between is not repeated by most brokers: the engine asks for it.
    """

    at: datetime
    detail: str = ""


@frozen
class BrokerNotice:
    """Something the operator should read: maintenance, delayed data, a rate limit warning.

    Attributes:
        severity: ``info``, ``warning`` or ``error``.
    """

    at: datetime
    severity: str = field(validator=in_(("info", "warning", "error")))
    code: str
    text: str
    symbol: str | None = None


BrokerEvent = (
    BrokerFill
    | OrderUpdate
    | FeeReport
    | FillCorrection
    | CashFlow
    | PositionChange
    | ConnectionLost
    | ConnectionRestored
    | BrokerNotice
)


@frozen
class OrderAck:
    """The broker took the request. A rejection may still follow, and fills never come in it.

    Attributes:
        ref: the order's names, now with ``broker_order_id`` where the broker gave one. It may still be
            None (IBKR's permId comes with a later event).
        broker_time: the broker's own UTC time of the acknowledgement, if it says.
    """

    ref: OrderRef
    received_at: datetime
    broker_time: datetime | None = None


@frozen
class BrokerOrder:
    """One order as a query finds it.

    Attributes:
        ref: the names that the broker's word bears, as in an `OrderUpdate`.
        request: the order's terms as the broker holds them; None where it cannot be expressed. Where a
            replacement keeps the broker's id, they tell which version works.
        quantity: total units; None for a quote-quantity order whose size the broker does not state.
        filled: units executed so far.
        client_order_id: None for an order that bears none (somebody else's).
        replaced_by: for a version that a replacement ended, the new version's client id, where known.
        foreign: not placed under a client id of AlphaWeave's.
    """

    ref: OrderRef
    client_order_id: str | None
    status: OrderStatus
    side: Side
    quantity: Decimal | None
    filled: Decimal
    as_of: datetime
    request: OrderRequest | None = None
    average_price: Decimal | None = None
    submitted_at: datetime | None = None
    reason: str | None = None
    text: str = ""
    replaced_by: str | None = None
    foreign: bool = False


@frozen
class FillQuery:
    """Which executions to fetch.

    Attributes:
        since: UTC; executions at or after it. The answer may begin earlier, never later, unless
            ``FillReport.complete_from`` says so.
        symbols: config symbols to ask for; None is all (brokers that can only answer by symbol then
            ask for every symbol of the config).
        cursor: what the last report handed back, the adapter's own text; None begins at ``since``. It
            was stored in the transaction that booked that report's fills, so that none is lost between.
    """

    since: datetime
    symbols: tuple[str, ...] | None = None
    cursor: str | None = None


@frozen
class FillReport:
    """Executions found, and how far back the answer can be trusted.

    Attributes:
        fills: every execution from ``since`` at least once; some may be known already.
        complete_from: per symbol, the UTC instant from which nothing is missing. An instant later than
            the query's ``since`` is a gap: the engine alerts, compares positions, and halts the symbols
            that differ. A symbol that is missing here was not answered for, whatever ``fills`` holds.
        cursor: for the next query; None where the broker has no such thing.
        flows: cash flows that the broker lists together with its executions, under the same cursor.
    """

    fills: tuple[BrokerFill, ...]
    complete_from: Mapping[str, datetime]
    cursor: str | None = None
    flows: tuple[CashFlow, ...] = ()


@frozen
class Balance:
    """One asset of an account.

    Attributes:
        total: what is owned; negative is owed.
        available, locked: the parts of it that no order and some order holds; None where the broker does
            not say.
    """

    total: Decimal
    available: Decimal | None = None
    locked: Decimal | None = None


@frozen
class BrokerAccountState:
    """A snapshot of the account.

    It is compared with the ledger, asset by asset, where it is ``complete`` and later than the ledger's
    last change of that asset. A position that differs without an explanation halts its symbol; cash that
    does is an alert.

    Attributes:
        account_id: what the broker calls the account.
        as_of: UTC instant that the figures are certainly not older than; a broker that gives none has
            the moment before the first call. Never later than the moment of asking.
        balances_as_of: the same for ``balances``, ``equity`` and ``buying_power``, where they may be
            older than the positions (IBKR's by three minutes); None: they are of ``as_of``.
        base_currency: what ``equity`` and ``buying_power`` are in.
        balances: asset -> balance.
        positions: config symbol (or foreign venue symbol) -> signed quantity; empty for spot venues,
            whose holdings are balances.
        complete: False when a part could not be fetched, or a fill came between the calls that made it;
            it is then compared with nothing.
        foreign: keys of ``positions`` that the config does not name.
    """

    account_id: str
    as_of: datetime
    base_currency: str
    balances: Mapping[str, Balance]
    positions: Mapping[str, Decimal] = field(factory=lambda: MappingProxyType({}))
    equity: Decimal | None = None
    buying_power: Decimal | None = None
    complete: bool = True
    foreign: Sequence[str] = ()
    balances_as_of: datetime | None = None

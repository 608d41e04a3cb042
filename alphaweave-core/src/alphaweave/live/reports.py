"""What a broker tells: fills, order updates, account snapshots, answers to queries.

Sizes, prices and amounts are exact ``Decimal``; times are timezone-aware UTC; ``symbol`` is the
config's symbol, or the ``venue_symbol`` of an instrument the config does not name (``foreign``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from attrs import field, frozen

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
        broker_order_id: the order it belongs to.
        client_order_id: AlphaWeave's id of the order version, None where the broker does not say.
        side, size, price: size is positive, in units; price in quote currency.
        cumulative: filled quantity of the order after this execution, where the broker says. Two fills
            of one broker order with equal cumulative, size and price are one execution, whatever keys
            they bear.
        fees: None means not known yet (a FeeReport follows); empty means there are none.
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
    """An execution was restated: ``fill`` has the same key and a higher revision; None is a bust."""

    account: str
    execution_key: str
    revision: int
    fill: BrokerFill | None
    received_at: datetime
    text: str = ""


@frozen
class CashFlow:
    """Money that moved for another reason than a fill: deposit, withdrawal, dividend, interest, fee.

    Attributes:
        key: unique per account for ever, so that a repeated report counts once.
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
    """Events may be missing from ``at`` on; also raised for a connection that has gone silent."""

    at: datetime
    reason: str


@frozen
class ConnectionRestored:
    """Events flow again (not merely: a socket is open)."""

    at: datetime
    detail: str = ""


@frozen
class BrokerNotice:
    """Something the operator should read: maintenance, delayed data, a rate limit warning.

    Attributes:
        severity: ``info``, ``warning`` or ``error``.
    """

    at: datetime
    severity: str
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
        ref: the order's names, now with ``broker_order_id`` where the broker gave one.
        broker_time: the broker's own UTC time of the acknowledgement, if it says.
    """

    ref: OrderRef
    received_at: datetime
    broker_time: datetime | None = None


@frozen
class BrokerOrder:
    """One order as a query finds it.

    Attributes:
        request: the order's terms as the broker holds them; None where it cannot be expressed.
        quantity: total units; None for a quote-quantity order whose size the broker does not state.
        filled: units executed so far.
        client_order_id: None for an order that bears none (somebody else's).
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
    foreign: bool = False


@frozen
class FillQuery:
    """Which executions to fetch.

    Attributes:
        since: UTC; executions at or after it. The answer may begin earlier, never later, unless
            ``FillReport.complete_from`` says so.
        symbols: config symbols to ask for; None is all (brokers that can only answer by symbol then
            ask for every symbol of the config).
        cursor: what the last report handed back; the adapter's own text.
    """

    since: datetime
    symbols: tuple[str, ...] | None = None
    cursor: str | None = None


@frozen
class FillReport:
    """Executions found, and how far back the answer can be trusted.

    Attributes:
        complete_from: per symbol, the UTC instant from which nothing is missing. An instant later than
            the query's ``since`` is a gap: the engine alerts and compares positions.
        cursor: hand it to the next query.
    """

    fills: tuple[BrokerFill, ...]
    complete_from: Mapping[str, datetime]
    cursor: str | None = None


@frozen
class Balance:
    """One asset of an account: ``total`` = ``available`` + ``locked``."""

    total: Decimal
    available: Decimal
    locked: Decimal


@frozen
class BrokerAccountState:
    """A snapshot of the account.

    Attributes:
        account_id: what the broker calls the account.
        as_of: UTC instant that the figures hold for, never later than the moment of asking.
        base_currency: what ``equity`` and ``buying_power`` are in.
        balances: asset -> balance.
        positions: config symbol (or foreign venue symbol) -> signed quantity; empty for spot venues,
            whose holdings are balances.
        complete: False when a part could not be fetched; it is then compared with nothing.
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

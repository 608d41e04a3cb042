"""Orders that a replay makes cheaply: what is seldom asked for is made when somebody asks.

A replayed market order that fills whole at the next open needs no id, no request and no record to get there.
`ExpressOrder`, `ExpressFill` and the notes below hold the figures, and make of them what the contracts name
(`OrderRef`, `OrderRequest`, `BrokerFill`, `TradeRecord`, `OrderRecord`), each equal to the one that the
long way makes.
"""

from __future__ import annotations

from decimal import Decimal

from alphaweave.core.clock import from_ns
from alphaweave.core.drafts import drafted
from alphaweave.core.ids import ClientIds
from alphaweave.core.money import ZERO, Money
from alphaweave.core.order import OrderRef, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from alphaweave.live.ledger_entries import Execution
from alphaweave.live.orders import Order, SymbolBook
from alphaweave.live.reports import BrokerFill
from alphaweave.monitoring.monitor import OrderRecord, TradeRecord

__all__ = ["AcceptedNote", "ExpressFill", "ExpressOrder", "FilledNote", "TradeNote"]

_PENDING = OrderStatus.PENDING
_BUY, _MARKET = Side.BUY, OrderType.MARKET
_OrderRecord = drafted(OrderRecord)
_TradeRecord = drafted(TradeRecord)


class ExpressOrder(Order):
    """A market order in units, DAY or GTC, whose names are made on demand.

    Attributes:
        buy: whether ``side`` is BUY.
        tif: its time in force.
        number: which order of its decision it is.
        place: its place at the venue; 0 before the venue has taken it.
        units: how many, as decided; ``quantity`` may be replaced once it is an ordinary order.
        submitted: when the venue took it, nanoseconds.
    """

    __slots__ = (
        "_id",
        "_ids",
        "_ref",
        "_request",
        "_trigger",
        "buy",
        "number",
        "place",
        "submitted",
        "tif",
        "units",
    )

    def __init__(  # noqa: PLR0917 - runs for every order, and keywords cost
        self,
        book: SymbolBook,
        side: Side,
        quantity: Decimal,
        tif: TimeInForce,
        decided_at: int,
        reference: float | None,
        ids: ClientIds,
        trigger: str | None,
    ) -> None:
        self._id: str | None = None
        self._ref: OrderRef | None = None
        self._request: OrderRequest | None = None
        self._ids = ids
        self._trigger = trigger
        self.number = 0
        self.place = 0
        self.submitted = 0
        self.tif = tif
        self.book = book
        self.symbol = book.symbol
        self.side = side
        self.buy = side is _BUY
        self.quantity = self.units = quantity
        self.status = _PENDING
        self.filled = ZERO
        self.filled_value = ZERO
        self.reason = None
        self.text = ""
        self.decided_at = decided_at
        self.reference = reference
        self.adjustments = ()
        self.version = 0
        self.told = 0
        self.group = None
        self.ending = None
        self.change = None
        self.change_ref = None
        self.succession = None
        self.reserved = ZERO
        self.intends = True
        self.handed_over = False

    @property
    def id(self) -> str:
        own = self._id
        if own is None:
            own = self._id = self._ids.of(self._trigger, self.decided_at, self.number)
        return own

    @id.setter  # noqa: A003 - the name of every order's id
    def id(self, own: str) -> None:
        self._id = own

    @property
    def ref(self) -> OrderRef:
        if self._ref is None:
            broker_id = f"sim-{self.place}" if self.place else None
            self._ref = OrderRef(self.id, self.symbol, broker_id, decided_at=from_ns(self.decided_at))
        return self._ref

    @ref.setter
    def ref(self, ref: OrderRef) -> None:
        self._ref = ref

    @property
    def request(self) -> OrderRequest:
        if self._request is None:
            self._request = OrderRequest(self.symbol, self.side, self.quantity, None, _MARKET, self.tif)
        return self._request

    @request.setter
    def request(self, request: OrderRequest) -> None:
        self._request = request


class ExpressFill(Execution):
    """The one execution of an `ExpressOrder`, as the ledger keeps it.

    Attributes:
        account, key, price: as in BrokerFill.
        received: nanoseconds, as ``at`` is.
    """

    __slots__ = ("_made", "account", "key", "order", "price", "received")

    def __init__(  # noqa: PLR0917 - runs for every fill, and keywords cost
        self,
        order: ExpressOrder,
        account: str,
        key: str,
        price: Decimal,
        fee: Decimal,
        executed: int,
        received: int,
    ) -> None:
        self._made: _Made | None = None
        self.order = order
        self.account = account
        self.key = key
        self.price = price
        self.charged = fee
        self.at = executed
        self.received = received
        self.revision = 0
        self.busted = False
        self.report = None

    @property
    def made(self) -> _Made:
        """What the venue would have reported, as it is known and as it is booked."""
        if self._made is None:
            order, fee = self.order, self.charged
            self._made = _Made(
                BrokerFill(
                    self.account,
                    self.key,
                    f"sim-{order.place}",
                    order.id,
                    order.symbol,
                    order.side,
                    order.units,
                    self.price,
                    from_ns(self.at),
                    from_ns(self.received),
                    0,
                    order.units,
                    (Money(order.book.instrument.settle, fee),) if fee else (),
                )
            )
        return self._made

    @property
    def fill(self) -> BrokerFill | None:
        return self.made.fill

    @fill.setter
    def fill(self, fill: BrokerFill | None) -> None:
        self.made.fill = fill

    @property
    def booked(self) -> BrokerFill:
        return self.made.booked

    @booked.setter
    def booked(self, booked: BrokerFill) -> None:
        self.made.booked = booked

    @property
    def fees(self) -> tuple[Money, ...] | None:
        return self.made.fees

    @fees.setter
    def fees(self, fees: tuple[Money, ...] | None) -> None:
        self.made.fees = fees


class _Made:
    __slots__ = ("booked", "fees", "fill")

    def __init__(self, fill: BrokerFill) -> None:
        self.fill: BrokerFill | None = fill
        self.booked = fill
        self.fees = fill.fees


# The notes are tuples: one is made, and kept, for each thing that happens to an order.


class AcceptedNote(tuple[int, ExpressOrder, Decimal | None]):
    """When (ns) the venue took an order, and of how many units: a replacement may change that later."""

    __slots__ = ()

    def record(self) -> OrderRecord:
        when, order, quantity = self
        return _order_record(order, when, OrderStatus.ACCEPTED, quantity, ZERO, None)


class FilledNote(tuple[int, ExpressOrder, Decimal]):
    """When (ns) an order was filled, and at what price."""

    __slots__ = ()

    def record(self) -> OrderRecord:
        when, order, price = self
        return _order_record(order, when, OrderStatus.FILLED, order.quantity, order.filled, float(price))


class TradeNote(tuple[ExpressFill, Decimal | None, float, int]):
    """A fill; profit after fees of what it closed; units held after it; number of the slice."""

    __slots__ = ()

    def record(self) -> TradeRecord:
        fill, profit, position, index = self
        order = fill.order
        price = float(fill.price)
        reference = order.reference
        return _TradeRecord(
            from_ns(fill.at),
            order.symbol,
            order.side.value,
            price,
            float(order.units),
            float(fill.charged),
            order.id,
            fill.key,
            position,
            None if reference is None else (price - reference) * order.side.sign,
            None if profit is None else float(profit),
            None,
            index,
            order.book.worth(float(order.units), price),
        )


def _order_record(  # noqa: PLR0917 - the fields of a record
    order: ExpressOrder,
    when: int,
    status: OrderStatus,
    quantity: Decimal | None,
    filled: Decimal,
    average: float | None,
) -> OrderRecord:
    return _OrderRecord(
        from_ns(when),
        order.id,
        order.symbol,
        order.side.value,
        _MARKET.value,
        order.tif.value,
        status.value,
        quantity,
        filled,
        None,
        None,
        average,
    )

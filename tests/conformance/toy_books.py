"""The books of a toy venue: orders, executions, cash and positions, and what is matched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import define, evolve, field

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Money
from alphaweave.core.order import GroupKind, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from alphaweave.testing.venue import Truth, TruthExecution, TruthOrder

FEE = Decimal("0.05")
Words = dict[str, Any]


@define(eq=False)
class ToyOrder:
    """One order version. An exit of a bracket is held until its entry is filled."""

    id: str
    client: str | None
    request: OrderRequest
    status: OrderStatus = OrderStatus.ACCEPTED
    filled: Decimal = Decimal(0)
    replaced_by: str | None = None
    foreign: bool = False
    group: str | None = None
    exits: bool = False
    held: bool = False

    @property
    def quantity(self) -> Decimal:
        assert self.request.quantity is not None
        return self.request.quantity


class Refused(Exception):
    """The venue says no."""


@define(eq=False)
class ToyBooks:
    """Everything the venue knows. ``tell`` is given each event as it goes to the wire."""

    instruments: Mapping[str, Instrument]
    now: Callable[[], datetime]
    tell: Callable[[Words], None]
    orders: dict[str, ToyOrder] = field(factory=dict)
    executions: list[TruthExecution] = field(factory=list)
    cash: Decimal = Decimal(1_000_000)
    positions: dict[str, Decimal] = field(factory=dict)
    prices: dict[str, Decimal] = field(factory=dict)
    flows: list[Words] = field(factory=list)
    halted: set[str] = field(factory=set)

    def by_client(self, client: str) -> ToyOrder | None:
        return next((order for order in self.orders.values() if order.client == client), None)

    def check(self, client: str | None, request: OrderRequest) -> None:
        rules = self.instruments.get(request.symbol)
        if rules is None:
            raise Refused("unknown_symbol")
        if request.symbol in self.halted:
            raise Refused("halted")
        if client is not None and self.by_client(client) is not None:
            raise Refused("duplicate_id")
        assert request.quantity is not None
        price = request.limit_price or request.stop_price or self.prices.get(request.symbol, Decimal(100))
        if request.quantity % rules.size_step or price % rules.price_step(price):
            raise Refused("off_grid")
        if request.side is Side.BUY and request.quantity * price > self.cash:
            raise Refused("funds")

    def place(self, client: str | None, request: OrderRequest, **more: Any) -> ToyOrder:
        order = ToyOrder(f"T{len(self.orders) + 1}", client, request, **more)
        self.orders[order.id] = order
        self.tell(self.update(order))
        return order

    def submit(self, client: str | None, request: OrderRequest, *, foreign: bool = False) -> ToyOrder:
        self.check(client, request)
        order = self.place(client, request, foreign=foreign)
        last = self.prices.get(request.symbol)
        if last is not None and not foreign:
            self.match(order, last)
            if request.tif is TimeInForce.IOC and not order.status.terminal:
                self.end(order, OrderStatus.EXPIRED)
        return order

    def submit_group(self, kind: GroupKind, legs: Sequence[tuple[str, OrderRequest]]) -> list[ToyOrder]:
        for client, request in legs:
            self.check(client, request)
        group, entries = f"G{len(self.orders) + 1}", 1 if kind is GroupKind.BRACKET else 0
        placed = [
            self.place(client, request, group=group, exits=number >= entries, held=0 < entries <= number)
            for number, (client, request) in enumerate(legs)
        ]
        last = self.prices.get(placed[0].request.symbol)
        for order in placed:
            if last is not None and not order.status.terminal:
                self.match(order, last)
        return placed

    def link(self, order: ToyOrder) -> None:
        """What the end of an order means for the others of its group."""
        if order.group is None:
            return
        others = [each for each in self.orders.values() if each.group == order.group and each.exits]
        for other in others:
            if not order.exits and order.status is OrderStatus.FILLED:
                other.held = False
            elif other is not order and not other.status.terminal:
                self.end(other, OrderStatus.CANCELLED)

    def set_price(self, symbol: str, price: Decimal) -> None:
        self.prices[symbol] = price
        for order in list(self.orders.values()):
            if order.request.symbol == symbol and not order.status.terminal:
                self.match(order, price)

    def match(self, order: ToyOrder, price: Decimal) -> None:
        request, buys = order.request, order.request.side is Side.BUY
        limit, stop = request.limit_price, request.stop_price
        reached = request.type is OrderType.MARKET
        if limit is not None:
            reached = price <= limit if buys else price >= limit
        if stop is not None:
            reached = price >= stop if buys else price <= stop
        if reached and not order.held:
            self.execute(order, order.quantity - order.filled, price)

    def execute(self, order: ToyOrder, size: Decimal, price: Decimal) -> None:
        order.filled += size
        done = order.filled == order.quantity
        order.status = OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED
        symbol, side = order.request.symbol, order.request.side
        one = TruthExecution(
            id=f"X{len(self.executions) + 1}",
            venue_order_id=order.id,
            client_order_id=order.client,
            symbol=symbol,
            side=side,
            size=size,
            price=price,
            at=self.now(),
            fees=(Money("USD", FEE),),
        )
        self.executions.append(one)
        self.book(symbol, side.sign * size, price, FEE)
        self.tell({**self.fill(one), "cum": str(order.filled)})
        self.tell(self.update(order))
        if done:
            self.link(order)

    def book(self, symbol: str, units: Decimal, price: Decimal, fee: Decimal = Decimal(0)) -> None:
        self.positions[symbol] = self.positions.get(symbol, Decimal(0)) + units
        self.cash -= units * price + fee

    def end(self, order: ToyOrder, status: OrderStatus) -> None:
        order.status = status
        self.tell(self.update(order))
        if order.replaced_by is None:
            self.link(order)

    def replace(self, order: ToyOrder, client: str, change: Words) -> ToyOrder:
        if order.status.terminal:
            raise Refused("not_working")
        terms: Words = {name: Decimal(value) for name, value in change.items()}
        request: OrderRequest = evolve(order.request, **terms)
        new = ToyOrder(f"T{len(self.orders) + 1}", client, request, filled=order.filled)
        new.group, new.exits, new.held = order.group, order.exits, order.held
        self.orders[new.id] = new
        order.replaced_by = client
        self.end(order, OrderStatus.CANCELLED)
        self.tell(self.update(new))
        return new

    def restate(self, id_: str, size: Decimal, price: Decimal) -> TruthExecution:
        at = next(number for number, one in enumerate(self.executions) if one.id == id_)
        old = self.executions[at]
        self.book(old.symbol, old.side.sign * (size - old.size), Decimal(0))
        self.cash -= old.side.sign * (size * price - old.size * old.price)
        self.executions[at] = new = evolve(old, size=size, price=price)
        return new

    @staticmethod
    def fill(one: TruthExecution) -> Words:
        return {
            "ev": "fill",
            "key": one.id,
            "order": one.venue_order_id,
            "client": one.client_order_id,
            "symbol": f"{one.symbol}.X",
            "side": one.side.value,
            "size": str(one.size),
            "price": str(one.price),
            "fee": str(sum((fee.amount for fee in one.fees), Decimal(0))),
            "at": one.at.isoformat(),
        }

    def update(self, order: ToyOrder) -> Words:
        request = order.request
        terms = {name: getattr(request, name) for name in ("quantity", "limit_price", "stop_price")}
        return {
            "ev": "order",
            "order": order.id,
            "client": order.client,
            "symbol": f"{request.symbol}.X",
            "side": request.side.value,
            "type": request.type.value,
            "tif": request.tif.value,
            **{name: None if value is None else str(value) for name, value in terms.items()},
            "status": order.status.value,
            "filled": str(order.filled),
            "replaced_by": order.replaced_by,
            "at": self.now().isoformat(),
        }

    def truth(self) -> Truth:
        return Truth(
            orders=tuple(
                TruthOrder(
                    venue_order_id=order.id,
                    client_order_id=order.client,
                    symbol=order.request.symbol,
                    side=order.request.side,
                    status=order.status,
                    quantity=order.request.quantity,
                    filled=order.filled,
                    request=order.request,
                    foreign=order.foreign,
                    group=order.group,
                )
                for order in self.orders.values()
            ),
            executions=tuple(self.executions),
            balances={"USD": self.cash},
            positions={symbol: units for symbol, units in self.positions.items() if units},
        )

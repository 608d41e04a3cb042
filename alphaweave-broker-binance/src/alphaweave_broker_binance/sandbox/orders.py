"""Orders, their executions and the lists that join them, as the venue keeps them and as the wire has them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import define, field

from alphaweave.core.money import CONTEXT, ZERO, Money
from alphaweave.core.order import OrderRequest, OrderStatus, OrderType, Side, TimeInForce, Trail
from alphaweave_broker_binance.sandbox.figures import amount
from alphaweave_broker_binance.sandbox.pairs import Pair

__all__ = ["CONDITIONAL", "NO_LIST", "Execution", "Order", "OrderList"]

NO_LIST = -1
CONDITIONAL = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
_STATUSES = {
    "NEW": OrderStatus.ACCEPTED,
    "PENDING_NEW": OrderStatus.ACCEPTED,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELLED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}
_ENDED = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH"})
_KINDS = {
    "MARKET": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "STOP_LOSS": OrderType.STOP,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
    "TAKE_PROFIT": OrderType.TAKE_PROFIT,
    "TAKE_PROFIT_LIMIT": OrderType.TAKE_PROFIT_LIMIT,
}
_TIFS = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
_BIPS = Decimal(100)


@define(eq=False, kw_only=True)
class Order:
    """One order. Times are milliseconds, -1 for never.

    Attributes:
        id: unique within the pair only.
        client_id: unique among the orders of the account that are open, and only there.
        quantity: units; zero while an order in quote currency has not traded.
        quote_quantity: what a market order in quote currency is to spend or to raise.
        trailing: how far a trailing stop follows, in hundredths of a percent.
        triggered: a conditional order that has become a market or a limit order.
        best: the best price that a trailing stop has seen.
        resting: it has been in the book: others come to its price.
        locked: what it binds, of ``spends``.
        joined: the order list that it is part of.
        foreign: placed by somebody else.
        reason: why it expired, where the venue tells.
    """

    pair: Pair
    id: int
    client_id: str
    side: str
    type: str
    tif: str = "GTC"
    quantity: Decimal = ZERO
    quote_quantity: Decimal = ZERO
    price: Decimal = ZERO
    stop_price: Decimal = ZERO
    trailing: int = 0
    stp: str = "EXPIRE_MAKER"
    strategy_id: int | None = None
    strategy_type: int | None = None
    status: str = "NEW"
    executed: Decimal = ZERO
    spent: Decimal = ZERO
    created: int = -1
    updated: int = -1
    working_since: int = -1
    trailing_since: int = -1
    triggered: bool = False
    best: Decimal | None = None
    resting: bool = False
    locked: Decimal = ZERO
    joined: OrderList | None = None
    foreign: bool = False
    reason: str | None = None
    amends: int = 0
    executions: list[Execution] = field(factory=list)

    @property
    def buy(self) -> bool:
        return self.side == "BUY"

    @property
    def open(self) -> bool:
        return self.status not in _ENDED

    @property
    def pending(self) -> bool:
        """It waits for the working order of its list."""
        return self.status == "PENDING_NEW"

    @property
    def conditional(self) -> bool:
        return self.type in CONDITIONAL

    @property
    def dormant(self) -> bool:
        """It waits for its trigger, or for another order."""
        return self.pending or (self.conditional and not self.triggered)

    @property
    def upward(self) -> bool:
        """A rise triggers it."""
        return self.buy == self.type.startswith("STOP_LOSS")

    @property
    def left(self) -> Decimal:
        return CONTEXT.subtract(self.quantity, self.executed)

    @property
    def spends(self) -> str:
        """The asset that it pays with."""
        return self.pair.quote if self.buy else self.pair.base

    @property
    def list_id(self) -> int:
        return NO_LIST if self.joined is None else self.joined.id

    def told(self) -> OrderStatus:
        """Where it stands, in AlphaWeave's words."""
        return _STATUSES[self.status]

    def request(self, symbol: str) -> OrderRequest | None:
        """Its terms in AlphaWeave's words; None where there are none for them."""
        kind = _KINDS.get(self.type)
        if self.trailing:
            kind = OrderType.TRAILING_STOP if self.type == "STOP_LOSS" and not self.stop_price else None
        if kind is None:
            return None
        limited = kind in {OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT}
        stopped = kind not in {OrderType.MARKET, OrderType.LIMIT, OrderType.TRAILING_STOP}
        return OrderRequest(
            symbol,
            Side.BUY if self.buy else Side.SELL,
            None if self.quote_quantity else self.quantity,
            self.quote_quantity or None,
            type=kind,
            # On the wire it bears GTC, and what is not filled at once ends all the same.
            tif=TimeInForce.IOC if kind is OrderType.MARKET else _TIFS[self.tif],
            limit_price=self.price if limited else None,
            stop_price=self.stop_price if stopped else None,
            trail=Trail(percent=self.trailing / _BIPS) if self.trailing else None,
            post_only=self.type == "LIMIT_MAKER",
        )

    # The wire ------------------------------------------------------------------------------------------

    def ack(self, client_id: str | None = None) -> dict[str, Any]:
        return {
            "symbol": self.pair.name,
            "orderId": self.id,
            "orderListId": self.list_id,
            "clientOrderId": client_id or self.client_id,
            "transactTime": self.updated,
        }

    def result(self, client_id: str | None = None) -> dict[str, Any]:
        return {**self.ack(client_id), **self._terms(), "workingTime": self.working_since, **self._more()}

    def full(self) -> dict[str, Any]:
        return {**self.result(), "fills": [execution.in_order() for execution in self.executions]}

    def answer(self, kind: str) -> dict[str, Any]:
        """What its placement is answered with: ACK, RESULT or FULL."""
        return {"ACK": self.ack, "RESULT": self.result, "FULL": self.full}[kind]()

    def cancelled(self, cancel_id: str) -> dict[str, Any]:
        """What its cancel is answered with: the client id is the cancel's."""
        return {"origClientOrderId": self.client_id, **self.result(cancel_id)}

    def queried(self) -> dict[str, Any]:
        return {
            "symbol": self.pair.name,
            "orderId": self.id,
            "orderListId": self.list_id,
            "clientOrderId": self.client_id,
            **self._terms(),
            "stopPrice": amount(self.stop_price),
            "icebergQty": amount(ZERO),
            "time": self.created,
            "updateTime": self.updated,
            "isWorking": not self.dormant,
            "workingTime": self.working_since,
            **self._more(),
        }

    def named(self) -> dict[str, Any]:
        """As lists refer to it."""
        return {"symbol": self.pair.name, "orderId": self.id, "clientOrderId": self.client_id}

    def _terms(self) -> dict[str, Any]:
        return {
            "price": amount(self.price),
            "origQty": amount(self.quantity),
            "executedQty": amount(self.executed),
            "origQuoteOrderQty": amount(self.quote_quantity),
            "cummulativeQuoteQty": amount(self.spent),
            "status": self.status,
            "timeInForce": self.tif,
            "type": self.type,
            "side": self.side,
        }

    def _more(self) -> dict[str, Any]:
        found: dict[str, Any] = {"selfTradePreventionMode": self.stp}
        if self.stop_price:
            found["stopPrice"] = amount(self.stop_price)
        if self.trailing:
            found["trailingDelta"] = self.trailing
            if self.trailing_since >= 0:
                found["trailingTime"] = self.trailing_since
        if self.strategy_id is not None:
            found["strategyId"] = self.strategy_id
        if self.strategy_type is not None:
            found["strategyType"] = self.strategy_type
        if self.reason is not None:
            found["expiryReason"] = self.reason
        return found


@define(eq=False)
class Execution:
    """One trade of an order. ``id`` is unique within the pair only."""

    order: Order
    id: int
    size: Decimal
    price: Decimal
    value: Decimal
    fee: Money
    maker: bool
    at: int

    def in_order(self) -> dict[str, Any]:
        """As the answer to the placement has it."""
        return {
            "price": amount(self.price),
            "qty": amount(self.size),
            "commission": amount(self.fee.amount),
            "commissionAsset": self.fee.asset,
            "tradeId": self.id,
        }

    def wire(self) -> dict[str, Any]:
        """As myTrades has it."""
        return {
            "symbol": self.order.pair.name,
            "id": self.id,
            "orderId": self.order.id,
            "orderListId": self.order.list_id,
            "price": amount(self.price),
            "qty": amount(self.size),
            "quoteQty": amount(self.value),
            "commission": amount(self.fee.amount),
            "commissionAsset": self.fee.asset,
            "time": self.at,
            "isBuyer": self.order.buy,
            "isMaker": self.maker,
            "isBestMatch": True,
        }


@define(eq=False, kw_only=True)
class OrderList:
    """Orders that belong together.

    Attributes:
        contingency: ``OCO`` or ``OTO``; an OTOCO says OTO.
        working: the order that the others wait for; None in an OCO.
        exits: of an OCO both orders, else those that wait.
        status: ``EXECUTING`` or ``ALL_DONE``.
    """

    id: int
    client_id: str
    contingency: str
    pair: Pair
    exits: list[Order]
    working: Order | None = None
    status: str = "EXECUTING"
    updated: int = -1
    foreign: bool = False

    @property
    def orders(self) -> list[Order]:
        return self.exits if self.working is None else [self.working, *self.exits]

    def wire(self, kind: str) -> dict[str, Any]:
        """
        Args:
            kind: ``EXEC_STARTED``, ``ALL_DONE``, ...
        """
        return {
            "orderListId": self.id,
            "contingencyType": self.contingency,
            "listStatusType": kind,
            "listOrderStatus": self.status,
            "listClientOrderId": self.client_id,
            "transactionTime": self.updated,
            "symbol": self.pair.name,
            "orders": [order.named() for order in self.orders],
        }

    def queried(self) -> dict[str, Any]:
        return self.wire("EXEC_STARTED" if self.status == "EXECUTING" else "ALL_DONE")

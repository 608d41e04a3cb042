"""What Binance tells of an account, as the records of the contract: symbols, ids, fills, orders, balances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from alphaweave.core.money import CONTEXT, ZERO, Money
from alphaweave.core.order import OrderRef, OrderStatus, Side
from alphaweave.live.broker import (
    Balance,
    BrokerAccountState,
    BrokerEvent,
    BrokerFill,
    BrokerNotice,
    BrokerOrder,
    CashFlow,
    OrderUpdate,
)
from alphaweave_broker_binance.mapping import amount, is_ours, moment, request_of, status_of, text_of

__all__ = ["Translator"]


# A list of executions may go far back: it names no orders, and each that is not known is asked for.
_ENDED_KEPT: Final = 50_000


class Translator:
    """Knows the symbols of the config, and which order of Binance's bears which name.

    Attributes:
        account: Binance's number of the account; known after `BinanceAdapter.connect`.
    """

    def __init__(self, symbols: Sequence[str], names: Mapping[str, str]) -> None:
        self.account = ""
        self._venue = {symbol: names.get(symbol, symbol) for symbol in symbols}
        self._symbol = {venue: symbol for symbol, venue in self._venue.items()}
        self._names: dict[str, str] = {}
        self._ended: dict[str, None] = {}
        self._theirs: set[str] = set()

    def venue_symbol(self, symbol: str) -> str:
        """What Binance calls a symbol of the config."""
        return self._venue.get(symbol, symbol)

    def symbol(self, venue_symbol: str) -> str:
        """What the config calls a symbol of Binance's; Binance's own where it does not name it."""
        return self._symbol.get(venue_symbol, venue_symbol)

    def bind(self, broker_order_id: str, client_order_id: str) -> None:
        """An order of Binance's is from now on known by this name."""
        self._names[broker_order_id] = client_order_id

    def is_known(self, broker_order_id: str) -> bool:
        """Whether it is known whose order that is."""
        return broker_order_id in self._names or broker_order_id in self._theirs

    def is_theirs(self, broker_order_id: str) -> None:
        """From now on that order is somebody else's."""
        self._theirs.add(broker_order_id)

    def learn(self, order: Mapping[str, Any]) -> None:
        """Whose an order is, for the executions that do not say."""
        ref = self.ref(order)
        if ref.broker_order_id not in self._names:
            self._theirs.add(str(ref.broker_order_id))

    def ref(self, order: Mapping[str, Any]) -> OrderRef:
        """The names that an order bears in the answer to a question."""
        return self._ref(
            text_of(order, "symbol"),
            order.get("orderId"),
            order.get("origClientOrderId"),
            order.get("clientOrderId"),
        )

    def _ref(self, venue_symbol: str, order_id: Any, original: Any, name: Any) -> OrderRef:
        if isinstance(order_id, bool) or not isinstance(order_id, int):
            raise ValueError(f"an order id is a number, not {order_id!r}")
        broker_id = f"{venue_symbol}:{order_id}"
        # In what is said of a cancel, the order's own name is the original one, and the other the cancel's.
        own = str(original or name or "")
        if broker_id not in self._names and is_ours(own):
            self._names[broker_id] = own
        return OrderRef(self._names.get(broker_id, own), self.symbol(venue_symbol), broker_id)

    def order(self, order: Mapping[str, Any], as_of: datetime) -> BrokerOrder:
        """An order as a question found it."""
        ref = self.ref(order)
        filled = amount(order.get("executedQty"), "executedQty")
        quantity = amount(order.get("origQty"), "origQty")
        status = status_of(order.get("status"), filled)
        if status.terminal:
            self._end(str(ref.broker_order_id))
        return BrokerOrder(
            ref=ref,
            client_order_id=ref.client_order_id or None,
            status=status,
            side=Side[text_of(order, "side")],
            quantity=quantity if quantity > ZERO else None,
            filled=filled,
            as_of=as_of,
            request=request_of(order, ref.symbol),
            average_price=_average(order.get("cummulativeQuoteQty"), filled),
            submitted_at=moment(order["time"]) if "time" in order else None,
            reason=str(order.get("expiryReason") or "").lower() or None,
            foreign=self._foreign(ref),
        )

    def event(self, told: Mapping[str, Any], received_at: datetime) -> tuple[BrokerEvent, ...]:
        """One event of the account's stream: an execution comes with the status that it led to.

        Raises:
            KeyError, ValueError: it lacks what it cannot do without.
        """
        word = told.get("e")
        if word == "executionReport":
            return self._report(told, received_at)
        if word == "balanceUpdate":
            return (self._flow(told),)
        if word == "externalLockUpdate":
            text = f"{told.get('d')} {told.get('a')} of the account were locked or freed from outside"
            return (BrokerNotice(received_at, "warning", "external_lock", text),)
        # Totals, and what lists of orders do, are in the books, and in the reports of their orders.
        return ()

    def _report(self, told: Mapping[str, Any], received_at: datetime) -> tuple[BrokerEvent, ...]:
        venue_symbol = text_of(told, "s")
        ref = self._ref(venue_symbol, told.get("i"), told.get("C"), told.get("c"))
        filled, at = amount(told.get("z"), "z"), moment(told.get("T"))
        foreign = self._foreign(ref)
        execution: tuple[BrokerFill, ...] = ()
        if told.get("x") == "TRADE":
            fill = BrokerFill(
                account=self.account,
                execution_key=_execution(venue_symbol, told.get("t")),
                broker_order_id=str(ref.broker_order_id),
                client_order_id=ref.client_order_id or None,
                symbol=ref.symbol,
                side=Side[text_of(told, "S")],
                size=amount(told.get("l"), "l"),
                price=amount(told.get("L"), "L"),
                executed_at=at,
                received_at=received_at,
                cumulative=filled,
                fees=_fees(told.get("n"), told.get("N")),
                foreign=foreign,
            )
            execution = (fill,)
        status = status_of(told.get("X"), filled)
        words = [str(told.get(name) or "NONE") for name in ("r", "eR")]
        why = next((one for one in words if one != "NONE"), "")
        if status.terminal:
            self._end(str(ref.broker_order_id))
        ended = status.terminal and status is not OrderStatus.FILLED
        update = OrderUpdate(
            ref=ref,
            status=status,
            received_at=received_at,
            cumulative=filled,
            average_price=_average(told.get("Z"), filled),
            reason=(why or str(told.get("X"))).lower() if ended else None,
            text=why,
            broker_time=at,
            foreign=foreign,
        )
        return (*execution, update)

    def _flow(self, told: Mapping[str, Any]) -> CashFlow:
        asset, change = text_of(told, "a"), amount(told.get("d"), "d")
        return CashFlow(
            account=self.account,
            key=f"{told['T']}:{asset}:{told['d']}",
            kind="deposit" if change > ZERO else "withdrawal",
            amount=Money(asset, change),
            at=moment(told["T"]),
        )

    def trade(self, told: Mapping[str, Any], received_at: datetime) -> BrokerFill:
        """One execution out of the list of the account's, which does not bear our names."""
        venue_symbol = text_of(told, "symbol")
        ref = self._ref(venue_symbol, told.get("orderId"), None, None)
        return BrokerFill(
            account=self.account,
            execution_key=_execution(venue_symbol, told.get("id")),
            broker_order_id=str(ref.broker_order_id),
            client_order_id=ref.client_order_id or None,
            symbol=ref.symbol,
            side=Side.BUY if told["isBuyer"] is True else Side.SELL,
            size=amount(told.get("qty"), "qty"),
            price=amount(told.get("price"), "price"),
            executed_at=moment(told.get("time")),
            received_at=received_at,
            fees=_fees(told.get("commission"), told.get("commissionAsset")),
            foreign=self._foreign(ref),
        )

    def account_state(self, account: Mapping[str, Any], as_of: datetime, currency: str) -> BrokerAccountState:
        """What the account holds; Binance has no currency of its own to value it in."""
        balances = {}
        for one in account["balances"]:
            free, locked = amount(one.get("free"), "free"), amount(one.get("locked"), "locked")
            balances[text_of(one, "asset")] = Balance(CONTEXT.add(free, locked), free, locked)
        return BrokerAccountState(
            account_id=str(account["uid"]), as_of=as_of, base_currency=currency, balances=balances
        )

    def _end(self, broker_order_id: str) -> None:
        """An order is over: its name is let go when so many others are over that nothing asks for it."""
        self._ended[broker_order_id] = None
        if len(self._ended) > _ENDED_KEPT:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            self._names.pop(oldest, None)

    def _foreign(self, ref: OrderRef) -> bool:
        return ref.symbol not in self._venue or not (
            is_ours(ref.client_order_id) or ref.broker_order_id in self._names
        )


def _execution(venue_symbol: str, trade_id: Any) -> str:
    """Trade ids of two symbols may be equal."""
    if isinstance(trade_id, bool) or not isinstance(trade_id, int) or trade_id < 0:
        raise ValueError(f"a trade id is a number, not {trade_id!r}")
    return f"{venue_symbol}:{trade_id}"


def _fees(size: Any, asset: Any) -> tuple[Money, ...]:
    taken = amount(size or "0", "commission")
    if taken == ZERO:
        return ()
    if not isinstance(asset, str) or not asset:
        raise ValueError("a commission has an asset")
    return (Money(asset, taken),)


def _average(quote: Any, filled: Decimal) -> Decimal | None:
    # It is negative where it is not known, for orders of years ago.
    spent = ZERO if quote is None else amount(quote, "quote quantity")
    return CONTEXT.divide(spent, filled) if filled > ZERO and spent > ZERO else None

"""What Alpaca tells of an account, as the records of the contract: symbols, names of legs, fills, orders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from alphaweave.core.money import ZERO, Money
from alphaweave.core.order import OrderRef, OrderStatus, Side
from alphaweave.live.broker import Balance, BrokerAccountState, BrokerFill, BrokerOrder, CashFlow, OrderUpdate
from alphaweave_broker_alpaca.mapping import (
    EVENT_STATUS,
    activity_time,
    amount,
    flow_kind,
    is_combination,
    is_ours,
    leg_role,
    moment,
    request_of,
    status_of,
    text_of,
)

__all__ = ["Translator"]


# A list of executions may go far back: it names no orders, and each that is not known is asked for.
_ENDED_KEPT: Final = 50_000


class Translator:
    """Knows the symbols of the config, and which order of Alpaca's bears which name.

    Attributes:
        account: Alpaca's number of the account; known after `AlpacaAdapter.connect`.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        names: Mapping[str, str],
        heard: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        """``heard`` takes each order that was told of."""
        self.account = ""
        self._heard = heard
        self._venue = {symbol: names.get(symbol, symbol) for symbol in symbols}
        # Coins are positions at Alpaca's, whatever they are paid with; each is a balance here.
        pairs = [venue.split("/") for venue in self._venue.values() if "/" in venue]
        self._coins = {f"{coin}USD": coin for pair in pairs for coin in pair if coin != "USD"}
        # Positions of crypto have no slash, its orders have one.
        self._symbol = {venue.replace("/", ""): symbol for symbol, venue in self._venue.items()}
        self._names: dict[str, str] = {}
        self._ended: dict[str, None] = {}
        self._theirs: set[str] = set()
        # Legs of our own whose names are not bound: Alpaca gives them ids of its own.
        self._kin: set[str] = set()

    def venue_symbol(self, symbol: str) -> str:
        """What Alpaca calls a symbol of the config."""
        return self._venue.get(symbol, symbol)

    def symbol(self, venue_symbol: str) -> str:
        """What the config calls a symbol of Alpaca's; Alpaca's own where it does not name it."""
        return self._symbol.get(venue_symbol.replace("/", ""), venue_symbol)

    def bind(self, broker_order_id: str, client_order_id: str) -> None:
        """An order of Alpaca's is from now on known by this name (a leg has one of Alpaca's own)."""
        self._names[broker_order_id] = client_order_id

    def bind_legs(self, order: Mapping[str, Any], refs: Sequence[OrderRef]) -> list[OrderRef]:
        """The names of a group, with Alpaca's ids, out of the order that holds the legs.

        Raises:
            ValueError: a leg is missing.
        """
        legs = [leg for leg in order.get("legs") or () if isinstance(leg, dict)]
        bound = []
        for ref in refs:
            role = ref.wire.get("leg", "")
            one = order if role == "parent" else next((x for x in legs if leg_role(x) == role), None)
            if one is None:
                raise ValueError(f"Alpaca's answer has no {role} leg")
            broker_id = text_of(one, "id")
            self.bind(broker_id, ref.client_order_id)
            bound.append(OrderRef(ref.client_order_id, ref.symbol, broker_id, ref.wire, ref.decided_at))
        return bound

    def is_known(self, broker_order_id: str) -> bool:
        """Whether it is known whose order that is."""
        return any(broker_order_id in known for known in (self._names, self._kin, self._theirs))

    def is_foreign(self, order: Mapping[str, Any]) -> bool:
        """Whether an order is somebody else's, by all that is known."""
        return self._foreign(self.ref(order))

    def learn(self, order: Mapping[str, Any]) -> None:
        """Whose an order is, for the executions that do not say."""
        if is_combination(order) or self._foreign(self.ref(order)):
            self.learn_theirs(text_of(order, "id"))

    def learn_theirs(self, broker_order_id: str) -> None:
        """An order is somebody else's."""
        self._theirs.add(broker_order_id)

    def ref(self, order: Mapping[str, Any]) -> OrderRef:
        """The names that an order bears."""
        self._heard(order)
        broker_id = text_of(order, "id")
        theirs = order.get("client_order_id")
        if broker_id not in self._names and is_ours(theirs):
            self._names[broker_id] = str(theirs)
        if broker_id in self._names:
            self._kin.update(text_of(leg, "id") for leg in order.get("legs") or ())
        name = self._names.get(broker_id) or str(theirs or "")
        return OrderRef(name, self.symbol(text_of(order, "symbol")), broker_id)

    def order(self, order: Mapping[str, Any], as_of: datetime) -> BrokerOrder:
        """An order as a query found it."""
        ref = self.ref(order)
        filled = amount(order.get("filled_qty"), "filled_qty")
        average, quantity = order.get("filled_avg_price"), order.get("qty")
        submitted = order.get("submitted_at")
        successor = order.get("replaced_by")
        status = status_of(order.get("status"), filled)
        if status.terminal:
            self._end(str(ref.broker_order_id))
        return BrokerOrder(
            ref=ref,
            client_order_id=ref.client_order_id or None,
            status=status,
            side=Side(text_of(order, "side")),
            quantity=None if quantity is None else amount(quantity, "qty"),
            filled=filled,
            as_of=as_of,
            request=request_of(order, ref.symbol),
            average_price=None if average is None else amount(average, "filled_avg_price"),
            submitted_at=None if submitted is None else moment(submitted),
            replaced_by=None if successor is None else self._names.get(successor),
            foreign=self._foreign(ref),
        )

    def event(self, told: Mapping[str, Any], received_at: datetime) -> tuple[BrokerFill | OrderUpdate, ...]:
        """One message of the event stream: an execution comes with the status that it led to. Nothing of an
        order in several options at once, which is nobody's here: it has no symbol, and no side.

        Raises:
            KeyError, ValueError: it lacks what it cannot do without.
        """
        order = told["order"]
        if is_combination(order):
            return ()
        ref = self.ref(order)
        word = text_of(told, "event")
        filled = amount(order.get("filled_qty"), "filled_qty")
        at = told.get("timestamp") or told.get("at")
        execution: tuple[BrokerFill, ...] = ()
        if word in {"fill", "partial_fill"}:
            fill = BrokerFill(
                account=self.account,
                execution_key=text_of(told, "execution_id"),
                broker_order_id=text_of(order, "id"),
                client_order_id=ref.client_order_id or None,
                symbol=ref.symbol,
                side=Side(text_of(order, "side")),
                size=amount(told.get("qty"), "qty"),
                price=amount(told.get("price"), "price"),
                executed_at=moment(text_of({"timestamp": at}, "timestamp")),
                received_at=received_at,
                cumulative=filled,
                foreign=self._foreign(ref),
            )
            execution = (fill,)
        average = order.get("filled_avg_price")
        status = EVENT_STATUS.get(word) or status_of(order.get("status"), filled)
        if word == "fill":
            status = OrderStatus.FILLED
        if status.terminal:
            self._end(text_of(order, "id"))
        update = OrderUpdate(
            ref=ref,
            status=status,
            received_at=received_at,
            cumulative=filled,
            average_price=None if average is None else amount(average, "filled_avg_price"),
            reason=word if word in EVENT_STATUS or word.endswith("_rejected") else None,
            broker_time=None if at is None else moment(at),
            replaced_by=self._names.get(order["replaced_by"]) if order.get("replaced_by") else None,
            foreign=self._foreign(ref),
        )
        return (*execution, update)

    def activity(self, told: Mapping[str, Any], received_at: datetime) -> BrokerFill:
        """One execution among the activities of the account, whose id is not that of the event."""
        order_id = text_of(told, "order_id")
        symbol = self.symbol(text_of(told, "symbol"))
        cumulative = told.get("cum_qty")
        side = text_of(told, "side")
        return BrokerFill(
            account=self.account,
            execution_key=text_of(told, "id"),
            broker_order_id=order_id,
            client_order_id=self._names.get(order_id),
            symbol=symbol,
            side=Side.BUY if side.startswith("buy") else Side.SELL,
            size=amount(told.get("qty"), "qty"),
            price=amount(told.get("price"), "price"),
            executed_at=moment(text_of(told, "transaction_time")),
            received_at=received_at,
            cumulative=None if cumulative is None else amount(cumulative, "cum_qty"),
            foreign=symbol not in self._venue or not (order_id in self._names or order_id in self._kin),
        )

    def flow(self, told: Mapping[str, Any]) -> CashFlow | None:
        """Money that moved, among the activities; None for what moved units only, or was called off."""
        kind, net = text_of(told, "activity_type"), told.get("net_amount")
        if told.get("status") == "canceled" or (net is None and told.get("qty") is not None):
            return None
        sum_ = amount(net, "net_amount")
        if sum_ == ZERO:
            return None
        symbol = told.get("symbol")
        return CashFlow(
            account=self.account,
            key=text_of(told, "id"),
            kind=flow_kind(kind),
            amount=Money(str(told.get("currency") or "USD"), sum_),
            at=activity_time(told),
            symbol=self.symbol(symbol) if symbol else None,
            text=str(told.get("description") or ""),
        )

    def account_state(
        self,
        account: Mapping[str, Any],
        positions: Iterable[Mapping[str, Any]],
        as_of: datetime,
        *,
        complete: bool,
    ) -> BrokerAccountState:
        """The account and its positions; fields that Alpaca took away are not asked for."""
        held = {}
        coins = dict.fromkeys(self._coins.values(), Balance(ZERO))
        for one in positions:
            symbol = text_of(one, "symbol")
            size = abs(amount(one.get("qty"), "qty"))
            coin = self._coins.get(symbol.replace("/", ""))
            if coin is not None:
                coins[coin] = _balance(size, one.get("qty_available"))
            elif size != ZERO:
                held[self.symbol(symbol)] = -size if one.get("side") == "short" else size
        currency = str(account.get("currency") or "USD")
        equity, power = account.get("equity"), account.get("buying_power")
        return BrokerAccountState(
            account_id=text_of(account, "account_number"),
            as_of=as_of,
            base_currency=currency,
            balances={currency: Balance(amount(account.get("cash"), "cash")), **coins},
            positions=held,
            equity=None if equity is None else amount(equity, "equity"),
            buying_power=None if power is None else amount(power, "buying_power"),
            complete=complete,
            foreign=tuple(symbol for symbol in held if symbol not in self._venue),
        )

    def _end(self, broker_order_id: str) -> None:
        """An order is over: its name is let go when so many others are over that nothing asks for it."""
        self._ended[broker_order_id] = None
        if len(self._ended) > _ENDED_KEPT:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            self._names.pop(oldest, None)
            self._kin.discard(oldest)

    def _foreign(self, ref: OrderRef) -> bool:
        return ref.symbol not in self._venue or not (
            is_ours(ref.client_order_id)
            or ref.broker_order_id in self._names
            or ref.broker_order_id in self._kin
        )


def _balance(total: Decimal, available: Any) -> Balance:
    if available is None:
        return Balance(total)
    free = amount(available, "qty_available")
    return Balance(total, free, total - free)

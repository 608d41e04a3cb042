"""The matching engine and the books of one account: orders in, executions and events out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from random import Random

from alphaweave.core.clock import to_ns
from alphaweave.core.money import CONTEXT, ZERO
from alphaweave.sim.market import BarView
from alphaweave_broker_binance.sandbox.account import Account
from alphaweave_broker_binance.sandbox.admission import relock, unfit, units_for
from alphaweave_broker_binance.sandbox.figures import product
from alphaweave_broker_binance.sandbox.limits import Limits
from alphaweave_broker_binance.sandbox.matching import bar_of, tick, touch
from alphaweave_broker_binance.sandbox.orders import Execution, Order, OrderList
from alphaweave_broker_binance.sandbox.pairs import Pair
from alphaweave_broker_binance.sandbox.refusals import Refused
from alphaweave_broker_binance.sandbox.reports import (
    Event,
    account_position,
    balance_update,
    execution_report,
    list_status,
)
from alphaweave_broker_binance.sandbox.terms import Terms

__all__ = ["Venue"]

_FEE_ASSET = "BNB"


class Venue:
    """Orders of one account, matched against the last price of each pair.

    Attributes:
        pairs: by symbol.
        orders: oldest first; ended ones too.
        executions: oldest first.
        lists: by id.
        last: symbol -> the last price.
        average: symbol and minutes -> the average price; None where nothing was traded.
        tell: takes each event of the user data stream.
        rng: makes ids, and decides which executions are told in two parts.
    """

    def __init__(
        self,
        pairs: Mapping[str, Pair],
        account: Account,
        limits: Limits,
        *,
        now: Callable[[], datetime],
        partial_fills: float,
        seed: int,
    ) -> None:
        self.pairs = dict(pairs)
        self.account, self.limits = account, limits
        self.orders: list[Order] = []
        self.executions: list[Execution] = []
        self.lists: dict[int, OrderList] = {}
        self.last: dict[str, Decimal] = {}
        self.average: Callable[[str, int], Decimal | None] = lambda symbol, _: self.last.get(symbol)
        self.tell: Callable[[Event], None] = lambda _: None
        self.rng = Random(seed)
        self._now = now
        self._partial = partial_fills
        self._order_ids = dict.fromkeys(self.pairs, 0)
        self._trade_ids = dict.fromkeys(self.pairs, 0)
        self._reports = 0
        self._open: list[Order] = []

    # What there is -------------------------------------------------------------------------------------

    def now(self) -> int:
        """Milliseconds."""
        return to_ns(self._now()) // 1_000_000

    def pair(self, symbol: str) -> Pair:
        """
        Raises:
            Refused: there is none.
        """
        found = self.pairs.get(symbol)
        if found is None:
            raise Refused(-1121, "Invalid symbol.")
        return found

    def working(self, pair: Pair | None = None) -> list[Order]:
        """The orders that have not ended, oldest first."""
        self._open = [order for order in self._open if order.open]
        return [order for order in self._open if pair is None or order.pair is pair]

    def order(self, pair: Pair, order_id: int | None, client_id: str | None) -> Order | None:
        """The order under an id; under a client's id that was used again, the latest."""
        for order in reversed(self.orders):
            named = order_id in {None, order.id} and client_id in {None, order.client_id}
            if order.pair is pair and named:
                return order
        return None

    def list_under(self, client_id: str) -> OrderList | None:
        """The latest order list under the client's id."""
        return next((one for one in reversed(self.lists.values()) if one.client_id == client_id), None)

    # Orders --------------------------------------------------------------------------------------------

    def enter(self, terms: Terms, pair: Pair, *, pending: bool = False, foreign: bool = False) -> Order:
        """Make an order; nobody knows of it until it is started."""
        self._order_ids[pair.name] += 1
        now = self.now()
        order = Order(
            pair=pair,
            id=self._order_ids[pair.name],
            client_id=terms.client_id,
            side=terms.side,
            type=terms.type,
            tif=terms.tif,
            quantity=terms.quantity,
            quote_quantity=terms.quote_quantity,
            price=terms.price,
            stop_price=terms.stop_price,
            trailing=terms.trailing,
            stp=terms.stp,
            strategy_id=terms.strategy_id,
            strategy_type=terms.strategy_type,
            status="PENDING_NEW" if pending else "NEW",
            created=now,
            updated=now,
            foreign=foreign,
        )
        if order.trailing and not order.stop_price:
            order.best, order.trailing_since = self.last.get(pair.name), now
        self.orders.append(order)
        self._open.append(order)
        return order

    def start(self, order: Order) -> None:
        """Let an order work, at the price that the market is at."""
        self._set_working(order)
        relock(order, self.account)
        self._report(order, "NEW")
        self._tell_account(order.spends)
        price = self.last.get(order.pair.name)
        if price is not None:
            self._match(order, tick(price))
        if order.open and order.type == "MARKET":
            self.end(order, "EXPIRED", reason="INSUFFICIENT_LIQUIDITY")
        elif order.open and order.tif in {"IOC", "FOK"} and not order.dormant:
            self.end(order, "EXPIRED", reason=f"UNFILLED_{order.tif}_ORDER_EXPIRED")

    def wait(self, order: Order) -> None:
        """Tell of an order that waits for another."""
        self._report(order, "NEW")

    def end(
        self,
        order: Order,
        status: str,
        *,
        cancel_id: str | None = None,
        reason: str | None = None,
        reject: str = "NONE",
        alone: bool = False,
    ) -> None:
        """End an order, and with it those that it is joined with unless it goes ``alone``."""
        if not order.open:
            return
        order.status, order.updated, order.reason = status, self.now(), reason
        relock(order, self.account)
        self._report(order, status, cancel_id=cancel_id, reject=reject)
        self._tell_account(order.spends)
        joined = order.joined
        if joined is None or alone:
            return
        other = "OTO_PHASE_ONE_EXPIRED" if order is joined.working else "OCO_TRIGGER"
        for one in joined.orders:
            why = other if status == "EXPIRED" else None
            self.end(one, status, cancel_id=cancel_id, reason=why, reject=reject, alone=True)
        self._settle_list(joined)

    def amend(self, order: Order, quantity: Decimal, client_id: str) -> None:
        """Let there be less of an order, in its place."""
        order.quantity, order.client_id, order.updated = quantity, client_id, self.now()
        order.amends += 1
        relock(order, self.account)
        self._report(order, "REPLACED")
        self._tell_account(order.spends)

    def begin_list(self, orders: OrderList) -> None:
        """Tell of a list; its orders are started one by one."""
        orders.updated = self.now()
        self.lists[orders.id] = orders
        for order in orders.orders:
            order.joined = orders
        self.tell(list_status(orders, "EXEC_STARTED", orders.updated))

    def flow(self, asset: str, change: Decimal) -> None:
        """Let there be more or less of an asset though nothing was traded."""
        self.account.move(asset, change)
        self.account.updated = self.now()
        self.tell(balance_update(asset, change, self.now()))
        self._tell_account(asset)

    # The market ----------------------------------------------------------------------------------------

    def trade(self, pair: Pair, price: Decimal) -> None:
        """Let the market trade at a price: what can be executed there is."""
        self.last[pair.name] = price
        for order in self._waiting(pair):
            self._match(order, tick(price))

    def trade_minute(self, pair: Pair, prices: tuple[float, float, float, float], begin: int) -> None:
        """Let the market go through a minute that is over. Who came during it gets its close alone.

        Args:
            prices: open, high, low, close.
            begin: of the minute, milliseconds.
        """
        there = [order for order in self._waiting(pair) if order.created <= begin and not order.pending]
        view = bar_of(*prices)
        self.last[pair.name] = close = Decimal(repr(prices[3]))
        for order in there:
            self._match(order, view)
        for order in self._waiting(pair):
            if order not in there:
                self._match(order, tick(close))

    def fill(self, order: Order, size: Decimal | None, price: Decimal) -> Execution:
        """Execute so many units at a price, whatever the market does.

        Args:
            size: None is all that is left.
        """
        if order.dormant:
            order.triggered = True
            self._set_working(order)
        return self._book(order, order.left if size is None else size, price, maker=order.resting)

    def _waiting(self, pair: Pair) -> list[Order]:
        # Where both orders of an OCO could be met, nobody knows which was first: the stop is the worse one.
        return sorted(self.working(pair), key=lambda order: not order.dormant)

    def _match(self, order: Order, bar: BarView) -> None:
        if not order.open or order.pending or order.pair.status != "TRADING":
            return
        before = order.dormant
        hit = touch(order, bar, self.now())
        if before and order.triggered:
            self._part_from_others(order)
            if order.price:
                self._report(order, "NEW")
        if hit is None:
            order.resting = not order.dormant
            return
        price, maker = hit
        if order.quote_quantity and not order.quantity:
            order.quantity = units_for(order.quote_quantity, order.pair, price)
        if order.buy and not order.price and product(order.left, price) > self._affordable(order):
            self.end(order, "EXPIRED", reason="INSUFFICIENT_LIQUIDITY")
            return
        self._execute(order, price, maker=maker)

    def _affordable(self, order: Order) -> Decimal:
        return CONTEXT.add(self.account.of(order.spends).free, order.locked)

    def _execute(self, order: Order, price: Decimal, *, maker: bool) -> None:
        """Fill all that is left at ``price``; if chance has it, in two parts."""
        if self._partial and order.tif != "FOK" and self.rng.random() < self._partial:
            step = order.pair.step
            part = CONTEXT.multiply(CONTEXT.divide_int(order.left / 2, step), step)
            if ZERO < part < order.left:
                self._book(order, part, price, maker=maker)
        if order.left > ZERO:
            self._book(order, order.left, price, maker=maker)

    def _book(self, order: Order, size: Decimal, price: Decimal, *, maker: bool) -> Execution:
        pair, now = order.pair, self.now()
        value = product(size, price)
        if not order.executed:
            self.limits.filled()
        order.executed = CONTEXT.add(order.executed, size)
        order.spent = CONTEXT.add(order.spent, value)
        order.status = "FILLED" if order.left <= ZERO else "PARTIALLY_FILLED"
        order.updated = now
        relock(order, self.account)
        fee = self.account.book(
            pair, buy=order.buy, size=size, price=price, maker=maker, fee_price=self._fee_price(pair)
        )
        execution = Execution(order, self.trade_id(pair), size, price, value, fee, maker, now)
        order.executions.append(execution)
        self.executions.append(execution)
        self._report(order, "TRADE", execution)
        self._tell_account(pair.base, pair.quote, fee.asset)
        self._follow(order)
        return execution

    def trade_id(self, pair: Pair) -> int:
        """The next one in a pair; other pairs have the same numbers."""
        self._trade_ids[pair.name] += 1
        return self._trade_ids[pair.name]

    def _fee_price(self, pair: Pair) -> Decimal | None:
        return self.last.get(f"{_FEE_ASSET}{pair.quote}")

    # Orders that are joined ----------------------------------------------------------------------------

    def _follow(self, order: Order) -> None:
        """What an execution means for the orders around it."""
        joined = order.joined
        if joined is None:
            return
        if order is not joined.working:
            self._part_from_others(order)
        elif order.status == "FILLED":
            self._release(joined)
        self._settle_list(joined)

    def _part_from_others(self, order: Order) -> None:
        """End the other order of a pair when one begins to trade."""
        joined = order.joined
        if joined is None or order is joined.working:
            return
        for other in joined.exits:
            if other is not order and other.open:
                self.end(other, "EXPIRED", reason="OCO_TRIGGER", alone=True)
        relock(order, self.account)

    def _release(self, joined: OrderList) -> None:
        """Let the orders work that waited."""
        exits = [order for order in joined.exits if order.pending]
        last = self.last.get(joined.pair.name)
        refusal = unfit(exits, self.account, last) if exits else None
        for order in exits:
            if refusal is not None:
                self.end(order, "REJECTED", reject=refusal)
            else:
                order.status = "NEW"
        for order in exits if refusal is None else ():
            if order.open:
                self.start(order)

    def _settle_list(self, joined: OrderList) -> None:
        if joined.status == "EXECUTING" and not any(order.open for order in joined.orders):
            joined.status, joined.updated = "ALL_DONE", self.now()
            self.tell(list_status(joined, "ALL_DONE", joined.updated))

    # Events --------------------------------------------------------------------------------------------

    def _set_working(self, order: Order) -> None:
        if not order.dormant and order.working_since < 0:
            order.working_since = self.now()

    def _report(
        self,
        order: Order,
        kind: str,
        execution: Execution | None = None,
        *,
        cancel_id: str | None = None,
        reject: str = "NONE",
    ) -> None:
        self._reports += 1
        self.tell(
            execution_report(
                order,
                kind,
                now=self.now(),
                number=self._reports,
                execution=execution,
                cancel_id=cancel_id,
                reject=reject,
            )
        )

    def _tell_account(self, *assets: str) -> None:
        self.account.updated = self.now()
        self.tell(account_position(self.account, assets, self.now()))

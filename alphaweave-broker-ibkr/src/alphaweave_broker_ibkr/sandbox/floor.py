"""Where orders work: what prices do to them, what follows from that, and the books of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Protocol

from alphaweave.core.money import CONTEXT, ZERO
from alphaweave.sim.market import BarView
from alphaweave_broker_ibkr.sandbox.account import BASE, Account, commission_of
from alphaweave_broker_ibkr.sandbox.contracts import Catalog, Contract
from alphaweave_broker_ibkr.sandbox.hours import Hours
from alphaweave_broker_ibkr.sandbox.matching import tick, touch
from alphaweave_broker_ibkr.sandbox.orders import AUCTIONS, Execution, Order, moment_of

__all__ = ["Floor", "Listener"]

_EXTENDED = frozenset({"LMT", "STP LMT", "STP", "TRAIL"})


class Listener(Protocol):
    """Whoever tells the clients what happens."""

    def told(self, order: Order) -> None:
        """An order is another than before."""

    def executed(self, execution: Execution) -> None:
        """There is an execution, or a new revision of one."""

    def charged(self, execution: Execution) -> None:
        """The commission of an execution is known, or another."""

    def complained(self, order: Order, code: int, text: str) -> None:
        """There is something to say about an order."""

    def moved(self, contract: Contract | None) -> None:
        """A position changed, or the balances alone (None)."""


class Floor:
    """One account, its orders, and a market.

    Attributes:
        orders: every order, oldest first.
        executions: every execution, oldest first.
        last: contract number -> last price.
        halted: numbers of the contracts that do not trade; their orders wait.
    """

    def __init__(
        self,
        catalog: Catalog,
        account_number: str,
        *,
        cash: Decimal,
        hours: Hours,
        now: Callable[[], datetime],
        partial_fills: float,
        seed: int,
    ) -> None:
        self.catalog, self.hours, self.now = catalog, hours, now
        self.last: dict[int, Decimal] = {}
        self.halted: set[int] = set()
        self.account = Account(account_number, cash, lambda contract: self.last.get(contract.con_id))
        self.account.rates = self._rate
        self.orders: list[Order] = []
        self._living: list[Order] = []
        self.executions: list[Execution] = []
        self.listener: Listener
        self._partial, self._rng = partial_fills, Random(seed)
        self._execution = 0

    def living(self) -> list[Order]:
        """The orders that have not ended, oldest first."""
        # Those that ended are left behind: a long run has many of them.
        self._living = [order for order in self._living if order.open]
        return list(self._living)

    def _add(self, order: Order) -> None:
        self.orders.append(order)
        self._living.append(order)

    def end(self, order: Order, reason: str, *, expired: bool = False) -> None:
        """End an order, and with it the children that wait for it."""
        if not order.open:
            return
        order.status = "Cancelled" if order.perm_id else "ApiCancelled"
        order.expired, order.ended_at = expired, self.now()
        order.end_text = "Cancelled by System" if reason else "Cancelled by Trader"
        self.listener.told(order)
        self.listener.complained(order, 202, f"Order Canceled - reason:{reason}")
        for child in order.children:
            self.end(child, "Parent order is cancelled" if child.held else reason)

    def _start(self, order: Order) -> None:
        """Let an order work, at the price that the market is at."""
        if order.form.kind == "TRAIL" and order.best is None:
            order.best = self._first_best(order)
        self._match_last(order)
        if order.open and not order.filled:
            status = order.working_status()
            if status != order.status:
                order.status = status
                self.listener.told(order)

    def _first_best(self, order: Order) -> Decimal | None:
        start, amount = order.form.number("trailStopPrice"), order.form.aux
        if start is not None and amount is not None:
            return start - amount if order.form.buy else start + amount
        return self.last.get(order.contract.con_id)

    def _regular(self, order: Order) -> bool:
        return not order.form.flag("outsideRth") or order.form.kind not in _EXTENDED

    def _startable(self, order: Order) -> bool:
        now = self.now()
        after = moment_of(order.form.raw["goodAfterTime"])
        if after is not None and now < after:
            return False
        if order.form.kind in AUCTIONS:
            return False
        if order.form.tif == "OPG":
            opens, closes = self.hours.around(order.contract.sec_type, now, regular=True)
            return order.at < opens <= now < closes
        return self.hours.is_open(order.contract.sec_type, now, regular=self._regular(order))

    def settle(self) -> None:
        """Do what was due by now."""
        now = self.now()
        for order in self.living():
            if not order.transmitted or not order.perm_id:
                continue
            if order.expires_at is not None and order.expires_at <= now:
                if order.form.kind in AUCTIONS and not order.held:
                    self._close_auction(order)
                self.end(order, "Order has expired", expired=True)
            elif order.deferred and not order.held and self._startable(order):
                order.deferred = False
                self._start(order)

    def _close_auction(self, order: Order) -> None:
        price = self.last.get(order.contract.con_id)
        if price is not None:
            hit = touch(order, tick(price))
            if hit is not None:
                self.fill(order, None, hit)

    # Executions ----------------------------------------------------------------------------------------

    def trade(self, contract: Contract, bar: BarView) -> None:
        """Let the market trade: what can be executed there is."""
        self.settle()
        self.last[contract.con_id] = bar.close
        for order in self.living():
            if order.contract.con_id == contract.con_id and order.working:
                self._match(order, bar)

    def halt(self, contract: Contract, halted: bool) -> None:
        """Stop the trading in a contract, or let it go on at the last price."""
        (self.halted.add if halted else self.halted.discard)(contract.con_id)
        price = self.last.get(contract.con_id)
        if price is not None and not halted:
            self.trade(contract, tick(price))

    def fill(self, order: Order, size: Decimal | None, price: Decimal) -> Execution:
        """Execute so many units at a price, whatever the market does.

        Args:
            size: None is all that is left.
        """
        return self._book(order, order.left_to_buy(price) if size is None else size, price)

    def _match_last(self, order: Order) -> None:
        price = self.last.get(order.contract.con_id)
        if price is not None:
            self._match(order, tick(price))
        if order.open and order.form.tif in {"IOC", "FOK", "OPG"}:
            self.end(order, "Order was not filled at once")

    def _match(self, order: Order, bar: BarView) -> None:
        if not order.working or order.deferred or order.form.kind in AUCTIONS:
            return
        if order.contract.con_id in self.halted:
            return
        if not self.hours.is_open(order.contract.sec_type, self.now(), regular=self._regular(order)):
            return
        was = order.triggered
        hit = touch(order, bar)
        if hit is not None:
            self._execute(order, hit)
        elif order.triggered and not was:
            order.status = "Submitted"
            self.listener.told(order)

    def _execute(self, order: Order, price: Decimal) -> None:
        """Fill all that is left at ``price``; if chance has it, in two parts."""
        left = order.left_to_buy(price)
        if self._partial and order.form.tif != "FOK" and self._rng.random() < self._partial:
            step = order.contract.size_increment
            part = CONTEXT.multiply(CONTEXT.divide_int(left / 2, step), step)
            if ZERO < part < left:
                self._book(order, part, price)
                left -= part
        self._book(order, left, price)

    def _book(self, order: Order, size: Decimal, price: Decimal) -> Execution:
        order.filled += size
        order.value += size * price
        order.last_price = price
        done = order.form.cash is not None or order.remaining <= ZERO
        late = not order.open
        if done:
            self._complete(order)
        elif not late:
            order.status = "Submitted"
        self._execution += 1
        fee = commission_of(order.contract, size, price)
        realized = self.account.book(order.contract, size * order.side.sign, price)
        self.account.pay(self._fee_currency(order.contract), -fee)
        order.commission = fee + (order.commission or ZERO)
        execution = Execution(
            order=order,
            key=f"0000e0d5.{0x67C00000 + self._execution:08x}.01",
            size=size,
            price=price,
            at=self.now(),
            cumulative=order.filled,
            average=order.average,
            ref=order.form.ref,
            commission=fee,
            realized=realized,
        )
        self.executions.append(execution)
        self.listener.executed(execution)
        self.listener.told(order)
        self.listener.charged(execution)
        self.listener.moved(order.contract)
        if not late:
            self._follow(order, done=done)
        return execution

    def _complete(self, order: Order) -> None:
        order.status, order.ended_at = "Filled", self.now()
        order.end_text = f"Filled Size: {order.filled}"

    def _follow(self, order: Order, *, done: bool) -> None:
        """What an execution means for the orders around it."""
        if done:
            for child in order.children:
                if child.open and child.held:
                    child.held = False
                    if not child.perm_id:
                        continue  # it is on its way to the venue, and starts there
                    child.deferred = not self._startable(child)
                    if not child.deferred:
                        self._start(child)
        for other in self._joined(order):
            if done or other.form.oca_type == 1:
                self.end(other, "OCA")
            else:
                other.quantity = other.filled + order.remaining
                self.listener.told(other)

    def _joined(self, order: Order) -> list[Order]:
        group = order.form.raw["ocaGroup"]
        return [
            other
            for other in self.living()
            if other is not order
            and (
                (order.parent is not None and other.parent is order.parent)
                or (group and other.form.raw["ocaGroup"] == group)
            )
        ]

    @staticmethod
    def _fee_currency(contract: Contract) -> str:
        return BASE if contract.sec_type == "CASH" else contract.currency

    def _rate(self, currency: str) -> Decimal:
        """Dollars for one unit."""
        if currency == BASE:
            return Decimal(1)
        for base, quote, invert in ((currency, BASE, False), (BASE, currency, True)):
            for one in self.catalog:
                price = self.last.get(one.con_id)
                if one.sec_type == "CASH" and (one.symbol, one.currency) == (base, quote) and price:
                    return CONTEXT.divide(Decimal(1), price) if invert else price
        return Decimal(1)

    # Corrections ---------------------------------------------------------------------------------------

    def restate(self, execution: Execution, size: Decimal, price: Decimal) -> None:
        """Give an execution other figures, under the next revision."""
        order, sign = execution.order, execution.order.side.sign
        self.account.book(order.contract, -sign * execution.size, execution.price)
        if size:
            self.account.book(order.contract, sign * size, price)
        order.filled += size - execution.size
        order.value += size * price - execution.size * execution.price
        execution.size, execution.price = size, price
        execution.cumulative, execution.average = order.filled, order.average
        execution.revision += 1
        self.listener.executed(execution)
        self.listener.moved(order.contract)

    def charge(self, execution: Execution, amount: Decimal) -> None:
        """Charge more for an execution: its commission is told once more, as a whole."""
        currency = self._fee_currency(execution.order.contract)
        self.account.pay(currency, -amount)
        execution.commission += amount
        self.listener.charged(execution)
        self.listener.moved(None)

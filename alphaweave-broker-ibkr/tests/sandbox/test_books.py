"""Whatever happens, the books add up, and what a client can ask for afterwards is what they say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from ib_async import ExecutionFilter, MarketOrder, Order, StopOrder

from alphaweave.core.money import Money
from alphaweave.core.order import OrderStatus, Side
from alphaweave.testing.sandbox import Action, Fault
from alphaweave.testing.venue import Truth

_CASH = Decimal(1_000_000)
_STEPS = 150


def _adds_up(truth: Truth, moved: Decimal, amended: set[str]) -> None:
    """
    Args:
        moved: cash that came without an execution.
        amended: orders with executions that were restated.
    """
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    cash = _CASH + moved
    filled: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in truth.executions:
        held[one.symbol] += one.size * one.side.sign
        cash -= one.size * one.price * one.side.sign
        cash -= sum((fee.amount for fee in one.fees), Decimal(0))
        filled[one.venue_order_id] += one.size
    assert {symbol: size for symbol, size in held.items() if size} == truth.positions
    assert truth.balances["USD"] == cash
    for order in truth.orders:
        assert order.filled == filled[order.venue_order_id]
        if order.status is OrderStatus.FILLED and order.venue_order_id not in amended:
            assert order.filled == order.quantity
        assert order.status.terminal or order.filled < (order.quantity or _CASH)


class _Life:
    """One client, and a venue at which anything may happen."""

    def __init__(self, site: Any, ib: Any, seed: int) -> None:
        self.site, self.ib, self.random = site, ib, Random(seed)
        self.venue = site.venue
        self.moved = Decimal(0)
        self.amended: set[str] = set()
        self.placed = 0

    async def step(self) -> None:
        deeds = [
            self.order,
            self.price,
            self.price,
            self.fill,
            self.change,
            self.cancel,
            self.amend,
            self.fault,
        ]
        await self.random.choice(deeds)()
        self.venue.gateway.held = None
        await self.said()

    async def said(self) -> None:
        """Wait until the gateway has heard everything."""
        heard = len(self.venue.requests)
        self.ib.client.reqIds(1)
        await self.site.until(lambda: len(self.venue.requests) > heard)

    def _open(self) -> Any:
        found = [order for order in self.venue.venue.living() if order.form.ref and not order.foreign]
        return self.random.choice(found) if found else None

    async def order(self) -> None:
        self.placed += 1
        side, size = self.random.choice(["BUY", "SELL"]), self.random.randint(1, 20)
        kinds: list[Order] = [
            self.site.limit(side, size, self.random.randint(55, 65)),
            MarketOrder(side, size, tif="DAY"),
            StopOrder(side, size, self.random.randint(55, 65), tif="GTC"),
            Order(action=side, totalQuantity=size, orderType="TRAIL", auxPrice=2, tif="DAY"),
        ]
        order = self.random.choice(kinds)
        order.orderRef, order.orderId = f"aw-{self.placed}", 1000 + self.placed
        self.ib.client.placeOrder(order.orderId, self.site.stock, order)

    async def price(self) -> None:
        await self.venue.set_price("ONE", Decimal(self.random.randint(550, 650)) / 10)

    async def fill(self) -> None:
        order = self._open()
        if order is not None and order.perm_id and not order.held:
            part = Decimal(self.random.randint(1, int(order.remaining)))
            await self.venue.fill(order.form.ref, part)

    async def change(self) -> None:
        order = self._open()
        if order is not None and order.form.kind == "LMT":
            side, size = order.form.raw["action"], int(order.filled) + self.random.randint(1, 9)
            change = self.site.limit(side, size, self.random.randint(55, 65), orderRef=order.form.ref)
            self.ib.client.placeOrder(order.order_id, self.site.stock, change)

    async def cancel(self) -> None:
        order = self._open()
        if order is not None:
            self.ib.client.cancelOrder(order.order_id, "")

    async def amend(self) -> None:
        """What venues and others do by themselves."""
        executions = self.venue.truth().executions
        chance = self.random.randrange(6)
        if chance == 0:
            await self.venue.foreign_trade("ONE", Side.BUY, Decimal(3), Decimal(60))
        elif chance == 1:
            self.moved += 7
            await self.venue.cash_flow(Money("USD", Decimal(7)))
        elif executions:
            one = self.random.choice(executions)
            if chance in {2, 3}:
                self.amended.add(one.venue_order_id)
            if chance == 2:
                await self.venue.bust(one.id)
            elif chance == 3:
                await self.venue.correct(one.id, Decimal(1), Decimal(60))
            elif chance == 4:
                await self.venue.late_fee(one.id, Money("USD", Decimal("0.5")))
        elif (order := self._open()) is not None:
            await self.venue.expire(order.form.ref)

    async def fault(self) -> None:
        faults = [one for one in Fault if one not in {Fault.HANG_UP, Fault.GARBLE}]
        await self.venue.arm(
            self.random.choice([Action.SUBMIT, Action.CANCEL, Action.REPLACE]), self.random.choice(faults)
        )
        await self.venue.hold_events()
        await self.order()
        await self.said()
        await self.venue.release_events(times=self.random.randint(1, 2), backwards=self.random.random() < 0.5)
        await self.venue.release_answers()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_books_add_up_whatever_happens(at_gateway: Callable[..., None], seed: int) -> None:
    """Executions make positions and cash at every step, and are what a client that comes later is told."""

    async def scenario(site: Any) -> None:
        ib = await site.client()
        ib.client.MaxRequests = 0
        # What became of an order whose acknowledgement was lost.
        site.tolerated = ("ib_async.wrapper: orderStatus: No order found",)
        life = _Life(site, ib, seed)
        await site.venue.set_price("ONE", Decimal(60))
        for _ in range(_STEPS):
            await life.step()
            _adds_up(site.venue.truth(), life.moved, life.amended)
        truth = site.venue.truth()
        assert len(truth.executions) > 20
        later = await site.client(9)
        fills = await later.reqExecutionsAsync(ExecutionFilter(acctCode="DU1234567"))
        told = sorted(
            (fill.execution.execId[:-3], fill.execution.shares, fill.execution.price) for fill in fills
        )
        assert told == sorted((one.id, float(one.size), float(one.price)) for one in truth.executions)
        positions = {one.contract.conId: one.position for one in later.positions()}
        assert positions.get(8894, 0) == truth.positions.get("ONE", 0)
        cash = [row.value for row in later.accountValues() if row.tag == "TotalCashBalance"]
        assert Decimal(cash[0]) == truth.balances["USD"]
        open_now = {trade.order.permId for trade in await later.reqAllOpenOrdersAsync()}
        assert open_now == {int(one.venue_order_id) for one in truth.orders if not one.status.terminal}

    at_gateway(scenario, partial_fills=0.3, rate=100_000)

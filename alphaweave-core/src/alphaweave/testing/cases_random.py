"""The random broker case: many short lives, each checked against a model of what an engine would know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from attrs import define, field

from alphaweave.core.errors import (
    BrokerError,
    BrokerUnavailable,
    CancelRejected,
    NotSent,
    OrderRejected,
    OutcomeUnknown,
    Unproven,
)
from alphaweave.core.order import OrderChange, Side
from alphaweave.live.broker import BrokerFill, FillQuery
from alphaweave.testing.bench import Bench, Sent, broker_bench, distinct
from alphaweave.testing.case import in_group
from alphaweave.testing.sandbox import Action, Fault, Power
from alphaweave.testing.venue import VenueControl

__all__ = ["EXAMPLES", "Life", "RandomCases"]

EXAMPLES = 15
"""How many lives are lived."""

_case = in_group("Random lives")
_FAULTS = (Fault.LOSE_ANSWER, Fault.LOSE_REQUEST, Fault.ERROR_AFTER, Fault.HANG_UP, Fault.REJECT)

_Step = tuple[str, int]


@define(eq=False)
class Life:
    """One run of steps, and what an engine would know of it.

    Attributes:
        unknown: orders whose outcome is not known; ``refused``: those that can never work; ``taken``:
            those that the broker has, or had.
    """

    bench: Bench
    taken: list[Sent] = field(factory=list)
    unknown: list[Sent] = field(factory=list)
    refused: list[Sent] = field(factory=list)

    async def step(self, what: str, number: int) -> None:
        """One thing that happens; ``number`` chooses what it happens to."""
        await getattr(self, f"_{what}")(number)

    async def _order(self, number: int) -> None:
        bench = self.bench
        symbol = bench.symbols[number % 2]
        lots = 1 + number % 3
        if number % 5 < 2:
            request = bench.orders.market(symbol, lots, Side.SELL if self._holds(symbol, lots) else Side.BUY)
        else:
            request = bench.orders.limit(symbol, lots, share=("0.5", "0.7", "0.9")[number % 3])
        sent = bench.written(request)
        try:
            ack = await bench.within(bench.broker.submit_order(sent.ref, request), "submit_order()")
        except OutcomeUnknown:
            self.unknown.append(sent)
        except (OrderRejected, NotSent):
            self.refused.append(sent)
        else:
            sent.ref = ack.ref if ack.ref.wire else sent.ref
            self.taken.append(sent)

    def _holds(self, symbol: str, lots: int) -> bool:
        held = self.bench.venue.truth().positions.get(symbol, Decimal(0))
        return held >= self.bench.orders.size(symbol, lots)

    async def _cancel(self, number: int) -> None:
        if self.taken:
            sent = self.taken[number % len(self.taken)]
            with suppress(CancelRejected, NotSent, OutcomeUnknown):
                call = self.bench.broker.cancel_order(self.bench.known(sent))
                await self.bench.within(call, "cancel_order()")

    async def _price(self, number: int) -> None:
        symbol = self.bench.symbols[number % 2]
        price = self.bench.orders.price(symbol, ("0.6", "0.8", "1", "1.1")[number % 4])
        await self.bench.venue.set_price(symbol, price)

    async def _fill(self, number: int) -> None:
        working = [sent for sent in self.taken if self.bench.working(sent)]
        if working:
            sent = working[number % len(working)]
            order = self.bench.truth(sent)
            assert order is not None
            assert order.quantity is not None
            size = min(self.bench.orders.lot(sent.request.symbol), order.quantity - order.filled)
            await self.bench.venue.fill(sent.id, size)

    async def _replace(self, number: int) -> None:
        working = [sent for sent in self.taken if self.bench.working(sent)]
        if working and "limit_price" in self.bench.capabilities.replace:
            sent = working[number % len(working)]
            if sent.request.limit_price is None:
                return
            change = OrderChange(limit_price=self.bench.orders.price(sent.request.symbol, "0.55"))
            try:
                new = await self.bench.replace(sent, change)
            except BrokerError:
                return
            self.taken.append(new)

    async def _fault(self, number: int) -> None:
        possible = [fault for fault in _FAULTS if Power(fault.value) in self.bench.venue.powers]
        if possible:
            await self.bench.venue.arm(Action.SUBMIT, possible[number % len(possible)])

    async def _drop(self, number: int) -> None:
        await self.bench.venue.drop()
        await self.up()

    async def up(self) -> None:
        """Wait until the venue answers again: whatever was lost is back."""
        broker = self.bench.broker
        await self._answered(broker.get_open_orders, "get_open_orders()")

    async def _reopen(self, number: int) -> None:
        await self.bench.reopen(lost=False)

    async def check(self) -> None:
        """What the adapter says is what is true."""
        bench = self.bench
        await self.up()
        truth = bench.venue.truth()
        ids = [order.client_order_id for order in truth.orders]
        assert len(ids) == len(set(ids)), f"an order is at the venue twice: {ids}"
        known = {sent.id for sent in (*self.taken, *self.unknown, *self.refused)}
        others = {order.client_order_id for order in truth.orders} - known - {None}
        assert not others, f"nobody sent {sorted(map(str, others))}"
        for sent in (*self.taken, *self.unknown, *self.refused):
            assert bench.sends(sent) <= 1, f"{sent.id} was sent {bench.sends(sent)} times"
        for sent in self.taken:
            assert truth.order(sent.id) is not None, f"{sent.id} was acknowledged, and is not at the venue"
        for sent in self.refused:
            order = truth.order(sent.id)
            assert order is None or order.status.terminal, f"{sent.id} was refused, and works"
        for sent in (*self.taken, *self.unknown):
            order = truth.order(sent.id)
            found = await self._answered(partial(bench.broker.get_order, sent.ref), "get_order()")
            assert (order is None) == (found is None), f"get_order of {sent.id}: {found}, true is {order}"
            if order is not None and found is not None:
                assert found.status.terminal == order.status.terminal, (
                    f"{sent.id} is {found}, true is {order}"
                )
                assert found.filled == order.filled, (
                    f"{sent.id}: filled {found.filled}, true is {order.filled}"
                )
        since = bench.venue.clock.now() - timedelta(hours=1)
        report = await bench.within(bench.broker.get_fills(FillQuery(since)), "get_fills()")
        fills = distinct([*bench.all_of(BrokerFill), *report.fills])
        told = sorted((fill.symbol, fill.side.value, fill.size, fill.price) for fill in fills)
        true = sorted((one.symbol, one.side.value, one.size, one.price) for one in truth.executions)
        assert told == true, f"executions told: {told}; true: {true}"
        working = await bench.within(bench.broker.get_open_orders(), "get_open_orders()")
        names = {order.client_order_id for order in working}
        alive = {order.client_order_id for order in truth.orders if not order.status.terminal}
        assert names == alive, f"get_open_orders has {names}, working are {alive}"
        state = await bench.within(bench.broker.get_account_state(), "get_account_state()")
        cash = truth.balances[bench.venue.currency]
        assert state.balances[bench.venue.currency].total == cash, f"cash {state.balances}, true is {cash}"
        held = {symbol: units for symbol, units in state.positions.items() if units}
        assert held == dict(truth.positions), f"positions {held}, true are {dict(truth.positions)}"

    async def _answered(self, ask: Callable[[], Awaitable[Any]], what: str) -> Any:
        deadline = asyncio.get_running_loop().time() + self.bench.venue.patience
        while True:
            try:
                return await self.bench.within(ask(), what)
            except BrokerUnavailable:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.02)


class RandomCases:
    """Many short lives, each checked against a model of what an engine would know."""

    @_case("BRK-995", powers=[Power.FRESH])
    async def test_random_lives(self, bench: Bench) -> None:
        """Whatever happens in whatever order, what the adapter says in the end is what is true."""
        try:
            from hypothesis import HealthCheck, Phase, given, settings
            from hypothesis import strategies as st
        except ImportError:
            raise Unproven("hypothesis is not installed: pip install 'alphaweave-core[testing]'") from None
        has = bench.venue.powers
        words = ["order", "order", "order", "cancel", "price", "replace", "fault", "reopen"]
        words += [name for name, power in (("fill", Power.FILL), ("drop", Power.DROP)) if power in has]

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            # A broken adapter makes lives wait: a first failure is enough, a shorter one is not worth it.
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(st.tuples(st.sampled_from(words), st.integers(0, 29)), min_size=4, max_size=12))
        def live(steps: list[_Step]) -> None:
            asyncio.run(_live(bench, steps))

        try:
            await asyncio.to_thread(live)
        except AssertionError as error:
            notes = "\n".join(getattr(error, "__notes__", ()))
            raise AssertionError(f"{error}\n{notes}") from error


async def _live(like: Bench, steps: list[_Step]) -> None:
    venue: VenueControl = like.venue.fresh()
    await venue.start()
    try:
        async with broker_bench(like.plugin, venue) as bench:
            await bench.open()
            life = Life(bench)
            for what, number in steps:
                await life.step(what, number)
            await life.check()
    finally:
        await venue.stop()

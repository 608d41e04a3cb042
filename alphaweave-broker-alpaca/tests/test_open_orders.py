"""The working orders, as the adapter reads them at the sandbox: the exits of a filled entry too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.errors import CancelRejected
from alphaweave.core.order import GroupKind, OrderGroup, OrderRef, OrderRequest, OrderType, Side, TimeInForce
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.base import Services
from alphaweave.testing.clock import RunningClock
from alphaweave_broker_alpaca.adapter import AlpacaAdapter
from alphaweave_broker_alpaca.sandbox.control import AlpacaSandbox
from alphaweave_broker_alpaca.sandbox.options import SandboxOptions
from alphaweave_broker_alpaca.settings import AlpacaOptions

NAMES = tuple(f"awabcde-{number:022d}" for number in range(3))


def bracket() -> OrderGroup:
    def leg(side: Side, kind: OrderType, **prices: Any) -> OrderRequest:
        return OrderRequest("SPY", side, Decimal(2), type=kind, tif=TimeInForce.GTC, **prices)

    return OrderGroup(
        kind=GroupKind.BRACKET,
        entry=leg(Side.BUY, OrderType.LIMIT, limit_price=Decimal(100)),
        take_profit=leg(Side.SELL, OrderType.LIMIT, limit_price=Decimal(110)),
        stop_loss=leg(Side.SELL, OrderType.STOP, stop_price=Decimal(90)),
    )


Scene = Callable[[AlpacaSandbox, Callable[[], AlpacaAdapter]], Awaitable[None]]


def play(scene: Scene) -> None:
    async def whole() -> None:
        clock = RunningClock()
        venue = AlpacaSandbox(SandboxOptions(symbols=("SPY",)), Services(clock=clock))
        await venue.start()
        made: list[AlpacaAdapter] = []

        def adapter() -> AlpacaAdapter:
            given = venue.options()
            options = AlpacaOptions(
                key=Secret(given["key"]), secret=Secret(given["secret"]), trading_url=given["trading_url"]
            )
            made.append(AlpacaAdapter(options, Services(clock=clock, symbols=("SPY",))))
            return made[-1]

        try:
            await scene(venue, adapter)
        finally:
            for one in made:
                await one.disconnect()
            await venue.stop()

    asyncio.run(whole())


async def entered(venue: AlpacaSandbox, adapter: AlpacaAdapter) -> list[OrderRef]:
    """A bracket whose entry is filled."""
    await adapter.connect()
    refs = [OrderRef(name, "SPY") for name in NAMES]
    words = adapter.prepare(bracket(), refs)
    acks = await adapter.submit_group(
        [OrderRef(name, "SPY", None, wire) for name, wire in zip(NAMES, words, strict=True)], bracket()
    )
    await venue.fill(NAMES[0], None, Decimal(100))
    return [ack.ref for ack in acks]


def test_exits_of_a_filled_entry_are_working_orders() -> None:
    """Below their entry, which is over, they would be missing: looked up one by one, and never cancelled."""

    async def scene(venue: AlpacaSandbox, make: Callable[[], AlpacaAdapter]) -> None:
        adapter = make()
        await entered(venue, adapter)
        found = await adapter.get_open_orders(["SPY"])
        assert {one.client_order_id for one in found} == set(NAMES[1:])
        assert not any(one.foreign for one in found)
        # The second exit ends with the first.
        with pytest.raises(CancelRejected, match="canceled"):
            await adapter.cancel_all(["SPY"])
        assert await adapter.get_open_orders() == []

    play(scene)


def test_exits_are_ours_after_a_restart_too() -> None:
    """They bear names of Alpaca's own: the order that holds them says whose they are, asked for once."""

    async def scene(venue: AlpacaSandbox, make: Callable[[], AlpacaAdapter]) -> None:
        refs = await entered(venue, make())
        await venue.foreign_order("SPY", Side.BUY, Decimal(1), Decimal(50))
        adapter = make()
        await adapter.connect()
        found = await adapter.get_open_orders()
        ours = {one.ref.broker_order_id for one in found if not one.foreign}
        assert ours == {ref.broker_order_id for ref in refs[1:]}
        assert len(found) == 3
        before = len(venue.requests)
        await adapter.get_open_orders()
        assert len(venue.requests) == before + 1

    play(scene)

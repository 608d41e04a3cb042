"""A private key trades: its signatures arrive as they were made."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from alphaweave.core.order import OrderRef, OrderRequest, OrderType, Side, TimeInForce
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.base import Services
from alphaweave.testing.clock import RunningClock
from alphaweave_broker_binance.adapter import BinanceAdapter
from alphaweave_broker_binance.sandbox.control import BinanceSandbox
from alphaweave_broker_binance.sandbox.options import SandboxOptions
from alphaweave_broker_binance.settings import BinanceOptions

REQUEST = OrderRequest(
    "BTCUSDT", Side.BUY, Decimal(1), type=OrderType.LIMIT, tif=TimeInForce.GTC, limit_price=Decimal(50)
)


async def trade(orders: int) -> int:
    """How many of so many orders work."""
    clock = RunningClock()
    venue = BinanceSandbox(SandboxOptions(keys="ed25519"), Services(clock=clock))
    await venue.start()
    given = venue.options()
    options = BinanceOptions(
        key=Secret(given["key"]),
        secret=Secret(given["secret"]),
        rest_url=given["rest_url"],
        ws_api_url=given["ws_api_url"],
    )
    adapter = BinanceAdapter(options, Services(clock=clock, symbols=("BTCUSDT",), currency="USDT"))
    try:
        await adapter.connect()
        for number in range(orders):
            await adapter.submit_order(OrderRef(f"awabcde-{number:022d}", "BTCUSDT"), REQUEST)
        return len(await adapter.get_open_orders())
    finally:
        await adapter.disconnect()
        await venue.stop()


def test_private_key_trades_at_the_sandbox() -> None:
    """Among so many signatures some have a plus, a slash and an equals sign in them, and none is refused."""
    assert asyncio.run(trade(12)) == 12

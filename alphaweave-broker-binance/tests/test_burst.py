"""A burst of orders and questions stays within the limits of the account, and cancels do not wait for it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from attrs import define, field

from alphaweave.core.errors import BrokerUnavailable, OrderRejected
from alphaweave.core.order import OrderRef, OrderRequest, OrderType, Side, TimeInForce
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.timer import ManualTimer
from alphaweave_broker_binance.adapter import BinanceAdapter
from alphaweave_broker_binance.sandbox import limits
from alphaweave_broker_binance.sandbox.control import BinanceSandbox
from alphaweave_broker_binance.sandbox.options import SandboxOptions
from alphaweave_broker_binance.sandbox.refusals import Refused
from alphaweave_broker_binance.settings import BinanceOptions
from alphaweave_broker_binance.transport import Call, Transport

ORDERS_10S, WEIGHT = 50, 500
SYMBOLS = ("BTCUSDT", "ETHUSDT")


@define
class Burst:
    """What came of it.

    Attributes:
        too_many: what the venue said to requests that were too many.
        refused: orders that the venue refused.
        unanswered: questions that were not asked for lack of room.
        waits: seconds that each cancel took.
        seconds: that the orders took.
        taken, cancelled: orders at the venue that work, and that are over.
    """

    too_many: list[object] = field(factory=list)
    refused: int = 0
    unanswered: int = 0
    waits: list[float] = field(factory=list)
    seconds: float = 0.0
    taken: int = 0
    cancelled: int = 0


@define
class Way:
    """The way to the venue. Some requests are on it for longer than others, up to 0.6 seconds; time passes
    where none is being answered."""

    timer: ManualTimer
    busy: int = 0
    numbers: count[int] = field(factory=count)

    async def send(self, transport: Transport, call: Call) -> Any:
        await self.timer.sleep(next(self.numbers) * 5 % 7 / 10)
        self.busy += 1
        try:
            return await _SEND(transport, call)
        finally:
            self.busy -= 1

    async def pass_time(self) -> None:
        while True:
            await asyncio.sleep(0.001 if self.busy else 0)
            if not self.busy:
                self.timer.advance(0.05)


_SEND = Transport._send


def order(symbol: str) -> OrderRequest:
    price = Decimal(50)
    return OrderRequest(
        symbol, Side.BUY, Decimal(1), type=OrderType.LIMIT, tif=TimeInForce.GTC, limit_price=price
    )


async def burst(found: Burst, orders: int, questions: int, cancels: int) -> None:
    """Send so many at once, and cancels of earlier orders among them."""
    timer = ManualTimer()
    # Binance's ten seconds end while the first orders are under way.
    timer.clock.advance(8.0)
    clock, way = timer.clock, Way(timer)
    services = Services(clock=clock, symbols=SYMBOLS, currency="USDT")
    venue = BinanceSandbox(SandboxOptions(orders_10s=ORDERS_10S, weight=WEIGHT), services)
    await venue.start()
    given = venue.options()
    options = BinanceOptions(
        key=Secret(given["key"]),
        secret=Secret(given["secret"]),
        rest_url=given["rest_url"],
        ws_api_url=given["ws_api_url"],
        patience=600.0,
        heartbeat=3600.0,
    )
    adapter = BinanceAdapter(options, services, timer=timer)

    async def submit(number: int) -> None:
        symbol = SYMBOLS[number % len(SYMBOLS)]
        try:
            await adapter.submit_order(OrderRef(f"awburst-{number:022d}", symbol), order(symbol))
        except OrderRejected:
            found.refused += 1

    async def ask(ref: OrderRef) -> None:
        try:
            await adapter.get_order(ref)
        except BrokerUnavailable:
            found.unanswered += 1

    async def send(transport: Transport, call: Call) -> Any:
        return await way.send(transport, call)

    async def cancel(ref: OrderRef) -> None:
        began = clock.monotonic()
        await adapter.cancel_order(ref)
        found.waits.append(clock.monotonic() - began)

    try:
        await adapter.connect()
        passing = asyncio.create_task(way.pass_time())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Transport, "_send", send)
            await adapter.get_instruments(SYMBOLS)
            early = [OrderRef(f"awearly-{number:022d}", "BTCUSDT") for number in range(cancels)]
            acks = [await adapter.submit_order(ref, order("BTCUSDT")) for ref in early]
            began = clock.monotonic()
            asking = asyncio.gather(*(ask(acks[0].ref) for _ in range(questions)))
            sending = asyncio.gather(*(submit(number) for number in range(orders)))
            for ack in acks:
                await timer.sleep(3)
                await cancel(ack.ref)
            await asyncio.gather(asking, sending)
            found.seconds = clock.monotonic() - began
        passing.cancel()
    finally:
        await adapter.disconnect()
        truth = venue.truth()
        await venue.stop()
    found.taken = sum(not one.status.terminal for one in truth.orders)
    found.cancelled = sum(one.status.terminal for one in truth.orders)


def test_burst_stays_within_the_limits_and_cancels_pass_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three hundred orders none is refused; questions are left out, and a cancel goes out at once."""
    found = Burst()

    def refused(*words: Any, **named: Any) -> Exception:
        found.too_many.append(words)
        return Refused(*words, **named)

    monkeypatch.setattr(limits, "Refused", refused)
    asyncio.run(burst(found, 300, 150, 10))
    assert found.too_many == []
    assert (found.refused, found.taken, found.cancelled) == (0, 300, 10)
    # Five stretches of ten seconds are full before the last orders may go.
    assert found.seconds > 50
    assert 0 < found.unanswered < 150
    # Longer than the way none takes.
    assert max(found.waits) < 1

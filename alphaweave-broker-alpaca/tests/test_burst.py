"""A burst of orders stays within the request limit of the account, and cancels do not wait for it."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

import pytest
from attrs import define, field

from alphaweave.core.errors import OrderRejected
from alphaweave.core.order import OrderRef, OrderRequest, OrderType, Side, TimeInForce
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.base import Services
from alphaweave.testing.clock import RunningClock
from alphaweave_broker_alpaca.adapter import AlpacaAdapter
from alphaweave_broker_alpaca.sandbox import server
from alphaweave_broker_alpaca.sandbox.control import AlpacaSandbox
from alphaweave_broker_alpaca.sandbox.options import SandboxOptions
from alphaweave_broker_alpaca.settings import AlpacaOptions

# Alpaca's limit is 200 in a minute. Here it is a hundred in a second, which is less than could be sent.
QUOTA, WINDOW = 100, 1.0
REQUEST = OrderRequest(
    "SPY", Side.BUY, Decimal(1), type=OrderType.LIMIT, tif=TimeInForce.DAY, limit_price=Decimal(50)
)


@define
class Burst:
    """What came of it.

    Attributes:
        refused: orders that the venue refused.
        waits: seconds that each cancel took.
        seconds: that the orders took.
        taken, cancelled: orders at the venue that work, and that are over.
    """

    refused: int = 0
    waits: list[float] = field(factory=list)
    seconds: float = 0.0
    taken: int = 0
    cancelled: int = 0


async def burst(orders: int, cancels: int) -> Burst:
    """Send so many orders at once, and cancels of earlier ones among them."""
    clock, found = RunningClock(), Burst()
    venue = AlpacaSandbox(SandboxOptions(symbols=("SPY",), quota=QUOTA, window=WINDOW), Services(clock=clock))
    await venue.start()
    given = venue.options()
    options = AlpacaOptions(
        key=Secret(given["key"]),
        secret=Secret(given["secret"]),
        trading_url=given["trading_url"],
        requests_window=WINDOW,
        patience=60.0,
        requests=QUOTA,
    )
    adapter = AlpacaAdapter(options, Services(clock=clock, symbols=("SPY",)))

    async def submit(number: int) -> None:
        ref = OrderRef(f"awburst-{number:022d}", "SPY")
        try:
            await adapter.submit_order(ref, REQUEST)
        except OrderRejected:
            found.refused += 1

    async def cancel(ref: OrderRef) -> None:
        began = time.monotonic()
        await adapter.cancel_order(ref)
        found.waits.append(time.monotonic() - began)

    try:
        await adapter.connect()
        early = [OrderRef(f"awearly-{number:022d}", "SPY") for number in range(cancels)]
        acks = [await adapter.submit_order(ref, REQUEST) for ref in early]
        began = time.monotonic()
        sending = asyncio.gather(*(submit(number) for number in range(orders)))
        for ack in acks:
            await asyncio.sleep(0.5)
            await cancel(ack.ref)
        await sending
        found.seconds = time.monotonic() - began
    finally:
        await adapter.disconnect()
        truth = venue.truth()
        await venue.stop()
    found.taken = sum(not order.status.terminal for order in truth.orders)
    found.cancelled = sum(order.status.terminal for order in truth.orders)
    return found


@pytest.fixture
def throttled(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every 429 that the venue answers."""
    answers: list[object] = []
    refuse = server._throttled

    def counted(route: server.Route) -> server.Answer:
        answers.append(route)
        return refuse(route)

    monkeypatch.setattr(server, "_throttled", counted)
    return answers


def test_burst_stays_within_the_limit_and_cancels_pass_it(throttled: list[object]) -> None:
    """Of a thousand orders none is refused, and a cancel goes out at once while hundreds wait."""
    came = asyncio.run(burst(1000, 10))
    assert throttled == []
    assert (came.refused, came.taken, came.cancelled) == (0, 1000, 10)
    # Nine windows are full before the last orders may go.
    assert came.seconds > 9 * WINDOW
    # What is kept for cancels lets each go out; none waits for the window's end.
    assert max(came.waits) < 0.9 * WINDOW

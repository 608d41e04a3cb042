"""What is bought of each kind of contract is held where the books expect it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

from alphaweave.core.order import OrderRef, OrderRequest, Side, TimeInForce
from alphaweave.live.adapters.base import Services
from alphaweave.live.broker import FillQuery
from alphaweave.testing.clock import RunningClock
from alphaweave_broker_ibkr.adapter import IbkrAdapter
from alphaweave_broker_ibkr.sandbox.control import IbkrSandbox
from alphaweave_broker_ibkr.sandbox.options import SandboxOptions
from alphaweave_broker_ibkr.settings import IbkrOptions

# An upper bound only: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 20.0
PAIR, COIN = "EUR.USD@IDEALPRO", "BTC@PAXOS"


def order(symbol: str, **terms: Decimal | TimeInForce) -> OrderRequest:
    return OrderRequest(symbol=symbol, side=Side.BUY, **terms)  # type: ignore[arg-type]


def test_each_kind_of_contract_is_held_as_it_is_booked() -> None:
    """Stocks, coins and futures are positions; a pair is the balance of its first currency."""

    async def scenario(venue: IbkrSandbox, clock: RunningClock) -> None:
        await venue.start()
        for symbol, price in (("KO", "100"), (PAIR, "1.1"), (COIN, "60000")):
            await venue.set_price(symbol, Decimal(price))
        services = Services(
            clock=clock, symbols=("KO", "EUR-USD", "BTC-USD"), names={"EUR-USD": PAIR, "BTC-USD": COIN}
        )
        adapter = IbkrAdapter(IbkrOptions(port=venue.port), services)
        try:
            await adapter.connect()
            rules = await adapter.get_instruments(services.symbols)
            assert {name: one.base for name, one in rules.items()} == {
                "KO": None,
                "EUR-USD": "EUR",
                "BTC-USD": None,
            }
            wanted = [
                order("KO", quantity=Decimal(10)),
                order("EUR-USD", quantity=Decimal(20000)),
                order("BTC-USD", quote_quantity=Decimal(600), tif=TimeInForce.IOC),
            ]
            for number, request in enumerate(wanted):
                ref = OrderRef(f"awkit00-{number:022d}", request.symbol)
                (wire,) = adapter.prepare(request, [ref])
                await adapter.submit_order(OrderRef(ref.client_order_id, ref.symbol, None, wire), request)
            state = await adapter.get_account_state()
            assert state.positions == {"KO": Decimal(10), "BTC-USD": Decimal("0.01")}
            assert state.foreign == ()
            assert state.balances["EUR"].total == Decimal(20000)
            assert {name: one.total for name, one in state.balances.items()} == venue.truth().balances
            fills = (
                await adapter.get_fills(FillQuery(clock.now() - timedelta(minutes=5), services.symbols))
            ).fills
            assert {one.symbol: one.size for one in fills} == {
                "KO": Decimal(10),
                "EUR-USD": Decimal(20000),
                "BTC-USD": Decimal("0.01"),
            }
        finally:
            await adapter.disconnect()
            await venue.stop()

    async def whole() -> None:
        clock = RunningClock()
        venue = IbkrSandbox(SandboxOptions(always_open=True), Services(clock=clock))
        await asyncio.wait_for(scenario(venue, clock), _PATIENCE)

    asyncio.run(whole())

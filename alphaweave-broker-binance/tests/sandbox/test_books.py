"""What the sandbox lets happen by itself, its own books, and files that it plays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alphaweave.core.clock import SystemClock
from alphaweave.core.errors import RunRefused
from alphaweave.core.market import Bar
from alphaweave.core.money import Money
from alphaweave.core.order import OrderStatus, OrderType, Side, TimeInForce
from alphaweave.live.adapters.base import Services
from alphaweave.testing.clock import RunningClock
from alphaweave_broker_binance.sandbox.control import BinanceSandbox
from alphaweave_broker_binance.sandbox.options import SandboxOptions

HEAD = "symbol,date,open,high,low,close,volume\n"


def test_somebody_else_cancels_and_the_venue_expires(at_sandbox: Callable[..., None]) -> None:
    """The first reports a cancel's id that nobody here gave, the second a reason."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()
        for name in ("one", "two"):
            await site.placed(newClientOrderId=name)
        await site.venue.cancel("one")
        await site.venue.expire("two")
        await site.settled(socket)
        cancelled, expired = socket.of("executionReport")[2:]
        assert (cancelled["x"], cancelled["C"], cancelled["c"][:4]) == ("CANCELED", "one", "web_")
        assert (expired["x"], expired["c"], expired["C"]) == ("EXPIRED", "two", "")
        assert expired["eR"] == "EXCHANGE_CANCELED"
        statuses = [order.status for order in site.venue.truth().orders]
        assert statuses == [OrderStatus.CANCELLED, OrderStatus.EXPIRED]

    at_sandbox(scenario)


def test_order_is_filled_in_parts(at_sandbox: Callable[..., None]) -> None:
    """Each part is one execution at the order's price, and the books add up."""

    async def scenario(site: Any) -> None:
        await site.placed(quantity="3", newClientOrderId="one")
        await site.venue.fill("one", Decimal("0.5"))
        await site.venue.fill("one", Decimal(1), Decimal(49))
        await site.venue.fill("one")
        truth = site.venue.truth()
        assert [(one.size, one.price) for one in truth.executions_of("one")] == [
            (Decimal("0.5"), Decimal(50)),
            (Decimal(1), Decimal(49)),
            (Decimal("1.5"), Decimal(50)),
        ]
        order = truth.order("one")
        assert (order.status, order.filled, order.side) == (OrderStatus.FILLED, Decimal(3), Side.BUY)
        assert truth.balances["USDT"] == Decimal(1_000_000) - Decimal(149)
        fees = sum(one.fees[0].amount for one in truth.executions)
        assert truth.balances["BNB"] == Decimal(10) - fees

    at_sandbox(scenario)


def test_somebody_else_trades_in_the_account(at_sandbox: Callable[..., None]) -> None:
    """Flagged in the books; over the wire an order like any other."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("TWO", Decimal(100))
        resting = await site.venue.foreign_order("ONE", Side.BUY, Decimal(1), Decimal(40))
        traded = await site.venue.foreign_trade("TWO", Side.BUY, Decimal(2), Decimal(99))
        other = await site.venue.foreign_order("BNBUSDT", Side.BUY, Decimal(1), Decimal(40))
        truth = site.venue.truth()
        assert [order.venue_order_id for order in truth.orders] == [resting, traded, other]
        assert {order.foreign for order in truth.orders} == {True}
        assert [order.symbol for order in truth.orders] == ["ONE", "TWO", "BNBUSDT"]
        (execution,) = truth.executions
        assert (execution.symbol, execution.size, execution.price) == ("TWO", Decimal(2), Decimal(99))
        rows = (await site.ask("GET", "/api/v3/openOrders")).body
        assert {row["clientOrderId"][:4] for row in rows} == {"web_"}

    at_sandbox(scenario)


def test_money_and_coins_flow(at_sandbox: Callable[..., None]) -> None:
    """In and out, each told by its amount."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()
        await site.venue.cash_flow(Money("USDT", Decimal("-100.5")), "withdrawal")
        await site.venue.move_position("ONE", Decimal("0.25"))
        await site.settled(socket)
        told = [(event["a"], event["d"]) for event in socket.of("balanceUpdate")]
        assert told == [("USDT", "-100.50000000"), ("BTC", "0.25000000")]
        balances = site.venue.truth().balances
        assert (balances["USDT"], balances["BTC"]) == (Decimal("999899.5"), Decimal("0.25"))

    at_sandbox(scenario)


def test_books_have_the_terms_that_were_sent(at_sandbox: Callable[..., None]) -> None:
    """In AlphaWeave's words: type, prices, trail, time in force."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.venue.move_position("ONE", Decimal(5))
        await site.placed()
        await site.placed(type="LIMIT_MAKER", price="60")
        await site.placed(type="STOP_LOSS", stopPrice="120")
        await site.placed(type="STOP_LOSS_LIMIT", stopPrice="120", price="121", timeInForce="GTC")
        await site.placed(type="STOP_LOSS", side="SELL", trailingDelta="250")
        await site.placed(type="TAKE_PROFIT", side="SELL", stopPrice="120")
        await site.placed(type="MARKET", quantity=None, quoteOrderQty="50")
        told = [order.request for order in site.venue.truth().orders]
        assert [None if one is None else one.type for one in told] == [
            OrderType.LIMIT,
            OrderType.LIMIT,
            OrderType.STOP,
            OrderType.STOP_LIMIT,
            OrderType.TRAILING_STOP,
            OrderType.TAKE_PROFIT,
            OrderType.MARKET,
        ]
        assert [one.post_only for one in told[:2]] == [False, True]
        assert (told[3].stop_price, told[3].limit_price) == (Decimal(120), Decimal(121))
        assert told[4].trail.percent == Decimal("2.5")
        assert (told[6].quantity, told[6].quote_quantity) == (None, Decimal(50))
        assert {one.tif for one in told[:5]} == {TimeInForce.GTC}
        assert told[6].tif is TimeInForce.IOC

    at_sandbox(scenario)


def test_executions_may_come_in_two_parts(at_sandbox: Callable[..., None]) -> None:
    """As often as the sandbox is told; fill-or-kill orders never do."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        parted = await site.placed(type="MARKET", quantity="0.5")
        assert [row["qty"] for row in parted["fills"]] == ["0.25000000", "0.25000000"]
        whole = await site.placed(timeInForce="FOK", price="100")
        assert len(whole["fills"]) == 1

    at_sandbox(scenario, partial_fills=1.0)


def test_minute_meets_who_was_there_when_it_began(at_sandbox: Callable[..., None]) -> None:
    """Its low fills an order that rested; who came later gets its close alone."""
    clock = RunningClock()

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.placed(price="95", newClientOrderId="there")
        clock.advance(60)
        begin = site.venue.now().replace(second=0, microsecond=0)
        clock.advance(60)
        await site.placed(price="95", newClientOrderId="late")
        end = begin.replace(minute=begin.minute + 1)
        await site.venue.play(Bar("ONE", "1m", begin, end, 99.0, 99.5, 94.0, 98.0, 5.0))
        truth = site.venue.truth()
        assert truth.order("there").status is OrderStatus.FILLED
        assert truth.executions[0].price == Decimal(95)
        assert truth.order("late").status is OrderStatus.ACCEPTED

    at_sandbox(scenario, clock=clock)


def test_fresh_sandbox_begins_anew() -> None:
    """Same options, another port, the account as it was opened."""

    async def scenario() -> None:
        first = BinanceSandbox(SandboxOptions(cash=Decimal(5)), Services(clock=SystemClock()))
        await first.start()
        await first.cash_flow(Money("USDT", Decimal(1)))
        second = first.fresh()
        await second.start()
        assert second.port != first.port
        assert second.truth().balances == {"USDT": Decimal(5), "BNB": Decimal(10)}
        for one in (first, second):
            await one.stop()
            await one.stop()

    asyncio.run(scenario())


def test_secrets_are_those_of_the_options(at_sandbox: Callable[..., None]) -> None:
    """Whatever key the options have is among what no log may contain."""

    async def scenario(site: Any) -> None:
        options = site.venue.options()
        assert {options["key"], options["secret"]} <= set(site.venue.secrets)

    for keys in ("hmac", "ed25519"):
        at_sandbox(scenario, keys=keys)


def test_file_is_history_and_is_played(at_sandbox: Callable[..., None], tmp_path: Path) -> None:
    """Up to the present it is history, later its prices fill orders."""
    path = tmp_path / "prices.csv"
    rows = [f"SOLUSDT,2026-03-02T12:{place:02}:00Z,100,101,{99 - place},100,5\n" for place in range(5)]
    path.write_text(HEAD + "".join(rows), encoding="utf-8")
    clock = RunningClock()

    async def scenario(site: Any) -> None:
        assert dict(site.venue.names) == {"SOLUSDT": "SOLUSDT"}
        rows = await site.ask("GET", "/api/v3/klines", signed=False, symbol="SOLUSDT", interval="1m")
        assert len(rows.body) == 2
        await site.placed(symbol="SOLUSDT", price="96", newClientOrderId="one")
        clock.advance(180)
        await site.until(lambda: site.venue.truth().executions)
        (execution,) = site.venue.truth().executions
        assert execution.price == Decimal(96)

    at_sandbox(scenario, clock=clock, data=path, begin="2026-03-02T12:02:00Z")


def test_symbol_that_is_no_pair_is_refused() -> None:
    """The quote asset has to be known."""
    with pytest.raises(RunRefused, match="'AAPL' is no pair"):
        BinanceSandbox(SandboxOptions(symbols=("AAPL",)), Services(clock=SystemClock()))

"""Contracts: how they are asked for, which rules they have, and what else than stocks is traded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from ib_async import Contract, Crypto, Forex, Future, LimitOrder, MarketOrder, Stock

from alphaweave.core.money import Money
from alphaweave.core.order import OrderStatus

Run = Callable[..., None]
Site = Any


def test_stock_without_exchange_is_one_row_for_each(at_gateway: Run) -> None:
    """What is asked for loosely comes back once for each exchange, company and currency."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        rows = await ib.reqContractDetailsAsync(Stock("KO", "", "USD"))
        assert [row.contract.exchange for row in rows] == ["SMART", "NYSE", "IBKRATS"]
        assert {row.contract.conId for row in rows} == {8894}
        twins = await ib.reqContractDetailsAsync(Stock("TWIN", "SMART", "USD"))
        assert [row.contract.primaryExchange for row in twins] == ["NYSE", "NASDAQ"]
        two = await ib.reqContractDetailsAsync(Stock("BHP", "SMART"))
        assert {row.contract.currency for row in two} == {"USD", "AUD"}
        (one,) = await ib.qualifyContractsAsync(Stock("TWIN", "SMART", "USD", primaryExchange="NYSE"))
        assert one.conId == twins[0].contract.conId
        (known,) = await ib.reqContractDetailsAsync(Contract(conId=8894))
        assert (known.contract.symbol, known.contract.exchange) == ("KO", "SMART")

    at_gateway(scenario)


def test_unknown_contract_is_an_error_without_an_end(at_gateway: Run) -> None:
    """200, and nothing more."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        asked = asyncio.ensure_future(ib.reqContractDetailsAsync(Stock("NOSUCH", "SMART", "USD")))
        await site.until_said(200)
        asked.cancel()

    at_gateway(scenario)


def test_price_steps_come_by_rule(at_gateway: Run) -> None:
    """A contract names a rule for each exchange; a rule has a step for each band."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        (row,) = await ib.reqContractDetailsAsync(site.stock)
        rules = dict(zip(row.validExchanges.split(","), row.marketRuleIds.split(","), strict=True))
        assert rules["SMART"] != rules["IBKRATS"]
        bands = await ib.reqMarketRuleAsync(int(rules["SMART"]))
        assert [(band.lowEdge, band.increment) for band in bands] == [(0, 0.0001), (1, 0.01)]
        assert (row.minTick, float(row.minSize), float(row.sizeIncrement)) == (0.0001, 1, 1)
        found = await ib.reqMatchingSymbolsAsync("TWI")
        assert {one.contract.conId for one in found} == {610000001, 610000002}

    at_gateway(scenario)


def test_currencies_move_two_balances(at_gateway: Run) -> None:
    """A pair is a position, and cash in both currencies; it is told in dollars."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        (pair,) = await ib.qualifyContractsAsync(Forex("EURUSD"))
        await site.venue.set_price("EUR.USD@IDEALPRO", Decimal("1.25"))
        trade = ib.placeOrder(pair, MarketOrder("BUY", 20_000, tif="DAY"))
        await site.until_status(trade, "Filled")
        balances = site.venue.truth().balances
        assert balances == {"USD": Decimal(1_000_000) - 25_000 - 2, "EUR": Decimal(20_000)}
        rows = {(row.tag, row.currency): row.value for row in (await site.client(2)).accountValues()}
        assert (rows["NetLiquidation", "USD"], rows["ExchangeRate", "EUR"]) == ("999998", "1.25")
        assert [(one.contract.localSymbol, one.position) for one in ib.positions()] == [("EUR.USD", 20_000)]

    at_gateway(scenario)


def test_future_settles_what_it_gains(at_gateway: Run) -> None:
    """Cash moves by what a closed future gained, times its multiplier; its average cost bears that too."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        (future,) = await ib.qualifyContractsAsync(Future("ES", "203106", "CME"))
        await site.venue.set_price("ES 203106 CME", Decimal("5000.25"))
        trade = ib.placeOrder(future, MarketOrder("BUY", 2, tif="DAY"))
        await site.until_status(trade, "Filled")
        await site.until(ib.positions, "the position")
        assert (ib.positions()[0].avgCost, ib.positions()[0].contract.multiplier) == (250_012.5, "50")
        assert site.venue.truth().balances["USD"] == Decimal(1_000_000) - Decimal("4.50")
        await site.venue.set_price("ES 203106 CME", Decimal("5010.25"))
        out = ib.placeOrder(future, MarketOrder("SELL", 2, tif="DAY"))
        await site.until(lambda: out.fills and out.fills[0].commissionReport.execId, "the commission")
        assert out.fills[0].commissionReport.realizedPNL == 1000
        assert site.venue.truth().balances["USD"] == Decimal(1_000_000) + 1000 - 9

    at_gateway(scenario)


def test_coins_are_bought_for_money(at_gateway: Run) -> None:
    """A market order to buy names its money; a limit works five minutes."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        (coin,) = await ib.qualifyContractsAsync(Crypto("BTC", "PAXOS", "USD"))
        await site.venue.set_price("BTC@PAXOS", Decimal(50_000))
        trade = ib.placeOrder(coin, MarketOrder("BUY", 0, tif="IOC", cashQty=1000))
        await site.until_status(trade, "Filled")
        assert site.venue.truth().positions == {"BTC.USD": Decimal("0.02")}
        resting = await site.placed(ib, LimitOrder("BUY", 0.01, 40_000, tif="Minutes"), coin)
        await site.venue.skew(301)
        await site.until_status(resting, "Cancelled")
        assert site.venue.truth().orders[-1].status is OrderStatus.EXPIRED

    at_gateway(scenario)


def test_order_waits_for_its_session(at_gateway: Run) -> None:
    """After hours an order is taken, remarked on with 399, and works when the session opens."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        await site.venue.skew(8 * 3600)
        trade = await site.placed(ib, MarketOrder("BUY", 1, tif="DAY"))
        assert "2031-03-05 14:30:00" in await site.until_said(399)
        assert "PreSubmitted" in [entry.status for entry in trade.log]
        outside = ib.placeOrder(site.stock, site.limit(price=61, outsideRth=True))
        await site.until_status(outside, "Filled")
        assert trade.filled() == 0
        await site.venue.skew(23 * 3600)
        await site.until_status(trade, "Filled")

    at_gateway(scenario)


@pytest.mark.parametrize(
    ("kind", "price", "filled"), [("MOC", 0, True), ("LOC", 61, True), ("LOC", 59, False)]
)
def test_order_for_the_close(at_gateway: Run, kind: str, price: int, filled: bool) -> None:
    """It waits for the close, and is executed at the last price if its limit allows."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        order = site.limit(price=price) if price else MarketOrder("BUY", 10, tif="DAY")
        order.orderType = kind
        trade = await site.placed(ib, order)
        await ib.reqCurrentTimeAsync()
        assert trade.filled() == 0
        await site.venue.skew(6 * 3600)
        await site.until_status(trade, "Filled" if filled else "Cancelled")

    at_gateway(scenario)


def test_order_waits_for_the_open_or_for_its_hour(at_gateway: Run) -> None:
    """One for the opening waits for the next session; one that is good after an hour for that."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        opening = await site.placed(ib, site.limit(price=61, tif="OPG"))
        late = await site.placed(ib, site.limit(price=61, goodAfterTime="20310304 12:00:00 US/Eastern"))
        await ib.reqCurrentTimeAsync()
        assert (opening.filled(), late.filled()) == (0, 0)
        await site.venue.skew(1.6 * 3600)
        await site.until_status(late, "Filled")
        assert opening.filled() == 0
        await site.venue.skew(23.5 * 3600)
        await site.until_status(opening, "Filled")

    at_gateway(scenario)


def test_order_ends_with_its_day_or_its_date(at_gateway: Run) -> None:
    """A day order ends at the close, one with a date then; one that is good till cancelled stays."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        day = await site.placed(ib, site.limit())
        date = await site.placed(ib, site.limit(tif="GTD", goodTillDate="20310304-18:00:00"))
        stays = await site.placed(ib, site.limit(tif="GTC"))
        await site.venue.skew(3 * 3600)
        await site.until_status(date, "Cancelled")
        assert day.isActive()
        await site.venue.skew(6 * 3600)
        await site.until_status(day, "Cancelled")
        assert stays.isActive()
        request = site.venue.truth().orders[1].request
        assert request.expire_at == datetime(2031, 3, 4, 18, tzinfo=UTC)

    at_gateway(scenario)


def test_what_cannot_be_filled_at_once_ends(at_gateway: Run) -> None:
    """IOC and FOK take what is there, and end."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        for tif in ("IOC", "FOK"):
            trade = await site.placed(ib, site.limit(tif=tif))
            await site.until_status(trade, "Cancelled")
            trade = await site.placed(ib, site.limit(tif=tif, price=61))
            await site.until_status(trade, "Filled")

    at_gateway(scenario)


def test_executions_come_in_parts(at_gateway: Run) -> None:
    """By chance an order is executed in two parts, which add up."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        trade = ib.placeOrder(site.stock, MarketOrder("BUY", 11, tif="DAY"))
        await site.until_status(trade, "Filled")
        assert [fill.execution.shares for fill in trade.fills] == [5, 6]
        assert [fill.execution.cumQty for fill in trade.fills] == [5, 11]

    at_gateway(scenario, partial_fills=1.0)


def test_account_is_told_when_positions_move(at_gateway: Run) -> None:
    """Portfolio, balances and gains follow an execution; balances alone wait three minutes."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        gains = ib.reqPnL("DU1234567")
        single = ib.reqPnLSingle("DU1234567", "", 8894)
        trade = ib.placeOrder(site.stock, MarketOrder("BUY", 10, tif="DAY"))
        await site.until_status(trade, "Filled")
        await site.until(lambda: [(one.position, one.averageCost) for one in ib.portfolio()] == [(10, 60)])

        def cash() -> str:
            rows = ib.accountValues()
            return next(row.value for row in rows if (row.tag, row.currency) == ("TotalCashBalance", "USD"))

        await site.until(lambda: cash() == "999399", "the balance")
        await site.until(lambda: single.position == 10)
        assert gains.unrealizedPnL == 0
        await site.venue.cash_flow(Money("USD", Decimal(1)))
        await ib.reqCurrentTimeAsync()
        assert cash() == "999399"
        await site.venue.skew(timedelta(minutes=3).total_seconds() + 1)
        await site.until(lambda: cash() == "999400", "the balance in its time")

    at_gateway(scenario)


def test_summaries_are_counted(at_gateway: Run) -> None:
    """A third subscription to the summary is refused: 322."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        for number in (901, 902, 903):
            ib.client.reqAccountSummary(number, "All", "NetLiquidation")
        await site.until_said(322)
        assert [number for number, code, _ in site.errors if code == 322] in ([902], [903])

    at_gateway(scenario)


def test_user_has_several_accounts(at_gateway: Run) -> None:
    """An order has to name one of them then; the others are empty."""

    async def scenario(site: Site) -> None:
        ib = await site.client(account="DU1234567", raiseSyncErrors=True)
        assert ib.managedAccounts() == ["DU1234567", "DU7"]
        ib.placeOrder(site.stock, site.limit())
        await site.until_said(435)
        trade = await site.placed(ib, site.limit(account="DU1234567"))
        assert trade.order.account == "DU1234567"

    at_gateway(scenario, other_accounts=("DU7",))

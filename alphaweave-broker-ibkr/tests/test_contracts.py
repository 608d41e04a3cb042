"""Contracts by their short forms, found at the gateway, with the rules that hold for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from ib_async import Contract, ContractDetails, PriceIncrement

from alphaweave.core.errors import BrokerUnavailable, Unsupported
from alphaweave.core.instrument import PriceStep
from alphaweave.core.order import OrderType, TimeInForce
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.timer import LoopTimer
from alphaweave.testing.clock import RunningClock
from alphaweave_broker_ibkr.contracts import Found, find_contract, find_contracts, instrument_of
from alphaweave_broker_ibkr.gateway import Gateway
from alphaweave_broker_ibkr.order_wire import Listing
from alphaweave_broker_ibkr.pace import Pace
from alphaweave_broker_ibkr.sandbox.control import IbkrSandbox
from alphaweave_broker_ibkr.sandbox.options import SandboxOptions
from alphaweave_broker_ibkr.settings import Reach

# An upper bound only: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 15.0


def at_gateway(scenario: Callable[[Gateway], Awaitable[None]]) -> None:
    async def whole() -> None:
        clock = RunningClock()
        venue = IbkrSandbox(SandboxOptions(), Services(clock=clock))
        await venue.start()
        timer = LoopTimer(clock)
        gateway = Gateway(Reach(port=venue.port), timer, Pace(45, 30.0, timer))
        try:
            await gateway.open()
            await asyncio.wait_for(scenario(gateway), _PATIENCE)
        finally:
            await gateway.close()
            await venue.stop()

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("form", "listing"),
    [
        ("AAPL", Listing(265598, "STK", "SMART", "USD")),
        ("TWIN@NASDAQ", Listing(610000002, "STK", "SMART", "USD")),
        ("4036818", Listing(4036818, "STK", "SMART", "AUD")),
        ("EUR.USD@IDEALPRO", Listing(12087792, "CASH", "IDEALPRO", "USD")),
        ("BTC@PAXOS", Listing(479624278, "CRYPTO", "PAXOS", "USD")),
    ],
)
def test_short_form_is_a_contract(form: str, listing: Listing) -> None:
    """Its number, and where its orders go; a stock's are routed."""

    async def scenario(gateway: Gateway) -> None:
        found = await find_contract(gateway, "X", form)
        assert found is not None
        assert found.listing == listing

    at_gateway(scenario)


def test_future_is_found_by_its_month() -> None:
    """At its exchange, with its multiplier, and the other quarters are other contracts."""

    async def scenario(gateway: Gateway) -> None:
        told = await gateway.ask(
            lambda number: gateway.client.reqContractDetails(
                number, Contract(secType="FUT", symbol="ES", exchange="CME")
            ),
            rows="contractDetails",
            ends="contractDetailsEnd",
        )
        contract = told[1][0].contract
        month = contract.lastTradeDateOrContractMonth[:6]
        found = await find_contract(gateway, "ES", f"ES {month} CME")
        assert found is not None
        assert found.listing == Listing(contract.conId, "FUT", "CME", "USD")
        rules = instrument_of(found, "ES", f"ES {month} CME")
        assert (rules.kind, rules.multiplier, rules.base) == ("future", Decimal(50), None)

    at_gateway(scenario)


def test_ambiguous_form_lists_the_candidates() -> None:
    """By the numbers that tell them apart, and none is chosen."""

    async def scenario(gateway: Gateway) -> None:
        with pytest.raises(Unsupported, match="ambiguous") as caught:
            await find_contract(gateway, "TWIN", "TWIN")
        for part in ("610000001", "610000002", "TWIN at NYSE", "TWIN at NASDAQ"):
            assert part in str(caught.value)

    at_gateway(scenario)


def test_contract_that_is_not_there_is_none() -> None:
    """And a text that is no form is refused, with the forms."""

    async def scenario(gateway: Gateway) -> None:
        assert await find_contract(gateway, "X", "NOSUCH") is None
        assert await find_contract(gateway, "X", "999999999") is None
        with pytest.raises(Unsupported, match="write AAPL"):
            await find_contract(gateway, "X", "eur/usd")

    at_gateway(scenario)


def test_ticks_are_those_of_the_market_rule() -> None:
    """By bands of prices, and of the exchange that the orders go to."""

    async def scenario(gateway: Gateway) -> None:
        found = await find_contract(gateway, "KO", "KO")
        assert found is not None
        rules = instrument_of(found, "KO", "KO")
        assert len(rules.price_steps) > 1
        assert rules.price_steps[0].start == 0
        assert rules.price_steps == tuple(sorted(rules.price_steps, key=lambda one: one.start))

    at_gateway(scenario)


def details(**changes: Any) -> ContractDetails:
    usual = {
        "contract": Contract(conId=7, secType="STK", symbol="ACME", exchange="SMART", currency="USD"),
        "minTick": 0.01,
        "minSize": 0.0001,
        "sizeIncrement": 0.0001,
        "orderTypes": "ACTIVETIM,LMT,LOC,MKT,MOC,STP",
        "validExchanges": "SMART,NYSE,ARCA",
        "marketRuleIds": "26,27,28",
    }
    return ContractDetails(**{**usual, **changes})


STOCK = Listing(7, "STK", "SMART", "USD")


def test_stock_is_traded_in_whole_units() -> None:
    """Parts are said to be possible, and refused to a program (10243)."""
    rules = instrument_of(Found(STOCK, details(), ()), "ACME", "ACME")
    assert (rules.size_step, rules.min_size, rules.fractional) == (Decimal(1), Decimal(1), False)
    assert rules.price_steps == (PriceStep(Decimal(0), Decimal("0.01")),)


def test_lot_of_a_hundred_is_a_step() -> None:
    """What the gateway says of sizes, where that is more than one."""
    found = Found(STOCK, details(minSize=100.0, sizeIncrement=100.0), ())
    rules = instrument_of(found, "ACME", "ACME")
    assert (rules.size_step, rules.min_size) == (Decimal(100), Decimal(100))


def test_coin_is_traded_in_parts_at_once_or_not() -> None:
    """It is no margin product, and takes no order that rests."""
    coin = Contract(conId=8, secType="CRYPTO", symbol="BTC", exchange="PAXOS", currency="USD")
    found = Found(
        Listing(8, "CRYPTO", "PAXOS", "USD"),
        details(contract=coin, sizeIncrement=1e-08),
        (),
    )
    rules = instrument_of(found, "BTC", "BTC@PAXOS")
    assert (rules.fractional, rules.shortable, rules.size_step) == (True, False, Decimal("1E-8"))
    assert rules.order_types == {
        (OrderType.MARKET, TimeInForce.IOC),
        (OrderType.LIMIT, TimeInForce.IOC),
    }


def test_position_in_a_pair_is_the_balance_of_its_first_currency() -> None:
    """So it is told, and so it has to be booked."""
    pair = Contract(conId=9, secType="CASH", symbol="EUR", exchange="IDEALPRO", currency="USD")
    found = Found(Listing(9, "CASH", "IDEALPRO", "USD"), details(contract=pair), ())
    rules = instrument_of(found, "EUR-USD", "EUR.USD")
    assert (rules.base, rules.quote, rules.settle) == ("EUR", "USD", "USD")


@pytest.mark.parametrize("words", ["LMT,MKT", "LMT,MKT,LOC"])
def test_orders_at_the_close_are_taken_where_the_contract_says(words: str) -> None:
    """The closing auction is a type of order of its own there."""
    rules = instrument_of(Found(STOCK, details(orderTypes=words), ()), "ACME", "ACME")
    assert rules.order_types is not None
    closing = {kind for kind, tif in rules.order_types if tif is TimeInForce.AT_CLOSE}
    assert closing == ({OrderType.LIMIT} if "LOC" in words else set())


class Scripted:
    """A gateway that knows one contract, and answers for market rules what it likes."""

    def __init__(self, rule: int, told: ContractDetails | None = None) -> None:
        self.rule = rule
        self.told = told or details()
        self.asked: list[int] = []
        self.client = SimpleNamespace(reqContractDetails=lambda *_: None, reqMarketRule=self.asked.append)

    async def ask(self, write: Callable[[int], None], **_: str) -> list[tuple[Any, ...]]:
        write(1)
        return [(self.told,)]

    async def ask_alone(self, write: Callable[[], None], **_: str) -> list[tuple[Any, ...]]:
        write()
        steps = [PriceIncrement(1.0, 0.01), PriceIncrement(0.0, 0.0001), PriceIncrement(5.0, 0.0)]
        return [(self.rule, steps)]


def test_rule_of_the_exchange_is_asked_for() -> None:
    """Its place in the list of exchanges is its place in the list of rules."""
    nyse = Contract(conId=7, secType="STK", symbol="ACME", exchange="NYSE", currency="USD")
    gateway: Any = Scripted(26, details(contract=nyse))
    found = asyncio.run(find_contract(gateway, "ACME", "ACME"))
    assert gateway.asked == [26]
    assert found is not None
    assert found.bands == (
        PriceStep(Decimal("0.0"), Decimal("0.0001")),
        PriceStep(Decimal("1.0"), Decimal("0.01")),
    )


def test_contracts_are_asked_for_together() -> None:
    """A run of many would not start otherwise; a rule that they share is asked for once."""

    class Slow(Scripted):
        together = asyncio.Event()
        waiting = 0

        async def ask(self, write: Callable[[int], None], **_: str) -> list[tuple[Any, ...]]:
            self.waiting += 1
            if self.waiting == 3:
                self.together.set()
            await asyncio.wait_for(self.together.wait(), _PATIENCE)
            return [(self.told,)]

    gateway: Any = Slow(26)
    found = asyncio.run(find_contracts(gateway, {"A": "ACME", "B": "ACME@NYSE", "C": "7"}))
    assert list(found) == ["A", "B", "C"]
    assert gateway.asked == [26]
    with pytest.raises(Unsupported, match="B: "):
        asyncio.run(find_contracts(gateway, {"A": "ACME", "B": "acme", "C": "7"}))


def test_another_rule_s_answer_is_not_taken() -> None:
    """Rules have no numbers of questions."""
    gateway: Any = Scripted(27)
    with pytest.raises(BrokerUnavailable, match="26 was asked for, and 27 answered"):
        asyncio.run(find_contract(gateway, "ACME", "ACME"))


def test_contract_of_another_kind_is_refused() -> None:
    """An option is found by its number, too."""
    option = Contract(conId=11, secType="OPT", symbol="ACME", exchange="SMART", currency="USD")
    gateway: Any = Scripted(26, details(contract=option))
    with pytest.raises(Unsupported, match="kind OPT"):
        asyncio.run(find_contract(gateway, "ACME", "11"))


def test_contract_that_is_priced_in_cents_is_refused() -> None:
    """Its books would be a hundred times too large."""
    gateway: Any = Scripted(26, details(priceMagnifier=100))
    with pytest.raises(Unsupported, match="of which 100 are one"):
        asyncio.run(find_contract(gateway, "ACME", "ACME"))


def test_step_of_the_contract_holds_where_it_has_no_rule() -> None:
    """The lists may be of unequal length."""
    gateway: Any = Scripted(26, details(marketRuleIds=""))
    found = asyncio.run(find_contract(gateway, "ACME", "ACME"))
    assert found is not None
    assert (gateway.asked, found.bands) == ([], ())
    assert instrument_of(found, "ACME", "ACME").price_step(Decimal(5)) == Decimal("0.01")

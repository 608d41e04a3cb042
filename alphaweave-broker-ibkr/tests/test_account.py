"""Whose account it is, and what the gateway says is in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, field
from ib_async import Contract

from alphaweave.core.errors import AuthenticationFailed
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.broker import BrokerAccountState
from alphaweave_broker_ibkr.account import account_state, chosen_account
from alphaweave_broker_ibkr.gateway import NoAnswer
from alphaweave_broker_ibkr.names import Symbols
from alphaweave_broker_ibkr.settings import Reach

NOON = datetime(2031, 3, 3, 12, tzinfo=UTC)
ACCOUNT = "DU1234567"
KO = Contract(conId=8894, secType="STK", localSymbol="KO", exchange="NYSE")
BHP = Contract(conId=4391, secType="STK", localSymbol="BHP", exchange="NYSE")
SYDNEY = Contract(conId=4036818, secType="STK", localSymbol="BHP", exchange="ASX")
EURO = Contract(conId=12087792, secType="CASH", localSymbol="EUR.USD")
VALUES = [
    ("NetLiquidation", "100500.25", "USD"),
    ("BuyingPower", "400000", "USD"),
    ("CashBalance", "90000.1", "USD"),
    ("CashBalance", "-12.5", "EUR"),
    ("CashBalance", "89986", "BASE"),
]


@define
class Client:
    """It writes down what is asked."""

    written: list[str] = field(factory=list)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: self.written.append(name)


@define
class Answering:
    """A gateway with these positions and values."""

    held: list[tuple[Any, ...]] = field(factory=list)
    values: list[tuple[str, str, str]] = field(factory=lambda: list(VALUES))
    client: Client = field(factory=Client)
    between: Callable[[], None] = lambda: None
    is_open: bool = True

    @asynccontextmanager
    async def turn(self, use: Use) -> AsyncIterator[None]:
        yield

    async def ask_alone(self, write: Callable[[], None], *, rows: str, ends: str) -> list[tuple[Any, ...]]:
        assert (rows, ends) == ("position", "positionEnd")
        write()
        return self.held

    async def ask(self, write: Callable[[int], None], *, rows: str, ends: str) -> list[tuple[Any, ...]]:
        assert (rows, ends) == ("accountUpdateMulti", "accountUpdateMultiEnd")
        write(1_000_000_001)
        self.between()
        return [(ACCOUNT, "", *value) for value in self.values]


def told(gateway: Any, executed: Callable[[], int] = lambda: 0) -> BrokerAccountState:
    symbols = Symbols()
    symbols.learn(8894, "KO")
    symbols.learn(4391, "BHP")
    return asyncio.run(account_state(gateway, ACCOUNT, symbols, lambda: NOON, executed))


def test_account_has_what_the_gateway_tells() -> None:
    """To the digit, with balances in each currency; their sum in the base currency is none."""
    state = told(Answering([(ACCOUNT, KO, 10.5, 61.2), (ACCOUNT, BHP, 0.0, 0.0)]))
    assert state.positions == {"KO": Decimal("10.5")}
    assert {name: one.total for name, one in state.balances.items()} == {
        "USD": Decimal("90000.1"),
        "EUR": Decimal("-12.5"),
    }
    assert (state.equity, state.base_currency) == (Decimal("100500.25"), "USD")
    assert (state.buying_power, state.complete) == (Decimal(400000), True)


def test_balances_are_older_than_positions() -> None:
    """Interactive Brokers counts them anew every three minutes."""
    state = told(Answering())
    assert state.as_of == NOON
    assert state.balances_as_of == NOON - timedelta(minutes=3)


def test_positions_of_others_are_told_apart() -> None:
    """Another account of the login is not this one's, and what the config does not name is foreign."""
    lent = Contract(conId=1, secType="STK", localSymbol="IBM")
    state = told(Answering([("DU7", KO, 5.0, 1.0), (ACCOUNT, KO, -2.0, 1.0), (ACCOUNT, lent, 7.0, 1.0)]))
    assert state.positions == {"KO": Decimal(-2), "IBM": Decimal(7)}
    assert state.foreign == ("IBM",)


def test_contract_of_the_same_symbol_is_another_position() -> None:
    """What is held in Sydney is not what is traded in New York."""
    state = told(Answering([(ACCOUNT, BHP, 3.0, 1.0), (ACCOUNT, SYDNEY, 100.0, 1.0)]))
    assert state.positions == {"BHP": Decimal(3), "BHP 4036818": Decimal(100)}
    assert state.foreign == ("BHP 4036818",)


def test_position_in_a_pair_is_a_balance() -> None:
    """It would count twice: the currency is among the balances."""
    state = told(Answering([(ACCOUNT, EURO, 20000.0, 1.1)]))
    assert state.positions == {}


def test_account_is_asked_again_while_executions_come() -> None:
    """One of them would be in the balances, and not in the positions; after a few times it is said."""
    count = 0

    def execute() -> None:
        nonlocal count
        count += count < 1

    gateway = Answering(between=execute)
    assert told(gateway, lambda: count).complete
    assert gateway.client.written.count("reqPositions") == 2

    def go_on() -> None:
        nonlocal count
        count += 1

    gateway = Answering(between=go_on)
    assert not told(gateway, lambda: count).complete
    assert gateway.client.written.count("reqPositions") == 3


def test_nothing_is_subscribed_afterwards() -> None:
    """Changes that came later would be in the next answer."""
    gateway = Answering()
    told(gateway)
    assert gateway.client.written == [
        "reqPositions",
        "cancelPositions",
        "reqAccountUpdatesMulti",
        "cancelAccountUpdatesMulti",
    ]


def test_nothing_is_subscribed_after_a_question_without_an_answer() -> None:
    """While the connection is there; with it, its subscriptions end."""

    class Silent(Answering):
        async def ask(self, write: Callable[[int], None], *, rows: str, ends: str) -> list[tuple[Any, ...]]:
            await super().ask(write, rows=rows, ends=ends)
            raise NoAnswer("no answer within 10 s")

    for is_open in (True, False):
        gateway = Silent()
        gateway.is_open = is_open
        with pytest.raises(NoAnswer):
            told(gateway)
        assert ("cancelAccountUpdatesMulti" in gateway.client.written) is is_open


def test_account_without_an_equity_is_no_answer() -> None:
    """As a gateway that is still starting gives it."""
    with pytest.raises(NoAnswer, match="NetLiquidation"):
        told(Answering(values=[]))


@pytest.mark.parametrize(
    ("accounts", "wanted", "port", "mode", "chosen"),
    [
        (["DU1"], None, 7497, RunMode.PAPER, "DU1"),
        (["DU1", "DU2"], "DU2", 4002, RunMode.PAPER, "DU2"),
        (["DF1"], "DF1", 9000, RunMode.PAPER, "DF1"),
        (["U1"], "U1", 7496, RunMode.LIVE, "U1"),
        (["U1", "U2"], "U1", 9000, RunMode.LIVE, "U1"),
    ],
)
def test_account_is_the_one_that_is_meant(
    accounts: list[str], wanted: str | None, port: int, mode: RunMode, chosen: str
) -> None:
    """The one of the config, or the only one; ports that say nothing are taken."""
    services = Services(account_id=wanted, mode=mode)
    assert chosen_account(accounts, Reach(port=port), services) == chosen


@pytest.mark.parametrize(
    ("accounts", "wanted", "port", "mode", "said"),
    [
        (["DU1", "DU2"], None, 7497, RunMode.PAPER, "write one into broker.account_id"),
        (["DU1"], "DU2", 7497, RunMode.PAPER, "DU1, and not DU2"),
        (["U1"], "U1", 7497, RunMode.PAPER, "is of real money"),
        (["U1"], "U1", 9000, RunMode.PAPER, "is of real money"),
        (["DU1"], "DU1", 7496, RunMode.LIVE, "is of play money"),
        (["DU1"], "DU1", 4001, RunMode.PAPER, "port 4001"),
        (["U1"], "U1", 4002, RunMode.LIVE, "port 4002"),
    ],
)
def test_account_of_the_wrong_money_is_refused(
    accounts: list[str], wanted: str | None, port: int, mode: RunMode, said: str
) -> None:
    """Account, port and mode agree, or nothing is traded."""
    services = Services(account_id=wanted, mode=mode)
    with pytest.raises(AuthenticationFailed, match=said):
        chosen_account(accounts, Reach(port=port), services)

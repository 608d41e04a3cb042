"""Whose account it is, and what is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from alphaweave.core.errors import AuthenticationFailed
from alphaweave.core.money import ZERO
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.broker import Balance, BrokerAccountState
from alphaweave_broker_ibkr.figures import exact
from alphaweave_broker_ibkr.gateway import Gateway, NoAnswer
from alphaweave_broker_ibkr.names import Symbols
from alphaweave_broker_ibkr.settings import Reach

__all__ = ["account_state", "account_values", "chosen_account"]

_PAPER_PORTS: Final = frozenset({7497, 4002})
_REAL_PORTS: Final = frozenset({7496, 4001})
_CASH: Final = "CashBalance"
# How old account values may be unless positions changed.
_AGE: Final = timedelta(minutes=3)
_TRIES: Final = 3
_QUERY: Final = Use.QUERY


def chosen_account(accounts: Sequence[str], reach: Reach, services: Services) -> str:
    """The account to trade, of those of the login.

    Raises:
        AuthenticationFailed: it is not there, several are and none is named, or it is not of the run's mode.
    """
    wanted = services.account_id
    details = {"accounts": ", ".join(accounts), "mode": services.mode.value, "port": str(reach.port)}
    if wanted is None and len(accounts) != 1:
        raise AuthenticationFailed(
            f"the login has the accounts {', '.join(accounts)}: write one into broker.account_id",
            details=details,
        )
    account = accounts[0] if wanted is None else wanted
    if account not in accounts:
        raise AuthenticationFailed(
            f"the login has {', '.join(accounts)}, and not {account}: write one of them into "
            "broker.account_id, or log in with another user",
            details=details,
        )
    # Play accounts are DU..., DF... for advisers.
    paper = account.startswith("D")
    real = services.mode is RunMode.LIVE
    if real is paper or reach.port in (_PAPER_PORTS if real else _REAL_PORTS):
        money = "play money" if paper else "real money"
        raise AuthenticationFailed(
            f"the run is {services.mode.value}, and account {account} at port {reach.port} is not: the "
            f"account is of {money}, ports 7497 and 4002 are for paper, 7496 and 4001 for real money; make "
            "run.mode, the port and the account agree",
            details=details,
        )
    return account


async def account_state(
    gateway: Gateway, account: str, symbols: Symbols, now: Callable[[], datetime], executed: Callable[[], int]
) -> BrokerAccountState:
    """Positions and balances; ``executed`` counts the executions that were told of.

    Raises:
        NoAnswer, Refused, Unsent: the gateway does not say.
        ValueError: a number cannot be read.
    """
    left = _TRIES
    while True:
        before, as_of = executed(), now()
        held, values = await _positions(gateway), await account_values(gateway, account)
        left -= 1
        # An execution between the two would be in one of them only.
        if (complete := executed() == before) or not left:
            break
    named, foreign = _by_symbol(held, account, symbols)
    balances = {
        currency: Balance(exact(value) or ZERO)
        for key, value, currency in values
        if key == _CASH and currency != "BASE"
    }
    equity = [(exact(value), currency) for key, value, currency in values if key == "NetLiquidation"]
    power = [exact(value) for key, value, _ in values if key == "BuyingPower"]
    if not equity:
        raise NoAnswer("the account values have no NetLiquidation")
    return BrokerAccountState(
        account_id=account,
        as_of=as_of,
        base_currency=equity[0][1],
        balances=balances,
        positions=named | foreign,
        equity=equity[0][0],
        buying_power=power[0] if power else None,
        complete=complete,
        foreign=tuple(foreign),
        balances_as_of=as_of - _AGE,
    )


async def _positions(gateway: Gateway) -> list[tuple[Any, ...]]:
    told = await gateway.ask_alone(gateway.client.reqPositions, rows="position", ends="positionEnd")
    async with gateway.turn(_QUERY):
        # Otherwise every change is told from now on, and would be in the next answer.
        gateway.client.cancelPositions()
    return told


async def account_values(gateway: Gateway, account: str) -> list[tuple[str, str, str]]:
    """Keys, values and currencies, as the gateway tells them.

    Raises:
        NoAnswer, Refused, Unsent: it does not.
    """
    asked: list[int] = []

    def write(number: int) -> None:
        asked.append(number)
        gateway.client.reqAccountUpdatesMulti(number, account, "", False)

    try:
        told = await gateway.ask(write, rows="accountUpdateMulti", ends="accountUpdateMultiEnd")
    finally:
        # One that was not answered would be told of every change, for ever, too.
        if asked and gateway.is_open:
            async with gateway.turn(_QUERY):
                gateway.client.cancelAccountUpdatesMulti(asked[0])
    return [(key, value, currency) for _, _, key, value, currency in told]


def _by_symbol(
    told: Sequence[tuple[Any, ...]], account: str, symbols: Symbols
) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Positions under the config's symbols, and those that it does not name."""
    named: dict[str, Decimal] = {}
    foreign: dict[str, Decimal] = {}
    for holder, contract, size, _ in told:
        quantity = exact(size) or ZERO
        # What is held of a currency is a balance.
        if holder == account and quantity != ZERO and contract.secType != "CASH":
            where = named if symbols.is_named(contract) else foreign
            where[symbols.symbol(contract)] = quantity
    return named, foreign

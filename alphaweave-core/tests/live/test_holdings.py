"""What a run holds of a spot instrument is what its account has of it, whatever moved that."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.clock import from_ns
from alphaweave.core.instrument import Instrument, PriceStep
from alphaweave.core.money import Money
from alphaweave.core.order import OrderType, Side, TimeInForce
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.control_records import Verb
from alphaweave.live.reports import CashFlow, FeeReport
from alphaweave.live.risk import RiskSettings
from alphaweave.live.risk_losses import LossLevels


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


live = _module("live_bench")
D = Decimal
PAIRS = frozenset((kind, TimeInForce.GTC) for kind in OrderType)
CAPABILITIES = Capabilities(
    order_types=PAIRS, fractional=PAIRS, default_tif=dict.fromkeys(OrderType, (TimeInForce.GTC,))
)


def spot(symbol: str, base: str, quote: str = "USD") -> Instrument:
    return Instrument(
        symbol=symbol,
        venue_symbol=symbol,
        kind="spot",
        base=base,
        quote=quote,
        settle=quote,
        price_steps=(PriceStep(D(0), D("0.01")),),
        size_step=D("0.001"),
        fractional=True,
        shortable=False,
    )


BNB, BTC = spot("BNBUSD", "BNB"), spot("BTCUSD", "BTC")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Any]:
    def build(
        *rules: Instrument, held: dict[str, str] | None = None, begun: bool = True, **words: Any
    ) -> Any:
        named = {one.symbol: one for one in rules or (BNB, BTC)}
        words = {"cash": "100000", **words}
        bench = live.LiveBench(tmp_path, CAPABILITIES, symbols=tuple(named), rules=named, **words)
        bench.broker.balances = {asset: D(total) for asset, total in (held or {}).items()}
        bench.settle(2)
        if begun:
            bench.bar(100.0)
        return bench

    return build


def trade(bench: Any, symbol: str, size: str, fee: Money | None = None, price: str = "100") -> Any:
    """A market order of the strategy's, filled; its fee as Binance takes it."""
    bench.at_once(lambda s: s.order_market(symbol, D(size)))
    (sent,) = bench.deliver()
    units = abs(D(size))
    fill = bench.broker.fill(sent.ref.client_order_id, str(units), price, from_ns(bench.now))
    bench.broker.fills[-1] = fill = evolve(fill, fees=() if fee is None else (fee,))
    base = bench.kernel.books[symbol].instrument.base
    balances = bench.broker.balances
    balances[base] = balances.get(base, D(0)) + units * (1 if D(size) > 0 else -1)
    if fee is not None:
        if fee.asset == "USD":
            bench.broker.cash -= fee.amount
        else:
            balances[fee.asset] = balances.get(fee.asset, D(0)) - fee.amount
    bench.event(fill)
    return fill


def held(bench: Any, symbol: str) -> Decimal:
    book = bench.kernel.books[symbol]
    assert book.units == float(book.quantity)
    assert (book in bench.kernel.held) is bool(book.quantity)
    return book.quantity


def all_is_well(bench: Any) -> bool:
    """The books agree with the account for minutes."""
    bench.told.clear()
    bench.settle(100)
    return not {"position_differs", "cash_differs", "foreign_fill"} & set(bench.alerts())


def test_commission_of_another_symbol_is_taken_off_the_position_it_is_paid_of(make: Any) -> None:
    bench = make()
    trade(bench, "BNBUSD", "2")
    assert held(bench, "BNBUSD") == 2
    trade(bench, "BTCUSD", "1", Money("BNB", D("0.075")))
    assert (held(bench, "BNBUSD"), held(bench, "BTCUSD")) == (D("1.925"), 1)
    assert all_is_well(bench)


def test_commission_is_off_the_position_when_the_strategy_hears_of_the_fill(make: Any) -> None:
    bench = make()
    trade(bench, "BNBUSD", "2")
    seen: list[float] = []
    bench.on_fill = lambda s, fill: seen.append(s.position("BNBUSD"))
    trade(bench, "BTCUSD", "1", Money("BNB", D("0.075")))
    assert seen == [1.925]


@pytest.mark.parametrize("late", [False, True])
def test_commission_out_of_what_was_bought_lowers_that_position(make: Any, late: bool) -> None:
    bench = make()
    fee = Money("BTC", D("0.001"))
    fill = trade(bench, "BTCUSD", "1", None if late else fee)
    if late:
        assert held(bench, "BTCUSD") == 1
        bench.broker.balances["BTC"] -= fee.amount
        bench.event(FeeReport("DU1", fill.execution_key, (fee,), from_ns(bench.now)))
    assert held(bench, "BTCUSD") == D("0.999")
    assert all_is_well(bench)


def test_position_that_commissions_were_paid_of_can_be_closed_to_nothing(make: Any) -> None:
    bench = make()
    trade(bench, "BNBUSD", "2")
    trade(bench, "BTCUSD", "1", Money("BNB", D("0.075")))
    bench.at_once(lambda s: s.close_position("BNBUSD"))
    (sent,) = bench.sent
    assert (sent.request.side, sent.request.quantity) == (Side.SELL, D("1.925"))


def test_deposit_and_withdrawal_move_the_position_and_are_no_profit(make: Any) -> None:
    limits = {"warn": D("0.01"), "flatten": D("0.02")}
    bench = make(risk=RiskSettings(daily_loss=LossLevels(**limits), drawdown=LossLevels(**limits)))
    trade(bench, "BTCUSD", "100")
    for key, change, after in (("d", "900", 1000), ("w", "-950", 50)):
        bench.broker.balances["BTC"] += D(change)
        bench.event(CashFlow("DU1", key, "transfer", Money("BTC", D(change)), from_ns(bench.now)))
        assert held(bench, "BTCUSD") == after
    bench.bar(100.0)
    assert "loss_limit" not in bench.alerts()
    assert all_is_well(bench)


def test_what_a_first_start_takes_over_is_a_position_from_then_on(make: Any) -> None:
    bench = make(held={"BTC": "3", "BNB": "1"})
    assert (held(bench, "BTCUSD"), held(bench, "BNBUSD")) == (3, 1)
    assert bench.kernel.equity() == 100_400
    trade(bench, "BTCUSD", "-3", Money("BNB", D("0.5")))
    assert (held(bench, "BTCUSD"), held(bench, "BNBUSD")) == (0, D("0.5"))
    assert all_is_well(bench)


def test_what_was_taken_over_is_worth_nothing_before_its_first_price(make: Any) -> None:
    bench = make(held={"BTC": "3"}, begun=False)
    assert held(bench, "BTCUSD") == 3
    assert bench.command(Verb.STATUS).document["equity"] == 100_000


def test_what_is_paid_in_a_traded_asset_is_taken_off_its_position(make: Any) -> None:
    bench = make(BTC, spot("ETHBTC", "ETH", "BTC"), held={"BTC": "3"})
    trade(bench, "ETHBTC", "10", price="0.05")
    assert (held(bench, "ETHBTC"), held(bench, "BTCUSD")) == (10, D("2.5"))


def test_first_of_two_symbols_of_one_asset_has_what_neither_traded(make: Any) -> None:
    bench = make(BTC, spot("BTCEUR", "BTC"), held={"BTC": "3"})
    trade(bench, "BTCEUR", "1")
    assert (held(bench, "BTCUSD"), held(bench, "BTCEUR")) == (3, 1)


def test_positions_are_the_same_after_a_restart(make: Any) -> None:
    bench = make(held={"BNB": "1"})
    trade(bench, "BTCUSD", "1", Money("BNB", D("0.075")))
    bench.bar(100.0)
    bench.crash()
    assert (held(bench, "BNBUSD"), held(bench, "BTCUSD")) == (D("0.925"), 1)
    bench.settle(2)
    assert all_is_well(bench)


def test_what_was_taken_over_is_valued_before_its_first_trade(make: Any) -> None:
    limits = RiskSettings(daily_loss=LossLevels(flatten=D("0.2")))
    bench = make(held={"BNB": "1", "BTC": "1"}, risk=limits)
    assert bench.at_once(lambda s: s.order_market("BTCUSD", 1)).reason is None
    assert bench.board.account.equity() == 100_200


def test_what_was_taken_over_and_never_traded_is_held_after_restarts(make: Any) -> None:
    """The second finds it in a snapshot."""
    bench = make(held={"BTC": "3"})
    bench.crash()
    bench.settle(2)
    bench.crash()
    assert held(bench, "BTCUSD") == 3


def test_what_came_while_the_run_was_down_is_told_and_not_booked(make: Any) -> None:
    """Nobody says that it was a deposit."""
    bench = make()
    trade(bench, "BTCUSD", "1")
    bench.bar(100.0)
    bench.broker.balances["BTC"] += 2
    bench.broker.cash += 5
    bench.crash()
    bench.told.clear()
    bench.settle(10)
    assert {"position_differs", "cash_differs"} <= set(bench.alerts())
    assert held(bench, "BTCUSD") == 1

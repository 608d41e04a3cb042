"""The whole stack: the names that everything is found by, mock fills, a run from its config to its page."""

from __future__ import annotations

import asyncio
import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from alphaweave import Strategy
from alphaweave.core.clock import ManualClock
from alphaweave.core.errors import DataError, RunRefused
from alphaweave.core.market import Bar
from alphaweave.core.order import OrderRef, OrderRequest, OrderType, Side, TimeInForce
from alphaweave.data.frames import series_from_frame
from alphaweave.live.adapters.base import BrokerConfig, Services
from alphaweave.live.backtest import VectorBacktester
from alphaweave.live.broker import BrokerFill
from alphaweave.live.config import LiveConfig, load_live_config, parse_live_config
from alphaweave.live.runner import LiveRunner
from alphaweave.live.state import load_live_state, save_live_state
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import TradeRecord
from alphaweave.monitoring.run import RunMonitor
from alphaweave_broker_mock import MockBrokerAdapter

EXAMPLES = Path(__file__).parents[1] / "examples"
SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")
BARS = 400


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, with the last four hundred days of their prices."""
    copy = tmp_path_factory.mktemp("clone") / "examples"
    shutil.copytree(EXAMPLES, copy, ignore=shutil.ignore_patterns("output", "__pycache__"))
    for file in (copy / "data").glob("*.csv"):
        head, *rows = file.read_text(encoding="utf-8").splitlines()
        file.write_text("\n".join([head, *rows[-BARS:]]) + "\n", encoding="utf-8")
    return copy


def raw(examples: Path, out: Path, **sections: Any) -> dict[str, Any]:
    """A config over the example prices, whose output goes to ``out``."""
    return {
        "run": {"id": "stack", "currency": "USD"},
        "instruments": list(SYMBOLS),
        "datafeed": {"name": "replay", "options": {"replay": {"path": str(examples / "data")}}},
        "broker": {"name": "paper", "options": {"paper": {"cash": 100000}}},
        "strategy": {"class": "my_strategies:SmaCross"},
        "monitors": [{"name": "dashboard", "options": {"dashboard": {"path": str(out / "page.html")}}}],
        "persistence": {"state_path": str(out / "state.json")},
        **sections,
    }


def config(examples: Path, out: Path, **sections: Any) -> LiveConfig:
    """The same, read as if it lay beside the example strategies."""
    return parse_live_config(raw(examples, out, **sections), source=examples / "stack.yaml")


def fills(trades: Sequence[TradeRecord]) -> list[tuple[datetime, str, str, float, float]]:
    """What was traded, without the ids of the run."""
    return [(each.timestamp, each.symbol, each.side, each.size, each.price) for each in trades]


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("alphaweave.live.broker", ["Broker", "BrokerFill", "BrokerAccountState"]),
        ("alphaweave.live.adapters.base", ["BrokerConfig", "BrokerAdapter"]),
        ("alphaweave.live.config", ["LiveConfig", "load_live_config", "parse_live_config"]),
        ("alphaweave.live.state", ["LiveState", "save_live_state", "load_live_state"]),
        ("alphaweave.live.runner", ["LiveRunner"]),
        ("alphaweave.live.engine", ["LiveEngine"]),
        ("alphaweave.live.datafeed", ["ReplayDataFeed"]),
        ("alphaweave.live.backtest", ["VectorBacktester"]),
        ("alphaweave.monitoring.memory", ["InMemoryMonitor"]),
        ("alphaweave_broker_mock", ["MockBrokerAdapter", "PaperBrokerAdapter"]),
        ("alphaweave", ["InMemoryMonitor", "LiveRunner", "Strategy", "VectorBacktester"]),
    ],
)
def test_names_are_where_they_always_were(module: str, names: list[str]) -> None:
    """What others have written against the first version goes on importing."""
    found = importlib.import_module(module)
    assert set(names) <= set(found.__all__)
    assert all(getattr(found, name).__name__ == name for name in names)


def test_strategies_save_nothing_of_their_own_unless_they_say_so() -> None:
    strategy = Strategy()
    assert strategy.get_state() == {}
    strategy.set_state({})


def test_mock_fills_at_once_at_the_last_price() -> None:
    """The fill comes as an event, never as an answer, and is in the account when it does."""
    start = datetime(2024, 3, 4, tzinfo=UTC)
    end = start + timedelta(days=1)

    async def trade() -> tuple[object, Any]:
        services = Services(clock=ManualClock(end), symbols=("SPY",), capital="10000")
        broker = MockBrokerAdapter.from_config(BrokerConfig(name="mock"), services)
        events = broker.events()
        await broker.connect()
        bar = Bar(
            symbol="SPY", interval="1d", start=start, end=end, open=9, high=12, low=8, close=10.5, volume=99
        )
        broker.on_market([bar])
        order = OrderRequest(
            symbol="SPY", side=Side.BUY, quantity=Decimal(4), type=OrderType.MARKET, tif=TimeInForce.DAY
        )
        await broker.submit_order(OrderRef(client_order_id="aw-1", symbol="SPY"), order)
        heard = [event async for event in _first_fill(events)]
        account = await broker.get_account_state()
        await broker.disconnect()
        return heard[-1], account

    fill, account = asyncio.run(trade())
    assert isinstance(fill, BrokerFill)
    assert (fill.client_order_id, fill.side) == ("aw-1", Side.BUY)
    assert (fill.size, fill.price) == (Decimal(4), Decimal("10.5"))
    assert fill.executed_at == end
    assert account.positions == {"SPY": Decimal(4)}
    assert account.balances["USD"].total == Decimal(10000 - 42)


async def _first_fill(events: Any) -> Any:
    async for event in events:
        yield event
        if isinstance(event, BrokerFill):
            return


def test_run_goes_from_its_config_to_state_and_page(examples: Path, tmp_path: Path) -> None:
    """Over real prices; the books add up to what the monitors were told, fill by fill."""
    runner = LiveRunner.from_config(config(examples, tmp_path))
    run = runner.run()
    summary = runner.summary
    assert summary is not None
    assert (summary.outcome, summary.slices) == ("finished", BARS)
    assert not runner.monitor_failures

    trades = run.memory.trades
    assert {trade.symbol for trade in trades} == set(SYMBOLS)
    cash = 100_000.0
    held = dict.fromkeys(SYMBOLS, 0.0)
    for trade in trades:
        sign = 1 if trade.side == "buy" else -1
        cash -= sign * trade.size * trade.price + trade.fees
        held[trade.symbol] += sign * trade.size
    last = {
        symbol: float((examples / "data" / f"{symbol}.csv").read_text().split(",")[-2]) for symbol in SYMBOLS
    }
    assert summary.cash == pytest.approx(cash, abs=1e-6)
    assert summary.equity == pytest.approx(cash + sum(held[each] * last[each] for each in SYMBOLS), abs=1e-6)
    assert run.equity.iloc[-1] == summary.equity
    assert run.memory.positions_df().iloc[-1].to_dict() == pytest.approx(held)

    state = load_live_state(tmp_path / "state.json", strategy="my_strategies:SmaCross", run_id="stack")
    assert state.position == BARS
    assert set(state.strategy_state["above"]) == set(SYMBOLS)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "my_strategies:SmaCross" in page
    assert f"{summary.equity:,.2f}" in page


def test_same_config_in_yaml_and_json_is_the_same_run(examples: Path, tmp_path: Path) -> None:
    """Byte for byte, where the run ends up."""
    kinds: dict[str, Callable[[Any], str]] = {"yaml": yaml.safe_dump, "json": json.dumps}
    ends = []
    for suffix, dump in kinds.items():
        out = tmp_path / suffix
        path = examples / f"same.{suffix}"
        path.write_text(dump(raw(examples, out, monitors=[])), encoding="utf-8")
        LiveRunner.from_config(load_live_config(path)).run()
        state = load_live_state(out / "state.json")
        ends.append((state.kernel, state.venue, state.feed, state.monitors["recorder"]["trades"]))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("cut", [1, 32, 137, BARS - 1])
def test_run_in_two_sittings_is_the_run_in_one(examples: Path, tmp_path: Path, cut: int) -> None:
    """Also where the strategy's own memory decides what comes next."""
    whole = LiveRunner.from_config(config(examples, tmp_path / "whole")).run()
    LiveRunner.from_config(config(examples, tmp_path / "cut")).run(until=cut)
    second = LiveRunner.from_config(config(examples, tmp_path / "cut"))
    resumed = second.run()
    assert any(notice.startswith(f"resuming after slice {cut} ") for notice in second.notices)
    assert fills(resumed.memory.trades) == fills(whole.memory.trades)
    assert resumed.metrics() == whole.metrics()
    one, other = (load_live_state(tmp_path / name / "state.json") for name in ("whole", "cut"))
    assert (one.kernel, one.venue, one.strategy_state) == (other.kernel, other.venue, other.strategy_state)


def test_state_survives_being_loaded_and_saved(examples: Path, tmp_path: Path) -> None:
    LiveRunner.from_config(config(examples, tmp_path)).run(until=50)
    state = load_live_state(tmp_path / "state.json")
    save_live_state(tmp_path / "copy.json", state)
    assert (tmp_path / "copy.json").read_bytes() == (tmp_path / "state.json").read_bytes()


def test_one_name_makes_it_another_broker(examples: Path, tmp_path: Path) -> None:
    """The same decisions: filled on the spot by `mock`, by `paper` at the next open and for a price."""
    traded: dict[str, TradeRecord] = {}
    for name in ("mock", "paper"):
        options = {"mock": {"cash": 100000}, "paper": {"cash": 100000}}
        parsed = config(examples, tmp_path / name, broker={"name": name, "options": options})
        traded[name] = LiveRunner.from_config(parsed).run().memory.trades[0]
    mock, paper = traded["mock"], traded["paper"]
    prices = frames(examples)[mock.symbol].tz_localize("UTC")
    row = prices.index.get_loc(mock.timestamp - timedelta(days=1))
    assert isinstance(row, int)
    assert (mock.symbol, mock.side) == (paper.symbol, paper.side)
    assert mock.price == prices["close"].iloc[row]
    assert paper.timestamp == prices.index[row + 1]
    assert paper.price == pytest.approx(prices["open"].iloc[row + 1], rel=2e-4)
    assert (mock.fees, paper.fees > 0) == (0.0, True)


def frames(examples: Path) -> dict[str, pd.DataFrame]:
    """The example prices as anybody would read them."""
    return {
        symbol: pd.read_csv(examples / "data" / f"{symbol}.csv", index_col="date", parse_dates=True)
        for symbol in SYMBOLS
    }


def strategy_class(examples: Path, name: str) -> Any:
    """A class of the example strategies."""
    parsed = config(examples, examples, strategy={"class": f"my_strategies:{name}"})
    return type(LiveRunner.from_config(parsed).load_strategy())


def backtest(examples: Path, name: str, **params: Any) -> RunMonitor:
    """An example strategy over the example prices, by the short way."""
    return VectorBacktester().run(strategy_class(examples, name), frames(examples), params=params)


def test_backtester_trades_as_the_runner_does(examples: Path, tmp_path: Path) -> None:
    """The short way and the long way are one loop; `paper` without costs is the backtester's venue."""
    free = {"cash": 100000, "fees": {"rate": 0}, "slippage": {"bps": 0}}
    parsed = config(examples, tmp_path, broker={"name": "paper", "options": {"paper": free}})
    by_config = LiveRunner.from_config(parsed).run()
    by_hand = backtest(examples, "SmaCross")
    assert fills(by_hand.memory.trades) == fills(by_config.memory.trades)
    assert by_hand.metrics() == by_config.metrics()


def test_backtester_takes_a_frame_a_series_or_several(examples: Path) -> None:
    """By name of a symbol where there is one; the same bars give the same run, again and again."""
    frame = frames(examples)["IBM"]
    series = series_from_frame("IBM", frame)
    monitor = InMemoryMonitor()
    kind = strategy_class(examples, "SmaCross")
    runs = [
        VectorBacktester().run(kind, frame, capital=50_000),
        VectorBacktester().run(kind, series, capital="50000", monitor=monitor),
        VectorBacktester().run(kind, {"IBM": series}, capital=Decimal(50_000)),
    ]
    symbols = [{trade.symbol for trade in run.memory.trades} for run in runs]
    assert symbols == [{"ASSET"}, {"IBM"}, {"IBM"}]
    assert runs[0].opening_equity == 50_000
    assert runs[0].metrics() == runs[1].metrics() == runs[2].metrics()
    assert fills(monitor.trades) == fills(runs[1].memory.trades)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "no symbol has bars"),
        ({"close": [1.0, 2.0]}, "close: bars are a Series or a DataFrame, not a list"),
        (None, "ASSET: bars are a Series or a DataFrame, not a NoneType"),
    ],
)
def test_backtester_says_what_it_cannot_run_on(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        VectorBacktester().run(Strategy, data)


def test_sma_cross_trades_at_crossings_only(examples: Path) -> None:
    """One order a crossing, computed here a second time; a fall without a position is none."""
    trades = backtest(examples, "SmaCross", fast=10, slow=30).memory.trades
    for symbol, frame in frames(examples).items():
        close = frame["close"]
        above = (close.rolling(10).mean() > close.rolling(30).mean())[29:]
        turned = above.index[1:][above.to_numpy()[1:] != above.to_numpy()[:-1]]
        expected = [("buy" if above[day] else "sell") for day in turned]
        if expected and expected[0] == "sell":
            del expected[0]
        mine = [trade.side for trade in trades if trade.symbol == symbol]
        # A crossing on the last day has no next bar to fill in.
        assert mine == expected[: len(mine)]
        assert len(expected) - len(mine) == int(turned[-1] == close.index[-1])


def test_momentum_rotation_holds_the_strongest(examples: Path) -> None:
    """Never more than it may, and changing only on its own days."""
    run = backtest(examples, "MomentumRotation", lookback=60, every=10, top=2)
    positions = run.memory.positions_df()
    assert int((positions != 0).sum(axis=1).max()) == 2
    days = list(frames(examples)["IBM"].tz_localize("UTC").index)
    # Decided on every tenth day, filled at the open of the next.
    assert {days.index(trade.timestamp) % 10 for trade in run.memory.trades} == {1}
    assert set(run.memory.metrics) == {"symbols held"}


@pytest.mark.parametrize(("trail", "exits"), [(False, {"limit", "stop"}), (True, {"trailing_stop"})])
def test_breakout_leaves_its_exits_with_the_broker(examples: Path, trail: bool, exits: set[str]) -> None:
    """Every sale is by an order that was resting; none is decided on the day."""
    run = backtest(examples, "BreakoutBracket", window=20, trail=trail)
    orders = run.memory.orders_df()
    sold = orders[(orders["side"] == "sell") & (orders["status"] == "filled")]
    assert set(sold["type"]) == exits
    assert len(sold) > 5
    assert all(trade.position >= 0 for trade in run.memory.trades)


def script(examples: Path, words: Sequence[str], folder: Path) -> str:
    """Run from another folder, any warning an error; what it printed."""
    answer = subprocess.run(
        [sys.executable, "-W", "error", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_mock_example_runs_from_anywhere(examples: Path, tmp_path: Path) -> None:
    printed = script(examples, [str(examples / "live_mock_runner.py")], tmp_path)
    assert "return " in printed
    assert load_live_state(examples / "output" / "mock.state.json", run_id="mock-example").position == BARS
    assert (examples / "output" / "mock.html").exists()
    assert not list(tmp_path.iterdir())


def test_paper_example_runs_from_anywhere(examples: Path, tmp_path: Path) -> None:
    """It prints one column a broker, and trading at `paper` has a price."""
    printed = script(examples, [str(examples / "live_paper_runner.py")], tmp_path)
    figures = {line.split()[0]: line.split()[1:] for line in printed.splitlines()[1:]}
    assert float(figures["costs"][0].replace(",", "")) > 0
    assert {path.name for path in (examples / "output").glob("*rotation*")} == {
        f"{broker}-rotation.{kind}"
        for broker in ("paper", "mock")
        for kind in ("html", "state.json", "state.json.lock")
    }
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("live_config_template.yaml", ["examples/output/dashboard.html", "examples/output/state.json"]),
        ("demo.yaml", ["output/dashboard.html", "output/demo.state.json"]),
    ],
)
def test_example_config_runs_as_it_stands(examples: Path, name: str, written: list[str]) -> None:
    runner = LiveRunner.from_config(examples / name)
    assert runner.run().memory.trades
    assert not runner.monitor_failures
    assert all((examples.parent / path).exists() for path in written)


def test_config_shown_on_the_page_keeps_secrets(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what a reference stands for nor what was written out reaches the page or the state."""
    monkeypatch.setenv("STACK_TOKEN", "hush-by-reference")
    other: Mapping[str, Any] = {"elsewhere": {"key": "${env:STACK_TOKEN}", "secret": "hush-in-the-open"}}
    broker = {"name": "paper", "options": {"paper": {"cash": 1000}, **other}}
    LiveRunner.from_config(config(examples, tmp_path, broker=broker)).run(until=3)
    for name in ("page.html", "state.json"):
        assert "hush" not in (tmp_path / name).read_text(encoding="utf-8")


def test_replay_with_a_journal_is_refused(examples: Path, tmp_path: Path) -> None:
    """What a replay does not do is said, not passed over."""
    wanted = config(examples, tmp_path, persistence={"journal": str(tmp_path / "run.db")})
    with pytest.raises(RunRefused, match="a replay writes no journal; leave it out"):
        LiveRunner.from_config(wanted)

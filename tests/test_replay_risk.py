"""The same risk section in a replay as under the live driver: the same orders, denials and fills (I9)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import evolve
from test_live_runs import FAR, SYMBOLS, Busy, LiveFeed, bars, told

from alphaweave.core.clock import ManualClock, from_ns
from alphaweave.live.config import LiveConfig, parse_live_config
from alphaweave.live.datafeed import ReplayDataFeed
from alphaweave.live.plugins import DatafeedPlugin
from alphaweave.live.registry import Registry
from alphaweave.live.risk_settings import RiskSettings
from alphaweave.live.runner import LiveRunner
from alphaweave.strategy.strategy import Strategy

DAYS = 28
# What a live run has by default and a replay has not, so wide that nothing comes of it.
WIDE: Mapping[str, Any] = {
    "silence_seconds": FAR,
    "order_rate": {"per_second": FAR, "per_minute": FAR},
    "daily_counts": {"orders": FAR, "fills": FAR},
    "duplicates": {"count": FAR},
    "rejects": {"rejects": FAR},
    "max_open_orders": FAR,
    "price_collar": 0.99,
    "stale_data": {"intervals": 1000},
}


class Greedy(Busy):
    """Several orders in a slice, some of them alike, some far from the market, some more than there is."""

    def next(self, i: int) -> None:
        super().next(i)
        for _ in range(i % 4):
            self.order_market("IBM", 2)
        if i % 6 == 2:
            self.order_limit("GOOG", 1, self.close("GOOG") * 1.2)
        if i % 5 == 1:
            self.order_market("MSFT", -self.position("MSFT") or 1)
        if i % 9 == 4:
            self.order_market("AAPL", 10_000)


class Hearing(Greedy):
    """Tells what it hears of fills."""

    def on_fill(self, fill: Any) -> None:
        super().on_fill(fill)
        self.log_metric("heard", fill.size)


class Hasty(Strategy):
    """More than there is money for, again and again."""

    def next(self, i: int) -> None:
        for _ in range(9):
            self.order_market("AAPL", 10_000)


def config(folder: Path, risk: Mapping[str, Any], broker: str = "mock", **sections: Any) -> LiveConfig:
    raw = {
        "run": {"id": "judged", "mode": "paper", "warmup": 1},
        "instruments": list(SYMBOLS),
        "datafeed": {"name": "replay"},
        "broker": {"name": broker, "options": {broker: {"check_funds": True}}},
        "strategy": {"class": f"{__name__}:Greedy"},
        "risk": {**WIDE, **risk},
        **sections,
    }
    return parse_live_config(raw, source=folder / "judged.yaml")


def ran(
    config: LiveConfig, mode: Literal["replay", "paper"], until: int | None = None, missing: str = ""
) -> LiveRunner:
    """The days in a replay or under the live driver; a symbol's bars may end halfway."""
    series = bars(DAYS)
    if missing:
        series[missing] = bars(DAYS // 2)[missing]
    begin = min(one.start[0] for one in series.values())
    clock = ManualClock(from_ns(begin))
    feed = ReplayDataFeed(series) if mode == "replay" else LiveFeed(series, clock, begin)
    runner = LiveRunner(
        evolve(config, run=evolve(config.run, mode=mode)),
        broker=Registry().broker(config.broker.name),
        datafeed=DatafeedPlugin(
            name="replay", create=lambda options, services: feed, capabilities=feed.capabilities
        ),
        clock=clock,
    )
    runner.run(until=until)
    return runner


def latched(runner: LiveRunner) -> list[tuple[str, str]]:
    """What the trading state and the guard of losses told."""
    return [
        (alert.code, alert.message)
        for alert in runner.memory.alerts
        if "trading is" in alert.message or alert.code == "loss_limit"
    ]


CASES: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "rate": ({"order_rate": {"per_second": 3, "per_minute": FAR}}, "order_rate"),
    "day": ({"daily_counts": {"orders": 4, "fills": FAR}}, "daily_count"),
    "fills": ({"daily_counts": {"orders": FAR, "fills": 2}}, "trading_reducing"),
    "duplicates": ({"duplicates": {"count": 3, "seconds": 10}}, "duplicate_order"),
    "collar": ({"price_collar": 0.1}, "price_collar"),
    "open": ({"max_open_orders": 2}, "max_open_orders"),
    "gross": ({"max_gross_exposure": 6000}, "max_gross_exposure"),
    "net": ({"max_net_exposure": 4000}, "max_net_exposure"),
    "leverage": ({"max_leverage": 0.05}, "max_leverage"),
    "buying power": ({"buying_power": {"margin": 2, "broker": False}}, "buying_power"),
    "position": ({"symbols": {"IBM": {"max_position_notional": 900}}}, "max_position_notional"),
    "rejects": ({"rejects": {"rejects": 1, "seconds": 86400}}, "trading_reducing"),
    "executions": ({"repeated_executions": {"fills": 9, "seconds": 864000}}, "trading_halted"),
    "loss": ({"daily_loss": {"warn": 0.00001, "reduce": 0.0003}}, "trading_reducing"),
    "drawdown": ({"drawdown": {"flatten": 0.001}}, "trading_halted"),
}


@pytest.mark.parametrize(
    ("case", "broker"),
    [*((case, "mock") for case in CASES), *((case, "paper") for case in ("rate", "rejects", "drawdown"))],
)
def test_rule_denies_in_a_replay_what_it_denies_under_the_driver(
    tmp_path: Path, case: str, broker: str
) -> None:
    """Every order with its id, every denial with its reason, every fill to the digit."""
    risk, reason = CASES[case]
    wanted = config(tmp_path, risk, broker)
    replayed, live = ran(wanted, "replay"), ran(wanted, "paper")
    denied = {order.reason for order in replayed.memory.orders if order.status == "denied"}
    assert reason in denied
    assert list(live.memory.orders) == list(replayed.memory.orders)
    assert told(live) == told(replayed)
    assert latched(live) == latched(replayed)


@pytest.mark.parametrize("mode", ["replay", "paper"])
def test_symbol_without_bars_is_stale_in_every_mode(tmp_path: Path, mode: Literal["replay", "paper"]) -> None:
    """Measured against the interval, at the end of the slice that was decided on."""
    wanted = config(tmp_path, {"stale_data": {"intervals": 1.5}})
    runner = ran(wanted, mode, missing="IBM")
    denied = [order for order in runner.memory.orders if order.reason == "stale_data"]
    assert {order.symbol for order in denied} >= {"IBM"}
    ends = bars(DAYS // 2)["IBM"].end
    stale = [order for order in denied if order.symbol == "IBM" and order.timestamp > from_ns(ends[-1])]
    assert len(stale) > 2


def test_loss_closes_positions_by_orders_of_the_engine(tmp_path: Path) -> None:
    """And nothing is placed after that, for nobody resumes a replay."""
    wanted = config(tmp_path, {"drawdown": {"flatten": 0.001}})
    runner = ran(wanted, "replay")
    assert runner.engine is not None
    last = runner.memory.bars_df().iloc[-1]
    assert last["gross"] == 0.0
    assert len(runner.memory.trades) > 5


RESUMED = [(case, cut, "") for case in ("rate", "fills", "executions", "loss", "drawdown") for cut in (3, 17)]


# Whatever else a rule was told before the cut, it has to know after it: the equity, or the price of a symbol
# that has no bar any more.
@pytest.mark.parametrize(("case", "cut", "missing"), [*RESUMED, ("warned", 17, ""), ("warned", 19, "IBM")])
def test_replay_that_was_stopped_goes_on_as_if_it_had_not_been(
    tmp_path: Path, case: str, cut: int, missing: str
) -> None:
    """What the rules remember is part of the state, and so is what is latched."""
    risk, _ = CASES.get(case, ({"drawdown": {"warn": 0.9}}, ""))
    whole = ran(config(tmp_path, risk), "replay", missing=missing)
    wanted = config(tmp_path, risk, persistence={"state_path": "state.json"})
    ran(wanted, "replay", until=cut, missing=missing)
    resumed = ran(wanted, "replay", missing=missing)
    assert list(resumed.memory.orders) == list(whole.memory.orders)
    assert list(resumed.memory.trades) == list(whole.memory.trades)
    assert list(resumed.memory.alerts) == list(whole.memory.alerts)
    assert resumed.memory.bars_df().equals(whole.memory.bars_df())


def test_wide_limits_change_no_figure_of_a_replay(tmp_path: Path) -> None:
    """Judged or not, what is not denied comes out the same."""
    section = {"class": "test_live_runs:Busy"}
    judged = ran(config(tmp_path, {}, "paper", strategy=section), "replay")
    wanted = config(tmp_path, {}, "paper", strategy=section)
    plain = ran(evolve(wanted, risk=RiskSettings()), "replay")
    assert list(judged.memory.trades) == list(plain.memory.trades)
    assert list(judged.memory.orders) == list(plain.memory.orders)
    assert judged.memory.bars_df().equals(plain.memory.bars_df())


def test_exit_on_its_way_is_still_the_engines_own_after_a_resumption(tmp_path: Path) -> None:
    """The strategy hears nothing of it, and so decides nothing on it."""
    risk, _ = CASES["drawdown"]
    section = {"class": f"{__name__}:Hearing"}
    whole = ran(config(tmp_path, risk, "paper", strategy=section), "replay")
    (halt,) = (alert for alert in whole.memory.alerts if "trading is halted" in alert.message)
    cut = [bar.timestamp for bar in whole.memory.bars].index(halt.timestamp) + 1
    wanted = config(tmp_path, risk, "paper", strategy=section, persistence={"state_path": "state.json"})
    ran(wanted, "replay", until=cut)
    resumed = ran(wanted, "replay")
    assert resumed.memory.metrics == whole.memory.metrics
    assert list(resumed.memory.orders) == list(whole.memory.orders)


def test_rate_that_is_not_written_holds_nothing_back(tmp_path: Path) -> None:
    """All that is decided in a slice is decided at one instant, and a default is made for seconds."""
    wanted = config(tmp_path, {}, strategy={"class": f"{__name__}:Hasty"})
    off: dict[str, Any] = dict.fromkeys(("order_rate", "daily_counts", "duplicates", "rejects"))
    runner = ran(evolve(wanted, risk=evolve(wanted.risk, **off)), "replay")
    orders = list(runner.memory.orders)
    assert sum(1 for order in orders if order.status == "rejected") > 100
    assert {order.status for order in orders} == {"rejected"}

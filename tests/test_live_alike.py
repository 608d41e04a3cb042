"""Whatever a strategy does on whatever slices, a paper run on live data decides and fills as the replay does
(I9)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from test_live_runs import FAR, LiveFeed, as_replay, config, told

from alphaweave.core.clock import ManualClock, from_ns
from alphaweave.data.series import Series
from alphaweave.live.config import LiveConfig
from alphaweave.live.datafeed import ReplayDataFeed
from alphaweave.live.plugins import DatafeedPlugin
from alphaweave.live.registry import Registry
from alphaweave.live.runner import LiveRunner
from alphaweave.monitoring.monitor import OrderRecord
from alphaweave.strategy.strategy import Strategy

SYMBOLS = ("A", "B", "C")
DAY = 86_400_000_000_000
MONDAY = 19_723 * DAY


class Restless(Strategy):
    """Does anything at any time, and decides by dice that only its callbacks throw.

    It changes orders from `next` alone: one that is changed while its fill is being told was filled when it
    was asked, and how often a strategy hears of that is the broker's to say.
    """

    def __init__(self, seed: int = 0) -> None:
        self.dice = random.Random(seed)
        self.open: list[Any] = []

    def next(self, i: int) -> None:
        for symbol in self.symbols:
            if self.close(symbol) > 0 and self.dice.random() < 0.6:
                self.act(symbol, changes=True)

    def on_fill(self, fill: Any) -> None:
        if self.dice.random() < 0.2:
            self.act(fill.symbol)

    def on_order(self, update: Any) -> None:
        if self.dice.random() < 0.05:
            self.act(update.order.symbol)

    def act(self, symbol: str, *, changes: bool = False) -> None:
        dice, price = self.dice, self.close(symbol)
        size = dice.choice([-20, -3, 1, 2, 5, 40])
        away = price * (1 + dice.uniform(-0.04, 0.04))
        beyond = price * (1 + dice.uniform(0.001, 0.03) * (1 if size > 0 else -1))
        tif = dice.choice(["gtc", "day"])
        handle: Any = None
        match dice.randrange(12):
            case 0 | 1:
                handle = self.order_market(symbol, size)
            case 2 | 3:
                handle = self.order_limit(symbol, size, away, tif=tif)
            case 4:
                handle = self.order_stop(symbol, size, beyond, tif=tif)
            case 5:
                handle = self.order_stop_limit(symbol, size, beyond, away)
            case 6:
                size = abs(size)
                handle = self.order_bracket(symbol, size, take_profit=price * 1.03, stop_loss=price * 0.97)
            case 7:
                self.order_target_percent(symbol, dice.uniform(-0.3, 0.5))
            case 8 if self.open:
                dice.choice(self.open).cancel()
            case 9 if self.open and changes:
                dice.choice(self.open).replace(size=abs(size))
            case 10:
                self.close_position(symbol)
            case 11:
                self.cancel_all(symbol)
        if handle is not None and hasattr(handle, "replace"):
            self.open = [*self.open[-4:], handle]


def walks(seed: int, days: int) -> dict[str, Series]:
    """Days of some symbols, with some missing in each."""
    dice = random.Random(seed)
    found = {}
    for symbol in SYMBOLS:
        series, price = Series(symbol, "1d"), dice.uniform(20.0, 200.0)
        for day in range(days):
            open_ = price * dice.uniform(0.97, 1.03)
            price = open_ * dice.uniform(0.97, 1.03)
            if dice.random() < 0.1:
                continue
            high, low = (
                max(open_, price) * dice.uniform(1.0, 1.01),
                min(open_, price) * dice.uniform(0.99, 1.0),
            )
            start = MONDAY + day * DAY
            series.append(start, start + DAY, open_, high, low, price, float(dice.randrange(10, 5_000)))
        found[symbol] = series
    return found


def ran(wanted: LiveConfig, series: Mapping[str, Series]) -> LiveRunner:
    clock = ManualClock(from_ns(MONDAY))
    live = wanted.run.mode != "replay"
    feed = LiveFeed(series, clock, MONDAY) if live else ReplayDataFeed(series)
    runner = LiveRunner(
        wanted,
        broker=Registry().broker(wanted.broker.name),
        datafeed=DatafeedPlugin(
            name="replay", create=lambda options, services: feed, capabilities=feed.capabilities
        ),
        clock=clock,
    )
    runner.run()
    return runner


def stories(runner: LiveRunner) -> dict[str, list[OrderRecord]]:
    """What became of each order.

    A cancel that waits until the change of its order is answered is heard later than what was asked for
    meanwhile. A paper run is told why an order was refused in the words of every broker.
    """
    found: dict[str, list[OrderRecord]] = {}
    for one in runner.memory.orders:
        plain = evolve(one, reason=None) if one.status == "rejected" else one
        found.setdefault(one.order_id, []).append(plain)
    return found


# Off in a replay unless they are written, as all of a slice is one instant there.
RULES = {
    "silence_seconds": FAR,
    "order_rate": {"per_second": FAR, "per_minute": FAR},
    "duplicates": {"count": FAR},
}
OPTIONS: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "paper": st.fixed_dictionaries(
        {},
        optional={
            "volume_share": st.sampled_from([0.1, 1]),
            "allow_short": st.just(False),
            "leverage": st.sampled_from([1, 3]),
            "fees": st.sampled_from(
                [{"per_share": 0.01, "minimum": 1}, {"rate": 0.001, "maker_rate": -0.0001}]
            ),
            "slippage": st.sampled_from([{"bps": 5}, {}]),
        },
    ),
    "mock": st.fixed_dictionaries({}, optional={"fees": st.just({"rate": 0.001})}),
}


@pytest.mark.parametrize("broker", sorted(OPTIONS))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), seed=st.integers(0, 2**32), days=st.integers(2, 40))
def test_live_run_decides_and_fills_as_the_replay(
    broker: str, data: st.DataObject, seed: int, days: int
) -> None:
    with TemporaryDirectory() as folder:
        wanted = config(
            Path(folder),
            broker,
            instruments=list(SYMBOLS),
            broker={"name": broker, "options": {broker: data.draw(OPTIONS[broker])}},
            strategy={"class": f"{__name__}:Restless", "params": {"seed": seed}},
            risk=RULES,
        )
        series = walks(seed, days)
        # A replay with a risk section goes by all its rules, as a paper run does.
        replayed, live = ran(evolve(as_replay(wanted), risk=wanted.risk), series), ran(wanted, series)
    event(f"{min(len(replayed.memory.trades) // 20 * 20, 60)} trades or more")
    assert [alert for alert in live.memory.alerts if alert.severity == "error"] == []
    assert stories(live) == stories(replayed)
    assert told(live) == told(replayed)
    assert live.summary is not None
    assert replayed.summary is not None
    assert (live.summary.equity, live.summary.cash) == (replayed.summary.equity, replayed.summary.cash)

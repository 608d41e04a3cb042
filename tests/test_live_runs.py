"""The same strategy, slices and seed: in a paper run on live data as in a replay, to the last fill (I9)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.clock import ManualClock, from_ns
from alphaweave.core.market import Bar
from alphaweave.data.loaders import load_bars
from alphaweave.data.series import Series
from alphaweave.live.config import LiveConfig, parse_live_config
from alphaweave.live.datafeed import FeedCapabilities, FeedEvent, FeedKind, ReplayDataFeed, Watermark
from alphaweave.live.plugins import DatafeedPlugin
from alphaweave.live.registry import Registry
from alphaweave.live.runner import LiveRunner
from alphaweave.strategy.strategy import Strategy

EXAMPLES = Path(__file__).parents[1] / "examples"
REALTIME = FeedCapabilities(kinds=frozenset({FeedKind.BAR}), historical=True, realtime=True)
FAR = 10**9
SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")


class LiveFeed(ReplayDataFeed):
    """Recorded bars as they come when they end: the clock is where the last of them is."""

    capabilities = REALTIME

    def __init__(self, series: Mapping[str, Series], clock: ManualClock, first: int) -> None:
        super().__init__(series)
        self.clock, self.first = clock, first

    async def stream(self) -> AsyncIterator[FeedEvent]:
        ends = sorted({end for one in self.series.values() for end in one.end})
        start = from_ns(
            ends[self.first - 1] if self.first else min(one.start[0] for one in self.series.values())
        )
        self.clock.set(max(start, self.clock.now()))
        yield Watermark(tuple(self.series), "1d", start)
        async for event in super().stream():
            if event.end > start:
                if isinstance(event, Bar):
                    self.clock.set(max(event.end, self.clock.now()))
                yield event


def config(folder: Path, broker: str = "paper", **sections: Any) -> LiveConfig:
    raw = {
        "run": {"id": "twice", "mode": "paper", "warmup": 0},
        "instruments": list(SYMBOLS),
        "datafeed": {"name": "replay"},
        "broker": {"name": broker, "options": {broker: {}}},
        "strategy": {"class": f"{__name__}:Busy"},
        # A day passes between two slices, and nothing is heard in it.
        "risk": {"silence_seconds": FAR, "order_rate": {"per_second": FAR, "per_minute": FAR}},
        **sections,
    }
    return parse_live_config(raw, source=folder / "twice.yaml")


class Busy(Strategy):
    """Orders of every kind, from every callback."""

    def init(self) -> None:
        self.seen = 0

    def next(self, i: int) -> None:
        if i % 3 == 0:
            self.order_market("MSFT", 3)
        if i % 5 == 0:
            self.order_limit("IBM", 2, self.close("IBM") * 0.99)
        if i % 4 == 0:
            self.order_stop("GOOG", 1, self.close("GOOG") * 1.01)
        if i % 6 == 0 and not self.position("AAPL"):
            close = self.close("AAPL")
            self.order_bracket("AAPL", 4, take_profit=close * 1.03, stop_loss=close * 0.97)

    def on_fill(self, fill: Any) -> None:
        self.seen += 1
        if self.seen % 5 == 0:
            self.order_market("MSFT", -1)

    def get_state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.seen = state["seen"]


BARS = 90


def bars() -> dict[str, Series]:
    found = {}
    for symbol in SYMBOLS:
        whole = load_bars(EXAMPLES / "data" / f"{symbol}.csv", symbol)[symbol]
        part = Series(symbol, "1d")
        for row in range(len(whole) - BARS, len(whole)):
            part.append(
                whole.start[row],
                whole.end[row],
                whole.open[row],
                whole.high[row],
                whole.low[row],
                whole.close[row],
                whole.volume[row],
            )
        found[symbol] = part
    return found


def feed_plugin(realtime: bool, clock: ManualClock, first: int = 0) -> DatafeedPlugin:
    if not realtime:
        return DatafeedPlugin(
            name="replay",
            create=lambda options, services: ReplayDataFeed(bars()),
            capabilities=ReplayDataFeed.capabilities,
        )
    return DatafeedPlugin(
        name="replay", create=lambda options, services: LiveFeed(bars(), clock, first), capabilities=REALTIME
    )


def ran(config: LiveConfig, *, first: int = 0) -> LiveRunner:
    clock = ManualClock(from_ns(min(one.start[0] for one in bars().values())))
    realtime = config.run.mode == "paper"
    runner = LiveRunner(
        config,
        broker=Registry().broker(config.broker.name),
        datafeed=feed_plugin(realtime, clock, first),
        clock=clock,
    )
    runner.run()
    return runner


def as_replay(config: LiveConfig) -> LiveConfig:
    from alphaweave.live.risk import RiskSettings

    return evolve(config, run=evolve(config.run, mode="replay"), risk=RiskSettings())


@pytest.mark.parametrize("broker", ["mock", "paper"])
def test_paper_run_trades_as_the_replay(tmp_path: Path, broker: str) -> None:
    wanted = config(tmp_path, broker)
    replayed, live = ran(as_replay(wanted)), ran(wanted)
    assert len(replayed.memory.trades) > 30
    assert [alert for alert in live.memory.alerts if alert.severity == "error"] == []
    assert list(live.memory.orders) == list(replayed.memory.orders)
    # The number of the slice is that of the one before, where the venue filled before the slice was seen.
    assert [evolve(each, index=0) for each in live.memory.trades] == [
        evolve(each, index=0) for each in replayed.memory.trades
    ]
    if broker == "paper":  # mock fills within the slice, after its record was made
        assert live.memory.bars_df().equals(replayed.memory.bars_df())

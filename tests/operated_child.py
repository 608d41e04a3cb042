"""A paper run in a process of its own that goes on until stopped: ``python operated_child.py FOLDER``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from live_child import DAYS, FeedClock, LiveFeed, bars, config

from alphaweave.core.clock import from_ns
from alphaweave.live.config import parse_live_config
from alphaweave.live.datafeed import FeedEvent, Watermark
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.plugins import DatafeedPlugin
from alphaweave.live.registry import Registry
from alphaweave.live.runner import LiveRunner
from alphaweave.strategy.strategy import Strategy


class Holder(Strategy):
    """Buys something every day."""

    def next(self, i: int) -> None:
        self.order_market("IBM", 1)


class OpenFeed(LiveFeed):
    """Half of the days at the first start, the rest at the next, and then no more."""

    async def stream(self) -> AsyncIterator[FeedEvent]:
        left = DAYS // 2
        async for event in super().stream():
            yield event
            left -= isinstance(event, Watermark) and event.end > self.begin
            if not left:
                break
        await asyncio.Event().wait()


def run(folder: Path) -> None:
    path, series = folder / "run.db", bars()
    rows = JournalReader(path).tape("slice") if path.exists() else ()
    begin = from_ns(max((int(row.decision.input_key) for row in rows), default=series["IBM"].start[0]))
    clock = FeedClock(begin)
    feed = OpenFeed(series, clock, begin)
    raw = {
        **config(folder).raw,
        "broker": {"name": "mock"},
        "strategy": {"class": "operated_child:Holder"},
    }
    runner = LiveRunner(
        parse_live_config(raw, source=folder / "run.yaml"),
        broker=Registry().broker("mock"),
        datafeed=DatafeedPlugin(
            name="replay", create=lambda options, services: feed, capabilities=feed.capabilities
        ),
        clock=clock,
    )
    runner.run()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    run(Path(sys.argv[1]))

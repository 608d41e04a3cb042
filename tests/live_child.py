"""A paper run in a process of its own, which kills itself where it is told to.

    python live_child.py FOLDER [POINT COUNT]

It trades on recorded bars as they come when they end, from where the journal in FOLDER stands, to their last.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from alphaweave.core.clock import from_ns
from alphaweave.core.market import Bar
from alphaweave.data.loaders import load_bars
from alphaweave.data.series import Series
from alphaweave.live.config import LiveConfig, parse_live_config
from alphaweave.live.datafeed import FeedCapabilities, FeedEvent, FeedKind, ReplayDataFeed, Watermark
from alphaweave.live.journal import Decision, Journal
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.plugins import DatafeedPlugin
from alphaweave.live.registry import Registry
from alphaweave.live.runner import LiveRunner
from alphaweave.strategy.strategy import Strategy
from alphaweave_broker_mock import PaperBrokerAdapter

DATA = Path(__file__).parents[1] / "examples" / "data"
DAYS = 16
FAR = 10**9


class Trader(Strategy):
    """Something every day, and something that rests."""

    def next(self, i: int) -> None:
        self.order_market("IBM", 2 if i % 3 else -1)
        if i % 4 == 0:
            self.order_limit("IBM", 1, self.close("IBM") * 0.98)


class FeedClock:
    """Stands where the last bar ended, and goes on from there."""

    def __init__(self, at: datetime) -> None:
        self.at, self.since = at, time.monotonic()

    def now(self) -> datetime:
        return self.at + timedelta(seconds=time.monotonic() - self.since)

    def monotonic(self) -> float:
        return time.monotonic()

    def set(self, at: datetime) -> None:
        if at > self.now():
            self.at, self.since = at, time.monotonic()


class LiveFeed(ReplayDataFeed):
    """Recorded bars as they come when they end."""

    capabilities = FeedCapabilities(kinds=frozenset({FeedKind.BAR}), historical=True, realtime=True)

    def __init__(self, series: Mapping[str, Series], clock: FeedClock, begin: datetime) -> None:
        super().__init__(series)
        self.clock, self.begin = clock, begin

    async def stream(self) -> AsyncIterator[FeedEvent]:
        yield Watermark(tuple(self.series), "1d", self.begin)
        async for event in super().stream():
            assert isinstance(event, Bar | Watermark)
            if event.end > self.begin:
                self.clock.set(event.end)
                yield event


def config(folder: Path) -> LiveConfig:
    raw = {
        "run": {"id": "crash", "mode": "paper"},
        "instruments": ["IBM"],
        "datafeed": {"name": "replay"},
        "broker": {"name": "paper"},
        "strategy": {"class": "live_child:Trader"},
        "persistence": {"journal": str(folder / "run.db")},
        "risk": {"silence_seconds": FAR, "order_rate": {"per_second": FAR, "per_minute": FAR}},
    }
    return parse_live_config(raw, source=folder / "crash.yaml")


def bars() -> dict[str, Series]:
    whole = load_bars(DATA / "IBM.csv", "IBM")["IBM"]
    part = Series("IBM", "1d")
    for row in range(DAYS):
        part.append(
            whole.start[row],
            whole.end[row],
            whole.open[row],
            whole.high[row],
            whole.low[row],
            whole.close[row],
            whole.volume[row],
        )
    return {"IBM": part}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def arm(point: str, count: int) -> None:
    """Kill this process the ``count``-th time that it comes to ``point``."""
    passed = [0]

    def come() -> None:
        passed[0] += 1
        if passed[0] == count:
            die()

    submit, commit = PaperBrokerAdapter.submit_order, Journal.commit

    async def submit_order(self: PaperBrokerAdapter, *arguments: Any) -> Any:
        if point == "before the send":
            come()
        try:
            return await submit(self, *arguments)
        finally:
            if point == "out and unanswered":
                come()

    def committed(self: Journal, decision: Decision) -> int:
        told = {
            "before the intent": bool(decision.intents),
            "answered": decision.input_kind == "outcome",
            "before the fill": any(entry.kind == "execution" for entry in decision.entries),
        }
        if told.get(point):
            come()
        seq = commit(self, decision)
        if point == "after it" and any(entry.kind == "execution" for entry in decision.entries):
            come()
        return seq

    PaperBrokerAdapter.submit_order = submit_order  # type: ignore[method-assign, assignment]
    Journal.commit = committed  # type: ignore[method-assign]


def run(folder: Path) -> LiveRunner:
    """From where the journal stands."""
    series, path = bars(), folder / "run.db"
    closed = (
        [int(row.decision.input_key) for row in JournalReader(path).tape("slice")] if path.exists() else []
    )
    begin = from_ns(max(closed, default=series["IBM"].start[0]))
    clock = FeedClock(begin)
    feed = LiveFeed(series, clock, begin)
    make: Callable[[Any, Any], LiveFeed] = lambda options, services: feed  # noqa: E731
    runner = LiveRunner(
        config(folder),
        broker=Registry().broker("paper"),
        datafeed=DatafeedPlugin(name="replay", create=make, capabilities=feed.capabilities),
        clock=clock,
    )
    runner.run()
    return runner


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    if len(sys.argv) > 2:
        arm(sys.argv[2], int(sys.argv[3]))
    begun = time.monotonic()
    done = run(Path(sys.argv[1]))
    assert done.summary is not None
    sys.stdout.write(f"{done.summary.outcome} in {time.monotonic() - begun:.2f} s\n")
    for alert in done.memory.alerts:
        sys.stdout.write(f"{alert.severity} {alert.code} {alert.message}\n")

"""Paper runs under the live driver, for the live benchmarks: recorded bars that come when they end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from attrs import evolve

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.market import Bar
from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest
from alphaweave.data.series import Series
from alphaweave.live import live_wiring
from alphaweave.live.actions import Gate
from alphaweave.live.adapters.base import Services
from alphaweave.live.broker import OrderAck
from alphaweave.live.config import LiveConfig, parse_live_config
from alphaweave.live.datafeed import FeedCapabilities, FeedEvent, FeedKind, ReplayDataFeed, Watermark
from alphaweave.live.live_settings import LiveSettings
from alphaweave.live.plugins import BrokerPlugin, DatafeedPlugin
from alphaweave.live.registry import Registry
from alphaweave.live.runner import LiveRunner
from alphaweave.live.sending_line import SendingLine
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave.strategy.strategy import Strategy
from alphaweave_broker_mock import MockBrokerAdapter, MockOptions
from alphaweave_broker_mock.account_file import AccountFile

__all__ = ["BEGIN", "Every", "LiveFeed", "Sends", "journal_end", "minutes", "run", "wait_for_gate"]

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
_MINUTE = 60_000_000_000
_FAR = 10**9


class Every(Strategy):
    """Turns its position of one unit over in each symbol, every so many bars."""

    bars = 1

    def next(self, i: int) -> None:
        if i % self.bars == 0:
            for symbol in self.symbols:
                self.order_market(symbol, -1 if self.position(symbol) > 0 else 1)


class Sends:
    """When orders were decided, and how many nanoseconds later each reached the adapter."""

    def __init__(self) -> None:
        self.decided: dict[str, int] = {}
        self.waited: list[int] = []


class _TimedBroker(MockBrokerAdapter):
    """The mock, whose account is written to its file at the end only: another broker keeps it elsewhere."""

    def __init__(self, options: MockOptions, services: Services, sends: Sends) -> None:
        path = services.account_path
        known = path is not None and path.exists()
        super().__init__(options, services if known else evolve(services, account_path=None))
        self._kept_in = None if known else path
        self.sends = sends

    async def disconnect(self) -> None:
        await super().disconnect()
        if self._kept_in is not None:
            AccountFile(self._kept_in).save(self._venue, self._board, self._market_time)

    def prepare(
        self,
        request: OrderRequest | OrderGroup | OrderChange,
        refs: Sequence[OrderRef],
        replaces: OrderRef | None = None,
    ) -> Sequence[Mapping[str, str]]:
        self.sends.decided[refs[0].client_order_id] = time.perf_counter_ns()
        return super().prepare(request, refs, replaces)

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        self.sends.waited.append(time.perf_counter_ns() - self.sends.decided.pop(ref.client_order_id))
        return await super().submit_order(ref, request)


class _FeedClock:
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
    """Bars that come when they end, one slice after the other; ``at`` is told of each slice's number."""

    capabilities = FeedCapabilities(kinds=frozenset({FeedKind.BAR}), historical=True, realtime=True)

    def __init__(
        self, series: Mapping[str, Series], clock: _FeedClock, begin: datetime, at: Callable[[int], None]
    ) -> None:
        super().__init__(series)
        self._clock, self._begin, self._at = clock, begin, at

    async def stream(self) -> AsyncIterator[FeedEvent]:
        yield Watermark(tuple(self.series), "1m", self._begin)
        slices = 0
        async for event in super().stream():
            assert isinstance(event, Bar | Watermark)
            if event.end > self._begin:
                self._clock.set(event.end)
                yield event
                if isinstance(event, Watermark):
                    slices += 1
                    self._at(slices)


def minutes(symbols: Sequence[str], count: int, seed: int = 7) -> dict[str, Series]:
    """A random walk of minutes for each symbol."""
    random, found = Random(seed), {}
    for symbol in symbols:
        series, price, start = Series(symbol, "1m"), 100.0, to_ns(BEGIN)
        for _ in range(count):
            after = round(price * (1 + random.gauss(0, 0.0005)), 2)
            series.append(start, start + _MINUTE, price, max(price, after), min(price, after), after, 1000.0)
            price, start = after, start + _MINUTE
        found[symbol] = series
    return found


def run(
    folder: Path,
    series: Mapping[str, Series],
    *,
    every: int,
    sends: Sends | None = None,
    monitors: Sequence[str] = (),
    at: Callable[[int], None] = lambda slices: None,
    begin: datetime = BEGIN,
    snapshots: int | None = None,
) -> tuple[LiveRunner, float]:
    """One run from ``begin`` to the last bar, at the broker mock; the runner, and seconds that it took.

    Args:
        snapshots: decisions between two of the journal's snapshots; None is as always.
    """
    clock = _FeedClock(begin)
    feed = LiveFeed(series, clock, begin, at)
    runner = _runner(folder, tuple(series), every, sends or Sends(), feed, clock, monitors)
    # No config has a key for it, since nobody would want less than there is.
    wiring: Any = live_wiring
    if snapshots is not None:
        wiring.LiveSettings = partial(LiveSettings, snapshot_every=snapshots)
    start = perf_counter()
    try:
        runner.run()
    finally:
        wiring.LiveSettings = LiveSettings
    return runner, perf_counter() - start


def wait_for_gate(folder: Path, symbols: Sequence[str], begin: datetime) -> int:
    """Start a run from its journal and stop it again; monotonic nanoseconds when its gate opened."""
    opened: list[int] = []
    clock = _FeedClock(begin)
    series = minutes(symbols, 1)
    feed = LiveFeed(series, clock, begin, lambda slices: None)
    runner = _runner(folder, tuple(symbols), 1, Sends(), feed, clock, ())
    set_gate = SendingLine.set_gate

    def timed(self: SendingLine, gate: Gate) -> None:
        set_gate(self, gate)
        if gate.open:
            opened.append(time.monotonic_ns())
            runner.request_stop()

    SendingLine.set_gate = timed  # type: ignore[method-assign]
    try:
        runner.run()
    finally:
        SendingLine.set_gate = set_gate  # type: ignore[method-assign]
    return opened[0]


def _runner(  # noqa: PLR0917 - the parts of a run
    folder: Path,
    symbols: tuple[str, ...],
    every: int,
    sends: Sends,
    feed: LiveFeed,
    clock: _FeedClock,
    monitors: Sequence[str],
) -> LiveRunner:
    registry = Registry()
    return LiveRunner(
        _config(folder, symbols, every, monitors),
        broker=BrokerPlugin(
            name="mock",
            create=lambda options, services: _TimedBroker(options, services, sends),
            capabilities=SIM_CAPABILITIES,
            options=MockOptions,
        ),
        datafeed=DatafeedPlugin(
            name="minutes", create=lambda options, services: feed, capabilities=feed.capabilities
        ),
        monitors=[registry.monitor(name) for name in monitors],
        clock=clock,
    )


def _config(folder: Path, symbols: tuple[str, ...], every: int, monitors: Sequence[str]) -> LiveConfig:
    options: dict[str, dict[str, Any]] = {
        "jsonl": {"path": str(folder / "run.jsonl")},
        "prometheus": {"port": 0},
    }
    raw = {
        "run": {"id": "bench", "mode": "paper"},
        "instruments": list(symbols),
        "datafeed": {"name": "minutes", "interval": "1m"},
        "broker": {"name": "mock"},
        "strategy": {"class": "live_runs:Every", "params": {"bars": every}},
        "monitors": [{"name": name, "options": {name: options.get(name, {})}} for name in monitors],
        "persistence": {"journal": str(folder / "run.db")},
        "risk": {
            "silence_seconds": _FAR,
            "order_rate": {"per_second": _FAR, "per_minute": _FAR},
            "daily_counts": {"orders": _FAR, "fills": _FAR},
        },
    }
    return parse_live_config(raw, source=folder / "bench.yaml")


def journal_end(series: Mapping[str, Series]) -> datetime:
    """When the last bar ends."""
    return from_ns(max(one.end[-1] for one in series.values()))

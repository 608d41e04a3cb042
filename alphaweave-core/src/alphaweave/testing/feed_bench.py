"""What a datafeed case works on: a feed, its venue, and a record of everything that was said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from alphaweave.core.clock import EPOCH, from_ns, to_ns
from alphaweave.core.interval import parse_interval
from alphaweave.core.market import Bar
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave.live.datafeed import DataFeed, FeedCapabilities, FeedEvent, FeedKind, Subscription
from alphaweave.live.plugins import DatafeedPlugin
from alphaweave.testing.clear_options import parse_clear_options
from alphaweave.testing.feed_venue import FeedControl
from alphaweave.testing.listener import Listener

__all__ = ["FeedBench", "ends", "feed_bench", "figures"]


def figures(bar: Bar) -> tuple[Any, ...]:
    """What two reports of one bar have in common, however it came to be known."""
    return (bar.symbol, bar.interval, bar.start, bar.end, bar.open, bar.high, bar.low, bar.close, bar.volume)


class FeedBench(Listener[FeedEvent]):
    """One feed at its venue.

    Attributes:
        plugin: the feed's record.
        feed: the feed, once `open` made it.
        interval: of every bar here.
        symbol, other: two of the config's symbols.
    """

    feed: DataFeed

    def __init__(self, plugin: DatafeedPlugin, venue: FeedControl) -> None:
        super().__init__(venue)
        self.plugin = plugin
        self.venue: FeedControl = venue
        self.capabilities: FeedCapabilities = plugin.capabilities
        self.interval = venue.interval
        self.symbols: tuple[str, ...] = tuple(venue.names)
        self.symbol, self.other = self.symbols[0], self.symbols[1]
        self._made: list[DataFeed] = []

    def make(self, options: Mapping[str, Any] | None = None) -> DataFeed:
        """A feed that has connected to nothing yet."""
        venue = self.venue
        block = venue.feed_options() if options is None else options
        parsed: Any = parse_clear_options(
            self.plugin.options, block, path=f"datafeed.options.{self.plugin.name}"
        )
        services = Services(
            clock=venue.clock,
            mode=RunMode.PAPER,
            log=self.ear,
            names=dict(venue.names),
            symbols=self.symbols,
            interval=self.interval,
        )
        feed = self.plugin.create(parsed, services)
        self._made.append(feed)
        venue.attach(feed)
        return feed

    async def open(self, *symbols: str) -> DataFeed:
        """Make the feed, connect, subscribe to bars of these symbols (the first), and listen."""
        self.feed = feed = self.make()
        await self.within(feed.connect(), "connect()")
        await self.within(feed.subscribe(self.bars_of(*symbols or (self.symbol,))), "subscribe()")
        self.read(feed.stream())
        return feed

    def bars_of(self, *symbols: str) -> list[Subscription]:
        """Subscriptions to bars."""
        return [Subscription(symbol, FeedKind.BAR, self.interval) for symbol in symbols]

    async def close(self) -> None:
        """Disconnect every feed that was made."""
        for feed in self._made:
            with suppress(Exception):
                await asyncio.wait_for(feed.disconnect(), self.venue.patience)
        await self.stop_listening()

    @property
    def step(self) -> timedelta:
        """How long a bar is."""
        seconds = parse_interval(self.interval).seconds
        assert seconds is not None, "the kit needs bars of an interval, not ticks"
        return timedelta(seconds=seconds)

    def boundary(self) -> datetime:
        """The end of the last bar that has ended by now."""
        length = to_ns(EPOCH + self.step)
        return from_ns(to_ns(self.venue.clock.now()) // length * length)

    def bar(self, end: datetime, *, symbol: str | None = None, close: float = 101.0) -> Bar:
        """A bar that ends then."""
        return Bar(
            symbol or self.symbol, self.interval, end - self.step, end, 100.0, 102.5, 99.5, close, 1000.0
        )

    def run_of(self, count: int, *, symbol: str | None = None) -> list[Bar]:
        """The last so many bars that have ended, each with a close of its own; oldest first."""
        last = self.boundary()
        return [
            self.bar(last - self.step * back, symbol=symbol, close=100.0 + (count - back) % 200 / 100)
            for back in reversed(range(count))
        ]

    async def next_bar(self, *, symbol: str | None = None, close: float = 101.0) -> Bar:
        """Let the time come at which the next bar has ended, and that bar with it, unpublished."""
        end = self.boundary() + self.step
        advance: Callable[[float], None] | None = getattr(self.venue.clock, "advance", None)
        left = (end - self.venue.clock.now()).total_seconds()
        if advance is not None and left > 2:
            advance(left)
        elif left > 0:
            await asyncio.sleep(left)
        return self.bar(end, symbol=symbol, close=close)

    async def published(self, *, symbol: str | None = None, close: float = 101.0) -> Bar:
        """The next bar, published."""
        bar = await self.next_bar(symbol=symbol, close=close)
        await self.venue.publish(bar)
        return bar

    async def delivered(self, *bars: Bar) -> None:
        """Wait until these bars came on the stream."""
        for bar in bars:
            wanted = (bar.symbol, bar.end)
            await self.event(
                lambda event, wanted=wanted: (  # type: ignore[misc]
                    isinstance(event, Bar) and (event.symbol, event.end) == wanted
                ),
                f"the {bar.interval} bar of {bar.symbol} that ends at {bar.end:%H:%M:%S}",
            )

    def bars(self, symbol: str | None = None) -> list[Bar]:
        """The bars that came, in their order."""
        return [bar for bar in self.all_of(Bar) if symbol in {None, bar.symbol}]


def ends(bars: Sequence[Bar]) -> list[datetime]:
    """When they ended."""
    return [bar.end for bar in bars]


@asynccontextmanager
async def feed_bench(plugin: DatafeedPlugin, venue: FeedControl) -> AsyncIterator[FeedBench]:
    """A bench, and its end: every feed disconnected, nothing logged any more."""
    bench = FeedBench(plugin, venue)
    with bench.ear.listening():
        try:
            yield bench
        finally:
            await bench.close()

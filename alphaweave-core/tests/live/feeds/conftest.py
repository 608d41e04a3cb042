"""A venue on the loopback interface that speaks lines of JSON, and the feeds that listen to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alphaweave.core.clock import ManualClock, from_ns, to_ns
from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable
from alphaweave.core.market import Bar, BarCorrection, BarSource, Quote, Trade
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.polling import PollingDataFeed
from alphaweave.live.adapters.streaming import FeedLink, FeedSink, StreamingDataFeed
from alphaweave.live.adapters.timer import ManualTimer
from alphaweave.live.datafeed import (
    DataFeed,
    FeedCapabilities,
    FeedEvent,
    FeedGap,
    FeedKind,
    History,
    Subscription,
    Watermark,
)
from alphaweave.live.reports import BrokerNotice, ConnectionLost, ConnectionRestored

MINUTE = 60_000_000_000
T0 = datetime(2024, 3, 4, 9, 30, tzinfo=UTC)
MINUTES = frozenset({"1m"})


def minute_of(moment: datetime) -> int:
    """Whole minutes since the test began."""
    return (moment - T0) // timedelta(minutes=1)


def at(minute: float) -> datetime:
    return T0 + timedelta(minutes=minute)


def bar(symbol: str, minute: int, volume: float = 1.0) -> Bar:
    """The bar that ends at that minute of the test."""
    price = float(minute)
    return Bar(symbol, "1m", at(minute - 1), at(minute), price, price, price, price, volume)


class LoopVenue:
    """Serves a stream, history and the time on one port.

    Attributes:
        exist: symbol -> the minutes at whose end it has a bar.
        heard: every subscription, as it came.
        history_trouble: how many of the next history requests are cut off.
        history_to: the last minute that history is complete to, at most.
        knocks: how many connections showed their key.
        refuses: how many of the next connections get no answer to their subscription but a close.
        mute: whether it hears, and answers nothing more.
        keys: whether credentials are accepted.
    """

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.exist: dict[str, set[int]] = {}
        self.heard: list[list[str]] = []
        self.asked: list[str] = []
        self.history_trouble = 0
        self.history_to = 10**6
        self.knocks = 0
        self.refuses = 0
        self.keys = True
        self.mute = False
        self.skew = timedelta()
        self.streams: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self.drop()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    def drop(self) -> None:
        """Reset every stream, without a goodbye."""
        for writer in self.streams:
            writer.transport.abort()
        self.streams.clear()

    def send(self, *messages: object) -> None:
        for writer in self.streams:
            for message in messages:
                writer.write(json.dumps(message).encode() + b"\n")

    def trade(self, symbol: str, minute: int, *, volume: float = 1.0) -> None:
        """A bar comes to exist, and is streamed to whoever listens."""
        self.exist.setdefault(symbol, set()).add(minute)
        self.send({"bar": symbol, "minute": minute, "volume": volume})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            while line := await reader.readline():
                if not await self._answer(json.loads(line), writer):
                    writer.transport.abort()
                    return
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            self._serving.discard(task)
            writer.close()

    async def _answer(self, said: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        answer: object
        if self.mute:
            return True
        if "key" in said:
            self.knocks += 1
            answer = {"welcome": self.keys}
        elif "subscribe" in said:
            if self.refuses:
                self.refuses -= 1
                return False
            self.heard.append(said["subscribe"])
            if writer not in self.streams:
                self.streams.append(writer)
            answer = {"subscribed": said["subscribe"]}
        elif "time" in said:
            answer = {"ns": to_ns(self.clock.now() + self.skew)}
        else:
            self.asked.append(f"{said['history']} {said['start']}-{said['end']}")
            if self.history_trouble:
                self.history_trouble -= 1
                return False
            now = minute_of(self.clock.now() + self.skew)
            known = min(said["end"], now, self.history_to)
            minutes = sorted(self.exist.get(said["history"], ()))
            answer = {
                "bars": [minute for minute in minutes if said["start"] < minute <= known],
                "to": max(known, said["start"]),
            }
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        return True


async def ask(venue: LoopVenue, question: dict[str, object]) -> dict[str, Any]:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", venue.port)
    try:
        writer.write(json.dumps(question).encode() + b"\n")
        line = await reader.readline()
    finally:
        writer.close()
    if not line:
        raise BrokerUnavailable("history was cut off")
    answer: dict[str, Any] = json.loads(line)
    return answer


async def ask_history(
    venue: LoopVenue, one: Subscription, start: datetime | None, end: datetime, bars: int | None
) -> History:
    first = -(10**6) if start is None else minute_of(start)
    answer = await ask(venue, {"history": one.symbol, "start": first, "end": minute_of(end)})
    found = [bar(one.symbol, minute) for minute in answer["bars"]]
    begin = at(first) if start is not None else at(min(answer["bars"], default=answer["to"]) - 1)
    return History(tuple(found[-bars:] if bars else found), begin, at(answer["to"]))


class LineLink:
    """One connection to the stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sink: FeedSink) -> None:
        self._reader, self._writer, self._sink = reader, writer, sink
        self._subscribed: asyncio.Future[None] | None = None

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        self._subscribed = asyncio.get_running_loop().create_future()
        symbols = [one.symbol for one in subscriptions]
        self._writer.write(json.dumps({"subscribe": symbols}).encode() + b"\n")
        await self._subscribed

    async def run(self) -> None:
        while line := await self._reader.readline():
            self._sink.beat()
            said = json.loads(line)
            if "subscribed" in said and self._subscribed is not None:
                self._subscribed.set_result(None)
            elif "bar" in said:
                self._sink.deliver(bar(said["bar"], said["minute"], said["volume"]))
            elif "corrected" in said:
                self._sink.deliver(BarCorrection(bar(said["corrected"], said["minute"], said["volume"])))
            elif "trade" in said:
                self._sink.deliver(Trade(said["trade"], at(said["minute"]), 1.0, 1.0))
            elif "quote" in said:
                self._sink.deliver(Quote(said["quote"], at(said["minute"]), 1.0, 2.0))
            elif "notice" in said:
                self._sink.deliver(BrokerNotice(T0, "info", "venue", said["notice"]))
            elif "bye" in said:
                self._sink.renew(said["bye"])

    async def close(self) -> None:
        self._writer.close()


class LineFeed(StreamingDataFeed):
    """The streaming feed of this venue."""

    capabilities = FeedCapabilities(
        kinds=frozenset({FeedKind.BAR, FeedKind.TRADE}), intervals=MINUTES, historical=True, realtime=True
    )

    def __init__(self, venue: LoopVenue, timer: ManualTimer, **settings: Any) -> None:
        super().__init__(Services(clock=timer.clock), timer=timer, **settings)
        self.venue = venue
        self.sinks: list[FeedSink] = []

    async def open_link(self, sink: FeedSink) -> FeedLink:
        self.sinks.append(sink)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.venue.port)
        writer.write(b'{"key": "x"}\n')
        line = await reader.readline()
        if not line or not json.loads(line)["welcome"]:
            writer.close()
            raise AuthenticationFailed("the venue refuses the key")
        return LineLink(reader, writer, sink)

    async def history(
        self,
        subscription: Subscription,
        *,
        end: datetime,
        start: datetime | None = None,
        bars: int | None = None,
    ) -> History:
        return await ask_history(self.venue, subscription, start, end, bars)


class SparseFeed(LineFeed):
    """The same, whose venue sends no bar for an interval without a trade."""

    fills_holes = False


class BuildingFeed(LineFeed):
    """The same, that builds its bars itself, so that the one that is forming at first is not whole."""

    def whole_from(self, subscription: Subscription, at: int) -> int:
        return self.grid(subscription.interval).after(at - 1)


class AskingFeed(PollingDataFeed):
    """The polling feed of this venue."""

    capabilities = FeedCapabilities(
        kinds=frozenset({FeedKind.BAR}), intervals=MINUTES, historical=True, realtime=True
    )

    def __init__(self, venue: LoopVenue, timer: ManualTimer, **settings: Any) -> None:
        super().__init__(Services(clock=timer.clock), timer=timer, **settings)
        self.venue = venue

    async def get_server_time(self) -> datetime:
        answer = await ask(self.venue, {"time": True})
        return from_ns(answer["ns"])

    async def history(
        self,
        subscription: Subscription,
        *,
        end: datetime,
        start: datetime | None = None,
        bars: int | None = None,
    ) -> History:
        return await ask_history(self.venue, subscription, start, end, bars)


def short(event: FeedEvent) -> str:
    """An event in one word."""
    match event:
        case Bar():
            fetched = "h" if event.source is BarSource.BACKFILL else ""
            return f"{event.symbol}{event.close:g}{fetched}"
        case BarCorrection():
            return f"corrected {event.bar.symbol}{event.bar.close:g}"
        case Watermark():
            return f"{''.join(event.symbols)} to {minute_of(event.end)}"
        case FeedGap():
            how = "filled" if event.filled else "lost"
            return f"{how} {event.symbol} {minute_of(event.start)}-{minute_of(event.end)}"
        case ConnectionLost():
            return f"lost: {event.reason}"
        case ConnectionRestored():
            return "restored"
        case BrokerNotice():
            return f"{event.code}: {event.text}"
    return f"{type(event).__name__} {event.symbol}"


class Bench:
    """A venue, a feed, and a time that moves by hand.

    Attributes:
        told: what the stream said, an event a word.
    """

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.clock.set(T0)
        self.timer = ManualTimer(self.clock)
        self.venue = LoopVenue(self.clock)
        self.told: list[str] = []
        self.events: list[FeedEvent] = []
        self.ended = False
        self._reading: asyncio.Task[None] | None = None
        self._feed: StreamingDataFeed | PollingDataFeed | None = None

    async def listen(self, feed: StreamingDataFeed | PollingDataFeed, *symbols: str) -> None:
        """Subscribe, connect, and read the stream."""
        self._feed = feed
        self._reading = asyncio.create_task(self._read(feed.stream()))
        await feed.subscribe([Subscription(symbol, interval="1m") for symbol in symbols])
        await feed.connect()

    async def _read(self, stream: AsyncIterator[FeedEvent]) -> None:
        async for event in stream:
            self.events.append(event)
            self.told.append(short(event))
        self.ended = True

    async def hears(self, *expected: str) -> None:
        """Wait, without the time moving, until the stream has said just this since the last call."""
        await self.until(lambda: len(self.told) >= len(expected))
        assert self.told == list(expected)
        self.told.clear()
        self.events.clear()

    async def until(self, happened: Callable[[], object], step: float = 0.0) -> None:
        """Let everything run, with the time moving by steps, until something has happened."""
        for _ in range(20_000):
            if happened():
                return
            await asyncio.sleep(0)
            if step:
                self.timer.advance(step)
            if self._reading is not None and self._reading.done() and self._reading.exception():
                self._reading.result()
        pytest.fail(f"it never happened; told: {self.told}")

    def at(self, minute: float) -> datetime:
        """The instant of a minute of the test."""
        return at(minute)

    def minute(self, minute: float) -> None:
        """Move the time to a minute of the test."""
        self.timer.advance((at(minute) - self.clock.now()).total_seconds())

    async def __aenter__(self) -> Bench:
        await self.venue.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._feed is not None:
            await self._feed.disconnect()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self.venue.close()


@pytest.fixture
def run() -> Callable[[Callable[[Bench], Coroutine[Any, Any, None]]], None]:
    """Run a scene on a fresh bench."""

    def on_bench(scene: Callable[[Bench], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with asyncio.timeout(20), Bench() as bench:
                await scene(bench)

        asyncio.run(whole())

    return on_bench


@pytest.fixture
def line_feed() -> Callable[..., DataFeed]:
    """Makes the streaming feed of a bench's venue."""

    def make(bench: Bench, *, sparse: bool = False, builds: bool = False, **settings: Any) -> DataFeed:
        kind = BuildingFeed if builds else SparseFeed if sparse else LineFeed
        return kind(bench.venue, bench.timer, **settings)

    return make


@pytest.fixture
def asking_feed() -> Callable[..., DataFeed]:
    """Makes the polling feed of a bench's venue."""

    def make(bench: Bench, **settings: Any) -> DataFeed:
        return AskingFeed(bench.venue, bench.timer, **settings)

    return make

"""A toy venue of prices with every power, a good feed for it, and feeds with one bug each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from attrs import evolve, frozen

from alphaweave.core.clock import to_ns
from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable
from alphaweave.core.instrument import Instrument
from alphaweave.core.market import Bar, BarCorrection, BarSource, Quote, Trade
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.streaming import FeedSink, StreamingDataFeed
from alphaweave.live.adapters.supervisor import SupervisorLimits
from alphaweave.live.datafeed import FeedCapabilities, FeedKind, History, Subscription
from alphaweave.live.plugins import DatafeedPlugin
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.feed_venue import FeedControl
from alphaweave.testing.sandbox import Action, Fault, Power, WireRequest

Words = dict[str, Any]
PAGE = 1000
CAPABILITIES = FeedCapabilities(
    kinds=frozenset({FeedKind.BAR, FeedKind.TRADE}),
    intervals=frozenset({"1m", "1h"}),
    historical=True,
    realtime=True,
)


class ToyFeedVenue(FeedControl):
    """The venue; a connection is a queue."""

    name = "the toy price venue"
    powers = frozenset(
        {
            *(Power(fault.value) for fault in Fault if fault not in {Fault.REJECT, Fault.DUPLICATE_ID}),
            *(Power.WRONG_KEYS, Power.DROP, Power.REFUSE, Power.MUTE, Power.RESTART, Power.FRESH),
            *(Power.HOLD_EVENTS, Power.DUPLICATE, Power.REORDER, Power.HISTORY, Power.FORMING),
            *(Power.CORRECT_BAR, Power.TRADES, Power.QUOTES),
        }
    )
    names: Mapping[str, str] = {"ONE": "ONE.X", "TWO": "TWO.X"}
    instruments: Mapping[str, Instrument] = {
        symbol: Instrument(symbol=symbol, venue_symbol=venue) for symbol, venue in names.items()
    }
    secrets = ("toy-s3cret",)
    patience = 2.5

    def __init__(self) -> None:
        self.clock = RunningClock()
        self.connections: set[asyncio.Queue[Words | None]] = set()
        self.bars: dict[tuple[str, datetime], Bar] = {}
        self.formed: Bar | None = None
        self._received: list[WireRequest] = []
        self._armed: tuple[Fault, int] | None = None
        self._held: list[Words] | None = None
        self._refused = self._muted = False
        self._heart: asyncio.Task[None] | None = None

    @property
    def requests(self) -> Sequence[WireRequest]:
        return self._received

    async def start(self) -> None:
        self._heart = asyncio.ensure_future(self._beat())

    async def stop(self) -> None:
        await self.drop()
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.gather(self._heart, return_exceptions=True)

    def fresh(self) -> Self:
        return type(self)()

    def options(self) -> dict[str, Any]:
        return {"key": "toy-s3cret"}

    def wrong_options(self) -> dict[str, Any]:
        return {"key": "toy-wrong"}

    def attach(self, adapter: object) -> None:
        adapter.venue = self  # type: ignore[attr-defined]

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            self.tell({"beat": 1}, held=False)

    def tell(self, words: Words, *, held: bool = True) -> None:
        if held and self._held is not None:
            self._held.append(words)
        elif not self._muted:
            for connection in self.connections:
                connection.put_nowait(words)

    async def dial(self, key: str) -> asyncio.Queue[Words | None]:
        self._note(Action.OTHER, {"do": "hello"})
        if self._refused:
            raise ConnectionRefusedError("the venue is away")
        if key != "toy-s3cret":
            raise AuthenticationFailed("the toy venue refuses the key")
        connection: asyncio.Queue[Words | None] = asyncio.Queue()
        self.connections.add(connection)
        return connection

    async def page(self, symbol: str, interval: str, start: datetime, end: datetime) -> Words:
        """At most so many bars that end after ``start`` and by ``end``, oldest first."""
        self._note(Action.HISTORY, {"symbol": symbol, "start": str(start)})
        if self._refused:
            raise ConnectionRefusedError("the venue is away")
        fault, times = self._armed or (None, 0)
        if fault is not None and times:
            self._armed = (fault, times - 1)
            if fault in {Fault.LOSE_ANSWER, Fault.LOSE_REQUEST, Fault.HOLD}:
                await asyncio.Event().wait()
            if fault is Fault.HANG_UP:
                raise ConnectionResetError("the connection has ended")
            return {"?": 7} if fault is Fault.GARBLE else {"error": fault.value}
        found = sorted(
            (bar for (name, at), bar in self.bars.items() if name == symbol and start < at <= end),
            key=lambda bar: bar.end,
        )
        forming = [self.formed] if self.formed is not None and self.formed.end <= end else []
        return {"bars": [*found[:PAGE], *forming], "more": len(found) > PAGE}

    def _note(self, action: Action, words: Words) -> None:
        number = len(self._received) + 1
        raw = json.dumps(words).encode()
        self._received.append(WireRequest(number, self.clock.now(), action, str(words), raw))

    async def arm(self, action: Action, fault: Fault, *, times: int = 1, retry_after: float = 1.0) -> None:
        self._armed = (fault, times)

    async def hold_events(self) -> None:
        self._held = []

    async def release_events(self, *, times: int = 1, backwards: bool = False) -> None:
        held, self._held = self._held or [], None
        for words in reversed(held) if backwards else held:
            for _ in range(times):
                self.tell(words)

    async def drop(self) -> None:
        for connection in self.connections:
            connection.put_nowait(None)
        self.connections.clear()

    async def refuse(self, refused: bool) -> None:
        self._refused = refused
        if refused:
            await self.drop()

    async def mute(self, muted: bool) -> None:
        self._muted = muted

    async def restart(self) -> None:
        await self.drop()

    async def load(self, bars: Sequence[Bar]) -> None:
        self.bars.update({(bar.symbol, bar.end): bar for bar in bars})

    async def publish(self, bar: Bar) -> None:
        await self.load([bar])
        self.formed = None
        self.tell({"bar": bar, "final": True})

    async def form(self, bar: Bar) -> None:
        self.formed = bar
        self.tell({"bar": bar, "final": False})

    async def correct_bar(self, bar: Bar) -> None:
        await self.load([bar])
        self.tell({"corrected": bar})

    async def publish_trade(self, trade: Trade) -> None:
        self.tell({"trade": trade})

    async def publish_quote(self, quote: Quote) -> None:
        self.tell({"quote": quote})


@frozen
class ToyFeedOptions:
    """Options of the toy feed."""

    key: Secret


class ToyLink:
    """One connection of the feed."""

    def __init__(self, feed: ToyFeed, sink: FeedSink, said: asyncio.Queue[Words | None]) -> None:
        self.feed, self.sink, self.said = feed, sink, said

    async def run(self) -> None:
        while (words := await self.said.get()) is not None:
            self.feed.hear(self.sink, words)

    async def close(self) -> None:
        assert self.feed.venue is not None
        self.feed.venue.connections.discard(self.said)

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """The toy venue sends everything."""


class ToyFeed(StreamingDataFeed):
    """A good feed."""

    venue: ToyFeedVenue | None = None
    capabilities = CAPABILITIES
    fills_holes = False

    def __init__(self, options: ToyFeedOptions, services: Services) -> None:
        super().__init__(services, limits=SupervisorLimits(silence=1.2), patience=1.0, answer=0.5)
        self.options = options

    async def open_link(self, sink: FeedSink) -> ToyLink:
        assert self.venue is not None
        return ToyLink(self, sink, await self.venue.dial(self.options.key.reveal()))

    def hear(self, sink: FeedSink, words: Words) -> None:
        sink.beat()
        if words.get("final"):
            sink.deliver(words["bar"])
        if "corrected" in words:
            sink.deliver(BarCorrection(words["corrected"]))
        if "trade" in words:
            sink.deliver(words["trade"])

    async def history(
        self,
        subscription: Subscription,
        *,
        end: datetime,
        start: datetime | None = None,
        bars: int | None = None,
    ) -> History:
        if (start is None) == (bars is None) or bars == 0:
            raise ValueError("history takes exactly one of start and bars")
        self.check(subscription)
        ended = self.services.clock.now().replace(second=0, microsecond=0)
        first = start or min(end, ended) - timedelta(minutes=1) * (bars or 0)
        found: list[Bar] = []
        while True:
            words = await self.page(subscription, found[-1].end if found else first, end)
            now = to_ns(self.services.clock.now())
            page = [bar for bar in words["bars"] if to_ns(bar.end) <= now]
            found += page
            if not words["more"]:
                break
        last = min(end, self.services.clock.now())
        return History(tuple(evolve(bar, source=BarSource.BACKFILL) for bar in found), min(first, last), last)

    async def page(self, subscription: Subscription, start: datetime, end: datetime) -> Words:
        assert self.venue is not None
        try:
            async with asyncio.timeout(0.3):
                words = await self.venue.page(subscription.symbol, subscription.interval, start, end)
        except (OSError, TimeoutError):
            raise BrokerUnavailable("no answer") from None
        if "bars" not in words:
            raise BrokerUnavailable("no usable answer")
        return words


class TellsForming(ToyFeed):
    """Delivers bars that have not closed."""

    def hear(self, sink: FeedSink, words: Words) -> None:
        super().hear(sink, {**words, "final": "bar" in words})


class RepeatsBars(ToyFeed):
    """Delivers whatever the venue sends, as often as it sends it."""

    def take(self, event: Any) -> None:
        self.supervisor.beat()
        self.emit((event,))


class ShiftsTimes(ToyFeed):
    """Takes the start of a bar for its end."""

    def hear(self, sink: FeedSink, words: Words) -> None:
        if "bar" in words:
            bar = words["bar"]
            shifted = evolve(bar, start=bar.start + timedelta(minutes=1), end=bar.end + timedelta(minutes=1))
            words = {**words, "bar": shifted}
        super().hear(sink, words)


class OnePage(ToyFeed):
    """Asks for one page of history, and takes it for all."""

    async def page(self, subscription: Subscription, start: datetime, end: datetime) -> Words:
        return {**await super().page(subscription, start, end), "more": False}


class EmptyHistory(ToyFeed):
    """Takes a failure for "there is nothing"."""

    async def page(self, subscription: Subscription, start: datetime, end: datetime) -> Words:
        try:
            return await super().page(subscription, start, end)
        except BrokerUnavailable:
            return {"bars": [], "more": False}


class FormingHistory(ToyFeed):
    """Has the bar that is forming in its history."""

    async def history(self, subscription: Subscription, **asked: Any) -> History:
        report = await super().history(subscription, **asked)
        assert self.venue is not None
        formed = self.venue.formed
        return report if formed is None else evolve(report, bars=(*report.bars[1:], formed))


class DeafFeed(ToyFeed):
    """Never notices silence."""

    def __init__(self, options: ToyFeedOptions, services: Services) -> None:
        StreamingDataFeed.__init__(
            self, services, limits=SupervisorLimits(silence=None), patience=1.0, answer=0.5
        )
        self.options = options


class ForgetsGaps(ToyFeed):
    """Goes on after an outage as if nothing had been missed."""

    async def page(self, subscription: Subscription, start: datetime, end: datetime) -> Words:
        return {"bars": [], "more": False}


class SilentReconnect(ToyFeed):
    """Says nothing of its connection."""

    def emit(self, events: Any) -> None:
        super().emit(each for each in events if not type(each).__name__.startswith("Connection"))


class TakesAnyKind(ToyFeed):
    """Takes subscriptions that it does not have."""

    def check(self, subscription: Subscription) -> None:
        """Whatever you like."""


class EndlessStream(ToyFeed):
    """Never ends its stream."""

    def end_stream(self) -> None:
        """Not now."""


class LeaksATask(ToyFeed):
    """Leaves something running."""

    left: Any = None

    async def connect(self) -> None:
        await super().connect()
        self.left = asyncio.ensure_future(asyncio.Event().wait())


class LogsItsKey(ToyFeed):
    """Says its key to the log."""

    async def connect(self) -> None:
        self.services.log.info("connecting", key=self.options.key.reveal())
        await super().connect()


# What finds each of them: all of it, and nothing else.
FEEDS: Mapping[type[ToyFeed], str] = {
    TellsForming: "150",
    RepeatsBars: "120 125 145 420",
    ShiftsTimes: "110 115 120 125 135 140 145 150 155 410 415 420 425",
    OnePage: "335",
    EmptyHistory: "345 350 355 360 430",
    FormingHistory: "330",
    DeafFeed: "425",
    ForgetsGaps: "310 315 320 330 335 340 345 350 355 360 415 420 430",
    SilentReconnect: "410 415 420 425 430",
    TakesAnyKind: "130 165",
    EndlessStream: "040 510",
    LeaksATask: "510",
    LogsItsKey: "515",
}


def plugin_of(kind: type[ToyFeed]) -> DatafeedPlugin:
    """The record of a feed."""
    return DatafeedPlugin(name="toy", create=kind, capabilities=CAPABILITIES, options=ToyFeedOptions)

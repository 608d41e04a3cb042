"""Alpaca as a datafeed: minutes, trades and quotes off the stream, the past over REST."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable, Unsupported
from alphaweave.core.market import Bar, BarCorrection
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.adapters.streaming import FeedSink, StreamingDataFeed
from alphaweave.live.adapters.supervisor import SupervisorLimits
from alphaweave.live.adapters.timer import Timer, within
from alphaweave.live.datafeed import FeedKind, History, Session, Subscription
from alphaweave.live.reports import BrokerNotice
from alphaweave_broker_alpaca.answers import answered, mapping_in, mappings_in
from alphaweave_broker_alpaca.assets import find_assets
from alphaweave_broker_alpaca.bar_history import BarHistory
from alphaweave_broker_alpaca.data_stream import Channels, DataLink, open_data_socket
from alphaweave_broker_alpaca.feed_settings import AlpacaFeedOptions
from alphaweave_broker_alpaca.mapping import moment, text_of
from alphaweave_broker_alpaca.market_rows import bar_of, quote_of, trade_of
from alphaweave_broker_alpaca.minute_builder import MinuteBuilder
from alphaweave_broker_alpaca.transport import Refused, Transport

__all__ = ["AlpacaFeed"]

_SECOND_NS: Final = 1_000_000_000
_MINUTE: Final = "1m"
# What connecting may take, so that refused keys are known within five seconds.
_OPENING: Final = 4.0
_ASKING: Final = 2.5
_NEW_YORK: Final = "America/New_York"
_CHANNELS: Final = {
    FeedKind.TRADE: ("trades",),
    FeedKind.QUOTE: ("quotes",),
    FeedKind.BAR: ("bars", "updatedBars"),
}


class AlpacaFeed(StreamingDataFeed):
    """One feed of Alpaca's market data."""

    # A minute without a trade has no bar: a hole is no sign that something was missed.
    fills_holes = False

    def __init__(self, options: AlpacaFeedOptions, services: Services, *, timer: Timer | None = None) -> None:
        super().__init__(
            services,
            timer=timer,
            limits=SupervisorLimits(silence=2.5 * options.heartbeat, opening=_OPENING),
            answer=options.timeout,
            name="alpaca data",
        )
        self.capabilities = options.capabilities
        self._options = options
        self._names = dict(services.names)
        self._known: set[str] = set()
        self._trading: Transport | None = None
        self._data: Transport | None = None
        self._past: BarHistory | None = None

    async def connect(self) -> None:
        try:
            await super().connect()
        except BaseException:
            self._close_transports()
            raise

    async def disconnect(self) -> None:
        await super().disconnect()
        self._close_transports()

    def server_now(self) -> int:
        """The time that is being told of, which is the present but for delayed data."""
        return to_ns(self.server_clock.now() - self._options.delay)

    def check(self, subscription: Subscription) -> None:
        super().check(subscription)
        crypto = self._options.feed == "crypto"
        if ("/" in self._venue(subscription.symbol)) is not crypto:
            kinds = ("crypto", "a stock") if crypto else ("stocks", "crypto")
            pairs = ", and a pair has a slash, as BTC/USD" if crypto else ""
            raise Unsupported(
                f"{subscription.symbol}: the feed {self._options.feed} is of {kinds[0]}, and this is "
                f"{kinds[1]}; a run has the one or the other{pairs}"
            )

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        for subscription in subscriptions:
            self.check(subscription)
        await self._look_up(*dict.fromkeys(one.symbol for one in subscriptions))
        await super().subscribe(subscriptions)

    async def history(
        self,
        subscription: Subscription,
        *,
        end: datetime,
        start: datetime | None = None,
        bars: int | None = None,
    ) -> History:
        if (start is None) == (bars is None):
            raise ValueError("history takes exactly one of start and bars")
        if bars is not None and bars < 1:
            raise ValueError(f"history gives one bar or more, not {bars}")
        self.check(subscription)
        if subscription.kind is not FeedKind.BAR:
            raise Unsupported(f"{subscription.symbol}: history has bars, and no {subscription.kind.value}s")
        await self._look_up(subscription.symbol)
        symbol, grid = subscription.symbol, self.grid(subscription.interval)
        venue, past = self._venue(symbol), self.past
        if start is not None:
            return await past.since(symbol, venue, grid, min(start, end), end)
        assert bars is not None
        return await past.latest(symbol, venue, grid, bars, end)

    async def sessions(self, symbols: Sequence[str], start: datetime, end: datetime) -> Sequence[Session]:
        """Regular hours by Alpaca's calendar, half days included; crypto never closes."""
        if self._options.feed == "crypto":
            return await super().sessions(symbols, start, end)
        day = timedelta(days=1)
        query = {"start": f"{(start - day).date()}", "end": f"{(end + day).date()}"}
        with answered():
            days = mappings_in(await self._ask(self.trading, "/calendar", query))
            spans = [_session_of(one) for one in days]
        return [
            Session(symbol, opens, closes)
            for opens, closes in sorted(spans)
            if opens < end and closes > start
            for symbol in symbols
        ]

    async def open_link(self, sink: FeedSink) -> _Link:
        try:
            await within(self.timer, self._learn_time(), _ASKING, "the clock")
        except BrokerUnavailable:
            # What time it is was said before; data can come although no order can go.
            if self.server_clock.error is None:
                raise
        socket = await open_data_socket(self._options, sink.beat)
        return _Link(self, sink, lambda reader: DataLink(socket, reader, self.timer, self._options.heartbeat))

    @property
    def trading(self) -> Transport:
        """Requests to where orders go: the clock, the calendar and the list of assets are there."""
        if self._trading is None:
            self._trading = Transport(self._options, self.timer)
        return self._trading

    @property
    def past(self) -> BarHistory:
        """What has been."""
        if self._past is None:
            self._data = Transport(self._options, self.timer, self._options.data)
            zone = self.services.timezone
            self._past = BarHistory(self._options, self._data, self.timer, self.server_clock.now, zone)
        return self._past

    @property
    def settle(self) -> float:
        """Seconds for which a minute may be late."""
        return self._options.settle

    def _venue(self, symbol: str) -> str:
        return self._names.get(symbol, symbol)

    def _close_transports(self) -> None:
        for transport in (self._trading, self._data):
            if transport is not None:
                transport.close()
        self._trading = self._data = self._past = None

    async def _ask(self, transport: Transport, path: str, query: Mapping[str, Any] | None = None) -> Any:
        return await transport.call(Use.QUERY, "GET", path, query)

    async def _look_up(self, *symbols: str) -> None:
        """Data of a symbol that nobody knows is no error at Alpaca's: it never comes."""
        named = {symbol: self._venue(symbol) for symbol in symbols if symbol not in self._known}
        found = await find_assets(partial(self._ask, self.trading), named.values())
        for symbol, venue in named.items():
            if venue not in found:
                raise Unsupported(f"{symbol}: Alpaca has no {venue}; write its symbol there under names")
            self._known.add(symbol)

    async def _learn_time(self) -> None:
        asked_at = self.timer.clock.now()
        with answered():
            try:
                told = mapping_in(await self._ask(self.trading, "/clock"))
            except Refused as no:
                if no.status in {401, 403}:
                    raise AuthenticationFailed(
                        "Alpaca refuses the keys; do they belong to this address? Those of real money need "
                        f"paper: false (Alpaca: {no.text})",
                        code=str(no.status),
                    ) from None
                raise
            said = moment(text_of(told, "timestamp"))
        answered_at = self.timer.clock.now()
        if answered_at >= asked_at:
            self.server_clock.learn(asked_at=asked_at, answered_at=answered_at, said=said)


class _Link:
    """One connection, and the longer bars that are built of its minutes."""

    def __init__(self, feed: AlpacaFeed, sink: FeedSink, opened: Callable[[_Link], DataLink]) -> None:
        self._feed = feed
        self._sink = sink
        self._line = opened(self)
        self._symbols: dict[str, str] = {}
        self._bars: set[str] = set()
        self._builders: dict[str, list[MinuteBuilder]] = {}
        # Of a span in which the connection began, what came before it is in history.
        self._begun: dict[MinuteBuilder, int] = {}
        self._due: set[tuple[MinuteBuilder, int]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        feed = self._feed
        wanted: dict[str, set[str]] = {}
        if feed._options.feed != "crypto":
            wanted["statuses"] = {feed._venue(one.symbol) for one in subscriptions}
        for one in subscriptions:
            venue = feed._venue(one.symbol)
            self._symbols[venue] = one.symbol
            for channel in _CHANNELS[one.kind]:
                wanted.setdefault(channel, set()).add(venue)
        bars = [one for one in subscriptions if one.kind is FeedKind.BAR]
        kept = {
            (builder.symbol, builder.grid.interval) for some in self._builders.values() for builder in some
        }
        asked: Channels = {name: frozenset(symbols) for name, symbols in wanted.items()}
        await self._line.change(asked)
        self._bars = {one.symbol for one in bars if one.interval == _MINUTE}
        for one in bars:
            if one.interval != _MINUTE and (one.symbol, one.interval) not in kept:
                builder = MinuteBuilder(one.symbol, feed.grid(one.interval), feed.services.timezone)
                self._builders.setdefault(one.symbol, []).append(builder)
                self._begun[builder] = builder.grid.floor(feed.server_now())
                self._later(builder, self._begun[builder])

    async def run(self) -> None:
        try:
            await self._line.run()
        finally:
            for task in self._tasks:
                task.cancel()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._line.close()

    # What the line hears.

    def heard(self) -> None:
        self._sink.beat()

    def row(self, kind: str, row: Mapping[str, Any]) -> None:
        symbol = self._symbols.get(str(row.get("S")))
        if symbol is None:
            return
        try:
            if kind == "t":
                self._sink.deliver(trade_of(row, symbol))
            elif kind == "q":
                self._sink.deliver(quote_of(row, symbol))
            elif kind == "s":
                self._status(symbol, row)
            else:
                self._minute(bar_of(row, symbol), restated=kind == "u")
        except ValueError as error:
            text = f"{symbol}: what Alpaca sent cannot be read: {error}"
            self._notice("error", "unreadable", text, symbol)

    def _status(self, symbol: str, row: Mapping[str, Any]) -> None:
        code, said = str(row.get("sc", "")), str(row.get("sm", ""))
        halted = code in {"H", "2", "P"}
        text = f"{symbol}: {said or code}"
        self._notice("warning" if halted else "info", "halted" if halted else "status", text, symbol)

    def _notice(self, severity: str, code: str, text: str, symbol: str) -> None:
        now = from_ns(self._feed.server_now())
        self._sink.deliver(BrokerNotice(now, severity, code, text, symbol))

    # Bars.

    def _minute(self, bar: Bar, *, restated: bool) -> None:
        if bar.symbol in self._bars:
            self._sink.deliver(BarCorrection(bar) if restated else bar)
        for builder in self._builders.get(bar.symbol, ()):
            span = builder.add(bar)
            if span is None:
                continue
            if builder.is_done(span):
                whole = builder.bar(span)
                if restated and whole is not None:
                    self._sink.deliver(BarCorrection(whole))
                continue
            for before in builder.spans_before(span):
                self._end(builder, before)
            if builder.is_full(span):
                self._end(builder, span)
            else:
                self._later(builder, span)

    def _end(self, builder: MinuteBuilder, span: int) -> None:
        """A span is over: hand out its bar, unless history has to be asked, which is under way."""
        begun = self._begun.get(builder)
        if begun is not None or builder.is_done(span):
            return
        bar = builder.bar(span)
        if bar is not None:
            self._sink.deliver(bar)

    def _later(self, builder: MinuteBuilder, span: int) -> None:
        if (builder, span) not in self._due:
            self._due.add((builder, span))
            task = self._feed.guard(self._end_later(builder, span), f"bar of {builder.symbol}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _end_later(self, builder: MinuteBuilder, span: int) -> None:
        feed = self._feed
        end = builder.grid.after(span)
        due = end + round(feed.settle * _SECOND_NS)
        while (ahead := due - feed.server_now()) > 0:
            await feed.timer.sleep(ahead / _SECOND_NS)
        self._due.discard((builder, span))
        if self._begun.get(builder) == span:
            try:
                venue = feed._venue(builder.symbol)
                asked = feed.past.minutes(builder.symbol, venue, from_ns(span), from_ns(end))
                builder.fill((await asked).bars)
            except (BrokerUnavailable, Unsupported) as error:
                self._sink.renew(f"history does not answer: {error}")
                return
            del self._begun[builder]
        for one in builder.spans_before(end):
            self._end(builder, one)
        # Later spans that ended meanwhile waited for this one.
        for one in builder.spans_before(builder.grid.floor(feed.server_now())):
            self._end(builder, one)


def _session_of(row: Mapping[str, Any]) -> tuple[datetime, datetime]:
    day, zone = date.fromisoformat(text_of(row, "date")), ZoneInfo(_NEW_YORK)
    opens, closes = (
        datetime.combine(day, time.fromisoformat(text_of(row, name)), zone) for name in ("open", "close")
    )
    return from_ns(to_ns(opens)), from_ns(to_ns(closes))

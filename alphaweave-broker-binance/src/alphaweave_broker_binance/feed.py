"""Binance as a datafeed: bars, trades and quotes off combined streams, the past over REST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import AuthenticationFailed, Unsupported
from alphaweave.core.market import Bar
from alphaweave.data.grid import BarGrid
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.adapters.streaming import FeedSink, StreamingDataFeed
from alphaweave.live.adapters.supervisor import SupervisorLimits
from alphaweave.live.adapters.timer import Timer, within
from alphaweave.live.datafeed import FeedKind, History, Subscription
from alphaweave.live.reports import BrokerNotice
from alphaweave_broker_binance.answers import answered
from alphaweave_broker_binance.feed_settings import FEED_CAPABILITIES, BinanceFeedOptions
from alphaweave_broker_binance.market_rows import bar_of, is_final, listed_bar_of, quote_of, trade_of
from alphaweave_broker_binance.market_stream import MOST_STREAMS, MarketLine
from alphaweave_broker_binance.signing import Keys
from alphaweave_broker_binance.sockets import open_socket
from alphaweave_broker_binance.symbols import find_symbols
from alphaweave_broker_binance.transport import Call, Transport

__all__ = ["BinanceFeed"]

_OPENING: Final = 4.0
_ASKING: Final = 2.5
_PAGE: Final = 1000
_MS: Final = 1_000_000
_HOUR: Final = 3_600_000_000_000
# Of a day in winter and one in summer, by the hour: where bars begin in a time zone.
_SAMPLES: Final = tuple((day * 24 + hour) * _HOUR for day in (20_088, 20_269) for hour in range(24))


class BinanceFeed(StreamingDataFeed):
    """One feed of Binance's market data."""

    capabilities = FEED_CAPABILITIES

    def __init__(
        self, options: BinanceFeedOptions, services: Services, *, timer: Timer | None = None
    ) -> None:
        super().__init__(
            services,
            timer=timer,
            limits=SupervisorLimits(silence=2.5 * options.heartbeat, opening=_OPENING),
            answer=options.timeout,
            name="binance data",
        )
        self._options = options
        self._names = dict(services.names)
        self._known: set[str] = set()
        self._made: Transport | None = None

    async def connect(self) -> None:
        environment, mode = self._options.environment, self.services.mode
        if mode is RunMode.LIVE and not self._options.is_real:
            raise AuthenticationFailed(
                f"the run is for real money, and the prices would be those of the {environment}: "
                "write environment: mainnet for the datafeed",
                details={"environment": environment, "mode": mode.value},
            )
        try:
            await super().connect()
        except BaseException:
            self._close_transport()
            raise

    async def disconnect(self) -> None:
        await super().disconnect()
        self._close_transport()

    def check(self, subscription: Subscription) -> None:
        super().check(subscription)
        if subscription.kind is FeedKind.BAR and not self._is_by_utc(subscription.interval):
            raise Unsupported(
                f"{subscription.symbol}: Binance's bars of {subscription.interval} begin by UTC, and not by "
                f"{self.services.timezone}: write datafeed.timezone: UTC"
            )

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        for subscription in subscriptions:
            self.check(subscription)
        if len(set(subscriptions)) > MOST_STREAMS:
            raise Unsupported(f"a connection to Binance has {MOST_STREAMS} streams, not {len(subscriptions)}")
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
        until = min(to_ns(end), self.server_now())
        with answered():
            if start is not None:
                begin = min(to_ns(start), until)
                found = await self._since(subscription, begin, until)
            else:
                found = await self._latest(subscription, bars or 0, until)
                begin = to_ns(found[0].start) if found else until
        return History(tuple(found), from_ns(min(begin, until)), from_ns(until))

    async def _since(self, subscription: Subscription, begin: int, until: int) -> list[Bar]:
        grid = self.grid(subscription.interval)
        first, found = grid.floor(begin), list[Bar]()
        while grid.after(first) <= until:
            page = await self._page(subscription, startTime=first, endTime=until - 1)
            found += [bar for bar in page if begin < to_ns(bar.end) <= until]
            if len(page) < _PAGE:
                break
            first = to_ns(page[-1].end)
        return found

    async def _latest(self, subscription: Subscription, bars: int, until: int) -> list[Bar]:
        found: list[Bar] = []
        last = until
        while len(found) < bars:
            page = await self._page(subscription, endTime=last - 1)
            # The newest may not have closed by then.
            found = [bar for bar in page if to_ns(bar.end) <= until] + found
            if len(page) < _PAGE:
                break
            last = to_ns(page[0].start)
        return found[-bars:]

    async def _page(self, subscription: Subscription, **times: int) -> list[Bar]:
        asked = {
            "symbol": self._venue(subscription.symbol),
            "interval": subscription.interval,
            "limit": str(_PAGE),
            **{name: str(at // _MS) for name, at in times.items()},
        }
        told = await self.transport.call(Call(Use.QUERY, "GET", "/api/v3/klines", asked, 2, signed=False))
        if not isinstance(told, list):
            raise ValueError("it is no list")
        return [listed_bar_of(row, subscription.symbol, subscription.interval) for row in told]

    async def open_link(self, sink: FeedSink) -> _Link:
        asked_at = self.timer.clock.now()
        with answered():
            said = await within(self.timer, self.transport.get_time(), _ASKING, "the clock")
        answered_at = self.timer.clock.now()
        if answered_at >= asked_at:
            self.server_clock.learn(asked_at=asked_at, answered_at=answered_at, said=said)
        socket = await open_socket(f"{self._options.stream}/stream", heartbeat=None)
        link = _Link(self, sink)
        link.line = MarketLine(socket, link, self.timer, self._options)
        return link

    @property
    def transport(self) -> Transport:
        """Requests to Binance, without a key."""
        if self._made is None:
            self._made = Transport(self._options, Keys(self._options), self.timer)
        return self._made

    def _close_transport(self) -> None:
        if self._made is not None:
            self._made.close()
            self._made = None

    def _venue(self, symbol: str) -> str:
        return self._names.get(symbol, symbol)

    def _is_by_utc(self, interval: str) -> bool:
        grid, utc = self.grid(interval), BarGrid(interval)
        return all(grid.floor(at) == utc.floor(at) for at in _SAMPLES)

    async def _look_up(self, *symbols: str) -> None:
        """Data of a symbol that nobody knows is no error of a stream: it never comes."""
        named = {self._venue(symbol): symbol for symbol in symbols if symbol not in self._known}
        with answered():
            found = {str(one["symbol"]) for one in await find_symbols(self.transport, list(named))}
        for venue, symbol in named.items():
            if venue not in found:
                raise Unsupported(f"{symbol}: Binance has no {venue}; write its symbol there under names")
            self._known.add(symbol)


class _Link:
    """One connection, and what its streams are called."""

    line: MarketLine

    def __init__(self, feed: BinanceFeed, sink: FeedSink) -> None:
        self._feed = feed
        self._sink = sink
        self._streams: dict[str, Subscription] = {}

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        wanted = {_stream_of(one, self._feed._venue(one.symbol)): one for one in subscriptions}
        # The new ones may speak before the answer, and the old ones until it.
        self._streams |= wanted
        await self.line.change(wanted)
        self._streams = wanted

    async def run(self) -> None:
        await self.line.run()

    async def close(self) -> None:
        await self.line.close()

    def heard(self) -> None:
        self._sink.beat()

    def ends(self, reason: str) -> None:
        self._sink.renew(reason)

    def told(self, stream: str, data: Mapping[str, Any]) -> None:
        subscription = self._streams.get(stream)
        if subscription is None:
            return
        symbol = subscription.symbol
        try:
            if subscription.kind is FeedKind.TRADE:
                self._sink.deliver(trade_of(data, symbol))
            elif subscription.kind is FeedKind.QUOTE:
                self._sink.deliver(quote_of(data, symbol, from_ns(self._feed.server_now())))
            else:
                kline = data.get("k")
                if isinstance(kline, dict) and is_final(kline):
                    self._sink.deliver(bar_of(kline, symbol))
        except ValueError as error:
            now = from_ns(self._feed.server_now())
            text = f"{symbol}: what Binance sent cannot be read: {error}"
            self._sink.deliver(BrokerNotice(now, "error", "unreadable", text, symbol))


def _stream_of(subscription: Subscription, venue_symbol: str) -> str:
    what = {
        FeedKind.BAR: f"kline_{subscription.interval}",
        FeedKind.TRADE: "trade",
        FeedKind.QUOTE: "bookTicker",
    }[subscription.kind]
    return f"{venue_symbol.lower()}@{what}"

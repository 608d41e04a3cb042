"""One connection of the datafeed: its subscriptions, what comes of them, and what ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import BrokerError, BrokerUnavailable
from alphaweave.core.market import Bar, BarCorrection, Quote, Trade
from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.adapters.streaming import FeedSink
from alphaweave.live.datafeed import FeedKind, Subscription
from alphaweave.live.reports import BrokerNotice
from alphaweave_broker_ibkr.bar_builder import BarBuilder
from alphaweave_broker_ibkr.bar_history import what_to_show
from alphaweave_broker_ibkr.codes import Meaning, Subject, meaning_of
from alphaweave_broker_ibkr.data_refusals import data_error, is_no_data, is_no_right
from alphaweave_broker_ibkr.feed_streams import Stream, Ticks
from alphaweave_broker_ibkr.gateway import Gateway, NoAnswer, Refused
from alphaweave_broker_ibkr.market_rows import real_time_row_of, row_of
from alphaweave_broker_ibkr.pace import Unsent

if TYPE_CHECKING:
    from alphaweave_broker_ibkr.feed import IbkrFeed

__all__ = ["GatewayLink"]

_SECOND_NS: Final = 1_000_000_000
# Streams that nothing answers have numbers of their own, above those of questions.
_FIRST_STREAM: Final = 1_600_000_000
_LIVE, _DELAYED = 1, 3
_DELAYED_KINDS: Final = frozenset({3, 4})
_NO_UPDATES: Final = 10182
_IS_DELAYED: Final = 10167
_EPOCH_DATES: Final = 2
# Seconds between two looks at the clock.
_GLANCE: Final = 1.0
_ENDING: Final = {
    Meaning.CONNECTIVITY_LOST: "the gateway has lost Interactive Brokers' servers",
    Meaning.RESTORED_DATA_LOST: "Interactive Brokers' servers are back, without the subscriptions",
    Meaning.PORT_CHANGED: "the gateway's port was changed",
}


class GatewayLink:
    """One connection that is logged in."""

    def __init__(self, feed: IbkrFeed, gateway: Gateway, sink: FeedSink) -> None:
        self._feed = feed
        self._gateway = gateway
        self._client = gateway.client
        self._sink = sink
        self._streams: dict[Subscription, Stream] = {}
        self._numbered: dict[int, Stream] = {}
        self._number = _FIRST_STREAM
        self._tasks: set[asyncio.Task[None]] = set()
        self._farm_lost = False
        self._calming: asyncio.Task[None] | None = None
        self._told_delayed: set[str] = set()
        handlers: dict[str, Callable[..., None]] = {
            "historicalDataUpdate": self._updated,
            "realtimeBar": self._real_time,
            "tickByTickAllLast": self._traded,
            "tickByTickBidAsk": self._quoted,
            "priceSizeTick": self._priced,
            "tickSize": self._sized,
            "tickString": self._said,
            "marketDataType": self._kind_of_data,
            "tickSnapshotEnd": self._looked,
            "error": self._error,
        }
        for name, handler in handlers.items():
            gateway.hear(name, handler)

    async def choose_data(self) -> None:
        """Say whether delayed data will do."""
        delayed = self._feed.options.data == "delayed"
        async with self._gateway.turn(Use.QUERY):
            self._client.reqMarketDataType(_DELAYED if delayed else _LIVE)

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        for gone in [one for one in self._streams if one not in subscriptions]:
            await self._cancel(self._streams.pop(gone))
        new = [one for one in dict.fromkeys(subscriptions) if one not in self._streams]
        try:
            for one in new:
                self._streams[one] = self._stream_of(one)
            begun = (self._begin(self._streams[one]) for one in new)
            for failed in await asyncio.gather(*begun, return_exceptions=True):
                if failed is not None:
                    raise failed
            starting = [*(self._streams[one] for one in new), *[await self._probe(one) for one in new]]
            if new:
                # What is refused without an answer is refused by the time that this is answered.
                await self._gateway.time()
            for stream in starting:
                if stream.refused is not None:
                    raise data_error(stream.refused, stream.subscription.symbol)
                stream.starting = False
        except BaseException as error:
            for one in new:
                refused = self._streams.pop(one, None)
                if refused is not None and self._gateway.is_open:
                    await self._cancel(refused)
            if isinstance(error, NoAnswer | Unsent):
                raise BrokerUnavailable(f"the subscription: {error}") from None
            raise

    async def run(self) -> None:
        await self._gateway.run()

    async def close(self) -> None:
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._gateway.close()

    # What is asked for.

    def _stream_of(self, subscription: Subscription) -> Stream:
        feed, symbol = self._feed, subscription.symbol
        stream = Stream(subscription, feed.contract(symbol), Ticks(symbol))
        if subscription.kind is FeedKind.BAR:
            recipe, now = feed.recipe(subscription, live=True), feed.server_now()
            stream.is_real_time = feed.is_real_time(subscription)
            stream.builder = BarBuilder(
                recipe,
                since=now if stream.is_real_time else recipe.grid.floor(now),
                settle=round(feed.options.settle * _SECOND_NS),
            )
        return stream

    async def _begin(self, stream: Stream) -> None:
        if stream.builder is not None and not stream.is_real_time:
            await self._keep_up(stream, stream.builder)
            return
        async with self._gateway.turn(Use.QUERY):
            self._number += 1
            self._take_number(stream, self._number)
            self._write(stream)

    async def _probe(self, subscription: Subscription) -> Stream:
        """Ask for one look at the market data of what bars are of: bars do not say that they are delayed."""
        stream = self._stream_of(subscription)
        stream.is_probe = True
        if subscription.kind is FeedKind.BAR:
            async with self._gateway.turn(Use.QUERY):
                self._number += 1
                self._take_number(stream, self._number)
                self._client.reqMktData(stream.number, stream.contract, "", True, False, None)
        return stream

    def _write(self, stream: Stream) -> None:
        number, contract = stream.number, stream.contract
        regular = int(self._feed.options.hours == "regular")
        if stream.builder is not None:
            shown = "MIDPOINT" if what_to_show(contract.secType) == "MIDPOINT" else "TRADES"
            self._client.reqRealTimeBars(number, contract, 5, shown, regular, None)
        elif self._feed.options.data == "delayed":
            self._client.reqMktData(number, contract, "", False, False, None)
        else:
            kind = "Last" if stream.subscription.kind is FeedKind.TRADE else "BidAsk"
            self._client.reqTickByTickData(number, contract, kind, 0, False)

    async def _keep_up(self, stream: Stream, builder: BarBuilder) -> None:
        """Ask for the rows since the last that is known, and for all that are to come."""
        part = builder.recipe.part
        past = max(self._feed.server_now() - builder.latest, 0) // _SECOND_NS + 2 * part.seconds

        def write(number: int) -> None:
            self._take_number(stream, number)
            self._client.reqHistoricalData(
                number,
                stream.contract,
                "",
                part.duration(past),
                part.words,
                what_to_show(stream.contract.secType),
                int(self._feed.options.hours == "regular"),
                _EPOCH_DATES,
                True,
                None,
            )

        stream.asking = stream.behind = True
        symbol = stream.subscription.symbol
        try:
            await self._feed.past.wait_for_room(stream.contract, symbol, stream.subscription, part)
            rows = await self._gateway.ask(write, rows="historicalData", ends="historicalDataEnd")
        except Refused as no:
            self._numbered.pop(stream.number, None)
            if not is_no_data(no):
                raise data_error(no, symbol) from None
            # Nothing was traded yet: the gateway keeps nothing up to date then.
            self._later(self._again(stream, self._feed.options.heartbeat))
            return
        finally:
            stream.asking = False
        stream.behind = False
        held, stream.held = stream.held, []
        for row in [*(row for (row,) in rows), *held]:
            self._row(stream, lambda row=row: row_of(row))  # type: ignore[misc]

    def _take_number(self, stream: Stream, number: int) -> None:
        self._numbered.pop(stream.number, None)
        stream.number = number
        self._numbered[number] = stream

    async def _cancel(self, stream: Stream) -> None:
        if self._numbered.pop(stream.number, None) is None:
            return
        number, client = stream.number, self._client
        if stream.builder is None:
            delayed = self._feed.options.data == "delayed"
            write = client.cancelMktData if delayed else client.cancelTickByTickData
        else:
            write = client.cancelRealTimeBars if stream.is_real_time else client.cancelHistoricalData
        async with self._gateway.turn(Use.CANCEL):
            write(number)

    async def _again(self, stream: Stream, after: float) -> None:
        """Ask for a stream anew, without its rows being missed."""
        await self._feed.timer.sleep(after)
        if self._streams.get(stream.subscription) is not stream:
            return
        symbol = stream.subscription.symbol
        try:
            await self._cancel(stream)
            await self._begin(stream)
        except (BrokerError, NoAnswer, Unsent) as error:
            self._sink.renew(f"{symbol} cannot be subscribed to anew: {error}")

    def _later(self, coroutine: Any) -> asyncio.Task[None]:
        task = self._feed.guard(coroutine, "ibkr data")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Bars.

    def _updated(self, number: int, row: Any) -> None:
        stream = self._numbered.get(number)
        if stream is not None and stream.asking:
            # What was asked for is older, and not taken in yet.
            stream.held.append(row)
        elif stream is not None:
            self._row(stream, lambda: row_of(row))

    def _real_time(self, number: int, *told: Any) -> None:
        if (stream := self._numbered.get(number)) is not None:
            self._row(stream, lambda: real_time_row_of(told), final=True)

    def _row(self, stream: Stream, read: Callable[[], Any], *, final: bool = False) -> None:
        builder = stream.builder
        if builder is None:
            return
        try:
            row = read()
        except ValueError as error:
            symbol = stream.subscription.symbol
            self._notice(
                "error", "unreadable", f"{symbol}: what the gateway sent cannot be read: {error}", symbol
            )
            return
        self._deliver(builder.take(row, final=final))
        self._plan(stream, builder)

    def _plan(self, stream: Stream, builder: BarBuilder) -> None:
        due = builder.due
        if due is not None and due != stream.due:
            stream.due = due
            self._later(self._end_bar(stream, builder, due))

    async def _end_bar(self, stream: Stream, builder: BarBuilder, due: int) -> None:
        feed = self._feed
        # What is only half known would be handed out as final.
        while (ahead := due - feed.server_now()) > 0 or stream.behind:
            # The clock may be set meanwhile, or the machine have slept.
            at_least = feed.options.retry if stream.behind else 0.0
            await feed.timer.sleep(max(min(ahead / _SECOND_NS, _GLANCE), at_least))
        if self._streams.get(stream.subscription) is stream:
            self._deliver(builder.pass_time(feed.server_now()))
            self._plan(stream, builder)

    # Trades and quotes.

    def _traded(self, number: int, *told: Any) -> None:
        self._tick(number, lambda ticks: ticks.by_tick(told))

    def _quoted(self, number: int, *told: Any) -> None:
        self._tick(number, lambda ticks: ticks.by_quote(told))

    def _priced(self, number: int, kind: int, price: float, size: float) -> None:
        now = from_ns(self._feed.server_now())
        self._tick(number, lambda ticks: ticks.price(kind, price, size, now))

    def _sized(self, number: int, kind: int, size: float) -> None:
        now = from_ns(self._feed.server_now())
        self._tick(number, lambda ticks: ticks.size(kind, size, now))

    def _said(self, number: int, kind: int, text: str) -> None:
        self._tick(number, lambda ticks: ticks.text(kind, text))

    def _tick(self, number: int, read: Callable[[Ticks], Trade | Quote | None]) -> None:
        stream = self._numbered.get(number)
        if stream is None or stream.is_probe:
            return
        found = read(stream.ticks)
        # Market data tells of both: the other one has a stream of its own, or is not wanted.
        if found is not None and isinstance(found, Trade) == (stream.subscription.kind is FeedKind.TRADE):
            self._sink.deliver(found)

    def _deliver(self, found: Sequence[Bar | BarCorrection]) -> None:
        for one in found:
            self._sink.deliver(one)

    # What the gateway says besides.

    def _kind_of_data(self, number: int, kind: int) -> None:
        if (stream := self._numbered.get(number)) is not None and kind in _DELAYED_KINDS:
            self._is_delayed(stream.subscription.symbol)

    def _looked(self, number: int) -> None:
        self._numbered.pop(number, None)

    def _is_delayed(self, symbol: str) -> None:
        if symbol not in self._told_delayed:
            self._told_delayed.add(symbol)
            text = f"{symbol}: prices come some 15 minutes late: the account has no subscription to live ones"
            self._notice("warning", "delayed", text, symbol)

    def _error(self, number: int, code: int, text: str, _: str) -> None:
        stream = self._numbered.get(number)
        if stream is None:
            self._session(meaning_of(code, Subject.SESSION), code, text)
            return
        symbol = stream.subscription.symbol
        if code == _NO_UPDATES:
            stream.behind = True
            self._later(self._again(stream, self._feed.options.retry))
        elif code == _IS_DELAYED:
            self._is_delayed(symbol)
        elif meaning_of(code, Subject.REQUEST) is Meaning.INFORMATION:
            self._notice("info", str(code), f"{symbol}: {text}", symbol)
        elif stream.asking or (stream.is_probe and not is_no_right(Refused(code, text))):
            # The question is answered with it; of a look nothing matters but whether there is a right to it.
            return
        elif stream.starting:
            stream.refused = stream.refused or Refused(code, text)
        else:
            self._gateway.fail(str(data_error(Refused(code, text), symbol)), code=str(code))

    def _session(self, meaning: Meaning, code: int, text: str) -> None:
        if meaning in _ENDING:
            self._gateway.fail(f"{_ENDING[meaning]} (Interactive Brokers: {code} {text})", code=str(code))
        elif meaning is Meaning.FARM_LOST:
            if not self._farm_lost:
                self._notice("warning", "data_farm_lost", f"a data farm is away, and prices may be: {text}")
            self._farm_lost = True
            for stream in self._streams.values():
                stream.behind = True
            if self._calming is not None:
                self._calming.cancel()
        elif meaning is Meaning.FARM_RESTORED and self._farm_lost:
            if self._calming is not None:
                self._calming.cancel()
            self._calming = self._later(self._calm())

    async def _calm(self) -> None:
        """The farm has stayed: what came meanwhile is asked for."""
        # They come and go for minutes.
        await self._feed.timer.sleep(2 * self._feed.options.retry)
        self._farm_lost = False
        self._notice(
            "info", "data_farm_restored", "the data farm is back, and all streams are asked for anew"
        )
        if any(stream.is_real_time for stream in self._streams.values()):
            # Of those nothing can be had later: history fills it.
            self._sink.renew("the data farm was away")
            return
        await asyncio.gather(*(self._again(stream, 0.0) for stream in [*self._streams.values()]))

    def _notice(self, severity: str, code: str, text: str, symbol: str | None = None) -> None:
        now = from_ns(self._feed.server_now())
        self._sink.deliver(BrokerNotice(now, severity, code, text, symbol))

"""A feed that listens: one connection that is kept up, and history for what it missed."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Sequence
from typing import Final, Protocol, TypeVar

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import Unsupported
from alphaweave.core.market import Bar, BarCorrection, BarSource, Quote, Trade
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.failures import as_broker_error, told_of
from alphaweave.live.adapters.feed_base import LiveDataFeed
from alphaweave.live.adapters.splicing import BarSplicer
from alphaweave.live.adapters.staleness import StalenessWatch
from alphaweave.live.adapters.supervisor import Link, Supervisor, SupervisorLimits
from alphaweave.live.adapters.timer import Timer, within
from alphaweave.live.datafeed import FeedGap, FeedKind, Subscription, Watermark
from alphaweave.live.reports import BrokerNotice
from alphaweave.live.sessions import AROUND_THE_CLOCK, Calendar

__all__ = ["FeedLink", "FeedSink", "StreamingDataFeed"]

_SECOND_NS: Final = 1_000_000_000
# By so much the venue's clock may be ahead of what is known of it here.
_AHEAD_NS: Final = 60 * _SECOND_NS
_T = TypeVar("_T")
_FETCHED: Final = BarSource.BACKFILL


class FeedLink(Link, Protocol):
    """One connection of a streaming feed."""

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask for these streams and no others; return when the venue has said yes. `run` is reading.

        Raises:
            BrokerUnavailable: it said no, or nothing.
        """
        ...


class FeedSink:
    """Where one connection puts what it reads. After that connection it takes nothing more."""

    def __init__(self, feed: StreamingDataFeed) -> None:
        self._feed = feed

    def deliver(self, event: Bar | BarCorrection | Trade | Quote | BrokerNotice) -> None:
        """Hand over one thing that was read: bars only when they are final."""
        if self._feed.sink is self:
            self._feed.take(event)

    def beat(self) -> None:
        """The other side is alive (a ping, a reply): it need not be data."""
        if self._feed.sink is self:
            self._feed.supervisor.beat()

    def renew(self, reason: str) -> None:
        """This connection is about to end, or cannot be trusted: connect anew."""
        if self._feed.sink is self:
            self._feed.supervisor.renew(reason)


class StreamingDataFeed(LiveDataFeed):
    """Keeps a connection up, and its streams whole. A subclass writes ``history`` and `open_link`, and
    sets ``capabilities``.

    After each connection but the first, and before `ConnectionRestored`, the bars that were missed come
    from ``history``, in order; streamed ones wait for them. A `FeedGap` tells of it.

    Attributes:
        fills_holes: see `BarSplicer`. Set it to False where the venue sends no bar for an interval
            without a trade, for each such hole is a request.
        supervisor: keeps the connection.
        sink: the one that the current connection writes to.
    """

    fills_holes: bool = True

    def __init__(
        self,
        services: Services,
        *,
        timer: Timer | None = None,
        calendar: Calendar = AROUND_THE_CLOCK,
        limits: SupervisorLimits | None = None,
        stale_after: float | None = None,
        skew: float = 1.0,
        patience: float = 60.0,
        answer: float = 15.0,
        name: str = "data stream",
    ) -> None:
        """Set up; nothing is connected.

        Args:
            stale_after: seconds of open market without a word of a symbol after which a notice says so;
                None: never.
            skew: seconds by which this machine's idea of the venue's time may be wrong.
            answer: seconds that the venue has for one question, a subscription or one of history.
            patience: seconds for which ``history`` may fail, or be incomplete, before a gap is given up.
        """
        super().__init__(services, timer=timer, calendar=calendar)
        self.sink = FeedSink(self)
        self.supervisor: Supervisor[FeedLink] = Supervisor(
            connect=self._connect_link,
            ready=self._make_ready,
            report=lambda event: self.emit((event,)),
            timer=self.timer,
            backoff=self.usual_backoff(),
            limits=limits,
            name=name,
            resting=services.resting,
        )
        self._link: FeedLink | None = None
        self._wanted: tuple[Subscription, ...] = ()
        self._splicers: dict[tuple[str, str], BarSplicer] = {}
        self._filling: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._staleness = None if stale_after is None else StalenessWatch(stale_after, calendar)
        self._watching: asyncio.Task[None] | None = None
        self._skew = round(skew * _SECOND_NS)
        self._patience = patience
        self._answer = answer
        self._catching_up = True
        self._closed = False

    @abstractmethod
    async def open_link(self, sink: FeedSink) -> FeedLink:
        """A fresh connection that has proved its credentials. It writes to this sink and no other.

        Raises:
            AuthenticationFailed, BrokerUnavailable, OSError: there is none.
        """

    def whole_from(self, subscription: Subscription, at: int) -> int:
        """The boundary from which bars on a stream that began at ``at`` are whole.

        A venue that builds the bars sends the one that is forming as a whole, so it is the last boundary.
        A subclass that builds them itself out of trades answers with the next one. Nanoseconds.
        """
        return self.grid(subscription.interval).floor(at)

    async def connect(self) -> None:
        if self._closed:
            raise Unsupported("this feed was disconnected; one feed serves one run")
        if self._watching is None:
            await self.supervisor.start()
            self._watching = self.guard(self._watch(), "staleness")

    async def disconnect(self) -> None:
        await self.supervisor.stop()
        tasks = [*self._filling.values(), *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not self._closed:
            self._closed = True
            self.end_stream()

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        for subscription in subscriptions:
            self.check(subscription)
        wanted = tuple(dict.fromkeys(subscriptions))
        link = self._link
        if link is not None and self.supervisor.is_up:
            # New bars that come before the reply wait in their splicers.
            before = self._wanted
            self._set_wanted(tuple(dict.fromkeys((*before, *wanted))))
            try:
                await self._within(link.subscribe(wanted), "the subscription")
            except BaseException as error:
                self._set_wanted(before)
                if isinstance(error, Exception):
                    raise as_broker_error(error, "the subscription") from error
                raise
        self._set_wanted(wanted)
        if self.supervisor.is_up:
            self._begin_new()

    def take(self, event: Bar | BarCorrection | Trade | Quote | BrokerNotice) -> None:
        """What the connection read, on its way into the stream."""
        self.supervisor.beat()
        if isinstance(event, BrokerNotice):
            self.emit((event,))
            return
        if isinstance(event, Trade | Quote):
            self._saw(event.symbol)
            kind = FeedKind.TRADE if isinstance(event, Trade) else FeedKind.QUOTE
            if any(one.symbol == event.symbol and one.kind is kind for one in self._wanted):
                self.emit((event,))
            return
        bar = event.bar if isinstance(event, BarCorrection) else event
        if to_ns(bar.start) > self.server_now() + _AHEAD_NS:
            # Every later one would be known already: a final bar has begun, whatever its stamp says.
            text = f"{bar.symbol}: a bar that begins at {bar.start} is not taken"
            self._notice("error", "bar_from_the_future", bar.symbol, text)
            return
        self._saw(bar.symbol)
        key = (bar.symbol, bar.interval)
        splicer = self._splicers.get(key)
        if splicer is None:
            return
        if isinstance(event, BarCorrection) and to_ns(bar.end) <= (splicer.watermark or 0):
            # What restates an interval that was taken for empty is its first bar, and comes late.
            self.emit(splicer.late(bar) if splicer.is_new(bar) else (event,))
            return
        self.emit(splicer.live(bar))
        if not self._catching_up:
            self._fill_later(key, splicer)

    async def _connect_link(self) -> FeedLink:
        self.sink = FeedSink(self)
        self._link = None
        self._catching_up = True
        for task in self._filling.values():
            task.cancel()
        self._filling.clear()
        for splicer in self._splicers.values():
            splicer.interrupt()
        self._link = await self.open_link(self.sink)
        return self._link

    async def _make_ready(self, link: FeedLink) -> None:
        await self._within(link.subscribe(self._wanted), "the subscription")
        now = self.server_now() + self._skew
        missed = []
        for key, splicer in self._splicers.items():
            if splicer.watermark is not None:
                self.emit(splicer.resume(self.grid(key[1]).floor(now)))
                missed.append(key)
        self._begin_new()
        await asyncio.gather(*(self._fill(key, self._splicers[key], lost=True) for key in missed))
        self._catching_up = False
        for key in missed:
            if (one := self._splicers.get(key)) is not None:
                self.emit(one.resume(self.whole_from(one.subscription, now)))
                self._fill_later(key, one)

    def _set_wanted(self, wanted: tuple[Subscription, ...]) -> None:
        self._wanted = wanted
        known = self._splicers
        self._splicers = {
            (one.symbol, one.interval): known.get((one.symbol, one.interval))
            or BarSplicer(one, fills_holes=self.fills_holes)
            for one in wanted
            if one.kind is FeedKind.BAR
        }
        for key in self._filling.keys() - self._splicers.keys():
            self._filling.pop(key).cancel()
        if self._staleness is not None:
            self._staleness.watch(dict.fromkeys(one.symbol for one in wanted), self.server_now())

    def _begin_new(self) -> None:
        """The stream of what is new begins: say where."""
        now = self.server_now() + self._skew
        for (symbol, interval), splicer in self._splicers.items():
            if splicer.watermark is None:
                begin = self.whole_from(splicer.subscription, now)
                self.emit((Watermark((symbol,), interval, from_ns(begin)),))
                self.emit(splicer.begin(begin))
                self._fill_later((symbol, interval), splicer)

    def _fill_later(self, key: tuple[str, str], splicer: BarSplicer) -> None:
        running = self._filling.get(key)
        if splicer.wanted is not None and (running is None or running.done()):
            self._filling[key] = self.guard(self._fill(key, splicer, lost=False), f"history of {key[0]}")

    async def _fill(self, key: tuple[str, str], splicer: BarSplicer, *, lost: bool) -> None:
        """Fetch what is wanted until nothing is, or patience is over."""
        backoff = self.usual_backoff()
        reason = "the connection was lost" if lost else "the stream left it out"
        fetched: list[Bar] = []
        until = self.timer.clock.monotonic() + self._patience
        while (wanted := splicer.wanted) is not None and self._splicers.get(key) is splicer:
            ahead = (wanted.end - self.server_now()) / _SECOND_NS
            if ahead > 0:
                # It has not ended yet, by the venue's clock: there is no use in asking.
                await self.timer.sleep(ahead)
                until = self.timer.clock.monotonic() + self._patience
                continue
            trouble, at_least = "history is not complete", None
            try:
                span = (from_ns(wanted.start), from_ns(wanted.end))
                asked = self.history(splicer.subscription, start=span[0], end=span[1])
                history = await self._within(asked, "history")
            except Exception as error:
                trouble, at_least = told_of(error), getattr(error, "retry_after", None)
            else:
                events = splicer.answered(history)
                self.emit(events)
                fetched += (one for one in events if isinstance(one, Bar) and one.source is _FETCHED)
                if (splicer.watermark or 0) >= wanted.end:
                    continue
            wait = backoff.next_wait(at_least)
            if self.timer.clock.monotonic() + wait > until:
                self.emit(splicer.give_up(f"{reason}; {trouble}"))
                break
            await self.timer.sleep(wait)
        if fetched:
            gap = (fetched[0].start, fetched[-1].end)
            self.emit((FeedGap(*key, *gap, filled=True, reason=reason),))

    async def _within(self, waiting: Awaitable[_T], what: str) -> _T:
        return await within(self.timer, waiting, self._answer, what)

    def _saw(self, symbol: str) -> None:
        now = self.server_now()
        if self._staleness is not None and self._staleness.saw(symbol, now):
            self._notice("info", "fresh", symbol, f"{symbol} is told of again")

    async def _watch(self) -> None:
        watch = self._staleness
        if watch is None:
            return
        while True:
            now = self.server_now()
            for symbol in watch.check(now):
                limit = watch.limit / _SECOND_NS
                self._notice("warning", "stale", symbol, f"no word of {symbol} for {limit:g} s in session")
            due = watch.next_check(now)
            # Without anything that could go stale, look again when something could have.
            ahead = watch.limit if due is None else max(due - now, 1_000_000)
            await self.timer.sleep(min(ahead, watch.limit) / _SECOND_NS)

    def _notice(self, severity: str, code: str, symbol: str, text: str) -> None:
        self.emit((BrokerNotice(from_ns(self.server_now()), severity, code, text, symbol),))

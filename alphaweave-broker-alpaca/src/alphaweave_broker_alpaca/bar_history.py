"""Past bars: minutes from Alpaca's REST, page by page, and longer bars made of them.

A minute without a trade has no bar at Alpaca's, and none here; a longer bar is made of the minutes that
there are. So a bar is the same whether it came down the stream or out of history.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import frozen

from alphaweave.core.clock import EPOCH, from_ns, to_ns
from alphaweave.core.errors import BrokerUnavailable, Unsupported
from alphaweave.core.market import Bar, BarSource
from alphaweave.data.aggregation import aggregate
from alphaweave.data.grid import BarGrid
from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.adapters.timer import Timer
from alphaweave.live.datafeed import History
from alphaweave_broker_alpaca.answers import answered, mapping_in, mappings_in
from alphaweave_broker_alpaca.feed_settings import AlpacaFeedOptions
from alphaweave_broker_alpaca.market_rows import MINUTE, bar_of
from alphaweave_broker_alpaca.transport import Refused, Transport, Unsent

__all__ = ["BarHistory", "Minutes"]

_ROWS: Final = 10_000
_PAGES: Final = 1_000
# Seconds that one page waits for room in the request limit: two of its windows.
_PATIENCE: Final = 120.0
_MINUTE_NS: Final = 60_000_000_000
# Delayed data is refused that is any younger, by Alpaca's own clock.
_MARGIN: Final = timedelta(seconds=10)
# Before it Alpaca has nothing.
_FIRST: Final = datetime.fromisoformat("2010-01-01T00:00:00+00:00")


@frozen
class Minutes:
    """Bars of one minute, oldest first, and up to where they are all there are."""

    bars: tuple[Bar, ...]
    complete_to: datetime


class BarHistory:
    """Asks for bars of one feed.

    Args:
        now: the venue's time.
        timezone: the zone at whose midnights days begin, and shorter bars are counted from.
    """

    def __init__(
        self,
        options: AlpacaFeedOptions,
        transport: Transport,
        timer: Timer,
        now: Callable[[], datetime],
        timezone: str,
    ) -> None:
        self._options = options
        self._transport = transport
        self._timer = timer
        self._now = now
        self._timezone = timezone

    async def since(self, symbol: str, venue: str, grid: BarGrid, start: datetime, end: datetime) -> History:
        """Bars that end after ``start``, up to ``end``.

        Raises:
            BrokerUnavailable: no usable answer.
            Unsupported: the keys' subscription does not have them.
        """
        first = from_ns(grid.floor(to_ns(start)))
        minutes = await self.minutes(symbol, venue, first, end)
        bars = tuple(bar for bar in self._built(minutes, symbol, grid) if start < bar.end)
        return History(bars, min(start, minutes.complete_to), minutes.complete_to)

    async def latest(self, symbol: str, venue: str, grid: BarGrid, count: int, end: datetime) -> History:
        """The last ``count`` bars that end by ``end``; raises as `since`."""
        until = self._reach(end)
        found: list[Bar] = []
        boundaries: set[int] = set()
        async for bar in self._pages(symbol, venue, _FIRST, until, backwards=True):
            boundary = grid.floor(to_ns(bar.start))
            # One more than wanted: the oldest may go on on the next page, and the newest be unfinished.
            if boundary not in boundaries and len(boundaries) > count:
                break
            boundaries.add(boundary)
            found.append(bar)
        found.reverse()
        minutes = Minutes(tuple(found), self._complete(found, end))
        bars = self._built(minutes, symbol, grid)[-count:]
        begins = bars[0].start if len(bars) == count else EPOCH
        return History(bars, min(begins, minutes.complete_to), minutes.complete_to)

    async def minutes(self, symbol: str, venue: str, start: datetime, end: datetime) -> Minutes:
        """Minutes that begin at or after ``start`` and end by ``end``; raises as `since`."""
        until = self._reach(end)
        found = [bar async for bar in self._pages(symbol, venue, start, until, backwards=False)]
        return Minutes(tuple(found), self._complete(found, end))

    def _reach(self, end: datetime) -> datetime:
        """The last instant that there is any use in asking for."""
        delay = self._options.delay
        return min(end, self._now() - (delay + _MARGIN if delay else delay))

    def _complete(self, found: list[Bar], end: datetime) -> datetime:
        """A minute that is only just over may be missing; one that is there has none missing before it."""
        settled = self._reach(end + timedelta(seconds=self._options.settle))
        settled -= timedelta(seconds=self._options.settle)
        return min(end, max(settled, found[-1].end)) if found else min(end, settled)

    def _built(self, minutes: Minutes, symbol: str, grid: BarGrid) -> tuple[Bar, ...]:
        if grid.length == _MINUTE_NS:
            return minutes.bars
        until = to_ns(minutes.complete_to)
        return aggregate(minutes.bars, symbol, grid.interval, until=until, timezone=self._timezone)

    async def _pages(
        self, symbol: str, venue: str, start: datetime, end: datetime, *, backwards: bool
    ) -> AsyncIterator[Bar]:
        """Minutes within [start, end), oldest first or newest first."""
        last = end - MINUTE
        if last < start:
            return
        query: dict[str, Any] = {
            "symbols": venue,
            "timeframe": "1Min",
            "start": start.isoformat(),
            "end": last.isoformat(),
            "limit": _ROWS,
            "sort": "desc" if backwards else "asc",
        }
        path, version = "/crypto/us/bars", "v1beta3"
        if self._options.feed != "crypto":
            path, version = "/stocks/bars", "v2"
            # What is delayed on the stream is all exchanges' once it is old enough.
            feed = "sip" if self._options.feed == "delayed_sip" else self._options.feed
            query |= {"feed": feed, "adjustment": self._options.adjustment}
        before: datetime | None = None
        for _ in range(_PAGES):
            rows, token = await self._page(path, version, query, venue)
            with answered():
                bars = [bar_of(row, symbol, BarSource.BACKFILL) for row in rows]
            for bar in bars:
                if before is not None and (bar.start >= before if backwards else bar.start <= before):
                    raise BrokerUnavailable(f"Alpaca's bars of {symbol} are not in order at {bar.start}")
                before = bar.start
                if start <= bar.start and bar.end <= end:
                    yield bar
            if token is None:
                return
            query["page_token"] = token
        raise BrokerUnavailable(f"Alpaca's bars of {symbol} go on for more than {_PAGES} pages")

    async def _page(
        self, path: str, version: str, query: Mapping[str, Any], venue: str
    ) -> tuple[Any, str | None]:
        with answered():
            try:
                answer = mapping_in(await self._asked(path, version, query))
            except Refused as no:
                if "subscription does not permit" in no.text:
                    raise Unsupported(
                        f"the keys' subscription does not have the feed {self._options.feed}: "
                        f"write feed: iex, or feed: delayed_sip (Alpaca: {no.text})"
                    ) from None
                raise
            bars, token = mapping_in(answer.get("bars") or {}), answer.get("next_page_token")
            if token is not None and (not isinstance(token, str) or token == query.get("page_token")):
                raise ValueError("next_page_token leads nowhere")
            return mappings_in(bars.get(venue) or []), token

    async def _asked(self, path: str, version: str, query: Mapping[str, Any]) -> Any:
        """One page. Where the request limit is spent it waits: to begin anew would only spend it again."""
        waited = 0.0
        while True:
            try:
                return await self._transport.call(Use.QUERY, "GET", path, query, version=version)
            except (Refused, Unsent) as no:
                if no.retry_after is None or waited + no.retry_after > _PATIENCE:
                    raise
                waited += no.retry_after
                await self._timer.sleep(no.retry_after)

"""The DataFeed contract, and the feed that replays history.

Rules that hold for every feed:

* Bars are final when they are delivered. ``end`` is the first instant at which a bar may be known; a row
  of history whose ``end`` is later than now is still forming and is left out.
* Above the feed only the config's ``symbol`` exists; the feed maps it to the venue's.
* Times are timezone-aware UTC; prices and sizes are floats.
* The feed owns its connection and its timeouts: it reconnects by itself, says so in its stream, and first
  delivers, in order, the bars that the gap swallowed: `ConnectionRestored` comes after them. Bars that it
  cannot get are a `FeedGap`.
* The first `Watermark` of a subscription says where the stream begins: what ended before is history.
* A query that fails raises `BrokerUnavailable`; an empty answer means there is nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from itertools import groupby
from operator import itemgetter
from typing import Literal, Protocol

from attrs import field, frozen
from attrs.validators import in_

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import Unsupported
from alphaweave.core.market import Bar, BarCorrection, BarSource, Quote, Trade
from alphaweave.data.series import Series
from alphaweave.live.reports import BrokerNotice, ConnectionLost, ConnectionRestored

__all__ = [
    "DataFeed",
    "FeedCapabilities",
    "FeedEvent",
    "FeedGap",
    "FeedKind",
    "History",
    "ReplayDataFeed",
    "Session",
    "Subscription",
    "Watermark",
]


class FeedKind(Enum):
    BAR = "bar"
    TRADE = "trade"
    QUOTE = "quote"


@frozen
class Subscription:
    """One stream of one symbol. ``interval`` is meaningful for bars only."""

    symbol: str
    kind: FeedKind = FeedKind.BAR
    interval: str = "1d"


@frozen(kw_only=True)
class FeedCapabilities:
    """What a feed can deliver.

    Attributes:
        kinds: which kinds of data.
        intervals: bar intervals it has natively; empty means any.
        historical: ``history`` answers.
        realtime: ``stream`` delivers as things happen. A feed that is historical only makes a replay.
        delayed: real-time data arrives late (and the run says so loudly). A delay that shows only at run
            time comes as a `BrokerNotice`.
        adjustment: how prices are adjusted for corporate actions, the same in history and stream: not at
            all, for one kind of them, or for all. A feed whose history can only be had adjusted
            otherwise than its stream does not offer it. None: not known, or there is nothing to adjust.
    """

    kinds: frozenset[FeedKind]
    intervals: frozenset[str] = frozenset()
    historical: bool = False
    realtime: bool = False
    delayed: bool = False
    adjustment: Literal["raw", "split", "dividend", "spin-off", "all"] | None = field(
        default=None, validator=in_((None, "raw", "split", "dividend", "spin-off", "all"))
    )


@frozen
class Session:
    """One trading session of a symbol, UTC, end exclusive."""

    symbol: str
    start: datetime
    end: datetime

    def __attrs_post_init__(self) -> None:
        if not self.start < self.end:
            raise ValueError(
                f"a session of {self.symbol} cannot end at {self.end}: it starts at {self.start}"
            )


@frozen
class History:
    """Final bars, and the stretch of time for which they are all there are.

    Attributes:
        bars: oldest first.
        complete_from, complete_to: UTC. No bar that ends after the first and at or before the second is
            missing. The stretch is shorter than what was asked for where the feed cannot answer for all
            of it (a plan that ends 15 minutes ago, a listing that is younger); equal instants answer for
            nothing. Whoever finds a gap between ``complete_to`` and the stream asks again.
    """

    bars: tuple[Bar, ...]
    complete_from: datetime
    complete_to: datetime

    def __attrs_post_init__(self) -> None:
        if self.complete_from > self.complete_to:
            raise ValueError(f"complete_from {self.complete_from} is after complete_to {self.complete_to}")


@frozen
class Watermark:
    """No bar of these symbols that ends at or before ``end`` is to come, but for corrections.

    A feed that can know it says so (it replays, or it sends every interval, empty ones too), and the
    slice closes at once; others leave it to the grace of the run.
    """

    symbols: tuple[str, ...]
    interval: str
    end: datetime


@frozen
class FeedGap:
    """Bars of a symbol were missed on the way: those that end after ``start``, up to and including ``end``.

    Attributes:
        filled: they were fetched afterwards and have been delivered, in order, before this. Otherwise the
            feed gave up: what of them existed is missing from the stream for good.
        reason: why they were missed, or why they cannot be had.
    """

    symbol: str
    interval: str
    start: datetime
    end: datetime
    filled: bool
    reason: str = ""


FeedEvent = (
    Bar
    | Trade
    | Quote
    | BarCorrection
    | Watermark
    | FeedGap
    | ConnectionLost
    | ConnectionRestored
    | BrokerNotice
)


class DataFeed(Protocol):
    """Where prices come from. One object serves one run."""

    @property
    def capabilities(self) -> FeedCapabilities:
        """What the feed can deliver; a plain attribute does."""
        ...

    async def connect(self) -> None:
        """Connect and prove the credentials.

        Raises:
            AuthenticationFailed: the feed refuses the keys.
            BrokerUnavailable: it cannot be reached.
        """
        ...

    async def disconnect(self) -> None:
        """Close everything, and end the stream. Idempotent; never raises for a connection that is gone."""
        ...

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask for these streams, and no others, before or after ``stream`` is taken.

        Raises:
            Unsupported: a kind, interval or symbol that this feed does not have. Nothing has changed.
            BrokerUnavailable: no usable answer.
        """
        ...

    async def history(
        self,
        subscription: Subscription,
        *,
        end: datetime,
        start: datetime | None = None,
        bars: int | None = None,
    ) -> History:
        """Final bars whose ``end`` is at or before ``end``; the feed does the paging.

        Exactly one of ``start`` (bars that end after it) and ``bars`` (the last that many, at least one)
        is given. Fewer than ``bars`` are all there are before ``end``.

        Raises:
            BrokerUnavailable: no usable answer.
            Unsupported: a kind, interval or symbol that this feed does not have.
            ValueError: both or neither of ``start`` and ``bars``, or no bar at all is asked for.
        """
        ...

    async def sessions(self, symbols: Sequence[str], start: datetime, end: datetime) -> Sequence[Session]:
        """Trading sessions that overlap [start, end), ordered by start.

        A symbol that trades around the clock has one session over the whole span. A symbol without any
        in the answer is one whose sessions are not known.

        Raises:
            BrokerUnavailable: no usable answer.
        """
        ...

    def stream(self) -> AsyncIterator[FeedEvent]:
        """What happens, as it happens. Taken once; ends when the feed has no more to say.

        Each final bar comes once per (symbol, interval, end), and those of one symbol and interval in
        rising order of ``end``. `ConnectionLost` comes at once, also on silence. What the operator should
        know (a delay, a missing entitlement, a halt) comes as a `BrokerNotice`.

        Raises:
            Unsupported: it was taken before.
        """
        ...


class ReplayDataFeed:
    """A feed of recorded bars. The replay driver reads its columns; `stream` yields them as Bars, and a
    `Watermark` after those of each instant.

    Attributes:
        series: config symbol -> its columns.
    """

    capabilities = FeedCapabilities(kinds=frozenset({FeedKind.BAR}), historical=True)

    def __init__(self, series: Mapping[str, Series]) -> None:
        """Raises ValueError if there is no series at all."""
        if not series:
            raise ValueError("a replay needs at least one symbol")
        self.series: dict[str, Series] = dict(series)
        self._wanted: set[str] = set(self.series)

    async def connect(self) -> None:
        """Nothing to connect."""

    async def disconnect(self) -> None:
        """Nothing to close."""

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        for wanted in subscriptions:
            self._series_of(wanted)
        self._wanted = {wanted.symbol for wanted in subscriptions}

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
        series = self._series_of(subscription)
        last = to_ns(end)
        stop = bisect_right(series.end, last)
        if not len(series):
            return History((), end, end)
        if start is not None:
            since = max(to_ns(start), series.start[0])
            first = bisect_right(series.end, since)
        else:
            first = max(stop - (bars or 0), 0)
            since = series.start[first]
        until = min(last, series.end[-1])
        return History(
            tuple(_bar(series, row, BarSource.BACKFILL) for row in range(first, stop)),
            from_ns(min(since, until)),
            from_ns(until),
        )

    async def sessions(self, symbols: Sequence[str], start: datetime, end: datetime) -> Sequence[Session]:
        return ()

    async def stream(self) -> AsyncIterator[FeedEvent]:
        wanted = {symbol: self.series[symbol] for symbol in sorted(self._wanted)}
        rows = sorted((end, symbol, row) for symbol, one in wanted.items() for row, end in enumerate(one.end))
        together: dict[str, list[str]] = {}
        for symbol, one in wanted.items():
            together.setdefault(one.interval, []).append(symbol)
        for end, group in groupby(rows, itemgetter(0)):
            for _, symbol, row in group:
                yield _bar(wanted[symbol], row, BarSource.LIVE)
            for interval, symbols in together.items():
                yield Watermark(tuple(symbols), interval, from_ns(end))

    def _series_of(self, wanted: Subscription) -> Series:
        series = self.series.get(wanted.symbol)
        if wanted.kind is not FeedKind.BAR:
            raise Unsupported(f"{wanted.symbol}: a replay feed has bars only, no {wanted.kind.value}s")
        if series is None:
            have = ", ".join(sorted(self.series))
            raise Unsupported(f"{wanted.symbol}: not in this replay, which has {have}")
        if series.interval != wanted.interval:
            raise Unsupported(
                f"{wanted.symbol}: this replay has {series.interval} bars, not {wanted.interval}"
            )
        return series


def _bar(series: Series, row: int, source: BarSource) -> Bar:
    return Bar(
        symbol=series.symbol,
        interval=series.interval,
        start=from_ns(series.start[row]),
        end=from_ns(series.end[row]),
        open=series.open[row],
        high=series.high[row],
        low=series.low[row],
        close=series.close[row],
        volume=series.volume[row],
        source=source,
    )

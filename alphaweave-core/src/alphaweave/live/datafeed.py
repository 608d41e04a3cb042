"""The DataFeed contract, and the feed that replays history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Protocol

from attrs import frozen

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import Unsupported
from alphaweave.core.market import Bar, BarCorrection, BarSource, Quote, Trade
from alphaweave.data.series import Series
from alphaweave.live.reports import ConnectionLost, ConnectionRestored

__all__ = [
    "DataFeed",
    "FeedCapabilities",
    "FeedEvent",
    "FeedKind",
    "ReplayDataFeed",
    "Session",
    "Subscription",
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
        delayed: real-time data arrives late (and the run says so loudly).
    """

    kinds: frozenset[FeedKind]
    intervals: frozenset[str] = frozenset()
    historical: bool = False
    realtime: bool = False
    delayed: bool = False


@frozen
class Session:
    """One trading session of a symbol, UTC, end exclusive."""

    symbol: str
    start: datetime
    end: datetime


FeedEvent = Bar | Trade | Quote | BarCorrection | ConnectionLost | ConnectionRestored


class DataFeed(Protocol):
    """Where prices come from. Bars are final when they are delivered, each once per (symbol, end);
    what a dropped connection missed is backfilled in order before newer bars."""

    capabilities: FeedCapabilities

    async def connect(self) -> None:
        """Connect and prove the credentials.

        Raises:
            AuthenticationFailed, BrokerUnavailable: as ``BrokerAdapter.connect``.
        """
        ...

    async def disconnect(self) -> None:
        """Close everything. Idempotent."""
        ...

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask for these streams, before or after ``stream`` is taken.

        Raises:
            Unsupported: a kind, interval or symbol that this feed does not have.
        """
        ...

    async def history(
        self,
        subscription: Subscription,
        *,
        end: datetime,
        start: datetime | None = None,
        bars: int | None = None,
    ) -> Sequence[Bar]:
        """Final bars whose ``end`` is at or before ``end``, oldest first.

        Exactly one of ``start`` (bars that end after it) and ``bars`` (the last that many) is given.

        Raises:
            BrokerUnavailable: no usable answer.
            ValueError: both or neither of ``start`` and ``bars``.
        """
        ...

    async def sessions(self, symbols: Sequence[str], start: datetime, end: datetime) -> Sequence[Session]:
        """Trading sessions that overlap [start, end), ordered by start; empty means not known."""
        ...

    def stream(self) -> AsyncIterator[FeedEvent]:
        """What happens, as it happens. Taken once; ends when the feed has no more to say."""
        ...


class ReplayDataFeed:
    """A feed of recorded bars. The replay driver reads its columns; `stream` yields them as Bars.

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
    ) -> Sequence[Bar]:
        if (start is None) == (bars is None):
            raise ValueError("history takes exactly one of start and bars")
        series = self._series_of(subscription)
        last = to_ns(end)
        rows = [row for row, at in enumerate(series.end) if at <= last]
        if start is not None:
            first = to_ns(start)
            rows = [row for row in rows if series.end[row] > first]
        elif bars is not None:
            rows = rows[-bars:] if bars > 0 else []
        return [_bar(series, row, BarSource.BACKFILL) for row in rows]

    async def sessions(self, symbols: Sequence[str], start: datetime, end: datetime) -> Sequence[Session]:
        return ()

    async def stream(self) -> AsyncIterator[FeedEvent]:
        order = sorted(
            (series.end[row], symbol, row)
            for symbol, series in self.series.items()
            if symbol in self._wanted
            for row in range(len(series.end))
        )
        for _, symbol, row in order:
            yield _bar(self.series[symbol], row, BarSource.LIVE)

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

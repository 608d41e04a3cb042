"""Trades, quotes and shorter bars to bars: one at a time as they come, or a whole list of them.

The rules, which hold for both ways alike, to the last bit:

* A part belongs to the bar that its time falls into: ``start <= at < end``. The parts of a bar are ordered by
  time, those of one time by their keys where the venue numbers them, else as they came.
* Volume is the exact sum of the sizes, rounded once, so that the order of arrival does not show in it.
* A quote counts by the middle of bid and ask; one without both sides, or with a bid above its ask, does not.
* A key that was seen in the same bar is a repetition and does not count again.
* A bar is final when the time passes its end by ``lateness``, or when it is told to be. What comes for it
  later is left out, counted in `BarAggregator.late`, and never changes a bar that was handed out.
* A bar that began before ``since`` is not whole and is never handed out.
* An interval without any part has no bar; under ``empty="flat"`` it has one at the last close, without
  volume, once there is such a close.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import fsum, isfinite
from typing import Final, Literal

from attrs import define, field

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.market import Bar, BarSource, Quote, Trade
from alphaweave.data.grid import BarGrid

__all__ = ["BarAggregator", "EmptyIntervals", "aggregate"]

EmptyIntervals = Literal["none", "flat"]
_SECOND_NS: Final = 1_000_000_000


@define
class _Forming:
    """One bar that is not final yet."""

    start: int
    end: int
    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    sizes: list[float] = field(factory=list)
    keys: set[str] = field(factory=set)

    def add(self, rank: tuple[int, int], prices: tuple[float, float, float, float], size: float) -> None:
        opening, high, low, close = prices
        if self.first is None or self.last is None:
            self.first = self.last = rank
            self.open, self.high, self.low, self.close = prices
        else:
            if rank < self.first:
                self.first, self.open = rank, opening
            if rank >= self.last:
                self.last, self.close = rank, close
            self.high, self.low = max(self.high, high), min(self.low, low)
        _add_exactly(self.sizes, size)


class BarAggregator:
    """Builds the bars of one symbol from what it traded or quoted, as that comes.

    The one clock it has is the time in what it is given: parts, and `advance`. It is told either trades,
    quotes or shorter bars, not a mixture, for their volumes would add up to nothing that ever traded.

    Attributes:
        late: parts that came for a bar that was final already.
        ignored: quotes that say no price.
    """

    def __init__(
        self,
        symbol: str,
        interval: str,
        *,
        timezone: str = "UTC",
        since: int | None = None,
        lateness: float = 0.0,
        empty: EmptyIntervals = "none",
        source: BarSource = BarSource.LIVE,
    ) -> None:
        """Start with the first bar that is whole.

        Args:
            since: nanoseconds since the epoch from which nothing is missing; None takes the first part's
                bar for whole.
            lateness: seconds for which a bar waits for parts that are late.

        Raises:
            ValueError: no such interval or time zone, or a negative lateness.
        """
        if lateness < 0:
            raise ValueError(f"lateness is in seconds, 0 or more, not {lateness}")
        if empty not in {"none", "flat"}:
            raise ValueError(f"an empty interval has none or a flat bar, not {empty!r}")
        self.symbol = symbol
        self.grid = BarGrid(interval, timezone)
        self.late = 0
        self.ignored = 0
        self._lateness = round(lateness * _SECOND_NS)
        self._empty = empty
        self._source = source
        self._forming: dict[int, _Forming] = {}
        # Bars are whole from here on, and final before it.
        self._floor = None if since is None else self._first_whole(since)
        self._now = since
        self._close: float | None = None
        self._count = 0

    @property
    def final_until(self) -> int | None:
        """Nothing more is to come for any bar that ends at or before it; None before the first part."""
        return self._floor

    def add(self, part: Trade | Quote | Bar) -> tuple[Bar, ...]:
        """Take one part in, and hand out the bars that are final now.

        Raises:
            ValueError: it is of another symbol, has no finite price, or is a bar that does not fit into
                one of this interval.
        """
        if part.symbol != self.symbol:
            raise ValueError(f"a part of {part.symbol} cannot be in a bar of {self.symbol}")
        if isinstance(part, Bar):
            return self._add_bar(part)
        at = to_ns(part.at)
        if isinstance(part, Trade):
            return self._take(at, at, (part.price,) * 4, part.size, part.key)
        middle = _middle(part)
        if middle is None:
            self.ignored += 1
            return self.advance(at)
        return self._take(at, at, (middle,) * 4, 0.0, None)

    def advance(self, now: int) -> tuple[Bar, ...]:
        """Let the time pass, and hand out the bars that are final now. Time never runs back."""
        if self._now is None or now > self._now:
            self._now = now
        return self._finish(self._now - self._lateness)

    def complete(self, until: int) -> tuple[Bar, ...]:
        """Nothing more is to come for bars that end at or before an instant: hand them out at once."""
        if self._now is None or until > self._now:
            self._now = until
        return self._finish(until)

    def restart(self, since: int) -> None:
        """Something before ``since`` is missing: forget the bars that are not final, and start anew there.

        A flat bar is not made over the gap either; whoever lost the parts fetches the bars.
        """
        self._forming.clear()
        self._floor = max(self._first_whole(since), self._floor or 0)
        self._now = max(since, self._now or since)
        self._close = None

    def _add_bar(self, bar: Bar) -> tuple[Bar, ...]:
        start, end = to_ns(bar.start), to_ns(bar.end)
        if end > self.grid.after(start):
            raise ValueError(
                f"a {bar.interval} bar of {bar.symbol} from {bar.start} to {bar.end} does not fit into one "
                f"bar of {self.grid.interval}"
            )
        # A bar is known at its end; its key makes one that is sent twice count once.
        prices = (bar.open, bar.high, bar.low, bar.close)
        return self._take(start, end, prices, bar.volume, f"{start}")

    def _take(
        self, at: int, known: int, prices: tuple[float, float, float, float], size: float, key: str | None
    ) -> tuple[Bar, ...]:
        if not (all(map(isfinite, prices)) and isfinite(size)):
            raise ValueError(
                f"a part of {self.symbol} at {from_ns(at)} has a price or size that is no number"
            )
        start = self.grid.floor(at)
        if self._floor is None:
            self._floor = start
        if start < self._floor:
            self.late += 1
            return self.advance(known)
        forming = self._forming.get(start)
        if forming is None:
            forming = self._forming[start] = _Forming(start, self.grid.after(at))
        self._count += 1
        if key is None or key not in forming.keys:
            if key is not None:
                forming.keys.add(key)
            order = int(key) if key is not None and key.isdecimal() else self._count
            forming.add((at, order), prices, size)
        return self.advance(known)

    def _finish(self, until: int) -> tuple[Bar, ...]:
        """Hand out what ends at or before an instant, in order."""
        done: list[Bar] = []
        while self._floor is not None:
            following = min(self._forming, default=None)
            if self._empty == "none" or self._close is None:
                # Nothing is made of the intervals between: go on at the next bar, or at the instant.
                boundary = self.grid.floor(until)
                self._floor = max(self._floor, boundary if following is None else min(following, boundary))
            end = self.grid.after(self._floor)
            if end > until:
                break
            forming = self._forming.pop(self._floor, None)
            if forming is not None:
                done.append(self._bar(forming))
                self._close = forming.close
            elif self._empty == "flat" and self._close is not None:
                done.append(self._flat(self._floor, end, self._close))
            self._floor = end
        return tuple(done)

    def _first_whole(self, since: int) -> int:
        return since if self.grid.is_boundary(since) else self.grid.after(since)

    def _bar(self, forming: _Forming) -> Bar:
        return Bar(
            self.symbol,
            self.grid.interval,
            from_ns(forming.start),
            from_ns(forming.end),
            forming.open,
            forming.high,
            forming.low,
            forming.close,
            fsum(forming.sizes),
            self._source,
        )

    def _flat(self, start: int, end: int, close: float) -> Bar:
        span = (from_ns(start), from_ns(end))
        return Bar(self.symbol, self.grid.interval, *span, close, close, close, close, 0.0, self._source)


def aggregate(
    parts: Iterable[Trade | Quote | Bar],
    symbol: str,
    interval: str,
    *,
    until: int,
    timezone: str = "UTC",
    since: int | None = None,
    empty: EmptyIntervals = "none",
    source: BarSource = BarSource.BACKFILL,
) -> tuple[Bar, ...]:
    """The bars of a whole list of parts that end at or before ``until``, in the same figures as one by one.

    Raises:
        ValueError: as `BarAggregator.add`.
    """
    building = BarAggregator(symbol, interval, timezone=timezone, since=since, empty=empty, source=source)
    bars: list[Bar] = []
    for part in sorted(parts, key=lambda part: part.start if isinstance(part, Bar) else part.at):
        bars += building.add(part)
    bars += building.complete(until)
    return tuple(bar for bar in bars if to_ns(bar.end) <= until)


def _middle(quote: Quote) -> float | None:
    bid, ask = quote.bid, quote.ask
    if bid is None or ask is None or not 0 < bid <= ask:
        return None
    return (bid + ask) / 2


def _add_exactly(partials: list[float], value: float) -> None:
    """Keep the exact sum as floats that do not overlap (Shewchuk), however many values there are."""
    kept = 0
    for other in partials:
        if abs(value) < abs(other):
            value, other = other, value  # noqa: PLW2901 - the larger one takes part in the sum first
        high = value + other
        low = other - (high - value)
        if low:
            partials[kept] = low
            kept += 1
        value = high
    partials[kept:] = [value]

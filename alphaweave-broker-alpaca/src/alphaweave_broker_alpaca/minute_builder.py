"""Minutes of a stream to longer bars, whole ones only."""

from __future__ import annotations

from collections.abc import Iterable

from alphaweave.core.clock import to_ns
from alphaweave.core.market import Bar, BarSource
from alphaweave.data.aggregation import aggregate
from alphaweave.data.grid import BarGrid

__all__ = ["MinuteBuilder"]

# How many bars that were handed out can still be restated.
_KEPT = 3


class MinuteBuilder:
    """Builds the bars of one symbol and interval. Spans are told by where they begin, in nanoseconds.

    Attributes:
        grid: where its bars begin and end.
    """

    def __init__(self, symbol: str, grid: BarGrid, timezone: str) -> None:
        self.symbol = symbol
        self.grid = grid
        self._timezone = timezone
        self._minutes: dict[int, dict[int, Bar]] = {}
        self._done: set[int] = set()

    def add(self, minute: Bar) -> int | None:
        """Take a minute in, or its restatement; the span that it belongs to, None where that is long over."""
        start = to_ns(minute.start)
        span = self.grid.floor(start)
        if self._done and span < max(self._done) and span not in self._done:
            return None
        self._minutes.setdefault(span, {})[start] = minute
        return span

    def fill(self, minutes: Iterable[Bar]) -> None:
        """Take in what history has, where the stream had nothing."""
        for minute in minutes:
            start = to_ns(minute.start)
            self._minutes.setdefault(self.grid.floor(start), {}).setdefault(start, minute)

    def is_done(self, span: int) -> bool:
        """Whether the bar of a span was handed out."""
        return span in self._done

    def is_full(self, span: int) -> bool:
        """Whether the last minute of a span is there."""
        end = self.grid.after(span)
        return any(to_ns(minute.end) == end for minute in self._minutes.get(span, {}).values())

    def spans_before(self, span: int) -> list[int]:
        """Those that are not handed out and lie before another, oldest first."""
        return sorted(one for one in self._minutes if one < span and one not in self._done)

    def bar(self, span: int) -> Bar | None:
        """The bar of a span, of all the minutes that there are; None without any."""
        self._done.add(span)
        for old in sorted(self._done)[:-_KEPT]:
            self._done.discard(old)
            self._minutes.pop(old, None)
        minutes = list(self._minutes.get(span, {}).values())
        if not minutes:
            return None
        until = self.grid.after(span)
        (bar,) = aggregate(
            minutes,
            self.symbol,
            self.grid.interval,
            until=until,
            timezone=self._timezone,
            source=BarSource.LIVE,
        )
        return bar

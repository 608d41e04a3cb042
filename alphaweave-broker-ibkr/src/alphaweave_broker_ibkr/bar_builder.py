"""Bars of a stream, out of rows that go on changing until they are over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import evolve, frozen

from alphaweave.core.clock import from_ns
from alphaweave.core.interval import interval_of
from alphaweave.core.market import Bar, BarCorrection, BarSource
from alphaweave.data.aggregation import aggregate
from alphaweave.data.grid import BarGrid
from alphaweave_broker_ibkr.market_rows import Part, Row

__all__ = ["BarBuilder", "Recipe"]

# How many bars that were handed out can still be restated.
_KEPT: Final = 3


@frozen
class Recipe:
    """How bars of one symbol and interval are made of the gateway's rows: the same for stream and history.

    Attributes:
        timezone: of the grid.
        traded: rows in which nothing was traded are left out: the gateway has them in one answer, and not in
            another.
    """

    symbol: str
    grid: BarGrid
    part: Part
    timezone: str
    traded: bool

    def bars(self, rows: Iterable[Row], until: int) -> tuple[Bar, ...]:
        """The bars that these rows make, of those that end by ``until``, in nanoseconds since the epoch."""
        named = interval_of(self.part.seconds).text
        parts = [
            Bar(
                self.symbol,
                named,
                from_ns(row.start),
                from_ns(row.start + self.part.length),
                row.open,
                row.high,
                row.low,
                row.close,
                row.volume,
                BarSource.BACKFILL,
            )
            for row in rows
            if not (self.traded and row.is_empty)
        ]
        return aggregate(parts, self.symbol, self.grid.interval, until=until, timezone=self.timezone)


class BarBuilder:
    """Builds the bars of one symbol and interval. Instants are nanoseconds since the epoch, UTC.

    The gateway tells of a bar while it forms, and does not say when it is final: it is when one of a later
    time is told of, or when it has been over for ``settle``. What is told of it then is a correction.

    Attributes:
        latest: the beginning of the last row that was told of.
    """

    def __init__(self, recipe: Recipe, *, since: int, settle: int) -> None:
        """``since``: bars that began before it are not whole, and never handed out."""
        self.recipe = recipe
        self._settle = settle
        grid = recipe.grid
        first = since if grid.is_boundary(since) else grid.after(since)
        self._rows: dict[int, dict[int, Row]] = {}
        self._given: dict[int, Bar | None] = {}
        self._forgotten = first
        self.latest = since

    @property
    def due(self) -> int | None:
        """When to `pass_time`; None while no bar is forming."""
        span = min((span for span in self._rows if span not in self._given), default=None)
        return None if span is None else self.recipe.grid.after(span) + self._settle

    def take(self, row: Row, *, final: bool = False) -> tuple[Bar | BarCorrection, ...]:
        """Take a row in; what came of it, in order."""
        span = self.recipe.grid.floor(row.start)
        self.latest = max(self.latest, row.start)
        if span < self._forgotten:
            return ()
        self._rows.setdefault(span, {})[row.start] = row
        if span in self._given:
            return self._restated(span)
        out = self._end_before(span)
        if final and row.start + self.recipe.part.length >= self.recipe.grid.after(span):
            out += self._end_before(self.recipe.grid.after(span))
        return tuple(out)

    def pass_time(self, now: int) -> tuple[Bar | BarCorrection, ...]:
        """Hand out what has been over for long enough."""
        out: list[Bar | BarCorrection] = []
        while (due := self.due) is not None and due <= now:
            out += self._end_before(due - self._settle)
        return tuple(out)

    def _end_before(self, instant: int) -> list[Bar | BarCorrection]:
        out: list[Bar | BarCorrection] = []
        for span in sorted(one for one in self._rows if one < instant and one not in self._given):
            bar = self._given[span] = self._bar(span)
            if bar is not None:
                out.append(bar)
        for span in sorted(self._given)[:-_KEPT]:
            del self._given[span], self._rows[span]
            self._forgotten = max(self._forgotten, self.recipe.grid.after(span))
        return out

    def _restated(self, span: int) -> tuple[Bar | BarCorrection, ...]:
        before, bar = self._given[span], self._bar(span)
        if bar is None or bar == before:
            return ()
        self._given[span] = bar
        # One that was taken for empty is told of for the first time.
        return (bar if before is None else BarCorrection(bar),)

    def _bar(self, span: int) -> Bar | None:
        made = self.recipe.bars(self._rows[span].values(), self.recipe.grid.after(span))
        # A row can only make the bar of the span that it was put into.
        return evolve(made[0], source=BarSource.LIVE) if made else None

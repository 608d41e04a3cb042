"""The record of a run: equity, cash and exposure after each slice, collected in columns.

Between two bookings cash and positions stand still, so nothing has to be done slice by slice: a stretch of
slices is valued at once, from the columns of the prices, when the books are about to change or the record
is taken. The formula is that of ``Kernel.equity``, so both give the same floats.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from math import nan

from alphaweave.live.kernel import Kernel
from alphaweave.live.orders import SymbolBook
from alphaweave.monitoring.monitor import BarColumns

__all__ = ["Recorder"]


class Recorder:
    """Collects the record of a replay.

    The driver calls `settle` before bookings that belong to a slice it has not counted yet, and `take` at
    the end of a chunk of slices.
    """

    __slots__ = (
        "_before",
        "_booked",
        "_cash",
        "_changes",
        "_ends",
        "_equity",
        "_first",
        "_first_index",
        "_gross",
        "_kernel",
        "_net",
    )

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._booked = kernel.booked
        self._before = {book.symbol: book.units for book in kernel.held}
        self.begin(array("q"))

    def begin(self, ends: array[int]) -> None:
        """Start a chunk: the slices with these ends come next."""
        self._ends = ends
        self._first_index = self._kernel.index + 1
        self._equity: list[float] = []
        self._cash: list[float] = []
        self._gross: list[float] = []
        self._net: list[float] = []
        self._changes: list[tuple[int, str, float]] = []
        self._first = dict(self._before)

    def settle(self, row: int) -> None:
        """Value the slices of the chunk up to ``row`` (exclusive) on the books as they stand."""
        first = len(self._equity)
        count = row - first
        if count <= 0:
            return
        kernel = self._kernel
        if kernel.booked != self._booked:
            self._note_positions(first)
        cash = kernel.ledger.cash
        self._cash += [cash] * count
        held = kernel.held
        if not held:
            zeros = [0.0] * count
            self._net += zeros
            self._gross += zeros
            self._equity += [cash] * count
            return
        net: list[float] = []
        gross: list[float] = []
        for book in held:
            weight = book.weight
            values = [weight * price for price in self._prices(book, first, row)]
            net = [a + b for a, b in zip(net, values, strict=True)] if net else values
            sizes = values if weight > 0.0 else [-value for value in values]
            gross = [a + b for a, b in zip(gross, sizes, strict=True)] if gross else sizes
        self._net += net
        self._gross += gross
        self._equity += [cash + value for value in net]

    def take(self, row: int) -> BarColumns:
        """Hand over the chunk up to ``row`` (exclusive)."""
        self.settle(row)
        ends = self._ends[:row]
        return BarColumns(
            first_index=self._first_index,
            ends=ends,
            equity=array("d", self._equity),
            cash=array("d", self._cash),
            gross=array("d", self._gross),
            net=array("d", self._net),
            closes={book.symbol: self._column(book, ends) for book in self._kernel.books.values()},
            positions=tuple(self._changes),
            positions_before=self._first,
        )

    def _note_positions(self, row: int) -> None:
        self._booked = self._kernel.booked
        now = {book.symbol: book.units for book in self._kernel.held}
        before = self._before
        for symbol, units in now.items():
            if before.get(symbol) != units:
                self._changes.append((row, symbol, units))
        for symbol in before:
            if symbol not in now:
                self._changes.append((row, symbol, 0.0))
        self._before = now

    def _prices(self, book: SymbolBook, first: int, row: int) -> Sequence[float]:
        """Last known price of a held symbol at the slices from ``first`` to ``row``."""
        start = bisect_right(book.series.end, self._ends[first], 0, book.cursor.count)
        stop = start + row - first - 1
        closes = book.closes
        if book.cursor.count >= stop and book.series.end[stop - 1] == self._ends[row - 1]:
            # As many bars as slices between the same ends: a bar in each.
            return closes[start - 1 : stop]
        return self._column(book, self._ends[first:row])

    def _column(self, book: SymbolBook, ends: array[int]) -> array[float]:
        """Last known price at each of ``ends``; NaN before the first bar."""
        if not ends:
            return array("d")
        known = book.series.end
        count = book.cursor.count
        start = bisect_right(known, ends[0], 0, count) - 1
        stop = start + len(ends)
        if start >= 0 and stop <= count and known[start] == ends[0] and known[stop - 1] == ends[-1]:
            return book.closes[start:stop]
        closes = book.closes
        rows = (bisect_right(known, end, 0, count) - 1 for end in ends)
        return array("d", (closes[row] if row >= 0 else nan for row in rows))

"""The record of a run: equity, cash and exposure after each slice, collected in columns.

Between two bookings cash and positions stand still, so nothing has to be done slice by slice. A stretch of
slices is noted when the books are about to change, and valued with all others of its chunk when the record
is taken, from the columns of the prices. The formula is that of ``Kernel.equity``, so both give the same
floats.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from math import nan
from operator import add

from alphaweave.live.kernel import Kernel
from alphaweave.live.orders import SymbolBook
from alphaweave.monitoring.monitor import BarColumns

__all__ = ["Recorder"]

_Held = list[tuple[SymbolBook, float]]
"""The books with a position, and the units of each."""

_Stretch = tuple[int, float, _Held]
"""Slices on the same books: the row after the last of them, cash, and what is held."""


class Recorder:
    """Collects the record of a replay.

    The driver calls `settle` before bookings that belong to a slice it has not counted yet, and `take` at
    the end of a chunk of slices.
    """

    __slots__ = ("_before", "_ends", "_first_index", "_kernel", "_row", "_stretches")

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._before = {book.symbol: book.units for book in kernel.held}
        # What restored the books is no booking of a slice to come.
        kernel.moves.clear()
        self.begin(array("q"))

    def begin(self, ends: array[int]) -> None:
        """Start a chunk: the slices with these ends come next."""
        # Of bars that are mapped from a file, slices are views of it.
        self._ends = ends if isinstance(ends, array) else array("q", ends)
        self._first_index = self._kernel.index + 1
        self._row = 0
        self._stretches: list[_Stretch] = []

    def settle(self, row: int) -> None:
        """The slices of the chunk up to ``row`` (exclusive) are on the books as they stand."""
        if row > self._row:
            kernel = self._kernel
            self._row = row
            self._stretches.append((row, kernel.ledger.cash, [(book, book.units) for book in kernel.held]))

    def take(self, row: int) -> BarColumns:
        """Hand over the chunk up to ``row`` (exclusive)."""
        self.settle(row)
        ends = self._ends[:row]
        closes = {book.symbol: self._column(book, ends) for book in self._kernel.books.values()}
        first = dict(self._before)
        columns = _Columns(closes)
        columns.fill(self._stretches)
        changes = self._changes()
        return BarColumns(
            first_index=self._first_index,
            ends=ends,
            equity=columns.equity,
            cash=columns.cash,
            gross=columns.gross,
            net=columns.net,
            closes=closes,
            positions=tuple(changes),
            positions_before=first,
        )

    def _changes(self) -> list[tuple[int, str, float]]:
        """(row, symbol, units) after each booking of the chunk."""
        first, before = self._first_index, self._before
        moves = self._kernel.moves
        changes = [(row - first, symbol, units) for row, symbol, units in moves]
        for _, symbol, units in moves:
            before[symbol] = units
        moves.clear()
        for symbol in [symbol for symbol, units in before.items() if not units]:
            del before[symbol]
        return changes

    def _column(self, book: SymbolBook, ends: array[int]) -> array[float]:
        """Last known price at each of ``ends``; NaN before the first bar."""
        if not ends:
            return array("d")
        known = book.series.end
        count = book.cursor.count
        start = bisect_right(known, ends[0], 0, count) - 1
        stop = start + len(ends)
        if start >= 0 and stop <= count and known[start] == ends[0] and known[stop - 1] == ends[-1]:
            column = book.closes[start:stop]
            return column if isinstance(column, array) else array("d", column)
        # A stretch between two of its bars at a time: of many symbols, most have no bar in most slices.
        closes = book.closes
        column = array("d")
        price = closes[start] if start >= 0 else nan
        for row in range(start + 1, bisect_right(known, ends[-1], start + 1, count)):
            at = len(column)
            column.extend(array("d", (price,)) * (bisect_left(ends, known[row], at) - at))
            price = closes[row]
        column.extend(array("d", (price,)) * (len(ends) - len(column)))
        return column


class _Columns:
    """The columns of a chunk, from its stretches and the closes of its slices.

    Attributes:
        gross: the very column ``net`` as long as nothing is worth less than nothing.
    """

    __slots__ = ("_closes", "cash", "equity", "gross", "net")

    def __init__(self, closes: Mapping[str, array[float]]) -> None:
        self._closes = closes
        self.equity, self.cash = array("d"), array("d")
        self.gross = self.net = array("d")

    def fill(self, stretches: Iterable[_Stretch]) -> None:
        """Append one stretch after another."""
        cash, equity, net = self.cash, self.equity, self.net
        start = 0
        for stop, money, held in stretches:
            count = stop - start
            same = array("d", (money,)) * count
            cash += same
            if held:
                values = self._valued(held, start, stop)
                net.fromlist(values)
                equity.fromlist([money + value for value in values])
            else:
                nothing = array("d", (0.0,)) * count
                if self.gross is not net:
                    self.gross += nothing
                net += nothing
                equity += same
            start = stop

    def _valued(self, held: _Held, start: int, stop: int) -> list[float]:
        """Net value at the slices from ``start`` to ``stop``; gross is taken down on the way."""
        closes = self._closes
        if len(held) == 1:
            ((book, units),) = held
            weight = units * book.multiplier
            values = [weight * price for price in closes[book.symbol][start:stop]]
            if self.gross is not self.net or min(values) < 0.0:
                self._own_gross().fromlist(list(map(abs, values)))
            return values
        net: list[float] = []
        gross: list[float] = []
        for book, units in held:
            weight = units * book.multiplier
            values = [weight * price for price in closes[book.symbol][start:stop]]
            sizes = values if min(values) >= 0.0 else list(map(abs, values))
            net = list(map(add, net, values)) if net else values
            gross = list(map(add, gross, sizes)) if gross else sizes
        if self.gross is not self.net or net != gross:
            self._own_gross().fromlist(gross)
        return net

    def _own_gross(self) -> array[float]:
        if self.gross is self.net:
            self.gross = self.net[:]
        return self.gross

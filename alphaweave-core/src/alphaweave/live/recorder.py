"""The record of a run, slice by slice, collected in columns."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from math import nan

from alphaweave.live.kernel import Kernel
from alphaweave.monitoring.monitor import BarColumns

__all__ = ["Recorder"]


class Recorder:
    """Collects equity, cash and exposure after each slice, and the changes of positions.

    `record` runs once a slice on the replay's hot path; everything else is left to `take`.
    """

    __slots__ = (
        "_before",
        "_booked",
        "_cash",
        "_changes",
        "_ends",
        "_equity",
        "_first",
        "_gross",
        "_kernel",
        "_net",
    )

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._booked = kernel.booked
        self._before = {book.symbol: book.units for book in kernel.held}
        self._reset()

    def __len__(self) -> int:
        """Slices recorded and not taken yet."""
        return len(self._equity)

    def record(self, end: int) -> None:
        """The books as they stand after the slice that ended at ``end`` (ns)."""
        kernel = self._kernel
        cash = kernel.ledger.cash
        held = kernel.held
        net = gross = 0.0
        for book in held:
            value = book.units * book.closes[book.cursor.count - 1] * book.multiplier
            net += value
            gross += value if value > 0.0 else -value
        if kernel.booked != self._booked:
            self._note_positions()
        self._ends.append(end)
        self._equity.append(cash + net)
        self._cash.append(cash)
        self._gross.append(gross)
        self._net.append(net)

    def take(self) -> BarColumns:
        """Hand over what was recorded since the last call, and start anew."""
        ends = array("q", self._ends)
        columns = BarColumns(
            first_index=self._kernel.index + 1 - len(ends),
            ends=ends,
            equity=array("d", self._equity),
            cash=array("d", self._cash),
            gross=array("d", self._gross),
            net=array("d", self._net),
            closes=self._closes(ends),
            positions=tuple(self._changes),
            positions_before=self._first,
        )
        self._reset()
        return columns

    def _reset(self) -> None:
        self._ends: list[int] = []
        self._equity: list[float] = []
        self._cash: list[float] = []
        self._gross: list[float] = []
        self._net: list[float] = []
        self._changes: list[tuple[int, str, float]] = []
        self._first = dict(self._before)

    def _note_positions(self) -> None:
        self._booked = self._kernel.booked
        row = len(self._equity)
        now = {book.symbol: book.units for book in self._kernel.held}
        before = self._before
        for symbol, units in now.items():
            if before.get(symbol) != units:
                self._changes.append((row, symbol, units))
        for symbol in before:
            if symbol not in now:
                self._changes.append((row, symbol, 0.0))
        self._before = now

    def _closes(self, ends: array[int]) -> dict[str, array[float]]:
        """Last known price of each symbol at each of ``ends``."""
        closes: dict[str, array[float]] = {}
        if not ends:
            return closes
        for lane in self._kernel.lanes.values():
            members = [book for book in self._kernel.books.values() if book.cursor is lane.cursor]
            column = members[0].series.end
            count = lane.cursor.count
            first = count - len(ends)
            aligned = first >= 0 and column[first:count] == ends
            rows = [] if aligned else [bisect_right(column, end, 0, count) - 1 for end in ends]
            for book in members:
                if aligned:
                    closes[book.symbol] = book.series.close[first:count]
                else:
                    known = book.series.close
                    closes[book.symbol] = array("d", (known[row] if row >= 0 else nan for row in rows))
        return closes

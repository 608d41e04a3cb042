"""Rows as they were read, before any rule was applied to them."""

from __future__ import annotations

from array import array
from collections.abc import Container, Iterator, Sequence

from attrs import define, frozen

from alphaweave.data.report import Origin
from alphaweave.data.stamps import Stamps

__all__ = ["RawBars", "Table"]


@define(eq=False)
class RawBars:
    """Rows of one symbol as they were read: a number that is not there is NaN."""

    origin: Origin
    stamps: Stamps
    open: array[float]
    high: array[float]
    low: array[float]
    close: array[float]
    volume: array[float] | None
    adj_close: array[float] | None

    def __len__(self) -> int:
        return len(self.close)

    def take(self, rows: Sequence[int]) -> RawBars:
        """Some rows, in the order given."""

        def of(column: array[float]) -> array[float]:
            return array("d", map(column.__getitem__, rows))

        return RawBars(
            self.origin.take(rows),
            self.stamps.take(rows),
            of(self.open),
            of(self.high),
            of(self.low),
            of(self.close),
            None if self.volume is None else of(self.volume),
            None if self.adj_close is None else of(self.adj_close),
        )


@frozen(eq=False)
class Table:
    """One file as it was read.

    Attributes:
        bars: its rows.
        symbols: the symbol of each row, if the file has such a column.
        named: the symbol its header names for the whole file, if it does.
    """

    bars: RawBars
    symbols: list[str] | None = None
    named: str | None = None

    def by_symbol(self, alone: str, wanted: Container[str] | None = None) -> Iterator[tuple[str, RawBars]]:
        """The rows of each symbol; ``alone`` is the symbol of a table without such a column.

        Raises:
            DataError: a row without a symbol.
        """
        if self.symbols is None:
            if wanted is None or alone in wanted:
                yield alone, self.bars
            return
        rows: dict[str, list[int]] = {}
        for row, symbol in enumerate(self.symbols):
            rows.setdefault(symbol, []).append(row)
        if "" in rows:
            raise self.bars.origin.error(rows[""][0], "a row without a symbol")
        for symbol, taken in rows.items():
            if wanted is None or symbol in wanted:
                yield symbol, self.bars if len(rows) == 1 else self.bars.take(taken)

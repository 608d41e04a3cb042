"""Bars of a Parquet file that need not fit into memory: read a piece at a time, and mapped from a spool.

The rules are those of :mod:`alphaweave.data.rules`, but that rows must come in rising order of time from one
piece to the next: what a stream would have to hold back in order to sort, it refuses.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import DataError
from alphaweave.core.interval import Interval
from alphaweave.data.parquet import count_parquet_rows, read_parquet_pieces
from alphaweave.data.report import Adjustment, Note, Origin
from alphaweave.data.rules import settle_piece
from alphaweave.data.series import Cursor, Series
from alphaweave.data.spans import Rules, check_spacing
from alphaweave.data.spool import Spool
from alphaweave.data.stamps import DateOrder
from alphaweave.data.table import RawBars

__all__ = ["stream_parquet"]

_PIECE: Final = 65_536
"""Rows that are in memory at once."""


def stream_parquet(  # noqa: PLR0917 - the arguments of a load
    file: Path,
    alone: str,
    wanted: Collection[str] | None,
    named: Mapping[str, str] | None,
    order: DateOrder | None,
    rules: Rules,
    note: Note,
) -> Iterator[Series]:
    """The series of a file, one after the other; ``rules`` have an interval of less than a day.

    Args:
        alone: the symbol of a file that has no column of symbols.
        wanted: the symbols to read; None: all of them.

    Raises:
        DataError: as `settle`; a row that is not later than those of an earlier piece.
    """
    assert rules.interval is not None
    spool, once = Spool(), _Once(note)
    counts = count_parquet_rows(file, named, _PIECE)
    series = {
        symbol: _Streamed(symbol, rows, spool, rules.interval)
        for symbol, rows in ((alone if name is None else name, rows) for name, rows in counts.items())
        if wanted is None or symbol in wanted
    }
    for piece in read_parquet_pieces(file, named, order, _PIECE):
        for symbol, raw in piece.by_symbol(alone, series):
            series[symbol].take(raw, rules, once)
    for each in series.values():
        yield each.series(str(file), once)


class _Once:
    """Hands on each adjustment, what is of the whole file once."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._whole: set[Adjustment] = set()

    def __call__(self, adjustment: Adjustment) -> None:
        if adjustment.line is None:
            if adjustment in self._whole:
                return
            self._whole.add(adjustment)
        self._note(adjustment)


class _Streamed:
    """The rows of one symbol on their way to the spool."""

    def __init__(self, symbol: str, rows: int, spool: Spool, interval: Interval) -> None:
        self.symbol = symbol
        self._interval = interval
        self._keys, self._lines, self._ends = (spool.column("q", rows) for _ in range(3))
        self._prices = [spool.column("d", rows) for _ in range(5)]
        self._last: int | None = None
        self._with_volume: bool | None = None

    def take(self, raw: RawBars, rules: Rules, note: Note) -> None:
        """Write what is left of a piece."""
        filled = raw.volume is not None and all(volume != volume for volume in raw.volume)  # noqa: PLR0124
        raw, keys = settle_piece(self.symbol, raw, rules, note)
        if not len(keys):
            return
        if self._with_volume is filled:
            raise raw.origin.error(0, "no number for volume from here on, or up to here, but not in all rows")
        self._with_volume = not filled
        if self._last is not None and keys[0] <= self._last:
            raise raw.origin.error(
                0,
                f"a bar of {from_ns(keys[0]).isoformat()} after that of {from_ns(self._last).isoformat()}; a "
                "stream takes rows in rising order of time: sort the file, or leave `stream` out",
            )
        self._last = keys[-1]
        self._keys.extend(keys)
        self._lines.extend(array("q", raw.origin.lines))
        length = (self._interval.seconds or 0) * 1_000_000_000
        self._ends.extend(array("q", map(length.__add__, keys)))
        volume = raw.volume or array("d")
        for column, values in zip(
            self._prices, (raw.open, raw.high, raw.low, raw.close, volume), strict=True
        ):
            column.extend(values)

    def series(self, path: str, note: Note) -> Series:
        """All of it, mapped."""
        keys: Any = self._keys.view()
        if not len(keys):
            raise DataError(path, f"{self.symbol}: there is not one bar")
        lines: Any = self._lines.view()
        check_spacing(keys, Origin(path, lines, self.symbol), self._interval, note)
        # What reads bars indexes, slices and measures columns, which a view answers as an array does.
        start, end = (cast("array[int]", column) for column in (keys, self._ends.view()))
        prices = [cast("array[float]", column.view()) for column in self._prices]
        return Series(self.symbol, self._interval.text, Cursor(), start, end, *prices)

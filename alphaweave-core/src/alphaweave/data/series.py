"""Bars in columns: what the kernel reads, and the cut views a strategy gets."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from math import isfinite
from operator import le, lt
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import Factory, define, frozen

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cursor", "Series", "Window"]

_PRICES: Final = ("open", "high", "low", "close", "volume")
_LAYOUTS: Final = {"q": ("q", "l"), "d": ("d",)}


@define(eq=False)
class Cursor:
    """How many rows of a series are visible. Series whose ``end`` columns are equal share one."""

    count: int = 0


@define(eq=False)
class Series:
    """The final bars of one symbol and interval, a column each, in rising order of ``end``.

    The columns belong to whoever drives the run: they may hold rows the strategy must not see yet.
    What a strategy reads is a :class:`Window`, cut at ``cursor.count``.

    Attributes:
        cursor: rows up to ``cursor.count`` are visible; whoever drives the run moves it, never ``append``.
        start, end: nanoseconds since the epoch, UTC; a row may be known from its ``end`` on.
        open, high, low, close: quote currency per unit.
        volume: units of the instrument.
    """

    symbol: str
    interval: str
    cursor: Cursor = Factory(Cursor)
    start: array[int] = Factory(lambda: array("q"))
    end: array[int] = Factory(lambda: array("q"))
    open: array[float] = Factory(lambda: array("d"))
    high: array[float] = Factory(lambda: array("d"))
    low: array[float] = Factory(lambda: array("d"))
    close: array[float] = Factory(lambda: array("d"))
    volume: array[float] = Factory(lambda: array("d"))

    @classmethod
    def from_columns(
        cls,
        symbol: str,
        interval: str,
        *,
        start: Iterable[int],
        end: Iterable[int],
        open: Iterable[float],  # noqa: A002 - the field's own name
        high: Iterable[float],
        low: Iterable[float],
        close: Iterable[float],
        volume: Iterable[float],
    ) -> Series:
        """A series over whole columns, checked. No row of it is visible yet.

        A column that is already an ``array`` of the right type is taken over, not copied; numpy
        arrays of int64 and float64 are copied as they lie in memory.

        Raises:
            DataError: columns of unequal length, ends that do not rise, a bar that ends before it
                starts, or a number that is not finite. Its ``line`` is the row, counted from 1.
        """
        series = cls(
            symbol,
            interval,
            Cursor(),
            _column("q", start),
            _column("q", end),
            _column("d", open),
            _column("d", high),
            _column("d", low),
            _column("d", close),
            _column("d", volume),
        )
        series._check()
        return series

    def __len__(self) -> int:
        """How many rows are held, visible or not."""
        return len(self.end)

    def append(  # noqa: PLR0917 - one bar, in the order every market writes it
        self,
        start: int,
        end: int,
        open: float,  # noqa: A002 - the field's own name
        high: float,
        low: float,
        close: float,
        volume: float,
    ) -> None:
        """Add one row at the end; it stays invisible until the cursor is moved.

        Raises:
            DataError: if ``end`` does not lie after the last one, or before ``start``, or a number is
                not finite. Nothing is added then.
        """
        if self.end and end <= self.end[-1]:
            raise self._error(f"a bar ending {_utc(end)} cannot follow the one ending {_utc(self.end[-1])}")
        row = (start, end, open, high, low, close, volume)
        self._check_row(*row)
        for column, value in zip(self._columns(), row, strict=True):
            column.append(value)

    def insert(  # noqa: PLR0917 - as `append`
        self,
        start: int,
        end: int,
        open: float,  # noqa: A002 - the field's own name
        high: float,
        low: float,
        close: float,
        volume: float,
    ) -> int:
        """Add a row that comes late where its end belongs, and return its number; the cursor stays.

        A `Window` that was made before and reaches there shows it too.

        Raises:
            DataError: if there is a row of that ``end``, or as `append`. Nothing is added then.
        """
        place = bisect_left(self.end, end)
        if place < len(self.end) and self.end[place] == end:
            raise self._error(f"there is a bar ending {_utc(end)} already")
        row = (start, end, open, high, low, close, volume)
        self._check_row(*row)
        for column, value in zip(self._columns(), row, strict=True):
            column.insert(place, value)
        return place

    def window(self, n: int) -> Window:
        """The last ``n`` visible rows (fewer if fewer are visible), for good: it never grows or moves.

        Raises:
            ValueError: if ``n`` is negative.
        """
        if n < 0:
            raise ValueError(f"a window has a length of 0 or more, not {n}")
        stop = self.cursor.count
        return Window(self, max(0, stop - n), stop)

    def to_frame(self) -> pd.DataFrame:
        """Every row held, visible or not, as a DataFrame indexed by ``end`` (UTC)."""
        return _frame(self, 0, len(self))

    def __repr__(self) -> str:
        return f"Series({self.symbol!r}, {self.interval!r}, {len(self)} rows, {self.cursor.count} visible)"

    def _check(self) -> None:
        rows = len(self.end)
        for name in ("start", *_PRICES):
            length = len(getattr(self, name))
            if length != rows:
                raise self._error(f"column {name} has {length} rows, column end has {rows}")
        if not all(map(lt, self.end, islice(self.end, 1, None))):
            row = next(i for i in range(1, rows) if self.end[i] <= self.end[i - 1])
            raise self._error(
                f"a bar ending {_utc(self.end[row])} cannot follow the one ending {_utc(self.end[row - 1])}",
                row + 1,
            )
        if not all(map(le, self.start, self.end)):
            row = next(i for i in range(rows) if self.start[i] > self.end[i])
            raise self._error(
                f"a bar starting {_utc(self.start[row])} cannot end {_utc(self.end[row])}", row + 1
            )
        for name in _PRICES:
            column = getattr(self, name)
            # A NaN or an infinity survives every addition, so one sum clears the whole column.
            if not isfinite(sum(column)):
                for row, value in enumerate(column, 1):
                    if not isfinite(value):
                        raise self._error(f"{name} is {value}, not a finite number", row)

    def _columns(self) -> tuple[array[Any], ...]:
        return (self.start, self.end, self.open, self.high, self.low, self.close, self.volume)

    def _check_row(self, start: int, end: int, *prices: float) -> None:
        if start > end:
            raise self._error(f"a bar starting {_utc(start)} cannot end {_utc(end)}")
        for name, value in zip(_PRICES, prices, strict=True):
            if not isfinite(value):
                raise self._error(f"{name} of the bar ending {_utc(end)} is {value}, not a finite number")

    def _error(self, reason: str, row: int | None = None) -> DataError:
        return DataError(f"{self.symbol} {self.interval}", reason, row)


@frozen(eq=False, repr=False)
class Window:
    """Consecutive rows of one series, cut when it was made: rows that come later never show in it, but for
    a late bar of a live run, which joins the series where it belongs.

    Every property returns a fresh list, oldest row first.
    """

    _series: Series
    _lo: int
    _hi: int

    def __len__(self) -> int:
        return self._hi - self._lo

    @property
    def symbol(self) -> str:
        return self._series.symbol

    @property
    def interval(self) -> str:
        return self._series.interval

    @property
    def open(self) -> list[float]:
        return self._series.open[self._lo : self._hi].tolist()

    @property
    def high(self) -> list[float]:
        return self._series.high[self._lo : self._hi].tolist()

    @property
    def low(self) -> list[float]:
        return self._series.low[self._lo : self._hi].tolist()

    @property
    def close(self) -> list[float]:
        return self._series.close[self._lo : self._hi].tolist()

    @property
    def volume(self) -> list[float]:
        return self._series.volume[self._lo : self._hi].tolist()

    @property
    def start(self) -> list[datetime]:
        """When each bar began, UTC."""
        return [from_ns(ns) for ns in self._series.start[self._lo : self._hi]]

    @property
    def end(self) -> list[datetime]:
        """The first instant at which each bar could be known, UTC."""
        return [from_ns(ns) for ns in self._series.end[self._lo : self._hi]]

    def to_frame(self) -> pd.DataFrame:
        """The rows as a DataFrame indexed by ``end`` (UTC), columns start, open, high, low, close, volume."""
        return _frame(self._series, self._lo, self._hi)

    def __repr__(self) -> str:
        return f"Window({self.symbol!r}, {self.interval!r}, {len(self)} rows)"


def _column(typecode: Literal["q", "d"], values: Iterable[Any]) -> array[Any]:
    if isinstance(values, array) and values.typecode == typecode:
        return values
    column = array(typecode)
    try:
        view = memoryview(values)  # type: ignore[arg-type]
    except TypeError:
        column.extend(values)
        return column
    # 'l' is how numpy spells a 64-bit integer where a C long has 64 bits.
    if view.ndim == 1 and view.c_contiguous and view.itemsize == 8 and view.format in _LAYOUTS[typecode]:
        column.frombytes(view.cast("B"))
    else:
        column.extend(view.tolist())
    return column


def _utc(ns: int) -> str:
    return from_ns(ns).isoformat()


def _frame(series: Series, lo: int, hi: int) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    def instants(column: array[int]) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(np.array(column[lo:hi], dtype="int64").view("M8[ns]"), tz="UTC")

    columns: dict[str, object] = {"start": instants(series.start)}
    columns.update({name: np.array(getattr(series, name)[lo:hi]) for name in _PRICES})
    return pd.DataFrame(columns, index=instants(series.end).rename("end"))

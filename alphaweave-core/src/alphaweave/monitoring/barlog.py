"""Bars as a monitor keeps them: in columns, so that a long replay costs next to nothing."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from math import isnan, nan
from operator import itemgetter
from typing import Any, Final, overload

from attrs import Factory, define

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import StateCorrupt
from alphaweave.monitoring.monitor import BarColumns, BarSnapshot
from alphaweave.monitoring.packing import pack, unpack

__all__ = ["BarLog", "Columns"]

_BOOKS: Final = ("equity", "cash", "gross", "net")


@define(eq=False)
class Columns:
    """Recorded slices, one array a column, all of one length.

    Attributes:
        ends: slice ends, epoch nanoseconds UTC.
        equity, cash, gross, net: as in BarSnapshot.
        closes: symbol -> last known price at each row; NaN before the first one.
        changes: symbol -> (rows, signed quantities from that row on).
        numbers: (row, number of its slice) of each row at which the numbers do not simply count on.
    """

    ends: array[int] = Factory(lambda: array("q"))
    equity: array[float] = Factory(lambda: array("d"))
    cash: array[float] = Factory(lambda: array("d"))
    gross: array[float] = Factory(lambda: array("d"))
    net: array[float] = Factory(lambda: array("d"))
    closes: dict[str, array[float]] = Factory(dict)
    changes: dict[str, tuple[array[int], array[float]]] = Factory(dict)
    numbers: list[tuple[int, int]] = Factory(list)

    def append(self, bar: BarSnapshot) -> None:
        """Record one slice."""
        row = len(self.ends)
        self._count_on(row, bar.index)
        self.ends.append(to_ns(bar.timestamp))
        self.equity.append(bar.equity)
        self.cash.append(bar.cash)
        self.gross.append(bar.gross)
        self.net.append(bar.net)
        for symbol, price in bar.prices.items():
            self._closes_of(symbol, row).append(price)
        self._carry_closes(row)
        self._set_positions(row, bar.positions)

    def extend(self, more: BarColumns) -> None:
        """Record many slices."""
        row = len(self.ends)
        self._count_on(row, more.first_index)
        self.ends.extend(more.ends)
        self.equity.extend(more.equity)
        self.cash.extend(more.cash)
        self.gross.extend(more.gross)
        self.net.extend(more.net)
        for symbol, prices in more.closes.items():
            self._closes_of(symbol, row).extend(prices)
        self._carry_closes(row)
        self._set_positions(row, more.positions_before)
        changes = self.changes
        for offset, symbol, quantity in more.positions:
            change = changes.get(symbol)
            if change is None or change[0][-1] == row + offset or change[1][-1] == quantity:
                self._change(row + offset, symbol, quantity)
            else:
                change[0].append(row + offset)
                change[1].append(quantity)

    def _count_on(self, row: int, index: int) -> None:
        if not self.numbers or self.numbers[-1][1] + row - self.numbers[-1][0] != index:
            self.numbers.append((row, index))

    def _closes_of(self, symbol: str, row: int) -> array[float]:
        column = self.closes.get(symbol)
        if column is None:
            column = self.closes[symbol] = array("d", [nan]) * row
        return column

    def _carry_closes(self, row: int) -> None:
        missing = len(self.ends) - row
        for column in self.closes.values():
            if len(column) == row:
                column.extend(array("d", [column[-1] if column else nan]) * missing)

    def _set_positions(self, row: int, positions: Mapping[str, float]) -> None:
        for symbol, quantity in positions.items():
            self._change(row, symbol, quantity)
        for symbol in self.changes:
            if symbol not in positions:
                self._change(row, symbol, 0.0)

    def _change(self, row: int, symbol: str, quantity: float) -> None:
        change = self.changes.get(symbol)
        if change is None:
            if not quantity:
                return
            change = self.changes[symbol] = (array("q"), array("d"))
        rows, quantities = change
        if (quantities[-1] if quantities else 0.0) == quantity:
            return
        if rows and rows[-1] == row:
            quantities[-1] = quantity
        else:
            rows.append(row)
            quantities.append(quantity)


_MOST_WAITING: Final = 1000


class BarLog(Sequence[BarSnapshot]):
    """The recorded slices, read one by one as `BarSnapshot` or whole as `Columns`."""

    __slots__ = ("_columns", "_length", "_waiting")

    def __init__(self) -> None:
        self._columns = Columns()
        # Growing arrays means copying them, so it waits until somebody reads.
        self._waiting: deque[BarColumns] = deque()
        self._length = 0

    @property
    def columns(self) -> Columns:
        """Everything recorded."""
        while self._waiting:
            self._columns.extend(self._waiting.popleft())
        return self._columns

    def append(self, bar: BarSnapshot) -> None:
        """Record one slice."""
        self.columns.append(bar)
        self._length += 1

    def extend(self, columns: BarColumns) -> None:
        """Record many slices; the columns must not change any more."""
        if len(columns.ends):
            self._waiting.append(columns)
            self._length += len(columns.ends)
            # A live run brings one slice at a time, and each by itself takes many times what it will take.
            if len(self._waiting) >= _MOST_WAITING:
                _ = self.columns

    def index_at(self, row: int) -> int:
        """Number of the slice in a row."""
        numbers = self.columns.numbers
        start, number = numbers[bisect_right(numbers, row, key=itemgetter(0)) - 1]
        return number + row - start

    def row_of(self, index: int) -> int:
        """The row of a slice by its number; of the next recorded one where that was not recorded."""
        numbers = self.columns.numbers
        at = bisect_right(numbers, index, key=itemgetter(1)) - 1
        if at < 0:
            return 0
        start, number = numbers[at]
        end = numbers[at + 1][0] if at + 1 < len(numbers) else len(self)
        return min(start + index - number, end)

    def positions_at(self, row: int) -> dict[str, float]:
        """Signed quantity of each symbol held after a row."""
        held = {}
        for symbol, (rows, quantities) in self.columns.changes.items():
            at = bisect_right(rows, row) - 1
            if at >= 0 and quantities[at]:
                held[symbol] = quantities[at]
        return held

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, key: int) -> BarSnapshot: ...
    @overload
    def __getitem__(self, key: slice) -> list[BarSnapshot]: ...
    def __getitem__(self, key: int | slice) -> BarSnapshot | list[BarSnapshot]:
        if isinstance(key, slice):
            return [self[row] for row in range(*key.indices(len(self)))]
        row = range(len(self))[key]
        columns = self.columns
        prices = ((symbol, column[row]) for symbol, column in columns.closes.items())
        return BarSnapshot(
            timestamp=from_ns(columns.ends[row]),
            index=self.index_at(row),
            prices={symbol: price for symbol, price in prices if not isnan(price)},
            equity=columns.equity[row],
            cash=columns.cash[row],
            gross=columns.gross[row],
            net=columns.net[row],
            positions=self.positions_at(row),
        )

    def get_state(self) -> dict[str, Any]:
        """Everything recorded, as JSON values; columns are packed bytes, so that no digit is lost."""
        columns = self.columns
        return {
            "numbers": [list(pair) for pair in columns.numbers],
            "ends": pack(columns.ends),
            **{name: pack(getattr(columns, name)) for name in _BOOKS},
            "closes": {symbol: pack(column) for symbol, column in columns.closes.items()},
            "changes": {symbol: [pack(rows), pack(held)] for symbol, (rows, held) in columns.changes.items()},
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Replace everything recorded by what ``get_state`` returned.

        Raises:
            StateCorrupt: it is not that; nothing has changed then.
        """
        try:
            fresh = Columns(
                numbers=[(int(row), int(number)) for row, number in state["numbers"]],
                ends=unpack("q", state["ends"]),
                **{name: unpack("d", state[name]) for name in _BOOKS},
                closes={symbol: unpack("d", packed) for symbol, packed in state["closes"].items()},
                changes={
                    symbol: (unpack("q", rows), unpack("d", held))
                    for symbol, (rows, held) in state["changes"].items()
                },
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StateCorrupt(f"the recorded bars cannot be read: {error!r}") from error
        lengths = {len(fresh.ends), *(len(getattr(fresh, name)) for name in _BOOKS)}
        lengths.update(len(column) for column in fresh.closes.values())
        if len(lengths) > 1:
            raise StateCorrupt(f"the recorded columns differ in length: {sorted(lengths)}")
        self._columns = fresh
        self._waiting.clear()
        self._length = len(fresh.ends)

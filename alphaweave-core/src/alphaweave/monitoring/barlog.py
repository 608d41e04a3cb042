"""Bars as a monitor keeps them: one array a column, so that a long replay costs next to nothing."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import Any, overload

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import StateCorrupt
from alphaweave.monitoring.monitor import BarColumns, BarSnapshot
from alphaweave.monitoring.packing import pack, unpack

__all__ = ["BarLog"]

_BOOKS = ("equity", "cash", "gross", "net")


class BarLog(Sequence[BarSnapshot]):
    """The recorded slices, read one by one as `BarSnapshot` or whole as columns of equal length.

    Attributes:
        indexes: slice numbers.
        ends: slice ends, epoch nanoseconds UTC.
        equity, cash, gross, net: as in BarSnapshot.
        closes: symbol -> last known price at each row; NaN before the first one.
        changes: symbol -> (rows, signed quantities from that row on).
    """

    __slots__ = ("cash", "changes", "closes", "ends", "equity", "gross", "indexes", "net")

    def __init__(self) -> None:
        self.indexes: array[int] = array("q")
        self.ends: array[int] = array("q")
        self.equity: array[float] = array("d")
        self.cash: array[float] = array("d")
        self.gross: array[float] = array("d")
        self.net: array[float] = array("d")
        self.closes: dict[str, array[float]] = {}
        self.changes: dict[str, tuple[array[int], array[float]]] = {}

    def append(self, bar: BarSnapshot) -> None:
        """Record one slice."""
        row = len(self.ends)
        self.indexes.append(bar.index)
        self.ends.append(to_ns(bar.timestamp))
        self.equity.append(bar.equity)
        self.cash.append(bar.cash)
        self.gross.append(bar.gross)
        self.net.append(bar.net)
        for symbol, price in bar.prices.items():
            self._column(symbol, row).append(price)
        self._carry_closes(row)
        self._set_positions(row, bar.positions)

    def extend(self, columns: BarColumns) -> None:
        """Record many slices."""
        row = len(self.ends)
        count = len(columns.ends)
        self.indexes.extend(range(columns.first_index, columns.first_index + count))
        self.ends.extend(columns.ends)
        self.equity.extend(columns.equity)
        self.cash.extend(columns.cash)
        self.gross.extend(columns.gross)
        self.net.extend(columns.net)
        for symbol, prices in columns.closes.items():
            self._column(symbol, row).extend(prices)
        self._carry_closes(row)
        if count:
            self._set_positions(row, columns.positions_before)
        for offset, symbol, quantity in columns.positions:
            self._change(row + offset, symbol, quantity)

    def positions_at(self, row: int) -> dict[str, float]:
        """Signed quantity of each symbol held after a row."""
        held = {}
        for symbol, (rows, quantities) in self.changes.items():
            at = bisect_right(rows, row) - 1
            if at >= 0 and quantities[at]:
                held[symbol] = quantities[at]
        return held

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, key: int) -> BarSnapshot: ...
    @overload
    def __getitem__(self, key: slice) -> list[BarSnapshot]: ...
    def __getitem__(self, key: int | slice) -> BarSnapshot | list[BarSnapshot]:
        if isinstance(key, slice):
            return [self[row] for row in range(*key.indices(len(self)))]
        row = range(len(self))[key]
        return BarSnapshot(
            timestamp=from_ns(self.ends[row]),
            index=self.indexes[row],
            prices={
                symbol: price for symbol, column in self.closes.items() if not isnan(price := column[row])
            },
            equity=self.equity[row],
            cash=self.cash[row],
            gross=self.gross[row],
            net=self.net[row],
            positions=self.positions_at(row),
        )

    def get_state(self) -> dict[str, Any]:
        """Everything recorded, as JSON values; columns are packed bytes, so that no digit is lost."""
        return {
            "indexes": pack(self.indexes),
            "ends": pack(self.ends),
            **{name: pack(getattr(self, name)) for name in _BOOKS},
            "closes": {symbol: pack(column) for symbol, column in self.closes.items()},
            "changes": {
                symbol: [pack(rows), pack(quantities)] for symbol, (rows, quantities) in self.changes.items()
            },
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Replace everything recorded by what ``get_state`` returned.

        Raises:
            StateCorrupt: it is not that; nothing has changed then.
        """
        fresh = BarLog()
        try:
            fresh.indexes = unpack("q", state["indexes"])
            fresh.ends = unpack("q", state["ends"])
            for name in _BOOKS:
                setattr(fresh, name, unpack("d", state[name]))
            fresh.closes = {symbol: unpack("d", packed) for symbol, packed in state["closes"].items()}
            fresh.changes = {
                symbol: (unpack("q", rows), unpack("d", quantities))
                for symbol, (rows, quantities) in state["changes"].items()
            }
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StateCorrupt(f"the recorded bars cannot be read: {error!r}") from error
        lengths = {len(fresh.indexes), len(fresh.ends), *(len(getattr(fresh, name)) for name in _BOOKS)}
        lengths.update(len(column) for column in fresh.closes.values())
        if len(lengths) > 1:
            raise StateCorrupt(f"the recorded columns differ in length: {sorted(lengths)}")
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def _column(self, symbol: str, row: int) -> array[float]:
        column = self.closes.get(symbol)
        if column is None:
            column = self.closes[symbol] = array("d", [nan]) * row
        return column

    def _carry_closes(self, row: int) -> None:
        missing = len(self.ends) - row
        for column in self.closes.values():
            if len(column) == row and missing:
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

"""What a loader changed, and where a row came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from alphaweave.core.errors import DataError

__all__ = ["Adjustment", "LoadReport", "Note", "Origin"]


@frozen
class Adjustment:
    """One thing a loader did to the data instead of refusing it.

    Attributes:
        path: the file, or a short name of the source.
        line: 1-based line in it (the row, for a source without lines); None when it is of the whole.
        reason: what was found and what was done.
    """

    path: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        where = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{where}: {self.reason}"


Note = Callable[[Adjustment], None]
"""Where a loader hands each adjustment."""


@frozen
class LoadReport:
    """Everything a load adjusted, in the order it was found. Empty when the data were taken as they are."""

    adjustments: tuple[Adjustment, ...] = ()

    def lines(self) -> list[str]:
        """A line for each adjustment; what is of whole files and the same in several is one line."""
        alike: dict[str, list[str]] = {}
        for adjustment in self.adjustments:
            key = str(adjustment)
            if adjustment.line is None:
                symbol, found, rest = adjustment.reason.partition(": ")
                key = rest if found else adjustment.reason
                alike.setdefault(key, []).append(symbol if found else adjustment.path)
            else:
                alike.setdefault(key, [])
        return [f"{', '.join(names)}: {text}" if names else text for text, names in alike.items()]

    def __str__(self) -> str:
        return "\n".join(map(str, self.adjustments))


@frozen
class Origin:
    """Where rows came from: a source, the line of each row in it, and the symbol they are of."""

    path: str
    lines: Sequence[int]
    symbol: str = ""

    def error(self, row: int, reason: str) -> DataError:
        """The refusal of one row, by its index."""
        return DataError(self.path, reason, self.lines[row])

    def adjusted(self, row: int, reason: str) -> Adjustment:
        """The adjustment of one row, by its index."""
        return Adjustment(self.path, self.lines[row], reason)

    def take(self, rows: Sequence[int]) -> Origin:
        return Origin(self.path, [self.lines[row] for row in rows], self.symbol)

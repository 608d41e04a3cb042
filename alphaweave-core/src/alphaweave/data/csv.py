"""Bars from a CSV file."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from alphaweave.core.errors import DataError
from alphaweave.data.columns import Columns, find_columns
from alphaweave.data.report import Adjustment, Note, Origin
from alphaweave.data.stamps import DateOrder, read_stamps
from alphaweave.data.table import RawBars, Table

if TYPE_CHECKING:
    from _csv import Reader

__all__ = ["read_csv", "read_csv_header"]

_ENCODING: Final = "utf-8-sig"
_DELIMITERS: Final = ",;\t|"
_HEADER_LINES: Final = 16
# Long enough to amortise a call, short enough that the cells of a chunk stay in the cache.
_CHUNK: Final = 1 << 18
# More different numbers than this are on no grid; remembering them would only cost memory.
_FLOATS: Final = 100_000
_NO_NUMBER: Final = frozenset({"", "nan", "na", "n/a", "#n/a", "null", "none", "nil", "-", "--"})
_DRESSED: Final = re.compile(r"([+-]?)\$?(\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?)")
_SUFFIXED: Final = re.compile(r"(\d+(?:\.\d*)?)([KMB])", re.IGNORECASE)
_SUFFIXES: Final = {"k": 10**3, "m": 10**6, "b": 10**9}


@frozen
class _Layout:
    """What precedes the rows: the header, and how many physical lines it takes."""

    delimiter: str
    header: tuple[str, ...]
    header_line: int
    skip: int
    named: str | None


def read_csv_header(path: Path) -> tuple[str, ...]:
    """The texts of the header.

    Raises:
        DataError: an empty file, or one that is no text.
    """
    with _reading(path):
        return _layout(path).header


def read_csv(path: Path, named: Mapping[str, str] | None, order: DateOrder | None, note: Note) -> Table:
    """Read a file: comma, semicolon, tab or bar between fields, a header, perhaps a second one that
    repeats the symbol, one row a bar.

    Raises:
        DataError: a file that is empty or no text, a column that is missing, a row with too few or too
            many fields, a field that is not a number, a stamp that is not a date.
    """
    with _reading(path):
        layout = _layout(path)
        columns = find_columns(layout.header, named, str(path), layout.header_line)
        cells = _read_plain(path, layout, columns) or _read_any(path, layout, columns, note)
    if layout.skip > layout.header_line and layout.named:
        reason = f"a second header row naming {layout.named}; skipped"
        note(Adjustment(str(path), layout.header_line + 1, reason))
    origin = Origin(str(path), cells.lines)
    numbers = cells.numbers
    bars = RawBars(
        origin=origin,
        stamps=read_stamps(cells.stamps, origin, order),
        open=numbers[columns.open],
        high=numbers[columns.high],
        low=numbers[columns.low],
        close=numbers[columns.close],
        volume=None if columns.volume is None else numbers[columns.volume],
        adj_close=None if columns.adj_close is None else numbers[columns.adj_close],
    )
    return Table(bars, cells.symbols if columns.symbol is not None else None, layout.named)


class _Floats(dict[str, float]):
    """Numbers read before: prices repeat on their tick grid, and a look-up beats a conversion."""

    def __missing__(self, text: str) -> float:
        number = self[text] = float(text)
        return number


class _Cells:
    """The fields of the rows, by column."""

    __slots__ = ("lines", "numbers", "stamps", "symbols")

    def __init__(self, columns: Columns, lines: Sequence[int]) -> None:
        fields = (*columns.prices, columns.volume, columns.adj_close)
        self.numbers: dict[int, array[float]] = {i: array("d") for i in fields if i is not None}
        self.stamps: list[str] = []
        self.symbols: list[str] = []
        self.lines = lines


def _layout(path: Path) -> _Layout:
    with path.open(encoding=_ENCODING) as handle:
        lines = list(islice(handle, _HEADER_LINES))
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise DataError(path, "the file is empty")
    delimiter = max(_DELIMITERS, key=lines[first].count)
    reader = csv.reader(lines[first:], delimiter=delimiter)
    rows = [[text.strip() for text in row] for row in _rows(reader, path, first)]
    header, skip, named = rows[0], first + 1, None
    symbols = _second_header(rows[1]) if len(rows) > 1 else None
    if symbols:
        if len(symbols) > 1:
            listing = ", ".join(sorted(symbols))
            raise DataError(
                path, f"several symbols side by side ({listing}); write a file for each", skip + 1
            )
        named, skip = symbols.pop(), skip + 1
        if rows[1][0].lower() == "ticker" and header[0].lower() == "price":
            # yfinance names its columns "Price"; the first of them has the dates under it.
            header[0] = "date"
        if len(rows) > 2 and rows[2][0].lower() in {"date", "datetime"} and not any(rows[2][1:]):
            skip += 1
    return _Layout(delimiter, tuple(header), first + 1, skip, named)


def _second_header(row: Sequence[str]) -> set[str] | None:
    """The symbols in a row that repeats them under the header, as yfinance writes it; else None."""
    texts = set(row[1:])
    if not row or row[0].lower() not in {"", "ticker", "symbol"} or not texts:
        return None
    return None if any(text.lower() in _NO_NUMBER or _is_number(text) for text in texts) else texts


def _read_plain(path: Path, layout: _Layout, columns: Columns) -> _Cells | None:
    """Read a file without quotes or holes, a chunk at a time; None if it is not as plain."""
    delimiter, width = layout.delimiter, len(layout.header)
    cells = _Cells(columns, ())
    floats = _Floats()
    number: Callable[[str], float] = floats.__getitem__
    with path.open(encoding=_ENCODING) as handle:
        for _ in range(layout.skip):
            next(handle)
        while lines := handle.readlines(_CHUNK):
            text = "".join(lines)
            if '"' in text or "_" in text or set(map(str.count, lines, repeat(delimiter))) != {width - 1}:
                return None
            flat = text.removesuffix("\n").replace("\n", delimiter).split(delimiter)
            try:
                for position, column in cells.numbers.items():
                    column.extend(map(number, flat[position::width]))
            except ValueError:
                return None
            if len(floats) > _FLOATS:
                number = float
            cells.stamps.extend(_joined(*(flat[position::width] for position in columns.time)))
            if columns.symbol is not None:
                cells.symbols.extend(map(str.strip, flat[columns.symbol :: width]))
    cells.lines = range(layout.skip + 1, layout.skip + 1 + len(cells.stamps))
    return cells


def _joined(dates: list[str], clocks: list[str] | None = None) -> list[str]:
    return dates if clocks is None else list(map(" ".join, zip(dates, clocks, strict=True)))


def _read_any(path: Path, layout: _Layout, columns: Columns, note: Note) -> _Cells:
    """Read any file row by row, and say what is wrong with it and where."""
    lines: list[int] = []
    cells = _Cells(columns, lines)
    dressed: dict[int, str] = {}
    with path.open(encoding=_ENCODING, newline="") as handle:
        for _ in range(layout.skip):
            next(handle)
        reader = csv.reader(handle, delimiter=layout.delimiter, skipinitialspace=True, strict=True)
        for row in _rows(reader, path, layout.skip):
            line = layout.skip + reader.line_num
            if not row:
                continue
            if len(row) != len(layout.header):
                reason = f"{len(row)} fields where the header has {len(layout.header)}"
                raise DataError(path, reason, line)
            texts = [text.strip() for text in row]
            if not any(texts):
                note(Adjustment(str(path), line, "a row without anything in it; dropped"))
                continue
            lines.append(line)
            cells.stamps.append(" ".join(texts[position] for position in columns.time).strip())
            if columns.symbol is not None:
                cells.symbols.append(texts[columns.symbol])
            for position, column in cells.numbers.items():
                text = texts[position]
                try:
                    number = _number(text)
                    if number is None:
                        number = _dressed_number(text, layout.delimiter, position == columns.volume)
                        dressed.setdefault(line, text)
                except ValueError as error:
                    raise DataError(path, f"{layout.header[position]}: {error}", line) from None
                column.append(number)
    if dressed:
        line, text = next(iter(dressed.items()))
        reason = f"numbers written like {text!r}, in {len(dressed)} rows; read without the marks"
        note(Adjustment(str(path), line, reason))
    return cells


def _rows(reader: Reader, path: Path, skip: int) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise DataError(path, f"not CSV: {error}", skip + reader.line_num) from None


def _is_number(text: str) -> bool:
    return _number(text) is not None or _DRESSED.fullmatch(text) is not None


def _number(text: str) -> float | None:
    """A number as every program writes it; NaN where none is written; None for anything else."""
    if text.lower() in _NO_NUMBER:
        return float("nan")
    try:
        # Python alone reads 1_000 as a thousand.
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _dressed_number(text: str, delimiter: str, volume: bool) -> float:
    """A number as people read it: ``$118.69``, ``59,940,900``, a volume of ``1.2M``.

    Raises:
        ValueError: for anything else.
    """
    suffixed = _SUFFIXED.fullmatch(text) if volume else None
    if suffixed:
        return float(suffixed[1]) * _SUFFIXES[suffixed[2].lower()]
    match = _DRESSED.fullmatch(text)
    # Where commas do not part the fields, one inside a number may well be a decimal comma.
    if match is None or ("," in text and delimiter != ","):
        comma = " (a decimal comma is not read)" if "," in text else ""
        raise ValueError(f"{text!r} is not a number{comma}")
    return float(match[1] + match[2].replace(",", ""))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise DataError(path, "not UTF-8 text; save it as CSV in UTF-8") from None
    except OSError as error:
        raise DataError(path, error.strerror or "cannot be read") from None

"""Bars from files and folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from alphaweave.core.errors import DataError
from alphaweave.data.columns import has_symbols
from alphaweave.data.csv import read_csv, read_csv_header
from alphaweave.data.parquet import read_parquet, read_parquet_header
from alphaweave.data.report import Adjustment, LoadReport, Note
from alphaweave.data.rules import settle
from alphaweave.data.series import Series
from alphaweave.data.spans import Rules
from alphaweave.data.stamps import DateOrder
from alphaweave.data.table import RawBars, Table

__all__ = ["LoadedBars", "load_bars"]

_CSV: Final = frozenset({".csv", ".tsv", ".txt"})
_PARQUET: Final = frozenset({".parquet", ".pq"})
# What people add to a symbol in a file name: the interval, or that it holds bars.
_ADDED: Final = re.compile(
    r"[ _-](?:daily|day|hourly|hour|minute|min|weekly|ohlcv?|bars|prices|history"
    r"|\d+(?:s|sec|m|min|h|hour|d|day|w)|[mhdw]\d+)$",
    re.IGNORECASE,
)


class LoadedBars(dict[str, Series]):
    """Symbol to series, in the order asked for.

    Attributes:
        report: what was adjusted on the way in; worth showing to whoever runs on these bars.
    """

    __slots__ = ("report",)

    def __init__(self, series: Mapping[str, Series], report: LoadReport) -> None:
        super().__init__(series)
        self.report = report


def load_bars(
    path: str | Path,
    symbols: str | Iterable[str] | None = None,
    *,
    interval: str | None = None,
    timezone: str = "UTC",
    stamp: Literal["start", "end"] = "start",
    columns: Mapping[str, str] | None = None,
    date_order: DateOrder | None = None,
    adjust: bool = False,
) -> LoadedBars:
    """Load the bars of a CSV or Parquet file, or of every such file in a folder.

    A file is of the symbols in its symbol column; without one, of the symbol its name begins with
    (``SPY_daily.csv`` is SPY), or of ``symbols`` when one file and one symbol are given. What is
    adjusted and what is refused is stated in :mod:`alphaweave.data.rules`.

    Args:
        symbols: which to load; None loads all there are.
        interval: of the bars, such as ``1d`` or ``5m``; None takes the most common spacing.
        timezone: IANA name; stamps without an offset are read on its clock, and daily bars span its
            days. A daily bar is of the date that is written; that of an epoch is the date in this zone.
        stamp: whether stamps are the start or the end of their bars.
        columns: fields (time, open, high, low, close, volume, adj_close, symbol) to header texts, for
            headers that are not understood by themselves.
        date_order: how to read ``03/04/2020``: ``mdy`` or ``dmy``; None refuses where no date tells.
        adjust: multiply the prices by adjusted close / close.

    Raises:
        DataError: the data break a rule, a symbol is missing or is there twice.
        ValueError: an argument cannot be read.
    """
    rules = Rules.parse(interval=interval, timezone=timezone, stamp=stamp, adjust=adjust)
    root = Path(path)
    asked = (symbols,) if isinstance(symbols, str) else symbols
    wanted = None if asked is None else tuple(dict.fromkeys(asked))
    adjustments: list[Adjustment] = []
    note = adjustments.append
    found: dict[str, Series] = {}
    sources: dict[str, Path] = {}
    for file in _files(root, wanted, columns):
        table = _read(file, columns, date_order, note)
        for symbol, raw in _by_symbol(table, file, wanted if file == root else None, note):
            if wanted is not None and symbol not in wanted:
                continue
            if symbol in found:
                raise DataError(file, f"{symbol} is in {sources[symbol].name} too; keep one of them")
            found[symbol] = settle(symbol, raw, rules, note)
            sources[symbol] = file
    missing = [symbol for symbol in wanted or () if symbol not in found]
    if missing:
        raise DataError(root, f"no bars of {', '.join(missing)}; there are {_listing(found, root)}")
    return LoadedBars({symbol: found[symbol] for symbol in wanted or found}, LoadReport(tuple(adjustments)))


def _files(root: Path, wanted: Sequence[str] | None, columns: Mapping[str, str] | None) -> Iterator[Path]:
    """The files to read, those named after a wanted symbol first."""
    if not root.exists():
        raise DataError(root, "no such file or folder")
    if not root.is_dir():
        if not root.is_file():
            # Reading a pipe or a device may last for ever.
            raise DataError(root, "not a regular file; copy the bars into one")
        yield root
        return
    files = sorted(file for file in root.iterdir() if _is_bars(file))
    if not files:
        raise DataError(root, "no CSV or Parquet file in this folder")
    if wanted is None:
        yield from files
        return
    named = [file for file in files if _symbol_of(file) in wanted]
    yield from named
    if len({_symbol_of(file) for file in named}) < len(wanted):
        # What is still missing may stand in a file of many symbols, whatever its name.
        yield from (file for file in files if file not in named and has_symbols(_header(file), columns))


def _is_bars(file: Path) -> bool:
    return file.suffix.lower() in _CSV | _PARQUET and not file.name.startswith(".") and file.is_file()


def _symbol_of(file: Path) -> str:
    """A file's name without its ending and without what people add to a symbol."""
    name, shorter = "", file.stem
    while name != shorter:
        name, shorter = shorter, _ADDED.sub("", shorter)
    return name


def _header(file: Path) -> Sequence[str]:
    """The header of a file nobody asked for; one that cannot be read has none."""
    try:
        return read_parquet_header(file) if file.suffix.lower() in _PARQUET else read_csv_header(file)
    except DataError:
        return ()


def _read(file: Path, columns: Mapping[str, str] | None, order: DateOrder | None, note: Note) -> Table:
    suffix = file.suffix.lower()
    if suffix in _PARQUET:
        return read_parquet(file, columns, order)
    if suffix in _CSV:
        return read_csv(file, columns, order, note)
    raise DataError(file, f"bars are read from {', '.join(sorted(_CSV | _PARQUET))} files")


def _by_symbol(
    table: Table, file: Path, asked: Sequence[str] | None, note: Note
) -> Iterator[tuple[str, RawBars]]:
    """The rows of each symbol. ``asked`` is what one file, not a folder, was asked for."""
    if table.symbols is None:
        yield _symbol_of_all(table, file, asked, note), table.bars
        return
    rows: dict[str, list[int]] = {}
    for row, symbol in enumerate(table.symbols):
        rows.setdefault(symbol, []).append(row)
    if "" in rows:
        raise table.bars.origin.error(rows[""][0], "a row without a symbol")
    for symbol, taken in rows.items():
        yield symbol, table.bars if len(rows) == 1 else table.bars.take(taken)


def _symbol_of_all(table: Table, file: Path, asked: Sequence[str] | None, note: Note) -> str:
    own = _symbol_of(file)
    symbol = asked[0] if asked is not None and len(asked) == 1 else own
    if table.named is not None and _bare(table.named) != _bare(symbol):
        raise DataError(
            file,
            f"its header says {table.named}, but it is read as {symbol}; "
            "rename the file, or ask for that symbol alone",
        )
    if table.named is None and symbol != own:
        note(Adjustment(str(file), None, f"read as {symbol}, though its name says {own}"))
    return symbol


def _bare(symbol: str) -> str:
    """What is left when vendors' punctuation is dropped: ^NDX and NDX, BTC-USD and BTCUSD are the same."""
    return re.sub("[^A-Z0-9]", "", symbol.upper())


def _listing(found: Mapping[str, Series], root: Path) -> str:
    names = (
        {*found, *(_symbol_of(file) for file in root.iterdir() if _is_bars(file))} if root.is_dir() else found
    )
    return ", ".join(sorted(names)) or "none"

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
from alphaweave.data.table import Table

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
    stream: bool = False,
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
        stream: read Parquet files a piece at a time into a temporary file, and hand out columns that are
            mapped from it, so that they need not fit into memory. Bars are of less than a day, ``interval``
            is given, and rows come in rising order of time. The series are not to be appended to.

    Raises:
        DataError: the data break a rule, a symbol is missing or is there twice.
        ValueError: an argument cannot be read.
    """
    rules = Rules.parse(interval=interval, timezone=timezone, stamp=stamp, adjust=adjust)
    if stream and (rules.interval is None or rules.interval.days is not None):
        raise ValueError(f"a stream needs the interval of its bars, less than a day, not {interval!r}")
    root = Path(path)
    asked = (symbols,) if isinstance(symbols, str) else symbols
    wanted = None if asked is None else tuple(dict.fromkeys(asked))
    adjustments: list[Adjustment] = []
    note = adjustments.append
    found: dict[str, Series] = {}
    sources: dict[str, Path] = {}
    for file in _files(root, wanted, columns):
        asked_here = wanted if file == root else None
        if stream:
            bars = _streamed(file, asked_here, wanted, columns, date_order, rules, note)
        else:
            bars = _settled(file, asked_here, wanted, columns, date_order, rules, note)
        for one in bars:
            if one.symbol in found:
                raise DataError(file, f"{one.symbol} is in {sources[one.symbol].name} too; keep one of them")
            found[one.symbol] = one
            sources[one.symbol] = file
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


def _settled(  # noqa: PLR0917 - the arguments of a load
    file: Path,
    asked: Sequence[str] | None,
    wanted: Sequence[str] | None,
    columns: Mapping[str, str] | None,
    order: DateOrder | None,
    rules: Rules,
    note: Note,
) -> Iterator[Series]:
    """The series of a file that is read whole; ``asked`` is what one file, not a folder, was asked for."""
    table = _read(file, columns, order, note)
    alone = "" if table.symbols is not None else _symbol_of_all(table.named, file, asked, note)
    for symbol, raw in table.by_symbol(alone, wanted):
        yield settle(symbol, raw, rules, note)


def _streamed(  # noqa: PLR0917 - the arguments of a load
    file: Path,
    asked: Sequence[str] | None,
    wanted: Sequence[str] | None,
    columns: Mapping[str, str] | None,
    order: DateOrder | None,
    rules: Rules,
    note: Note,
) -> Iterator[Series]:
    """The same of a file that is read a piece at a time."""
    if file.suffix.lower() not in _PARQUET:
        raise DataError(file, "a stream reads Parquet; write the bars as such, or leave `stream` out")
    alone = ""
    if not has_symbols(read_parquet_header(file), columns):
        alone = _symbol_of_all(None, file, asked, note)
    # Most loads are of files that fit into memory.
    from alphaweave.data.streaming import stream_parquet

    yield from stream_parquet(file, alone, wanted, columns, order, rules, note)


def _symbol_of_all(named: str | None, file: Path, asked: Sequence[str] | None, note: Note) -> str:
    """The symbol of a file that has no column of them; ``named`` is what its header says, if it does."""
    own = _symbol_of(file)
    symbol = asked[0] if asked is not None and len(asked) == 1 else own
    if named is not None and _bare(named) != _bare(symbol):
        raise DataError(
            file,
            f"its header says {named}, but it is read as {symbol}; "
            "rename the file, or ask for that symbol alone",
        )
    if named is None and symbol != own:
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

"""Bars from a Parquet file. Needs pyarrow, which the extra ``[parquet]`` brings."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alphaweave.core.errors import DataError
from alphaweave.data.columns import Columns, find_columns
from alphaweave.data.report import Origin
from alphaweave.data.stamps import DateOrder, Stamps, read_stamps
from alphaweave.data.table import RawBars, Table

__all__ = ["count_parquet_rows", "read_parquet", "read_parquet_header", "read_parquet_pieces"]

# Without a buffer, the columns of a group of rows, which may be all there are, are read at once.
_BUFFER: Final = 1 << 16


def read_parquet_header(path: Path) -> tuple[str, ...]:
    """The names of the columns.

    Raises:
        DataError: pyarrow is not installed, or the file is not Parquet.
    """
    with _reading(path) as file:
        return tuple(file.schema_arrow.names)


def read_parquet(path: Path, named: Mapping[str, str] | None, order: DateOrder | None) -> Table:
    """Read a file; the line of a row is its number, counted from 1.

    Timestamps and dates are taken as they are, with the time zone of their type if it has one; texts
    and whole numbers are read as those of a CSV file are.

    Raises:
        DataError: pyarrow is not installed, the file is not Parquet, a column is missing or holds
            something else than numbers, a stamp is missing or is not a date.
    """
    with _reading(path) as file:
        header = tuple(file.schema_arrow.names)
        columns = find_columns(header, named, str(path), None)
        table = file.read(columns=_needed(header, columns))
        return _table(table, header, columns, Origin(str(path), range(1, table.num_rows + 1)), order)


def read_parquet_pieces(
    path: Path, named: Mapping[str, str] | None, order: DateOrder | None, rows: int
) -> Iterator[Table]:
    """The same, not more than so many rows at a time.

    Raises:
        DataError: as `read_parquet`, when it comes to the piece.
    """
    with _reading(path, buffer_size=_BUFFER) as file:
        header = tuple(file.schema_arrow.names)
        columns = find_columns(header, named, str(path), None)
        done = 0
        for batch in _batches(file, rows, _needed(header, columns)):
            import pyarrow as pa

            lines = range(done + 1, done + batch.num_rows + 1)
            done += batch.num_rows
            yield _table(pa.Table.from_batches([batch]), header, columns, Origin(str(path), lines), order)


def count_parquet_rows(path: Path, named: Mapping[str, str] | None, rows: int) -> Counter[str | None]:
    """How many rows each symbol has, the symbol of a file without such a column being None.

    Raises:
        DataError: as `read_parquet`.
    """
    with _reading(path, buffer_size=_BUFFER) as file:
        header = tuple(file.schema_arrow.names)
        position = find_columns(header, named, str(path), None).symbol
        if position is None:
            return Counter({None: file.metadata.num_rows})
        found: Counter[str | None] = Counter()
        for batch in _batches(file, rows, [header[position]]):
            found.update(_texts(batch.column(0)))
        return found


def _batches(file: Any, rows: int, columns: list[str]) -> Iterator[Any]:
    """Not more than so many rows at a time, of a few groups of rows at once: it takes a buffer for each."""
    groups: list[int] = []
    counted = 0
    for group in range(file.num_row_groups):
        groups.append(group)
        counted += file.metadata.row_group(group).num_rows
        if counted >= rows or group == file.num_row_groups - 1:
            yield from file.iter_batches(batch_size=rows, row_groups=groups, columns=columns)
            groups, counted = [], 0


def _needed(header: Sequence[str], columns: Columns) -> list[str]:
    optional = (columns.volume, columns.adj_close, columns.symbol)
    needed = {*columns.time, *columns.prices, *(i for i in optional if i is not None)}
    return [header[i] for i in sorted(needed)]


def _table(
    table: Any, header: Sequence[str], columns: Columns, origin: Origin, order: DateOrder | None
) -> Table:
    def numbers(position: int) -> array[float]:
        return _numbers(table.column(header[position]), header[position], origin.path)

    stamps = [table.column(header[position]) for position in columns.time]
    bars = RawBars(
        origin=origin,
        stamps=_stamps(stamps[0], origin, order)
        if len(stamps) == 1
        else read_stamps(list(map(" ".join, zip(*map(_texts, stamps), strict=True))), origin, order),
        open=numbers(columns.open),
        high=numbers(columns.high),
        low=numbers(columns.low),
        close=numbers(columns.close),
        volume=None if columns.volume is None else numbers(columns.volume),
        adj_close=None if columns.adj_close is None else numbers(columns.adj_close),
    )
    return Table(bars, None if columns.symbol is None else _texts(table.column(header[columns.symbol])))


def _stamps(column: Any, origin: Origin, order: DateOrder | None) -> Stamps:
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise origin.error(row, "a row without a date")
    if not pa.types.is_timestamp(column.type):
        return read_stamps(_texts(column), origin, order)
    if column.type.tz is None:
        return Stamps(_nanoseconds(column), None)
    return Stamps(_nanoseconds(pc.local_timestamp(column)), _nanoseconds(column))


def _nanoseconds(column: Any) -> array[int]:
    import pyarrow as pa

    counts = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
    return array("q", counts.to_numpy().tobytes())


def _numbers(column: Any, name: str, path: str) -> array[float]:
    import pyarrow as pa

    try:
        return array("d", column.cast(pa.float64()).to_numpy().tobytes())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(path, f"column {name!r} does not hold numbers: {error}") from None


def _texts(column: Any) -> list[str]:
    return ["" if value is None else str(value).strip() for value in column.to_pylist()]


@contextmanager
def _reading(path: Path, **options: Any) -> Iterator[Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError(
            path, "reading Parquet needs pyarrow; install it with pip install 'alphaweave-core[parquet]'"
        ) from None
    try:
        with pq.ParquetFile(path, **options) as file:
            yield file
    except pa.ArrowException as error:
        raise DataError(path, f"not a Parquet file that can be read: {error}") from None
    except OSError as error:
        raise DataError(path, error.strerror or f"cannot be read: {error}") from None

"""A series from data already in memory."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from alphaweave.core.errors import DataError
from alphaweave.data.columns import find_columns
from alphaweave.data.report import Adjustment, Note, Origin
from alphaweave.data.rules import settle
from alphaweave.data.series import Series
from alphaweave.data.spans import Rules
from alphaweave.data.stamps import DateOrder, Stamps, read_datetimes, read_stamps
from alphaweave.data.table import RawBars

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["series_from_frame", "series_of"]

_INDEX: Final = "<index>"


def series_from_frame(
    symbol: str,
    frame: pd.DataFrame | Mapping[str, Any],
    *,
    interval: str | None = None,
    timezone: str = "UTC",
    stamp: Literal["start", "end"] = "start",
    columns: Mapping[str, str] | None = None,
    date_order: DateOrder | None = None,
    adjust: bool = False,
    note: Note | None = None,
) -> Series:
    """Turn a DataFrame, or a mapping of column names to arrays, into a series.

    The arguments and the rules are those of ``load_bars``; the line in an error is the row, counted
    from 1. The index of a DataFrame holds the stamps unless it is an index of numbers. Of a frame with
    a symbol column, or with a level of symbols over its columns, the rows or columns of ``symbol`` are
    taken.

    Args:
        note: is handed each adjustment; None lets them pass.

    Raises:
        DataError: the data break a rule.
        ValueError: an argument cannot be read.
    """
    rules = Rules.parse(interval=interval, timezone=timezone, stamp=stamp, adjust=adjust)
    path = f"frame of {symbol}"
    table, named = _columns_of(symbol, frame, columns, path)
    header, values = tuple(table), tuple(table.values())
    found = find_columns(header, named, path, None)
    rows = len(values[found.close])
    for name, column in table.items():
        if len(column) != rows:
            raise DataError(path, f"column {name!r} has {len(column)} rows, the close has {rows}")
    origin = Origin(path, range(1, rows + 1))
    times = [values[position] for position in found.time]
    bars = RawBars(
        origin=origin,
        stamps=_stamps(times[0], origin, date_order)
        if len(times) == 1
        else read_stamps([f"{day} {clock}" for day, clock in zip(*times, strict=True)], origin, date_order),
        open=_numbers(values[found.open], header[found.open], path),
        high=_numbers(values[found.high], header[found.high], path),
        low=_numbers(values[found.low], header[found.low], path),
        close=_numbers(values[found.close], header[found.close], path),
        volume=None if found.volume is None else _numbers(values[found.volume], header[found.volume], path),
        adj_close=None
        if found.adj_close is None
        else _numbers(values[found.adj_close], header[found.adj_close], path),
    )
    if found.symbol is not None:
        bars = bars.take([row for row, name in enumerate(values[found.symbol]) if str(name) == symbol])
    return settle(symbol, bars, rules, note or _pass)


def series_of(data: Series | pd.DataFrame | Mapping[str, Series | pd.DataFrame]) -> dict[str, Series]:
    """Whatever bars are at hand, as symbol to series. A DataFrame without a symbol is ``ASSET``.

    Raises:
        DataError: a frame breaks a rule of ``series_from_frame``, or there is none.
    """
    if isinstance(data, Series):
        return {data.symbol: data}
    named = data if isinstance(data, Mapping) else {"ASSET": data}
    if not named:
        raise DataError("data", "no symbol has bars; give a DataFrame, or symbol -> DataFrame")
    for symbol, bars in named.items():
        if not isinstance(bars, Series) and not hasattr(bars, "columns"):
            raise DataError(str(symbol), f"bars are a Series or a DataFrame, not a {type(bars).__name__}")
    return {
        symbol: bars if isinstance(bars, Series) else series_from_frame(symbol, bars)
        for symbol, bars in named.items()
    }


def _columns_of(
    symbol: str, frame: Any, columns: Mapping[str, str] | None, path: str
) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The columns by name, the index among them if it holds the stamps."""
    named = dict(columns or {})
    if isinstance(frame, Mapping):
        return dict(frame), named
    if frame.columns.nlevels > 1:
        level = next((n for n in range(frame.columns.nlevels) if symbol in frame.columns.unique(n)), None)
        if level is None or frame.columns.nlevels > 2:
            raise DataError(path, f"no level of its columns has {symbol}")
        frame = frame.xs(symbol, axis=1, level=level)
    table = {str(name): frame[name] for name in frame.columns}
    if frame.index.dtype.kind not in "iufb":
        table[_INDEX] = frame.index
        named.setdefault("time", _INDEX)
    return table, named


def _stamps(values: Any, origin: Origin, order: DateOrder | None) -> Stamps:
    import numpy as np

    if getattr(getattr(values, "dtype", None), "tz", None) is not None:
        import pandas as pd

        index = pd.DatetimeIndex(values)
        wall = _instants(index.tz_localize(None).to_numpy(), origin)
        return Stamps(wall, _instants(index.tz_convert("UTC").tz_localize(None).to_numpy(), origin))
    plain = np.asarray(values)
    if plain.dtype.kind == "M":
        return Stamps(_instants(plain, origin), None)
    if plain.dtype.kind == "O" and len(plain) and not isinstance(plain[0], str | int):
        return read_datetimes(plain.tolist(), origin)
    return read_stamps([str(value).strip() for value in plain.tolist()], origin, order)


def _instants(values: Any, origin: Origin) -> array[int]:
    import numpy as np

    absent = np.flatnonzero(np.isnat(values))
    if len(absent):
        raise origin.error(int(absent[0]), "a row without a date")
    return array("q", values.astype("M8[ns]").astype("int64").tobytes())


def _numbers(values: Any, name: str, path: str) -> array[float]:
    import numpy as np

    try:
        return array("d", np.asarray(values, dtype="float64").tobytes())
    except (TypeError, ValueError) as error:
        raise DataError(path, f"column {name!r} does not hold numbers: {error}") from None


def _pass(adjustment: Adjustment) -> None:
    """Let an adjustment pass."""

"""Parquet files: types, time zones, and what is missing."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alphaweave.core.errors import DataError
from alphaweave.data.loaders import load_bars
from alphaweave.data.series import Series

DAYS = [date(2020, 11, 19), date(2020, 11, 20)]
MIDNIGHTS = [datetime(2020, 11, 19), datetime(2020, 11, 20)]  # noqa: DTZ001 - naive on purpose
PRICES = [1.0, 2.0]


def save(path: Path, time: Any, **columns: Any) -> Path:
    """Write two bars; ``time`` and any column may be of any type."""
    bars = dict.fromkeys(("Open", "High", "Low", "Close", "Volume"), PRICES)
    pq.write_table(pa.table({"Date": time, **bars, **columns}), path)
    return path


def load(path: Path, **options: Any) -> Series:
    """The one series of a file."""
    (series,) = load_bars(path, **options).values()
    return series


def starts(series: Series) -> list[str]:
    """When each bar begins, UTC."""
    series.cursor.count = len(series)
    return [f"{start:%m-%d %H:%M}" for start in series.window(9).start]


@pytest.mark.parametrize(
    "time",
    [
        pa.array(DAYS, pa.date32()),
        pa.array(DAYS, pa.date64()),
        pa.array(MIDNIGHTS, pa.timestamp("s")),
        pa.array(MIDNIGHTS, pa.timestamp("ms")),
        pa.array(MIDNIGHTS, pa.timestamp("ns")),
        pa.array(["2020-11-19", "2020-11-20"]),
        pa.array(["2020-11-19", "2020-11-20"]).dictionary_encode(),
        pa.array([20201119, 20201120]),
    ],
    ids=lambda time: str(time.type),
)
def test_parquet_reads_dates_of_any_type(tmp_path: Path, time: pa.Array) -> None:
    """A day is a day, whatever type it is stored in."""
    series = load(save(tmp_path / "SPY.parquet", time), timezone="America/New_York")
    assert (series.symbol, series.interval) == ("SPY", "1d")
    assert starts(series) == ["11-19 05:00", "11-20 05:00"]
    assert list(series.close) == PRICES


def test_parquet_takes_the_zone_of_a_timestamp(tmp_path: Path) -> None:
    """An instant is an instant; a daily bar is of the day that its own zone showed."""
    instants = [datetime(2020, 11, 18, 15, tzinfo=UTC), datetime(2020, 11, 19, 15, tzinfo=UTC)]
    time = pa.array(instants, pa.timestamp("us", "Asia/Tokyo"))
    path = save(tmp_path / "SPY.pq", time)
    assert starts(load(path)) == ["11-19 00:00", "11-20 00:00"]
    assert starts(load(path, interval="12h")) == ["11-18 15:00", "11-19 15:00"]


def test_parquet_reads_epochs(tmp_path: Path) -> None:
    """Whole numbers are epochs, as in a CSV file."""
    path = save(tmp_path / "SPY.parquet", pa.array([1605744000000, 1605830400000]))
    assert starts(load(path)) == ["11-19 00:00", "11-20 00:00"]


def test_parquet_reads_a_date_and_a_time_column_together(tmp_path: Path) -> None:
    """Where they stand apart they are one stamp."""
    path = save(tmp_path / "SPY.parquet", ["2020-11-19"] * 2, Time=["09:30", "09:31"])
    assert starts(load(path)) == ["11-19 09:30", "11-19 09:31"]


def test_parquet_reads_numbers_of_any_type(tmp_path: Path) -> None:
    """Integers, single precision, decimals and digits as text are numbers."""
    path = save(
        tmp_path / "SPY.parquet",
        DAYS,
        Open=pa.array([1, 2]),
        High=pa.array(PRICES, pa.float32()),
        Low=pa.array([Decimal("1.00"), Decimal("2.00")]),
        Close=pa.array(["1", "2.0"]),
    )
    series = load(path)
    columns = (series.open, series.high, series.low, series.close, series.volume)
    assert [list(column) for column in columns] == [PRICES] * 5


def test_parquet_splits_by_its_symbol_column(tmp_path: Path) -> None:
    """Many symbols in one file become a series each, found in a folder too."""
    save(tmp_path / "all.parquet", [DAYS[0]] * 2, symbol=["A", "B"])
    loaded = load_bars(tmp_path, ["B"], interval="1d")
    assert [(symbol, list(series.close)) for symbol, series in loaded.items()] == [("B", [2.0])]


def test_parquet_counts_rows_in_place_of_lines(tmp_path: Path) -> None:
    """A refusal names the row, counted from 1; an empty row is dropped as in a CSV file."""
    path = save(tmp_path / "SPY.parquet", DAYS, Low=[1.0, None])
    with pytest.raises(DataError, match="no number for low, but for the rest of the bar") as raised:
        load(path)
    assert (raised.value.path, raised.value.line) == (str(path), 2)
    nothing = {name: [1.0, None] for name in ("Open", "High", "Low", "Close", "Volume")}
    assert len(load(save(path, DAYS, **nothing), interval="1d")) == 1


@pytest.mark.parametrize(
    ("time", "columns", "reason", "line"),
    [
        ([DAYS[0], None], {}, "a row without a date", 2),
        (["2020-11-19", "later"], {}, "'later' is not a date", 2),
        (DAYS, {"Close": ["1", "two"]}, "column 'Close' does not hold numbers", None),
        (DAYS, {"Close": [DAYS, DAYS]}, "column 'Close' does not hold numbers", None),
    ],
)
def test_parquet_refuses_what_it_cannot_use(
    tmp_path: Path, time: Any, columns: dict[str, Any], reason: str, line: int | None
) -> None:
    """Each refusal names the file, and the row if there is one."""
    path = save(tmp_path / "SPY.parquet", time, **columns)
    with pytest.raises(DataError) as raised:
        load(path)
    assert reason in raised.value.reason
    assert (raised.value.path, raised.value.line) == (str(path), line)


def test_parquet_refuses_a_time_beyond_nanoseconds(tmp_path: Path) -> None:
    """A year that a count of nanoseconds cannot hold is refused, not wrapped round."""
    far = pa.array([datetime(2500, 1, 1), datetime(2500, 1, 2)], pa.timestamp("s"))  # noqa: DTZ001
    with pytest.raises(DataError, match="would result in out of bounds timestamp"):
        load(save(tmp_path / "SPY.parquet", far))


def test_parquet_refuses_a_missing_column(tmp_path: Path) -> None:
    """There is no header line to name, but the columns there are."""
    path = tmp_path / "SPY.parquet"
    pq.write_table(pa.table({"Date": DAYS, "Open": PRICES}), path)
    with pytest.raises(
        DataError, match="no column for high, low, close; the header has 'Date', 'Open'"
    ) as raised:
        load(path)
    assert raised.value.line is None


def test_parquet_refuses_another_file(tmp_path: Path) -> None:
    """A CSV file that was only renamed is told apart."""
    path = tmp_path / "SPY.parquet"
    path.write_text("date,open\n")
    with pytest.raises(DataError, match="not a Parquet file that can be read"):
        load(path)


def test_parquet_names_the_extra_that_brings_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyarrow the refusal says what to install."""
    path = save(tmp_path / "SPY.parquet", DAYS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        DataError, match=r"needs pyarrow; install it with pip install 'alphaweave-core\[parquet\]'"
    ):
        load(path)

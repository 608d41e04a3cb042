"""Series from data already in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.errors import DataError
from alphaweave.data.frames import series_from_frame, series_of
from alphaweave.data.report import Adjustment
from alphaweave.data.series import Series

DAYS = ["2020-11-19", "2020-11-20"]
BARS: dict[str, Sequence[Any]] = {
    "Open": [1.0, 2.0],
    "High": [4.0, 5.0],
    "Low": [0.5, 1.5],
    "Close": [2.0, 3.0],
    "Volume": [100, 200],
}


def starts(series: Series) -> list[str]:
    """When each bar begins, UTC."""
    series.cursor.count = len(series)
    return [f"{start:%m-%d %H:%M}" for start in series.window(99).start]


@pytest.mark.parametrize(
    "index",
    [
        pd.DatetimeIndex(DAYS),
        pd.DatetimeIndex(DAYS).as_unit("s"),
        pd.DatetimeIndex(DAYS).as_unit("ns"),
        pd.DatetimeIndex(DAYS, tz="America/New_York"),
        pd.DatetimeIndex(DAYS, tz="Asia/Tokyo"),
        pd.Index(DAYS),
        pd.Index([date(2020, 11, 19), date(2020, 11, 20)]),
    ],
    ids=["naive", "seconds", "nanoseconds", "New York", "Tokyo", "text", "dates"],
)
def test_frame_takes_stamps_from_its_index(index: pd.Index[Any]) -> None:
    """The index of a frame is its time; a day is the day that is written."""
    series = series_from_frame("SPY", pd.DataFrame(BARS, index=index), timezone="America/New_York")
    assert (series.symbol, series.interval) == ("SPY", "1d")
    assert starts(series) == ["11-19 05:00", "11-20 05:00"]
    columns = (series.open, series.high, series.low, series.close, series.volume)
    assert [list(column) for column in columns] == [list(column) for column in BARS.values()]


@pytest.mark.parametrize(
    "times",
    [
        DAYS,
        [date(2020, 11, 19), date(2020, 11, 20)],
        [datetime(2020, 11, 19), datetime(2020, 11, 20)],  # noqa: DTZ001 - naive on purpose
        [datetime(2020, 11, 19, tzinfo=UTC), datetime(2020, 11, 20, tzinfo=UTC)],
        [pd.Timestamp("2020-11-19"), pd.Timestamp("2020-11-20")],
        [1605744000, 1605830400],
        [1605744000.0, 1605830400.0],
        np.array(DAYS, dtype="M8[D]"),
        np.array([1605744000000, 1605830400000]),
        pd.Series(pd.DatetimeIndex(DAYS, tz="UTC")),
    ],
    ids=lambda times: type(times).__name__ + "-" + type(times[0]).__name__,
)
def test_frame_takes_stamps_from_a_column(times: Any) -> None:
    """A time column may hold whatever people keep dates in; a frame with numbered rows has one too."""
    expected = ["11-19 00:00", "11-20 00:00"]
    assert starts(series_from_frame("SPY", {"Date": times, **BARS})) == expected
    assert starts(series_from_frame("SPY", pd.DataFrame({"Date": times, **BARS}))) == expected


def test_frame_takes_aware_stamps_as_instants() -> None:
    """A zone in the index counts, whatever the zone of the call."""
    index = pd.DatetimeIndex(["2020-11-19 09:30", "2020-11-19 09:31"], tz="America/New_York")
    series = series_from_frame("SPY", pd.DataFrame(BARS, index=index), timezone="Asia/Tokyo")
    assert (series.interval, starts(series)) == ("1m", ["11-19 14:30", "11-19 14:31"])
    naive = series_from_frame("SPY", pd.DataFrame(BARS, index=index.tz_localize(None)), timezone="Asia/Tokyo")
    assert starts(naive) == ["11-19 00:30", "11-19 00:31"]


def test_frame_reads_a_date_and_a_time_column_together() -> None:
    """Where they stand apart they are one stamp."""
    frame = {"date": ["2020-11-19"] * 2, "time": ["09:30", "09:31"], **BARS}
    assert starts(series_from_frame("SPY", frame)) == ["11-19 09:30", "11-19 09:31"]


def test_frame_takes_the_rows_of_its_symbol() -> None:
    """Of a long table, the rows of one symbol."""
    frame = {"symbol": ["SPY", "QQQ"], "date": [DAYS[0]] * 2, **BARS}
    assert list(series_from_frame("QQQ", frame, interval="1d").close) == [3.0]
    with pytest.raises(DataError, match="IWM: there is not one bar"):
        series_from_frame("IWM", frame, interval="1d")


@pytest.mark.parametrize("symbol_first", [True, False])
def test_frame_takes_the_columns_of_its_symbol(symbol_first: bool) -> None:
    """Of a table with a level of symbols over its columns, the columns of one."""
    columns = {
        (symbol, name) if symbol_first else (name, symbol): [value * factor for value in values]
        for symbol, factor in (("SPY", 1), ("QQQ", 2))
        for name, values in BARS.items()
    }
    frame = pd.DataFrame(columns, index=pd.DatetimeIndex(DAYS))
    assert list(series_from_frame("QQQ", frame).close) == [4.0, 6.0]
    with pytest.raises(DataError, match="no level of its columns has IWM"):
        series_from_frame("IWM", frame)


def test_frame_follows_the_rules_of_files() -> None:
    """Rows are sorted, repeated ones dropped, options hold, and what was done is handed over."""
    frame = pd.DataFrame(
        {"when": ["11/20/2020", "11/19/2020", "11/20/2020"], "px": [3.0, 2.0, 3.0]}
        | {name: [3.0, 2.0, 3.0] for name in ("open", "high", "low")}
        | {"adj close": [6.0, 4.0, 6.0]}
    )
    noted: list[Adjustment] = []
    series = series_from_frame(
        "SPY",
        frame,
        interval="1d",
        stamp="end",
        columns={"time": "when", "close": "px"},
        date_order="mdy",
        adjust=True,
        note=noted.append,
    )
    assert list(series.close) == [4.0, 6.0]
    assert starts(series) == ["11-19 00:00", "11-20 00:00"]
    assert [(note.path, note.line, note.reason) for note in noted] == [
        ("frame of SPY", None, "there is no volume; every bar has volume 0"),
        ("frame of SPY", 2, "1 rows are earlier than the row before; sorted by time"),
        ("frame of SPY", 3, "the same bar as line 1; dropped"),
    ]


@pytest.mark.parametrize(
    ("frame", "reason", "line"),
    [
        ({"date": DAYS, **BARS, "Close": [2.0, -3.0]}, "close is -3.0; a price must be above 0", 2),
        ({"date": DAYS, **BARS, "Close": [2.0, None]}, "no number for close", 2),
        ({"date": DAYS, **BARS, "Close": [2.0, "x"]}, "column 'Close' does not hold numbers", None),
        ({"date": DAYS, **BARS, "Low": [0.5]}, "column 'Low' has 1 rows, the close has 2", None),
        ({"date": [DAYS[0], "soon"], **BARS}, "'soon' is not a date", 2),
        ({"date": [date(2020, 11, 19), None], **BARS}, "None is not a date", 2),
        ({"date": np.array([DAYS[0], "NaT"], dtype="M8[s]"), **BARS}, "a row without a date", 2),
        (pd.DataFrame(BARS, index=pd.DatetimeIndex([DAYS[0], None], tz="UTC")), "a row without a date", 2),
        (pd.DataFrame(BARS, index=pd.DatetimeIndex([DAYS[0], None])), "a row without a date", 2),
        (BARS, "no column for time; the header has 'Open', 'High', 'Low', 'Close', 'Volume'", None),
        (pd.DataFrame(BARS), "no column for time", None),
        ({"date": [], **{name: [] for name in BARS}}, "SPY: there is not one bar", None),
    ],
)
def test_frame_refuses_what_it_cannot_use(frame: Any, reason: str, line: int | None) -> None:
    """Each refusal names the frame, and the row counted from 1."""
    with pytest.raises(DataError) as raised:
        series_from_frame("SPY", frame)
    assert reason in raised.value.reason
    assert (raised.value.path, raised.value.line) == ("frame of SPY", line)


def test_frame_leaves_its_data_alone() -> None:
    """What a series does to its columns does not reach the arrays it was made from."""
    close = np.array([2.0, 3.0])
    series = series_from_frame("SPY", {"date": DAYS, **BARS, "Close": close})
    series.close[0] = 9.0
    assert close.tolist() == [2.0, 3.0]


def test_series_of_takes_whatever_is_at_hand() -> None:
    """A series, a frame, or several of either by symbol."""
    frame = pd.DataFrame(BARS, index=pd.DatetimeIndex(DAYS))
    series = series_from_frame("SPY", frame)
    assert series_of(series) == {"SPY": series}
    assert [one.symbol for one in series_of(frame).values()] == ["ASSET"]
    several = series_of({"SPY": series, "QQQ": frame})
    assert several["SPY"] is series
    assert (several["QQQ"].symbol, list(several["QQQ"].close)) == ("QQQ", [2.0, 3.0])


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 1000), st.floats(0.01, 1e6), st.floats(0, 1e12)),
        min_size=1,
        max_size=12,
        unique_by=lambda bar: bar[0],
    )
)
def test_frame_of_a_series_makes_the_series_again(bars: list[tuple[int, float, float]]) -> None:
    """Out to pandas and back, a series is the same bit for bit."""
    bars.sort()
    minute = 60_000_000_000
    closes = [close for _, close, _ in bars]
    series = Series.from_columns(
        "SPY",
        "1m",
        start=[minute * n for n, _, _ in bars],
        end=[minute * (n + 1) for n, _, _ in bars],
        open=closes,
        high=[close * 2 for close in closes],
        low=[close / 2 for close in closes],
        close=closes,
        volume=[volume for _, _, volume in bars],
    )
    frame = series.to_frame().drop(columns="start")
    again = series_from_frame("SPY", frame, interval="1m", stamp="end")
    for name in ("start", "end", "open", "high", "low", "close", "volume"):
        assert getattr(again, name) == getattr(series, name)

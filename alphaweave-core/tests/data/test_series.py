"""Columns of bars and the cut views of them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import DataError
from alphaweave.data.series import Series, Window

MINUTE = 60_000_000_000
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def series_of(rows: int, first: int = 0) -> Series:
    """Minute bars whose numbers tell their row."""
    ends = [MINUTE * (first + row + 1) for row in range(rows)]
    return Series.from_columns(
        "ABC",
        "1m",
        start=[end - MINUTE for end in ends],
        end=ends,
        open=[row + 0.1 for row in range(rows)],
        high=[row + 0.2 for row in range(rows)],
        low=[row + 0.3 for row in range(rows)],
        close=[row + 0.4 for row in range(rows)],
        volume=[row + 0.5 for row in range(rows)],
    )


def read(window: Window) -> list[Sequence[object]]:
    """Everything a window shows."""
    return [
        window.start,
        window.end,
        window.open,
        window.high,
        window.low,
        window.close,
        window.volume,
    ]


def test_from_columns_keeps_every_column() -> None:
    """Each number stays in its own column, and no row is visible yet."""
    series = series_of(3)
    assert (series.symbol, series.interval, len(series), series.cursor.count) == ("ABC", "1m", 3, 0)
    assert list(series.start) == [0, MINUTE, 2 * MINUTE]
    assert list(series.end) == [MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert [list(c) for c in (series.open, series.high, series.low, series.close, series.volume)] == [
        [0.1, 1.1, 2.1],
        [0.2, 1.2, 2.2],
        [0.3, 1.3, 2.3],
        [0.4, 1.4, 2.4],
        [0.5, 1.5, 2.5],
    ]


def test_from_columns_takes_over_arrays_and_copies_the_rest() -> None:
    """An array of the right type is not copied; numpy arrays of any layout end up the same."""
    end, close = array("q", [1, 2, 3]), array("d", [1.0, 2.0, 3.0])
    every_other = np.array([1.0, 9.0, 2.0, 9.0, 3.0])[::2]
    series = Series.from_columns(
        "ABC",
        "1m",
        start=np.array([1, 2, 3]),
        end=end,
        open=every_other,
        high=np.array([1, 2, 3]),
        low=np.array([1.0, 2.0, 3.0]),
        close=close,
        volume=np.array([1.0, 2.0, 3.0], dtype="float32"),
    )
    assert series.end is end
    assert series.close is close
    assert series.start == end
    for column in (series.open, series.high, series.low, series.volume):
        assert column == close


COLUMNS = {"start": [0, 1], "end": [1, 2]} | {
    name: [1.0, 1.0] for name in ("open", "high", "low", "close", "volume")
}


@pytest.mark.parametrize(
    ("change", "reason", "line"),
    [
        ({"close": [1.0]}, "column close has 1 rows, column end has 2", None),
        ({"start": [0, 1, 2]}, "column start has 3 rows, column end has 2", None),
        ({"end": [2, 2]}, "a bar ending 1970-01-01T00:00:00+00:00 cannot follow the one ending", 2),
        ({"end": [2, 1]}, "cannot follow the one ending", 2),
        (
            {"start": [1, 5000], "end": [1, 3000]},
            "a bar starting 1970-01-01T00:00:00.000005+00:00 cannot end",
            2,
        ),
        ({"low": [1.0, math.nan]}, "low is nan, not a finite number", 2),
        ({"volume": [math.inf, 1.0]}, "volume is inf, not a finite number", 1),
        ({"open": [-math.inf, math.inf]}, "open is -inf, not a finite number", 1),
    ],
)
def test_from_columns_refuses_damaged_columns(
    change: dict[str, list[float]], reason: str, line: int | None
) -> None:
    """The refusal names the series, the row and what is wrong with it."""
    with pytest.raises(DataError) as raised:
        Series.from_columns("ABC", "1m", **(COLUMNS | change))  # type: ignore[arg-type]
    assert raised.value.path == "ABC 1m"
    assert reason in raised.value.reason
    assert raised.value.line == line


def test_from_columns_accepts_numbers_whose_sum_is_not_finite() -> None:
    """Huge numbers are finite, though adding them up overflows."""
    huge = {"volume": [1.7e308, 1.7e308]}
    assert len(Series.from_columns("ABC", "1m", **(COLUMNS | huge))) == 2  # type: ignore[arg-type]


def test_append_adds_a_row_and_leaves_the_cursor() -> None:
    """A new bar is held but not visible until the driver says so."""
    series = series_of(1)
    series.append(MINUTE, 2 * MINUTE, 1.1, 1.2, 1.3, 1.4, 1.5)
    assert series.cursor.count == 0
    series.cursor.count = 2
    expected = series_of(2)
    expected.cursor.count = 2
    assert read(series.window(9)) == read(expected.window(9))


def test_append_starts_an_empty_series() -> None:
    """A live series begins with nothing."""
    series = Series("ABC", "1m")
    series.append(0, MINUTE, 1.0, 1.0, 1.0, 1.0, 0.0)
    assert len(series) == 1


@pytest.mark.parametrize(
    ("start", "end", "close", "reason"),
    [
        (0, MINUTE, 1.0, "a bar ending 1970-01-01T00:01:00+00:00 cannot follow the one ending"),
        (0, MINUTE - 1, 1.0, "cannot follow the one ending"),
        (3 * MINUTE, 2 * MINUTE, 1.0, "a bar starting 1970-01-01T00:03:00+00:00 cannot end"),
        (MINUTE, 2 * MINUTE, math.nan, "close of the bar ending 1970-01-01T00:02:00+00:00 is nan"),
        (MINUTE, 2 * MINUTE, -math.inf, "is -inf, not a finite number"),
    ],
)
def test_append_refuses_a_bad_row_whole(start: int, end: int, close: float, reason: str) -> None:
    """A refused bar leaves no half of itself in any column."""
    series = series_of(1)
    with pytest.raises(DataError) as raised:
        series.append(start, end, 1.0, 1.0, 1.0, close, 1.0)
    assert reason in raised.value.reason
    columns = (series.start, series.end, series.open, series.high, series.low, series.close, series.volume)
    assert {len(column) for column in columns} == {1}


@settings(deadline=None)
@given(
    rows=st.integers(0, 12), visible=st.integers(0, 12), wanted=st.integers(0, 15), later=st.integers(0, 5)
)
def test_window_never_shows_a_row_beyond_the_cut(rows: int, visible: int, wanted: int, later: int) -> None:
    """Whatever happens to the series afterwards, a window shows the last visible rows it was cut at."""
    visible = min(rows, visible)
    series = series_of(rows)
    series.cursor.count = visible
    window = series.window(wanted)
    shown = range(max(0, visible - wanted), visible)

    for row in range(rows, rows + later):
        series.append(row * MINUTE, (row + 1) * MINUTE, 7e9, 7e9, 7e9, 7e9, 7e9)
    series.cursor.count = len(series)
    for column in (series.open, series.high, series.low, series.close, series.volume):
        for row in range(visible, len(series)):
            column[row] = -1.0

    assert len(window) == len(shown)
    assert read(window) == [
        [from_ns(row * MINUTE) for row in shown],
        [from_ns((row + 1) * MINUTE) for row in shown],
        *[[row + tenth for row in shown] for tenth in (0.1, 0.2, 0.3, 0.4, 0.5)],
    ]
    assert len(window.to_frame()) == len(shown)


def test_window_hands_out_fresh_lists() -> None:
    """Scribbling on what a window returned changes nothing."""
    series = series_of(2)
    series.cursor.count = 2
    window = series.window(2)
    window.close.clear()
    window.end.clear()
    assert window.close == [0.4, 1.4]
    assert window.end == [datetime(1970, 1, 1, 0, 1, tzinfo=UTC), datetime(1970, 1, 1, 0, 2, tzinfo=UTC)]


def test_window_is_immutable_and_names_its_series() -> None:
    """A strategy cannot stretch its view."""
    series = series_of(3)
    series.cursor.count = 2
    window = series.window(1)
    with pytest.raises(AttributeError):
        window._hi = 3  # type: ignore[misc]
    assert (window.symbol, window.interval) == ("ABC", "1m")
    assert repr(window) == "Window('ABC', '1m', 1 rows)"
    assert repr(series) == "Series('ABC', '1m', 3 rows, 2 visible)"


def test_window_refuses_a_negative_length() -> None:
    """The last minus one bars are a mistake."""
    with pytest.raises(ValueError, match="0 or more, not -1"):
        series_of(2).window(-1)


def test_to_frame_is_indexed_by_end_in_utc() -> None:
    """Frames carry the same numbers; a series shows all its rows, a window its own."""
    series = series_of(3, first=10)
    series.cursor.count = 2
    whole, cut = series.to_frame(), series.window(1).to_frame()
    assert list(whole.columns) == ["start", "open", "high", "low", "close", "volume"]
    assert (whole.index.name, str(whole.index.dtype)) == ("end", "datetime64[ns, UTC]")
    assert whole["close"].tolist() == [0.4, 1.4, 2.4]
    assert (whole.index - whole["start"] == timedelta(minutes=1)).all()
    assert cut.index.tolist() == [whole.index[1]]
    assert cut.loc[whole.index[1]].tolist() == whole.iloc[1].tolist()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-(10**18), 10**18), st.integers(0, 10**12), FINITE, FINITE, FINITE, FINITE, FINITE
        ),
        unique_by=lambda row: row[0],
        max_size=20,
    )
)
def test_series_gives_back_what_was_put_in(
    rows: list[tuple[int, int, float, float, float, float, float]],
) -> None:
    """Columns and single appends hold the same bars, bit for bit."""
    rows.sort()
    columns = list(zip(*rows, strict=True)) or [()] * 7
    whole = Series.from_columns(
        "ABC",
        "1m",
        start=[end - length for end, length in zip(columns[0], columns[1], strict=True)],
        end=columns[0],
        open=columns[2],
        high=columns[3],
        low=columns[4],
        close=columns[5],
        volume=columns[6],
    )
    live = Series("ABC", "1m")
    for end, length, *numbers in rows:
        live.append(end - length, end, *numbers)
    for name in ("start", "end", "open", "high", "low", "close", "volume"):
        assert getattr(whole, name) == getattr(live, name)
    assert list(whole.end) == [row[0] for row in rows]
    assert list(whole.close) == [row[5] for row in rows]

"""What happens to bars that are not as they should be."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alphaweave.core.errors import DataError
from alphaweave.core.interval import parse_interval
from alphaweave.data.frames import series_from_frame
from alphaweave.data.loaders import load_bars
from alphaweave.data.report import Adjustment, LoadReport
from alphaweave.data.series import Series

WriteFile = Callable[..., Path]

HEADER = "date,open,high,low,close,volume"
FLAT = "10,10,10,10,5"
# 2020-11-19 was a Thursday.
DAYS = ("2020-11-19", "2020-11-20", "2020-11-23", "2020-11-24")


def load(path: Path, **options: object) -> Series:
    """The one series of a file."""
    (series,) = load_bars(path, **options).values()  # type: ignore[arg-type]
    return series


def reasons(path: Path, **options: object) -> list[tuple[int | None, str]]:
    """What was adjusted in a file, and in which line."""
    return [
        (adjustment.line, adjustment.reason)
        for adjustment in load_bars(path, **options).report.adjustments  # type: ignore[arg-type]
    ]


def refusal(path: Path, **options: object) -> tuple[int | None, str]:
    """Why a file is refused, and for which line."""
    with pytest.raises(DataError) as raised:
        load(path, **options)
    assert raised.value.path == str(path)
    return raised.value.line, raised.value.reason


def spans(series: Series) -> list[tuple[str, str]]:
    """When each bar begins and ends, UTC."""
    series.cursor.count = len(series)
    window = series.window(len(series))
    return [(f"{s:%m-%d %H:%M}", f"{e:%m-%d %H:%M}") for s, e in zip(window.start, window.end, strict=True)]


def daily(*bars: str) -> list[str]:
    """A file of daily bars, one a day."""
    return [HEADER, *(f"{day},{bar}" for day, bar in zip(DAYS, bars, strict=False))]


def minutes(count: int, bar: str = FLAT, step: int = 1) -> list[str]:
    """A file of bars some minutes apart."""
    start = datetime(2020, 11, 19, 14, 30, tzinfo=UTC)
    stamps = [start + timedelta(minutes=step * row) for row in range(count)]
    return [HEADER, *(f"{stamp:%Y-%m-%d %H:%M},{bar}" for stamp in stamps)]


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bar", "reason"),
    [
        ("10,10,,10,5", "no number for low, but for the rest of the bar"),
        ("nan,10,10,,5", "no number for open, close, but for the rest of the bar"),
        (",,,,5", "no number for open, high, low, close, but for the rest of the bar"),
        ("10,10,10,10,", "no number for volume, but for the rest of the bar"),
        ("0,10,10,10,5", "open is 0.0; a price must be above 0"),
        ("10,10,0,10,5", "low is 0.0; a price must be above 0"),
        ("10,10,-1,10,5", "low is -1.0; a price must be above 0"),
        ("10,inf,10,10,5", "high is inf; prices are from 10^-12 to 10^12"),
        ("1e300,1e300,1e300,1e300,5", "open is 1e+300; prices are from 10^-12 to 10^12"),
        ("10,1e12,10,10,5", "high is 1000000000000.0; prices are from 10^-12 to 10^12"),
        ("10,10,1e-13,10,5", "low is 1e-13; prices are from 10^-12 to 10^12"),
        ("10,10,10,10,1e18", "volume is 1e+18; volumes are below 10^18"),
        ("10,10,-inf,10,5", "low is -inf; a price must be above 0"),
        ("10,10,10,10,-5", "volume is -5.0; it must be 0 or more"),
        ("10,10,10,10,inf", "volume is inf; volumes are below 10^18"),
        ("10,9,11,10,5", "high 9.0 is below low 11.0"),
        ("10,9.9,9.5,9.7,5", "high 9.9 is below the open or close 10.0"),
        ("9.7,9.9,9.5,10,5", "high 9.9 is below the open or close 10.0"),
        ("10,11,10.1,10.5,5", "low 10.1 is above the open or close 10.0"),
        ("10.5,11,10.1,10,5", "low 10.1 is above the open or close 10.0"),
    ],
)
def test_rules_refuse_numbers_that_cannot_be(write: WriteFile, bar: str, reason: str) -> None:
    """A bar that no market made is refused with its line."""
    assert refusal(write(*daily(FLAT, bar, FLAT))) == (3, reason)


@pytest.mark.parametrize("bar", [",,,,", "nan,nan,nan,nan,nan", ",,,,0", "NA,NA,NA,NA,0.0"])
def test_rules_drop_a_row_without_numbers(write: WriteFile, bar: str) -> None:
    """A day on which nothing is known is dropped and becomes a gap."""
    path = write(*daily(FLAT, bar, FLAT))
    series = load(path, interval="1d")
    assert [start for start, _ in spans(series)] == ["11-19 00:00", "11-23 00:00"]
    assert reasons(path, interval="1d")[0] == (3, "a row without numbers; dropped")


def test_rules_refuse_a_file_of_empty_rows(write: WriteFile) -> None:
    """When every row is dropped there is nothing to run on."""
    assert refusal(write(*daily(",,,,", ",,,,"))) == (None, "SPY: there is not one bar")


def test_rules_move_high_and_low_by_their_rounding(write: WriteFile) -> None:
    """A high a hair below the close is rounding; it is moved to it, and that is said once."""
    path = write(*daily("10,10.5,9.5,10.500001,5", "0.9,1.1,0.8,1,5", "9.499999,10.5,9.5,10,5"))
    series = load(path)
    assert list(series.high) == [10.500001, 1.1, 10.5]
    assert list(series.low) == [9.5, 0.8, 9.499999]
    assert reasons(path)[0] == (2, "high or low moved by its rounding to enclose open and close, in 2 rows")
    assert refusal(write(*daily(FLAT, "10,10.5,9.5,10.50002,5")))[0] == 3
    assert refusal(write(*daily(FLAT, "9.49998,10.5,9.5,10,5")))[0] == 3


def test_rules_keep_what_is_huge_and_tiny(write: WriteFile) -> None:
    """A coin of a trillionth, an index of 10^11 and a volume of 10^17 are numbers like others."""
    path = write(*daily("1e-12,1e-12,1e-12,1e-12,9e17", "9e11,9e11,9e11,9e11,9e17"))
    assert list(load(path).volume) == [9e17, 9e17]
    assert list(load(path).low) == [1e-12, 9e11]


# --- adjusted close ------------------------------------------------------------------------------

ADJUSTED = (
    "Date,Open,High,Low,Close,Adj Close,Volume",
    "2020-11-19,1,1.2,0.8,1,0.5,7",
    "2020-11-20,10,12,8,11,11,7",
)


def test_rules_leave_the_adjusted_close_alone(write: WriteFile) -> None:
    """Prices are those of the file, and that there are others is said."""
    path = write(*ADJUSTED)
    assert list(load(path).close) == [1.0, 11.0]
    assert reasons(path)[0] == (None, "the adjusted close is not used (adjust uses it)")


def test_rules_adjust_prices_when_asked(write: WriteFile) -> None:
    """All four prices are multiplied by adjusted close / close; volume is not."""
    path = write(*ADJUSTED)
    series = load(path, adjust=True)
    columns = (series.open, series.high, series.low, series.close, series.volume)
    assert [list(column) for column in columns] == [
        [0.5, 10.0],
        [0.6, 12.0],
        [0.4, 8.0],
        [0.5, 11.0],
        [7.0, 7.0],
    ]
    assert reasons(path, adjust=True) == []


@pytest.mark.parametrize(
    ("bar", "reason"),
    [
        ("10,12,8,10,,7", "no number for adj_close, but for the rest of the bar"),
        ("10,12,8,10,0,7", "close 10.0 and adjusted close 0.0; a price must be above 0"),
        ("10,12,8,-1,1,7", "close -1.0 and adjusted close 1.0; a price must be above 0"),
    ],
)
def test_rules_refuse_an_adjusted_close_that_cannot_be(write: WriteFile, bar: str, reason: str) -> None:
    """A price that is to be used must be one."""
    assert refusal(write(*ADJUSTED, f"2020-11-23,{bar}"), adjust=True) == (4, reason)


def test_rules_refuse_to_adjust_without_an_adjusted_close(write: WriteFile) -> None:
    """What was asked for and cannot be done is not passed over."""
    reason = "there is no adjusted close to adjust the prices with"
    assert refusal(write(*daily(FLAT, FLAT)), adjust=True) == (None, reason)


# --- order and repeats ---------------------------------------------------------------------------


def test_rules_sort_rows_out_of_order(write: WriteFile) -> None:
    """A file that runs backwards is turned round, each bar whole, and that is said."""
    head, *bars = daily("10,10,10,10,1", "10,10,10,10,2", "10,10,10,10,3")
    path = write(head, *reversed(bars))
    series = load(path)
    assert list(series.volume) == [1.0, 2.0, 3.0]
    assert [start for start, _ in spans(series)] == ["11-19 00:00", "11-20 00:00", "11-23 00:00"]
    assert reasons(path) == [(3, "2 rows are earlier than the row before; sorted by time")]


def test_rules_sort_days_as_they_are_written(write: WriteFile) -> None:
    """Written with several offsets, days may come in another order than their instants."""
    path = write(HEADER, f"2020-11-20T00:30+09:00,{FLAT}", f"2020-11-19T20:00-05:00,{FLAT}")
    series = load(path, interval="1d")
    assert [start for start, _ in spans(series)] == ["11-19 00:00", "11-20 00:00"]
    assert reasons(path, interval="1d") == [(3, "1 rows are earlier than the row before; sorted by time")]


def test_rules_infer_an_interval_from_rows_in_any_order(write: WriteFile) -> None:
    """Rows out of order are as far apart as they are in order."""
    head, *lines = minutes(9)
    assert load(write(head, *lines[::3], *lines[1::3], *lines[2::3])).interval == "1m"


def test_rules_keep_lines_through_sorting(write: WriteFile) -> None:
    """After sorting, a refusal still names the line where the row stands in the file."""
    head, *bars = daily("1,1,1,1,1", "2,2,2,2,2", "3,3,3,3,3")
    path = write(head, *reversed(bars), f"{DAYS[1]},2,2,2,2,9")
    assert refusal(path) == (5, "another bar of 2020-11-20 than line 3 has, with other numbers")


def test_rules_drop_a_repeated_bar(write: WriteFile) -> None:
    """The same bar twice is once, and said."""
    path = write(*daily(FLAT, "10,10,10,10,6"), f"{DAYS[1]},10,10,10,10,6", f"{DAYS[0]},{FLAT}")
    series = load(path)
    assert list(series.volume) == [5.0, 6.0]
    assert reasons(path)[1:] == [
        (5, "the same bar as line 2; dropped"),
        (4, "the same bar as line 3; dropped"),
    ]


@pytest.mark.parametrize("column", range(5))
def test_rules_refuse_two_bars_of_one_time(write: WriteFile, column: int) -> None:
    """Two bars of one time that differ in any number are a contradiction, named with both lines."""
    numbers = ["10", "11", "9", "10", "5"]
    other = numbers[:]
    other[column] = str(float(numbers[column]) + 0.5)
    path = write(*daily(FLAT, ",".join(numbers)), f"{DAYS[1]},{','.join(other)}")
    assert refusal(path) == (4, "another bar of 2020-11-20 than line 3 has, with other numbers")
    intraday = write(*minutes(2), f"2020-11-19 14:31,{'10,10,10,10,6'}")
    assert refusal(intraday) == (
        4,
        "another bar of 2020-11-19T14:31:00+00:00 than line 3 has, with other numbers",
    )


# --- gaps ----------------------------------------------------------------------------------------


def test_rules_keep_missing_days_as_gaps(write: WriteFile) -> None:
    """No bar is made up; how many weekdays are missing, and where most of them, is said."""
    path = write(
        HEADER, *(f"{day},{FLAT}" for day in ("2020-11-19", "2020-11-20", "2020-11-24", "2020-12-01"))
    )
    assert len(load(path)) == 4
    assert reasons(path, interval="1d") == [
        (
            None,
            (
                "SPY: 5 weekdays without a bar, holidays included; kept as gaps; "
                "the longest gap is 2020-11-24 to 2020-12-01"
            ),
        )
    ]


def test_rules_take_weekends_for_gaps_only_where_weekends_trade(write: WriteFile) -> None:
    """A week without a holiday has no gap; a market that trades at weekends has one when they lack."""
    first = date(2020, 11, 2)
    days = [first + timedelta(days=n) for n in range(28)]
    weekdays = [day for day in days if day.weekday() < 5]
    assert reasons(write(HEADER, *(f"{day},{FLAT}" for day in weekdays))) == []
    saturday = write(HEADER, *(f"{day},{FLAT}" for day in sorted([*weekdays, days[5]])))
    assert reasons(saturday) == []
    lacking = [day for day in days if day not in {days[12], days[13], days[20]}]
    assert reasons(write(HEADER, *(f"{day},{FLAT}" for day in lacking))) == [
        (
            None,
            (
                "SPY: 3 days without a bar, holidays included; kept as gaps; "
                "the longest gap is 2020-11-13 to 2020-11-16"
            ),
        )
    ]


def test_rules_count_gaps_between_shorter_bars(write: WriteFile) -> None:
    """Between minutes any longer spacing is a gap."""
    lines = minutes(10)
    path = write(*lines[:3], *lines[4:6], *lines[8:])
    assert reasons(path) == [
        (
            None,
            (
                "SPY: 2 gaps of more than 1m, closed hours included; kept as gaps; "
                "the longest gap is 2020-11-19T14:34:00+00:00 to 2020-11-19T14:37:00+00:00"
            ),
        )
    ]
    assert reasons(write(*lines)) == []
    assert reasons(write(*lines[:3], f"2020-11-19 14:32:15,{FLAT}"))[0][1].startswith(
        "SPY: 1 gaps of more than 1m"
    )


@settings(deadline=None)
@given(st.sets(st.integers(0, 60), min_size=3))
def test_rules_count_missing_weekdays_as_a_calendar_does(numbers: set[int]) -> None:
    """The count is what going through a calendar day by day gives."""
    days = sorted(day for n in numbers if (day := date(2020, 1, 1) + timedelta(days=n)).weekday() < 5)
    # Where no two are as close as days, they are taken for weeks, and refused.
    assume(any(later - day <= timedelta(days=3) for day, later in pairwise(days)))
    found: list[Adjustment] = []
    flat = [1.0] * len(days)
    frame = {"date": days, "open": flat, "high": flat, "low": flat, "close": flat, "volume": flat}
    series_from_frame("SPY", frame, interval="1d", note=found.append)
    span = [days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days)]
    missing = sum(day.weekday() < 5 and day not in days for day in span)
    assert [adjustment.reason.split(" without")[0] for adjustment in found] == (
        [f"SPY: {missing} weekdays"] if missing else []
    )


# --- intervals and spans -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "interval",
    "1s 5s 10s 15s 30s 1m 2m 3m 5m 10m 15m 20m 30m 1h 2h 3h 4h 6h 8h 12h 1d 1w".split(),  # noqa: SIM905
)
def test_rules_infer_the_most_common_spacing(write: WriteFile, interval: str) -> None:
    """Without an interval, bars are as long as they are most often apart."""
    seconds = parse_interval(interval).seconds or 0
    lines = [f"{1605744000 + seconds * row},{FLAT}" for row in range(9)]
    assert load(write(HEADER, *lines[:3], *lines[4:])).interval == interval


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (daily(FLAT), "a single bar does not tell its interval; give interval"),
        (minutes(5, step=7), "bars are most often 0:07:00 apart, which is no usual interval; give interval"),
        (
            minutes(5, step=43200),
            "bars are most often 30 days, 0:00:00 apart, which is no usual interval; give interval",
        ),
    ],
)
def test_rules_refuse_to_guess_an_interval(write: WriteFile, lines: list[str], reason: str) -> None:
    """What the rows do not tell, the caller must."""
    assert refusal(write(*lines)) == (None, reason)
    assert load(write(*lines[:3]), interval="1m").interval == "1m"


def test_rules_give_shorter_bars_their_interval(write: WriteFile) -> None:
    """A bar under a day ends one interval after it starts, gap or no gap."""
    lines = minutes(4, step=5)
    series = load(write(*lines[:3], lines[4]))
    assert spans(series) == [
        ("11-19 14:30", "11-19 14:35"),
        ("11-19 14:35", "11-19 14:40"),
        ("11-19 14:45", "11-19 14:50"),
    ]


def test_rules_read_naive_stamps_on_the_clock_of_the_zone(write: WriteFile) -> None:
    """Half past nine in New York is another instant in summer than in winter."""
    path = write(HEADER, f"2020-10-30 09:30,{FLAT}", f"2020-10-30 09:31,{FLAT}", f"2020-11-02 09:30,{FLAT}")
    assert spans(load(path, timezone="America/New_York")) == [
        ("10-30 13:30", "10-30 13:31"),
        ("10-30 13:31", "10-30 13:32"),
        ("11-02 14:30", "11-02 14:31"),
    ]


def test_rules_refuse_a_time_the_clocks_repeat(write: WriteFile) -> None:
    """Which of the two it was, no one can say."""
    path = write(HEADER, f"2020-11-01 00:30,{FLAT}", f"2020-11-01 01:30,{FLAT}")
    line, reason = refusal(path, interval="1h", timezone="America/New_York")
    assert line == 3
    assert reason.startswith("2020-11-01 01:30:00 is skipped or repeated in America/New_York")


def test_rules_take_stamps_with_offsets_as_instants(write: WriteFile) -> None:
    """A written offset counts, whatever the zone; both hours of a repeated one are told apart by it."""
    path = write(HEADER, f"2020-11-01 01:30-04:00,{FLAT}", f"2020-11-01 01:30-05:00,{FLAT}")
    expected = [("11-01 05:30", "11-01 06:30"), ("11-01 06:30", "11-01 07:30")]
    assert spans(load(path, interval="1h", timezone="Asia/Tokyo")) == expected


def test_rules_span_days_from_local_midnight_to_midnight(write: WriteFile) -> None:
    """A day on which the clocks change lasts 23 or 25 hours."""
    days = ("2020-03-06", "2020-03-07", "2020-03-08", "2020-03-09")
    path = write(HEADER, *(f"{day},{FLAT}" for day in days))
    assert spans(load(path, timezone="America/New_York")) == [
        ("03-06 05:00", "03-07 05:00"),
        ("03-07 05:00", "03-08 05:00"),
        ("03-08 05:00", "03-09 04:00"),
        ("03-09 04:00", "03-10 04:00"),
    ]
    assert spans(load(path))[2] == ("03-08 00:00", "03-09 00:00")


@pytest.mark.parametrize("form", ["{}", "{} 00:00:00", "{} 09:30", "{} 00:00:00-05:00", "{}T00:00:00+09:00"])
def test_rules_take_the_written_date_of_a_daily_bar(write: WriteFile, form: str) -> None:
    """However a day is stamped, it is the day that is written."""
    path = write(HEADER, *(f"{form.format(day)},{FLAT}" for day in DAYS))
    starts = [start for start, _ in spans(load(path, interval="1d", timezone="America/New_York"))]
    assert starts == ["11-19 05:00", "11-20 05:00", "11-23 05:00", "11-24 05:00"]


@pytest.mark.parametrize(
    ("timezone", "starts"),
    [("America/New_York", ["11-18 05:00", "11-19 05:00"]), ("UTC", ["11-19 00:00", "11-20 00:00"])],
)
def test_rules_take_the_date_of_an_epoch_in_the_zone(
    write: WriteFile, timezone: str, starts: list[str]
) -> None:
    """An epoch is of the day that the zone's clocks showed: midnight UTC is the evening before there."""
    path = write(HEADER, f"1605744000,{FLAT}", f"1605830400,{FLAT}")
    assert [start for start, _ in spans(load(path, timezone=timezone))] == starts


def test_rules_end_shorter_bars_at_the_stamp_when_told(write: WriteFile) -> None:
    """Stamped at its end, a bar begins one interval before."""
    assert spans(load(write(*minutes(2)), stamp="end")) == [
        ("11-19 14:29", "11-19 14:30"),
        ("11-19 14:30", "11-19 14:31"),
    ]


def test_rules_end_whole_days_at_the_stamp_when_told(write: WriteFile) -> None:
    """A date is the last day in its bar; a time of day is where the bar ends, its midnight the day before."""
    dates = write(HEADER, f"2020-11-20,{FLAT}", f"2020-11-27,{FLAT}")
    assert spans(load(dates, stamp="end")) == [
        ("11-14 00:00", "11-21 00:00"),
        ("11-21 00:00", "11-28 00:00"),
    ]
    assert spans(load(dates, stamp="start"))[0] == ("11-20 00:00", "11-27 00:00")
    times = write(HEADER, f"2020-11-20 00:00,{FLAT}", f"2020-11-20 16:00,{FLAT}")
    assert spans(load(times, interval="1d", stamp="end")) == [
        ("11-19 00:00", "11-20 00:00"),
        ("11-20 00:00", "11-21 00:00"),
    ]


def test_rules_refuse_bars_that_overlap(write: WriteFile) -> None:
    """A bar inside another one is refused with its line: the interval is wrong, or the row is."""
    lines = minutes(3)
    path = write(*lines, f"2020-11-19 14:32:30,{FLAT}")
    assert refusal(path) == (5, "this bar starts before the 1m bar of line 4 ends")
    assert refusal(write(*lines), interval="1h") == (3, "this bar starts before the 1h bar of line 2 ends")
    assert refusal(write(*lines), interval="1d") == (
        3,
        "a second bar within the 1d bar of line 2; give the interval the bars have",
    )
    for interval in ("2d", "1w"):
        assert refusal(write(*daily(FLAT, FLAT, FLAT)), interval=interval) == (
            3,
            f"this bar starts before the {interval} bar of line 2 ends",
        )


def test_rules_refuse_an_interval_no_bars_are_as_close_as(write: WriteFile) -> None:
    """Days read as minutes would be known a day too early."""
    what = (
        "SPY: no two bars are as close as {}; the closest are {} apart: give the interval that the bars have"
    )
    hours = what.format("1m", "1:00:00")
    assert refusal(write(*minutes(31, step=60)), interval="1m") == (None, hours)
    assert len(load(write(*minutes(30, step=60)), interval="1m")) == 30


@pytest.mark.parametrize("interval", ["1s", "5m", "12h"])
def test_rules_refuse_three_daily_bars_as_bars_of_less(write: WriteFile, interval: str) -> None:
    """A few bars that are days apart tell enough; a market that is traded now and then has some closer."""
    reason = f"SPY: no two bars are as close as {interval}; the closest are 1 day, 0:00:00 apart"
    assert refusal(write(*daily(FLAT, FLAT, FLAT)), interval=interval)[1].startswith(reason)
    assert len(load(write(*daily(FLAT, FLAT)), interval=interval)) == 2


def test_rules_refuse_three_weekly_bars_as_daily_ones(write: WriteFile) -> None:
    """Whole weeks apart they are weekly; a stock that traded once in two weeks is another matter."""
    weeks = "SPY: no two bars are as close as 1d; the closest are 7 days, 0:00:00 apart"
    assert refusal(write(*minutes(3, step=10080)), interval="1d")[1].startswith(weeks)
    assert len(load(write(*minutes(3, step=14400)), interval="1d")) == 3


def test_rules_end_a_long_bar_where_the_next_begins(write: WriteFile) -> None:
    """A week labelled with its Tuesday, for Monday was a holiday, ends where the next week begins."""
    path = write(
        HEADER, *(f"{day},{FLAT}" for day in ("2020-01-13", "2020-01-21", "2020-01-27", "2020-02-03"))
    )
    assert spans(load(path, interval="1w")) == [
        ("01-13 00:00", "01-20 00:00"),
        ("01-21 00:00", "01-27 00:00"),
        ("01-27 00:00", "02-03 00:00"),
        ("02-03 00:00", "02-10 00:00"),
    ]
    assert reasons(path, interval="1w") == [(3, "1 bars of 1w end early, where the next one starts")]
    missing = write(HEADER, *(f"{day},{FLAT}" for day in ("2020-01-06", "2020-01-13", "2020-01-27")))
    assert reasons(missing, interval="1w")[0][1].startswith("SPY: 1 gaps of more than 1w")
    for last, gaps in (("2020-01-23", 0), ("2020-01-24", 1)):
        stray = write(HEADER, *(f"{day},{FLAT}" for day in ("2020-01-06", "2020-01-13", last)))
        assert len(reasons(stray, interval="1w")) == gaps, "a label may stray by half an interval"


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"interval": "tick"}, "bars have an interval; tick is for trades"),
        ({"interval": "often"}, "'often' is not a bar interval"),
        ({"timezone": "Mars/Base"}, "'Mars/Base' is not a known time zone"),
        ({"stamp": "middle"}, "a stamp is the start or the end of its bar, not 'middle'"),
    ],
)
def test_rules_refuse_arguments_that_cannot_be_read(
    write: WriteFile, option: dict[str, str], reason: str
) -> None:
    """A mistake in the call is the caller's, not the data's."""
    with pytest.raises(ValueError, match=reason):
        load(write(*daily(FLAT, FLAT)), **option)


def test_report_tells_path_line_and_reason() -> None:
    """An adjustment reads like a compiler's message."""
    report = LoadReport((Adjustment("a.csv", 3, "dropped"), Adjustment("a.csv", None, "sorted")))
    assert str(report) == "a.csv:3: dropped\na.csv: sorted"


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), count=st.integers(2, 30))
def test_rules_make_one_series_of_rows_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int
) -> None:
    """Shuffled, with rows repeated and rows without numbers, a file gives the series it was made from."""
    rng = random.Random(seed)
    head, *lines = minutes(count)
    lines = [line.rsplit(",", 1)[0] + f",{row}" for row, line in enumerate(lines)]
    folder = tmp_path_factory.mktemp("rules")
    straight, messy = folder / "straight.csv", folder / "messy.csv"
    straight.write_text("\n".join([head, *lines]))
    mess = lines + rng.choices(lines, k=3) + ["2020-11-19 14:30:30,,,,,", "2020-11-18 14:30,nan,nan,nan,nan,"]
    rng.shuffle(mess)
    messy.write_text("\n".join([head, *mess]))
    one, other = load(straight, interval="1m"), load(messy, interval="1m")
    for name in ("start", "end", "open", "high", "low", "close", "volume"):
        assert getattr(one, name) == getattr(other, name)

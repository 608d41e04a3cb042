"""Dates and times as files write them, and the clocks of time zones."""

from __future__ import annotations

from array import array
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.clock import EPOCH, to_ns
from alphaweave.core.errors import DataError
from alphaweave.data.report import Origin
from alphaweave.data.stamps import read_datetimes, read_stamps
from alphaweave.data.zones import Zone

LINES = Origin("x.csv", range(2, 10_000))


def wall(*numbers: int) -> int:
    """Nanoseconds of a clock reading."""
    year, month, day, *clock = numbers
    hour, minute, second, micros = (*clock, 0, 0, 0, 0)[:4]
    return to_ns(datetime(year, month, day, hour, minute, second, micros, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-11-19", wall(2020, 11, 19)),
        ("2020/11/19", wall(2020, 11, 19)),
        ("2020.11.19", wall(2020, 11, 19)),
        ("2020-1-5", wall(2020, 1, 5)),
        ("20201119", wall(2020, 11, 19)),
        ("202011191530", wall(2020, 11, 19, 15, 30)),
        ("20201119153045", wall(2020, 11, 19, 15, 30, 45)),
        ("20201119 15:30:45", wall(2020, 11, 19, 15, 30, 45)),
        ("20201119T153045", wall(2020, 11, 19, 15, 30, 45)),
        ("19-Nov-2020", wall(2020, 11, 19)),
        ("19 November 2020", wall(2020, 11, 19)),
        ("Nov 19, 2020", wall(2020, 11, 19)),
        ("Nov. 9 2020", wall(2020, 11, 9)),
        ("19.11.2020", wall(2020, 11, 19)),
        ("03.04.2020", wall(2020, 4, 3)),
        ("11/19/2020", wall(2020, 11, 19)),
        ("19/11/2020", wall(2020, 11, 19)),
        ("11-19-2020", wall(2020, 11, 19)),
        ("2020-11-19 15:30", wall(2020, 11, 19, 15, 30)),
        ("2020-11-19  9:30", wall(2020, 11, 19, 9, 30)),
        ("2020-11-19T15:30:45", wall(2020, 11, 19, 15, 30, 45)),
        ("2020-11-19 15:30:45.25", wall(2020, 11, 19, 15, 30, 45, 250_000)),
        ("2020-11-19 15:30:45.000000001", wall(2020, 11, 19, 15, 30, 45) + 1),
        ("2020-11-19, 15:30", wall(2020, 11, 19, 15, 30)),
        ("11/19/2020 3:30 PM", wall(2020, 11, 19, 15, 30)),
        ("11/19/2020 12:05:00AM", wall(2020, 11, 19, 0, 5)),
        ("11/19/2020 12:05 pm", wall(2020, 11, 19, 12, 5)),
        ("1969-12-31", -86_400_000_000_000),
        ("1678-01-01", wall(1678, 1, 1)),
        ("2261-12-31", wall(2261, 12, 31)),
    ],
)
def test_read_stamps_reads_a_written_clock(text: str, expected: int) -> None:
    """A stamp without an offset says what a clock showed, and nothing about which instant that was."""
    stamps = read_stamps([text], LINES)
    assert stamps.wall == array("q", [expected])
    assert stamps.instants is None


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("2020-11-19 15:30:00Z", 0),
        ("2020-11-19T15:30:00+00:00", 0),
        ("2020-11-19 15:30:00 UTC", 0),
        ("2020-11-19 15:30:00-05:00", -5),
        ("2020-11-19 15:30-0500", -5),
        ("2020-11-19 15:30:00.000+05:30", 5.5),
        ("2020-11-19 15:30:00+09", 9),
    ],
)
def test_read_stamps_reads_offsets(text: str, hours: float) -> None:
    """A stamp with an offset says both what its clock showed and the instant."""
    stamps = read_stamps([text], LINES)
    shown = wall(2020, 11, 19, 15, 30)
    assert stamps.wall == array("q", [shown])
    assert stamps.instants == array("q", [shown - int(hours * 3_600_000_000_000)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1605744000", 1605744000 * 10**9),
        ("1605744000.0", 1605744000 * 10**9),
        ("1605744000.5", 1605744000 * 10**9 + 5 * 10**8),
        ("1605744000123", 1605744000123 * 10**6),
        ("1605744000123456", 1605744000123456 * 10**3),
        ("1605744000123456789", 1605744000123456789),
        ("-315619200", -315619200 * 10**9),
        ("915148800", 915148800 * 10**9),
        ("951868800000", 951868800000 * 10**6),
        ("0", 0),
        ("9223372036", 9223372036 * 10**9),
        ("100000000000.0", 10**11 * 10**6),
        ("9223372036854", 9223372036854 * 10**6),
        ("100000000000001.0", 100000000000001 * 10**3),
        ("9223372036854775", 9223372036854775 * 10**3),
        ("100000000000000001", 10**17 + 1),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_read_stamps_tells_epochs_by_their_magnitude(text: str, expected: int) -> None:
    """Seconds to nanoseconds, exactly; an epoch is an instant, by no clock."""
    stamps = read_stamps([text], LINES)
    assert stamps.instants == array("q", [expected])
    assert stamps.wall is None


def test_read_stamps_decides_year_last_dates_by_the_column() -> None:
    """One date that only reads one way decides for the others."""
    month_first = read_stamps(["01/02/2020", "01/13/2020"], LINES)
    day_first = read_stamps(["01/02/2020", "13/01/2020"], LINES)
    assert month_first.wall == array("q", [wall(2020, 1, 2), wall(2020, 1, 13)])
    assert day_first.wall == array("q", [wall(2020, 2, 1), wall(2020, 1, 13)])


@pytest.mark.parametrize(("order", "day"), [("mdy", wall(2020, 3, 4)), ("dmy", wall(2020, 4, 3))])
def test_read_stamps_follows_the_given_order(order: Literal["mdy", "dmy"], day: int) -> None:
    """Where no date tells, the reader may."""
    assert read_stamps(["03/04/2020"], LINES, order).wall == array("q", [day])


@pytest.mark.parametrize(
    ("texts", "line", "reason"),
    [
        (["2020-11-19", "soon"], 3, "'soon' is not a date"),
        (["soon"], 2, "'soon' is not a date; write 2020-11-19, 2020-11-19 15:30:00 or an epoch"),
        (["2020-11-19", ""], 3, "a row without a date"),
        ([""], 2, "a row without a date"),
        (["2020-02-28", "2020-02-30"], 3, "'2020-02-30' is not a date"),
        (["2020-11-19 09:30", "2020-11-19 24:00"], 3, "'2020-11-19 24:00' is not a date"),
        (["2020-11-19 10:60"], 2, "is not a date"),
        (["2020-11-19 10:00:60"], 2, "is not a date"),
        (["11/19/2020 13:00 PM"], 2, "is not a date"),
        (["11/19/2020 0:00 AM"], 2, "is not a date"),
        (["20201341"], 2, "'20201341' is not a date"),
        (["19-Foo-2020"], 2, "is not a date"),
        (["11/19/20"], 2, "is not a date"),
        (["1677-12-31"], 2, "is not a date"),
        (["2262-01-01"], 2, "is not a date"),
        (["2020-11-19", "11/19/2020"], 3, "'11/19/2020' is not a date"),
        (
            ["2020-11-19 10:00Z", "2020-11-19 11:00"],
            3,
            "some stamps have an offset from UTC and some have none",
        ),
        (
            ["2020-11-19 10:00", "2020-11-19 11:00Z"],
            3,
            "some stamps have an offset from UTC and some have none",
        ),
        (["11/12/2020", "12/11/2020"], 2, "could be day first or month first; set date_order to mdy or dmy"),
        (
            ["01/02/2020", "13/01/2020", "01/13/2020"],
            4,
            "'13/01/2020' has the day first and '01/13/2020' has the month first (line 3)",
        ),
        (["1605744000", "x"], 3, "'x' is not a date"),
        (
            ["1605744000000", "1605744000", "1605744060"],
            3,
            "1605744000 is no epoch in any unit, or in another one than 1605744000000",
        ),
        (["1605744000000", "1605744000000000"], 2, "in another one than 1605744000000000"),
        (["16057440000"], 2, "16057440000 is no epoch in any unit"),
        (["-16057440000"], 2, "-16057440000 is no epoch in any unit"),
        (["9223372037"], 2, "9223372037 is no epoch in any unit"),
        (["99999999999"], 2, "99999999999 is no epoch in any unit"),
        (["99999999999999"], 2, "'99999999999999' is not a date"),
        (["999999999999999999999"], 2, "999999999999999999999 is no epoch in any unit"),
        (["99999999999999999"], 2, "99999999999999999 is no epoch in any unit"),
        (["9223372036854775808"], 2, "9223372036854775808 is no epoch in any unit"),
    ],
)
def test_read_stamps_refuses_what_is_no_date(texts: list[str], line: int, reason: str) -> None:
    """The refusal names the line and shows what stands there."""
    with pytest.raises(DataError) as raised:
        read_stamps(texts, LINES)
    assert reason in raised.value.reason
    assert (raised.value.path, raised.value.line) == ("x.csv", line)


def test_read_stamps_reads_columns_of_uneven_width() -> None:
    """Dates and times without leading zeros, and blanks around them, are read as well."""
    texts = ["1/5/2020 9:30", "11/15/2020 10:00 ", " 1/5/2020 16:00"]
    assert read_stamps(texts, LINES).wall == array(
        "q", [wall(2020, 1, 5, 9, 30), wall(2020, 11, 15, 10), wall(2020, 1, 5, 16)]
    )
    assert read_stamps([" 2020-11-19"], LINES).wall == array("q", [wall(2020, 11, 19)])


def test_read_stamps_of_nothing_is_nothing() -> None:
    """A file without rows has no stamps."""
    assert len(read_stamps([], LINES).raw) == 0


@settings(deadline=None)
@given(
    st.lists(
        st.datetimes(datetime(1678, 1, 1), datetime(2261, 12, 31)),  # noqa: DTZ001 - wall clocks
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(
        ["%Y-%m-%d %H:%M:%S.%f", "%Y/%m/%dT%H:%M:%S.%f", "%d-%b-%Y %H:%M:%S.%f", "%Y%m%d %H%M%S.%f"]
    ),
    st.sampled_from([None, timedelta(0), timedelta(hours=-5), timedelta(hours=5, minutes=45)]),
)
def test_read_stamps_reads_back_what_was_written(
    moments: list[datetime], form: str, offset: timedelta | None
) -> None:
    """Every clock reading survives being written in every form, with and without an offset."""
    # strftime leaves out the leading zeros of early years on some platforms; none of these is early.
    texts = [moment.strftime(form) for moment in moments]
    zone = timezone(offset or timedelta(0))
    if offset is not None:
        texts = [
            f"{text}{moment.replace(tzinfo=zone):%z}" for text, moment in zip(texts, moments, strict=True)
        ]
    stamps = read_stamps(texts, LINES)
    shown = [to_ns(moment.replace(tzinfo=UTC)) for moment in moments]
    assert stamps.wall == array("q", shown)
    if offset is None:
        assert stamps.instants is None
    else:
        assert stamps.instants == array("q", [to_ns(moment.replace(tzinfo=zone)) for moment in moments])


def test_read_datetimes_takes_dates_and_datetimes() -> None:
    """Naive ones are clock readings; aware ones are instants too."""
    naive = read_datetimes([date(2020, 11, 19), datetime(2020, 11, 19, 15, 30, 0, 5)], LINES)  # noqa: DTZ001
    assert naive.wall == array("q", [wall(2020, 11, 19), wall(2020, 11, 19, 15, 30, 0, 5)])
    assert naive.instants is None
    aware = read_datetimes([datetime(2020, 11, 19, 15, 30, tzinfo=ZoneInfo("America/New_York"))], LINES)
    assert aware.wall == array("q", [wall(2020, 11, 19, 15, 30)])
    assert aware.instants == array("q", [wall(2020, 11, 19, 20, 30)])


@pytest.mark.parametrize(
    ("values", "line", "reason"),
    [
        ([date(2020, 11, 19), None], 3, "None is not a date"),
        ([EPOCH, date(1970, 1, 1)], 3, "some stamps have an offset"),
        ([date(1970, 1, 1), EPOCH], 3, "some stamps have an offset"),
    ],
)
def test_read_datetimes_refuses_a_mixture(values: list[object], line: int, reason: str) -> None:
    """One column is one kind of thing."""
    with pytest.raises(DataError) as raised:
        read_datetimes(values, LINES)
    assert reason in raised.value.reason
    assert raised.value.line == line


def test_zone_refuses_an_unknown_name() -> None:
    """The message says what a time zone is called."""
    with pytest.raises(
        ValueError, match="'Mars/Base' is not a known time zone; write an IANA name such as UTC"
    ):
        Zone("Mars/Base")


@pytest.mark.parametrize(
    "key", ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Tokyo"]
)
@settings(deadline=None, max_examples=30)
@given(moments=st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)), max_size=5))  # noqa: DTZ001
def test_zone_converts_as_the_standard_library_does(key: str, moments: list[datetime]) -> None:
    """Instants to clock readings and back, around clock changes too."""
    zone, tz = Zone(key), ZoneInfo(key)
    instants = array("q", [to_ns(moment.replace(tzinfo=UTC)) for moment in moments])
    local = [moment.replace(tzinfo=UTC).astimezone(tz) for moment in moments]
    shown = zone.to_wall(instants)
    assert list(shown) == [to_ns(moment.replace(tzinfo=UTC)) for moment in local]
    plain = [row for row, m in enumerate(local) if m.utcoffset() == m.replace(fold=1 - m.fold).utcoffset()]
    back = zone.to_instants(array("q", [shown[row] for row in plain]), LINES)
    assert list(back) == [instants[row] for row in plain]


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("America/New_York", datetime(2020, 3, 8, 7, tzinfo=UTC)),
        ("America/New_York", datetime(2020, 11, 1, 6, tzinfo=UTC)),
        ("Asia/Tokyo", datetime(1951, 5, 5, 15, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2020, 10, 3, 15, 30, tzinfo=UTC)),
        ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ],
)
def test_zone_follows_its_clocks_around_a_change(key: str, change: datetime) -> None:
    """Half an hour by half an hour for two days around it, instants become what the clocks showed."""
    moments = [change + timedelta(minutes=30 * n) for n in range(-48, 48)]
    shown = Zone(key).to_wall(array("q", map(to_ns, moments)))
    clocks = [moment.astimezone(ZoneInfo(key)).replace(tzinfo=UTC) for moment in moments]
    assert list(shown) == [to_ns(clock) for clock in clocks]
    # The clocks did change: otherwise this would prove nothing.
    assert clocks[-1] - clocks[0] != moments[-1] - moments[0]


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (wall(2020, 3, 8, 2, 30), "2020-03-08 02:30:00 is skipped or repeated in America/New_York"),
        (wall(2020, 11, 1, 1, 30), "2020-11-01 01:30:00 is skipped or repeated in America/New_York"),
    ],
)
def test_zone_refuses_a_time_that_clocks_skip_or_repeat(shown: int, reason: str) -> None:
    """Nobody can tell which instant it is, so nobody guesses; the hours around it are read."""
    zone = Zone("America/New_York")
    hour = 3_600_000_000_000
    with pytest.raises(DataError) as raised:
        zone.to_instants(array("q", [shown - 2 * hour, shown]), LINES)
    assert reason in raised.value.reason
    assert raised.value.line == 3
    around = zone.to_instants(array("q", [shown - 2 * hour, shown + 2 * hour]), LINES)
    assert around[1] - around[0] in {3 * hour, 5 * hour}


@pytest.mark.parametrize(
    ("key", "day", "expected"),
    [
        ("UTC", date(2020, 7, 1), datetime(2020, 7, 1, tzinfo=UTC)),
        ("America/New_York", date(2020, 7, 1), datetime(2020, 7, 1, 4, tzinfo=UTC)),
        ("America/New_York", date(2020, 1, 1), datetime(2020, 1, 1, 5, tzinfo=UTC)),
        # Midnight did not exist on that day: it began at one o'clock.
        ("America/Sao_Paulo", date(2018, 11, 4), datetime(2018, 11, 4, 3, tzinfo=UTC)),
        # Midnight came twice on that day: it began with the first one.
        ("America/Havana", date(2020, 11, 1), datetime(2020, 11, 1, 4, tzinfo=UTC)),
    ],
)
def test_zone_knows_the_first_instant_of_a_day(key: str, day: date, expected: datetime) -> None:
    """A local day begins at its first midnight, or where the clocks jump over it."""
    number = day.toordinal() - date(1970, 1, 1).toordinal()
    zone = Zone(key)
    assert zone.midnight(number) == to_ns(expected)
    assert zone.midnight(number) == to_ns(expected), "asked again, it says the same"

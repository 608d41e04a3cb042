"""Calendars."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.live.datafeed import Session
from alphaweave.live.sessions import (
    AROUND_THE_CLOCK,
    Calendar,
    Span,
    WeeklyCalendar,
    coming,
    next_open,
    open_time,
    read_calendar,
    sessions_of,
)

HOUR = 3_600_000_000_000
NEW_YORK: dict[str, Any] = {
    "timezone": "America/New_York",
    **{day: ["09:30-16:00"] for day in ("mon", "tue", "wed", "thu", "fri")},
    "closed": ["2024-03-29"],
    "special": {"2024-03-28": ["09:30-13:00"]},
}


def at(*parts: int) -> int:
    return to_ns(datetime(*parts, tzinfo=UTC))  # type: ignore[arg-type, misc]


def shown(calendar: Calendar, start: int, end: int, zone: str = "UTC") -> list[str]:
    def clock(ns: int) -> str:
        return f"{from_ns(ns).astimezone(ZoneInfo(zone)):%a %d %H:%M}"

    return [f"{clock(span.start)} - {clock(span.end)}" for span in calendar.spans(start, end)]


def test_a_week_has_its_hours_its_holidays_and_its_short_days() -> None:
    """By the wall's clock, also after the clocks have changed (10 March)."""
    calendar = read_calendar(NEW_YORK)
    assert shown(calendar, at(2024, 3, 8), at(2024, 3, 12)) == [
        "Fri 08 14:30 - Fri 08 21:00",
        "Mon 11 13:30 - Mon 11 20:00",
    ]
    assert shown(calendar, at(2024, 3, 27, 21), at(2024, 4, 2), "America/New_York") == [
        "Thu 28 09:30 - Thu 28 13:00",
        "Mon 01 09:30 - Mon 01 16:00",
    ]


def test_a_session_may_end_on_the_next_day() -> None:
    """A futures week; an instant within it finds the whole session."""
    hours = {"sun": ["18:00-17:00"], "mon": ["18:00-17:00"], "timezone": "America/Chicago"}
    calendar = read_calendar(hours)
    assert shown(calendar, at(2024, 3, 4, 12), at(2024, 3, 4, 13), "America/Chicago") == [
        "Sun 03 18:00 - Mon 04 17:00"
    ]
    assert shown(
        read_calendar({"timezone": "UTC", "sat": ["00:00-24:00"]}), at(2024, 3, 9), at(2024, 3, 11)
    ) == ["Sat 09 00:00 - Sun 10 00:00"]


def test_spans_are_those_that_overlap_and_whole() -> None:
    """The end of what is asked is exclusive, and so is that of a session."""
    calendar = read_calendar(NEW_YORK)
    day = Span(at(2024, 3, 5, 14, 30), at(2024, 3, 5, 21))
    assert calendar.spans(day.end - 1, day.end) == (day,)
    assert calendar.spans(day.end, day.end + 1) == ()
    assert calendar.spans(day.start - 1, day.start) == ()
    assert AROUND_THE_CLOCK.spans(5, 5) == ()


def test_open_time_counts_what_is_open() -> None:
    """From Friday noon to Monday noon in New York."""
    calendar = read_calendar(NEW_YORK)
    assert open_time(calendar, at(2024, 3, 1, 17), at(2024, 3, 4, 17)) == 4 * HOUR + 5 * HOUR // 2
    assert open_time(AROUND_THE_CLOCK, 0, 7) == 7


def test_next_open_is_now_or_the_next_opening() -> None:
    """Over a weekend."""
    calendar = read_calendar(NEW_YORK)
    assert next_open(calendar, at(2024, 3, 1, 17)) == at(2024, 3, 1, 17)
    assert next_open(calendar, at(2024, 3, 1, 21)) == at(2024, 3, 4, 14, 30)

    class Never:
        def spans(self, start: int, end: int) -> tuple[Span, ...]:
            return ()

    assert next_open(Never(), 0) is None


def test_an_exchange_has_its_holidays_and_its_lunch_break() -> None:
    """Easter in Hong Kong and in New York."""
    assert shown(read_calendar("XHKG"), at(2024, 3, 28), at(2024, 4, 3), "Asia/Hong_Kong") == [
        "Thu 28 09:30 - Thu 28 12:00",
        "Thu 28 13:00 - Thu 28 16:00",
        "Tue 02 09:30 - Tue 02 12:00",
        "Tue 02 13:00 - Tue 02 16:00",
    ]
    new_york = read_calendar("XNYS")
    assert shown(new_york, at(2023, 11, 23), at(2023, 11, 25)) == ["Fri 24 14:30 - Fri 24 18:00"]
    with pytest.raises(ValueError, match=r"the calendar XNYS is known from .* not from 1990-01-01"):
        new_york.spans(at(1990, 1, 1), at(1990, 1, 2))


def test_an_exchange_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says how to get it."""
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(ValueError, match=r"pip install 'alphaweave-core\[calendars\]'"):
        read_calendar("XNYS")


def test_sessions_are_one_for_each_symbol() -> None:
    """As a feed answers, in the order of their starts."""
    start, end = datetime(2024, 3, 5, tzinfo=UTC), datetime(2024, 3, 7, tzinfo=UTC)
    sessions = sessions_of(read_calendar(NEW_YORK), ["A", "B"], start, end)
    assert [(one.symbol, one.start.day) for one in sessions] == [("A", 5), ("B", 5), ("A", 6), ("B", 6)]
    assert sessions_of(read_calendar("24/7"), ["A"], start, end) == [Session("A", start, end)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("NOPE", "knows no market 'NOPE'"),
        ({"mon": ["09:00-10:00"]}, "needs a timezone"),
        ({"timezone": "Mars"}, "not a known time zone"),
        ({"timezone": "UTC"}, "without any session"),
        ({"timezone": "UTC", "monday": []}, "monday: a calendar has mon, .*timezone"),
        ({"timezone": "UTC", "mon": "09:00-10:00"}, "mon is a list"),
        ({"timezone": "UTC", "mon": ["9-10"]}, "write them as 09:30-16:00"),
        ({"timezone": "UTC", "mon": ["09:00"]}, "mon: '09:00' are no hours"),
        ({"timezone": "UTC", "mon": ["09:00-11:00", "10:00-12:00"]}, "before the hours before it"),
        ({"timezone": "UTC", "mon": ["18:00-17:00"], "tue": ["16:00-18:00"]}, "overlaps the first"),
        ({"timezone": "UTC", "mon": ["09:00-10:00"], "closed": ["soon"]}, "'soon' is not a date"),
        ({"timezone": "UTC", "mon": ["09:00-10:00"], "special": ["x"]}, "special is a table"),
        (
            {**NEW_YORK, "closed": ["2024-03-28"]},
            "2024-03-28 is closed and has hours of its own",
        ),
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused(given: Any, message: str) -> None:
    """With what is wrong."""
    with pytest.raises(ValueError, match=message):
        read_calendar(given)


def test_span_that_comes_is_whole() -> None:
    """The one that an instant lies in, else the next; what touches is one."""
    hours = {"mon": ["23:00-24:00"], "tue": ["00:00-01:00", "05:00-06:00"]}
    week = WeeklyCalendar(hours, timezone="UTC")
    monday = to_ns(datetime(2024, 1, 1, tzinfo=UTC))
    hour = 3_600_000_000_000
    night, dawn = Span(monday + 23 * hour, monday + 25 * hour), Span(monday + 29 * hour, monday + 30 * hour)
    assert coming(week, monday) == night
    assert coming(week, night.start) == night
    within = coming(week, monday + 24 * hour)
    assert within is not None
    assert within.end == night.end
    assert coming(week, night.end) == dawn
    assert coming(week, dawn.end) == Span(night.start + 168 * hour, night.end + 168 * hour)

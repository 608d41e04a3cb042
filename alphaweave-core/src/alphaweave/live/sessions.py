"""When a market is open: around the clock, by a weekly table, by an exchange's own calendar.

Spans and instants are nanoseconds since the epoch, UTC; the end of a span is exclusive.
"""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from attrs import frozen

from alphaweave.core.clock import EPOCH, from_ns, to_ns
from alphaweave.data.zones import DAY_NS, Zone
from alphaweave.live.datafeed import Session

__all__ = [
    "AROUND_THE_CLOCK",
    "AroundTheClock",
    "Calendar",
    "ExchangeCalendar",
    "Span",
    "WeeklyCalendar",
    "coming",
    "next_open",
    "open_time",
    "read_calendar",
    "sessions_of",
]

_WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_KEYS: Final = frozenset({*_WEEK, "timezone", "closed", "special"})
_DAY_MINUTES: Final = 24 * 60
# A market that stays closed for longer has no calendar worth the name.
_HORIZON_NS: Final = 60 * DAY_NS


@frozen(order=True)
class Span:
    """One stretch of trading, end exclusive."""

    start: int
    end: int


class Calendar(Protocol):
    """When one market is open."""

    def spans(self, start: int, end: int) -> Sequence[Span]:
        """The sessions that overlap [start, end), whole ones, in order, without an overlap.

        Raises:
            ValueError: the calendar does not reach that far; what is not known is not closed.
        """
        ...


class AroundTheClock:
    """Never closed: one session, as long as one asks for."""

    def spans(self, start: int, end: int) -> Sequence[Span]:
        return (Span(start, end),) if start < end else ()


AROUND_THE_CLOCK: Final = AroundTheClock()


class WeeklyCalendar:
    """The same hours every week, but for days that are closed and days with hours of their own.

    Hours are wall-clock times of one zone, ``09:30-16:00``. A session that ends at or before the time it
    starts at ends on the next day (``18:00-17:00`` is nearly a day of futures); it belongs to the day it
    starts on.
    """

    def __init__(
        self,
        hours: Mapping[str, Sequence[str]],
        *,
        timezone: str,
        closed: Iterable[date] = (),
        special: Mapping[date, Sequence[str]] | None = None,
    ) -> None:
        """Read the table: ``mon`` to ``sun`` -> hours; a day that is absent is closed.

        Raises:
            ValueError: an unknown day or zone, hours that are none or overlap, a date that is closed and
                special at once, or a week without a session.
        """
        unknown = sorted(set(hours).difference(_WEEK))
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: the days of a week are {', '.join(_WEEK)}")
        Zone(timezone)
        self._zone = ZoneInfo(timezone)
        self._week = tuple(_hours(hours.get(day, ()), day) for day in _WEEK)
        if not any(self._week):
            raise ValueError("a week without any session; write the hours of one day at least, or 24/7")
        for first, second in zip(self._week, (*self._week[1:], self._week[0]), strict=True):
            if first and second and first[-1][1] > second[0][0] + _DAY_MINUTES:
                raise ValueError("a session that ends on the next day overlaps the first one there")
        self._days = {day: _hours(texts, day.isoformat()) for day, texts in (special or {}).items()}
        for day in closed:
            if day in self._days:
                raise ValueError(f"{day} is closed and has hours of its own; write it in one place only")
            self._days[day] = ()

    def spans(self, start: int, end: int) -> Sequence[Span]:
        found: list[Span] = []
        # Two days more at either side, for what began the day before and for the zone's offset.
        day = (EPOCH + timedelta(start // DAY_NS - 2)).date()
        last = (EPOCH + timedelta(end // DAY_NS + 2)).date()
        while day <= last:
            for opening, closing in self._days.get(day, self._week[day.weekday()]):
                span = Span(self._instant(day, opening), self._instant(day, closing))
                # A special day may begin before the session of the day before is over.
                if found and span.start < found[-1].end:
                    span = Span(found[-1].end, span.end)
                if span.start < span.end:
                    found.append(span)
            day += timedelta(1)
        return tuple(span for span in found if span.start < end and span.end > start)

    def _instant(self, day: date, minutes: int) -> int:
        # On the clock of the wall, so that a session opens at its hour also after the clocks have changed.
        days, within = divmod(minutes, _DAY_MINUTES)
        wall = datetime.combine(day + timedelta(days), time(within // 60, within % 60), self._zone)
        return to_ns(wall.astimezone(UTC))


class ExchangeCalendar:
    """The sessions of an exchange with its holidays and its lunch break (extra ``[calendars]``).

    It reaches from twenty years ago to about a year ahead.
    """

    def __init__(self, name: str) -> None:
        """Read the calendar of a market, by its code: ``XNYS``, ``XLON``, ``CMES``.

        Raises:
            ValueError: exchange-calendars is not installed, or knows no such market.
        """
        self.name = name
        starts: list[int] = []
        ends: list[int] = []
        for start, end in _spans_of_exchange(name):
            starts.append(start)
            ends.append(end)
        self._starts, self._ends = starts, ends

    def spans(self, start: int, end: int) -> Sequence[Span]:
        if start < self._starts[0] or end > self._ends[-1]:
            raise ValueError(
                f"the calendar {self.name} is known from {from_ns(self._starts[0]):%Y-%m-%d} to "
                f"{from_ns(self._ends[-1]):%Y-%m-%d}, not from {from_ns(start)} to {from_ns(end)}"
            )
        first = bisect_right(self._ends, start)
        found = []
        for opening, closing in zip(self._starts[first:], self._ends[first:], strict=True):
            if opening >= end:
                break
            found.append(Span(opening, closing))
        return tuple(found)


def next_open(calendar: Calendar, at: int) -> int | None:
    """The first instant at or after ``at`` that is in a session; None if there is none for two months."""
    reach = DAY_NS
    while reach <= _HORIZON_NS:
        spans = calendar.spans(at, at + reach)
        if spans:
            return max(at, spans[0].start)
        reach *= 4
    return None


def coming(calendar: Calendar, at: int) -> Span | None:
    """The span that ``at`` lies in, else the next one; None if there is none for two months.

    Spans that touch are one.
    """
    reach = DAY_NS
    while reach <= _HORIZON_NS:
        spans = [span for span in calendar.spans(at, at + reach) if span.end > at]
        # One that ends with what was looked at may go on.
        if spans and (len(spans) > 1 or spans[0].end < at + reach or reach * 4 > _HORIZON_NS):
            start, end = spans[0].start, spans[0].end
            for span in spans[1:]:
                if span.start > end:
                    break
                end = span.end
            return Span(start, end)
        reach *= 4
    return None


def open_time(calendar: Calendar, start: int, end: int) -> int:
    """For how many nanoseconds of [start, end) the market is open."""
    return sum(min(span.end, end) - max(span.start, start) for span in calendar.spans(start, end))


def sessions_of(
    calendar: Calendar, symbols: Sequence[str], start: datetime, end: datetime
) -> Sequence[Session]:
    """What ``DataFeed.sessions`` answers for symbols that share a calendar."""
    spans = calendar.spans(to_ns(start), to_ns(end))
    return [Session(symbol, from_ns(span.start), from_ns(span.end)) for span in spans for symbol in symbols]


def read_calendar(given: str | Mapping[str, Any]) -> Calendar:
    """A calendar as a config writes it: ``24/7``, an exchange's code, or a table.

    The table has ``mon`` to ``sun`` (a list of hours), ``timezone``, and, where there are any, ``closed``
    (a list of dates) and ``special`` (date -> list of hours).

    Raises:
        ValueError: anything else; the message names what is wrong.
    """
    if isinstance(given, str):
        return AROUND_THE_CLOCK if given == "24/7" else ExchangeCalendar(given)
    unknown = sorted(set(map(str, given)).difference(_KEYS))
    if unknown:
        raise ValueError(
            f"{', '.join(unknown)}: a calendar has {', '.join((*_WEEK, *sorted(_KEYS - {*_WEEK})))}"
        )
    if "timezone" not in given:
        raise ValueError("a table of hours needs a timezone, such as America/New_York")
    closed = _listed(given.get("closed", ()), "closed")
    special = given.get("special", {})
    if not isinstance(special, Mapping):
        raise ValueError(f"special is a table of dates with their hours, not {special!r}")
    return WeeklyCalendar(
        {day: _listed(given[day], day) for day in _WEEK if day in given},
        timezone=str(given["timezone"]),
        closed=[_date(day) for day in closed],
        special={_date(day): _listed(texts, str(day)) for day, texts in special.items()},
    )


def _listed(value: object, where: str) -> Sequence[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"{where} is a list, not {value!r}")
    return value


def _date(value: object) -> date:
    # YAML reads 2026-12-25 as a date by itself.
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a date; write it as 2026-12-25") from None


def _hours(texts: Sequence[str], where: str) -> tuple[tuple[int, int], ...]:
    """Minutes from midnight, in order; past 1,440 where a session ends on the next day."""
    found: list[tuple[int, int]] = []
    for text in texts:
        opening, _, closing = str(text).partition("-")
        try:
            start, end = map(_minutes, (opening, closing))
        except ValueError:
            raise ValueError(f"{where}: {text!r} are no hours; write them as 09:30-16:00") from None
        if end <= start:
            end += _DAY_MINUTES
        if found and start < found[-1][1]:
            raise ValueError(f"{where}: {text} begins before the hours before it are over")
        found.append((start, end))
    return tuple(found)


def _minutes(text: str) -> int:
    if text.strip() == "24:00":
        return _DAY_MINUTES
    read = time.fromisoformat(text.strip())
    if read.second or read.microsecond or read.tzinfo is not None:
        raise ValueError(text)
    return read.hour * 60 + read.minute


def _spans_of_exchange(name: str) -> Iterable[tuple[int, int]]:
    try:
        import exchange_calendars
    except ImportError:
        raise ValueError(
            f"the calendar {name} needs exchange-calendars: pip install 'alphaweave-core[calendars]'. "
            "Without it, write 24/7 or a table of hours"
        ) from None
    with warnings.catch_warnings():
        # What that package asks of pandas is its own affair, and no news to whoever runs a strategy.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        try:
            schedule = exchange_calendars.get_calendar(name).schedule
        except exchange_calendars.errors.CalendarError:
            raise ValueError(
                f"exchange-calendars knows no market {name!r}; try XNYS, XNAS, XLON or 24/7"
            ) from None
        columns = (schedule[column] for column in ("open", "break_start", "break_end", "close"))
        rows = zip(*(column.array for column in columns), strict=True)
        for opening, pause, resumed, closing in rows:
            if pause == pause:  # noqa: PLR0124 - a day without a break has NaT, which equals nothing
                yield opening.value, pause.value
                opening = resumed  # noqa: PLW2901 - the second half of the day
            yield opening.value, closing.value

"""When each kind of contract trades, and how the gateway writes that down."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from attrs import frozen

__all__ = ["NEW_YORK", "Hours", "midnight_before"]

NEW_YORK = ZoneInfo("America/New_York")
_DAY = timedelta(days=1)


@frozen
class _Week:
    """A day's session.

    Attributes:
        zone: the name of the time zone as the gateway writes it.
        opens: on the day before, if it is not before ``closes``.
        early, late: the session with what is around it; None where there is no more.
    """

    zone: str
    opens: time
    closes: time
    early: time | None = None
    late: time | None = None
    daily: bool = False


_WEEKS = {
    "STK": _Week("US/Eastern", time(9, 30), time(16), time(4), time(20)),
    "CASH": _Week("US/Eastern", time(17, 15), time(17)),
    "FUT": _Week("US/Central", time(17), time(16)),
    "CRYPTO": _Week("US/Eastern", time(0), time(0), daily=True),
}


def midnight_before(now: datetime) -> datetime:
    """The last midnight in the gateway's own time zone, in UTC."""
    return datetime.combine(now.astimezone(NEW_YORK).date(), time(0), NEW_YORK).astimezone(UTC)


class Hours:
    """The calendar. Instants go in and come out in UTC."""

    def __init__(self, holidays: Iterable[str], *, always_open: bool) -> None:
        self._holidays = {date.fromisoformat(day) for day in holidays}
        self._always = always_open

    def zone(self, kind: str) -> str:
        """The contract's time zone, as the gateway writes it."""
        return _WEEKS[kind].zone

    def session(self, kind: str, day: date, *, regular: bool) -> tuple[datetime, datetime] | None:
        """The session that ends on that day; None if there is none."""
        week = _WEEKS[kind]
        if not self._always and not week.daily and (day.weekday() >= 5 or day in self._holidays):
            return None
        opens, closes = week.opens, week.closes
        if self._always:
            opens = closes = time(0)
        elif not regular and week.early is not None and week.late is not None:
            opens, closes = week.early, week.late
        zone = ZoneInfo(week.zone)
        if self._always or week.daily:
            return _at(day, opens, zone), _at(day + _DAY, closes, zone)
        first = day - _DAY if opens >= closes else day
        return _at(first, opens, zone), _at(day, closes, zone)

    def is_open(self, kind: str, now: datetime, *, regular: bool) -> bool:
        """Whether a session runs."""
        start, end = self._current(kind, now, regular)
        return start <= now < end

    def close_after(self, kind: str, now: datetime, *, regular: bool) -> datetime:
        """When the session ends that runs now, or that comes next."""
        return self._current(kind, now, regular)[1]

    def open_after(self, kind: str, now: datetime, *, regular: bool) -> datetime:
        """When the next session begins, or the present one began."""
        return self._current(kind, now, regular)[0]

    def text(self, kind: str, now: datetime, *, regular: bool) -> str:
        """The sessions of the next days, as a contract's details say them."""
        zone = ZoneInfo(_WEEKS[kind].zone)
        today = now.astimezone(zone).date()
        said = []
        for ahead in range(6):
            day = today + ahead * _DAY
            session = self.session(kind, day, regular=regular)
            if session is None:
                said.append(f"{day:%Y%m%d}:CLOSED")
            else:
                start, end = (one.astimezone(zone) for one in session)
                said.append(f"{start:%Y%m%d:%H%M}-{end:%Y%m%d:%H%M}")
        return ";".join(said)

    def sessions(
        self, kind: str, start: datetime, end: datetime, *, regular: bool
    ) -> list[tuple[date, datetime, datetime]]:
        """Those that end between two instants, each with its day."""
        day, last = start.date() - _DAY, end.date() + _DAY
        found = []
        while day <= last:
            session = self.session(kind, day, regular=regular)
            if session is not None and start < session[1] <= end:
                found.append((day, *session))
            day += _DAY
        return found

    def around(self, kind: str, now: datetime, *, regular: bool) -> tuple[datetime, datetime]:
        """The session that runs, or that comes next: when it opens and when it closes."""
        return self._current(kind, now, regular)

    def _current(self, kind: str, now: datetime, regular: bool) -> tuple[datetime, datetime]:
        day = now.date() - _DAY
        while True:
            session = self.session(kind, day, regular=regular)
            if session is not None and now < session[1]:
                return session
            day += _DAY


def _at(day: date, when: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, when, zone).astimezone(UTC)

"""When the sandbox's stock market is open: New York's hours, on every weekday but its holidays."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

__all__ = ["NEW_YORK", "Hours"]

NEW_YORK = ZoneInfo("America/New_York")
_OPEN, _CLOSE = time(9, 30), time(16)
_EARLY, _LATE = time(4), time(20)
_DAY = timedelta(days=1)


class Hours:
    """The calendar. Instants go in and come out in UTC; days are New York's."""

    def __init__(self, holidays: Iterable[str], *, always_open: bool) -> None:
        self._holidays = {date.fromisoformat(day) for day in holidays}
        self._always = always_open

    def trades_on(self, day: date) -> bool:
        return self._always or (day.weekday() < 5 and day not in self._holidays)

    def is_open(self, now: datetime) -> bool:
        """Whether the regular session runs."""
        return self._always or self._within(now, _OPEN, _CLOSE)

    def is_extended(self, now: datetime) -> bool:
        """Whether the session from 4:00 to 20:00 runs, the regular one included."""
        return self._always or self._within(now, _EARLY, _LATE)

    def close_after(self, now: datetime, *, extended: bool = False) -> datetime:
        """When the session ends in which a day order works that comes now."""
        end = _LATE if extended else _CLOSE
        day = now.astimezone(NEW_YORK).date()
        while not self.trades_on(day) or _at(day, end) <= now:
            day += _DAY
        return _at(day, end)

    def open_after(self, now: datetime) -> datetime:
        day = now.astimezone(NEW_YORK).date()
        while not self.trades_on(day) or _at(day, _OPEN) <= now:
            day += _DAY
        return _at(day, _OPEN)

    def in_ninety_days(self, now: datetime) -> datetime:
        """When an order that is good till cancelled ends all the same."""
        return _at(now.astimezone(NEW_YORK).date() + 90 * _DAY, _CLOSE)

    def refuses_auction(self, now: datetime, tif: str) -> bool:
        """Whether an order for the opening or closing auction comes at an hour that takes none."""
        if self._always:
            return False
        local = now.astimezone(NEW_YORK).time()
        return (time(9, 28) if tif == "opg" else time(15, 50)) <= local < time(19)

    def clock(self, now: datetime) -> dict[str, Any]:
        """``GET /v2/clock``."""
        return {
            "timestamp": now.astimezone(NEW_YORK).isoformat(),
            "is_open": self.is_open(now),
            "next_open": self.open_after(now).astimezone(NEW_YORK).isoformat(),
            "next_close": self.close_after(now).astimezone(NEW_YORK).isoformat(),
        }

    def calendar(self, start: date, end: date) -> list[dict[str, str]]:
        """``GET /v2/calendar``, both days included."""
        rows = []
        day = start
        while day <= end:
            if self.trades_on(day):
                settled = day + _DAY
                while not self.trades_on(settled):
                    settled += _DAY
                rows.append(
                    {
                        "date": day.isoformat(),
                        "open": "00:00" if self._always else "09:30",
                        "close": "23:59" if self._always else "16:00",
                        "session_open": "0400",
                        "session_close": "2000",
                        "settlement_date": settled.isoformat(),
                    }
                )
            day += _DAY
        return rows

    def _within(self, now: datetime, start: time, end: time) -> bool:
        local = now.astimezone(NEW_YORK)
        return self.trades_on(local.date()) and start <= local.time() < end


def _at(day: date, when: time) -> datetime:
    return datetime.combine(day, when, NEW_YORK).astimezone(UTC)

"""What a reader calls the time of a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import frozen

from alphaweave.core.clock import from_ns
from alphaweave.core.interval import parse_interval

__all__ = ["BarDates"]

_DAILY_NS: Final = 20 * 3_600_000_000_000


@frozen
class BarDates:
    """A bar of a day or more goes by its date in its market's time zone, a shorter one by its end, UTC.

    Attributes:
        daily: whether bars are a day or longer.
        zone: whose days they are.
    """

    daily: bool
    zone: tzinfo

    @classmethod
    def of(cls, meta: Mapping[str, Any], ends: Sequence[int] = ()) -> BarDates:
        """For the bars of the run that said ``meta`` of itself; where that does not name an interval, the
        distance between their ends (epoch nanoseconds UTC) decides."""
        try:
            zone: tzinfo = ZoneInfo(str(meta.get("timezone") or "UTC"))
        except (ZoneInfoNotFoundError, ValueError):
            zone = UTC
        try:
            return cls(parse_interval(str(meta.get("interval"))).days is not None, zone)
        except ValueError:
            return cls(_days_apart(ends), zone)

    def date(self, end: int) -> date:
        """The day of a bar. It may end with the first instant of the next one."""
        return (from_ns(end) - timedelta(microseconds=1)).astimezone(self.zone).date()

    def text(self, end: int) -> str:
        """The time of a bar, for a reader."""
        return self.date(end).isoformat() if self.daily else f"{from_ns(end):%Y-%m-%d %H:%M}"


def _days_apart(ends: Sequence[int]) -> bool:
    import numpy as np

    return len(ends) > 1 and float(np.median(np.diff(np.array(ends)))) >= _DAILY_NS

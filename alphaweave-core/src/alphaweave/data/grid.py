"""Where bars of an interval begin and end."""

from __future__ import annotations

from typing import Final

from alphaweave.core.interval import parse_interval
from alphaweave.data.zones import DAY_NS, Zone

__all__ = ["BarGrid"]

_SECOND_NS: Final = 1_000_000_000
# Day 0 of the epoch was a Thursday; weeks begin on Mondays.
_WEEK_SHIFT: Final = 3


class BarGrid:
    """The spans that bars of one interval cover, without a gap and without an overlap.

    Bars shorter than a day are counted from local midnight, and the last of a day is cut at the next one,
    so that every day looks alike. Bars of whole days span local midnights; weeks begin on Monday, other
    numbers of days are counted from 1970-01-01. All instants are nanoseconds since the epoch, UTC.

    Attributes:
        interval: the interval in its one spelling.
        length: its nominal length in nanoseconds.
    """

    __slots__ = ("_days", "_zone", "interval", "length")

    def __init__(self, interval: str, timezone: str = "UTC") -> None:
        """Raises ValueError for something that is no interval of time, or no time zone."""
        parsed = parse_interval(interval)
        if parsed.seconds is None:
            raise ValueError("ticks have no length; bars on a grid need an interval such as 1m or 1d")
        self.interval = parsed.text
        self.length = parsed.seconds * _SECOND_NS
        self._days = parsed.days
        self._zone = Zone(timezone)

    def floor(self, at: int) -> int:
        """The last boundary at or before an instant: the start of the bar that it falls into."""
        day = self._day_of(at)
        if self._days is not None:
            return self._zone.midnight(self._first_day(day))
        midnight = self._zone.midnight(day)
        return midnight + (at - midnight) // self.length * self.length

    def after(self, at: int) -> int:
        """The first boundary after an instant: the end of the bar that it falls into."""
        day = self._day_of(at)
        if self._days is not None:
            return self._zone.midnight(self._first_day(day) + self._days)
        midnight = self._zone.midnight(day)
        following = midnight + ((at - midnight) // self.length + 1) * self.length
        return min(following, self._zone.midnight(day + 1))

    def is_boundary(self, at: int) -> bool:
        return self.floor(at) == at

    def _first_day(self, day: int) -> int:
        days = self._days or 1
        shift = _WEEK_SHIFT if days % 7 == 0 else 0
        return (day + shift) // days * days - shift

    def _day_of(self, at: int) -> int:
        # The guess by UTC is at most one local day off, whatever the zone's offset.
        day = at // DAY_NS
        while self._zone.midnight(day) > at:
            day -= 1
        while self._zone.midnight(day + 1) <= at:
            day += 1
        return day

"""Wall-clock time and UTC, a column at a time."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from alphaweave.core.clock import EPOCH
from alphaweave.data.report import Origin

__all__ = ["DAY_NS", "Zone", "wall_text"]

DAY_NS: Final = 86_400_000_000_000
_WALL_EPOCH: Final = EPOCH.replace(tzinfo=None)
_SECOND: Final = timedelta(seconds=1)


class Zone:
    """One time zone. ``wall`` times are nanoseconds since 1970-01-01 00:00 on that zone's clocks,
    instants are nanoseconds since the epoch, UTC; a day is a number of days since 1970-01-01."""

    __slots__ = ("_midnights", "_zone", "key")

    def __init__(self, key: str) -> None:
        """Raises ValueError if no such time zone is known."""
        try:
            self._zone = ZoneInfo(key)
        except (KeyError, ValueError, OSError):
            raise ValueError(
                f"{key!r} is not a known time zone; write an IANA name such as UTC or America/New_York"
            ) from None
        self.key = key
        self._midnights: dict[int, int] = {}

    def midnight(self, day: int) -> int:
        """The first instant of a local day."""
        known = self._midnights.get(day)
        if known is None:
            known = self._midnights[day] = day * DAY_NS - self._offset(day * DAY_NS)
        return known

    def to_instants(self, wall: Sequence[int], origin: Origin) -> array[int]:
        """Turn wall times into instants.

        Raises:
            DataError: at a time the clocks skip or repeat, for nobody can tell which instant it is.
        """
        if self.key == "UTC":
            return array("q", wall)
        offsets = {day: self._offset_of_day(day) for day in {time // DAY_NS for time in wall}}
        if None not in offsets.values():
            return array("q", [time - offsets[time // DAY_NS] for time in wall])  # type: ignore[operator]
        instants = array("q")
        for row, time in enumerate(wall):
            offset = offsets[time // DAY_NS]
            if offset is None:
                offset = self._offset(time)
                if offset != self._offset(time, fold=1):
                    raise origin.error(
                        row,
                        f"{wall_text(time)} is skipped or repeated in {self.key}, where the clocks change; "
                        "write stamps in UTC or with their offset",
                    )
            instants.append(time - offset)
        return instants

    def to_wall(self, instants: Sequence[int]) -> array[int]:
        """Turn instants into what this zone's clocks showed."""
        if self.key == "UTC":
            return array("q", instants)
        offsets: dict[int, int | None] = {}
        for day in {time // DAY_NS for time in instants}:
            first, last = self._offset_at(day * DAY_NS), self._offset_at((day + 1) * DAY_NS)
            offsets[day] = first if first == last else None
        wall = array("q")
        for time in instants:
            offset = offsets[time // DAY_NS]
            wall.append(time + (self._offset_at(time) if offset is None else offset))
        return wall

    def _offset_of_day(self, day: int) -> int | None:
        first, last = self._offset(day * DAY_NS), self._offset((day + 1) * DAY_NS)
        return first if first == last else None

    def _offset(self, wall: int, fold: int = 0) -> int:
        moment = _WALL_EPOCH + timedelta(microseconds=wall // 1000)
        return _ns(moment.replace(tzinfo=self._zone, fold=fold).utcoffset())

    def _offset_at(self, instant: int) -> int:
        moment = EPOCH + timedelta(microseconds=instant // 1000)
        return _ns(moment.astimezone(self._zone).utcoffset())


def wall_text(wall: int) -> str:
    """A wall time as people write it; the time of day only if it is not midnight."""
    moment = _WALL_EPOCH + timedelta(microseconds=wall // 1000)
    return f"{moment:%Y-%m-%d}" if wall % DAY_NS == 0 else f"{moment:%Y-%m-%d %H:%M:%S}"


def _ns(offset: timedelta | None) -> int:
    return (offset or timedelta()) // _SECOND * 1_000_000_000

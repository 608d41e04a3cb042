"""Which span of time each bar covers: intervals, days, gaps."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from operator import le, sub
from typing import Final, Literal

from attrs import frozen

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import DataError
from alphaweave.core.interval import DAY_SECONDS, Interval, interval_of, parse_interval
from alphaweave.data.report import Adjustment, Note, Origin
from alphaweave.data.stamps import Stamps
from alphaweave.data.zones import DAY_NS, Zone, wall_text

__all__ = ["Rules", "check_spacing", "key_text", "keys_of", "most_common_interval", "spans_of"]

_SECOND_NS: Final = 1_000_000_000
# What a spacing is taken for when no interval is given; any other is more likely a sparse file.
_USUAL: Final = frozenset(
    {1, 5, 10, 15, 30}
    | {60 * n for n in (1, 2, 3, 5, 10, 15, 20, 30)}
    | {3600 * n for n in (1, 2, 3, 4, 6, 8, 12)}
    | {DAY_SECONDS, 7 * DAY_SECONDS}
)
_SAMPLE: Final = 10_000
# After so many bars that are all further apart than the interval, the interval is wrong. Three will do
# where all are whole days (or weeks) apart, as daily (or weekly) bars are.
_ENOUGH: Final = 30
_FEW: Final = 3
_DAYS: Final = frozenset({0, 3600 * _SECOND_NS, 23 * 3600 * _SECOND_NS})


@frozen
class Rules:
    """How the rows of a source are to be read.

    Attributes:
        zone: the clock of stamps without an offset, and of the days that daily bars span.
        interval: None infers it from the rows.
        stamp: whether a stamp is the start or the end of its bar. Where every stamp of bars of whole
            days is a midnight, stamps are dates: the first or the last day in the bar.
        adjust: scale the prices by the adjusted close.
    """

    zone: Zone
    interval: Interval | None = None
    stamp: Literal["start", "end"] = "start"
    adjust: bool = False

    @classmethod
    def parse(
        cls, *, interval: str | None, timezone: str, stamp: Literal["start", "end"], adjust: bool
    ) -> Rules:
        """Read the arguments of a loader.

        Raises:
            ValueError: no such interval, time zone or stamp.
        """
        parsed = None if interval is None else parse_interval(interval)
        if parsed is not None and parsed.seconds is None:
            raise ValueError("bars have an interval; tick is for trades")
        if stamp not in {"start", "end"}:
            raise ValueError(f"a stamp is the start or the end of its bar, not {stamp!r}")
        return cls(Zone(timezone), parsed, stamp, adjust)


def most_common_interval(stamps: Stamps, origin: Origin) -> Interval:
    """The interval that stamps are most often apart, as the first 10,000 tell.

    Raises:
        DataError: for a single stamp, or a spacing that is no usual interval.
    """
    times = stamps.raw[:_SAMPLE]
    if not all(map(le, times, islice(times, 1, None))):
        times = array("q", sorted(stamps.raw)[:_SAMPLE])
    spacings = Counter(map(sub, islice(times, 1, None), times))
    # Equal stamps are repeats, which are no spacing.
    counts = sorted((-count, spacing) for spacing, count in spacings.items() if spacing > 0)
    if not counts:
        raise DataError(origin.path, "a single bar does not tell its interval; give interval")
    common = counts[0][1]
    seconds, rest = divmod(common, _SECOND_NS)
    if rest or seconds not in _USUAL:
        raise DataError(
            origin.path,
            f"bars are most often {_length_text(common)} apart, which is no usual interval; give interval",
        )
    return interval_of(seconds)


def keys_of(stamps: Stamps, origin: Origin, interval: Interval, rules: Rules) -> array[int]:
    """What tells each bar from the others: its first day (days since 1970-01-01) for bars of whole
    days, else its start in nanoseconds UTC.

    Raises:
        DataError: at a wall time that the zone skips or repeats.
    """
    at_end = rules.stamp == "end"
    if interval.days is None:
        length = _nanoseconds(interval)
        instants = stamps.to_instants(rules.zone, origin)
        return array("q", map((-length).__add__, instants)) if at_end else instants
    wall = stamps.to_wall(rules.zone)
    if not at_end:
        return array("q", [time // DAY_NS for time in wall])
    # A midnight among times of day ends a bar at that instant, which is the day before.
    inside = 1 if any(time % DAY_NS for time in wall) else 0
    return array("q", [(time - inside) // DAY_NS - interval.days + 1 for time in wall])


def key_text(key: int, interval: Interval) -> str:
    """A key as people write it."""
    return from_ns(key).isoformat() if interval.days is None else wall_text(key * DAY_NS)


def spans_of(
    keys: array[int], origin: Origin, interval: Interval, rules: Rules, note: Note
) -> tuple[array[int], array[int]]:
    """The start and the end of bars with rising keys, in nanoseconds UTC; gaps are noted.

    Raises:
        DataError: bars that overlap, or that are all further apart than the interval.
    """
    closest = check_spacing(keys, origin, interval, note)
    days = interval.days
    if days is None:
        return keys, array("q", map(_nanoseconds(interval).__add__, keys))
    midnight = rules.zone.midnight
    start = array("q", map(midnight, keys))
    end = array("q", [midnight(key + days) for key in keys])
    if closest < days:
        cut = [row for row in range(len(keys) - 1) if end[row] > start[row + 1]]
        for row in cut:
            end[row] = start[row + 1]
        note(origin.adjusted(cut[0], f"{len(cut)} bars of {interval} end early, where the next one starts"))
    return start, end


def check_spacing(keys: Sequence[int], origin: Origin, interval: Interval, note: Note) -> int:
    """How far apart the closest bars are, in the unit of their keys, which rise; gaps are noted.

    Raises:
        DataError: bars that overlap, or that are all further apart than the interval.
    """
    days = interval.days
    length = _nanoseconds(interval) if days is None else days
    spacings = set(map(sub, islice(keys, 1, None), keys))
    closest = min(spacings, default=length)
    # Longer bars are often labelled with the first session in them, so that their labels stray.
    if closest < length if days is None else closest * 2 <= length and days > 1:
        row = next(row for row in range(1, len(keys)) if keys[row] - keys[row - 1] == closest)
        raise origin.error(
            row, f"this bar starts before the {interval} bar of line {origin.lines[row - 1]} ends"
        )
    if closest > length and (len(keys) > _ENOUGH or (len(keys) >= _FEW and _longer(spacings, days))):
        raise DataError(
            origin.path,
            f"{origin.symbol}: no two bars are as close as {interval}; the closest are "
            f"{_length_text(closest if days is None else closest * DAY_NS)} apart: give the interval that "
            "the bars have",
        )
    if spacings:
        _note_gaps(keys, max(spacings), origin, interval, note)
    return closest


def _longer(spacings: set[int], days: int | None) -> bool:
    """Whether bars of less than a day are days apart, or bars of a day weeks."""
    if days is None:
        # A day on which the clocks change is an hour shorter or longer.
        return all(spacing > DAY_NS // 2 and spacing % DAY_NS in _DAYS for spacing in spacings)
    return days == 1 and not any(spacing % 7 for spacing in spacings)


def _note_gaps(keys: Sequence[int], longest: int, origin: Origin, interval: Interval, note: Note) -> None:
    days = interval.days
    length = _nanoseconds(interval) if days is None else days
    # Half an interval more is how far the labels of longer bars may stray.
    limit = length if days is None or days == 1 else length + length // 2
    if longest <= limit:
        return
    # Gone through twice rather than listed: there may be more of them than memory is for.
    row = next(row for row, spacing in enumerate(map(sub, islice(keys, 1, None), keys)) if spacing == longest)
    between = f"the longest gap is {key_text(keys[row], interval)} to {key_text(keys[row + 1], interval)}"
    if days == 1:
        missing, kind = _missing_days(keys)
        found = f"{missing} {kind} without a bar, holidays included"
    else:
        missing = sum(map(limit.__lt__, map(sub, islice(keys, 1, None), keys)))
        found = f"{missing} gaps of more than {interval}, closed hours included"
    if missing:
        note(Adjustment(origin.path, None, f"{origin.symbol}: {found}; kept as gaps; {between}"))


def _missing_days(keys: Sequence[int]) -> tuple[int, str]:
    def weekdays_before(day: int) -> int:
        # Day 0 was a Thursday: counted from the Monday before it, weeks have five weekdays each.
        weeks, weekday = divmod(day + 3, 7)
        return weeks * 5 + min(weekday, 5)

    first, after = keys[0], keys[-1] + 1
    weekend = sum((day + 3) % 7 >= 5 for day in keys)
    # A Saturday session now and then does not make a market that trades at weekends.
    if weekend * 10 >= len(keys):
        return after - first - len(keys), "days"
    return weekdays_before(after) - weekdays_before(first) - (len(keys) - weekend), "weekdays"


def _nanoseconds(interval: Interval) -> int:
    return (interval.seconds or 0) * _SECOND_NS


def _length_text(nanoseconds: int) -> str:
    return str(timedelta(microseconds=nanoseconds // 1000))

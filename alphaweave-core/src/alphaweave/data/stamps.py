"""Dates and times as files write them."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from operator import add, itemgetter, sub
from typing import Final, Literal

from attrs import frozen

from alphaweave.data.report import Origin
from alphaweave.data.zones import DAY_NS, Zone

__all__ = ["DateOrder", "Stamps", "read_datetimes", "read_stamps"]

DateOrder = Literal["mdy", "dmy"]
"""How to read ``03/04/2020``: as 4 March or as 3 April."""

_SECOND_NS: Final = 1_000_000_000
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
# Outside these years a 64-bit count of nanoseconds overflows.
_YEARS: Final = range(1678, 2262)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_YEAR_FIRST: Final = re.compile(r"(?P<y>\d{4})([-/.])(?P<m>\d{1,2})\2(?P<d>\d{1,2})")
_COMPACT: Final = re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})")
_YEAR_LAST: Final = re.compile(r"(?P<a>\d{1,2})(?P<mark>[-/.])(?P<b>\d{1,2})(?P=mark)(?P<y>\d{4})")
_DAY_NAMED: Final = re.compile(r"(?P<d>\d{1,2})[- ](?P<m>[A-Za-z]{3,9})[- ](?P<y>\d{4})")
_MONTH_NAMED: Final = re.compile(r"(?P<m>[A-Za-z]{3,9})\.? (?P<d>\d{1,2}),? (?P<y>\d{4})")
_FORMS: Final = (_YEAR_FIRST, _COMPACT, _YEAR_LAST, _DAY_NAMED, _MONTH_NAMED)
# "September 30, 2020" is the longest date there is.
_WIDEST: Final = 18
_CLOCK: Final = re.compile(
    r"(?:(?:T|,? +)?(?P<h>\d{1,2}):?(?P<m>\d{2})(?::?(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp])[Mm])? ?(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?"
)
_NUMBER: Final = re.compile(r"[+-]?(\d+)(?:\.\d*)?")
# Nanoseconds of each unit, and the least count it is taken for: finer units than seconds overlap with
# coarser ones only before 1973.
_EPOCH_UNITS: Final = ((_SECOND_NS, 0), (10**6, 10**11), (1000, 10**14), (1, 10**17))

_ADVICE: Final = "write 2020-11-19, 2020-11-19 15:30:00 or an epoch"
_MIXED: Final = "some stamps have an offset from UTC and some have none; write all of them one way"


@frozen
class Stamps:
    """A column of stamps; at least one of ``wall`` and ``instants`` is there.

    Attributes:
        wall: what the stamp says, as nanoseconds since 1970-01-01 00:00 on the clock it was written
            by; None for epochs, which are by no clock.
        instants: nanoseconds since the epoch, UTC; None when no offset was written.
    """

    wall: array[int] | None
    instants: array[int] | None

    @property
    def raw(self) -> array[int]:
        """The written clock if there is one: good for telling spacings, not for telling time."""
        column = self.instants if self.wall is None else self.wall
        return array("q") if column is None else column

    def take(self, rows: Sequence[int]) -> Stamps:
        """The stamps of some rows, in their order."""

        def of(column: array[int] | None) -> array[int] | None:
            return None if column is None else array("q", map(column.__getitem__, rows))

        return Stamps(of(self.wall), of(self.instants))

    def to_wall(self, zone: Zone) -> array[int]:
        """The written clock; for epochs the clock of ``zone``."""
        return zone.to_wall(self.raw) if self.wall is None else self.wall

    def to_instants(self, zone: Zone, origin: Origin) -> array[int]:
        """Instants; stamps without an offset are read on the clock of ``zone``.

        Raises:
            DataError: at a wall time that the zone skips or repeats.
        """
        return zone.to_instants(self.raw, origin) if self.instants is None else self.instants


def read_stamps(texts: Sequence[str], origin: Origin, order: DateOrder | None = None) -> Stamps:
    """Read a column of dates, dates with times, or epochs; the first one decides which.

    Dates are year first (``2020-11-19``, ``2020/11/19``, ``20201119``), with a month's English name
    (``19-Nov-2020``, ``Nov 19, 2020``), or year last: dotted ones day first (``19.11.2020``), others as
    ``order`` says or, without it, as some date of the column proves (``11/19/2020``). A time follows a
    blank or a T, with an offset or without. Epochs are seconds, or from 1973 on milliseconds,
    microseconds or nanoseconds, by their magnitude; 8, 12 or 14 digits that begin with a likely year are
    a date run together.

    Raises:
        DataError: a stamp that is none of these, stamps with and without an offset in one column,
            epochs of several units, or year-last dates that could be read both ways.
    """
    if not texts:
        return Stamps(array("q"), None)
    if texts[0] != texts[0].strip():
        texts = list(map(str.strip, texts))
    number = _NUMBER.fullmatch(texts[0])
    if number and not _is_run_together(number[1]):
        return Stamps(None, _read_epochs(texts, origin))
    match = next((match for form in _FORMS if (match := form.match(texts[0]))), None)
    if match is None:
        raise _unreadable(texts[0], 0, origin)
    form, width = match.re, match.end()
    # Days and times of day repeat: each is read once, then looked up for every row without a bytecode.
    head, tail = itemgetter(slice(width)), itemgetter(slice(width, None))
    days, clocks = set(map(head, texts)), set(map(tail, texts))
    if not (all(map(form.fullmatch, days)) and all(map(_CLOCK.fullmatch, clocks))):
        texts = _padded(texts, form, origin)
        head, tail = itemgetter(slice(_WIDEST)), itemgetter(slice(_WIDEST, None))
        days, clocks = set(map(head, texts)), set(map(tail, texts))
    wall_of = _read_days(days, form, texts, origin, order)
    time_of = {text: _read_clock(text) for text in clocks}
    offset_of = {text: _read_offset(text) for text in clocks}
    if None in wall_of.values() or None in time_of.values():
        row = next(i for i, t in enumerate(texts) if wall_of[head(t)] is None or time_of[tail(t)] is None)
        raise _unreadable(texts[row], row, origin)
    if None in offset_of.values() and set(offset_of.values()) != {None}:
        naive = offset_of[tail(texts[0])] is None
        raise origin.error(
            next(i for i, t in enumerate(texts) if (offset_of[tail(t)] is None) != naive), _MIXED
        )
    wall = array("q", map(add, map(wall_of.get, map(head, texts)), map(time_of.get, map(tail, texts))))
    if None in offset_of.values():
        return Stamps(wall, None)
    return Stamps(wall, array("q", map(sub, wall, map(offset_of.get, map(tail, texts)))))


def read_datetimes(values: Iterable[object], origin: Origin) -> Stamps:
    """Take a column of ``date`` or ``datetime`` objects, all aware or all naive.

    Raises:
        DataError: aware and naive ones in one column, or something else among them.
    """
    wall, instants = array("q"), array("q")
    for row, value in enumerate(values):
        # pandas' NaT is a datetime that does not equal itself.
        if not isinstance(value, date) or value != value:  # noqa: PLR0124
            raise origin.error(row, f"{value!r} is not a date; every bar needs one")
        day = (value.toordinal() - _EPOCH_DAY) * DAY_NS
        offset = None
        if isinstance(value, datetime):
            seconds = value.hour * 3600 + value.minute * 60 + value.second
            day += seconds * _SECOND_NS + value.microsecond * 1000
            offset = value.utcoffset()
        wall.append(day)
        if offset is not None:
            instants.append(day - (offset.days * 86_400 + offset.seconds) * _SECOND_NS)
        if len(instants) not in {0, len(wall)}:
            raise origin.error(row, _MIXED)
    return Stamps(wall, instants if instants else None)


def _is_run_together(digits: str) -> bool:
    """Whether digits are a date, or a date and a time, without anything between."""
    # Milliseconds have 12 digits from 1973 to 2001, and look like a year in 1975 and 1976 alone.
    return len(digits) in {8, 14} or (len(digits) == 12 and int(digits[:4]) in _YEARS)


def _read_epochs(texts: Sequence[str], origin: Origin) -> array[int]:
    try:
        counts, exact = list(map(int, texts)), True
    except ValueError:
        row = next((i for i, text in enumerate(texts) if not _NUMBER.fullmatch(text)), None)
        if row is not None:
            raise _unreadable(texts[row], row, origin) from None
        counts, exact = [int(text.partition(".")[0]) for text in texts], False
    largest = max(counts, key=abs)
    fitting = (unit for unit in _EPOCH_UNITS if abs(largest) * unit[0] < 2**63)
    nanoseconds, least = next(fitting, (0, 0))
    if not nanoseconds or min(map(abs, counts)) < least:
        row = next(i for i, count in enumerate(counts) if abs(count) < least or not nanoseconds)
        raise origin.error(
            row,
            f"{texts[row]} is no epoch in any unit, or in another one than {texts[counts.index(largest)]}",
        )
    if exact:
        return array("q", [count * nanoseconds for count in counts])
    return array("q", [round(Decimal(text) * nanoseconds) for text in texts])


def _padded(texts: Sequence[str], form: re.Pattern[str], origin: Origin) -> list[str]:
    """The texts with every date padded to one width, so that dates and times can be cut apart."""
    padded = []
    for row, text in enumerate(map(str.strip, texts)):
        match = form.match(text)
        if match is None or not _CLOCK.fullmatch(text, match.end()):
            raise _unreadable(text, row, origin)
        padded.append(match[0].ljust(_WIDEST) + text[match.end() :])
    return padded


def _read_days(
    days: set[str], form: re.Pattern[str], texts: Sequence[str], origin: Origin, order: DateOrder | None
) -> dict[str, int | None]:
    """Nanoseconds of each written day; None where the calendar has no such day."""
    parts = {day: match.groupdict() for day in days if (match := form.match(day))}
    if form is _YEAR_LAST:
        first, last = ("d", "m") if _day_first(parts, texts, origin, order) else ("m", "d")
        parts = {day: {"y": p["y"], first: p["a"], last: p["b"]} for day, p in parts.items()}
    return {day: _read_day(part) for day, part in parts.items()}


def _read_day(part: Mapping[str, str]) -> int | None:
    month = part["m"]
    number = int(month) if month.isdecimal() else _month(month)
    try:
        day = date(int(part["y"]), number, int(part["d"]))
    except ValueError:
        return None
    return (day.toordinal() - _EPOCH_DAY) * DAY_NS if day.year in _YEARS else None


def _month(name: str) -> int:
    start = name[:3].lower()
    return _MONTHS.index(start) + 1 if start in _MONTHS else 0


def _day_first(
    parts: Mapping[str, Mapping[str, str]], texts: Sequence[str], origin: Origin, order: DateOrder | None
) -> bool:
    if order is not None:
        return order == "dmy"
    if all(part["mark"] == "." for part in parts.values()):
        return True
    day_first = {day for day, part in parts.items() if int(part["a"]) > 12}
    month_first = {day for day, part in parts.items() if int(part["b"]) > 12}
    if bool(day_first) != bool(month_first):
        return bool(day_first)
    if day_first:
        row = next(i for i, text in enumerate(texts) if text.startswith(tuple(day_first)))
        other = next(i for i, text in enumerate(texts) if text.startswith(tuple(month_first)))
        raise origin.error(
            max(row, other),
            f"{texts[row]!r} has the day first and {texts[other]!r} has the month first (line "
            f"{origin.lines[min(row, other)]}); write dates as 2020-11-19",
        )
    raise origin.error(
        0,
        f"{texts[0]!r} and every other date here could be day first or month first; "
        "set date_order to mdy or dmy",
    )


def _read_clock(text: str) -> int | None:
    """Nanoseconds of a time of day; None if no clock shows it."""
    match = _CLOCK.fullmatch(text)
    if match is None or match["h"] is None:
        return 0
    hour, minute, second = int(match["h"]), int(match["m"]), int(match["s"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["half"] in "Pp" else 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    return (hour * 3600 + minute * 60 + second) * _SECOND_NS + int((match["f"] or "").ljust(9, "0"))


def _read_offset(text: str) -> int | None:
    """Nanoseconds ahead of UTC; None if no offset is written."""
    match = _CLOCK.fullmatch(text)
    zone = match["zone"] if match else None
    if zone is None:
        return None
    if zone[0] not in "+-":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[3:].lstrip(":") or 0)
    return (-minutes if zone[0] == "-" else minutes) * 60 * _SECOND_NS


def _unreadable(text: str, row: int, origin: Origin) -> Exception:
    shown = " ".join(text.split())
    return origin.error(row, f"{shown!r} is not a date; {_ADVICE}" if shown else "a row without a date")

"""A file of minutes that a sandbox plays: history up to the present, and the market from there."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path

from attrs import evolve

from alphaweave.core.errors import RunRefused
from alphaweave.core.market import Bar

__all__ = ["MINUTE", "Playback"]

MINUTE = timedelta(minutes=1)
_COLUMNS = ("open", "high", "low", "close", "volume")


class Playback:
    """The minutes of a CSV file with the columns symbol, date (of the minute's start), open, high, low, close
    and volume, in order. A date without a time zone is UTC.

    Attributes:
        symbols: those that the file has.
        old: it ended before the present, and nobody said where to begin: it is played from its first minute.
    """

    def __init__(self, path: Path | None, begin: str | None, now: datetime) -> None:
        """Read the file; None: there is none, and nothing is played.

        Args:
            begin: the instant of the file that is the present; None: as its dates say.
            now: the present, UTC.

        Raises:
            RunRefused: it is not such a file, or ``begin`` is no instant.
        """
        bars = [] if path is None else _read(path)
        self.old = begin is None and bool(bars) and max(bar.start for bar in bars) < now
        if begin is not None or self.old:
            first = min(bar.start for bar in bars) if begin is None else _instant(begin, "begin")
            # What began with a minute begins with one of the present, too.
            shift = (now - first) // MINUTE * MINUTE
            bars = [evolve(bar, start=bar.start + shift, end=bar.end + shift) for bar in bars]
        self._bars = sorted(bars, key=lambda bar: bar.start)
        self.symbols = tuple(dict.fromkeys(bar.symbol for bar in self._bars))

    def until(self, now: datetime) -> list[Bar]:
        """The minutes that have ended, and were not handed out before."""
        due = next((place for place, bar in enumerate(self._bars) if bar.end > now), len(self._bars))
        found, self._bars = self._bars[:due], self._bars[due:]
        return found


def _read(path: Path) -> list[Bar]:
    try:
        return _bars(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = str(error.strerror).lower() if isinstance(error, OSError) else "it is no text of lines"
        raise RunRefused(f"{path} cannot be read: {why}; name a CSV file of minutes") from None


def _bars(path: Path) -> list[Bar]:
    found = []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = {"symbol", "date", *_COLUMNS} - set(reader.fieldnames or ())
        if missing:
            raise RunRefused(f"{path} has no column {', '.join(sorted(missing))}")
        for number, row in enumerate(reader, 2):
            where = f"{path}, line {number}"
            if None in row.values():
                raise RunRefused(f"{where} has fewer columns than the first line")
            start = _instant(row["date"], where)
            try:
                opened, high, low, close, volume = (float(row[name]) for name in _COLUMNS)
            except ValueError as error:
                raise RunRefused(f"{where}: {error}") from None
            if not all(map(isfinite, (opened, high, low, close, volume))):
                raise RunRefused(f"{where}: a price or volume is no finite number")
            end = start + MINUTE
            found.append(Bar(row["symbol"], "1m", start, end, opened, high, low, close, volume))
    return found


def _instant(text: str, where: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise RunRefused(f"{where}: {text!r} is no date with a time (2031-03-04T09:30:00-05:00)") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

"""A file of minutes: history up to the present, and played from there."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import evolve

from alphaweave.core.errors import RunRefused
from alphaweave_broker_ibkr.sandbox.prices import MinuteBar

__all__ = ["MINUTE", "Playback"]

MINUTE = timedelta(minutes=1)
_COLUMNS = ("open", "high", "low", "close", "volume")


class Playback:
    """The minutes of a file, in order.

    Attributes:
        symbols: those that the file has.
        old: it ended before the present, and nobody said where to begin: it is played from its first minute.
    """

    def __init__(self, path: Path | None, begin: str | None, now: datetime) -> None:
        """Read the file.

        Raises:
            RunRefused: it is not such a file, or ``begin`` is no instant.
        """
        rows = [] if path is None else _rows(path)
        starts = [bar.start for _, bar in rows]
        self.old = begin is None and bool(rows) and max(starts) < now
        if begin is not None or self.old:
            shift = now - (min(starts) if begin is None else _instant(begin, "begin"))
            # What began with a minute begins with one of the present, too.
            shift = shift // MINUTE * MINUTE
            rows = [(symbol, evolve(bar, start=bar.start + shift)) for symbol, bar in rows]
        self._rows = sorted(rows, key=lambda row: row[1].start)
        self.symbols = tuple(dict.fromkeys(symbol for symbol, _ in self._rows))

    def until(self, now: datetime) -> list[tuple[str, MinuteBar]]:
        """The minutes that have ended, and were not handed out before."""
        due = 0
        while due < len(self._rows) and self._rows[due][1].start + MINUTE <= now:
            due += 1
        found, self._rows = self._rows[:due], self._rows[due:]
        return found


def _rows(path: Path) -> list[tuple[str, MinuteBar]]:
    found = []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = {"symbol", "date", *_COLUMNS} - set(reader.fieldnames or ())
        if missing:
            raise RunRefused(f"{path} has no column {', '.join(sorted(missing))}")
        for number, row in enumerate(reader, 2):
            try:
                prices = [float(row[name]) for name in _COLUMNS]
            except ValueError as error:
                raise RunRefused(f"{path}, line {number}: {error}") from None
            start = _instant(row["date"], f"{path}, line {number}")
            found.append((row["symbol"], MinuteBar(start, *prices)))
    return found


def _instant(text: str, where: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise RunRefused(f"{where}: {text!r} is no date with a time (2031-03-04T09:30:00-05:00)") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

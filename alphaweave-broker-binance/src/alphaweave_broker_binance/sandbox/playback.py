"""A file of minutes: history up to the present, and played from there."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve

from alphaweave.core.clock import to_ns
from alphaweave.core.errors import RunRefused
from alphaweave_broker_binance.sandbox.prices import MINUTE, Minute

__all__ = ["Playback"]

_PRICES = ("open", "high", "low", "close", "volume")


class Playback:
    """The minutes of a file by symbol, in order of time.

    Attributes:
        symbols: those that the file has.
    """

    def __init__(self, path: Path | None, begin: str | None, now: int) -> None:
        """Read the file.

        Args:
            begin: the instant of the file that is the present; None: as the dates say, or its first minute
                where they have all passed.
            now: milliseconds.

        Raises:
            RunRefused: it is not such a file, or ``begin`` is no instant.
        """
        rows = sorted(_rows(path), key=lambda row: row[1].start) if path is not None else []
        self.symbols = tuple(dict.fromkeys(symbol for symbol, _ in rows))
        ahead = 0
        if rows and begin is not None:
            ahead = now - _instant(begin, "begin")
        elif rows and rows[-1][1].start < now:
            ahead = now - rows[0][1].start
        self._rows = [(symbol, evolve(one, start=one.start + ahead)) for symbol, one in rows]

    def until(self, now: int) -> list[tuple[str, Minute]]:
        """The minutes that have ended, and were not handed out before."""
        due = next(
            (place for place, (_, one) in enumerate(self._rows) if one.start + MINUTE > now), len(self._rows)
        )
        found, self._rows = self._rows[:due], self._rows[due:]
        return found


def _rows(path: Path) -> Iterator[tuple[str, Minute]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        lacking = sorted({"symbol", "date", *_PRICES} - set(reader.fieldnames or ()))
        if lacking:
            raise RunRefused(f"{path} has no column {', '.join(lacking)}")
        for number, row in enumerate(reader, 2):
            where = f"{path}, line {number}"
            try:
                opening, high, low, close, volume = (float(row[name]) for name in _PRICES)
            except (TypeError, ValueError) as error:
                raise RunRefused(f"{where}: {error}") from None
            start = _instant(row["date"], where)
            yield row["symbol"], Minute(start, opening, high, low, close, volume)


def _instant(text: str, where: str) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise RunRefused(f"{where}: {text!r} is no date with a time (2031-03-04T15:30:00+00:00)") from None
    return to_ns(found if found.tzinfo is not None else found.replace(tzinfo=UTC)) // 1_000_000

"""Which symbols have been silent for too long while their market was open."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from alphaweave.live.sessions import AROUND_THE_CLOCK, Calendar, next_open, open_time

__all__ = ["StalenessWatch"]

_SECOND_NS: Final = 1_000_000_000


class StalenessWatch:
    """Tells, once each, that a symbol went stale and that it is fresh again.

    Only time in session counts. Times are nanoseconds since the epoch, UTC.

    Attributes:
        limit: nanoseconds of open market without a word after which a symbol is stale.
    """

    def __init__(self, limit: float, calendar: Calendar = AROUND_THE_CLOCK) -> None:
        """Raises ValueError unless ``limit`` is a positive number of seconds."""
        if not limit > 0:
            raise ValueError(f"a symbol is stale after some seconds, not after {limit}")
        self.limit = round(limit * _SECOND_NS)
        self._calendar = calendar
        self._seen: dict[str, int] = {}
        self._stale: set[str] = set()

    @property
    def stale(self) -> frozenset[str]:
        return frozenset(self._stale)

    def watch(self, symbols: Iterable[str], now: int) -> None:
        """Watch these symbols and no others; new ones are fresh."""
        self._seen = {symbol: self._seen.get(symbol, now) for symbol in symbols}
        self._stale.intersection_update(self._seen)

    def saw(self, symbol: str, now: int) -> bool:
        """Something came for a symbol. Returns whether it was stale until now."""
        if symbol not in self._seen:
            return False
        self._seen[symbol] = max(now, self._seen[symbol])
        was_stale = symbol in self._stale
        self._stale.discard(symbol)
        return was_stale

    def check(self, now: int) -> tuple[str, ...]:
        """The symbols that are stale now and were not before, in the order in which they are watched."""
        found = tuple(
            symbol
            for symbol, seen in self._seen.items()
            if symbol not in self._stale
            # Nobody was silent for longer than there was time.
            and now - seen >= self.limit
            and open_time(self._calendar, seen, now) >= self.limit
        )
        self._stale.update(found)
        return found

    def next_check(self, now: int) -> int | None:
        """When the next symbol can become stale; None while all are, or none is watched."""
        due = [self._due(seen) for symbol, seen in self._seen.items() if symbol not in self._stale]
        return max(min(due), now) if due else None

    def _due(self, seen: int) -> int:
        left, at = self.limit, seen
        while True:
            opening = next_open(self._calendar, at)
            if opening is None:
                return at + self.limit
            closing = self._calendar.spans(opening, opening + left)[0].end
            if closing - opening >= left:
                return opening + left
            left -= closing - opening
            at = closing

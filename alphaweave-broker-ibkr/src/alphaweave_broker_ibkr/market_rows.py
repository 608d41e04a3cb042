"""The gateway's bars, trades and quotes, and AlphaWeave's.

A bar's volume is in what the gateway is set to count in. What cannot be read is a `ValueError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from attrs import frozen

from alphaweave.core.interval import parse_interval
from alphaweave.core.market import Quote, Trade

__all__ = [
    "FIVE_SECONDS",
    "INTERVALS",
    "Part",
    "Row",
    "part_of",
    "quote_of",
    "real_time_row_of",
    "row_of",
    "trade_of",
]

_SECOND_NS: Final = 1_000_000_000
_DAY: Final = 86_400
_YEAR: Final = 365


@frozen
class Part:
    """A size that the gateway has bars of, out of which those of an interval are made.

    Attributes:
        words: how the gateway calls it.
        seconds: its length.
        longest: seconds that one question for bars of this size may span.
    """

    words: str
    seconds: int
    longest: int

    @property
    def length(self) -> int:
        """Nanoseconds."""
        return self.seconds * _SECOND_NS

    def duration(self, seconds: int) -> str:
        """The gateway's words for a span of at least so many seconds."""
        if seconds <= _DAY:
            return f"{max(seconds, self.seconds)} S"
        days = -(-seconds // _DAY)
        # More than a year is asked for in years.
        return f"{days} D" if days <= _YEAR else f"{-(-days // _YEAR)} Y"


FIVE_SECONDS: Final = Part("5 secs", 5, 3_600)
_HALF_HOUR: Final = Part("30 mins", 1_800, 28 * _DAY)
_PARTS: Final = {
    "5s": FIVE_SECONDS,
    "10s": Part("10 secs", 10, 14_400),
    "15s": Part("15 secs", 15, 14_400),
    "30s": Part("30 secs", 30, 28_800),
    "1m": Part("1 min", 60, _DAY),
    "2m": Part("2 mins", 120, 2 * _DAY),
    "3m": Part("3 mins", 180, 7 * _DAY),
    "5m": Part("5 mins", 300, 7 * _DAY),
    "10m": Part("10 mins", 600, 7 * _DAY),
    "15m": Part("15 mins", 900, 7 * _DAY),
    "30m": _HALF_HOUR,
    # The gateway's own hours and days begin with a session, those here with a day of the run.
    **dict.fromkeys(("1h", "2h", "3h", "4h", "6h", "8h", "12h", "1d", "1w"), _HALF_HOUR),
}
INTERVALS: Final = frozenset(_PARTS)


@frozen
class Row:
    """One bar of the gateway's, final or not; ``start`` is in nanoseconds since the epoch, UTC."""

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    count: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing was traded in it: the gateway repeats the last price then."""
        return self.count == 0 and self.volume == 0


def part_of(interval: str) -> Part:
    """Out of what bars of an interval are made."""
    return _PARTS[parse_interval(interval).text]


def row_of(told: Any) -> Row:
    """A row of history, whose date is in seconds since the epoch."""
    date = str(told.date)
    if not date.isdigit() or len(date) < 9:
        raise ValueError(f"the date of a bar is {date!r}, and no seconds since the epoch")
    prices = (told.open, told.high, told.low, told.close)
    return _row(int(date), prices, told.volume, told.barCount)


def real_time_row_of(told: Sequence[Any]) -> Row:
    """Five seconds that are over: when they began, four prices, volume, average, count of trades."""
    seconds, *prices, volume, _, count = told
    return _row(seconds, prices, volume, count)


def _row(seconds: int, told: Sequence[float], volume: float, count: int) -> Row:
    opens, high, low, close = (float(one) for one in told)
    if not all(map(isfinite, (opens, high, low, close, volume))):
        raise ValueError(f"the bar of {datetime.fromtimestamp(seconds, UTC)} has figures that are none")
    if not low <= min(opens, close) <= max(opens, close) <= high:
        raise ValueError(f"the bar of {datetime.fromtimestamp(seconds, UTC)} has prices out of its range")
    # Of what has no volume it is -1.
    return Row(seconds * _SECOND_NS, opens, high, low, close, max(float(volume), 0.0), int(count))


def trade_of(symbol: str, at: datetime, price: float, size: float) -> Trade | None:
    """One trade; None for what is none: the gateway says -1 where there is no price."""
    if not (isfinite(price) and isfinite(size) and size > 0) or price == -1:
        return None
    return Trade(symbol, at, price, size)


def quote_of(symbol: str, at: datetime, bid: tuple[float, float], ask: tuple[float, float]) -> Quote:
    """The best bid and ask, each a price and a size. A side without a quote has no size."""
    has_bid, has_ask = _is_there(*bid), _is_there(*ask)
    return Quote(
        symbol,
        at,
        bid[0] if has_bid else None,
        ask[0] if has_ask else None,
        bid[1] if has_bid else None,
        ask[1] if has_ask else None,
    )


def _is_there(price: float, size: float) -> bool:
    # Prices can be negative, of spreads and of oil once: what says that there is none is the size.
    return isfinite(price) and isfinite(size) and size > 0

"""What the market did: minutes, trades and the best bid and ask, by symbol."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from attrs import define, field, frozen

from alphaweave.core.money import CONTEXT, ZERO
from alphaweave_broker_binance.sandbox.figures import cut, number
from alphaweave_broker_binance.sandbox.refusals import Refused

__all__ = ["INTERVALS", "MINUTE", "Kline", "Minute", "Prices", "bucket"]

MINUTE = 60_000
_DAY = 1440 * MINUTE
_WEEK = 7 * _DAY
# The epoch is a Thursday, and a week begins on Monday.
_MONDAY = 4 * _DAY
_MONTH = "1M"
INTERVALS = {
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": 60 * MINUTE,
    "2h": 120 * MINUTE,
    "4h": 240 * MINUTE,
    "6h": 360 * MINUTE,
    "8h": 480 * MINUTE,
    "12h": 720 * MINUTE,
    "1d": _DAY,
    "3d": 3 * _DAY,
    "1w": _WEEK,
    _MONTH: 0,
}
# Nobody asks how many trades a minute of a file had; it has to be some.
_TRADES = 10


@frozen
class Minute:
    """One minute; ``start`` in milliseconds. It is ``final`` when it is over."""

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    final: bool = True


@frozen
class Kline:
    """Minutes of one interval together; ``start`` and ``end`` in milliseconds, the end excluded."""

    start: int
    end: int
    minutes: tuple[Minute, ...]

    @property
    def final(self) -> bool:
        """Its last minute is over."""
        last = self.minutes[-1]
        return last.final and last.start + MINUTE >= self.end

    def row(self) -> list[Any]:
        """As REST has it."""
        found = self._figures()
        return [
            self.start,
            found["o"],
            found["h"],
            found["l"],
            found["c"],
            found["v"],
            self.end - 1,
            found["q"],
            found["n"],
            found["V"],
            found["Q"],
            "0",
        ]

    def event(self, symbol: str, interval: str, now: int) -> dict[str, Any]:
        """As the stream has it."""
        candle = {
            "t": self.start,
            "T": self.end - 1,
            "s": symbol,
            "i": interval,
            "f": 1,
            "L": _TRADES,
            **self._figures(),
            "x": self.final,
            "B": "0",
        }
        return {"e": "kline", "E": now, "s": symbol, "k": candle}

    def _figures(self) -> dict[str, Any]:
        minutes = self.minutes
        volume = sum((_exact(one.volume) for one in minutes), ZERO)
        value = sum((_exact(one.volume) * _exact(one.close) for one in minutes), ZERO)
        return {
            "o": number(minutes[0].open),
            "c": number(minutes[-1].close),
            "h": number(max(one.high for one in minutes)),
            "l": number(min(one.low for one in minutes)),
            "v": f"{cut(volume):f}",
            "n": _TRADES * len(minutes),
            "q": f"{cut(value):f}",
            "V": f"{cut(volume / 2):f}",
            "Q": f"{cut(value / 2):f}",
        }


@define
class _Symbol:
    starts: list[int] = field(factory=list)
    minutes: list[Minute] = field(factory=list)
    trades: list[tuple[int, Decimal, Decimal]] = field(factory=list)
    quote: dict[str, str] | None = None


class Prices:
    """All that is known of the market.

    Args:
        now: the venue's time, milliseconds.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._symbols: dict[str, _Symbol] = {}
        self._updates = 400_900_000

    def put(self, symbol: str, minute: Minute) -> None:
        """Add a minute, in place of what there was for it."""
        one = self._of(symbol)
        place = bisect_left(one.starts, minute.start)
        if place < len(one.starts) and one.starts[place] == minute.start:
            one.minutes[place] = minute
        else:
            one.starts.insert(place, minute.start)
            one.minutes.insert(place, minute)

    def klines(
        self, symbol: str, interval: str, start: int | None, end: int | None, limit: int
    ) -> list[Kline]:
        """Klines that begin from ``start`` to ``end``, both included: the first ones where a start is
        given, else the last ones."""
        one = self._of(symbol)
        first = 0 if start is None else bisect_left(one.starts, bucket(start, interval)[0])
        found: list[Kline] = []
        gathered: list[Minute] = []
        for minute in one.minutes[first:]:
            if gathered and bucket(minute.start, interval)[0] != bucket(gathered[0].start, interval)[0]:
                found.append(_joined(gathered, interval))
                gathered = []
            gathered.append(minute)
            if start is not None and len(found) > limit:
                break
        if gathered:
            found.append(_joined(gathered, interval))
        low = 0 if start is None else start
        chosen = [one for one in found if low <= one.start and (end is None or one.start <= end)]
        return chosen[:limit] if start is not None else chosen[-limit:]

    def around(self, symbol: str, interval: str, minute: Minute) -> Kline:
        """The kline that a minute is in, so far."""
        start = bucket(minute.start, interval)[0]
        one = self._of(symbol)
        part = one.minutes[bisect_left(one.starts, start) : bisect_left(one.starts, minute.start) + 1]
        return _joined(part, interval)

    def add_trade(self, symbol: str, at: int, price: Decimal, size: Decimal) -> None:
        self._of(symbol).trades.append((at, price, size))

    def set_quote(self, symbol: str, bid: tuple[str, str], ask: tuple[str, str]) -> dict[str, Any]:
        """The best bid and ask from now on, each a price with a size; as the stream has it."""
        self._updates += 1
        row = {"s": symbol, "b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1]}
        self._of(symbol).quote = row
        return {"u": self._updates, **row}

    def quote(self, symbol: str) -> dict[str, Any]:
        """As REST has it."""
        row = self._of(symbol).quote or dict.fromkeys("bBaA", number(0.0))
        return {
            "symbol": symbol,
            "bidPrice": row["b"],
            "bidQty": row["B"],
            "askPrice": row["a"],
            "askQty": row["A"],
        }

    def last(self, symbol: str) -> Decimal | None:
        trades = self._of(symbol).trades
        return trades[-1][1] if trades else None

    def average(self, symbol: str, minutes: int) -> Decimal | None:
        """Weighted by size, of the last minutes; the last price where they saw no trade."""
        since = self._now() - minutes * MINUTE
        volume = value = ZERO
        for at, price, size in reversed(self._of(symbol).trades):
            if at < since:
                break
            volume = CONTEXT.add(volume, size)
            value = CONTEXT.add(value, CONTEXT.multiply(price, size))
        return CONTEXT.divide(value, volume) if volume else self.last(symbol)

    def _of(self, symbol: str) -> _Symbol:
        return self._symbols.setdefault(symbol, _Symbol())


def bucket(at: int, interval: str) -> tuple[int, int]:
    """Begin and end of the interval that an instant is in, milliseconds.

    Raises:
        Refused: there is no such interval.
    """
    if interval not in INTERVALS:
        raise Refused(-1120, "Invalid interval.")
    if interval == _MONTH:
        day = datetime.fromtimestamp(at / 1000, UTC)
        first = datetime(day.year, day.month, 1, tzinfo=UTC)
        later = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
        return int(first.timestamp() * 1000), int(later.timestamp() * 1000)
    span = INTERVALS[interval]
    shift = _MONDAY if span == _WEEK else 0
    start = (at - shift) // span * span + shift
    return start, start + span


def _joined(minutes: Sequence[Minute], interval: str) -> Kline:
    return Kline(*bucket(minutes[0].start, interval), tuple(minutes))


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))

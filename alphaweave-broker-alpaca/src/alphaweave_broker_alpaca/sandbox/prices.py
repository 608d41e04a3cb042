"""What the market did: bars, trades and quotes by symbol, and the pages they are asked for in."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, field, frozen

from alphaweave.core.clock import to_ns
from alphaweave_broker_alpaca.sandbox.activities import read_time
from alphaweave_broker_alpaca.sandbox.hours import NEW_YORK
from alphaweave_broker_alpaca.sandbox.orders import stamp
from alphaweave_broker_alpaca.sandbox.refusals import Refused

__all__ = ["DAY_MINUTES", "MinuteBar", "Prices", "Row", "bad_request", "page", "stretch", "timeframe", "told"]

DAY_MINUTES = 1440
_UNITS = {"Min": 1, "T": 1, "Hour": 60, "H": 60, "Day": DAY_MINUTES, "D": DAY_MINUTES}
_SEPARATOR = "|"
_LARGEST_LIMIT = 10_000
# A page ends at about 256 KiB, whatever limit was asked for.
_LARGEST_PAGE = 2_600
Row = dict[str, Any]


@frozen
class MinuteBar:
    """One minute; ``start`` is UTC."""

    start: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float

    def wire(self) -> Row:
        """As REST has it; the sockets add the symbol."""
        mean = (self.open + self.high + self.low + self.close) / 4
        return {
            "t": self.start,
            "o": self.open,
            "h": self.high,
            "l": self.low,
            "c": self.close,
            "v": int(self.volume) if self.volume == int(self.volume) else self.volume,
            "n": max(1, int(self.volume // 100)),
            "vw": round(mean, 6),
        }


@define
class _Column:
    """Rows of one kind of one symbol, in order of their time."""

    times: list[datetime] = field(factory=list)
    rows: list[Row] = field(factory=list)

    def put(self, at: datetime, row: Row, *, unique: bool) -> None:
        place = bisect_right(self.times, at)
        if unique and place and self.times[place - 1] == at:
            self.rows[place - 1] = row
            return
        self.times.insert(place, at)
        self.rows.insert(place, row)

    def between(self, start: datetime, end: datetime) -> list[Row]:
        return self.rows[bisect_left(self.times, start) : bisect_right(self.times, end)]


class Prices:
    """All that is known of the market. ``t`` of each row is a datetime until it goes out."""

    def __init__(self) -> None:
        self._columns: dict[tuple[str, str], _Column] = {}
        self._trades = 0

    def add_bar(self, symbol: str, bar: MinuteBar) -> Row:
        """Add a minute, in place of what there was for it."""
        row = bar.wire()
        self._of(symbol, "bars").put(bar.start, row, unique=True)
        return row

    def add_trade(self, symbol: str, at: datetime, price: float, size: float) -> Row:
        self._trades += 1
        row: Row = {"t": at, "x": "V", "p": price, "s": size, "c": ["@"], "i": self._trades, "z": "C"}
        self._of(symbol, "trades").put(at, row, unique=False)
        return row

    def add_quote(self, symbol: str, at: datetime, bid: tuple[float, float], ask: tuple[float, float]) -> Row:
        """Add the best bid and ask, each a price with a size."""
        row: Row = {
            "t": at,
            "bx": "V",
            "bp": bid[0],
            "bs": bid[1],
            "ax": "V",
            "ap": ask[0],
            "as": ask[1],
            "c": ["R"],
            "z": "C",
        }
        self._of(symbol, "quotes").put(at, row, unique=False)
        return row

    def latest(self, symbol: str, kind: str) -> Row | None:
        column = self._columns.get((symbol, kind))
        return column.rows[-1] if column is not None and column.rows else None

    def rows(self, symbol: str, kind: str, start: datetime, end: datetime) -> list[Row]:
        """Rows with a time from ``start`` to ``end``, both included."""
        column = self._columns.get((symbol, kind))
        return [] if column is None else column.between(start, end)

    def bars(self, symbol: str, minutes: int, start: datetime, end: datetime) -> list[Row]:
        """Bars of so many minutes whose begin is in that stretch; those without a trade are absent."""
        if minutes == 1:
            return self.rows(symbol, "bars", start, end)
        found: dict[datetime, list[Row]] = {}
        span = timedelta(minutes=minutes)
        for row in self.rows(symbol, "bars", start - span, end + span):
            found.setdefault(_bucket(row["t"], minutes), []).append(row)
        return [_joined(at, rows) for at, rows in sorted(found.items()) if start <= at <= end]

    def _of(self, symbol: str, kind: str) -> _Column:
        return self._columns.setdefault((symbol, kind), _Column())


def bad_request(message: str, status: int = 400) -> Refused:
    """What the data API answers to what it does not understand."""
    return Refused(status, {"message": message})


def timeframe(text: str) -> int:
    """Minutes of ``1Min``, ``5Min``, ``1Hour``, ``1Day``.

    Raises:
        Refused: it is none of these.
    """
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = text[len(digits) :]
    if not digits.isdigit() or int(digits) < 1 or unit not in _UNITS:
        raise bad_request(f"invalid timeframe: {text}")
    return int(digits) * _UNITS[unit]


def page(
    query: Mapping[str, str], found: Mapping[str, Sequence[Row]]
) -> tuple[dict[str, list[Row]], str | None]:
    """One page of rows by symbol, and the token of the next; the limit counts all rows together.

    Raises:
        Refused: a limit that is none.
    """
    text = query.get("limit", "1000")
    if not text.isdigit() or not 0 < int(text) <= _LARGEST_LIMIT:
        raise bad_request(f"invalid limit: {text}")
    skip = _skipped(query.get("page_token"))
    symbols = sorted(found)
    room, answer = min(int(text), _LARGEST_PAGE), dict[str, list[Row]]()
    reverse = query.get("sort", "asc") == "desc"
    for symbol in symbols:
        if skip is not None and symbol < skip[0]:
            continue
        begin = skip[1] if skip is not None and symbol == skip[0] else 0
        rows = list(found[symbol])
        if reverse:
            rows.reverse()
        part = rows[begin : begin + room]
        if part:
            answer[symbol] = [{**row, "t": _text(row["t"])} for row in part]
            room -= len(part)
        if begin + len(part) < len(rows):
            return answer, f"{symbol}{_SEPARATOR}{begin + len(part)}"
    return answer, None


def stretch(query: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    """From when to when a query asks; by default from the start of its day to the present."""
    end = read_time(query["end"]) if "end" in query else now
    midnight = now.astimezone(NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0)
    start = read_time(query["start"]) if "start" in query else midnight.astimezone(UTC)
    return start, min(end, now)


def told(rows: Iterable[Row | None]) -> list[Row]:
    """Rows as they go out."""
    return [{**row, "t": _text(row["t"])} for row in rows if row is not None]


def _skipped(token: str | None) -> tuple[str, int] | None:
    if not token:
        return None
    symbol, _, count = token.partition(_SEPARATOR)
    if not count.isdigit():
        raise bad_request("invalid page_token")
    return symbol, int(count)


def _text(at: datetime) -> str:
    return stamp(to_ns(at))


def _bucket(at: datetime, minutes: int) -> datetime:
    if minutes % DAY_MINUTES:
        return datetime.fromtimestamp(at.timestamp() // (minutes * 60) * minutes * 60, UTC)
    midnight = at.astimezone(NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.astimezone(UTC)


def _joined(at: datetime, rows: Sequence[Row]) -> Row:
    volume = sum(row["v"] for row in rows)
    worth = sum(row["vw"] * row["v"] for row in rows)
    return {
        "t": at,
        "o": rows[0]["o"],
        "h": max(row["h"] for row in rows),
        "l": min(row["l"] for row in rows),
        "c": rows[-1]["c"],
        "v": volume,
        "n": sum(row["n"] for row in rows),
        "vw": round(worth / volume, 6) if volume else rows[-1]["c"],
    }

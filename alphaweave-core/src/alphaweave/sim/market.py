"""What the venue sees of the market: the current bar of each symbol, and its sessions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from zoneinfo import ZoneInfo

from alphaweave.core.clock import from_ns
from alphaweave.core.interval import parse_interval
from alphaweave.data.series import Series

__all__ = ["BarView", "Market"]

_DAY_NS = 86_400_000_000_000
_EPOCH_ORDINAL = 719_163  # date(1970, 1, 1).toordinal()


class BarView:
    """One bar with exact prices; all but the open are converted when first asked for.

    Attributes:
        start, end: nanoseconds since the epoch, UTC.
        opens: orders that became eligible at or before this instant can match in the bar. It is
            ``start``; for a bar without length (a tick) one nanosecond earlier, because an order decided
            on a tick may not match in that same tick.
        capacity: what volume share leaves to fill in this bar; None: not bounded, or not yet known.
    """

    __slots__ = (
        "_close",
        "_high",
        "_low",
        "_row",
        "_series",
        "_volume",
        "capacity",
        "end",
        "open",
        "opens",
        "start",
    )

    def __init__(self, series: Series, row: int) -> None:
        self._series = series
        self._row = row
        self.start = start = series.start[row]
        self.end = end = series.end[row]
        self.opens = start if start < end else start - 1
        self.capacity: Decimal | None = None
        # Nearly every order that a bar is shown to is held against its open.
        self.open = Decimal(repr(series.open[row]))
        self._high: Decimal | None = None
        self._low: Decimal | None = None
        self._close: Decimal | None = None
        self._volume: Decimal | None = None

    def lowest(self) -> float:
        """``low``, as it was recorded."""
        return self._series.low[self._row]

    def highest(self) -> float:
        """``high``, as it was recorded."""
        return self._series.high[self._row]

    @property
    def high(self) -> Decimal:
        if self._high is None:
            self._high = Decimal(repr(self._series.high[self._row]))
        return self._high

    @property
    def low(self) -> Decimal:
        if self._low is None:
            self._low = Decimal(repr(self._series.low[self._row]))
        return self._low

    @property
    def close(self) -> Decimal:
        if self._close is None:
            self._close = Decimal(repr(self._series.close[self._row]))
        return self._close

    @property
    def volume(self) -> Decimal:
        if self._volume is None:
            self._volume = Decimal(repr(self._series.volume[self._row]))
        return self._volume


class Market:
    """The board and its calendar.

    Attributes:
        board: symbol -> series.
        seen: the end of the latest bars matched against, nanoseconds.
    """

    def __init__(self, board: Mapping[str, Series], session_timezone: str) -> None:
        self.board = board
        self.seen = 0
        self._closes: dict[str, tuple[float, Decimal]] = {}
        self._zone = ZoneInfo(session_timezone)
        self._utc = session_timezone == "UTC"
        self._ordinal_of = -1
        self._ordinal = 0

    def row(self, series: Series) -> int:
        """The current row of ``series``, -1 before its first bar.

        A driver may call ``on_slice`` for bars that its cursor does not show yet, so that fills are
        booked while a strategy still sees the slice before: here, those bars are current from then on.
        """
        following = series.cursor.count
        ends = series.end
        if following < len(ends) and ends[following] <= self.seen:
            return following
        return following - 1

    def bar_ending(self, symbol: str, end: int) -> BarView | None:
        """The current bar of ``symbol`` if it ends at ``end``."""
        series = self.board.get(symbol)
        if series is None:
            return None
        # `row` in place: this is asked for every order.
        row = series.cursor.count
        ends = series.end
        if row == len(ends) or ends[row] > self.seen:
            row -= 1
        return BarView(series, row) if row >= 0 and ends[row] == end else None

    def last_bar(self, symbol: str) -> BarView | None:
        """The current bar of ``symbol``, whenever it ended."""
        series = self.board.get(symbol)
        if series is None:
            return None
        row = self.row(series)
        return BarView(series, row) if row >= 0 else None

    def last_close(self, symbol: str) -> Decimal | None:
        """The last price known of ``symbol``."""
        series = self.board.get(symbol)
        if series is None:
            return None
        # `row` and `_close` in one: this is asked for every order.
        row = series.cursor.count
        ends = series.end
        if row == len(ends) or ends[row] > self.seen:
            row -= 1
            if row < 0:
                return None
        close = series.close[row]
        known = self._closes.get(symbol)
        if known is None or known[0] != close:
            known = self._closes[symbol] = (close, Decimal(repr(close)))
        return known[1]

    def price_before(self, symbol: str, end: int) -> Decimal | None:
        """The last price known before the bar ending at ``end`` closed: the close of the bar before it,
        or its own open if it is the first."""
        series = self.board.get(symbol)
        if series is None:
            return None
        row = self.row(series)
        if row < 0:
            return None
        if series.end[row] == end:
            row -= 1
        return self._close(symbol, series, row) if row >= 0 else Decimal(repr(series.open[0]))

    def _close(self, symbol: str, series: Series, row: int) -> Decimal:
        # One close is asked for by many orders, and again as the mark of the slice after it.
        close = series.close[row]
        known = self._closes.get(symbol)
        if known is None or known[0] != close:
            known = self._closes[symbol] = (close, Decimal(repr(close)))
        return known[1]

    def daily(self, symbol: str) -> bool:
        """Whether the bars of ``symbol`` are days: each is one whole session."""
        series = self.board.get(symbol)
        return series is not None and parse_interval(series.interval).days == 1

    def session_end(self, session: int) -> int | None:
        """The latest end (ns) of a bar in that session; None where days differ in length."""
        return (session - _EPOCH_ORDINAL + 1) * _DAY_NS if self._utc else None

    def session(self, end: int) -> int:
        """The session of a bar that ends at ``end``: the ordinal of the date just before it."""
        if end != self._ordinal_of:
            self._ordinal_of = end
            if self._utc:
                self._ordinal = (end - 1) // _DAY_NS + _EPOCH_ORDINAL
            else:
                self._ordinal = from_ns(end - 1).astimezone(self._zone).toordinal()
        return self._ordinal

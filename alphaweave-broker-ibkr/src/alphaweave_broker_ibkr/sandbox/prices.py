"""What the market did: minutes, trades and quotes of each contract, and bars made of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from attrs import define, field, frozen

from alphaweave_broker_ibkr.sandbox.contracts import Contract
from alphaweave_broker_ibkr.sandbox.hours import Hours

__all__ = ["BAR_SECONDS", "DAY", "MinuteBar", "Prices", "QuoteTick", "TradeTick", "joined"]

DAY = 86_400
_WEEK, _MONTH = 7 * DAY, 30 * DAY
_MINUTE = timedelta(minutes=1)
BAR_SECONDS = {
    **{f"{n} secs": n for n in (5, 10, 15, 30)},
    "1 min": 60,
    **{f"{n} mins": 60 * n for n in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": 3600,
    **{f"{n} hours": 3600 * n for n in (2, 3, 4, 8)},
    "1 day": DAY,
    "1 week": _WEEK,
    "1 month": _MONTH,
    "1W": _WEEK,
    "1M": _MONTH,
}
"""How long a bar of each size is; those of a week and of a month are as long as these are."""


@frozen
class MinuteBar:
    """One minute, or a longer bar; ``start`` is UTC."""

    start: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float

    @property
    def count(self) -> int:
        """How many trades; an invention."""
        return int(self.volume // 100) or int(self.volume > 0)

    @property
    def average(self) -> float:
        return round((self.open + self.high + self.low + self.close) / 4, 6)

    def spread(self, seconds: int) -> list[MinuteBar]:
        """The minute as bars of so many seconds: everything happened in the first."""
        flat = self.close
        later = [
            MinuteBar(self.start + timedelta(seconds=at), flat, flat, flat, flat, 0.0)
            for at in range(seconds, 60, seconds)
        ]
        return [self, *later]


@frozen
class TradeTick:
    at: datetime
    price: float
    size: float


@frozen
class QuoteTick:
    """A side without a quote is zero."""

    at: datetime
    bid: float
    bid_size: float
    ask: float
    ask_size: float


@define
class _Tape:
    starts: list[datetime] = field(factory=list)
    minutes: list[MinuteBar] = field(factory=list)
    trades: list[TradeTick] = field(factory=list)
    quotes: list[QuoteTick] = field(factory=list)
    forming: MinuteBar | None = None


class Prices:
    """All that is known of the market, by contract number."""

    def __init__(self, hours: Hours) -> None:
        self._hours = hours
        self._tapes: dict[int, _Tape] = {}

    def of(self, con_id: int) -> _Tape:
        return self._tapes.setdefault(con_id, _Tape())

    def add_bar(self, con_id: int, bar: MinuteBar) -> None:
        """Add a minute that is over, in place of what there was for it."""
        tape = self.of(con_id)
        if tape.forming is not None and tape.forming.start <= bar.start:
            tape.forming = None
        place = bisect_left(tape.starts, bar.start)
        if place < len(tape.starts) and tape.starts[place] == bar.start:
            tape.minutes[place] = bar
        else:
            tape.starts.insert(place, bar.start)
            tape.minutes.insert(place, bar)

    def minutes(self, con_id: int, start: datetime, end: datetime) -> list[MinuteBar]:
        """Those that begin in that stretch, its end not included; also one that is not over."""
        tape = self.of(con_id)
        found = tape.minutes[bisect_left(tape.starts, start) : bisect_left(tape.starts, end)]
        forming = tape.forming
        if forming is not None and start <= forming.start < end:
            found = [*found, forming]
        return found

    def bars(
        self, contract: Contract, seconds: int, start: datetime, end: datetime, *, regular: bool
    ) -> list[tuple[date, MinuteBar]]:
        """Bars of so many seconds made of the minutes of that stretch, each with its trading day."""
        kind = contract.sec_type
        found: dict[tuple[date, datetime | None], list[MinuteBar]] = {}
        spans: dict[tuple[date, datetime | None], datetime] = {}
        for minute in self.minutes(contract.con_id, start, end):
            if regular and not self._hours.is_open(kind, minute.start, regular=True):
                continue
            opened, closes = self._hours.around(kind, minute.start, regular=regular)
            day = closes.astimezone(ZoneInfo(self._hours.zone(kind))).date()
            for part in [minute] if seconds >= 60 else minute.spread(seconds):
                key, at = _bucket(part.start, seconds, day, opened, ZoneInfo(self._hours.zone(kind)))
                found.setdefault(key, []).append(part)
                spans.setdefault(key, at)
        return [(key[0], joined(spans[key], parts)) for key, parts in found.items()]

    def trades(self, con_id: int, start: datetime, end: datetime) -> Sequence[TradeTick]:
        return [one for one in self.of(con_id).trades if start <= one.at <= end]

    def quotes(self, con_id: int, start: datetime, end: datetime) -> Sequence[QuoteTick]:
        return [one for one in self.of(con_id).quotes if start <= one.at <= end]

    def first(self, con_id: int) -> datetime | None:
        """When its history begins."""
        starts = self.of(con_id).starts
        return starts[0] if starts else None

    def today(self, contract: Contract, now: datetime) -> MinuteBar | None:
        """The day so far."""
        opened, _ = self._hours.around(contract.sec_type, now, regular=False)
        tape = self.of(contract.con_id)
        lo, hi = bisect_left(tape.starts, opened), bisect_right(tape.starts, now)
        return joined(opened, tape.minutes[lo:hi]) if lo < hi else None


def joined(start: datetime, parts: Iterable[MinuteBar]) -> MinuteBar:
    """Bars as one that begins then."""
    rows = list(parts)
    volume = 0.0
    for row in rows:
        volume += row.volume
    return MinuteBar(
        start,
        rows[0].open,
        max(row.high for row in rows),
        min(row.low for row in rows),
        rows[-1].close,
        volume,
    )


def _bucket(
    at: datetime, seconds: int, day: date, opened: datetime, zone: ZoneInfo
) -> tuple[tuple[date, datetime | None], datetime]:
    """What joins a minute to others, and where their bar begins."""
    if seconds >= DAY:
        if seconds == _WEEK:
            day -= timedelta(days=day.weekday())
        elif seconds == _MONTH:
            day = day.replace(day=1)
        return (day, None), opened
    midnight = datetime.combine(at.astimezone(zone).date(), datetime.min.time(), zone).astimezone(UTC)
    passed = (at - midnight).total_seconds() // seconds * seconds
    begin = midnight + timedelta(seconds=passed)
    # The first bar of a session begins with it; what came outside of any begins where it would.
    if opened <= at:
        begin = max(begin, opened)
    return (day, begin), begin

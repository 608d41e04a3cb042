"""What clients ask about the past: bars, also such that go on, and ticks."""

from __future__ import annotations

from collections import deque
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from attrs import frozen

from alphaweave_broker_ibkr.sandbox.admission import Refused, find_contract
from alphaweave_broker_ibkr.sandbox.contracts import Contract, Wanted
from alphaweave_broker_ibkr.sandbox.gateway import Gateway
from alphaweave_broker_ibkr.sandbox.orders import moment_of
from alphaweave_broker_ibkr.sandbox.prices import BAR_SECONDS, DAY, MinuteBar, Prices
from alphaweave_broker_ibkr.sandbox.session import HMDS, Session
from alphaweave_broker_ibkr.sandbox.wire import Field, Fields, encode

__all__ = ["HistoryRequests"]

_KINDS = {"TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST", "AGGTRADES", "SCHEDULE"}
_UNITS = {"S": 1, "W": 7 * DAY, "M": 31 * DAY, "Y": 366 * DAY}
_MOST_OPEN, _MOST_TICKS = 50, 1000
_PACING = "Historical data request pacing violation"
_MINUTE = timedelta(minutes=1)


@frozen
class _Query:
    """A question for bars.

    Attributes:
        seconds: how long a bar is.
        epoch: times of bars are to be seconds since the epoch.
        follow: what comes later is to be told too.
    """

    session: Session
    number: int
    contract: Contract
    seconds: int
    what: str
    regular: bool
    epoch: bool
    follow: bool


class HistoryRequests:
    """Answers them."""

    def __init__(self, gateway: Gateway, prices: Prices, *, entitled: bool) -> None:
        self._gateway, self._venue, self._prices = gateway, gateway.venue, prices
        self._entitled = entitled
        self._followed: dict[tuple[Session, int], _Query] = {}
        self._asked: deque[tuple[float, str, str]] = deque()
        gateway.handlers |= {20: self._bars, 25: self._cancel, 87: self._head, 90: self._cancel_head}
        gateway.handlers[96] = self._ticks
        gateway.goodbyes.append(self._forget)

    def _bars(self, session: Session, fields: Fields) -> None:
        number = fields.integer()
        wanted = Wanted.read(fields)
        _, end_text, size, duration = fields.texts(4)
        regular, what, style = fields.flag(), fields.text(), fields.text()
        if wanted.sec_type == "BAG":
            fields.texts(4 * fields.integer())
        follow = fields.flag()
        try:
            contract = self._contract(wanted)
            seconds = BAR_SECONDS.get(size)
            if seconds is None:
                raise _invalid("Historical data bar size setting is invalid")
            query = _Query(session, number, contract, seconds, what, regular, style == "2", follow)
            end = self._end(end_text, follow=follow)
            self._check(query)
            self._pace(query, f"{wanted} {end_text} {size} {duration} {regular} {what}")
            start = self._start(contract, end, duration, regular=regular)
            if what == "SCHEDULE":
                self._say_schedule(query, start, end)
            else:
                self._say_bars(query, start, end)
        except Refused as refusal:
            session.refuse(number, refusal.code, refusal.text)

    def _contract(self, wanted: Wanted) -> Contract:
        found = self._venue.catalog.by_id(find_contract(self._venue.catalog, wanted).con_id)
        assert found is not None
        return found

    def _end(self, text: str, *, follow: bool) -> datetime:
        if not text:
            return self._gateway.now()
        if follow:
            raise _invalid("end date must be empty for bars that are kept up to date")
        end = moment_of(text)
        if end is None:
            raise Refused(10314, "End Date/Time: The date, time, or time-zone entered is invalid.")
        return end

    def _start(self, contract: Contract, end: datetime, duration: str, *, regular: bool) -> datetime:
        digits, _, unit = duration.partition(" ")
        if not digits.isdigit() or not int(digits) or (unit != "D" and unit not in _UNITS):
            raise _invalid("Invalid historical duration")
        if unit != "D":
            return end - timedelta(seconds=int(digits) * _UNITS[unit])
        hours, at = self._venue.hours, end - timedelta(days=2 * int(digits) + 10)
        opened = [
            opens
            for _, opens, _ in hours.sessions(contract.sec_type, at, end + timedelta(days=4), regular=regular)
            if opens < end
        ]
        return opened[-int(digits)] if len(opened) >= int(digits) else at

    def _check(self, query: _Query) -> None:
        contract, what = query.contract, query.what
        if what not in _KINDS:
            raise _invalid("Invalid value for what to show")
        if contract.sec_type == "CRYPTO" and what == "TRADES":
            raise Refused(10299, "Expected what to show is AGGTRADES, please use that instead of TRADES.")
        where = f"{contract.symbol}@{contract.exchange}"
        if contract.sec_type == "CASH" and what in {"TRADES", "ADJUSTED_LAST"}:
            raise Refused(162, f"{HMDS}:No historical market data for {where} {what}")
        if not self._entitled:
            raise Refused(
                162, f"{HMDS}:No market data permissions for {contract.primary} {contract.sec_type}"
            )
        if self._venue.cut_off or self._gateway.farm_broken:
            raise Refused(162, f"{HMDS}:HMDS server connection was unsuccessful.")
        if sum(one.session is query.session for one in self._followed.values()) >= _MOST_OPEN:
            raise Refused(162, f"{HMDS}:Too many simultaneous historical data requests")

    def _pace(self, query: _Query, whole: str) -> None:
        """Count a question for short bars.

        Raises:
            Refused: for one like another in 15 s, a sixth of its kind in 2 s, one more than 60 in 10 min.
        """
        if query.seconds > 30:
            return
        now, asked = self._gateway.monotonic(), self._asked
        while asked and asked[0][0] <= now - 600:
            asked.popleft()
        kind = f"{query.contract.con_id} {query.what}"
        like = any(at > now - 15 and one == whole for at, one, _ in asked)
        burst = sum(at > now - 2 and one == kind for at, _, one in asked) >= 5
        if like or burst or len(asked) >= 60:
            raise Refused(162, f"{HMDS}:{_PACING}")
        asked.extend([(now, whole, kind)] * (2 if query.what == "BID_ASK" else 1))

    # Answers -------------------------------------------------------------------------------------------

    def _say_bars(self, query: _Query, start: datetime, end: datetime) -> None:
        rows = self._prices.bars(query.contract, query.seconds, start, end, regular=query.regular)
        if not rows and not query.follow:
            where = f"{query.contract.symbol}@{query.contract.exchange} {query.what.title()}"
            raise Refused(162, f"{HMDS}:HMDS query returned no data: {where}")
        fields: list[Field] = [
            17,
            query.number,
            self._stamp(query, start),
            self._stamp(query, end),
            len(rows),
        ]
        for day, bar in rows:
            fields += [self._time(query, day, bar), bar.open, bar.high, bar.low, bar.close]
            fields += [bar.volume, bar.average, bar.count]
        query.session.say(encode(fields))
        if query.follow:
            self._followed[query.session, query.number] = query

    def _say_schedule(self, query: _Query, start: datetime, end: datetime) -> None:
        hours, kind = self._venue.hours, query.contract.sec_type
        zone = ZoneInfo(hours.zone(kind))
        found = hours.sessions(kind, start, end + timedelta(days=1), regular=query.regular)
        rows: list[Field] = []
        for day, opens, closes in found:
            rows += [f"{one.astimezone(zone):%Y%m%d-%H:%M:%S}" for one in (opens, closes)]
            rows.append(f"{day:%Y%m%d}")
        if not rows:
            raise Refused(162, f"{HMDS}:HMDS query returned no data")
        ends = (rows[0], rows[-2], hours.zone(kind), len(found))
        query.session.say(encode((106, query.number, *ends, *rows)))

    def _time(self, query: _Query, day: date, bar: MinuteBar) -> str:
        if query.seconds >= DAY:
            return f"{day:%Y%m%d}"
        return str(int(bar.start.timestamp())) if query.epoch else self._stamp(query, bar.start)

    def _stamp(self, query: _Query, at: datetime) -> str:
        zone = self._venue.hours.zone(query.contract.sec_type)
        return f"{at.astimezone(ZoneInfo(zone)):%Y%m%d %H:%M:%S} {zone}"

    def bar(self, contract: Contract, minute: MinuteBar, *, over: bool) -> None:
        """Tell a minute to whoever follows it; where it ends a bar, the next one begins."""
        if self._gateway.farm_broken or self._venue.cut_off:
            return
        for query in self._followed.values():
            if query.contract.con_id != contract.con_id:
                continue
            span = timedelta(seconds=max(query.seconds, 60))
            end = minute.start + _MINUTE
            rows = self._prices.bars(contract, query.seconds, end - span, end, regular=query.regular)
            if query.seconds < 60 and over:
                for day, bar in rows:
                    self._say_update(query, day, bar)
                continue
            if not rows or minute.start < rows[-1][1].start:
                continue
            day, bar = rows[-1]
            self._say_update(query, day, bar)
            if over and query.seconds < DAY and end.timestamp() % query.seconds == 0:
                flat = minute.close
                self._say_update(query, day, MinuteBar(end, flat, flat, flat, flat, 0.0))

    def restate(self, contract: Contract, minute: MinuteBar) -> None:
        """Tell whoever follows it the bars anew that the minute is in."""
        if self._gateway.farm_broken or self._venue.cut_off:
            return
        for query in self._followed.values():
            if query.contract.con_id != contract.con_id:
                continue
            span, length = timedelta(seconds=max(query.seconds, 60)), timedelta(seconds=query.seconds)
            around = (minute.start - span, minute.start + span)
            for day, bar in self._prices.bars(contract, query.seconds, *around, regular=query.regular):
                if bar.start < minute.start + _MINUTE and minute.start < bar.start + length:
                    self._say_update(query, day, bar)

    def _say_update(self, query: _Query, day: date, bar: MinuteBar) -> None:
        at = self._time(query, day, bar)
        prices = (bar.open, bar.close, bar.high, bar.low, bar.average, bar.volume)
        query.session.say(encode((90, query.number, bar.count, at, *prices)), event=True)

    def lose(self, *, told: bool) -> None:
        """Follow nothing any more; say so, or say nothing."""
        followed, self._followed = list(self._followed.values()), {}
        for query in followed if told else ():
            text = "Failed to update chart, please request historical data again"
            query.session.refuse(query.number, 10182, text)

    def _cancel(self, session: Session, fields: Fields) -> None:
        fields.text()
        number = fields.integer()
        if self._followed.pop((session, number), None) is None:
            session.refuse(number, 366, f"No historical data query found for ticker id:{number}")
        else:
            session.refuse(number, 162, f"{HMDS}:API historical data query cancelled: {number}")

    def _forget(self, session: Session) -> None:
        for key in [key for key in self._followed if key[0] is session]:
            del self._followed[key]

    # The rest ------------------------------------------------------------------------------------------

    def _head(self, session: Session, fields: Fields) -> None:
        number = fields.integer()
        wanted = Wanted.read(fields)
        fields.texts(3)
        style = fields.text()
        try:
            first = self._prices.first(self._contract(wanted).con_id)
            if first is None:
                raise Refused(162, f"{HMDS}:No head time stamp")
        except Refused as refusal:
            session.refuse(number, refusal.code, refusal.text)
            return
        text = str(int(first.timestamp())) if style == "2" else f"{first.astimezone(UTC):%Y%m%d-%H:%M:%S}"
        session.say(encode((88, number, text)))

    def _cancel_head(self, session: Session, fields: Fields) -> None:
        """A head timestamp is answered at once: there is nothing to end."""

    def _ticks(self, session: Session, fields: Fields) -> None:
        number = fields.integer()
        wanted = Wanted.read(fields)
        _, start_text, end_text = fields.texts(3)
        count, what = fields.integer(), fields.text()
        start, end = moment_of(start_text), moment_of(end_text)
        try:
            contract = self._contract(wanted)
            if (start is None) == (end is None) or not 0 < count <= _MOST_TICKS:
                raise _invalid("Only one of start and end time can be given, and at most 1000 ticks")
            if what not in {"TRADES", "BID_ASK"}:
                raise _invalid("Invalid value for what to show")
            if not self._entitled:
                raise Refused(162, f"{HMDS}:No market data permissions for {contract.primary}")
        except Refused as refusal:
            session.refuse(number, refusal.code, refusal.text)
            return
        low = start or datetime(1970, 1, 1, tzinfo=UTC)
        high = end or self._gateway.now()
        rows: list[tuple[Field, ...]] = []
        if what == "TRADES":
            for trade in self._prices.trades(contract.con_id, low, high):
                at = int(trade.at.timestamp())
                rows.append((at, 0, trade.price, trade.size, contract.primary, ""))
        else:
            for one in self._prices.quotes(contract.con_id, low, high):
                at = int(one.at.timestamp())
                rows.append((at, 0, one.bid, one.ask, one.bid_size, one.ask_size))
        part = rows[:count] if start is not None else rows[-count:]
        flat = [value for row in part for value in row]
        session.say(encode((98 if what == "TRADES" else 97, number, len(part), *flat, 1)))


def _invalid(cause: str) -> Refused:
    return Refused(321, f"Error validating request.-'bN' : cause - {cause}")

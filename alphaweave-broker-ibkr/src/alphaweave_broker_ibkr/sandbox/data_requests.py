"""What clients ask about the market, live: ticks, five-second bars."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from attrs import frozen

from alphaweave_broker_ibkr.sandbox.admission import Refused, find_contract
from alphaweave_broker_ibkr.sandbox.contracts import Contract, Wanted
from alphaweave_broker_ibkr.sandbox.gateway import Gateway
from alphaweave_broker_ibkr.sandbox.prices import MinuteBar, Prices, QuoteTick, TradeTick
from alphaweave_broker_ibkr.sandbox.session import Session
from alphaweave_broker_ibkr.sandbox.wire import Field, Fields, encode

__all__ = ["DataRequests"]

_NOT_SUBSCRIBED = "Requested market data is not subscribed."
_BID, _ASK, _LAST, _HIGH, _LOW, _CLOSE, _OPEN = 1, 2, 4, 6, 7, 9, 14
_VOLUME, _LAST_TIME, _HALTED = 8, 45, 49
# What a kind of tick is called where data is delayed.
_DELAYED = {1: 66, 2: 67, 4: 68, 0: 69, 3: 70, 5: 71, 6: 72, 7: 73, 8: 74, 9: 75, 14: 76, 45: 88, 49: 90}
_TICK_KINDS = {"Last": 1, "AllLast": 2, "BidAsk": 3, "MidPoint": 4}


@frozen
class _Line:
    """A subscription.

    Attributes:
        kind: ``ticks``, ``bars`` or one of the kinds of tick-by-tick data.
        delayed: it has delayed data.
    """

    session: Session
    number: int
    contract: Contract
    kind: str
    delayed: bool = False


class DataRequests:
    """Answers them, and tells whoever subscribed.

    Attributes:
        competing: another session of the same user has the live data.
    """

    def __init__(self, gateway: Gateway, prices: Prices, *, market_data: str, lines: int) -> None:
        self._gateway, self._venue, self._prices = gateway, gateway.venue, prices
        self._market_data, self._most = market_data, lines
        self.competing = False
        self._lines: dict[tuple[Session, int], _Line] = {}
        gateway.handlers |= {
            1: self._market,
            2: self._cancel,
            50: self._bars,
            51: self._cancel,
            59: self._data_type,
            97: self._tick_by_tick,
            98: self._cancel_tick_by_tick,
        }
        gateway.goodbyes.append(self._forget)

    # Subscriptions -------------------------------------------------------------------------------------

    def _data_type(self, session: Session, fields: Fields) -> None:
        fields.text()
        session.data_type = fields.integer()

    def _market(self, session: Session, fields: Fields) -> None:
        fields.text()
        number = fields.integer()
        wanted = Wanted.read(fields)
        if wanted.sec_type == "BAG":
            session.refuse(number, 321, "Error validating request.-'bN' : cause - legs cannot be had here")
            return
        if fields.flag():
            fields.texts(3)
        _, snapshot = fields.text(), fields.flag()
        line = self._open(session, number, wanted, "ticks")
        if line is None:
            return
        session.say(encode((81, number, line.contract.least_step, "9c0001", 3)))
        session.say(encode((58, 1, number, 3 if line.delayed else 1)))
        if line.delayed:
            session.refuse(number, 10167, f"{_NOT_SUBSCRIBED} Displaying delayed market data.")
        self._say_state(line, event=False)
        if snapshot:
            session.say(encode((57, 1, number)))
            del self._lines[session, number]

    def _bars(self, session: Session, fields: Fields) -> None:
        fields.text()
        number = fields.integer()
        wanted = Wanted.read(fields)
        if fields.integer() != 5:
            session.refuse(number, 321, "Error validating request.-'bN' : cause - Invalid bar size")
            return
        self._open(session, number, wanted, "bars")

    def _tick_by_tick(self, session: Session, fields: Fields) -> None:
        number = fields.integer()
        wanted, kind = Wanted.read(fields), fields.text()
        if kind not in _TICK_KINDS:
            session.refuse(number, 321, "Error validating request.-'bN' : cause - Invalid tick type")
            return
        self._open(session, number, wanted, kind)

    def _open(self, session: Session, number: int, wanted: Wanted, kind: str) -> _Line | None:
        try:
            if (session, number) in self._lines:
                raise Refused(322, "Error processing request.-'bN' : cause - Duplicate ticker id")
            contract = self._known(wanted)
            delayed = self._entitled(session, kind)
            watched = {line.contract.con_id for line in self._lines.values() if line.session is session}
            if len(watched | {contract.con_id}) > self._most:
                raise Refused(101, "Max number of tickers has been reached")
        except Refused as refusal:
            session.refuse(number, refusal.code, refusal.text)
            return None
        line = self._lines[session, number] = _Line(session, number, contract, kind, delayed)
        return line

    def _known(self, wanted: Wanted) -> Contract:
        found = self._venue.catalog.by_id(find_contract(self._venue.catalog, wanted).con_id)
        assert found is not None
        return found

    def _entitled(self, session: Session, kind: str) -> bool:
        """Whether there is delayed data alone.

        Raises:
            Refused: if there is none at all.
        """
        if self.competing:
            raise Refused(10197, "No market data during competing live session")
        if self._market_data == "live":
            return False
        if kind == "bars":
            raise Refused(420, "Invalid Real-time Query:No market data permissions")
        if kind != "ticks":
            raise Refused(10189, "Failed to request tick-by-tick data:No market data permissions")
        if self._market_data == "none":
            raise Refused(354, f"{_NOT_SUBSCRIBED} Check API status by selecting the Account menu.")
        if session.data_type not in {3, 4}:
            raise Refused(10168, f"{_NOT_SUBSCRIBED} Delayed market data is not enabled.")
        return True

    def _cancel(self, session: Session, fields: Fields) -> None:
        fields.text()
        self._end(session, fields.integer())

    def _cancel_tick_by_tick(self, session: Session, fields: Fields) -> None:
        self._end(session, fields.integer())

    def _end(self, session: Session, number: int) -> None:
        if self._lines.pop((session, number), None) is None:
            session.refuse(number, 300, f"Can't find EId with tickerId:{number}")

    def _forget(self, session: Session) -> None:
        for key in [key for key in self._lines if key[0] is session]:
            del self._lines[key]

    def lose(self) -> None:
        """Forget every subscription, and say nothing."""
        self._lines.clear()

    def compete(self, competing: bool) -> None:
        """Let another session of the same user take the live data, or give it back."""
        self.competing = competing
        if competing:
            for line in self._lines.values():
                text = "No market data during competing live session"
                line.session.refuse(line.number, 10197, text)

    # What is told --------------------------------------------------------------------------------------

    def trade(self, contract: Contract, tick: TradeTick) -> None:
        self._prices.of(contract.con_id).trades.append(tick)
        for line in self._watching(contract, "ticks"):
            self._say_price(line, _LAST, tick.price, tick.size, event=True)
            self._say_text(line, _LAST_TIME, str(int(tick.at.timestamp())))
        for kind in ("Last", "AllLast"):
            where = contract.primary
            for line in self._watching(contract, kind):
                self._say_tick(line, tick.at.timestamp(), (tick.price, tick.size, 0, where, ""))

    def quote(self, contract: Contract, tick: QuoteTick) -> None:
        self._prices.of(contract.con_id).quotes.append(tick)
        for line in self._watching(contract, "ticks"):
            self._say_price(line, _BID, tick.bid or -1, tick.bid_size, event=True)
            self._say_price(line, _ASK, tick.ask or -1, tick.ask_size, event=True)
        for line in self._watching(contract, "BidAsk"):
            row = (tick.bid, tick.ask, tick.bid_size, tick.ask_size, 0)
            self._say_tick(line, tick.at.timestamp(), row)
        for line in self._watching(contract, "MidPoint"):
            self._say_tick(line, tick.at.timestamp(), ((tick.bid + tick.ask) / 2,))

    def halt(self, contract: Contract) -> None:
        """Tell that its trading was halted, or goes on."""
        for line in self._watching(contract, "ticks"):
            self._say_halt(line, event=True)

    def bar(self, contract: Contract, minute: MinuteBar) -> None:
        """Tell a minute that is over, as five-second bars; the day so far with it."""
        for line in self._watching(contract, "bars"):
            for part in minute.spread(5):
                self._say_bar(line, part)
        for line in self._watching(contract, "ticks"):
            self._say_day(line, event=True)

    def _watching(self, contract: Contract, kind: str) -> list[_Line]:
        gateway = self._gateway
        if gateway.farm_broken or gateway.venue.cut_off or self.competing:
            return []
        lines = self._lines.values()
        return [one for one in lines if one.contract.con_id == contract.con_id and one.kind == kind]

    def _say_state(self, line: _Line, *, event: bool) -> None:
        tape = self._prices.of(line.contract.con_id)
        if tape.quotes:
            quote = tape.quotes[-1]
            self._say_price(line, _BID, quote.bid or -1, quote.bid_size, event=event)
            self._say_price(line, _ASK, quote.ask or -1, quote.ask_size, event=event)
        last: Decimal | None = self._venue.last.get(line.contract.con_id)
        if last is not None:
            size = tape.trades[-1].size if tape.trades else 0.0
            self._say_price(line, _LAST, float(last), size, event=event)
        self._say_day(line, event=event)
        self._say_halt(line, event=event)

    def _say_halt(self, line: _Line, *, event: bool) -> None:
        code = _DELAYED[_HALTED] if line.delayed else _HALTED
        halted = int(line.contract.con_id in self._venue.halted)
        line.session.say(encode((45, 6, line.number, code, halted)), event=event)

    def _say_day(self, line: _Line, *, event: bool) -> None:
        day = self._prices.today(line.contract, self._gateway.now() - timedelta(microseconds=1))
        if day is None:
            return
        for kind, price in ((_HIGH, day.high), (_LOW, day.low), (_OPEN, day.open), (_CLOSE, day.close)):
            self._say_price(line, kind, price, 0.0, event=event)
        code = _DELAYED[_VOLUME] if line.delayed else _VOLUME
        line.session.say(encode((2, 6, line.number, code, day.volume)), event=event)

    def _say_price(self, line: _Line, kind: int, price: float, size: float, *, event: bool) -> None:
        code = _DELAYED[kind] if line.delayed else kind
        line.session.say(encode((1, 6, line.number, code, price, size, 0)), event=event)

    def _say_text(self, line: _Line, kind: int, text: str) -> None:
        code = _DELAYED[kind] if line.delayed else kind
        line.session.say(encode((46, 6, line.number, code, text)), event=True)

    @staticmethod
    def _say_tick(line: _Line, at: float, row: tuple[Field, ...]) -> None:
        line.session.say(encode((99, line.number, _TICK_KINDS[line.kind], int(at), *row)), event=True)

    @staticmethod
    def _say_bar(line: _Line, part: MinuteBar) -> None:
        at = int(part.start.timestamp())
        prices = (part.open, part.high, part.low, part.close, part.volume, part.average, part.count)
        line.session.say(encode((50, 3, line.number, at, *prices)), event=True)

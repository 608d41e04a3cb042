"""What clients ask about contracts."""

from __future__ import annotations

from alphaweave_broker_ibkr.sandbox.admission import NO_CONTRACT
from alphaweave_broker_ibkr.sandbox.contracts import MARKET_RULES, Contract, Wanted
from alphaweave_broker_ibkr.sandbox.gateway import Gateway
from alphaweave_broker_ibkr.sandbox.session import Session
from alphaweave_broker_ibkr.sandbox.wire import Field, Fields, encode

__all__ = ["ContractRequests"]

_ORDER_TYPES = "ACTIVETIM,DAY,GTC,GTD,IOC,LMT,LOC,MKT,MOC,OPG,STP,STPLMT,TRAIL,WHATIF"


class ContractRequests:
    """Answers them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway, self._venue = gateway, gateway.venue
        gateway.handlers |= {9: self._details, 81: self._matching, 91: self._market_rule}

    def _details(self, session: Session, fields: Fields) -> None:
        fields.text()
        number = fields.integer()
        found = self._venue.catalog.candidates(Wanted.read(fields))
        if not found:
            session.refuse(number, 200, NO_CONTRACT)
            return
        for one in found:
            session.say(self._detail(number, one))
        session.say(encode((52, 1, number)))

    def _detail(self, number: int, one: Contract) -> bytes:
        hours, now = self._venue.hours, self._gateway.now()
        stock, kind = one.sec_type == "STK", one.sec_type
        fields: tuple[Field, ...] = (
            10,
            number,
            one.symbol,
            kind,
            one.expiry,
            "0",
            "",
            one.exchange,
            one.currency,
            one.local_symbol,
            one.trading_class,
            one.trading_class,
            one.con_id,
            one.least_step,
            one.multiplier if one.multiplier != 1 else "",
            _ORDER_TYPES,
            ",".join(one.exchanges),
            1,
            0,
            one.name,
            one.primary if stock else "",
            one.expiry[:6],
            "Technology" if stock else "",
            "",
            "",
            hours.zone(kind),
            hours.text(kind, now, regular=False),
            hours.text(kind, now, regular=True),
            "",
            0,
            0,
            1,
            "",
            "",
            ",".join(str(rule) for rule in one.rules),
            one.expiry,
            "COMMON" if stock else "",
            one.min_size,
            one.size_increment,
            one.size_increment,
        )
        return encode(fields)

    def _matching(self, session: Session, fields: Fields) -> None:
        number = fields.integer()
        found = self._venue.catalog.matching(fields.text())
        rows: list[Field] = []
        for one in found:
            rows += [one.con_id, one.symbol, one.sec_type, one.primary, one.currency, 0, one.name, ""]
        session.say(encode((79, number, len(found), *rows)))

    def _market_rule(self, session: Session, fields: Fields) -> None:
        number = fields.integer()
        steps = MARKET_RULES.get(number)
        if steps is None:
            session.refuse(-1, 321, "Error validating request.-'bN' : cause - Invalid market rule id")
            return
        bands: list[Field] = []
        for step in steps:
            bands += [step.start, step.step]
        session.say(encode((93, number, len(steps), *bands)))

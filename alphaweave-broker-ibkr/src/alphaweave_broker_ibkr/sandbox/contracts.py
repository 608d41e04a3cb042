"""What the gateway knows how to trade: contracts, their price steps, and how a client asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from zlib import crc32

from attrs import evolve, frozen

from alphaweave.core.instrument import Instrument, PriceStep
from alphaweave.core.money import ZERO
from alphaweave_broker_ibkr.sandbox.wire import Fields

__all__ = ["MARKET_RULES", "Catalog", "Contract", "Wanted"]

_STOCK, _BANDED, _CASH, _YEN, _FUTURE, _COIN = 26, 109, 239, 240, 67, 2300
MARKET_RULES: Mapping[int, tuple[PriceStep, ...]] = MappingProxyType(
    {
        _STOCK: (PriceStep(ZERO, Decimal("0.01")),),
        _BANDED: (PriceStep(ZERO, Decimal("0.0001")), PriceStep(Decimal(1), Decimal("0.01"))),
        _CASH: (PriceStep(ZERO, Decimal("0.00005")),),
        _YEN: (PriceStep(ZERO, Decimal("0.005")),),
        _FUTURE: (PriceStep(ZERO, Decimal("0.25")),),
        _COIN: (PriceStep(ZERO, Decimal("0.25")),),
    }
)
"""Price steps by the number of their rule."""


@frozen
class Wanted:
    """A contract as a client names it, in the order of the protocol."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    expiry: str = ""
    strike: str = ""
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""

    @classmethod
    def read(cls, fields: Fields) -> Wanted:
        """The next twelve fields of a message."""
        return cls(fields.integer(), *fields.texts(11))


@frozen(kw_only=True)
class Contract:
    """One contract.

    Attributes:
        exchange: where an order for it goes if nothing else is said.
        primary: its listing, which reports name instead.
        exchanges: where it can be traded; ``rules`` has a number of `MARKET_RULES` for each.
        margin: share of its value, or for a future the sum for one, that a position locks up.
    """

    con_id: int
    symbol: str
    sec_type: str
    exchange: str
    primary: str
    currency: str
    local_symbol: str
    trading_class: str
    name: str
    exchanges: tuple[str, ...]
    rules: tuple[int, ...]
    expiry: str = ""
    multiplier: Decimal = Decimal(1)
    min_size: Decimal = Decimal(1)
    size_increment: Decimal = Decimal(1)
    shortable: bool = True
    margin: Decimal = Decimal("0.25")

    def short_fields(self, exchange: str | None = None) -> tuple[str | int, ...]:
        """As reports of orders, executions and positions name it.

        Args:
            exchange: where; None is the listing.
        """
        multiplier = str(self.multiplier) if self.multiplier != 1 else ""
        where = self.primary if exchange is None else exchange
        return (
            self.con_id,
            self.symbol,
            self.sec_type,
            self.expiry,
            "0",
            "?" if exchange is not None else "",
            multiplier,
            where,
            self.currency,
            self.local_symbol,
            self.trading_class,
        )

    def steps(self, exchange: str) -> tuple[PriceStep, ...]:
        """The price steps there."""
        at = self.exchanges.index(exchange) if exchange in self.exchanges else 0
        return MARKET_RULES[self.rules[at]]

    @property
    def least_step(self) -> Decimal:
        """The smallest price step there is for it anywhere."""
        return min(step.step for rule in self.rules for step in MARKET_RULES[rule])

    def instrument(self, symbol: str) -> Instrument:
        """Its rules in AlphaWeave's words."""
        kinds = {"STK": "equity", "CASH": "fx", "FUT": "future", "CRYPTO": "crypto"}
        return Instrument(
            symbol=symbol,
            venue_symbol=self.local_symbol,
            kind=kinds[self.sec_type],
            base=self.symbol if self.sec_type in {"CASH", "CRYPTO"} else None,
            quote=self.currency,
            settle=self.currency,
            multiplier=self.multiplier,
            price_steps=self.steps(self.exchange),
            size_step=self.size_increment,
            min_size=self.min_size,
            fractional=self.size_increment < 1,
            shortable=self.shortable,
        )


class Catalog:
    """All contracts there are."""

    def __init__(self, symbols: Iterable[str], now: datetime) -> None:
        """
        Args:
            symbols: stocks beside the usual ones.
            now: futures that expire in the year after this exist.
        """
        self._all = [*_stocks(), *_pairs(), *_coins(), *_futures(now.date())]
        known = {one.symbol for one in self._all}
        for symbol in symbols:
            if symbol not in known:
                self._all.append(_stock(700_000_000 + crc32(symbol.encode()) % 99_999_999, symbol, "NASDAQ"))
        self._by_id = {one.con_id: one for one in self._all}

    def __iter__(self) -> Iterator[Contract]:
        return iter(self._all)

    def by_id(self, con_id: int) -> Contract | None:
        return self._by_id.get(con_id)

    def candidates(self, wanted: Wanted) -> list[Contract]:
        """What the client can mean; a stock without an exchange once for each of its exchanges."""
        if wanted.con_id:
            known = self._by_id.get(wanted.con_id)
            if known is None or wanted.exchange not in {"", known.exchange, *known.exchanges}:
                return []
            return [_at(known, wanted.exchange or known.exchange)]
        found = [one for one in self._all if _means(wanted, one)]
        if wanted.exchange:
            return [_at(one, wanted.exchange) for one in found]
        return [_at(one, exchange) for one in found for exchange in one.exchanges]

    def one(self, wanted: Wanted) -> Contract | None:
        """What the client means; None if that is nothing, or several contracts."""
        found = {one.con_id: one for one in self.candidates(wanted)}
        return next(iter(found.values())) if len(found) == 1 else None

    def matching(self, pattern: str) -> list[Contract]:
        """Those whose symbol or name has the pattern."""
        sought = pattern.upper()
        return [one for one in self._all if one.symbol.startswith(sought) or sought in one.name.upper()][:16]

    def named(self, name: str) -> Contract:
        """The contract of a name in a config: ``KO``, ``EUR.USD@IDEALPRO``, ``BTC@PAXOS``, ``ES 203106 CME``
        or its number.

        Raises:
            KeyError: if there is none.
        """
        if name.isdigit() and int(name) in self._by_id:
            return self._by_id[int(name)]
        words = name.split()
        if len(words) == 3:
            wanted = Wanted(symbol=words[0], sec_type="FUT", expiry=words[1], exchange=words[2])
        else:
            symbol, _, exchange = name.partition("@")
            base, dot, quote = symbol.partition(".")
            if exchange == "PAXOS":
                wanted = Wanted(symbol=symbol, sec_type="CRYPTO", exchange=exchange)
            elif dot and exchange == "IDEALPRO":
                wanted = Wanted(symbol=base, sec_type="CASH", exchange=exchange, currency=quote)
            else:
                wanted = Wanted(symbol=symbol, sec_type="STK", primary=exchange, exchange="SMART")
                wanted = evolve(wanted, currency="USD")
        found = self.candidates(wanted)
        if not found:
            raise KeyError(name)
        return self._by_id[found[0].con_id]


def _means(wanted: Wanted, one: Contract) -> bool:
    return (
        (not wanted.sec_type or wanted.sec_type == one.sec_type)
        and (wanted.symbol == one.symbol or (not wanted.symbol and bool(wanted.local_symbol)))
        and wanted.local_symbol in {"", one.local_symbol}
        and wanted.currency in {"", one.currency}
        and wanted.primary in {"", one.primary}
        and wanted.trading_class in {"", one.trading_class}
        and one.expiry.startswith(wanted.expiry)
        and (not wanted.exchange or wanted.exchange in one.exchanges)
    )


def _at(one: Contract, exchange: str) -> Contract:
    return one if one.exchange == exchange else evolve(one, exchange=exchange)


def _stock(
    con_id: int,
    symbol: str,
    primary: str,
    *,
    currency: str = "USD",
    rule: int = _STOCK,
    shortable: bool = True,
) -> Contract:
    return Contract(
        con_id=con_id,
        symbol=symbol,
        sec_type="STK",
        exchange="SMART",
        primary=primary,
        currency=currency,
        local_symbol=symbol,
        trading_class="NMS" if primary == "NASDAQ" else symbol,
        name=f"{symbol} INC",
        exchanges=("SMART", primary, "IBKRATS"),
        rules=(rule, rule, _STOCK),
        shortable=shortable,
    )


def _stocks() -> Sequence[Contract]:
    return (
        _stock(265598, "AAPL", "NASDAQ"),
        _stock(272093, "MSFT", "NASDAQ"),
        _stock(8894, "KO", "NYSE", rule=_BANDED),
        _stock(8314, "IBM", "NYSE"),
        _stock(756733, "SPY", "ARCA"),
        _stock(36285627, "GME", "NYSE", shortable=False),
        # One symbol, two companies; and one company in two currencies.
        _stock(610000001, "TWIN", "NYSE"),
        _stock(610000002, "TWIN", "NASDAQ"),
        _stock(4391, "BHP", "NYSE"),
        _stock(4036818, "BHP", "ASX", currency="AUD"),
    )


def _pairs() -> list[Contract]:
    rows = ((12087792, "EUR", "USD", _CASH), (12087797, "GBP", "USD", _CASH), (15016059, "USD", "JPY", _YEN))
    return [
        Contract(
            con_id=con_id,
            symbol=base,
            sec_type="CASH",
            exchange="IDEALPRO",
            primary="IDEALPRO",
            currency=quote,
            local_symbol=f"{base}.{quote}",
            trading_class=f"{base}.{quote}",
            name=f"{base}/{quote}",
            exchanges=("IDEALPRO",),
            rules=(rule,),
            margin=Decimal("0.03"),
        )
        for con_id, base, quote, rule in rows
    ]


def _coins() -> list[Contract]:
    return [
        Contract(
            con_id=con_id,
            symbol=coin,
            sec_type="CRYPTO",
            exchange="PAXOS",
            primary="PAXOS",
            currency="USD",
            local_symbol=f"{coin}.USD",
            trading_class=coin,
            name=name,
            exchanges=("PAXOS",),
            rules=(_COIN,),
            min_size=Decimal("0.0001"),
            size_increment=Decimal("0.00000001"),
            shortable=False,
            margin=Decimal(1),
        )
        for con_id, coin, name in (
            (479624278, "BTC", "Bitcoin cryptocurrency"),
            (495759171, "ETH", "Ethereum"),
        )
    ]


def _futures(today: date) -> list[Contract]:
    """Four quarters of the E-mini, from this month on."""
    found: list[Contract] = []
    year, month = today.year, today.month
    while len(found) < 4:
        third_friday = date(year, month, 15) + timedelta((4 - date(year, month, 15).weekday()) % 7)
        if month % 3 == 0 and third_friday >= today:
            letter = {3: "H", 6: "M", 9: "U", 12: "Z"}[month]
            found.append(
                Contract(
                    con_id=490_000_000 + year * 100 + month,
                    symbol="ES",
                    sec_type="FUT",
                    exchange="CME",
                    primary="CME",
                    currency="USD",
                    local_symbol=f"ES{letter}{year % 10}",
                    trading_class="ES",
                    name="E-mini S&P 500",
                    exchanges=("CME", "QBALGO"),
                    rules=(_FUTURE, _FUTURE),
                    expiry=f"{third_friday:%Y%m%d}",
                    multiplier=Decimal(50),
                    margin=Decimal(12_000),
                )
            )
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return found

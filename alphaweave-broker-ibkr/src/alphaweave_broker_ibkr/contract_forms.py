"""The short forms in which a config names a contract."""

from __future__ import annotations

import re
from typing import Final, Literal

from attrs import frozen

__all__ = ["ContractForm", "parse_contract"]

_CON_ID: Final = re.compile(r"[1-9][0-9]*")
_PAIR: Final = re.compile(r"([A-Z]{3})\.([A-Z]{3})(?:@IDEALPRO)?")
_CRYPTO: Final = re.compile(r"([A-Z]+)@(PAXOS|ZEROHASH)")
_FUTURE: Final = re.compile(r"([A-Z0-9]+) ([0-9]{6}|[0-9]{8}) ([A-Z]+)")
_STOCK: Final = re.compile(r"([A-Z][A-Z0-9]*(?: [A-Z]+)?)(?:@([A-Z]+))?")
_FORMS: Final = (
    "write AAPL, AAPL@NASDAQ (its listing), EUR.USD@IDEALPRO, ES 202612 CME, BTC@PAXOS, "
    "or the number that Interactive Brokers gives the contract"
)


@frozen(kw_only=True)
class ContractForm:
    """What to ask the gateway for; it answers with the contracts that fit.

    Stocks and coins are those in US dollars: others go by their number.

    Attributes:
        con_id: the contract's number, or 0 where the rest names it.
        expiry: YYYYMM or YYYYMMDD of a future, else empty.
        listing: the primary exchange of a stock, else empty.
    """

    kind: Literal["", "STK", "CASH", "FUT", "CRYPTO"]
    con_id: int = 0
    symbol: str = ""
    expiry: str = ""
    exchange: str = ""
    listing: str = ""
    currency: str = ""


def parse_contract(text: str) -> ContractForm:
    """What a short form asks for.

    Raises:
        ValueError: it is none of the forms.
    """
    if _CON_ID.fullmatch(text):
        return ContractForm(kind="", con_id=int(text))
    if found := _PAIR.fullmatch(text):
        return ContractForm(kind="CASH", symbol=found[1], exchange="IDEALPRO", currency=found[2])
    if found := _CRYPTO.fullmatch(text):
        return ContractForm(kind="CRYPTO", symbol=found[1], exchange=found[2], currency="USD")
    if found := _FUTURE.fullmatch(text):
        if not 1 <= int(found[2][4:6]) <= 12:
            raise ValueError(f"{text!r} expires in no month of a year: {_FORMS}")
        # The currency is left open: one exchange lists a future in one, and the number decides.
        return ContractForm(kind="FUT", symbol=found[1], expiry=found[2], exchange=found[3])
    if found := _STOCK.fullmatch(text):
        # Without SMART a stock has one row per exchange, and would never be unambiguous.
        return ContractForm(
            kind="STK", symbol=found[1], exchange="SMART", listing=found[2] or "", currency="USD"
        )
    raise ValueError(f"{text!r} names no contract: {_FORMS}")

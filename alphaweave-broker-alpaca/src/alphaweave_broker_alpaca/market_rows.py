"""Alpaca's bars, trades and quotes, and AlphaWeave's.

What is missing or no number is a `ValueError` that names the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, Final

from alphaweave.core.market import Bar, BarSource, Quote, Trade
from alphaweave_broker_alpaca.mapping import moment, text_of

__all__ = ["MINUTE", "bar_of", "quote_of", "trade_of"]

MINUTE: Final = timedelta(minutes=1)


def bar_of(row: Mapping[str, Any], symbol: str, source: BarSource = BarSource.LIVE) -> Bar:
    """One minute. Alpaca's stamp is its beginning."""
    start = _time(row)
    opening, high, low, close = (_number(row, name) for name in ("o", "h", "l", "c"))
    if low <= 0:
        raise ValueError(f"the bar of {symbol} at {start} has a price of {low:g}")
    return Bar(symbol, "1m", start, start + MINUTE, opening, high, low, close, _number(row, "v"), source)


def trade_of(row: Mapping[str, Any], symbol: str) -> Trade:
    """One trade; its key is Alpaca's number, with the exchange that gave it."""
    number = row.get("i")
    key = None if number is None else f"{row.get('x', '')}{number}"
    return Trade(symbol, _time(row), _number(row, "p"), _number(row, "s"), key)


def quote_of(row: Mapping[str, Any], symbol: str) -> Quote:
    """The best bid and ask. A side without a quote is zero at Alpaca's."""
    bid, ask = _number(row, "bp"), _number(row, "ap")
    return Quote(
        symbol,
        _time(row),
        bid if bid > 0 else None,
        ask if ask > 0 else None,
        _number(row, "bs") if bid > 0 else None,
        _number(row, "as") if ask > 0 else None,
    )


def _time(row: Mapping[str, Any]) -> datetime:
    return moment(text_of(row, "t"))


def _number(row: Mapping[str, Any], name: str) -> float:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{name} is a number, not {value!r}")
    return float(value)

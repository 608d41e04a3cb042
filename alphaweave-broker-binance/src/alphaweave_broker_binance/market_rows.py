"""Binance's bars, trades and quotes, and AlphaWeave's.

What is missing or no number is a `ValueError` that names the field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, Final

from alphaweave.core.market import Bar, BarSource, Quote, Trade
from alphaweave_broker_binance.mapping import moment

__all__ = ["bar_of", "is_final", "listed_bar_of", "quote_of", "trade_of"]

_MILLISECOND: Final = timedelta(milliseconds=1)
_COLUMNS: Final = 7


def is_final(kline: Mapping[str, Any]) -> bool:
    """Whether a bar of the stream has closed; others are told every two seconds."""
    return kline.get("x") is True


def bar_of(kline: Mapping[str, Any], symbol: str) -> Bar:
    """One bar of the stream; its closing time is the last millisecond that belongs to it."""
    columns = [kline.get(name) for name in ("t", "o", "h", "l", "c", "v", "T")]
    return _bar(columns, symbol, str(kline.get("i")), BarSource.LIVE)


def listed_bar_of(row: Any, symbol: str, interval: str) -> Bar:
    """One bar of the past. The newest of a list may not have closed: its end tells."""
    if not isinstance(row, list) or len(row) < _COLUMNS:
        raise ValueError("a bar is a list of columns")
    return _bar(row, symbol, interval, BarSource.BACKFILL)


def _bar(columns: Sequence[Any], symbol: str, interval: str, source: BarSource) -> Bar:
    start, end = moment(columns[0]), moment(columns[6]) + _MILLISECOND
    names = ("open", "high", "low", "close", "volume")
    opening, high, low, close, volume = (
        _number(value, name) for value, name in zip(columns[1:6], names, strict=True)
    )
    if low <= 0:
        raise ValueError(f"the bar of {symbol} at {start} has a price of {low:g}")
    return Bar(symbol, interval, start, end, opening, high, low, close, volume, source)


def trade_of(told: Mapping[str, Any], symbol: str) -> Trade:
    """One trade; its key is Binance's number, which is the symbol's own."""
    number = told.get("t")
    return Trade(
        symbol,
        moment(told.get("T")),
        _number(told.get("p"), "price"),
        _number(told.get("q"), "quantity"),
        None if number is None else str(number),
    )


def quote_of(told: Mapping[str, Any], symbol: str, at: datetime) -> Quote:
    """The best bid and ask, which bear no time: ``at`` is when they came. A side that is empty is zero."""
    bid, ask = _number(told.get("b"), "bid"), _number(told.get("a"), "ask")
    bids, asks = _number(told.get("B"), "bid size"), _number(told.get("A"), "ask size")
    return Quote(
        symbol,
        at,
        bid if bid > 0 else None,
        ask if ask > 0 else None,
        bids if bid > 0 else None,
        asks if ask > 0 else None,
    )


def _number(value: Any, name: str) -> float:
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        number = None
    if number is None or not isfinite(number):
        raise ValueError(f"{name} is a number in text, not {value!r}")
    return number

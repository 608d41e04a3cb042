"""What a market did: bars, trades, quotes."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from attrs import frozen

__all__ = ["Bar", "BarCorrection", "BarSource", "Quote", "Trade"]


class BarSource(Enum):
    """How a bar came to be known."""

    LIVE = "live"
    BACKFILL = "backfill"
    WARMUP = "warmup"


@frozen
class Bar:
    """One final bar. Prices are in the instrument's quote currency, volume in its own units.

    ``start`` and ``end`` are UTC; ``end`` is the first instant at which the bar may be known, and the
    kernel orders bars by it. A bar that may still change is never a Bar.
    """

    symbol: str
    interval: str
    start: datetime
    end: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    source: BarSource = BarSource.LIVE


@frozen
class BarCorrection:
    """The venue restated a bar that was already final. It mends the series and never re-runs ``next``."""

    bar: Bar


@frozen
class Trade:
    """One public trade: price in quote currency, size in units, ``at`` in UTC."""

    symbol: str
    at: datetime
    price: float
    size: float
    key: str | None = None


@frozen
class Quote:
    """The best bid and ask at one instant. A side without a quote is None."""

    symbol: str
    at: datetime
    bid: float | None
    ask: float | None
    bid_size: float | None = None
    ask_size: float | None = None

"""What a connection to the gateway is subscribed to: one stream each, and what it makes of what comes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from attrs import define, field
from ib_async import Contract

from alphaweave.core.clock import from_ns
from alphaweave.core.market import Quote, Trade
from alphaweave.live.datafeed import Subscription
from alphaweave_broker_ibkr.bar_builder import BarBuilder
from alphaweave_broker_ibkr.gateway import Refused
from alphaweave_broker_ibkr.market_rows import quote_of, trade_of

__all__ = ["Stream", "Ticks"]

_SECOND_NS: Final = 1_000_000_000
_NONE: Final = (-1.0, 0.0)
# The gateway's numbers of ticks: live ones, and delayed ones.
_PRICES: Final = {1: "bid", 66: "bid", 2: "ask", 67: "ask", 4: "last", 68: "last"}
_SIZES: Final = {0: "bid", 69: "bid", 3: "ask", 70: "ask"}
_LAST_TIMES: Final = frozenset({45, 88})


@define
class Ticks:
    """The trades and quotes of one symbol, out of the gateway's ticks.

    Attributes:
        symbol: what the config calls it.
    """

    symbol: str
    _sides: dict[str, tuple[float, float]] = field(factory=dict)

    def by_tick(self, told: Sequence[Any]) -> Trade | None:
        """A trade of the tick-by-tick kind: kind, seconds, price, size, more."""
        _, seconds, price, size, *_ = told
        return trade_of(self.symbol, from_ns(seconds * _SECOND_NS), price, size)

    def by_quote(self, told: Sequence[Any]) -> Quote:
        """A quote of the tick-by-tick kind: seconds, two prices, two sizes, more."""
        seconds, bid, ask, bid_size, ask_size, *_ = told
        return quote_of(self.symbol, from_ns(seconds * _SECOND_NS), (bid, bid_size), (ask, ask_size))

    def price(self, kind: int, price: float, size: float, at: datetime) -> Quote | None:
        """A price with its size; the quote, if it changed that. A last price waits for its time."""
        side = _PRICES.get(kind)
        if side is None:
            return None
        self._sides[side] = (price, size)
        return None if side == "last" else self._quote(at)

    def size(self, kind: int, size: float, at: datetime) -> Quote | None:
        """A size alone; the quote, if it changed that."""
        side = _SIZES.get(kind)
        if side is None or side not in self._sides:
            return None
        price, before = self._sides[side]
        self._sides[side] = (price, size)
        # The gateway says each size once more after its price.
        return None if before == size else self._quote(at)

    def text(self, kind: int, text: str) -> Trade | None:
        """The time of the last trade: the trade that waited for it."""
        if kind not in _LAST_TIMES:
            return None
        price, size = self._sides.pop("last", _NONE)
        return trade_of(self.symbol, from_ns(int(text) * _SECOND_NS), price, size)

    def _quote(self, at: datetime) -> Quote:
        return quote_of(self.symbol, at, self._sides.get("bid", _NONE), self._sides.get("ask", _NONE))


@define(eq=False)
class Stream:
    """One subscription at the gateway.

    Attributes:
        number: under which it was asked for; 0 while it is not.
        builder: of bars.
        asking: an answer is awaited, which errors are told in.
        behind: rows of the present are missing until it is asked for anew.
        held: rows that came before that answer was taken in.
        starting: the subscription has not come to its end; ``refused`` is what ended it before.
        is_real_time: its bars are made of those of five seconds.
        is_probe: it is one look at the market data, and no stream.
        due: when its builder is looked at again, as far as that is planned.
    """

    subscription: Subscription
    contract: Contract
    ticks: Ticks
    builder: BarBuilder | None = None
    number: int = 0
    asking: bool = False
    behind: bool = False
    held: list[Any] = field(factory=list)
    starting: bool = True
    refused: Refused | None = None
    is_real_time: bool = False
    is_probe: bool = False
    due: int | None = None

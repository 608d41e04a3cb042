"""The market as it goes: what is traded, quoted and closed is known, met by orders and told."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from alphaweave_broker_binance.sandbox.figures import amount
from alphaweave_broker_binance.sandbox.market_stream import MarketStream
from alphaweave_broker_binance.sandbox.pairs import Pair
from alphaweave_broker_binance.sandbox.prices import Minute, Prices
from alphaweave_broker_binance.sandbox.venue import Venue

__all__ = ["Market"]

_SIZE = Decimal(1)


class Market:
    """
    Args:
        now: the venue's time, milliseconds.
    """

    def __init__(self, venue: Venue, prices: Prices, stream: MarketStream, now: Callable[[], int]) -> None:
        self._venue, self._prices, self._stream, self._now = venue, prices, stream, now

    def trade_at(self, pair: Pair, price: Decimal) -> None:
        """Let a price be traded, and orders meet it."""
        self._price(pair, price)
        self._venue.trade(pair, price)

    def play(self, pair: Pair, minute: Minute) -> None:
        """Let orders meet a minute that is over; then its kline is told."""
        self._price(pair, Decimal(repr(minute.close)))
        prices = (minute.open, minute.high, minute.low, minute.close)
        self._venue.trade_minute(pair, prices, minute.start)
        self.minute(pair, minute)

    def begin(self, pair: Pair, minute: Minute) -> None:
        """Let a minute have passed before anybody was there."""
        self._prices.put(pair.name, minute)
        self._venue.last[pair.name] = Decimal(repr(minute.close))

    def minute(self, pair: Pair, minute: Minute) -> None:
        """Tell of a minute, over or not, in every interval that is wanted."""
        self._prices.put(pair.name, minute)
        prefix = f"{pair.name.lower()}@kline_"
        for stream in self._stream.wanted(prefix):
            interval = stream.removeprefix(prefix)
            kline = self._prices.around(pair.name, interval, minute)
            self._stream.publish(stream, kline.event(pair.name, interval, self._now()))

    def trade(self, pair: Pair, at: int, price: Decimal, size: Decimal) -> None:
        self._prices.add_trade(pair.name, at, price, size)
        row = {
            "e": "trade",
            "E": self._now(),
            "s": pair.name,
            "t": self._venue.trade_id(pair),
            "p": amount(price),
            "q": amount(size),
            "T": at,
            "m": False,
            "M": True,
        }
        self._stream.publish(f"{pair.name.lower()}@trade", row)

    def quote(self, pair: Pair, bid: tuple[str, str], ask: tuple[str, str]) -> None:
        """The best bid and ask from now on, each a price with a size."""
        row = self._prices.set_quote(pair.name, bid, ask)
        self._stream.publish(f"{pair.name.lower()}@bookTicker", row)

    def average(self, symbol: str, minutes: int) -> Decimal | None:
        found = self._prices.average(symbol, minutes)
        return self._venue.last.get(symbol) if found is None else found

    def _price(self, pair: Pair, price: Decimal) -> None:
        side = amount(price), amount(_SIZE)
        self.quote(pair, side, side)
        self.trade(pair, self._now(), price, _SIZE)

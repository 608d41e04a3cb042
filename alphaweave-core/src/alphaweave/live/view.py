"""What a strategy reads: prices, positions, history and indicators, as of the present slice."""

from __future__ import annotations

from datetime import datetime
from math import nan
from typing import TYPE_CHECKING, Protocol

from alphaweave.core.errors import StrategyError
from alphaweave.data.series import Window
from alphaweave.indicators.atr import ATR
from alphaweave.indicators.base import BarIndicator, CloseIndicator, Indicator
from alphaweave.indicators.ema import EMA
from alphaweave.indicators.rsi import RSI
from alphaweave.indicators.sma import SMA
from alphaweave.live.effects import MetricRecord
from alphaweave.live.orders import SymbolBook

if TYPE_CHECKING:
    from alphaweave.live.kernel import Kernel

__all__ = ["MarketView", "PositionOf"]

_INDICATORS: dict[str, type[Indicator]] = {"sma": SMA, "ema": EMA, "rsi": RSI, "atr": ATR}


class PositionOf(Protocol):
    """Signed units held of a symbol; None means the only one."""

    def __call__(self, symbol: str | None = None) -> float: ...


def _of_one(only: SymbolBook, of_any: PositionOf) -> PositionOf:
    """In a run with one symbol, which strategies ask for on every bar."""

    def position(symbol: str | None = None) -> float:
        return only.units if symbol is None else of_any(symbol)

    return position


class MarketView:
    """The reading half of the trading desk. Nothing in it can show a row past the cursors.

    Attributes:
        equity: cash and positions at their last prices, in the run's currency.
        position: signed units held.
        indicators: by (kind, symbol, period), in the order in which the strategy made them.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.equity = kernel.equity
        self.position: PositionOf = self._position
        self._books: dict[str | None, SymbolBook] = {}
        self._books.update(kernel.books)
        self.symbols = tuple(kernel.books)
        if len(self.symbols) == 1:
            self._books[None] = only = kernel.books[self.symbols[0]]
            self.position = _of_one(only, self._position)
        self.indicators: dict[tuple[str, str, int], Indicator] = {}

    def cash(self) -> float:
        return self._kernel.ledger.cash

    def close(self, symbol: str | None = None) -> float:
        book = self._books.get(symbol) or self._book(symbol)
        count = book.cursor.count
        return book.closes[count - 1] if count else nan

    def _position(self, symbol: str | None = None) -> float:
        return (self._books.get(symbol) or self._book(symbol)).units

    def now(self) -> datetime:
        if self._kernel.index < 0:
            raise StrategyError(
                "there is no present time before the first slice; ask for it in on_warmup or next",
                strategy=type(self._kernel.strategy).__qualname__,
                callback="init",
            )
        return self._kernel.when()

    def is_fresh(self, symbol: str | None = None) -> bool:
        book = self._book(symbol)
        count = book.cursor.count
        return count > 0 and book.series.end[count - 1] == self._kernel.now

    def history(self, symbol: str | None, n: int | None) -> Window:
        book = self._book(symbol)
        return book.series.window(book.cursor.count if n is None else n)

    def indicator(self, kind: str, symbol: str | None, period: int) -> Indicator:
        """The one indicator of this kind, symbol and period; a new one is fed what is already known."""
        book = self._book(symbol)
        key = (kind, book.symbol, period)
        known = self.indicators.get(key)
        if known is not None:
            return known
        indicator = self.indicators[key] = _INDICATORS[kind](period)
        series = book.series
        lane = self._kernel.lanes[id(book.cursor)]
        if isinstance(indicator, CloseIndicator):
            lane.feed_close(series.close, indicator)
        elif isinstance(indicator, BarIndicator):
            lane.bar_feeds.append((indicator.update, series.high, series.low, series.close))
        self.catch_up(*key)
        self._kernel.breaks.append("there is one more indicator to feed")
        return indicator

    def catch_up(self, kind: str, symbol: str, period: int) -> None:
        """Feed an indicator that has had no bar yet with all that are known."""
        book = self._book(symbol)
        indicator = self.indicators[kind, symbol, period]
        series = book.series
        seen = range(book.cursor.count)
        if isinstance(indicator, CloseIndicator):
            for row in seen:
                indicator.update(series.close[row])
        elif isinstance(indicator, BarIndicator):
            for row in seen:
                indicator.update(series.high[row], series.low[row], series.close[row])

    def log_metric(self, name: str, value: float) -> None:
        self._kernel.notes.append(MetricRecord(name, float(value), self._kernel.when()))

    def _book(self, symbol: str | None) -> SymbolBook:
        book = self._books.get(symbol)
        if book is None:
            have = ", ".join(self.symbols)
            what = "a symbol is needed" if symbol is None else f"{symbol!r} is not in this run"
            raise StrategyError(
                f"{what}; its symbols are {have}. Add it under `instruments:`",
                strategy=type(self._kernel.strategy).__qualname__,
                callback="",
            )
        return book

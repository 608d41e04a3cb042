"""Three strategies to copy and change: one per symbol, one across symbols, one with exits at the broker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alphaweave import Fill, Strategy


class SmaCross(Strategy):
    """Buy when a symbol's fast average crosses above its slow one, sell when it crosses below.

    Every symbol gets an equal share of the equity. Nothing is traded between two crossings.
    """

    fast = 10
    slow = 30

    def init(self) -> None:
        self.averages = {
            symbol: (self.sma(symbol, self.fast), self.sma(symbol, self.slow)) for symbol in self.symbols
        }
        self.above: dict[str, bool] = {}

    def next(self, i: int) -> None:
        for symbol, (fast, slow) in self.averages.items():
            if not slow.ready:
                continue
            above = fast.value > slow.value
            before = self.above.get(symbol)
            self.above[symbol] = above
            if before is None or above == before:
                continue
            if above:
                self.order_target_percent(symbol, 0.95 / len(self.symbols))
            elif self.position(symbol):
                self.close_position(symbol)

    def get_state(self) -> Mapping[str, Any]:
        return {"above": self.above}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.above = dict(state["above"])


class MomentumRotation(Strategy):
    """Every ``every`` bars, hold the ``top`` symbols that rose most over the last ``lookback`` bars.

    A symbol without enough history, or one that fell, is left out; its share stays in cash.
    """

    lookback = 120
    every = 20
    top = 2

    def next(self, i: int) -> None:
        if i % self.every:
            return
        returns = {symbol: self.momentum(symbol) for symbol in self.symbols}
        rising = [symbol for symbol in self.symbols if returns[symbol] > 0]
        best = sorted(rising, key=lambda symbol: returns[symbol], reverse=True)[: self.top]
        for symbol in self.symbols:
            if symbol not in best and self.position(symbol):
                self.close_position(symbol)
        for symbol in best:
            self.order_target_percent(symbol, 0.95 / self.top)
        self.log_metric("symbols held", len(best))

    def momentum(self, symbol: str) -> float:
        """Return over the lookback; 0 before there is enough history."""
        closes = self.history(symbol, self.lookback + 1).close
        return closes[-1] / closes[0] - 1 if len(closes) > self.lookback else 0.0


class BreakoutBracket(Strategy):
    """Buy a close above the last ``window`` highs, with both exits resting at the broker.

    Risks ``risk`` of the equity: the stop is ``stop_atr`` average true ranges below the close, the
    profit is taken at twice that distance. With ``trail`` a trailing stop takes the place of both.
    """

    window = 55
    stop_atr = 2.0
    risk = 0.01
    trail = False

    def init(self) -> None:
        self.ranges = {symbol: self.atr(symbol, 20) for symbol in self.symbols}

    def next(self, i: int) -> None:
        for symbol, average in self.ranges.items():
            if not average.ready or not self.is_fresh(symbol):
                continue
            if self.position(symbol) or self.open_orders(symbol):
                continue
            highs = self.history(symbol, self.window + 1).high
            close = self.close(symbol)
            if len(highs) <= self.window or close <= max(highs[:-1]):
                continue
            distance = self.stop_atr * average.value
            size = min(self.equity * self.risk / distance, self.equity / len(self.symbols) / close)
            if self.trail:
                self.order_market(symbol, size)
            else:
                self.order_bracket(symbol, size, take_profit=close + 2 * distance, stop_loss=close - distance)

    def on_fill(self, fill: Fill) -> None:
        if self.trail and fill.size > 0:
            distance = self.stop_atr * self.ranges[fill.symbol].value
            self.order_trailing_stop(fill.symbol, -fill.size, amount=distance, tif="gtc")

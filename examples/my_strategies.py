"""A strategy to copy and change."""

from __future__ import annotations

from alphaweave import Strategy


class SmaCross(Strategy):
    """Hold a symbol while its fast average is above its slow one; every symbol gets an equal share."""

    fast = 10
    slow = 30

    def init(self) -> None:
        self.averages = {
            symbol: (self.sma(symbol, self.fast), self.sma(symbol, self.slow)) for symbol in self.symbols
        }

    def next(self, i: int) -> None:
        share = 0.95 / len(self.symbols)
        for symbol, (fast, slow) in self.averages.items():
            if not slow.ready:
                continue
            held = self.position(symbol) != 0
            if fast.value > slow.value and not held:
                self.order_target_percent(symbol, share)
            elif fast.value < slow.value and held:
                self.close_position(symbol)

"""A strategy that always has something on its way and something at rest."""

from __future__ import annotations

from alphaweave.strategy.strategy import Strategy

__all__ = ["Steady"]


class Steady(Strategy):
    """Each minute an order at the market, one that rests, and a cancel of an older one."""

    def next(self, i: int) -> None:
        market, resting = self.symbols[0], self.symbols[1]
        self.order_market(market, (2 + i % 3) if self.position(market) <= 0 else -self.position(market))
        working = self.open_orders(resting)
        if len(working) > 2:
            working[0].cancel()
        self.order_limit(resting, 2 + i % 4, round(self.close(resting) * (0.999 if i % 2 else 0.97), 2))

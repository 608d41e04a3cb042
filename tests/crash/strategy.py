"""A strategy that always has something on its way and something at rest."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from alphaweave.strategy.events import Fill
from alphaweave.strategy.strategy import Strategy

__all__ = ["GROUPED", "MARKET", "RESTING", "SYMBOLS", "Restless"]

MARKET = "ABC"
RESTING = "XYZ"
GROUPED = ("GRA", "GRB", "GRC")
SYMBOLS = (MARKET, RESTING, *GROUPED)


class Restless(Strategy):
    """Each second an order of every kind, cancels and replacements; after a fill, sometimes one more.

    Each kind has symbols of its own, for an order that could trade with one at rest would be denied.
    """

    def init(self) -> None:
        self.fills = 0

    def next(self, i: int) -> None:
        size = 2 + i % 5
        self.order_market(MARKET, size if i % 2 else -size)
        price, working = self.close(RESTING), self.open_orders(RESTING)
        for share in (0.9995, 0.999, 0.95):
            self.order_limit(RESTING, size, round(price * share, 2))
        for handle in (*working[1:2], *working[6:]):
            handle.cancel()
        for handle in working[:1]:
            handle.replace(size=(handle.size or 0) + 1)
        if self.position(RESTING) > 10:
            self.order_market(RESTING, -10, reduce_only=True)
        for symbol in GROUPED:
            if not self.open_orders(symbol):
                price, side = self.close(symbol), 1 if self.position(symbol) <= 0 else -1
                near, far = round(price * (1 + side * 0.001), 2), round(price * (1 - side * 0.001), 2)
                self.order_bracket(symbol, side * size, take_profit=near, stop_loss=far)

    def on_fill(self, fill: Fill) -> None:
        self.fills += 1
        draw = Random(f"{fill.order.id}:{fill.order.filled}").random()
        if fill.symbol == MARKET and draw < 0.5:
            self.order_market(MARKET, 1 if draw < 0.25 else -1)

    def get_state(self) -> Mapping[str, Any]:
        return {"fills": self.fills}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.fills = state["fills"]

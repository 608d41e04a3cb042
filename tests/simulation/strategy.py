"""A strategy that does a little of everything, and the same again for the same seed."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from alphaweave.core.clock import to_ns
from alphaweave.strategy.events import Fill, Gap, OrderEvent
from alphaweave.strategy.strategy import Strategy

__all__ = ["Busy"]

_ACTS = ("market", "ioc", "limit", "limit", "stop", "bracket", "oco", "cancel", "replace", "target")


class Busy(Strategy):
    """Orders of every kind, cancels and replacements, drawn from the seed and the slice's number.

    What it draws from hangs on nothing but the input, so that a restart changes nothing.
    """

    seed = 0
    hasty = False
    bounds = True
    raises_at = -1

    def init(self) -> None:
        self.ordered = 0
        self.gaps: list[list[Any]] = []
        self.average = self.sma("ABC", 3)

    def next(self, i: int) -> None:
        random = Random(f"{self.seed}:{i}")
        for _ in range(4 if self.hasty else random.choice((0, 1, 1, 2))):
            self._act(random)
        if i == self.raises_at:
            raise ArithmeticError("the strategy divides by zero")

    def on_fill(self, fill: Fill) -> None:
        random = Random(f"{self.seed}:{fill.order.id}:{fill.order.filled}")
        if random.random() < 0.2:
            self.ordered += 1
            self.order_limit(
                fill.symbol, -fill.size, round(fill.price * (1.01 if fill.size > 0 else 0.99), 2)
            )

    def on_gap(self, gap: Gap) -> None:
        self.gaps.append([gap.symbol, to_ns(gap.start), to_ns(gap.end), gap.filled])

    def on_order(self, event: OrderEvent) -> None:
        if event.status.terminal:
            self.ordered += 1
        elif self.hasty:
            newest = self.open_orders()[-1:]
            for handle in newest:
                handle.cancel()

    def get_state(self) -> Mapping[str, Any]:
        return {"ordered": self.ordered, "gaps": self.gaps}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.ordered, self.gaps = state["ordered"], [list(gap) for gap in state["gaps"]]

    def _act(self, random: Random) -> None:
        symbol = random.choice(self.symbols)
        size = random.choice((-1, 1)) * random.randrange(1, 60)
        price = self.close(symbol)
        near = round(price * (1 - 0.003 * (1 if size > 0 else -1)), 2)
        act = random.choice(_ACTS if self.bounds else (*_ACTS, "replace", "replace", "replace"))
        self.ordered += 1
        if act == "market":
            self.order_market(symbol, size)
        elif act == "ioc":
            # Ends in the very bar that fills a part of it, so that its end overtakes its fill.
            self.order_market(symbol, size, tif="ioc")
        elif act == "limit":
            self.order_limit(symbol, size, near)
        elif act == "stop":
            self.order_stop(symbol, size, round(price * (1 + 0.004 * (1 if size > 0 else -1)), 2))
        elif act == "bracket":
            up, down = round(price * 1.006, 2), round(price * 0.994, 2)
            profit, loss = (up, down) if size > 0 else (down, up)
            self.order_bracket(symbol, size, take_profit=profit, stop_loss=loss)
        elif act == "oco":
            up, down = round(price * 1.006, 2), round(price * 0.994, 2)
            profit, loss = (down, up) if size > 0 else (up, down)
            self.order_oco(symbol, size, take_profit=profit, stop_loss=loss)
        elif act == "target":
            self.order_target_percent(symbol, random.choice((0.0, 0.03, -0.03)))
        else:
            working = self.open_orders(symbol)
            if working:
                handle = random.choice(working)
                if act == "cancel":
                    handle.cancel()
                else:
                    handle.replace(size=abs(size) + 5)

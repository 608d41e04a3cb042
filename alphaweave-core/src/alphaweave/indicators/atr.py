"""Average true range."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Any

from alphaweave.indicators.base import BarIndicator

__all__ = ["ATR"]


class ATR(BarIndicator):
    """Wilder's average true range, in price units.

    The true range needs the close before, so the first bar gives none: ready after ``period + 1`` bars.
    """

    __slots__ = ("_count", "_last", "_range")

    def __init__(self, period: int = 14) -> None:
        super().__init__(period)
        self._count = 0  # bars seen, counted until ready
        self._last = 0.0
        self._range = 0.0  # until ready the sum of true ranges

    def update(self, high: float, low: float, close: float) -> float:
        total = high + low + close
        if total - total:  # nan as soon as one of the three is nan or infinite
            self._refuse(high=high, low=low, close=close)
        last = self._last
        self._last = close
        true_range = (high if high > last else last) - (low if low < last else last)
        if self.ready:
            period = self.period
            self.value = value = (self.value * (period - 1) + true_range) / period
            return value
        self._count += 1
        if self._count > 1:
            self._range += true_range
        if self._count > self.period:
            self.ready = True
            self.value = self._range / self.period
        return self.value

    def _dump(self) -> dict[str, Any]:
        return {
            "count": self._count,
            "last": float(self._last),
            "range": float(self._range),
            "average": self.value if self.ready else 0.0,
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        if state["count"] > self.period + 1:
            raise self._corrupt(f"a count of {state['count']}")
        self._count = state["count"]
        self._last = float(state["last"])
        self._range = float(state["range"])
        self.ready = self._count > self.period
        self.value = float(state["average"]) if self.ready else nan

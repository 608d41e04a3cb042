"""Exponential moving average."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Any

from alphaweave.indicators.base import CloseIndicator

__all__ = ["EMA"]


class EMA(CloseIndicator):
    """The exponential average of weight 2 / (period + 1), started by the mean of ``period`` closes."""

    __slots__ = ("_count", "_total", "_weight")

    def __init__(self, period: int) -> None:
        super().__init__(period)
        self._weight = 2.0 / (period + 1)
        self._count = 0
        self._total = 0.0

    def update(self, close: float) -> float:
        if close - close:  # only nan and infinities differ from themselves
            self._refuse(close=close)
        if self.ready:
            value = self.value
            self.value = value = value + (close - value) * self._weight
            return value
        self._count += 1
        self._total += close
        if self._count == self.period:
            self.ready = True
            self.value = self._total / self.period
        return self.value

    def _dump(self) -> dict[str, Any]:
        return {"count": self._count, "total": self._total, "average": self.value if self.ready else 0.0}

    def _load(self, state: Mapping[str, Any]) -> None:
        if state["count"] > self.period:
            raise self._corrupt(f"a count of {state['count']}")
        self._count = state["count"]
        self._total = float(state["total"])
        self.ready = self._count == self.period
        self.value = float(state["average"]) if self.ready else nan

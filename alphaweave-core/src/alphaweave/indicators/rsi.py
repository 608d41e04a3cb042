"""Relative strength index."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Any

from alphaweave.indicators.base import CloseIndicator

__all__ = ["RSI"]


class RSI(CloseIndicator):
    """Wilder's relative strength index, 0 to 100; ready after ``period`` changes, so ``period + 1`` closes.

    While neither a gain nor a loss was ever seen the value is 50: a market that stands still is neither
    strong nor weak. (TA-Lib says 0 there, which a strategy would read as oversold.)
    """

    __slots__ = ("_count", "_gain", "_last", "_loss")

    def __init__(self, period: int = 14) -> None:
        super().__init__(period)
        self._count = 0  # closes seen, counted until ready
        self._last = 0.0
        self._gain = 0.0  # until ready the sum of gains, then their smoothed average; losses likewise
        self._loss = 0.0

    def update(self, close: float) -> float:
        if close - close:  # only nan and infinities differ from themselves
            self._refuse(close=close)
        change = close - self._last
        self._last = close
        if not self.ready:
            return self._warm_up(change)
        period = self.period
        if change > 0.0:
            self._gain = gain = (self._gain * (period - 1) + change) / period
            self._loss = loss = self._loss * (period - 1) / period
        else:
            self._gain = gain = self._gain * (period - 1) / period
            self._loss = loss = (self._loss * (period - 1) - change) / period
        total = gain + loss
        self.value = value = 100.0 * (gain / total) if total else 50.0
        return value

    def _warm_up(self, change: float) -> float:
        self._count += 1
        if self._count == 1:
            return nan
        if change > 0.0:
            self._gain += change
        else:
            self._loss -= change
        if self._count > self.period:
            self.ready = True
            self._gain /= self.period
            self._loss /= self.period
            self.value = self._strength()
        return self.value

    def _strength(self) -> float:
        total = self._gain + self._loss
        return 100.0 * (self._gain / total) if total else 50.0

    def _dump(self) -> dict[str, Any]:
        return {
            "count": self._count,
            "last": float(self._last),
            "gain": float(self._gain),
            "loss": float(self._loss),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        if state["count"] > self.period + 1 or state["gain"] < 0 or state["loss"] < 0:
            raise self._corrupt(f"count {state['count']}, gain {state['gain']}, loss {state['loss']}")
        self._count = state["count"]
        self._last = float(state["last"])
        self._gain = float(state["gain"])
        self._loss = float(state["loss"])
        self.ready = self._count > self.period
        self.value = self._strength() if self.ready else nan

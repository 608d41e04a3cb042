"""Simple moving average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import nan
from typing import Any

from alphaweave.indicators.base import CloseIndicator

__all__ = ["SMA"]


class SMA(CloseIndicator):
    """The mean of the last ``period`` closes."""

    # A running sum that subtracts what leaves the window keeps the rounding error of every price it ever
    # saw: after a fall from 1e6 to 1e-3 nothing right is left. Here nothing is subtracted. Closes are taken
    # in blocks of `period`; when a block is full, the sums of its newest 1, 2, 3 ... closes go on a stack,
    # and each later update pops the sum of those still in the window and adds the sum of the closes since.
    __slots__ = ("_block", "_block_sum", "_previous", "_previous_sums")

    def __init__(self, period: int) -> None:
        super().__init__(period)
        self._block: list[float] = []
        self._block_sum = 0.0
        self._previous: list[float] = []  # the last full block, newest first
        self._previous_sums = [nan] * (period - 1)  # nan makes the value nan through the first block

    def update(self, close: float) -> float:
        if close - close:  # nan for nan and for infinities, 0.0 for all else: the cheapest test there is
            self._refuse(close=close)
        if self.behind is not None:
            self.behind()
        sums = self._previous_sums
        block = self._block
        block.append(close)
        if sums:
            self._block_sum = block_sum = self._block_sum + close
            self.value = value = (sums.pop() + block_sum) / self.period
            return value
        block.reverse()
        self._previous = block
        self._previous_sums = sums = list(accumulate(block))
        self._block = []
        self._block_sum = 0.0
        self.ready = True
        self.value = value = sums.pop() / self.period
        return value

    def ahead(self, closes: Sequence[float]) -> list[float] | None:
        # Whoever has no long run before him does not wait for this import.
        import numpy as np

        if not self.ready:
            return None
        period, begun = self.period, len(self._block)
        end = begun + len(closes)
        blocks = np.zeros((end // period + 1, period))
        row = blocks.reshape(-1)
        row[:begun] = self._block
        row[begun:end] = closes
        if not np.isfinite(row).all():
            return None
        with np.errstate(over="ignore"):
            # The sums of the oldest and of the newest of each block, each added to as `update` does: the
            # first begin with a zero, which no negative one survives.
            values = np.add.accumulate(blocks, axis=1) + 0.0
            newest = np.add.accumulate(blocks[:, ::-1], axis=1)
            values[0, begun:-1] += self._previous_sums[::-1]
            values[1:, :-1] += newest[:-1, -2::-1]
            values[:, -1] = newest[:, -1]
            values /= period
        wanted: list[float] = values.reshape(-1)[begun:end].tolist()
        return wanted

    def advance(self, closes: Sequence[float]) -> None:
        if self.ready and len(closes) >= self.period:
            self._resume(list(closes[-self.period :]), (len(self._block) + len(closes)) % self.period)
        else:
            super().advance(closes)

    def _dump(self) -> dict[str, Any]:
        kept = self._previous[: self.period - len(self._block)]
        window = [float(close) for close in (*reversed(kept), *self._block)]
        return {"window": window, "since_block": len(self._block)}

    def _load(self, state: Mapping[str, Any]) -> None:
        window: list[float] = state["window"]
        since_block: int = state["since_block"]
        ready = len(window) == self.period
        possible = range(self.period) if ready else (len(window),)
        if len(window) > self.period or since_block not in possible:
            raise self._corrupt(f"{len(window)} closes, {since_block} of them in the newest block")
        self.ready = ready
        self._resume(window, since_block)

    def _resume(self, window: list[float], since_block: int) -> None:
        """Go on after these closes, the last so many of which are of the newest block."""
        split = len(window) - since_block
        self._previous = window[:split][::-1]
        self._block = window[split:]
        self._block_sum = 0.0
        for close in self._block:
            self._block_sum += close
        if self.ready:
            self._previous_sums = list(accumulate(self._previous))
            newest = self._previous_sums.pop()
            self.value = (newest + self._block_sum if since_block else newest) / self.period
        else:
            self._previous_sums = [nan] * (self.period - 1 - since_block)
            self.value = nan

"""The time that the inputs of a live run are stamped with."""

from __future__ import annotations

from typing import Final

from alphaweave.core.clock import Clock, to_ns

__all__ = ["RunClock"]

_SECOND_NS: Final = 1_000_000_000


class RunClock:
    """Nanoseconds since the epoch, UTC, which never run back and never stand still.

    Where the machine's clock is set back, this one goes on at half its pace until the other has caught up: if
    it waited, so would every deadline and every question to the broker.
    """

    __slots__ = ("_clock", "_last", "_ticks")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._ticks = clock.monotonic()

    def __call__(self) -> int:
        before, self._ticks = self._ticks, self._clock.monotonic()
        least = self._last + int((self._ticks - before) * _SECOND_NS) // 2
        self._last = max(least, to_ns(self._clock.now()))
        return self._last

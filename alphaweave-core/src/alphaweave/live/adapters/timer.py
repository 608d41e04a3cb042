"""Waiting, injected as time itself is: on the event loop, or by hand in a test or a simulation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from heapq import heappop, heappush
from typing import Protocol, TypeVar

from alphaweave.core.clock import Clock, ManualClock, SystemClock
from alphaweave.core.errors import BrokerUnavailable

__all__ = ["LoopTimer", "ManualTimer", "Timer", "within"]

_T = TypeVar("_T")


class Timer(Protocol):
    """A clock one can wait on."""

    @property
    def clock(self) -> Clock:
        """The time that the waits are of."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds of the clock; at once, but not before other tasks ran, for none."""
        ...


class LoopTimer:
    """Waits on the running event loop."""

    __slots__ = ("clock",)

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))


class ManualTimer:
    """Waits until somebody moves the time.

    Attributes:
        clock: moves with `advance` only.
    """

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many sleep now."""
        return sum(not woken.done() for _, _, woken in self._waiting)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heappush(self._waiting, (self.clock.monotonic() + seconds, self._count, woken))
        self._changed.set()
        await woken

    async def asleep(self, count: int = 1) -> None:
        """Return when at least so many sleep: the moment to move the time."""
        while self.waiting < count:
            self._changed.clear()
            await self._changed.wait()

    def advance(self, seconds: float) -> None:
        """Move the time, and wake whom it passes, in order. They run when the caller next awaits.

        Raises:
            ValueError: ``seconds`` is negative.
        """
        target = self.clock.monotonic() + seconds
        while self._waiting and self._waiting[0][0] <= target:
            due, _, woken = heappop(self._waiting)
            self.clock.advance(max(due - self.clock.monotonic(), 0.0))
            if not woken.done():
                woken.set_result(None)
        self.clock.advance(max(target - self.clock.monotonic(), 0.0) if seconds >= 0 else seconds)


async def within(timer: Timer, waiting: Awaitable[_T], seconds: float, what: str) -> _T:
    """Wait for something, but not for longer.

    Raises:
        BrokerUnavailable: it took longer, and was cancelled.
    """
    task = asyncio.ensure_future(waiting)
    limit = asyncio.create_task(timer.sleep(seconds))
    try:
        await asyncio.wait({task, limit}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise BrokerUnavailable(f"{what}: no answer within {seconds:g} s")
        return task.result()
    finally:
        limit.cancel()
        task.cancel()
        # Whatever it still raises was decided about here.
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())

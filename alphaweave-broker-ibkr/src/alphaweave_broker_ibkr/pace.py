"""How fast messages leave: cancels first, and orders in their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from alphaweave.live.adapters.rate_budget import RateBudget, RateLimit, Use, objection
from alphaweave.live.adapters.timer import Timer

__all__ = ["Pace", "Unsent"]


class Unsent(Exception):
    """Not a byte of it left this machine."""


class Pace:
    """The room in the gateway's message rate, for all connections of one client together.

    The client library has a queue of its own, first in first out: a cancel would wait behind questions, and
    an order that nobody waits for any more would leave all the same. It is switched off.
    """

    def __init__(self, rate: int, patience: float, timer: Timer) -> None:
        """``rate``: messages a second; ``patience``: seconds that one waits at most."""
        self._timer = timer
        self._patience = patience
        self._budget = RateBudget(
            [
                RateLimit(
                    name="messages",
                    weight=rate,
                    seconds=1.0,
                    kept_for_cancels=rate // 5,
                    kept_for_orders=rate // 5,
                )
            ]
        )
        # Numbers of orders have to rise: who came first leaves first.
        self._queues = {use: asyncio.Lock() for use in Use}

    @asynccontextmanager
    async def turn(self, use: Use, may_leave: Callable[[], None], messages: int = 1) -> AsyncIterator[None]:
        """Within it so many messages leave, at once: without another wait.

        Args:
            may_leave: raises what is against it, after the wait.

        Raises:
            Unsent: there was no room for too long, or it must not leave any more.
        """
        began = self._timer.clock.monotonic()
        async with self._queues[use]:
            while (wait := self._budget.take(self._now(), use, messages)) > 0:
                waited = self._timer.clock.monotonic() - began
                if waited + wait > self._patience:
                    raise Unsent(f"no room among the messages to the gateway for {waited:.1f} s")
                await self._timer.sleep(wait)
            may_leave()
            why = objection() if use is Use.ORDER else None
            if why is not None:
                raise Unsent(why)
            yield

    def slow_down(self) -> None:
        """The gateway says that it was too much: nothing but cancels for a second."""
        self._budget.bar(self._now(), 1.0, cancels=False)

    def _now(self) -> int:
        return round(self._timer.clock.monotonic() * 1e9)

"""What live feeds have in common: the subscriptions they take, and the one stream they hand out."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from datetime import datetime
from random import Random
from typing import Any

from alphaweave.core.clock import to_ns
from alphaweave.core.errors import Unsupported
from alphaweave.data.grid import BarGrid
from alphaweave.live.adapters.backoff import Backoff
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.server_clock import ServerClock
from alphaweave.live.adapters.timer import LoopTimer, Timer
from alphaweave.live.datafeed import (
    FeedCapabilities,
    FeedEvent,
    FeedKind,
    History,
    Session,
    Subscription,
)
from alphaweave.live.sessions import AROUND_THE_CLOCK, Calendar, sessions_of

__all__ = ["LiveDataFeed"]


class LiveDataFeed(ABC):
    """A feed with a queue between what arrives and who reads the stream.

    Attributes:
        capabilities: set by the subclass, or by its instance where options decide.
        server_clock: what time it is at the venue, by which the bases go; a subclass teaches it.
    """

    capabilities: FeedCapabilities

    def __init__(
        self, services: Services, *, timer: Timer | None = None, calendar: Calendar = AROUND_THE_CLOCK
    ) -> None:
        self.services = services
        self.timer: Timer = timer or LoopTimer(services.clock)
        self.calendar = calendar
        self.server_clock = ServerClock(self.timer.clock)
        self._random = Random(services.seed)
        self._events: asyncio.Queue[FeedEvent | Exception | None] = asyncio.Queue()
        self._taken = False
        self._grids: dict[str, BarGrid] = {}

    @abstractmethod
    async def history(
        self,
        subscription: Subscription,
        *,
        end: datetime,
        start: datetime | None = None,
        bars: int | None = None,
    ) -> History:
        """As `DataFeed.history`. The bases ask it for what the stream missed."""

    async def sessions(self, symbols: Sequence[str], start: datetime, end: datetime) -> Sequence[Session]:
        """By the feed's calendar, the same for every symbol."""
        return sessions_of(self.calendar, symbols, start, end)

    async def stream(self) -> AsyncIterator[FeedEvent]:
        """As `DataFeed.stream`."""
        if self._taken:
            raise Unsupported("this feed's stream was taken before; one feed serves one run")
        self._taken = True
        while True:
            event = await self._events.get()
            if event is None:
                return
            if isinstance(event, Exception):
                raise event
            yield event

    def check(self, subscription: Subscription) -> None:
        """Refuse what the feed does not have; a subclass that knows the venue's symbols adds to it.

        Raises:
            Unsupported: a kind or an interval that is not declared.
        """
        has = self.capabilities
        if subscription.kind not in has.kinds:
            kinds = ", ".join(sorted(f"{kind.value}s" for kind in has.kinds))
            raise Unsupported(
                f"{subscription.symbol}: this feed has {kinds}, and no {subscription.kind.value}s"
            )
        if subscription.kind is FeedKind.BAR and has.intervals and subscription.interval not in has.intervals:
            intervals = ", ".join(sorted(has.intervals))
            asked = subscription.interval
            raise Unsupported(f"{subscription.symbol}: this feed has bars of {intervals}, not {asked}")

    def grid(self, interval: str) -> BarGrid:
        """Where bars of an interval begin and end, by the run's time zone."""
        if interval not in self._grids:
            self._grids[interval] = BarGrid(interval, self.services.timezone)
        return self._grids[interval]

    def server_now(self) -> int:
        """The venue's time in nanoseconds since the epoch, UTC, as far as it is known."""
        return to_ns(self.server_clock.now())

    def emit(self, events: Iterable[FeedEvent]) -> None:
        """Put events into the stream."""
        for event in events:
            self._events.put_nowait(event)

    def end_stream(self) -> None:
        """Let the stream end after what is already in it."""
        self._events.put_nowait(None)

    def guard(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something beside the stream. Whatever it raises is raised by the stream: a feed whose parts
        stop without a word would look like a quiet market."""
        task = asyncio.create_task(coroutine, name=name)
        task.add_done_callback(self._end_of)
        return task

    def _end_of(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._events.put_nowait(error)

    def usual_backoff(self) -> Backoff:
        """A fresh backoff with the run's random numbers."""
        return Backoff(random=self._random)

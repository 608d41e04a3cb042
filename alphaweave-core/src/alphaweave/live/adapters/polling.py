"""A feed that asks: bars by request, at each boundary of their interval, by the venue's clock."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import BrokerUnavailable, Unsupported
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.failures import as_broker_error, told_of
from alphaweave.live.adapters.feed_base import LiveDataFeed
from alphaweave.live.adapters.poll_plan import Ask, PollPlan
from alphaweave.live.adapters.timer import Timer, within
from alphaweave.live.datafeed import FeedKind, History, Subscription
from alphaweave.live.sessions import AROUND_THE_CLOCK, Calendar

__all__ = ["PollingDataFeed"]

_SECOND_NS: Final = 1_000_000_000


class PollingDataFeed(LiveDataFeed):
    """Polls ``history``. A subclass writes that, `get_server_time`, and sets ``capabilities``.

    `ConnectionLost` comes with the first request that fails, `ConnectionRestored` when none fails any more
    and what was missed has been delivered.
    """

    def __init__(
        self,
        services: Services,
        *,
        timer: Timer | None = None,
        calendar: Calendar = AROUND_THE_CLOCK,
        settle: float = 1.0,
        clock_every: float = 600.0,
        at_once: int = 4,
        answer: float = 15.0,
    ) -> None:
        """Set up; nothing is connected.

        Args:
            settle: seconds after the end of a bar at which it is asked for.
            clock_every: seconds between two looks at the venue's clock.
            answer: seconds that the venue has for one question.
            at_once: how many requests may be under way together.
        """
        super().__init__(services, timer=timer, calendar=calendar)
        self._resting = services.resting
        self.plan = PollPlan(grid=self.grid, backoff=self.usual_backoff, calendar=calendar, settle=settle)
        self._clock_every = clock_every
        self._answer_within = answer
        self._permits = asyncio.Semaphore(at_once)
        self._asking: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._closed = False

    @abstractmethod
    async def get_server_time(self) -> datetime:
        """What time the venue says it is, UTC. Raises as ``history`` does."""

    async def connect(self) -> None:
        """Ask for the venue's time, which proves that it can be reached; then begin to poll.

        A subclass whose venue wants credentials proves them, too, before it calls this.

        Raises:
            AuthenticationFailed, BrokerUnavailable: as the venue answers.
        """
        if self._closed:
            raise Unsupported("this feed was disconnected; one feed serves one run")
        if self._tasks:
            return
        try:
            await self._look_at_clock()
        except Exception as error:
            raise as_broker_error(error, "the venue's time") from error
        self._tasks = [
            self.guard(self._poll(), "polls"),
            self.guard(self._keep_clock(), "clock"),
        ]

    async def disconnect(self) -> None:
        tasks = [*self._tasks, *self._asking]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not self._closed:
            self._closed = True
            self.end_stream()

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        for subscription in subscriptions:
            self.check(subscription)
        self.emit(self.plan.subscribe(subscriptions, self.server_now()))
        self._changed.set()

    def check(self, subscription: Subscription) -> None:
        if subscription.kind is not FeedKind.BAR:
            raise Unsupported(
                f"{subscription.symbol}: polls are for bars, not for {subscription.kind.value}s"
            )
        super().check(subscription)

    async def fetch(self, asks: Sequence[Ask]) -> Mapping[Ask, History | Exception]:
        """Answer several questions that are due together: one ``history`` each.

        A subclass whose venue answers for many symbols at once overrides it. A question that is absent
        from the answer has failed.
        """
        answers = await asyncio.gather(*map(self._ask, asks), return_exceptions=True)
        found: dict[Ask, History | Exception] = {}
        for ask, answer in zip(asks, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
            found[ask] = answer
        return found

    async def _ask(self, ask: Ask) -> History:
        async with self._permits:
            asked = self.history(ask.subscription, start=from_ns(ask.start), end=from_ns(ask.end))
            return await within(self.timer, asked, self._answer_within, "history")

    async def _poll(self) -> None:
        while True:
            self._changed.clear()
            asks = self.plan.due(self.server_now())
            if asks:
                task = self.guard(self._answer(asks), "answers")
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
            due = self.plan.next_due()
            await self._until(None if due is None else (due - self.server_now()) / _SECOND_NS)

    async def _until(self, seconds: float | None) -> None:
        """Wait until something is due, or anything has changed."""
        waits: list[asyncio.Task[object]] = [asyncio.create_task(self._changed.wait())]
        if seconds is not None:
            waits.append(asyncio.create_task(self.timer.sleep(seconds)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    async def _answer(self, asks: Sequence[Ask]) -> None:
        answers: Mapping[Ask, History | Exception] = {}
        failure: Exception = BrokerUnavailable("no answer")
        try:
            answers = await self.fetch(asks)
        except Exception as error:
            failure = error
        for ask in asks:
            answer = answers.get(ask, failure)
            now = self.server_now()
            if isinstance(answer, History):
                self.emit(self.plan.answered(ask, answer, now))
            else:
                # While the broker is in maintenance there is no use in asking again.
                retry_after = max(getattr(answer, "retry_after", None) or 0.0, self._resting())
                self.emit(self.plan.failed(ask, now, told_of(answer), retry_after or None))
        self._changed.set()

    async def _look_at_clock(self) -> None:
        asked_at = self.timer.clock.now()
        said = await within(self.timer, self.get_server_time(), self._answer_within, "the venue's time")
        # A clock that was set back in between makes the sample worthless, and the next one comes.
        with suppress(ValueError):
            self.server_clock.learn(asked_at=asked_at, answered_at=self.timer.clock.now(), said=said)

    async def _keep_clock(self) -> None:
        while True:
            await self.timer.sleep(self._clock_every)
            # The polls themselves say whether the venue can be reached.
            with suppress(Exception):
                await self._look_at_clock()
                self._changed.set()

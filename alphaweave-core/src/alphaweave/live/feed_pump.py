"""From a feed's stream to slices: warm-up first, then what happens, each slice when it closes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from attrs import frozen

from alphaweave.core.clock import EPOCH, from_ns, to_ns
from alphaweave.core.errors import BrokerUnavailable
from alphaweave.core.market import Bar, BarCorrection
from alphaweave.live.adapters.timer import Timer
from alphaweave.live.datafeed import (
    DataFeed,
    FeedEvent,
    FeedGap,
    History,
    Subscription,
    Watermark,
)
from alphaweave.live.reports import BrokerNotice, ConnectionLost, ConnectionRestored
from alphaweave.live.slices import LateBar, Missing, Slice, SliceAssembler

__all__ = ["FeedLink", "FeedPump", "Pumped"]


# By so much a venue's clock may be ahead of this machine's.
_AHEAD_NS: Final = 60_000_000_000


@frozen
class FeedLink:
    """The feed's connection is lost, or is back."""

    up: bool
    reason: str = ""


Pumped = Slice | LateBar | BarCorrection | FeedGap | FeedLink | BrokerNotice


class FeedPump:
    """Reads one feed for one run.

    Attributes:
        slices: how many slices were handed out.
        ended: whether the stream had no more to say.
    """

    def __init__(
        self,
        feed: DataFeed,
        *,
        symbols: Sequence[str],
        interval: str,
        grace: float,
        warmup: int,
        timer: Timer,
        now: Callable[[], int],
        after: int | None = None,
        had: Mapping[str, Sequence[int]] | None = None,
        retry: float = 1.0,
        patience: float = 60.0,
    ) -> None:
        """Set up for a run.

        Args:
            grace: seconds that a slice waits for symbols that have not reported.
            warmup: slices of history before the first live one.
            now: nanoseconds since the epoch, UTC.
            after: the last slice that an earlier part of the run saw; what came since is asked for.
            had: ends of the latest bars of each symbol that it saw; one that is lacking is asked for as well.
            retry: seconds until history is asked for again that was not to be had, or not all of it.
            patience: seconds of that after which the run starts all the same, and tells of a gap.
        """
        self.slices = 0
        self.ended = False
        self._feed = feed
        self._symbols = tuple(symbols)
        self._interval = interval
        self._warmup = warmup
        self._timer = timer
        self._now = now
        self._after = after
        self._retry = retry
        self._tries = max(1, round(patience / retry))
        self._started = False
        self._assembler = SliceAssembler(symbols, interval, grace=grace, after=after, had=had)
        # What is recorded comes whole in the stream; nothing came before it.
        self._recorded = not feed.capabilities.realtime

    async def run(self, give: Callable[[Pumped], Awaitable[None]]) -> None:
        """Subscribe, warm up, and hand out what there is until the stream ends.

        Raises:
            Unsupported: the feed does not have what is wanted.
            BrokerUnavailable: it cannot be subscribed to.
        """
        await self._feed.subscribe(
            [Subscription(symbol, interval=self._interval) for symbol in self._symbols]
        )
        stream = self._feed.stream()
        await give(FeedLink(up=True, reason="subscribed"))
        coming: asyncio.Task[FeedEvent] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(_next(stream))
                if not await self._wait(coming):
                    await self._give(give, self._assembler.tick(self._now()))
                    continue
                try:
                    event = coming.result()
                except StopAsyncIteration:
                    break
                finally:
                    coming = None
                for one in await self._taken(event):
                    await self._give(give, (one,))
        finally:
            if coming is not None:
                coming.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await coming
        self.ended = True

    async def _give(self, give: Callable[[Pumped], Awaitable[None]], what: Sequence[Pumped]) -> None:
        for one in what:
            self.slices += isinstance(one, Slice)
            await give(one)

    async def _wait(self, coming: asyncio.Task[FeedEvent]) -> bool:
        """Whether something came before the grace of the oldest slice ran out."""
        deadline = self._assembler.deadline
        if deadline is None:
            await asyncio.wait({coming})
            return True
        grace = asyncio.ensure_future(self._timer.sleep(max(0, deadline - self._now()) / 1e9))
        try:
            await asyncio.wait({coming, grace}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            grace.cancel()
        return coming.done()

    async def _taken(self, event: FeedEvent) -> Sequence[Pumped]:
        assembler, now = self._assembler, self._now()
        if isinstance(event, Bar):
            if not self._recorded and to_ns(event.start) > now + _AHEAD_NS:
                return (_early(event, now),)
            return assembler.add(event, now)
        if isinstance(event, Watermark):
            closed = assembler.mark(event, now)
            return (*closed, *(await self._warmed()))
        if isinstance(event, ConnectionLost):
            assembler.hold()
            return (FeedLink(up=False, reason=event.reason),)
        if isinstance(event, ConnectionRestored):
            return (*assembler.release(now), FeedLink(up=True, reason=event.detail))
        if isinstance(event, BarCorrection) and assembler.correct(event.bar):
            return ()
        if isinstance(event, BarCorrection | FeedGap | BrokerNotice):
            return (event,)
        return ()

    async def _warmed(self) -> Sequence[Pumped]:
        """The warm-up, once it is known where every stream begins; nothing before and after that."""
        if self._started or self._assembler.missing() is None:
            return ()
        gaps: list[Pumped] = []
        tries = 0
        while missing := self._assembler.missing():
            if tries:
                await self._timer.sleep(self._retry)
            tries += 1
            if tries > self._tries:
                gaps += [self._given_up(one) for one in missing]
                break
            for one in missing:
                answer = await self._history(one)
                gaps += () if answer is None else self._assembler.history(one.symbol, answer)
        self._started = True
        keep = None if self._recorded or self._after is not None else self._warmup
        return (*gaps, *self._assembler.start(self._now(), keep=keep, with_gaps=True))

    async def _history(self, wanted: Missing) -> History | None:
        """What the feed knows; None if it does not answer."""
        end = from_ns(wanted.end)
        if self._recorded and self._after is None:
            return History((), EPOCH, end)
        if wanted.start is None and not self._warmup:
            return History((), end, end)
        subscription = Subscription(wanted.symbol, interval=self._interval)
        try:
            if wanted.start is None:
                return await self._feed.history(subscription, end=end, bars=self._warmup)
            return await self._feed.history(subscription, end=end, start=from_ns(wanted.start))
        except BrokerUnavailable:
            return None

    def _given_up(self, missing: Missing) -> FeedGap:
        return FeedGap(
            missing.symbol,
            self._interval,
            EPOCH if missing.start is None else from_ns(missing.start),
            from_ns(missing.end),
            filled=False,
            reason="history does not answer",
        )


def _early(bar: Bar, now: int) -> BrokerNotice:
    """What is said of a bar that is not taken: every later one would be too late for its slice."""
    text = f"a bar that begins at {bar.start} is not taken at {from_ns(now)}: see to clocks and time zones"
    return BrokerNotice(from_ns(now), "error", "bar_from_the_future", f"{bar.symbol}: {text}", bar.symbol)


async def _next(stream: AsyncIterator[FeedEvent]) -> FeedEvent:
    return await anext(stream)

"""From a feed to slices: the warm-up out of history, spliced to what streams in, and nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from alphaweave.core.clock import ManualClock, to_ns
from alphaweave.core.errors import BrokerUnavailable
from alphaweave.core.market import Bar
from alphaweave.live.adapters.timer import ManualTimer
from alphaweave.live.datafeed import (
    FeedCapabilities,
    FeedEvent,
    FeedGap,
    FeedKind,
    History,
    Subscription,
    Watermark,
)
from alphaweave.live.feed_pump import FeedLink, FeedPump, Pumped
from alphaweave.live.reports import BrokerNotice, ConnectionLost, ConnectionRestored
from alphaweave.live.slices import LateBar, Slice

OPEN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(minute: int) -> datetime:
    return OPEN + minute * MINUTE


def bar(end: int, symbol: str = "A") -> Bar:
    return Bar(symbol, "1m", at(end - 1), at(end), 5, 6, 4, 5, 100)


class Feed:
    """Has a bar of every minute, and streams what it is given.

    Attributes:
        asked: what history was asked for.
        down: how many times history has no answer.
    """

    capabilities = FeedCapabilities(kinds=frozenset({FeedKind.BAR}), historical=True, realtime=True)

    def __init__(self, *events: FeedEvent, down: int = 0) -> None:
        self.events = events
        self.down = down
        self.asked: list[Any] = []

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        self.subscribed = list(subscriptions)

    async def stream(self) -> AsyncIterator[FeedEvent]:
        for event in self.events:
            yield event

    async def history(
        self,
        subscription: Subscription,
        *,
        end: datetime,
        start: datetime | None = None,
        bars: int | None = None,
    ) -> History:
        self.asked.append(bars if start is None else (start - OPEN) // MINUTE)
        if self.down:
            self.down -= 1
            raise BrokerUnavailable("busy")
        first = end - bars * MINUTE if start is None and bars is not None else start
        assert first is not None
        count = (end - first) // MINUTE
        found = [bar((first - OPEN) // MINUTE + number + 1) for number in range(count)]
        return History(tuple(found), first, end)


def pumped(feed: Feed, **settings: Any) -> list[Pumped]:
    """What comes out, with the time moved whenever something waits."""

    async def scene() -> list[Pumped]:
        clock = ManualClock(at(10))
        timer = ManualTimer(clock)
        out: list[Pumped] = []

        async def give(one: Pumped) -> None:
            out.append(one)

        settings.setdefault("warmup", 3)
        pump = FeedPump(
            feed,  # type: ignore[arg-type]
            symbols=("A",),
            interval="1m",
            grace=1.0,
            timer=timer,
            now=lambda: to_ns(clock.now()),
            patience=5.0,
            **settings,
        )
        running = asyncio.ensure_future(pump.run(give))
        while not running.done():
            await asyncio.sleep(0)
            if timer.waiting:
                timer.advance(0.5)
        await running
        assert pump.ended
        return out

    return asyncio.run(asyncio.wait_for(scene(), 5))


def ends(out: Sequence[Pumped]) -> list[int]:
    return [(one.end - to_ns(OPEN)) // (60 * 10**9) for one in out if isinstance(one, Slice)]


def mark(minute: int) -> Watermark:
    return Watermark(("A",), "1m", at(minute))


def test_warm_up_comes_out_of_history_and_joins_the_stream() -> None:
    """With no bar missing and none twice, also where the stream repeats one."""
    feed = Feed(mark(9), bar(10), mark(10), bar(10), bar(11), mark(11))
    assert ends(pumped(feed)) == [7, 8, 9, 10, 11]
    assert feed.asked == [3]
    assert feed.subscribed == [Subscription("A", interval="1m")]


def test_nothing_is_asked_of_history_without_a_warm_up() -> None:
    feed = Feed(mark(9), bar(10), mark(10))
    assert ends(pumped(feed, warmup=0)) == [10]
    assert feed.asked == []


def test_restart_takes_in_what_came_meanwhile() -> None:
    """From the last slice that was decided, and no longer the warm-up."""
    feed = Feed(mark(9), bar(10), mark(10))
    assert ends(pumped(feed, after=to_ns(at(5)))) == [6, 7, 8, 9, 10]
    assert feed.asked == [5]


def test_restart_asks_again_for_what_its_latest_slices_lack() -> None:
    """A bar that was late for its slice when the process died comes by itself, before what is new."""
    had = [to_ns(at(minute)) for minute in (2, 3, 5)]
    feed = Feed(mark(9), bar(10), mark(10))
    out = pumped(feed, after=to_ns(at(5)), had={"A": had})
    assert feed.asked == [2]
    assert [one.bar.end for one in out if isinstance(one, LateBar)] == [at(4)]
    assert ends(out) == [6, 7, 8, 9, 10]


def test_history_that_does_not_answer_is_asked_again() -> None:
    feed = Feed(mark(9), bar(10), mark(10), down=2)
    assert ends(pumped(feed)) == [7, 8, 9, 10]
    assert feed.asked == [3, 3, 3]


def test_history_that_never_answers_is_a_gap_and_the_run_starts() -> None:
    feed = Feed(mark(9), bar(10), mark(10), down=99)
    out = pumped(feed, after=to_ns(at(5)))
    (gap,) = (one for one in out if isinstance(one, FeedGap))
    assert (gap.symbol, gap.start, gap.end, gap.filled) == ("A", at(5), at(9), False)
    assert ends(out) == [10]
    assert out.index(gap) < next(number for number, one in enumerate(out) if isinstance(one, Slice))
    assert len(feed.asked) == 5


def test_link_is_told_first_and_at_each_change() -> None:
    """What was missed comes before the word that the connection is back."""
    feed = Feed(
        mark(9),
        ConnectionLost(at(10), "reset"),
        bar(10),
        mark(10),
        FeedGap("A", "1m", at(9), at(10), filled=True),
        ConnectionRestored(at(11)),
        bar(11),
        mark(11),
    )
    out = pumped(feed, warmup=0)
    kinds = [one.up if isinstance(one, FeedLink) else type(one).__name__ for one in out]
    assert kinds == [True, False, "Slice", "FeedGap", True, "Slice"]


def test_slice_that_waits_closes_after_the_grace() -> None:
    """A feed that sends no watermark still makes slices."""

    class Quiet(Feed):
        async def stream(self) -> AsyncIterator[FeedEvent]:
            async for event in super().stream():
                yield event
            await asyncio.sleep(0)
            for _ in range(50):
                await asyncio.sleep(0)

    feed = Quiet(Watermark(("A", "B"), "1m", at(9)), bar(10))

    async def scene() -> list[Pumped]:
        clock = ManualClock(at(10))
        timer, out = ManualTimer(clock), []

        async def give(one: Pumped) -> None:
            out.append(one)

        pump = FeedPump(
            feed,  # type: ignore[arg-type]
            symbols=("A", "B"),
            interval="1m",
            grace=2.0,
            warmup=0,
            timer=timer,
            now=lambda: to_ns(clock.now()),
        )
        running = asyncio.ensure_future(pump.run(give))
        await timer.asleep()
        timer.advance(1.9)
        await asyncio.sleep(0)
        assert not ends(out)
        timer.advance(0.2)
        await running
        return out

    assert ends(asyncio.run(asyncio.wait_for(scene(), 5))) == [10]


def test_slice_waits_while_the_connection_is_lost() -> None:
    """For however long: what is missing will be fetched, and belongs to it."""
    clock = ManualClock(at(10))

    class Lost(Feed):
        async def stream(self) -> AsyncIterator[FeedEvent]:
            yield Watermark(("A", "B"), "1m", at(9))
            yield bar(10)
            yield ConnectionLost(at(10), "reset")
            clock.advance(600)
            yield Watermark(("A",), "1m", at(10))
            yield bar(10, "B")
            yield ConnectionRestored(at(20))

    async def scene() -> list[Pumped]:
        out: list[Pumped] = []

        async def give(one: Pumped) -> None:
            out.append(one)

        pump = FeedPump(
            Lost(),  # type: ignore[arg-type]
            symbols=("A", "B"),
            interval="1m",
            grace=2.0,
            warmup=0,
            timer=ManualTimer(clock),
            now=lambda: to_ns(clock.now()),
        )
        await pump.run(give)
        return out

    (one,) = (each for each in asyncio.run(scene()) if isinstance(each, Slice))
    assert [each.symbol for each in one.bars] == ["A", "B"]


def test_bar_that_has_not_begun_is_not_taken_and_told_of() -> None:
    """Every bar after it would come too late for its slice: a wrong time zone would end the trading."""
    feed = Feed(mark(9), bar(10), bar(310), mark(10), bar(11), mark(11))
    out = pumped(feed, warmup=0)
    assert ends(out) == [10, 11]
    (notice,) = (one for one in out if isinstance(one, BrokerNotice))
    assert (notice.severity, notice.code, notice.symbol) == ("error", "bar_from_the_future", "A")

"""The polling base over real sockets: boundaries, the venue's clock, failures."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from alphaweave.core.errors import BrokerUnavailable, Unsupported
from alphaweave.live.datafeed import FeedKind, Subscription

Run = Callable[[Callable[[Any], Coroutine[Any, Any, None]]], None]


def test_bars_are_polled_after_each_boundary(run: Run, asking_feed: Any) -> None:
    """With a watermark each, so that a slice closes at once; an empty interval has only that."""

    async def scene(bench: Any) -> None:
        await bench.listen(asking_feed(bench), "A")
        await bench.hears("A to 0")
        bench.venue.trade("A", 1)
        await bench.timer.asleep(2)
        bench.minute(1)
        await bench.until(lambda: True)
        assert bench.venue.asked == []
        bench.timer.advance(1)
        await bench.hears("A1h", "A to 1")
        await bench.timer.asleep(2)
        bench.timer.advance(60)
        await bench.hears("A to 2")
        assert bench.venue.asked == ["A 0-1", "A 1-2"]

    run(scene)


def test_polls_go_by_the_clock_of_the_venue(run: Run, asking_feed: Any) -> None:
    """It is 20 seconds ahead, and then it is not any more."""

    async def scene(bench: Any) -> None:
        bench.venue.skew = timedelta(seconds=20)
        feed = asking_feed(bench, clock_every=100)
        await feed.connect()
        assert feed.server_clock.offset == bench.venue.skew
        await bench.listen(feed, "A")
        await bench.hears("A to 0")
        bench.venue.trade("A", 1)
        await bench.timer.asleep(2)
        bench.timer.advance(41)
        await bench.hears("A1h", "A to 1")

    run(scene)


def test_requests_that_fail_are_a_loss_until_what_was_missed_is_there(run: Run, asking_feed: Any) -> None:
    """For a minute and a half."""

    async def scene(bench: Any) -> None:
        await bench.listen(asking_feed(bench), "A")
        await bench.hears("A to 0")
        bench.venue.history_trouble = 10**6
        await bench.timer.asleep(2)
        bench.minute(1.02)
        await bench.hears("lost: A: history was cut off")
        bench.venue.exist["A"] = {1, 2}
        await bench.until(lambda: bench.clock.now() > bench.at(2.5), step=0.1)
        assert bench.told == []
        bench.venue.history_trouble = 0
        await bench.until(lambda: "restored" in bench.told, step=0.1)
        assert bench.told == ["A1h", "A2h", "filled A 0-2", "A to 2", "restored"]
        assert bench.clock.now() < bench.at(3)

    run(scene)


def test_venue_in_maintenance_is_not_asked_again_before_it_is_over(run: Run, asking_feed: Any) -> None:
    """Its failures are no reason to ask the sooner."""

    async def scene(bench: Any) -> None:
        feed = asking_feed(bench)
        feed._resting = lambda: 40.0
        await bench.listen(feed, "A")
        await bench.hears("A to 0")
        bench.venue.history_trouble = 1
        bench.venue.exist["A"] = {1}
        await bench.timer.asleep(2)
        bench.minute(1.02)
        await bench.hears("lost: A: history was cut off")
        await bench.until(lambda: "restored" in bench.told, step=0.5)
        assert bench.clock.now() >= bench.at(1.02 + 40 / 60)

    run(scene)


def test_a_venue_that_does_not_answer_is_a_loss(run: Run, asking_feed: Any) -> None:
    """A question nobody answers would hide every bar after it."""

    async def scene(bench: Any) -> None:
        await bench.listen(asking_feed(bench, answer=5), "A")
        await bench.hears("A to 0")
        bench.venue.trade("A", 1)
        bench.venue.mute = True
        await bench.timer.asleep(2)
        bench.minute(1.02)
        await bench.until(lambda: bench.told, step=0.1)
        assert bench.told == ["lost: A: history: no answer within 5 s"]
        bench.venue.mute = False
        await bench.until(lambda: "restored" in bench.told, step=0.1)
        assert bench.told[1:3] == ["A1h", "filled A 0-1"]

    run(scene)


def test_a_venue_that_is_down_is_no_feed(run: Run, asking_feed: Any) -> None:
    """The first question raises; later ones are losses."""

    async def scene(bench: Any) -> None:
        await bench.venue.close()
        with pytest.raises(BrokerUnavailable, match="the venue's time: ConnectionRefusedError"):
            await asking_feed(bench).connect()

    run(scene)


def test_what_breaks_in_a_feed_is_raised_by_its_stream(run: Run, asking_feed: Any) -> None:
    """A quiet market it is not."""

    async def scene(bench: Any) -> None:
        feed = asking_feed(bench)
        await bench.listen(feed, "A")
        await bench.timer.asleep(2)
        feed.plan.due = None
        await feed.subscribe([Subscription("A", interval="1m")])
        with pytest.raises(TypeError, match="not callable"):
            await bench.until(lambda: False)

    run(scene)


def test_what_the_feed_does_not_have_is_refused(run: Run, asking_feed: Any) -> None:
    """Trades; and a second life."""

    async def scene(bench: Any) -> None:
        feed = asking_feed(bench)
        with pytest.raises(Unsupported, match="polls are for bars, not for trades"):
            await feed.subscribe([Subscription("A", FeedKind.TRADE)])
        await bench.listen(feed, "A")
        await feed.connect()
        await feed.disconnect()
        await feed.disconnect()
        await bench.until(lambda: bench.ended)
        with pytest.raises(Unsupported, match="disconnected"):
            await feed.connect()

    run(scene)

"""The streaming base over real sockets: drops, silence, notices, holes, gaps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable, Unsupported
from alphaweave.live.adapters.supervisor import SupervisorLimits
from alphaweave.live.datafeed import FeedKind, Subscription
from alphaweave.live.reports import BrokerNotice

Run = Callable[[Callable[[Any], Coroutine[Any, Any, None]]], None]
T0 = datetime(2024, 3, 4, tzinfo=UTC)
QUIET = SupervisorLimits(silence=None)


def test_a_stream_says_where_it_begins_and_delivers_bars(run: Run, line_feed: Any) -> None:
    """The first watermark is the last boundary; what ended before is history."""

    async def scene(bench: Any) -> None:
        bench.minute(5.5)
        await bench.listen(line_feed(bench, limits=QUIET), "A", "B")
        assert bench.venue.heard == [["A", "B"]]
        await bench.hears("A to 5", "B to 5")
        bench.venue.trade("A", 5)
        bench.venue.trade("A", 6)
        bench.venue.trade("B", 6)
        bench.venue.send({"bar": "B", "minute": 6, "volume": 1.0}, {"bar": "C", "minute": 6, "volume": 1.0})
        bench.venue.send({"corrected": "B", "minute": 6, "volume": 7.0}, {"notice": "hello"})
        await bench.hears("A6", "B6", "corrected B6", "venue: hello")

    run(scene)


def test_a_drop_is_told_at_once_and_what_was_missed_comes_before_restored(run: Run, line_feed: Any) -> None:
    """From history, in order, each bar once; the live ones follow."""

    async def scene(bench: Any) -> None:
        await bench.listen(line_feed(bench, limits=QUIET), "A", "B")
        await bench.hears("A to 0", "B to 0")
        bench.venue.trade("A", 1)
        await bench.hears("A1")
        bench.venue.drop()
        await bench.until(lambda: bench.told)
        assert bench.told[0].startswith("lost: data stream: ")
        bench.told.clear()
        for minute in (2, 3):
            bench.venue.trade("A", minute)
            bench.venue.trade("B", minute)
        bench.minute(3.5)
        await bench.until(lambda: len(bench.venue.heard) == 2, step=0.01)
        await bench.until(lambda: "restored" in bench.told)
        said = bench.told
        assert sorted(said[:-1]) == sorted(["A2h", "A3h", "filled A 1-3", "B2h", "B3h", "filled B 1-3"])
        assert [word for word in said if word[0] == "A"] == ["A2h", "A3h"]
        assert [word for word in said if word[0] == "B"] == ["B2h", "B3h"]
        assert said[-1] == "restored"
        bench.told.clear()
        bench.venue.send({"bar": "A", "minute": 3, "volume": 1.0})
        bench.venue.trade("A", 4)
        await bench.hears("A4")

    run(scene)


def test_bars_that_stream_in_while_history_is_asked_wait_for_it(run: Run, line_feed: Any) -> None:
    """Also when history fails twice and is short once."""

    async def scene(bench: Any) -> None:
        await bench.listen(line_feed(bench, limits=QUIET), "A")
        await bench.hears("A to 0")
        bench.venue.drop()
        bench.venue.trade("A", 1)
        bench.venue.trade("A", 2)
        bench.venue.history_trouble = 2
        bench.venue.history_to = 1
        bench.minute(2.5)
        await bench.until(lambda: len(bench.venue.heard) == 2, step=0.01)
        bench.venue.exist["A"].add(3)
        bench.venue.trade("A", 4)
        await bench.until(lambda: "A1h" in bench.told, step=0.01)
        assert bench.told[1:] == ["A1h"]
        bench.venue.history_to = 99
        bench.minute(4)
        await bench.until(lambda: "restored" in bench.told, step=0.01)
        assert bench.told[1:] == ["A1h", "A2h", "A3h", "A4", "filled A 0-3", "restored"]

    run(scene)


def test_a_gap_that_history_does_not_fill_is_given_up_after_the_patience(run: Run, line_feed: Any) -> None:
    """And said; the stream goes on."""

    async def scene(bench: Any) -> None:
        await bench.listen(line_feed(bench, limits=QUIET, patience=30), "A")
        await bench.hears("A to 0")
        bench.venue.drop()
        bench.venue.trade("A", 1)
        bench.venue.history_trouble = 10**6
        bench.minute(1.5)
        before = bench.clock.monotonic()
        await bench.until(lambda: "restored" in bench.told, step=0.05)
        assert bench.told[1:] == ["lost A 0-1", "restored"]
        (gap,) = [event for event in bench.events if hasattr(event, "filled")]
        assert gap.reason == "the connection was lost; history was cut off"
        assert bench.clock.monotonic() - before < 40
        bench.told.clear()
        bench.minute(3)
        bench.venue.trade("A", 3)
        await bench.until(lambda: bench.told, step=0.05)
        assert bench.told[0].startswith("lost A 1-2") or bench.told[0] == "A3"

    run(scene)


def test_a_hole_in_the_stream_is_filled_from_history(run: Run, line_feed: Any) -> None:
    """The bar after it waits, and no loss is told."""

    async def scene(bench: Any) -> None:
        await bench.listen(line_feed(bench, limits=QUIET), "A")
        bench.venue.exist["A"] = {1, 2}
        bench.minute(3)
        bench.venue.trade("A", 3)
        await bench.hears("A to 0", "A1h", "A2h", "A3", "filled A 0-2")
        assert bench.venue.asked == ["A 0-2"]

    run(scene)


def test_a_sparse_venue_is_believed(run: Run, line_feed: Any) -> None:
    """An interval without a bar is an interval without a trade."""

    async def scene(bench: Any) -> None:
        await bench.listen(line_feed(bench, sparse=True, limits=QUIET), "A")
        bench.minute(3)
        bench.venue.trade("A", 3)
        await bench.hears("A to 0", "A3")
        assert bench.venue.asked == []

    run(scene)


def test_silence_is_a_loss(run: Run, line_feed: Any) -> None:
    """The socket is open, and nothing comes; pings are no silence."""

    async def scene(bench: Any) -> None:
        feed = line_feed(bench, limits=SupervisorLimits(silence=30))
        await bench.listen(feed, "A")
        await bench.hears("A to 0")
        bench.timer.advance(29)
        heard = bench.venue.heard
        bench.venue.send({"ping": 1})
        await bench.until(lambda: feed.supervisor.heard_at == bench.clock.monotonic())
        bench.timer.advance(29)
        await bench.timer.asleep()
        assert (bench.told, len(heard)) == ([], 1)
        bench.timer.advance(1)
        await bench.hears("lost: data stream: silent for 30 s")
        await bench.until(lambda: "restored" in bench.told, step=0.01)
        assert len(heard) == 2

    run(scene)


def test_a_venue_that_announces_its_end_gets_a_fresh_connection(run: Run, line_feed: Any) -> None:
    """What the old connection still writes goes nowhere."""

    async def scene(bench: Any) -> None:
        feed = line_feed(bench, limits=QUIET)
        await bench.listen(feed, "A")
        await bench.hears("A to 0")
        bench.venue.send({"bye": "maintenance"})
        await bench.hears("lost: data stream: maintenance")
        bench.venue.streams.clear()
        await bench.until(lambda: "restored" in bench.told, step=0.01)
        bench.told.clear()
        feed.sinks[0].deliver(BrokerNotice(T0, "info", "ghost", "from the old connection"))
        feed.sinks[0].renew("again")
        bench.venue.trade("A", 1)
        await bench.hears("A1")

    run(scene)


def test_attempts_go_on_while_the_venue_is_down(run: Run, line_feed: Any) -> None:
    """Each that fails is a notice, and there is one loss; keys that are refused are told once."""

    async def scene(bench: Any) -> None:
        await bench.listen(line_feed(bench, limits=QUIET), "A")
        await bench.hears("A to 0")
        await bench.venue.close()
        await bench.until(lambda: sum("reconnect_failed" in word for word in bench.told) == 3, step=0.1)
        bench.venue.keys = False
        await bench.venue.open()
        await bench.until(lambda: any("authentication_failed" in word for word in bench.told), step=0.1)
        bench.told.clear()
        knocks = bench.venue.knocks
        await bench.until(lambda: bench.venue.knocks > knocks + 3, step=0.05)
        assert bench.told == []
        bench.venue.keys = True
        bench.venue.refuses = 1
        await bench.until(lambda: "restored" in bench.told, step=0.1)
        assert [word.partition(":")[0] for word in bench.told] == ["reconnect_failed", "restored"]

    run(scene)


def test_the_first_connection_is_not_tried_again(run: Run, line_feed: Any) -> None:
    """It raises what a contract lets out of `connect`, and leaves nothing running."""

    async def scene(bench: Any) -> None:
        bench.venue.keys = False
        with pytest.raises(AuthenticationFailed, match="refuses the key"):
            await bench.listen(line_feed(bench, limits=QUIET), "A")
        bench.venue.keys, bench.venue.refuses = True, 1
        with pytest.raises(BrokerUnavailable, match="data stream: "):
            await line_feed(bench, limits=QUIET).connect()
        await bench.venue.close()
        with pytest.raises(BrokerUnavailable, match="ConnectionRefusedError"):
            await line_feed(bench, limits=QUIET).connect()

    run(scene)


def test_subscriptions_change_while_the_stream_runs(run: Run, line_feed: Any) -> None:
    """New ones say where they begin; old ones go on; what is dropped is silent."""

    async def scene(bench: Any) -> None:
        feed = line_feed(bench, limits=QUIET)
        await bench.listen(feed, "A")
        await bench.hears("A to 0")
        bench.minute(2)
        await feed.subscribe([Subscription("B", interval="1m"), Subscription("C", FeedKind.TRADE)])
        await bench.hears("B to 2")
        assert bench.venue.heard[-1] == ["B", "C"]
        bench.venue.send({"bar": "A", "minute": 1, "volume": 1.0}, {"trade": "C", "minute": 1})
        bench.venue.send({"trade": "B", "minute": 1}, {"quote": "C", "minute": 1})
        bench.venue.trade("B", 3)
        await bench.hears("Trade C", "B3")

    run(scene)


def test_what_the_feed_does_not_have_is_refused(run: Run, line_feed: Any) -> None:
    """Kinds, intervals, a second reader, a second life."""

    async def scene(bench: Any) -> None:
        feed = line_feed(bench, limits=QUIET)
        with pytest.raises(Unsupported, match="A: this feed has bars of 1m, not 5m"):
            await feed.subscribe([Subscription("A", interval="5m")])
        with pytest.raises(Unsupported, match="A: this feed has bars, trades, and no quotes"):
            await feed.subscribe([Subscription("A", FeedKind.QUOTE)])
        await bench.listen(feed, "A")
        with pytest.raises(Unsupported, match="taken before"):
            await anext(feed.stream())
        await feed.disconnect()
        await feed.disconnect()
        await bench.until(lambda: bench.ended)
        with pytest.raises(Unsupported, match="disconnected"):
            await feed.connect()

    run(scene)


def test_a_symbol_that_falls_silent_is_told_of(run: Run, line_feed: Any) -> None:
    """And when it comes back."""

    async def scene(bench: Any) -> None:
        await bench.listen(line_feed(bench, limits=QUIET, stale_after=90), "A", "B")
        await bench.hears("A to 0", "B to 0")
        await bench.timer.asleep()
        bench.minute(1)
        bench.venue.trade("A", 1)
        await bench.hears("A1")
        bench.minute(1.5)
        await bench.hears("stale: no word of B for 90 s in session")
        bench.minute(2)
        bench.venue.trade("B", 1)
        await bench.hears("fresh: B is told of again", "B1")

    run(scene)


def test_a_venue_that_does_not_answer_is_not_waited_for(run: Run, line_feed: Any) -> None:
    """Neither for a subscription, which leaves everything as it was, nor for history."""

    async def scene(bench: Any) -> None:
        feed = line_feed(bench, limits=QUIET, patience=20)
        await bench.listen(feed, "A")
        await bench.hears("A to 0")
        bench.venue.mute = True
        asking = asyncio.create_task(feed.subscribe([Subscription("B", interval="1m")]))
        await bench.until(asking.done, step=0.1)
        with pytest.raises(BrokerUnavailable, match="the subscription: no answer within 15 s"):
            await asking
        bench.minute(2)
        bench.venue.send({"bar": "B", "minute": 2, "volume": 1.0}, {"bar": "A", "minute": 2, "volume": 1.0})
        await bench.until(lambda: "A2" in bench.told, step=0.1)
        assert bench.told == ["lost A 0-1", "A2"]
        assert bench.events[0].reason == "the stream left it out; history: no answer within 15 s"

    run(scene)


def test_a_bar_that_was_forming_where_bars_are_built_comes_from_history(run: Run, line_feed: Any) -> None:
    """After its end; the connection is restored long before."""

    async def scene(bench: Any) -> None:
        bench.minute(0.5)
        await bench.listen(line_feed(bench, builds=True, limits=QUIET), "A")
        await bench.hears("A to 1")
        bench.minute(1)
        bench.venue.trade("A", 2)
        await bench.hears("A2")
        bench.minute(2.3)
        bench.venue.drop()
        await bench.until(lambda: "restored" in bench.told, step=0.01)
        assert bench.clock.now() < bench.at(2.5)
        bench.told.clear()
        bench.venue.exist["A"].add(3)
        bench.minute(3)
        await bench.hears("A3h", "filled A 2-3")
        bench.venue.trade("A", 4)
        await bench.hears("A4")

    run(scene)


def test_a_bar_that_has_not_begun_is_not_taken(run: Run, line_feed: Any) -> None:
    """A stamp in the wrong time zone would make every later bar one that is known already."""

    async def scene(bench: Any) -> None:
        bench.minute(5.5)
        await bench.listen(line_feed(bench, limits=QUIET), "A")
        await bench.hears("A to 5")
        bench.venue.send({"bar": "A", "minute": 306, "volume": 1.0})
        await bench.until(lambda: bench.told)
        assert [word.split(":")[0] for word in bench.told] == ["bar_from_the_future"]
        bench.told.clear()
        bench.venue.trade("A", 6)
        await bench.hears("A6")

    run(scene)

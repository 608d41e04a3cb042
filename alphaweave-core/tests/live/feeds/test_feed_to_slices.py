"""A whole feed and the slices made of it, over real sockets that break at any point."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.market import Bar
from alphaweave.live.adapters.supervisor import SupervisorLimits
from alphaweave.live.datafeed import FeedEvent, FeedGap, Subscription, Watermark
from alphaweave.live.reports import BrokerNotice, ConnectionLost, ConnectionRestored
from alphaweave.live.slices import LateBar, Slice, SliceAssembler

T0 = to_ns(datetime(2024, 3, 4, 9, 30, tzinfo=UTC))
MINUTE = 60_000_000_000
SYMBOLS = ("A", "B")


class Driver:
    """Does with a feed's events what a run does with them."""

    def __init__(self) -> None:
        self.slices = SliceAssembler(SYMBOLS, "1m", grace=3)
        self.out: list[Slice | LateBar] = []

    def hear(self, events: list[FeedEvent], now: int) -> None:
        self.out += self.slices.tick(now)
        for event in events:
            match event:
                case Bar():
                    self.out += self.slices.add(event, now)
                case Watermark():
                    self.out += self.slices.mark(event, now)
                case ConnectionLost():
                    self.slices.hold()
                case ConnectionRestored():
                    self.out += self.slices.release(now)
                case FeedGap():
                    assert event.filled
                case _:
                    assert isinstance(event, BrokerNotice)
        events.clear()

    async def warm_up(self, feed: Any, now: int) -> None:
        while missing := self.slices.missing():
            for one in missing:
                asked = Subscription(one.symbol, interval="1m")
                if one.start is None:
                    history = await feed.history(asked, end=from_ns(one.end), bars=3)
                else:
                    history = await feed.history(asked, start=from_ns(one.start), end=from_ns(one.end))
                assert self.slices.history(one.symbol, history) == ()
        self.out += self.slices.start(now)


STEP = st.fixed_dictionaries(
    {
        "made": st.sets(st.sampled_from(SYMBOLS)),
        "kept": st.booleans(),
        "twice": st.booleans(),
        "early": st.booleans(),
        "drop": st.sampled_from(["no", "no", "before", "after"]),
        "trouble": st.sampled_from([0, 0, 1, 3]),
        "refuses": st.sampled_from([0, 0, 1]),
    }
)


@given(
    steps=st.lists(STEP, min_size=3, max_size=8),
    past=st.sets(st.integers(-6, 0), min_size=1),
    sparse=st.booleans(),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bar_is_missing_or_doubled_over_connections_that_break_at_any_point(
    run: Callable[..., None],
    line_feed: Callable[..., Any],
    steps: list[dict[str, Any]],
    past: set[int],
    sparse: bool,
) -> None:
    """Messages are lost or sent twice, connections reset, subscriptions refused, history cut off.

    A venue that leaves intervals out loses no message but with its connection: nobody could tell.
    """

    async def scene(bench: Any) -> None:
        venue, driver = bench.venue, Driver()
        feed = line_feed(bench, sparse=sparse, limits=SupervisorLimits(silence=None))
        venue.exist = {symbol: set(past) for symbol in SYMBOLS}

        def now() -> int:
            return to_ns(bench.clock.now())

        def next_minute() -> int:
            return (now() - T0) // MINUTE + 1

        await bench.listen(feed, *SYMBOLS)
        await bench.until(lambda: len(bench.events) == 2)
        driver.hear(bench.events, now())
        await driver.warm_up(feed, now())
        for step in steps:
            minute = next_minute()
            bench.timer.advance((T0 + minute * MINUTE - now()) / 1e9)
            was_up = feed.supervisor.is_up
            if step["drop"] == "before":
                venue.drop()
            venue.history_trouble = step["trouble"]
            venue.refuses = step["refuses"] if step["drop"] != "no" else 0
            for symbol in sorted(step["made"]):
                venue.exist[symbol].add(minute)
                message = {"bar": symbol, "minute": minute, "volume": 1.0}
                venue.send(*[message] * ((sparse or step["kept"]) + step["twice"]))
            if step["drop"] == "after":
                venue.drop()
            if step["drop"] != "no":
                if was_up:
                    await bench.until(lambda: any(isinstance(one, ConnectionLost) for one in bench.events))
                if step["early"]:
                    await bench.until(lambda: venue.streams, step=0.01)
                    continue
                await bench.until(lambda: feed.supervisor.is_up and venue.streams, step=0.01)
            await asyncio.sleep(0)
            driver.hear(bench.events, now())
        # The last bars show every hole.
        last = next_minute()
        bench.timer.advance((T0 + last * MINUTE - now()) / 1e9)
        venue.history_trouble = 0
        for symbol in SYMBOLS:
            venue.trade(symbol, last)

        def arrived() -> bool:
            driver.hear(bench.events, now())
            return driver.slices.closed_to == T0 + last * MINUTE

        await bench.until(arrived, step=0.05)
        seen = [
            (one.symbol, (to_ns(one.end) - T0) // MINUTE)
            for event in driver.out
            for one in (event.bars if isinstance(event, Slice) else (event.bar,))
        ]
        warm = {minute for minute in past if minute >= min(sorted(past)[-3:])}
        made = {
            symbol: sorted(minute for minute in venue.exist[symbol] if minute > 0 or minute in warm)
            for symbol in SYMBOLS
        }
        assert sorted(seen) == sorted((symbol, minute) for symbol in SYMBOLS for minute in made[symbol])
        ends = [event.end for event in driver.out if isinstance(event, Slice)]
        assert ends == sorted(set(ends))

    run(scene)

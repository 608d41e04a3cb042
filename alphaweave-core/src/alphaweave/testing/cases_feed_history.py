"""Datafeed cases: history, connections that end, and what a feed leaves behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

from attrs import evolve

from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable
from alphaweave.core.market import Bar
from alphaweave.live.datafeed import FeedCapabilities, FeedGap
from alphaweave.live.reports import ConnectionLost, ConnectionRestored
from alphaweave.testing.case import in_group
from alphaweave.testing.cases_feed import streams
from alphaweave.testing.cases_hygiene import assert_no_secret, open_sockets, other_threads, words_of
from alphaweave.testing.feed_bench import FeedBench, ends, figures
from alphaweave.testing.sandbox import Action, Fault, Power

__all__ = ["FeedHistoryCases"]

_case = in_group("History")
_link = in_group("Reconnect")
_clean = in_group("Hygiene")


def _historical(capabilities: FeedCapabilities) -> str:
    return "" if capabilities.historical else "historical is not declared"


def _same(found: Sequence[Bar], wanted: Sequence[Bar]) -> None:
    told, true = [figures(bar) for bar in found], [figures(bar) for bar in wanted]
    assert told == true, f"history has {told}; the venue has {true}"


async def _lost(bench: FeedBench) -> None:
    await bench.event(lambda event: isinstance(event, ConnectionLost), "ConnectionLost")


async def _restored(bench: FeedBench) -> None:
    await bench.event(lambda event: isinstance(event, ConnectionRestored), "ConnectionRestored")


class FeedHistoryCases:
    """History, connections that end, and what a feed leaves behind."""

    @_case("FEED-310", powers=[Power.HISTORY], claim=_historical)
    async def test_history_since_an_instant(self, bench: FeedBench) -> None:
        """History since an instant has every bar that ends after it, up to the end, oldest first."""
        feed, bars = await self._loaded(bench, 10)
        (wanted,) = bench.bars_of(bench.symbol)
        asked = feed.history(wanted, start=bars[2].end, end=bars[7].end)
        found = await bench.within(asked, "history()")
        assert [figures(bar) for bar in found.bars] == [figures(bar) for bar in bars[3:8]], f"{found}"
        assert found.complete_from <= bars[2].end, f"complete_from is {found.complete_from}"
        assert found.complete_to == bars[7].end, f"complete_to is {found.complete_to}"

    @_case("FEED-315", powers=[Power.HISTORY], claim=_historical)
    async def test_history_of_so_many_bars(self, bench: FeedBench) -> None:
        """History of so many bars has the last that many that end by then."""
        feed, bars = await self._loaded(bench, 10)
        (wanted,) = bench.bars_of(bench.symbol)
        found = await bench.within(feed.history(wanted, bars=4, end=bars[8].end), "history()")
        _same(found.bars, bars[5:9])

    @_case("FEED-320", powers=[Power.HISTORY], claim=_historical)
    async def test_history_before_the_first_bar(self, bench: FeedBench) -> None:
        """More bars than there are is all there are; a stretch without any is an empty answer, no error."""
        feed, bars = await self._loaded(bench, 5)
        (wanted,) = bench.bars_of(bench.symbol)
        found = await bench.within(feed.history(wanted, bars=50, end=bars[-1].end), "history()")
        _same(found.bars, bars)
        early = bars[0].start - bench.step * 5
        none = feed.history(wanted, start=early - bench.step * 5, end=early)
        _same((await bench.within(none, "history() before the first bar")).bars, ())

    @_case("FEED-325", claim=_historical)
    async def test_history_takes_one_of_start_and_bars(self, bench: FeedBench) -> None:
        """Both or neither of ``start`` and ``bars``, or no bar at all, is a ValueError."""
        feed = bench.make()
        await bench.within(feed.connect(), "connect()")
        (wanted,) = bench.bars_of(bench.symbol)
        end = bench.boundary()
        wrong: tuple[dict[str, Any], ...] = (
            {},
            {"start": end - bench.step, "bars": 1},
            {"bars": 0},
        )
        for given in wrong:
            await bench.refused(ValueError, feed.history(wanted, end=end, **given), f"history({given})")

    @_case("FEED-330", powers=[Power.HISTORY, Power.FORMING], claim=_historical)
    async def test_forming_bar_is_not_history(self, bench: FeedBench) -> None:
        """A bar that has not closed is left out of history."""
        feed, bars = await self._loaded(bench, 5)
        await bench.venue.form(bench.bar(bars[-1].end + bench.step))
        (wanted,) = bench.bars_of(bench.symbol)
        end = bars[-1].end + bench.step
        found = await bench.within(feed.history(wanted, bars=3, end=end), "history()")
        _same(found.bars, bars[-3:])
        since = await bench.within(feed.history(wanted, start=bars[-3].start, end=end), "history()")
        _same(since.bars, bars[-3:])

    @_case("FEED-335", powers=[Power.HISTORY], claim=_historical)
    async def test_long_history_is_whole(self, bench: FeedBench) -> None:
        """History of 2,500 bars comes whole, however many pages the venue makes of it."""
        feed, bars = await self._loaded(bench, 2500)
        (wanted,) = bench.bars_of(bench.symbol)
        asked = feed.history(wanted, start=bars[0].start, end=bars[-1].end)
        found = await bench.within(asked, "history()")
        assert ends(found.bars) == ends(bars), f"{len(found.bars)} bars instead of {len(bars)}"
        pairs = zip(map(figures, found.bars), map(figures, bars), strict=True)
        wrong = next((pair for pair in pairs if pair[0] != pair[1]), None)
        assert wrong is None, f"a bar has the figures {wrong[0]}, not {wrong[1]}"

    @_case("FEED-340", powers=[Power.HISTORY], claim=_historical)
    async def test_history_is_of_its_symbol(self, bench: FeedBench) -> None:
        """History of one symbol has that symbol's bars only, under the config's name."""
        feed, _ = await self._loaded(bench, 3)
        # Other closes, so that bars of the wrong symbol under the right name are seen.
        others = [evolve(bar, close=bar.close + 1) for bar in bench.run_of(3, symbol=bench.other)]
        await bench.venue.load(others)
        (wanted,) = bench.bars_of(bench.other)
        found = await bench.within(feed.history(wanted, bars=3, end=others[-1].end), "history()")
        _same(found.bars, others)
        told = {bar.symbol for bar in found.bars}
        assert told == {bench.other}, f"history of {bench.other} has bars of {told}"
        assert all(bar.end.utcoffset() == timedelta(0) for bar in found.bars), "an end is not UTC"

    @_case("FEED-345", powers=[Power.HISTORY, Power.ERROR_BEFORE], claim=_historical)
    async def test_failed_history_is_no_answer(self, bench: FeedBench) -> None:
        """History that fails is BrokerUnavailable, never an empty answer."""
        await self._fails(bench, Fault.ERROR_BEFORE)

    @_case("FEED-350", powers=[Power.HISTORY, Power.LOSE_ANSWER], claim=_historical)
    async def test_history_without_an_answer_is_no_answer(self, bench: FeedBench) -> None:
        """History whose answer is lost is BrokerUnavailable in good time."""
        await self._fails(bench, Fault.LOSE_ANSWER)

    @_case("FEED-355", powers=[Power.HISTORY, Power.GARBLE], claim=_historical)
    async def test_history_nobody_understands_is_no_answer(self, bench: FeedBench) -> None:
        """History that nobody understands is BrokerUnavailable."""
        await self._fails(bench, Fault.GARBLE)

    @_case("FEED-360", powers=[Power.HISTORY, Power.THROTTLE], claim=_historical)
    async def test_throttled_history_is_no_answer(self, bench: FeedBench) -> None:
        """History that the rate limit refuses is BrokerUnavailable, or comes once the limit is over."""
        feed, bars = await self._loaded(bench, 3)
        (wanted,) = bench.bars_of(bench.symbol)
        await bench.venue.arm(Action.HISTORY, Fault.THROTTLE, retry_after=0.2)
        try:
            found = await bench.within(feed.history(wanted, bars=3, end=bars[-1].end), "history()")
        except BrokerUnavailable:
            return
        assert ends(found.bars) == ends(bars), "a throttled answer was taken for an empty one"

    @_link("FEED-410", powers=[Power.DROP], claim=streams)
    async def test_dropped_connection_comes_back(self, bench: FeedBench) -> None:
        """A connection that ends is told as lost, comes back by itself, and its subscriptions with it."""
        await bench.open()
        await bench.delivered(await bench.published())
        await bench.venue.drop()
        await _lost(bench)
        await _restored(bench)
        await bench.delivered(await bench.published(close=102.0))

    @_link("FEED-415", powers=[Power.REFUSE, Power.HISTORY], claim=streams)
    async def test_missed_bars_are_delivered_first(self, bench: FeedBench) -> None:
        """Bars that an outage swallowed come in order before ConnectionRestored, or are told as a FeedGap."""
        await bench.open()
        first = await bench.published()
        await bench.delivered(first)
        await bench.venue.refuse(True)
        await _lost(bench)
        missed = [await bench.published(close=100.5), await bench.published(close=101.25)]
        await bench.venue.refuse(False)
        await _restored(bench)
        position = next(
            number for number, event in enumerate(bench.events) if isinstance(event, ConnectionRestored)
        )
        came = [bar for bar in bench.bars() if bar.end in ends(missed)]
        gaps = [gap for gap in bench.all_of(FeedGap) if not gap.filled]
        told = {end for gap in gaps for end in ends(missed) if gap.start < end <= gap.end}
        lost = [end for end in ends(missed) if end not in {*ends(came), *told}]
        assert not lost, f"the bar that ended at {lost[0]} is missing without a word"
        early = [bar for bar in came if bar in bench.events[:position]]
        assert len(early) == len(came), "a missed bar came after ConnectionRestored"
        assert ends(came) == sorted(ends(came)), f"missed bars came out of order: {ends(came)}"

    @_link("FEED-420", powers=[Power.DROP, Power.HISTORY], claim=streams)
    async def test_bars_come_once_over_a_reconnect(self, bench: FeedBench) -> None:
        """Over a lost connection every bar comes once, and in rising order."""
        await bench.open()
        published = [await bench.published()]
        await bench.delivered(*published)
        await bench.venue.drop()
        published.append(await bench.published(close=100.75))
        await _lost(bench)
        await _restored(bench)
        published.append(await bench.published(close=102.0))
        await bench.delivered(published[-1])
        found = ends(bench.bars())
        assert found == sorted(set(found)), f"bars came as {found}"
        gaps = bench.all_of(FeedGap)
        assert published[1].end in found or gaps, "the bar in between is missing without a word"

    @_link("FEED-425", powers=[Power.MUTE], claim=streams)
    async def test_silence_counts_as_lost(self, bench: FeedBench) -> None:
        """A connection that merely goes silent is told as ConnectionLost."""
        await bench.open()
        await bench.venue.mute(True)
        await _lost(bench)
        await bench.venue.mute(False)
        await _restored(bench)
        await bench.delivered(await bench.published())

    @_link("FEED-430", powers=[Power.REFUSE], claim=streams)
    async def test_outage_lasts_until_it_is_over(self, bench: FeedBench) -> None:
        """While the venue is away nothing is told as restored."""
        await bench.open()
        await bench.venue.refuse(True)
        await _lost(bench)
        (wanted,) = bench.bars_of(bench.symbol)
        if bench.capabilities.historical:
            asked = bench.feed.history(wanted, bars=1, end=bench.boundary())
            await bench.refused(BrokerUnavailable, asked, "history() while the venue is away")
        assert not bench.all_of(ConnectionRestored), "ConnectionRestored was told while the venue is away"
        await bench.venue.refuse(False)
        await _restored(bench)

    @_clean("FEED-510")
    async def test_no_task_thread_or_socket_is_left(self, bench: FeedBench) -> None:
        """`disconnect` leaves no task, no thread and no open socket behind."""
        before, threads, sockets = asyncio.all_tasks(), other_threads(), open_sockets()
        await bench.open()
        await bench.within(bench.feed.disconnect(), "disconnect()")
        await bench.until(
            lambda: not {task for task in asyncio.all_tasks() - before if not task.done()},
            "the end of the feed's tasks",
        )
        await bench.until(lambda: not other_threads() - threads, "the end of the feed's threads")
        await bench.until(lambda: open_sockets() <= sockets, "the close of the feed's sockets")

    @_clean("FEED-515")
    async def test_no_secret_is_told(self, bench: FeedBench) -> None:
        """No key, token or password of the options is in a log, a repr, an error or an event."""
        feed = await bench.open()
        errors = await self._failures(bench, feed)
        await bench.within(feed.disconnect(), "disconnect()")
        if Power.WRONG_KEYS in bench.venue.powers:
            made = bench.make(bench.venue.wrong_options())
            errors.append(
                await bench.refused(AuthenticationFailed, made.connect(), "connect() with wrong keys")
            )
        said = [*bench.ear.said, *bench.ear.strays, repr(feed), *map(repr, bench.events)]
        said += [words for error in errors for words in words_of(error)]
        assert_no_secret(said, bench.venue.secrets)

    @_clean("FEED-520")
    async def test_nothing_goes_wrong_unheard(self, bench: FeedBench) -> None:
        """In a plain session no task fails without anybody awaiting it, and nothing is logged as an error."""
        feed = await bench.open()
        await bench.within(feed.disconnect(), "disconnect()")
        gc.collect()
        await asyncio.sleep(0)
        assert not bench.ear.strays, f"nobody heard: {bench.ear.strays[0]}"
        errors = [line for line in bench.ear.said if line.lower().startswith(("error", "critical"))]
        assert not errors, f"logged: {errors[0]}"

    @_case("FEED-365", claim=_historical)
    async def test_sessions_are_in_order(self, bench: FeedBench) -> None:
        """`sessions` are ordered by start, and overlap the span that was asked for."""
        feed = bench.make()
        await bench.within(feed.connect(), "connect()")
        start = bench.boundary() - timedelta(days=10)
        end = bench.boundary()
        found = await bench.within(feed.sessions(bench.symbols, start, end), "sessions()")
        starts = [session.start for session in found]
        assert starts == sorted(starts), "sessions are not ordered by start"
        for symbol in bench.symbols:
            own = [session for session in found if session.symbol == symbol]
            across = [(one, two) for one, two in pairwise(own) if two.start < one.end]
            assert not across, f"sessions of {symbol} overlap: {across[0]}"
        outside = [session for session in found if session.end <= start or session.start >= end]
        assert not outside, f"outside the span: {outside}"
        others = {session.symbol for session in found} - set(bench.symbols)
        assert not others, f"nobody asked for sessions of {others}"

    @staticmethod
    async def _failures(bench: FeedBench, feed: Any) -> list[BaseException]:
        """What the feed raises where its venue fails; whether it should is for other cases to say."""
        found: list[BaseException] = []
        (wanted,) = bench.bars_of(bench.symbol)
        for fault in (Fault.ERROR_BEFORE, Fault.GARBLE, Fault.HANG_UP):
            if Power(fault.value) not in bench.venue.powers or not feed.capabilities.historical:
                continue
            await bench.venue.arm(Action.HISTORY, fault)
            try:
                await bench.within(feed.history(wanted, bars=3, end=bench.boundary()), "history()")
            except Exception as error:
                found.append(error)
            await bench.venue.arm(Action.HISTORY, fault, times=0)
        return found

    @staticmethod
    async def _loaded(bench: FeedBench, count: int) -> tuple[Any, list[Any]]:
        bars = bench.run_of(count)
        await bench.venue.load(bars)
        feed = bench.make()
        await bench.within(feed.connect(), "connect()")
        return feed, bars

    async def _fails(self, bench: FeedBench, fault: Fault) -> None:
        feed, bars = await self._loaded(bench, 3)
        (wanted,) = bench.bars_of(bench.symbol)
        await bench.venue.arm(Action.HISTORY, fault, times=1000)
        asked = feed.history(wanted, bars=3, end=bars[-1].end)
        await bench.refused(BrokerUnavailable, asked, f"history that met {fault.value}")

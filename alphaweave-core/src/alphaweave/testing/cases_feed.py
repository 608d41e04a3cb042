"""Datafeed cases: connecting, subscribing, and what the stream delivers."""

from __future__ import annotations

import asyncio
import inspect
import math
from datetime import timedelta

from attrs import fields

from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable, Unsupported
from alphaweave.core.market import Bar, BarCorrection, Quote, Trade
from alphaweave.live.datafeed import DataFeed, FeedCapabilities, FeedKind, Subscription, Watermark
from alphaweave.testing.case import in_group
from alphaweave.testing.feed_bench import FeedBench, ends, figures
from alphaweave.testing.sandbox import Power

__all__ = ["FeedStreamCases", "streams"]

_life = in_group("Lifecycle")
_case = in_group("Stream")
_MOMENT = 0.1


def streams(capabilities: FeedCapabilities) -> str:
    """Why the cases of the stream do not concern a feed; "" where they do."""
    if not capabilities.realtime:
        return "realtime is not declared"
    return "" if FeedKind.BAR in capabilities.kinds else "bars are not declared"


class FeedStreamCases:
    """Connecting, subscribing, and what the stream delivers."""

    @_life("FEED-010")
    async def test_record_and_feed_agree(self, bench: FeedBench) -> None:
        """The feed's capabilities are those of its plugin record."""
        made = bench.make()
        declared, kept = bench.plugin.capabilities, made.capabilities
        names = [each.name for each in fields(FeedCapabilities)]
        differing = [name for name in names if getattr(declared, name) != getattr(kept, name)]
        assert not differing, f"record and feed declare different {', '.join(differing)}"

    @_life("FEED-015")
    async def test_feed_has_the_methods_of_the_contract(self, bench: FeedBench) -> None:
        """Every method of the contract is there, and is awaited where it says so."""
        made = bench.make()
        for name, promised in vars(DataFeed).items():
            if name.startswith("_") or isinstance(promised, property):
                continue
            kept = getattr(made, name, None)
            assert callable(kept), f"the feed has no {name}"
            awaited = inspect.iscoroutinefunction(kept)
            assert awaited == inspect.iscoroutinefunction(promised), f"{name}: async or not, as told"

    @_life("FEED-020")
    async def test_making_a_feed_connects_to_nothing(self, bench: FeedBench) -> None:
        """`create` sends nothing: only `connect` does."""
        bench.make()
        # What a constructor set going needs a moment to get to the venue.
        await asyncio.sleep(_MOMENT)
        arrived = [request.what for request in bench.venue.requests]
        assert not arrived, f"before connect() the venue was asked {', '.join(arrived)}"

    @_life("FEED-025", powers=[Power.WRONG_KEYS])
    async def test_wrong_keys_are_told_as_such(self, bench: FeedBench) -> None:
        """Keys that the venue refuses are AuthenticationFailed."""
        made = bench.make(bench.venue.wrong_options())
        await bench.refused(AuthenticationFailed, made.connect(), "connect() with wrong keys")

    @_life("FEED-030", powers=[Power.REFUSE])
    async def test_absent_venue_is_told_as_such(self, bench: FeedBench) -> None:
        """A venue that cannot be reached is BrokerUnavailable."""
        made = bench.make()
        await bench.venue.refuse(True)
        await bench.refused(BrokerUnavailable, made.connect(), "connect() to a venue that is away")

    @_life("FEED-035", claim=streams)
    async def test_stream_is_taken_once(self, bench: FeedBench) -> None:
        """A second `stream` is Unsupported."""
        feed = await bench.open()
        try:
            await bench.within(anext(aiter(feed.stream())), "the second stream")
        except Unsupported:
            return
        except StopAsyncIteration:
            pass
        raise AssertionError("the stream could be taken twice")

    @_life("FEED-040", claim=streams)
    async def test_disconnect_ends_the_stream(self, bench: FeedBench) -> None:
        """`disconnect` ends the stream, and may be repeated."""
        feed = bench.make()
        await bench.within(feed.connect(), "connect()")
        reader = bench.read(feed.stream())
        await bench.within(feed.disconnect(), "disconnect()")
        await bench.within(reader, "the stream after disconnect()")
        await bench.within(feed.disconnect(), "the second disconnect()")

    @_case("FEED-110", claim=streams)
    async def test_bar_is_delivered(self, bench: FeedBench) -> None:
        """A bar that closes is delivered with its figures, under the config's symbol."""
        await bench.open()
        bar = await bench.published()
        await bench.delivered(bar)
        (told,) = bench.bars()
        assert figures(told) == figures(bar), f"{told} instead of {bar}"

    @_case("FEED-115", claim=streams)
    async def test_numbers_and_times_of_bars(self, bench: FeedBench) -> None:
        """Prices and volumes are finite floats, times timezone-aware UTC, and a bar ends after it starts."""
        await bench.open()
        await bench.delivered(await bench.published())
        for bar in bench.bars():
            for value in (bar.open, bar.high, bar.low, bar.close, bar.volume):
                assert type(value) is float, f"{value!r} is no float"
                assert math.isfinite(value), f"{value!r} is not finite"
            offsets = {bar.start.utcoffset(), bar.end.utcoffset()}
            assert offsets == {timedelta(0)}, "the times of a bar are not UTC"
            assert bar.start < bar.end, f"a bar from {bar.start} to {bar.end}"

    @_case("FEED-120", claim=streams)
    async def test_only_what_was_asked_for_comes(self, bench: FeedBench) -> None:
        """Bars of symbols that were not subscribed to do not come."""
        await bench.open(bench.symbol)
        foreign = await bench.published(symbol=bench.other)
        wanted = bench.bar(foreign.end, symbol=bench.symbol)
        await bench.venue.publish(wanted)
        await bench.delivered(wanted)
        symbols = {bar.symbol for bar in bench.bars()}
        assert symbols == {bench.symbol}, f"bars of {symbols} came, asked for was {bench.symbol}"

    @_case("FEED-125", claim=streams)
    async def test_subscriptions_replace_each_other(self, bench: FeedBench) -> None:
        """`subscribe` asks for these streams and no others, also while the stream is read."""
        feed = await bench.open(bench.symbol)
        await bench.delivered(await bench.published())
        await bench.within(feed.subscribe(bench.bars_of(bench.other)), "the second subscribe()")
        before = len(bench.events)
        gone = await bench.published(symbol=bench.symbol)
        bar = bench.bar(gone.end, symbol=bench.other)
        await bench.venue.publish(bar)
        await bench.delivered(bar)
        later = [event for event in bench.events[before:] if isinstance(event, Bar)]
        assert {event.symbol for event in later} == {bench.other}, "the old subscription goes on"

    @_case("FEED-130")
    async def test_undeclared_subscriptions_are_refused(self, bench: FeedBench) -> None:
        """A kind or an interval that is not declared is Unsupported."""
        feed = bench.make()
        await bench.within(feed.connect(), "connect()")
        has = bench.capabilities
        wrong = [
            Subscription(bench.symbol, kind, bench.interval) for kind in FeedKind if kind not in has.kinds
        ]
        if has.intervals and FeedKind.BAR in has.kinds:
            odd = next(one for one in ("7m", "13m", "17m") if one not in has.intervals)
            wrong.append(Subscription(bench.symbol, FeedKind.BAR, odd))
        for one in wrong:
            await bench.refused(Unsupported, feed.subscribe([one]), f"a subscription to {one}")

    @_case("FEED-135", claim=streams)
    async def test_watermark_says_where_the_stream_begins(self, bench: FeedBench) -> None:
        """Before its first bar a subscription has a Watermark, and no bar that ended by then comes."""
        await bench.open(bench.symbol)
        await bench.event(lambda event: isinstance(event, Watermark), "the first watermark")
        bar = await bench.published()
        await bench.delivered(bar)
        events = [event for event in bench.events if isinstance(event, Watermark | Bar)]
        first = events[0]
        assert isinstance(first, Watermark), "a bar came before the first watermark"
        assert bench.symbol in first.symbols, f"{bench.symbol} is not in the first watermark: {first}"
        early = [each.end for each in bench.bars() if each.end <= first.end]
        assert not early, f"bars ended at {early}, the stream begins at {first.end}"

    @_case("FEED-140", claim=streams)
    async def test_bars_come_in_order(self, bench: FeedBench) -> None:
        """The bars of a symbol come in rising order of their ends, each once."""
        await bench.open(*bench.symbols[:2])
        published = [await bench.published(close=100.5 + number) for number in range(3)]
        other = bench.bar(published[-1].end, symbol=bench.other)
        await bench.venue.publish(other)
        await bench.delivered(*published, other)
        told, wanted = ends(bench.bars(bench.symbol)), ends(published)
        assert told == wanted, f"bars ended at {told}; published were those that ended at {wanted}"

    @_case("FEED-145", powers=[Power.HOLD_EVENTS, Power.DUPLICATE], claim=streams)
    async def test_repeated_bar_comes_once(self, bench: FeedBench) -> None:
        """A bar that the venue sends twice comes once."""
        await bench.open()
        await bench.venue.hold_events()
        first = await bench.published()
        await bench.venue.release_events(times=2)
        second = await bench.published(close=102.0)
        await bench.delivered(first, second)
        told, wanted = ends(bench.bars()), ends([first, second])
        assert told == wanted, f"bars ended at {told}; published were those that ended at {wanted}"

    @_case("FEED-150", powers=[Power.FORMING], claim=streams)
    async def test_forming_bar_does_not_come(self, bench: FeedBench) -> None:
        """A bar that has not closed does not come; once it has closed it comes with its last figures."""
        await bench.open()
        forming = bench.bar(bench.boundary() + bench.step, close=100.25)
        await bench.venue.form(forming)
        closed = await bench.published(close=101.5)
        await bench.delivered(closed)
        assert [bar.close for bar in bench.bars()] == [101.5], "a bar came before it had closed"

    @_case("FEED-155", powers=[Power.CORRECT_BAR], claim=streams)
    async def test_correction_is_told(self, bench: FeedBench) -> None:
        """A bar that is restated comes as a BarCorrection, not as another bar."""
        await bench.open()
        bar = await bench.published()
        await bench.delivered(bar)
        mended = bench.bar(bar.end, close=101.75)
        await bench.venue.correct_bar(mended)
        told = await bench.event(lambda event: isinstance(event, BarCorrection), "the correction")
        assert isinstance(told, BarCorrection)
        assert figures(told.bar) == figures(mended), f"the correction has {told.bar}, restated was {mended}"
        assert len(bench.bars()) == 1, f"one bar closed, and these came: {bench.bars()}"

    @_case("FEED-160", powers=[Power.TRADES])
    async def test_trades(self, bench: FeedBench) -> None:
        """Public trades are delivered where declared, with price, size and time."""
        feed = bench.make()
        await bench.within(feed.connect(), "connect()")
        wanted = Subscription(bench.symbol, FeedKind.TRADE)
        if FeedKind.TRADE not in bench.capabilities.kinds:
            await bench.refused(Unsupported, feed.subscribe([wanted]), "a subscription to trades")
            return
        await bench.within(feed.subscribe([wanted]), "subscribe()")
        bench.read(feed.stream())
        at = bench.venue.clock.now().replace(microsecond=0)
        await bench.venue.publish_trade(Trade(bench.symbol, at, 100.25, 3.0))
        told = await bench.event(lambda event: isinstance(event, Trade), "the trade")
        assert isinstance(told, Trade)
        figures = (bench.symbol, 100.25, 3.0, at)
        assert (told.symbol, told.price, told.size, told.at) == figures, f"{told} instead of {figures}"

    @_case("FEED-165", powers=[Power.QUOTES])
    async def test_quotes(self, bench: FeedBench) -> None:
        """Quotes are delivered where declared, with both sides."""
        feed = bench.make()
        await bench.within(feed.connect(), "connect()")
        wanted = Subscription(bench.symbol, FeedKind.QUOTE)
        if FeedKind.QUOTE not in bench.capabilities.kinds:
            await bench.refused(Unsupported, feed.subscribe([wanted]), "a subscription to quotes")
            return
        await bench.within(feed.subscribe([wanted]), "subscribe()")
        bench.read(feed.stream())
        at = bench.venue.clock.now().replace(microsecond=0)
        await bench.venue.publish_quote(Quote(bench.symbol, at, 100.0, 100.5, 2.0, 3.0))
        told = await bench.event(lambda event: isinstance(event, Quote), "the quote")
        assert isinstance(told, Quote)
        sides = (bench.symbol, 100.0, 100.5)
        assert (told.symbol, told.bid, told.ask) == sides, f"{told} instead of {sides}"

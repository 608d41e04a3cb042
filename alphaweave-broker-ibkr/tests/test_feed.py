"""The datafeed at a gateway: what ends a stream, what is asked for anew, and what is said loudly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import define, field

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import BrokerUnavailable, Unsupported
from alphaweave.core.market import Bar, Quote, Trade
from alphaweave.live.adapters.base import Services
from alphaweave.live.datafeed import FeedEvent, FeedKind, Subscription, Watermark
from alphaweave.live.reports import BrokerNotice, ConnectionLost, ConnectionRestored
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.sandbox import Action, Fault
from alphaweave_broker_ibkr.bar_builder import BarBuilder
from alphaweave_broker_ibkr.data_refusals import PACING_PAUSE, data_error, is_no_data
from alphaweave_broker_ibkr.feed import IbkrFeed
from alphaweave_broker_ibkr.feed_settings import IbkrFeedOptions
from alphaweave_broker_ibkr.gateway import Refused
from alphaweave_broker_ibkr.sandbox.control import IbkrSandbox
from alphaweave_broker_ibkr.sandbox.options import SandboxOptions

# An upper bound only: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 15.0
MINUTE = timedelta(minutes=1)
BARS = Subscription("ONE", FeedKind.BAR, "1m")


@define
class Site:
    """A gateway, a feed at it, and what the feed said."""

    venue: IbkrSandbox
    clock: RunningClock
    events: list[FeedEvent] = field(factory=list)
    feeds: list[IbkrFeed] = field(factory=list)
    reading: list[asyncio.Task[None]] = field(factory=list)

    def make(self, names: dict[str, str] | None = None, timezone: str = "UTC", **changes: Any) -> IbkrFeed:
        given = {**self.venue.feed_options(), "settle": 0.05, "retry": 0.02, **changes}
        services = Services(
            clock=self.clock,
            names=names or self.venue.names,
            symbols=("ONE",),
            interval="1m",
            timezone=timezone,
        )
        feed = IbkrFeed(IbkrFeedOptions(**given), services)
        self.feeds.append(feed)
        return feed

    async def open(self, *wanted: Subscription, **changes: Any) -> IbkrFeed:
        feed = self.make(**changes)
        await feed.connect()
        await feed.subscribe(wanted or (BARS,))
        self.reading.append(asyncio.create_task(self._read(feed)))
        return feed

    async def until(self, true: Callable[[], Any], what: str = "it") -> None:
        end = time.monotonic() + _PATIENCE
        while not true():
            assert time.monotonic() < end, f"{what} did not come; told: {self.events}"
            await asyncio.sleep(0.002)

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def notices(self, code: str) -> list[BrokerNotice]:
        return [event for event in self.told(BrokerNotice) if event.code == code]

    def minute(self) -> datetime:
        """The end of the last minute."""
        return from_ns(to_ns(self.clock.now()) // (60 * 10**9) * 60 * 10**9)

    def bar(self, end: datetime, close: float = 101.0) -> Bar:
        return Bar("ONE", "1m", end - MINUTE, end, 100.0, 102.5, 99.5, close, 1000.0)

    async def published(self, close: float = 101.0) -> Bar:
        """The next minute, over and published."""
        bar = self.bar(self.minute() + MINUTE, close)
        self.clock.advance((bar.end - self.clock.now()).total_seconds())
        await self.venue.publish(bar)
        return bar

    async def delivered(self, *bars: Bar) -> None:
        for bar in bars:
            await self.until(lambda bar=bar: bar.end in [one.end for one in self.told(Bar)], f"{bar}")  # type: ignore[misc]

    def asked(self, word: str) -> int:
        return sum(word in request.what for request in self.venue.requests)

    async def _read(self, feed: IbkrFeed) -> None:
        async for event in feed.stream():
            self.events.append(event)


def says(feed: IbkrFeed, *fields: object) -> None:
    """A message of the gateway's, as the client library's decoder has it off the wire."""
    client: Any = feed.gateway().client
    client.decoder.interpret([str(one) for one in fields])


def error(feed: IbkrFeed, code: int, text: str, number: int = -1) -> None:
    says(feed, 4, 2, number, code, text, "")


def number_of(feed: IbkrFeed, subscription: Subscription) -> int:
    """Under which number a stream was asked for."""
    link: Any = feed._link
    return int(link._streams[subscription].number)


async def asked_anew(site: Site, feed: IbkrFeed, before: int) -> None:
    link: Any = feed._link
    stream = link._streams[BARS]
    await site.until(lambda: stream.number != before and not stream.asking, "the stream asked for anew")


def builder_of(feed: IbkrFeed) -> BarBuilder:
    link: Any = feed._link
    found: BarBuilder = link._streams[BARS].builder
    return found


def at_gateway(scenario: Callable[[Site], Awaitable[None]], **options: Any) -> None:
    async def whole() -> None:
        clock = RunningClock()
        venue = IbkrSandbox(SandboxOptions(**options), Services(clock=clock))
        await venue.start()
        site = Site(venue, clock)
        try:
            await asyncio.wait_for(scenario(site), 2 * _PATIENCE)
        finally:
            for feed in site.feeds:
                await feed.disconnect()
            await asyncio.gather(*site.reading, return_exceptions=True)
            await venue.stop()

    asyncio.run(whole())


@pytest.mark.parametrize("code", [1100, 2110, 1101, 1300])
def test_lost_servers_are_a_lost_connection(code: int) -> None:
    """A gateway without its servers has a socket that is alive and prices that are not."""

    async def scenario(site: Site) -> None:
        feed = await site.open()
        await site.delivered(await site.published())
        error(feed, code, "Connectivity between IB and TWS")
        await site.until(lambda: site.told(ConnectionRestored), "the connection")
        (lost,) = site.told(ConnectionLost)
        assert str(code) in lost.reason
        await site.delivered(await site.published(102.0))

    at_gateway(scenario)


@pytest.mark.parametrize("kind", [FeedKind.BAR, FeedKind.QUOTE])
def test_nothing_is_restored_before_the_servers_are(kind: FeedKind) -> None:
    """A gateway that has lost them takes connections, and every question about itself."""

    async def scenario(site: Site) -> None:
        await site.open(Subscription("ONE", kind, "1m"))
        await site.venue.troubles.lose_servers()
        await site.until(lambda: site.told(ConnectionLost), "the loss")
        before = site.asked("startApi")
        await site.until(lambda: site.asked("startApi") > before + 2, "attempts")
        assert not site.told(ConnectionRestored)
        missed = await site.published(100.5)
        await site.venue.troubles.find_servers()
        await site.until(lambda: site.told(ConnectionRestored), "the connection")
        assert len(site.told(ConnectionLost)) == 1
        if kind is FeedKind.BAR:
            assert missed.end in [one.end for one in site.told(Bar)]

    at_gateway(scenario)


def test_data_farm_that_flaps_is_asked_once_it_has_stayed() -> None:
    """The socket stays up, and the bars that came while the farm was away are not missed."""

    async def scenario(site: Site) -> None:
        feed = await site.open()
        await site.delivered(await site.published())
        before = number_of(feed, BARS)
        missed = []
        for _ in range(3):
            await site.venue.troubles.break_farms(True)
            missed.append(await site.published(100.5))
            await site.venue.troubles.break_farms(False)
        await asked_anew(site, feed, before)
        await site.delivered(*missed, await site.published(102.0))
        ends = [one.end for one in site.told(Bar)]
        assert ends == sorted(set(ends))
        assert len(ends) == 5
        await site.until(lambda: site.notices("data_farm_restored"), "the notice")
        assert len(site.notices("data_farm_restored")) == len(site.notices("data_farm_lost")) == 1
        assert not site.told(ConnectionLost)

    at_gateway(scenario)


def test_bar_is_not_ended_by_the_clock_while_the_farm_is_away() -> None:
    """It would be half of one: what is missing comes when the farm is back."""

    async def scenario(site: Site) -> None:
        feed = await site.open()
        end = site.minute() + MINUTE
        site.clock.advance((end - site.clock.now()).total_seconds() - 0.05)
        await site.venue.form(site.bar(end, 99.75))
        await site.until(lambda: builder_of(feed).due is not None, "the row")
        error(feed, 2103, "Market data farm connection is broken:usfarm")
        await site.until(lambda: site.clock.now() > end + timedelta(seconds=0.3), "the time")
        assert builder_of(feed).due is not None
        await site.venue.load([site.bar(end, 101.5)])
        error(feed, 2104, "Market data farm connection is OK:usfarm")
        await site.until(lambda: site.told(Bar), "the bar")
        assert [one.close for one in site.told(Bar)] == [101.5]

    at_gateway(scenario)


def test_rows_that_overtake_their_answer_wait_for_it() -> None:
    """What is told next comes after what the answer has of before."""

    async def scenario(site: Site) -> None:
        feed = await site.open()
        first = await site.published()
        await site.delivered(first)
        await site.venue.load([site.bar(first.end + MINUTE, 100.5)])
        await site.venue.arm(Action.HISTORY, Fault.HOLD)
        error(feed, 10182, "Failed to request live updates (disconnected).", number_of(feed, BARS))
        await site.until(lambda: site.asked("reqHistoricalData") == 2, "the question")
        site.clock.advance(180.0)
        for minutes in (1, 2):
            seconds = round((first.end + minutes * MINUTE).timestamp())
            says(feed, 90, number_of(feed, BARS), 10, seconds, 100, 102, 102, 99, 100, 10)
        await site.venue.release_answers()
        await site.until(lambda: len(site.told(Bar)) > 1, "the bars")
        assert site.told(Bar)[1].end == first.end + MINUTE
        await site.until(lambda: len(site.told(Bar)) > 2, "the next one")
        assert site.told(Bar)[2].end == first.end + 2 * MINUTE

    at_gateway(scenario)


def test_bars_without_updates_are_asked_for_anew() -> None:
    """10182 says that what is kept up to date is so no more."""

    async def scenario(site: Site) -> None:
        feed = await site.open()
        await site.delivered(await site.published())
        before = number_of(feed, BARS)
        error(feed, 10182, "Failed to request live updates (disconnected).", before)
        await asked_anew(site, feed, before)
        await site.delivered(await site.published(102.0))
        assert not site.told(ConnectionLost)

    at_gateway(scenario)


def test_farm_that_was_away_renews_bars_of_five_seconds() -> None:
    """Those that were missed cannot be had later: history fills them."""

    async def scenario(site: Site) -> None:
        await site.open(bars="real_time")
        await site.venue.troubles.break_farms(True)
        await site.venue.troubles.break_farms(False)
        await site.until(lambda: site.told(ConnectionRestored), "the connection")
        assert "data farm" in site.told(ConnectionLost)[0].reason

    at_gateway(scenario)


def test_bars_of_what_was_never_traded_are_asked_for_again() -> None:
    """The gateway keeps nothing up to date that it has nothing of, and does not refuse it either."""

    async def scenario(site: Site) -> None:
        nothing = "Historical Market Data Service error message:HMDS query returned no data"
        site.venue.troubles.refuse_next(Action.HISTORY, 162, nothing)
        await site.open(heartbeat=0.1)
        await site.until(lambda: site.asked("reqHistoricalData") == 2, "the second question")
        await site.delivered(await site.published())

    at_gateway(scenario)


@pytest.mark.parametrize("kind", list(FeedKind))
def test_account_without_market_data_is_refused(kind: FeedKind) -> None:
    """With what to write, however late the gateway says it; what was subscribed to before goes on."""

    async def scenario(site: Site) -> None:
        feed = site.make()
        await feed.connect()
        with pytest.raises(Unsupported, match="data: delayed"):
            await feed.subscribe([Subscription("ONE", kind, "1m")])
        assert feed.supervisor.is_up

    at_gateway(scenario, market_data="none")


def test_live_feed_of_an_account_with_delayed_data_is_refused() -> None:
    """It would be a live run on old prices: who wants them writes so."""

    async def scenario(site: Site) -> None:
        feed = site.make()
        await feed.connect()
        with pytest.raises(Unsupported, match="data: delayed"):
            await feed.subscribe([BARS])

    at_gateway(scenario, market_data="delayed")


def test_other_refusals_name_their_cause() -> None:
    """What may be over later is unavailable, and what is not is unsupported."""
    pacing = data_error(Refused(162, "Historical data request pacing violation"), "ONE")
    assert isinstance(pacing, BrokerUnavailable)
    assert pacing.retry_after == PACING_PAUSE
    assert isinstance(data_error(Refused(162, "No market data permissions for NYSE STK"), "ONE"), Unsupported)
    assert isinstance(data_error(Refused(200, "No security definition"), "ONE"), Unsupported)
    other = data_error(Refused(162, "Query was cancelled"), "ONE")
    assert isinstance(other, BrokerUnavailable)
    assert other.code == "162"
    assert "fewer symbols" in str(data_error(Refused(10190, "Max number of tick-by-tick requests"), "ONE"))
    assert not is_no_data(Refused(162, "pacing violation"))
    assert not is_no_data(Refused(200, "no data"))


def test_stream_that_the_gateway_ends_is_no_quiet_market() -> None:
    """An error for a stream ends the connection, and its reason says what to do."""

    async def scenario(site: Site) -> None:
        feed = await site.open()
        error(feed, 10197, "No market data during competing live session", number_of(feed, BARS))
        await site.until(lambda: site.told(ConnectionLost), "the loss")
        assert "another login" in site.told(ConnectionLost)[0].reason

    at_gateway(scenario)


def test_delayed_data_is_said_once_and_loudly() -> None:
    """Whichever way the gateway says it."""

    async def scenario(site: Site) -> None:
        wanted = Subscription("ONE", FeedKind.QUOTE)
        feed = await site.open(wanted)
        error(
            feed,
            10167,
            "Requested market data is not subscribed. Displaying delayed.",
            number_of(feed, wanted),
        )
        says(feed, 58, 1, number_of(feed, wanted), 3)
        await site.until(lambda: site.notices("delayed"), "the notice")
        (notice,) = site.notices("delayed")
        assert (notice.severity, notice.symbol) == ("warning", "ONE")

    at_gateway(scenario)


def test_delayed_feed_has_trades_and_quotes_by_market_data() -> None:
    """And no bars, which the gateway does not keep up to date."""

    async def scenario(site: Site) -> None:
        wanted = [Subscription("ONE", FeedKind.TRADE), Subscription("ONE", FeedKind.QUOTE)]
        feed = await site.open(*wanted, data="delayed")
        assert feed.capabilities.delayed
        assert not feed.capabilities.historical
        at = site.clock.now().replace(microsecond=0)
        await site.venue.publish_trade(Trade("ONE", at, 100.25, 3.0))
        await site.venue.publish_quote(Quote("ONE", at, 100.0, 100.5, 2.0, 3.0))
        await site.until(lambda: site.told(Trade) and any(one.ask for one in site.told(Quote)), "both")
        assert site.told(Trade) == [Trade("ONE", at, 100.25, 3.0)]
        last = site.told(Quote)[-1]
        assert (last.bid, last.ask, last.bid_size, last.ask_size) == (100.0, 100.5, 2.0, 3.0)
        assert len(site.notices("delayed")) == 1
        with pytest.raises(Unsupported, match="data: live"):
            await feed.subscribe([BARS])

    at_gateway(scenario, market_data="delayed")


def test_bars_of_five_seconds_make_whole_minutes() -> None:
    """The minute that was begun is left to history; the next one is built."""

    async def scenario(site: Site) -> None:
        await site.open(bars="real_time")
        begun = await site.published(100.5)
        whole = await site.published(101.5)
        await site.delivered(whole)
        (bar,) = site.told(Bar)
        assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (100.0, 102.5, 99.5, 101.5, 1000.0)
        assert site.told(Watermark)[0].end == begun.end

    at_gateway(scenario)


def test_short_bars_are_made_of_five_seconds() -> None:
    """Whatever the options say: the gateway counts each question for their history."""

    async def scenario(site: Site) -> None:
        await site.open(Subscription("ONE", FeedKind.BAR, "30s"))
        await site.published(100.5)
        whole = await site.published(101.5)
        await site.until(lambda: site.told(Bar), "a bar")
        bar = site.told(Bar)[-1]
        assert (bar.start, bar.close, bar.volume) == (whole.start, 101.5, 1000.0)
        assert bar.end - bar.start == timedelta(seconds=30)
        assert not site.asked("reqHistoricalData")

    at_gateway(scenario)


def test_longer_bars_are_the_same_in_stream_and_history() -> None:
    """Five minutes off the stream have the figures that history has of them."""

    async def scenario(site: Site) -> None:
        wanted = Subscription("ONE", FeedKind.BAR, "5m")
        feed = await site.open(wanted)
        published = [await site.published(100.0 + number / 4) for number in range(6)]
        await site.until(lambda: site.told(Bar), "the bar")
        bar = site.told(Bar)[0]
        past = await feed.history(wanted, bars=1, end=bar.end)
        figures = [
            (one.start, one.open, one.high, one.low, one.close, one.volume) for one in (bar, *past.bars)
        ]
        assert figures[0] == figures[1]
        assert bar.close in [one.close for one in published]

    at_gateway(scenario)


def test_days_are_days_of_the_run() -> None:
    """A day is made of its half hours, from midnight to midnight of the run's zone."""

    async def scenario(site: Site) -> None:
        end = site.minute()
        await site.venue.load(
            [site.bar(end - MINUTE * back, 100.0 + back / 100) for back in reversed(range(90))]
        )
        feed = site.make(timezone="America/New_York")
        await feed.connect()
        day = Subscription("ONE", FeedKind.BAR, "1d")
        found = await feed.history(day, start=end - timedelta(days=5), end=end)
        # It is not over.
        assert not found.bars
        hours = await feed.history(Subscription("ONE", FeedKind.BAR, "1h"), bars=1, end=end)
        (bar,) = hours.bars
        assert bar.end - bar.start == timedelta(hours=1)
        assert bar.volume == 60 * 1000.0

    at_gateway(scenario)


def test_days_of_a_question_are_days_of_trading() -> None:
    """Two days may reach back for less than 48 hours: what is before the first bar is asked for as well."""

    async def scenario(site: Site) -> None:
        end = site.minute()
        loaded = [
            site.bar(end - timedelta(minutes=150) * back, 100.0 + back / 100) for back in reversed(range(50))
        ]
        await site.venue.load(loaded)
        feed = site.make()
        await feed.connect()
        wanted = Subscription("ONE", FeedKind.BAR, "2m")
        found = await feed.history(wanted, start=end - timedelta(days=6), end=end)
        assert [one.close for one in found.bars] == [one.close for one in loaded]

    at_gateway(scenario, always_open=True)


def test_zone_off_the_gateway_s_half_hours_is_refused() -> None:
    """Where days begin at a quarter to, no bar of the gateway's begins with them."""

    async def scenario(site: Site) -> None:
        feed = site.make(timezone="Asia/Kathmandu")
        await feed.connect()
        with pytest.raises(Unsupported, match="timezone: UTC"):
            await feed.subscribe([Subscription("ONE", FeedKind.BAR, "1d")])
        await feed.subscribe([BARS])

    at_gateway(scenario)


def test_client_id_that_is_still_held_is_waited_for() -> None:
    """The gateway holds the id of a connection that is gone for a moment; another one is never taken."""

    async def scenario(site: Site) -> None:
        first = await site.open()
        second = site.make(patience=_PATIENCE)
        connecting = asyncio.create_task(second.connect())
        await site.until(lambda: site.asked("326") or len(site.feeds) == 2, "the refusal")
        await first.disconnect()
        await connecting
        third = site.make(patience=0.1)
        with pytest.raises(BrokerUnavailable, match="client id 12 is in use"):
            await third.connect()

    at_gateway(scenario)


def test_too_much_history_says_when_to_ask_again() -> None:
    """A pacing violation is no empty answer, and nothing is asked for until it is over."""

    async def scenario(site: Site) -> None:
        await site.venue.load([site.bar(site.minute())])
        feed = site.make()
        await feed.connect()
        await site.venue.arm(Action.HISTORY, Fault.THROTTLE, times=1)
        for _ in range(2):
            with pytest.raises(BrokerUnavailable) as caught:
                await feed.history(BARS, bars=1, end=site.minute())
            assert caught.value.retry_after is not None
            assert 10 < caught.value.retry_after <= 15
        asked = [request for request in site.venue.requests if request.action is Action.HISTORY]
        assert len(asked) == 1

    at_gateway(scenario)


def test_unanswered_history_is_withdrawn() -> None:
    """What is not answered counts among the fifty that are open, until it is cancelled."""

    async def scenario(site: Site) -> None:
        feed = site.make(timeout=0.2)
        await feed.connect()
        await site.venue.arm(Action.HISTORY, Fault.LOSE_ANSWER, times=1)
        with pytest.raises(BrokerUnavailable):
            await feed.history(BARS, bars=1, end=site.minute())
        await site.until(lambda: site.asked("cancelHistoricalData"), "the cancel")

    at_gateway(scenario)


def test_contract_without_a_past_has_an_empty_history() -> None:
    """The gateway has no first bar of it, which is an answer."""

    async def scenario(site: Site) -> None:
        feed = site.make()
        await feed.connect()
        found = await feed.history(BARS, bars=30, end=site.minute())
        assert found.bars == ()
        assert found.complete_to == site.minute()

    at_gateway(scenario)


def test_row_that_cannot_be_read_is_told() -> None:
    """It is a notice: the rows after it are still taken."""

    async def scenario(site: Site) -> None:
        feed = await site.open()
        says(feed, 90, number_of(feed, BARS), 10, "soon", 100, 101, 102, 99, 100, 10)
        await site.until(lambda: site.notices("unreadable"), "the notice")
        await site.delivered(await site.published())

    at_gateway(scenario)


def test_unknown_contract_is_refused() -> None:
    """With where to write what is meant."""

    async def scenario(site: Site) -> None:
        feed = site.make(names={"ONE": "NOSUCH", "TWO": "no contract"})
        await feed.connect()
        with pytest.raises(Unsupported, match="under names"):
            await feed.subscribe([BARS])
        with pytest.raises(Unsupported, match="names no contract"):
            await feed.subscribe([Subscription("TWO", FeedKind.BAR, "1m")])

    at_gateway(scenario)


def test_currencies_have_quotes_and_no_trades() -> None:
    """A trade of a currency is reported to nobody."""

    async def scenario(site: Site) -> None:
        feed = site.make(names={"EURUSD": "EUR.USD@IDEALPRO"})
        await feed.connect()
        with pytest.raises(Unsupported, match="take quotes"):
            await feed.subscribe([Subscription("EURUSD", FeedKind.TRADE)])
        await feed.subscribe([Subscription("EURUSD", FeedKind.QUOTE)])

    at_gateway(scenario)


def test_sessions_are_the_contract_s_own() -> None:
    """Days that have been come from the schedule, those to come from the contract; a weekend has none."""

    async def scenario(site: Site) -> None:
        feed = site.make(hours="regular")
        await feed.connect()
        now = site.clock.now()
        found = await feed.sessions(["ONE"], now - timedelta(days=6), now + timedelta(days=2))
        starts = [one.start for one in found]
        assert starts == sorted(set(starts))
        assert any(one.end < now for one in found)
        assert any(one.start > now for one in found)
        assert all(one.start.astimezone().weekday() < 5 for one in found)
        assert {one.end - one.start for one in found} == {timedelta(hours=6, minutes=30)}
        # A stretch without any is one that begins and ends within a night.
        midnight = now.replace(hour=2, minute=0)
        assert not await feed.sessions(["ONE"], midnight, midnight + timedelta(hours=1))

    at_gateway(scenario)

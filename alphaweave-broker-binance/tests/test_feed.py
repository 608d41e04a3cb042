"""The datafeed, at a venue that answers by a script."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable, Unsupported
from alphaweave.core.market import Bar, Quote, Trade
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave.live.adapters.timer import ManualTimer, Timer
from alphaweave.live.datafeed import FeedKind, Subscription
from alphaweave.live.reports import BrokerNotice, ConnectionLost, ConnectionRestored
from alphaweave_broker_binance.feed import BinanceFeed
from alphaweave_broker_binance.feed_settings import BinanceFeedOptions

At = Callable[[Callable[[Any], Awaitable[None]]], None]
KLINES = "/api/v3/klines"
MINUTE = timedelta(minutes=1)
# Binance's time when a test begins: no minute ends while it runs.
NOW = datetime(2026, 3, 2, 14, 30, 20, tzinfo=UTC)
BARS = Subscription("BTC", FeedKind.BAR, "1m")
LIMITS = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}]
STREAM = "btcusdt@kline_1m"


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def row(start: datetime) -> list[Any]:
    """A minute in a list of them."""
    return [ms(start), "1.0", "3.0", "0.5", "2.0", "7", ms(start) + 59_999, "1", 5, "1", "1", "0"]


def kline(start: datetime, **changes: Any) -> dict[str, Any]:
    """A minute on the stream."""
    figures = {"i": "1m", "o": "1.0", "h": "3.0", "l": "0.5", "c": "2.0", "v": "7", "x": True}
    return {"e": "kline", "k": {"t": ms(start), "T": ms(start) + 59_999, **figures, **changes}}


def minute(back: int = 0) -> datetime:
    """The beginning of a minute that has ended, so many before the last."""
    return NOW.replace(second=0) - MINUTE * (1 + back)


class Feed:
    """A feed that is pointed at a venue, and what it told."""

    def __init__(
        self, venue: Any, services: Services | None = None, timer: Timer | None = None, **changes: Any
    ) -> None:
        options: dict[str, Any] = {
            "rest_url": f"http://127.0.0.1:{venue.port}",
            "stream_url": f"ws://127.0.0.1:{venue.port}",
            "retry": 0.01,
        }
        usual = Services(symbols=("BTC",), names={"BTC": "BTCUSDT"})
        given = BinanceFeedOptions(**{**options, **changes})
        self.feed = BinanceFeed(given, services or usual, timer=timer)
        self.events: list[Any] = []
        self._reading = asyncio.create_task(self._read())
        self._venue = venue

    async def _read(self) -> None:
        async for event in self.feed.stream():
            self.events.append(event)

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, true: Callable[[], bool]) -> None:
        await self._venue.until(true, f"something; told: {self.events}")

    async def close(self) -> None:
        await self.feed.disconnect()
        await self._reading


def at_feed(at_venue: At, steps: Callable[[Any, Feed], Awaitable[None]], **changes: Any) -> None:
    async def scenario(venue: Any) -> None:
        venue.answers["GET", "/api/v3/exchangeInfo"] = (
            200,
            {"rateLimits": LIMITS, "symbols": [{"symbol": "BTCUSDT"}]},
        )
        venue.answers["GET", KLINES] = (200, [])
        venue.ahead = ms(NOW) - venue.now()
        one = Feed(venue, **changes)
        try:
            await steps(venue, one)
        finally:
            await one.close()

    at_venue(scenario)


def test_streams_are_subscribed_and_told(at_venue: At) -> None:
    """Bars, trades and quotes come under the config's name, and a bar only when it has closed."""

    async def steps(venue: Any, one: Feed) -> None:
        await one.feed.connect()
        kinds = [BARS, Subscription("BTC", FeedKind.TRADE), Subscription("BTC", FeedKind.QUOTE)]
        await one.feed.subscribe(kinds)
        (asked,) = [frame for frame in venue.said if frame["method"] == "SUBSCRIBE"]
        assert asked["params"] == ["btcusdt@bookTicker", STREAM, "btcusdt@trade"]
        start = minute() + MINUTE
        await venue.say({"stream": STREAM, "data": kline(start, x=False, c="9.0")})
        await venue.say({"stream": STREAM, "data": kline(start)})
        trade = {"e": "trade", "t": 5, "p": "2.5", "q": "1", "T": ms(start)}
        await venue.say({"stream": "btcusdt@trade", "data": trade})
        quote = {"u": 1, "s": "BTCUSDT", "b": "2", "B": "1", "a": "3", "A": "1"}
        await venue.say({"stream": "btcusdt@bookTicker", "data": quote})
        await one.until(lambda: bool(one.told(Quote)))
        (bar,) = one.told(Bar)
        assert (bar.symbol, bar.start, bar.close) == ("BTC", start, 2.0)
        assert one.told(Trade)[0].symbol == "BTC"

    at_feed(at_venue, steps)


def test_no_key_is_sent(at_venue: At) -> None:
    """Neither by a request nor on the stream, whatever the options have."""

    async def steps(venue: Any, one: Feed) -> None:
        await one.feed.connect()
        await one.feed.subscribe([BARS])
        assert venue.keys == {None}
        assert "of-the-account" not in repr(venue.asked) + repr(venue.said) + repr(vars(one.feed))

    keys = {"key": Secret("key-of-the-account"), "secret": Secret("secret-of-the-account")}
    at_feed(at_venue, steps, **keys)


def test_connection_that_is_asked_for_nothing_is_up_at_once(at_venue: At) -> None:
    """A question proves that somebody is there."""

    async def steps(venue: Any, one: Feed) -> None:
        await asyncio.wait_for(one.feed.connect(), 10)
        assert [frame["method"] for frame in venue.said] == ["LIST_SUBSCRIPTIONS"]

    at_feed(at_venue, steps, heartbeat=3600.0)


def test_change_drops_what_is_not_wanted_any_more(at_venue: At) -> None:
    """Only the difference is said."""

    async def steps(venue: Any, one: Feed) -> None:
        await one.feed.connect()
        await one.feed.subscribe([BARS])
        await one.feed.subscribe([Subscription("BTC", FeedKind.TRADE)])
        said = [(frame["method"], frame.get("params")) for frame in venue.said]
        assert said == [
            ("LIST_SUBSCRIPTIONS", None),
            ("SUBSCRIBE", [STREAM]),
            ("UNSUBSCRIBE", [STREAM]),
            ("SUBSCRIBE", ["btcusdt@trade"]),
        ]

    at_feed(at_venue, steps)


def test_streams_are_asked_for_slowly_and_in_parts(at_venue: At) -> None:
    """Whoever says more than five things a second is cut off."""

    async def steps(venue: Any, one: Feed) -> None:
        names = [f"S{number}USDT" for number in range(450)]
        rules = {"rateLimits": LIMITS, "symbols": [{"symbol": name} for name in names]}
        venue.answers["GET", "/api/v3/exchangeInfo"] = (200, rules)
        await one.feed.connect()
        wanted = [Subscription(name, FeedKind.TRADE) for name in names]
        await one.feed.subscribe(wanted)
        parts = [frame["params"] for frame in venue.said if frame["method"] == "SUBSCRIBE"]
        assert [len(part) for part in parts] == [200, 200, 50]
        times = venue.times[-3:]
        assert min(late - early for early, late in pairwise(times)) > 0.25
        many = [Subscription(f"S{number}", FeedKind.TRADE) for number in range(1025)]
        with pytest.raises(Unsupported, match="1024 streams"):
            await one.feed.subscribe(many)

    at_feed(at_venue, steps)


@pytest.mark.parametrize("notice", [{"e": "serverShutdown", "E": 1}, None])
def test_end_of_a_connection_loses_no_bar(at_venue: At, notice: dict[str, Any] | None) -> None:
    """Announced or not: what was missed is fetched before anything is said to be restored."""

    async def steps(venue: Any, one: Feed) -> None:
        await one.feed.connect()
        await one.feed.subscribe([BARS])
        # What the stream told as its beginning counts from the minute that is forming.
        first = minute() + MINUTE
        await venue.say({"stream": STREAM, "data": kline(first)})
        await one.until(lambda: bool(one.told(Bar)))
        if notice is None:
            await venue.sockets[0].close()
        else:
            await venue.say({"stream": "!serverShutdown", "data": notice})
        await one.until(lambda: bool(one.told(ConnectionRestored)))
        assert one.told(ConnectionLost)
        subscribed = [frame for frame in venue.said if frame["method"] == "SUBSCRIBE"]
        assert len(subscribed) == 2
        assert [frame["params"] for frame in subscribed] == [[STREAM], [STREAM]]

    at_feed(at_venue, steps)


def test_mute_stream_is_lost(at_venue: At) -> None:
    """Nothing is said of a quiet market either, so that questions are asked."""
    timer = ManualTimer()

    async def steps(venue: Any, one: Feed) -> None:
        await one.feed.connect()
        venue.mute = True
        for _ in range(3):
            # A question, and the silence.
            await timer.asleep(2)
            timer.advance(20)
        await one.until(lambda: bool(one.told(ConnectionLost)))
        assert "silent" in one.told(ConnectionLost)[0].reason

    at_feed(at_venue, steps, timer=timer)


def test_stream_is_made_anew_before_binance_ends_it(at_venue: At) -> None:
    """A connection lives for a day at most."""
    timer = ManualTimer()

    async def steps(venue: Any, one: Feed) -> None:
        await one.feed.connect()
        await timer.asleep(2)
        timer.advance(15)
        await one.until(lambda: bool(one.told(ConnectionLost)))
        assert "old" in one.told(ConnectionLost)[0].reason

    at_feed(at_venue, steps, timer=timer, lifetime=15.0)


def test_bar_that_cannot_be_read_is_said(at_venue: At) -> None:
    """The others come."""

    async def steps(venue: Any, one: Feed) -> None:
        await one.feed.connect()
        await one.feed.subscribe([BARS])
        await venue.say({"stream": STREAM, "data": kline(minute() + MINUTE, c="x")})
        await one.until(lambda: bool(one.told(BrokerNotice)))
        assert one.told(BrokerNotice)[0].code == "unreadable"
        await venue.say({"stream": STREAM, "data": kline(minute() + MINUTE)})
        await one.until(lambda: bool(one.told(Bar)))

    at_feed(at_venue, steps)


@pytest.mark.parametrize(
    "refusal",
    [
        {"error": {"code": 2, "msg": "Invalid request: no such stream"}},
        {"code": 2, "msg": "Invalid request: no such stream"},
    ],
)
def test_refused_subscription_fails(at_venue: At, refusal: dict[str, Any]) -> None:
    """What Binance says no to, in either of its forms, is not waited for."""

    async def steps(venue: Any, one: Feed) -> None:
        await one.feed.connect()
        venue.subscriptions = [refusal]
        with pytest.raises(BrokerUnavailable, match="no such stream"):
            await one.feed.subscribe([BARS])

    at_feed(at_venue, steps)


def test_history_is_read_in_pages(at_venue: At) -> None:
    """A page has a thousand at most; the newest may not have closed."""

    async def steps(venue: Any, one: Feed) -> None:
        await one.feed.connect()
        last = minute()
        begin = last - MINUTE * 1199
        rows = [row(begin + MINUTE * number) for number in range(1201)]
        venue.answers["GET", KLINES] = [(200, rows[:1000]), (200, rows[1000:])]
        found = await one.feed.history(BARS, start=begin, end=NOW + MINUTE)
        assert len(found.bars) == 1200
        assert found.bars[-1].end == last + MINUTE
        assert found.complete_to >= found.bars[-1].end
        first, second = venue.params("GET", KLINES)
        assert (first["startTime"], first["limit"]) == (str(ms(begin)), "1000")
        assert second["startTime"] == str(ms(begin + MINUTE * 1000))
        assert "signature" not in first

    at_feed(at_venue, steps)


def test_latest_bars_are_read_backwards(at_venue: At) -> None:
    """The newest may not have closed, and fewer than were asked for are all there are."""

    async def steps(venue: Any, one: Feed) -> None:
        rows = [row(minute(number)) for number in reversed(range(-1, 1499))]
        venue.answers["GET", KLINES] = [(200, rows[500:]), (200, rows[:500])]
        found = await one.feed.history(BARS, bars=1200, end=NOW)
        assert [bar.start for bar in found.bars] == [minute(number) for number in reversed(range(1200))]
        assert venue.params("GET", KLINES)[1]["endTime"] == str(ms(minute(998)) - 1)
        venue.answers["GET", KLINES] = (200, rows[-4:])
        assert len((await one.feed.history(BARS, bars=5, end=NOW)).bars) == 3

    at_feed(at_venue, steps)


@pytest.mark.parametrize("answer", [(500, ""), (200, {}), (200, [["x"]]), (429, {"code": -1003, "msg": "x"})])
def test_history_that_fails_is_no_answer(at_venue: At, answer: Any) -> None:
    """It is never empty."""

    async def steps(venue: Any, one: Feed) -> None:
        venue.answers["GET", KLINES] = answer
        with pytest.raises(BrokerUnavailable):
            await one.feed.history(BARS, bars=1, end=NOW)

    at_feed(at_venue, steps)


def test_symbol_that_is_none_is_refused(at_venue: At) -> None:
    """A stream of it would be silent for ever."""

    async def steps(venue: Any, one: Feed) -> None:
        await one.feed.connect()
        venue.answers["GET", "/api/v3/exchangeInfo"] = (400, {"code": -1121, "msg": "Invalid symbol."})
        with pytest.raises(Unsupported, match="has no ETH"):
            await one.feed.subscribe([Subscription("ETH", FeedKind.BAR, "1m")])
        assert all(frame["method"] != "SUBSCRIBE" for frame in venue.said)

    at_feed(at_venue, steps)


def test_bars_begin_by_utc(at_venue: At) -> None:
    """A day of another time zone is not Binance's; a minute is one everywhere."""

    async def steps(venue: Any, one: Feed) -> None:
        with pytest.raises(Unsupported, match="timezone: UTC"):
            one.feed.check(Subscription("BTC", FeedKind.BAR, "1d"))
        with pytest.raises(Unsupported, match="timezone: UTC"):
            one.feed.check(Subscription("BTC", FeedKind.BAR, "4h"))
        one.feed.check(BARS)
        with pytest.raises(Unsupported, match="bars of"):
            one.feed.check(Subscription("BTC", FeedKind.BAR, "7m"))

    zone = Services(symbols=("BTC",), names={"BTC": "BTCUSDT"}, timezone="America/New_York")
    at_feed(at_venue, steps, services=zone)


def test_real_money_is_not_traded_on_play_prices(at_venue: At) -> None:
    """The feed of a live run is of the real market."""

    async def steps(venue: Any, one: Feed) -> None:
        with pytest.raises(AuthenticationFailed, match="environment: mainnet"):
            await one.feed.connect()

    at_feed(at_venue, steps, services=Services(symbols=("BTC",), mode=RunMode.LIVE))

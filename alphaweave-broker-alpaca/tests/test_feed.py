"""The datafeed at a venue that answers by a script, on loopback, with time moved by hand."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from attrs import define, field

from alphaweave.core.clock import ManualClock
from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable, Unsupported
from alphaweave.core.market import Bar, BarCorrection, Quote, Trade
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.timer import ManualTimer
from alphaweave.live.datafeed import FeedEvent, FeedGap, FeedKind, Subscription, Watermark
from alphaweave.live.reports import BrokerNotice, ConnectionLost, ConnectionRestored
from alphaweave_broker_alpaca.feed import AlpacaFeed
from alphaweave_broker_alpaca.feed_settings import AlpacaFeedOptions

OPEN = datetime(2026, 10, 8, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# An upper bound only: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 20.0
SPY = Subscription("SPY", interval="1m")
FIVE = Subscription("SPY", interval="5m")


def at(number: float) -> datetime:
    return OPEN + number * MINUTE


def row(number: int, close: float = 10.0) -> dict[str, Any]:
    return {"t": at(number).isoformat(), "o": 10, "h": max(12, close), "l": 9, "c": close, "v": 100}


@define
class Venue:
    """Alpaca, as far as a feed sees it.

    Attributes:
        past: minutes by number that history has.
        login: what is said to a login; ``refused`` says the same of a subscription.
        history_down: questions for bars that are answered with a failure.
    """

    clock: ManualClock
    past: dict[int, dict[str, Any]] = field(factory=dict)
    login: dict[str, Any] = field(factory=lambda: {"T": "success", "msg": "authenticated"})
    refused: dict[str, Any] | None = None
    history_down: int = 0
    keys: int = 200
    mute: bool = False
    said: list[dict[str, Any]] = field(factory=list)
    looked_up: list[str] = field(factory=list)
    sockets: list[web.WebSocketResponse] = field(factory=list)
    port: int = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path.startswith(("/v2/iex", "/v2/delayed_sip", "/v1beta3/crypto/us")) and not path.endswith(
            "/bars"
        ):
            return await self._talk(request)
        if path == "/v2/clock":
            stamp = self.clock.now().isoformat()
            return web.json_response({"timestamp": stamp, "message": "unauthorized."}, status=self.keys)
        if path.startswith("/v2/assets/"):
            self.looked_up.append(path.rpartition("/")[2])
            known = self.looked_up[-1] in {"SPY", "QQQ", "BTC%2FUSD", "BTC/USD"}
            told = {"code": 40410000, "message": "asset not found"}
            return web.json_response(told, status=200 if known else 404)
        if path == "/v2/assets":
            return web.json_response([{"symbol": f"S{number}"} for number in range(100)])
        if path == "/v2/calendar":
            days = [("2026-11-25", "16:00"), ("2026-11-27", "13:00"), ("2026-11-30", "16:00")]
            return web.json_response([{"date": day, "open": "09:30", "close": close} for day, close in days])
        if self.history_down:
            self.history_down -= 1
            return web.json_response({"message": "internal server error"}, status=500)
        start, end = (datetime.fromisoformat(request.query[name]) for name in ("start", "end"))
        rows = [told for number, told in sorted(self.past.items()) if start <= at(number) <= end]
        return web.json_response({"bars": {"SPY": rows}, "next_page_token": None})

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        channels: dict[str, set[str]] = {}
        try:
            await socket.send_str(json.dumps([{"T": "success", "msg": "connected"}]))
            async for message in socket:
                if message.type is WSMsgType.TEXT and not self.mute:
                    await socket.send_str(json.dumps([self._answer(json.loads(message.data), channels)]))
        finally:
            self.sockets.remove(socket)
        return socket

    def _answer(self, asked: dict[str, Any], channels: dict[str, set[str]]) -> dict[str, Any]:
        self.said.append(asked)
        if asked["action"] == "auth":
            return self.login
        if self.refused is not None:
            return self.refused
        for name, symbols in asked.items():
            if name != "action":
                had = channels.setdefault(name, set())
                (had.update if asked["action"] == "subscribe" else had.difference_update)(symbols)
        return {"T": "subscription", **{name: sorted(symbols) for name, symbols in channels.items()}}

    async def tell(self, *messages: dict[str, Any]) -> None:
        for socket in self.sockets:
            await socket.send_str(json.dumps(messages))

    async def minute(self, number: int, close: float = 10.0, *, kind: str = "b", symbol: str = "SPY") -> None:
        self.past[number] = row(number, close)
        await self.tell({"T": kind, "S": symbol, **row(number, close)})


@define
class Scene:
    """A feed, its venue, and what it told."""

    venue: Venue
    feed: AlpacaFeed
    timer: ManualTimer
    told: list[FeedEvent] = field(factory=list)
    _reading: asyncio.Task[None] | None = None

    async def begin(self, *wanted: Subscription) -> None:
        await self.feed.subscribe(wanted)
        await self.feed.connect()
        self._reading = asyncio.create_task(self._read())

    async def until(self, true: Callable[[], bool], what: str, *, moving: float = 0.0) -> None:
        """Wait for what is about to come; ``moving``: seconds that pass at each look."""
        end = time.monotonic() + _PATIENCE
        while not true():
            assert time.monotonic() < end, f"{what} did not come; told: {self.told}"
            if moving:
                self.timer.advance(moving)
            await asyncio.sleep(0.002)

    async def bars(self, *numbers: float, moving: float = 0.0) -> None:
        await self.until(lambda: self.ends() == list(numbers), f"bars ending {numbers}", moving=moving)

    def ends(self) -> list[float]:
        return [(bar.end - OPEN) / MINUTE for bar in self.of(Bar)]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]

    async def close(self) -> None:
        await self.feed.disconnect()
        if self._reading is not None:
            await self._reading

    async def _read(self) -> None:
        async for event in self.feed.stream():
            self.told.append(event)


def play(scenario: Callable[[Scene], Awaitable[None]], *, begins: float = 0.5, **options: Any) -> Scene:
    """Run a scenario at a venue of its own; the clock stands ``begins`` minutes after the open."""

    async def whole() -> Scene:
        clock = ManualClock()
        clock.set(at(begins))
        timer = ManualTimer(clock)
        venue = Venue(clock)
        app = web.Application()
        app.router.add_route("*", "/{any:.*}", venue.serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        venue.port = runner.addresses[0][1]
        here = f"127.0.0.1:{venue.port}"
        given = AlpacaFeedOptions(
            key=Secret("key-of-the-account"),
            secret=Secret("secret-of-the-account"),
            trading_url=f"http://{here}",
            data_url=f"http://{here}",
            data_stream_url=f"ws://{here}",
            **{"heartbeat": 1000.0, **options},
        )
        scene = Scene(venue, AlpacaFeed(given, Services(clock=clock), timer=timer), timer)
        try:
            await scenario(scene)
        finally:
            await scene.close()
            await runner.cleanup()
        return scene

    return asyncio.run(whole())


def test_minutes_come_as_they_are_told() -> None:
    """The stream begins at the last full minute; what was forming then comes whole."""

    async def scenario(scene: Scene) -> None:
        await scene.begin(SPY)
        await scene.venue.minute(0)
        scene.timer.advance(150)
        await scene.venue.minute(2, 11.0)
        await scene.bars(1, 3)

    scene = play(scenario)
    assert scene.of(Watermark)[0].end == OPEN
    assert scene.of(FeedGap) == []


def test_restated_minute_is_a_correction() -> None:
    """Alpaca says a minute again, half a minute later, where a trade came late."""

    async def scenario(scene: Scene) -> None:
        await scene.begin(SPY)
        await scene.venue.minute(0)
        await scene.venue.minute(0, 12.0, kind="u")
        await scene.until(lambda: bool(scene.of(BarCorrection)), "a correction")

    (correction,) = play(scenario).of(BarCorrection)
    assert (correction.bar.end, correction.bar.close) == (at(1), 12.0)


def test_first_word_of_a_minute_may_be_its_restatement() -> None:
    """A late trade in a minute without one: it is a late bar of that minute, and no correction of nothing."""

    async def scenario(scene: Scene) -> None:
        await scene.begin(SPY)
        await scene.venue.minute(0)
        scene.timer.advance(150)
        await scene.venue.minute(2)
        await scene.venue.minute(1, 12.0, kind="u")
        await scene.bars(1, 3, 2)
        await scene.venue.minute(1, 13.0, kind="u")
        await scene.until(lambda: bool(scene.of(BarCorrection)), "a correction")

    (correction,) = play(scenario).of(BarCorrection)
    assert (correction.bar.end, correction.bar.close) == (at(2), 13.0)


def test_longer_bar_is_whole_although_the_stream_began_in_it() -> None:
    """Its first minutes are history's."""

    async def scenario(scene: Scene) -> None:
        scene.venue.past = {number: row(number, 11.0) for number in (0, 1, 2)}
        await scene.begin(FIVE)
        await scene.venue.minute(3)
        await scene.venue.minute(4)
        await scene.bars(5, moving=1.0)

    scene = play(scenario, begins=2.5)
    (bar,) = scene.of(Bar)
    assert (bar.start, bar.volume, bar.open, bar.close) == (OPEN, 500.0, 10.0, 10.0)
    assert scene.of(Watermark)[0].end == OPEN


def test_longer_bar_is_over_with_its_last_minute_or_its_time() -> None:
    """Whatever comes first; and the minute of a later bar ends one as well."""

    async def scenario(scene: Scene) -> None:
        await scene.begin(FIVE)
        await scene.bars(moving=0.0)
        scene.timer.advance(5 * 60)
        await scene.until(lambda: scene.feed.past is not None, "history")
        for number in range(5, 10):
            await scene.venue.minute(number)
        await scene.bars(10, moving=1.0)
        await scene.venue.minute(11)
        await scene.venue.minute(16)
        await scene.bars(10, 15)
        scene.timer.advance(10 * 60)
        await scene.bars(10, 15, 20, moving=1.0)

    scene = play(scenario)
    assert [bar.volume for bar in scene.of(Bar)] == [500.0, 100.0, 100.0]


def test_restated_minute_of_a_longer_bar_restates_it() -> None:
    """And does not change one that is still open in anything but that minute."""

    async def scenario(scene: Scene) -> None:
        await scene.begin(FIVE)
        for number in range(5):
            await scene.venue.minute(number)
        await scene.bars(5, moving=1.0)
        await scene.venue.minute(4, 13.0, kind="u")
        await scene.until(lambda: bool(scene.of(BarCorrection)), "a correction")

    (correction,) = play(scenario).of(BarCorrection)
    assert (correction.bar.interval, correction.bar.close, correction.bar.volume) == ("5m", 13.0, 500.0)


def test_lost_connection_costs_no_minute() -> None:
    """What was missed comes from history, before the word that the connection is back, each bar once."""

    async def scenario(scene: Scene) -> None:
        await scene.begin(SPY)
        await scene.venue.minute(0)
        await scene.bars(1)
        scene.timer.advance(3 * 60)
        scene.venue.past |= {number: row(number) for number in (1, 2)}
        for socket in list(scene.venue.sockets):
            await socket.close()
        await scene.until(lambda: bool(scene.of(ConnectionRestored)), "a new connection", moving=0.5)
        await scene.venue.minute(3)
        await scene.bars(1, 2, 3, 4)

    scene = play(scenario)
    kinds = [type(event).__name__ for event in scene.told if not isinstance(event, Watermark)]
    assert kinds == ["Bar", "ConnectionLost", "Bar", "Bar", "FeedGap", "ConnectionRestored", "Bar"]


def test_delayed_data_is_whole_although_all_of_it_is_late() -> None:
    """Where it begins, and over a lost connection, what counts is the time that is being told of."""

    async def scenario(scene: Scene) -> None:
        await scene.begin(SPY)
        await scene.venue.minute(5)
        await scene.bars(6)
        scene.timer.advance(2 * 60)
        scene.venue.past |= {number: row(number) for number in (6, 15, 16)}
        for socket in list(scene.venue.sockets):
            await socket.close()
        await scene.until(lambda: bool(scene.of(ConnectionRestored)), "a new connection", moving=0.5)
        await scene.venue.minute(7)
        await scene.bars(6, 7, 8)

    scene = play(scenario, begins=20.5, feed="delayed_sip")
    assert scene.of(Watermark)[0].end == at(5)
    assert [gap.filled for gap in scene.of(FeedGap)] == [True]


def test_lost_connection_costs_no_part_of_a_longer_bar() -> None:
    """The bar in which it broke is made of history and stream."""

    async def scenario(scene: Scene) -> None:
        await scene.begin(FIVE)
        await scene.venue.minute(0)
        scene.timer.advance(2 * 60)
        scene.venue.past[1] = row(1)
        for socket in list(scene.venue.sockets):
            await socket.close()
        await scene.until(lambda: bool(scene.of(ConnectionRestored)), "a new connection", moving=0.5)
        for number in (2, 3, 4):
            await scene.venue.minute(number)
        await scene.bars(5, moving=1.0)

    (bar,) = play(scenario).of(Bar)
    assert bar.volume == 500.0


def test_mute_stream_is_noticed() -> None:
    """It is asked each heartbeat, and two and a half without an answer are a loss."""

    async def scenario(scene: Scene) -> None:
        await scene.begin(SPY)
        asked = len(scene.venue.said)
        await scene.until(lambda: len(scene.venue.said) > asked, "a heartbeat", moving=0.5)
        scene.venue.mute = True
        await scene.until(lambda: bool(scene.of(ConnectionLost)), "a loss", moving=0.5)
        scene.venue.mute = False

    play(scenario, heartbeat=10.0)


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (402, AuthenticationFailed, "refuses the keys"),
        (409, AuthenticationFailed, "write feed: iex"),
        (406, BrokerUnavailable, "one connection"),
        (500, BrokerUnavailable, "an error of the data stream"),
    ],
)
def test_refused_login_is_told_with_what_to_do(code: int, error: type[Exception], words: str) -> None:
    """At once, and without the keys."""

    async def scenario(scene: Scene) -> None:
        scene.venue.login = {"T": "error", "code": code, "msg": "no"}
        with pytest.raises(error, match=words) as caught:
            await scene.begin(SPY)
        assert "of-the-account" not in str(caught.value)

    play(scenario)


def test_refused_keys_are_known_from_rest() -> None:
    """Before anything is said on the stream."""

    async def scenario(scene: Scene) -> None:
        scene.venue.keys = 401
        with pytest.raises(AuthenticationFailed, match="do they belong to this address"):
            await scene.feed.connect()
        assert scene.venue.said == []

    play(scenario)


def test_too_many_symbols_are_refused_with_the_limit() -> None:
    """The subscription that was there stays."""

    async def scenario(scene: Scene) -> None:
        await scene.begin(SPY)
        scene.venue.refused = {"T": "error", "code": 405, "msg": "symbol limit exceeded"}
        with pytest.raises(BrokerUnavailable, match="30 for trades and quotes"):
            await scene.feed.subscribe([SPY, Subscription("QQQ", FeedKind.TRADE)])
        scene.venue.refused = None
        await scene.venue.minute(0)
        await scene.bars(1)

    play(scenario)


@pytest.mark.parametrize(
    ("symbol", "feed", "words"),
    [
        ("NOPE", "iex", "Alpaca has no NOPE"),
        ("BTC/USD", "iex", "is of stocks, and this is crypto"),
        ("SPY", "crypto", "is of crypto, and this is a stock.*a pair has a slash"),
    ],
)
def test_symbol_that_would_never_come_is_refused(symbol: str, feed: str, words: str) -> None:
    """Alpaca itself takes a subscription to anything."""

    async def scenario(scene: Scene) -> None:
        with pytest.raises(Unsupported, match=words):
            await scene.feed.subscribe([Subscription(symbol, interval="1m")])

    play(scenario, feed=feed)


def test_many_symbols_are_looked_up_at_once() -> None:
    """A request for each would spend the limit; what the list does not have is asked for all the same."""

    async def scenario(scene: Scene) -> None:
        many = [Subscription(f"S{number}", interval="1m") for number in range(99)]
        await scene.feed.subscribe(many)
        assert scene.venue.looked_up == []
        with pytest.raises(Unsupported, match="Alpaca has no T0"):
            await scene.feed.subscribe([Subscription(f"T{number}", interval="1m") for number in range(30)])

    play(scenario)


def test_clock_that_fails_keeps_no_connection_away() -> None:
    """Orders may not be possible just now; data is."""

    async def scenario(scene: Scene) -> None:
        await scene.begin(SPY)
        scene.venue.keys = 503
        for socket in list(scene.venue.sockets):
            await socket.close()
        await scene.until(lambda: bool(scene.of(ConnectionRestored)), "a new connection", moving=0.1)

    assert play(scenario).of(BrokerNotice) == []


def test_first_connection_needs_the_clock() -> None:
    """Without it nobody knows which minutes are over."""

    async def scenario(scene: Scene) -> None:
        scene.venue.keys = 503
        with pytest.raises(BrokerUnavailable, match="503"):
            await scene.feed.connect()

    play(scenario)


def test_interval_below_a_minute_is_refused() -> None:
    """With those that there are."""

    async def scenario(scene: Scene) -> None:
        with pytest.raises(Unsupported, match="not 10s"):
            await scene.feed.subscribe([Subscription("SPY", interval="10s")])

    play(scenario)


def test_sessions_are_those_of_the_calendar() -> None:
    """The day after Thanksgiving ends at one, New York time; crypto never closes."""
    start, end = datetime(2026, 11, 26, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC)
    found: list[Any] = []

    async def scenario(scene: Scene) -> None:
        found.extend(await scene.feed.sessions(["SPY"], start, end))

    play(scenario)
    play(scenario, feed="crypto")
    half, always = found
    assert (half.start, half.end) == (
        datetime(2026, 11, 27, 14, 30, tzinfo=UTC),
        datetime(2026, 11, 27, 18, 0, tzinfo=UTC),
    )
    assert (always.start, always.end) == (start, end)


def test_trades_quotes_and_halts_are_told() -> None:
    """A row that cannot be read is told as well, and costs nothing else."""

    async def scenario(scene: Scene) -> None:
        wanted = [Subscription("SPY", FeedKind.TRADE), Subscription("SPY", FeedKind.QUOTE)]
        await scene.begin(*wanted)
        stamp = at(0.5).isoformat()
        await scene.venue.tell(
            {"T": "t", "S": "SPY", "t": stamp, "p": 10.0, "s": 3, "i": 1, "x": "V"},
            {"T": "t", "S": "SPY", "t": stamp, "p": None, "s": 3},
            {"T": "q", "S": "SPY", "t": stamp, "bp": 9, "bs": 1, "ap": 11, "as": 2},
            {"T": "s", "S": "SPY", "t": stamp, "sc": "H", "sm": "Trading Halt"},
            {"T": "t", "S": "QQQ", "t": stamp, "p": 10.0, "s": 3},
            {"T": "n", "S": "SPY", "news": "of a kind that nobody knows yet"},
        )
        await scene.until(lambda: len(scene.of(BrokerNotice)) == 2, "two notices")

    scene = play(scenario)
    assert [one.key for one in scene.of(Trade)] == ["V1"]
    assert [(one.bid, one.ask) for one in scene.of(Quote)] == [(9.0, 11.0)]
    assert [one.code for one in scene.of(BrokerNotice)] == ["unreadable", "halted"]


def test_history_that_fails_at_the_end_of_the_first_bar_is_no_wrong_bar() -> None:
    """A connection whose first bar cannot be made whole is not trusted, and made anew."""

    async def scenario(scene: Scene) -> None:
        scene.venue.past = {number: row(number) for number in range(5)}
        await scene.begin(FIVE)
        scene.venue.history_down = 1
        await scene.until(lambda: bool(scene.of(ConnectionRestored)), "a new connection", moving=1.0)
        await scene.bars(5, moving=1.0)

    scene = play(scenario, begins=2.5)
    assert [bar.volume for bar in scene.of(Bar)] == [500.0]
    assert scene.of(ConnectionLost)


def test_options_name_what_is_wrong() -> None:
    """A plain-text address is loopback's alone; feeds and adjustments are those there are."""
    keys: dict[str, Any] = {"key": Secret("k"), "secret": Secret("s")}
    wrong: Sequence[tuple[dict[str, Any], str]] = (
        ({"data_stream_url": "ws://data.example.com"}, "would send keys in plain text"),
        ({"data_url": "http://data.example.com"}, "would send keys in plain text"),
        ({"feed": "nasdaq"}, "'feed' must be in"),
        ({"adjustment": "some"}, "'adjustment' must be in"),
        ({"settle": 61}, "settle is from 0 to 60 seconds"),
    )
    for options, words in wrong:
        with pytest.raises(ValueError, match=words):
            AlpacaFeedOptions(**keys, **options)

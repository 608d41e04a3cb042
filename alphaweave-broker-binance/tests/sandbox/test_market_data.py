"""Klines, trades and best prices: their history, and how the streams tell them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.market import Bar, Quote, Trade

BEGIN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MS = int(BEGIN.timestamp() * 1000)
MINUTE = timedelta(minutes=1)
# The client library's own way of calling aiohttp.
OF_THE_SDK = "ignore:parameter 'timeout' of type 'float' is deprecated:DeprecationWarning"


def minute(place: int, close: float = 100.5, symbol: str = "ONE") -> Bar:
    """The bar of the minute that begins so many minutes after noon."""
    start = BEGIN + MINUTE * place
    return Bar(symbol, "1m", start, start + MINUTE, 100.0, 101.0, 99.25, close, 12.5)


async def klines(site: Any, **params: Any) -> Any:
    given = {"symbol": "BTCUSDT", "interval": "1m", **params}
    return (await site.ask("GET", "/api/v3/klines", signed=False, **given)).body


def test_kline_has_the_fields_of_the_wire(at_sandbox: Callable[..., None]) -> None:
    """Text for prices and volumes, milliseconds for times; the end is a millisecond before the next."""

    async def scenario(site: Any) -> None:
        await site.venue.load([minute(0)])
        (row,) = await klines(site)
        assert row == [
            MS,
            "100.00000000",
            "101.00000000",
            "99.25000000",
            "100.50000000",
            "12.50000000",
            MS + 59_999,
            "1256.25000000",
            10,
            "6.25000000",
            "628.12500000",
            "0",
        ]

    at_sandbox(scenario)


def test_klines_are_paged(at_sandbox: Callable[..., None]) -> None:
    """From a start the first ones, without one the last ones; bounds are included."""

    async def scenario(site: Any) -> None:
        await site.venue.load([minute(place) for place in range(1100)])

        def places(rows: Any) -> list[int]:
            return [(row[0] - MS) // 60_000 for row in rows]

        assert places(await klines(site)) == list(range(600, 1100))
        assert places(await klines(site, limit=3)) == [1097, 1098, 1099]
        assert places(await klines(site, startTime=MS + 60_000, limit=2)) == [1, 2]
        assert places(await klines(site, startTime=MS + 60_001, limit=2)) == [2, 3]
        assert places(await klines(site, startTime=MS, endTime=MS + 120_000)) == [0, 1, 2]
        assert places(await klines(site, endTime=MS + 120_000, limit=2)) == [1, 2]
        assert len(await klines(site, startTime=MS, limit=1000)) == 1000
        assert (await klines(site, limit=1001))["code"] == -1130
        assert (await klines(site, interval="7m"))["code"] == -1120

    at_sandbox(scenario)


@pytest.mark.parametrize(
    ("interval", "starts"),
    [
        ("5m", [MS, MS + 300_000]),
        ("1h", [MS]),
        ("1d", [MS - 12 * 3_600_000]),
        ("1w", [MS - 12 * 3_600_000]),
        ("1M", [MS - 36 * 3_600_000]),
    ],
)
def test_klines_of_longer_intervals_are_made_of_minutes(
    at_sandbox: Callable[..., None], interval: str, starts: list[int]
) -> None:
    """They begin where Binance's do: UTC midnight, Monday, the first of the month."""

    async def scenario(site: Any) -> None:
        await site.venue.load([minute(0, 100.25), minute(4), minute(6, 99.5)])
        rows = await klines(site, interval=interval)
        assert [row[0] for row in rows] == starts
        assert (rows[0][1], rows[-1][4]) == ("100.00000000", "99.50000000")
        assert Decimal(rows[0][5]) == Decimal("12.5") * (2 if interval == "5m" else 3)

    at_sandbox(scenario)


def test_kline_is_final_when_it_says_so(at_sandbox: Callable[..., None]) -> None:
    """Before that it is told all the same, and history has it as well."""

    async def scenario(site: Any) -> None:
        socket = await site.connect("/stream?streams=btcusdt@kline_1m/btcusdt@kline_5m")
        await site.venue.form(minute(0, 100.25))
        assert (await klines(site))[0][4] == "100.25000000"
        for place in range(5):
            await site.venue.publish(minute(place))
        await site.until(lambda: len(socket.heard) == 12)
        told = [
            (one["stream"][-2:], one["data"]["k"]["t"] - MS, one["data"]["k"]["x"]) for one in socket.heard
        ]
        ones = [row[1:] for row in told if row[0] == "1m"]
        fives = [row[2] for row in told if row[0] == "5m"]
        assert ones == [(0, False), (0, True), *((place * 60_000, True) for place in range(1, 5))]
        assert fives == [False] * 5 + [True]
        candle = socket.heard[-1]["data"]["k"]
        assert (candle["i"], candle["s"], candle["c"]) in {
            ("1m", "BTCUSDT", "100.50000000"),
            ("5m", "BTCUSDT", "100.50000000"),
        }

    at_sandbox(scenario)


def test_trades_and_best_prices_are_told(at_sandbox: Callable[..., None]) -> None:
    """Raw on a connection of their own; the best prices bear no event type and no time."""

    async def scenario(site: Any) -> None:
        trades = await site.connect("/ws/btcusdt@trade")
        quotes = await site.connect("/ws/btcusdt@bookTicker")
        await site.venue.publish_trade(Trade("ONE", BEGIN, 100.5, 0.25))
        await site.venue.publish_quote(Quote("ONE", BEGIN, bid=99.0, ask=101.0, bid_size=1.0, ask_size=2.0))
        await site.until(lambda: trades.heard and quotes.heard)
        trade = trades.heard[0]
        assert (trade["e"], trade["s"], trade["p"], trade["q"], trade["T"]) == (
            "trade",
            "BTCUSDT",
            "100.50000000",
            "0.25000000",
            MS,
        )
        (quote,) = quotes.heard
        assert set(quote) == {"u", "s", "b", "B", "a", "A"}
        rest = await site.ask("GET", "/api/v3/ticker/bookTicker", signed=False, symbol="BTCUSDT")
        assert rest.body == {
            "symbol": "BTCUSDT",
            "bidPrice": "99.00000000",
            "bidQty": "1.00000000",
            "askPrice": "101.00000000",
            "askQty": "2.00000000",
        }

    at_sandbox(scenario)


def test_streams_are_subscribed_while_connected(at_sandbox: Callable[..., None]) -> None:
    """Added, listed, left; the form of what is told can be changed."""

    async def scenario(site: Any) -> None:
        socket = await site.connect("/ws")
        assert (await socket.control("SUBSCRIBE", ["btcusdt@trade", "ethusdt@trade"]))["result"] is None
        assert (await socket.control("LIST_SUBSCRIPTIONS", []))["result"] == [
            "btcusdt@trade",
            "ethusdt@trade",
        ]
        assert (await socket.control("SET_PROPERTY", ["combined", True]))["result"] is None
        assert (await socket.control("GET_PROPERTY", ["combined"]))["result"] is True
        await socket.control("UNSUBSCRIBE", ["btcusdt@trade"])
        for symbol in ("ONE", "TWO"):
            await site.venue.publish_trade(Trade(symbol, BEGIN, 100.5, 0.25))
        await site.until(lambda: any("stream" in one for one in socket.heard))
        streams = [one["stream"] for one in socket.heard if "stream" in one]
        assert streams == ["ethusdt@trade"]

    at_sandbox(scenario)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", 3),
        ("[]", 2),
        ('{"method": "SUBSCRIBE", "params": "btcusdt@trade", "id": 1}', 2),
        ('{"method": "SUBSCRIBE", "params": ["BTCUSDT@trade"], "id": 1}', 2),
        ('{"method": "SUBSCRIBE", "params": ["btcusdt@kline_7m"], "id": 1}', 2),
        ('{"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1.5}', 2),
        ('{"method": "JOIN", "params": [], "id": 1}', 2),
    ],
)
def test_control_message_that_is_none_is_refused(
    at_sandbox: Callable[..., None], message: str, code: int
) -> None:
    """The connection stays, and nothing is subscribed."""

    async def scenario(site: Any) -> None:
        socket = await site.connect("/ws")
        await socket.wire.send_str(message)
        await site.until(lambda: socket.heard)
        assert socket.heard[0]["error"]["code"] == code
        socket.count = 7
        assert (await socket.control("LIST_SUBSCRIPTIONS", []))["result"] == []

    at_sandbox(scenario)


def test_too_many_messages_or_streams_end_the_patience(at_sandbox: Callable[..., None]) -> None:
    """Six messages in a second close the connection; 1025 streams are one too many."""

    async def scenario(site: Any) -> None:
        socket = await site.connect("/ws")
        for number in range(7):
            await socket.wire.send_str(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        await site.until(lambda: socket.ended)
        assert socket.wire.close_code == 1008
        other = await site.connect("/ws")
        many = [f"a{number}usdt@trade" for number in range(1025)]
        assert (await other.control("SUBSCRIBE", many))["error"]["code"] == 2
        assert (await other.control("SUBSCRIBE", many[:-1]))["result"] is None

    at_sandbox(scenario)


@pytest.mark.filterwarnings(OF_THE_SDK)
def test_sdk_hears_klines_and_asks_for_them(at_sandbox: Callable[..., None]) -> None:
    """Binance's own clients, over the streams and over REST."""

    async def scenario(site: Any) -> None:
        spot = site.spot()
        connection = await spot.websocket_streams.create_connection()
        site.closing.append(lambda: connection.close_connection(close_session=True))
        heard: list[Any] = []
        stream = await connection.kline(symbol="btcusdt", interval="1m")
        stream.on("message", heard.append)
        await site.until(lambda: any(b"SUBSCRIBE" in one.raw for one in site.venue.requests))
        await site.venue.publish(minute(0))
        await site.until(lambda: heard)
        assert (heard[0].k.c, heard[0].k.x) == ("100.50000000", True)
        asked = await site.call(spot.rest_api.klines, symbol="BTCUSDT", interval="1m")
        assert asked.data()[0][4] == "100.50000000"

    at_sandbox(scenario)

"""Alpaca's own data clients are served: history in pages, the latest, and the sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
from alpaca.data.enums import DataFeed
from alpaca.data.requests import (
    CryptoBarsRequest,
    StockBarsRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from attrs import evolve

from alphaweave.core.market import Bar, Quote, Trade

# A Tuesday, an hour before the sandbox's present.
BEGIN = datetime(2031, 3, 4, 14, 30, tzinfo=UTC)


def minute(number: int, symbol: str = "PART", close: float = 60.0) -> Bar:
    """The bar of one minute after the opening."""
    start = BEGIN + timedelta(minutes=number)
    return Bar(symbol, "1m", start, start + timedelta(minutes=1), 59.0, 61.0, 58.0, close, 500.0)


def test_history_is_paged_and_aggregated(at_sandbox: Callable[..., None]) -> None:
    """Bars come in pages until the token is null; minutes without one are absent; larger bars are sums."""

    async def scenario(site: Any) -> None:
        await site.venue.load([minute(number) for number in (0, 1, 2, 4, 5, 7)])
        client = site.stocks()
        pages = []
        query = {"symbols": "KO,NONE", "timeframe": "1Min", "limit": 4, "start": BEGIN.isoformat()}
        while True:
            answer = await site.call(client.get, "/stocks/bars", query)
            pages.append([row["t"] for row in answer["bars"].get("KO", [])])
            if answer["next_page_token"] is None:
                break
            query["page_token"] = answer["next_page_token"]
        assert [len(times) for times in pages] == [4, 2]
        assert pages[0][-1] == "2031-03-04T14:34:00Z"
        five = StockBarsRequest(
            symbol_or_symbols="KO", timeframe=TimeFrame(5, TimeFrameUnit.Minute), start=BEGIN
        )
        bars = (await site.call(site.stocks(raw=False).get_stock_bars, five))["KO"]
        assert [(bar.timestamp, bar.volume, bar.trade_count) for bar in bars] == [
            (BEGIN, 2000, 20),
            (BEGIN + timedelta(minutes=5), 1000, 10),
        ]

    at_sandbox(scenario)


def test_page_may_end_before_its_limit(at_sandbox: Callable[..., None]) -> None:
    """Only the token says that there is no more; the library follows it."""

    async def scenario(site: Any) -> None:
        begin = BEGIN - timedelta(days=2)
        shift = begin - BEGIN
        bars = [minute(number) for number in range(2_700)]
        await site.venue.load([evolve(bar, start=bar.start + shift, end=bar.end + shift) for bar in bars])
        query = {"symbols": "KO", "timeframe": "1Min", "limit": 10_000, "start": begin.isoformat()}
        answer = await site.call(site.stocks().get, "/stocks/bars", query)
        assert (len(answer["bars"]["KO"]), answer["next_page_token"]) == (2_600, "KO|2600")
        request = StockBarsRequest(symbol_or_symbols="KO", timeframe=TimeFrame.Minute, start=begin)
        assert len((await site.call(site.stocks().get_stock_bars, request))["KO"]) == 2_700

    at_sandbox(scenario)


def test_end_of_a_query_is_included(at_sandbox: Callable[..., None]) -> None:
    """A bar that begins at the end asked for is in the answer."""

    async def scenario(site: Any) -> None:
        await site.venue.load([minute(number) for number in range(3)])
        end = BEGIN + timedelta(minutes=1)
        request = StockBarsRequest(symbol_or_symbols="KO", timeframe=TimeFrame.Minute, start=BEGIN, end=end)
        found = await site.call(site.stocks().get_stock_bars, request)
        assert len(found["KO"]) == 2

    at_sandbox(scenario)


def test_latest_and_snapshots(at_sandbox: Callable[..., None]) -> None:
    """The last trade and quote are what the price was set to."""

    async def scenario(site: Any) -> None:
        client = site.stocks(raw=False)
        await site.venue.load([minute(0)])
        await site.venue.set_price("PART", Decimal("60.25"))
        trade = await site.call(
            client.get_stock_latest_trade, StockLatestTradeRequest(symbol_or_symbols="KO")
        )
        quote = await site.call(
            client.get_stock_latest_quote, StockLatestQuoteRequest(symbol_or_symbols="KO")
        )
        assert (trade["KO"].price, quote["KO"].bid_price, quote["KO"].ask_size) == (60.25, 60.25, 100)
        shot = (await site.call(client.get_stock_snapshot, StockSnapshotRequest(symbol_or_symbols="KO")))[
            "KO"
        ]
        assert (shot.latest_trade.price, shot.daily_bar.volume, shot.previous_daily_bar) == (60.25, 500, None)
        past = StockTradesRequest(symbol_or_symbols="KO", start=BEGIN)
        assert [one.price for one in (await site.call(client.get_stock_trades, past))["KO"]] == [60.25]

    at_sandbox(scenario)


def test_recent_consolidated_data_need_a_subscription(at_sandbox: Callable[..., None]) -> None:
    """The free plan has no SIP of the last quarter of an hour."""

    async def scenario(site: Any) -> None:
        request = StockBarsRequest(
            symbol_or_symbols="KO", timeframe=TimeFrame.Minute, start=BEGIN, feed=DataFeed.SIP
        )
        error = await site.refused(site.stocks().get_stock_bars, request)
        assert error.status_code == 422
        assert error.message == "subscription does not permit querying recent SIP data"

    at_sandbox(scenario)


def test_stock_stream_brings_what_happens(at_sandbox: Callable[..., None]) -> None:
    """Bars, corrections of bars, trades and quotes arrive in the library's own models."""

    async def scenario(site: Any) -> None:
        stream = site.stock_stream(raw=False)
        stream.subscribe_bars(site.hear, "*")
        stream.subscribe_updated_bars(site.hear, "KO")
        stream.subscribe_daily_bars(site.hear, "KO")
        stream.subscribe_trades(site.hear, "KO")
        stream.subscribe_quotes(site.hear, "KO")
        await site.watch(stream)
        await site.venue.publish(minute(0))
        await site.venue.correct_bar(minute(0, close=60.5))
        await site.venue.publish(minute(0, "ONE"))
        await site.venue.publish_trade(Trade("PART", BEGIN, 60.25, 10.0))
        await site.venue.publish_quote(Quote("PART", BEGIN, 60.0, 60.5, 1.0, 2.0))
        await site.venue.publish_trade(Trade("ONE", BEGIN, 60.25, 10.0))
        await site.until(lambda: len(site.heard) == 6)
        bar, day, corrected, other, trade, quote = site.heard
        assert (bar.symbol, bar.timestamp, bar.close, bar.volume) == ("KO", BEGIN, 60.0, 500)
        assert (day.timestamp, day.volume) == (datetime(2031, 3, 4, 5, tzinfo=UTC), 500)
        assert (corrected.close, other.symbol) == (60.5, "BRK.A")
        assert (trade.price, trade.size, trade.exchange) == (60.25, 10, "V")
        assert (quote.bid_price, quote.ask_price, quote.ask_size) == (60.0, 60.5, 2)

    at_sandbox(scenario)


def test_crypto_is_a_market_of_its_own(at_sandbox: Callable[..., None]) -> None:
    """Its history and its socket know the pair; the stock feed says nothing of it."""

    async def scenario(site: Any) -> None:
        stream = site.crypto_stream()
        stream.subscribe_bars(site.hear, "BTC/USD")
        await site.watch(stream)
        stocks = site.stock_stream()
        stocks.subscribe_bars(site.hear, "*")
        await site.watch(stocks)
        await site.venue.publish(minute(0, "BTC/USD"))
        await site.until(lambda: len(site.heard) == 1)
        assert (site.heard[0]["S"], site.heard[0]["T"]) == ("BTC/USD", "b")
        request = CryptoBarsRequest(
            symbol_or_symbols="BTC/USD", timeframe=TimeFrame.Day, start=BEGIN - timedelta(days=1)
        )
        found = await site.call(site.crypto(raw=False).get_crypto_bars, request)
        assert [bar.close for bar in found["BTC/USD"]] == [60.0]
        assert len(site.heard) == 1

    at_sandbox(scenario)


def test_data_socket_speaks_plain_text_and_refuses_in_its_words(at_sandbox: Callable[..., None]) -> None:
    """Without MessagePack it is JSON text; logins, limits and syntax are refused by number."""

    async def scenario(site: Any) -> None:
        url, options = f"ws://127.0.0.1:{site.venue.port}/v2/", site.venue.options()
        login = {"action": "auth", "key": options["key"], "secret": options["secret"]}
        async with aiohttp.ClientSession() as session, session.ws_connect(url + "iex") as socket:

            async def ask(message: Any) -> Any:
                await socket.send_str(message if isinstance(message, str) else json.dumps(message))
                return json.loads(await socket.receive_str(timeout=5))

            assert await socket.receive_json(timeout=5) == [{"T": "success", "msg": "connected"}]
            told = [await ask("{"), await ask({"action": "subscribe", "bars": ["KO"]})]
            assert told == [
                [{"T": "error", "code": 400, "msg": "invalid syntax"}],
                [{"T": "error", "code": 401, "msg": "not authenticated"}],
            ]
            assert await ask(login) == [{"T": "success", "msg": "authenticated"}]
            assert await ask(login) == [{"T": "error", "code": 403, "msg": "already authenticated"}]
            many = {"action": "subscribe", "trades": [f"S{number}" for number in range(31)]}
            assert await ask(many) == [{"T": "error", "code": 405, "msg": "symbol limit exceeded"}]
            (full,) = await ask({"action": "subscribe", "trades": ["KO"], "bars": ["*"]})
            assert (full["trades"], full["bars"], full["corrections"], full["quotes"]) == (
                ["KO"],
                ["*"],
                ["KO"],
                [],
            )
            await site.venue.publish_trade(Trade("ONE", BEGIN, 60.25, 10.0))
            await site.venue.publish_quote(Quote("PART", BEGIN, 60.0, 60.5, 1.0, 2.0))
            await site.venue.publish_trade(Trade("PART", BEGIN, 60.5, 10.0))
            (row,) = await socket.receive_json(timeout=5)
            assert (row["T"], row["S"], row["p"], row["t"]) == ("t", "KO", 60.5, "2031-03-04T14:30:00Z")
            (rest,) = await ask({"action": "unsubscribe", "trades": ["KO"]})
            assert (rest["trades"], rest["bars"]) == ([], ["*"])
            for feed, keys, code in (
                ("iex", login, 406),
                ("sip", login, 409),
                ("iex", {**login, "secret": "wrong"}, 402),
            ):
                async with session.ws_connect(url + feed) as other:
                    await other.receive_str(timeout=5)
                    await other.send_json(keys)
                    (error,) = await other.receive_json(timeout=5)
                    assert error["code"] == code

    at_sandbox(scenario)

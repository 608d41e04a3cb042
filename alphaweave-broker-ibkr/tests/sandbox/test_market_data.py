"""The market as clients see it: ticks, bars of five seconds, the past, and the past that goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from ib_async import Crypto, Forex, MarketOrder, Stock

from alphaweave.core.market import Bar, Quote, Trade

Run = Callable[..., None]
Site = Any
_MINUTE = timedelta(minutes=1)


def _minutes(site: Site, count: int) -> list[Bar]:
    """The last minutes that are over, each with a close of its own."""
    end = site.venue.now().replace(second=0, microsecond=0)
    starts = [end - _MINUTE * back for back in range(count, 0, -1)]
    return [
        Bar("ONE", "1m", start, start + _MINUTE, 59, 62, 58, 60 + number / 100, 1000.0)
        for number, start in enumerate(starts)
    ]


async def _history(ib: Any, contract: Any, **named: Any) -> Any:
    words = {
        "endDateTime": "",
        "durationStr": "3600 S",
        "barSizeSetting": "1 min",
        "whatToShow": "TRADES",
        "useRTH": False,
        "formatDate": 2,
        "timeout": 10,
    }
    return await ib.reqHistoricalDataAsync(contract, **{**words, **named})


def test_ticks_follow_the_market(at_gateway: Run) -> None:
    """A subscription begins with what is known, and goes on with each price."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        ticker = ib.reqMktData(site.stock)
        await site.until(lambda: (ticker.bid, ticker.ask, ticker.last) == (60, 60, 60), "the state")
        at = site.venue.now()
        await site.venue.publish_quote(Quote("ONE", at, 60.5, 60.75, 200.0, 300.0))
        await site.venue.publish_trade(Trade("ONE", at, 60.75, 40.0))
        await site.until(lambda: (ticker.bid, ticker.askSize, ticker.last) == (60.5, 300, 60.75))
        assert (ticker.lastSize, ticker.marketDataType) == (40, 1)
        ib.cancelMktData(site.stock)
        await ib.reqCurrentTimeAsync()
        await site.venue.set_price("ONE", Decimal(70))
        await ib.reqCurrentTimeAsync()
        assert ticker.last == 60.75

    at_gateway(scenario)


def test_snapshot_ends(at_gateway: Run) -> None:
    """A snapshot is told once, and told to be over."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        (ticker,) = await asyncio.wait_for(ib.reqTickersAsync(site.stock), 10)
        assert ticker.last == 60

    at_gateway(scenario)


def test_tick_by_tick_data(at_gateway: Run) -> None:
    """Each trade and each quote, with its size."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        trades = ib.reqTickByTickData(site.stock, "AllLast")
        quotes = ib.reqTickByTickData(site.stock, "BidAsk")
        heard: list[Any] = []
        times: list[int] = []
        trades.updateEvent += lambda ticker: heard.extend(ticker.tickByTicks)
        assert quotes is trades
        told = ib.client.wrapper.tickByTickAllLast

        def note(*words: Any) -> None:
            times.append(words[2])
            told(*words)

        ib.client.wrapper.tickByTickAllLast = note
        await ib.reqCurrentTimeAsync()
        at = site.venue.now()
        await site.venue.publish_trade(Trade("ONE", at, 60.75, 40.0))
        await site.venue.publish_quote(Quote("ONE", at, 60.5, 60.75, 200.0, 300.0))
        await site.until(lambda: len(heard) >= 2)
        assert (heard[0].price, heard[0].size, heard[0].exchange) == (60.75, 40, "NYSE")
        assert times == [int(at.timestamp())]
        assert (heard[-1].bidPrice, heard[-1].askSize) == (60.5, 300)

    at_gateway(scenario)


def test_five_second_bars(at_gateway: Run) -> None:
    """A minute is told as twelve bars that together are the minute."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        bars = ib.reqRealTimeBars(site.stock, 5, "TRADES", False)
        await ib.reqCurrentTimeAsync()
        (minute,) = _minutes(site, 1)
        await site.venue.publish(minute)
        await site.until(lambda: len(bars) == 12)
        assert [bar.time - minute.start for bar in bars] == [timedelta(seconds=5 * n) for n in range(12)]
        assert (bars[0].open_, max(bar.high for bar in bars), min(bar.low for bar in bars)) == (59, 62, 58)
        assert (bars[-1].close, sum(bar.volume for bar in bars)) == (60, 1000)

    at_gateway(scenario)


def test_history_is_what_was_loaded(at_gateway: Run) -> None:
    """Minutes as they are, longer bars made of them, days by their date."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        minutes = _minutes(site, 50)
        await site.venue.load(minutes)
        bars = await _history(ib, site.stock)
        assert [(bar.date, bar.close, bar.volume) for bar in bars] == [
            (one.start, one.close, one.volume) for one in minutes
        ]
        plain = await _history(ib, site.stock, formatDate=1)
        assert [bar.date for bar in plain] == [one.start for one in minutes]
        fives = await _history(ib, site.stock, barSizeSetting="5 mins")
        assert (fives[-1].close, fives[1].volume) == (minutes[-1].close, 5000)
        (day,) = await _history(ib, site.stock, barSizeSetting="1 day", durationStr="1 D", useRTH=True)
        assert (str(day.date), day.open, day.close) == ("2031-03-04", 59, minutes[-1].close)
        earlier = await _history(ib, site.stock, endDateTime=minutes[10].start, durationStr="120 S")
        assert [bar.date for bar in earlier] == [one.start for one in minutes[8:10]]
        assert await ib.reqHeadTimeStampAsync(site.stock, "TRADES", False, 2) == minutes[0].start

    at_gateway(scenario)


def test_longer_bars_begin_with_the_session(at_gateway: Run) -> None:
    """An hour that the session begins in is cut there; outside of any session hours are whole."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.load(_minutes(site, 720))
        hours = await _history(ib, site.stock, barSizeSetting="1 hour", durationStr="86400 S")
        starts = [f"{bar.date:%H:%M}" for bar in hours]
        assert starts == [f"{hour:02d}:00" for hour in range(3, 16)]
        assert [bar.volume for bar in hours] == [30_000.0, *[60_000.0] * 11, 30_000.0]
        regular = await _history(ib, site.stock, barSizeSetting="1 hour", durationStr="86400 S", useRTH=True)
        assert [f"{bar.date:%H:%M}" for bar in regular] == ["14:30", "15:00"]

    at_gateway(scenario)


def test_history_of_regular_hours_leaves_the_rest_out(at_gateway: Run) -> None:
    """With useRTH only what is of the regular session is told."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.load(_minutes(site, 90))
        every = await _history(ib, site.stock, durationStr="6000 S")
        regular = await _history(ib, site.stock, durationStr="6000 S", useRTH=True)
        assert (len(every), len(regular)) == (90, 60)
        opens = datetime.fromisoformat("2031-03-04T14:30:00+00:00")
        assert regular[0].date == opens

    at_gateway(scenario)


def test_history_goes_on(at_gateway: Run) -> None:
    """Bars that are kept up to date change with the minute that forms, and grow with the next."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        *past, last = _minutes(site, 5)
        await site.venue.load(past)
        bars = await _history(ib, site.stock, keepUpToDate=True)
        assert len(bars) == 4
        forming = Bar("ONE", "1m", last.start, last.end, 60, 60.5, 60, 60.25, 10.0)
        await site.venue.form(forming)
        await site.until(lambda: len(bars) == 5)
        assert (bars[-1].date, bars[-1].close) == (last.start, 60.25)
        await site.venue.publish(last)
        await site.until(lambda: len(bars) == 6, "the next minute")
        assert (bars[-2].high, bars[-2].low, bars[-2].close, bars[-2].volume) == (62, 58, last.close, 1000)
        assert (bars[-1].date, bars[-1].volume) == (last.end, 0)
        ib.cancelHistoricalData(bars)
        await site.until_said(162)
        ib.cancelHistoricalData(bars)
        await site.until_said(366)

    at_gateway(scenario)


@pytest.mark.parametrize("size", ["1 min", "15 mins"])
def test_bar_that_is_over_is_told_anew(at_gateway: Run, size: str) -> None:
    """A restated minute is an update of the bar that it is in, and its figures are history from then on."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        minutes = _minutes(site, 5)
        heard: list[Any] = []
        ib.client.wrapper.historicalDataUpdate = lambda number, bar: heard.append(bar)
        await _history(ib, site.stock, keepUpToDate=True, barSizeSetting=size)
        for minute in minutes:
            await site.venue.publish(minute)
        await ib.reqCurrentTimeAsync()
        count, old = len(heard), minutes[1]
        await site.venue.correct_bar(Bar("ONE", "1m", old.start, old.end, 59, 70, 58, 60, 9000.0))
        await site.until(lambda: len(heard) > count, "the correction")
        # Another contract's is nobody's business.
        await site.venue.correct_bar(Bar("TWO", "1m", old.start, old.end, 59, 71, 58, 60, 9000.0))
        await ib.reqCurrentTimeAsync()
        (told,) = heard[count:]
        length = 60 if size == "1 min" else 900
        assert int(told.date) == int(old.start.timestamp()) // length * length
        bars = await _history(ib, site.stock, barSizeSetting=size)
        (same,) = [bar for bar in bars if bar.date.timestamp() == int(told.date)]
        assert (told.high, told.volume, told.close) == (same.high, same.volume, same.close)
        assert (told.high, told.volume >= 9000) == (70, True)

    at_gateway(scenario)


def test_halt_is_a_tick_and_orders_wait(at_gateway: Run) -> None:
    """Who watches the ticks is told; an order is taken, and filled when trading goes on."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        ticker = ib.reqMktData(site.stock)
        await site.until(lambda: ticker.halted == 0, "the state")
        site.venue.troubles.halt("KO", True)
        await site.until(lambda: ticker.halted == 1, "the halt")
        trade = await site.placed(ib, MarketOrder("BUY", 10, tif="DAY"))
        await site.venue.set_price("ONE", Decimal(61))
        await ib.reqCurrentTimeAsync()
        assert trade.filled() == 0
        site.venue.troubles.halt("KO", False)
        await site.until(lambda: trade.filled() == 10, "the execution")
        assert (ticker.halted, trade.fills[0].execution.price) == (0, 61)

    at_gateway(scenario)


@pytest.mark.parametrize(("size", "seconds"), [("5 secs", 5), ("30 secs", 30)])
def test_history_of_short_bars_goes_on(at_gateway: Run, size: str, seconds: int) -> None:
    """A minute that is over is told as the bars that it is made of."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        *past, last = _minutes(site, 2)
        await site.venue.load(past)
        heard: list[Any] = []
        ib.client.wrapper.historicalDataUpdate = lambda number, bar: heard.append(bar)
        await _history(ib, site.stock, keepUpToDate=True, barSizeSetting=size)
        await site.venue.publish(last)
        await site.until(lambda: len(heard) == 60 // seconds, "the bars")
        starts = [int(bar.date) - int(last.start.timestamp()) for bar in heard]
        assert starts == list(range(0, 60, seconds))
        assert (heard[0].high, heard[-1].close, sum(bar.volume for bar in heard)) == (62, last.close, 1000)

    at_gateway(scenario)


def test_history_that_begins_with_nothing_goes_on(at_gateway: Run) -> None:
    """Without a past there is an empty list, and the updates come all the same."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        heard: list[Any] = []
        ib.client.wrapper.historicalDataUpdate = lambda number, bar: heard.append(bar)
        bars = await _history(ib, site.stock, keepUpToDate=True)
        assert len(bars) == 0
        (minute,) = _minutes(site, 1)
        await site.venue.publish(minute)
        await site.until(lambda: len(heard) == 2)
        assert heard[0].close == minute.close

    at_gateway(scenario)


@pytest.mark.parametrize(
    ("code", "contract", "named"),
    [
        (162, None, {}),
        (321, None, {"barSizeSetting": "7 mins"}),
        (321, None, {"durationStr": "soon"}),
        (321, None, {"whatToShow": "GOSSIP"}),
        (321, None, {"keepUpToDate": True, "endDateTime": "20310304 15:00:00 UTC"}),
        (10314, None, {"endDateTime": "yesterday"}),
        (10299, Crypto("BTC", "PAXOS", "USD"), {}),
        (162, Forex("EURUSD"), {}),
        (200, Stock("NOSUCH", "SMART", "USD"), {}),
    ],
)
def test_history_is_refused(at_gateway: Run, code: int, contract: Any, named: dict[str, Any]) -> None:
    """What cannot be had is refused, with the code of the reason."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        asked = asyncio.ensure_future(_history(ib, contract or site.stock, **named))
        await site.until_said(code)
        asked.cancel()

    at_gateway(scenario)


def test_short_bars_are_paced(at_gateway: Run) -> None:
    """The same question for short bars within 15 seconds is a violation, and so is the sixth of a kind."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.load(_minutes(site, 5))
        site.stop_the_clock()
        first = await _history(ib, site.stock, barSizeSetting="30 secs")
        assert len(first) == 10
        again = await _history(ib, site.stock, barSizeSetting="30 secs")
        assert "pacing violation" in await site.until_said(162)
        assert len(again) == 0
        site.errors.clear()
        for seconds in range(120, 360, 60):
            await _history(ib, site.stock, barSizeSetting="5 secs", durationStr=f"{seconds} S")
        assert site.codes() == []
        await _history(ib, site.stock, barSizeSetting="5 secs", durationStr="360 S")
        assert site.codes() == [162]
        site.stop_the_clock(16)
        assert len(await _history(ib, site.stock, barSizeSetting="30 secs")) == 10

    at_gateway(scenario)


def test_schedule_and_hours(at_gateway: Run) -> None:
    """Sessions are told as history and in the contract's details; a holiday has none."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        schedule = await ib.reqHistoricalScheduleAsync(site.stock, 3)
        assert [one.refDate for one in schedule.sessions] == ["20310228", "20310303", "20310304"]
        assert schedule.sessions[-1].startDateTime == "20310304-09:30:00"
        (detail,) = await ib.reqContractDetailsAsync(site.stock)
        assert detail.liquidHours.split(";")[:2] == ["20310304:0930-20310304:1600", "20310305:CLOSED"]
        assert detail.tradingHours.startswith("20310304:0400-20310304:2000;")
        assert detail.timeZoneId == "US/Eastern"

    at_gateway(scenario, holidays=("2031-03-05",))


def test_past_ticks(at_gateway: Run) -> None:
    """Trades and quotes from an instant on."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        at = site.venue.now() - timedelta(seconds=30)
        for second in range(3):
            when = at + timedelta(seconds=second)
            await site.venue.publish_trade(Trade("ONE", when, 60.0 + second, 5.0))
            await site.venue.publish_quote(Quote("ONE", when, 59.0, 61.0 + second, 1.0, 2.0))
        begin = at.replace(microsecond=0) + timedelta(seconds=1)
        trades = await ib.reqHistoricalTicksAsync(site.stock, begin, "", 1000, "TRADES", False)
        assert [tick.price for tick in trades] == [61, 62]
        quotes = await ib.reqHistoricalTicksAsync(site.stock, begin, "", 1, "BID_ASK", False)
        assert [(tick.priceBid, tick.priceAsk) for tick in quotes] == [(59, 62)]

    at_gateway(scenario)


def test_delayed_data_is_called_so(at_gateway: Run) -> None:
    """Without a subscription there is delayed data, for who asks for it; nothing else is streamed."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        ib.reqMktData(site.stock)
        await site.until_said(10168)
        ib.reqMarketDataType(3)
        ticker = ib.reqMktData(site.stock, "", False, False)
        await site.until_said(10167)
        await site.until(lambda: ticker.last == 60)
        assert ticker.marketDataType == 3
        ib.reqRealTimeBars(site.stock, 5, "TRADES", False)
        await site.until_said(420)
        ib.reqTickByTickData(site.stock, "Last")
        await site.until_said(10189)

    at_gateway(scenario, market_data="delayed")


def test_no_data_at_all(at_gateway: Run) -> None:
    """Without permissions there is neither the present nor the past."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        ib.reqMktData(site.stock)
        await site.until_said(354)
        await site.venue.load(_minutes(site, 5))
        assert len(await _history(ib, site.stock)) == 0
        assert "permissions" in await site.until_said(162)

    at_gateway(scenario, market_data="none")


def test_lines_are_counted(at_gateway: Run) -> None:
    """One instrument more than there are lines is refused."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        ib.reqMktData(site.stock)
        ib.reqRealTimeBars(site.stock, 5, "TRADES", False)
        ib.reqMktData(Stock("IBM", "SMART", "USD", conId=8314))
        await site.until_said(101)

    at_gateway(scenario, lines=1)


def test_another_session_takes_the_data(at_gateway: Run) -> None:
    """10197, and silence until it gives them back."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        ticker = ib.reqMktData(site.stock)
        await site.until(lambda: ticker.last == 60)
        await site.venue.troubles.compete(True)
        await site.until_said(10197)
        await site.venue.set_price("ONE", Decimal(61))
        await ib.reqCurrentTimeAsync()
        assert ticker.last == 60
        await site.venue.troubles.compete(False)
        await site.venue.set_price("ONE", Decimal(62))
        await site.until(lambda: ticker.last == 62)

    at_gateway(scenario)


def test_farms_break_and_data_are_lost(at_gateway: Run) -> None:
    """2103 and 2105: ticks stop and kept bars end with 10182. 1101: every subscription is forgotten."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.load(_minutes(site, 3))
        await site.venue.set_price("ONE", Decimal(60))
        ticker = ib.reqMktData(site.stock)
        await _history(ib, site.stock, keepUpToDate=True)
        await site.venue.troubles.break_farms(True)
        for code in (2103, 2105, 10182):
            await site.until_said(code)
        await site.venue.set_price("ONE", Decimal(61))
        await ib.reqCurrentTimeAsync()
        assert ticker.last == 60
        await site.venue.troubles.break_farms(False)
        await site.venue.set_price("ONE", Decimal(62))
        await site.until(lambda: ticker.last == 62)
        ib.wrapper.error = lambda *words: site.errors.append(words[:3])
        await site.venue.troubles.lose_servers()
        await site.venue.troubles.find_servers(data_lost=True)
        await site.until_said(1101)
        await site.venue.set_price("ONE", Decimal(63))
        await ib.reqCurrentTimeAsync()
        assert ticker.last == 62

    at_gateway(scenario)

"""What the gateway's rows mean."""

from __future__ import annotations

from datetime import UTC, datetime
from math import nan

import pytest
from ib_async import BarData

from alphaweave.data.grid import BarGrid
from alphaweave_broker_ibkr.feed_streams import Ticks
from alphaweave_broker_ibkr.market_rows import (
    INTERVALS,
    part_of,
    quote_of,
    real_time_row_of,
    row_of,
    trade_of,
)

AT = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
SECONDS = int(AT.timestamp())


def told(**changes: object) -> BarData:
    given: dict[str, object] = {
        "date": str(SECONDS),
        "open": 100.0,
        "high": 102.5,
        "low": 99.5,
        "close": 101.0,
        "volume": 1000.0,
        "average": 100.5,
        "barCount": 10,
    }
    return BarData(**{**given, **changes})  # type: ignore[arg-type]


def test_row_is_read_with_its_figures() -> None:
    """A row of history begins where its date says, in seconds since the epoch."""
    row = row_of(told())
    assert row.start == SECONDS * 10**9
    assert (row.open, row.high, row.low, row.close) == (100.0, 102.5, 99.5, 101.0)
    assert (row.volume, row.count) == (1000.0, 10)


def test_real_time_row_is_read_in_its_own_order() -> None:
    """Five seconds are told as open, high, low, close, volume, average, count."""
    row = real_time_row_of((SECONDS, 100.0, 102.5, 99.5, 101.0, 7.0, 100.4, 3))
    assert (row.open, row.high, row.low, row.close, row.volume, row.count) == (100, 102.5, 99.5, 101, 7, 3)


@pytest.mark.parametrize("date", ["20261123", "20261123 15:30:00 US/Eastern", "", "soon"])
def test_row_without_seconds_is_refused(date: str) -> None:
    """A date that needs a time zone to be understood is not guessed at."""
    with pytest.raises(ValueError, match="date"):
        row_of(told(date=date))


@pytest.mark.parametrize("changes", [{"open": nan}, {"low": 101.5}, {"high": 100.5}])
def test_row_that_cannot_be_is_refused(changes: dict[str, float]) -> None:
    """Prices are numbers, and within their own range."""
    with pytest.raises(ValueError, match="bar of"):
        row_of(told(**changes))


def test_volume_of_currencies_is_none() -> None:
    """What has no volume is told with -1, which is no volume to add up."""
    assert row_of(told(volume=-1.0, barCount=-1)).volume == 0.0
    assert not row_of(told(volume=-1.0, barCount=-1)).is_empty
    assert row_of(told(volume=0.0, barCount=0)).is_empty


def test_every_interval_is_made_of_whole_parts() -> None:
    """The parts of each interval fill it, and one question for them spans whole ones."""
    for interval in INTERVALS:
        part = part_of(interval)
        assert BarGrid(interval).length % part.length == 0, interval
        assert part.longest % part.seconds == 0, interval


def test_durations_are_in_seconds_up_to_a_day() -> None:
    """More than a day is asked for in days, more than a year in years, and never less than one bar."""
    part = part_of("30m")
    assert part.duration(60) == "1800 S"
    assert part.duration(86_400) == "86400 S"
    assert part.duration(86_401) == "2 D"
    assert part.duration(365 * 86_400) == "365 D"
    assert part.duration(366 * 86_400) == "2 Y"


def test_trade_without_a_price_is_none() -> None:
    """A price of -1 without a size says that there is none."""
    assert trade_of("SPY", AT, -1.0, 0.0) is None
    assert trade_of("SPY", AT, nan, 1.0) is None
    trade = trade_of("CL", AT, -37.63, 1.0)
    assert trade is not None
    assert trade.price == -37.63


def test_quote_has_the_sides_that_there_are() -> None:
    """A side without a size is none."""
    quote = quote_of("SPY", AT, (100.0, 2.0), (-1.0, 0.0))
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (100.0, 2.0, None, None)


def test_delayed_ticks_make_quotes() -> None:
    """Delayed ticks have numbers of their own, and a size that is repeated changes nothing."""
    ticks = Ticks("SPY")
    assert ticks.price(66, 100.0, 2.0, AT) == quote_of("SPY", AT, (100.0, 2.0), (-1.0, 0.0))
    assert ticks.size(69, 2.0, AT) is None
    assert ticks.price(67, 100.5, 3.0, AT) == quote_of("SPY", AT, (100.0, 2.0), (100.5, 3.0))
    assert ticks.size(70, 4.0, AT) == quote_of("SPY", AT, (100.0, 2.0), (100.5, 4.0))
    assert ticks.price(9, 99.0, 0.0, AT) is None


def test_last_price_is_a_trade_once_its_time_is_told() -> None:
    """A last price waits for its time, and is one trade."""
    ticks = Ticks("SPY")
    assert ticks.price(68, 100.25, 3.0, AT) is None
    assert ticks.text(88, str(SECONDS)) == trade_of("SPY", AT, 100.25, 3.0)
    assert ticks.text(88, str(SECONDS)) is None
    assert ticks.text(32, "NYSE") is None

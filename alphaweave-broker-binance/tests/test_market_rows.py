"""Bars, trades and quotes as Binance writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from alphaweave.core.market import Bar, BarSource, Quote, Trade
from alphaweave_broker_binance.market_rows import bar_of, is_final, listed_bar_of, quote_of, trade_of

KLINE: dict[str, Any] = {
    "t": 1499040000000,
    "T": 1499040059999,
    "s": "BNBBTC",
    "i": "1m",
    "o": "0.0010",
    "c": "0.0020",
    "h": "0.0025",
    "l": "0.0015",
    "v": "1000",
    "n": 100,
    "x": True,
}
START, END = datetime(2017, 7, 3, tzinfo=UTC), datetime(2017, 7, 3, 0, 1, tzinfo=UTC)


def test_bar_ends_a_millisecond_after_its_last() -> None:
    """Binance's closing time belongs to the bar."""
    wanted = Bar("BNB", "1m", START, END, 0.001, 0.0025, 0.0015, 0.002, 1000.0, BarSource.LIVE)
    assert bar_of(KLINE, "BNB") == wanted


@pytest.mark.parametrize("closed", [False, None, "true", 1])
def test_bar_is_final_only_when_it_says_so(closed: Any) -> None:
    """A bar that forms is told every two seconds."""
    assert is_final(KLINE)
    assert not is_final({**KLINE, "x": closed})


def test_listed_bar_is_of_the_past() -> None:
    """The columns of a list are those of a stream."""
    row = [
        1499040000000,
        "0.0010",
        "0.0025",
        "0.0015",
        "0.0020",
        "1000",
        1499040059999,
        "1",
        5,
        "1",
        "1",
        "0",
    ]
    wanted = Bar("BNB", "1m", START, END, 0.001, 0.0025, 0.0015, 0.002, 1000.0, BarSource.BACKFILL)
    assert listed_bar_of(row, "BNB", "1m") == wanted
    wrong: list[Any] = [row[:5], {}, [None, *row[1:]], [row[0], 0.1, *row[2:]]]
    for broken in wrong:
        with pytest.raises(ValueError, match=r"columns|milliseconds|number"):
            listed_bar_of(broken, "BNB", "1m")


def test_trade_and_quote_are_read() -> None:
    """A quote has no time of its own, and a side that is empty is none."""
    told = {"e": "trade", "E": 2, "s": "BNBBTC", "t": 12345, "p": "0.001", "q": "100", "T": 1499040000000}
    assert trade_of(told, "BNB") == Trade("BNB", START, 0.001, 100.0, "12345")
    both = {"u": 400900217, "s": "BNBUSDT", "b": "25.35", "B": "31.2", "a": "25.36", "A": "40.6"}
    assert quote_of(both, "BNB", END) == Quote("BNB", END, 25.35, 25.36, 31.2, 40.6)
    empty = {**both, "b": "0.00000000", "B": "0.00000000"}
    assert quote_of(empty, "BNB", END) == Quote("BNB", END, None, 25.36, None, 40.6)


@pytest.mark.parametrize("changes", [{"l": "0"}, {"c": "NaN"}, {"o": 1.5}, {"v": None}, {"T": "x"}])
def test_bar_without_figures_is_refused(changes: dict[str, Any]) -> None:
    """A price is text, finite and above zero."""
    with pytest.raises(ValueError, match=r"price|number|milliseconds"):
        bar_of({**KLINE, **changes}, "BNB")

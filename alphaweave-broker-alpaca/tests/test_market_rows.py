"""Alpaca's rows of market data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from alphaweave.core.market import Bar, BarSource, Quote, Trade
from alphaweave_broker_alpaca.market_rows import MINUTE, bar_of, quote_of, trade_of

AT = datetime(2026, 10, 8, 14, 30, tzinfo=UTC)
BAR: dict[str, Any] = {
    "t": "2026-10-08T10:30:00-04:00",
    "o": 10,
    "h": 11.5,
    "l": 9,
    "c": 11,
    "v": 300,
    "n": 7,
    "vw": 10.4,
}


def test_bar_begins_at_its_stamp_and_may_have_whole_numbers() -> None:
    """Alpaca writes 10 for 10.0, and New York's offset or none."""
    assert bar_of(BAR, "SPY") == Bar("SPY", "1m", AT, AT + MINUTE, 10.0, 11.5, 9.0, 11.0, 300.0)
    assert bar_of(BAR, "SPY", BarSource.BACKFILL).source is BarSource.BACKFILL


@pytest.mark.parametrize("field", ["t", "o", "h", "l", "c", "v"])
def test_bar_without_a_field_names_it(field: str) -> None:
    """What is not there is not made up."""
    with pytest.raises(ValueError, match=rf"^{field} is "):
        bar_of({name: value for name, value in BAR.items() if name != field}, "SPY")


@pytest.mark.parametrize(
    ("field", "value"), [("c", float("nan")), ("h", float("inf")), ("o", "10"), ("v", True), ("l", 0)]
)
def test_bar_with_a_price_that_is_none_is_refused(field: str, value: Any) -> None:
    """A strategy never sees it."""
    with pytest.raises(ValueError, match=r"is a number, not|has a price of 0"):
        bar_of({**BAR, field: value}, "SPY")


def test_trade_is_told_apart_by_number_and_exchange() -> None:
    """Two exchanges number theirs alike."""
    row = {"t": "2026-10-08T14:30:00.123456789Z", "p": 10.5, "s": 3, "i": 7, "x": "V"}
    assert trade_of(row, "SPY") == Trade("SPY", AT.replace(microsecond=123456), 10.5, 3.0, "V7")
    assert trade_of({**row, "i": None}, "SPY").key is None


def test_quote_of_zero_is_no_quote() -> None:
    """A side without anybody is zero at Alpaca's."""
    row = {"t": "2026-10-08T14:30:00Z", "bp": 10, "bs": 2, "ap": 0, "as": 0}
    assert quote_of(row, "SPY") == Quote("SPY", AT, 10.0, None, 2.0, None)
    assert quote_of({**row, "bp": 0, "ap": 11, "as": 4}, "SPY") == Quote("SPY", AT, None, 11.0, None, 4.0)

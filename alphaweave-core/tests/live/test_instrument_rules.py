"""Rules of instruments: from the config, else assumed and held against the prices."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.errors import ConfigError
from alphaweave.data.series import Series
from alphaweave.live.config import parse_live_config
from alphaweave.live.instrument_rules import InstrumentRules, instrument_rules

DAY = 86_400_000_000_000


def series(symbol: str, closes: Sequence[float]) -> Series:
    return Series.from_columns(
        symbol,
        "1d",
        start=[DAY * n for n in range(len(closes))],
        end=[DAY * (n + 1) for n in range(len(closes))],
        open=closes,
        high=closes,
        low=closes,
        close=closes,
        volume=[1.0] * len(closes),
    )


def rules(
    *instruments: object, run: dict[str, Any] | None = None, **closes: Sequence[float]
) -> InstrumentRules:
    config = parse_live_config(
        {
            "run": run or {},
            "instruments": list(instruments),
            "datafeed": {"name": "replay"},
            "broker": {"name": "paper"},
            "strategy": {"class": "m:S"},
        }
    )
    return instrument_rules(config, "paper", {symbol: series(symbol, one) for symbol, one in closes.items()})


def test_prices_on_the_assumed_grid_are_only_noted() -> None:
    """Floats of vendors who are off by a millionth are on it too."""
    found = rules("A", A=[1.01, 118.690002, 0.01])
    (notice,) = found.notices
    assert notice.startswith("trading rules of A are assumed: ticks of 0.01 and whole units where")
    assert found.instruments["A"].assumed


def test_prices_off_the_assumed_grid_are_a_warning() -> None:
    """With the symbol, a price, and what to write."""
    found = rules("A", "B", "C", A=[1.5, 1.0915], B=[2.0], C=[0.123456])
    _, warning = found.notices
    assert warning == (
        "warning: prices of A (such as 1.0915), C (such as 0.123456) are no whole ticks of 0.01, and limit "
        "and stop prices will be rounded to those; write instruments: [{symbol: A, price_step: 0.0001}], "
        "unless it is only that the prices are adjusted ones"
    )


def test_prices_below_the_assumed_tick_are_refused() -> None:
    """Every price of an order would be rounded to nothing, or to a hundred times as much."""
    with pytest.raises(ConfigError) as caught:
        rules("B", "A", A=[0.00012, 0.02], B=[5.0])
    (problem,) = caught.value.problems
    assert str(problem) == (
        "instruments[1].price_step: A has prices such as 0.00012, below the tick of 0.01 that is assumed; "
        "write instruments: [{symbol: A, price_step: 0.00001}]"
    )


@pytest.mark.parametrize(
    "entry",
    [
        {"symbol": "A", "price_step": "0.00001"},
        {"symbol": "A", "price_steps": [{"start": 0, "step": "0.00001"}], "size_step": 1},
    ],
)
def test_a_tick_that_is_given_is_not_judged(entry: dict[str, Any]) -> None:
    """Whoever wrote it knows how it is traded."""
    found = rules(entry, A=[0.00012, 5.12345])
    assert [text for text in found.notices if text.startswith("warning")] == []
    assert found.instruments["A"].price_step(Decimal(1)) == Decimal("0.00001")


def test_every_rule_of_an_entry_reaches_the_instrument() -> None:
    """All that a config can say of it."""
    given = {
        "kind": "future",
        "base": "X",
        "quote": "EUR",
        "settle": "USD",
        "size_step": "0.1",
        "min_size": "0.2",
        "max_size": 100,
        "market_max_size": 50,
        "min_notional": 5,
        "max_notional": 5000,
        "quote_step": "0.5",
        "fractional": True,
        "shortable": False,
        "tradable": False,
        "multiplier": 10,
        "calendar": "24/7",
    }
    made = rules({"symbol": "A", "names": {"paper": "a1"}, **given}, A=[1.0]).instruments["A"]
    for name, value in given.items():
        found = getattr(made, name)
        assert found == (Decimal(value) if isinstance(found, Decimal) else value), name  # type: ignore[arg-type]
    assert made.venue_symbol == "a1"


def test_currencies_of_an_instrument_follow_each_other() -> None:
    """Cash moves in the quote currency, and prices are in the run's, where nothing else is said."""
    found = rules("A", {"symbol": "B", "quote": "EUR"}, run={"currency": "CHF"}, A=[1.0], B=[1.0]).instruments
    assert [(one.quote, one.settle) for one in found.values()] == [("CHF", "CHF"), ("EUR", "EUR")]

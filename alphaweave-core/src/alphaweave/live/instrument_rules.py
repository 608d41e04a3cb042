"""The trading rules of a run's instruments: what the config says, else what is assumed, which is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from attrs import evolve, frozen

from alphaweave.core.errors import ConfigError, Problem
from alphaweave.core.instrument import DEFAULT_PRICE_STEP, Instrument
from alphaweave.core.money import decimal_of, plain
from alphaweave.data.series import Series
from alphaweave.live.config import LiveConfig

__all__ = ["InstrumentRules", "instrument_rules"]

_SAMPLE: Final = 500
_ROUNDING: Final = 1e-6
# A price of a currency pair or a coin has up to so many decimals; more are those of an adjusted price.
_DECIMALS: Final = 8


@frozen
class InstrumentRules:
    """The rules by symbol, and what a person should know about them."""

    instruments: Mapping[str, Instrument]
    notices: tuple[str, ...]


def instrument_rules(config: LiveConfig, adapter: str, series: Mapping[str, Series]) -> InstrumentRules:
    """The rules for a broker adapter, held against the prices that are there.

    Raises:
        ConfigError: prices below a tick that is only assumed: every order would be rounded beside them.
    """
    currency = config.run.currency
    rules: dict[str, Instrument] = {}
    problems: list[Problem] = []
    off: list[tuple[str, str]] = []
    for number, entry in enumerate(config.instruments):
        given = entry.rules()
        quote = given.get("quote", currency)
        default = Instrument(
            symbol=entry.symbol,
            venue_symbol=entry.names.get(adapter, entry.symbol),
            quote=quote,
            settle=quote,
            assumed="price_steps" not in given or "size_step" not in given,
        )
        rules[entry.symbol] = evolve(default, **given)
        if "price_steps" in given or entry.symbol not in series or not len(series[entry.symbol]):
            continue
        low = min(series[entry.symbol].low)
        if low < DEFAULT_PRICE_STEP:
            problems.append(
                Problem(
                    f"instruments[{number}].price_step",
                    f"{entry.symbol} has prices such as {plain(decimal_of(low))}, below the tick of "
                    f"{DEFAULT_PRICE_STEP} that is assumed; write instruments: [{{symbol: {entry.symbol}, "
                    f"price_step: {_step_of(series[entry.symbol])}}}]",
                )
            )
        elif (price := _off_the_grid(series[entry.symbol])) is not None:
            off.append((entry.symbol, plain(decimal_of(price))))
    if problems:
        raise ConfigError(problems, config.source)
    notices: list[str] = []
    if assumed := [symbol for symbol, one in rules.items() if one.assumed]:
        notices.append(
            f"trading rules of {', '.join(assumed)} are assumed: ticks of {DEFAULT_PRICE_STEP} and whole "
            "units where `instruments:` does not say otherwise"
        )
    if off:
        first = off[0][0]
        notices.append(
            f"warning: prices of {', '.join(f'{symbol} (such as {price})' for symbol, price in off)} are no "
            f"whole ticks of {DEFAULT_PRICE_STEP}, and limit and stop prices will be rounded to those; write "
            f"instruments: [{{symbol: {first}, price_step: {_step_of(series[first])}}}], unless it is only "
            "that the prices are adjusted ones"
        )
    return InstrumentRules(rules, tuple(notices))


def _prices(series: Series) -> Iterator[float]:
    """Some prices from the whole span, which are many enough to tell."""
    for row in range(0, len(series), max(1, len(series) // _SAMPLE)):
        yield from (series.open[row], series.high[row], series.low[row], series.close[row])


def _off_the_grid(series: Series) -> float | None:
    """A price that is no whole number of ticks, give or take what some vendors' floats are off."""
    ticks = 1 / float(DEFAULT_PRICE_STEP)
    for price in _prices(series):
        count = price * ticks
        if abs(count - round(count)) > count * _ROUNDING:
            return price
    return None


def _step_of(series: Series) -> str:
    """The step that prices seem to have: as many decimals as the longest of them."""
    decimals = max(len(plain(decimal_of(price)).partition(".")[2]) for price in _prices(series))
    return plain(Decimal(1).scaleb(-min(decimals, _DECIMALS)))

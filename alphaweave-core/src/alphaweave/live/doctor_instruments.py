"""Whether a broker trades the symbols of a config as the config wants them traded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from attrs import evolve

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import plain
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.config import LiveConfig
from alphaweave.live.findings import Finding, Verdict

__all__ = ["agreed_rules", "instrument_findings"]


def agreed_rules(config: LiveConfig, found: Mapping[str, Instrument]) -> dict[str, Instrument]:
    """The broker's rules, and those of the config over them, of the symbols that the broker knows."""
    return {
        entry.symbol: evolve(found[entry.symbol], **entry.rules())
        for entry in config.instruments
        if entry.symbol in found
    }


def instrument_findings(
    config: LiveConfig, capabilities: Capabilities, found: Mapping[str, Instrument]
) -> Iterator[Finding]:
    """Each symbol that is absent, closed to trading, or not what the config says of it; then the others."""
    well: list[str] = []
    for entry in config.instruments:
        symbol, rules = entry.symbol, found.get(entry.symbol)
        wrong: list[Finding] = []
        if rules is None:
            advice = "correct instruments, or give the venue's own name under names:"
            wrong.append(_failure(symbol, "the broker does not know it", advice))
        else:
            wrong += _unlike(config, capabilities, entry.rules(), rules)
        yield from wrong
        if not any(one.verdict is Verdict.FAILURE for one in wrong):
            well.append(symbol)
    if well:
        yield Finding(
            "symbols",
            Verdict.OK,
            f"found and tradable: {', '.join(well)}{_limits(well, capabilities, found)}",
        )


def _unlike(
    config: LiveConfig, capabilities: Capabilities, wanted: Mapping[str, object], rules: Instrument
) -> Iterator[Finding]:
    symbol = rules.symbol
    if not wanted.get("tradable", rules.tradable) or not rules.tradable:
        yield _failure(symbol, "it cannot be traded now: halted, or taken off", "leave it out, or wait")
    kind, quote, settle = (wanted.get(name, getattr(rules, name)) for name in ("kind", "quote", "settle"))
    currency = quote if kind == "spot" else settle
    if currency != config.run.currency:
        text = f"it settles in {currency}, and run.currency is {config.run.currency}"
        yield _failure(symbol, text, "one run has one currency: leave the symbol to another run")
    if wanted.get("fractional") and not rules.fractional:
        advice = "leave fractional out, or orders of less than a unit are rejected"
        yield _failure(symbol, "instruments says fractional, and here it is traded in whole units", advice)
    if wanted.get("shortable") and not (rules.shortable and capabilities.shorting):
        advice = "leave shortable out, or short sales are rejected"
        yield _failure(symbol, "instruments says shortable, and here it cannot be sold short", advice)
    step = wanted.get("size_step")
    if isinstance(step, Decimal) and not rules.assumed and step % rules.size_step:
        text = f"instruments has size_step {plain(step)}, and here it is {plain(rules.size_step)}"
        yield _failure(symbol, text, "leave size_step out, or orders are rejected")
    if rules.assumed:
        text = f"{symbol}: its rules are assumed where instruments does not say otherwise"
        yield Finding("symbols", Verdict.WARNING, text, "write its price_step, size_step and min_size")


def _limits(symbols: list[str], capabilities: Capabilities, found: Mapping[str, Instrument]) -> str:
    """What cannot be done with some of them."""
    whole = [symbol for symbol in symbols if not (found[symbol].fractional and capabilities.fractional)]
    long = [symbol for symbol in symbols if not (found[symbol].shortable and capabilities.shorting)]
    texts = [("in whole units", whole), ("not to be sold short", long)]
    return "".join(f"; {what}: {_all_or(some, symbols)}" for what, some in texts if some)


def _all_or(some: list[str], symbols: list[str]) -> str:
    return "all" if len(some) == len(symbols) else ", ".join(some)


def _failure(symbol: str, text: str, advice: str) -> Finding:
    return Finding("symbols", Verdict.FAILURE, f"{symbol}: {text}", advice)

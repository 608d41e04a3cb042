"""Instrument rules: how sizes and prices are rounded, worked by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from alphaweave.core import instrument
from alphaweave.core.instrument import DEFAULT_PRICE_STEP, DEFAULT_SIZE_STEP, Instrument, PriceStep
from alphaweave.core.money import plain
from alphaweave.core.order import Side

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def bands(*steps: tuple[str, str]) -> tuple[PriceStep, ...]:
    """Price bands from text."""
    return tuple(PriceStep(D(start), D(step)) for start, step in steps)


def make(**rules: object) -> Instrument:
    """An instrument with these rules."""
    return Instrument(symbol="X", venue_symbol="X.V", **rules)  # type: ignore[arg-type]


PENNY = make()
# A US stock below a dollar, and a market rule with three bands.
SUB_DOLLAR = make(price_steps=bands(("0", "0.0001"), ("1", "0.01")))
THREE = make(price_steps=bands(("0", "0.001"), ("2", "0.005"), ("10", "0.05")))
EIGHTHS = make(price_steps=bands(("0", "0.125")))
TENS = make(price_steps=bands(("0", "1E+1")), size_step=D("1E+2"))
CRYPTO = make(size_step=D("1E-8"), price_steps=bands(("0", "0.00000001")))


@pytest.mark.parametrize(
    ("rules", "size", "rounded"),
    [
        (PENNY, "3", "3"),
        (PENNY, "3.999999", "3"),
        (PENNY, "0.999", "0"),
        (PENNY, "0", "0"),
        (PENNY, "1E+3", "1000"),
        (PENNY, "1.5E+1", "15"),
        (TENS, "1E+2", "100"),
        (TENS, "199.99", "100"),
        (TENS, "99", "0"),
        (TENS, "12E+3", "12000"),
        (CRYPTO, "0.123456789", "0.12345678"),
        (CRYPTO, "1E-8", "0.00000001"),
        (CRYPTO, "9.9E-9", "0"),
        (CRYPTO, "21000000.000000019", "21000000.00000001"),
        (make(size_step=D("0.3")), "1", "0.9"),
        (make(size_step=D("2.5")), "7.4", "5"),
        # toward zero, never up, also for a size that has a sign
        (PENNY, "-3.5", "-3"),
        (PENNY, "-0.5", "0"),
    ],
)
def test_size_is_rounded_down_to_the_step(rules: Instrument, size: str, rounded: str) -> None:
    """The largest multiple that is not above it; zero where not one step is left."""
    assert plain(rules.round_size(D(size))) == rounded


@pytest.mark.parametrize(
    ("rules", "price", "below", "above", "nearest"),
    [
        (PENNY, "10.00", "10", "10", "10"),
        (PENNY, "10.001", "10", "10.01", "10"),
        (PENNY, "10.009", "10", "10.01", "10.01"),
        # halves to even
        (PENNY, "10.005", "10", "10.01", "10"),
        (PENNY, "10.015", "10.01", "10.02", "10.02"),
        (PENNY, "0.004", "0", "0.01", "0"),
        (PENNY, "1E+2", "100", "100", "100"),
        (EIGHTHS, "10.1", "10", "10.125", "10.125"),
        (EIGHTHS, "10.0625", "10", "10.125", "10"),
        (TENS, "1.24E+2", "120", "130", "120"),
        (SUB_DOLLAR, "0.99995", "0.9999", "1", "1"),
        (SUB_DOLLAR, "0.9999", "0.9999", "0.9999", "0.9999"),
        (SUB_DOLLAR, "1", "1", "1", "1"),
        (SUB_DOLLAR, "1.0001", "1", "1.01", "1"),
        (SUB_DOLLAR, "1.005", "1", "1.01", "1"),
        (THREE, "1.9995", "1.999", "2", "2"),
        (THREE, "2.002", "2", "2.005", "2"),
        (THREE, "9.9999", "9.995", "10", "10"),
        (THREE, "10.02", "10", "10.05", "10"),
        (THREE, "10.03", "10", "10.05", "10.05"),
        (CRYPTO, "1.5E-8", "0.00000001", "0.00000002", "0.00000002"),
        # spreads and some futures trade below zero
        (PENNY, "-0.001", "-0.01", "0", "0"),
        (PENNY, "-37.631", "-37.64", "-37.63", "-37.63"),
    ],
)
def test_price_is_rounded_to_the_grid_of_its_band(
    rules: Instrument, price: str, below: str, above: str, nearest: str
) -> None:
    """A buy limit goes down and a sell limit up; a stop the other way, which triggers later."""
    asked = D(price)
    assert plain(rules.round_price(asked, BUY)) == below
    assert plain(rules.round_price(asked, SELL)) == above
    assert plain(rules.round_trigger(asked, BUY)) == above
    assert plain(rules.round_trigger(asked, SELL)) == below
    assert plain(rules.nearest_price(asked)) == nearest


@pytest.mark.parametrize(
    ("price", "step"),
    [
        ("0", "0.001"),
        ("1.9999", "0.001"),
        ("2", "0.005"),
        ("9.99", "0.005"),
        ("10", "0.05"),
        ("1E+6", "0.05"),
    ],
)
def test_band_begins_at_its_start(price: str, step: str) -> None:
    """The start of a band belongs to it; the last one has no end."""
    assert THREE.price_step(D(price)) == D(step)


def test_price_below_the_first_band_has_its_step() -> None:
    """A first band that begins above zero holds for what lies below it, too."""
    assert make(price_steps=bands(("5", "0.5"), ("10", "1"))).price_step(D(1)) == D("0.5")


@pytest.mark.parametrize(
    ("step", "amount", "rounded"),
    [
        (None, "12.3456", "12.3456"),
        ("0.01", "12.3456", "12.34"),
        ("1E+1", "99", "90"),
        ("0.01", "0.009", "0"),
    ],
)
def test_quote_amount_is_rounded_down_to_its_step(step: str | None, amount: str, rounded: str) -> None:
    """What is spent is never more than was asked; without a step it is what was asked."""
    rules = make(quote_step=None if step is None else D(step))
    assert plain(rules.round_quote(D(amount))) == rounded


def test_notional_is_unsigned_and_multiplied() -> None:
    """A contract of 50 moves fifty times its price, bought or sold."""
    assert PENNY.notional(D(3), D("10.5")) == D("31.5")
    assert make(multiplier=D(50)).notional(D(-2), D("4000.25")) == D("400025")


steps = st.integers(1, 10_000).flatmap(
    lambda units: st.integers(-9, 3).map(lambda power: D(units).scaleb(power))
)
amounts = st.decimals(0, 10**9, places=8)


@given(step=steps, size=amounts)
def test_rounded_size_is_the_largest_multiple_not_above(step: Decimal, size: Decimal) -> None:
    """For every step and size: a whole multiple, not above, and less than one step away."""
    rounded = make(size_step=step).round_size(size)
    assert rounded % step == 0
    assert rounded <= size < rounded + step


@given(step=steps, price=amounts)
def test_rounded_prices_enclose_the_price(step: Decimal, price: Decimal) -> None:
    """For every tick and price: neighbours on the grid, one tick apart or equal, the nearest among them."""
    rules = make(price_steps=(PriceStep(D(0), step),))
    below, above = rules.round_price(price, BUY), rules.round_price(price, SELL)
    assert below <= price <= above
    assert above - below == (0 if price % step == 0 else step)
    assert rules.nearest_price(price) in {below, above}
    assert rules.round_price(below, SELL) == below


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((), "at least one band"),
        ((("0", "0"),), "a step above zero"),
        ((("0", "0.01"), ("1", "-1")), "a step above zero"),
        ((("1", "0.01"), ("0", "1")), "must rise"),
        ((("1", "0.01"), ("1", "1")), "must rise"),
    ],
)
def test_bands_that_make_no_grid_are_refused(steps: tuple[tuple[str, str], ...], said: str) -> None:
    """At least one band, rising, each with a tick."""
    with pytest.raises(ValueError, match=said):
        make(price_steps=bands(*steps))


def test_defaults_are_a_share_in_dollars_with_assumptions_unsaid() -> None:
    """What no source gives: a tick of 0.01, lots of one, no bounds, and all of it allowed."""
    assert (D("0.01"), D(1)) == (DEFAULT_PRICE_STEP, DEFAULT_SIZE_STEP)
    assert PENNY.price_steps == (PriceStep(D(0), D("0.01")),)
    assert PENNY.size_step == 1
    assert (PENNY.kind, PENNY.base, PENNY.quote, PENNY.settle) == ("equity", None, "USD", "USD")
    bounds = ("min_size", "max_size", "market_max_size", "min_notional", "max_notional", "quote_step")
    assert [getattr(PENNY, name) for name in bounds] == [None] * 6
    assert (PENNY.fractional, PENNY.shortable, PENNY.tradable, PENNY.assumed) == (False, True, True, False)
    assert (PENNY.multiplier, PENNY.calendar, PENNY.order_types) == (1, None, None)


def test_rules_are_frozen_and_can_be_keys() -> None:
    """Rules that change are new rules."""
    with pytest.raises(FrozenInstanceError):
        PENNY.tradable = False  # type: ignore[misc]
    assert {make(): 1}[PENNY] == 1


def test_instrument_offers_exactly_its_names() -> None:
    """What a module offers is a promise."""
    assert instrument.__all__ == [
        "DEFAULT_PRICE_STEP",
        "DEFAULT_SIZE_STEP",
        "Instrument",
        "PriceBands",
        "PriceStep",
    ]

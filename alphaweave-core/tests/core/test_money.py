"""Exact amounts: what becomes a Decimal, how it is written, and the one context."""

from __future__ import annotations

from decimal import (
    Clamped,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    getcontext,
    localcontext,
)
from enum import IntEnum
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphaweave.core import money
from alphaweave.core.money import CONTEXT, ZERO, Money, Number, decimal_of, plain

D = Decimal
finite = st.decimals(allow_nan=False, allow_infinity=False)


class Count(IntEnum):
    """An int that is not exactly an int."""

    ONE = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, "0.1"),
        (1e-7, "1E-7"),
        (1e22, "1E+22"),
        (-0.0, "-0.0"),
        (3, "3"),
        (10**30, "1000000000000000000000000000000"),
        ("0.10", "0.10"),
        ("  7 ", "7"),
        ("1e-7", "1E-7"),
        (D("1.50"), "1.50"),
        (np.float64(0.1), "0.1"),
        (np.int64(-5), "-5"),
        # a float32 is not 0.1, and says so
        (np.float32(0.1), "0.10000000149011612"),
    ],
    ids=repr,
)
def test_decimal_of_is_exact(value: Number, expected: str) -> None:
    """What was written is what it becomes, digit for digit; a float is its shortest decimal."""
    assert str(decimal_of(value)) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "-inf", "NaN", D("sNaN"), np.float64("nan")])
def test_decimal_of_refuses_what_is_not_finite(value: Number) -> None:
    """No NaN and no infinity gets in, from whatever type."""
    with pytest.raises(ValueError, match="a finite number is needed, not"):
        decimal_of(value)


@pytest.mark.parametrize("value", ["", "ten", "1,5", "0x10"])
def test_decimal_of_refuses_text_that_is_no_number(value: str) -> None:
    """The message shows the text."""
    with pytest.raises(ValueError, match=f"{value!r} is not a number"):
        decimal_of(value)


@pytest.mark.parametrize(
    ("value", "called"),
    [
        (True, "True"),
        (np.bool_(False), "False"),
        (None, "NoneType"),
        (b"1", "bytes"),
        (Fraction(1, 3), "Fraction"),
        (1j, "complex"),
        (Count.ONE, "Count"),
    ],
    ids=repr,
)
def test_decimal_of_refuses_other_types(value: Number, called: str) -> None:
    """A truth value is no size, and neither is anything whose exact value is in doubt."""
    with pytest.raises(TypeError, match=f"a number is needed, not {called}"):
        decimal_of(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float_survives_the_way_through_decimal(value: float) -> None:
    """The decimal reads back as the same float, and is the shortest that does."""
    exact = decimal_of(value)
    assert float(exact) == value
    assert len(exact.as_tuple().digits) <= 17


@given(st.integers())
def test_integer_survives_the_way_through_decimal(value: int) -> None:
    """However long, an integer stays itself."""
    assert int(decimal_of(value)) == value


@given(finite)
def test_decimal_survives_the_way_through_text(value: Decimal) -> None:
    """What is written on a wire reads back as the same amount, without an exponent or idle zeros."""
    text = plain(value)
    assert decimal_of(text) == value
    assert set(text) <= set("-0123456789.")
    if "." in text:
        assert not text.endswith(("0", "."))
    assert text != "-0"


@given(finite)
def test_equal_amounts_are_written_alike(value: Decimal) -> None:
    """Trailing zeros, exponents and the sign of zero leave no trace."""
    with localcontext(CONTEXT) as context:
        context.prec = max(CONTEXT.prec, len(value.as_tuple().digits) + 2)
        same = value.normalize(context)
    assert plain(same) == plain(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E+3", "1000"),
        ("1E-7", "0.0000001"),
        ("12.3400", "12.34"),
        ("100", "100"),
        ("100.00", "100"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("0E-20", "0"),
        ("0E+5", "0"),
        ("-0.10", "-0.1"),
    ],
)
def test_plain_writes_what_every_wire_takes(value: str, text: str) -> None:
    """Worked by hand: no exponent, no trailing zeros, no negative zero."""
    assert plain(D(value)) == text


def test_context_rounds_half_even_at_forty_digits() -> None:
    """One context for all books: its precision and its rounding are part of the figures."""
    ulp = D("1e-39")
    assert str(CONTEXT.add(D(1), ulp)) == "1." + "0" * 38 + "1"
    assert CONTEXT.add(D(1), ulp / 2) == D(1)
    assert CONTEXT.add(D(1), D("1.5e-39")) == CONTEXT.add(D(1), D("2e-39"))


@pytest.mark.parametrize(
    ("calculation", "signal"),
    [
        (lambda: CONTEXT.divide(D(1), ZERO), DivisionByZero),
        (lambda: CONTEXT.divide(ZERO, ZERO), InvalidOperation),
        (lambda: CONTEXT.multiply(D("NaN").copy_abs(), D("sNaN")), InvalidOperation),
        (lambda: CONTEXT.multiply(D("1E+999999"), D(10)), Overflow),
        (lambda: CONTEXT.create_decimal("0E+9999999"), Clamped),
    ],
)
def test_context_raises_rather_than_spread_nonsense(calculation: object, signal: type[Exception]) -> None:
    """What is not a number never becomes one more figure in the books."""
    assert callable(calculation)
    with pytest.raises(signal):
        calculation()


def test_context_is_not_the_threads_own() -> None:
    """A user's decimal settings neither reach the books nor are touched by them."""
    with localcontext() as users:
        users.prec = 3
        assert CONTEXT.divide(D(1), D(3)) == D("0." + "3" * 40)
    assert CONTEXT is not getcontext()


def test_money_is_frozen_and_equal_by_value() -> None:
    """An amount is of an asset; equal decimals are equal money."""
    assert Money("USD", D("1.0")) == Money("USD", D(1))
    assert Money("USD", D(1)) != Money("EUR", D(1))
    with pytest.raises(AttributeError):
        Money("USD", D(1)).amount = D(2)  # type: ignore[misc]


def test_money_offers_exactly_its_names() -> None:
    """What a module offers is a promise."""
    assert money.__all__ == ["CONTEXT", "ZERO", "Money", "Number", "decimal_of", "plain"]

"""Numbers on the wire: exact, and not set where they are not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from alphaweave_broker_ibkr.figures import exact, plain


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (0.1, "0.1"),
        (100.07, "100.07"),
        (1e-8, "0.00000001"),
        ("1E-8", "0.00000001"),
        (10, "10"),
        ("10.0", "10"),
        ("-0.5", "-0.5"),
    ],
)
def test_exact_has_the_digits_that_were_written(number: float | str, value: str) -> None:
    """A float of the client library is the number that stood on the wire."""
    assert exact(number) == Decimal(value)


@pytest.mark.parametrize(
    "number", ["", 1.7976931348623157e308, "1.7976931348623157E308", 2147483647, "9223372036854775807"]
)
def test_exact_knows_what_is_not_set(number: float | str) -> None:
    """The largest number of a type stands for none at all, and so does nothing."""
    assert exact(number) is None


@pytest.mark.parametrize("number", ["abc", "NaN", float("inf"), float("nan")])
def test_exact_refuses_what_is_no_number(number: float | str) -> None:
    """Neither text nor infinity becomes a figure."""
    with pytest.raises(ValueError, match="is not a"):
        exact(number)


def test_plain_has_no_exponent() -> None:
    """A tiny size and a round one go out digit by digit."""
    assert (plain(Decimal("1E-8")), plain(Decimal("1E+2"))) == ("0.00000001", "100")
    with pytest.raises(ValueError, match="finite"):
        plain(Decimal("Infinity"))

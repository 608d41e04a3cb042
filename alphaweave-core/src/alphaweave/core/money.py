"""Exact amounts: the one decimal context, conversion into it, and Money."""

from __future__ import annotations

from decimal import (
    ROUND_HALF_EVEN,
    Clamped,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)

from attrs import frozen

__all__ = ["CONTEXT", "ZERO", "Money", "Number", "decimal_of", "plain"]

Number = int | float | str | Decimal
"""What a strategy may pass as a size or a price."""

# 40 digits hold a notional of 10^15 at 18 decimals with room for a product; a result that would need
# more is rounded half even, and anything that is not a number raises instead of spreading.
CONTEXT = Context(
    prec=40, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow, Clamped]
)

ZERO = Decimal(0)


def decimal_of(value: Number) -> Decimal:
    """Turn what a strategy or a config wrote into an exact Decimal.

    A float becomes the shortest decimal that reads back as the same float (``0.1`` is 0.1).

    Raises:
        TypeError: for a bool or anything that is not a number.
        ValueError: for text that is no number, NaN or an infinity.
    """
    if type(value) is float:
        result = Decimal(repr(value))
    elif type(value) is int:
        return Decimal(value)
    elif isinstance(value, Decimal):
        result = value
    elif isinstance(value, bool):
        raise TypeError(f"a number is needed, not {value!r}")
    elif isinstance(value, str):
        try:
            result = Decimal(value.strip())
        except InvalidOperation:
            raise ValueError(f"{value!r} is not a number") from None
    else:
        try:
            # numpy scalars: item() hands back the Python number of the same value
            item = value.item()  # type: ignore[union-attr]
        except AttributeError:
            raise TypeError(f"a number is needed, not {type(value).__name__}") from None
        return decimal_of(item)
    if not result.is_finite():
        raise ValueError(f"a finite number is needed, not {value!r}")
    return result


def plain(value: Decimal) -> str:
    """Write a Decimal without an exponent and without trailing zeros: the form every wire accepts."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


@frozen
class Money:
    """An amount of one asset. Positive fees are paid, negative ones are rebates."""

    asset: str
    amount: Decimal

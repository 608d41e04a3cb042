"""Amounts as the wire has them: decimal text with eight places, never an exponent."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from alphaweave.core.money import CONTEXT

__all__ = ["PLACES", "amount", "cut", "number", "product"]

PLACES = 8
_ATOM = Decimal(1).scaleb(-PLACES)


def cut(value: Decimal) -> Decimal:
    """``value`` without what lies beyond the eighth place."""
    return value.quantize(_ATOM, rounding=ROUND_DOWN, context=CONTEXT)


def product(one: Decimal, other: Decimal) -> Decimal:
    """A price times a size, as the venue keeps it."""
    return cut(CONTEXT.multiply(one, other))


def amount(value: Decimal) -> str:
    return f"{cut(value):f}"


def number(value: float) -> str:
    """A figure of the market."""
    return amount(Decimal(repr(float(value))))

"""From what a strategy wrote to what an instrument allows: exact sizes, prices on the tick grid.

Quantities go down to the size step; limit prices go to the passive side; stops go to the side that
triggers later. Whatever that changes is reported in words.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Number, decimal_of, plain
from alphaweave.core.order import OrderType, Side, TimeInForce, Trail
from alphaweave.live.adapters.capabilities import Capabilities

__all__ = [
    "UNUSABLE",
    "Refused",
    "complaint",
    "limit_on_grid",
    "sized",
    "stop_on_grid",
    "trail_of",
    "units_on_grid",
    "whole_where_needed",
]


UNUSABLE = (TypeError, ValueError, ArithmeticError)
"""What a strategy's numbers may come to on their way to exact sizes and prices."""


# No venue trades what lies beyond; exact arithmetic would fail on it later, and say so less well.
_LARGEST = Decimal("1e18")
_TOUCHED = frozenset({OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT})


class Refused(Exception):
    """Carries a denial from where it is found to where the handle is made; never leaves the kernel."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


def complaint(error: Exception) -> str:
    """One of `UNUSABLE` in words."""
    # What decimal says of itself is no sentence.
    return "a number is too large or too small to trade" if isinstance(error, ArithmeticError) else str(error)


def sized(
    instrument: Instrument, size: Number | None, value: Number | None, adjustments: list[str]
) -> tuple[Side, Decimal | None, Decimal | None]:
    """Side, quantity and quote quantity of a signed size (units) or value (quote currency).

    Raises:
        Refused: both or neither is given, it is zero, or nothing is left of it after rounding.
        TypeError, ValueError: it is no finite number.
    """
    if (size is None) == (value is None):
        raise Refused("invalid_order", "give exactly one of size and value")
    if size is None:
        signed = _bounded(decimal_of(value))  # type: ignore[arg-type]
        if not signed:
            raise Refused("zero_size", "the value is zero")
        asked = abs(signed)
        amount = instrument.round_quote(asked)
        if not amount:
            raise Refused("below_size_step", f"{plain(asked)} is less than the smallest step of a value")
        if amount != asked:
            adjustments.append(f"value {plain(asked)} rounded down to {plain(amount)}")
        return (Side.BUY if signed > 0 else Side.SELL), None, amount
    signed = _bounded(decimal_of(size))
    if not signed:
        raise Refused("zero_size", "the size is zero")
    return (Side.BUY if signed > 0 else Side.SELL), units_on_grid(instrument, abs(signed), adjustments), None


def units_on_grid(instrument: Instrument, asked: Decimal, adjustments: list[str]) -> Decimal:
    """Unsigned units, rounded down to the size step.

    Raises:
        Refused: nothing is left of them.
    """
    quantity = instrument.round_size(asked)
    if not quantity:
        raise Refused(
            "below_size_step",
            f"{plain(asked)} is less than one size step of {plain(instrument.size_step)}",
        )
    if quantity != asked:
        adjustments.append(f"size {plain(asked)} rounded down to {plain(quantity)}")
    return quantity


def whole_where_needed(
    capabilities: Capabilities,
    quantity: Decimal,
    orders: Iterable[tuple[OrderType, TimeInForce]],
    adjustments: list[str],
    *,
    grouped: bool = False,
) -> Decimal:
    """A quantity cut to whole units where the broker takes no fraction of these orders.

    Raises:
        Refused: nothing is left of it.
    """
    part = quantity % 1
    if not part or (
        capabilities.fractional.issuperset(orders) and (capabilities.fractional_groups or not grouped)
    ):
        return quantity
    whole = quantity - part
    if not whole:
        raise Refused(
            "below_size_step",
            f"{plain(quantity)} is less than one unit, and this broker takes no fraction of it",
        )
    adjustments.append(
        f"size {plain(quantity)} rounded down to {plain(whole)}: this broker takes whole units"
    )
    return whole


def limit_on_grid(
    instrument: Instrument, price: Number | None, side: Side, adjustments: list[str]
) -> Decimal | None:
    """A limit price on the tick grid, on the passive side; None stays None."""
    if price is None:
        return None
    asked = _bounded(decimal_of(price))
    rounded = instrument.round_price(asked, side)
    return _reported("limit price", asked, rounded, adjustments)


def stop_on_grid(
    instrument: Instrument, price: Number | None, side: Side, kind: OrderType, adjustments: list[str]
) -> Decimal | None:
    """A stop price on the tick grid, on the side that triggers later; None stays None."""
    if price is None:
        return None
    asked = _bounded(decimal_of(price))
    # A take profit waits for the price to come from the other side.
    rounded = (instrument.round_price if kind in _TOUCHED else instrument.round_trigger)(asked, side)
    return _reported("stop price", asked, rounded, adjustments)


def trail_of(amount: Number | None, percent: Number | None) -> Trail:
    """A trail of exactly one of an amount and a percentage."""
    return Trail(
        None if amount is None else _bounded(decimal_of(amount)),
        None if percent is None else _bounded(decimal_of(percent)),
    )


def _bounded(price: Decimal) -> Decimal:
    if abs(price) > _LARGEST:
        raise ValueError(f"{price:.4g} is too large to trade")
    return price


def _reported(what: str, asked: Decimal, rounded: Decimal, adjustments: list[str]) -> Decimal:
    if rounded != asked:
        adjustments.append(f"{what} {plain(asked)} rounded to {plain(rounded)}")
    return rounded

"""Numbers as the gateway and its client library write them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

__all__ = ["exact", "plain"]

# "Not set" is the largest number of its type: of a double, of a 32-bit and of a 64-bit integer.
_UNSET: Final = frozenset({Decimal("1.7976931348623157E+308"), Decimal(2**31 - 1), Decimal(2**63 - 1)})


def exact(number: float | int | str | Decimal) -> Decimal | None:
    """The number as it was written, or None where it is not set.

    Raises:
        ValueError: it is no finite number.
    """
    # A float goes through its shortest text: Decimal(0.1) has 55 digits, and the wire had one.
    text = repr(number) if isinstance(number, float) else str(number)
    if not text.strip():
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
    if not value.is_finite():
        raise ValueError(f"{text!r} is not a finite number")
    return None if value in _UNSET else value


def plain(number: Decimal) -> str:
    """The number without an exponent, which gateways do not all read.

    Raises:
        ValueError: it is no finite number.
    """
    if not number.is_finite():
        raise ValueError(f"{number} is not a finite number")
    return format(number, "f")

"""Refusals of orders, cancels and changes, in AlphaWeave's words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from alphaweave.core.errors import OrderState
from alphaweave.core.order import RejectReason

__all__ = ["reject_reason", "state_after"]

_CODES: Final = {
    110: RejectReason.INVALID_PRICE,
    200: RejectReason.UNKNOWN_SYMBOL,
    203: RejectReason.ACCOUNT_BLOCKED,
    460: RejectReason.ACCOUNT_BLOCKED,
    10243: RejectReason.INVALID_SIZE,
    10289: RejectReason.UNSUPPORTED,
}
_WORDS: Final[Sequence[tuple[str, RejectReason]]] = (
    ("read-only", RejectReason.ACCOUNT_BLOCKED),
    ("size does not conform", RejectReason.INVALID_SIZE),
    ("minimum size", RejectReason.INVALID_SIZE),
    ("equity with loan", RejectReason.INSUFFICIENT_FUNDS),
    ("margin", RejectReason.INSUFFICIENT_FUNDS),
    ("available funds", RejectReason.INSUFFICIENT_FUNDS),
    ("insufficient", RejectReason.INSUFFICIENT_FUNDS),
    ("short", RejectReason.NOT_SHORTABLE),
    ("permission", RejectReason.ACCOUNT_BLOCKED),
    ("not allowed", RejectReason.ACCOUNT_BLOCKED),
    ("price", RejectReason.INVALID_PRICE),
    ("closed", RejectReason.MARKET_CLOSED),
    ("halted", RejectReason.MARKET_CLOSED),
)
_STATES: Final = {
    "filled": OrderState.GONE,
    "cancelled": OrderState.GONE,
    "apicancelled": OrderState.GONE,
    "presubmitted": OrderState.ALIVE,
    "submitted": OrderState.ALIVE,
    "pendingsubmit": OrderState.ALIVE,
}
_CHANGE_OF_A_FILLED: Final = 104


def reject_reason(code: int, text: str) -> RejectReason:
    """Why an order was refused: by its code, or by its text where one code says much."""
    known = _CODES.get(code)
    if known is not None:
        return known
    said = text.lower()
    return next((reason for words, reason in _WORDS if words in said), RejectReason.OTHER)


def state_after(code: int, text: str) -> OrderState:
    """What the text of a refused cancel or change says of the order: "..., state: Filled"."""
    found = re.search(r"state:\s*(\w+)", text, re.IGNORECASE)
    if found is not None:
        return _STATES.get(found[1].lower(), OrderState.UNKNOWN)
    return OrderState.GONE if code == _CHANGE_OF_A_FILLED else OrderState.UNKNOWN

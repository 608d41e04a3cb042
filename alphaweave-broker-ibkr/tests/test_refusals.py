"""Refusals in AlphaWeave's words."""

from __future__ import annotations

import pytest

from alphaweave.core.errors import OrderState
from alphaweave.core.order import RejectReason
from alphaweave_broker_ibkr.refusals import reject_reason, state_after


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (110, "The price does not conform to the minimum price variation.", RejectReason.INVALID_PRICE),
        (200, "No security definition has been found.", RejectReason.UNKNOWN_SYMBOL),
        (201, "Order rejected - reason:YOUR EQUITY WITH LOAN VALUE", RejectReason.INSUFFICIENT_FUNDS),
        (201, "Order rejected - reason:No shares to short.", RejectReason.NOT_SHORTABLE),
        (201, "Order rejected - reason:Exchange is closed.", RejectReason.MARKET_CLOSED),
        (203, "The security is not available for this account", RejectReason.ACCOUNT_BLOCKED),
        (321, "The API interface is currently in Read-Only mode.", RejectReason.ACCOUNT_BLOCKED),
        (321, "Order size does not conform to market rule", RejectReason.INVALID_SIZE),
        (10243, "Fractional-sized order cannot be placed via API", RejectReason.INVALID_SIZE),
        (10289, "You must set Cash Quantity", RejectReason.UNSUPPORTED),
        (103, "Duplicate order id", RejectReason.OTHER),
    ],
)
def test_refusal_has_a_reason(code: int, text: str, reason: RejectReason) -> None:
    """By its code, or by its text where one code says much."""
    assert reject_reason(code, text) is reason


@pytest.mark.parametrize(
    ("code", "text", "state"),
    [
        (10148, "OrderId 4 that needs to be cancelled cannot be cancelled, state: Filled.", OrderState.GONE),
        (10148, "cannot be cancelled, state: Cancelled.", OrderState.GONE),
        (10148, "cannot be cancelled, State:PreSubmitted", OrderState.ALIVE),
        (10148, "cannot be cancelled, state: PendingCancel.", OrderState.UNKNOWN),
        (10147, "OrderId 4 that needs to be cancelled is not found.", OrderState.UNKNOWN),
        (104, "Cannot modify a filled order.", OrderState.GONE),
    ],
)
def test_refusal_may_say_what_the_order_is(code: int, text: str, state: OrderState) -> None:
    """What is not said is not known."""
    assert state_after(code, text) is state

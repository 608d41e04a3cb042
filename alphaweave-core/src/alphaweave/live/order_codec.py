"""Order requests and changes as JSON values, digit for digit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from alphaweave.core.order import OrderChange, OrderRequest, OrderType, Side, TimeInForce, Trail

__all__ = ["change_from_state", "change_to_state", "request_from_state", "request_to_state"]


def request_to_state(request: OrderRequest) -> dict[str, Any]:
    """An order request as JSON values; sizes and prices as text that keeps every digit."""
    state: dict[str, Any] = {
        "symbol": request.symbol,
        "side": request.side.value,
        "type": request.type.value,
        "tif": request.tif.value,
    }
    for name in ("quantity", "quote_quantity", "limit_price", "stop_price"):
        value = getattr(request, name)
        if value is not None:
            state[name] = str(value)
    if request.trail is not None:
        amount, percent = request.trail.amount, request.trail.percent
        state["trail"] = {
            "amount": None if amount is None else str(amount),
            "percent": None if percent is None else str(percent),
        }
    if request.expire_at is not None:
        state["expire_at"] = request.expire_at.isoformat()
    for name in ("post_only", "reduce_only", "extended_hours"):
        if getattr(request, name):
            state[name] = True
    return state


def request_from_state(state: Mapping[str, Any]) -> OrderRequest:
    """The inverse of `request_to_state`."""

    trail = state.get("trail")
    expire_at = state.get("expire_at")
    return OrderRequest(
        symbol=state["symbol"],
        side=Side(state["side"]),
        type=OrderType(state["type"]),
        tif=TimeInForce(state["tif"]),
        quantity=_amount(state.get("quantity")),
        quote_quantity=_amount(state.get("quote_quantity")),
        limit_price=_amount(state.get("limit_price")),
        stop_price=_amount(state.get("stop_price")),
        trail=None if trail is None else Trail(_amount(trail["amount"]), _amount(trail["percent"])),
        expire_at=None if expire_at is None else datetime.fromisoformat(expire_at),
        post_only=state.get("post_only", False),
        reduce_only=state.get("reduce_only", False),
        extended_hours=state.get("extended_hours", False),
    )


def change_to_state(change: OrderChange) -> dict[str, Any]:
    trail = change.trail
    return {
        "quantity": _text(change.quantity),
        "limit_price": _text(change.limit_price),
        "stop_price": _text(change.stop_price),
        "trail": None if trail is None else [_text(trail.amount), _text(trail.percent)],
    }


def change_from_state(entry: Mapping[str, Any]) -> OrderChange:
    trail = entry["trail"]
    return OrderChange(
        quantity=_amount(entry["quantity"]),
        limit_price=_amount(entry["limit_price"]),
        stop_price=_amount(entry["stop_price"]),
        trail=None if trail is None else Trail(_amount(trail[0]), _amount(trail[1])),
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)

"""A message of the ``trade_updates`` stream."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from alphaweave.core.money import plain
from alphaweave_broker_alpaca.sandbox.orders import Execution, Order, stamp

__all__ = ["trade_update"]


def trade_update(order: Order, event: str, execution: Execution | None = None) -> dict[str, Any]:
    """What the stream says of ``order`` as it stands.

    Price and size are those of this one execution. An event without one bears an ``execution_id`` all the
    same, which is nobody's.
    """
    at = stamp(order.updated_at if execution is None else execution.at)
    told = order.wire()
    told["cancel_requested_at"] = at if event == "pending_cancel" else None
    if event.startswith("pending_"):
        told["status"] = event
    data: dict[str, Any] = {
        "event": event,
        "timestamp": at,
        "at": at,
        "event_id": uuid4().hex.upper()[:26],
        "execution_id": str(uuid4()) if execution is None else execution.id,
        "order": told,
    }
    if execution is not None:
        data["price"], data["qty"] = plain(execution.price), plain(execution.qty)
        data["position_qty"] = plain(execution.position)
    return {"stream": "trade_updates", "data": data}

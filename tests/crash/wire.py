"""What the two processes say to each other: one JSON document a line, over loopback."""

from __future__ import annotations

import json
from typing import Any

from alphaweave.core.errors import (
    BrokerError,
    CancelRejected,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    ReplaceRejected,
)
from alphaweave.core.order import RejectReason
from alphaweave.live.input_codec import from_document, to_document

__all__ = ["LIMIT", "error_document", "error_of", "line", "pack", "read", "unpack"]

LIMIT = 1 << 24
"""The longest line: every execution of a long batch."""


def line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def read(raw: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(raw)
    return found


def error_document(error: BrokerError) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": type(error).__name__, "text": str(error), "code": error.code}
    if isinstance(error, OrderRejected):
        facts["reason"] = error.reason.value
    if isinstance(error, CancelRejected | ReplaceRejected):
        facts["order_state"] = error.order_state.value
    return facts


def error_of(facts: dict[str, Any]) -> BrokerError:
    text, code = facts["text"], facts["code"]
    match facts["kind"]:
        case "OrderRejected":
            return OrderRejected(text, reason=RejectReason(facts["reason"]), code=code)
        case "CancelRejected":
            return CancelRejected(text, order_state=OrderState(facts["order_state"]), code=code)
        case "ReplaceRejected":
            return ReplaceRejected(text, order_state=OrderState(facts["order_state"]), code=code)
    return OutcomeUnknown(text, code=code)


def pack(*values: Any) -> list[Any]:
    return [to_document(value) for value in values]


def unpack(documents: list[Any]) -> list[Any]:
    return [from_document(document) for document in documents]

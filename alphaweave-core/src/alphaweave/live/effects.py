"""What the kernel wants done: the only way anything leaves it."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest
from alphaweave.monitoring.monitor import Alert, OrderRecord, TradeRecord

__all__ = [
    "CancelOrder",
    "Effect",
    "MetricRecord",
    "Note",
    "ReplaceOrder",
    "SubmitGroup",
    "SubmitOrder",
]


@frozen
class SubmitOrder:
    ref: OrderRef
    request: OrderRequest


@frozen
class SubmitGroup:
    """``refs`` are in the order of ``group.legs``."""

    refs: tuple[OrderRef, ...]
    group: OrderGroup


@frozen
class CancelOrder:
    ref: OrderRef


@frozen
class ReplaceOrder:
    ref: OrderRef
    new_ref: OrderRef
    change: OrderChange


Effect = SubmitOrder | SubmitGroup | CancelOrder | ReplaceOrder


@frozen
class MetricRecord:
    """A value that the strategy logged."""

    name: str
    value: float
    timestamp: datetime


Note = TradeRecord | OrderRecord | MetricRecord | Alert
"""What monitors are told; it has no influence on the run."""

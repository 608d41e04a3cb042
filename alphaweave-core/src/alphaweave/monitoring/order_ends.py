"""What became of the orders of a run that did not simply fill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from attrs import frozen

from alphaweave.monitoring.monitor import OrderRecord

__all__ = ["OrderEnds"]

_ENDS = ("rejected", "denied", "cancelled", "expired")


@frozen
class OrderEnds:
    """Orders by how they ended, each counted once.

    Attributes:
        rejected: refused by the broker.
        denied: refused by the run's own checks; they never were orders.
        cancelled: taken back, by whomever; a part may have filled.
        expired: out of time; a part may have filled.
        reasons: how they ended -> reason code -> number, the most frequent first.
    """

    rejected: int
    denied: int
    cancelled: int
    expired: int
    reasons: Mapping[str, Mapping[str, int]]

    @classmethod
    def of(cls, orders: Iterable[OrderRecord]) -> OrderEnds:
        """Count the records of a run."""
        last: dict[str, tuple[str, str | None]] = {}
        for record in orders:
            if record.status in _ENDS:
                last[record.order_id] = (record.status, record.reason)
            elif last:
                # An end may be taken back: fills came late, or were corrected.
                last.pop(record.order_id, None)
        totals = Counter(status for status, _ in last.values())
        reasons: dict[str, dict[str, int]] = {}
        for (status, reason), count in Counter(last.values()).most_common():
            if reason is not None:
                reasons.setdefault(status, {})[reason] = count
        return cls(**{name: totals[name] for name in _ENDS}, reasons=reasons)

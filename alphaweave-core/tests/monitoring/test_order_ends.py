"""What became of orders: each counted once, by the last that was heard of it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from alphaweave.monitoring.monitor import OrderRecord
from alphaweave.monitoring.order_ends import OrderEnds


def record(order_id: str, status: str, reason: str | None = None) -> OrderRecord:
    return OrderRecord(
        datetime(2024, 1, 1, tzinfo=UTC),
        order_id,
        "SPY",
        "buy",
        "market",
        "day",
        status,
        Decimal(1),
        Decimal(0),
        reason=reason,
    )


def test_orders_are_counted_by_how_they_ended() -> None:
    """An end that is told twice counts once, and one that was taken back not at all."""
    told = [
        record("a", "accepted"),
        record("a", "filled"),
        record("b", "rejected", "no_funds"),
        record("c", "rejected", "no_funds"),
        record("d", "rejected", "closed"),
        record("e", "denied", "max_order"),
        record("f", "cancelled"),
        record("f", "cancelled"),
        record("g", "expired", "day_ended"),
        record("h", "cancelled"),
        record("h", "filled"),
    ]
    ends = OrderEnds.of(told)
    assert (ends.rejected, ends.denied, ends.cancelled, ends.expired) == (3, 1, 1, 1)
    assert list(ends.reasons["rejected"].items()) == [("no_funds", 2), ("closed", 1)]
    assert ends.reasons == {
        "rejected": {"no_funds": 2, "closed": 1},
        "denied": {"max_order": 1},
        "expired": {"day_ended": 1},
    }
    assert OrderEnds.of(()) == OrderEnds(0, 0, 0, 0, {})

"""What the request limits leave room for."""

from __future__ import annotations

import pytest

from alphaweave.live.adapters.rate_budget import Use
from alphaweave_broker_binance.limits import Limits

SECOND = 1_000_000_000


def rules(weight: int, orders: int) -> list[dict[str, object]]:
    return [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": orders},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
    ]


def limits(weight: int = 100, orders: int = 2) -> Limits:
    made = Limits()
    made.learn(rules(weight, orders), 0)
    return made


def test_queries_leave_weight_for_orders_and_orders_for_cancels() -> None:
    """Of a hundred, five are for cancels alone, and ten more for orders and cancels."""
    one = limits(orders=50)
    assert one.take(0, Use.QUERY, 85) == 0
    assert one.take(0, Use.QUERY, 1) == pytest.approx(61)
    assert one.take(0, Use.ORDER, 10, 1) == 0
    assert one.take(0, Use.ORDER, 1, 1) > 0
    assert one.take(0, Use.CANCEL, 5) == 0
    assert one.take(0, Use.CANCEL, 1) > 0
    assert one.take(61 * SECOND, Use.QUERY, 85) == 0


def test_orders_are_counted_and_cancels_are_not() -> None:
    """A list counts as many as it places."""
    one = limits(orders=3)
    assert one.take(0, Use.ORDER, 1, 2) == 0
    # Ten seconds, and one in which the first may be under way for longer.
    assert one.take(0, Use.ORDER, 1, 2) == pytest.approx(11)
    assert one.take(0, Use.CANCEL, 1) == 0
    assert one.take(11 * SECOND, Use.ORDER, 1, 2) == 0


def test_stretch_lasts_a_second_longer_than_binances() -> None:
    """It counts what arrives: a slow order, and a quick one of the next stretch, come together."""
    one = limits(orders=1)
    assert one.take(0, Use.ORDER, 1, 1) == 0
    assert one.take(10 * SECOND, Use.ORDER, 1, 1) == pytest.approx(1)
    assert one.take(11 * SECOND, Use.ORDER, 1, 1) == 0


def test_what_others_used_is_heard() -> None:
    """The weight is of the address, and others may share it."""
    one = limits()
    one.report(0, {"x-mbx-used-weight-1m": "84", "X-MBX-ORDER-COUNT-10S": "2", "Date": "today"})
    assert one.used == (84, 100)
    assert one.take(0, Use.QUERY, 2) > 0
    assert one.take(0, Use.ORDER, 1, 1) > 0
    assert one.take(0, Use.CANCEL, 1) == 0


def test_too_many_orders_leave_cancels_and_questions_alone() -> None:
    """A refusal for the count of orders is no refusal of the address."""
    one = limits()
    one.bar(0, 5, orders_only=True)
    assert one.take(0, Use.ORDER, 1, 1) == pytest.approx(5)
    assert one.take(0, Use.CANCEL, 1) == 0
    assert one.take(0, Use.QUERY, 1) == 0


def test_too_much_weight_stops_everything() -> None:
    """Whoever goes on, with a cancel even, is banned."""
    one = limits()
    one.bar(0, 5, orders_only=False)
    for use in Use:
        assert one.take(0, use, 1) == pytest.approx(5)
    assert one.take(5 * SECOND, Use.CANCEL, 1) == 0


def test_new_rules_keep_what_was_used() -> None:
    """The limits that Binance tells hold from then on."""
    one = limits()
    one.report(0, {"X-MBX-USED-WEIGHT-1M": "50"})
    one.learn(rules(60, 2), 0)
    assert one.take(0, Use.QUERY, 4) > 0
    assert one.take(0, Use.QUERY, 1) == 0


def test_request_heavier_than_its_share_is_sent_at_some_time() -> None:
    """A question about all orders fits where a minute has little more than that."""
    one = limits(weight=90)
    assert one.take(0, Use.QUERY, 80) == 0
    assert one.take(0, Use.QUERY, 80) > 0

"""Which bars an order can match in, and how long it works (docs/simulation.md, sections 4 and 7)."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.sim.market import Market

QUIET = (100.0, 100.0, 100.0, 100.0)
HOUR = 3_600_000_000_000
DAY = 24 * HOUR
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("latency", "fill"),
    [
        (0, "101"),  # bar 1 starts at the very instant of the order
        (1, "102"),
        (DAY, "102"),
        (DAY + 1, "103"),
        (2 * DAY, "103"),
    ],
)
@pytest.mark.parametrize("terms", [{}, {"tif": "day"}, {"tif": "ioc"}, {"expire": 9 * DAY}])
def test_order_matches_in_the_first_bar_that_starts_late_enough(
    rig: Any, latency: int, fill: str, terms: Any
) -> None:
    """That bar is a day order's day, and the one chance of an order that has one."""
    bars = [QUIET, *((price, price, price, price) for price in (101.0, 102.0, 103.0))]
    sim = rig(bars, latency_ns=latency)
    sim.buy("a", **terms)
    assert sim.run() == ["a accepted", f"a buy 10 @ {fill}", "a filled"]


@pytest.mark.parametrize(
    ("delay", "fill"),
    [
        (0, "101"),
        (1, "102"),  # bar 1 is under way already
        (-HOUR, "101"),  # the venue's time does not go back
    ],
)
def test_order_that_arrives_within_a_bar_waits_for_the_next(rig: Any, delay: int, fill: str) -> None:
    sim = rig([QUIET, *((price, price, price, price) for price in (101.0, 102.0))])
    sim.now += delay
    sim.buy("a")
    assert sim.run() == ["a accepted", f"a buy 10 @ {fill}", "a filled"]


@pytest.mark.parametrize(
    ("latency", "fill"),
    [
        (0, "101"),  # the next tick, never the one that it was decided on
        (SECOND - 1, "101"),
        (SECOND, "102"),  # a tick at that very instant is too early
        (SECOND + 1, "102"),
    ],
)
def test_order_decided_on_a_tick_matches_at_a_later_one(rig: Any, latency: int, fill: str) -> None:
    ticks = [(price, price, price, price) for price in (100.0, 101.0, 102.0, 103.0)]
    sim = rig(ticks, interval="tick", latency_ns=latency)
    sim.buy("a")
    assert sim.run() == ["a accepted", f"a buy 10 @ {fill}", "a filled"]


def test_ticks_trigger_stops_and_fill_limits_at_their_price(rig: Any) -> None:
    ticks = [(price, price, price, price) for price in (100.0, 100.5, 101.5, 98.0)]
    sim = rig(ticks, interval="tick")
    sim.buy("s", stop=101)
    sim.buy("l", limit=99)
    assert sim.run() == [
        "s accepted",
        "l accepted",
        "s buy 10 @ 101.5",
        "s filled",
        "l buy 10 @ 98",
        "l filled",
    ]


def test_tick_at_the_instant_of_the_order_is_met_only_if_it_is_later(rig: Any) -> None:
    """Submitted at second 1 exactly when the tick of second 1 has not been met: it is met, and too early."""
    ticks = [(price, price, price, price) for price in (100.0, 101.0, 102.0)]
    sim = rig(ticks, interval="tick")
    sim.now += SECOND
    sim.buy("a")
    assert sim.run() == ["a accepted", "a buy 10 @ 102", "a filled"]


@pytest.mark.parametrize(
    ("bars", "lines"),
    [
        # no bar in slice 1
        ([None, (101.0, 101.0, 101.0, 101.0)], ["a buy 10 @ 101", "a filled"]),
        ([None, None, (102.0, 102.0, 102.0, 102.0)], ["a buy 10 @ 102", "a filled"]),
        ([None, None], []),
    ],
)
def test_slice_without_a_bar_leaves_orders_alone(rig: Any, bars: Any, lines: list[str]) -> None:
    sim = rig({"A": [QUIET, *bars], "B": [QUIET] * (len(bars) + 1)})
    sim.buy("a", tif="day")
    assert sim.run() == ["a accepted", *lines]


def test_order_meets_a_bar_once_though_the_slice_is_matched_again(rig: Any) -> None:
    """A second call for the same bars gives no second share of volume and moves no trail into a trigger."""
    sim = rig([QUIET, (100.0, 104.0, 99.0, 103.0, 50.0)], volume_share=Decimal("0.1"))
    sim.buy("a", 20)
    sim.sell("t", trail="2", reduce_only=True)
    sim.run()
    sim.venue.on_slice(sim.now)
    assert sim.told() == []
    assert [str(order.filled) for order in sim.venue.open_orders()] == ["5", "0"]


@pytest.mark.parametrize(
    ("expire", "lines"),
    [
        (0, ["a expired expire_at"]),
        (DAY, ["a expired expire_at"]),  # bar 1 starts at day 1
        (DAY + 1000, ["a buy 10 @ 101", "a filled"]),
        (2 * DAY, ["a buy 10 @ 101", "a filled"]),
    ],
)
def test_gtd_order_ends_with_the_first_bar_that_starts_at_its_expiry(
    rig: Any, expire: int, lines: list[str]
) -> None:
    sim = rig([QUIET, (101.0, 101.0, 101.0, 101.0)])
    sim.buy("a", expire=expire)
    assert sim.run() == ["a accepted", *lines]


def test_gtd_order_expires_in_a_bar_too_early_to_match(rig: Any) -> None:
    sim = rig([QUIET, QUIET, QUIET], latency_ns=5 * DAY)
    sim.buy("a", expire=DAY)
    assert sim.run(1) == ["a accepted", "a expired expire_at"]


@pytest.mark.parametrize(
    ("interval", "shown", "slices", "lines"),
    [
        # daily: bar 1 is its only one
        ("1d", 1, 1, []),
        ("1d", 1, 2, ["a expired day_ended"]),
        # six hours: bars 0-3 are day 0, 4-7 day 1. Placed after bar 0, it works to bar 3
        ("6h", 1, 3, []),
        ("6h", 1, 4, ["a expired day_ended"]),
        # placed after bar 3, the last of day 0, it belongs to day 1
        ("6h", 4, 4, []),
        ("6h", 4, 5, ["a expired day_ended"]),
    ],
)
def test_day_order_ends_when_a_later_session_begins(
    rig: Any, interval: str, shown: int, slices: int, lines: list[str]
) -> None:
    sim = rig([QUIET] * 12, interval=interval, shown=shown)
    sim.buy("a", limit=90, tif="day")
    sim.told()
    assert sim.run(slices) == lines


def test_day_order_expires_before_it_could_match_in_the_next_session(rig: Any) -> None:
    sim = rig([QUIET, QUIET, (89.0, 89.0, 89.0, 89.0)])
    sim.buy("a", limit=90, tif="day")
    assert sim.run() == ["a accepted", "a expired day_ended"]


@pytest.mark.parametrize(
    ("zone", "slices", "lines"),
    [
        # hours of 1 January, placed after the first. UTC: bar 23 ends with the day, bar 24 is in the next
        ("UTC", 23, []),
        ("UTC", 24, ["a expired day_ended"]),
        # New York is at UTC−5: bar 4 ends at its midnight
        ("America/New_York", 4, []),
        ("America/New_York", 5, ["a expired day_ended"]),
        # Tokyo is at UTC+9: bar 14 does
        ("Asia/Tokyo", 14, []),
        ("Asia/Tokyo", 15, ["a expired day_ended"]),
    ],
)
def test_sessions_are_days_of_the_session_time_zone(
    rig: Any, zone: str, slices: int, lines: list[str]
) -> None:
    sim = rig([QUIET] * 30, interval="1h", session_timezone=zone)
    sim.buy("a", limit=90, tif="day")
    sim.told()
    assert sim.run(slices) == lines


@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC"])
@pytest.mark.parametrize(
    ("end", "date"),
    [(1, (1970, 1, 1)), (DAY, (1970, 1, 1)), (DAY + 1, (1970, 1, 2)), (20_000 * DAY, (2024, 10, 3))],
)
def test_session_is_the_date_just_before_the_end(zone: str, end: int, date: tuple[int, int, int]) -> None:
    assert Market({}, zone).session(end) == datetime.date(*date).toordinal()


@pytest.mark.parametrize(
    ("terms", "bar", "lines"),
    [
        ({}, (100.0, 101.0, 99.0, 100.0, 1000.0), ["a buy 10 @ 100", "a filled"]),
        (
            {},
            (100.0, 101.0, 99.0, 100.0, 40.0),
            ["a buy 4 @ 100", "a partially_filled", "a expired ioc_remainder"],
        ),
        ({}, (100.0, 101.0, 99.0, 100.0, 0.0), ["a expired ioc_remainder"]),
        ({"limit": 100}, (100.0, 101.0, 99.0, 100.0, 1000.0), ["a buy 10 @ 100", "a filled"]),
        (
            {"limit": 102},
            (100.0, 101.0, 99.0, 100.0, 40.0),
            ["a buy 4 @ 100", "a partially_filled", "a expired ioc_remainder"],
        ),
        # only the open counts, though the bar comes down to the limit
        ({"limit": 99.5}, (100.0, 101.0, 99.0, 100.0, 1000.0), ["a expired ioc_remainder"]),
    ],
)
def test_ioc_order_takes_what_the_open_gives(rig: Any, terms: Any, bar: Any, lines: list[str]) -> None:
    sim = rig([QUIET, bar, QUIET], volume_share=Decimal("0.1"))
    sim.buy("a", tif="ioc", **terms)
    assert sim.run() == ["a accepted", *lines]


@pytest.mark.parametrize(
    ("terms", "bar", "lines"),
    [
        ({}, (100.0, 101.0, 99.0, 100.0, 100.0), ["a buy 10 @ 100", "a filled"]),
        ({}, (100.0, 101.0, 99.0, 100.0, 99.0), ["a expired fok_not_filled"]),
        ({"limit": 100}, (100.0, 101.0, 99.0, 100.0, 100.0), ["a buy 10 @ 100", "a filled"]),
        ({"limit": 99.5}, (100.0, 101.0, 99.0, 100.0, 100.0), ["a expired fok_not_filled"]),
        # nothing to reduce; less to reduce than it wants
        ({"reduce_only": True}, (100.0, 101.0, 99.0, 100.0, 100.0), ["a cancelled reduce_only"]),
    ],
)
def test_fok_order_fills_at_the_open_as_a_whole_or_not(
    rig: Any, terms: Any, bar: Any, lines: list[str]
) -> None:
    sim = rig([QUIET, bar, QUIET], volume_share=Decimal("0.1"))
    sim.buy("a", tif="fok", **terms)
    assert sim.run() == ["a accepted", *lines]


def test_fok_order_waits_for_the_first_bar_it_can_match_in(rig: Any) -> None:
    sim = rig([QUIET, QUIET, (102.0, 102.0, 102.0, 102.0)], latency_ns=1)
    sim.buy("a", tif="fok")
    assert sim.run() == ["a accepted", "a buy 10 @ 102", "a filled"]


@pytest.mark.parametrize(
    ("interval", "shown", "latency", "terms", "slices", "lines"),
    [
        ("1d", 1, 0, {}, 1, ["a buy 10 @ 101", "a filled"]),
        # six hours: after bar 0 or 1, day 1 begins with bar 4
        ("6h", 1, 0, {}, 3, []),
        ("6h", 1, 0, {}, 4, ["a buy 10 @ 104", "a filled"]),
        ("6h", 2, 0, {}, 2, []),
        ("6h", 2, 0, {}, 3, ["a buy 10 @ 104", "a filled"]),
        # after bar 3, bar 4 is the next
        ("6h", 4, 0, {}, 1, ["a buy 10 @ 104", "a filled"]),
        ("6h", 4, 0, {"limit": 104}, 1, ["a buy 10 @ 104", "a filled"]),
        ("6h", 4, 0, {"limit": 103}, 1, ["a expired auction_ended"]),
        # too late for that open, it waits for the one of day 2: bar 8
        ("6h", 4, 1, {}, 4, []),
        ("6h", 4, 1, {}, 5, ["a buy 10 @ 108", "a filled"]),
        # before any bar: the first one is taken for an open
        ("6h", 0, 0, {}, 1, ["a buy 10 @ 100", "a filled"]),
    ],
)
def test_at_open_order_fills_at_the_open_of_the_next_session(
    rig: Any, interval: str, shown: int, latency: int, terms: Any, slices: int, lines: list[str]
) -> None:
    bars = [(100.0 + i, 100.5 + i, 99.0 + i, 100.0 + i) for i in range(12)]
    sim = rig(bars, interval=interval, shown=shown, latency_ns=latency)
    sim.buy("a", tif="at_open", **terms)
    assert sim.run(slices) == ["a accepted", *lines]


def test_auction_leaves_no_remainder(rig: Any) -> None:
    sim = rig([QUIET, (100.0, 101.0, 99.0, 100.5, 40.0), QUIET], volume_share=Decimal("0.1"))
    sim.buy("o", tif="at_open", size=3)
    sim.buy("c", tif="at_close")
    assert sim.run()[2:] == [
        "o buy 3 @ 100",
        "o filled",
        "c buy 1 @ 100.5",
        "c partially_filled",
        "c expired auction_ended",
    ]


@pytest.mark.parametrize(
    ("side", "terms", "lines"),
    [
        ("buy", {}, ["a buy 10 @ 102.5", "a filled"]),
        ("buy", {"limit": 102.5}, ["a buy 10 @ 102.5", "a filled"]),
        ("buy", {"limit": 102}, ["a expired auction_ended"]),
        ("sell", {"limit": 102.5}, ["a sell 10 @ 102.5", "a filled"]),
        ("sell", {"limit": 103}, ["a expired auction_ended"]),
    ],
)
def test_at_close_order_fills_at_the_close_of_a_daily_bar(
    rig: Any, side: str, terms: Any, lines: list[str]
) -> None:
    sim = rig([QUIET, (101.0, 104.0, 100.0, 102.5), QUIET])
    sim.order("a", side, tif="at_close", **terms)
    assert sim.run() == ["a accepted", *lines]


@pytest.mark.parametrize(
    ("interval", "terms", "answer"),
    [
        ("1d", {"tif": "at_close"}, "accepted"),
        ("6h", {"tif": "at_close"}, "rejected unsupported_interval"),
        ("tick", {"tif": "at_close", "limit": 99}, "rejected unsupported_interval"),
        ("1d", {"tif": "ioc", "stop": 101}, "rejected unsupported_tif"),
        ("1d", {"tif": "fok", "stop": 101, "limit": 102}, "rejected unsupported_tif"),
        ("1d", {"tif": "at_open", "trail": "2"}, "rejected unsupported_tif"),
        ("1d", {"tif": "at_close", "stop": 101}, "rejected unsupported_tif"),
        ("1d", {"tif": "ioc", "limit": 90, "post_only": True}, "rejected unsupported_order"),
        ("1d", {"post_only": True}, "rejected unsupported_order"),
        ("1d", {"stop": 101, "limit": 102, "post_only": True}, "rejected unsupported_order"),
        ("1d", {"quote": 500, "limit": 99}, "rejected unsupported_order"),
        ("1d", {"quote": 500}, "accepted"),
        ("1d", {"extended_hours": True}, "accepted"),
    ],
)
def test_terms_that_the_venue_cannot_honour_are_refused(
    rig: Any, interval: str, terms: Any, answer: str
) -> None:
    sim = rig([QUIET] * 2, interval=interval)
    sim.buy("a", **terms)
    assert sim.told() == [f"a {answer}"]


def test_order_of_an_unknown_symbol_or_currency_is_refused(rig: Any) -> None:
    sim = rig({"A": [QUIET], "B": [QUIET]}, rules={"B": {"settle": "EUR", "quote": "EUR"}})
    sim.buy("a", symbol="C")
    sim.buy("b", symbol="B")
    sim.buy("c", symbol="A")
    assert sim.told() == ["a rejected unknown_symbol", "b rejected unsupported_currency", "c accepted"]


def test_at_close_order_of_a_symbol_without_a_series_is_refused(rig: Any) -> None:
    sim = rig([QUIET])
    sim.venue.board = {}
    sim.buy("a", tif="at_close")
    sim.buy("b")
    assert sim.told() == ["a rejected unsupported_interval", "b accepted"]

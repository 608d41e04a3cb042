"""Where each type of order is filled in one bar (docs/simulation.md, sections 5 and 9).

Bar 0 is known when the order is placed; its close is 100. Every figure is worked by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.instrument import PriceStep
from alphaweave.sim.costs import SlippageModel

QUIET = (100.0, 100.0, 100.0, 100.0)


def one_bar(
    rig: Callable[..., Any], bar: tuple[float, ...], side: str, terms: dict[str, Any], **settings: Any
) -> str:
    sim = rig([QUIET, bar], **settings)
    sim.order("a", side, **terms)
    assert sim.told() == ["a accepted"]
    lines = sim.run()
    if not lines:
        return "rests"
    assert lines[1:] == ["a filled"]
    return str(lines[0].split(" @ ")[1])


@pytest.mark.parametrize(
    ("side", "bar", "price"),
    [
        ("buy", (101.0, 103.0, 99.0, 102.0), "101"),
        ("sell", (101.0, 103.0, 99.0, 102.0), "101"),
        ("buy", (97.5, 98.0, 97.0, 97.2), "97.5"),
        ("sell", (97.5, 98.0, 97.0, 97.2), "97.5"),
        # off the tick grid of 0.01: as recorded
        ("buy", (100.12345, 100.2, 100.1, 100.2), "100.12345"),
    ],
)
def test_market_order_fills_at_the_next_open(rig: Any, side: str, bar: Any, price: str) -> None:
    assert one_bar(rig, bar, side, {}) == price


@pytest.mark.parametrize(
    ("side", "limit", "bar", "price"),
    [
        ("buy", 99, (100.0, 101.0, 98.5, 100.0), "99"),
        ("buy", 99, (100.0, 101.0, 99.0, 100.0), "99"),  # touched
        ("buy", 99, (100.0, 101.0, 99.01, 100.0), "rests"),
        ("buy", 99, (98.0, 99.5, 97.0, 99.0), "98"),  # a gap through it
        ("buy", 99, (99.0, 99.5, 97.0, 99.0), "99"),  # opens at it
        ("sell", 101, (100.0, 101.5, 99.0, 100.0), "101"),
        ("sell", 101, (100.0, 101.0, 99.0, 100.0), "101"),
        ("sell", 101, (100.0, 100.99, 99.0, 100.0), "rests"),
        ("sell", 101, (102.0, 103.0, 100.0, 101.0), "102"),
        # 0.1 + 0.2 is recorded as 0.30000000000000004, which is above 0.3
        ("buy", "0.3", (0.4, 0.5, 0.1 + 0.2, 0.4), "rests"),
        ("buy", "0.3", (0.4, 0.5, 0.3, 0.4), "0.3"),
        # the same float, but the limit has more digits than it can hold
        ("buy", "0.29999999999999999", (0.4, 0.5, 0.3, 0.4), "rests"),
        ("sell", "0.30000000000000001", (0.2, 0.3, 0.1, 0.2), "rests"),
    ],
)
def test_limit_order_fills_at_its_limit_or_at_a_better_open(
    rig: Any, side: str, limit: Any, bar: Any, price: str
) -> None:
    assert one_bar(rig, bar, side, {"limit": limit}, cash="1000000") == price


@pytest.mark.parametrize(
    ("side", "limit", "bar", "price"),
    [
        ("buy", 99, (98.0, 98.5, 97.0, 98.0), "99"),  # the whole bar lies below its limit
        ("buy", 99, (100.0, 101.0, 98.0, 100.0), "99"),
        ("buy", 99, (100.0, 101.0, 99.5, 100.0), "rests"),
        ("sell", 101, (103.0, 104.0, 102.0, 103.0), "101"),
        ("sell", 101, (100.0, 101.0, 99.0, 100.0), "101"),
    ],
)
def test_order_without_gap_improvement_only_ever_gets_its_limit(
    rig: Any, side: str, limit: Any, bar: Any, price: str
) -> None:
    assert one_bar(rig, bar, side, {"limit": limit, "post_only": True}) == price
    assert one_bar(rig, bar, side, {"limit": limit}, limit_fill="limit") == price


@pytest.mark.parametrize(
    ("side", "limit", "answer"),
    [
        ("buy", 99.99, "a accepted"),
        ("buy", 100, "a rejected post_only_would_cross"),
        ("buy", 101, "a rejected post_only_would_cross"),
        ("sell", 100.01, "a accepted"),
        ("sell", 100, "a rejected post_only_would_cross"),
        ("sell", 99, "a rejected post_only_would_cross"),
    ],
)
def test_post_only_order_that_crosses_the_last_price_is_refused(
    rig: Any, side: str, limit: Any, answer: str
) -> None:
    sim = rig([QUIET, QUIET])
    sim.order("a", side, limit=limit, post_only=True)
    assert sim.told() == [answer]


def test_post_only_order_cannot_cross_a_price_that_is_not_known(rig: Any) -> None:
    sim = rig([QUIET], shown=0)
    sim.buy("a", limit=105, post_only=True)
    assert sim.run() == ["a accepted", "a buy 10 @ 105", "a filled"]


@pytest.mark.parametrize(
    ("side", "stop", "bar", "price"),
    [
        ("buy", 102, (100.0, 103.0, 99.0, 101.0), "102"),
        ("buy", 102, (100.0, 102.0, 99.0, 101.0), "102"),
        ("buy", 102, (100.0, 101.99, 99.0, 101.0), "rests"),
        ("buy", 102, (104.0, 105.0, 103.0, 104.0), "104"),  # a gap through it
        ("buy", 102, (102.0, 105.0, 101.0, 104.0), "102"),
        ("sell", 98, (100.0, 101.0, 97.0, 99.0), "98"),
        ("sell", 98, (100.0, 101.0, 98.0, 99.0), "98"),
        ("sell", 98, (100.0, 101.0, 98.01, 99.0), "rests"),
        ("sell", 98, (95.0, 96.0, 94.0, 95.0), "95"),
    ],
)
def test_stop_order_fills_at_its_stop_or_at_a_worse_open(
    rig: Any, side: str, stop: Any, bar: Any, price: str
) -> None:
    assert one_bar(rig, bar, side, {"stop": stop}) == price


@pytest.mark.parametrize(
    ("side", "stop", "limit", "bar", "price"),
    [
        # triggered at the open: from there it is a limit order
        ("buy", 102, 103, (102.5, 104.0, 102.0, 103.0), "102.5"),
        ("buy", 102, 103, (104.0, 105.0, 102.5, 104.0), "103"),
        ("buy", 102, 103, (104.0, 105.0, 103.5, 104.0), "rests"),
        ("sell", 98, 97, (97.5, 98.0, 96.0, 97.0), "97.5"),
        ("sell", 98, 97, (96.0, 97.5, 95.0, 96.0), "97"),
        ("sell", 98, 97, (96.0, 96.5, 95.0, 96.0), "rests"),
        # opening at the stop is triggering at the open
        ("buy", 102, 101, (102.0, 103.0, 100.5, 102.0), "101"),
        ("sell", 98, 99, (98.0, 99.5, 97.0, 98.0), "99"),
        # triggered inside: only a limit that the stop satisfies is sure
        ("buy", 102, 103, (100.0, 104.0, 99.0, 101.0), "102"),
        ("buy", 102, 102, (100.0, 102.0, 99.0, 101.0), "102"),
        ("buy", 102, 101, (100.0, 104.0, 99.0, 101.0), "rests"),
        ("sell", 98, 97, (100.0, 101.0, 96.0, 99.0), "98"),
        ("sell", 98, 98, (100.0, 101.0, 98.0, 99.0), "98"),
        ("sell", 98, 99, (100.0, 101.0, 96.0, 99.0), "rests"),
        # not triggered
        ("buy", 102, 103, (100.0, 101.5, 99.0, 101.0), "rests"),
        ("sell", 98, 97, (100.0, 101.5, 98.5, 101.0), "rests"),
    ],
)
def test_stop_limit_order_never_fills_beyond_its_limit(
    rig: Any, side: str, stop: Any, limit: Any, bar: Any, price: str
) -> None:
    assert one_bar(rig, bar, side, {"stop": stop, "limit": limit}) == price


@pytest.mark.parametrize(
    ("side", "stop", "limit", "bars", "fill"),
    [
        # triggered inside bar 1 without a fill, then a plain limit order
        ("buy", 102, 101, [(100.0, 104.0, 99.0, 103.0), (103.0, 104.0, 100.5, 102.0)], "101"),
        ("buy", 102, 101, [(100.0, 104.0, 99.0, 103.0), (100.0, 101.0, 99.5, 100.0)], "100"),
        ("sell", 98, 99, [(100.0, 101.0, 96.0, 97.0), (97.0, 99.0, 96.0, 98.0)], "99"),
        # without a trigger in bar 1 it still needs one
        ("buy", 102, 101, [(100.0, 101.0, 99.0, 100.0), (100.0, 101.0, 99.5, 100.0)], None),
    ],
)
def test_triggered_stop_limit_order_works_on_as_a_limit_order(
    rig: Any, side: str, stop: Any, limit: Any, bars: Any, fill: str | None
) -> None:
    sim = rig([QUIET, *bars])
    sim.order("a", side, stop=stop, limit=limit)
    sim.run(1)
    assert sim.log == ["a accepted"]
    expected = [] if fill is None else [f"a {side} 10 @ {fill}", "a filled"]
    assert sim.run() == expected


@pytest.mark.parametrize(
    ("side", "touch", "limit", "bar", "price"),
    [
        # the price comes to it inside the bar, and it is an order at the market there
        ("buy", 98, None, (100.0, 101.0, 97.0, 99.0), "98"),
        ("sell", 102, None, (100.0, 103.0, 99.0, 101.0), "102"),
        # it opens beyond: at the open
        ("buy", 98, None, (97.5, 99.0, 97.0, 98.5), "97.5"),
        ("sell", 102, None, (102.5, 103.0, 101.0, 102.0), "102.5"),
        # what goes the other way does not touch it
        ("buy", 98, None, (100.0, 110.0, 98.5, 109.0), "rests"),
        ("sell", 102, None, (100.0, 101.5, 90.0, 91.0), "rests"),
        # with a limit: never beyond it
        ("buy", 98, 99, (97.5, 99.0, 97.0, 98.5), "97.5"),
        ("buy", 98, 97, (97.5, 98.0, 97.2, 97.8), "rests"),
        ("buy", 98, 98, (100.0, 101.0, 97.0, 99.0), "98"),
        ("sell", 102, 101, (100.0, 103.0, 99.0, 101.0), "102"),
        ("sell", 102, 103, (100.0, 103.5, 99.0, 101.0), "rests"),
    ],
)
def test_take_profit_waits_for_the_price_to_come_its_way(
    rig: Any, side: str, touch: Any, limit: Any, bar: Any, price: str
) -> None:
    assert one_bar(rig, bar, side, {"touch": touch, "limit": limit}) == price


def test_touched_take_profit_works_on_as_a_limit_order(rig: Any) -> None:
    """It was touched inside a bar that is not sure to have met its limit; the next one meets it."""
    sim = rig([QUIET, (100.0, 101.0, 97.5, 99.0), (99.0, 99.5, 96.5, 97.0)])
    sim.order("a", "buy", touch=98, limit=97)
    sim.run(1)
    assert sim.log == ["a accepted"]
    assert sim.run() == ["a buy 10 @ 97", "a filled"]


@pytest.mark.parametrize(
    ("side", "trail", "bars", "fills"),
    [
        # sell: 100 − 2 = 98 in bar 1; the high of 104 makes it 102 for bar 2
        ("sell", "2", [(100.0, 104.0, 98.5, 103.0), (103.0, 103.5, 101.0, 102.0)], [None, "102"]),
        # the bar that raises the level to 102 does not trigger at it, though its low is 101
        ("sell", "2", [(103.0, 104.0, 101.0, 103.0), (103.0, 105.0, 102.5, 104.0)], [None, None]),
        # but its own low triggers the level from before
        ("sell", "2", [(100.0, 104.0, 98.0, 103.0)], ["98"]),
        # closing below the new level of 102, it is filled at the next open
        ("sell", "2", [(100.0, 104.0, 98.5, 99.0), (99.0, 99.5, 98.8, 99.0)], [None, "99"]),
        # a lower high does not lower the level
        (
            "sell",
            "2",
            [(100.0, 104.0, 99.0, 103.0), (103.0, 103.0, 102.5, 103.0), (103.0, 103.0, 101.9, 102.0)],
            [None, None, "102"],
        ),
        # buy: 100 + 2 = 102; the low of 95 makes it 97
        ("buy", "2", [(100.0, 101.0, 95.0, 96.0), (96.0, 97.5, 95.5, 97.0)], [None, "97"]),
        ("buy", "2", [(103.0, 104.0, 102.0, 103.0)], ["103"]),
        # percent: 100 × 0.95 = 95, then 103.33 × 0.95 = 98.1635, a sell stop rounded down to 98.16
        (
            "sell",
            "5%",
            [(100.0, 103.33, 96.0, 103.0), (103.0, 103.2, 98.17, 99.0), (99.0, 99.0, 98.16, 98.5)],
            [None, None, "98.16"],
        ),
        # 96.66 × 1.05 = 101.493, a buy stop rounded up to 101.50
        (
            "buy",
            "5%",
            [(100.0, 100.0, 96.66, 97.0), (97.0, 101.49, 97.0, 101.0), (101.0, 101.5, 100.0, 101.0)],
            [None, None, "101.5"],
        ),
    ],
)
def test_trailing_stop_is_tested_before_it_moves(
    rig: Any, side: str, trail: str, bars: Any, fills: list[str | None]
) -> None:
    sim = rig([QUIET, *bars])
    sim.order("a", side, trail=trail)
    sim.told()
    for fill in fills:
        assert sim.run(1) == ([] if fill is None else [f"a {side} 10 @ {fill}", "a filled"])


@pytest.mark.parametrize(
    ("side", "bars", "fills"),
    [
        # no price is known at first: bar 0 gives the reference 106, and with it the level 104
        ("sell", [(100.0, 106.0, 90.0, 105.0), (105.0, 105.0, 103.9, 104.0)], [None, "104"]),
        ("sell", [(100.0, 106.0, 90.0, 105.0), (105.0, 105.0, 104.1, 104.5)], [None, None]),
        ("buy", [(100.0, 106.0, 90.0, 105.0), (91.0, 92.0, 91.0, 92.0)], [None, "92"]),
    ],
)
def test_trailing_stop_without_a_price_takes_its_reference_from_the_first_bar(
    rig: Any, side: str, bars: Any, fills: list[str | None]
) -> None:
    sim = rig(bars, shown=0)
    sim.order("a", side, trail="2")
    sim.told()
    for fill in fills:
        assert sim.run(1) == ([] if fill is None else [f"a {side} 10 @ {fill}", "a filled"])


SLIP = (100.0, 103.0, 97.0, 101.0, 1000.0)


@pytest.mark.parametrize(
    ("side", "terms", "bar", "slippage", "price"),
    [
        # 10 bps of 100 are 0.10
        ("buy", {}, SLIP, {"bps": "10"}, "100.1"),
        ("sell", {}, SLIP, {"bps": "10"}, "99.9"),
        # three ticks of 0.01
        ("buy", {}, SLIP, {"ticks": "3"}, "100.03"),
        # 10 of 1000 units: a hundredth of 5 % is 0.05
        ("buy", {}, SLIP, {"impact": "0.05"}, "100.05"),
        # all three: 0.10 + 0.03 + 0.05
        ("sell", {}, SLIP, {"bps": "10", "ticks": "3", "impact": "0.05"}, "99.82"),
        # no volume: the full impact of 2 % is 2.00; more volume taken than there is, too
        ("buy", {}, (100.0, 103.0, 97.0, 101.0, 0.0), {"impact": "0.02"}, "102"),
        ("buy", {}, (100.0, 103.0, 97.0, 101.0, 5.0), {"impact": "0.02"}, "102"),
        # never beyond the bar: 100 × 1.05 is above its high of 103
        ("buy", {}, SLIP, {"bps": "500"}, "103"),
        ("sell", {}, SLIP, {"bps": "500"}, "97"),
        # 0.004 rounds back to the price, 0.006 to the next tick
        ("buy", {}, SLIP, {"bps": "0.4"}, "100"),
        ("buy", {}, SLIP, {"bps": "0.6"}, "100.01"),
        # an open off the grid: 100.0044 is nearest to 100.00, which would be better than the open
        ("buy", {}, (100.004, 103.0, 97.0, 101.0), {"bps": "0.04"}, "100.004"),
        # 100.104 is cut to the high of 100.008; the tick nearest to that, 100.01, lies above it
        ("buy", {}, (100.004, 100.008, 97.0, 100.0), {"bps": "10"}, "100.008"),
        # stops slip from their own price, and gaps from the open
        ("buy", {"stop": 102}, SLIP, {"bps": "10"}, "102.1"),
        ("sell", {"stop": 98}, SLIP, {"bps": "10"}, "97.9"),
        ("buy", {"stop": 102.95}, SLIP, {"bps": "10"}, "103"),
        ("sell", {"stop": 105}, SLIP, {"bps": "10"}, "99.9"),
        ("sell", {"trail": "1"}, SLIP, {"ticks": "5"}, "98.95"),
        ("buy", {"tif": "ioc"}, SLIP, {"bps": "10"}, "100.1"),
        ("buy", {"tif": "at_close"}, SLIP, {"bps": "10"}, "101.1"),
        # limits do not
        ("buy", {"limit": 101, "tif": "ioc"}, SLIP, {"bps": "10"}, "100"),
        ("buy", {"limit": 98}, SLIP, {"bps": "10"}, "98"),
        ("buy", {"limit": 101}, SLIP, {"bps": "10"}, "100"),
        ("buy", {"stop": 102, "limit": 103}, SLIP, {"bps": "10"}, "102"),
    ],
)
def test_slippage_goes_against_the_order_and_stays_in_the_bar(
    rig: Any, side: str, terms: Any, bar: Any, slippage: dict[str, str], price: str
) -> None:
    model = SlippageModel(**{name: Decimal(value) for name, value in slippage.items()})
    assert one_bar(rig, bar, side, terms, slippage=model) == price


def test_tick_size_of_a_slipped_price_is_that_of_its_band(rig: Any) -> None:
    """Below 100 ticks are 0.01, from 100 on 0.5: 99.99 + 0.3 is nearest to 100.5."""
    sim = rig(
        [QUIET, (99.99, 103.0, 97.0, 101.0)],
        rules={
            "price_steps": (PriceStep(Decimal(0), Decimal("0.01")), PriceStep(Decimal(100), Decimal("0.5")))
        },
        slippage=SlippageModel(ticks=Decimal(30)),
    )
    sim.buy("a")
    assert sim.run()[1] == "a buy 10 @ 100.5"


@pytest.mark.parametrize(
    ("terms", "settings", "lines"),
    [
        ({}, {}, ["a accepted", "a buy 10 @ 101", "a filled"]),
        ({}, {"slippage": SlippageModel(bps=Decimal(10))}, ["a accepted", "a buy 10 @ 101.1", "a filled"]),
        # within the range of the bar that the price comes from: at most 102
        ({}, {"slippage": SlippageModel(bps=Decimal(1000))}, ["a accepted", "a buy 10 @ 102", "a filled"]),
        ({"tif": "ioc"}, {}, ["a accepted", "a buy 10 @ 101", "a filled"]),
        ({"tif": "fok"}, {"volume_share": Decimal("0.001")}, ["a accepted", "a buy 10 @ 101", "a filled"]),
        ({"tif": "at_open"}, {}, ["a accepted"]),
        ({"tif": "at_close"}, {}, ["a accepted"]),
        ({"limit": 105}, {}, ["a accepted"]),
        ({"stop": 90}, {}, ["a accepted"]),
        ({}, {"latency_ns": 10**15}, ["a accepted", "a buy 10 @ 101", "a filled"]),
    ],
)
def test_venue_that_fills_at_the_last_price_fills_market_orders_at_once(
    rig: Any, terms: dict[str, Any], settings: dict[str, Any], lines: list[str]
) -> None:
    sim = rig([(100.0, 102.0, 99.0, 101.0, 1000.0), QUIET], fill_at="last", **settings)
    sim.buy("a", **terms)
    assert sim.told() == lines


def test_venue_that_fills_at_the_last_price_refuses_when_there_is_none(rig: Any) -> None:
    sim = rig([QUIET], shown=0, fill_at="last")
    sim.buy("a")
    sim.buy("b", limit=99)
    assert sim.told() == ["a rejected no_market_price", "b accepted"]

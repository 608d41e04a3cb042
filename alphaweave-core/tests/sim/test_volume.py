"""How much of an order a bar fills (docs/simulation.md, section 8)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.money import CONTEXT
from alphaweave.sim.costs import SlippageModel

QUIET = (100.0, 100.0, 100.0, 100.0)


def flat(price: float, volume: float) -> tuple[float, ...]:
    return (price, price, price, price, volume)


@pytest.mark.parametrize(
    ("size", "volumes", "fills"),
    [
        # a tenth of each bar's volume
        ("25", [100.0, 100.0, 100.0], ["10 @ 101", "10 @ 102", "5 @ 103"]),
        ("25", [1000.0], ["25 @ 101"]),
        ("25", [99.0, 1000.0], ["9 @ 101", "16 @ 102"]),  # 9.9 rounded down
        ("25", [0.0, 1000.0], ["25 @ 102"]),
        ("25", [9.0, 300.0], ["25 @ 102"]),  # 0.9 rounded down is nothing
        # 10.5 − 10 leaves less than a step, so all of it is filled; 11.5 − 10 does not
        ("10.5", [100.0], ["10.5 @ 101"]),
        ("11.5", [100.0, 100.0], ["10 @ 101", "1.5 @ 102"]),
        ("0.5", [9.0, 10.0], ["0.5 @ 102"]),
    ],
)
def test_share_of_the_volume_bounds_what_a_bar_fills(
    rig: Any, size: str, volumes: list[float], fills: list[str]
) -> None:
    sim = rig(
        [QUIET, *(flat(101.0 + i, volume) for i, volume in enumerate(volumes))], volume_share=Decimal("0.1")
    )
    sim.buy("a", size)
    lines = [line for line in sim.run() if " @ " in line]
    assert lines == [f"a buy {fill}" for fill in fills]
    assert sim.log[-1] == "a filled"


@pytest.mark.parametrize(
    ("step", "size", "volume", "fill"),
    [
        ("0.001", "1", 9.0, "0.9"),
        ("0.1", "1", 9.99, "0.9"),
        ("5", "20", 140.0, "10"),
        ("0.001", "0.0005", 9.0, "0.0005"),
    ],
)
def test_share_of_the_volume_is_rounded_down_to_a_size_step(
    rig: Any, step: str, size: str, volume: float, fill: str
) -> None:
    sim = rig([QUIET, flat(101.0, volume)], volume_share=Decimal("0.1"), rules={"size_step": Decimal(step)})
    sim.buy("a", size)
    assert sim.run()[1] == f"a buy {fill} @ 101"


def test_orders_of_a_symbol_share_the_volume_in_the_order_of_submission(rig: Any) -> None:
    """10 units a bar: 6 for a, 4 for b, none for c; then 2 for b, 7 for c."""
    sim = rig(
        {"A": [QUIET, flat(101.0, 100.0), flat(102.0, 100.0)], "B": [QUIET, flat(50.0, 100.0), QUIET]},
        volume_share=Decimal("0.1"),
    )
    sim.buy("a", 6)
    sim.buy("b", 6)
    sim.buy("other", 10, symbol="B")
    sim.sell("c", 7)
    sim.told()
    assert sim.run(1) == [
        "a buy 6 @ 101",
        "a filled",
        "b buy 4 @ 101",
        "b partially_filled",
        "other buy 10 @ 50",
        "other filled",
    ]
    assert sim.run(1) == ["b buy 2 @ 102", "b filled", "c sell 7 @ 102", "c filled"]


def test_replaced_order_keeps_its_place(rig: Any) -> None:
    sim = rig([QUIET, flat(101.0, 100.0)], volume_share=Decimal("0.1"))
    sim.buy("a", 10, limit=100)
    sim.buy("b", 10)
    sim.replace("a", "a2", limit=102)
    sim.told()
    assert sim.run() == ["a2 buy 10 @ 101", "a2 filled"]


@pytest.mark.parametrize(
    ("terms", "bars", "lines"),
    [
        # a limit order goes on as a limit order: 4 at 99, and the rest not at 101
        (
            {"limit": 99},
            [(100.0, 100.0, 98.0, 99.0, 40.0), flat(101.0, 1000.0), (100.0, 100.0, 98.0, 99.0, 1000.0)],
            ["a buy 4 @ 99", "a partially_filled", "a buy 6 @ 99", "a filled"],
        ),
        # a triggered stop goes on as a market order
        (
            {"stop": 102},
            [(100.0, 103.0, 99.0, 101.0, 40.0), flat(99.0, 1000.0)],
            ["a buy 4 @ 102", "a partially_filled", "a buy 6 @ 99", "a filled"],
        ),
        # … also when its bar gave it nothing
        (
            {"stop": 102},
            [(100.0, 103.0, 99.0, 101.0, 0.0), flat(99.0, 1000.0)],
            ["a buy 10 @ 99", "a filled"],
        ),
        (
            {"trail": "2"},
            [(100.0, 103.0, 99.0, 101.0, 40.0), flat(99.0, 1000.0)],
            ["a buy 4 @ 102", "a partially_filled", "a buy 6 @ 99", "a filled"],
        ),
        # a triggered stop limit goes on as a limit order
        (
            {"stop": 102, "limit": 103},
            [(100.0, 103.0, 99.0, 101.0, 40.0), flat(104.0, 1000.0), flat(102.5, 1000.0)],
            ["a buy 4 @ 102", "a partially_filled", "a buy 6 @ 102.5", "a filled"],
        ),
    ],
)
def test_remainder_keeps_the_character_of_its_order(
    rig: Any, terms: Any, bars: Any, lines: list[str]
) -> None:
    sim = rig([QUIET, *bars], volume_share=Decimal("0.1"))
    sim.buy("a", **terms)
    assert sim.run() == ["a accepted", *lines]


@pytest.mark.parametrize(
    ("side", "quote", "rules", "price", "line"),
    [
        ("buy", "1050", {}, 100.0, "a buy 10 @ 100"),
        ("buy", "1000", {}, 101.0, "a buy 9 @ 101"),
        ("buy", "1000", {"size_step": Decimal("0.001")}, 101.0, "a buy 9.9 @ 101"),  # 9.90099…
        ("buy", "1000", {"multiplier": Decimal(5)}, 99.0, "a buy 2 @ 99"),  # 1000 / 495
        ("sell", "1000", {}, 101.0, "a sell 9 @ 101"),
        ("buy", "100", {}, 101.0, "a rejected below_min_size"),
        ("buy", "0.04", {"size_step": Decimal("0.001")}, 50.0, "a rejected below_min_size"),
    ],
)
def test_order_in_quote_currency_buys_what_the_fill_price_allows(
    rig: Any, side: str, quote: str, rules: Any, price: float, line: str
) -> None:
    sim = rig([QUIET, flat(price, 1000.0)], rules=rules)
    sim.order("a", side, quote=quote)
    assert sim.run()[1] == line


def test_order_in_quote_currency_spends_the_rest_at_later_prices(rig: Any) -> None:
    """5 at 100 leave 500 of 1000; at 125 those buy 4; FILLED, with 9 units."""
    sim = rig([QUIET, flat(100.0, 50.0), flat(125.0, 1000.0)], volume_share=Decimal("0.1"))
    sim.buy("a", quote=1000)
    sim.told()
    assert sim.run(1) == ["a buy 5 @ 100", "a partially_filled"]
    assert sim.venue.order("a").quantity is None
    assert sim.run(1) == ["a buy 4 @ 125", "a filled"]
    order = sim.venue.order("a")
    assert (order.quantity, order.filled) == (9, 9)
    assert order.average_price == CONTEXT.divide(Decimal(1000), Decimal(9))


def test_order_in_quote_currency_that_can_buy_no_more_is_cancelled(rig: Any) -> None:
    """5 at 100 leave 500, which is less than one unit at 501."""
    sim = rig([QUIET, flat(100.0, 50.0), flat(501.0, 1000.0)], volume_share=Decimal("0.1"))
    sim.buy("a", quote=1000)
    assert sim.run()[1:] == ["a buy 5 @ 100", "a partially_filled", "a cancelled below_min_size"]


def test_order_in_quote_currency_counts_the_slipped_price(rig: Any) -> None:
    """1000 buy 10 at 100, but 9 at the slipped 101; a tenth of 10 % impact is 1 %."""
    bar = (100.0, 110.0, 90.0, 100.0, 100.0)
    sim = rig([QUIET, bar], slippage=SlippageModel(impact=Decimal("0.1")))
    sim.buy("a", quote=1000)
    assert sim.run()[1] == "a buy 9 @ 101"


@pytest.mark.parametrize(
    ("held", "side", "size", "volume", "lines"),
    [
        (6, "sell", 10, 1000.0, ["a sell 6 @ 101", "a partially_filled", "a cancelled reduce_only"]),
        (10, "sell", 10, 1000.0, ["a sell 10 @ 101", "a filled"]),
        (20, "sell", 10, 1000.0, ["a sell 10 @ 101", "a filled"]),
        (0, "sell", 10, 1000.0, ["a cancelled reduce_only"]),
        (6, "buy", 10, 1000.0, ["a cancelled reduce_only"]),
        (-6, "buy", 10, 1000.0, ["a buy 6 @ 101", "a partially_filled", "a cancelled reduce_only"]),
        (-6, "sell", 10, 1000.0, ["a cancelled reduce_only"]),
        # no volume, but nothing to reduce either
        (0, "sell", 10, 0.0, ["a cancelled reduce_only"]),
        (6, "sell", 10, 40.0, ["a sell 4 @ 101", "a partially_filled"]),
    ],
)
def test_reduce_only_order_never_opens_a_position(
    rig: Any, held: int, side: str, size: int, volume: float, lines: list[str]
) -> None:
    sim = rig([QUIET, flat(101.0, volume)], volume_share=Decimal("0.1"))
    if held:
        sim.hold(held)
    sim.order("a", side, size, reduce_only=True)
    assert sim.run() == ["a accepted", *lines]


def test_reduce_only_fok_order_wants_all_of_itself(rig: Any) -> None:
    sim = rig([QUIET, QUIET])
    sim.hold(6)
    sim.sell("a", 10, tif="fok", reduce_only=True)
    assert sim.run() == ["a accepted", "a expired fok_not_filled"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_partials_cut_fills_and_lose_nothing(rig: Any, seed: int) -> None:
    sim = rig([QUIET] * 40, random_partials=0.99, seed=seed)
    sim.buy("a", 50)
    sim.buy("f", 50, tif="fok")
    sim.run()
    sizes = [int(line.split()[2]) for line in sim.log if line.startswith("a buy")]
    assert sum(sizes) == 50
    assert len(sizes) > 1
    assert "f buy 50 @ 100" in sim.log


def test_random_partials_depend_on_the_seed_alone(rig: Any) -> None:
    def sizes(seed: int) -> list[str]:
        sim = rig([QUIET] * 40, random_partials=0.7, seed=seed)
        sim.buy("a", 50)
        return list(sim.run())

    assert sizes(5) == sizes(5)
    assert sizes(5) != sizes(6)

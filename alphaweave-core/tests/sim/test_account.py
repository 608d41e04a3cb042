"""Funds, short sales, spot balances, fees, the account's state (docs/simulation.md, sections 10 and 11)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.live.reports import Balance
from alphaweave.sim.costs import FeeModel

QUIET = (100.0, 100.0, 100.0, 100.0)
SPOT = {"kind": "spot", "base": "BTC", "size_step": Decimal("0.001")}


def flat(price: float) -> tuple[float, ...]:
    return (price, price, price, price)


REFUSED = "a rejected insufficient_funds"


@pytest.mark.parametrize(
    ("cash", "side", "terms", "settings", "answer"),
    [
        # 10 at the last close of 100 are 1000
        ("1000", "buy", {}, {}, "a accepted"),
        ("999.99", "buy", {}, {}, REFUSED),
        ("999.99", "buy", {}, {"check_funds": False}, "a accepted"),
        ("999.99", "buy", {"reduce_only": True}, {}, "a accepted"),
        ("500", "buy", {}, {"leverage": Decimal(2)}, "a accepted"),
        ("499.99", "buy", {}, {"leverage": Decimal(2)}, REFUSED),
        # at its limit, at its stop, at the limit of a stop limit, at the last close of a trailing stop
        ("900", "buy", {"limit": 90}, {}, "a accepted"),
        ("900", "buy", {"limit": "90.01"}, {}, REFUSED),
        ("1100", "buy", {"stop": 110}, {}, "a accepted"),
        ("1100", "buy", {"stop": "110.01"}, {}, REFUSED),
        ("1100", "buy", {"stop": 105, "limit": 110}, {}, "a accepted"),
        ("1100", "buy", {"stop": 105, "limit": "110.01"}, {}, REFUSED),
        ("1000", "buy", {"trail": "5"}, {}, "a accepted"),
        ("999.99", "buy", {"trail": "5"}, {}, REFUSED),
        # an amount is what it says
        ("1000", "buy", {"quote": "1000"}, {}, "a accepted"),
        ("1000", "buy", {"quote": "1000.01"}, {}, REFUSED),
        # short sales are exposure too
        ("1000", "sell", {}, {}, "a accepted"),
        ("999.99", "sell", {}, {}, REFUSED),
        ("1000", "sell", {}, {"allow_short": False}, "a rejected short_not_allowed"),
        ("0", "sell", {}, {"allow_short": False, "check_funds": False}, "a rejected short_not_allowed"),
        ("0", "sell", {}, {"check_funds": False}, "a accepted"),
    ],
)
def test_arriving_order_is_tested_at_its_reference_price(
    rig: Any, cash: str, side: str, terms: Any, settings: Any, answer: str
) -> None:
    sim = rig([QUIET, QUIET], cash=cash, **settings)
    sim.order("a", side, **terms)
    assert sim.told() == [answer]


@pytest.mark.parametrize(
    ("held", "cash", "side", "terms", "answer"),
    [
        # 10 held at 100: equity 2000, gross 1000; 10 more are allowed, 11 are not
        (10, "1000", "buy", {"size": 10}, "a accepted"),
        (10, "1000", "buy", {"size": 11}, REFUSED),
        # reductions are free, however poor the account
        (10, "-5000", "sell", {"size": 10}, "a accepted"),
        (-10, "-5000", "buy", {"size": 10}, "a accepted"),
        # turning 10 long into 10 short: gross 1000 again, equity 1000
        (10, "0", "sell", {"size": 20}, "a accepted"),
        (10, "0", "sell", {"size": 21}, REFUSED),
        # turning 10 short into 10 long: equity 2000 − 1000
        (-10, "2000", "buy", {"size": 20}, "a accepted"),
        (-10, "2000", "buy", {"size": 21}, REFUSED),
        # 10 close at the mark of 100 and 8 open at 125: gross 1000 of equity 1000
        (10, "0", "sell", {"size": 18, "limit": 125}, "a accepted"),
        (10, "0", "sell", {"size": 19, "limit": 125}, REFUSED),
        # an amount of 2000 is 20 units at the last close: 10 close, 10 open
        (10, "0", "sell", {"quote": 2000}, "a accepted"),
        (10, "0", "sell", {"quote": 2001}, REFUSED),
        (10, "-5000", "sell", {"quote": 1000}, "a accepted"),
    ],
)
def test_only_what_opens_exposure_needs_funds(
    rig: Any, held: int, cash: str, side: str, terms: Any, answer: str
) -> None:
    sim = rig([QUIET, QUIET], cash=cash)
    sim.hold(held)
    sim.order("a", side, **terms)
    assert sim.told() == [answer]


@pytest.mark.parametrize(
    ("held", "side", "leverage", "cash", "open_", "fits"),
    [
        # flat: 10 × 101 = 1010
        (0, "buy", 1, "1010", 101.0, True),
        (0, "buy", 1, "1009.99", 101.0, False),
        # its own 10 are worth 120 each at the fill: gross 1200 + 1200 of equity 1200 + 1200
        (10, "buy", 1, "1200", 120.0, True),
        (10, "buy", 1, "1199.99", 120.0, False),
        # 1200 + 1200 of two times 1200 (at the close before it would be 1000 + 1200 of two times 1000)
        (10, "buy", 2, "0", 120.0, True),
        # short: 1200 + 1200 of 3600 − 1200
        (-10, "sell", 1, "3600", 120.0, True),
        (-10, "sell", 1, "3599.99", 120.0, False),
    ],
)
def test_fill_is_tested_again_at_its_price(
    rig: Any, held: int, side: str, leverage: int, cash: str, open_: float, fits: bool
) -> None:
    sim = rig([QUIET, flat(open_)], cash=cash, leverage=Decimal(leverage))
    if held:
        sim.hold(held)
    sim.order("a", side)
    assert sim.told() == ["a accepted"]
    assert sim.run() == ([f"a {side} 10 @ {open_:g}", "a filled"] if fits else [REFUSED])


@pytest.mark.parametrize(
    ("other", "open_", "fits"),
    [
        # 10 of B closed at 50 in bar 0, whatever its bar 1 does: equity 500, and 500 + 5 × 100 is twice that
        ((50.0, 90.0, 50.0, 80.0), 100.0, True),
        ((20.0, 90.0, 20.0, 30.0), 100.0, True),
        (None, 100.0, True),
        # 500 + 5 × 120 is more; at B's close of 80, or its open of 60, it would not be
        ((60.0, 90.0, 60.0, 80.0), 120.0, False),
    ],
)
def test_other_positions_are_marked_at_prices_known_before_the_slice(
    rig: Any, other: Any, open_: float, fits: bool
) -> None:
    before = (45.0, 55.0, 45.0, 50.0)
    sim = rig({"A": [QUIET, flat(open_)], "B": [before, other]}, cash="0", leverage=Decimal(2))
    sim.hold(10, "B")
    sim.buy("a", 5)
    assert sim.run()[-1] == ("a filled" if fits else REFUSED)


def test_first_bar_of_a_held_symbol_is_marked_at_its_open(rig: Any) -> None:
    """10 of B count 40 each, its open, and neither 70, its close, nor 100, its last execution."""
    sim = rig({"A": [QUIET, QUIET], "B": [None, (40.0, 70.0, 40.0, 70.0)]}, cash="600", leverage=Decimal(2))
    sim.hold(10, "B", 100)
    # arrival: B at 100: equity 1600, gross 1000 + 2200 = 3200 of 3200
    sim.buy("a", 22)
    # fill: equity 600 + 400, gross 400 + 2200 = 2600 of 2000
    assert sim.run() == ["a accepted", REFUSED]


def test_funds_are_shared_by_the_orders_of_a_slice(rig: Any) -> None:
    """Cash of 2000 carries a and b, 1000 each, and not c."""
    sim = rig({"A": [QUIET, QUIET, QUIET], "B": [QUIET] * 3}, cash="2000")
    sim.buy("a")
    sim.buy("b", symbol="B")
    sim.buy("c")
    assert sim.run(1)[3:] == [
        "a buy 10 @ 100",
        "a filled",
        "b buy 10 @ 100",
        "b filled",
        "c rejected insufficient_funds",
    ]


def rotation(rig: Any, **settings: Any) -> Any:
    """Equity 2000, all of it invested: 10 of A and 5 of B at 100, 10 of D at 50; C is at 100."""
    settings = {"cash": "0"} | settings
    sim = rig({"A": [QUIET] * 4, "B": [QUIET] * 4, "C": [QUIET] * 4, "D": [flat(50.0)] * 4}, **settings)
    for symbol, size in (("A", 10), ("B", 5), ("D", 10)):
        sim.hold(size, symbol)
    return sim


def answers(sim: Any) -> list[str]:
    return [line for line in sim.told() if line.startswith("buy")]


@pytest.mark.parametrize(
    ("sales", "room"),
    [
        ([], 0),
        ([("A", 4)], 4),
        # two sales close no more than is held: the first 10 of 14
        ([("A", 6), ("A", 8)], 10),
        # 10 x 100 of A and 10 x 50 of D
        ([("A", 10), ("D", 10)], 15),
        ([("A", 10, {"tif": "ioc"}), ("B", 5, {"reduce_only": True})], 15),
        # none of these is a market order in units
        ([("A", 10, {"limit": 99}), ("B", 5, {"stop": 90}), ("D", 10, {"quote": 500})], 0),
    ],
)
def test_market_sales_of_the_same_instant_make_room_for_a_purchase(rig: Any, sales: Any, room: int) -> None:
    """All the equity is invested, so what is sold of other things is what may be bought of C."""
    for size, answer in ((room, "buy accepted"), (room + 1, "buy rejected insufficient_funds")):
        if size:
            sim = rotation(rig)
            for number, (symbol, units, *terms) in enumerate(sales):
                sim.sell(f"s{number}", units, symbol=symbol, **(terms[0] if terms else {}))
            sim.buy("buy", size, symbol="C")
            assert answers(sim) == [answer]


def test_room_made_by_a_sale_is_that_of_its_instant_and_of_its_working(rig: Any) -> None:
    refused = ["buy rejected insufficient_funds"]
    first = rotation(rig)
    first.buy("buy", symbol="C")
    first.sell("s", symbol="A")
    assert answers(first) == refused  # the sale came later
    cancelled = rotation(rig)
    cancelled.sell("s", symbol="A")
    cancelled.buy("buy0", symbol="C")
    cancelled.cancel("s")
    cancelled.buy("buy", symbol="C")
    assert answers(cancelled) == ["buy0 accepted", *refused]
    same = rotation(rig)
    same.sell("s", symbol="A")
    same.buy("buy", symbol="A")
    assert answers(same) == refused  # not another position
    older = rotation(rig, latency_ns=10**18)
    older.sell("s", symbol="A")
    older.buy("buy0", symbol="C")
    assert answers(older) == ["buy0 accepted"]
    older.run(1)
    older.buy("buy", symbol="C")
    assert answers(older) == refused
    older.replace("s", "s1", size=3)
    older.buy("buy1", 4, symbol="C")
    older.buy("buy2", 3, symbol="C")
    assert answers(older) == ["buy1 rejected insufficient_funds", "buy2 accepted"]


def test_shorts_bought_back_make_room_too(rig: Any) -> None:
    """Equity 1000, short 10 of A at 100: buying 4 of them back makes room for 4 of B, bought or sold."""
    for sell in (False, True):
        for size, answer in ((4, "accepted"), (5, "rejected insufficient_funds")):
            sim = rig({"A": [QUIET] * 2, "B": [QUIET] * 2}, cash="2000")
            sim.hold(-10)
            sim.buy("back", 4)
            (sim.sell if sell else sim.buy)("buy", size, symbol="B")
            assert answers(sim) == [f"buy {answer}"]


def test_room_is_found_again_after_a_restore(rig: Any) -> None:
    sim = rotation(rig)
    sim.sell("s", 4, symbol="A")
    sim.told()
    sim.venue.restore(sim.venue.snapshot())
    sim.buy("buy1", 5, symbol="C")
    sim.buy("buy2", 4, symbol="C")
    assert answers(sim) == ["buy1 rejected insufficient_funds", "buy2 accepted"]


def test_sale_filled_at_once_is_room_once(rig: Any) -> None:
    """5 of A are sold at 100 and their 500 spent on C; the cash of 0 then carries no more."""
    sim = rotation(rig, fill_at="last")
    sim.sell("s", 5, symbol="A")
    sim.buy("buy0", 5, symbol="C")
    sim.buy("buy1", 1, symbol="C")
    assert [line for line in answers(sim) if "@" not in line] == [
        "buy0 accepted",
        "buy0 filled",
        "buy1 rejected insufficient_funds",
    ]


def test_room_shrinks_with_what_is_left_to_sell(rig: Any) -> None:
    """s may sell 10 of A, but 5 are gone: equity 2000, gross 1500, and the other 5 make room for 10 of C."""
    for size, answer in ((10, "buy accepted"), (11, "buy rejected insufficient_funds")):
        sim = rotation(rig, fill_at="last")
        sim.sell("s", symbol="A", tif="at_open")
        sim.buy("early", 11, symbol="C", tif="at_open")
        sim.sell("s1", 5, symbol="A")
        sim.buy("buy", size, symbol="C", tif="at_open")
        assert answers(sim) == [answer]


def test_purchase_is_filled_out_of_the_sale_before_it_and_tested_again(rig: Any) -> None:
    """A is sold at 80 though it was to bring 1000: 800 buy 8 of C, not 10."""
    bars = {"A": [QUIET, flat(80.0)], "C": [QUIET, QUIET]}
    sim = rig(bars, cash="0")
    sim.hold(10)
    sim.sell("s")
    sim.buy("buy0", 8, symbol="C")
    sim.buy("buy1", 10, symbol="C")
    assert sim.run(1) == [
        "s accepted",
        "buy0 accepted",
        "buy1 accepted",
        "s sell 10 @ 80",
        "s filled",
        "buy0 buy 8 @ 100",
        "buy0 filled",
        "buy1 rejected insufficient_funds",
    ]


def test_orders_of_one_instant_are_each_tested_against_those_filled_before(rig: Any) -> None:
    """Equity stays 1000 and carries 2000: 1000 of A and of B, then 500 of A out and in again."""
    sim = rig({"A": [QUIET], "B": [flat(50.0)]}, cash="1000", leverage=Decimal(2), fill_at="last")
    sim.buy("a", 10)
    sim.buy("b", 20, symbol="B")
    sim.buy("c", 1)
    sim.sell("d", 5)
    sim.buy("e", 5)
    sim.buy("f", 1)
    assert [line for line in sim.told() if " @ " in line or "rejected" in line] == [
        "a buy 10 @ 100",
        "b buy 20 @ 50",
        "c rejected insufficient_funds",
        "d sell 5 @ 100",
        "e buy 5 @ 100",
        "f rejected insufficient_funds",
    ]


def test_refusal_at_the_fill_of_a_partly_filled_order_cancels_it(rig: Any) -> None:
    bars = [
        (100.0, 100.0, 100.0, 100.0),
        (100.0, 100.0, 100.0, 100.0, 40.0),
        (1000.0, 1000.0, 1000.0, 1000.0, 1e6),
    ]
    sim = rig(bars, cash="1000", volume_share=Decimal("0.1"))
    sim.buy("a")
    assert sim.run() == [
        "a accepted",
        "a buy 4 @ 100",
        "a partially_filled",
        "a cancelled insufficient_funds",
    ]


@pytest.mark.parametrize(
    ("rules", "held", "size", "lines"),
    [
        ({"shortable": False}, 0, 10, ["a rejected short_not_allowed"]),
        ({"shortable": False}, 10, 10, ["a accepted", "a sell 10 @ 100", "a filled"]),
        ({"shortable": False}, 10, 11, ["a rejected short_not_allowed"]),
        ({"shortable": True}, 10, 11, ["a accepted", "a sell 11 @ 100", "a filled"]),
    ],
)
def test_short_sale_needs_a_shortable_instrument(
    rig: Any, rules: Any, held: int, size: int, lines: list[str]
) -> None:
    sim = rig([QUIET, QUIET], rules=rules)
    if held:
        sim.hold(held)
    sim.sell("a", size)
    assert sim.run() == lines


def test_two_sales_of_one_position_are_told_apart_at_the_fill(rig: Any) -> None:
    sim = rig([QUIET, QUIET], allow_short=False)
    sim.hold(10)
    sim.sell("a")
    sim.sell("b")
    assert sim.run() == [
        "a accepted",
        "b accepted",
        "a sell 10 @ 100",
        "a filled",
        "b rejected short_not_allowed",
    ]


@pytest.mark.parametrize(
    ("size", "settings", "lines"),
    [
        ("2.5", {}, ["s accepted", "s sell 2.5 @ 100", "s filled"]),
        ("2.501", {}, ["s rejected insufficient_funds"]),
        ("2.501", {"check_funds": False}, ["s rejected insufficient_funds"]),
    ],
)
def test_no_more_of_a_spot_asset_is_sold_than_is_owned(
    rig: Any, size: str, settings: Any, lines: list[str]
) -> None:
    sim = rig([QUIET] * 3, rules=SPOT, **settings)
    sim.buy("b", "2.5")
    sim.run(1)
    sim.sell("s", size)
    assert sim.run() == lines


@pytest.mark.parametrize(
    ("rules", "spot"),
    [
        ({"kind": "spot", "base": "BTC"}, True),
        ({"kind": "spot", "base": None}, False),
        ({"kind": "equity", "base": "BTC"}, False),
    ],
)
def test_only_a_spot_instrument_with_a_base_is_a_balance(rig: Any, rules: Any, spot: bool) -> None:
    sim = rig([QUIET, QUIET], rules=rules)
    sim.buy("a", 4)
    sim.run()
    state = sim.venue.account_state(sim.now)
    assert state.balances.get("BTC") == (Balance(Decimal(4), Decimal(4), Decimal(0)) if spot else None)
    assert state.positions == ({} if spot else {"A": 4})


@pytest.mark.parametrize(("size", "answer"), [(10, "b accepted"), (11, "b rejected insufficient_funds")])
def test_spot_holdings_are_exposure(rig: Any, size: int, answer: str) -> None:
    """1000 are all in spot; equity 1000 carries 1000 more at a leverage of 2."""
    sim = rig({"A": [QUIET, QUIET], "B": [QUIET, QUIET]}, rules={"A": SPOT}, cash="1000", leverage=Decimal(2))
    sim.buy("a", 10)
    sim.run()
    sim.buy("b", size, symbol="B")
    assert sim.told() == [answer]


def test_spot_holdings_are_balances_shared_by_the_instruments_of_one_base(rig: Any) -> None:
    """Marked by the first instrument of the asset: 4 bought through B are worth 110 each."""
    sim = rig(
        {"A": [flat(110.0), flat(110.0)], "B": [QUIET, QUIET]},
        rules={"A": SPOT, "B": SPOT},
        cash="1000",
    )
    sim.buy("b", 4, symbol="B")
    sim.run()
    state = sim.venue.account_state(sim.now)
    assert {asset: balance.total for asset, balance in state.balances.items()} == {"USD": 600, "BTC": 4}
    assert state.positions == {}
    assert state.equity == 1040
    sim.sell("s", 4)
    assert sim.told() == ["s accepted"]


@pytest.mark.parametrize(
    ("model", "size", "fees"),
    [
        ({}, "10", []),
        ({"per_unit": "0.005"}, "10", ["0.05"]),
        ({"taker_rate": "0.001"}, "10", ["1.01"]),
        ({"fixed": "0.35"}, "10", ["0.35"]),
        # 0.05 + 1.01 + 0.35
        ({"per_unit": "0.005", "taker_rate": "0.001", "fixed": "0.35"}, "10", ["1.41"]),
        ({"per_unit": "0.005", "minimum": "1"}, "10", ["1"]),
        ({"per_unit": "0.005", "minimum": "1"}, "300", ["1.5"]),
        # a market order takes, whatever makers pay
        ({"taker_rate": "0.001", "maker_rate": "0.0002"}, "10", ["1.01"]),
        ({"taker_rate": "0.001", "multiplier": "5"}, "10", ["5.05"]),
        ({"taker_rate": "0.0001234567"}, "7", ["0.0872838869"]),
    ],
)
def test_fee_of_a_fill(rig: Any, model: dict[str, str], size: str, fees: list[str]) -> None:
    given = {name: Decimal(value) for name, value in model.items()}
    rules = {"multiplier": given.pop("multiplier")} if "multiplier" in given else {}
    sim = rig([QUIET, flat(101.0)], rules=rules, fees=FeeModel(**given))
    sim.buy("a", size)
    lines = sim.run()
    assert lines[1] == f"a buy {size} @ 101" + "".join(f" fee {fee}" for fee in fees)
    notional = Decimal(size) * 101 * Decimal(rules.get("multiplier", 1))
    assert sim.venue.account_state(sim.now).balances["USD"].total == 100000 - notional - sum(
        map(Decimal, fees)
    )


@pytest.mark.parametrize(
    ("minimum", "fees"),
    [
        # 10, 10 and 5 units at 0.1 are 1, 1 and 0.5
        ("0", ["1", "1", "0.5"]),
        # 1.5 to begin with; 2 after the second; 2.5 after the third
        ("1.5", ["1.5", "0.5", "0.5"]),
        ("2.2", ["2.2", None, "0.3"]),
        ("9", ["9", None, None]),
    ],
)
def test_minimum_fee_is_paid_once_by_an_order(rig: Any, minimum: str, fees: list[str | None]) -> None:
    sim = rig(
        [QUIET, *([(100.0, 100.0, 100.0, 100.0, 100.0)] * 3)],
        volume_share=Decimal("0.1"),
        fees=FeeModel(per_unit=Decimal("0.1"), minimum=Decimal(minimum)),
    )
    sim.buy("a", 25)
    lines = [line.partition(" fee ")[2] or None for line in sim.run() if " @ " in line]
    assert lines == fees


@pytest.mark.parametrize(
    ("terms", "bar", "fee"),
    [
        # 10 × 99 at the maker's rate of 0.0002
        ({"limit": 99}, (100.0, 101.0, 98.0, 100.0), "0.198"),
        # a limit order that the open has jumped takes: 10 × 98 × 0.001
        ({"limit": 99}, (98.0, 101.0, 97.0, 100.0), "0.98"),
        # … and one that it meets exactly
        ({"limit": 99}, (99.0, 101.0, 97.0, 100.0), "0.99"),
        ({"limit": 99, "side": "sell"}, (99.0, 101.0, 97.0, 100.0), "0.99"),
        ({"limit": 99, "post_only": True}, (98.0, 101.0, 97.0, 100.0), "0.198"),
        ({"stop": 102, "limit": 103}, (100.0, 104.0, 98.0, 100.0), "1.02"),
        ({"stop": 102, "limit": 103}, (104.0, 104.0, 98.0, 100.0), "0.206"),
        ({"stop": 102}, (100.0, 104.0, 98.0, 100.0), "1.02"),
        ({"stop": 102}, (104.0, 104.0, 98.0, 100.0), "1.04"),
        ({"limit": 99, "tif": "ioc"}, (98.0, 101.0, 97.0, 100.0), "0.98"),
    ],
)
def test_maker_rate_is_for_resting_limit_orders_alone(rig: Any, terms: Any, bar: Any, fee: str) -> None:
    sim = rig([QUIET, bar], fees=FeeModel(taker_rate=Decimal("0.001"), maker_rate=Decimal("0.0002")))
    sim.order("a", **{"side": "buy", **terms})
    assert sim.run()[1].endswith(f" fee {fee}")


def test_fill_at_the_last_price_takes(rig: Any) -> None:
    sim = rig([QUIET], fill_at="last", fees=FeeModel(taker_rate=Decimal("0.001"), maker_rate=Decimal(0)))
    sim.buy("a")
    assert sim.told()[1] == "a buy 10 @ 100 fee 1"


def test_maker_rebate_is_paid_out(rig: Any) -> None:
    sim = rig([QUIET, (100.0, 101.0, 98.0, 100.0)], fees=FeeModel(maker_rate=Decimal("-0.001")))
    sim.buy("a", limit=99)
    assert sim.run()[1] == "a buy 10 @ 99 fee -0.99"
    assert sim.venue.account_state(sim.now).balances["USD"].total == Decimal("99010.99")


@pytest.mark.parametrize(
    ("orders", "figures"),
    [
        # equity 100 000 + 10 × (103 − 101); gross 1030; two times equity less gross
        ([("buy", 10)], {"USD": "98990", "A": "10", "equity": "100020", "power": "199010"}),
        ([("sell", 10)], {"USD": "101010", "A": "-10", "equity": "99980", "power": "198930"}),
        ([("buy", 10), ("sell", 10)], {"USD": "100000", "equity": "100000", "power": "200000"}),
        ([("buy", 10), ("sell", 4)], {"USD": "99394", "A": "6", "equity": "100012", "power": "199406"}),
    ],
)
def test_account_state_adds_up(rig: Any, orders: Any, figures: Mapping[str, str]) -> None:
    sim = rig([QUIET, (101.0, 104.0, 100.0, 103.0)], leverage=Decimal(2))
    for number, (side, size) in enumerate(orders):
        sim.order(f"o{number}", side, size)
    sim.run()
    state = sim.venue.account_state(sim.now)
    found = {asset: balance.total for asset, balance in state.balances.items()}
    found |= dict(state.positions)
    found |= {"equity": state.equity, "power": state.buying_power}
    assert found == {name: Decimal(value) for name, value in figures.items()}
    assert (state.account_id, state.base_currency, state.complete) == ("sim", "USD", True)


def test_buying_power_is_never_negative(rig: Any) -> None:
    sim = rig([QUIET], cash="0")
    sim.hold(-10)
    assert sim.venue.account_state(sim.now).buying_power == 0


def test_state_of_a_symbol_without_a_bar_uses_its_last_execution(rig: Any) -> None:
    sim = rig({"A": [QUIET], "B": [None]}, cash="0")
    sim.hold(10, "B", 42)
    assert sim.venue.account_state(sim.now).equity == 420


@pytest.mark.parametrize(("size", "line"), [(15, "a filled"), (16, REFUSED)])
@pytest.mark.parametrize("shown", [True, False])
def test_holding_without_a_market_is_carried_at_its_last_execution(
    rig: Any, size: int, line: str, shown: bool
) -> None:
    """10 of B at 50: equity 1000, gross 500, and 1500 more at a leverage of 2; no bar or no series of it."""
    sim = rig({"A": [QUIET, QUIET], "B": [None, None]}, cash="500", leverage=Decimal(2))
    sim.hold(10, "B", 50)
    if not shown:
        sim.venue.board = {"A": sim.board["A"]}
    sim.buy("a", size)
    assert sim.run()[-1] == line


def test_multiplier_scales_money_and_exposure(rig: Any) -> None:
    sim = rig([QUIET, QUIET], rules={"multiplier": Decimal(50)}, cash="50000")
    sim.buy("a", 10)
    sim.buy("b", 11)
    assert sim.told() == ["a accepted", "b rejected insufficient_funds"]
    sim.run()
    assert sim.venue.account_state(sim.now).balances["USD"].total == 0

"""Brackets and OCOs (docs/simulation.md, section 6). Bar 0 closes at 100 and is known at the start."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

QUIET = (100.0, 100.0, 100.0, 100.0)
BUSY = (100.0, 100.0, 100.0, 100.0, 1000.0)

ACCEPTED = ["e accepted", "tp accepted held", "sl accepted held"]


@pytest.mark.parametrize(
    ("bar1", "bar2", "lines1", "lines2"),
    [
        # the entry is at the open, and its own bar falls to the stop
        ((100.0, 101.0, 94.0, 96.0), QUIET, ["sl sell 10 @ 95", "sl filled", "tp cancelled oco"], []),
        # … or even opens below it
        ((94.0, 96.0, 93.0, 95.0), QUIET, ["sl sell 10 @ 94", "sl filled", "tp cancelled oco"], []),
        # … but it never reaches the target in that bar
        ((100.0, 112.0, 99.0, 111.0), (100.0, 101.0, 99.0, 100.0), [], []),
        # the target from the next bar on, at its limit or at a better open
        (
            (100.0, 101.0, 99.0, 100.0),
            (100.0, 111.0, 99.0, 110.0),
            [],
            ["tp sell 10 @ 110", "tp filled", "sl cancelled oco"],
        ),
        (
            (100.0, 101.0, 99.0, 100.0),
            (112.0, 113.0, 111.0, 112.0),
            [],
            ["tp sell 10 @ 112", "tp filled", "sl cancelled oco"],
        ),
        # the stop, inside and by a gap
        (
            (100.0, 101.0, 99.0, 100.0),
            (100.0, 101.0, 94.0, 95.0),
            [],
            ["sl sell 10 @ 95", "sl filled", "tp cancelled oco"],
        ),
        (
            (100.0, 101.0, 99.0, 100.0),
            (93.0, 94.0, 92.0, 93.0),
            [],
            ["sl sell 10 @ 93", "sl filled", "tp cancelled oco"],
        ),
        # both inside one bar: the stop
        (
            (100.0, 101.0, 99.0, 100.0),
            (100.0, 112.0, 94.0, 100.0),
            [],
            ["sl sell 10 @ 95", "sl filled", "tp cancelled oco"],
        ),
        # both, but the open is beyond one of them: that one
        (
            (100.0, 101.0, 99.0, 100.0),
            (111.0, 112.0, 94.0, 100.0),
            [],
            ["tp sell 10 @ 111", "tp filled", "sl cancelled oco"],
        ),
        (
            (100.0, 101.0, 99.0, 100.0),
            (94.0, 112.0, 93.0, 100.0),
            [],
            ["sl sell 10 @ 94", "sl filled", "tp cancelled oco"],
        ),
    ],
)
def test_bracket_entered_at_the_open(
    rig: Any, bar1: Any, bar2: Any, lines1: list[str], lines2: list[str]
) -> None:
    sim = rig([QUIET, bar1, bar2])
    sim.bracket(target=110, stop={"stop": 95})
    assert sim.told() == ACCEPTED
    assert sim.run(1) == [f"e buy 10 @ {bar1[0]:g}", "e filled", *lines1]
    assert sim.run(1) == lines2


@pytest.mark.parametrize(
    ("bar1", "bar2", "lines2"),
    [
        # where in bar 1 the limit of 98 was met is not known, so neither exit is looked at in it
        ((100.0, 111.0, 94.0, 96.0), QUIET, []),
        (
            (100.0, 111.0, 94.0, 96.0),
            (94.5, 96.0, 94.0, 95.0),
            ["sl sell 10 @ 94.5", "sl filled", "tp cancelled oco"],
        ),
        (
            (100.0, 111.0, 94.0, 96.0),
            (111.5, 112.0, 94.0, 96.0),
            ["tp sell 10 @ 111.5", "tp filled", "sl cancelled oco"],
        ),
    ],
)
def test_bracket_entered_inside_a_bar_waits_for_the_next(
    rig: Any, bar1: Any, bar2: Any, lines2: list[str]
) -> None:
    sim = rig([QUIET, bar1, bar2])
    sim.bracket(target=110, stop={"stop": 95}, limit=98)
    sim.told()
    assert sim.run(1) == ["e buy 10 @ 98", "e filled"]
    assert sim.run(1) == lines2


@pytest.mark.parametrize(
    ("bars", "lines"),
    [
        # mirrored: short at 100, target 90, stop 105
        (
            [(100.0, 106.0, 99.0, 104.0)],
            ["e sell 10 @ 100", "e filled", "sl buy 10 @ 105", "sl filled", "tp cancelled oco"],
        ),
        ([(100.0, 101.0, 88.0, 90.0)], ["e sell 10 @ 100", "e filled"]),
        (
            [QUIET, (100.0, 101.0, 89.0, 90.0)],
            ["e sell 10 @ 100", "e filled", "tp buy 10 @ 90", "tp filled", "sl cancelled oco"],
        ),
        (
            [QUIET, (100.0, 106.0, 89.0, 90.0)],
            ["e sell 10 @ 100", "e filled", "sl buy 10 @ 105", "sl filled", "tp cancelled oco"],
        ),
    ],
)
def test_short_bracket_is_the_mirror_image(rig: Any, bars: Any, lines: list[str]) -> None:
    sim = rig([QUIET, *bars])
    sim.bracket("sell", target=90, stop={"stop": 105})
    assert sim.run() == [*ACCEPTED, *lines]


def test_held_exits_do_nothing_while_the_entry_rests(rig: Any) -> None:
    sim = rig([QUIET, (100.0, 120.0, 94.0, 100.0), (100.0, 120.0, 89.0, 100.0)])
    sim.bracket(target=110, stop={"stop": 95}, limit=90)
    sim.told()
    assert sim.run(1) == []
    assert sim.run(1) == ["e buy 10 @ 90", "e filled"]


@pytest.mark.parametrize(
    ("entry", "act", "lines"),
    [
        (
            {"limit": 90},
            "cancel",
            ["e cancelled requested", "tp cancelled entry_ended", "sl cancelled entry_ended"],
        ),
        (
            {"limit": 90, "tif": "day"},
            "run",
            ["e expired day_ended", "tp cancelled entry_ended", "sl cancelled entry_ended"],
        ),
        # 10 × 10 001 is more than the account of 100 000 can carry at the open
        (
            {"size": 10},
            "gap",
            ["e rejected insufficient_funds", "tp cancelled entry_ended", "sl cancelled entry_ended"],
        ),
    ],
)
def test_exits_end_with_an_entry_that_was_never_filled(
    rig: Any, entry: dict[str, Any], act: str, lines: list[str]
) -> None:
    bar = (10001.0, 10002.0, 10000.0, 10001.0) if act == "gap" else QUIET
    sim = rig([QUIET, bar, bar])
    sim.bracket(target=20000, stop={"stop": 85}, **entry)
    sim.told()
    if act == "cancel":
        sim.cancel("e")
        assert sim.told() == lines
    else:
        assert sim.run() == lines
    assert sim.venue.open_orders() == []


@pytest.mark.parametrize(
    ("how", "end"), [("cancel", "e cancelled requested"), ("day", "e expired day_ended")]
)
@pytest.mark.parametrize(
    ("bar", "lines"),
    [
        ((99.0, 99.0, 94.0, 94.0, 1000.0), ["sl sell 4 @ 95", "sl filled", "tp cancelled oco"]),
        ((99.0, 111.0, 98.5, 99.0, 1000.0), ["tp sell 4 @ 110", "tp filled", "sl cancelled oco"]),
    ],
)
def test_exits_of_a_partly_filled_entry_work_for_what_was_filled(
    rig: Any, how: str, end: str, bar: Any, lines: list[str]
) -> None:
    """4 of 10 are filled in bar 1; the entry ends before bar 2, in which both exits may match."""
    sim = rig([BUSY, (98.0, 98.0, 97.0, 98.0, 40.0), bar], volume_share=Decimal("0.1"))
    sim.bracket(target=110, stop={"stop": 95}, limit=98, tif="day" if how == "day" else "gtc")
    sim.told()
    assert sim.run(1) == ["e buy 4 @ 98", "e partially_filled"]
    if how == "cancel":
        sim.cancel("e")
    assert sim.run(1) == [end, *lines]
    assert sim.position() == 0


@pytest.mark.parametrize(
    ("stop", "bars", "lines"),
    [
        (
            {"stop": 95, "limit": 94},
            [(101.0, 102.0, 94.5, 95.0)],
            ["sl sell 10 @ 95", "sl filled", "tp cancelled oco"],
        ),
    ],
)
def test_stop_loss_may_have_a_limit(rig: Any, stop: Any, bars: Any, lines: list[str]) -> None:
    sim = rig([QUIET, *bars])
    sim.bracket(target=120, stop=stop)
    assert sim.run() == [*ACCEPTED, "e buy 10 @ 101", "e filled", *lines]


@pytest.mark.parametrize(
    ("target", "stop", "bar", "lines"),
    [
        (
            110,
            {"stop": 95},
            (100.0, 111.0, 96.0, 110.0),
            ["tp sell 10 @ 110", "tp filled", "sl cancelled oco"],
        ),
        (110, {"stop": 95}, (100.0, 109.0, 94.0, 96.0), ["sl sell 10 @ 95", "sl filled", "tp cancelled oco"]),
        (110, {"stop": 95}, (100.0, 111.0, 94.0, 96.0), ["sl sell 10 @ 95", "sl filled", "tp cancelled oco"]),
        (
            110,
            {"stop": 95},
            (112.0, 113.0, 94.0, 96.0),
            ["tp sell 10 @ 112", "tp filled", "sl cancelled oco"],
        ),
        (110, {"stop": 95}, (93.0, 111.0, 92.0, 96.0), ["sl sell 10 @ 93", "sl filled", "tp cancelled oco"]),
        # perverse: the open is beyond both
        (
            99,
            {"stop": 101},
            (100.0, 100.0, 100.0, 100.0),
            ["sl sell 10 @ 100", "sl filled", "tp cancelled oco"],
        ),
        # the stop triggers inside without filling, so the target, hit too, does nothing
        (110, {"stop": 95, "limit": 96}, (100.0, 111.0, 94.0, 94.5), []),
        (110, {"stop": 95, "limit": 96}, (100.0, 109.0, 94.0, 94.5), []),
        (
            110,
            {"stop": 95, "limit": 96},
            (111.0, 111.0, 94.0, 94.5),
            ["tp sell 10 @ 111", "tp filled", "sl cancelled oco"],
        ),
    ],
)
def test_oco_gives_one_of_its_legs_in_a_bar(
    rig: Any, target: Any, stop: Any, bar: Any, lines: list[str]
) -> None:
    sim = rig([QUIET, bar])
    sim.hold(10)
    sim.oco(target=target, stop=stop)
    assert sim.told() == ["tp accepted", "sl accepted"]
    assert sim.run() == lines


def test_stop_limit_exit_that_only_triggered_works_on_beside_its_sibling(rig: Any) -> None:
    """Triggered in bar 1; in bar 2 it is a limit sell at 96, hit inside, as is the target: it wins."""
    sim = rig([QUIET, (100.0, 111.0, 94.0, 94.5), (95.0, 111.0, 94.0, 100.0)])
    sim.hold(10)
    sim.oco(target=110, stop={"stop": 95, "limit": 96})
    sim.told()
    assert sim.run() == ["sl sell 10 @ 96", "sl filled", "tp cancelled oco"]


@pytest.mark.parametrize(
    ("bars", "lines"),
    [
        # 4 of 10 at the target; then the stop works for the 6 that are left
        (
            [(100.0, 111.0, 99.0, 110.0, 40.0), (100.0, 101.0, 94.0, 95.0, 1000.0)],
            ["tp sell 4 @ 110", "tp partially_filled", "sl sell 6 @ 95", "sl filled", "tp cancelled oco"],
        ),
        # 4 of 10 at the stop; what is left of it is a market order, and ends the target
        (
            [(100.0, 101.0, 94.0, 95.0, 40.0), (112.0, 112.0, 112.0, 112.0, 1000.0)],
            ["sl sell 4 @ 95", "sl partially_filled", "sl sell 6 @ 112", "sl filled", "tp cancelled oco"],
        ),
        # 4 of 10 at the open beyond the target; the same bar then falls to the stop, but has no volume
        # left for it: it is a market order in the next
        (
            [(111.0, 112.0, 94.0, 95.0, 40.0), (97.0, 97.0, 97.0, 97.0, 1000.0)],
            ["tp sell 4 @ 111", "tp partially_filled", "sl sell 6 @ 97", "sl filled", "tp cancelled oco"],
        ),
        # 4 of 10 at the open beyond the target; the stop is not hit, and stays
        (
            [(111.0, 112.0, 99.0, 100.0, 40.0), (100.0, 101.0, 99.0, 100.0, 1000.0)],
            ["tp sell 4 @ 111", "tp partially_filled"],
        ),
    ],
)
def test_partial_fill_of_one_leg_reduces_the_other(rig: Any, bars: Any, lines: list[str]) -> None:
    sim = rig([BUSY, *bars], volume_share=Decimal("0.1"))
    sim.hold(10)
    sim.oco(target=110, stop={"stop": 95})
    sim.told()
    assert sim.run() == lines


def test_partial_fill_never_raises_the_other_leg(rig: Any) -> None:
    """4 of 10 at the target leave 6, but the stop is for 3 only."""
    sim = rig(
        [BUSY, (100.0, 111.0, 99.0, 110.0, 40.0), (94.0, 94.0, 94.0, 94.0, 1000.0)],
        volume_share=Decimal("0.1"),
    )
    sim.hold(10)
    sim.oco(target=110, stop={"stop": 95})
    sim.replace("sl", "sl2", size=3)
    sim.told()
    assert sim.run() == [
        "tp sell 4 @ 110",
        "tp partially_filled",
        "sl2 sell 3 @ 94",
        "sl2 filled",
        "tp cancelled oco",
    ]


@pytest.mark.parametrize(
    ("victim", "lines"),
    [
        ("tp", ["tp cancelled requested", "sl cancelled oco"]),
        ("sl", ["sl cancelled requested", "tp cancelled oco"]),
        ("e", ["e cancelled requested", "tp cancelled entry_ended", "sl cancelled entry_ended"]),
    ],
)
def test_cancel_of_a_leg_takes_the_other_exit_along(rig: Any, victim: str, lines: list[str]) -> None:
    sim = rig([QUIET, (89.0, 89.0, 89.0, 89.0)])
    sim.bracket(target=110, stop={"stop": 95}, limit=90)
    sim.told()
    sim.cancel(victim)
    assert sim.told() == lines
    assert sim.run() == ([] if victim == "e" else ["e buy 10 @ 89", "e filled"])


@pytest.mark.parametrize(
    ("bars", "lines"),
    [
        # daily bars: the stop's day is the entry's bar already
        ([QUIET, QUIET], ["sl expired day_ended", "tp cancelled oco"]),
        ([QUIET], []),
    ],
)
def test_expiry_of_one_exit_ends_the_other(rig: Any, bars: Any, lines: list[str]) -> None:
    sim = rig([QUIET, *bars])
    sim.bracket(target=110, stop={"stop": 95}, tif="day")
    assert sim.run() == [*ACCEPTED, "e buy 10 @ 100", "e filled", *lines]


def test_entry_that_can_reduce_no_more_leaves_its_bar_behind(rig: Any) -> None:
    """4 of 10 are sold to reduce, then the rest is gone: the exits for 4 begin with the bar after."""
    sim = rig(
        [BUSY, (100.0, 100.0, 100.0, 100.0, 40.0), (100.0, 106.0, 89.0, 100.0, 1e6), BUSY],
        volume_share=Decimal("0.1"),
    )
    sim.hold(10)
    sim.bracket("sell", target=90, stop={"stop": 105}, reduce_only=True)
    sim.told()
    assert sim.run(1) == ["e sell 4 @ 100", "e partially_filled"]
    sim.hold(0)
    assert sim.run() == ["e cancelled reduce_only"]
    assert [str(order.quantity) for order in sim.venue.open_orders()] == ["4", "4"]


def test_refused_remainder_of_an_entry_leaves_its_bar_behind(rig: Any) -> None:
    """4 of 10 at 100; the rest is too dear at 200, in a bar that would hit both exits; they work for 4."""
    sim = rig(
        [BUSY, (100.0, 100.0, 100.0, 100.0, 40.0), (200.0, 310.0, 94.0, 200.0, 1e6), (200.0,) * 4],
        volume_share=Decimal("0.1"),
        cash="1000",
    )
    sim.bracket(target=300, stop={"stop": 95})
    assert sim.run() == [*ACCEPTED, "e buy 4 @ 100", "e partially_filled", "e cancelled insufficient_funds"]
    assert [str(order.quantity) for order in sim.venue.open_orders()] == ["4", "4"]


@pytest.mark.parametrize(
    ("cash", "lines"),
    [
        ("1000", ACCEPTED),
        ("999", [f"{name} rejected insufficient_funds" for name in ("e", "tp", "sl")]),
    ],
)
def test_entry_of_a_bracket_needs_funds_and_its_exits_do_not(rig: Any, cash: str, lines: list[str]) -> None:
    sim = rig([QUIET], cash=cash, allow_short=False)
    sim.bracket(target=110, stop={"stop": 95})
    assert sim.told() == lines


@pytest.mark.parametrize(
    ("cash", "held", "lines"),
    [
        # sold short at its dearer leg: 10 × 110
        ("1100", 0, ["tp accepted", "sl accepted"]),
        ("1099", 0, ["tp rejected insufficient_funds", "sl rejected insufficient_funds"]),
        ("0", 10, ["tp accepted", "sl accepted"]),
    ],
)
def test_legs_of_an_oco_need_funds_unless_they_reduce(
    rig: Any, cash: str, held: int, lines: list[str]
) -> None:
    sim = rig([QUIET], cash=cash)
    sim.hold(held)
    sim.oco(target=110, stop={"stop": 95})
    assert sim.told() == lines


def test_exits_are_cut_to_what_the_entry_bought(rig: Any) -> None:
    sim = rig([QUIET, QUIET, (111.0, 111.0, 111.0, 111.0)])
    sim.bracket(target=110, stop={"stop": 95})
    for exit_ in ("tp", "sl"):
        sim.replace(exit_, f"{exit_}2", size=25)
    assert sim.run()[-3:] == ["tp2 sell 10 @ 111", "tp2 filled", "sl2 cancelled oco"]
    assert sim.position() == 0


def test_group_is_refused_whole(rig: Any) -> None:
    sim = rig([QUIET])
    sim.bracket(target=110, stop={"stop": 95}, tp={"limit": 99, "post_only": True})
    assert sim.told() == [f"{name} rejected post_only_would_cross" for name in ("e", "tp", "sl")]
    assert not sim.venue.working


def test_bracket_of_an_entry_at_the_last_price_works_from_the_next_bar(rig: Any) -> None:
    sim = rig([QUIET, (100.0, 111.0, 99.0, 110.0)], fill_at="last")
    sim.bracket(target=110, stop={"stop": 95})
    assert sim.told() == [*ACCEPTED, "e buy 10 @ 100", "e filled"]
    assert sim.run() == ["tp sell 10 @ 110", "tp filled", "sl cancelled oco"]


def test_exits_that_replace_another_version_keep_their_group(rig: Any) -> None:
    sim = rig([QUIET, QUIET, (100.0, 106.0, 99.0, 105.0)])
    sim.bracket(target=110, stop={"stop": 95})
    sim.told()
    sim.replace("tp", "tp2", limit=108)
    assert sim.told() == ["tp cancelled replaced", "tp2 accepted held"]
    assert sim.run(1) == ["e buy 10 @ 100", "e filled"]
    sim.replace("tp2", "tp3", limit=105)
    assert sim.told() == ["tp2 cancelled replaced", "tp3 accepted"]
    assert sim.run() == ["tp3 sell 10 @ 105", "tp3 filled", "sl cancelled oco"]


def test_replaced_entry_keeps_its_place_before_its_exits(rig: Any) -> None:
    """The stop is hit in the bar that the new version of the entry opens with."""
    sim = rig([QUIET, (89.0, 90.0, 79.0, 85.0)])
    sim.bracket(target=110, stop={"stop": 80}, limit=70)
    sim.replace("e", "e2", limit=95)
    sim.told()
    assert sim.run() == ["e2 buy 10 @ 89", "e2 filled", "sl sell 10 @ 80", "sl filled", "tp cancelled oco"]

"""Orders that wait for a price: which bars are shown to them, and which may be left out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from alphaweave.core.clock import from_ns
from alphaweave.core.order import OrderRef
from alphaweave.live.reports import OrderUpdate
from alphaweave.sim.passes import Passes

# Each bar reaches one farther than the one before: 1 to 99.5 and 100.5, 2 to 99 and 101, …
WIDENING = [(100.0, 100.0 + n / 2, 100.0 - n / 2, 100.0) for n in range(12)]
LEVEL = [(100.0, 100.0, 100.0, 100.0)]


@pytest.mark.parametrize(
    ("orders", "quiet"),
    [
        ([("buy", {"limit": 98})], 3),
        ([("sell", {"limit": 102})], 3),
        ([("sell", {"limit": "102.01"})], 4),
        ([("sell", {"stop": 98})], 3),
        ([("buy", {"stop": 102})], 3),
        ([("buy", {"stop": 101, "limit": 99})], 1),
        ([("buy", {"limit": 96}), ("sell", {"limit": 102}), ("buy", {"limit": 97})], 3),
        ([("sell", {"limit": 104}), ("sell", {"limit": 103}), ("sell", {"limit": 105})], 5),
        ([("buy", {"limit": 97}), ("buy", {"limit": 97})], 5),
        ([("buy", {"limit": 1})], 11),
        # what waits for something else than a price may be touched by any bar
        ([("buy", {"limit": 1}), ("buy", {})], 0),
        ([("sell", {"trail": "5"})], 0),
        ([("buy", {"limit": 1, "tif": "day"})], 0),
        ([("buy", {"limit": 1, "tif": "at_open"})], 0),
        ([("buy", {"limit": 1, "expire": 10**18})], 0),
    ],
)
def test_bars_out_of_the_reach_of_all_orders_are_idle(rig: Any, orders: Any, quiet: int) -> None:
    sim = rig(WIDENING)
    for number, (side, terms) in enumerate(orders):
        sim.order(f"o{number}", side, **terms)
    assert sim.venue.idle(100) == quiet
    assert sim.venue.idle(2) == min(quiet, 2)
    sim.told()
    if quiet < 11:
        assert sim.run(quiet) == []


def test_order_that_ends_or_changes_no_longer_holds_up_the_rest(rig: Any) -> None:
    sim = rig(WIDENING)
    sim.buy("near", limit=99)
    sim.sell("far", limit=103)
    assert sim.venue.idle(100) == 1
    sim.replace("near", "nearer", limit="99.5")
    assert sim.venue.idle(100) == 0
    sim.replace("nearer", "next", limit=98)
    assert sim.venue.idle(100) == 3
    sim.cancel("next")
    assert sim.venue.idle(100) == 5
    sim.cancel("far")
    assert sim.venue.idle(100) == 100  # as many as one asks for


def test_day_order_is_idle_until_its_session_ends(rig: Any) -> None:
    """Six-hour bars: the order's first bar, from 6 to 12, is of a day with two more."""
    sim = rig(LEVEL * 12, interval="6h")
    sim.buy("a", limit=1, tif="day")
    assert sim.venue.idle(100) == 0
    sim.run(1)
    assert sim.venue.idle(100) == 2
    sim.run(2)
    assert sim.venue.idle(100) == 0
    assert sim.run(1) == ["a expired day_ended"]


def test_active_exits_of_a_bracket_are_idle_and_held_ones_count_for_nothing(rig: Any) -> None:
    sim = rig([*LEVEL * 3, *WIDENING])
    sim.bracket(limit=99, target=103, stop={"stop": 97})
    assert sim.venue.idle(100) == 4  # the entry: its bars are the two level ones, and two of the others
    sim.run(5)
    assert "e filled" in sim.log
    assert sim.venue.idle(100) == 3  # to the bar that reaches 97


def test_triggered_stop_limit_waits_for_its_limit(rig: Any) -> None:
    falls = [(100.0, 100.0, 98.0, 99.0), (97.0, 98.5, 97.0, 97.0), (97.0, 99.5, 97.0, 97.0)]
    sim = rig([*LEVEL, *falls])
    sim.sell("a", stop=98, limit=99)
    assert sim.venue.idle(9) == 0
    assert sim.run(1) == ["a accepted"]
    assert sim.venue.idle(9) == 1
    assert sim.run() == ["a sell 10 @ 99", "a filled"]


def test_look_ahead_goes_on_where_it_ended(rig: Any) -> None:
    """It reports some quiet bars at once, and all of them in the end."""
    sim = rig([*LEVEL * 900, (100.0, 100.0, 90.0, 100.0), *LEVEL * 9], interval="1h")
    sim.buy("a", limit=95)
    told: list[int] = []
    while quiet := sim.venue.idle(10_000):
        told.append(quiet)
        for _ in range(quiet):
            sim.board["A"].cursor.count += 1
    assert sum(told) == 899
    assert len(told) < 6


def test_bar_is_shown_only_to_orders_it_may_concern(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sim = rig(WIDENING)
    for number in range(3000):
        sim.buy(f"far{number}", limit=50)
    sim.buy("met", limit=98)
    sim.buy("now")
    shown: list[str] = []
    ready = Passes._ready

    def watched(self: Passes, order: Any, bar: Any) -> bool:
        shown.append(order.ref.client_order_id)
        return ready(self, order, bar)

    monkeypatch.setattr(Passes, "_ready", watched)
    sim.run()
    assert shown == ["now", "met"]


def random_orders(sim: Any, dice: Random, number: int) -> None:
    side = dice.choice(("buy", "sell"))
    price = 100 + dice.randint(-12, 12) / 2
    kind = dice.random()
    if kind < 0.4:
        sim.order(f"o{number}", side, limit=price, tif=dice.choice(("gtc", "day")))
    elif kind < 0.6:
        sim.order(f"o{number}", side, stop=price)
    elif kind < 0.8:
        sim.order(f"o{number}", side, stop=price, limit=price + dice.choice((-1, 0, 1)), tif="day")
    else:
        away = 1 if side == "buy" else -1
        sim.bracket(
            side, target=100 + 4 * away, stop={"stop": 100 - 5 * away}, prefix=f"o{number}", limit=100 - away
        )


def bars_of(dice: Random) -> Sequence[Any]:
    bars, price = [], 100.0
    for _ in range(120):
        opened = price + dice.choice((-0.5, 0.0, 0.5))
        price = min(max(opened + dice.choice((-1.0, -0.5, 0.0, 0.5, 1.0)), 92.0), 108.0)
        low, high = min(opened, price), max(opened, price)
        bars.append((opened, high + dice.choice((0.0, 0.5)), low - dice.choice((0.0, 0.5)), price))
    return bars


def test_idle_bars_left_out_change_no_event(rig: Any) -> None:
    """Whatever rests, the events are those of a venue that was shown every bar."""
    skipped = 0
    for seed in range(40):
        told = []
        for leaves_out in (False, True):
            dice = Random(seed)
            sim = rig(bars_of(dice), interval="6h", check_funds=False)
            while sim.done < sim.total:
                if dice.random() < 0.15:
                    random_orders(sim, dice, sim.done)
                if leaves_out and sim.venue.working and sim.venue.idle(sim.total - sim.done):
                    skipped += 1
                    sim.board["A"].cursor.count += 1
                    sim.done += 1
                    sim.now = sim.end_of(sim.done - 1)
                else:
                    sim.run(1)
            sim.told()
            told.append(sim.events)
        assert told[0] == told[1]
    assert skipped > 500


def test_instant_of_the_decision_is_taken_over_only_where_it_is_that_of_the_call(rig: Any) -> None:
    sim = rig(LEVEL * 4)
    moment = from_ns(sim.now)
    for number, decided_at in enumerate((None, moment, moment + timedelta(microseconds=1), from_ns(0))):
        fresh = rig(LEVEL * 4)
        ref = OrderRef(f"a{number}", "A", decided_at=decided_at)
        fresh.venue.submit(ref, fresh.request("buy"), fresh.now)
        (update,) = fresh.venue.take()
        assert isinstance(update, OrderUpdate)
        assert update.received_at == moment
        assert (update.received_at is decided_at) is (decided_at is moment)

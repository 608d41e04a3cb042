"""A venue that is cut anywhere and restored goes on as the uninterrupted one."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.errors import (
    CancelRejected,
    ReplaceRejected,
    StateCorrupt,
    StateMismatch,
    StateSchemaTooNew,
)
from alphaweave.sim.costs import FeeModel, SlippageModel
from alphaweave.sim.settings import Fault
from alphaweave.sim.snapshot import Mark, merged

QUIET = (100.0, 100.0, 100.0, 100.0)

prices = st.integers(min_value=90, max_value=110).map(float)


@st.composite
def bars(draw: st.DrawFn) -> tuple[float, ...]:
    four = sorted(draw(st.tuples(prices, prices, prices, prices)))
    open_, close = draw(st.permutations(four[1:3]))
    return (open_, four[3], four[0], close, float(draw(st.sampled_from([0, 15, 40, 400]))))


terms = st.sampled_from(
    [
        {},
        {"limit": 99},
        {"limit": 98, "post_only": True},
        {"stop": 103},
        {"stop": 97},
        {"stop": 102, "limit": 103},
        {"stop": 101, "limit": 99},
        {"trail": "3"},
        {"trail": "4%"},
        {"quote": 700},
        {"reduce_only": True},
        {"limit": 101, "tif": "day"},
        {"tif": "ioc"},
        {"tif": "fok"},
        {"tif": "at_open"},
        {"tif": "at_close"},
        {"limit": 100, "expire": 4 * 86_400_000_000_000},
    ]
)
actions = st.one_of(
    st.tuples(st.just("order"), st.sampled_from(["buy", "sell"]), st.integers(1, 30), terms),
    st.tuples(
        st.just("bracket"),
        st.sampled_from([{}, {"limit": 99}, {"tif": "day"}]),
        st.sampled_from([{"stop": 96}, {"stop": 96, "limit": 97}]),
    ),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("replace"), st.integers(0, 9), st.integers(1, 40)),
)
scripts = st.lists(st.tuples(bars(), st.lists(actions, max_size=3)), min_size=2, max_size=8)
venues = st.sampled_from(
    [
        {},
        {"volume_share": Decimal("0.1"), "fees": FeeModel(taker_rate=Decimal("0.001"), minimum=Decimal(1))},
        {"random_partials": 0.6, "slippage": SlippageModel(bps=Decimal(7), impact=Decimal("0.01"))},
        {"fill_at": "last", "random_partials": 0.5, "allow_short": False},
        {"latency_ns": 1, "leverage": Decimal(3), "history": 2},
        {"faults": (Fault("reject_order", 3), Fault("cancel_reject", 2)), "limit_fill": "limit"},
    ]
)


def act(sim: Any, action: tuple[Any, ...], name: str) -> None:
    orders = sim.venue.open_orders()
    if action[0] == "order":
        sim.order(name, action[1], action[2], **action[3])
    elif action[0] == "bracket":
        sim.bracket(target=106, stop=action[2], prefix=name, **action[1])
    elif orders:
        target = orders[action[1] % len(orders)].client_order_id
        try:
            if action[0] == "cancel":
                sim.cancel(target)
            else:
                sim.replace(target, name, size=action[2])
        except (CancelRejected, ReplaceRejected) as error:
            sim.log.append(f"{target}: {error.code}")


def play(sim: Any, script: Any, cut: int | None) -> None:
    """``cut``: after that step the venue goes on as another one, restored from JSON text."""
    step = 0
    for number, (_, todo) in enumerate(script):
        for index, action in enumerate(todo):
            act(sim, action, f"o{number}.{index}")
            step = _maybe_cut(sim, step, cut)
        sim.run(1)
        step = _maybe_cut(sim, step, cut)


def _maybe_cut(sim: Any, step: int, cut: int | None) -> int:
    if step == cut:
        text = json.dumps(sim.venue.snapshot(), allow_nan=False)
        sim.venue = sim.fresh()
        sim.venue.restore(json.loads(text))
        assert json.dumps(sim.venue.snapshot()) == text
    sim.told()
    return step + 1


@settings(max_examples=60, deadline=None)
@given(script=scripts, settings_=venues, cut=st.integers(0, 25))
def test_venue_cut_anywhere_and_restored_equals_the_uninterrupted_one(
    rig: Any, script: Any, settings_: dict[str, Any], cut: int
) -> None:
    rows = [QUIET, *(bar for bar, _ in script)]
    whole, pieces = rig(rows, cash="5000", seed=3, **settings_), rig(rows, cash="5000", seed=3, **settings_)
    play(whole, script, None)
    play(pieces, script, cut)
    assert pieces.log == whole.log
    assert pieces.events == whole.events
    assert pieces.venue.account_state(pieces.now) == whole.venue.account_state(whole.now)
    assert pieces.venue.open_orders() == whole.venue.open_orders()


@settings(max_examples=60, deadline=None)
@given(script=scripts, settings_=venues)
def test_changes_come_to_the_snapshot(rig: Any, script: Any, settings_: dict[str, Any]) -> None:
    """Taken after any call, whatever became of orders and fills in between."""
    rows = [QUIET, *(bar for bar, _ in script)]
    sim, mark, texts = rig(rows, cash="5000", seed=3, **{**settings_, "history": None}), Mark(), []
    for number, (_, todo) in enumerate(script):
        for index, action in enumerate(todo):
            act(sim, action, f"o{number}.{index}")
            texts.append(json.dumps(sim.venue.changes(mark)))
            sim.told()
        sim.run(1)
        texts.append(json.dumps(sim.venue.changes(mark)))
    assert merged(map(json.loads, texts)) == json.loads(json.dumps(sim.venue.snapshot()))


def test_changes_name_what_changed_alone(rig: Any) -> None:
    """However many orders came before, and however many rest."""
    sim, mark = rig([QUIET] * 4), Mark()
    sim.buy("a")
    sim.buy("resting", limit=90)
    sim.run(1)
    sim.venue.changes(mark)
    sim.told()
    sim.buy("b")
    first = sim.venue.changes(mark)
    assert [order["ref"]["client_order_id"] for order in first["book"]["orders"]] == ["b"]
    assert (first["book"]["fills"], "rng" in first) == ([], False)
    sim.run(1)
    second = sim.venue.changes(mark)["book"]
    assert "b" in [order["ref"]["client_order_id"] for order in second["orders"]]
    assert [fill["client_order_id"] for _, fill in second["fills"]] == ["b"]


def test_changes_of_a_venue_that_forgets_are_refused(rig: Any) -> None:
    with pytest.raises(ValueError, match="leave `history` at None"):
        rig([QUIET], history=1).venue.changes(Mark())


@settings(max_examples=30, deadline=None)
@given(script=scripts, settings_=venues)
def test_same_calls_give_the_same_events(rig: Any, script: Any, settings_: dict[str, Any]) -> None:
    rows = [QUIET, *(bar for bar, _ in script)]
    sims = [rig(rows, cash="5000", seed=9, **settings_) for _ in range(2)]
    for sim in sims:
        play(sim, script, None)
    assert sims[0].events == sims[1].events
    assert sims[0].venue.snapshot() == sims[1].venue.snapshot()


@settings(max_examples=40, deadline=None)
@given(script=scripts, settings_=venues)
def test_books_are_the_sum_of_the_fills(rig: Any, script: Any, settings_: dict[str, Any]) -> None:
    """Cash and position follow from the fills, no order fills beyond its size, and keys are unique."""
    sim = rig([QUIET, *(bar for bar, _ in script)], cash="5000", **settings_)
    play(sim, script, None)
    cash, position, keys = Decimal(5000), Decimal(0), []
    for event in sim.events:
        if hasattr(event, "execution_key"):
            keys.append(event.execution_key)
            position += event.side.sign * event.size
            cash -= event.side.sign * event.size * event.price
            cash -= sum((fee.amount for fee in event.fees), Decimal(0))
        elif event.status.value == "filled":
            assert event.cumulative > 0
    state = sim.venue.account_state(sim.now)
    assert state.balances["USD"].total == cash
    assert state.positions.get("A", 0) == position
    assert len(keys) == len(set(keys))
    book = sim.venue.snapshot()["book"]
    ended = {"filled", "cancelled", "expired", "rejected"}
    grouped = {
        order["group"] for order in book["orders"] if order.get("status") not in ended and "group" in order
    }
    assert {group["id"] for group in book["groups"]} == grouped
    for order in sim.venue.open_orders():
        assert order.quantity is None or order.filled < order.quantity


def test_events_that_were_not_taken_survive(rig: Any) -> None:
    sim = rig([QUIET], fill_at="last")
    sim.buy("a")
    snapshot = json.loads(json.dumps(sim.venue.snapshot()))
    other = sim.fresh()
    other.restore(snapshot)
    events = sim.venue.take()
    assert other.take() == events
    assert len(events) == 3


def test_restored_venue_keeps_its_working_view(rig: Any) -> None:
    sim = rig([QUIET])
    sim.buy("a", limit=90)
    other = sim.fresh()
    working = other.working
    other.restore(sim.venue.snapshot())
    assert working
    other.cancel("a", sim.now)
    assert not working


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        ({"version": 2}, StateSchemaTooNew),
        ({"account_id": "other"}, StateMismatch),
        ({"currency": "EUR"}, StateMismatch),
        ({"book": {}}, StateCorrupt),
        ({"rng": [3, [1, 2], None]}, StateCorrupt),
        ({"account": {"cash": "a lot"}}, StateCorrupt),
        ({"version": None}, StateCorrupt),
    ],
)
def test_snapshot_that_does_not_fit_is_refused(
    rig: Any, damage: dict[str, Any], error: type[Exception]
) -> None:
    sim = rig([QUIET])
    sim.buy("a")
    with pytest.raises(error):
        sim.fresh().restore(sim.venue.snapshot() | damage)


def test_snapshot_with_a_damaged_order_is_refused(rig: Any) -> None:
    sim = rig([QUIET])
    sim.buy("a")
    snapshot = sim.venue.snapshot()
    snapshot["book"]["orders"][0]["quantity"] = "ten"
    with pytest.raises(StateCorrupt):
        sim.fresh().restore(snapshot)

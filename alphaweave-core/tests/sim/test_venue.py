"""What the venue tells; cancelling, replacing, looking up (docs/simulation.md, sections 2, 3 and 12)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.errors import CancelRejected, OrderState, OutcomeUnknown, ReplaceRejected
from alphaweave.core.money import CONTEXT, Money
from alphaweave.core.order import GroupKind, OrderGroup, OrderRef, OrderStatus, OrderType, Side, TimeInForce
from alphaweave.live.reports import BrokerFill, OrderUpdate
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave.sim.costs import FeeModel, SlippageModel
from alphaweave.sim.settings import Fault, VenueSettings

QUIET = (100.0, 100.0, 100.0, 100.0)
DAY = 86_400_000_000_000


def flat(price: float, volume: float = 1_000_000.0) -> tuple[float, ...]:
    return (price, price, price, price, volume)


def day(number: int) -> datetime:
    return datetime(1970, 1, 1 + number, tzinfo=UTC)


def test_events_of_an_order_are_complete(rig: Any) -> None:
    sim = rig(
        [QUIET, flat(100.0, 40.0), flat(103.0)], volume_share=Decimal("0.1"), fees=FeeModel(fixed=Decimal(2))
    )
    sim.venue.submit(OrderRef("a", "A", wire={"id": "7"}), sim.request("buy"), sim.now)
    sim.run()
    ref = OrderRef("a", "A", "sim-1", {"id": "7"})
    average = (Decimal(4) * 100 + Decimal(6) * 103) / 10

    def fill(number: int, size: int, price: int, cumulative: int) -> BrokerFill:
        return BrokerFill(
            account="sim",
            execution_key=f"sim:{number}",
            broker_order_id="sim-1",
            client_order_id="a",
            symbol="A",
            side=Side.BUY,
            size=Decimal(size),
            price=Decimal(price),
            executed_at=day(number),
            received_at=day(number + 1),
            cumulative=Decimal(cumulative),
            fees=(Money("USD", Decimal(2)),),
        )

    def update(status: OrderStatus, at: int, cumulative: int, price: Decimal | None) -> OrderUpdate:
        return OrderUpdate(
            ref=ref,
            status=status,
            received_at=day(at),
            broker_time=day(at),
            cumulative=Decimal(cumulative),
            average_price=price,
        )

    assert sim.events == [
        update(OrderStatus.ACCEPTED, 1, 0, None),
        fill(1, 4, 100, 4),
        update(OrderStatus.PARTIALLY_FILLED, 2, 4, Decimal(100)),
        fill(2, 6, 103, 10),
        update(OrderStatus.FILLED, 3, 10, average),
    ]


@pytest.mark.parametrize(
    ("terms", "bar", "executed"),
    [
        ({}, (101.0, 103.0, 98.0, 102.0), 1),  # at the open: when the bar begins
        ({"limit": 99}, (101.0, 103.0, 98.0, 102.0), 2),  # somewhere inside: by its end
        ({"limit": 102}, (101.0, 103.0, 98.0, 102.0), 1),
        ({"stop": 102}, (101.0, 103.0, 98.0, 102.0), 2),
        ({"tif": "at_close"}, (101.0, 103.0, 98.0, 102.0), 2),
    ],
)
def test_execution_is_dated_by_where_in_the_bar_it_was(rig: Any, terms: Any, bar: Any, executed: int) -> None:
    sim = rig([QUIET, bar])
    sim.buy("a", **terms)
    sim.run()
    fill = sim.events[1]
    assert (fill.executed_at, fill.received_at) == (day(executed), day(2))


def test_refusal_says_why_in_words(rig: Any) -> None:
    sim = rig([QUIET], cash="10")
    sim.buy("a")
    sim.told()
    assert (sim.events[0].reason, sim.events[0].text) == (
        "insufficient_funds",
        "the account cannot carry this order",
    )
    assert sim.venue.order("a").text == "the account cannot carry this order"


def twins(sim: Any) -> None:
    group = OrderGroup(GroupKind.OCO, sim.request("sell", limit=110), sim.request("sell", stop=95))
    sim.venue.submit_group([OrderRef("x", "A"), OrderRef("x", "A")], group, sim.now)


@pytest.mark.parametrize(
    "call",
    [
        lambda sim: sim.buy("tp"),
        lambda sim: sim.oco(target=110, stop={"stop": 95}),
        lambda sim: sim.replace("b", "tp", limit=91),
        twins,
    ],
)
def test_client_order_id_is_taken_once(rig: Any, call: Any) -> None:
    sim = rig([QUIET], faults=(Fault("reject_order", 3),))
    sim.buy("tp", limit=90)
    sim.buy("b", limit=90)
    before = sim.venue.snapshot()
    with pytest.raises(OutcomeUnknown, match="used before") as caught:
        call(sim)
    assert caught.value.code == "duplicate_client_order_id"
    assert sim.venue.snapshot() == before


@pytest.mark.parametrize(
    ("name", "code", "state"),
    [
        ("none", "unknown_order", OrderState.UNKNOWN),
        ("done", "not_working", OrderState.GONE),
        ("refused", "not_working", OrderState.GONE),
    ],
)
def test_cancel_of_what_does_not_work_is_refused(rig: Any, name: str, code: str, state: OrderState) -> None:
    sim = rig([QUIET, QUIET])
    sim.buy("done")
    sim.buy("refused", 10_000_000)
    sim.run()
    with pytest.raises(CancelRejected) as caught:
        sim.cancel(name)
    assert (caught.value.code, caught.value.order_state) == (code, state)
    assert sim.told() == []


def test_cancelled_order_fills_no_more(rig: Any) -> None:
    sim = rig([QUIET, QUIET], latency_ns=0)
    sim.buy("a", limit=101)
    sim.cancel("a")
    assert sim.run() == ["a accepted", "a cancelled requested"]
    assert not sim.venue.working


@pytest.mark.parametrize(
    ("symbols", "lines"),
    [
        (
            None,
            ["a cancelled requested", "b cancelled requested", "tp cancelled requested", "sl cancelled oco"],
        ),
        (["A"], ["a cancelled requested", "tp cancelled requested", "sl cancelled oco"]),
        (["B"], ["b cancelled requested"]),
        ([], []),
    ],
)
def test_cancel_all_ends_every_order_of_its_symbols(rig: Any, symbols: Any, lines: list[str]) -> None:
    sim = rig({"A": [QUIET], "B": [QUIET]})
    sim.hold(10)
    sim.buy("a", limit=90)
    sim.buy("b", limit=90, symbol="B")
    sim.oco(target=110, stop={"stop": 95})
    sim.told()
    sim.venue.cancel_all(symbols, sim.now)
    assert sim.told() == lines


def test_cancel_all_ends_the_exits_that_a_cancelled_entry_sets_free(rig: Any) -> None:
    sim = rig([QUIET, flat(100.0, 40.0)], volume_share=Decimal("0.1"))
    sim.bracket(target=110, stop={"stop": 95})
    sim.run()
    sim.venue.cancel_all(None, sim.now)
    assert sim.told() == ["e cancelled requested", "tp cancelled requested", "sl cancelled oco"]


@pytest.mark.parametrize(
    ("nth", "answers"),
    [
        (1, ["a rejected venue_closed", "b accepted", "c accepted"]),
        (2, ["a accepted", "b rejected venue_closed", "c accepted"]),
        (4, ["a accepted", "b accepted", "c accepted"]),
    ],
)
def test_scripted_fault_refuses_the_nth_order(rig: Any, nth: int, answers: list[str]) -> None:
    sim = rig([QUIET], faults=(Fault("reject_order", nth, "venue_closed"),))
    for name in ("a", "b", "c"):
        sim.buy(name)
    assert sim.told() == answers


def test_scripted_fault_in_a_leg_refuses_its_group(rig: Any) -> None:
    """Submissions 2, 3 and 4 are the legs; the fault of 3 ends them all, that of 5 is the next order's."""
    sim = rig([QUIET], faults=(Fault("reject_order", 3, "x"), Fault("reject_order", 5, "y")))
    sim.buy("a")
    sim.bracket(target=110, stop={"stop": 95})
    sim.buy("b")
    assert sim.told() == ["a accepted", "e rejected x", "tp rejected x", "sl rejected x", "b rejected y"]


def test_scripted_fault_refuses_the_nth_cancel(rig: Any) -> None:
    sim = rig([QUIET], faults=(Fault("cancel_reject", 2, "too_late"),))
    for name in ("a", "b", "c"):
        sim.buy(name, limit=90)
    sim.told()
    with pytest.raises(CancelRejected):
        sim.cancel("none")
    with pytest.raises(CancelRejected) as caught:
        sim.venue.cancel_all(None, sim.now)
    assert (caught.value.code, caught.value.order_state) == ("too_late", OrderState.ALIVE)
    assert sim.told() == ["a cancelled requested", "c cancelled requested"]
    sim.cancel("b")
    assert sim.told() == ["b cancelled requested"]


@pytest.mark.parametrize(
    ("terms", "change", "bar", "lines"),
    [
        ({"limit": 90}, {"limit": 99}, (100.0, 101.0, 98.0, 100.0), ["b buy 10 @ 99", "b filled"]),
        ({"limit": 99}, {"limit": 90}, (100.0, 101.0, 98.0, 100.0), []),
        ({"limit": 99}, {"size": 25}, (100.0, 101.0, 98.0, 100.0), ["b buy 25 @ 99", "b filled"]),
        ({"stop": 105}, {"stop": 101}, (100.0, 101.0, 98.0, 100.0), ["b buy 10 @ 101", "b filled"]),
        (
            {"stop": 101, "limit": 100},
            {"limit": 102},
            (100.0, 101.0, 98.0, 100.0),
            ["b buy 10 @ 101", "b filled"],
        ),
        ({"trail": "5"}, {"trail": "1"}, (100.0, 101.0, 98.0, 100.0), ["b buy 10 @ 101", "b filled"]),
        ({}, {"size": 3}, (100.0, 101.0, 98.0, 100.0), ["b buy 3 @ 100", "b filled"]),
    ],
)
def test_replacement_works_on_its_new_terms(
    rig: Any, terms: Any, change: Any, bar: Any, lines: list[str]
) -> None:
    sim = rig([QUIET, bar])
    sim.buy("a", **terms)
    sim.told()
    sim.replace("a", "b", **change)
    assert sim.told() == ["a cancelled replaced", "b accepted"]
    old, new = sim.events[-2:]
    assert (old.replaced_by, new.ref.broker_order_id) == ("b", "sim-2")
    assert sim.run() == lines


def test_replacement_counts_what_its_order_has_filled(rig: Any) -> None:
    """4 of 10 at 99; the new total of 6 leaves 2; cumulative and average go on."""
    sim = rig([QUIET, flat(99.0, 40.0), flat(98.0)], volume_share=Decimal("0.1"))
    sim.buy("a", limit=99)
    sim.run(1)
    sim.replace("a", "b", size=6)
    assert sim.run() == ["a cancelled replaced", "b accepted", "b buy 2 @ 98", "b filled"]
    accepted, fill, filled = sim.events[-3:]
    assert (accepted.cumulative, accepted.average_price) == (4, 99)
    assert (fill.cumulative, fill.broker_order_id) == (6, "sim-2")
    assert filled.average_price == CONTEXT.divide(Decimal(592), Decimal(6))
    assert sim.venue.order("a").filled == 4


@pytest.mark.parametrize(
    ("latency", "fill"),
    [(0, "a2 buy 10 @ 101"), (1, "a2 buy 10 @ 102")],
)
def test_replacement_arrives_as_late_as_an_order(rig: Any, latency: int, fill: str) -> None:
    sim = rig([QUIET, QUIET, flat(101.0), flat(102.0)], latency_ns=latency)
    sim.buy("a", limit=90)
    sim.run(1)
    sim.replace("a", "a2", limit=105)
    assert sim.run()[-2] == fill


def test_replacement_keeps_day_trail_trigger_and_fees(rig: Any) -> None:
    day_order = rig([QUIET] * 12, interval="6h")
    day_order.buy("a", limit=90, tif="day")
    day_order.run(1)
    day_order.replace("a", "b", limit=91)
    day_order.told()
    assert day_order.run() == ["b expired day_ended"]

    trailing = rig([QUIET, (100.0, 110.0, 99.0, 109.0), (109.0, 109.0, 105.0, 106.0)])
    trailing.sell("a", trail="20")
    trailing.run(1)
    trailing.replace("a", "b", trail="5")
    assert trailing.run()[-2] == "b sell 10 @ 105"

    triggered = rig(
        [QUIET, (100.0, 103.0, 99.0, 101.0, 40.0), flat(99.0)],
        volume_share=Decimal("0.1"),
        fees=FeeModel(minimum=Decimal(1)),
    )
    triggered.buy("a", stop=102)
    assert triggered.run(1)[1] == "a buy 4 @ 102 fee 1"
    triggered.replace("a", "b", size=6)
    assert triggered.run()[-2] == "b buy 2 @ 99"


@pytest.mark.parametrize(
    ("terms", "change", "code", "state"),
    [
        ({"limit": 90}, {"stop": 101}, "unsupported_change", OrderState.ALIVE),
        ({}, {"limit": 101}, "unsupported_change", OrderState.ALIVE),
        ({"quote": 500}, {"size": 5}, "unsupported_change", OrderState.ALIVE),
        ({"limit": 90}, {"size": 1200}, "insufficient_funds", OrderState.ALIVE),
        ({"limit": 90, "post_only": True}, {"limit": 100}, "post_only_would_cross", OrderState.ALIVE),
    ],
)
def test_replacement_that_is_refused_leaves_the_order_as_it_was(
    rig: Any, terms: Any, change: Any, code: str, state: OrderState
) -> None:
    sim = rig([QUIET])
    sim.buy("a", **terms)
    before = sim.venue.snapshot()
    with pytest.raises(ReplaceRejected) as caught:
        sim.replace("a", "b", **change)
    assert (caught.value.code, caught.value.order_state) == (code, state)
    assert sim.venue.snapshot() == before


def test_replacement_of_what_does_not_work_is_refused(rig: Any) -> None:
    sim = rig([QUIET, flat(99.0, 40.0), (100.0, 103.0, 99.0, 101.0, 0.0)], volume_share=Decimal("0.1"))
    sim.buy("a", limit=99)
    sim.buy("s", stop=102)
    sim.buy("done", 1, limit=99)
    sim.run()
    codes = []
    sim.cancel("done")
    for name, change in (
        ("a", {"size": 4}),
        ("s", {"stop": 105}),
        ("done", {"size": 4}),
        ("none", {"size": 4}),
    ):
        with pytest.raises(ReplaceRejected) as caught:
            sim.replace(name, "new", **change)
        codes.append((caught.value.code, caught.value.order_state))
    assert codes == [
        ("quantity_filled", OrderState.ALIVE),
        ("already_triggered", OrderState.ALIVE),
        ("not_working", OrderState.GONE),
        ("not_working", OrderState.GONE),
    ]


def test_replacement_is_tested_for_what_is_left_of_it(rig: Any) -> None:
    """4 of 10 are paid for; a total of 14 needs 10 more, and that is all the account carries."""
    sim = rig([QUIET, flat(100.0, 40.0)], volume_share=Decimal("0.1"), cash="1400")
    sim.buy("a", limit=100)
    sim.run()
    with pytest.raises(ReplaceRejected, match="cannot carry"):
        sim.replace("a", "b", size=15)
    sim.replace("a", "b", size=14)
    assert sim.told() == ["a cancelled replaced", "b accepted"]


def test_queries_find_orders_and_fills(rig: Any) -> None:
    sim = rig([QUIET, flat(101.0), flat(102.0)])
    sim.buy("a")
    sim.buy("b", limit=90)
    sim.bracket(target=110, stop={"stop": 80}, limit=85)
    sim.run(1)
    found = sim.venue.order("a")
    assert (found.status, found.quantity, found.filled, found.average_price) == (
        OrderStatus.FILLED,
        10,
        10,
        101,
    )
    assert (found.submitted_at, found.as_of, found.side) == (day(1), day(2), Side.BUY)
    assert found.request == sim.request("buy")
    assert sim.venue.order("none") is None
    assert [
        (order.client_order_id, order.status.value, order.reason) for order in sim.venue.open_orders()
    ] == [
        ("b", "accepted", None),
        ("e", "accepted", None),
        ("tp", "accepted", "held"),
        ("sl", "accepted", "held"),
    ]
    assert [fill.execution_key for fill in sim.venue.fills(0)] == ["sim:1"]
    assert [fill.execution_key for fill in sim.venue.fills(2 * DAY)] == ["sim:1"]
    assert sim.venue.fills(2 * DAY + 1) == []


@pytest.mark.parametrize(
    ("history", "known", "fills", "complete_from"),
    [
        (None, ["a", "b", "c"], 3, 0),
        (3, ["a", "b", "c"], 3, 0),
        (2, ["b", "c"], 2, 2 * DAY + 1),
        (0, [], 0, 4 * DAY + 1),
    ],
)
def test_history_bounds_what_the_venue_remembers(
    rig: Any, history: Any, known: list[str], fills: int, complete_from: int
) -> None:
    sim = rig([QUIET] * 4, history=history)
    for name in ("a", "b", "c"):
        sim.buy(name)
        sim.run(1)
    sim.buy("open", limit=90)
    assert [name for name in ("a", "b", "c") if sim.venue.order(name)] == known
    assert len(sim.venue.fills(0)) == fills
    assert sim.venue.fills_complete_from == complete_from
    assert sim.venue.order("open") is not None


def test_working_tells_whether_the_venue_need_see_a_slice(rig: Any) -> None:
    sim = rig([QUIET, QUIET])
    working = sim.venue.working
    assert not working
    sim.buy("a")
    assert working
    sim.run()
    assert not working


def test_slice_may_be_matched_before_or_after_its_cursor_moves(rig: Any) -> None:
    """A live driver shows the bar first, the replay driver matches first: the same fills."""
    bars = [QUIET, (101.0, 103.0, 98.0, 102.0), (102.0, 104.0, 99.0, 103.0)]
    first = rig(bars)
    second = rig(bars)
    for sim in (first, second):
        sim.buy("a")
        sim.sell("b", trail="2", reduce_only=True)
    first.run()
    for position in (1, 2):
        second.board["A"].cursor.count = position + 1
        second.now = second.end_of(position)
        second.venue.on_slice(second.now)
    assert second.told() == first.log
    assert len(first.log) > 4


def test_order_placed_on_a_fill_sees_the_bar_of_that_fill(rig: Any) -> None:
    """The cursor still shows bar 0 when bar 1 was matched; a market order is then filled at bar 1's close."""
    sim = rig([QUIET, (101.0, 103.0, 98.0, 102.0)], fill_at="last")
    sim.buy("a", limit=99)
    sim.told()
    sim.venue.on_slice(2 * DAY)
    assert sim.told() == ["a buy 10 @ 99", "a filled"]
    sim.sell("b")
    assert sim.told() == ["b accepted", "b sell 10 @ 102", "b filled"]
    assert sim.venue.account_state(2 * DAY).equity == 100030
    sim.buy("c", trail="1")
    assert sim.venue.snapshot()["book"]["orders"][-1]["best"] == "102.0"


def test_board_may_be_given_later(rig: Any) -> None:
    sim = rig([QUIET, flat(101.0), flat(102.0)])
    board = sim.venue.board
    sim.venue.board = {}
    sim.buy("a")
    sim.buy("o", tif="at_open")
    assert sim.run(1) == ["a accepted", "o accepted"]
    sim.venue.board = board
    assert sim.run() == ["a buy 10 @ 102", "a filled", "o buy 10 @ 102", "o filled"]


def test_events_are_handed_over_once(rig: Any) -> None:
    sim = rig([QUIET])
    sim.buy("a")
    assert len(sim.venue.events) == 1
    taken = sim.venue.take()
    assert len(taken) == 1
    assert sim.venue.events == []
    assert sim.venue.take() == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VenueSettings(volume_share=Decimal(0)), "volume_share"),
        (lambda: VenueSettings(volume_share=Decimal("1.01")), "volume_share"),
        (lambda: VenueSettings(leverage=Decimal(0)), "leverage"),
        (lambda: VenueSettings(latency_ns=-1), "latency_ns"),
        (lambda: VenueSettings(history=-1), "history"),
        (lambda: VenueSettings(random_partials=1.0), "random_partials"),
        (lambda: VenueSettings(fill_at="close"), "fill_at"),  # type: ignore[arg-type]
        (lambda: VenueSettings(limit_fill="best"), "limit_fill"),  # type: ignore[arg-type]
        (lambda: VenueSettings(session_timezone="Mars/Olympus"), "time zone"),
        (lambda: Fault("lose_order", 1), "kind"),  # type: ignore[arg-type]
        (lambda: Fault("reject_order", 0), "nth"),
        (lambda: FeeModel(fixed=Decimal(-1)), "fixed"),
        (lambda: SlippageModel(ticks=Decimal(-1)), "ticks"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", list(OrderType))
@pytest.mark.parametrize("tif", list(TimeInForce))
def test_declared_order_types_are_those_the_venue_takes(rig: Any, kind: OrderType, tif: TimeInForce) -> None:
    sim = rig([QUIET])
    every: dict[OrderType, dict[str, Any]] = {
        OrderType.MARKET: {},
        OrderType.LIMIT: {"limit": 90},
        OrderType.STOP: {"stop": 110},
        OrderType.STOP_LIMIT: {"stop": 110, "limit": 111},
        OrderType.TRAILING_STOP: {"trail": "1"},
        OrderType.TAKE_PROFIT: {"touch": 90},
        OrderType.TAKE_PROFIT_LIMIT: {"touch": 90, "limit": 91},
    }
    terms = every[kind]
    sim.buy("a", **terms, **({"expire": DAY} if tif is TimeInForce.GTD else {"tif": tif.value}))
    accepted = sim.told() == ["a accepted"]
    assert accepted is ((kind, tif) in SIM_CAPABILITIES.order_types)

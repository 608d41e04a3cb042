"""Each invariant says nothing of a healthy run, and names what is wrong with one that is not."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.money import Money
from alphaweave.core.order import OrderStatus, Side
from alphaweave.live.reports import BrokerFill, CashFlow
from simulation import invariants
from simulation.invariants import Limits, LocalBooks, LocalOrder, Need, Row, Sent
from simulation.truth import Truth

AT = datetime(2024, 1, 2, tzinfo=UTC)
LIMITS = Limits(position=Decimal(100), order_value=Decimal(1_000))


def fill(key: str = "k1", size: int = 10, price: str = "100", **facts: Any) -> BrokerFill:
    """An execution of order `a`."""
    return BrokerFill(
        account="A",
        execution_key=key,
        broker_order_id="b1",
        client_order_id="a",
        symbol="ABC",
        side=Side.BUY,
        size=Decimal(size),
        price=Decimal(price),
        executed_at=AT,
        received_at=AT,
        fees=(Money("USD", Decimal(1)),),
        **facts,
    )


@pytest.fixture
def truth() -> Truth:
    """A broker with one execution of one order."""
    broker = Truth(Decimal(5_000))
    broker.accepted["a"] += 1
    broker.executed(fill(), 0)
    return broker


@pytest.fixture
def local() -> LocalBooks:
    """A run that knows it."""
    return LocalBooks(
        executions={"k1": fill()},
        positions={"ABC": Decimal(10)},
        cash=Decimal(3_999),
        orders=(LocalOrder(("a",), "ABC", Side.BUY, OrderStatus.PARTIALLY_FILLED, Decimal(10), Decimal(30)),),
        open_buy={"ABC": Decimal(20)},
    )


@pytest.fixture
def sent() -> Sent:
    """A harmless order."""
    return Sent(
        name="a",
        symbol="ABC",
        worst=Decimal(100),
        reduces=False,
        value=Decimal(1_000),
        journaled=True,
        halted=False,
        doubted=False,
        ended=False,
        times=1,
    )


def test_invariants_say_nothing_of_a_healthy_run(truth: Truth, local: LocalBooks, sent: Sent) -> None:
    """All of them hold where the run knows what is so."""
    assert not list(invariants.at_most_one_order(truth))
    assert not list(invariants.nothing_invented(truth, local))
    assert not list(invariants.executions_equal(truth, local))
    assert not list(invariants.positions_equal(truth, local))
    assert not list(invariants.cash_equal(truth, local))
    assert not list(invariants.no_doubt(local))
    assert not list(invariants.exposure_counted(local, Need({"ABC": Decimal(20)}, {})))
    assert not list(invariants.within_limits(sent, LIMITS))
    assert not list(invariants.sending_allowed(sent))
    assert not list(invariants.same_state("x", "x"))
    assert not list(invariants.same_decisions(["x"], ["x"]))
    assert not list(invariants.ends_active({}, named=False))


def test_one_intent_with_two_orders_is_told(truth: Truth) -> None:
    """I1 counts what the broker made of each name."""
    truth.accepted["a"] += 1
    assert list(invariants.at_most_one_order(truth)) == ["the broker has 2 orders of a"]


def test_one_cancel_that_is_asked_for_twice_is_told(truth: Truth) -> None:
    """Another cancel of the same order has another name."""
    truth.asked.update(["cancel:a:7", "cancel:a:9"])
    assert not list(invariants.at_most_one_order(truth))
    truth.asked["cancel:a:7"] += 1
    assert list(invariants.at_most_one_order(truth)) == ["cancel:a:7 was asked for 2 times by one process"]


@pytest.mark.parametrize(
    ("booked", "position", "told"),
    [
        ({"k1": fill(), "k2": fill("k2")}, 20, "I2"),
        ({"k1": fill(revision=1)}, 10, "I2"),
        ({"k1": fill()}, 11, "I3"),
        ({"k1": fill(price="99")}, 10, "I4"),
        ({}, 0, "I2"),
    ],
    ids=[
        "unknown_key",
        "revision_to_come",
        "position_not_the_sum",
        "cash_not_the_sum",
        "order_counts_what_is_not_booked",
    ],
)
def test_what_nobody_executed_is_told(
    truth: Truth, local: LocalBooks, booked: dict[str, BrokerFill], position: int, told: str
) -> None:
    """Safety of the books needs no patience: what is wrong is wrong at once."""
    wrong = evolve(local, executions=booked, positions={"ABC": Decimal(position)})
    assert told in {name for name, _ in invariants.nothing_invented(truth, wrong)}


def test_one_execution_booked_under_both_its_keys_is_told(truth: Truth, local: LocalBooks) -> None:
    """An alias is the same execution."""
    truth.aliases["stream:k1"] = "k1"
    twice = evolve(
        local,
        executions={"k1": fill(), "stream:k1": fill("stream:k1")},
        positions={"ABC": Decimal(20)},
        cash=Decimal(2_998),
        orders=(),
    )
    assert list(invariants.nothing_invented(truth, twice)) == [("I2", "execution k1 is booked twice")]
    assert not list(invariants.nothing_invented(truth, evolve(local, executions={"stream:k1": fill()})))


def test_executions_that_differ_from_the_brokers_are_told(truth: Truth, local: LocalBooks) -> None:
    """A missing one, one on other terms, and one that was taken back."""
    assert list(invariants.executions_equal(truth, evolve(local, executions={})))
    truth.restate("k1", Decimal("100.05"), 1)
    assert list(invariants.executions_equal(truth, local))
    truth.bust("k1")
    assert list(invariants.executions_equal(truth, local))
    assert list(invariants.positions_equal(truth, local)) == ["ABC: 10 units in the books, 0 at the broker"]


def test_cash_that_differs_by_a_flow_or_a_cent_is_told(truth: Truth, local: LocalBooks) -> None:
    """Equal means equal."""
    assert list(invariants.cash_equal(truth, evolve(local, cash=Decimal("3999.01"))))
    truth.flow(CashFlow("A", "f", "dividend", Money("USD", Decimal(5)), AT), 1)
    assert list(invariants.cash_equal(truth, local)) == ["3999 in the books, 4004 at the broker"]


@pytest.mark.parametrize("status", [OrderStatus.UNKNOWN, OrderStatus.PENDING])
def test_an_order_without_an_outcome_at_rest_is_told(local: LocalBooks, status: OrderStatus) -> None:
    """I5 asks for an answer to every order."""
    (order,) = local.orders
    assert len(list(invariants.no_doubt(evolve(local, orders=(evolve(order, status=status),))))) == 1


def test_exposure_that_is_not_counted_is_told(local: LocalBooks) -> None:
    """What the broker may still trade is reserved, to the unit."""
    assert len(list(invariants.exposure_counted(local, Need({"ABC": Decimal(21)}, {})))) == 1
    assert len(list(invariants.exposure_counted(local, Need({}, {"ABC": Decimal(1)})))) == 1


@pytest.mark.parametrize(
    "change",
    [{"worst": Decimal(101)}, {"value": Decimal("1000.01")}, {"doubted": True}, {"apart": True}],
)
def test_an_order_beyond_a_limit_is_told_unless_it_reduces(sent: Sent, change: dict[str, Any]) -> None:
    """I6 is about exposure that is added."""
    wrong = evolve(sent, **change)
    assert len(list(invariants.within_limits(wrong, LIMITS))) == 1
    assert not list(invariants.within_limits(evolve(wrong, reduces=True), LIMITS))


@pytest.mark.parametrize(
    ("change", "told"),
    [({"times": 2}, "I1"), ({"journaled": False}, "I7"), ({"halted": True}, "I7"), ({"ended": True}, "I7")],
)
def test_a_send_that_was_not_allowed_is_told(sent: Sent, change: dict[str, Any], told: str) -> None:
    """Twice, unjournaled, halted, or after the end."""
    assert [name for name, _ in invariants.sending_allowed(evolve(sent, **change))] == [told]


def test_an_exit_of_the_engine_is_sent_while_halted(sent: Sent) -> None:
    """Flattening goes on under a halt, but not without a journal."""
    assert not list(invariants.sending_allowed(evolve(sent, halted=True, exit=True)))
    assert list(invariants.sending_allowed(evolve(sent, journaled=False, exit=True)))


def test_states_and_decisions_that_differ_are_told() -> None:
    """I8 and I9 show where."""
    assert "…abc… before" in next(iter(invariants.same_state("abc", "abd")))
    assert list(invariants.same_state("ab", "abc"))
    assert list(invariants.same_decisions(["a", "b"], ["a", "c"])) == [
        "decision 1 was b, and is c on the same inputs"
    ]
    assert list(invariants.same_decisions(["a"], ["a", "b"]))


def test_a_halt_that_no_script_names_is_told() -> None:
    """Stopping is not a pass."""
    assert len(list(invariants.ends_active({"": "rejects"}, named=False))) == 1
    assert not list(invariants.ends_active({"": "rejects"}, named=True))


def test_outcomes_are_compared_with_the_brokers(local: LocalBooks) -> None:
    """An order that the broker never had was rejected or withdrawn, and nothing else."""
    (order,) = local.orders
    known = {"a": OrderStatus.PARTIALLY_FILLED}
    assert invariants.orders_come_out(local, known) == (1, 1)
    assert invariants.orders_come_out(local, {"a": OrderStatus.FILLED}) == (0, 1)
    assert invariants.orders_come_out(local, {}) == (0, 1)
    gone = evolve(local, orders=(evolve(order, status=OrderStatus.REJECTED),))
    assert invariants.orders_come_out(gone, {}) == (1, 1)


ROW = Row(10, (1.0, 2.0, 0.5, 1.5, 100.0))


def test_bars_that_the_feed_did_not_say_or_that_come_twice_are_told() -> None:
    """A bar of before its restatement is one that was said."""
    said = {("ABC", 10): [ROW.values, (1.0, 2.0, 0.5, 0.5, 101.0)], ("ABC", 20): [ROW.values]}
    later = evolve(ROW, end=20)
    assert not list(invariants.bars_in_order({"ABC": [ROW, later]}, said))
    assert len(list(invariants.bars_in_order({"ABC": [ROW, ROW]}, said))) == 1
    assert len(list(invariants.bars_in_order({"ABC": [later, ROW]}, said))) == 1
    assert len(list(invariants.bars_in_order({"ABC": [evolve(ROW, end=30)]}, said))) == 1


def test_bars_that_are_missing_or_not_as_they_were_restated_are_told() -> None:
    """Unless the strategy knows, or they end before the first there is."""
    bars = {"ABC": [ROW, evolve(ROW, end=30)], "XYZ": [evolve(ROW, end=end) for end in (10, 20, 30)]}
    told = {("ABC", 10): ROW.values}
    ends = (0, 10, 20, 30)
    assert not list(invariants.bars_to_the_last_word(bars, told, ends, [("ABC", 10, 20)]))
    assert list(invariants.bars_to_the_last_word(bars, told, ends, [("XYZ", 10, 20), ("ABC", 20, 30)])) == [
        "ABC: the bar ending 20 is missing, and the strategy does not know"
    ]
    restated = {("ABC", 30): (1.0, 2.0, 0.5, 0.5, 101.0)}
    assert len(list(invariants.bars_to_the_last_word(bars, restated, ends, [("ABC", 10, 20)]))) == 1


def test_somebody_elses_fill_that_halts_nothing_is_told(local: LocalBooks) -> None:
    """Each is looked at once: an operator may lift the halt."""
    meddled = evolve(local, executions={"h": fill("h", foreign=True)})
    assert len(list(invariants.foreign_halts(meddled, set(), {"XYZ"}))) == 1
    assert not list(invariants.foreign_halts(meddled, set(), {"ABC"}))
    assert not list(invariants.foreign_halts(meddled, {"h"}, set()))
    assert not list(invariants.foreign_halts(local, set(), set()))

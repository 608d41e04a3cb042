"""The scripted broker knows the truth, and tells it as badly as its script says."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderRef, OrderRequest, OrderType, Side, TimeInForce
from alphaweave.live.actions import OpenOrdersQuery, OrderQuery, SendCancel, SendSubmit
from alphaweave.live.inputs import OutcomeKind, SendOutcome
from alphaweave.live.reports import BrokerEvent, BrokerFill, ConnectionLost, ConnectionRestored
from simulation.broker import ScriptedBroker
from simulation.clock import SECOND, Agenda
from simulation.invariants import at_most_one_order
from simulation.script import LONGEST_DELAY, OPENS_AT, SYMBOLS, TIMEOUT, Fate, FaultKind, Script, draw


class Fixed(Script):
    """A script whose requests, events and queries meet one fate."""

    fate: Fate = Fate(None, 1, 1)

    def send(self, now: int) -> Fate:
        return self.fate

    def event(self, now: int) -> Fate:
        return Fate(None, 1, 1)

    def query(self, now: int) -> Fate:
        return Fate(None, 1, 1)


class Bench:
    """A broker, a clock, and what a process was told."""

    def __init__(self, fate: Fate, **terms: Any) -> None:
        plain = draw(1)
        terms = {
            "outages": (),
            "skew": 0,
            "happenings": (),
            "unique_ids": True,
            "fills_at_once": True,
            **terms,
        }
        drawn = evolve(plain, **terms)
        script = Fixed(**{a.name: getattr(drawn, a.name) for a in Script.__attrs_attrs__})  # type: ignore[attr-defined]
        object.__setattr__(script, "fate", fate)
        self.agenda = Agenda(OPENS_AT)
        instruments = {symbol: Instrument(symbol=symbol, venue_symbol=symbol) for symbol in SYMBOLS}
        self.broker = ScriptedBroker(script, self.agenda, instruments)
        self.events: list[BrokerEvent] = []
        self.outcomes: list[SendOutcome] = []
        self.broker.attach(self.events.append)
        self.agenda.at(script.ends[0], lambda: self.broker.on_bar(0))
        self.wait(11)

    def buy(self, name: str = "a") -> None:
        """Send an order at market."""
        request = OrderRequest("ABC", Side.BUY, Decimal(1), None, OrderType.MARKET, TimeInForce.GTC)
        self.broker.send(SendSubmit(name, OrderRef(name, "ABC"), request, 0), self.outcomes.append)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        until = self.agenda.now + int(seconds * SECOND)
        while self.agenda.step(until):
            pass

    @property
    def kinds(self) -> list[OutcomeKind]:
        return [outcome.kind for outcome in self.outcomes]


@pytest.mark.parametrize(
    ("kind", "outcome", "orders"),
    [
        (None, OutcomeKind.ACKED, 1),
        (FaultKind.LOST_REQUEST, OutcomeKind.UNKNOWN, 0),
        (FaultKind.LOST_ACK, OutcomeKind.UNKNOWN, 1),
        (FaultKind.SERVER_ERROR, OutcomeKind.UNKNOWN, 1),
        (FaultKind.NOT_SENT, OutcomeKind.NOT_SENT, 0),
        (FaultKind.RATE_LIMITED, OutcomeKind.REJECTED, 0),
        (FaultKind.REJECTED, OutcomeKind.REJECTED, 0),
    ],
)
def test_a_request_is_answered_once_as_its_fate_says(
    kind: FaultKind | None, outcome: OutcomeKind, orders: int
) -> None:
    """Whatever happens there is one outcome, and the broker knows whether there is an order."""
    bench = Bench(Fate(kind, 1, 1))
    bench.buy()
    bench.wait(20)
    assert (bench.kinds, bench.broker.truth.accepted["a"]) == ([outcome], orders)
    assert sum(isinstance(event, BrokerFill) for event in bench.events) == orders
    assert bench.broker.struck == (Counter() if kind is None else Counter({kind: 1}))


def test_a_late_request_arrives_after_its_outcome_is_unknown() -> None:
    """A byte that has left may arrive long after nobody waits for it."""
    bench = Bench(Fate(FaultKind.LATE_REQUEST, LONGEST_DELAY - 1, 1))
    bench.buy()
    bench.wait(TIMEOUT / SECOND)
    assert (bench.kinds, bench.broker.truth.accepted["a"], set(bench.broker.on_the_way)) == (
        [OutcomeKind.UNKNOWN],
        0,
        {"a"},
    )
    bench.wait(LONGEST_DELAY / SECOND)
    assert (bench.kinds, bench.broker.truth.accepted["a"]) == ([OutcomeKind.UNKNOWN], 1)
    assert not bench.broker.on_the_way


@pytest.mark.parametrize(("unique", "orders"), [(True, 1), (False, 2)])
def test_an_order_id_that_ended_may_be_used_again_where_the_broker_lets_it(unique: bool, orders: int) -> None:
    """Binance takes the id of an ended order again; others say that it was used."""
    bench = Bench(Fate(None, 1, 1), unique_ids=unique)
    bench.buy()
    bench.wait(1)
    bench.buy()
    bench.wait(1)
    assert bench.broker.truth.accepted["a"] == orders
    assert bench.kinds[1] is (OutcomeKind.UNKNOWN if unique else OutcomeKind.ACKED)


def test_nothing_passes_while_the_link_is_cut() -> None:
    """What is sent in the silence is unknown, what is sent later is not sent."""
    begins = OPENS_AT + 20 * SECOND
    bench = Bench(Fate(None, 1, 1), outages=((begins, begins + 10 * SECOND, 3 * SECOND),))
    bench.wait(10)
    bench.buy("silent")
    bench.wait(5)
    bench.buy("known")
    bench.wait(10)
    assert bench.kinds == [OutcomeKind.UNKNOWN, OutcomeKind.NOT_SENT]
    told = [type(event) for event in bench.events]
    assert (told.count(ConnectionLost), told.count(ConnectionRestored)) == (1, 1)
    assert told.index(ConnectionLost) < told.index(ConnectionRestored)


def test_a_process_that_is_gone_hears_nothing_and_its_requests_arrive() -> None:
    """Death does not call back what was sent."""
    bench = Bench(Fate(None, SECOND, 1))
    bench.buy()
    bench.broker.attach(None)
    bench.wait(5)
    assert (bench.broker.truth.accepted["a"], bench.events) == (1, [])
    answers: list[tuple[Any, str | None]] = []
    bench.broker.ask(
        OrderQuery(OrderRef("a", "ABC"), 1), lambda answer, error: answers.append((answer, error))
    )
    bench.wait(1)
    ((found, error),) = answers
    assert (found.client_order_id, found.filled, error) == ("a", 1, None)


def test_the_same_seed_gives_the_same_day() -> None:
    """And another seed another one."""
    assert draw(7) == draw(7)
    assert draw(7).bars != draw(8).bars
    one, other = draw(7), draw(7)
    assert [one.send(0) for _ in range(50)] == [other.send(0) for _ in range(50)]


def test_the_next_process_may_ask_for_a_cancel_under_the_name_of_the_last() -> None:
    """The same process may not, for it could not tell the outcomes apart."""
    bench = Bench(Fate(None, SECOND // 2, SECOND // 2))
    cancel = SendCancel("cancel:a:0", OrderRef("a", "ABC"))
    bench.broker.send(cancel, bench.outcomes.append)
    bench.broker.attach(None)
    bench.broker.attach(bench.events.append)
    bench.broker.send(cancel, bench.outcomes.append)
    assert not list(at_most_one_order(bench.broker.truth))
    bench.wait(5)
    assert [outcome.kind for outcome in bench.outcomes] == [OutcomeKind.CANCEL_REJECTED] * 2
    bench.broker.send(cancel, bench.outcomes.append)
    assert len(list(at_most_one_order(bench.broker.truth))) == 1


def test_an_order_of_somebody_else_works_and_fills_under_no_name() -> None:
    """It is in the answer on open orders, and among nobody's own."""
    bench = Bench(Fate(None, 1, 1))
    bench.broker.happen(FaultKind.FOREIGN_ORDER)
    answers: list[Any] = []
    bench.broker.ask(OpenOrdersQuery(1), lambda answer, error: answers.append(answer))
    for number in range(1, 20):
        bench.agenda.at(OPENS_AT + (number + 1) * 10 * SECOND, partial(bench.broker.on_bar, number))
    bench.wait(250)
    (((order,),),) = [answers]
    assert (order.foreign, order.client_order_id, bench.broker.open_orders()) == (True, None, [])
    fills = [event for event in bench.events if isinstance(event, BrokerFill)]
    assert fills
    assert all(fill.foreign and fill.client_order_id is None for fill in fills)

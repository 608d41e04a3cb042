"""What a live core makes of odd moments: an exit that rests, answers out of season, a fill restated early."""

from __future__ import annotations

import importlib.util
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.clock import from_ns
from alphaweave.core.order import (
    GroupKind,
    OrderRef,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from alphaweave.live.actions import FillsQuery, SendCancel, SendSubmit
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.control_records import Verb
from alphaweave.live.inputs import OutcomeInput, OutcomeKind, SendOutcome, TimerInput
from alphaweave.live.journal_records import canonical
from alphaweave.live.kernel_live_state import capture_live
from alphaweave.live.live_journal import AdapterStore
from alphaweave.live.reports import BrokerFill, ConnectionLost, ConnectionRestored, FillCorrection
from alphaweave.live.trading_state import TradingState


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


live = _module("live_bench")
CAPABILITIES = Capabilities(
    order_types=frozenset((kind, tif) for kind in OrderType for tif in (TimeInForce.DAY, TimeInForce.GTC)),
    shorting=True,
    simulated=True,
)


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    """A bench that is reconciled, with a price."""
    made = live.LiveBench(tmp_path, CAPABILITIES)
    made.settle()
    made.bar()
    return made


def bought(bench: Any, size: int = 10) -> str:
    """Buy, and be filled; the name of the order."""
    bench.bar(script=lambda strategy: strategy.order_market("SPY", size))
    (sent,) = bench.deliver()
    bench.event(bench.broker.fill(sent.intent, str(size), "100", from_ns(bench.now)))
    return str(sent.intent)


@pytest.mark.parametrize("why", ["it rests", "nobody is there"])
def test_an_exit_that_has_to_wait_wakes_nobody_meanwhile(bench: Any, why: str) -> None:
    """While an exit rests, or the connection is lost, there is no time at which to try again."""
    bought(bench)
    bench.command(Verb.FLATTEN)
    (exit_,) = bench.sent
    assert isinstance(exit_, SendSubmit)
    bench.deliver()
    if why == "nobody is there":
        bench.event(bench.broker.end(exit_.intent, OrderStatus.CANCELLED, from_ns(bench.now)))
        bench.event(ConnectionLost(from_ns(bench.now), "cut"))
    bench.settle(8)
    due = bench.core.next_wakeup()
    assert due is None or due > bench.now
    assert not bench.sent


def test_a_fill_that_is_restated_before_its_order_is_known_is_its_orders(bench: Any) -> None:
    """The correction takes the place of the fill that waits, and is booked once the names are there."""
    handle = bench.bar(script=lambda strategy: strategy.order_market("SPY", 10))
    (sent,) = bench.sent
    at = from_ns(bench.now)
    first = nameless(at, "9")
    bench.event(first)
    restated = evolve(first, size=Decimal(10), revision=1)
    bench.event(FillCorrection("DU1", "x", 1, restated, at))
    assert bench.kernel.books["SPY"].units == 0.0
    assert "foreign_fill" not in bench.alerts()
    bench.deliver()
    assert (handle.status, handle.filled) == (OrderStatus.FILLED, Decimal(10))
    assert bench.kernel.books["SPY"].units == 10.0
    assert bench.board.states.state("SPY") is TradingState.ACTIVE
    assert sent.intent in bench.broker.arrived


def test_a_bust_of_a_fill_that_waits_takes_it_back(bench: Any) -> None:
    bench.bar(script=lambda strategy: strategy.order_market("SPY", 10))
    at = from_ns(bench.now)
    bench.event(nameless(at, "10"))
    bench.event(FillCorrection("DU1", "x", 1, None, at))
    bench.deliver()
    assert bench.kernel.books["SPY"].units == 0.0
    assert not bench.core.intake.held


def test_a_fill_of_nobodys_order_halts_its_symbol_also_if_only_its_correction_comes(bench: Any) -> None:
    at = from_ns(bench.now)
    bench.event(FillCorrection("DU1", "x", 1, evolve(nameless(at, "3"), revision=1), at))
    assert bench.kernel.books["SPY"].units == 3.0
    assert bench.board.states.state("SPY") is TradingState.HALTED


def nameless(at: datetime, size: str) -> BrokerFill:
    """A fill that bears the broker's name of the first order only."""
    return BrokerFill("DU1", "x", "B1", None, "SPY", Side.BUY, Decimal(size), Decimal(100), at, at, fees=())


def test_an_answer_that_comes_after_the_connection_was_lost_opens_nothing(bench: Any) -> None:
    """What was asked before the loss says nothing of the books after it."""
    bench.settle()
    bench.now = bench.core.next_wakeup()
    bench.give(TimerInput(bench.now))
    assert bench.reconciler.passed
    assert bench.asked
    bench.event(ConnectionLost(from_ns(bench.now), "cut"))
    bench.told.clear()
    bench.answer()
    assert "reconciled" not in bench.alerts()
    assert not bench.reconciler.passed


def test_what_an_adapter_keeps_while_the_journal_takes_it_is_not_lost() -> None:
    """The adapter writes on the loop's thread, the journal takes on the core's: each change is taken once."""
    store = AdapterStore()
    taken: list[dict[str, str | None]] = []
    taking = Thread(target=lambda: taken.append(dict(store.take())))

    class Key(str):
        """The journal comes along when this is looked up for the second time: among what changed."""

        __slots__ = ("looked_up",)

        def __hash__(self) -> int:
            self.looked_up = getattr(self, "looked_up", 0) + 1
            if self.looked_up == 2:
                taking.start()
                taking.join(0.05)
            return str.__hash__(self)

    store[Key("cursor")] = "7"
    taking.join()
    assert [*taken, store.take()] in ([{"cursor": "7"}, {}], [{}, {"cursor": "7"}])


class Fragile(live.Quiet):  # type: ignore[misc, name-defined]
    """Fails at whatever it hears, once the test says so."""

    def on_fill(self, fill: Any) -> None:
        super().on_fill(fill)
        self.fail()

    def on_order(self, event: Any) -> None:
        super().on_order(event)
        self.fail()

    def fail(self) -> None:
        if self.bench.result == "fail":
            raise ValueError("odd")


def books(bench: Any) -> str:
    """Kernel and intents, as text."""
    kernel = {name: part for name, part in capture_live(bench.kernel, 50).items() if name != "indicators"}
    return canonical({"kernel": kernel, "intents": bench.core.intents.snapshot()})


def test_executions_that_are_found_at_once_are_booked_although_a_callback_fails_at_the_first(
    tmp_path: Path,
) -> None:
    """A later question would not go back far enough to find the others."""
    bench = live.LiveBench(tmp_path, CAPABILITIES, symbols=("SPY", "QQQ"), make=Fragile)
    bench.settle()
    bench.bar()
    bench.bar(script=lambda strategy: [strategy.order_market(name, 10) for name in ("SPY", "QQQ")])
    names = [sent.intent for sent in bench.deliver()]
    bench.settle(3)
    bench.event(ConnectionLost(from_ns(bench.now), "cut"))
    for name in names:
        bench.broker.fill(name, "10", "100", from_ns(bench.now))
    bench.now += 600 * 10**9
    bench.result = "fail"
    heard = len(bench.strategy.heard)
    bench.event(ConnectionRestored(from_ns(bench.now)))
    bench.settle(60)
    assert [bench.kernel.books[name].units for name in ("SPY", "QQQ")] == [10.0, 10.0]
    assert len(bench.strategy.heard) == heard + 1
    assert bench.alerts().count("strategy_failed") == 1
    before = books(bench)
    bench.crash()
    assert books(bench) == before


def test_a_group_that_was_not_sent_is_over_although_a_callback_fails_at_its_first_leg(tmp_path: Path) -> None:
    """A leg that nobody ends would hold its exposure, and hold up every flatten."""
    capabilities = evolve(CAPABILITIES, groups=frozenset(GroupKind))
    bench = live.LiveBench(tmp_path, capabilities, make=Fragile)
    bench.settle()
    bench.bar()
    bench.bar(script=lambda one: one.order_bracket("SPY", 10, take_profit=110, stop_loss=90))
    (sent,) = bench.sent
    bench.result = "fail"
    bench.give(OutcomeInput(bench.now, sent.intent, SendOutcome(OutcomeKind.NOT_SENT, text="shut")))
    assert not bench.kernel.orders
    assert not bench.core.intents.versions
    before = books(bench)
    bench.sent.clear()
    bench.crash()
    assert books(bench) == before


def test_a_correction_that_bears_the_brokers_name_only_is_of_the_order_that_was_filled(bench: Any) -> None:
    handle = bench.bar(script=lambda strategy: strategy.order_market("SPY", 10))
    bench.deliver()
    at = from_ns(bench.now)
    bench.event(nameless(at, "9"))
    bench.event(FillCorrection("DU1", "x", 1, evolve(nameless(at, "10"), revision=1), at))
    assert (handle.status, handle.filled) == (OrderStatus.FILLED, Decimal(10))
    assert bench.kernel.books["SPY"].units == 10.0


def given_up(bench: Any) -> str:
    """An order whose request was lost, and which the broker has denied for long enough; its name."""
    bench.bar(script=lambda strategy: strategy.order_market("SPY", 10))
    (sent,) = bench.deliver(lost="request")
    bench.settle(30)
    assert not bench.kernel.orders
    return str(sent.intent)


def test_an_order_that_was_given_up_and_works_after_all_is_cancelled_and_halts_its_symbol(bench: Any) -> None:
    """A request may hang somewhere for longer than anybody says."""
    name = given_up(bench)
    ref, request = OrderRef(name, "SPY"), OrderRequest(symbol="SPY", side=Side.BUY, quantity=Decimal(10))
    bench.broker.take(ref, request, from_ns(bench.now))
    bench.settle(30)
    assert [type(sent) for sent in bench.sent] == [SendCancel]
    assert bench.sent[0].ref.client_order_id == name
    assert "order_revived" in bench.alerts()
    assert bench.board.states.state("SPY") is TradingState.HALTED


def test_a_fill_of_an_order_that_was_given_up_is_booked_as_its_own(bench: Any) -> None:
    name = given_up(bench)
    at = from_ns(bench.now)
    bench.event(bench.broker.execute(name, "SPY", Side.BUY, "10", "100", at, "B9"))
    assert bench.kernel.books["SPY"].units == 10.0
    assert bench.kernel.order_of(name).filled == Decimal(10)
    assert "fill_after_end" in bench.alerts()


def test_an_order_that_the_broker_had_and_denies_halts_its_symbol(bench: Any) -> None:
    """It is taken for over only when everything was asked, and a person has to look."""
    handle = bench.bar(script=lambda strategy: strategy.order_limit("SPY", 10, 90))
    (sent,) = bench.deliver()
    del bench.broker.orders[sent.intent]
    bench.settle(9)
    assert handle.status is OrderStatus.ACCEPTED
    bench.settle(50)
    assert (handle.status, handle.reason) == (OrderStatus.CANCELLED, "vanished")
    assert "order_vanished" in bench.alerts()
    assert bench.board.states.state("SPY") is TradingState.HALTED


def test_an_order_that_the_broker_has_forgotten_halts_its_symbol(bench: Any) -> None:
    """It works no more, and whether it was filled nobody can say: the run goes on, but for its symbol."""
    handle = bench.bar(script=lambda strategy: strategy.order_limit("SPY", 10, 90))
    (sent,) = bench.deliver()
    del bench.broker.orders[sent.intent]
    bench.broker.forgotten.add(sent.intent)
    bench.settle(60)
    assert (handle.status, handle.reason) == (OrderStatus.CANCELLED, "forgotten")
    assert "order_forgotten" in bench.alerts()
    assert bench.board.states.state("SPY") is TradingState.HALTED
    assert bench.board.states.state(None) is TradingState.ACTIVE


def test_a_position_that_nothing_explains_halts_its_symbol_and_invents_no_fill(bench: Any) -> None:
    """Also after a restart, until somebody has looked."""
    bought(bench)
    bench.settle(20)
    bench.broker.positions["SPY"] = Decimal(7)
    bench.settle(120)
    assert "position_differs" in bench.alerts()
    assert bench.kernel.books["SPY"].units == 10.0
    assert bench.board.states.state("SPY") is TradingState.HALTED
    bench.crash()
    bench.settle(30)
    assert bench.board.states.state("SPY") is TradingState.HALTED


def test_executions_that_cannot_be_had_any_more_are_told_of(bench: Any) -> None:
    bench.bar()
    whole = bench.broker.answer

    def short(query: Any, at: datetime) -> Any:
        answer = whole(query, at)
        if isinstance(query, FillsQuery):
            return evolve(answer, complete_from={"SPY": at})
        return answer

    bench.broker.answer = short
    bench.settle(60)
    assert "fill_gap" in bench.alerts()


def test_a_fill_that_waits_for_an_order_of_the_last_decision_waits_after_a_restart_too(bench: Any) -> None:
    """It was decided while the fill was looked at: whose that is, nobody could know, nor can now."""
    bench.bar(script=lambda strategy: strategy.order_market("SPY", 10))
    at = from_ns(bench.now)
    (first,) = bench.sent
    bench.broker.take(first.ref, first.request, at)
    stranger = bench.broker.execute(None, "SPY", Side.BUY, "3", "100", at, "B9")
    bench.event(stranger)
    bench.on_fill = lambda strategy, fill: strategy.order_market("SPY", 1)
    bench.event(bench.broker.fill(first.intent, "10", "100", at))
    bench.on_fill = None
    assert (bench.core.intake.held, bench.kernel.books["SPY"].units) == ([stranger], 10.0)
    bench.crash()
    assert (bench.core.intake.held, bench.kernel.books["SPY"].units) == ([stranger], 10.0)
    bench.settle(60)
    assert bench.kernel.books["SPY"].units == 13.0
    assert bench.board.states.state("SPY") is TradingState.HALTED
    assert "foreign_fill" in bench.alerts()

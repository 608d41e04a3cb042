"""The core of a live run: each input is decided once, journaled before anything leaves, recovered whole."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import JournalFailed, StrategyError
from alphaweave.core.market import Bar, BarCorrection, BarSource
from alphaweave.core.order import GroupKind, OrderRef, OrderStatus, OrderType, Side, TimeInForce
from alphaweave.live.actions import Finish, Gate, SendCancel, SendGroup, SendReplace, SendSubmit
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.control_records import Verb
from alphaweave.live.datafeed import FeedGap
from alphaweave.live.inputs import (
    CorrectionInput,
    FeedLinkInput,
    GapInput,
    LateBarInput,
    OutcomeInput,
    OutcomeKind,
    SendOutcome,
    SliceInput,
    TimerInput,
)
from alphaweave.live.journal_records import IntentState, Outcome, canonical
from alphaweave.live.kernel_live_state import capture_live
from alphaweave.live.live_intents import Intents
from alphaweave.live.live_settings import LiveSettings
from alphaweave.live.reports import ConnectionLost, ConnectionRestored, FillCorrection, OrderUpdate
from alphaweave.live.sessions import WeeklyCalendar
from alphaweave.live.slices import LateBar, Slice
from alphaweave.live.trading_state import Escalation, KillStep, TradingState
from alphaweave.monitoring.monitor import Alert, TradeRecord


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


live = _module("live_bench")
D = Decimal
CAPABILITIES = Capabilities(
    order_types=frozenset((kind, tif) for kind in OrderType for tif in (TimeInForce.DAY, TimeInForce.GTC)),
    shorting=True,
    replace=frozenset({"quantity", "limit_price", "stop_price"}),
    groups=frozenset(GroupKind),
    simulated=True,
)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Any]:
    """Makes benches over one journal."""
    return lambda **words: live.LiveBench(tmp_path, CAPABILITIES, **words)


@pytest.fixture
def bench(make: Callable[..., Any]) -> Any:
    """A bench as it comes."""
    return make()


def ready(bench: Any) -> None:
    bench.settle()
    bench.bar()


def buy(size: int = 10) -> Any:
    return lambda strategy: strategy.order_market("SPY", size)


def order(bench: Any, script: Any) -> tuple[Any, Any]:
    """What the strategy got, and the one send that came of it."""
    handle = bench.bar(script=script)
    (sent,) = bench.sent
    return handle, sent


def books(bench: Any) -> str:
    """Everything that the journal is to give back, as text."""
    core = bench.core
    return canonical(
        {
            "kernel": {k: v for k, v in capture_live(bench.kernel, 50).items() if k != "indicators"},
            "risk": {name: part for name, part in bench.board.snapshot().items() if name != "now_ns"},
            "closed_to": core.closed_to,
            "commands": core.commands,
            "held": len(core.intake.held),
        }
    )


def test_nothing_is_sent_before_the_books_are_reconciled(bench: Any) -> None:
    """An order asked for before start-up reconciliation has passed is refused in words."""
    bench.asked.clear()
    handle = bench.bar(script=buy())
    assert (handle.status, handle.reason) == (OrderStatus.DENIED, "not_reconciled")
    assert not bench.sent
    assert [gate.open for gate in bench.gates] == [False]


def test_an_order_is_journaled_sent_acknowledged_and_filled(bench: Any) -> None:
    """An order's way through the core, with what the journal says of it at each step."""
    ready(bench)
    assert bench.gates[-1].open
    handle = bench.bar(script=buy())
    (sent,) = bench.sent
    assert [row.intent.client_order_id for row in bench.journal.recover().open_intents] == [sent.intent]
    bench.deliver()
    assert handle.status is OrderStatus.ACCEPTED
    bench.event(bench.broker.fill(sent.intent, "10", "100", from_ns(bench.now)))
    assert handle.status is OrderStatus.FILLED
    assert bench.kernel.books["SPY"].units == 10.0
    assert not bench.journal.recover().open_intents


def test_an_unknown_outcome_is_looked_up_and_never_sent_again(bench: Any) -> None:
    """A lost answer leaves the order in doubt, which blocks its symbol until the broker was asked."""
    ready(bench)
    handle, sent = order(bench, buy())
    bench.deliver(lost="answer")
    assert handle.status is OrderStatus.UNKNOWN
    assert bench.at_once(buy(1)).reason == "unknown_outcome"
    bench.settle(10)
    assert handle.status is OrderStatus.ACCEPTED
    assert bench.broker.arrived == [sent.intent]
    assert not bench.sent


def test_a_request_that_never_arrived_is_over_once_the_broker_has_answered_everything(bench: Any) -> None:
    """A lost request ends as rejected, and the symbol trades again."""
    ready(bench)
    handle, _ = order(bench, buy())
    bench.deliver(lost="request")
    assert handle.status is OrderStatus.UNKNOWN
    bench.settle(30)
    assert (handle.status, handle.reason) == (OrderStatus.REJECTED, "never_arrived")
    assert bench.bar(script=buy(1)).status is OrderStatus.PENDING


@pytest.mark.parametrize("delivered", ["never", "unheard"])
def test_an_order_that_a_crash_left_open_is_looked_up(bench: Any, delivered: str) -> None:
    """Whether or not the request had left when the process died, it is sent at most once."""
    ready(bench)
    _, sent = order(bench, buy())
    if delivered == "unheard":
        bench.broker.take(sent.ref, sent.request, from_ns(bench.now))
        bench.broker.fill(sent.intent, "4", "100", from_ns(bench.now))
    bench.crash()
    (recovered,) = bench.kernel.orders.values()
    assert recovered.status is OrderStatus.UNKNOWN
    bench.settle(30)
    assert bench.broker.arrived.count(sent.intent) == (delivered == "unheard")
    assert not bench.sent
    if delivered == "unheard":
        assert (recovered.status, str(recovered.filled)) == (OrderStatus.PARTIALLY_FILLED, "4")
    else:
        assert recovered.status is OrderStatus.REJECTED


def test_a_restart_gives_the_very_same_books(bench: Any) -> None:
    """Fills, corrections, replacements and groups come back from the journal as they were."""
    ready(bench)
    _, first = order(bench, buy(4))
    bench.deliver()
    fill = bench.broker.fill(first.intent, "4", "100", from_ns(bench.now))
    bench.event(fill)
    bench.event(fill)
    bench.event(
        FillCorrection("DU1", fill.execution_key, 1, evolve(fill, revision=1, price=D(99)), fill.received_at)
    )
    handle, limit = order(bench, lambda strategy: strategy.order_limit("SPY", 5, 90))
    bench.deliver()
    bench.bar(script=lambda strategy: handle.replace(limit_price=91))
    assert isinstance(bench.sent[0], SendReplace)
    bench.deliver()
    bench.bar(script=lambda strategy: strategy.order_bracket("SPY", 3, take_profit=120, stop_loss=80))
    assert isinstance(bench.sent[0], SendGroup)
    bench.deliver()
    entry = bench.kernel.orders[bench.broker.arrived[-3]]
    bench.event(bench.broker.fill(entry.id, "2", "100", from_ns(bench.now)))
    bench.settle()
    before = books(bench)
    bench.crash()
    assert books(bench) == before
    assert bench.kernel.books["SPY"].units == 6.0
    replaced = bench.kernel.orders[limit.intent]
    assert (str(replaced.request.limit_price), replaced.version) == ("91", 1)
    assert replaced is bench.kernel.orders[replaced.ref.client_order_id]
    legs = bench.kernel.orders[entry.id].group.legs
    assert [str(leg.filled) for leg in legs] == ["2", "0", "0"]


def test_a_restart_takes_up_what_came_after_a_snapshot(make: Any) -> None:
    """The books are the same whether a snapshot came just before, or long ago."""
    bench = make(settings=LiveSettings(snapshot_every=7))
    ready(bench)
    for number in range(6):
        _, sent = order(bench, buy(1 + number))
        bench.deliver()
        bench.event(bench.broker.fill(sent.intent, str(1 + number), "100", from_ns(bench.now)))
        before = books(bench)
        bench.crash()
        assert books(bench) == before
        assert bench.strategy.seen == bench.core.kernel.index + 1
        bench.settle(3)


@pytest.mark.parametrize("every", range(1, 9))
def test_a_restart_knows_of_the_cancels_that_a_snapshot_found_on_their_way(make: Any, every: int) -> None:
    """An order that is withdrawn with its cancel counts as cancelled, whenever the snapshot came."""
    bench = make(settings=LiveSettings(snapshot_every=every))
    ready(bench)
    handle, sent = order(bench, buy())
    bench.bar(script=lambda strategy: handle.cancel())
    for intent in (sent.intent, bench.sent[1].intent):
        bench.give(OutcomeInput(bench.now, intent, SendOutcome(OutcomeKind.NOT_SENT, text="withdrawn")))
    assert handle.status is OrderStatus.CANCELLED
    bench.crash()
    assert bench.kernel.order_of(sent.intent).status is OrderStatus.CANCELLED


def test_a_strategy_is_not_asked_again_by_a_restart(bench: Any) -> None:
    """What was decided is taken from the journal; no callback runs for it twice."""
    ready(bench)
    _, sent = order(bench, buy())
    bench.deliver()
    bench.event(bench.broker.fill(sent.intent, "10", "100", from_ns(bench.now)))
    seen = bench.strategy.seen
    bench.crash()
    assert bench.strategy.heard == []
    assert bench.strategy.seen == seen


def test_a_callback_that_raises_drops_its_orders_and_halts(bench: Any) -> None:
    """The fill that it was told of is booked, nothing is sent, and the run stays halted over a restart."""
    ready(bench)
    _, sent = order(bench, buy())
    bench.deliver()

    def fail(strategy: Any, fill: Any) -> None:
        strategy.order_market("SPY", 1)
        raise ZeroDivisionError("oh")

    bench.on_fill = fail
    bench.event(bench.broker.fill(sent.intent, "10", "100", from_ns(bench.now)))
    assert bench.kernel.books["SPY"].units == 10.0
    assert not bench.sent
    assert not bench.gates[-1].open
    assert "strategy_failed" in bench.alerts()
    seen = bench.strategy.seen
    bench.bar()
    assert bench.strategy.seen == seen
    assert "restart" in bench.command(Verb.RESUME).document["error"]
    before = books(bench)
    bench.on_fill = None
    bench.crash()
    assert books(bench) == before
    bench.settle(5)
    assert not bench.gates[-1].open
    bench.command(Verb.RESUME)
    assert bench.gates[-1].open


def test_state_that_cannot_be_saved_halts_like_a_callback_that_raises(bench: Any) -> None:
    """A strategy whose get_state fails sends nothing of that decision."""
    ready(bench)

    def spoil(strategy: Any) -> Any:
        strategy.seen = object()
        return strategy.order_market("SPY", 1)

    bench.bar(script=spoil)
    assert not bench.sent
    assert bench.board.states.state().value == "halted"
    bench.crash()
    assert bench.strategy.seen == 1


def test_nothing_leaves_once_the_journal_cannot_be_written(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision that could not be committed is not sent; what rests is cancelled, and the run ends."""
    ready(bench)
    _, resting = order(bench, lambda strategy: strategy.order_limit("SPY", 5, 90))
    bench.deliver()

    def broken(decision: Any) -> int:
        raise JournalFailed("the disk is full", bench.path)

    monkeypatch.setattr(bench.journal, "commit", broken)
    bench.bar(script=buy())
    (cancel,) = bench.sent
    assert isinstance(cancel, SendCancel)
    assert cancel.ref.client_order_id == resting.intent
    assert not bench.gates[-1].open
    assert isinstance(bench.finish, Finish)
    assert bench.finish.exit_code == 1
    bench.sent.clear()
    bench.bar(script=buy())
    assert not bench.sent


def test_a_lost_connection_shuts_the_gate_until_the_books_are_compared(bench: Any) -> None:
    """A fill that was missed is found before anything is sent again."""
    ready(bench)
    handle, sent = order(bench, lambda strategy: strategy.order_limit("SPY", 5, 99))
    bench.deliver()
    now = from_ns(bench.now)
    bench.event(ConnectionLost(now, "gone"))
    assert not bench.gates[-1].open
    bench.broker.fill(sent.intent, "5", "99", now)
    assert bench.bar(script=buy(1)).reason == "connection_lost"
    bench.event(ConnectionRestored(now))
    assert not bench.gates[-1].open
    bench.settle(3)
    assert handle.status is OrderStatus.FILLED
    assert bench.gates[-1].open


def test_an_order_that_was_not_sent_is_over(bench: Any) -> None:
    """What the sender held back is denied, and its exposure given back."""
    ready(bench)
    handle, sent = order(bench, buy())
    bench.sent.clear()
    bench.give(OutcomeInput(bench.now, sent.intent, SendOutcome(OutcomeKind.NOT_SENT, text="too old")))
    assert (handle.status, handle.reason, handle.text) == (OrderStatus.DENIED, "not_sent", "too old")
    assert bench.kernel.books["SPY"].open_buy == 0
    assert not bench.journal.recover().open_intents


def test_a_cancel_that_overtook_its_order_ends_both(bench: Any) -> None:
    """The sender withdraws an order that waits and its cancel: the order counts as cancelled."""
    ready(bench)
    handle, sent = order(bench, buy())
    bench.bar(script=lambda strategy: handle.cancel())
    cancel = bench.sent[1]
    assert isinstance(cancel, SendCancel)
    for intent in (sent.intent, cancel.intent):
        bench.give(OutcomeInput(bench.now, intent, SendOutcome(OutcomeKind.NOT_SENT, text="withdrawn")))
    assert handle.status is OrderStatus.CANCELLED
    assert not bench.journal.recover().open_intents


def test_a_refused_replacement_leaves_the_order_as_it_was(bench: Any) -> None:
    """The journal knows that the new version never worked."""
    ready(bench)
    handle, limit = order(bench, lambda strategy: strategy.order_limit("SPY", 5, 90))
    bench.deliver()
    bench.bar(script=lambda strategy: handle.replace(limit_price=91))
    (sent,) = bench.sent
    outcome = SendOutcome(OutcomeKind.REPLACE_REJECTED, order_state="alive", text="no")
    bench.give(OutcomeInput(bench.now, sent.intent, outcome))
    assert handle.status is OrderStatus.ACCEPTED
    assert str(bench.kernel.orders[limit.intent].request.limit_price) == "90"
    (row,) = bench.journal.recover().open_intents
    assert (row.intent.client_order_id, row.state) == (limit.intent, IntentState.ACKED)


def test_a_fill_of_nobodys_order_is_booked_and_halts_its_symbol(bench: Any) -> None:
    """Somebody traded by hand: the position is right, and nothing more is bought on top of it."""
    ready(bench)
    fill = bench.broker.execute(None, "SPY", Side.BUY, "7", "100", from_ns(bench.now), "X1")
    bench.event(fill)
    assert bench.kernel.books["SPY"].units == 7.0
    assert bench.gates[-1].symbols_shut == {"SPY"}
    assert bench.bar(script=buy(1)).reason == "trading_halted"
    assert not bench.strategy.heard


def test_a_fill_that_overtakes_the_names_of_its_order_waits_for_them(bench: Any) -> None:
    """A venue that names legs itself may fill one before its answer: that is nobody else's fill."""
    ready(bench)
    _, sent = order(bench, buy())
    now = from_ns(bench.now)
    bench.broker.take(sent.ref, sent.request, now)
    fill = bench.broker.fill(sent.intent, "10", "100", now)
    bench.event(evolve(fill, client_order_id=None))
    assert bench.kernel.books["SPY"].units == 0.0
    before = books(bench)
    bench.crash()
    bench.sent.clear()
    assert books(bench).replace('"unknown"', '"pending"').split('"told"')[0] == before.split('"told"')[0]
    bench.settle(10)
    assert bench.kernel.books["SPY"].units == 10.0
    assert not bench.gates[-1].symbols_shut
    assert not bench.core.intake.held


def test_an_operator_halts_flattens_and_resumes(bench: Any) -> None:
    """A flatten cancels what rests, closes what is held without the strategy, and lasts over a restart."""
    ready(bench)
    _, first = order(bench, buy())
    bench.deliver()
    bench.event(bench.broker.fill(first.intent, "10", "100", from_ns(bench.now)))
    _, resting = order(bench, lambda strategy: strategy.order_limit("SPY", 5, 90))
    bench.deliver()
    reply = bench.command(Verb.FLATTEN)
    assert reply.document["state"] == "halted"
    assert bench.gates[-1] == Gate(False, frozenset(), "trading is halted", exits=True)
    (cancel,) = bench.sent
    assert isinstance(cancel, SendCancel)
    bench.deliver()
    heard = len(bench.strategy.heard)
    bench.event(bench.broker.end(resting.intent, OrderStatus.CANCELLED, from_ns(bench.now)))
    (close,) = bench.sent
    assert isinstance(close, SendSubmit)
    assert (close.exit, close.request.side, str(close.request.quantity)) == (True, Side.SELL, "10")
    bench.deliver()
    bench.event(bench.broker.fill(close.intent, "10", "100", from_ns(bench.now)))
    assert bench.kernel.books["SPY"].units == 0.0
    assert len(bench.strategy.heard) == heard + 1, "the strategy hears of its own order only"
    before = books(bench)
    bench.crash()
    assert books(bench) == before
    bench.settle(5)
    assert bench.bar(script=buy(1)).reason == "trading_halted"
    assert bench.command(Verb.RESUME).document["state"] == "active"
    assert bench.bar(script=buy(1)).status is OrderStatus.PENDING


def test_a_command_is_obeyed_once(bench: Any) -> None:
    """A command that a process took and died over is not obeyed again by the next."""
    ready(bench)
    bench.command(Verb.HALT)
    bench.command(Verb.RESUME)
    bench.crash()
    bench._commands = 0
    reply = bench.command(Verb.HALT)
    assert reply.document["repeated"]
    assert bench.board.states.state().value == "active"


def test_a_halt_that_comes_with_a_decision_lets_none_of_it_leave(bench: Any) -> None:
    """A slice at which trading is halted sends no order, and journals none."""
    ready(bench)
    place = bench.strategy.order_market

    def lose(strategy: Any) -> Any:
        handle = place("SPY", 1)
        bench.core.intake.wanted.append(halting)
        return handle

    halting = Escalation(KillStep.CANCEL_ALL, "test", "now")
    handle = bench.bar(script=lose)
    assert handle.status is OrderStatus.CANCELLED
    assert not bench.sent
    assert not bench.journal.recover().open_intents


def test_a_slice_is_decided_once(bench: Any) -> None:
    """A slice that comes again, from history say, is not decided again."""
    ready(bench)
    seen = bench.strategy.seen
    assert bench.core.closed_to is not None
    assert bench.core.handle(SliceInput(bench.now, Slice(bench.core.closed_to, ()))) == ()
    assert bench.strategy.seen == seen


def test_a_slice_that_is_too_old_is_taken_in_and_not_traded_on(make: Any) -> None:
    """While a run catches up, its indicators go on and its orders are refused."""
    bench = make(settings=LiveSettings(max_slice_age=30.0))
    ready(bench)
    late = bench.core.closed_to + live.MINUTE
    bench.settle(100)
    bench.script = buy()
    bench.give(SliceInput(bench.now, Slice(late, ())))
    assert bench.result.reason == "stale_slice"
    assert bench.result.text == "the slice is 41.0 s old when it comes in, and past 30 s it is history"
    assert bench.core.closed_to == late


def test_an_old_slice_is_no_ground_to_reduce_either(make: Any) -> None:
    """What it knew is no longer so: closing waits for the next slice, as opening does."""
    bench = make(settings=LiveSettings(max_slice_age=30.0))
    ready(bench)
    _, sent = order(bench, buy(5))
    bench.deliver()
    bench.event(bench.broker.fill(sent.intent, "5", "100", from_ns(bench.now)))
    late = bench.core.closed_to + live.MINUTE
    bench.settle(100)
    bench.script = buy(-5)
    bench.give(SliceInput(bench.now, Slice(late, ())))
    assert bench.result.reason == "stale_slice"
    assert bench.bar(script=buy(-5)).status is OrderStatus.PENDING


def test_a_stop_ends_the_run_and_leaves_orders_where_they_are(bench: Any) -> None:
    """Nothing is decided after it, and the next start goes on."""
    ready(bench)
    order(bench, lambda strategy: strategy.order_limit("SPY", 5, 90))
    bench.deliver()
    bench.command(Verb.STOP)
    assert bench.finish.exit_code == 0
    assert not bench.sent
    bench.bar(script=buy())
    assert not bench.sent
    before = books(bench)
    bench.crash()
    assert books(bench) == before
    bench.settle(5)
    assert bench.bar(script=buy(1)).status is OrderStatus.PENDING


def test_an_init_that_fails_starts_nothing(make: Any) -> None:
    """The run is refused with the strategy's own error."""

    class Bad(live.Quiet):  # type: ignore[misc, name-defined]
        def init(self) -> None:
            raise ZeroDivisionError("oh")

    with pytest.raises(StrategyError, match="oh"):
        make(make=Bad)


def test_a_cancel_that_nobody_answered_may_be_asked_for_again(bench: Any) -> None:
    """Cancels are exempt from doubt: one more does no harm."""
    ready(bench)
    handle, _ = order(bench, lambda strategy: strategy.order_limit("SPY", 5, 90))
    bench.deliver()
    bench.bar(script=lambda strategy: handle.cancel())
    bench.bar(script=lambda strategy: handle.cancel())
    assert len(bench.sent) == 1, "one is on its way"
    bench.deliver(lost="answer")
    bench.bar(script=lambda strategy: handle.cancel())
    assert len(bench.sent) == 1
    bench.deliver()
    name = bench.kernel.orders and next(iter(bench.kernel.orders))
    bench.event(bench.broker.end(name, OrderStatus.CANCELLED, from_ns(bench.now)))
    assert handle.status is OrderStatus.CANCELLED


@pytest.mark.parametrize("lost", ["with its process", "with its process, and asked for again", "its answer"])
def test_a_cancel_that_was_lost_is_settled_with_its_order(bench: Any, lost: str) -> None:
    """None stays open in the journal for ever: the broker's word on the order is its word on each."""
    ready(bench)
    handle, sent = order(bench, lambda strategy: strategy.order_limit("SPY", 5, 90))
    bench.deliver()
    bench.bar(script=lambda strategy: handle.cancel())
    if lost == "its answer":
        bench.deliver(lost="answer")
    else:
        bench.crash()
        bench.settle(5)
        assert len(bench.journal.recover().open_intents) == 2
    if lost.endswith("again"):
        bench.bar(script=lambda strategy: strategy.open_orders()[0].cancel())
        assert len(bench.journal.recover().open_intents) == 3
        bench.deliver()
        (row,) = bench.journal.recover().open_intents
        assert row.intent.client_order_id == sent.intent
    bench.event(bench.broker.end(sent.intent, OrderStatus.CANCELLED, from_ns(bench.now)))
    assert not bench.journal.recover().open_intents


def test_a_cancel_of_an_order_that_is_over_is_settled_by_the_next_start(bench: Any) -> None:
    """Nothing will be said of its order any more."""
    intents = Intents()
    intents.lose_cancels(["aw-1"])
    assert intents.orphan(bench.now) == []
    assert intents.settle(bench.kernel) == (Outcome("aw-1", IntentState.DONE, cancel=True),)
    assert intents.orphan(bench.now) == []
    assert intents.settle(bench.kernel) == ()


def test_an_update_of_nobodys_order_is_told(bench: Any) -> None:
    """Other people's orders are alerts, and change nothing here."""
    ready(bench)
    bench.event(OrderUpdate(OrderRef("theirs", "SPY"), OrderStatus.ACCEPTED, from_ns(bench.now)))
    assert "foreign_order" in bench.alerts()
    assert bench.gates[-1].open


@pytest.mark.parametrize("crashes", [False, True])
def test_trades_of_before_the_first_start_halt_nothing(bench: Any, crashes: bool) -> None:
    """A broker that tells of the executions of the day at once tells of what will be taken over; what it
    executes for nobody from then on halts."""
    bench.broker.positions["SPY"] = D(5)
    earlier = bench.broker.execute(None, "SPY", Side.BUY, "3", "100", live.T0 - timedelta(hours=1), "B9")
    bench.event(earlier)
    if crashes:
        bench.crash()
    bench.settle()
    bench.event(earlier)
    bench.settle(300)
    assert bench.gates[-1].open
    assert bench.board.states.state("SPY") is TradingState.ACTIVE
    assert bench.kernel.books["SPY"].units == 8.0
    if crashes:
        bench.crash()
        bench.settle()
    bench.event(bench.broker.execute(None, "SPY", Side.BUY, "1", "100", from_ns(bench.now), "B10"))
    assert bench.board.states.state("SPY") is TradingState.HALTED


def test_data_that_cease_are_told_without_an_order(bench: Any) -> None:
    """Within a second of the time from which orders are denied, and once, and that they are back."""
    ready(bench)
    bench.bar()
    end = bench.now - bench.now % 60_000_000_000
    while "stale_data" not in bench.alerts():
        assert bench.now < end + 92_000_000_000
        bench.settle(1)
    assert bench.now > end + 90_000_000_000
    bench.settle(300)
    bench.bar()
    found = [one for one in bench.alerts() if one in {"stale_data", "fresh_data"}]
    assert found == ["stale_data", "fresh_data"]


def test_a_cancel_that_has_no_effect_is_asked_for_again_after_a_while(bench: Any) -> None:
    """A halt does not ask all the time, and does not stop asking either."""
    ready(bench)
    order(bench, lambda strategy: strategy.order_limit("SPY", 5, 90))
    bench.deliver()
    bench.command(Verb.HALT)
    asked = []
    for _ in range(12):
        asked += bench.deliver()
        assert bench.core.next_wakeup() > bench.now
        bench.settle(1)
    assert len(asked) == 3
    assert len({action.intent for action in asked}) == 3


def test_a_position_that_cannot_be_closed_is_left_to_a_person(bench: Any) -> None:
    """A flatten whose orders are refused tries a few times, some seconds apart, and then says so."""
    ready(bench)
    _, first = order(bench, buy())
    bench.deliver()
    bench.event(bench.broker.fill(first.intent, "10", "100", from_ns(bench.now)))
    bench.command(Verb.FLATTEN)
    tries = 0
    for _ in range(40):
        for sent in bench.sent:
            tries += 1
            refused = SendOutcome(OutcomeKind.REJECTED, code="market_closed", text="closed")
            bench.give(OutcomeInput(bench.now, sent.intent, refused))
        bench.sent = [each for each in bench.sent if each.intent in bench.core.intents.versions]
        bench.settle(1)
    assert tries == 3
    assert bench.alerts().count("flatten_failed") == 1


def test_reduce_only_cancels_what_could_add_exposure(bench: Any) -> None:
    """An exit goes on working, an entry does not."""
    ready(bench)
    _, first = order(bench, buy())
    bench.deliver()
    bench.event(bench.broker.fill(first.intent, "10", "100", from_ns(bench.now)))
    _, entry = order(bench, lambda strategy: strategy.order_limit("SPY", 5, 90))
    bench.deliver()
    order(bench, lambda strategy: strategy.order_limit("SPY", -10, 110))
    bench.deliver()
    bench.core.intake.wanted.append(Escalation(KillStep.REDUCE_ONLY, "test", "a loss"))
    bench.at_once(lambda strategy: None)
    (cancel,) = bench.sent
    assert cancel.ref.client_order_id == entry.intent


def test_a_gap_that_is_told_twice_does_not_name_two_orders_alike(make: Any) -> None:
    """Each order has a name of its own, whatever its cause is called."""

    class Filler(live.Quiet):  # type: ignore[misc, name-defined]
        def on_gap(self, gap: Any) -> None:
            self.order_market("SPY", 1)

    bench = make(make=Filler)
    ready(bench)
    now = from_ns(bench.now)
    for _ in range(2):
        bench.give(GapInput(bench.now, FeedGap("SPY", "1m", now, now, True)))
    assert len({sent.intent for sent in bench.sent}) == 2


def test_what_was_on_its_way_when_the_run_ended_is_written_down(bench: Any) -> None:
    """An acknowledgement after the stop is in the journal, so that the next start is in no doubt."""
    ready(bench)
    _, sent = order(bench, lambda strategy: strategy.order_limit("SPY", 5, 90))
    bench.command(Verb.STOP)
    bench.deliver()
    (row,) = bench.journal.recover().open_intents
    assert (row.intent.client_order_id, row.state) == (sent.intent, IntentState.ACKED)
    assert not bench.sent
    before = books(bench)
    bench.crash()
    assert books(bench) == before


def test_a_leg_that_is_over_is_one_order_after_a_restart(make: Any) -> None:
    """A late word on a filled entry reaches the group that its exits belong to."""
    bench = make(settings=LiveSettings(snapshot_every=1))
    ready(bench)
    bench.bar(script=lambda strategy: strategy.order_bracket("SPY", 3, take_profit=120, stop_loss=80))
    bench.deliver()
    entry, profit, _ = bench.broker.arrived
    fill = bench.broker.fill(entry, "3", "100", from_ns(bench.now))
    bench.event(fill)
    bench.crash()
    assert bench.kernel.ended[entry] is bench.kernel.orders[profit].group.entry
    assert str(bench.kernel.books["SPY"].open_sell) == "3"
    bench.event(FillCorrection("DU1", fill.execution_key, 1, None, fill.received_at))
    assert str(bench.kernel.books["SPY"].open_sell) == "0"


def test_what_the_books_began_with_is_in_the_journal(bench: Any) -> None:
    """A restart does not take today's balance at the broker for the opening one."""
    ready(bench)
    _, sent = order(bench, buy())
    bench.deliver()
    bench.event(bench.broker.fill(sent.intent, "10", "100", from_ns(bench.now)))
    bench._cash = "9000"
    bench.crash()
    assert bench.kernel.ledger.cash == 9000.0


def test_an_order_whose_executions_nobody_has_ends_with_those_that_there_are(bench: Any) -> None:
    """A broker that counts what it took back does not hold an order open for ever."""
    ready(bench)
    handle, sent = order(bench, buy())
    bench.deliver()
    now = from_ns(bench.now)
    bench.event(bench.broker.fill(sent.intent, "4", "100", now))
    bench.event(OrderUpdate(bench.kernel.orders[sent.intent].ref, OrderStatus.FILLED, now, D(10)))
    bench.broker.end(sent.intent, OrderStatus.FILLED, now)
    bench.broker.orders[sent.intent] = evolve(bench.broker.orders[sent.intent], filled=D(10))
    bench.settle(15)
    assert handle.status is OrderStatus.PARTIALLY_FILLED, "they may still come"
    bench.settle(90)
    assert (handle.status, handle.reason) == (OrderStatus.CANCELLED, "executions_missing")
    assert not bench.journal.recover().open_intents
    before = books(bench)
    bench.crash()
    assert books(bench) == before
    late = bench.broker.execute(sent.intent, "SPY", Side.BUY, "6", "100", now, "B1")
    bench.event(late)
    assert bench.kernel.books["SPY"].units == 10.0


def test_a_replacement_that_a_failed_callback_asked_for_was_never_made(bench: Any) -> None:
    """Its order works on as it was, in memory and in the journal."""
    ready(bench)
    handle, sent = order(bench, lambda strategy: strategy.order_limit("SPY", 5, 90))
    bench.deliver()

    def fail(strategy: Any) -> None:
        handle.replace(limit_price=91)
        raise ZeroDivisionError("oh")

    bench.bar(script=fail)
    assert bench.kernel.orders[sent.intent].version == 0
    before = books(bench)
    bench.crash()
    assert books(bench) == before


def test_a_flatten_larger_than_one_order_may_be_is_split(bench: Any) -> None:
    """Each part is sent once the one before is over, and nothing is left that is too small to trade."""
    ready(bench)
    _, first = order(bench, buy(25))
    bench.deliver()
    bench.event(bench.broker.fill(first.intent, "25", "100", from_ns(bench.now)))
    book = bench.kernel.books["SPY"]
    book.instrument = evolve(book.instrument, market_max_size=D(8), min_size=D(2))
    bench.command(Verb.FLATTEN)
    sizes = []
    while bench.sent:
        (part,) = bench.deliver()
        sizes.append(str(part.request.quantity))
        bench.event(bench.broker.fill(part.intent, sizes[-1], "100", from_ns(bench.now)))
    assert sizes == ["8", "8", "7", "2"]
    assert book.quantity == 0
    assert "flatten_failed" not in bench.alerts()


def test_a_flatten_that_cannot_be_expressed_is_an_alert(make: Any) -> None:
    """The run goes on, halted, whatever the venue lacks or its adapter does."""
    bench = make()
    ready(bench)
    _, first = order(bench, buy())
    bench.deliver()
    bench.event(bench.broker.fill(first.intent, "10", "100", from_ns(bench.now)))

    def broken(*arguments: Any) -> Any:
        raise KeyError("conid")

    bench.kernel.settings = evolve(bench.kernel.settings, prepare=broken)
    bench.command(Verb.FLATTEN)
    assert (bench.sent, bench.finish) == ([], None)
    assert bench.alerts().count("flatten_refused") == 1
    bench.kernel.settings = evolve(bench.kernel.settings, prepare=None)
    book = bench.kernel.books["SPY"]
    book.instrument = evolve(book.instrument, order_types=frozenset({(OrderType.LIMIT, TimeInForce.DAY)}))
    bench.settle(6)
    assert (bench.sent, bench.finish) == ([], None)
    assert bench.alerts().count("flatten_refused") == 2


def test_a_late_bar_joins_its_series_where_it_belongs(make: Any) -> None:
    """It is marked late, runs `next` never again, and is there after a restart."""
    bench = make(symbols=("SPY", "QQQ"))
    ready(bench)
    for close in (101.0, 102.0):
        bench.bar(close)
    series, seen = bench.kernel.books["SPY"].series, bench.strategy.seen
    end = series.end[0] - live.MINUTE
    early = Bar(
        "SPY", "1m", from_ns(end - live.MINUTE), from_ns(end), 90.0, 90.0, 90.0, 90.0, 1.0, BarSource.BACKFILL
    )
    bench.give(LateBarInput(bench.now, LateBar(early)))
    middle = evolve(early, start=early.end, end=from_ns(end + live.MINUTE // 2), close=95.0)
    bench.give(LateBarInput(bench.now, LateBar(middle)))
    bench.give(LateBarInput(bench.now, LateBar(middle)))
    assert list(series.close) == [90.0, 95.0, 100.0, 101.0, 102.0]
    assert series.cursor.count == 5
    assert bench.kernel.books["SPY"].last() == 102.0
    assert bench.strategy.seen == seen
    assert bench.alerts().count("late_bar") == 3
    assert bench.alerts().count("bad_bar") == 1
    restated = evolve(middle, close=96.0)
    bench.give(CorrectionInput(bench.now, BarCorrection(restated)))
    unknown = evolve(middle, end=from_ns(end + live.MINUTE // 3))
    bench.give(CorrectionInput(bench.now, BarCorrection(unknown)))
    assert list(series.close) == [90.0, 96.0, 100.0, 101.0, 102.0]
    assert bench.alerts().count("bar_corrected") == 1
    before = books(bench)
    bench.crash()
    assert books(bench) == before
    assert list(bench.kernel.books["SPY"].series.close) == [90.0, 96.0, 100.0, 101.0, 102.0]


def test_a_fill_bears_the_number_of_the_last_slice(bench: Any) -> None:
    """Between two slices it is booked in the one that is past, also after a restart."""
    ready(bench)
    _, first = order(bench, buy())
    bench.deliver()
    bench.event(bench.broker.fill(first.intent, "4", "100", from_ns(bench.now)))
    bench.crash()
    bench.settle(3)
    bench.event(bench.broker.fill(first.intent, "6", "100", from_ns(bench.now)))
    trades = [note for note in bench.told if isinstance(note, TradeRecord)]
    assert [trade.index for trade in trades] == [1, 1]


NIGHTLY = WeeklyCalendar({"mon": ["00:10-00:20"]}, timezone="UTC")


def test_maintenance_is_no_alarm_and_the_books_are_compared_after_it(make: Any) -> None:
    """Nothing is asked or sent in it; the gate says why, and opens once the books agree."""
    bench = make(settings=LiveSettings(maintenance=NIGHTLY))
    ready(bench)
    _, first = order(bench, buy())
    bench.deliver()
    start, end = (to_ns(live.T0) + minutes * live.MINUTE for minutes in (10, 20))
    while bench.now < start - live.SECOND:
        bench.settle()
    assert bench.gates[-1].open
    bench.settle()
    reason = "the broker is in maintenance until 2024-01-01 00:20 UTC"
    assert (bench.now, bench.gates[-1]) == (start, Gate(False, reason=reason))
    denied = bench.bar(script=buy(1))
    assert (denied.status, denied.reason, bench.sent) == (OrderStatus.DENIED, "maintenance", [])
    bench.event(ConnectionLost(from_ns(bench.now), "reset"))
    bench.give(FeedLinkInput(bench.now, False, "reset"))
    bench.event(ConnectionRestored(from_ns(bench.now)))
    assert bench.asked == []
    while bench.now < end - live.SECOND:
        bench.now += live.SECOND
        bench.give(TimerInput(bench.now))
        assert bench.asked == []
    alarms = [n for n in bench.told if isinstance(n, Alert) and n.severity != "info"]
    assert [n for n in alarms if n.timestamp >= from_ns(start)] == []
    assert not bench.gates[-1].open
    bench.settle(3)
    assert bench.gates[-1].open
    assert bench.alerts().count("reconciled") == 2
    assert bench.alerts().index("maintenance_began") < bench.alerts().index("maintenance_ended")
    bench.give(FeedLinkInput(bench.now, True))
    assert bench.bar(script=buy(1)).status is OrderStatus.PENDING
    assert first.intent in bench.kernel.orders


def test_a_connection_that_maintenance_leaves_lost_is_an_alarm_at_its_end(make: Any) -> None:
    """And a run that starts within it waits for its end."""
    bench = make(settings=LiveSettings(maintenance=NIGHTLY))
    ready(bench)
    bench.now = to_ns(live.T0) + 12 * live.MINUTE
    bench.crash()
    assert (bench.asked, bench.core.reconciled) == ([], False)
    bench.event(ConnectionLost(from_ns(bench.now), "reset"))
    assert [n.severity for n in bench.told if isinstance(n, Alert) and n.code == "connection_lost"] == [
        "info"
    ]
    bench.now = to_ns(live.T0) + 20 * live.MINUTE
    assert bench.core.next_wakeup() == bench.now
    bench.give(TimerInput(bench.now))
    lost = [n.severity for n in bench.told if isinstance(n, Alert) and n.code == "connection_lost"]
    assert lost == ["info", "error"]
    bench.event(ConnectionRestored(from_ns(bench.now)))
    bench.settle(3)
    assert bench.gates[-1].open


def test_replacement_between_two_fills_of_one_answer_is_recovered(bench: Any) -> None:
    """The second fill completes what was asked for before: the order is not over, its replacement is more."""
    ready(bench)
    handle, sent = order(bench, lambda strategy: strategy.order_limit("SPY", 10, 90.0))
    bench.deliver()
    bench.on_fill = lambda strategy, fill: handle.replace(size=20) if handle.filled == 4 else None
    for size in ("4", "6"):
        bench.broker.fill(sent.intent, size, "90", from_ns(bench.now))
    bench.settle(40)
    assert (handle.filled, handle.is_open) == (10.0, True)
    bench.crash()
    recovered = bench.kernel.order_of(handle.id)
    assert (recovered.filled, recovered.is_open, recovered.change.quantity) == (10, True, 20)

"""Replacing where the broker cannot: cancelled, waited for, placed anew, and one order all the while."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import OrderState, Unsupported
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import GroupKind, OrderStatus, OrderType, TimeInForce
from alphaweave.data.series import Series
from alphaweave.live.actions import SendCancel, SendReplace, SendSubmit
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.control_records import Verb
from alphaweave.live.engine import EngineSettings, LiveEngine
from alphaweave.live.inputs import OutcomeInput, OutcomeKind, SendOutcome
from alphaweave.live.live_settings import LiveSettings
from alphaweave.live.reports import FillCorrection, OrderUpdate
from alphaweave.live.risk import RiskSettings
from alphaweave.live.risk_settings import RateLimits
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue
from alphaweave.strategy.strategy import Strategy


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
    trail_amount=True,
    groups=frozenset(GroupKind),
    simulated=True,
)
SECOND = 1_000_000_000


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Any]:
    """Makes benches over one journal."""
    return lambda **words: live.LiveBench(tmp_path, CAPABILITIES, **words)


@pytest.fixture
def bench(make: Callable[..., Any]) -> Any:
    """A bench whose books are reconciled."""
    bench = make()
    bench.settle()
    bench.bar()
    return bench


def resting(bench: Any, size: int = 10, price: float = 90.0) -> Any:
    """A limit order that the broker has."""
    handle = bench.bar(script=lambda strategy: strategy.order_limit("SPY", size, price))
    bench.deliver()
    assert handle.status is OrderStatus.ACCEPTED
    return handle


def replaced(bench: Any, handle: Any, **words: Any) -> Any:
    """The cancel that a replacement comes to at first."""
    assert bench.at_once(lambda strategy: handle.replace(**words)), handle.text
    (cancel,) = bench.sent
    assert isinstance(cancel, SendCancel)
    return cancel


def total(bench: Any, handle: Any) -> float:
    """What the order asks for, its filled part included."""
    return float(bench.kernel.order_of(handle.id).quantity)


def cancelled(bench: Any, name: str, **words: Any) -> None:
    """The broker has cancelled that version."""
    update = bench.broker.end(name, OrderStatus.CANCELLED, from_ns(bench.now))
    bench.event(evolve(update, **words))


def test_replace_cancels_waits_and_submits_what_is_left(bench: Any) -> None:
    """Fills before the end count: the new total includes them, and the next version asks for the rest."""
    handle = resting(bench)
    cancel = replaced(bench, handle, size=25, limit_price=91)
    assert bench.kernel.books["SPY"].open_buy == 25
    bench.deliver()
    assert not bench.sent
    bench.event(bench.broker.fill(handle.id, "4", "90", from_ns(bench.now)))
    assert not bench.sent
    cancelled(bench, handle.id)
    (sent,) = bench.sent
    assert isinstance(sent, SendSubmit)
    assert (sent.request.quantity, sent.request.limit_price) == (Decimal(21), Decimal(91))
    assert sent.ref.client_order_id not in {handle.id, cancel.intent}
    assert (handle.status, handle.filled, total(bench, handle)) == (OrderStatus.PENDING, 4.0, 25.0)
    assert bench.kernel.books["SPY"].open_buy == 21
    bench.deliver()
    assert handle.status is OrderStatus.PARTIALLY_FILLED
    bench.event(bench.broker.fill(sent.ref.client_order_id, "21", "91", from_ns(bench.now)))
    assert (handle.status, handle.filled) == (OrderStatus.FILLED, 25.0)
    assert not bench.journal.recover().open_intents


def test_next_version_waits_for_fills_that_the_end_counts(bench: Any) -> None:
    """A cancel may be told before the last fill is; what is left is not known until then."""
    handle = resting(bench)
    replaced(bench, handle, size=12)
    bench.deliver()
    fill = bench.broker.fill(handle.id, "6", "90", from_ns(bench.now))
    cancelled(bench, handle.id)
    assert not bench.sent
    bench.event(fill)
    (sent,) = bench.sent
    assert sent.request.quantity == 6


def test_end_that_counts_nothing_is_looked_up_first(bench: Any) -> None:
    """A cancel that does not say how much was filled leaves the order in doubt until the broker was asked."""
    handle = resting(bench)
    replaced(bench, handle, size=12)
    bench.deliver()
    bench.broker.fill(handle.id, "6", "90", from_ns(bench.now))
    cancelled(bench, handle.id, cumulative=None)
    assert handle.status is OrderStatus.UNKNOWN
    assert not bench.sent
    bench.settle(40)
    (sent,) = bench.sent
    assert sent.request.quantity == 6
    assert handle.filled == 6.0


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (OrderStatus.EXPIRED, "it was expired before that"),
        (OrderStatus.REJECTED, "it was rejected before that"),
        (OrderStatus.FILLED, "it was filled before that"),
    ],
)
def test_order_that_ends_otherwise_is_not_replaced(bench: Any, status: OrderStatus, text: str) -> None:
    """Who asked for more than was left, or for a day longer than the market is open, decides anew."""
    handle = resting(bench)
    replaced(bench, handle, size=25)
    bench.deliver()
    if status is OrderStatus.FILLED:
        bench.event(bench.broker.fill(handle.id, "10", "90", from_ns(bench.now)))
    else:
        bench.event(bench.broker.end(handle.id, status, from_ns(bench.now)))
    assert not bench.sent
    assert (handle.status, handle.text) == (status, text)
    assert "replace_rejected" in bench.alerts()
    assert not bench.kernel.books["SPY"].open_buy


def test_total_that_is_reached_by_then_needs_no_next_version(bench: Any) -> None:
    """Fills on the way to the cancel completed what was wanted."""
    handle = resting(bench)
    replaced(bench, handle, size=5)
    bench.deliver()
    bench.event(bench.broker.fill(handle.id, "6", "90", from_ns(bench.now)))
    cancelled(bench, handle.id)
    assert not bench.sent
    assert (handle.status, handle.filled, total(bench, handle)) == (OrderStatus.FILLED, 6.0, 5.0)


def test_cancel_takes_the_next_version_back(bench: Any) -> None:
    """Whoever cancels an order that is being replaced wants neither version; a restart knows."""
    handle = resting(bench)
    replaced(bench, handle, size=25)
    bench.at_once(lambda strategy: handle.cancel())
    bench.deliver()
    bench.crash()
    bench.settle(30)
    (order,) = bench.kernel.orders.values() if len(bench.kernel.orders) == 1 else (handle,)
    cancelled(bench, handle.id)
    assert not bench.sent
    assert bench.kernel.order_of(handle.id).status is OrderStatus.CANCELLED
    assert order is not None


def test_cancel_that_is_refused_leaves_the_order_as_it_was(bench: Any) -> None:
    """It works on with its own terms, and the text says why."""
    handle = resting(bench)
    cancel = replaced(bench, handle, size=25)
    bench.sent.clear()
    refusal = SendOutcome(
        OutcomeKind.CANCEL_REJECTED, order_state=OrderState.ALIVE.value, code="busy", text="not now"
    )
    bench.give(OutcomeInput(bench.now, cancel.intent, refusal))
    assert (handle.status, total(bench, handle), handle.text) == (OrderStatus.ACCEPTED, 10.0, "not now")
    assert bench.kernel.books["SPY"].open_buy == 10
    replaced(bench, handle, size=11)


@pytest.mark.parametrize("arrived", [True, False])
def test_cancel_that_got_lost_is_looked_up(bench: Any, arrived: bool) -> None:
    """One that arrived is followed by the next version; after one that did not the order works on."""
    handle = resting(bench)
    replaced(bench, handle, size=25)
    bench.deliver(lost="answer")
    assert handle.status is OrderStatus.UNKNOWN
    if arrived:
        bench.broker.end(handle.id, OrderStatus.CANCELLED, from_ns(bench.now))
    bench.settle(10)
    if arrived:
        assert [sent.request.quantity for sent in bench.sent] == [25]
        return
    assert not bench.sent
    assert (handle.status, total(bench, handle)) == (OrderStatus.ACCEPTED, 10.0)
    assert "never arrived" in handle.text


def test_next_version_survives_a_crash_before_the_end_is_known(bench: Any) -> None:
    """The journal has what was to be replaced by what; the broker says what became of the cancel."""
    handle = resting(bench)
    replaced(bench, handle, size=25, limit_price=91)
    bench.deliver()
    bench.event(bench.broker.fill(handle.id, "4", "90", from_ns(bench.now)))
    bench.crash()
    bench.broker.end(handle.id, OrderStatus.CANCELLED, from_ns(bench.now))
    bench.settle(10)
    assert not bench.sent  # no bar says yet what it is worth
    bench.bar()
    (sent,) = bench.sent
    assert (sent.request.quantity, sent.request.limit_price) == (Decimal(21), Decimal(91))


def test_next_version_survives_a_crash_after_it_was_placed(bench: Any) -> None:
    """It is looked up under its own name, and never sent again; late words on the one before still count."""
    handle = resting(bench)
    replaced(bench, handle, size=25)
    bench.deliver()
    cancelled(bench, handle.id)
    (sent,) = bench.deliver()
    bench.crash()
    bench.settle(30)
    assert not bench.sent
    assert bench.broker.arrived == [handle.id, sent.ref.client_order_id]
    order = bench.kernel.order_of(handle.id)
    assert order is bench.kernel.order_of(sent.ref.client_order_id)
    assert (order.status, order.quantity) == (OrderStatus.ACCEPTED, 25)
    bench.event(bench.broker.fill(sent.ref.client_order_id, "25", "90", from_ns(bench.now)))
    assert order.status == OrderStatus.FILLED


def test_late_fill_of_a_version_that_was_over_is_said_aloud(bench: Any) -> None:
    """The broker counted too little: what works now is not smaller for it, so more than was asked may come.
    It is counted in full, and found by the broker's own name of that version."""
    handle = resting(bench)
    replaced(bench, handle, size=25)
    bench.deliver()
    cancelled(bench, handle.id)
    bench.deliver()
    late = bench.broker.fill(handle.id, "3", "90", from_ns(bench.now))
    bench.event(evolve(late, client_order_id=None))
    assert "overfill" in bench.alerts()
    assert handle.filled == 3.0
    assert bench.kernel.books["SPY"].open_buy == 25
    bench.event(FillCorrection("DU1", late.execution_key, 1, None, from_ns(bench.now)))
    assert (handle.filled, total(bench, handle)) == (0.0, 25.0)
    assert bench.kernel.books["SPY"].open_buy == 25


def test_halt_leaves_no_next_version(bench: Any) -> None:
    """What was cancelled to be replaced stays cancelled, also once trading goes on again."""
    handle = resting(bench)
    replaced(bench, handle, size=25)
    bench.deliver()
    bench.command(Verb.HALT)
    bench.sent.clear()
    bench.command(Verb.RESUME)
    cancelled(bench, handle.id)
    assert not bench.sent
    assert (handle.status, handle.reason) == (OrderStatus.CANCELLED, "replacement_refused")


def test_limit_of_this_moment_judges_the_next_version(make: Callable[..., Any]) -> None:
    """The rules are asked when it is decided on, and again when it is placed: prices moved since."""
    bench = make(risk=RiskSettings(max_order_notional=Decimal(2_000)), cash="100000")
    bench.settle()
    bench.bar()
    handle = bench.bar(script=lambda strategy: strategy.order_stop("SPY", 10, 110.0))
    bench.deliver()
    assert not bench.at_once(lambda strategy: handle.replace(size=19))
    assert "2000" in handle.text or "2,000" in handle.text
    replaced(bench, handle, size=18)


def test_decision_that_is_too_old_places_no_next_version(make: Callable[..., Any]) -> None:
    """The cancel took longer than a decision may be old: the send is marked so that it cannot leave."""
    bench = make(settings=LiveSettings(max_decision_age=20.0))
    bench.settle()
    bench.bar()
    handle = resting(bench)
    replaced(bench, handle, size=25)
    decided = bench.now
    bench.deliver()
    bench.now += 30 * SECOND
    cancelled(bench, handle.id)
    (sent,) = bench.sent
    assert (sent.decided_at, sent.deadline) == (decided, decided + 20 * SECOND)
    bench.sent.clear()
    bench.give(OutcomeInput(bench.now, sent.intent, SendOutcome(OutcomeKind.NOT_SENT, text="too old")))
    assert (handle.status, handle.text) == (OrderStatus.CANCELLED, "too old")


def test_failing_callback_takes_the_replacement_back(bench: Any) -> None:
    """Nothing is cancelled for a next version that was never decided on."""
    handle = resting(bench)

    def script(strategy: Any) -> None:
        assert handle.replace(size=25)
        raise ArithmeticError("after it")

    bench.at_once(script)
    assert [type(sent) for sent in bench.sent] == [SendCancel]  # of the halt that follows
    bench.deliver()
    cancelled(bench, handle.id)
    assert not bench.sent
    assert (handle.status, total(bench, handle)) == (OrderStatus.CANCELLED, 10.0)


@pytest.mark.parametrize(
    ("place", "words", "why"),
    [
        (
            lambda s: s.order_bracket("SPY", 10, take_profit=120, stop_loss=80).stop_loss,
            {"stop_price": 85},
            "the legs of a group end together",
        ),
        (lambda s: s.order_trailing_stop("SPY", -10, amount=5), {"size": 5}, "a new trail would begin anew"),
    ],
)
def test_what_cannot_be_cancelled_for_a_next_version_is_refused(
    bench: Any, place: Any, words: Mapping[str, Any], why: str
) -> None:
    """In words that say what to do instead; the order works on."""
    bench.broker.positions["SPY"] = Decimal(0)
    handle = bench.bar(script=place)
    bench.deliver()
    assert not bench.at_once(lambda strategy: handle.replace(**words))
    assert why in handle.text
    assert "cancel it, and place another" in handle.text
    assert not bench.sent


def test_adapter_that_cannot_express_the_next_version_is_asked_before_the_cancel(bench: Any) -> None:
    """An order that works is not given up for one that cannot be placed."""
    handle = resting(bench)

    def prepare(request: Any, refs: Any, replaces: Any) -> Any:
        raise Unsupported("SPY: no price above 90", code="unsupported", text="no price above 90")

    bench.kernel.settings = evolve(bench.kernel.settings, prepare=prepare)
    assert not bench.at_once(lambda strategy: handle.replace(limit_price=91))
    assert handle.text == "no price above 90"
    assert not bench.sent


def flat(length: int) -> Series:
    day = 86_400 * SECOND
    rows = range(length)
    return Series.from_columns(
        "SPY",
        "1d",
        start=[row * day for row in rows],
        end=[(row + 1) * day for row in rows],
        **dict.fromkeys(("open", "high", "low", "close"), [100.0] * length),
        volume=[1_000.0] * length,
    )


class Mover(Strategy):
    """Buys below the market, and comes nearer."""

    def next(self, i: int) -> None:
        if i == 0:
            self.handle = self.order_limit("SPY", 10, 50, tif="gtc")
        elif i == 2:
            assert self.handle.replace(size=14, limit_price=104), self.handle.text


@pytest.mark.parametrize("risk", [RiskSettings(), RiskSettings(order_rate=RateLimits(per_minute=100))])
def test_replay_replaces_as_a_live_run_does(risk: RiskSettings) -> None:
    """At a venue whose capabilities name no replacement the same versions follow one another, with rules
    that remember and without."""
    memory = InMemoryMonitor()
    rules = {"SPY": Instrument(symbol="SPY", venue_symbol="SPY")}
    cash = Decimal(100_000)
    engine = LiveEngine(
        EngineSettings(run_id="r", strategy="tests:Mover", cash=cash, risk=risk), {"recorder": memory}
    )
    summary = engine.replay(
        Mover(),
        {"SPY": flat(8)},
        venue=SimVenue(instruments=rules, settings=VenueSettings(), cash=cash, currency="USD"),
        instruments=rules,
        capabilities=evolve(SIM_CAPABILITIES, replace=frozenset()),
    )
    assert [(trade.size, trade.price) for trade in memory.trades] == [(14.0, 100.0)]
    assert memory.orders[-1].status == OrderStatus.FILLED.value
    assert not [alert for alert in memory.alerts if alert.severity != "info"]
    assert summary.orders == 1


def test_update_of_a_version_before_changes_nothing(bench: Any) -> None:
    """Its end is known; what the broker says of it again is late."""
    handle = resting(bench)
    replaced(bench, handle, size=25)
    bench.deliver()
    cancelled(bench, handle.id)
    bench.deliver()
    ref = bench.broker.orders[handle.id].ref
    bench.event(OrderUpdate(ref, OrderStatus.CANCELLED, from_ns(bench.now), Decimal(0)))
    assert (handle.status, total(bench, handle)) == (OrderStatus.ACCEPTED, 25.0)


def test_order_that_is_over_in_the_input_that_would_replace_it(bench: Any) -> None:
    """One answer has a fill at which it is replaced, and the one that completes it; a restart knows."""
    handle = resting(bench)
    bench.on_fill = lambda strategy, fill: fill.order.replace(limit_price=91)
    for size in ("4", "6"):
        bench.broker.fill(handle.id, size, "90", from_ns(bench.now))
    bench.settle(40)
    assert (handle.status, handle.filled) == (OrderStatus.FILLED, 10.0)
    assert not bench.sent
    bench.crash()
    order = bench.kernel.order_of(handle.id)
    assert (order.status, order.filled, bench.kernel.orders) == (OrderStatus.FILLED, 10, {})


def test_refused_replacement_takes_no_next_version_away(bench: Any) -> None:
    """While one waits for a price another is asked for and refused: a restart does not mistake the two."""
    handle = resting(bench)
    replaced(bench, handle, size=25)
    bench.deliver()
    bench.crash()
    cancelled(bench, handle.id)
    bench.settle(10)
    waiting = bench.kernel.order_of(handle.id)
    assert not bench.at_once(lambda strategy: bench.kernel.desk.replace(handle.id, 30, None, None))
    assert waiting.retiring
    bench.crash()
    assert bench.kernel.order_of(handle.id).retiring
    bench.settle(10)
    bench.bar()
    assert [sent.request.quantity for sent in bench.sent] == [25]


@pytest.mark.parametrize("arrived", [True, False])
def test_cancel_that_got_lost_is_looked_up_also_after_a_fill(bench: Any, arrived: bool) -> None:
    """A fill says that the order is there, and nothing of its cancel."""
    handle = resting(bench)
    replaced(bench, handle, size=25)
    bench.deliver(lost="answer")
    bench.event(bench.broker.fill(handle.id, "4", "90", from_ns(bench.now)))
    if arrived:
        bench.broker.end(handle.id, OrderStatus.CANCELLED, from_ns(bench.now))
    bench.settle(20)
    assert [sent.request.quantity for sent in bench.sent] == ([21] if arrived else [])
    assert not bench.kernel.order_of(handle.id).retiring
    assert bench.kernel.books["SPY"].open_buy == (21 if arrived else 6)


def test_cancel_that_had_no_effect_is_not_waited_for_without_end(bench: Any) -> None:
    """The broker took the cancel, and the order works on all the same."""
    handle = resting(bench)
    replaced(bench, handle, size=25)
    bench.deliver()
    bench.settle(20)
    assert bench.kernel.order_of(handle.id).retiring
    bench.settle(60)
    assert (handle.status, total(bench, handle)) == (OrderStatus.ACCEPTED, 10.0)
    assert bench.at_once(lambda strategy: handle.replace(size=11))


def test_late_fill_of_a_version_before_does_not_stand_for_one_that_is_missing(bench: Any) -> None:
    """The end of a version counts its own fills, and those are waited for."""
    handle = resting(bench)
    replaced(bench, handle, size=25)
    bench.deliver()
    cancelled(bench, handle.id)
    (second,) = bench.deliver()
    replaced(bench, handle, size=30)
    bench.deliver()
    fill = bench.broker.fill(second.ref.client_order_id, "6", "90", from_ns(bench.now))
    cancelled(bench, second.ref.client_order_id)
    bench.event(bench.broker.fill(handle.id, "6", "90", from_ns(bench.now)))
    assert not bench.sent
    bench.event(fill)
    assert [sent.request.quantity for sent in bench.sent] == [18]


def test_cancel_of_what_is_complete_by_then_is_the_same_after_a_restart(bench: Any) -> None:
    """The last fill that counts completes the new total; a cancel in its callback comes too late."""
    handle = resting(bench)
    replaced(bench, handle, size=5)
    bench.deliver()
    fill = bench.broker.fill(handle.id, "6", "90", from_ns(bench.now))
    cancelled(bench, handle.id)
    bench.on_fill = lambda strategy, fill: fill.order.cancel()
    bench.event(fill)
    assert (handle.status, total(bench, handle)) == (OrderStatus.FILLED, 5.0)
    bench.crash()
    order = bench.kernel.order_of(handle.id)
    assert (order.status, order.quantity) == (OrderStatus.FILLED, 5)


def test_version_that_is_over_is_not_missed_while_the_next_one_waits(bench: Any) -> None:
    """A broker may forget what it cancelled; that it did is known."""
    handle = resting(bench)
    replaced(bench, handle, size=25)
    bench.deliver()
    bench.crash()
    cancelled(bench, handle.id)
    bench.settle(1)
    del bench.broker.orders[handle.id]
    bench.settle(90)
    assert "order_vanished" not in bench.alerts()
    bench.bar()
    assert [sent.request.quantity for sent in bench.sent] == [25]


def test_text_of_a_next_version_that_is_refused_survives_a_restart(bench: Any) -> None:
    """Also where another replacement was refused in the same input before: the last word stands."""
    handle = resting(bench)
    replaced(bench, handle, size=25)
    bench.deliver()
    bench.on_fill = lambda strategy, fill: fill.order.replace(size=30)
    bench.event(bench.broker.fill(handle.id, "10", "90", from_ns(bench.now)))
    assert (handle.status, handle.text) == (OrderStatus.FILLED, "it was filled before that")
    bench.crash()
    assert bench.kernel.order_of(handle.id).text == handle.text


def test_end_in_an_answer_at_which_a_callback_fails_ends_the_order(bench: Any) -> None:
    """The answer has a fill at which it is replaced, one at which the strategy fails, and the rest of it."""
    handle = resting(bench)

    def on_fill(strategy: Any, fill: Any) -> None:
        if fill.size == 1:
            assert fill.order.replace(limit_price=91)
        else:
            raise ArithmeticError("at the second")

    bench.on_fill = on_fill
    for size in ("1", "2", "7"):
        bench.broker.fill(handle.id, size, "90", from_ns(bench.now))
    bench.settle(40)
    assert (handle.status, handle.filled) == (OrderStatus.FILLED, 10.0)
    assert not bench.kernel.books["SPY"].orders
    bench.crash()
    assert bench.kernel.order_of(handle.id).status is OrderStatus.FILLED
    assert not bench.kernel.books["SPY"].orders


def test_late_fill_of_a_version_that_the_broker_replaced_itself_frees_nothing(tmp_path: Path) -> None:
    """A broker may replace prices alone: versions of both kinds are those before the one that works."""
    bench = live.LiveBench(tmp_path, evolve(CAPABILITIES, replace=frozenset({"limit_price"})))
    bench.settle()
    bench.bar()
    handle = resting(bench)
    assert bench.at_once(lambda strategy: handle.replace(limit_price=91))
    (native,) = bench.deliver()
    assert isinstance(native, SendReplace)
    replaced(bench, handle, size=25)
    bench.deliver()
    cancelled(bench, native.new_ref.client_order_id)
    (sent,) = bench.deliver()
    assert sent.request.quantity == 25
    bench.event(bench.broker.fill(handle.id, "3", "90", from_ns(bench.now)))
    assert "overfill" in bench.alerts()
    assert bench.kernel.books["SPY"].open_buy == 25


def test_text_of_what_is_complete_without_a_next_version_survives_a_restart(bench: Any) -> None:
    """Another replacement was refused in the same input, and that is not the last word on it."""
    handle = resting(bench)
    replaced(bench, handle, size=5)
    bench.deliver()
    fill = bench.broker.fill(handle.id, "6", "90", from_ns(bench.now))
    cancelled(bench, handle.id)
    bench.on_fill = lambda strategy, fill: fill.order.replace(size=7)
    bench.event(fill)
    assert (handle.status, handle.text) == (OrderStatus.FILLED, "")
    bench.crash()
    assert bench.kernel.order_of(handle.id).text == handle.text

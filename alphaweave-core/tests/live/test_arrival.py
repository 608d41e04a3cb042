"""Events that come late, early or twice: replacements, corrections, and what of them outlives a restart."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.errors import StrategyError
from alphaweave.core.order import OrderStatus
from alphaweave.live.effects import CancelOrder, ReplaceOrder
from alphaweave.live.kernel_state import capture_kernel, restore_kernel
from alphaweave.live.reports import FillCorrection, PositionChange
from alphaweave.strategy.events import Fill, OrderEvent
from alphaweave.strategy.strategy import Strategy

D = Decimal


def replaced(bench: Any, size: int, *, was: int = 5) -> tuple[Any, Any]:
    """A working order with a replacement on its way: its handle and the names of the new version."""
    handle = bench.do(lambda s: s.order_limit("SPY", was, 90))
    bench.update(handle.id, OrderStatus.ACCEPTED)
    bench.take()
    assert bench.do(lambda s: handle.replace(size=size))
    (effect,) = bench.take()
    return handle, effect.new_ref


def test_late_acknowledgement_of_a_filled_order_is_not_foreign(make_bench: Any) -> None:
    """A fill may overtake the acknowledgement; that order was placed here all the same."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_market("SPY", 5))
    bench.fill(handle.id, "5")
    bench.update(handle.id, OrderStatus.ACCEPTED)
    assert bench.alerts() == []
    assert handle.status is OrderStatus.FILLED


def test_overfill_after_the_end_is_told_to_the_strategy(make_bench: Any) -> None:
    """More than was asked for is the strategy's own, not somebody else's."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_market("SPY", 5))
    bench.fill(handle.id, "5")
    bench.fill(handle.id, "2")
    assert bench.alerts() == ["overfill"]
    assert handle.filled == 7.0
    assert [heard.size for heard in bench.strategy.heard if isinstance(heard, Fill)] == [5.0, 2.0]


def test_fill_of_the_new_version_before_its_acknowledgement_adopts_it(make_bench: Any) -> None:
    """Five of eight are filled under the new id: three are still to come, and reserved."""
    bench = make_bench()
    handle, new_ref = replaced(bench, 8)
    bench.fill(new_ref.client_order_id, "5", "90")
    book = bench.kernel.books["SPY"]
    assert (handle.is_open, handle.size, book.open_buy) == (True, 8.0, D(3))
    bench.update(new_ref.client_order_id, OrderStatus.ACCEPTED)
    bench.fill(new_ref.client_order_id, "3", "90")
    assert (handle.status, book.open_buy, bench.alerts()) == (OrderStatus.FILLED, D(0), [])


@pytest.mark.parametrize("taken", [True, False])
def test_old_version_filled_while_a_replacement_is_on_its_way(make_bench: Any, taken: bool) -> None:
    """The rest of the larger total stays reserved until it is known which version works."""
    bench = make_bench()
    handle, new_ref = replaced(bench, 8)
    bench.fill(handle.id, "5", "90")
    book = bench.kernel.books["SPY"]
    assert (handle.is_open, book.open_buy) == (True, D(3))
    if taken:
        bench.update(new_ref.client_order_id, OrderStatus.ACCEPTED)
        assert (handle.status, book.open_buy) == (OrderStatus.PARTIALLY_FILLED, D(3))
        return
    bench.kernel.on_replace_rejected(new_ref, "filled")
    assert (handle.status, book.open_buy) == (OrderStatus.FILLED, D(0))
    assert bench.strategy.heard[-1].status is OrderStatus.FILLED
    assert not bench.kernel.orders


@pytest.mark.parametrize("refused", ["call", "update"])
def test_old_version_ended_while_a_replacement_is_on_its_way(make_bench: Any, refused: str) -> None:
    """An end that names no successor ends the order only once the replacement is known to be refused."""
    bench = make_bench()
    handle, new_ref = replaced(bench, 8)
    bench.update(handle.id, OrderStatus.CANCELLED, cumulative=D(0), reason="requested")
    book = bench.kernel.books["SPY"]
    assert (handle.is_open, book.open_buy) == (True, D(8))
    if refused == "call":
        bench.kernel.on_replace_rejected(new_ref, "gone")
    else:
        bench.update(new_ref.client_order_id, OrderStatus.REJECTED, text="gone")
    assert (handle.status, handle.reason, book.open_buy) == (OrderStatus.CANCELLED, "requested", D(0))
    assert bench.strategy.heard[-1].status is OrderStatus.CANCELLED
    assert not bench.kernel.orders


def test_new_version_works_on_after_the_end_of_the_old_one(make_bench: Any) -> None:
    """The end of the old version was that of the old version only."""
    bench = make_bench()
    handle, new_ref = replaced(bench, 8)
    bench.update(handle.id, OrderStatus.CANCELLED, cumulative=D(0))
    bench.update(new_ref.client_order_id, OrderStatus.ACCEPTED)
    book = bench.kernel.books["SPY"]
    assert (handle.is_open, handle.size, book.open_buy) == (True, 8.0, D(8))
    bench.fill(new_ref.client_order_id, "8", "90")
    assert (handle.status, book.open_buy) == (OrderStatus.FILLED, D(0))


def test_unknown_replacement_keeps_both_versions_reserved(make_bench: Any) -> None:
    """A smaller total counts only once the broker has said that it holds."""
    bench = make_bench()
    handle, new_ref = replaced(bench, 6, was=10)
    bench.update(new_ref.client_order_id, OrderStatus.UNKNOWN)
    book = bench.kernel.books["SPY"]
    assert (handle.status, handle.size, book.open_buy) == (OrderStatus.UNKNOWN, 10.0, D(10))
    bench.update(new_ref.client_order_id, OrderStatus.ACCEPTED)
    assert (handle.status, handle.size, book.open_buy) == (OrderStatus.ACCEPTED, 6.0, D(6))


def test_smaller_total_is_reserved_as_soon_as_it_is_acknowledged(make_bench: Any) -> None:
    """The acknowledgement of the new version is enough; nothing need be heard of the old one."""
    bench = make_bench()
    _, new_ref = replaced(bench, 6, was=10)
    bench.update(new_ref.client_order_id, OrderStatus.ACCEPTED)
    book = bench.kernel.books["SPY"]
    assert (book.open_buy, book.intended) == (D(6), D(6))


def test_late_end_of_an_earlier_version_leaves_the_next_replacement_pending(make_bench: Any) -> None:
    """What replaced the first version says nothing of the third."""
    bench = make_bench()
    handle, second = replaced(bench, 8)
    bench.update(second.client_order_id, OrderStatus.ACCEPTED)
    assert bench.do(lambda s: handle.replace(size=2))
    bench.update(handle.id, OrderStatus.CANCELLED, replaced_by=second.client_order_id)
    assert (handle.size, bench.kernel.books["SPY"].open_buy) == (8.0, D(8))


def test_refusal_told_twice_leaves_the_next_replacement_pending(make_bench: Any) -> None:
    """An update and the call's own answer may both refuse one replacement."""
    bench = make_bench()
    handle, second = replaced(bench, 8)
    bench.update(second.client_order_id, OrderStatus.REJECTED)
    assert bench.do(lambda s: handle.replace(size=9))
    bench.kernel.on_replace_rejected(second, "no")
    assert bench.kernel.books["SPY"].open_buy == D(9)


def test_cancel_asks_for_the_version_on_its_way_too(make_bench: Any) -> None:
    """Whichever version works, it is cancelled."""
    bench = make_bench()
    handle, new_ref = replaced(bench, 8)
    bench.do(lambda s: handle.cancel())
    names = [effect.ref.client_order_id for effect in bench.take()]
    assert names == [handle.id, new_ref.client_order_id]


def test_exit_of_a_group_can_be_moved_where_nothing_may_be_short(make_bench: Any) -> None:
    """What the group reserves is no reason against one of its own legs, before and after the entry."""
    from alphaweave.core.instrument import Instrument

    bench = make_bench(instruments={"SPY": Instrument(symbol="SPY", venue_symbol="SPY", shortable=False)})
    group = bench.do(lambda s: s.order_bracket("SPY", 10, take_profit=120, stop_loss=90))
    bench.take()
    for leg in group.legs:
        bench.update(leg.id, OrderStatus.ACCEPTED)
    assert bench.do(lambda s: group.stop_loss.replace(stop_price=91)), group.stop_loss.text
    (held,) = bench.take()
    bench.update(held.new_ref.client_order_id, OrderStatus.ACCEPTED)
    bench.fill(group.entry.id, "10")
    assert bench.do(lambda s: group.stop_loss.replace(stop_price=95)), group.stop_loss.text
    assert bench.do(lambda s: group.take_profit.replace(limit_price=130)), group.take_profit.text
    book = bench.kernel.books["SPY"]
    assert (book.open_buy, book.open_sell) == (D(0), D(10))
    assert not bench.do(lambda s: group.take_profit.replace(size=11))


def test_correction_that_overtakes_its_fill_is_told_like_a_fill(make_bench: Any) -> None:
    """It is all that will be heard of the execution: the order ends and the strategy hears of both."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_limit("SPY", 5, 100))
    other = make_bench()
    shown = other.fill(other.do(lambda s: s.order_limit("SPY", 5, 100)).id, "5", key="x1")
    restated = evolve(shown, revision=1, client_order_id=handle.id, broker_order_id=f"b-{handle.id}")
    bench.kernel.on_correction(FillCorrection("sim", "x1", 1, restated, restated.received_at))
    assert (handle.status, handle.filled) == (OrderStatus.FILLED, 5.0)
    assert not bench.kernel.orders
    assert not bench.kernel.books["SPY"].orders
    assert [type(heard) for heard in bench.strategy.heard] == [Fill, OrderEvent]


def test_correction_that_completes_an_order_ends_it(make_bench: Any) -> None:
    """A restated size may be all that was missing; the order is then no longer open anywhere."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_limit("SPY", 5, 100))
    bench.fill(handle.id, "4", key="x1")
    bench.fill(handle.id, "5", key="x1", revision=1)
    assert handle.status is OrderStatus.FILLED
    assert not bench.kernel.orders
    assert not bench.kernel.books["SPY"].orders
    assert bench.strategy.heard[-1].status is OrderStatus.FILLED


def test_reports_in_a_symbol_that_the_run_does_not_have_are_alerts(make_bench: Any) -> None:
    """Somebody else's corrections and splits neither stop the run nor enter its books."""
    bench = make_bench()
    bench.bar()
    fill = bench.fill("elsewhere", "1", symbol="TSLA")
    restated = evolve(fill, revision=1)
    bench.kernel.on_correction(FillCorrection("sim", fill.execution_key, 1, restated, fill.received_at))
    change = PositionChange("sim", "s1", "TSLA", D(4), fill.received_at, kind="split")
    bench.kernel.on_position_change(change)
    assert bench.alerts() == ["foreign_fill", "foreign_fill", "position_changed"]
    assert "TSLA" not in bench.kernel.ledger.positions


def test_every_decision_on_one_order_has_ids_of_its_own(make_bench: Any) -> None:
    """An order that is in doubt twice is told of twice; what is placed then are two orders."""
    placed: list[str] = []

    class Hedging(Strategy):
        def next(self, i: int) -> None:
            if i == 0:
                self.first = self.order_limit(None, 5, 90)

        def on_order(self, event: Any) -> None:
            if event.status is OrderStatus.UNKNOWN:
                placed.append(self.order_market(None, -1).id)

    strategy = Hedging()
    bench = make_bench(strategy=strategy)
    bench.bar()
    for _ in range(2):
        bench.update(strategy.first.id, OrderStatus.UNKNOWN)
        bench.update(strategy.first.id, OrderStatus.ACCEPTED)
    assert len(set(placed)) == 2


def test_raising_callback_takes_back_its_replacement_and_no_cancel_of_an_earlier_decision(
    make_bench: Any,
) -> None:
    """A decision that fails is undone; one that stood before it, and was not handed over yet, stands."""

    class Raising(Strategy):
        def next(self, i: int) -> None:
            if i == 0:
                self.bought = self.order_market(None, 2)
                self.kept = self.order_limit(None, 5, 90)
                self.ended = self.order_limit(None, 5, 80)

        def on_fill(self, fill: Any) -> None:
            if fill.size == 1.0 and fill.position == 1.0:
                self.ended.cancel()
            else:
                assert self.kept.replace(size=8)
                raise RuntimeError("boom")

    strategy = Raising()
    bench = make_bench(strategy=strategy)
    bench.bar()
    bench.take()
    bench.fill(strategy.bought.id, "1")
    with pytest.raises(StrategyError):
        bench.fill(strategy.bought.id, "1")
    effects = bench.take()
    assert [type(effect) for effect in effects] == [CancelOrder]
    assert not any(isinstance(effect, ReplaceOrder) for effect in effects)
    assert bench.kernel.books["SPY"].open_buy == D(10)
    assert set(bench.kernel.orders) == {strategy.kept.id, strategy.ended.id}


def test_every_version_of_an_order_is_known_after_a_restart(make_bench: Any) -> None:
    """A late fill under the id of a version in between still belongs to its order."""
    bench = make_bench()
    handle, second = replaced(bench, 8)
    bench.update(second.client_order_id, OrderStatus.ACCEPTED)
    assert bench.do(lambda s: handle.replace(size=9))
    (effect,) = bench.take()
    bench.update(effect.new_ref.client_order_id, OrderStatus.ACCEPTED)
    state = json.loads(json.dumps(capture_kernel(bench.kernel)))
    again = make_bench()
    again.kernel.books["SPY"].cursor.count = bench.kernel.books["SPY"].cursor.count
    restore_kernel(again.kernel, state)
    assert set(again.kernel.orders) == set(bench.kernel.orders)
    again.fill(second.client_order_id, "4", "90")
    assert again.kernel.orders[handle.id].filled == D(4)
    assert again.alerts() == []


def test_indicator_that_the_state_does_not_have_is_fed_the_history(make_bench: Any) -> None:
    """Resumed with another period, a strategy reads the value of the bars that are known."""

    class Averaging(Strategy):
        period = 3

        def init(self) -> None:
            self.mean = self.sma(None, self.period)

    closes = [100.0 + number for number in range(20)]
    bench = make_bench(closes, strategy=Averaging())
    for _ in range(8):
        bench.bar()
    changed = Averaging(period=4)
    again = make_bench(closes, strategy=changed)
    again.kernel.books["SPY"].cursor.count = 8
    restore_kernel(again.kernel, json.loads(json.dumps(capture_kernel(bench.kernel))))
    assert changed.mean.ready
    assert changed.mean.value == pytest.approx(105.5)

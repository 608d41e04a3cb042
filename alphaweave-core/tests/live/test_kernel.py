"""The kernel: decisions, any order of arrival, exposure, and what a raising callback leaves behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from alphaweave.core.errors import StrategyError
from alphaweave.core.money import Money
from alphaweave.core.order import OrderStatus, OrderType, Side
from alphaweave.live.effects import CancelOrder, MetricRecord, ReplaceOrder, SubmitGroup, SubmitOrder
from alphaweave.live.kernel_state import capture_kernel, restore_kernel
from alphaweave.live.reports import CashFlow, FeeReport, FillCorrection, PositionChange
from alphaweave.live.risk import RiskSettings
from alphaweave.monitoring.monitor import OrderRecord, TradeRecord
from alphaweave.strategy.strategy import Strategy

D = Decimal


def test_order_becomes_one_effect_with_a_deterministic_id(make_bench: Any) -> None:
    """The same decision on the same bars has the same id in every run, and another one another."""
    first, second = make_bench(), make_bench()
    orders = [
        bench.do(lambda s: (s.order_market("SPY", 3), s.order_market("SPY", 3))) for bench in (first, second)
    ]
    ids = [[handle.id for handle in pair] for pair in orders]
    assert ids[0] == ids[1]
    assert ids[0][0] != ids[0][1]
    effects = first.take()
    assert [type(effect) for effect in effects] == [SubmitOrder, SubmitOrder]
    assert [effect.ref.client_order_id for effect in effects] == ids[0]
    later = first.do(lambda s: s.order_market("SPY", 3))
    assert later.id not in ids[0]


def test_fill_updates_the_portfolio_before_on_fill_runs(make_bench: Any) -> None:
    """Position and cash already include the execution when the strategy hears of it."""
    seen: list[tuple[float, float]] = []

    class Listening(Strategy):
        def next(self, i: int) -> None:
            if i == 0:
                self.order_market(None, 5)

        def on_fill(self, fill: Any) -> None:
            seen.append((self.position(), self.cash))
            assert fill.order.filled == 5.0

    bench = make_bench(strategy=Listening())
    bench.bar()
    (submit,) = bench.take()
    bench.fill(submit.ref.client_order_id, "5", "100", fee="1")
    assert seen == [(5.0, 9499.0)]


def test_every_order_of_arrival_ends_in_the_same_books(make_bench: Any) -> None:
    """Acknowledgement, two fills and the end may come in any order: the order ends filled, once."""
    outcomes = set()
    for order_of_arrival in permutations(range(4)):
        bench = make_bench()
        handle = bench.do(lambda s: s.order_limit("SPY", 10, 100))
        events = (
            lambda b, i: b.update(i, OrderStatus.ACCEPTED),
            lambda b, i: b.fill(i, "4", key="x1", cumulative=D(4)),
            lambda b, i: b.fill(i, "6", key="x2", cumulative=D(10)),
            lambda b, i: b.update(i, OrderStatus.FILLED, cumulative=D(10)),
        )
        for number in order_of_arrival:
            events[number](bench, handle.id)
        book = bench.kernel.books["SPY"]
        outcomes.add((handle.status, handle.filled, book.units, book.open_buy, bench.kernel.ledger.cash))
        assert not bench.kernel.orders
        assert bench.alerts() == []
    assert outcomes == {(OrderStatus.FILLED, 10.0, 10.0, D(0), 9000.0)}


def test_end_that_counts_unseen_fills_waits_for_them(make_bench: Any) -> None:
    """A cancel that counts four filled units keeps those four reserved until their fill arrives."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_limit("SPY", 10, 100))
    bench.update(handle.id, OrderStatus.ACCEPTED)
    bench.update(handle.id, OrderStatus.CANCELLED, cumulative=D(4), reason="requested")
    book = bench.kernel.books["SPY"]
    assert (handle.is_open, book.open_buy) == (True, D(4))
    bench.fill(handle.id, "4")
    assert (handle.status, handle.reason, book.open_buy, book.units) == (
        OrderStatus.CANCELLED,
        "requested",
        D(0),
        4.0,
    )


def test_fill_after_cancel_is_booked_and_alerted(make_bench: Any) -> None:
    """An execution of an ended order is never dropped."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_limit("SPY", 10, 100))
    bench.update(handle.id, OrderStatus.CANCELLED, cumulative=D(0))
    bench.fill(handle.id, "10")
    assert bench.kernel.books["SPY"].units == 10.0
    assert handle.status is OrderStatus.FILLED
    assert "fill_after_end" in bench.alerts()


def test_duplicate_fill_counts_once(make_bench: Any) -> None:
    """The same execution three times is one."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_limit("SPY", 10, 100))
    for _ in range(3):
        bench.fill(handle.id, "4", key="same", cumulative=D(4))
    assert (handle.filled, bench.kernel.books["SPY"].units, bench.kernel.fills) == (4.0, 4.0, 1)
    assert len(bench.notes(TradeRecord)) == 1


def test_foreign_fill_is_booked_alerted_and_never_told_to_the_strategy(make_bench: Any) -> None:
    """Somebody else's trade in a traded symbol changes the books, not the strategy's view of its orders."""
    bench = make_bench()
    bench.bar()
    bench.fill(None, "7")
    assert bench.kernel.books["SPY"].units == 7.0
    assert bench.alerts() == ["foreign_fill"]
    assert bench.strategy.heard == []
    bench.fill("aw-elsewhere", "1", symbol="TSLA")
    assert bench.alerts() == ["foreign_fill", "foreign_fill"]


def test_overfill_is_booked_and_alerted(make_bench: Any) -> None:
    """A broker that fills more than was asked for is believed, loudly."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_market("SPY", 5))
    bench.fill(handle.id, "5")
    bench.fill(handle.id, "2")
    assert bench.kernel.books["SPY"].units == 7.0
    assert bench.alerts() == ["overfill"]


def test_rejection_releases_the_reservation_and_keeps_the_brokers_words(make_bench: Any) -> None:
    """REJECTED is final: nothing stays reserved, the reason and the text are on the handle."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_market("SPY", 5))
    assert bench.kernel.books["SPY"].open_buy == D(5)
    bench.update(
        handle.id, OrderStatus.REJECTED, reason="insufficient_funds", text="no money", cumulative=D(0)
    )
    assert (handle.status, handle.reason, handle.text) == (
        OrderStatus.REJECTED,
        "insufficient_funds",
        "no money",
    )
    assert bench.kernel.books["SPY"].open_buy == D(0)
    assert bench.alerts() == ["order_rejected"]


def test_unknown_outcome_keeps_the_full_exposure_reserved(make_bench: Any) -> None:
    """UNKNOWN is not an end; a late acknowledgement brings the order back to work."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_market("SPY", 5))
    bench.update(handle.id, OrderStatus.UNKNOWN)
    assert (handle.status, bench.kernel.books["SPY"].open_buy) == (OrderStatus.UNKNOWN, D(5))
    bench.update(handle.id, OrderStatus.ACCEPTED)
    assert handle.status is OrderStatus.ACCEPTED


def test_raising_callback_drops_its_orders_and_keeps_the_books(make_bench: Any) -> None:
    """What the input reported stays booked; what the decision placed never leaves."""

    class Raising(Strategy):
        def next(self, i: int) -> None:
            self.handle = self.order_market(None, 1)

        def on_fill(self, fill: Any) -> None:
            self.late = self.order_market(None, 2)
            raise RuntimeError("boom")

    strategy = Raising()
    bench = make_bench(strategy=strategy)
    bench.bar()
    bench.take()
    with pytest.raises(StrategyError, match=r"Raising\.on_fill raised RuntimeError .*boom") as raised:
        bench.fill(strategy.handle.id, "1")
    assert raised.value.callback == "on_fill"
    assert bench.take() == []
    assert strategy.late.status is OrderStatus.CANCELLED
    book = bench.kernel.books["SPY"]
    assert (book.units, book.open_buy) == (1.0, D(0))


def test_raising_next_is_not_a_whole_slice(make_bench: Any) -> None:
    """The index stays at the last slice that was decided on to its end."""

    class Raising(Strategy):
        def next(self, i: int) -> None:
            self.order_market(None, 1)
            if i == 2:
                raise ValueError("no")

    bench = make_bench(strategy=Raising())
    bench.bar()
    bench.bar()
    bench.take()
    with pytest.raises(StrategyError, match=r"Raising\.next raised ValueError at 2024-01-04"):
        bench.bar()
    assert bench.kernel.index == 1
    assert bench.take() == []


def test_cancel_of_an_order_not_handed_over_withdraws_the_intent(make_bench: Any) -> None:
    """Nothing is sent for an order that is cancelled in the decision that placed it."""
    bench = make_bench()

    def place_and_cancel(s: Any) -> Any:
        handle = s.order_limit("SPY", 5, 90)
        handle.cancel()
        return handle

    handle = bench.do(place_and_cancel)
    assert bench.take() == []
    assert (handle.status, handle.reason) == (OrderStatus.CANCELLED, "withdrawn")
    assert bench.kernel.books["SPY"].open_buy == D(0)


def test_cancel_of_a_working_order_is_an_effect_and_not_an_end(make_bench: Any) -> None:
    """The order stays open until the broker says otherwise."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_limit("SPY", 5, 90))
    bench.take()
    bench.do(lambda s: handle.cancel())
    assert [type(effect) for effect in bench.take()] == [CancelOrder]
    assert handle.is_open
    bench.kernel.on_cancel_rejected(bench.kernel.orders[handle.id].ref, "too late")
    assert handle.is_open
    assert bench.alerts() == ["cancel_rejected"]


def test_replacement_reserves_the_larger_total_until_its_outcome_is_known(make_bench: Any) -> None:
    """While both versions may work, exposure is that of the worse one; the id stays."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_limit("SPY", 5, 90))
    bench.update(handle.id, OrderStatus.ACCEPTED)
    bench.take()
    assert bench.do(lambda s: handle.replace(size=8, limit_price=91))
    (replace,) = bench.take()
    assert isinstance(replace, ReplaceOrder)
    book = bench.kernel.books["SPY"]
    assert (book.open_buy, handle.size) == (D(8), 5.0)
    new_id = replace.new_ref.client_order_id
    bench.update(handle.id, OrderStatus.CANCELLED, replaced_by=new_id)
    bench.update(new_id, OrderStatus.ACCEPTED)
    assert (book.open_buy, handle.size, handle.is_open) == (D(8), 8.0, True)
    bench.fill(new_id, "8", "91")
    assert handle.status is OrderStatus.FILLED
    assert handle.id != new_id
    assert not bench.kernel.orders


def test_refused_replacement_leaves_the_order_as_it_was(make_bench: Any) -> None:
    """The old version works on under its own terms."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_limit("SPY", 5, 90))
    bench.update(handle.id, OrderStatus.ACCEPTED)
    bench.take()
    bench.do(lambda s: handle.replace(size=8))
    (replace,) = bench.take()
    bench.kernel.on_replace_rejected(replace.new_ref, "no")
    book = bench.kernel.books["SPY"]
    assert (book.open_buy, handle.size, handle.status) == (D(5), 5.0, OrderStatus.ACCEPTED)
    assert bench.do(lambda s: handle.replace(size=6))


def test_one_replacement_at_a_time(make_bench: Any) -> None:
    """A second change is refused while the first is on its way, and below what is filled always."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_limit("SPY", 5, 90))
    bench.update(handle.id, OrderStatus.ACCEPTED)
    bench.fill(handle.id, "2", "90")
    bench.take()
    assert bench.do(lambda s: handle.replace(size=2)) is False
    assert bench.do(lambda s: handle.replace(size=8)) is True
    assert bench.do(lambda s: handle.replace(size=9)) is False
    assert "on its way" in handle.text


def test_group_exits_count_as_the_larger_and_only_as_far_as_the_entry_is_filled(make_bench: Any) -> None:
    """Before the entry fills, exits reserve nothing; afterwards one exit's worth, not two."""
    bench = make_bench()
    group = bench.do(lambda s: s.order_bracket("SPY", 10, take_profit=120, stop_loss=90))
    (effect,) = bench.take()
    assert isinstance(effect, SubmitGroup)
    book = bench.kernel.books["SPY"]
    assert (book.open_buy, book.open_sell) == (D(10), D(0))
    bench.fill(group.entry.id, "4")
    assert (book.open_buy, book.open_sell) == (D(6), D(4))
    bench.fill(group.entry.id, "6")
    assert (book.open_buy, book.open_sell) == (D(0), D(10))
    bench.fill(group.stop_loss.id, "10", "90", side=Side.SELL)
    bench.update(group.take_profit.id, OrderStatus.CANCELLED, cumulative=D(0))
    assert (book.open_sell, book.units) == (D(0), 0.0)
    assert not bench.kernel.orders


def test_exits_that_were_resized_count_both_in_full(make_bench: Any) -> None:
    """A new size replaces what the broker took off for the other's fills, told or not; a state keeps that."""
    bench = make_bench()
    pair = bench.do(lambda s: s.order_oco("SPY", -10, take_profit=120, stop_loss=90))
    bench.take()
    for leg in pair.legs:
        bench.update(leg.id, OrderStatus.ACCEPTED)
    book = bench.kernel.books["SPY"]
    assert book.open_sell == D(10)
    bench.do(lambda s: pair.take_profit.replace(limit_price=125))
    (moved,) = bench.take()
    bench.update(moved.new_ref.client_order_id, OrderStatus.ACCEPTED)
    assert book.open_sell == D(10)
    assert bench.do(lambda s: pair.stop_loss.replace(size=30)), pair.stop_loss.text
    (grown,) = bench.take()
    assert book.open_sell == D(40)
    bench.update(grown.new_ref.client_order_id, OrderStatus.ACCEPTED)
    assert book.open_sell == D(40)
    bench.fill(pair.take_profit.id, "4", "125", side=Side.SELL)
    assert book.open_sell == D(36)
    other = make_bench()
    restore_kernel(other.kernel, capture_kernel(bench.kernel))
    assert other.kernel.books["SPY"].open_sell == D(36)


def test_exits_that_both_filled_count_until_either_fill_is_booked(make_bench: Any) -> None:
    """One filled in part, then the other: the broker says so of both before a fill of any arrives."""
    bench = make_bench()
    pair = bench.do(lambda s: s.order_oco("SPY", -10, take_profit=120, stop_loss=90))
    bench.update(pair.stop_loss.id, OrderStatus.FILLED, cumulative=D(6))
    book = bench.kernel.books["SPY"]
    assert book.open_sell == D(10)
    bench.update(pair.take_profit.id, OrderStatus.CANCELLED, cumulative=D(4), reason="oco")
    assert book.open_sell == D(10)
    bench.fill(pair.stop_loss.id, "6", "90", side=Side.SELL)
    assert book.open_sell == D(4)
    bench.fill(pair.take_profit.id, "4", "120", side=Side.SELL)
    assert (book.open_sell, book.units) == (D(0), -10.0)


def test_target_counts_open_market_and_limit_orders_and_no_exits(make_bench: Any) -> None:
    """Asking twice for the same target sends one order; a protective exit is not a sale in progress."""
    bench = make_bench()
    first = bench.do(lambda s: s.order_target_percent("SPY", 0.5))
    assert first.size == 50.0
    again = bench.do(lambda s: s.order_target_percent("SPY", 0.5))
    assert (again.status, again.reason) == (OrderStatus.DENIED, "at_target")
    bench.fill(first.id, "50")
    bench.do(lambda s: s.order_stop("SPY", -50, 90))
    still = bench.do(lambda s: s.order_target_percent("SPY", 0.5))
    assert still.reason == "at_target"
    out = bench.do(lambda s: s.close_position("SPY"))
    assert out.size == 50.0


def test_capital_caps_the_equity_that_sizes_count(make_bench: Any) -> None:
    """With a cap of 4,000 a target of half is 20 units at 100, whatever the account holds."""
    bench = make_bench(capital=4000.0)
    assert bench.do(lambda s: s.order_target_percent("SPY", 0.5)).size == 20.0


def test_orders_in_the_warm_up_are_denied(make_bench: Any) -> None:
    """The warm-up feeds indicators and calls on_warmup; decisions start after it."""
    calls: list[str] = []

    class Warming(Strategy):
        def init(self) -> None:
            self.mean = self.sma(None, 3)

        def on_warmup(self, i: int) -> None:
            handle = self.order_market(None, 1)
            calls.append(f"warm {i} {handle.reason}")

        def next(self, i: int) -> None:
            calls.append(f"next {i} {self.mean.ready}")

    bench = make_bench(strategy=Warming(), warmup=3)
    for _ in range(5):
        bench.bar()
    assert calls == ["warm 0 warmup", "warm 1 warmup", "warm 2 warmup", "next 3 True", "next 4 True"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (lambda s: s.order_market("SPY", 0), "zero_size"),
        (lambda s: s.order_market("SPY", "0.4"), "below_size_step"),
        (lambda s: s.order_market("SPY", float("nan")), "invalid_order"),
        (lambda s: s.order_market("SPY", 1, value=100), "invalid_order"),
        (lambda s: s.order_market("SPY"), "invalid_order"),
        (lambda s: s.order_limit("SPY", 1, -5), "invalid_order"),
        (lambda s: s.order_limit("SPY", 1, 5, tif="never"), "invalid_order"),
        (lambda s: s.order_limit("SPY", 1, 5, tif="gtd"), "invalid_order"),
        (lambda s: s.order_trailing_stop("SPY", 1), "invalid_order"),
        (lambda s: s.order_market("SPY", 1, tif="at_open"), "unsupported"),
        (lambda s: s.order_target_percent("SPY", float("inf")), "invalid_order"),
        (lambda s: s.order_market("SPY", 1e50), "invalid_order"),
        (lambda s: s.order_market("SPY", 10**30), "invalid_order"),
        (lambda s: s.order_market("SPY", value=1e300), "invalid_order"),
        (lambda s: s.order_limit("SPY", 1, 1e300), "invalid_order"),
        (lambda s: s.order_stop("SPY", 1, 1e300), "invalid_order"),
        (lambda s: s.order_trailing_stop("SPY", 1, amount=1e300), "invalid_order"),
        (lambda s: s.order_trailing_stop("SPY", 1, percent=1e300), "invalid_order"),
        (lambda s: s.order_target_percent("SPY", True), "invalid_order"),
        (lambda s: s.order_target_percent("SPY", b"5"), "invalid_order"),
        (lambda s: s.order_target_percent("SPY", None), "invalid_order"),
        (lambda s: s.order_limit("SPY", 1, 5, tif="gtd", expire_at="2030-01-01"), "invalid_order"),
        (lambda s: s.order_bracket("SPY", 1e50, take_profit=120, stop_loss=90).entry, "invalid_order"),
        (
            lambda s: s.order_limit("SPY", 1, 5, tif="gtd", expire_at=datetime(2030, 1, 1)),  # noqa: DTZ001
            "invalid_order",
        ),
    ],
)
def test_request_that_cannot_be_is_denied_and_never_raised(make_bench: Any, script: Any, reason: str) -> None:
    """The handle says why, the monitors hear of it, nothing is sent."""
    bench = make_bench()
    handle = bench.do(script)
    assert (handle.status, handle.reason) == (OrderStatus.DENIED, reason)
    assert handle.text
    assert bench.take() == []
    (record,) = bench.notes(OrderRecord)
    assert (record.status, record.reason) == ("denied", reason)
    assert bench.kernel.denials == 1


def test_unknown_symbol_is_an_error_of_the_strategy(make_bench: Any) -> None:
    """A symbol that the config does not have is a mistake in the code, not a refused order."""
    bench = make_bench()
    with pytest.raises(StrategyError, match="'QQQ' is not in this run; its symbols are SPY"):
        bench.do(lambda s: s.order_market("QQQ", 1))


def test_rounding_is_down_and_passive_and_reported(make_bench: Any) -> None:
    """Quantity down to the step, a buy limit down to the tick, a sell limit up, stops the later way."""
    bench = make_bench()
    buy = bench.do(lambda s: s.order_limit("SPY", 3.7, 99.999))
    assert buy.size == 3.0
    (submit,) = bench.take()
    assert submit.request.limit_price == D("99.99")
    assert buy.adjustments == ("size 3.7 rounded down to 3", "limit price 99.999 rounded to 99.99")
    bench.do(lambda s: s.order_limit("SPY", -3, 101.001))
    assert bench.take()[0].request.limit_price == D("101.01")
    bench.do(lambda s: s.order_stop("SPY", 3, 101.001))
    assert bench.take()[0].request.stop_price == D("101.01")
    bench.do(lambda s: s.order_stop("SPY", -3, 98.999))
    assert bench.take()[0].request.stop_price == D("98.99")
    bench.do(lambda s: s.order_take_profit("SPY", 3, 98.999))
    assert bench.take()[0].request.stop_price == D("98.99")
    bench.do(lambda s: s.order_take_profit("SPY", -3, 101.001, limit_price=100.999))
    target = bench.take()[0].request
    assert (target.type, target.stop_price, target.limit_price) == (
        OrderType.TAKE_PROFIT_LIMIT,
        D("101.01"),
        D("101.00"),
    )


def test_symbol_may_be_left_out_only_when_there_is_one(make_bench: Any) -> None:
    """With two symbols a missing one is an error that lists them."""
    bench = make_bench({"A": [1.0] * 5, "B": [2.0] * 5})
    with pytest.raises(StrategyError, match="a symbol is needed; its symbols are A, B"):
        bench.do(lambda s: s.close())


def test_logged_metric_is_noted_with_the_slice_end(make_bench: Any) -> None:
    """Metrics carry the time of the slice."""
    bench = make_bench()
    bench.do(lambda s: s.log_metric("gap", 2))
    (metric,) = bench.notes(MetricRecord)
    assert (metric.name, metric.value, metric.timestamp.isoformat()) == (
        "gap",
        2.0,
        "2024-01-02T00:00:00+00:00",
    )


def test_indicator_made_late_is_fed_what_is_already_known(make_bench: Any) -> None:
    """An indicator asked for in the middle of a run has the value of one made at the start."""
    closes = [100.0 + number for number in range(20)]
    early, late = make_bench(closes), make_bench(closes)
    value = early.do(lambda s: s.sma("SPY", 3))
    for _ in range(9):
        early.bar()
        late.bar()
    made_late = late.do(lambda s: s.sma("SPY", 3))
    assert value.value == made_late.value == pytest.approx(108.0)
    early.bar()
    late.bar()
    assert value.value == made_late.value == pytest.approx(109.0)


def test_stopping_run_refuses_orders(make_bench: Any) -> None:
    """on_stop may look, not trade."""

    class Stopping(Strategy):
        def on_stop(self) -> None:
            self.last = self.order_market(None, 1)

    strategy = Stopping()
    bench = make_bench(strategy=strategy)
    bench.bar()
    bench.kernel.stop()
    assert strategy.last.reason == "stopped"
    assert bench.take() == []


def test_late_fees_of_a_known_fill_reach_the_cash_and_not_the_order(make_bench: Any) -> None:
    """A fill told twice, the second time with its fee, is one fill with a fee."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_market("SPY", 5))
    bench.fill(handle.id, "5", key="x1", fees=None)
    bench.fill(handle.id, "5", key="x1", fee="2")
    assert (handle.filled, bench.kernel.ledger.cash, bench.kernel.fills) == (5.0, 9498.0, 1)
    now = bench.strategy.now()
    bench.kernel.on_fees(FeeReport("sim", "x1", (Money("USD", D(3)),), now + timedelta(seconds=1)))
    assert bench.kernel.ledger.cash == 9497.0


def test_correction_and_bust_move_the_order_and_the_position(make_bench: Any) -> None:
    """A restated execution counts as restated; one that is taken back counts no more; both are alerted."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_limit("SPY", 10, 100))
    fill = bench.fill(handle.id, "4", key="x1")
    bench.fill(handle.id, "3", key="x1", revision=1)
    book = bench.kernel.books["SPY"]
    assert (handle.filled, book.units, book.open_buy) == (3.0, 3.0, D(7))
    heard = len(bench.strategy.heard)
    bench.kernel.on_correction(FillCorrection("sim", "x1", 2, None, fill.received_at))
    assert (handle.filled, book.units, book.open_buy, bench.kernel.ledger.cash) == (0.0, 0.0, D(10), 10000.0)
    assert bench.alerts() == ["fill_corrected", "fill_corrected"]
    assert len(bench.strategy.heard) == heard


def test_cash_flows_and_position_changes_are_booked_once_and_alerted(make_bench: Any) -> None:
    """Money and units that move without a fill change the books and are told to a person."""
    bench = make_bench()
    bench.bar()
    now = bench.strategy.now()
    for _ in range(2):
        bench.kernel.on_cash_flow(CashFlow("sim", "d1", "dividend", Money("USD", D(12)), now))
        bench.kernel.on_position_change(PositionChange("sim", "s1", "SPY", D(4), now, kind="split"))
    assert (bench.kernel.ledger.cash, bench.kernel.books["SPY"].units) == (10012.0, 4.0)
    assert bench.alerts() == ["cash_flow", "position_changed"]
    assert bench.kernel.held == [bench.kernel.books["SPY"]]


@pytest.mark.parametrize("price", [0.0, -37.0])
def test_price_that_is_no_value_sizes_and_judges_nothing(make_bench: Any, price: float) -> None:
    """At zero or below a share of the equity is no size, and no limit on value may let the order pass."""
    bench = make_bench([price] * 3, risk=RiskSettings(max_order_notional=D(1000)))
    target = bench.do(lambda s: s.order_target_percent("SPY", 0.5))
    market = bench.do(lambda s: s.order_market("SPY", 500))
    assert (target.reason, market.reason) == ("no_reference_price", "no_reference_price")
    bench.fill(None, "5", "1")
    assert bench.do(lambda s: s.close_position("SPY")).size == 5.0


def test_reads_that_a_subclass_overrides_are_its_own(make_bench: Any) -> None:
    """The shortcut for the base class's reads does not stand in for an author's method."""

    class Rounded(Strategy):
        def close(self, symbol: str | None = None) -> float:
            return round(super().close(symbol))

        def next(self, i: int) -> None:
            self.seen = (self.close(), self.position())

    strategy = Rounded()
    make_bench([99.7] * 3, strategy=strategy).bar()
    assert strategy.seen == (100, 0.0)


def test_size_of_a_replacement_is_rounded_and_reported(make_bench: Any) -> None:
    """A new total goes down to the step as a first size does, and the order says so."""
    bench = make_bench()
    handle = bench.do(lambda s: s.order_limit("SPY", 5, 90))
    bench.update(handle.id, OrderStatus.ACCEPTED)
    bench.take()
    assert not bench.do(lambda s: handle.replace(size="0.5"))
    assert handle.text == "0.5 is less than one size step of 1"
    assert bench.do(lambda s: handle.replace(size="7.9"))
    assert bench.take()[0].change.quantity == D(7)
    assert handle.adjustments == ("size 7.9 rounded down to 7",)

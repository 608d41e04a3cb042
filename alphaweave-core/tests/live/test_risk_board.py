"""The risk board: every rule of a live run on the kernel's own way, what it hears, and what it keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.errors import StateCorrupt
from alphaweave.core.order import OrderStatus, OrderType, Side
from alphaweave.live.control_records import Command, Verb
from alphaweave.live.proposal import Proposal
from alphaweave.live.risk import RiskSettings
from alphaweave.live.risk_board import RiskBoard
from alphaweave.live.risk_facts import (
    AccountSeen,
    BarSeen,
    CashMoved,
    ClocksCompared,
    LinkHeard,
    LinkLost,
    LinkRestored,
    QuoteSeen,
)
from alphaweave.live.risk_losses import LossLevels
from alphaweave.live.risk_settings import (
    BuyingPowerLimits,
    DailyLimits,
    DataLimits,
    DuplicateLimits,
    ExecutionLimits,
    RateLimits,
    RejectLimits,
)
from alphaweave.live.sessions import Span, WeeklyCalendar
from alphaweave.live.trading_state import Escalation, KillStep, TradingState

D = Decimal
SECOND = 1_000_000_000
DAY = 86_400 * SECOND


class Live:
    """A kernel whose chain is a board that has heard all it needs."""

    def __init__(self, make_bench: Any, settings: RiskSettings | None = None, **words: Any) -> None:
        bench_words = {name: words.pop(name) for name in ("closes", "cash") if name in words}
        self.bench = make_bench(**bench_words)
        kernel = self.bench.kernel
        self.board = RiskBoard(
            settings or RiskSettings(),
            books=kernel.books,
            ledger=kernel.ledger,
            capabilities=kernel.capabilities,
            interval_ns=DAY,
            **words,
        )
        kernel.chain = self.board
        self.bench.bar()
        self.now = kernel.now
        self.board.advance(self.now)
        for symbol, book in kernel.books.items():
            self.board.heard(BarSeen(symbol, self.now, book.last()))
        for link in ("orders", "data"):
            self.board.heard(LinkRestored(link, self.now))
        self.board.mark()

    def later(self, seconds: float) -> None:
        """Time passes, with a sign of life of the broker."""
        self.now += int(seconds * SECOND)
        self.board.heard(LinkHeard("orders", self.now))
        self.board.advance(self.now)

    def judge(self, size: str = "1", **words: Any) -> str | None:
        """What the chain answers to an order of today, by its code. The order is placed by the kernel."""
        symbol = words.pop("symbol", "SPY")
        limit = words.pop("limit", None)
        desk = self.bench.kernel.desk
        self.bench.kernel.decided.clear()
        if limit is None:
            handle = desk.place_market(symbol, D(size), **words)
        else:
            handle = desk.place(symbol, D(size), OrderType.LIMIT, None, limit_price=D(limit), **words)
        self.last = handle
        return handle.reason if handle.status is OrderStatus.DENIED else None

    def fill(self, size: str, price: str = "100") -> None:
        """The last order is filled."""
        side = Side.BUY if D(size) > 0 else Side.SELL
        before = self.bench.kernel.books["SPY"].quantity
        self.bench.fill(self.last.id, str(abs(D(size))), price, side=side)
        self.board.filled("SPY", before, self.bench.kernel.books["SPY"].quantity)


def command(verb: Verb, scope: str = "", reason: str = "looked at it") -> Command:
    return Command(1, verb, scope, "ann", reason, 0, None, None, None)


@pytest.fixture
def live(make_bench: Any) -> Any:
    """Makes a kernel with a board."""

    def make(settings: RiskSettings | None = None, **words: Any) -> Live:
        return Live(make_bench, settings, **words)

    return make


def test_order_passes_once_everything_was_heard(live: Any) -> None:
    """A board that knows its links, its data and its prices lets an ordinary order go."""
    run = live()
    assert run.judge() is None
    assert run.board.denials == 0
    assert run.board.evaluations == len(run.board.rules)


@pytest.mark.parametrize(
    ("missing", "reason"), [("orders", "connection"), ("data", "connection"), ("bar", "stale_data")]
)
def test_board_that_heard_nothing_denies(make_bench: Any, missing: str, reason: str) -> None:
    """Silence is no consent: before links, bars and prices are known nothing new is sent."""
    bench = make_bench()
    bench.bar()
    kernel = bench.kernel
    board = RiskBoard(
        RiskSettings(),
        books=kernel.books,
        ledger=kernel.ledger,
        capabilities=kernel.capabilities,
        interval_ns=DAY,
    )
    board.advance(kernel.now)
    for link in {"orders", "data"} - {missing}:
        board.heard(LinkRestored(link, kernel.now))
    if missing != "bar":
        board.heard(BarSeen("SPY", kernel.now, 100.0))
    kernel.chain = board
    assert kernel.desk.place_market("SPY", 1).reason == reason
    assert board.down() == (() if missing == "bar" else (missing,))


def test_order_of_unknown_outcome_blocks_what_is_new_in_its_symbol(live: Any) -> None:
    """Until it is looked up, its symbol takes reductions only; another symbol is not concerned."""
    run = live(closes={"SPY": (100.0,) * 9, "QQQ": (50.0,) * 9})
    assert run.judge("10") is None
    run.fill("10")
    assert run.judge("5") is None
    run.bench.update(run.last.id, OrderStatus.UNKNOWN)
    assert run.judge("1") == "unknown_outcome"
    assert run.judge("1", symbol="QQQ") is None
    assert run.judge("-1") is None


def test_unknown_exposure_counts_towards_position_limits(live: Any) -> None:
    """What may have been bought is counted as bought."""
    run = live(RiskSettings(max_gross_exposure=D(1000)))
    assert run.judge("6") is None
    run.bench.update(run.last.id, OrderStatus.UNKNOWN)
    proposal = Proposal(
        "SPY",
        run.bench.kernel.books["SPY"].instrument,
        Side.BUY,
        D(5),
        request=run.bench.kernel.orders[run.last.id].request,
        price=D(100),
        worst_long=D(6),
    )
    assert run.board.check(proposal).code == "unknown_outcome"
    gross = next(rule for rule in run.board.rules if rule.code == "max_gross_exposure")
    assert "1100" in gross.check(proposal)
    proposal.quantity = D(4)
    assert gross.check(proposal) is None


LIMITS: Mapping[str, tuple[RiskSettings, list[tuple[str, str | None]]]] = {
    "gross": (RiskSettings(max_gross_exposure=D(500)), [("5", None), ("1", "max_gross_exposure")]),
    "net": (RiskSettings(max_net_exposure=D(500)), [("-5", None), ("-1", "max_net_exposure")]),
    "leverage": (RiskSettings(max_leverage=D("0.05")), [("5", None), ("1", "max_leverage")]),
    "open": (RiskSettings(max_open_orders=2), [("1", None), ("2", None), ("3", "max_open_orders")]),
    "own power": (
        RiskSettings(buying_power=BuyingPowerLimits(broker=False)),
        [("100", None), ("1", "buying_power")],
    ),
    "broker's power unknown": (RiskSettings(buying_power=BuyingPowerLimits()), [("1", "buying_power")]),
    "rate": (
        RiskSettings(order_rate=RateLimits(per_second=2)),
        [("1", None), ("2", None), ("3", "order_rate")],
    ),
    "count": (
        RiskSettings(daily_counts=DailyLimits(orders=2)),
        [("1", None), ("2", None), ("3", "daily_count")],
    ),
    "duplicate": (
        RiskSettings(duplicates=DuplicateLimits(count=2)),
        [("1", None), ("2", None), ("1", "duplicate_order")],
    ),
    "defaults": (RiskSettings(), [("1", None), ("1", None), ("1", "duplicate_order")]),
}


@pytest.mark.parametrize("case", LIMITS)
def test_limit_holds_from_its_boundary_on(live: Any, case: str) -> None:
    """What reaches a limit passes, and the next order is denied by its rule."""
    settings, orders = LIMITS[case]
    run = live(settings)
    assert [run.judge(size) for size, _ in orders] == [reason for _, reason in orders]


def test_default_rate_is_five_a_second(live: Any) -> None:
    """Six different orders at one instant are one too many, also where no rate is written."""
    run = live()
    assert [run.judge(str(size)) for size in range(1, 7)] == [None] * 5 + ["order_rate"]
    run.later(1)
    assert run.judge("6") is None


def test_price_collar_and_own_orders_are_judged(live: Any) -> None:
    """A limit far beyond the market, or into an own order, is a mistake."""
    run = live(RiskSettings(price_collar=D("0.02")))
    assert run.judge("1", limit="102.01") == "price_collar"
    assert run.judge("1", limit="102") is None
    assert run.judge("-2", limit="101") == "self_match"
    assert run.judge("-2", limit="103") is None


def test_late_bar_is_no_last_price(live: Any) -> None:
    """What ended before the newest bar does not move the collar."""
    run = live()
    run.board.heard(BarSeen("SPY", run.now - SECOND, 10.0))
    assert run.judge("1", limit="105") is None
    assert run.judge("1", limit="105.01") == "price_collar"


def test_brokers_buying_power_counts_what_it_does_not_know_yet(live: Any) -> None:
    """Orders sent since the figure was made take of it, and those before it do not."""
    run = live(RiskSettings(buying_power=BuyingPowerLimits()))
    run.board.heard(AccountSeen(D(1000), run.now))
    assert run.judge("6") is None
    assert run.judge("5") == "buying_power"
    assert run.judge("4") is None
    assert run.judge("1") == "buying_power"
    for order in list(run.bench.kernel.orders):
        run.bench.update(order, OrderStatus.ACCEPTED)
    run.later(1)
    run.board.heard(AccountSeen(D(100), run.now))
    assert run.judge("1") is None
    run.board.heard(AccountSeen(D(9000), run.now - 1))
    assert run.judge("1") == "buying_power"


def test_in_doubt_since_before_the_figure_takes_of_it(live: Any) -> None:
    """An order that may or may not have arrived may or may not be in the figure: it is taken off."""
    run = live(RiskSettings(buying_power=BuyingPowerLimits()), closes={"SPY": (100.0,) * 9, "Q": (50.0,) * 9})
    run.board.heard(AccountSeen(D(1000), run.now))
    assert run.judge("6") is None
    run.bench.update(run.last.id, OrderStatus.UNKNOWN)
    run.later(1)
    run.board.heard(AccountSeen(D(1000), run.now))
    assert run.judge("9", symbol="Q") == "buying_power"
    assert run.judge("8", symbol="Q") is None


def test_silent_link_of_orders_denies_until_it_is_reconciled(live: Any) -> None:
    """Fifteen seconds pass; a byte more is no proof; a reconciliation is."""
    run = live()
    run.board.advance(run.now + 15 * SECOND)
    assert run.judge() is None
    run.board.advance(run.now + 15 * SECOND + 1)
    assert run.judge() == "connection"
    run.later(16)
    assert run.judge() == "connection"
    run.board.heard(LinkRestored("orders", run.now))
    assert run.judge() is None
    run.board.heard(LinkLost("data"))
    assert run.judge() == "connection"
    with pytest.raises(ValueError, match="no link 'fax'; there are orders, data"):
        run.board.heard(LinkLost("fax"))


def test_data_grow_stale_by_interval_and_session(live: Any) -> None:
    """A bar and a half of open time, and a crossed quote; a closed market does not age."""
    week = WeeklyCalendar({"mon": ["09:00-17:00"]}, timezone="UTC")
    for words, seconds in (({}, 1.5 * 86400), ({"calendars": {"SPY": week}}, (6 * 24 + 9 + 36) * 3600)):
        run = live(**words)
        run.later(seconds)
        assert run.judge() is None
        run.later(1)
        assert run.judge() == "stale_data"
        assert run.board.data.stale(("SPY",)) == ("SPY",)
    run = live(RiskSettings(stale_data=DataLimits(quote_seconds=2)))
    run.board.heard(QuoteSeen("SPY", run.now, 99.0, 101.0))
    run.later(2)
    assert run.judge() is None
    run.later(1)
    assert run.judge() == "stale_data"


def test_clocks_are_judged_where_they_are_compared(live: Any) -> None:
    """Who says that clocks will be compared is held to it."""
    run = live(RiskSettings(clock_skew_ms=100), compares_clocks=True)
    assert run.judge() == "clock_skew"
    run.board.heard(ClocksCompared(run.now + 100_000_000, run.now, run.now))
    assert run.judge() is None
    run.board.heard(ClocksCompared(run.now + 101_000_000, run.now, run.now))
    assert run.judge() == "clock_skew"


def test_rejections_block_what_is_new(live: Any) -> None:
    """Two refusals within the window reduce the run, and only an operator undoes that."""
    run = live(RiskSettings(rejects=RejectLimits(rejects=2)))
    run.board.rejected()
    assert run.board.latched() == ()
    run.board.rejected()
    (transition,) = run.board.latched()
    assert (transition.after, transition.cause.code) == (TradingState.REDUCING, "reject_rate")
    assert run.judge() == "trading_reducing"
    run.later(60)
    assert run.judge() == "trading_reducing"
    assert run.board.operator(command(Verb.RESUME)).after is TradingState.ACTIVE
    assert run.judge() is None


def test_executions_without_a_human_halt_until_one_resumes(live: Any) -> None:
    """Three fills in an hour are all; resuming counts anew."""
    run = live(RiskSettings(repeated_executions=ExecutionLimits(fills=3)))
    for size in ("1", "2", "3"):
        assert run.judge(size) is None
        run.fill(size)
    (transition,) = run.board.latched()
    assert (transition.after, transition.actions.cancel.value) == (TradingState.HALTED, "all")
    assert run.judge("-1") == "trading_halted"
    run.board.operator(command(Verb.RESUME))
    assert run.judge("4") is None


def test_daily_fills_of_a_symbol_are_counted(live: Any) -> None:
    """The second fill is the last of the day."""
    run = live(RiskSettings(daily_counts=DailyLimits(fills=2)))
    for size in ("1", "2"):
        assert run.judge(size) is None
        run.fill(size)
    assert run.judge("3") == "daily_count"


LOSSES = RiskSettings(daily_loss=LossLevels(warn=D("0.01"), reduce=D("0.02"), flatten=D("0.05")))


def test_losses_are_told_then_reduce_then_flatten(live: Any) -> None:
    """A fall is judged at its level, once, with what it demands."""
    run = live(LOSSES, closes=(100.0, 99.0, 98.0, 95.0, 95.0))
    assert run.judge("100") is None
    run.fill("100")
    assert run.board.mark() == ()
    seen = []
    for _ in range(3):
        run.bench.bar()
        breaches = [breach.level.value for breach in run.board.mark()]
        seen.append((breaches, [each.actions.flatten for each in run.board.latched()]))
    assert seen == [(["warn"], []), (["reduce"], [False]), (["flatten"], [True])]
    assert run.board.mark() == ()
    assert run.judge("-1") == "trading_halted"
    # To resume is to accept the loss: it is measured from here on.
    assert run.board.operator(command(Verb.RESUME)).after is TradingState.ACTIVE
    assert run.board.losses.baseline == D("9500")
    assert run.judge("1") is None


def test_deposit_is_no_profit(live: Any) -> None:
    """Cash that came in raises the baseline with the equity."""
    run = live(LOSSES)
    run.board.heard(CashMoved(D(5000)))
    assert run.board.losses.baseline == D(15000)


def test_capital_caps_what_losses_are_a_fraction_of(live: Any) -> None:
    """With half of the account at work, half of the loss is the level."""
    run = live(LOSSES, closes=(100.0, 99.0, 99.0), capital=D(5000))
    assert run.judge("100") is None
    run.fill("100")
    run.bench.bar()
    assert [breach.level.value for breach in run.board.mark()] == ["warn", "reduce"]


def test_equity_that_is_not_known_denies_where_losses_are_limited(live: Any) -> None:
    """An account that cannot be valued is not traded: a debt in what has no price may be any loss."""
    run = live(LOSSES)
    run.bench.kernel.ledger.balances["EUR"] = D(-1)
    assert run.board.mark() == ()
    assert run.judge() == "equity_unknown"


def test_losses_are_judged_without_what_lies_aside(live: Any) -> None:
    """An account owns what its run does not trade and cannot value; that keeps nobody from trading."""
    run = live(LOSSES)
    run.bench.kernel.ledger.balances["EUR"] = D(1)
    assert run.judge() is None


@pytest.mark.parametrize(
    ("verb", "scope", "before", "after"),
    [
        (Verb.HALT, "", "trading_halted", {"SPY": "trading_halted", "QQQ": "trading_halted"}),
        (Verb.HALT, "SPY", "trading_halted", {"SPY": "trading_halted", "QQQ": None}),
        (Verb.FLATTEN, "", "trading_halted", {"SPY": "trading_halted", "QQQ": "trading_halted"}),
        (Verb.STATUS, "", None, {"SPY": None}),
        (Verb.STOP, "", None, {"SPY": None}),
    ],
)
def test_operator_latches_the_account_or_a_symbol(
    live: Any, verb: Verb, scope: str, before: str | None, after: Mapping[str, str | None]
) -> None:
    """Halt and flatten hold until resumed in the same scope; other words change nothing."""
    run = live(closes={"SPY": (100.0,) * 9, "QQQ": (50.0,) * 9})
    transition = run.board.operator(command(verb, scope))
    assert (transition is None) == (before is None)
    assert {symbol: run.judge("1", symbol=symbol) for symbol in after} == after
    if transition is not None:
        assert (transition.operator, transition.symbol) == ("ann", scope or None)
        assert transition.actions.flatten == (verb is Verb.FLATTEN)
        assert run.board.operator(command(Verb.RESUME, "" if scope else "SPY")) is None
        assert run.judge("1") == before
        assert run.board.operator(command(Verb.RESUME, scope)) is not None
        assert run.judge("1") is None


@pytest.mark.parametrize("verb", [Verb.HALT, Verb.FLATTEN])
def test_symbol_that_is_not_in_the_run_is_refused(live: Any, verb: Verb) -> None:
    """Who mistypes it would believe that the right one is halted."""
    run = live()
    with pytest.raises(ValueError, match="SPX is not in this run, which has SPY"):
        run.board.operator(command(verb, "SPX"))
    assert run.board.states.symbols() == ()


def test_resuming_without_a_reason_is_refused(live: Any) -> None:
    """Somebody says why."""
    run = live()
    run.board.operator(command(Verb.HALT))
    with pytest.raises(ValueError, match="trading resumes for a reason"):
        run.board.operator(command(Verb.RESUME, reason=" "))
    assert run.judge() == "trading_halted"


def test_exits_of_the_engine_pass_a_halt(live: Any) -> None:
    """What closes a position is judged by the instrument alone."""
    run = live()
    assert run.judge("5") is None
    request = run.bench.kernel.orders[run.last.id].request
    run.board.operator(command(Verb.FLATTEN))
    instrument = run.bench.kernel.books["SPY"].instrument
    proposal = Proposal("SPY", instrument, Side.BUY, D(5), request=request, price=D(100))
    assert run.board.check(proposal).code == "trading_halted"
    assert run.board.exits.check(proposal) is None
    proposal.instrument = evolve(instrument, tradable=False)
    assert run.board.exits.check(proposal).code == "not_tradable"


def test_rule_of_a_plugin_only_tightens(live: Any) -> None:
    """It is asked last, about orders that everything else let pass, and one that raises denies."""

    class Odd:
        code = "odd_sizes"
        applies_to_reductions = False

        def check(self, proposal: Any) -> Any:
            if proposal.quantity == 13:
                raise RuntimeError("bad luck")
            return None if proposal.quantity % 2 == 0 else "odd"

    run = live(RiskSettings(max_order_quantity=D(20)), extra=(Odd(),))
    judged = [run.judge(size) for size in ("2", "3", "13", "22")]
    assert judged == [None, "odd_sizes", "risk_rule_failed", "max_order_quantity"]


def test_denied_order_counts_for_nothing(live: Any) -> None:
    """Rates and counts are of orders that left."""
    run = live(RiskSettings(daily_counts=DailyLimits(orders=1), max_order_quantity=D(5)))
    assert [run.judge(size) for size in ("6", "7", "5", "4")] == [
        "max_order_quantity",
        "max_order_quantity",
        None,
        "daily_count",
    ]


def memory(run: Live) -> dict[str, Any]:
    saved: dict[str, Any] = json.loads(json.dumps(run.board.snapshot()))
    return saved


def test_state_and_baselines_survive_a_restart(live: Any) -> None:
    """A latch, the day's baseline, the peak and every count are as before; links have to be proved anew."""
    settings = evolve(LOSSES, daily_counts=DailyLimits(orders=2), rejects=RejectLimits(rejects=3))
    run = live(settings, closes=(100.0, 99.5, 97.9, 97.9))
    assert run.judge("100") is None
    run.fill("100")
    run.bench.bar()
    run.board.mark()
    run.board.rejected()
    run.board.latch(Escalation(KillStep.CANCEL_ALL, "operator", "odd", "QQQ"), who="ann")
    saved = memory(run)

    again = live(settings)
    again.board.restore(saved)
    assert memory(again) == saved
    assert again.board.losses.baseline == D(10000)
    assert [cause.who for cause in again.board.states.causes("QQQ")] == ["ann"]
    assert again.judge("1") == "equity_unknown"
    again.board.mark()
    assert [again.judge("1"), again.judge("2")] == [None, "daily_count"]
    again.board.rejected()
    again.board.rejected()
    assert {each.cause.code for each in again.board.latched()} == {"daily_count", "reject_rate"}


def test_restored_states_are_those_that_the_rule_asks(live: Any) -> None:
    """The rule in the chain sees what was restored, not what it was built with."""
    run = live()
    run.board.operator(command(Verb.HALT))
    again = live()
    again.board.restore(memory(run))
    assert again.judge() == "trading_halted"


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"states": None},
        {"states": {"version": 1, "latched": [{"symbol": 1, "causes": []}]}},
        {"rules": None},
        {"rules": {"order_rate": {"buckets": "x"}}},
    ],
)
def test_odd_memory_is_refused_and_never_taken_for_active(live: Any, change: dict[str, Any]) -> None:
    """What cannot be read back is an operator's decision."""
    run = live()
    run.board.operator(command(Verb.HALT))
    with pytest.raises(StateCorrupt):
        live().board.restore({**memory(run), **change})


def test_time_never_goes_back(live: Any) -> None:
    """An input that is told late is judged at the latest time heard."""
    run = live()
    latest = run.board.now_ns
    run.board.advance(latest - 5)
    assert run.board.now_ns == latest
    run.board.latch(Escalation(KillStep.CANCEL_ALL, "test", "because"))
    assert run.board.states.causes()[0].at_ns == latest


def test_data_are_judged_beyond_what_their_calendar_knows(live: Any) -> None:
    """The market counts as open there, so that they are stale rather than an error."""

    class Short:
        def spans(self, start: int, end: int) -> Sequence[Span]:
            raise ValueError("the calendar is known to last Friday")

    run = live(calendars={"SPY": Short()})
    assert run.board.data.stale(("SPY",)) == ()
    run.later(2 * 86_400)
    assert run.board.data.stale(("SPY",)) == ("SPY",)

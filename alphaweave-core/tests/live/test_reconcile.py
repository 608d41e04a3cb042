"""Reconciliation: what is asked and when, what an answer proves, and what nobody may conclude."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, evolve, field

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import InvariantViolation, StateCorrupt
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Money
from alphaweave.core.order import OrderRef, OrderStatus, Side
from alphaweave.live.actions import (
    AccountQuery,
    FillsQuery,
    Forgotten,
    OpenOrdersQuery,
    OrderQuery,
    Query,
    TimeQuery,
)
from alphaweave.live.reconcile import Reconciler, ReconcileSettings, Why
from alphaweave.live.reconcile_books import OpenVersion
from alphaweave.live.reconcile_findings import (
    Adopt,
    CashDiffers,
    FillGap,
    Finding,
    ForeignFill,
    ForeignOrder,
    FoundFill,
    FoundFlow,
    FoundOrder,
    Passed,
    PositionDiffers,
    Revived,
    Settled,
    Settlement,
    StartRefused,
    Unanswered,
)
from alphaweave.live.reports import (
    Balance,
    BrokerAccountState,
    BrokerFill,
    BrokerOrder,
    CashFlow,
    FillReport,
)

D = Decimal
SECOND = 1_000_000_000
T0 = 1_000_000 * SECOND
ACCEPTED, UNKNOWN, PENDING = OrderStatus.ACCEPTED, OrderStatus.UNKNOWN, OrderStatus.PENDING


@define
class Books:
    """Books that a test writes by hand."""

    rules: dict[str, Instrument] = field(
        factory=lambda: {name: Instrument(symbol=name, venue_symbol=name) for name in ("SPY", "QQQ")}
    )
    versions: dict[str, OpenVersion] = field(factory=dict)
    ended: set[str] = field(factory=set)
    executions: dict[str, tuple[int, bool]] = field(factory=dict)
    flows: set[str] = field(factory=set)
    held: dict[str, Decimal] = field(factory=dict)
    cash: dict[str, Decimal] = field(factory=lambda: {"USD": D(1000)})
    changed: dict[str, int] = field(factory=dict)
    bookings: list[tuple[str, ...]] = field(factory=list)

    def instruments(self) -> Mapping[str, Instrument]:
        return self.rules

    def open_versions(self) -> list[OpenVersion]:
        return list(self.versions.values())

    def knows_order(self, client_order_id: str) -> bool:
        return client_order_id in self.versions or client_order_id in self.ended

    def knows_execution(self, execution_key: str, revision: int) -> bool:
        return self.executions.get(execution_key, (-1, False))[0] >= revision

    def knows_fees(self, execution_key: str) -> bool:
        return self.executions[execution_key][1]

    def knows_flow(self, key: str) -> bool:
        return key in self.flows

    def positions(self) -> Mapping[str, Decimal]:
        return self.held

    def balances(self) -> Mapping[str, Decimal]:
        return self.cash

    def changed_at(self, name: str) -> int:
        return self.changed.get(name, 0)

    def booked(self) -> int:
        return len(self.bookings)

    def last_booked(self, name: str) -> int:
        return max((number for number, names in enumerate(self.bookings, 1) if name in names), default=0)

    def version(self, name: str, status: OrderStatus = UNKNOWN, symbol: str = "SPY", **words: Any) -> None:
        """An order version of the run, in doubt since it was decided on unless told otherwise."""
        at = words.pop("decided_at", T0)
        quiet = words.pop("quiet_since", at)
        ref = OrderRef(name, symbol, decided_at=from_ns(at))
        self.versions[name] = OpenVersion(
            ref, status, Side.BUY, words.pop("filled", D(0)), at, quiet, **words
        )

    def apply(self, finding: Finding) -> None:
        """What the core would do with it."""
        match finding:
            case FoundFill(fill) | ForeignFill(fill, _):
                if fill.symbol not in self.rules:
                    return
                self.executions[fill.execution_key] = (fill.revision, fill.fees is not None)
                self.held[fill.symbol] = self.held.get(fill.symbol, D(0)) + fill.size * fill.side.sign
                self.cash["USD"] -= fill.size * fill.price * fill.side.sign
                self.bookings.append((fill.symbol, "USD"))
            case FoundFlow(flow):
                self.flows.add(flow.key)
                self.cash["USD"] += flow.amount.amount
                self.bookings.append(("USD",))
            case FoundOrder(update):
                name = update.ref.client_order_id
                if update.status.terminal:
                    del self.versions[name]
                    self.ended.add(name)
                else:
                    self.versions[name] = evolve(self.versions[name], status=update.status, taken=True)
            case Settled(name, _, _):
                del self.versions[name]
                self.ended.add(name)
            case Adopt(_, balances, positions, _, _):
                self.cash, self.held = dict(balances), dict(positions)


class Venue:
    """A broker that answers as a test says, and a clock that runs from one due query to the next."""

    def __init__(self, settings: ReconcileSettings | None = None, *, opened: bool = True) -> None:
        self.books = Books()
        self.reconciler = Reconciler(settings or ReconcileSettings(), self.books)
        self.now = T0
        self.orders: dict[str, BrokerOrder] = {}
        self.gone: dict[str, BrokerOrder] = {}
        self.forgotten: set[str] = set()
        self.fills: list[BrokerFill] = []
        self.flows: list[CashFlow] = []
        self.complete_from = {"SPY": 0, "QQQ": 0}
        self.positions: dict[str, Decimal] = {}
        self.cash = D(1000)
        self.state: dict[str, Any] = {}
        self.down: set[type] = set()
        self.asked: list[tuple[int, Query]] = []
        self.findings: list[Finding] = []
        if opened:
            self.begin()
            self.run(0)
            assert self.take() == [Adopt(from_ns(T0), {"USD": D(1000)}, {}), Passed(Why.START)]
            self.asked.clear()

    def executions(self) -> FillsQuery:
        """The run's next question for executions, which nobody has answered."""
        self.now += 30 * SECOND
        return next(each for each in self.reconciler.due(self.now) if isinstance(each, FillsQuery))

    def begin(self, why: Why = Why.START) -> None:
        self.reconciler.begin(self.now, why)

    def run(self, seconds: float) -> list[Finding]:
        """Ask and answer for so long; the findings, in order."""
        end = self.now + int(seconds * SECOND)
        for _ in range(10_000):
            queries = self.reconciler.due(self.now)
            for query in queries:
                self.answer(query)
            if queries:
                continue
            due = self.reconciler.next_due()
            if due is None or due > end:
                self.now = end
                return self.findings
            assert due > self.now, "it wakes up for nothing"
            self.now = due
        raise AssertionError("it never comes to rest")

    def answer(self, query: Query) -> None:
        self.asked.append((self.now, query))
        if type(query) in self.down:
            self.note(self.reconciler.failed(query, "503", self.now))
        else:
            self.note(self.reconciler.answered(query, self.reply(query), self.now))

    def reply(self, query: Query) -> Any:
        match query:
            case OpenOrdersQuery():
                return list(self.orders.values())
            case TimeQuery():
                return from_ns(self.now)
            case OrderQuery(ref, _):
                if ref.client_order_id in self.forgotten:
                    return Forgotten()
                return {**self.gone, **self.orders}.get(ref.client_order_id)
            case FillsQuery(_, _):
                complete = {symbol: from_ns(at) for symbol, at in self.complete_from.items()}
                return FillReport(tuple(self.fills), complete, f"c{len(self.fills)}", tuple(self.flows))
            case _:
                words: dict[str, Any] = {
                    "account_id": "A1",
                    "as_of": from_ns(self.now),
                    "base_currency": "USD",
                    "balances": {"USD": Balance(self.cash)},
                    "positions": self.positions,
                }
                return BrokerAccountState(**{**words, **self.state})

    def note(self, findings: tuple[Finding, ...]) -> None:
        for finding in findings:
            self.books.apply(finding)
        self.findings += findings

    def take(self) -> list[Finding]:
        """The findings since the last call."""
        taken, self.findings = self.findings, []
        return taken

    def kinds(self) -> list[str]:
        """What was asked since the opening, in order."""
        return [type(query).__name__.removesuffix("Query") for _, query in self.asked]

    def order(self, name: str | None, status: OrderStatus = ACCEPTED, **words: Any) -> BrokerOrder:
        filled = words.pop("filled", D(0))
        symbol = words.pop("symbol", "SPY")
        ref = OrderRef(name or "", symbol, f"b-{name or words.pop('broker_id', '1')}")
        return BrokerOrder(ref, name, status, Side.BUY, D(10), filled, from_ns(self.now), **words)

    def fill(
        self, key: str, name: str | None, size: str = "2", *, told: bool = True, **words: Any
    ) -> BrokerFill:
        """An execution at the broker."""
        fill = BrokerFill(
            "A1",
            key,
            f"b-{name}",
            name,
            words.pop("symbol", "SPY"),
            Side.BUY,
            D(size),
            D(100),
            words.pop("executed_at", from_ns(self.now)),
            from_ns(self.now),
            **{"fees": (), **words},
        )
        self.fills.append(fill)
        if fill.symbol in self.books.rules:
            self.positions[fill.symbol] = self.positions.get(fill.symbol, D(0)) + fill.size
            self.cash -= fill.size * fill.price
        return fill


# Start.


def test_nothing_is_asked_before_it_begins() -> None:
    """Without a start there is nothing to reconcile, and nothing has passed."""
    reconciler = Reconciler(ReconcileSettings(), Books())
    assert (reconciler.due(T0), reconciler.next_due(), reconciler.passed) == ((), None, False)


def test_start_asks_in_order_and_passes_once_all_is_answered() -> None:
    """Open orders, those in doubt, executions, the account: each after the answer before it."""
    venue = Venue()
    venue.books.version("a1")
    venue.books.version("a2", ACCEPTED, taken=True)
    venue.orders["a2"] = venue.order("a2")
    venue.gone["a1"] = venue.order("a1", OrderStatus.FILLED, filled=D(2))
    fill = venue.fill("x1", "a1")
    venue.begin()
    assert not venue.reconciler.passed
    found, told, passed = venue.run(0)
    assert venue.kinds() == ["OpenOrders", "Order", "Fills", "Account"]
    assert isinstance(found, FoundOrder)
    assert (found.update.ref.client_order_id, found.update.status, found.update.cumulative) == (
        "a1",
        OrderStatus.FILLED,
        D(2),
    )
    assert found.update.ref.decided_at == from_ns(T0)
    assert told == FoundFill(fill)
    assert passed == Passed(Why.START)
    assert venue.reconciler.passed


@pytest.mark.parametrize("kind", [OpenOrdersQuery, OrderQuery, FillsQuery, AccountQuery])
def test_start_does_not_pass_while_a_query_fails(kind: type) -> None:
    """A failed query is "don't know": it is asked again every second, told once, never taken for "none"."""
    venue = Venue()
    venue.books.version("a1")
    venue.down.add(kind)
    venue.begin()
    findings = venue.run(30)
    assert not venue.reconciler.passed
    told = [finding for finding in findings if isinstance(finding, Unanswered)]
    assert [(each.error, each.failures) for each in told] == [("503", 3)]
    assert not [finding for finding in findings if isinstance(finding, Settled | PositionDiffers)]
    assert 29 <= sum(type(query) is kind for _, query in venue.asked) <= 32
    venue.down.clear()
    venue.run(1)
    assert venue.reconciler.passed


def test_start_passes_with_a_doubt_that_time_has_to_settle() -> None:
    """An order that the broker does not know yet stays in doubt; the rest of the run goes on."""
    venue = Venue()
    venue.books.version("a1", decided_at=T0, quiet_since=T0)
    venue.begin()
    assert venue.run(0) == [Passed(Why.START)]
    assert "a1" in venue.books.versions


def test_incomplete_answers_do_not_pass() -> None:
    """An account of which a part is missing, or executions without a symbol, are no answer."""
    venue = Venue()
    venue.state = {"complete": False, "positions": {"SPY": D(99)}}
    del venue.complete_from["QQQ"]
    venue.begin()
    first = venue.run(5)
    assert [str(each.error) for each in first if isinstance(each, Unanswered)] == [
        "the answer leaves out QQQ",
    ]
    venue.complete_from["QQQ"] = 0
    second = venue.run(5)
    assert [each.error for each in second if isinstance(each, Unanswered)][1:] == [
        "the answer is not complete"
    ]
    assert not venue.reconciler.passed
    venue.state = {}
    assert venue.run(2)[-1] == Passed(Why.START)


def test_reconnection_starts_over_and_abandons_what_was_asked() -> None:
    """An answer from before proves nothing, but an execution in it is one."""
    venue = Venue()
    venue.books.version("a1", ACCEPTED, taken=True)
    old = venue.executions()
    venue.reconciler.lost()
    assert (venue.reconciler.passed, venue.reconciler.due(venue.now + 99 * SECOND)) == (False, ())
    assert venue.reconciler.next_due() is None
    venue.now += 5 * SECOND
    venue.begin(Why.RECONNECT)
    fill = venue.fill("x1", "a1")
    assert venue.reconciler.answered(old, venue.reply(old), venue.now) == (FoundFill(fill),)
    assert not venue.reconciler.passed
    venue.orders["a1"] = venue.order("a1", OrderStatus.PARTIALLY_FILLED, filled=D(2))
    assert venue.run(0)[-1] == Passed(Why.RECONNECT)


def test_failure_of_an_abandoned_query_is_no_news() -> None:
    """Nobody waits for it any more."""
    venue = Venue()
    old = venue.executions()
    venue.begin(Why.RECONNECT)
    assert venue.reconciler.failed(old, "late", venue.now) == ()


# First start.


def test_first_start_of_a_paper_run_adopts_what_is_there() -> None:
    """Positions, cash and other people's orders are taken over and said, and differ from nothing later."""
    venue = Venue(opened=False)
    venue.positions, venue.cash = {"SPY": D(7)}, D(42)
    stranger = venue.orders["s"] = venue.order(None, broker_id="s")
    venue.begin()
    assert venue.run(300) == [
        Adopt(from_ns(T0), {"USD": D(42)}, {"SPY": D(7)}, (stranger,)),
        Passed(Why.START),
    ]


@pytest.mark.parametrize("what", ["position", "foreign position", "order"])
def test_first_start_of_a_live_run_refuses_what_nobody_decided_on(what: str) -> None:
    """Real money that is there already is a person's decision."""
    venue = Venue(ReconcileSettings(live=True), opened=False)
    if what == "position":
        venue.positions = {"SPY": D(7)}
    elif what == "foreign position":
        venue.state = {"positions": {"GLD": D(7)}, "foreign": ("GLD",)}
    else:
        venue.orders["s"] = venue.order(None)
    venue.begin()
    (refused,) = venue.run(60)
    assert isinstance(refused, StartRefused)
    assert "reconciliation.first_start: adopt" in refused.text
    assert not venue.reconciler.passed
    assert venue.reconciler.refused
    venue.begin(Why.RECONNECT)
    assert venue.run(60) == [refused]


def test_first_start_in_an_empty_account_needs_no_decision() -> None:
    """Cash alone is what a run begins with."""
    venue = Venue(ReconcileSettings(live=True), opened=False)
    venue.begin()
    assert venue.run(0) == [Adopt(from_ns(T0), {"USD": D(1000)}, {}), Passed(Why.START)]


def test_ignored_positions_stay_out_of_every_comparison() -> None:
    """Also after a restart: what is left out is known, and what is added to it is not."""
    venue = Venue(ReconcileSettings(live=True, first_start="ignore"), opened=False)
    venue.positions = {"SPY": D(7)}
    venue.begin()
    adopted, _ = venue.run(100)
    assert isinstance(adopted, Adopt)
    assert (adopted.positions, adopted.ignored) == ({}, {"SPY": D(7)})
    saved = json.loads(json.dumps(venue.reconciler.snapshot()))
    venue.reconciler = Reconciler(venue.reconciler.settings, venue.books)
    venue.reconciler.restore(saved)
    venue.take()
    venue.begin()
    assert venue.run(100) == [Passed(Why.START)]
    venue.positions["SPY"] = D(8)
    assert venue.run(60)[1:] == [PositionDiffers("SPY", D(0), D(1))]


def test_spot_holdings_are_positions() -> None:
    """Where positions are balances, a first start finds them there and a difference halts the symbol."""
    venue = Venue(ReconcileSettings(live=True), opened=False)
    coin = Instrument(symbol="BTC", venue_symbol="BTC", base="BTC", kind="spot")
    venue.books.rules, venue.complete_from = {"BTC": coin}, {"BTC": 0}
    venue.state = {"balances": {"USD": Balance(D(5)), "BTC": Balance(D(2))}}
    venue.begin()
    assert isinstance(venue.run(0)[0], StartRefused)
    again = Venue(ReconcileSettings(live=True, first_start="adopt"), opened=False)
    again.books.rules, again.complete_from, again.state = venue.books.rules, {"BTC": 0}, dict(venue.state)
    again.begin()
    assert again.run(60)[0] == Adopt(from_ns(T0), {"USD": D(5), "BTC": D(2)}, {})
    again.state["balances"] = {"USD": Balance(D(5)), "BTC": Balance(D("1.5"))}
    assert again.run(60)[2:] == [PositionDiffers("BTC", D(2), D("1.5"))]


def test_answer_for_another_account_refuses() -> None:
    """Books of one account are never compared with another."""
    venue = Venue(ReconcileSettings(account="B7"), opened=False)
    venue.begin()
    (refused,) = venue.run(60)
    assert refused == StartRefused("the broker answers for account A1, not for B7")


# Orders in doubt.


def test_unknown_order_that_is_found_is_found() -> None:
    """A lookup two seconds later is enough; nothing is sent again."""
    venue = Venue()
    venue.run(1)
    venue.books.version("a1", decided_at=venue.now, quiet_since=venue.now)
    assert venue.run(2) == []
    venue.orders["a1"] = venue.order("a1")
    (found,) = venue.run(2)
    assert isinstance(found, FoundOrder)
    assert found.update.status is ACCEPTED
    assert found.update.ref.broker_order_id == "b-a1"


def test_order_in_flight_is_looked_up_once_it_is_five_seconds_old() -> None:
    """A young one has its answer on the way; a send that is under way proves nothing by an absence."""
    venue = Venue()
    venue.books.version("a1", PENDING, quiet_since=None)
    venue.run(200)
    lookups = [at for at, query in venue.asked if isinstance(query, OrderQuery)]
    assert lookups[:3] == [T0 + 5 * SECOND, T0 + 7 * SECOND, T0 + 9 * SECOND]
    assert venue.take() == []


def test_never_arrived_is_final_after_three_answers_and_the_time() -> None:
    """Open orders, lookup and executions, all asked after the last moment: then, and not before."""
    venue = Venue(ReconcileSettings(not_found_is_final_after=45))
    venue.books.version("a1", quiet_since=T0 + 2 * SECOND)
    assert venue.run(46.9) == []
    assert venue.run(2.2) == [Settled("a1", Settlement.NEVER_ARRIVED, "SPY")]
    assert venue.run(100)[1:] == []


@pytest.mark.parametrize("kind", [OpenOrdersQuery, OrderQuery, FillsQuery])
def test_errors_are_never_counted_as_not_found(kind: type) -> None:
    """Whichever of the three fails, for an hour: the order stays in doubt."""
    venue = Venue()
    venue.books.version("a1")
    venue.down.add(kind)
    findings = venue.run(3600)
    assert not [each for each in findings if isinstance(each, Settled)]
    assert "a1" in venue.books.versions
    asked = sum(type(query) is kind for _, query in venue.asked)
    assert asked <= 3700
    venue.down.clear()
    assert isinstance(venue.run(12)[-1], Settled)


def test_order_that_comes_up_before_it_is_final_is_no_absentee() -> None:
    """A late arrival takes all proofs back."""
    venue = Venue(ReconcileSettings(not_found_is_final_after=10))
    venue.books.version("a1")
    venue.run(9)
    venue.orders["a1"] = venue.order("a1")
    assert [type(each) for each in venue.run(60)] == [FoundOrder]


def test_execution_in_the_last_answer_is_no_absence() -> None:
    """Executions that show the order and prove it absent in one answer do not settle it."""
    venue = Venue(ReconcileSettings(not_found_is_final_after=10))
    venue.books.version("a1", symbol="QQQ")
    venue.run(9.5)
    fill = venue.fill("x1", "a1", symbol="QQQ")
    assert venue.run(10) == [FoundFill(fill)]


def test_executions_that_begin_too_late_prove_nothing() -> None:
    """Where the broker's memory begins after the order was decided on, it may have traded all the same."""
    venue = Venue(ReconcileSettings(not_found_is_final_after=10))
    venue.books.version("a1")
    venue.complete_from = {"SPY": T0 + SECOND, "QQQ": 0}
    (gap,) = venue.run(600)
    assert isinstance(gap, FillGap)
    assert "a1" in venue.books.versions


def test_working_order_on_no_list_is_looked_up_and_not_given_up() -> None:
    """An order that the broker had taken is over by its word, or, after all proofs, has vanished."""
    venue = Venue(ReconcileSettings(not_found_is_final_after=20))
    venue.books.version("a1", ACCEPTED, taken=True)
    venue.books.version("a2", ACCEPTED, taken=True)
    venue.gone["a2"] = venue.order("a2", OrderStatus.CANCELLED, filled=D(0), reason="by_hand")
    (found,) = venue.run(12)
    assert isinstance(found, FoundOrder)
    assert (found.update.status, found.update.reason) == (OrderStatus.CANCELLED, "by_hand")
    venue.take()
    assert venue.run(17.9) == []
    assert venue.run(3) == [Settled("a1", Settlement.VANISHED, "SPY")]


@pytest.mark.parametrize("taken", [True, False])
def test_order_that_the_broker_has_forgotten_is_over(taken: bool) -> None:
    """It is on no list any more, and nobody remembers what became of it: there is nothing to wait for."""
    venue = Venue(ReconcileSettings(not_found_is_final_after=20))
    venue.complete_from = {"SPY": T0 + 3600 * SECOND, "QQQ": 0}
    venue.books.version("a1", ACCEPTED if taken else OrderStatus.UNKNOWN, taken=taken)
    venue.forgotten.add("a1")
    venue.take()
    assert venue.run(17.9) == []
    settled = [each for each in venue.run(30) if isinstance(each, Settled)]
    assert settled == [Settled("a1", Settlement.FORGOTTEN, "SPY")]


def test_order_that_is_forgotten_and_works_is_not_over() -> None:
    """What the list of working orders has is there, whatever a lookup remembers."""
    venue = Venue(ReconcileSettings(not_found_is_final_after=20))
    venue.books.version("a1", ACCEPTED, taken=True)
    venue.forgotten.add("a1")
    venue.orders["a1"] = venue.order("a1")
    assert not [each for each in venue.run(60) if isinstance(each, Settled)]


def test_replaced_version_names_its_successor() -> None:
    """The chain is told as the broker has it."""
    venue = Venue()
    venue.books.version("a1")
    venue.gone["a1"] = venue.order("a1", OrderStatus.CANCELLED, replaced_by="a2")
    (found,) = venue.run(0)
    assert isinstance(found, FoundOrder)
    assert found.update.replaced_by == "a2"


def test_order_that_is_over_and_works_is_told_at_the_second_sight() -> None:
    """One answer may be older than the end; two are not."""
    venue = Venue()
    venue.books.ended.add("a1")
    zombie = venue.orders["a1"] = venue.order("a1")
    assert venue.run(10) == []
    assert venue.run(10) == [Revived(zombie)]


def test_counted_executions_are_asked_for_at_once() -> None:
    """An order that the broker says is filled further than the books know is explained now."""
    venue = Venue()
    venue.books.version("a1", ACCEPTED, taken=True)
    venue.orders["a1"] = venue.order("a1", OrderStatus.PARTIALLY_FILLED, filled=D(2))
    venue.run(9)
    fill = venue.fill("x1", "a1")
    assert venue.run(1) == [FoundFill(fill)]


def test_foreign_order_is_told_once_and_not_while_its_symbol_is_in_doubt() -> None:
    """A leg that the venue names may be ours until the answer that names it."""
    venue = Venue()
    venue.books.version("a1")
    stranger = venue.orders["s"] = venue.order(None, broker_id="s")
    assert venue.run(25) == []
    del venue.books.versions["a1"]
    assert venue.run(100) == [ForeignOrder(stranger)]


def test_order_of_ours_that_bears_the_brokers_names_only_is_known_by_them() -> None:
    """A leg whose name is the venue's own, after a restart: it is neither foreign nor missed."""
    venue = Venue()
    venue.books.version("leg", ACCEPTED, taken=True)
    known = venue.books.versions["leg"]
    venue.books.versions["leg"] = evolve(known, ref=evolve(known.ref, broker_order_id="b-theirs"))
    venue.orders["theirs"] = venue.order("theirs")
    assert venue.run(25) == []
    venue.orders["other"] = venue.order("other")
    assert venue.run(25) == [ForeignOrder(venue.orders["other"])]


# Executions.


def test_missed_fill_is_found_once() -> None:
    """The stream lost it, the report has it, every time; it is handed on once."""
    venue = Venue()
    venue.books.ended.add("a1")
    fill = venue.fill("x1", "a1")
    assert venue.run(200) == [FoundFill(fill)]


def test_revision_and_late_fees_are_news() -> None:
    """A restated execution is handed on again, and so are fees that were not known."""
    venue = Venue()
    venue.books.ended.add("a1")
    first = venue.fill("x1", "a1", fees=None)
    assert venue.run(30) == [FoundFill(first)]
    venue.take()
    paid = evolve(first, fees=(Money("USD", D(1)),))
    restated = evolve(paid, revision=1)
    venue.fills = [paid]
    assert venue.run(30)[0] == FoundFill(paid)
    venue.take()
    venue.fills = [restated]
    assert venue.run(30)[0] == FoundFill(restated)


@pytest.mark.parametrize(("policy", "halt"), [("halt", True), ("adopt", False)])
def test_foreign_fill_is_told_by_policy(policy: Any, halt: bool) -> None:
    """Of no order of this run, in a symbol of it."""
    venue = Venue(ReconcileSettings(foreign=policy))
    venue.now += SECOND
    fill = venue.fill("x1", None)
    assert venue.run(100) == [ForeignFill(fill, halt)]


def test_foreign_fill_elsewhere_halts_nothing_and_is_told_once() -> None:
    """It is in no symbol of this run, whose books have no place for it."""
    venue = Venue()
    venue.now += SECOND
    fill = venue.fill("x1", None, symbol="GLD")
    assert venue.run(100) == [ForeignFill(fill, halt=False)]


def test_fill_before_the_opening_is_in_what_was_adopted() -> None:
    """An execution of a second before the first start is no news."""
    venue = Venue(opened=False)
    venue.fill("x1", None)
    venue.begin()
    assert [type(each) for each in venue.run(200)] == [Adopt, Passed]


def test_fill_of_a_lost_journal_is_in_what_was_adopted() -> None:
    """It bears a name of this run, and is in the opening all the same; what comes after it is not."""
    venue = Venue(opened=False)
    venue.books.ended.add("a1")
    venue.fill("x1", "a1")
    venue.begin()
    assert [type(each) for each in venue.run(200)] == [Adopt, Passed]
    assert venue.kinds()[:3] == ["OpenOrders", "Fills", "Account"]
    fill = venue.fill("x2", "a1")
    assert venue.run(200)[2:] == [FoundFill(fill)]


def test_nameless_fill_waits_while_its_symbol_is_in_doubt() -> None:
    """It may be of a leg whose answer is still to come; once nothing is in doubt, it is somebody else's."""
    venue = Venue()
    venue.now += SECOND
    venue.books.version("a1", decided_at=venue.now)
    fill = venue.fill("x1", None)
    assert venue.run(55) == []
    venue.orders["a1"] = venue.order("a1")
    found, told = venue.run(40)
    assert isinstance(found, FoundOrder)
    assert told == ForeignFill(fill, halt=True)


def test_nameless_fill_and_missing_order_do_not_wait_for_each_other() -> None:
    """A lookup goes by all names of an order; once it is final that there is none, the fill is somebody's."""
    venue = Venue(ReconcileSettings(not_found_is_final_after=5))
    venue.now += SECOND
    venue.books.version("a1", decided_at=venue.now, quiet_since=venue.now)
    fill = venue.fill("x1", None)
    assert venue.run(10) == [Settled("a1", Settlement.NEVER_ARRIVED, "SPY"), ForeignFill(fill, halt=True)]


def test_gap_is_told_and_the_positions_compared() -> None:
    """What can no more be had is said once, and what it did to a position is found."""
    venue = Venue()
    venue.run(100)
    venue.positions["QQQ"] = D(3)
    start = venue.now
    venue.complete_from = {"SPY": 0, "QQQ": venue.now}
    gap, differs = venue.run(60)
    assert isinstance(gap, FillGap)
    assert (gap.symbols, gap.complete_from) == (("QQQ",), from_ns(start))
    assert differs == PositionDiffers("QQQ", D(0), D(3))
    assert venue.run(300) == [gap, differs]


def test_cash_flow_in_a_report_is_found_once() -> None:
    """A dividend that came while nobody listened."""
    venue = Venue()
    venue.now += SECOND
    flow = CashFlow("A1", "f1", "dividend", Money("USD", D(5)), from_ns(venue.now))
    venue.flows.append(flow)
    venue.cash += 5
    assert venue.run(100) == [FoundFlow(flow)]


def test_executions_are_asked_for_from_where_they_were_known_less_a_minute() -> None:
    """With the cursor that the last answer handed back."""
    venue = Venue()
    venue.run(60)
    queries = [(at, query.query) for at, query in venue.asked if isinstance(query, FillsQuery)]
    assert [at for at, _ in queries] == [T0 + 30 * SECOND, T0 + 60 * SECOND]
    assert queries[0][1].since == from_ns(T0 - 60 * SECOND)
    assert queries[1][1].since == from_ns(T0 - 30 * SECOND)
    assert queries[1][1].cursor == "c0"


# Account.


def test_difference_counts_at_the_second_sight_with_executions_between() -> None:
    """The first may be a fill that was not told yet."""
    venue = Venue()
    venue.positions["SPY"] = D(2)
    assert venue.run(30) == []
    assert venue.kinds()[-2:] == ["Fills", "Account"]
    assert venue.run(1) == [PositionDiffers("SPY", D(0), D(2))]
    assert venue.run(300) == [PositionDiffers("SPY", D(0), D(2))]
    venue.positions["SPY"] = D(0)
    venue.run(60)
    venue.positions["SPY"] = D(2)
    assert venue.run(60) == [PositionDiffers("SPY", D(0), D(2))] * 2


def test_fill_that_explains_a_difference_is_found_instead() -> None:
    """The account knows first, the executions a second later: nothing differs."""
    venue = Venue()
    venue.books.version("a1", ACCEPTED, taken=True)
    venue.orders["a1"] = venue.order("a1")
    venue.positions["SPY"], venue.cash = D(2), D(800)
    assert venue.run(30) == []
    venue.positions, venue.cash = {}, D(1000)
    fill = venue.fill("x1", "a1")
    assert venue.run(100) == [FoundFill(fill)]


def leap(venue: Venue) -> Query:
    """A day later: the executions are answered, and the account is asked for."""
    venue.now += 86_400 * SECOND
    queries = list(venue.reconciler.due(venue.now))
    while not isinstance(queries[0], AccountQuery):
        venue.answer(queries.pop(0))
        queries += venue.reconciler.due(venue.now)
    return queries[0]


def test_two_fills_that_the_account_knows_first_are_no_difference_of_one_amount() -> None:
    """A clock that leaps leaves no quiet, and a unit was bought before each answer was heard."""
    venue = Venue()
    for number in range(4):
        query = leap(venue)
        venue.books.ended.add(f"a{number}")
        fill = venue.fill(f"x{number}", f"a{number}", size="1")
        venue.answer(query)
        assert venue.reconciler._account.suspected
        venue.books.changed["SPY"] = venue.books.changed["USD"] = venue.now
        venue.books.apply(FoundFill(fill))
    assert venue.take() == []


def test_executions_that_were_asked_for_before_a_difference_do_not_confirm_it() -> None:
    """Their answer may be from before the fill that makes the difference."""
    venue = Venue()
    venue.books.version("a1", ACCEPTED, symbol="QQQ", taken=True)
    venue.orders["a1"] = venue.order("a1", symbol="QQQ", filled=D(2))
    account = leap(venue)
    # The broker counts more than the books have, so executions are asked for meanwhile.
    venue.orders["a1"] = venue.order("a1", symbol="QQQ", filled=D(3))
    venue.now += 10 * SECOND
    venue.answer(venue.reconciler.due(venue.now)[0])
    (executions,) = venue.reconciler.due(venue.now)
    assert isinstance(executions, FillsQuery)
    venue.positions["SPY"] = D(2)
    venue.answer(account)
    venue.answer(executions)
    venue.answer(venue.reconciler.due(venue.now)[-1])
    assert [type(each) for _, each in venue.asked[-3:]] == [AccountQuery, FillsQuery, AccountQuery]
    assert venue.take() == []
    assert venue.run(5) == [PositionDiffers("SPY", D(0), D(2))]


def test_answer_that_was_asked_for_before_the_last_booking_is_not_compared() -> None:
    """Whatever the clocks say: the order of question and booking decides."""
    venue = Venue()
    for _ in range(3):
        query = leap(venue)
        venue.books.bookings.append(("SPY",))
        venue.books.held["SPY"] = venue.books.held.get("SPY", D(0)) + 1
        venue.answer(query)
        assert not venue.reconciler._account.suspected
        venue.books.held["SPY"] = D(0)


@pytest.mark.parametrize(("steps", "told"), [(2, 0), (99, 1)])
def test_start_waits_for_an_account_that_differs_by_another_amount_each_time(steps: int, told: int) -> None:
    """What moves comes to rest, or is told as it is: nothing is sent before."""
    venue = Venue()
    venue.begin()
    step = 0
    while not venue.reconciler.passed:
        step += 1
        venue.positions["SPY"] = D(step if step <= steps else 0)
        venue.run(0)
        venue.now += SECOND
    found = [PositionDiffers("SPY", D(0), D(step))] * told
    assert venue.take() == [*found, Passed(Why.START)]
    assert step == min(steps + 1, 5)


def test_start_finds_a_difference_before_it_passes() -> None:
    """What changed while the run was down is told first; the symbol is halted when trading begins."""
    venue = Venue()
    venue.positions["SPY"] = D(2)
    venue.begin()
    assert venue.run(2) == [PositionDiffers("SPY", D(0), D(2)), Passed(Why.START)]


@pytest.mark.parametrize(
    "case", ["in doubt", "in flight", "just changed", "older than the books", "incomplete"]
)
def test_what_moves_is_not_compared(case: str) -> None:
    """A busy symbol, a snapshot from before the last change, and one with a hole prove nothing."""
    venue = Venue()
    venue.positions["SPY"] = D(2)
    if case == "in doubt":
        venue.books.version("a1", quiet_since=None)
    elif case == "in flight":
        venue.books.version("a1", PENDING, quiet_since=None)
    elif case == "older than the books":
        venue.books.changed["SPY"] = T0 + 5 * SECOND
        venue.state = {"as_of": from_ns(T0 + 5 * SECOND)}
    elif case == "incomplete":
        venue.state = {"complete": False}
    for _ in range(200):
        if case == "just changed":
            venue.books.changed["SPY"] = venue.now - 8 * SECOND
        venue.run(1)
    assert not [each for each in venue.take() if isinstance(each, PositionDiffers)]
    venue.books.versions.clear()
    venue.books.changed.clear()
    venue.state = {}
    assert venue.run(70)[-1] == PositionDiffers("SPY", D(0), D(2))


def test_cash_differs_as_an_alert_told_for_each_difference() -> None:
    """Interest that nobody reported: told, and again when it is another."""
    venue = Venue()
    venue.cash = D("1000.5")
    assert venue.run(200) == [CashDiffers("USD", D(1000), D("1000.5"))]
    venue.take()
    venue.cash = D(1001)
    assert venue.run(200) == [CashDiffers("USD", D(1000), D(1001))]


@pytest.mark.parametrize(
    ("ours", "theirs", "differs"),
    [
        ("943000.00005539336", "943000.000055393", False),
        ("943000.00005539336", "943000.000055394", True),
        ("1000.004", "1000.00", False),
        ("1000.006", "1000.00", True),
        ("1000.4", "1000", True),
        ("1000.4", "1E+3", True),
    ],
)
def test_cash_is_compared_by_the_digits_that_the_broker_tells(ours: str, theirs: str, differs: bool) -> None:
    """Fewer than the books have are no difference; whole units were hardly rounded to."""
    venue = Venue()
    venue.books.cash["USD"], venue.cash = D(ours), D(theirs)
    found = [CashDiffers("USD", D(ours), D(theirs))] if differs else []
    assert venue.run(200) == found


def test_asset_that_is_on_one_side_only_differs() -> None:
    """A fee in an asset that the books have never seen, and one that the broker has not."""
    venue = Venue()
    venue.state = {"balances": {"USD": Balance(D(1000)), "BNB": Balance(D(1))}}
    venue.books.cash["EUR"] = D(2)
    assert venue.run(100) == [CashDiffers("BNB", D(0), D(1)), CashDiffers("EUR", D(2), D(0))]


def test_balances_older_than_the_positions_are_judged_by_their_own_time() -> None:
    """Positions of now are compared; balances of three minutes ago, before the last change, are not."""
    venue = Venue()
    venue.books.changed = {"USD": T0 + SECOND, "SPY": T0 + SECOND}
    venue.positions["SPY"], venue.cash = D(2), D(7)
    venue.state = {"balances_as_of": from_ns(T0)}
    assert venue.run(100) == [PositionDiffers("SPY", D(0), D(2))]


# Rhythm and memory.


def test_rhythm_is_that_of_the_settings() -> None:
    """Open orders every ten seconds, executions and account every thirty, and no more."""
    venue = Venue()
    venue.run(60)
    kinds = venue.kinds()
    assert {kind: kinds.count(kind) for kind in kinds} == {"OpenOrders": 6, "Fills": 2, "Account": 2}
    slow = Venue(ReconcileSettings(open_orders=30, positions=60))
    slow.run(60)
    assert sorted(slow.kinds()) == ["Account", "Fills", "OpenOrders", "OpenOrders"]


def test_clocks_are_compared_before_it_passes_and_again() -> None:
    """An answer that took more than a second is no comparison; one a minute is enough."""
    venue = Venue(ReconcileSettings(clock=60))
    assert venue.kinds() == []
    venue.run(120)
    asked = [(at, query.asked_at) for at, query in venue.asked if isinstance(query, TimeQuery)]
    assert asked == [(T0 + 60 * SECOND,) * 2, (T0 + 120 * SECOND,) * 2]
    venue.take()
    venue.down.add(TimeQuery)
    venue.begin(Why.RECONNECT)
    assert [type(each) for each in venue.run(5)] == [Unanswered]
    assert not venue.reconciler.passed
    venue.down.clear()
    venue.now += SECOND
    slow = [query for query in venue.reconciler.due(venue.now) if isinstance(query, TimeQuery)]
    venue.now += SECOND + 1
    assert venue.reconciler.answered(slow[0], venue.reply(slow[0]), venue.now) == ()
    assert venue.run(0)[1:] == []
    assert venue.run(1)[1:] == [Passed(Why.RECONNECT)]


def test_numbers_are_never_used_twice() -> None:
    """Every query of a process has its own."""
    venue = Venue()
    venue.books.version("a1")
    venue.run(100)
    venue.begin(Why.RECONNECT)
    venue.run(100)
    numbers = [query.number for _, query in venue.asked]
    assert len(numbers) == len(set(numbers)) > 50


def test_restart_goes_on_where_the_snapshot_was() -> None:
    """No second opening; executions are asked for from where they were known."""
    venue = Venue()
    venue.run(100)
    fill_before = venue.now
    saved = json.loads(json.dumps(venue.reconciler.snapshot()))
    venue.now += 3600 * SECOND
    venue.books.ended.add("a1")
    fill = venue.fill("x1", "a1", executed_at=from_ns(fill_before + SECOND))
    venue.reconciler = Reconciler(ReconcileSettings(live=True), venue.books)
    venue.reconciler.restore(saved)
    venue.asked.clear()
    venue.begin()
    assert venue.run(0) == [FoundFill(fill), Passed(Why.START)]
    (query,) = (query.query for _, query in venue.asked if isinstance(query, FillsQuery))
    assert query.since == from_ns(T0 + 30 * SECOND)
    assert venue.reconciler.snapshot() != saved


def test_held_fill_is_asked_for_again_after_a_crash() -> None:
    """What was neither booked nor told is not past."""
    venue = Venue()
    venue.now += SECOND
    executed = venue.now
    venue.books.version("a1", decided_at=venue.now, quiet_since=None)
    fill = venue.fill("x1", None)
    assert venue.run(500) == []
    saved = json.loads(json.dumps(venue.reconciler.snapshot()))
    venue.reconciler = Reconciler(ReconcileSettings(), venue.books)
    venue.reconciler.restore(saved)
    venue.books.versions.clear()
    venue.asked.clear()
    venue.begin()
    assert venue.run(2) == [ForeignFill(fill, halt=True), Passed(Why.START)]
    (query,) = (query.query for _, query in venue.asked if isinstance(query, FillsQuery))
    assert query.since == from_ns(executed - 60 * SECOND)
    assert query.cursor is None


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"fills": None},
        {"fills": {"opened_at": "x"}},
        {"account": {"ignored": {"SPY": "many"}, "told": []}},
        {"account": {"ignored": {}, "told": [["SPY"]]}},
    ],
)
def test_odd_snapshot_is_refused(change: dict[str, Any]) -> None:
    """A guess about what was adopted would be a guess about the books."""
    saved = json.loads(json.dumps(Venue().reconciler.snapshot()))
    with pytest.raises(StateCorrupt):
        Reconciler(ReconcileSettings(), Books()).restore({**saved, **change})


def test_answer_of_the_wrong_kind_is_a_fault_and_not_an_absence() -> None:
    """A driver that mixes answers up is stopped."""
    venue = Venue()
    query = venue.executions()
    with pytest.raises(InvariantViolation, match="a list came where a FillReport was asked for"):
        venue.reconciler.answered(query, [], venue.now)

"""Invariants of the ledger under every order of arrival, duplicates, corrections, busts and late fees."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any

from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.clock import to_ns
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Money
from alphaweave.core.order import Side
from alphaweave.live.ledger import BookingKind, Ledger
from alphaweave.live.ledger_archive import ArchivedItem, LedgerArchive
from alphaweave.live.reports import BrokerFill, CashFlow, FeeReport, FillCorrection, PositionChange

T0 = datetime(2024, 3, 1, tzinfo=UTC)
INSTRUMENTS = {
    each.symbol: each
    for each in (
        Instrument(symbol="SPY", venue_symbol="SPY"),
        Instrument(symbol="ES", venue_symbol="ES", kind="future", multiplier=Decimal(50)),
        Instrument(symbol="SAP", venue_symbol="SAP", quote="EUR", settle="EUR"),
        Instrument(symbol="BTC-USD", venue_symbol="BTCUSD", kind="spot", base="BTC"),
        Instrument(symbol="BTC-EUR", venue_symbol="BTCEUR", kind="spot", base="BTC", quote="EUR"),
    )
}
ASSETS = ("USD", "EUR", "BTC", "BNB")
OPENING = Decimal("100000.00")
# Few distinct sizes and prices, so that positions go flat and cross zero; and some with many digits.
SIZES = st.sampled_from(["1", "2", "3", "7", "0.1", "0.12345678", "123456789.123456789"]).map(Decimal)
PRICES = st.sampled_from(["1", "3", "100", "412.37", "0.00000003", "98765.4321"]).map(Decimal)
AMOUNTS = st.decimals(-2, 50, places=8)
FEES = st.lists(st.builds(Money, st.sampled_from(ASSETS), AMOUNTS), max_size=3).map(tuple)

Step = Callable[[Ledger], object]


@frozen
class Truth:
    """One execution: every version that was reported, and how it ended."""

    versions: tuple[BrokerFill, ...]
    bust: bool
    reports: tuple[FeeReport, ...]
    second_key: str | None

    @property
    def final(self) -> BrokerFill | None:
        """The version that counts, with the fees that count."""
        if self.bust:
            return None
        last = self.versions[-1]
        if self.reports:
            return evolve(last, fees=self.reports[-1].fees)
        return evolve(last, fees=last.fees or ())

    def steps(self) -> list[Step]:
        steps: list[Step] = [book(self.versions[0])]
        if self.second_key is not None:
            steps.append(book(evolve(self.versions[0], execution_key=self.second_key)))
        keys = (self.versions[0].execution_key, self.second_key)
        for number, version in enumerate(self.versions[1:]):
            key = keys[number % 2] or keys[0]
            steps.append(book(evolve(version, execution_key=key)) if number else correct(version, key))
        if self.bust:
            key = keys[1] or keys[0]
            steps.append(correct(None, key, len(self.versions)))
        steps.extend(partial(Ledger.report_fees, report=report) for report in self.reports)
        return steps


def book(fill: BrokerFill) -> Step:
    return lambda ledger: ledger.book(fill, INSTRUMENTS[fill.symbol])


def correct(fill: BrokerFill | None, key: str | None, revision: int = 1) -> Step:
    assert key is not None
    correction = FillCorrection("A1", key, revision, fill and evolve(fill, execution_key=key), T0)
    return lambda ledger: ledger.correct(correction, INSTRUMENTS[fill.symbol] if fill else None)


@st.composite
def truths(draw: st.DrawFn, number: int) -> Truth:
    symbol = draw(st.sampled_from(sorted(INSTRUMENTS)))
    key = f"k{number}"
    second_key = f"z{number}" if draw(st.booleans()) else None
    versions = [
        BrokerFill(
            account="A1",
            execution_key=key,
            broker_order_id=f"{symbol} order",
            client_order_id=None,
            symbol=symbol,
            side=draw(st.sampled_from(Side)),
            size=draw(SIZES),
            price=draw(PRICES),
            executed_at=T0 + timedelta(seconds=number),
            received_at=T0 + timedelta(seconds=100 + revision),
            revision=revision,
            # without one, the second key could not be recognised
            cumulative=Decimal(number) if second_key or draw(st.booleans()) else None,
            fees=draw(st.none() | FEES),
        )
        for revision in range(draw(st.sampled_from([1, 1, 1, 2, 3])))
    ]
    bust = draw(st.sampled_from([False, False, False, True]))
    reports = tuple(
        FeeReport(
            "A1", draw(st.sampled_from([key, second_key or key])), draw(FEES), T0 + timedelta(seconds=second)
        )
        for second in range(200, 200 + draw(st.sampled_from([0, 0, 1, 2])))
    )
    return Truth(tuple(versions), bust, reports, second_key)


@st.composite
def histories(draw: st.DrawFn) -> list[Truth]:
    return [draw(truths(number)) for number in range(1, 1 + draw(st.integers(1, 8)))]


changes = st.lists(
    st.builds(
        lambda quantity, second, kind: ("SPY", quantity, second, kind),
        st.integers(-5, 5).map(Decimal),
        st.floats(0, 9).map(lambda number: round(number) + 0.5),
        st.sampled_from(["split", "transfer"]),
    ),
    max_size=2,
    unique_by=lambda item: item[2],
)
flows = st.lists(st.builds(Money, st.sampled_from(ASSETS), AMOUNTS), max_size=3)


def other_steps(moved: list[Money], changed: list[tuple[Any, ...]]) -> list[Step]:
    cash = [CashFlow("A1", f"f{n}", "deposit", amount, T0) for n, amount in enumerate(moved)]
    units = [
        PositionChange("A1", f"c{n}", symbol, quantity, T0 + timedelta(seconds=second), kind=kind)
        for n, (symbol, quantity, second, kind) in enumerate(changed)
    ]
    steps: list[Step] = [partial(Ledger.flow, flow=flow) for flow in cash]
    return steps + [partial(Ledger.change_position, change=change) for change in units]


def clean(history: list[Truth], others: list[Step]) -> Ledger:
    """The books of a world without faults: each surviving execution once, as it ended, in order."""
    ledger = Ledger(currency="USD", cash=OPENING, account="A1")
    for truth in history:
        if truth.final is not None:
            ledger.book(truth.final, INSTRUMENTS[truth.final.symbol])
    for step in others:
        step(ledger)
    return ledger


def books(ledger: Ledger) -> dict[str, Any]:
    return {
        "cash": ledger.cash,
        "balances": {asset: amount for asset, amount in ledger.balances.items() if amount},
        "positions": {
            symbol: (p.quantity, p.units, p.cost, p.average_price, p.realised)
            for symbol, p in ledger.positions.items()
            if p.quantity or p.realised
        },
    }


@settings(deadline=None, derandomize=True)
@given(st.data(), histories(), flows, changes)
def test_every_order_of_arrival_ends_in_the_same_books(
    data: st.DataObject, history: list[Truth], moved: list[Money], changed: list[tuple[Any, ...]]
) -> None:
    """Shuffled, repeated, corrected, busted, late, restored half-way: the books are those of the truth."""
    others = other_steps(moved, changed)
    steps = [step for truth in history for step in truth.steps()] + others
    repeats = data.draw(st.lists(st.sampled_from(steps), max_size=5))
    arrivals = data.draw(st.permutations(steps + repeats))
    cut = data.draw(st.integers(0, len(arrivals)))
    ledger = Ledger(currency="USD", cash=OPENING, account="A1")
    for number, step in enumerate(arrivals):
        if number == cut:
            snapshot = ledger.snapshot()
            ledger = Ledger(currency="USD", cash=Decimal(0), account="A1")
            ledger.restore(json.loads(json.dumps(snapshot)))
            assert ledger.snapshot() == snapshot
        step(ledger)
    assert books(ledger) == books(clean(history, others))
    for truth in history:
        if truth.second_key is not None:
            assert ledger.executions[truth.second_key] is ledger.executions[truth.versions[0].execution_key]


class Kept:
    """An archive in memory."""

    def __init__(self) -> None:
        self.items: list[ArchivedItem] = []

    def add(self, items: Sequence[ArchivedItem]) -> None:
        self.items.extend(evolve(item, document=json.loads(json.dumps(item.document))) for item in items)

    def find(self, names: Sequence[str]) -> list[ArchivedItem]:
        return [item for item in self.items if set(names) & set(item.names)]

    def load(self, symbol: str, since: int, until: int) -> list[ArchivedItem]:
        return [item for item in self.items if item.symbol == symbol and since <= item.seq <= until]


@settings(deadline=None, derandomize=True)
@given(st.data(), histories(), changes)
def test_archived_executions_end_in_the_same_books(
    data: st.DataObject, history: list[Truth], changed: list[tuple[Any, ...]]
) -> None:
    """Whatever was archived when, and whatever word of it still comes: what each step does is the same."""
    others = other_steps([], changed)
    arrivals = data.draw(st.permutations([step for truth in history for step in truth.steps()] + others))
    whole, kept = Ledger(currency="USD", cash=OPENING, account="A1"), Kept()
    ledger = Ledger(currency="USD", cash=OPENING, account="A1")
    ledger.archive = LedgerArchive(ledger, kept)
    for number, step in enumerate(arrivals, 1):
        assert effect(step(ledger)) == effect(step(whole))
        assert books(ledger) == books(whole)
        if data.draw(st.booleans()):
            before = to_ns(T0 + timedelta(seconds=data.draw(st.integers(0, 10))))
            kept.add(ledger.archive.fold(before, number))
            assert all(item.at >= before for each in ledger.positions.values() for item in each.history)
        if data.draw(st.booleans()):
            # A restart from a snapshot taken here.
            snapshot = json.loads(json.dumps(ledger.snapshot()))
            ledger = Ledger(currency="USD", cash=Decimal(0), account="A1")
            ledger.archive = LedgerArchive(ledger, kept)
            ledger.restore(snapshot)
    assert books(ledger) == books(clean(history, others))
    for truth in history:
        if truth.second_key is not None:
            first = ledger.execution(truth.versions[0].execution_key)
            second = ledger.execution(truth.second_key)
            assert first is not None
            assert second is not None
            assert (first.fill, first.revision, first.busted) == (second.fill, second.revision, second.busted)


def effect(answer: Any) -> Any:
    """What a booking tells, or the plain answer."""
    if answer is None or isinstance(answer, bool):
        return answer
    return {name: getattr(answer, name) for name in type(answer).__slots__}


@settings(deadline=None, derandomize=True)
@given(histories(), flows)
def test_balances_are_opening_plus_legs_less_fees_plus_flows(
    history: list[Truth], moved: list[Money]
) -> None:
    """Every balance and position is the exact sum of what moved it, in rational arithmetic."""
    ledger = clean(history, other_steps(moved, []))
    balances = defaultdict(Fraction, {"USD": Fraction(OPENING)})
    quantities: dict[str, Fraction] = defaultdict(Fraction)
    net: dict[str, Fraction] = defaultdict(Fraction)
    for amount in moved:
        balances[amount.asset] += Fraction(amount.amount)
    for fill in (truth.final for truth in history):
        if fill is None:
            continue
        instrument = INSTRUMENTS[fill.symbol]
        cash = instrument.quote if instrument.base else instrument.settle
        value = Fraction(fill.size) * Fraction(fill.price) * Fraction(instrument.multiplier) * fill.side.sign
        balances[cash] -= value
        net[fill.symbol] -= value
        quantities[fill.symbol] += Fraction(fill.size) * fill.side.sign
        if instrument.base:
            balances[instrument.base] += Fraction(fill.size) * fill.side.sign
        for fee in fill.fees or ():
            balances[fee.asset] -= Fraction(fee.amount)
            if fee.asset == instrument.base:
                quantities[fill.symbol] -= Fraction(fee.amount)
            elif fee.asset == cash:
                net[fill.symbol] -= Fraction(fee.amount)
    assert {asset: Fraction(amount) for asset, amount in ledger.balances.items() if amount} == {
        asset: amount for asset, amount in balances.items() if amount
    }
    for symbol, position in ledger.positions.items():
        assert Fraction(position.quantity) == quantities[symbol]
        # what is realised and what is still invested is the cash that moved, to the last digit
        assert Fraction(position.realised) - Fraction(position.cost) == net[symbol]
        if not position.quantity:
            assert position.cost == 0


@settings(deadline=None, derandomize=True)
@given(histories())
def test_bookings_tell_the_whole_story(history: list[Truth]) -> None:
    """Chained, the bookings of one symbol lead from flat to the position, and their profits to the total."""
    ledger = Ledger(currency="USD", cash=OPENING)
    told = defaultdict(list)
    for truth in history:
        if truth.final is not None:
            booking = ledger.book(truth.final, INSTRUMENTS[truth.final.symbol])
            assert booking is not None
            assert booking.kind is BookingKind.FILL
            told[truth.final.symbol].append(booking)
    for symbol, bookings in told.items():
        assert bookings[0].position_before == 0
        assert all(a.position_after == b.position_before for a, b in pairwise(bookings))
        position = ledger.positions[symbol]
        assert bookings[-1].position_after == position.quantity
        closings = sum(Fraction(each.realised) for each in bookings if each.realised is not None)
        openings = sum(
            Fraction(fee.amount) * (1 if fee.asset == position.asset else Fraction(each.fill.price))
            for each in bookings
            if each.realised is None
            for fee in each.raw_fees or ()
            if fee.asset in {position.asset, position.base}
        )
        assert closings - openings == Fraction(position.realised)

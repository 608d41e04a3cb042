"""Worked examples of the ledger: legs, average prices, fees, corrections, flows, equity, snapshots."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.errors import InvariantViolation, StateCorrupt, StateMismatch
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Money
from alphaweave.core.order import Side
from alphaweave.live.ledger import Booking, BookingKind, Ledger, Position
from alphaweave.live.reports import BrokerFill, CashFlow, FeeReport, FillCorrection, PositionChange

D = Decimal
T0 = datetime(2024, 3, 1, 14, 30, tzinfo=UTC)
SPY = Instrument(symbol="SPY", venue_symbol="SPY")
ES = Instrument(symbol="ES", venue_symbol="ESM4", kind="future", multiplier=D(50))
BTC = Instrument(symbol="BTC-USD", venue_symbol="BTCUSD", kind="spot", base="BTC", size_step=D("0.00001"))
SAP = Instrument(symbol="SAP", venue_symbol="SAP", quote="EUR", settle="EUR")
EURUSD = Instrument(symbol="EUR-USD", venue_symbol="EURUSD", kind="fx", base="EUR")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def fill(
    key: str,
    size: int | str,
    price: int | str,
    *fees: tuple[str, str],
    symbol: str = "SPY",
    second: float | None = None,
    **more: Any,
) -> BrokerFill:
    """One execution; a negative size sells. It is executed as many seconds after T0 as its key says."""
    signed = D(size)
    more.setdefault("fees", tuple(Money(asset, D(amount)) for asset, amount in fees))
    more.setdefault("account", "A1")
    more.setdefault("broker_order_id", f"order {key}")
    when = at(float(key) if second is None else second)
    return BrokerFill(
        execution_key=key,
        client_order_id=None,
        symbol=symbol,
        side=Side.BUY if signed > 0 else Side.SELL,
        size=abs(signed),
        price=D(price),
        executed_at=when,
        received_at=when,
        **more,
    )


def late_fees(key: str, *fees: tuple[str, str], second: float = 100) -> FeeReport:
    return FeeReport("A1", key, tuple(Money(asset, D(amount)) for asset, amount in fees), at(second))


def bust(key: str, revision: int = 1) -> FillCorrection:
    return FillCorrection("A1", key, revision, None, at(100))


def restated(key: str, revision: int, new: BrokerFill) -> FillCorrection:
    return FillCorrection("A1", key, revision, evolve(new, revision=revision), at(100))


def flow(key: str, asset: str, amount: str, account: str = "A1") -> CashFlow:
    return CashFlow(account, key, "deposit", Money(asset, D(amount)), T0)


def change(key: str, quantity: str, kind: str = "transfer", second: float = 50) -> PositionChange:
    return PositionChange("A1", key, "SPY", D(quantity), at(second), kind=kind)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(currency="USD", cash=D(100_000), account="A1")


def kept(booking: Booking | None) -> Booking:
    assert booking is not None
    return booking


# Legs.


def test_equity_moves_cash_and_units(ledger: Ledger) -> None:
    """A buy of 10 at 412.37 with 1.05 of fees costs 4124.75 in cash."""
    assert ledger.cash == 100_000.0
    booking = kept(ledger.book(fill("1", 10, "412.37", ("USD", "1.05")), SPY))
    assert ledger.balances == {"USD": D("95875.25")}
    assert ledger.cash == 95875.25
    position = ledger.positions["SPY"]
    assert position.symbol == "SPY"
    assert position.instrument is SPY
    assert (position.quantity, position.units, position.average_price) == (10, 10.0, D("412.37"))
    assert position.realised == D("-1.05")
    assert booking.kind is BookingKind.FILL
    assert (booking.position_before, booking.position_after) == (0, 10)
    assert booking.realised is None
    assert booking.fees == D("1.05")
    assert booking.raw_fees == (Money("USD", D("1.05")),)
    assert booking.fill.execution_key == "1"


def test_future_moves_cash_by_its_multiplier(ledger: Ledger) -> None:
    """Two contracts of 50, sold at 5000.25 and bought back at 4990.25, earn 1000 before fees."""
    ledger.book(fill("1", -2, "5000.25", symbol="ES"), ES)
    assert ledger.balances == {"USD": D("600025.00")}
    assert ledger.positions["ES"].average_price == D("5000.25")
    booking = kept(ledger.book(fill("2", 2, "4990.25", ("USD", "4.50"), symbol="ES"), ES))
    assert booking.realised == D("995.50")
    assert ledger.balances == {"USD": D("100995.50")}
    assert ledger.positions["ES"].units == 0.0
    assert ledger.positions["ES"].average_price == 0


def test_spot_moves_base_and_quote(ledger: Ledger) -> None:
    """A spot trade exchanges one balance for another."""
    ledger.book(fill("1", "0.5", 60000, symbol="BTC-USD"), BTC)
    ledger.book(fill("2", "-0.2", 70000, symbol="BTC-USD"), BTC)
    assert ledger.balances == {"USD": D(84_000), "BTC": D("0.3")}
    assert ledger.positions["BTC-USD"].quantity == D("0.3")
    assert ledger.positions["BTC-USD"].realised == 2000


def test_spot_quote_asset_need_not_be_the_settle_default(ledger: Ledger) -> None:
    """Spot cash moves in the quote asset, whatever ``settle`` says."""
    pair = Instrument(symbol="ETH-BTC", venue_symbol="ETHBTC", kind="spot", base="ETH", quote="BTC")
    ledger.book(fill("1", 2, "0.05", symbol="ETH-BTC"), pair)
    assert ledger.balances == {"USD": 100_000, "BTC": D("-0.10"), "ETH": 2}


def test_base_fee_reduces_what_can_be_sold(ledger: Ledger) -> None:
    """A fee taken in the bought asset leaves less of it, and counts as a cost at the fill's price."""
    booking = kept(ledger.book(fill("1", 1, 60000, ("BTC", "0.001"), symbol="BTC-USD"), BTC))
    position = ledger.positions["BTC-USD"]
    assert ledger.balances == {"USD": 40_000, "BTC": D("0.999")}
    assert position.quantity == D("0.999")
    assert position.average_price == 60000
    assert position.realised == -60
    assert booking.fees == 0
    assert booking.raw_fees == (Money("BTC", D("0.001")),)


def test_base_fee_is_weighed_with_the_multiplier(ledger: Ledger) -> None:
    """The worth of a base fee scales like the trade itself."""
    lots = evolve(BTC, symbol="BTC-LOT", multiplier=D(10))
    ledger.book(fill("1", 1, 100, ("BTC", "0.1"), symbol="BTC-LOT"), lots)
    position = ledger.positions["BTC-LOT"]
    assert position.realised == -100
    assert position.average_price == 100
    assert ledger.balances["USD"] == 99_000


def test_third_asset_fee_leaves_position_and_profit_alone(ledger: Ledger) -> None:
    """A fee in a third asset only reduces that asset."""
    booking = kept(ledger.book(fill("1", 1, 60000, ("BNB", "0.02"), symbol="BTC-USD"), BTC))
    assert ledger.balances == {"USD": 40_000, "BTC": 1, "BNB": D("-0.02")}
    assert ledger.positions["BTC-USD"].realised == 0
    assert booking.fees == 0
    assert booking.raw_fees == (Money("BNB", D("0.02")),)


def test_rebate_is_a_gain(ledger: Ledger) -> None:
    """A negative fee is paid to us."""
    booking = kept(ledger.book(fill("1", 10, 100, ("USD", "-0.25")), SPY))
    assert ledger.balances["USD"] == D("99000.25")
    assert ledger.positions["SPY"].realised == D("0.25")
    assert booking.fees == D("-0.25")


def test_several_fees_of_one_fill_add_up(ledger: Ledger) -> None:
    """Commission and tax of one execution are both charged."""
    booking = kept(ledger.book(fill("1", -10, 100, ("USD", "1"), ("USD", "0.02"), ("EUR", "3")), SPY))
    assert booking.fees == D("1.02")
    assert ledger.balances == {"USD": D("100998.98"), "EUR": -3}


def test_other_settle_currency_keeps_fees_raw(ledger: Ledger) -> None:
    """Profit is in the currency that cash moves in; fees in another than the run's are not converted."""
    ledger.book(fill("1", 10, 100, ("EUR", "1"), symbol="SAP"), SAP)
    booking = kept(ledger.book(fill("2", -10, 110, ("EUR", "1"), symbol="SAP"), SAP))
    assert booking.realised == 99
    assert booking.fees == 0
    assert ledger.balances == {"USD": 100_000, "EUR": 98}
    assert ledger.cash == 100_000.0


# Average price and realised profit.


@pytest.mark.parametrize(
    ("trades", "expected"),
    [
        # (size, price) -> (quantity, average price, realised of the fill)
        (["10@100", "10@110"], [(10, 100, None), (20, 105, None)]),
        (["10@100", "-4@110"], [(10, 100, None), (6, 100, 40)]),
        (["10@100", "-10@90"], [(10, 100, None), (0, 0, -100)]),
        (["10@100", "-15@110"], [(10, 100, None), (-5, 110, 100)]),
        (["-10@100", "-10@90"], [(-10, 100, None), (-20, 95, None)]),
        (["-10@100", "4@90"], [(-10, 100, None), (-6, 100, 40)]),
        (["-10@100", "10@110"], [(-10, 100, None), (0, 0, -100)]),
        (["-10@100", "15@90"], [(-10, 100, None), (5, 90, 100)]),
        (["10@100", "-10@90", "5@80"], [(10, 100, None), (0, 0, -100), (5, 80, None)]),
    ],
)
@pytest.mark.parametrize(("instrument", "scale"), [(SPY, 1), (ES, 50)], ids=["equity", "future"])
def test_average_price_follows_the_table(
    ledger: Ledger, instrument: Instrument, scale: int, trades: list[str], expected: list[tuple[Any, ...]]
) -> None:
    """Enlarging averages, reducing realises, and crossing zero does both parts in turn."""
    total = D(0)
    for number, (trade, (quantity, average, realised)) in enumerate(zip(trades, expected, strict=True)):
        size, price = trade.split("@")
        booking = kept(ledger.book(fill(str(number), size, price, symbol=instrument.symbol), instrument))
        position = ledger.positions[instrument.symbol]
        assert position.quantity == booking.position_after == quantity
        assert position.units == float(quantity)
        assert position.average_price == average
        assert booking.realised == (None if realised is None else realised * scale)
        total += booking.realised or 0
        assert position.realised == total


def test_realised_is_net_of_the_closing_fill_fees(ledger: Ledger) -> None:
    """Each fill bears its own fees: the opening's are realised with the opening."""
    ledger.book(fill("1", 10, 100, ("USD", "1")), SPY)
    booking = kept(ledger.book(fill("2", -5, 110, ("USD", "2")), SPY))
    assert booking.realised == 48
    assert ledger.positions["SPY"].realised == 47


def test_thirds_of_a_position_lose_nothing(ledger: Ledger) -> None:
    """Shares that do not divide evenly still add up to the whole profit."""
    ledger.book(fill("1", 3, "33.34"), SPY)
    for key in "234":
        ledger.book(fill(key, -1, 40), SPY)
    assert ledger.positions["SPY"].realised == D("19.98")
    assert ledger.positions["SPY"].cost == 0


def test_fills_that_arrive_late_are_averaged_in_order_of_execution(ledger: Ledger) -> None:
    """A sell that arrives before the older buy it closed is a closing all the same."""
    ledger.book(fill("2", -10, 110), SPY)
    assert ledger.positions["SPY"].quantity == -10
    booking = kept(ledger.book(fill("1", 10, 100), SPY))
    assert (booking.position_before, booking.position_after) == (-10, 0)
    assert ledger.positions["SPY"].realised == 100
    assert ledger.positions["SPY"].units == 0.0


def test_fills_of_one_instant_keep_their_order_of_arrival(ledger: Ledger) -> None:
    """Executions with equal times are averaged as they came."""
    for key, size in (("b", 10), ("a", -15), ("c", -5)):
        ledger.book(fill(key, size, {"b": 100, "a": 110, "c": 130}[key], second=5), SPY)
    assert ledger.positions["SPY"].average_price == D(120)
    assert ledger.positions["SPY"].realised == 100


def test_fills_in_order_are_never_worked_out_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history is gone through only for what arrives out of order, or changes the past."""
    rebuilt: list[str] = []
    rebuild = Position.rebuild

    def watched(position: Position) -> None:
        rebuilt.append(position.symbol)
        rebuild(position)

    monkeypatch.setattr(Position, "rebuild", watched)
    for key in "1234":
        ledger.book(fill(key, 10, 100, fees=None), SPY)
        ledger.report_fees(late_fees(key, ("USD", "1")))
    ledger.book(fill("5", -15, 100, second=4), SPY)
    assert not rebuilt
    assert ledger.positions["SPY"].quantity == 25
    ledger.book(fill("6", -15, 100, second=3), SPY)
    assert rebuilt == ["SPY"]


# Duplicates.


def test_duplicate_is_booked_once(ledger: Ledger) -> None:
    """At-least-once delivery changes nothing the second time."""
    ledger.book(fill("1", 10, 100), SPY)
    assert ledger.book(fill("1", 10, 100), SPY) is None
    assert ledger.positions["SPY"].quantity == 10
    assert ledger.balances["USD"] == 99_000


def test_second_key_of_one_execution_is_a_duplicate(ledger: Ledger) -> None:
    """Equal order, cumulative, size and price are one execution; later events may use either key."""
    first = fill("1", 10, 100, broker_order_id="o", cumulative=D(10))
    second = fill("2", "10.0", "100.00", broker_order_id="o", cumulative=D("10.0"))
    ledger.book(first, SPY)
    assert ledger.book(second, SPY) is None
    assert ledger.executions["1"] is ledger.executions["2"]
    assert ledger.positions["SPY"].quantity == 10
    booking = kept(ledger.correct(bust("2"), None))
    assert booking.fill.execution_key == "1"
    assert ledger.positions["SPY"].quantity == 0


@pytest.mark.parametrize(
    "other",
    [
        {"cumulative": D(20)},
        {"broker_order_id": "p"},
        {"cumulative": None},
        {"size": 5},
        {"price": 101},
    ],
    ids=lambda other: next(iter(other)),
)
def test_fills_that_differ_are_two_executions(ledger: Ledger, other: dict[str, Any]) -> None:
    """One difference in order, cumulative, size or price makes another execution."""
    terms: dict[str, Any] = {"size": 10, "price": 100, "broker_order_id": "o", "cumulative": D(10)}
    ledger.book(fill("1", **terms), SPY)
    ledger.book(fill("2", **{**terms, **other}), SPY)
    assert ledger.positions["SPY"].quantity == 10 + other.get("size", 10)


def test_fills_without_cumulative_are_told_apart_by_key_alone(ledger: Ledger) -> None:
    """A broker that gives no cumulative quantity may fill the same size at the same price twice."""
    ledger.book(fill("1", 10, 100, broker_order_id="o"), SPY)
    ledger.book(fill("2", 10, 100, broker_order_id="o"), SPY)
    assert ledger.positions["SPY"].quantity == 20


def test_duplicate_with_the_fees_brings_the_fees(ledger: Ledger) -> None:
    """A stream that knows no fees is completed by a query that does."""
    booking = kept(ledger.book(fill("1", 10, 100, fees=None), SPY))
    assert booking.raw_fees is None
    booking = kept(ledger.book(fill("1", 10, 100, ("USD", "1")), SPY))
    assert booking.kind is BookingKind.FEES
    assert booking.fees == 1
    assert ledger.balances["USD"] == 98_999
    assert ledger.book(fill("1", 10, 100, fees=None), SPY) is None
    assert ledger.book(fill("1", 10, 100, ("USD", "7")), SPY) is None
    assert ledger.balances["USD"] == 98_999


def test_key_that_names_two_executions_is_refused(ledger: Ledger) -> None:
    """A key reused for another size, side or symbol would lose a fill, so the ledger stops."""
    ledger.book(fill("1", 10, 100), SPY)
    before = ledger.snapshot()
    for other in (fill("1", 11, 100), fill("1", -10, 100), fill("1", 10, 100, symbol="ES")):
        with pytest.raises(InvariantViolation, match="a key of its own"):
            ledger.book(other, SPY if other.symbol == "SPY" else ES)
    assert ledger.book(fill("1", 10, "100.001"), SPY) is None
    assert {**ledger.snapshot(), "positions": 0} == {**before, "positions": 0}


def test_second_key_learned_late_takes_the_double_booking_back(ledger: Ledger) -> None:
    """A correction under another key overtook both reports; once they meet, one execution is left."""
    original = fill("1", 10, 100, broker_order_id="o", cumulative=D(10))
    ledger.correct(restated("2", 1, fill("2", 10, 99, broker_order_id="o", cumulative=D(10))), SPY)
    ledger.book(original, SPY)
    assert ledger.positions["SPY"].quantity == 20
    booking = kept(ledger.book(evolve(original, execution_key="2"), SPY))
    assert booking.kind is BookingKind.BUST
    assert booking.fill is original
    assert (booking.position_before, booking.position_after) == (20, 10)
    assert ledger.balances["USD"] == 99_010
    assert ledger.executions["1"] is ledger.executions["2"]


def test_second_key_may_bring_a_newer_revision(ledger: Ledger) -> None:
    """A restated report under a key not seen before corrects the execution it belongs to."""
    terms: dict[str, Any] = {"second": 1, "broker_order_id": "o", "cumulative": D(10)}
    ledger.book(fill("1", 10, 100, ("USD", "1"), **terms), SPY)
    booking = kept(ledger.book(fill("2", 10, 100, ("USD", "3"), revision=1, **terms), SPY))
    assert (booking.kind, booking.fees) == (BookingKind.FEES, 3)
    assert ledger.balances["USD"] == 98_997
    assert ledger.book(fill("1", 10, 100, ("USD", "1"), **terms), SPY) is None


def test_second_key_brings_the_fees_and_keeps_the_name(ledger: Ledger) -> None:
    """Fees known under the second key only are charged to the execution as first named."""
    terms: dict[str, Any] = {"broker_order_id": "o", "cumulative": D(10)}
    ledger.book(fill("1", 10, 100, fees=None, **terms), SPY)
    booking = kept(ledger.book(fill("2", 10, 100, ("USD", "3"), **terms), SPY))
    assert (booking.kind, booking.fees, booking.fill.execution_key) == (BookingKind.FEES, 3, "1")


def test_double_booking_keeps_the_fees_either_knows(ledger: Ledger) -> None:
    """When two booked entries turn out to be one, the fees of the one that goes are not lost."""
    terms: dict[str, Any] = {"broker_order_id": "o", "cumulative": D(10), "second": 3}
    ledger.book(fill("1", 10, 100, ("USD", "3"), revision=1, **terms), SPY)
    ledger.book(fill("2", 10, 99, fees=None, **terms), SPY)
    ledger.book(fill("2", 10, 101, fees=None, revision=1, **terms), SPY)
    assert ledger.positions["SPY"].quantity == 20
    ledger.book(fill("1", 10, 99, fees=None, **terms), SPY)
    assert ledger.positions["SPY"].quantity == 10
    assert ledger.executions["1"] is ledger.executions["2"]
    assert ledger.executions["1"].fees == (Money("USD", D(3)),)


def test_fees_under_the_second_key_reach_the_execution(ledger: Ledger) -> None:
    """A report filed under the key that nobody has seen yet is found when the keys meet."""
    ledger.report_fees(late_fees("2", ("USD", "3")))
    ledger.book(fill("1", 10, 100, broker_order_id="o", cumulative=D(10)), SPY)
    booking = kept(ledger.book(fill("2", 10, 100, broker_order_id="o", cumulative=D(10)), SPY))
    assert booking.kind is BookingKind.FEES
    assert ledger.balances["USD"] == 98_997
    assert kept(ledger.report_fees(late_fees("1", ("USD", "4"), second=200))).fees == 4


# Corrections and busts.


def test_higher_revision_replaces_the_terms(ledger: Ledger) -> None:
    """A restated execution is booked as if it had been so from the start."""
    ledger.book(fill("1", 10, 100, ("USD", "1")), SPY)
    ledger.book(fill("2", -10, 110, ("USD", "1")), SPY)
    booking = kept(ledger.book(fill("1", 8, 101, ("USD", "0.5"), revision=1), SPY))
    assert booking.kind is BookingKind.CORRECTION
    assert booking.replaced == fill("1", 10, 100, ("USD", "1"))
    assert (booking.position_before, booking.position_after) == (0, -2)
    position = ledger.positions["SPY"]
    assert position.average_price == 110
    assert position.realised == 8 * 9 - D("1.5")
    assert ledger.balances["USD"] == 100_000 - 808 + 1100 - D("1.5")
    assert ledger.cash == float(ledger.balances["USD"])


def test_correction_booking_tells_the_new_profit(ledger: Ledger) -> None:
    """The profit of a restated closing is that of its new terms."""
    ledger.book(fill("1", 10, 100), SPY)
    ledger.book(fill("2", -10, 110), SPY)
    booking = kept(ledger.correct(restated("2", 3, fill("2", -10, 120, ("USD", "1"))), SPY))
    assert booking.realised == 199
    assert booking.fees == 1
    assert ledger.executions["2"].revision == 3


def test_stale_revision_is_ignored(ledger: Ledger) -> None:
    """What a newer revision replaced does not come back."""
    ledger.book(fill("1", 10, 100, revision=2), SPY)
    assert ledger.book(fill("1", 9, 100, revision=1), SPY) is None
    assert ledger.correct(restated("1", 1, fill("1", 9, 100)), SPY) is None
    assert ledger.correct(bust("1", revision=1), None) is None
    assert ledger.positions["SPY"].quantity == 10


def test_bust_takes_everything_out(ledger: Ledger) -> None:
    """A busted execution leaves no unit, no cash and no fee behind, and stays out."""
    ledger.book(fill("1", 10, 100, ("USD", "1"), ("BNB", "2")), SPY)
    booking = kept(ledger.correct(bust("1"), None))
    assert booking.kind is BookingKind.BUST
    assert booking.fill.size == 10
    assert (booking.position_before, booking.position_after) == (10, 0)
    assert (booking.realised, booking.fees, booking.raw_fees) == (None, 0, ())
    assert ledger.balances == {"USD": 100_000, "BNB": 0}
    assert ledger.cash == 100_000.0
    assert ledger.positions["SPY"].realised == 0
    assert ledger.positions["SPY"].units == 0.0
    assert ledger.correct(bust("1"), None) is None
    assert ledger.book(fill("1", 10, 100), SPY) is None
    assert ledger.report_fees(late_fees("1", ("USD", "1"))) is None
    assert ledger.balances["USD"] == 100_000


def test_bust_that_overtakes_its_fill_holds(ledger: Ledger) -> None:
    """A fill whose bust is known already is not booked."""
    assert ledger.correct(bust("1", revision=0), None) is None
    assert ledger.book(fill("1", 10, 100), SPY) is None
    position = ledger.positions["SPY"]
    assert (position.quantity, position.units, position.cost, position.realised) == (0, 0.0, 0, 0)


def test_execution_restated_after_its_bust_is_back(ledger: Ledger) -> None:
    """A revision above the bust's puts the execution in again."""
    ledger.book(fill("1", 10, 100), SPY)
    ledger.correct(bust("1"), None)
    booking = kept(ledger.book(fill("1", 7, 100, revision=2), SPY))
    assert booking.kind is BookingKind.FILL
    assert ledger.positions["SPY"].quantity == 7


def test_correction_that_overtakes_its_fill_is_a_fill(ledger: Ledger) -> None:
    """The first version seen is booked, whatever its revision; the original then comes too late."""
    booking = kept(ledger.correct(restated("1", 1, fill("1", 9, 100)), SPY))
    assert booking.kind is BookingKind.FILL
    assert ledger.book(fill("1", 10, 100), SPY) is None
    assert ledger.positions["SPY"].quantity == 9


def test_correction_may_move_an_execution_to_another_symbol(ledger: Ledger) -> None:
    """Both symbols end as if the execution had always been in the second."""
    ledger.book(fill("1", 10, 100), SPY)
    ledger.correct(restated("1", 1, fill("1", 1, 5000, symbol="ES")), ES)
    assert ledger.positions["SPY"].quantity == 0
    assert ledger.positions["SPY"].units == 0.0
    assert ledger.positions["ES"].quantity == 1
    assert ledger.balances["USD"] == 100_000 - 250_000


def test_same_terms_in_a_higher_revision_change_nothing(ledger: Ledger) -> None:
    """A revision that repeats terms and fees moves no book, and is remembered."""
    ledger.book(fill("1", 10, 100), SPY)
    assert ledger.book(fill("1", 10, 100, revision=1), SPY) is None
    assert ledger.executions["1"].revision == 1
    assert kept(ledger.correct(bust("1", revision=1), None)).fill.revision == 1


def test_restated_fill_needs_its_instrument(ledger: Ledger) -> None:
    """Only a bust can be booked without knowing the instrument."""
    with pytest.raises(InvariantViolation, match="instrument is not given"):
        ledger.correct(restated("1", 1, fill("1", 9, 100)), None)


# Late fees.


def test_late_fees_are_charged_once(ledger: Ledger) -> None:
    """A report replaces earlier figures; repeated, it changes nothing."""
    ledger.book(fill("1", 10, 100, fees=None), SPY)
    ledger.book(fill("2", -10, 110, fees=None), SPY)
    booking = kept(ledger.report_fees(late_fees("2", ("USD", "2"))))
    assert booking.kind is BookingKind.FEES
    assert (booking.realised, booking.fees) == (98, 2)
    assert (booking.position_before, booking.position_after) == (0, 0)
    assert ledger.report_fees(late_fees("2", ("USD", "2"))) is None
    assert ledger.balances["USD"] == 100_098
    assert ledger.cash == 100_098.0
    assert ledger.positions["SPY"].realised == 98
    assert kept(ledger.report_fees(late_fees("2", ("USD", "3"), second=101))).realised == 97
    assert ledger.report_fees(late_fees("2", ("USD", "9"), second=99)) is None
    assert ledger.balances["USD"] == 100_097
    assert ledger.positions["SPY"].realised == 97


def test_late_fees_that_overtake_their_fill_wait_for_it(ledger: Ledger) -> None:
    """A report for an execution not seen yet is charged with it, and outranks the fill's own figure."""
    assert ledger.report_fees(late_fees("1", ("USD", "2"))) is None
    assert ledger.balances["USD"] == 100_000
    booking = kept(ledger.book(fill("1", 10, 100, ("USD", "1")), SPY))
    assert booking.kind is BookingKind.FILL
    assert booking.fees == 2
    assert ledger.balances["USD"] == 98_998


@pytest.mark.parametrize("revision", [0, 1])
def test_report_outranks_the_figure_of_the_fill_it_overtook(ledger: Ledger, revision: int) -> None:
    """A fill received after the report brings no newer fees, unless it is a revision that says them anew."""
    ledger.report_fees(late_fees("1", ("USD", "2"), second=5))
    assert kept(ledger.book(fill("1", 1, 100, ("USD", "1"), second=5, revision=revision), SPY)).fees == 2
    ledger.report_fees(late_fees("2", ("USD", "2"), second=5))
    booking = kept(ledger.book(fill("2", 1, 100, ("USD", "1"), second=6, revision=revision), SPY))
    assert booking.fees == (2 if revision == 0 else 1)


def test_late_base_fee_reduces_the_position(ledger: Ledger) -> None:
    """A late fee in the base asset works like one that came with the fill."""
    ledger.book(fill("1", 1, 60000, fees=None, symbol="BTC-USD"), BTC)
    ledger.book(fill("2", "-0.5", 70000, symbol="BTC-USD"), BTC)
    booking = kept(ledger.report_fees(late_fees("1", ("BTC", "0.001"))))
    assert (booking.position_before, booking.position_after) == (D("0.5"), D("0.499"))
    assert ledger.balances["BTC"] == D("0.499")
    assert ledger.positions["BTC-USD"].units == 0.499
    assert ledger.positions["BTC-USD"].realised == 5000 - 60


def test_late_fees_survive_a_correction_that_names_none(ledger: Ledger) -> None:
    """A restated fill without fees keeps the reported ones; one that names newer fees brings them."""
    ledger.book(fill("1", 10, 100, fees=None), SPY)
    ledger.report_fees(late_fees("1", ("USD", "2"), second=10))
    ledger.correct(restated("1", 1, fill("1", 9, 100, fees=None, second=20)), SPY)
    assert ledger.balances["USD"] == 100_000 - 900 - 2
    ledger.correct(restated("1", 2, fill("1", 9, 100, ("USD", "5"), second=30)), SPY)
    assert ledger.balances["USD"] == 100_000 - 900 - 5
    ledger.report_fees(late_fees("1", ("USD", "6"), second=40))
    assert ledger.balances["USD"] == 100_000 - 900 - 6


def test_restated_fill_older_than_the_report_keeps_the_reported_fees(ledger: Ledger) -> None:
    """Fees that a restated fill named before the report came are earlier figures."""
    ledger.report_fees(late_fees("1", ("USD", "2"), second=10))
    booking = kept(ledger.book(fill("1", 10, 100, ("USD", "1"), second=5, revision=1), SPY))
    assert booking.fees == 2


# Flows and changes.


def test_flow_moves_one_balance_once(ledger: Ledger) -> None:
    """A dividend arrives twice and counts once; a new asset appears."""
    assert ledger.flow(flow("d1", "USD", "12.5"))
    assert not ledger.flow(flow("d1", "USD", "12.5"))
    assert ledger.flow(flow("d2", "BTC", "0.1"))
    assert ledger.balances == {"USD": D("100012.5"), "BTC": D("0.1")}
    assert ledger.cash == 100012.5
    assert not ledger.positions
    ledger.add_instrument(BTC)
    assert ledger.equity({"BTC-USD": 10.0}.__getitem__) == 100013.5
    assert ledger.flow(flow("d3", "BTC", "0.1"))
    assert ledger.equity({"BTC-USD": 10.0}.__getitem__) == 100014.5


def test_split_keeps_the_cost(ledger: Ledger) -> None:
    """A two-for-one split doubles the units and halves the average price."""
    ledger.book(fill("1", 10, 100), SPY)
    assert ledger.change_position(change("s", "10", kind="split"))
    assert not ledger.change_position(change("s", "10", kind="split"))
    position = ledger.positions["SPY"]
    assert (position.quantity, position.units, position.average_price) == (20, 20.0, 50)
    assert ledger.balances == {"USD": 99_000}
    assert position.realised == 0


@pytest.mark.parametrize(
    ("held", "quantity", "average"),
    [(10, "5", 100), (10, "-4", 100), (-10, "4", 100), (10, "-10", 0), (10, "-15", 0), (0, "5", 0)],
)
def test_transfer_moves_units_at_the_average_price(
    ledger: Ledger, held: int, quantity: str, average: int
) -> None:
    """Units without a price realise nothing; where no average stands, they are carried at zero."""
    if held:
        ledger.book(fill("1", held, 100), SPY)
    ledger.change_position(change("t", quantity))
    position = ledger.positions["SPY"]
    assert position.quantity == held + D(quantity)
    assert position.units == float(position.quantity)
    assert position.average_price == average
    assert position.realised == 0


def test_change_takes_its_place_in_time(ledger: Ledger) -> None:
    """A split that is reported after later trades applies before them."""
    ledger.book(fill("1", 10, 100), SPY)
    ledger.book(fill("60", -20, 55), SPY)
    ledger.change_position(change("s", "10", kind="split", second=50))
    assert ledger.positions["SPY"].quantity == 0
    assert ledger.positions["SPY"].realised == 100


def test_change_before_any_fill_does_not_fix_the_booking_terms(ledger: Ledger) -> None:
    """A position adopted before its instrument was known is booked by the instrument from then on."""
    adopted = PositionChange("A1", "c", "ES", D(2), at(0), kind="adopted")
    ledger.change_position(adopted)
    ledger.book(fill("1", -1, 10, symbol="ES"), ES)
    assert ledger.balances["USD"] == 100_500
    assert ledger.positions["ES"].multiplier == 50
    assert ledger.positions["ES"].factor == 50.0


# Refusals.


def test_events_of_another_account_are_refused(ledger: Ledger) -> None:
    """A ledger that knows its account takes nothing that belongs to another."""
    calls: list[Callable[[], object]] = [
        lambda: ledger.book(fill("1", 10, 100, account="B2"), SPY),
        lambda: ledger.correct(FillCorrection("B2", "1", 1, None, T0), None),
        lambda: ledger.report_fees(FeeReport("B2", "1", (), T0)),
        lambda: ledger.flow(flow("f", "USD", "1", account="B2")),
        lambda: ledger.change_position(evolve(change("c", "1"), account="B2")),
    ]
    before = ledger.snapshot()
    for call in calls:
        with pytest.raises(InvariantViolation, match="account A1 was handed an event of account B2"):
            call()
    assert ledger.snapshot() == before
    anyone = Ledger(currency="USD", cash=D(0))
    assert anyone.book(fill("1", 10, 100, account="B2"), SPY) is not None


def test_fill_with_another_instrument_is_refused(ledger: Ledger) -> None:
    """The instrument must be the fill's own."""
    with pytest.raises(InvariantViolation, match="a fill in SPY came with the instrument of ES"):
        ledger.book(fill("1", 10, 100), ES)
    assert not ledger.positions


def test_changed_booking_terms_are_refused(ledger: Ledger) -> None:
    """Other rules may change during a run; multiplier, base and cash asset of booked fills may not."""
    ledger.book(fill("1", 1, 5000, symbol="ES"), ES)
    ledger.book(fill("2", 1, 5000, symbol="ES"), evolve(ES, size_step=D(2)))
    with pytest.raises(InvariantViolation, match="multiplier 50; its instrument now says USD, None, 5"):
        ledger.book(fill("3", 1, 5000, symbol="ES"), evolve(ES, multiplier=D(5)))
    assert ledger.positions["ES"].quantity == 2


# Equity.


def test_equity_adds_positions_at_their_price(ledger: Ledger) -> None:
    """Cash plus units times price times multiplier; a flat position needs no price."""
    ledger.book(fill("1", 10, 100), SPY)
    ledger.book(fill("2", -2, 5000, symbol="ES"), ES)
    prices = {"SPY": 101.5, "ES": 4990.0}
    assert ledger.equity(prices.__getitem__) == 100_000 + 15 + 1000
    ledger.book(fill("3", 2, 4990, symbol="ES"), ES)
    assert ledger.equity({"SPY": 101.5}.__getitem__) == 101_015
    assert ledger.unpriced == ()


def test_equity_values_spot_by_its_balance(ledger: Ledger) -> None:
    """All of an asset counts, also what was there before the first fill, and counts once."""
    ledger.add_instrument(BTC)
    ledger.flow(flow("f", "BTC", "2"))
    ledger.book(fill("1", 1, 20000, symbol="BTC-USD"), BTC)
    assert ledger.equity({"BTC-USD": 30000.0}.__getitem__) == 80_000 + 90_000
    ledger.book(fill("2", -1, 20000, symbol="BTC-USD"), BTC)
    assert ledger.equity({"BTC-USD": 30000.0}.__getitem__) == 100_000 + 60_000


def test_equity_leaves_out_what_has_no_price_and_names_it(ledger: Ledger) -> None:
    """No price is invented: NaN, or an asset nothing is traded in, is left out and listed."""
    ledger.flow(flow("f", "BNB", "3"))
    ledger.flow(flow("g", "EUR", "0"))
    ledger.book(fill("1", 10, 100), SPY)
    ledger.book(fill("2", 1, 20000, symbol="BTC-USD"), BTC)
    assert ledger.equity(lambda symbol: math.nan) == 79_000
    assert ledger.unpriced == ("SPY", "BNB", "BTC")
    assert ledger.equity({"SPY": 100.0, "BTC-USD": 20000.0}.__getitem__) == 100_000
    assert ledger.unpriced == ("BNB",)


def test_equity_converts_another_settle_currency_where_a_pair_is_known(ledger: Ledger) -> None:
    """A euro share counts with the euro cash it was bought with, once euro has a price in dollars."""
    ledger.book(fill("1", 10, 100, symbol="SAP"), SAP)
    prices = {"SAP": 110.0, "EUR-USD": 1.25}
    assert ledger.equity(prices.__getitem__) == 100_000
    assert ledger.unpriced == ("EUR",)
    ledger.add_instrument(EURUSD)
    assert ledger.equity(prices.__getitem__) == 100_000 + 125
    assert ledger.unpriced == ()


def test_pair_in_another_currency_is_no_price(ledger: Ledger) -> None:
    """BTC priced in euro does not value BTC in a dollar run."""
    ledger.add_instrument(evolve(BTC, symbol="BTC-EUR", quote="EUR"))
    ledger.flow(flow("f", "BTC", "1"))
    assert ledger.equity({"BTC-EUR": 50000.0}.__getitem__) == 100_000
    assert ledger.unpriced == ("BTC",)


# Snapshots.


def busy_ledger() -> Ledger:
    ledger = Ledger(currency="USD", cash=D("100000.00"), account="A1")
    ledger.add_instrument(EURUSD)
    ledger.book(fill("1", 10, "100.10", fees=None, broker_order_id="o", cumulative=D(10)), SPY)
    ledger.book(fill("1b", 10, "100.10", second=1, broker_order_id="o", cumulative=D(10)), SPY)
    ledger.book(fill("2", "0.5", 60000, ("BTC", "0.0005"), symbol="BTC-USD"), BTC)
    ledger.book(fill("3", -3, 105, ("USD", "1")), SPY)
    ledger.correct(bust("9"), None)
    ledger.report_fees(late_fees("8", ("USD", "2")))
    ledger.report_fees(late_fees("1", ("USD", "0.35")))
    ledger.flow(flow("f", "EUR", "7"))
    ledger.change_position(change("s", "7", kind="split"))
    return ledger


def through_json(ledger: Ledger) -> Ledger:
    restored = Ledger(currency="USD", cash=D(1))
    restored.flow(flow("gone", "EUR", "1"))
    prices: dict[str, float] = {}
    restored.equity(prices.__getitem__)
    restored.restore(json.loads(json.dumps(ledger.snapshot(), allow_nan=False)))
    return restored


def test_snapshot_restores_the_same_books() -> None:
    """Through JSON and back, every figure is the same."""
    ledger = busy_ledger()
    again = through_json(ledger)
    assert again.snapshot() == ledger.snapshot()
    assert (again.balances, again.cash, again.account) == (ledger.balances, ledger.cash, "A1")
    for symbol, position in ledger.positions.items():
        other = again.positions[symbol]
        assert (other.quantity, other.units, other.cost, other.realised, other.average_price) == (
            position.quantity,
            position.units,
            position.cost,
            position.realised,
            position.average_price,
        )
    prices = {"SPY": 51.0, "BTC-USD": 61000.0, "EUR-USD": 1.1}
    assert again.equity(prices.__getitem__) == ledger.equity(prices.__getitem__)
    assert again.unpriced == ()


def test_restored_ledger_remembers_what_it_has_seen() -> None:
    """Duplicates stay duplicates, and waiting busts, fees and corrections still find their fill."""
    ledger = through_json(busy_ledger())
    assert ledger.book(fill("1", 10, "100.10", broker_order_id="o", cumulative=D(10)), SPY) is None
    assert ledger.book(fill("1c", 10, "100.1", second=1, broker_order_id="o", cumulative=D(10)), SPY) is None
    assert not ledger.flow(flow("f", "EUR", "7"))
    assert not ledger.change_position(change("s", "7", kind="split"))
    assert ledger.book(fill("9", 10, 100), SPY) is None
    assert kept(ledger.book(fill("8", 1, 100), SPY)).fees == 2
    assert kept(ledger.correct(bust("1b"), None)).fill.execution_key == "1"
    assert ledger.positions["SPY"].quantity == 10 - 3 + 7 + 1 - 10


def test_snapshot_is_readable() -> None:
    """A person finds quantity, average price and realised profit in the file."""
    spy = busy_ledger().snapshot()["positions"]["SPY"]
    assert (spy["quantity"], Decimal(spy["average_price"]), Decimal(spy["realised"])) == (
        "14",
        D("50.05"),
        D("14.7") - D("1.35"),
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.pop("balances"),
        lambda data: data["balances"].pop("USD"),
        lambda data: data["balances"].update(USD="a lot"),
        lambda data: data["positions"]["SPY"].update(quantity="15"),
        lambda data: data["positions"]["SPY"]["history"].append(99),
        lambda data: data["positions"]["SPY"]["history"].append(3),
        lambda data: data["executions"][0].pop(),
        lambda data: data.update(positions=None),
    ],
)
def test_damaged_snapshot_is_refused(damage: Callable[[dict[str, Any]], object]) -> None:
    """Missing parts and figures that contradict each other stop the restore."""
    ledger = busy_ledger()
    data = ledger.snapshot()
    damage(data)
    with pytest.raises(StateCorrupt, match="the ledger's snapshot cannot be read"):
        ledger.restore(data)
    assert ledger.snapshot() == busy_ledger().snapshot()


@pytest.mark.parametrize("own", [{"currency": "EUR"}, {"account": "B2"}], ids=str)
def test_snapshot_of_other_books_is_refused(own: dict[str, Any]) -> None:
    """Books in another currency, or of another account, are not taken over."""
    ledger = Ledger(**{"currency": "USD", "cash": D(5), **own})
    data = busy_ledger().snapshot()
    data["balances"]["EUR"] = "7"
    with pytest.raises(StateMismatch, match="the books are in USD of account 'A1'"):
        ledger.restore(data)
    assert list(ledger.balances.values()) == [5]


def test_restored_ledger_keeps_the_instruments_it_was_given() -> None:
    """What was added before the restore still prices a balance after it."""
    ledger = Ledger(currency="USD", cash=D(0), account="A1")
    empty = ledger.snapshot()
    ledger.add_instrument(EURUSD)
    ledger.restore(empty)
    ledger.flow(flow("f", "EUR", "7"))
    assert ledger.equity({"EUR-USD": 2.0}.__getitem__) == 14

"""What orders slipped, against figures worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import evolve

from alphaweave.core.clock import from_ns
from alphaweave.core.instrument import Instrument
from alphaweave.core.market import Bar, BarSource
from alphaweave.core.order import OrderRequest, OrderType, Side, TimeInForce
from alphaweave.live.input_codec import to_document
from alphaweave.live.inputs import SliceInput
from alphaweave.live.journal_records import Decision, Entry, Intent, IntentKind, JournalRow
from alphaweave.live.order_codec import request_to_state
from alphaweave.live.slices import Slice
from alphaweave.live.slippage import Slippage
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue

MINUTE = 60_000_000_000
BEGIN = 1_704_207_600_000_000_000
FB = Instrument(symbol="FB", venue_symbol="FB", multiplier=Decimal(2))


class Journal:
    """Rows of a journal, made one by one and shown to a slippage."""

    def __init__(self) -> None:
        venue = SimVenue(
            instruments={"FB": FB},
            settings=VenueSettings(check_funds=False),
            cash=Decimal(1000),
            currency="USD",
        )
        self.slippage = Slippage(venue, {"FB": FB})
        self.seq = 0

    def row(self, kind: str, at: int, payload: Mapping[str, Any], **parts: Any) -> None:
        self.seq += 1
        decision = Decision(input_kind=kind, input_key=str(self.seq), at_ns=at, payload=payload, **parts)
        self.slippage.see(JournalRow(self.seq, 1, decision))

    def slice(self, number: int, prices: tuple[float, float, float, float], *intents: Intent) -> None:
        """The bar of a minute, half a second after it ended."""
        start, end = BEGIN + (number - 1) * MINUTE, BEGIN + number * MINUTE
        bar = Bar("FB", "1m", from_ns(start), from_ns(end), *prices, 1e6, BarSource.LIVE)
        at = end + 500_000_000
        self.row("slice", at, to_document(SliceInput(at, Slice(end, (bar,)))), intents=intents)

    def fill(self, key: str, order: str | None, size: str, price: str, kind: str = "execution") -> None:
        data = {
            "execution_key": key,
            "revision": 0,
            "client_order_id": order,
            "size": size,
            "price": price,
        }
        entry = Entry(kind, data, "A", key)
        self.row("broker", BEGIN, {}, entries=(entry,))


def order(
    name: str, number: int, side: Side, size: int, limit: str | None = None, kind: str = "submit"
) -> Intent:
    request = OrderRequest(
        symbol="FB",
        side=side,
        quantity=Decimal(size),
        type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        tif=TimeInForce.GTC,
        limit_price=None if limit is None else Decimal(limit),
    )
    return Intent(name, name, kind, {"request": request_to_state(request)}, BEGIN + number * MINUTE)


def replaced(name: str, of: str, number: int, limit: str) -> Intent:
    change = {"quantity": None, "limit_price": limit, "stop_price": None, "trail": None}
    document = {"change": change, "replaces": of, "symbol": "FB"}
    return Intent(name, of, IntentKind.REPLACE, document, BEGIN + number * MINUTE)


def cancelled(name: str, number: int) -> Intent:
    return Intent(name, name, IntentKind.CANCEL, {"symbol": "FB"}, BEGIN + number * MINUTE)


def test_slippage_is_what_was_worked_out_by_hand() -> None:
    """A buy that paid more, a sale that got more, one that only paper filled, and one that nobody did."""
    day = Journal()
    day.slice(
        1,
        (99, 99, 99, 99),
        order("a", 1, Side.BUY, 10),
        order("b", 1, Side.SELL, 5, "105"),
        order("d", 1, Side.BUY, 1, "10"),
    )
    day.fill("1", "a", "4", "100.5")
    day.fill("2", "a", "6", "101")
    day.slice(2, (100, 106, 99, 104), order("c", 2, Side.BUY, 3), replaced("d2", "d", 2, "11"))
    day.fill("3", "b", "5", "105.21")
    day.slice(3, (103, 104, 102, 103), cancelled("d2", 3))
    day.fill("4", None, "7", "1")
    day.slippage.end()
    a, b, d, c = day.slippage.orders()
    # 4 at 100.5 and 6 at 101 is 100.8 for 100; ten units of a multiplier of two.
    assert (a.price, a.paper_price, a.bps, a.cost) == (
        Decimal("100.8"),
        Decimal(100),
        Decimal(80),
        Decimal(16),
    )
    assert (b.price, b.paper_price, b.bps, b.cost) == (
        Decimal("105.21"),
        Decimal(105),
        Decimal(-20),
        Decimal("-2.10"),
    )
    assert (c.price, c.paper_price, c.paper_filled, c.bps) == (None, Decimal(103), Decimal(3), None)
    assert (d.price, d.paper_price, d.filled, d.paper_filled) == (None, None, 0, 0)
    totals = day.slippage.totals()
    assert (totals.orders, totals.filled, totals.paper_filled, totals.compared) == (4, 2, 3, 2)
    assert (totals.notional, totals.cost) == (Decimal(3050), Decimal("13.90"))
    assert totals.bps is not None
    assert round(totals.bps, 4) == Decimal("45.5738")


def test_replaced_order_is_one_order_on_both_sides() -> None:
    """Whichever version was filled, and by whom."""
    day = Journal()
    day.slice(1, (100, 100, 100, 100), order("a", 1, Side.BUY, 2, "90"))
    day.slice(2, (100, 100, 99, 100), replaced("a2", "a", 2, "98"))
    day.fill("1", "a2", "2", "98.49")
    day.slice(3, (99, 100, 97, 98))
    day.slippage.end()
    (a,) = day.slippage.orders()
    assert (a.order_id, a.filled, a.paper_filled, a.paper_price) == ("a", 2, 2, 98)
    assert a.bps == 50


def test_correction_and_bust_change_what_was_filled() -> None:
    day = Journal()
    day.slice(1, (100, 100, 100, 100), order("a", 1, Side.BUY, 2), order("b", 1, Side.BUY, 1))
    day.slice(2, (100, 100, 100, 100))
    day.fill("1", None, "2", "103")
    # Its name was learned later, then its price was corrected; the other's execution was taken back.
    day.fill("1", "a", "2", "103", kind="booked_again")
    fill = {"execution_key": "1", "revision": 1, "client_order_id": None, "size": "2", "price": "101"}
    restated = Entry("correction", {"execution_key": "1", "revision": 1, "fill": fill}, "A", "1", 1)
    day.row("broker", BEGIN, {}, entries=(restated,))
    day.fill("2", "b", "1", "100")
    bust = Entry("correction", {"execution_key": "2", "revision": 1, "fill": None}, "A", "2", 1)
    day.row("broker", BEGIN, {}, entries=(bust,))
    day.slippage.end()
    a, b = day.slippage.orders()
    assert (a.filled, a.price, a.bps) == (2, 101, 100)
    assert (b.filled, b.price, b.paper_filled) == (0, None, 1)


def test_slice_that_was_over_when_an_order_was_decided_is_seen_before_it() -> None:
    """An order that follows on a fill is no older than the bars that had ended by then."""
    day = Journal()
    day.slice(1, (100, 100, 100, 100))
    intent = evolve(order("a", 1, Side.BUY, 1), decided_at=BEGIN + MINUTE)
    day.row("broker", BEGIN + 2 * MINUTE, {}, intents=(intent,))
    day.slice(2, (200, 200, 200, 200))
    day.slice(3, (300, 300, 300, 300))
    day.slippage.end()
    (a,) = day.slippage.orders()
    assert a.paper_price == 300

"""Inputs are written to the journal and read back as they were."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.errors import StateCorrupt
from alphaweave.core.instrument import Instrument, PriceStep
from alphaweave.core.market import Bar, BarCorrection, BarSource
from alphaweave.core.money import Money
from alphaweave.core.order import OrderRef, OrderRequest, OrderStatus, OrderType, Side, TimeInForce, Trail
from alphaweave.live.actions import AccountQuery, FillsQuery, InstrumentsQuery, OpenOrdersQuery, OrderQuery
from alphaweave.live.control_records import Command, Verb
from alphaweave.live.datafeed import FeedGap
from alphaweave.live.input_codec import from_document, to_document
from alphaweave.live.inputs import (
    AnswerInput,
    BrokerInput,
    CommandInput,
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
from alphaweave.live.reports import (
    Balance,
    BrokerAccountState,
    BrokerFill,
    BrokerNotice,
    BrokerOrder,
    CashFlow,
    ConnectionLost,
    ConnectionRestored,
    FeeReport,
    FillCorrection,
    FillQuery,
    FillReport,
    OrderAck,
    OrderUpdate,
    PositionChange,
)
from alphaweave.live.slices import LateBar, Slice

NOW = datetime(2024, 1, 2, 21, 0, 0, 123456, tzinfo=UTC)
BAR = Bar("SPY", "1d", NOW, NOW, 0.1, 0.30000000000000004, 0.1, 0.2, 1e7, BarSource.BACKFILL)
REF = OrderRef("aw-1", "SPY", "B7", {"orderId": "12"}, NOW)
REQUEST = OrderRequest(
    "SPY",
    Side.SELL,
    Decimal("1.50"),
    type=OrderType.TRAILING_STOP,
    tif=TimeInForce.GTC,
    trail=Trail(Decimal(2)),
)
FILL = BrokerFill(
    "DU1",
    "e1",
    "B7",
    None,
    "SPY",
    Side.BUY,
    Decimal("1.50"),
    Decimal("0.1"),
    NOW,
    NOW,
    2,
    Decimal("3.0"),
    (Money("USD", Decimal("-0.10")),),
    True,
)
ORDER = BrokerOrder(REF, "aw-1", OrderStatus.ACCEPTED, Side.BUY, None, Decimal(0), NOW, REQUEST)
EVENTS = (
    FILL,
    OrderUpdate(
        REF, OrderStatus.PARTIALLY_FILLED, NOW, Decimal(1), Decimal("9.5"), "why", "text", NOW, "aw-2"
    ),
    FeeReport("DU1", "e1", (Money("USD", Decimal("0.10")),), NOW),
    FillCorrection("DU1", "e1", 2, FILL, NOW),
    FillCorrection("DU1", "e1", 3, None, NOW, "busted"),
    CashFlow("DU1", "c1", "dividend", Money("USD", Decimal("1.1")), NOW, "SPY"),
    PositionChange("DU1", "p1", "SPY", Decimal(-3), NOW, Decimal(2), "split"),
    ConnectionLost(NOW, "silence"),
    ConnectionRestored(NOW),
    BrokerNotice(NOW, "warning", "c", "t"),
)
ACCOUNT = BrokerAccountState(
    "DU1", NOW, "USD", {"USD": Balance(Decimal("1.0"), None, Decimal(0))}, {"SPY": Decimal(3)}, foreign=("X",)
)
INSTRUMENT = Instrument(
    symbol="SPY",
    venue_symbol="SPY",
    price_steps=(PriceStep(Decimal(0), Decimal("0.01")),),
    order_types=frozenset({(OrderType.MARKET, TimeInForce.DAY), (OrderType.LIMIT, TimeInForce.GTC)}),
)
INPUTS = (
    SliceInput(1, Slice(5, (BAR,))),
    LateBarInput(2, LateBar(BAR)),
    CorrectionInput(3, BarCorrection(BAR)),
    GapInput(4, FeedGap("SPY", "1d", NOW, NOW, True, "r")),
    FeedLinkInput(5, False, "r"),
    *(BrokerInput(6, event) for event in EVENTS),
    OutcomeInput(7, "aw-1", SendOutcome(OutcomeKind.ACKED, (OrderAck(REF, NOW),))),
    OutcomeInput(7, "aw-1", SendOutcome(OutcomeKind.CANCEL_REJECTED, order_state="gone", code="7", text="t")),
    AnswerInput(8, OrderQuery(REF, 1), None),
    AnswerInput(8, OrderQuery(REF, 1), ORDER),
    AnswerInput(8, OpenOrdersQuery(2, ("SPY",)), (ORDER, ORDER)),
    AnswerInput(8, FillsQuery(FillQuery(NOW, None, "c"), 3), FillReport((FILL,), {"SPY": NOW}, "d")),
    AnswerInput(8, AccountQuery(4), ACCOUNT),
    AnswerInput(8, InstrumentsQuery(("SPY",), 5), {"SPY": INSTRUMENT}),
    AnswerInput(8, AccountQuery(4), error="timed out"),
    CommandInput(9, Command(1, Verb.HALT, "", "eva", "odd", 3, 4, None, None)),
    TimerInput(10),
)


@pytest.mark.parametrize("given", INPUTS, ids=lambda given: f"{given.kind}:{given.key}")
def test_an_input_comes_back_as_it_was(given: Any) -> None:
    """Every kind of input survives JSON, digit for digit."""
    text = json.dumps(to_document(given), allow_nan=False)
    back = from_document(json.loads(text))
    assert back == given
    assert repr(to_document(back)) == repr(to_document(given))


def test_a_decimal_keeps_its_zeros() -> None:
    """1.50 does not become 1.5."""
    back = from_document(to_document(BrokerInput(6, FILL)))
    assert str(back.event.size) == "1.50"


def test_a_number_that_is_none_can_be_written() -> None:
    """A bar with a price that is not a number cannot break the journal."""
    given = SliceInput(1, Slice(5, (Bar("SPY", "1d", NOW, NOW, float("nan"), 1.0, 1.0, 1.0, 1.0),)))
    back = from_document(json.loads(json.dumps(to_document(given), allow_nan=False)))
    assert back.slice.bars[0].open != back.slice.bars[0].open


@pytest.mark.parametrize(
    "document", [{"r": "Popen"}, {"x": 1}, {"r": "TimerInput", "no": 1}, {"d": "abc"}, {}]
)
def test_what_is_no_input_is_refused(document: Any) -> None:
    """Nothing in a journal names code, and damage is told as such."""
    with pytest.raises(StateCorrupt):
        from_document(document)


def test_what_no_input_holds_is_not_written() -> None:
    """An object of another kind is a mistake of the caller's."""
    with pytest.raises(TypeError, match="no part of an input"):
        to_document(object())

"""Alpaca's words and AlphaWeave's."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from alphaweave.core.errors import OrderState
from alphaweave.core.order import OrderRequest, OrderStatus, OrderType, RejectReason, Side, TimeInForce
from alphaweave.live.broker import BrokerFill, OrderUpdate
from alphaweave_broker_alpaca.mapping import (
    amount,
    cancel_state,
    instrument_of,
    is_repeated_id,
    moment,
    order_body,
    reject_reason,
    status_of,
)
from alphaweave_broker_alpaca.translator import Translator

OURS = "awabcde-" + "a" * 22
NOW = datetime(2026, 10, 8, 15, 0, tzinfo=UTC)


def order(**changes: object) -> dict[str, object]:
    told: dict[str, object] = {
        "id": "b1",
        "client_order_id": OURS,
        "symbol": "SPY",
        "side": "buy",
        "type": "limit",
        "time_in_force": "day",
        "qty": "10",
        "limit_price": "150.00",
        "filled_qty": "0",
        "filled_avg_price": None,
        "status": "new",
    }
    return told | changes


def test_numbers_leave_as_plain_text() -> None:
    """A small size has no exponent, and a price is no float."""
    request = OrderRequest(
        "SPY", Side.BUY, Decimal("1E-8"), type=OrderType.LIMIT, limit_price=Decimal("86.10")
    )
    body = order_body(request, "SPY", OURS)
    assert (body["qty"], body["limit_price"]) == ("0.00000001", "86.1")


def test_auctions_have_words_of_their_own() -> None:
    """The opening auction is `opg`, the closing one `cls`."""
    words = [
        order_body(OrderRequest("SPY", Side.BUY, Decimal(1), tif=tif), "SPY", OURS)["time_in_force"]
        for tif in (TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE)
    ]
    assert words == ["opg", "cls"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-08T15:10:18.094153596Z", datetime(2026, 10, 8, 15, 10, 18, 94153, tzinfo=UTC)),
        ("2026-10-08T11:10:18.1-04:00", datetime(2026, 10, 8, 15, 10, 18, 100000, tzinfo=UTC)),
        ("2026-10-08T20:00:00Z", datetime(2026, 10, 8, 20, tzinfo=UTC)),
    ],
)
def test_times_have_any_fraction_and_offset(text: str, expected: datetime) -> None:
    """Nanoseconds are cut, and an offset is taken off."""
    assert moment(text) == expected


def test_a_time_without_a_zone_is_refused() -> None:
    """Nobody guesses a zone."""
    with pytest.raises(ValueError, match="offset"):
        moment("2026-10-08T20:00:00")


@pytest.mark.parametrize("wrong", [None, True, "NaN", "Infinity", "ten", {}])
def test_what_is_no_number_is_refused(wrong: object) -> None:
    """A figure that is missing is not zero."""
    with pytest.raises(ValueError, match="qty"):
        amount(wrong, "qty")


def test_a_status_that_is_new_to_us_is_an_order_that_works() -> None:
    """An order is over only under a word that says so."""
    assert status_of("held_for_lunch", Decimal(0)) is OrderStatus.ACCEPTED
    assert status_of("done_for_day", Decimal(1)) is OrderStatus.PARTIALLY_FILLED
    assert status_of("canceled", Decimal(1)) is OrderStatus.CANCELLED


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (403, "insufficient buying power", RejectReason.INSUFFICIENT_FUNDS),
        (
            403,
            "insufficient qty available for order (requested: 2, available: 0)",
            RejectReason.INSUFFICIENT_FUNDS,
        ),
        (403, "potential wash trade detected. use complex orders", RejectReason.WOULD_CROSS),
        (403, "cost basis must be >= minimal amount of order 1", RejectReason.INVALID_SIZE),
        (422, "invalid limit_price 290.123. sub-penny increment", RejectReason.INVALID_PRICE),
        (422, 'asset "X" not found', RejectReason.UNKNOWN_SYMBOL),
        (422, "fractional orders cannot be sold short", RejectReason.NOT_SHORTABLE),
        (429, "rate limit exceeded", RejectReason.RATE_LIMITED),
        (422, "something new", RejectReason.OTHER),
    ],
)
def test_refusals_have_reasons(status: int, text: str, reason: RejectReason) -> None:
    """Alpaca's words have one of the reasons that are the same for every broker."""
    assert reject_reason(status, text) is reason


def test_a_refused_cancel_tells_of_the_order() -> None:
    """Only a word that is an end means that the order is gone."""
    assert cancel_state('order is already in "filled" state') is OrderState.GONE
    assert cancel_state('order is already in "pending_cancel" state') is OrderState.ALIVE
    assert cancel_state("no") is OrderState.UNKNOWN


def test_a_repeated_id_is_known_by_its_words() -> None:
    """Alpaca has two codes for it, and uses both for other things."""
    assert is_repeated_id("client_order_id must be unique")
    assert not is_repeated_id("client_order_id must be no more than 128 characters")


def test_an_event_of_an_unknown_kind_and_id_is_borne_with() -> None:
    """An execution id need not be a UUID, and a new event is an update of an order that works."""
    said = Translator(["SPY"], {})
    fill, update = said.event(
        {
            "event": "partial_fill",
            "timestamp": "2026-10-08T11:00:00-04:00",
            "order": order(status="partially_filled", filled_qty="4"),
            "price": "7.1831",
            "qty": "4",
            "execution_id": "not-a-uuid",
            "new_field": {},
        },
        NOW,
    )
    assert isinstance(fill, BrokerFill)
    assert isinstance(update, OrderUpdate)
    assert (fill.size, fill.price, fill.cumulative) == (Decimal(4), Decimal("7.1831"), Decimal(4))
    assert (fill.client_order_id, fill.foreign) == (OURS, False)
    assert update.status is OrderStatus.PARTIALLY_FILLED
    (strange,) = said.event({"event": "restated", "order": order()}, NOW)
    assert isinstance(strange, OrderUpdate)
    assert strange.status is OrderStatus.ACCEPTED


def test_a_short_position_is_negative_whatever_the_sign_of_its_quantity() -> None:
    """`side` decides, and fields that were taken away are not asked for."""
    said = Translator(["SPY", "BTC-USD"], {"BTC-USD": "BTC/USD"})
    account = {"account_number": "PA1", "cash": "10.50", "currency": "USD"}
    for written in ("5", "-5"):
        positions = [
            {"symbol": "SPY", "qty": written, "side": "short"},
            {"symbol": "BTCUSD", "qty": "0.5", "side": "long"},
        ]
        state = said.account_state(account, positions, NOW, complete=True)
        assert state.positions == {"SPY": Decimal(-5)}
        assert state.balances["BTC"].total == Decimal("0.5")
        assert state.foreign == ()


def test_coins_are_balances_whatever_they_are_paid_with() -> None:
    """Alpaca lists what a pair buys as a position in dollars; coins of nobody's pair are left alone."""
    said = Translator(["ETHBTC"], {"ETHBTC": "ETH/BTC"})
    account = {"account_number": "PA1", "cash": "10.50", "currency": "USD"}
    positions = [
        {"symbol": "ETHUSD", "qty": "2", "qty_available": "0.5", "side": "long"},
        {"symbol": "DOGEUSD", "qty": "7", "side": "long"},
    ]
    state = said.account_state(account, positions, NOW, complete=True)
    eth, btc = state.balances["ETH"], state.balances["BTC"]
    assert (eth.total, eth.available, eth.locked, btc.total) == (2, Decimal("0.5"), Decimal("1.5"), 0)
    assert (state.positions, state.foreign) == ({"DOGEUSD": 7}, ("DOGEUSD",))


def test_a_position_without_a_quantity_is_no_answer() -> None:
    """What is missing is not flat."""
    with pytest.raises(ValueError, match="qty"):
        Translator(["SPY"], {}).account_state(
            {"account_number": "PA1", "cash": "1"}, [{"symbol": "SPY"}], NOW, complete=True
        )


def test_an_asset_needs_no_deprecated_field() -> None:
    """`easy_to_borrow` may be absent, and the sub-penny rule holds below a dollar."""
    asset = {
        "symbol": "SPY",
        "class": "us_equity",
        "status": "active",
        "tradable": True,
        "fractionable": True,
        "shortable": True,
    }
    rules = instrument_of(asset, "SPY", shorting=False)
    assert (rules.fractional, rules.shortable, rules.tradable) == (True, False, True)
    assert rules.price_step(Decimal("0.99")) == Decimal("0.0001")
    assert rules.price_step(Decimal(1)) == Decimal("0.01")


def test_names_of_orders_that_ended_long_ago_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that work, and of the latest that ended, the name is known, a leg's among them."""
    monkeypatch.setattr("alphaweave_broker_alpaca.translator._ENDED_KEPT", 2)
    translator = Translator(("SPY",), {})
    translator.order(order(id="works", legs=[{"id": "leg"}]), NOW)
    translator.bind("leg", OURS)
    translator.order(order(id="leg", client_order_id="alpacas", status="canceled"), NOW)
    for name in ("first", "second", "second"):
        translator.event({"event": "canceled", "order": order(id=name, status="canceled")}, NOW)
    known = [name for name in ("works", "leg", "first", "second") if translator.is_known(name)]
    assert known == ["works", "first", "second"]
    translator.order(order(id="third", status="filled", filled_qty="10", filled_avg_price="150"), NOW)
    assert not translator.is_known("first")
    assert translator.is_known("second")

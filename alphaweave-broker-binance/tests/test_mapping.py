"""Orders in Binance's words, and its refusals in AlphaWeave's."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.errors import Unsupported
from alphaweave.core.order import (
    GroupKind,
    OrderGroup,
    OrderRequest,
    OrderStatus,
    OrderType,
    RejectReason,
    Side,
    TimeInForce,
    Trail,
)
from alphaweave_broker_binance.mapping import (
    amount,
    is_final,
    list_params,
    moment,
    order_params,
    reject_reason,
    request_of,
    status_of,
)

GTC, IOC = TimeInForce.GTC, TimeInForce.IOC
TINY = Decimal("1E-7")


def order(kind: OrderType = OrderType.LIMIT, side: Side = Side.BUY, **terms: Any) -> OrderRequest:
    quantity = None if "quote_quantity" in terms else Decimal("0.5")
    usual: dict[str, Any] = {"quantity": quantity, "tif": IOC if kind is OrderType.MARKET else GTC}
    return OrderRequest(symbol="BTC", side=side, type=kind, **{**usual, **terms})


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (order(OrderType.MARKET), {"type": "MARKET", "quantity": "0.5"}),
        (
            order(OrderType.MARKET, quote_quantity=Decimal("1E+3")),
            {"type": "MARKET", "quoteOrderQty": "1000"},
        ),
        (
            order(limit_price=Decimal("10.50"), tif=IOC),
            {"type": "LIMIT", "quantity": "0.5", "price": "10.5", "timeInForce": "IOC"},
        ),
        (
            order(limit_price=Decimal(10), post_only=True),
            {"type": "LIMIT_MAKER", "quantity": "0.5", "price": "10"},
        ),
        (
            order(OrderType.STOP, stop_price=Decimal(9)),
            {"type": "STOP_LOSS", "quantity": "0.5", "stopPrice": "9"},
        ),
        (
            order(OrderType.STOP_LIMIT, stop_price=Decimal(9), limit_price=Decimal(8)),
            {
                "type": "STOP_LOSS_LIMIT",
                "quantity": "0.5",
                "stopPrice": "9",
                "price": "8",
                "timeInForce": "GTC",
            },
        ),
        (
            order(OrderType.TAKE_PROFIT, stop_price=Decimal(9)),
            {"type": "TAKE_PROFIT", "quantity": "0.5", "stopPrice": "9"},
        ),
        (
            order(OrderType.TAKE_PROFIT_LIMIT, stop_price=Decimal(9), limit_price=Decimal(10), tif=IOC),
            {
                "type": "TAKE_PROFIT_LIMIT",
                "quantity": "0.5",
                "stopPrice": "9",
                "price": "10",
                "timeInForce": "IOC",
            },
        ),
        (
            order(OrderType.TRAILING_STOP, trail=Trail(percent=Decimal("1.5"))),
            {"type": "STOP_LOSS", "quantity": "0.5", "trailingDelta": "150"},
        ),
        (
            order(quantity=TINY, limit_price=TINY),
            {"type": "LIMIT", "quantity": "0.0000001", "price": "0.0000001", "timeInForce": "GTC"},
        ),
    ],
)
def test_order_is_said_in_plain_texts(request_: OrderRequest, wanted: dict[str, str]) -> None:
    """Each type has the parameters that Binance wants and no other, and no number has an exponent."""
    names = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "newClientOrderId": "aw-1",
        # Executions come as events, and never in the answer.
        "newOrderRespType": "ACK",
    }
    assert order_params(request_, "BTCUSDT", "aw-1") == {**names, **wanted}


def test_trail_that_is_no_whole_number_of_basis_points_is_refused() -> None:
    """It is never rounded."""
    with pytest.raises(Unsupported, match="hundredths of a percent"):
        order_params(order(OrderType.TRAILING_STOP, trail=Trail(percent=Decimal("0.125"))), "BTCUSDT", "aw-1")


def exits(side: Side, *, limit: bool = False) -> OrderGroup:
    profit, stop = (Decimal(120), Decimal(90)) if side is Side.SELL else (Decimal(90), Decimal(120))
    kind = OrderType.STOP_LIMIT if limit else OrderType.STOP
    return OrderGroup(
        GroupKind.OCO,
        order(side=side, limit_price=profit),
        order(kind, side, stop_price=stop, limit_price=Decimal(89) if limit else None),
    )


def test_oco_of_a_sale_takes_its_profit_above() -> None:
    """The stop is below the market, and each leg bears our name."""
    path, params = list_params(exits(Side.SELL, limit=True), "BTCUSDT", "list", ("profit", "loss"))
    assert path == "/api/v3/orderList/oco"
    assert params == {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "0.5",
        "listClientOrderId": "list",
        "newOrderRespType": "ACK",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": "120",
        "aboveClientOrderId": "profit",
        "belowType": "STOP_LOSS_LIMIT",
        "belowStopPrice": "90",
        "belowPrice": "89",
        "belowTimeInForce": "GTC",
        "belowClientOrderId": "loss",
    }


def test_oco_of_a_purchase_stops_its_loss_above() -> None:
    """What is above a sale's market is below a purchase's."""
    _, params = list_params(exits(Side.BUY), "BTCUSDT", "list", ("profit", "loss"))
    assert (params["belowType"], params["belowPrice"]) == ("LIMIT_MAKER", "90")
    assert (params["aboveType"], params["aboveStopPrice"]) == ("STOP_LOSS", "120")
    assert (params["aboveClientOrderId"], params["belowClientOrderId"]) == ("loss", "profit")


def test_list_has_no_exponents_either() -> None:
    """A coin may be worth less than a millionth."""
    profit = order(side=Side.SELL, quantity=TINY, limit_price=TINY * 3)
    loss = order(OrderType.STOP_LIMIT, Side.SELL, quantity=TINY, stop_price=TINY * 2, limit_price=TINY)
    entry = order(quantity=TINY, limit_price=TINY * 2)
    for group in (
        OrderGroup(GroupKind.OCO, profit, loss),
        OrderGroup(GroupKind.BRACKET, profit, loss, entry),
    ):
        _, params = list_params(group, "BTCUSDT", "list", [f"leg{number}" for number in range(3)])
        sizes = [text for text in params.values() if text.lower().startswith(("0", "1", "2", "3"))]
        assert set(sizes) <= {"0.0000001", "0.0000002", "0.0000003"}
        assert len(sizes) == (4 if group.entry is None else 6)


def test_bracket_is_an_order_that_places_an_oco() -> None:
    """The exits wait until the entry is filled."""
    group = exits(Side.SELL)
    entry = order(limit_price=Decimal(100))
    bracket = OrderGroup(GroupKind.BRACKET, group.take_profit, group.stop_loss, entry)
    path, params = list_params(bracket, "BTCUSDT", "list", ("entry", "profit", "loss"))
    assert path == "/api/v3/orderList/otoco"
    assert params == {
        "symbol": "BTCUSDT",
        "listClientOrderId": "list",
        "newOrderRespType": "ACK",
        "workingType": "LIMIT",
        "workingSide": "BUY",
        "workingPrice": "100",
        "workingQuantity": "0.5",
        "workingTimeInForce": "GTC",
        "workingClientOrderId": "entry",
        "pendingSide": "SELL",
        "pendingQuantity": "0.5",
        "pendingAboveType": "LIMIT_MAKER",
        "pendingAbovePrice": "120",
        "pendingAboveClientOrderId": "profit",
        "pendingBelowType": "STOP_LOSS",
        "pendingBelowStopPrice": "90",
        "pendingBelowClientOrderId": "loss",
    }


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("NEW", "0", OrderStatus.ACCEPTED),
        ("PENDING_NEW", "0", OrderStatus.ACCEPTED),
        ("PARTIALLY_FILLED", "1", OrderStatus.PARTIALLY_FILLED),
        ("FILLED", "1", OrderStatus.FILLED),
        ("CANCELED", "1", OrderStatus.CANCELLED),
        ("EXPIRED", "0", OrderStatus.EXPIRED),
        ("EXPIRED_IN_MATCH", "0", OrderStatus.EXPIRED),
        ("REJECTED", "0", OrderStatus.REJECTED),
        ("A_WORD_OF_TOMORROW", "0", OrderStatus.ACCEPTED),
    ],
)
def test_status_is_read(word: str, filled: str, status: OrderStatus) -> None:
    """A word that is not known is an order that works."""
    assert status_of(word, Decimal(filled)) is status


@pytest.mark.parametrize(
    ("status", "code", "text", "final"),
    [
        (400, "-1013", "Filter failure: LOT_SIZE", True),
        (400, "-2010", "Account has insufficient balance for requested action.", True),
        (400, "-2010", "Duplicate order sent.", False),
        (400, "-1021", "Timestamp for this request is outside of the recvWindow.", True),
        (401, "-2015", "Invalid API-key, IP, or permissions for action.", True),
        (429, "-1015", "Too many new orders; current limit is 50 orders per 10 SECOND.", True),
        (429, None, "", True),
        (418, "-1003", "Way too much request weight used; IP banned.", True),
        (400, "-1006", "An unexpected response was received from the message bus.", False),
        (503, "-1007", "Timeout waiting for response from backend server.", False),
        (400, "-1001", "Internal error; unable to process your request.", False),
        (503, "-1008", "Server is currently overloaded.", False),
        (403, None, "", False),
        (404, None, "", False),
        (500, None, "", False),
        (409, "-2021", "Order cancel-replace partially failed.", False),
    ],
)
def test_refusal_is_final_only_where_the_order_cannot_exist(
    status: int, code: str | None, text: str, final: bool
) -> None:
    """A name that an open order has, a page of somebody else's and a server's own failure decide nothing."""
    assert is_final(status, code, text) is final


@pytest.mark.parametrize(
    ("status", "code", "text", "reason"),
    [
        (400, "-2010", "Account has insufficient balance for requested action.", "INSUFFICIENT_FUNDS"),
        (400, "-2010", "Order would immediately match and take.", "WOULD_CROSS"),
        (400, "-2010", "Order would trigger immediately.", "INVALID_PRICE"),
        (400, "-2010", "Market is closed.", "MARKET_CLOSED"),
        (400, "-2010", "This action is disabled on this account.", "ACCOUNT_BLOCKED"),
        (400, "-2010", "This account may not place or cancel orders.", "ACCOUNT_BLOCKED"),
        (400, "-2010", "This symbol is not permitted for this account.", "ACCOUNT_BLOCKED"),
        (400, "-2010", "This symbol is restricted for this account.", "ACCOUNT_BLOCKED"),
        (400, "-2010", "Rest API trading is not enabled.", "ACCOUNT_BLOCKED"),
        (400, "-2010", "Stop loss orders are not supported for this symbol.", "UNSUPPORTED"),
        (400, "-2010", "Quote order qty market orders are not support for this symbol.", "UNSUPPORTED"),
        (400, "-2010", "Unsupported order combination", "UNSUPPORTED"),
        (400, "-2010", "Price * QTY is zero or less.", "INVALID_SIZE"),
        (400, "-2010", "Order book liquidity is less than LOT_SIZE filter minimum quantity.", "OTHER"),
        (400, "-1013", "Filter failure: PRICE_FILTER", "INVALID_PRICE"),
        (400, "-1013", "Filter failure: PERCENT_PRICE_BY_SIDE", "INVALID_PRICE"),
        (400, "-1013", "Filter failure: LOT_SIZE", "INVALID_SIZE"),
        (400, "-1013", "Filter failure: NOTIONAL", "INVALID_SIZE"),
        (400, "-1013", "Filter failure: MAX_NUM_ALGO_ORDERS", "RATE_LIMITED"),
        (400, "-1111", "Parameter 'quantity' has too much precision.", "INVALID_SIZE"),
        (400, "-1121", "Invalid symbol.", "UNKNOWN_SYMBOL"),
        (429, "-1015", "Too many new orders; current limit is 50 orders per 10 SECOND.", "RATE_LIMITED"),
        (401, "-2015", "Invalid API-key, IP, or permissions for action.", "ACCOUNT_BLOCKED"),
        (400, "-1116", "Invalid orderType.", "UNSUPPORTED"),
        (400, "-1021", "Timestamp for this request is outside of the recvWindow.", "OTHER"),
    ],
)
def test_refusal_has_a_reason_by_its_text(status: int, code: str, text: str, reason: str) -> None:
    """One code of Binance's has many meanings."""
    assert reject_reason(status, code, text) is RejectReason[reason]


def test_terms_of_an_order_are_read_back() -> None:
    """What was said is what is found, and what cannot be said here is None."""
    told = {
        "type": "STOP_LOSS_LIMIT",
        "side": "SELL",
        "origQty": "0.50000000",
        "price": "8.00000000",
        "stopPrice": "9.00000000",
        "timeInForce": "GTC",
        "orderListId": -1,
    }
    wanted = order(OrderType.STOP_LIMIT, Side.SELL, stop_price=Decimal(9), limit_price=Decimal(8))
    assert request_of(told, "BTC") == wanted
    maker = {**told, "type": "LIMIT_MAKER", "stopPrice": "0.00000000"}
    found = request_of(maker, "BTC")
    assert found is not None
    assert found.post_only
    trailing = request_of({**told, "type": "STOP_LOSS", "trailingDelta": 150}, "BTC")
    assert trailing is not None
    assert trailing.trail == Trail(percent=Decimal("1.5"))
    by_quote = {**told, "type": "MARKET", "origQty": "0.00000000", "origQuoteOrderQty": "10.00000000"}
    found = request_of(by_quote, "BTC")
    assert found is not None
    assert (found.quantity, found.quote_quantity) == (None, Decimal(10))
    touched = request_of({**told, "type": "TAKE_PROFIT_LIMIT"}, "BTC")
    assert touched == evolve(wanted, type=OrderType.TAKE_PROFIT_LIMIT)
    touched = request_of({**told, "type": "TAKE_PROFIT"}, "BTC")
    assert touched == evolve(wanted, type=OrderType.TAKE_PROFIT, limit_price=None)
    # One that trails behind its trigger, and what nobody has heard of.
    assert request_of({**told, "type": "TAKE_PROFIT", "trailingDelta": 150}, "BTC") is None
    assert request_of({**told, "type": "PEGGED"}, "BTC") is None


def test_numbers_and_times_are_exact_or_refused() -> None:
    """A price is text, and a time whole milliseconds."""
    assert amount("0.10000000", "price") == Decimal("0.1")
    assert moment(1499827319559) == datetime(2017, 7, 12, 2, 41, 59, 559000, tzinfo=UTC)
    for value in (0.1, None, "NaN", "x"):
        with pytest.raises(ValueError, match="price"):
            amount(value, "price")
    # A time in microseconds is none either.
    for at in (1.5, "1499827319559", None, True, 1499827319559000, -(10**30)):
        with pytest.raises(ValueError, match="milliseconds"):
            moment(at)

"""What an order has to be: parameters, filters, funds, each refused with Binance's code and text."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.testing.clock import RunningClock

MISSING = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."
# What is changed in a limit order to buy one coin at 50, where the market is at 100 -> code and text.
PARAMETERS: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({"symbol": None}, -1102, MISSING.format("symbol")),
    ({"symbol": "btcusdt"}, -1100, "Illegal characters found in parameter 'symbol'"),
    ({"symbol": "BTCEUR"}, -1121, "Invalid symbol."),
    ({"side": "buy"}, -1117, "Invalid side."),
    ({"side": None}, -1102, MISSING.format("side")),
    ({"type": "PEGGED"}, -1116, "Invalid orderType."),
    ({"timeInForce": "DAY"}, -1115, "Invalid timeInForce."),
    ({"timeInForce": None}, -1102, MISSING.format("timeInForce")),
    ({"price": None}, -1102, MISSING.format("price")),
    ({"price": ""}, -1105, "Parameter 'price' was empty."),
    ({"price": "0"}, -1013, "Invalid price."),
    ({"quantity": None}, -1102, MISSING.format("quantity")),
    ({"quantity": "0.00"}, -1013, "Invalid quantity."),
    ({"quantity": "1e-5"}, -1100, "Illegal characters found in parameter 'quantity'"),
    ({"quantity": "1E2"}, -1100, "Illegal characters found in parameter 'quantity'"),
    ({"quantity": "-1"}, -1100, "Illegal characters found in parameter 'quantity'"),
    ({"quantity": ".5"}, -1100, "Illegal characters found in parameter 'quantity'"),
    ({"quantity": "0.123456789"}, -1111, "Parameter 'quantity' has too much precision."),
    ({"stopPrice": "90"}, -1106, "Parameter 'stopPrice' sent when not required."),
    ({"quoteOrderQty": "90"}, -1106, "Parameter 'quoteOrderQty' sent when not required."),
    ({"trailingDelta": "100"}, -1106, "Parameter 'trailingDelta' sent when not required."),
    ({"icebergQty": "0.1"}, -1013, "Iceberg orders are not supported for this symbol."),
    ({"type": "LIMIT_MAKER", "timeInForce": "GTC", "price": "50"}, -1106, "'timeInForce' sent when not"),
    ({"type": "MARKET", "price": "50"}, -1106, "Parameter 'price' sent when not required."),
    ({"type": "MARKET", "quantity": None}, -1102, "Param 'quantity' or 'quoteOrderQty' must be sent"),
    ({"type": "MARKET", "quoteOrderQty": "50"}, -1128, "Combination of optional parameters invalid."),
    ({"type": "STOP_LOSS"}, -1102, "Param 'stopPrice' or 'trailingDelta' must be sent"),
    ({"newClientOrderId": "x" * 37}, -1100, "legal range is '^[a-zA-Z0-9-_]{1,36}$'"),
    ({"newClientOrderId": "a b"}, -1100, "Illegal characters found in parameter 'newClientOrderId'"),
    ({"newOrderRespType": "SHORT"}, -1190, "Invalid newOrderRespType."),
    ({"strategyType": "999999"}, -1130, "Data sent for parameter 'strategyType' is not valid."),
    ({"selfTradePreventionMode": "DECREMENT"}, -1130, "'selfTradePreventionMode' is not valid."),
    ({"colour": "red"}, -1104, "Not all sent parameters were read; read '6' parameter(s) but was sent '7'."),
)
STOP = {"type": "STOP_LOSS", "side": "BUY"}
FILTERS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"price": "50.001"}, "PRICE_FILTER"),
    ({"price": "1000000.01"}, "PRICE_FILTER"),
    ({**STOP, "stopPrice": "150.001"}, "PRICE_FILTER"),
    ({"price": "19.99"}, "PERCENT_PRICE_BY_SIDE"),
    ({"price": "500.01"}, "PERCENT_PRICE_BY_SIDE"),
    ({"quantity": "1.000001"}, "LOT_SIZE"),
    ({"quantity": "9000.00001"}, "LOT_SIZE"),
    ({"type": "MARKET", "quantity": "500.00001"}, "MARKET_LOT_SIZE"),
    ({"quantity": "0.09999"}, "NOTIONAL"),
    ({"type": "MARKET", "quantity": "0.04999"}, "NOTIONAL"),
    ({"type": "MARKET", "quantity": None, "quoteOrderQty": "4.99"}, "NOTIONAL"),
    ({**STOP, "trailingDelta": "9"}, "TRAILING_DELTA"),
    ({**STOP, "trailingDelta": "2001"}, "TRAILING_DELTA"),
)


@pytest.mark.parametrize(("changes", "code", "text"), PARAMETERS)
def test_parameters_are_read_strictly(
    at_sandbox: Callable[..., None], changes: dict[str, Any], code: int, text: str
) -> None:
    """The first thing that is wrong is named, and nothing is placed."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        reply = await site.order(**changes)
        assert (reply.status, reply.body["code"]) == (400, code)
        assert text in reply.body["msg"]
        assert not site.venue.truth().orders

    at_sandbox(scenario)


@pytest.mark.parametrize(("changes", "name"), FILTERS)
def test_filters_are_exact(at_sandbox: Callable[..., None], changes: dict[str, Any], name: str) -> None:
    """A hair beyond a filter is refused by its name."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        reply = await site.order(**changes)
        assert reply.refusal == (400, -1013, f"Filter failure: {name}")
        assert not site.venue.truth().orders

    at_sandbox(scenario)


@pytest.mark.parametrize(
    "changes",
    [
        {"price": "20"},
        {"quantity": "0.1"},
        {"type": "MARKET", "quantity": "500"},
        {"type": "MARKET", "quantity": "0.05"},
        {"type": "MARKET", "quantity": None, "quoteOrderQty": "5"},
        {**STOP, "trailingDelta": "10"},
        {**STOP, "trailingDelta": "2000"},
        {**STOP, "stopPrice": "100.01"},
    ],
)
def test_filters_let_their_bounds_through(at_sandbox: Callable[..., None], changes: dict[str, Any]) -> None:
    """What is exactly at a bound is taken."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.placed(**changes)

    at_sandbox(scenario)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"price": "60", "quantity": "20000"}, "insufficient balance"),
        ({"side": "SELL", "price": "110"}, "insufficient balance"),
        ({"type": "LIMIT_MAKER", "price": "100"}, "would immediately match and take"),
        ({"type": "LIMIT_MAKER", "price": "100.01"}, "would immediately match and take"),
        ({"type": "STOP_LOSS", "stopPrice": "100"}, "would trigger immediately"),
        ({"type": "TAKE_PROFIT", "stopPrice": "100"}, "would trigger immediately"),
    ],
)
def test_engine_refuses_with_one_code(
    at_sandbox: Callable[..., None], changes: dict[str, Any], text: str
) -> None:
    """-2010, and only the text tells why."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        site.venue.venue.pairs["BTCUSDT"].max_qty = Decimal(0)
        reply = await site.order(**changes)
        assert (reply.status, reply.body["code"]) == (400, -2010)
        assert text in reply.body["msg"]

    at_sandbox(scenario)


def test_average_price_is_of_the_last_minutes(at_sandbox: Callable[..., None]) -> None:
    """The band is around what was traded in the last five minutes, not around the last price."""
    clock = RunningClock()

    async def scenario(site: Any) -> None:
        for price in (100, 300):
            await site.venue.set_price("ONE", Decimal(price))
        found = await site.ask("GET", "/api/v3/avgPrice", signed=False, symbol="BTCUSDT")
        assert (found.body["mins"], found.body["price"]) == (5, "200.00000000")
        assert (await site.order(price="39.99")).refusal[1] == -1013
        await site.placed(price="40")
        clock.advance(301)
        await site.venue.set_price("ONE", Decimal(100))
        await site.placed(price="20")

    at_sandbox(scenario, clock=clock)


def test_market_that_is_halted_takes_nothing(at_sandbox: Callable[..., None]) -> None:
    """Its status says so, orders are refused, and those that rest are not executed."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.placed(newClientOrderId="one")
        await site.venue.halt("ONE", True)
        assert (await site.order()).refusal == (400, -2010, "Market is closed.")
        info = (await site.ask("GET", "/api/v3/exchangeInfo", signed=False, symbol="BTCUSDT")).body
        assert info["symbols"][0]["status"] == "HALT"
        await site.venue.set_price("ONE", Decimal(40))
        assert not site.venue.truth().executions
        await site.venue.halt("ONE", False)
        await site.venue.set_price("ONE", Decimal(40))
        assert len(site.venue.truth().executions) == 1

    at_sandbox(scenario)


def test_account_that_may_not_trade_says_so(at_sandbox: Callable[..., None]) -> None:
    """And takes no order; its keys may withdraw only where they are let."""

    async def scenario(site: Any) -> None:
        account = (await site.ask("GET", "/api/v3/account")).body
        assert (account["canTrade"], account["canWithdraw"]) == (False, True)
        keys = (await site.ask("GET", "/sapi/v1/account/apiRestrictions")).body
        assert (keys["enableSpotAndMarginTrading"], keys["enableWithdrawals"]) == (False, True)
        assert (await site.order()).refusal == (400, -2010, "This action is disabled on this account.")

    at_sandbox(scenario, trading=False, withdrawals=True)


def test_number_of_orders_is_bounded(at_sandbox: Callable[..., None]) -> None:
    """By symbol; conditional ones and lists by bounds of their own; an ended order makes room."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        pair = site.venue.venue.pairs["BTCUSDT"]
        pair.max_orders = 3
        pair.max_algo_orders = 1
        await site.placed(type="STOP_LOSS", stopPrice="150")
        algo = await site.order(type="STOP_LOSS", stopPrice="150")
        assert algo.refusal == (400, -1013, "Filter failure: MAX_NUM_ALGO_ORDERS")
        await site.placed()
        last = await site.placed()
        assert (await site.order()).refusal == (400, -1013, "Filter failure: MAX_NUM_ORDERS")
        await site.ask("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=last["orderId"])
        await site.placed()

    at_sandbox(scenario)


def test_position_is_bounded_where_the_symbol_says_so(at_sandbox: Callable[..., None]) -> None:
    """What is owned and what open buys may bring count together."""

    async def scenario(site: Any) -> None:
        site.venue.venue.pairs["BTCUSDT"].max_position = Decimal(3)
        await site.venue.move_position("ONE", Decimal(1))
        await site.placed()
        assert (await site.order(quantity="1.1")).refusal == (400, -1013, "Filter failure: MAX_POSITION")
        await site.placed()
        await site.placed(side="SELL")

    at_sandbox(scenario)


def test_rules_told_are_the_rules_held(at_sandbox: Callable[..., None]) -> None:
    """exchangeInfo has the steps and bounds of the instrument, and names what is asked for alone."""

    async def scenario(site: Any) -> None:
        asked = await site.ask("GET", "/api/v3/exchangeInfo", signed=False, symbols='["BTCUSDT","ETHUSDT"]')
        assert [row["symbol"] for row in asked.body["symbols"]] == ["BTCUSDT", "ETHUSDT"]
        filters = {row["filterType"]: row for row in asked.body["symbols"][0]["filters"]}
        rules = site.venue.instruments["ONE"]
        assert Decimal(filters["PRICE_FILTER"]["tickSize"]) == rules.price_steps[0].step
        lot = filters["LOT_SIZE"]
        found = tuple(Decimal(lot[name]) for name in ("stepSize", "minQty", "maxQty"))
        assert found == (rules.size_step, rules.min_size, rules.max_size)
        assert Decimal(filters["NOTIONAL"]["minNotional"]) == rules.min_notional
        limits = {(row["rateLimitType"], row["interval"]): row["limit"] for row in asked.body["rateLimits"]}
        assert limits == {
            ("REQUEST_WEIGHT", "MINUTE"): 6000,
            ("ORDERS", "SECOND"): 100,
            ("ORDERS", "DAY"): 200_000,
            ("RAW_REQUESTS", "MINUTE"): 61_000,
        }
        wrong = await site.ask("GET", "/api/v3/exchangeInfo", signed=False, symbol="NONE")
        assert wrong.refusal == (400, -1121, "Invalid symbol.")

    at_sandbox(scenario)

"""The rules of a symbol, out of its filters."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.instrument import PriceBands, PriceStep
from alphaweave.core.order import OrderType, TimeInForce
from alphaweave_broker_binance.filters import instrument_of

GTC, IOC = TimeInForce.GTC, TimeInForce.IOC
FILTERS: dict[str, dict[str, Any]] = {
    "PRICE_FILTER": {"minPrice": "0.01000000", "maxPrice": "1000000.00000000", "tickSize": "0.01000000"},
    "LOT_SIZE": {"minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
    "MARKET_LOT_SIZE": {"minQty": "0.00000000", "maxQty": "100.0", "stepSize": "0.00000000"},
    "NOTIONAL": {"minNotional": "5.00000000", "maxNotional": "9000000.00000000", "avgPriceMins": 5},
    "MAX_NUM_ORDERS": {"maxNumOrders": 200},
}


def told(filters: dict[str, dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    listed = [{"filterType": name, **rest} for name, rest in (filters or FILTERS).items()]
    return {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"],
        "allowTrailingStop": True,
        "isSpotTradingAllowed": True,
        "filters": listed,
        **changes,
    }


def test_filters_are_the_rules_of_an_instrument() -> None:
    """Ticks, steps, bounds and values come from the filter that has them."""
    rules = instrument_of(told(), "BTC")
    assert (rules.symbol, rules.venue_symbol, rules.base, rules.quote) == ("BTC", "BTCUSDT", "BTC", "USDT")
    assert rules.price_steps == (PriceStep(Decimal(0), Decimal("0.01")),)
    assert (rules.size_step, rules.min_size, rules.max_size) == (
        Decimal("0.00001"),
        Decimal("0.00001"),
        Decimal(9000),
    )
    assert rules.market_max_size == Decimal(100)
    assert (rules.min_notional, rules.max_notional) == (Decimal(5), Decimal(9000000))
    assert rules.quote_step == Decimal("1e-8")
    assert (rules.price_bands, rules.max_orders, rules.max_triggers) == (None, 200, None)
    assert (rules.fractional, rules.shortable, rules.tradable, rules.calendar) == (True, False, True, "24/7")


def test_bound_of_zero_is_none() -> None:
    """Binance disables a part of a filter by a zero."""
    zeros = {"minQty": "0.00000000", "maxQty": "0.00000000", "stepSize": "0.00000000"}
    rules = instrument_of(told({**FILTERS, "LOT_SIZE": zeros}), "BTC")
    assert (rules.min_size, rules.max_size, rules.size_step) == (None, None, Decimal("1e-8"))


def test_market_orders_grid_and_older_notional_are_heard() -> None:
    """The coarser of two grids holds, and the filter that NOTIONAL came after counts as well."""
    rest = {name: one for name, one in FILTERS.items() if name != "NOTIONAL"}
    market = {**FILTERS["MARKET_LOT_SIZE"], "stepSize": "0.00100000"}
    older = {"minNotional": "10.00000000", "applyToMarket": True, "avgPriceMins": 5}
    rules = instrument_of(told({**rest, "MARKET_LOT_SIZE": market, "MIN_NOTIONAL": older}), "BTC")
    assert (rules.size_step, rules.min_notional, rules.max_notional) == (
        Decimal("0.001"),
        Decimal(10),
        None,
    )


@pytest.mark.parametrize(
    "changes", [{"status": "BREAK"}, {"status": "HALT"}, {"isSpotTradingAllowed": False}]
)
def test_symbol_that_is_not_trading_is_not_tradable(changes: dict[str, Any]) -> None:
    """Any state but one is none to trade in."""
    assert not instrument_of(told(**changes), "BTC").tradable


def test_order_types_are_those_of_the_symbol() -> None:
    """What a symbol does not list is not allowed in it."""
    pairs = instrument_of(told(), "BTC").order_types
    assert pairs is not None
    assert {(OrderType.MARKET, IOC), (OrderType.STOP, GTC), (OrderType.TRAILING_STOP, GTC)} <= pairs
    fewer = instrument_of(told(orderTypes=["LIMIT", "MARKET"]), "BTC").order_types
    assert fewer is not None
    assert {kind for kind, _ in fewer} == {OrderType.LIMIT, OrderType.MARKET}
    touched = instrument_of(told(orderTypes=["TAKE_PROFIT", "TAKE_PROFIT_LIMIT"]), "BTC").order_types
    assert touched is not None
    assert {kind for kind, _ in touched} == {OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT}
    fixed = instrument_of(told(allowTrailingStop=False), "BTC").order_types
    assert fixed is not None
    assert (OrderType.TRAILING_STOP, GTC) not in fixed


def test_bands_and_counts_are_rules() -> None:
    """By side, or the same for both; and how many orders, and orders with a trigger, may wait."""
    sided = {
        "bidMultiplierUp": "5",
        "bidMultiplierDown": "0.2",
        "askMultiplierUp": "4",
        "askMultiplierDown": "0.3",
        "avgPriceMins": 5,
    }
    found = instrument_of(
        told({**FILTERS, "PERCENT_PRICE_BY_SIDE": sided, "MAX_NUM_ALGO_ORDERS": {"maxNumAlgoOrders": 5}}),
        "BTC",
    )
    assert found.price_bands == PriceBands(*map(Decimal, ("0.2", "5", "0.3", "4")))
    assert (found.max_orders, found.max_triggers) == (200, 5)
    plain = {"multiplierUp": "5", "multiplierDown": "0.2", "avgPriceMins": 5}
    found = instrument_of(told({**FILTERS, "PERCENT_PRICE": plain}), "BTC")
    assert found.price_bands == PriceBands(*map(Decimal, ("0.2", "5", "0.2", "5")))

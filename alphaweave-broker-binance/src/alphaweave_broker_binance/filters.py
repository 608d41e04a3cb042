"""The rules of a symbol, out of the filters that Binance lists."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from alphaweave.core.instrument import Instrument, PriceBands, PriceStep
from alphaweave.core.money import ZERO
from alphaweave.core.order import OrderType, TimeInForce
from alphaweave_broker_binance.mapping import amount, text_of
from alphaweave_broker_binance.settings import BINANCE_CAPABILITIES

__all__ = ["instrument_of"]

_SMALLEST: Final = Decimal("1e-8")
_TYPES: Final = {
    "MARKET": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
    "STOP_LOSS": OrderType.STOP,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
    "TAKE_PROFIT": OrderType.TAKE_PROFIT,
    "TAKE_PROFIT_LIMIT": OrderType.TAKE_PROFIT_LIMIT,
}


def instrument_of(told: Mapping[str, Any], symbol: str) -> Instrument:
    """The rules of one symbol of ``exchangeInfo``. A bound of zero is none.

    Its bands are around the average of some minutes, and hold for a limit price only.

    Raises:
        KeyError, TypeError, ValueError: it lacks what it cannot do without.
    """
    filters = {one["filterType"]: one for one in told["filters"]}

    def bound(kind: str, name: str) -> Decimal | None:
        value = amount(filters.get(kind, {}).get(name, "0"), f"{kind}.{name}")
        return value if value > ZERO else None

    tick = bound("PRICE_FILTER", "tickSize") or _SMALLEST
    step = bound("LOT_SIZE", "stepSize") or _SMALLEST
    market_step = bound("MARKET_LOT_SIZE", "stepSize")
    notionals = [bound("NOTIONAL", "minNotional"), bound("MIN_NOTIONAL", "minNotional")]
    quote = text_of(told, "quoteAsset")
    trading = told.get("status") == "TRADING" and told.get("isSpotTradingAllowed", True) is True
    return Instrument(
        symbol=symbol,
        venue_symbol=text_of(told, "symbol"),
        kind="spot",
        base=text_of(told, "baseAsset"),
        quote=quote,
        settle=quote,
        price_steps=(PriceStep(ZERO, tick),),
        # A market order has a grid of its own; one size has to lie on both.
        size_step=step if market_step is None else max(step, market_step),
        min_size=bound("LOT_SIZE", "minQty"),
        max_size=bound("LOT_SIZE", "maxQty"),
        market_max_size=bound("MARKET_LOT_SIZE", "maxQty"),
        min_notional=max((one for one in notionals if one is not None), default=None),
        max_notional=bound("NOTIONAL", "maxNotional"),
        price_bands=_bands(filters),
        max_orders=_count(filters, "MAX_NUM_ORDERS", "maxNumOrders"),
        max_triggers=_count(filters, "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders"),
        quote_step=Decimal(1).scaleb(-int(told.get("quoteAssetPrecision", 8))),
        fractional=step % 1 != 0,
        shortable=False,
        tradable=trading,
        calendar="24/7",
        order_types=_pairs(told),
    )


def _bands(filters: Mapping[str, Mapping[str, Any]]) -> PriceBands | None:
    sided, plain = filters.get("PERCENT_PRICE_BY_SIDE"), filters.get("PERCENT_PRICE")
    if sided is not None:
        names = ("bidMultiplierDown", "bidMultiplierUp", "askMultiplierDown", "askMultiplierUp")
        return PriceBands(*(amount(sided[name], name) for name in names))
    if plain is not None:
        low, high = (amount(plain[name], name) for name in ("multiplierDown", "multiplierUp"))
        return PriceBands(low, high, low, high)
    return None


def _count(filters: Mapping[str, Mapping[str, Any]], kind: str, name: str) -> int | None:
    return int(filters.get(kind, {}).get(name, 0)) or None


def _pairs(told: Mapping[str, Any]) -> frozenset[tuple[OrderType, TimeInForce]]:
    allowed = {_TYPES[word] for word in told["orderTypes"] if word in _TYPES}
    if told.get("allowTrailingStop") and OrderType.STOP in allowed:
        allowed.add(OrderType.TRAILING_STOP)
    return frozenset(pair for pair in BINANCE_CAPABILITIES.order_types if pair[0] in allowed)

"""What is traded: pairs of assets, and the filters that an order for one has to pass."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from attrs import define

from alphaweave.core.errors import RunRefused
from alphaweave.core.instrument import Instrument, PriceStep
from alphaweave.core.money import ZERO
from alphaweave_broker_binance.sandbox.figures import PLACES, amount

__all__ = ["ORDER_TYPES", "STP_MODES", "Pair", "known_pairs"]

ORDER_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
STP_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")
_QUOTES = ("FDUSD", "USDT", "USDC", "BTC", "ETH", "BNB", "EUR")
_ATOM = Decimal(1).scaleb(-PLACES)


@define(eq=False, kw_only=True)
class Pair:
    """One symbol. Prices in ``quote``, sizes in ``base``; a bound of zero is none.

    Attributes:
        band: how far from the average price a limit may be: (bid up, bid down, ask up, ask down), factors.
        average_minutes: minutes that the average price is of.
        max_position: most of the base asset that the account may come to own.
        status: ``TRADING``, ``HALT``, ...
    """

    name: str
    base: str
    quote: str
    tick: Decimal = Decimal("0.01")
    min_price: Decimal = Decimal("0.01")
    max_price: Decimal = Decimal(1_000_000)
    step: Decimal = Decimal("0.00001")
    min_qty: Decimal = Decimal("0.00001")
    max_qty: Decimal = Decimal(9_000)
    market_max_qty: Decimal = Decimal(500)
    min_notional: Decimal = Decimal(5)
    max_notional: Decimal = Decimal(9_000_000)
    band: tuple[Decimal, Decimal, Decimal, Decimal] = (
        Decimal(5),
        Decimal("0.2"),
        Decimal(5),
        Decimal("0.2"),
    )
    average_minutes: int = 5
    trailing: tuple[int, int] = (10, 2_000)
    max_orders: int = 200
    max_algo_orders: int = 5
    max_lists: int = 20
    max_amends: int = 10
    max_position: Decimal = ZERO
    status: str = "TRADING"

    def instrument(self, symbol: str) -> Instrument:
        """Its rules in AlphaWeave's words, under the config's symbol."""
        return Instrument(
            symbol=symbol,
            venue_symbol=self.name,
            kind="spot",
            base=self.base,
            quote=self.quote,
            settle=self.quote,
            price_steps=(PriceStep(ZERO, self.tick),),
            size_step=self.step,
            min_size=self.min_qty,
            max_size=self.max_qty,
            market_max_size=self.market_max_qty,
            min_notional=self.min_notional,
            max_notional=self.max_notional,
            quote_step=_ATOM,
            fractional=True,
            shortable=False,
            tradable=self.status == "TRADING",
            calendar="24/7",
        )

    def filters(self) -> list[dict[str, Any]]:
        bid_up, bid_down, ask_up, ask_down = (f"{factor:f}" for factor in self.band)
        least, most = self.trailing
        found: list[dict[str, Any]] = [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": amount(self.min_price),
                "maxPrice": amount(self.max_price),
                "tickSize": amount(self.tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": amount(self.min_qty),
                "maxQty": amount(self.max_qty),
                "stepSize": amount(self.step),
            },
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": amount(ZERO),
                "maxQty": amount(self.market_max_qty),
                "stepSize": amount(ZERO),
            },
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": least,
                "maxTrailingAboveDelta": most,
                "minTrailingBelowDelta": least,
                "maxTrailingBelowDelta": most,
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": bid_up,
                "bidMultiplierDown": bid_down,
                "askMultiplierUp": ask_up,
                "askMultiplierDown": ask_down,
                "avgPriceMins": self.average_minutes,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": amount(self.min_notional),
                "applyMinToMarket": True,
                "maxNotional": amount(self.max_notional),
                "applyMaxToMarket": False,
                "avgPriceMins": self.average_minutes,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": self.max_orders},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": self.max_algo_orders},
            {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": self.max_lists},
            {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": self.max_amends},
        ]
        if self.max_position:
            found.append({"filterType": "MAX_POSITION", "maxPosition": amount(self.max_position)})
        return found

    def info(self) -> dict[str, Any]:
        """As exchangeInfo has it."""
        return {
            "symbol": self.name,
            "status": self.status,
            "baseAsset": self.base,
            "baseAssetPrecision": PLACES,
            "quoteAsset": self.quote,
            "quotePrecision": PLACES,
            "quoteAssetPrecision": PLACES,
            "baseCommissionPrecision": PLACES,
            "quoteCommissionPrecision": PLACES,
            "orderTypes": list(ORDER_TYPES),
            "icebergAllowed": False,
            "ocoAllowed": True,
            "otoAllowed": True,
            "opoAllowed": False,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": True,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "pegInstructionsAllowed": False,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": self.filters(),
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
            "allowedSelfTradePreventionModes": list(STP_MODES),
        }


def known_pairs(own: Iterable[str]) -> dict[str, Pair]:
    """What the sandbox trades by itself, and the symbols it was told.

    Raises:
        RunRefused: a symbol that is no pair of assets.
    """
    usual = [
        Pair(name="BTCUSDT", base="BTC", quote="USDT"),
        Pair(name="ETHUSDT", base="ETH", quote="USDT", step=Decimal("0.0001"), min_qty=Decimal("0.0001")),
        Pair(name="BNBUSDT", base="BNB", quote="USDT", step=Decimal("0.001"), min_qty=Decimal("0.001")),
        Pair(
            name="ETHBTC",
            base="ETH",
            quote="BTC",
            tick=Decimal("0.00001"),
            min_price=Decimal("0.00001"),
            step=Decimal("0.0001"),
            min_qty=Decimal("0.0001"),
            min_notional=Decimal("0.0001"),
        ),
    ]
    found = {pair.name: pair for pair in usual}
    for symbol in own:
        found.setdefault(symbol, _told(symbol))
    return found


def _told(symbol: str) -> Pair:
    for quote in _QUOTES:
        base = symbol.removesuffix(quote)
        if base and base != symbol and symbol.isalnum() and symbol.isupper():
            return Pair(name=symbol, base=base, quote=quote)
    raise RunRefused(
        f"{symbol!r} is no pair that Binance could have: write base and quote asset in capitals, as in "
        f"SOLUSDT; the quote asset is one of {', '.join(_QUOTES)}"
    )

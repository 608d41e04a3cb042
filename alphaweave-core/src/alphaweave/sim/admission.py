"""What the venue refuses when an order arrives."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import frozen

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import CONTEXT
from alphaweave.core.order import OrderGroup, OrderRequest, OrderType, Side, TimeInForce
from alphaweave.sim.account import Account
from alphaweave.sim.market import Market
from alphaweave.sim.orders import one_shot
from alphaweave.sim.settings import VenueSettings

__all__ = ["EXPOSURE_TEXTS", "Admission", "Refusal"]

# An enum member looked up in its class costs several times what a module's own name costs.
_BUY, _MARKET, _AT_CLOSE = Side.BUY, OrderType.MARKET, TimeInForce.AT_CLOSE


@frozen
class Refusal:
    """A reason code, and the venue's words for a person."""

    reason: str
    text: str


class Admission:
    """The checks an order passes before the venue takes it in."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        market: Market,
        account: Account,
        settings: VenueSettings,
        currency: str,
    ) -> None:
        self._instruments = instruments
        self._market = market
        self._account = account
        self._currency = currency
        self._at_last = settings.fill_at == "last"

    def order(
        self, request: OrderRequest, now: int, *, units: Decimal | None = None, exposed: bool = True
    ) -> Refusal | None:
        """Why the venue will not take this order; None if it does.

        Args:
            units: how much of it is still to be filled; None for all of it.
            exposed: test short sales and funds (not for the exits of a bracket).
        """
        symbol = request.symbol
        instrument = self._instruments.get(symbol)
        if instrument is None:
            return Refusal("unknown_symbol", f"this venue does not trade {symbol!r}")
        if instrument.settle != self._currency:
            return Refusal(
                "unsupported_currency",
                f"{symbol} settles in {instrument.settle}, and this account holds {self._currency} only",
            )
        price: Decimal | None = None
        if request.type is _MARKET:
            if (request.tif is _AT_CLOSE or request.post_only) and (refusal := self._terms(request)):
                return refusal
            if self._at_last and self._market.last_close(symbol) is None:
                return Refusal("no_market_price", f"no price of {symbol} is known yet to fill at")
        else:
            refusal = self._terms(request) or (self._crossing(request) if request.post_only else None)
            if refusal is not None:
                return refusal
            price = request.limit_price or request.stop_price
        if not exposed or request.reduce_only:
            return None
        buy = request.side is _BUY
        units = request.quantity if units is None else units
        if units is not None:
            reason = self._account.refusal(instrument, buy, units, price, now)
        else:
            price = self._market.last_close(symbol)
            if price is None:
                return None
            worth = request.quote_quantity
            assert worth is not None
            units = CONTEXT.divide(worth, CONTEXT.multiply(price, instrument.multiplier))
            reason = self._account.refusal(instrument, buy, units, price, now, worth=worth)
        return None if reason is None else Refusal(reason, EXPOSURE_TEXTS[reason])

    def group(self, group: OrderGroup, now: int) -> Refusal | None:
        """Why the venue will not take this group; None if it does."""
        for leg in group.legs:
            refusal = self.order(leg, now, exposed=group.entry is None or leg is group.entry)
            if refusal is not None:
                return refusal
        return None

    def _terms(self, request: OrderRequest) -> Refusal | None:
        kind, tif = request.type, request.tif
        if one_shot(tif) and kind is not OrderType.MARKET and kind is not OrderType.LIMIT:
            return Refusal("unsupported_tif", f"a {kind.value} order cannot be {tif.value}")
        if request.quote_quantity is not None and kind is not OrderType.MARKET:
            return Refusal("unsupported_order", "only a market order can be sized in quote currency")
        if request.post_only and (kind is not OrderType.LIMIT or one_shot(tif)):
            return Refusal("unsupported_order", "only a limit order that rests can be post only")
        if tif is TimeInForce.AT_CLOSE and not self._market.daily(request.symbol):
            return Refusal(
                "unsupported_interval", "which bar ends a session is known in advance for daily bars only"
            )
        return None

    def _crossing(self, request: OrderRequest) -> Refusal | None:
        last = self._market.last_close(request.symbol)
        limit = request.limit_price
        if last is None or limit is None or (limit < last if request.side is Side.BUY else limit > last):
            return None
        return Refusal(
            "post_only_would_cross", f"at {limit} it would trade at once: the last price is {last}"
        )


EXPOSURE_TEXTS: Mapping[str, str] = {
    "insufficient_funds": "the account cannot carry this order",
    "short_not_allowed": "it would open a short position, which this venue or instrument does not allow",
}

"""The trading desk of a live run."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from alphaweave.core.money import Number
from alphaweave.core.order import OrderType, TimeInForce
from alphaweave.live.desk import TradingDesk
from alphaweave.live.orders import SymbolBook
from alphaweave.live.rounding import Refused
from alphaweave.strategy.events import OrderHandle

if TYPE_CHECKING:
    from alphaweave.live.kernel_live import LiveKernel

__all__ = ["LiveDesk"]

_MARKET: Final = OrderType.MARKET


class LiveDesk(TradingDesk):
    """A desk that the run can shut."""

    _kernel: LiveKernel

    def place_market(
        self,
        symbol: str | None,
        size: Number | None = None,
        *,
        value: Number | None = None,
        tif: TimeInForce | str | None = None,
        reduce_only: bool = False,
    ) -> OrderHandle:
        return self.place(symbol, size, _MARKET, tif, value=value, reduce_only=reduce_only)

    def place_target(
        self, symbol: str | None, target: float | Decimal, tif: TimeInForce | str | None = None
    ) -> OrderHandle:
        refusal = self._kernel.refusal
        if refusal is not None:
            return self._deny(self._book(symbol), _MARKET, refusal.reason, refusal.text)
        return super().place_target(symbol, target, tif)

    def replace(
        self, order_id: str, size: Number | None, limit_price: Number | None, stop_price: Number | None
    ) -> bool:
        done = super().replace(order_id, size, limit_price, stop_price)
        order = self._kernel.orders.get(order_id)
        if not done and order is not None:
            # All that is left of a request that was refused here: a restart has to know of it.
            self._kernel.texts[order.id] = order.text
        return done

    def usual(self, book: SymbolBook) -> TimeInForce:
        """What a market order of a symbol gets that names no time in force."""
        return book.market_tif or self._market_tif(book)

    def _may_trade(self) -> None:
        super()._may_trade()
        refusal = self._kernel.refusal
        if refusal is not None:
            raise Refused(refusal.reason, refusal.text)

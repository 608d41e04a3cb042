"""What can be traded in the sandbox, in Alpaca's words and in AlphaWeave's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from attrs import define

from alphaweave.core.instrument import Instrument, PriceStep

__all__ = ["Asset", "crypto", "stock"]

_CENT, _SUB_PENNY = Decimal("0.01"), Decimal("0.0001")
_NINE_DIGITS = Decimal("1e-9")
_STOCK_STEPS = (PriceStep(Decimal(0), _SUB_PENNY), PriceStep(Decimal(1), _CENT))


@define
class Asset:
    """One asset.

    Attributes:
        step: crypto: sizes are multiples of it, and prices of ``tick``; ``least`` is the smallest order.
    """

    id: str
    symbol: str
    name: str
    crypto: bool = False
    fractionable: bool = True
    shortable: bool = True
    tradable: bool = True
    least: Decimal = _NINE_DIGITS
    step: Decimal = _NINE_DIGITS
    tick: Decimal = _CENT

    @property
    def kind(self) -> str:
        return "crypto" if self.crypto else "us_equity"

    @property
    def exchange(self) -> str:
        return "CRYPTO" if self.crypto else "NASDAQ"

    def wire(self) -> dict[str, Any]:
        """As ``GET /v2/assets`` has it."""
        body: dict[str, Any] = {
            "id": self.id,
            "class": self.kind,
            "exchange": self.exchange,
            "symbol": self.symbol,
            "name": self.name,
            "status": "active",
            "tradable": self.tradable,
            "marginable": not self.crypto,
            "maintenance_margin_requirement": 100 if self.crypto else 30,
            "margin_requirement_long": "100" if self.crypto else "30",
            "margin_requirement_short": "100" if self.crypto else "30",
            "shortable": self.shortable and not self.crypto,
            "easy_to_borrow": self.shortable and not self.crypto,
            "borrow_status": "easy_to_borrow" if self.shortable and not self.crypto else "not_shortable",
            "fractionable": self.fractionable,
            "attributes": ["fractional_eh_enabled"] if self.fractionable and not self.crypto else [],
        }
        if self.crypto:
            body |= {
                "min_order_size": f"{self.least:f}",
                "min_trade_increment": f"{self.step:f}",
                "price_increment": f"{self.tick:f}",
            }
        return body

    def instrument(self, symbol: str) -> Instrument:
        """The same rules under a config's symbol."""
        if self.crypto:
            base, quote = self.symbol.split("/")
            return Instrument(
                symbol=symbol,
                venue_symbol=self.symbol,
                kind="spot",
                base=base,
                quote=quote,
                settle=quote,
                price_steps=(PriceStep(Decimal(0), self.tick),),
                size_step=self.step,
                min_size=self.least,
                fractional=True,
                shortable=False,
                tradable=self.tradable,
                calendar="24/7",
            )
        return Instrument(
            symbol=symbol,
            venue_symbol=self.symbol,
            price_steps=_STOCK_STEPS,
            size_step=_NINE_DIGITS if self.fractionable else Decimal(1),
            min_notional=Decimal(1) if self.fractionable else None,
            fractional=self.fractionable,
            shortable=self.shortable,
            tradable=self.tradable,
            calendar="XNYS",
        )


def stock(symbol: str, *, fractionable: bool = True, shortable: bool = True) -> Asset:
    return Asset(
        str(uuid5(NAMESPACE_DNS, symbol)),
        symbol,
        f"{symbol} Common Stock",
        fractionable=fractionable,
        shortable=shortable,
    )


def crypto(symbol: str, *, least: Decimal, step: Decimal, tick: Decimal) -> Asset:
    return Asset(
        str(uuid5(NAMESPACE_DNS, symbol)),
        symbol,
        f"{symbol} pair",
        crypto=True,
        shortable=False,
        least=least,
        step=step,
        tick=tick,
    )

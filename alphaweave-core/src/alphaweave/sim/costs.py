"""What a simulated fill costs: fees, and slippage of its price."""

from __future__ import annotations

from decimal import Decimal

from attrs import Attribute, field, frozen

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import CONTEXT, ZERO
from alphaweave.sim.market import BarView

__all__ = ["FeeModel", "SlippageModel"]

_BASIS_POINTS = Decimal(10_000)
_ONE = Decimal(1)


def _not_negative(instance: object, attribute: Attribute[Decimal], value: Decimal) -> None:
    if not value >= 0:
        raise ValueError(f"{attribute.name} must not be negative, but is {value}")


@frozen(kw_only=True)
class FeeModel:
    """Fees in the instrument's settlement currency; the parts add up.

    Attributes:
        per_unit: for every unit of size.
        taker_rate: share of the notional, for a fill that takes liquidity (0.001 is 0.1 %).
        maker_rate: the same for a resting limit order filled at its limit; below zero is a rebate.
            None: as ``taker_rate``.
        fixed: for every fill.
        minimum: least total of one order; the fill that starts the order tops its fee up to it.
    """

    per_unit: Decimal = field(default=ZERO, validator=_not_negative)
    taker_rate: Decimal = field(default=ZERO, validator=_not_negative)
    maker_rate: Decimal | None = None
    fixed: Decimal = field(default=ZERO, validator=_not_negative)
    minimum: Decimal = field(default=ZERO, validator=_not_negative)

    @property
    def free(self) -> bool:
        """Nothing is ever charged."""
        return self == _FREE

    @property
    def rates(self) -> tuple[Decimal, Decimal] | None:
        """The taker's and the maker's share where a share of the notional is all there is to pay."""
        if self.per_unit or self.fixed or self.minimum or self.free:
            return None
        return self.taker_rate, self.taker_rate if self.maker_rate is None else self.maker_rate

    def charge(self, size: Decimal, notional: Decimal, *, maker: bool) -> Decimal:
        """The fee of one fill before ``minimum``."""
        rate = self.maker_rate if maker and self.maker_rate is not None else self.taker_rate
        fee = CONTEXT.multiply(notional, rate)
        if self.per_unit:
            fee = CONTEXT.add(fee, CONTEXT.multiply(size, self.per_unit))
        return CONTEXT.add(fee, self.fixed) if self.fixed else fee


_FREE = FeeModel()


@frozen(kw_only=True)
class SlippageModel:
    """How far a market or stop fill lands from its price, always against the order; the parts add up.

    Attributes:
        bps: hundredths of a percent of the price.
        ticks: price steps.
        impact: share of the price by which a fill of the bar's whole volume would move it; a fill of a
            tenth of the volume moves it by a tenth of that.
    """

    bps: Decimal = field(default=ZERO, validator=_not_negative)
    ticks: Decimal = field(default=ZERO, validator=_not_negative)
    impact: Decimal = field(default=ZERO, validator=_not_negative)

    @property
    def none(self) -> bool:
        """Every fill is at its price."""
        return not (self.bps or self.ticks or self.impact)

    def price(
        self, instrument: Instrument, buy: bool, price: Decimal, bar: BarView, size: Decimal
    ) -> Decimal:
        """``price`` moved against the order, within the bar's range, on the nearest tick.

        Rounding neither gives slippage back nor leaves the range: the result is off the tick grid only
        where ``price`` or the end of the range is.
        """
        slip = CONTEXT.divide(CONTEXT.multiply(price, self.bps), _BASIS_POINTS)
        if self.ticks:
            slip = CONTEXT.add(slip, CONTEXT.multiply(self.ticks, instrument.price_step(price)))
        if self.impact:
            # A bar without volume cannot say how small the order is: it pays the full impact.
            share = min(_ONE, CONTEXT.divide(size, bar.volume)) if bar.volume > 0 else _ONE
            slip = CONTEXT.add(slip, CONTEXT.multiply(CONTEXT.multiply(price, self.impact), share))
        if not slip:
            return price
        if buy:
            raw = min(CONTEXT.add(price, slip), bar.high)
            return min(max(instrument.nearest_price(raw), price), bar.high)
        raw = max(CONTEXT.subtract(price, slip), bar.low)
        return max(min(instrument.nearest_price(raw), price), bar.low)

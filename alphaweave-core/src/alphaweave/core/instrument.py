"""Instrument rules: what can be traded, in which steps, and how a request is rounded to them."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from itertools import pairwise

from attrs import field, frozen

from alphaweave.core.money import CONTEXT, ZERO
from alphaweave.core.order import OrderType, Side, TimeInForce

__all__ = ["DEFAULT_PRICE_STEP", "DEFAULT_SIZE_STEP", "Instrument", "PriceBands", "PriceStep"]

DEFAULT_PRICE_STEP = Decimal("0.01")
DEFAULT_SIZE_STEP = Decimal(1)


@frozen
class PriceStep:
    """From this price upward (inclusive), prices are whole multiples of ``step``."""

    start: Decimal
    step: Decimal


@frozen
class PriceBands:
    """How far the price of an order may be from the market, as multiples of the market's price: of a buy from
    ``buy_low`` to ``buy_high``, of a sale from ``sell_low`` to ``sell_high``."""

    buy_low: Decimal
    buy_high: Decimal
    sell_low: Decimal
    sell_high: Decimal


def _ascending(instance: object, attribute: object, value: tuple[PriceStep, ...]) -> None:
    if not value or any(step.step <= 0 for step in value):
        raise ValueError("price_steps needs at least one band, each with a step above zero")
    if any(low.start >= high.start for low, high in pairwise(value)):
        raise ValueError("price_steps must rise")


@frozen(kw_only=True)
class Instrument:
    """The rules of one symbol.

    Attributes:
        symbol: the config's name; the only one known above the adapter.
        venue_symbol: the broker's own name.
        kind: ``equity``, ``spot``, ``fx``, ``future``, ``index`` or the adapter's own word.
        base: the asset bought (None where positions are not balances, as for equities).
        quote: the asset prices are written in.
        settle: the asset cash moves in.
        multiplier: units of ``settle`` per unit of price and size.
        price_steps: tick sizes by price band, rising.
        size_step: sizes are whole multiples of it.
        min_size, max_size: smallest and largest order, in units; None is no bound.
        market_max_size: largest market order, in units, where that is less than ``max_size``.
        min_notional, max_notional: smallest and largest order value, in quote currency.
        price_bands: how far a limit price may be from the market; None is no bound.
        max_orders: how many orders may wait in it at once; None is no bound.
        max_triggers: how many of them may wait for a trigger; None is no bound.
        quote_step: an order sized in quote currency is a whole multiple of it; None is no bound.
        fractional: sizes that are no whole number of units are allowed.
        shortable: the position may become negative.
        tradable: it can be traded at present (not halted, not delisted).
        calendar: an exchange calendar's name, or ``24/7``; None when unknown.
        order_types: the (type, time in force) pairs allowed; None means whatever the broker can do.
        assumed: True when no source gave these rules and the defaults stand in for them.
    """

    symbol: str
    venue_symbol: str
    kind: str = "equity"
    base: str | None = None
    quote: str = "USD"
    settle: str = "USD"
    multiplier: Decimal = Decimal(1)
    price_steps: tuple[PriceStep, ...] = field(
        default=(PriceStep(ZERO, DEFAULT_PRICE_STEP),), validator=_ascending
    )
    size_step: Decimal = DEFAULT_SIZE_STEP
    min_size: Decimal | None = None
    max_size: Decimal | None = None
    market_max_size: Decimal | None = None
    min_notional: Decimal | None = None
    max_notional: Decimal | None = None
    price_bands: PriceBands | None = None
    max_orders: int | None = None
    max_triggers: int | None = None
    quote_step: Decimal | None = None
    fractional: bool = False
    shortable: bool = True
    tradable: bool = True
    calendar: str | None = None
    order_types: frozenset[tuple[OrderType, TimeInForce]] | None = None
    assumed: bool = False

    def price_step(self, price: Decimal) -> Decimal:
        """The tick size that holds at ``price``."""
        steps = self.price_steps
        step = steps[0].step
        for band in steps[1:]:
            if price < band.start:
                break
            step = band.step
        return step

    def round_size(self, size: Decimal) -> Decimal:
        """The largest allowed step not above ``size`` (sizes are rounded down, never up)."""
        step = self.size_step
        # Always with the digits of the step: equal sizes are written alike, however they came about.
        return CONTEXT.multiply(CONTEXT.divide_int(size, step), step)

    def market_part(self, size: Decimal, price: Decimal | None) -> Decimal:
        """As much of ``size`` as one market order may be, in whole steps; 0 where that is too little.

        What is left is never less than the smallest order, where that can be had.

        Args:
            price: what ``max_notional`` is judged at; None leaves that out.
        """
        bounds = [bound for bound in (self.max_size, self.market_max_size) if bound is not None]
        if self.max_notional is not None and price is not None and price > ZERO:
            bounds.append(CONTEXT.divide(self.max_notional, price))
        part = self.round_size(min([size, *bounds]))
        least = self.min_size or self.size_step
        left = CONTEXT.subtract(size, part)
        if ZERO < left < least and CONTEXT.subtract(size, least) >= least:
            part = min(part, self.round_size(CONTEXT.subtract(size, least)))
        return part

    def round_quote(self, amount: Decimal) -> Decimal:
        """The largest allowed amount of quote currency not above ``amount``."""
        step = self.quote_step
        if step is None:
            return amount
        return CONTEXT.multiply(CONTEXT.divide_int(amount, step), step)

    def units_worth(self, value: Decimal, price: Decimal) -> Decimal:
        """Units that ``value`` in quote currency buys at ``price``, rounded up: the most it could be."""
        units = CONTEXT.divide(value, CONTEXT.multiply(price, self.multiplier))
        step = self.size_step
        return CONTEXT.multiply(CONTEXT.divide(units, step).to_integral_value(ROUND_CEILING), step)

    def round_price(self, price: Decimal, side: Side) -> Decimal:
        """The passive neighbour on the tick grid: a buy is rounded down, a sell up."""
        step = self.price_step(price)
        mode = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
        return CONTEXT.multiply(CONTEXT.divide(price, step).to_integral_value(mode), step)

    def round_trigger(self, price: Decimal, side: Side) -> Decimal:
        """A stop's neighbour that triggers later, not sooner: a buy stop goes up, a sell stop down."""
        return self.round_price(price, side.opposite)

    def nearest_price(self, price: Decimal) -> Decimal:
        """The nearest tick: for a venue that prints a price it computed."""
        step = self.price_step(price)
        return CONTEXT.multiply(CONTEXT.divide(price, step).to_integral_value(ROUND_HALF_EVEN), step)

    def notional(self, size: Decimal, price: Decimal) -> Decimal:
        """Unsigned value in ``settle`` of ``size`` units at ``price``."""
        return CONTEXT.multiply(CONTEXT.multiply(size.copy_abs(), price), self.multiplier)

"""From a match to an execution: how much, at what price and fee, and whether the account can carry it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random

from alphaweave.core.drafts import drafted
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import CONTEXT, ZERO, Money
from alphaweave.core.order import OrderStatus, TimeInForce
from alphaweave.live.reports import BrokerFill
from alphaweave.sim.account import Account
from alphaweave.sim.admission import EXPOSURE_TEXTS
from alphaweave.sim.book import OrderBook
from alphaweave.sim.costs import FeeModel
from alphaweave.sim.market import BarView
from alphaweave.sim.matching import Match, Place
from alphaweave.sim.orders import SimOrder
from alphaweave.sim.settings import VenueSettings

__all__ = ["Executor"]

# An enum member looked up in its class costs several times what a module's own name costs.
_OPEN = Place.OPEN

_Fill = drafted(BrokerFill)

_add = CONTEXT.add
_subtract = CONTEXT.subtract
_multiply = CONTEXT.multiply


class Executor:
    """Executes matches against the account.

    Attributes:
        executions: how many there were; the last one's number in its key.
        rng: the venue's random numbers; drawn only for ``random_partials``.
    """

    def __init__(  # noqa: PLR0917 - wiring
        self,
        account_id: str,
        account: Account,
        book: OrderBook,
        instruments: Mapping[str, Instrument],
        settings: VenueSettings,
        rng: Random,
    ) -> None:
        self._account_id = account_id
        self._account = account
        self._book = book
        self._instruments = instruments
        self._settings = settings
        self._fees = None if settings.fees.free else settings.fees
        self._rates = settings.fees.rates
        self._slippage = None if settings.slippage.none else settings.slippage
        # Nothing but the order itself says how much of it is filled.
        self._unbounded = settings.volume_share is None and not settings.random_partials
        self.executions = 0
        self.rng = rng

    def execute(self, order: SimOrder, bar: BarView, match: Match) -> None:
        """Fill what can be filled of ``order``; it may end by it, refused or complete."""
        request = order.request
        instrument = self._instruments[request.symbol]
        price, place, maker, slips = match
        if order.quote_left is not None and price <= ZERO:
            self._give_up(order, bar, "no_price", "an amount buys nothing at a price that is not above zero")
            return
        if self._unbounded and order.quote_left is None and not request.reduce_only:
            assert order.quantity is not None
            whole = size = _subtract(order.quantity, order.filled) if order.filled else order.quantity
            if slips and self._slippage is not None:
                price = self._slippage.price(instrument, order.buy, price, bar, size)
        else:
            cut = self._cut(order)
            whole, size = self._size(order, instrument, price, bar, place, cut)
            if slips and self._slippage is not None:
                price = self._slippage.price(instrument, order.buy, price, bar, size)
                if order.quote_left is not None:
                    whole, size = self._size(order, instrument, price, bar, place, cut)
            if self._ends_unfilled(order, bar, whole, size) or not size:
                return
        reason = self._account.refusal(instrument, order.buy, size, price, self._book.now, None, True)
        if reason is not None:
            self._give_up(order, bar, reason, EXPOSURE_TEXTS[reason])
            return
        self._fill(order, instrument, bar, place, maker, size, price, size is whole or size == whole)
        if request.reduce_only and order.seq in self._book.working and not self._reducible(order):
            self._book.end(order, OrderStatus.CANCELLED, "reduce_only", self._exits_from(bar, place))

    def _ends_unfilled(self, order: SimOrder, bar: BarView, whole: Decimal, size: Decimal) -> bool:
        if not whole:
            self._give_up(order, bar, "below_min_size", "the amount buys less than one size step")
        elif order.request.reduce_only and not self._reducible(order):
            self._book.end(order, OrderStatus.CANCELLED, "reduce_only", (bar.end, bar.end))
        elif order.request.tif is TimeInForce.FOK and size < whole:
            self._book.end(order, OrderStatus.EXPIRED, "fok_not_filled")
        else:
            return False
        return True

    def _size(  # noqa: PLR0917 - runs for every match, and keywords cost
        self,
        order: SimOrder,
        instrument: Instrument,
        price: Decimal,
        bar: BarView,
        place: Place,
        cut: Decimal | None,
    ) -> tuple[Decimal, Decimal]:
        """Units that would complete the order, and units of them to be had now."""
        if order.quote_left is None:
            whole = order.remaining
        else:
            unit = _multiply(price, instrument.multiplier)
            whole = instrument.round_size(CONTEXT.divide(order.quote_left, unit))
        size = whole
        if order.request.reduce_only:
            size = min(size, self._reducible(order))
        if self._settings.volume_share is not None and place is not Place.LAST:
            size = self._within_capacity(size, bar, instrument)
        if cut is not None:
            size = instrument.round_size(_multiply(size, cut)) or size
        return whole, size

    def _within_capacity(self, size: Decimal, bar: BarView, instrument: Instrument) -> Decimal:
        share = self._settings.volume_share
        assert share is not None
        if bar.capacity is None:
            bar.capacity = instrument.round_size(_multiply(share, bar.volume))
        if size <= bar.capacity:
            return size
        allowed = instrument.round_size(max(bar.capacity, ZERO))
        # What is left over after this fill must itself be tradable.
        return size if allowed and _subtract(size, allowed) < instrument.size_step else allowed

    def _cut(self, order: SimOrder) -> Decimal | None:
        chance = self._settings.random_partials
        if not chance or order.request.tif is TimeInForce.FOK or self.rng.random() >= chance:
            return None
        return Decimal(repr(self.rng.random()))

    def _reducible(self, order: SimOrder) -> Decimal:
        held = self._account.position(order.ref.symbol)
        return max(held.copy_negate() if order.buy else held, ZERO)

    def _fill(  # noqa: PLR0917 - runs for every fill, and keywords cost
        self,
        order: SimOrder,
        instrument: Instrument,
        bar: BarView,
        place: Place,
        maker: bool,
        size: Decimal,
        price: Decimal,
        complete: bool,
    ) -> None:
        book = self._book
        value = _multiply(size, price)
        if order.filled:
            order.filled = _add(order.filled, size)
            order.value = _add(order.value, value)
            order.average_price = CONTEXT.divide(order.value, order.filled)
        else:
            order.filled, order.value, order.average_price = size, value, price
        notional = _multiply(value, instrument.multiplier)
        if order.quote_left is not None:
            order.quote_left = _subtract(order.quote_left, notional)
            if complete:
                order.quantity = order.filled
        if bar.capacity is not None:
            bar.capacity = _subtract(bar.capacity, size)
        # A price below zero is no reason to be paid a fee.
        charged = notional.copy_abs()
        if self._rates is not None:
            fee = _multiply(charged, self._rates[maker])
        else:
            fee = ZERO if self._fees is None else self._fee(self._fees, order, size, charged, maker)
        self._account.book(instrument, order.buy, size, notional, price, fee)
        self.executions += 1
        ref = order.ref
        at = book.instants.get(book.now) or book.at(book.now)
        executed_at = (book.instants.get(bar.start) or book.at(bar.start)) if place is _OPEN else at
        fill = _Fill(
            self._account_id,
            f"{self._account_id}:{self.executions}",
            ref.broker_order_id or "",
            ref.client_order_id,
            ref.symbol,
            order.request.side,
            size,
            price,
            executed_at,
            at,
            0,
            order.filled,
            (Money(instrument.settle, fee),) if fee else (),
        )
        exits_from = self._exits_from(bar, place) if order.group else None
        book.executed(order, fill, exits_from, complete)

    @staticmethod
    def _fee(fees: FeeModel, order: SimOrder, size: Decimal, notional: Decimal, maker: bool) -> Decimal:
        fee = fees.charge(size, notional, maker=maker)
        if fees.minimum:
            order.fee_due = _add(order.fee_due, fee)
            fee = _subtract(max(order.fee_due, fees.minimum), order.fee_paid)
            order.fee_paid = _add(order.fee_paid, fee)
        return fee

    def _exits_from(self, bar: BarView, place: Place) -> tuple[int, int]:
        """From when on the stop and the target of an entry that ends here can match."""
        if place is Place.LAST:
            return self._book.now, self._book.now
        # The open comes before the rest of the bar, so a stop may be hit in it; that a target was, after
        # an entry whose moment is as good as any, is not assumed.
        return (bar.opens if place is _OPEN else bar.end), bar.end

    def _give_up(self, order: SimOrder, bar: BarView, reason: str, text: str) -> None:
        """End an order that cannot go on: refused, or cancelled when some of it was filled."""
        status = OrderStatus.CANCELLED if order.filled else OrderStatus.REJECTED
        self._book.end(order, status, reason, (bar.end, bar.end), text)

"""From a match to an execution: how much, at what price and fee, and whether the account can carry it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from random import Random

from alphaweave.core.clock import from_ns
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import CONTEXT, ZERO, Money
from alphaweave.core.order import OrderStatus, Side, TimeInForce
from alphaweave.live.reports import BrokerFill
from alphaweave.sim.account import Account
from alphaweave.sim.admission import EXPOSURE_TEXTS
from alphaweave.sim.book import OrderBook
from alphaweave.sim.market import BarView
from alphaweave.sim.matching import Match, Place
from alphaweave.sim.orders import SimOrder
from alphaweave.sim.settings import VenueSettings

__all__ = ["Executor"]

_add = CONTEXT.add
_subtract = CONTEXT.subtract
_multiply = CONTEXT.multiply


class Executor:
    """Executes matches against the account.

    Attributes:
        executions: how many there were; the last one's number in its key.
        rng: the venue's random numbers; drawn only for ``random_partials``.
    """

    __slots__ = (
        "_account", "_account_id", "_book", "_fees", "_instruments", "_opened", "_opened_ns", "_settings",
        "_slippage", "executions", "rng",
    )  # fmt: skip

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
        self._slippage = None if settings.slippage.none else settings.slippage
        self._opened_ns = 0
        self._opened = from_ns(0)
        self.executions = 0
        self.rng = rng

    def execute(self, order: SimOrder, bar: BarView, match: Match) -> None:
        """Fill what can be filled of ``order``; it may end by it, refused or complete."""
        instrument = self._instruments[order.ref.symbol]
        place = match.place
        cut = self._cut(order)
        price = match.price
        whole, size = self._size(order, instrument, price, bar, place, cut)
        if match.slips and self._slippage is not None:
            price = self._slippage.price(instrument, order.buy, price, bar.low, bar.high, size, bar.volume)
            if order.quote_left is not None:
                whole, size = self._size(order, instrument, price, bar, place, cut)
        if not whole:
            self._give_up(order, bar, "below_min_size", "the amount buys less than one size step")
            return
        if order.request.reduce_only and not self._reducible(order):
            self._book.end(order, OrderStatus.CANCELLED, "reduce_only", (bar.end, bar.end))
            return
        if order.request.tif is TimeInForce.FOK and size < whole:
            self._book.end(order, OrderStatus.EXPIRED, "fok_not_filled")
            return
        if not size:
            return
        reason = self._account.refusal(instrument, order.buy, size, price, self._book.now, fill=True)
        if reason is not None:
            self._give_up(order, bar, reason, EXPOSURE_TEXTS[reason])
            return
        self._fill(order, instrument, bar, match, size, price, complete=size == whole)
        if order.request.reduce_only and order.seq in self._book.working and not self._reducible(order):
            self._book.end(order, OrderStatus.CANCELLED, "reduce_only", self._exits_from(bar, place))

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
        match: Match,
        size: Decimal,
        price: Decimal,
        *,
        complete: bool,
    ) -> None:
        book = self._book
        value = _multiply(size, price)
        order.filled = _add(order.filled, size)
        order.value = _add(order.value, value)
        order.last_price = price
        notional = _multiply(value, instrument.multiplier)
        if order.quote_left is not None:
            order.quote_left = _subtract(order.quote_left, notional)
            if complete:
                order.quantity = order.filled
        if bar.capacity is not None:
            bar.capacity = _subtract(bar.capacity, size)
        fee = self._fee(order, size, notional, match.maker)
        self._account.book(instrument, order.buy, size, notional, price, fee)
        self.executions += 1
        ref = order.ref
        at = book.at()
        fill = BrokerFill(
            self._account_id,
            f"{self._account_id}:{self.executions}",
            ref.broker_order_id or "",
            ref.client_order_id,
            ref.symbol,
            Side.BUY if order.buy else Side.SELL,
            size,
            price,
            self._opening(bar) if match.place is Place.OPEN else at,
            at,
            0,
            order.filled,
            (Money(instrument.settle, fee),) if fee else (),
        )
        book.executed(order, fill, self._exits_from(bar, match.place), complete=complete)

    def _fee(self, order: SimOrder, size: Decimal, notional: Decimal, maker: bool) -> Decimal:
        if self._fees is None:
            return ZERO
        fee = self._fees.charge(size, notional, maker=maker)
        if self._fees.minimum:
            order.fee_due = _add(order.fee_due, fee)
            fee = _subtract(max(order.fee_due, self._fees.minimum), order.fee_paid)
            order.fee_paid = _add(order.fee_paid, fee)
        return fee

    def _opening(self, bar: BarView) -> datetime:
        if bar.start != self._opened_ns:
            self._opened_ns, self._opened = bar.start, from_ns(bar.start)
        return self._opened

    def _exits_from(self, bar: BarView, place: Place) -> tuple[int, int]:
        """From when on the stop and the target of an entry that ends here can match."""
        if place is Place.LAST:
            return self._book.now, self._book.now
        # The open comes before the rest of the bar, so a stop may be hit in it; that a target was, after
        # an entry whose moment is as good as any, is not assumed.
        return (bar.opens if place is Place.OPEN else bar.end), bar.end

    def _give_up(self, order: SimOrder, bar: BarView, reason: str, text: str) -> None:
        """End an order that cannot go on: refused, or cancelled when some of it was filled."""
        status = OrderStatus.CANCELLED if order.filled else OrderStatus.REJECTED
        self._book.end(order, status, reason, (bar.end, bar.end), text)

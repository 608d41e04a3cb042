"""How a request becomes an order, and the requests that strategies make most: market orders.

Whatever the request, an order passes `_check`, the risk chain, and enters the kernel's books before its
intent is among the effects.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING

from alphaweave.core.money import ZERO, Number, decimal_of
from alphaweave.core.order import OrderRef, OrderRequest, OrderType, Side, TimeInForce
from alphaweave.live.adapters.capabilities import usual_tif
from alphaweave.live.effects import SubmitOrder, prepared
from alphaweave.live.express_orders import ExpressOrder
from alphaweave.live.notes import denial_record
from alphaweave.live.orders import DeniedOrder, Order, SymbolBook
from alphaweave.live.risk import Denial, Proposal
from alphaweave.live.rounding import (
    UNUSABLE,
    Refused,
    complaint,
    limit_on_grid,
    sized,
    stop_on_grid,
    trail_of,
    whole_where_needed,
)
from alphaweave.live.view import MarketView
from alphaweave.strategy.events import OrderHandle

if TYPE_CHECKING:
    from alphaweave.live.kernel import Kernel

__all__ = ["OrderEntry"]

# An enum member looked up in its class costs several times what a module's own name costs.
_BUY, _SELL, _MARKET = Side.BUY, Side.SELL, OrderType.MARKET
_LARGEST = 1e15
_RESTING = (TimeInForce.DAY, TimeInForce.GTC)


class OrderEntry(MarketView, ABC):
    """The half of the trading desk that takes orders in."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        first = next(iter(kernel.books.values()))
        # One for all: rules look at a proposal while they are asked and keep none.
        self._proposal = Proposal(first.symbol, first.instrument, Side.BUY, ZERO)

    def place(
        self,
        symbol: str | None,
        size: Number | None,
        kind: OrderType,
        tif: TimeInForce | str | None,
        *,
        value: Number | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        trail: tuple[Number | None, Number | None] | None = None,
        expire_at: datetime | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        extended_hours: bool = False,
    ) -> OrderHandle:
        book = self._book(symbol)
        adjustments: list[str] = []
        try:
            self._may_trade()
            side, quantity, quote_quantity = sized(book.instrument, size, value, adjustments)
            tif = self._tif(book, kind, tif)
            if quantity is not None and quantity % 1:
                quantity = whole_where_needed(self._kernel.capabilities, quantity, [(kind, tif)], adjustments)
            request = OrderRequest(
                symbol=book.symbol,
                side=side,
                quantity=quantity,
                quote_quantity=quote_quantity,
                type=kind,
                tif=tif,
                expire_at=expire_at,
                limit_price=limit_on_grid(book.instrument, limit_price, side, adjustments),
                stop_price=stop_on_grid(book.instrument, stop_price, side, kind, adjustments),
                trail=None if trail is None else trail_of(*trail),
                post_only=post_only,
                reduce_only=reduce_only,
                extended_hours=extended_hours,
            )
            return self._submit(book, request, tuple(adjustments), book.last())
        except Refused as refusal:
            return self._deny(book, kind, refusal.reason, refusal.text)
        except UNUSABLE as error:
            return self._deny(book, kind, "invalid_order", complaint(error))

    def place_market(
        self,
        symbol: str | None,
        size: Number | None = None,
        *,
        value: Number | None = None,
        tif: TimeInForce | str | None = None,
        reduce_only: bool = False,
    ) -> OrderHandle:
        kernel = self._kernel
        lane = kernel.express
        if (
            lane is None
            or lane.others
            or kernel.warming
            or kernel.stopped
            or kernel.index < 0
            or tif is not None
            or value is not None
            or reduce_only
        ):
            return self.place(symbol, size, _MARKET, tif, value=value, reduce_only=reduce_only)
        book = self._books.get(symbol) or self._book(symbol)
        usual = book.market_tif or self._market_tif(book)
        units = self._on_grid(book, size, usual)
        if units is None:
            return self.place(symbol, size, _MARKET, None)
        count = book.cursor.count
        last = book.closes[count - 1] if count else None
        try:
            if units > ZERO:
                return self._express(book, _BUY, units, usual, last)
            return self._express(book, _SELL, units.copy_negate(), usual, last)
        except Refused as refusal:
            return self._deny(book, _MARKET, refusal.reason, refusal.text)
        except UNUSABLE as error:
            return self._deny(book, _MARKET, "invalid_order", complaint(error))

    def place_target(
        self, symbol: str | None, target: float | Decimal, tif: TimeInForce | str | None = None
    ) -> OrderHandle:
        # The path of every rebalancing: it calls as little as it can.
        book = self._books.get(symbol) or self._book(symbol)
        kernel = self._kernel
        try:
            if kernel.warming or kernel.stopped or kernel.index < 0:
                self._may_trade()
            # Whatever else passes for a number in Python, a flag say, was hardly meant as one.
            share = target if type(target) is float else float(decimal_of(target))
            count = book.cursor.count
            last = book.closes[count - 1] if count else None
            change = self._target_quantity(book, share, last) - book.quantity - book.intended
            quantity = book.instrument.round_size(abs(change))
            if not quantity:
                at = DeniedOrder("", book.symbol, "at_target", "the position is already at its target")
                return OrderHandle(at, self)
            tif = (book.market_tif or self._market_tif(book)) if tif is None else TimeInForce(tif)
            adjustments: tuple[str, ...] = ()
            if quantity % 1:
                cut: list[str] = []
                quantity = whole_where_needed(kernel.capabilities, quantity, [(_MARKET, tif)], cut)
                adjustments = tuple(cut)
            side = _BUY if change > 0 else _SELL
            lane = kernel.express
            if lane is not None and not lane.others and tif in _RESTING and not adjustments:
                return self._express(book, side, quantity, tif, last)
            request = OrderRequest(book.symbol, side, quantity, None, _MARKET, tif)
            return self._submit(book, request, adjustments, last)
        except Refused as refusal:
            return self._deny(book, OrderType.MARKET, refusal.reason, refusal.text)
        except UNUSABLE as error:
            return self._deny(book, OrderType.MARKET, "invalid_order", complaint(error))

    @abstractmethod
    def cancel(self, order_id: str) -> None: ...

    @abstractmethod
    def replace(
        self, order_id: str, size: Number | None, limit_price: Number | None, stop_price: Number | None
    ) -> bool: ...

    # Within.

    def _on_grid(self, book: SymbolBook, size: Number | None, tif: TimeInForce) -> Decimal | None:
        """A size that needs no rounding as signed units on the grid; None if it is anything else."""
        if tif not in _RESTING or not size:
            return None
        # What is far too large, and NaN, fails here; the long way says why.
        if (type(size) is not int and type(size) is not float) or not -_LARGEST < size < _LARGEST:
            return None
        if type(size) is int:
            units = Decimal(size)
        else:
            units = Decimal(int(size)) if book.whole and size == int(size) else Decimal(repr(size))
        if book.whole and not units % 1:
            return units
        rounded = book.instrument.round_size(units)
        if rounded != units or (units % 1 and (_MARKET, tif) not in self._kernel.capabilities.fractional):
            return None
        return rounded

    def _express(
        self, book: SymbolBook, side: Side, quantity: Decimal, tif: TimeInForce, last: float | None
    ) -> OrderHandle:
        """`_submit` of a market order in units that may go the straight way.

        Raises:
            Refused: the risk chain denies it.
        """
        kernel = self._kernel
        now = kernel.now
        order = ExpressOrder(book, side, quantity, tif, now, last, kernel.ids, kernel.trigger)
        price = Decimal(repr(last)) if last is not None and last > 0.0 else None
        proposal = self._propose(book, side, quantity, price, book.quantity)
        proposal.source = order
        proposal.plain = tif
        denial = kernel.chain.check(proposal)
        if denial is not None:
            raise Refused(denial.code, denial.text)
        order.number = kernel.next_number()
        kernel.effects.append(order)
        kernel.decided.append(order)
        kernel.orders_placed += 1
        # `Order.reserve`, for what is all open.
        order.reserved = quantity
        if side is _BUY:
            book.open_buy += quantity
            book.intended += quantity
        else:
            book.open_sell += quantity
            book.intended -= quantity
        return OrderHandle(order, self)

    def _propose(
        self, book: SymbolBook, side: Side, quantity: Decimal, price: Decimal | None, position: Decimal
    ) -> Proposal:
        """What the risk chain is to judge, but for the order's terms."""
        proposal = self._proposal
        proposal.symbol = book.symbol
        proposal.instrument = book.instrument
        proposal.side = side
        proposal.quantity = quantity
        proposal.terms = None
        proposal.price = price
        proposal.notional = None
        proposal.position = position
        proposal.worst_long = worst_long = position + book.open_buy
        proposal.worst_short = worst_short = position - book.open_sell
        if side is _BUY:
            proposal.reduces = position < ZERO and quantity <= -worst_long
        else:
            proposal.reduces = position > ZERO and quantity <= worst_short
        return proposal

    def _may_trade(self) -> None:
        kernel = self._kernel
        if kernel.warming or kernel.index < 0:
            raise Refused("warmup", "orders are refused before the warm-up is over")
        if kernel.stopped:
            raise Refused("stopped", "the run is stopping")

    def _tif(self, book: SymbolBook, kind: OrderType, tif: TimeInForce | str | None) -> TimeInForce:
        if tif is not None:
            return TimeInForce(tif)
        usual = book.usual_tif.get(kind)
        if usual is None:
            usual = book.usual_tif[kind] = usual_tif(self._kernel.capabilities, book.instrument, kind)
        return usual

    def _market_tif(self, book: SymbolBook) -> TimeInForce:
        book.market_tif = tif = self._tif(book, _MARKET, None)
        return tif

    def _target_quantity(self, book: SymbolBook, target: float, price: float | None) -> Decimal:
        if not isfinite(target):
            raise Refused("invalid_order", f"the target is {target}")
        if target == 0.0:
            return ZERO
        kernel = self._kernel
        if price is None or price <= 0.0:
            what = "has had no bar yet" if price is None else f"has the price {price}"
            raise Refused("no_reference_price", f"{book.symbol} {what}, which sizes nothing")
        equity = kernel.equity()
        cap = kernel.settings.capital
        if cap is not None and equity > cap:
            equity = cap
        if equity <= 0.0:
            return ZERO
        units = abs(target) * equity / (price * book.multiplier)
        goal = book.instrument.round_size(Decimal(repr(units)))
        return goal if target > 0.0 else -goal

    def _submit(
        self, book: SymbolBook, request: OrderRequest, adjustments: tuple[str, ...], last: float | None
    ) -> OrderHandle:
        kernel = self._kernel
        denial = self._check(book, request, last)
        if denial is not None:
            raise Refused(denial.code, denial.text)
        ref = OrderRef(kernel.next_id(), book.symbol, decided_at=kernel.when())
        prepare = kernel.settings.prepare
        if prepare is not None:
            (ref,) = prepared(prepare, request, (ref,))
        order = Order(book, ref, request, kernel.now, last, adjustments)
        kernel.effects.append(SubmitOrder(ref, request))
        kernel.admit(order)
        return OrderHandle(order, self)

    def _check(
        self, book: SymbolBook, request: OrderRequest, last: float | None, entered: Decimal = ZERO
    ) -> Denial | None:
        """Ask the risk chain; ``entered`` is what an entry of the same group will have added before."""
        price = request.limit_price or request.stop_price
        if price is None and last is not None and last > 0.0:  # below it a value says nothing
            price = Decimal(repr(last))
        quantity = request.quantity
        if quantity is None:
            quantity = ZERO
            if price and request.quote_quantity is not None:
                quantity = book.instrument.units_worth(request.quote_quantity, price)
        position = book.quantity + entered if entered else book.quantity
        proposal = self._propose(book, request.side, quantity, price, position)
        proposal.request = request
        return self._kernel.chain.check(proposal)

    def _named(self, book: SymbolBook, client_order_id: str | None = None) -> OrderRef:
        kernel = self._kernel
        return OrderRef(client_order_id or kernel.next_id(), book.symbol, decided_at=kernel.when())

    def _deny(self, book: SymbolBook, kind: OrderType, reason: str, text: str) -> OrderHandle:
        kernel = self._kernel
        order = DeniedOrder(kernel.next_id(), book.symbol, reason, text)
        kernel.denials += 1
        kernel.notes.append(denial_record(order, kind, kernel.when()))
        return OrderHandle(order, self)

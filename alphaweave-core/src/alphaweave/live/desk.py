"""The trading desk: what a strategy reads, and how what it asks for becomes an order.

Every request takes the same way: sizes and prices to exact decimals, rounding by the instrument's
rules (each adjustment is reported), the risk chain, then an order and its intent. A refusal anywhere
on that way is a DENIED handle with a reason; nothing is raised into the strategy.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING

from alphaweave.core.errors import Unsupported
from alphaweave.core.money import ZERO, Number, decimal_of
from alphaweave.core.order import (
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)
from alphaweave.live.adapters.capabilities import check_change, check_request, usual_tif
from alphaweave.live.effects import CancelOrder, ReplaceOrder, SubmitGroup, SubmitOrder, prepared
from alphaweave.live.grouping import group_of
from alphaweave.live.notes import denial_record
from alphaweave.live.orders import DeniedOrder, Group, Order, SymbolBook
from alphaweave.live.risk import Denial, Proposal
from alphaweave.live.rounding import (
    UNUSABLE,
    Refused,
    complaint,
    limit_on_grid,
    sized,
    stop_on_grid,
    trail_of,
    units_on_grid,
    whole_where_needed,
)
from alphaweave.live.view import MarketView
from alphaweave.strategy.events import GroupHandle, OrderHandle

if TYPE_CHECKING:
    from alphaweave.live.kernel import Kernel

__all__ = ["TradingDesk"]


class TradingDesk(MarketView):
    """The kernel's face towards the strategy (`alphaweave.strategy.desk.Desk`)."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        first = next(iter(kernel.books.values()))
        # One for all: rules look at a proposal while they are asked and keep none.
        self._proposal = Proposal(first.symbol, first.instrument, Side.BUY, ZERO)

    def order(self, order_id: str) -> OrderHandle | None:
        order = self._kernel.orders.get(order_id)
        return None if order is None else OrderHandle(order, self)

    def open_orders(self, symbol: str | None) -> tuple[OrderHandle, ...]:
        books = self._kernel.books.values() if symbol is None else (self._book(symbol),)
        return tuple(OrderHandle(order, self) for book in books for order in book.orders.values())

    # Requests.

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
                stop_price=stop_on_grid(book.instrument, stop_price, side, adjustments),
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

    def place_target(
        self, symbol: str | None, target: float | Decimal, tif: TimeInForce | str | None
    ) -> OrderHandle:
        # The path of every rebalancing: it calls as little as it can.
        book = self._books.get(symbol) or self._book(symbol)
        kernel = self._kernel
        try:
            if kernel.warming or kernel.stopped or kernel.index < 0:
                self._may_trade()
            count = book.cursor.count
            last = book.closes[count - 1] if count else None
            change = self._target_quantity(book, float(target), last) - book.quantity - book.intended
            quantity = book.instrument.round_size(abs(change))
            if not quantity:
                at = DeniedOrder("", book.symbol, "at_target", "the position is already at its target")
                return OrderHandle(at, self)
            if tif is not None or (tif := book.market_tif) is None:
                tif = self._tif(book, OrderType.MARKET, tif)
            adjustments: tuple[str, ...] = ()
            if quantity % 1:
                cut: list[str] = []
                pairs = [(OrderType.MARKET, tif)]
                quantity = whole_where_needed(kernel.capabilities, quantity, pairs, cut)
                adjustments = tuple(cut)
            side = Side.BUY if change > 0 else Side.SELL
            request = OrderRequest(book.symbol, side, quantity, None, OrderType.MARKET, tif)
            return self._submit(book, request, adjustments, last)
        except Refused as refusal:
            return self._deny(book, OrderType.MARKET, refusal.reason, refusal.text)
        except UNUSABLE as error:
            return self._deny(book, OrderType.MARKET, "invalid_order", complaint(error))

    def place_group(
        self,
        symbol: str | None,
        size: Number,
        *,
        bracket: bool,
        take_profit: Number,
        stop_loss: Number,
        stop_limit: Number | None,
        limit_price: Number | None,
        tif: TimeInForce | str | None,
    ) -> GroupHandle:
        book = self._book(symbol)
        adjustments: list[str] = []
        try:
            self._may_trade()
            group = group_of(
                book.instrument,
                self._kernel.capabilities,
                size,
                bracket=bracket,
                take_profit=take_profit,
                stop_loss=stop_loss,
                stop_limit=stop_limit,
                limit_price=limit_price,
                tif=tif,
                adjustments=adjustments,
            )
            return self._submit_group(book, group, tuple(adjustments))
        except Refused as refusal:
            return self._deny_group(book, bracket, refusal.reason, refusal.text)
        except UNUSABLE as error:
            return self._deny_group(book, bracket, "invalid_order", complaint(error))

    def cancel(self, order_id: str) -> None:
        order = self._kernel.orders.get(order_id)
        if order is None or self._kernel.stopped:
            return
        if not order.handed_over:
            self._kernel.withdraw(order, "withdrawn")
            return
        self._kernel.effects.append(CancelOrder(order.ref))
        if order.change_ref is not None:
            # Which of the two works is not known, and neither shall.
            self._kernel.effects.append(CancelOrder(order.change_ref))

    def replace(
        self,
        order_id: str,
        size: Number | None,
        limit_price: Number | None,
        stop_price: Number | None,
    ) -> bool:
        kernel = self._kernel
        order = kernel.orders.get(order_id)
        if order is None:
            return False
        instrument = order.book.instrument
        adjustments: list[str] = []
        try:
            self._may_trade()
            if order.change is not None:
                raise Refused("replace_pending", "a replacement of this order is still on its way")
            if not order.handed_over:
                raise Refused("not_sent", "the order has not been handed over yet; cancel it instead")
            quantity = None
            if size is not None:
                quantity = units_on_grid(instrument, abs(decimal_of(size)), adjustments)
                pair = (order.request.type, order.request.tif)
                quantity = whole_where_needed(
                    kernel.capabilities, quantity, [pair], adjustments, grouped=order.group is not None
                )
                if quantity <= order.filled:
                    raise Refused("below_filled", f"{order.filled} units are filled already")
            change = OrderChange(
                quantity=quantity,
                limit_price=limit_on_grid(instrument, limit_price, order.side, adjustments),
                stop_price=stop_on_grid(instrument, stop_price, order.side, adjustments),
            )
            self._check_replacement(order, change)
            version = order.version + 1
            new_ref = self._named(order.book, kernel.replacement_id(order.id, version))
            if kernel.settings.prepare is not None:
                (new_ref,) = prepared(kernel.settings.prepare, change, (new_ref,), order.ref)
        except Refused as refusal:
            order.text = refusal.text
            return False
        except (*UNUSABLE, Unsupported) as error:
            order.text = complaint(error)
            return False
        order.version = version
        order.change = change
        order.change_ref = new_ref
        order.adjustments += tuple(adjustments)
        kernel.orders[new_ref.client_order_id] = order
        kernel.effects.append(ReplaceOrder(order.ref, new_ref, change))
        order.reserve()
        return True

    # Within.

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

    def _submit_group(self, book: SymbolBook, group: OrderGroup, adjustments: tuple[str, ...]) -> GroupHandle:
        kernel = self._kernel
        last = book.last()
        refusal = check_request(kernel.capabilities, book.instrument, group)
        if refusal is not None:
            raise Refused("unsupported", refusal.text)
        if group.entry is not None:
            _require(self._check(book, group.entry, last))
        entered = ZERO if group.entry is None else (group.entry.quantity or ZERO) * group.entry.side.sign
        for leg in (group.take_profit, group.stop_loss):
            _require(self._check(book, leg, last, entered))
        refs = tuple(self._named(book) for _ in group.legs)
        if kernel.settings.prepare is not None:
            refs = prepared(kernel.settings.prepare, group, refs)
        orders = [
            Order(book, ref, leg, kernel.now, last, adjustments)
            for ref, leg in zip(refs, group.legs, strict=True)
        ]
        *entry, take_profit, stop_loss = orders
        Group(group.kind, take_profit, stop_loss, entry[0] if entry else None)
        kernel.effects.append(SubmitGroup(refs, group))
        for order in orders:
            kernel.admit(order)
        handles = [OrderHandle(order, self) for order in orders]
        return GroupHandle(handles[0] if entry else None, handles[-2], handles[-1])

    def _check(
        self, book: SymbolBook, request: OrderRequest, last: float | None, entered: Decimal = ZERO
    ) -> Denial | None:
        """Ask the risk chain; ``entered`` is what an entry of the same group will have added before."""
        side = request.side
        price = request.limit_price or request.stop_price
        if price is None and last is not None and last > 0.0:  # below it a value says nothing
            price = Decimal(repr(last))
        quantity = request.quantity
        if quantity is None:
            quantity = ZERO
            if price and request.quote_quantity is not None:
                quantity = book.instrument.units_worth(request.quote_quantity, price)
        position = book.quantity + entered if entered else book.quantity
        worst_long = position + book.open_buy
        worst_short = position - book.open_sell
        if side is Side.BUY:
            reduces = position < 0 and quantity <= -worst_long
        else:
            reduces = position > 0 and quantity <= worst_short
        proposal = self._proposal
        proposal.symbol = book.symbol
        proposal.instrument = book.instrument
        proposal.side = side
        proposal.quantity = quantity
        proposal.request = request
        proposal.price = price
        proposal.notional = None
        proposal.position = position
        proposal.worst_long = worst_long
        proposal.worst_short = worst_short
        proposal.reduces = reduces
        return self._kernel.chain.check(proposal)

    def _check_replacement(self, order: Order, change: OrderChange) -> None:
        """What the new version could add is judged like an order of its own.

        Raises:
            Refused: the risk chain denies it.
            Unsupported: the broker cannot replace these fields.
        """
        refusal = check_change(self._kernel.capabilities, order.symbol, change)
        if refusal is not None:
            raise refusal
        left = (change.quantity or order.quantity or ZERO) - order.filled
        old = order.request
        request = OrderRequest(
            symbol=order.symbol,
            side=order.side,
            quantity=left,
            type=old.type,
            tif=old.tif,
            expire_at=old.expire_at,
            limit_price=change.limit_price or old.limit_price,
            stop_price=change.stop_price or old.stop_price,
            trail=old.trail,
            reduce_only=old.reduce_only,
        )
        holder, entered = order, ZERO
        group = order.group
        if group is not None and order is not group.entry:
            # The exits have one reservation between them, and what the entry will add is theirs to sell.
            holder = group.take_profit
            if group.entry is not None:
                entered = group.entry.reserved * group.entry.side.sign
        reserved = holder.reserved
        # Its own reservation steps aside for the question, or the order would be counted twice.
        holder.set_reserved(ZERO)
        denial = self._check(order.book, request, order.book.last(), entered)
        holder.set_reserved(reserved)
        _require(denial)

    def _named(self, book: SymbolBook, client_order_id: str | None = None) -> OrderRef:
        kernel = self._kernel
        return OrderRef(client_order_id or kernel.next_id(), book.symbol, decided_at=kernel.when())

    def _deny(self, book: SymbolBook, kind: OrderType, reason: str, text: str) -> OrderHandle:
        kernel = self._kernel
        order = DeniedOrder(kernel.next_id(), book.symbol, reason, text)
        kernel.denials += 1
        kernel.notes.append(denial_record(order, kind, kernel.when()))
        return OrderHandle(order, self)

    def _deny_group(self, book: SymbolBook, bracket: bool, reason: str, text: str) -> GroupHandle:
        handle = self._deny(book, OrderType.LIMIT, reason, text)
        return GroupHandle(handle if bracket else None, handle, handle)


def _require(denial: Denial | None) -> None:
    if denial is not None:
        raise Refused(denial.code, denial.text)

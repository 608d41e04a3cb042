"""The trading desk: what a strategy reads, and how what it asks for becomes an order.

Every request takes the same way: sizes and prices to exact decimals, rounding by the instrument's
rules (each adjustment is reported), the risk chain, then an order and its intent. A refusal anywhere
on that way is a DENIED handle with a reason; nothing is raised into the strategy.
"""

from __future__ import annotations

from alphaweave.core.errors import Unsupported
from alphaweave.core.money import ZERO, Number, decimal_of
from alphaweave.core.order import (
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderType,
    TimeInForce,
)
from alphaweave.live.adapters.capabilities import check_change, check_request
from alphaweave.live.effects import CancelOrder, ReplaceOrder, SubmitGroup, prepared
from alphaweave.live.grouping import group_of
from alphaweave.live.order_entry import OrderEntry
from alphaweave.live.orders import Group, Order, SymbolBook
from alphaweave.live.risk import Denial
from alphaweave.live.rounding import (
    UNUSABLE,
    Refused,
    complaint,
    limit_on_grid,
    stop_on_grid,
    units_on_grid,
    whole_where_needed,
)
from alphaweave.live.succession import left_after
from alphaweave.strategy.events import GroupHandle, OrderHandle

__all__ = ["TradingDesk"]


class TradingDesk(OrderEntry):
    """The kernel's face towards the strategy (`alphaweave.strategy.desk.Desk`)."""

    def order(self, order_id: str) -> OrderHandle | None:
        self._kernel.materialize()
        order = self._kernel.orders.get(order_id)
        return None if order is None else OrderHandle(order, self)

    def open_orders(self, symbol: str | None) -> tuple[OrderHandle, ...]:
        self._kernel.materialize()
        books = self._kernel.books.values() if symbol is None else (self._book(symbol),)
        return tuple(OrderHandle(order, self) for book in books for order in book.orders.values())

    # Requests.

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
        self._kernel.materialize()
        order = self._kernel.orders.get(order_id)
        if order is None or self._kernel.stopped:
            return
        if not order.handed_over:
            self._kernel.withdraw(order, "withdrawn")
            return
        self._kernel.effects.append(CancelOrder(order.ref))
        if order.retiring:
            self._kernel.revoke(order)
        elif order.change_ref is not None:
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
        kernel.materialize()
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
                stop_price=stop_on_grid(instrument, stop_price, order.side, order.request.type, adjustments),
            )
            follows = self._succession(order, change)
            self._check_replacement(order, change)
            version = order.version + 1
            new_ref = self._named(order.book, kernel.replacement_id(order.id, version))
            if kernel.settings.prepare is not None:
                if follows is not None:
                    # What the adapter cannot express is refused while the order still works.
                    prepared(kernel.settings.prepare, follows, (new_ref,))
                else:
                    (new_ref,) = prepared(kernel.settings.prepare, change, (new_ref,), order.ref)
        except Refused as refusal:
            order.text = refusal.text
            return False
        except (*UNUSABLE, Unsupported) as error:
            order.text = complaint(error)
            return False
        order.adjustments += tuple(adjustments)
        if follows is not None:
            kernel.retire(order, change, new_ref)
            return True
        order.version = version
        order.change = change
        order.change_ref = new_ref
        kernel.orders[new_ref.client_order_id] = order
        kernel.effects.append(ReplaceOrder(order.ref, new_ref, change))
        order.reserve()
        return True

    def next_version(self, order: Order, request: OrderRequest) -> OrderRef:
        """The names of the next version of an order that was cancelled for it.

        Args:
            request: what it asks for.

        Raises:
            Refused: it may not be placed now, or the adapter cannot express it.
        """
        self._may_trade()
        change, new_ref = order.change, order.change_ref
        assert change is not None
        assert new_ref is not None
        self._check_replacement(order, change)
        if self._kernel.settings.prepare is not None:
            (new_ref,) = prepared(self._kernel.settings.prepare, request, (new_ref,))
        return new_ref

    # Within.

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

    def _succession(self, order: Order, change: OrderChange) -> OrderRequest | None:
        """What the next version would ask for where the order has to be cancelled for it; None: the broker
        can replace these fields.

        Raises:
            Refused: neither is possible.
        """
        capabilities = self._kernel.capabilities
        refusal = check_change(capabilities, order.symbol, change)
        if refusal is None and order.succession is None:
            return None
        what = "this broker cannot replace this" if refusal is None else refusal.text
        if order.group is not None:
            why = "the legs of a group end together; cancel it, and place another"
            raise Refused("unsupported", f"{what}, and {why}")
        request = left_after(order.request, change, order.filled)
        if request is None or request.trail is not None:
            why = "an order in money has no total" if request is None else "a new trail would begin anew"
            raise Refused("unsupported", f"{what}, and {why}; cancel it, and place another")
        if order.ending is not None:
            raise Refused("not_open", "the order is over; the last of its fills are on their way")
        refused = check_request(capabilities, order.book.instrument, request)
        if refused is not None:
            raise Refused("unsupported", refused.text)
        return request

    def _check_replacement(self, order: Order, change: OrderChange) -> None:
        """What the new version could add is judged like an order of its own.

        Raises:
            Refused: the risk chain denies it.
        """
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
        holder, entered, stays = order, ZERO, ZERO
        group = order.group
        if group is not None and order is not group.entry:
            # The exits have one reservation between them, and what the entry will add is theirs to sell.
            holder = group.take_profit
            if group.entry is not None:
                entered = group.entry.reserved * group.entry.side.sign
            other = group.stop_loss if order is group.take_profit else group.take_profit
            if left > order.remaining() and other.is_open:
                stays = other.remaining()
        reserved = holder.reserved
        # Its own reservation steps aside for the question, or the order would be counted twice.
        holder.set_reserved(stays)
        denial = self._check(order.book, request, order.book.last(), entered)
        holder.set_reserved(reserved)
        _require(denial)

    def _deny_group(self, book: SymbolBook, bracket: bool, reason: str, text: str) -> GroupHandle:
        handle = self._deny(book, OrderType.LIMIT, reason, text)
        return GroupHandle(handle if bracket else None, handle, handle)


def _require(denial: Denial | None) -> None:
    if denial is not None:
        raise Refused(denial.code, denial.text)

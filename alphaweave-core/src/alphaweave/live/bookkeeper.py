"""The bookkeeper: what the broker reports, entered in the ledger and in the orders it belongs to.

Every event may come in any order, twice, or for an order that nobody here placed. Nothing is dropped: an
execution is booked even if its order is unknown or ended, and what is odd about it is alerted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from itertools import islice

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.money import ZERO
from alphaweave.core.order import OrderRef, OrderStatus
from alphaweave.live.effects import Note
from alphaweave.live.ledger import Booking, BookingKind, Ledger
from alphaweave.live.notes import order_record, trade_record
from alphaweave.live.orders import Order, SymbolBook
from alphaweave.live.reports import (
    BrokerFill,
    CashFlow,
    FeeReport,
    FillCorrection,
    OrderUpdate,
    PositionChange,
)
from alphaweave.live.succession import recount
from alphaweave.monitoring.monitor import Alert

__all__ = ["Bookkeeper"]

_KEPT_ENDED_ORDERS = 10_000


class Bookkeeper:
    """The books of one run.

    Attributes:
        now: the time of the last input, epoch nanoseconds UTC.
        held: books with a position, in the config's order.
        orders: open orders by each of their client ids; ``ended``: the last of those that are over.
        notes: what monitors should hear; the driver takes and clears them.
        row: number of the slice in whose record it shows what is booked now; the driver sets it.
        booked: rises with every booking, so that a driver sees that positions or cash changed.
        moves: slice (`row`), symbol and units after each booking; the recorder takes and clears them.
    """

    def __init__(self, books: Mapping[str, SymbolBook], ledger: Ledger) -> None:
        self.books = dict(books)
        self.ledger = ledger
        self.now = 0
        self.index = -1
        self.row = 0
        self.held: list[SymbolBook] = []
        self._places = {symbol: place for place, symbol in enumerate(self.books)}
        self.orders: dict[str, Order] = {}
        self.ended: dict[str, Order] = {}
        self.notes: list[Note] = []
        self.booked = 0
        self.moves: list[tuple[int, str, float]] = []
        self.fills = 0
        self._when: datetime | None = None
        self._when_ns = -1

    # What a kernel does about it.

    def tell_fill(self, order: Order, fill: BrokerFill, booking: Booking, book: SymbolBook) -> None:
        """An order of this run was filled; the books already include it."""

    def tell_order(self, order: Order) -> None:
        """An order of this run changed its status."""

    # Inputs.

    def on_fill(self, fill: BrokerFill) -> None:
        """An execution: book it, then tell its order."""
        book = self.books.get(fill.symbol)
        if book is None:
            self.alert("warning", "foreign_fill", f"{_words(fill)} is in no symbol of this run", fill.symbol)
            return
        executed = to_ns(fill.executed_at)
        if executed > self.now:
            self.now = self._when_ns = executed
            self._when = fill.executed_at
        booking = self.ledger.book(fill, book.instrument)
        if booking is None:
            return
        self.booked += 1
        self.refresh(book)
        if booking.kind is not BookingKind.FILL:
            self._rebooked(booking, book)
            return
        self._filled(fill, booking, book)

    def _filled(self, fill: BrokerFill, booking: Booking, book: SymbolBook) -> None:
        """An execution is new in the books: its order and the strategy hear of it."""
        self.fills += 1
        order = self._order_of(fill)
        if order is None:
            self.alert("warning", "foreign_fill", f"{_words(fill)} is of no order of this run", fill.symbol)
            self.notes.append(trade_record(fill, booking, None, book, self.row))
            return
        before = order.status
        if order.change_ref is not None:
            order.adopt_change(fill.client_order_id)  # what trades has been accepted
        if order.succession is not None and recount(order, fill.client_order_id, fill.size):
            text = f"a version that was over filled {fill.size} more, and the one that works is not smaller"
            name = f"{order.symbol}: order {order.id}"
            self.alert("error", "overfill", f"{name}: {text}; it may come to {order.quantity}", order.symbol)
        order.fill(fill.size, fill.price)
        quantity = order.quantity
        if before.terminal or (quantity is not None and order.filled > quantity):
            self._watch(order, before)
        self.notes.append(trade_record(fill, booking, order, book, self.row))
        if order.status is not before:
            self.changed(order)
        order.reserve()
        self.tell_fill(order, fill, booking, book)
        if order.status is not before:
            self.tell_order(order)

    def on_update(self, update: OrderUpdate) -> None:
        """The broker's word on an order's status."""
        client_id = update.ref.client_order_id
        order = self.orders.get(client_id)
        if order is None:
            if client_id not in self.ended and not update.status.terminal:
                name = client_id or update.ref.broker_order_id
                text = f"order {name} ({update.status.value}) was not placed by this run"
                self.alert("warning", "foreign_order", f"{update.ref.symbol}: {text}", update.ref.symbol)
            return
        before = order.status
        status = update.status
        if order.change_ref is not None and client_id == order.change_ref.client_order_id:
            self._on_new_version(order, update)
        elif update.replaced_by is not None:
            order.adopt_change(update.replaced_by)
        elif client_id != order.ref.client_order_id:
            return  # an earlier version, long replaced
        elif status.terminal:
            self._on_end(order, update)
        elif status is OrderStatus.UNKNOWN:
            order.doubt()
        else:
            order.accept()
            if update.ref.broker_order_id is not None and order.ref.broker_order_id is None:
                order.bind(update.ref)
        if status is not OrderStatus.ACCEPTED:
            order.reserve()
        if order.status is not before:
            self.changed(order)
            self.tell_order(order)

    def on_correction(self, correction: FillCorrection) -> None:
        """An execution was restated or taken back."""
        fill = correction.fill
        book = None if fill is None else self.books.get(fill.symbol)
        if fill is not None and book is None:
            self.alert("warning", "foreign_fill", f"{_words(fill)} is in no symbol of this run", fill.symbol)
            return
        booking = self.ledger.correct(correction, None if book is None else book.instrument)
        if booking is None:
            return
        self.booked += 1
        book = self.books[booking.fill.symbol]
        self.refresh(book)
        if booking.kind is BookingKind.FILL:
            # The correction overtook its fill, and is all that will be heard of it.
            self._filled(booking.fill, booking, book)
            return
        self._rebooked(booking, book)

    def on_fees(self, report: FeeReport) -> None:
        """Fees became known after their fill."""
        booking = self.ledger.report_fees(report)
        if booking is not None:
            self.booked += 1
            # What is taken out of what was bought lowers the position.
            self.refresh(self.books[booking.fill.symbol])

    def on_cash_flow(self, flow: CashFlow) -> None:
        """Money moved for another reason than a fill: it is no profit."""
        if self.ledger.flow(flow):
            self.booked += 1
            amount = f"{flow.amount.amount} {flow.amount.asset}"
            self.alert("info", "cash_flow", f"{flow.kind}: {amount} {flow.text}".rstrip(), flow.symbol)

    def on_position_change(self, change: PositionChange) -> None:
        """Units came or went without an execution: a split, a transfer, an assignment."""
        book = self.books.get(change.symbol)
        if book is not None:
            if not self.ledger.change_position(change):
                return
            self.booked += 1
            self.refresh(book)
        text = f"{change.symbol}: {change.kind} of {change.quantity} units {change.text}".rstrip()
        self.alert("warning", "position_changed", text, change.symbol)

    def on_cancel_rejected(self, ref: OrderRef, text: str) -> None:
        """The broker would not cancel; the order stands as it stood. One that is over is no news: its end
        overtook the cancel."""
        if ref.client_order_id in self.ended:
            return
        self.alert("warning", "cancel_rejected", f"{ref.symbol}: {text}", ref.symbol)

    def on_replace_rejected(self, new_ref: OrderRef, text: str) -> None:
        """The broker would not replace; the version before works on."""
        self.alert("warning", "replace_rejected", f"{new_ref.symbol}: {text}", new_ref.symbol)
        order = self.orders.get(new_ref.client_order_id)
        # An update may have said so before, and another replacement be on its way by now.
        if order is None or order.change_ref is None:
            return
        if order.change_ref.client_order_id != new_ref.client_order_id:
            return
        before = order.status
        order.drop_change(text)
        order.reserve()
        if order.status is not before:
            self.changed(order)
            self.tell_order(order)

    # Reads.

    def equity(self) -> float:
        """Cash and positions at their last prices, in the run's currency."""
        net = 0.0
        for book in self.held:
            net += book.weight * book.closes[book.cursor.count - 1]
        return self.ledger.cash + net

    def when(self) -> datetime:
        """`now` as a datetime, UTC."""
        if self._when is None or self._when_ns != self.now:
            self._when = from_ns(self.now)
            self._when_ns = self.now
        return self._when

    # Entries.

    def alert(self, severity: str, code: str, message: str, symbol: str | None = None) -> None:
        """Tell the monitors something a person should know."""
        self.notes.append(Alert(self.when(), severity, code, message, symbol))

    def refresh(self, book: SymbolBook) -> None:
        """Take a symbol's position over from the ledger."""
        position = self.ledger.positions[book.symbol]
        was_flat = book.units == 0.0
        book.quantity = position.quantity
        book.units = position.units
        book.weight = position.units * book.multiplier
        self.moves.append((self.row, book.symbol, position.units))
        if was_flat != (book.units == 0.0):
            held = self.held
            if was_flat:
                # Where it belongs, without a look at all that are not held.
                places = self._places
                at = (
                    bisect_left(held, places[book.symbol], key=lambda each: places[each.symbol])
                    if held
                    else 0
                )
                self.held = [*held[:at], book, *held[at:]]
            else:
                self.held = [each for each in held if each is not book] if len(held) > 1 else []

    def changed(self, order: Order) -> None:
        """The status changed: note it, and let go of an order that is over."""
        self.notes.append(order_record(order, self.when()))
        if order.status.terminal:
            self.let_go(order)

    def let_go(self, order: Order) -> None:
        """An order is over; a late word on it may still come."""
        orders = self.orders
        order.book.orders.pop(order.id, None)
        names = [order.id]
        if order.version:
            names = [client_id for client_id, each in orders.items() if each is order]
        # Whatever the end, a late word or fill may still come.
        ended = self.ended
        for client_id in names:
            if orders.pop(client_id, None) is not None:
                ended[client_id] = order
        if len(ended) > _KEPT_ENDED_ORDERS:
            # Many at once: taking the first of a dict again and again walks over all that were taken.
            for client_id in tuple(islice(ended, _KEPT_ENDED_ORDERS // 2)):
                del ended[client_id]

    def _order_of(self, fill: BrokerFill) -> Order | None:
        client_id = fill.client_order_id
        if client_id is None:
            return None
        return self.orders.get(client_id) or self.ended.get(client_id)

    def _rebooked(self, booking: Booking, book: SymbolBook) -> None:
        """An execution that is in the books already changed there: its order follows. The strategy is told
        only where that completes an order."""
        if booking.kind is BookingKind.FEES:
            return
        fill = booking.fill
        old = booking.replaced if booking.kind is BookingKind.CORRECTION else fill
        order = self._order_of(fill)
        size: Decimal = ZERO if booking.kind is BookingKind.BUST else fill.size
        ended = False
        if order is not None and old is not None:
            before = order.status
            if order.succession is not None:
                recount(order, fill.client_order_id, size - old.size)
            order.fill(-old.size, old.price)
            if size:
                order.fill(size, fill.price)
            ended = order.status is not before and order.status.terminal
            if ended:
                self.changed(order)
            order.reserve()
        what = "was taken back" if not size else "was corrected"
        self.alert(
            "warning",
            "fill_corrected",
            f"{_words(old or fill)} {what}; the position is now {book.quantity}",
            fill.symbol,
        )
        if order is not None and ended:
            self.tell_order(order)

    def _watch(self, order: Order, before: OrderStatus) -> None:
        name = f"{order.symbol}: order {order.id}"
        if order.quantity is not None and order.filled > order.quantity:
            text = f"{name} is filled {order.filled} of {order.quantity}"
            self.alert("error", "overfill", text, order.symbol)
        if before.terminal and before is not OrderStatus.FILLED:
            text = f"{name} was {before.value} and filled all the same; it is booked"
            self.alert("warning", "fill_after_end", text, order.symbol)

    def _on_end(self, order: Order, update: OrderUpdate) -> None:
        status = update.status
        if status is OrderStatus.REJECTED:
            text = f"{order.symbol}: {update.reason or 'rejected'}: {update.text}".rstrip(": ")
            self.alert("warning", "order_rejected", text, order.symbol)
        if order.retiring and status is OrderStatus.CANCELLED and update.cumulative is None:
            # How much was filled decides how much its next version asks for: that has to be looked up.
            order.doubt()
        else:
            order.end(status, update.reason, update.text, update.cumulative)

    def _on_new_version(self, order: Order, update: OrderUpdate) -> None:
        if update.status is OrderStatus.REJECTED:
            order.drop_change(update.text)
            self.alert("warning", "replace_rejected", f"{order.symbol}: {update.text}", order.symbol)
        elif update.status is OrderStatus.UNKNOWN:
            order.doubt()  # either version may work
        elif update.status is not OrderStatus.PENDING:
            order.adopt_change(update.ref.client_order_id)
            if update.ref.broker_order_id is not None:
                order.bind(update.ref)
            if update.status.terminal:
                order.end(update.status, update.reason, update.text, update.cumulative)
            else:
                order.accept()
        order.reserve()


def _words(fill: BrokerFill) -> str:
    return f"{fill.side.value} {fill.size} {fill.symbol} at {fill.price}"

"""The straight way of a replay: market orders from decision to books without what they have no use for.

While no other order is working at the venue, a market order in units has one thing to wait for, the next
open. `ExpressLane` takes such orders from the kernel to the venue's `Express` and their executions back, in
place of effects, events and the two state machines that are made for everything an order may meet. An order
that meets more after all (a refusal, a symbol without a bar, somebody who looks for it) becomes an ordinary
one on the spot. Both ways end in the same books, records and states; the tests run them side by side.
"""

from __future__ import annotations

from collections.abc import Callable

from alphaweave.core.money import ZERO
from alphaweave.core.order import OrderStatus
from alphaweave.live.express_orders import AcceptedNote, ExpressFill, ExpressOrder, FilledNote, TradeNote
from alphaweave.live.kernel import Kernel
from alphaweave.live.ledger_entries import Booking, BookingKind
from alphaweave.live.notes import order_record
from alphaweave.live.recorder import Recorder
from alphaweave.live.reports import OrderUpdate
from alphaweave.sim.express import Dealing, Express
from alphaweave.sim.venue import SimVenue

__all__ = ["ExpressLane"]

_ACCEPTED, _FILLED = OrderStatus.ACCEPTED, OrderStatus.FILLED
_FILL = BookingKind.FILL


class ExpressLane:
    """Market orders between their decision and the next open.

    Args:
        catch_up: tells the kernel what the venue reported, and hands over what it then decides; its argument
            is the number of the slice within the chunk.

    Attributes:
        waiting: those that the venue has taken.
        others: the venue's ordinary orders; while there are any, every order is one.
        recorder, first: whom to settle with before the books change, and the number of its first slice.
    """

    __slots__ = (
        "_catch_up",
        "_express",
        "_kernel",
        "_venue",
        "first",
        "others",
        "recorder",
        "waiting",
    )

    def __init__(
        self,
        kernel: Kernel,
        venue: SimVenue,
        express: Express,
        recorder: Recorder,
        catch_up: Callable[[int], None],
    ) -> None:
        self._kernel = kernel
        self._venue = venue
        self._express = express
        self._catch_up = catch_up
        self.recorder = recorder
        self.first = 0
        self.others = venue.working
        self.waiting: list[ExpressOrder] = []

    def take(self) -> bool:
        """Take what was decided to the venue; False leaves something of it to the driver."""
        kernel = self._kernel
        effects = kernel.effects
        if self.others:
            return False
        express = self._express
        lots = express.lots
        now, index = kernel.now, kernel.index
        waiting, notes = self.waiting, kernel.notes
        mark = len(waiting)
        telling = kernel.hears_orders
        for order in effects:
            if (
                not isinstance(order, ExpressOrder)
                or (lot := lots.get(order.symbol)) is None
                or not (place := express.admit(lot, order.buy, order.units, now, index))
            ):
                # Of those before it, a strategy that listens has not been told: the venue's events do it.
                del effects[: len(waiting) - mark]
                self.release(mark if telling else None)
                return False
            order.place = place
            order.submitted = now
            order.handed_over = True
            waiting.append(order)
            if not telling:
                order.status = _ACCEPTED
                notes.append(AcceptedNote((now, order, order.units)))
        effects.clear()
        kernel.decided.clear()
        if not telling:
            return True
        for order in waiting[mark:]:
            order.status = _ACCEPTED
            # A replacement that was refused meanwhile has left its words with the order.
            notes.append(
                order_record(order, kernel.when()) if order.text else AcceptedNote((now, order, order.units))
            )
            kernel.tell_order(order)
        # Whoever was told may have looked at the orders, and made ordinary ones of them.
        return not effects and not self.others

    def match(self, end: int) -> None:
        """Deal at the open of the bars that end at ``end``, then let the kernel hear of it.

        The kernel still sees the slice before.
        """
        kernel = self._kernel
        express = self._express
        index = kernel.index
        express.open(end)
        dealt: list[tuple[ExpressOrder, Dealing]] = []
        lots = express.lots
        for order in self.waiting:
            dealing = express.deal(lots[order.symbol], order.buy, order.units, order.submitted, end, index)
            if dealing is None:
                break
            dealt.append((order, dealing))
        del self.waiting[: len(dealt)]
        if kernel.hears_fills or kernel.hears_orders:
            # While the strategy hears of one of them it may look for the others, or change them.
            for order, _ in dealt:
                kernel.register(order)
        released = bool(self.waiting)
        if released:
            self.release()
            self._venue.on_slice(end)
        kernel.row = index + 1
        row = index + 1 - self.first
        if dealt:
            self.recorder.settle(row)
            for order, dealing in dealt:
                self._book(order, dealing, end)
        if released or kernel.effects:
            # What is decided here meets the prices of bars that are not visible yet: the long way knows them.
            self._catch_up(row)
            # The driver knows what to do with orders that wait for more than the next open.
            kernel.breaks.append("not all orders go the straight way")

    def release(self, untold: int | None = None) -> None:
        """Make ordinary orders of those that wait; nobody was told that those from number ``untold`` on were
        taken, so the venue's events will tell."""
        waiting, self.waiting[:] = self.waiting[:], ()
        for number, order in enumerate(waiting):
            self._kernel.register(order)
            told = untold is None or number < untold
            self._express.ordinary(order.ref, order.request, order.place, order.submitted, told)

    def _book(self, order: ExpressOrder, dealing: Dealing, end: int) -> None:
        """Enter an execution in the kernel's books, and tell of it."""
        price, notional, fee, executed, number = dealing
        kernel = self._kernel
        book = order.book
        # As a report has it, whose times are whole microseconds.
        at = executed - executed % 1000
        kernel.now = at if at > kernel.now else kernel.now
        quantity = order.units
        buy = order.buy
        account = self._express.account_id
        fill = ExpressFill(order, account, f"{account}:{number}", price, fee, executed, end)
        if order.change is not None:
            # Whether it is over by this is settled when its replacement is answered.
            report = fill.booked
            told = report.received_at
            kernel.on_fill(report)
            kernel.on_update(OrderUpdate(order.ref, _FILLED, told, quantity, price, None, "", told))
            return
        order.filled = quantity
        order.filled_value = notional if book.multiplier == 1.0 else quantity * price
        before = book.quantity
        profit = kernel.ledger.enter(fill, fill.key, book.instrument, buy, quantity, price, notional)
        kernel.booked += 1
        kernel.fills += 1
        kernel.refresh(book)
        order.status = _FILLED
        if kernel.orders:
            kernel.let_go(order)
        # `Order.reserve`, for what is not open any more.
        order.reserved = ZERO
        if buy:
            book.open_buy -= quantity
            book.intended -= quantity
        else:
            book.open_sell -= quantity
            book.intended += quantity
        notes = kernel.notes
        notes.append(TradeNote((fill, profit, book.units, kernel.row)))
        notes.append(
            order_record(order, kernel.when()) if order.text else FilledNote((kernel.now, order, price))
        )
        if kernel.hears_fills:
            booking = Booking(
                _FILL,
                fill.booked,
                position_before=before,
                position_after=book.quantity,
                realised=profit,
                fees=fee,
            )
            kernel.tell_fill(order, booking.fill, booking, book)
        if kernel.hears_orders:
            kernel.tell_order(order)

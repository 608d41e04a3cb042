"""The kernel: what happened goes in, what should be done comes out.

It is synchronous and deterministic. It never reads the clock, a file or a socket: time arrives with
each input. A replay and a live run drive this same object, one input at a time:

* an input (a slice, a fill, an update ...) changes the books, then calls the strategy;
* what the strategy asks for is sized, rounded and checked at once, and collects in `effects`;
* what monitors should hear collects in `notes`.

Everything done for one input is one decision. If a callback raises, the orders of that decision are
dropped, while what the input itself reported (a fill, say) stays booked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import StrategyError
from alphaweave.core.ids import ClientIds
from alphaweave.core.order import OrderRef, OrderStatus
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.desk import TradingDesk
from alphaweave.live.effects import CancelOrder, Effect, Note, Prepare, SubmitGroup, SubmitOrder
from alphaweave.live.ledger import Ledger
from alphaweave.live.notes import order_record, trade_record
from alphaweave.live.orders import Order, SymbolBook
from alphaweave.live.reports import BrokerFill, OrderUpdate
from alphaweave.live.risk import RiskChain
from alphaweave.live.view import Lane
from alphaweave.monitoring.monitor import Alert
from alphaweave.strategy.events import Fill, OrderEvent, OrderHandle
from alphaweave.strategy.strategy import Strategy

__all__ = ["Kernel", "KernelSettings"]

_KEPT_ENDED_ORDERS = 10_000


@frozen(kw_only=True)
class KernelSettings:
    """What the kernel needs to know of the run.

    Attributes:
        warmup: slices that only feed series and indicators.
        capital: cap on the equity used for sizing, in the run's currency; None is no cap.
        prepare: ``Broker.prepare``; None where no wire ids are needed.
    """

    run_id: str
    strategy: str
    account: str = "sim"
    interval: str = "1d"
    warmup: int = 0
    capital: float | None = None
    prepare: Prepare | None = None


class Kernel:
    """One run's books, orders and strategy.

    Attributes:
        index: number of the present slice, warm-up included; -1 before the first.
        now: the time of the last input, epoch nanoseconds UTC.
        effects, notes: collected for the driver, which takes and clears them.
        breaks: anything in it ends `on_slices` after the present slice.
        held: books with a position, in the config's order.
        orders: open orders by each of their client ids.
        booked: rises with every booking, so that a driver sees that positions or cash changed.
    """

    def __init__(
        self,
        *,
        strategy: Strategy,
        settings: KernelSettings,
        books: Mapping[str, SymbolBook],
        ledger: Ledger,
        chain: RiskChain,
        capabilities: Capabilities,
    ) -> None:
        self.strategy = strategy
        self.settings = settings
        self.books = dict(books)
        self.ledger = ledger
        self.chain = chain
        self.capabilities = capabilities
        self.ids = ClientIds(account=settings.account, run_id=settings.run_id, strategy=settings.strategy)
        self.index = -1
        self.now = 0
        self.warming = settings.warmup > 0
        self.stopped = False
        self.effects: list[Effect] = []
        self.notes: list[Note] = []
        self.breaks: list[str] = []
        self.held: list[SymbolBook] = []
        self.orders: dict[str, Order] = {}
        self.ended: dict[str, Order] = {}
        self.booked = 0
        self.orders_placed = 0
        self.denials = 0
        self.fills = 0
        self.lanes: dict[int, Lane] = {}
        for book in self.books.values():
            self.lanes.setdefault(id(book.cursor), Lane(book.cursor))
        self.desk = TradingDesk(self)
        self._trigger: str | None = None
        self._number = 0
        self._decided: list[Order] = []
        self._when: datetime | None = None
        self._when_ns = -1
        kind = type(strategy)
        self._hears_fills = kind.on_fill is not Strategy.on_fill
        self._hears_orders = kind.on_order is not Strategy.on_order
        self._next = strategy.next

    # Inputs.

    def start(self) -> None:
        """Bind the strategy and let it initialise."""
        self.strategy._bind(self.desk)
        self._call("init", self.strategy.init)

    def on_slices(self, ends: Iterable[int], lanes: Sequence[Lane]) -> int:
        """The bars of each ``end`` are known: advance, update indicators, let the strategy decide.

        One slice after another, until there is something to hand over (`effects`, `notes`), the driver
        wants a break (`breaks`), or ``ends`` is used up.

        Returns:
            How many slices were taken from ``ends``.
        """
        effects = self.effects
        notes = self.notes
        breaks = self.breaks
        decide = self._warm_up if self.warming else self._next
        index = first = self.index
        try:
            for end in ends:
                self.now = end
                self.index = index = index + 1
                for lane in lanes:
                    cursor = lane.cursor
                    row = cursor.count
                    cursor.count = row + 1
                    for closes, updates in lane.close_feeds:
                        close = closes[row]
                        for update in updates:
                            update(close)
                    for update_bar, highs, lows, closes in lane.bar_feeds:
                        update_bar(highs[row], lows[row], closes[row])
                self._number = 0
                decide(index)
                if effects or notes or breaks:
                    break
        except Exception as error:
            self.index = index - 1  # the last slice that is whole
            raise self._failed("on_warmup" if self.warming else "next", error) from error
        if self._decided:
            self._settle()
        return index - first

    def on_fill(self, fill: BrokerFill) -> None:
        """An execution: book it, then tell the order and the strategy."""
        book = self.books.get(fill.symbol)
        if book is None:
            self.alert(
                "warning",
                "foreign_fill",
                f"{fill.side.value} {fill.size} {fill.symbol} at {fill.price} is in no symbol of this run",
                fill.symbol,
            )
            return
        executed = to_ns(fill.executed_at)
        if executed > self.now:
            self.now = self._when_ns = executed
            self._when = fill.executed_at
        booking = self.ledger.book(fill, book.instrument)
        if booking is None:
            return
        self.booked += 1
        self.fills += 1
        self.refresh(book)
        client_id = fill.client_order_id
        order = None
        if client_id is not None:
            order = self.orders.get(client_id) or self.ended.get(client_id)
        if order is None:
            self.alert(
                "warning",
                "foreign_fill",
                f"{fill.side.value} {fill.size} {fill.symbol} at {fill.price} is of no order of this run",
                fill.symbol,
            )
            self.notes.append(trade_record(fill, booking, None, book.units, self.index))
            return
        before = order.status
        order.fill(fill.size, fill.price)
        quantity = order.quantity
        if before.terminal or (quantity is not None and order.filled > quantity):
            self._watch_fill(order, before)
        self.notes.append(trade_record(fill, booking, order, book.units, self.index))
        if order.status is not before:
            self._changed(order)
        order.reserve()
        if self._hears_fills and not self.stopped:
            self._begin(f"fill:{fill.execution_key}:{fill.revision}")
            self._call(
                "on_fill",
                self.strategy.on_fill,
                Fill(
                    order=OrderHandle(order, self.desk),
                    symbol=fill.symbol,
                    size=float(fill.size) * fill.side.sign,
                    price=float(fill.price),
                    fees=float(booking.fees),
                    position=book.units,
                    timestamp=fill.executed_at,
                ),
            )
        if self._hears_orders and order.status is not before:
            self._tell_order(order)

    def on_update(self, update: OrderUpdate) -> None:
        """The broker's word on an order's status."""
        client_id = update.ref.client_order_id
        order = self.orders.get(client_id)
        if order is None:
            if client_id not in self.ended and not update.status.terminal:
                self.alert(
                    "warning",
                    "foreign_order",
                    f"{update.ref.symbol}: order {client_id or update.ref.broker_order_id} "
                    f"({update.status.value}) was not placed by this run",
                    update.ref.symbol,
                )
            return
        before = order.status
        status = update.status
        if order.change_ref is not None and client_id == order.change_ref.client_order_id:
            self._on_new_version(order, update)
        elif update.replaced_by is not None:
            order.adopt_change()
        elif client_id != order.ref.client_order_id:
            return  # an earlier version, long replaced
        elif status.terminal:
            self._on_end(order, update)
        elif status is OrderStatus.UNKNOWN:
            order.doubt()
        else:
            order.accept()
            if update.ref.broker_order_id is not None and order.ref.broker_order_id is None:
                order.ref = update.ref
        if status is not OrderStatus.ACCEPTED:
            order.reserve()
        if order.status is not before:
            self._changed(order)
            if self._hears_orders:
                self._tell_order(order)

    def on_cancel_rejected(self, ref: OrderRef, text: str) -> None:
        """The broker would not cancel; the order stands as it stood."""
        self.alert("warning", "cancel_rejected", f"{ref.symbol}: {text}", ref.symbol)

    def on_replace_rejected(self, new_ref: OrderRef, text: str) -> None:
        """The broker would not replace; the version before works on."""
        order = self.orders.pop(new_ref.client_order_id, None)
        if order is not None:
            order.change = order.change_ref = None
            order.text = text
            order.reserve()
        self.alert("warning", "replace_rejected", f"{new_ref.symbol}: {text}", new_ref.symbol)

    def stop(self) -> None:
        """The run ends: nothing is placed any more."""
        self.stopped = True
        self._call("on_stop", self.strategy.on_stop)

    # For the driver and the desk.

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

    def alert(self, severity: str, code: str, message: str, symbol: str | None = None) -> None:
        """Tell the monitors something a person should know."""
        self.notes.append(Alert(self.when(), severity, code, message, symbol))

    def next_id(self) -> str:
        """The client id of the next order of this decision."""
        trigger = self._trigger or f"bar:{self.settings.interval}:{self.now}"
        number = self._number
        self._number = number + 1
        return self.ids.make(trigger, number)

    def admit(self, order: Order) -> None:
        """Take an order into the books; its intent is in `effects`."""
        self.orders[order.id] = order
        order.book.orders[order.id] = order
        self._decided.append(order)
        self.orders_placed += 1
        order.reserve()

    def withdraw(self, order: Order, reason: str) -> None:
        """Take back an order whose intent has not left the kernel; nothing is sent."""
        group = order.group
        orders = group.legs if group is not None else (order,)
        ids = {each.ref.client_order_id for each in orders}
        self.effects[:] = [
            effect
            for effect in self.effects
            if not (
                (isinstance(effect, SubmitOrder) and effect.ref.client_order_id in ids)
                or (isinstance(effect, SubmitGroup) and effect.refs[0].client_order_id in ids)
            )
        ]
        for each in orders:
            each.status = OrderStatus.CANCELLED
            each.reason = reason
            each.reserve()
            self._changed(each)

    # Within.

    def _warm_up(self, index: int) -> None:
        self.strategy.on_warmup(index)
        if index + 1 >= self.settings.warmup:
            self.warming = False
            # on_slices has this very method at hand, and has to take up `next` instead
            self.breaks.append("warm-up is over")

    def _begin(self, trigger: str) -> None:
        self._trigger = trigger
        self._number = 0

    def _call(self, name: str, callback: Callable[..., None], *arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception as error:
            raise self._failed(name, error) from error
        if self._decided:
            self._settle()
        self._trigger = None

    def _settle(self) -> None:
        """The decision stands: its intents may leave."""
        for order in self._decided:
            order.handed_over = True
        self._decided.clear()

    def _failed(self, callback: str, error: Exception) -> StrategyError:
        """Drop what this decision placed; the books keep what the input reported."""
        for order in self._decided:
            if not order.status.terminal:
                self.withdraw(order, "callback_failed")
        self._decided.clear()
        self.effects[:] = [effect for effect in self.effects if not isinstance(effect, CancelOrder)]
        self._trigger = None
        name = type(self.strategy).__qualname__
        raised = "" if isinstance(error, StrategyError) else f" raised {type(error).__name__}"
        return StrategyError(
            f"{name}.{callback}{raised} at {self.when().isoformat()}: {error}",
            strategy=name,
            callback=callback,
        )

    def refresh(self, book: SymbolBook) -> None:
        position = self.ledger.positions[book.symbol]
        was_flat = book.units == 0.0
        book.quantity = position.quantity
        book.units = position.units
        book.weight = position.units * book.multiplier
        if was_flat != (book.units == 0.0):
            self.held = [each for each in self.books.values() if each.units != 0.0]

    def _watch_fill(self, order: Order, before: OrderStatus) -> None:
        quantity = order.quantity
        if quantity is not None and order.filled > quantity:
            self.alert(
                "error",
                "overfill",
                f"{order.symbol}: order {order.id} is filled {order.filled} of {quantity}",
                order.symbol,
            )
        if before.terminal:
            self.alert(
                "warning",
                "fill_after_end",
                f"{order.symbol}: order {order.id} was {before.value} and filled all the same; it is booked",
                order.symbol,
            )

    def _on_end(self, order: Order, update: OrderUpdate) -> None:
        if update.status is OrderStatus.REJECTED:
            self.alert(
                "warning",
                "order_rejected",
                f"{order.symbol}: {update.reason or 'rejected'}: {update.text}".rstrip(": "),
                order.symbol,
            )
        order.end(update.status, update.reason, update.text, update.cumulative)

    def _on_new_version(self, order: Order, update: OrderUpdate) -> None:
        if update.status is OrderStatus.REJECTED:
            order.change = order.change_ref = None
            order.text = update.text
            self.alert("warning", "replace_rejected", f"{order.symbol}: {update.text}", order.symbol)
            return
        order.adopt_change()
        if update.status.terminal:
            order.end(update.status, update.reason, update.text, update.cumulative)
        else:
            order.accept()

    def _changed(self, order: Order) -> None:
        """The status changed: note it, and let go of an order that is over."""
        self.notes.append(order_record(order, self.when()))
        if not order.status.terminal:
            return
        orders = self.orders
        order.book.orders.pop(order.id, None)
        names = [order.id]
        if order.version:
            names = [client_id for client_id, each in orders.items() if each is order]
        # A filled order has nothing more to hear; of any other end, late fills may still come.
        keep = order.status is not OrderStatus.FILLED
        for client_id in names:
            if orders.pop(client_id, None) is not None and keep:
                self.ended[client_id] = order
        if len(self.ended) > _KEPT_ENDED_ORDERS:
            del self.ended[next(iter(self.ended))]

    def _tell_order(self, order: Order) -> None:
        if self.stopped:
            return
        self._begin(f"order:{order.id}:{order.status.value}:{order.filled}")
        event = OrderEvent(OrderHandle(order, self.desk), order.status, order.reason, order.text, self.when())
        self._call("on_order", self.strategy.on_order, event)

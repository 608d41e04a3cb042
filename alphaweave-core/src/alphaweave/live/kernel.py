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

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from typing import Any, Protocol

from attrs import frozen

from alphaweave.core.errors import StrategyError
from alphaweave.core.ids import ClientIds
from alphaweave.core.order import OrderChange, OrderRef, OrderStatus
from alphaweave.data.series import Cursor
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.bookkeeper import Bookkeeper
from alphaweave.live.desk import TradingDesk
from alphaweave.live.effects import Effect, Prepare, ReplaceOrder, RetireOrder, SubmitGroup, SubmitOrder
from alphaweave.live.express_orders import ExpressOrder
from alphaweave.live.lane import Lane
from alphaweave.live.ledger import Booking, Ledger
from alphaweave.live.orders import Order, SymbolBook
from alphaweave.live.reports import BrokerFill
from alphaweave.live.risk import RiskChain
from alphaweave.live.succession import retire
from alphaweave.strategy.events import Fill, OrderEvent, OrderHandle
from alphaweave.strategy.strategy import Strategy

__all__ = ["Kernel", "KernelSettings", "StraightWay"]


class StraightWay(Protocol):
    """What the kernel asks of the straight way (`alphaweave.live.express`).

    Attributes:
        waiting: orders that the venue has taken and not dealt.
        others: the venue's other orders; while there are any, no order goes the straight way.
    """

    waiting: list[ExpressOrder]

    @property
    def others(self) -> Sized: ...

    def take(self) -> bool: ...
    def match(self, end: int) -> None: ...
    def release(self) -> None: ...


# A strategy that calls sys.exit has failed like one that raises: only a person ends a process.
_FAILURES = (Exception, SystemExit, GeneratorExit)


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


class Kernel(Bookkeeper):
    """One run's books, orders and strategy.

    Attributes:
        index: number of the present slice, warm-up included; -1 before the first.
        effects: what should be done; the driver takes and clears it, as `notes`.
        breaks: anything in it ends `on_slices` after the present slice.
        warming, stopped: orders are refused.
        express: where a replay has market orders go the straight way; None: everywhere else.
        trigger: what names the orders of this decision; None means the slice.
        decided: the orders of this decision.
        retiring: orders that are being cancelled for their next version, by id.
        hears_fills, hears_orders: whether the strategy has a callback for them.
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
        super().__init__(books, ledger)
        self.strategy = strategy
        self.settings = settings
        self.chain = chain
        self.capabilities = capabilities
        self.ids = ClientIds(
            account=settings.account,
            run_id=settings.run_id,
            strategy=settings.strategy,
            interval=settings.interval,
        )
        self.warming = settings.warmup > 0
        self.stopped = False
        self.effects: list[Effect] = []
        self.breaks: list[str] = []
        self.orders_placed = 0
        self.denials = 0
        self.lanes: dict[int, Lane] = {}
        for book in self.books.values():
            self.lanes.setdefault(id(book.cursor), Lane(book.cursor))
        self.desk = TradingDesk(self)
        self.express: StraightWay | None = None
        self.trigger: str | None = None
        self._number = 0
        self._numbered = -1
        self.decided: list[Order] = []
        self.retiring: dict[str, Order] = {}
        kind = type(strategy)
        self.hears_fills = kind.on_fill is not Strategy.on_fill
        self.hears_orders = kind.on_order is not Strategy.on_order
        self._next = strategy.next

    # Inputs.

    def start(self) -> None:
        """Bind the strategy and let it initialise."""
        self.strategy._bind(self.desk)
        self._call("init", self.strategy.init)

    def on_slices(
        self, ends: Iterable[int], lanes: Sequence[Lane], express: StraightWay | None = None
    ) -> int:
        """The bars of each ``end`` are known: advance, update indicators, let the strategy decide.

        One slice after another, until there are effects to hand over, the driver wants a break (`breaks`),
        or ``ends`` is used up. With ``express``, which is told of each end before, effects that it takes are
        no reason to stop.

        Returns:
            How many slices were taken from ``ends``.
        """
        effects = self.effects
        breaks = self.breaks
        decide = self._warm_up if self.warming else self._next
        index = first = self.index
        mark = len(effects)
        waiting: Sequence[object] = () if express is None else express.waiting
        # A lane at a time costs a call; most runs have one, and feed it here as `Lane.advance` would.
        lane = lanes[0] if len(lanes) == 1 else Lane(Cursor())
        cursor, close_feeds, bar_feeds = lane.cursor, lane.close_feeds, lane.bar_feeds
        more = () if len(lanes) == 1 else lanes
        # And most strategies look at the closes of one symbol, or of none; an indicator that is made later
        # ends the loop.
        plain = not (more or bar_feeds) and len(close_feeds) <= 1
        only, updates = close_feeds[0] if plain and close_feeds else ((), [])
        foreseen = lane.foreseen if plain else ()
        match = None if express is None else express.match
        for end in ends:
            if waiting and match is not None:
                match(end)
            self.now = end
            self.index = index = index + 1
            row = cursor.count
            cursor.count = row + 1
            try:
                if foreseen:
                    for indicator, value in foreseen:
                        indicator.value = value()
                if updates:
                    close = only[row]
                    for update in updates:
                        update(close)
                elif not plain:
                    lane.feed(row)
                    for each in more:
                        each.advance()
                decide(index)
            except _FAILURES as error:
                self.index = index - 1  # the last slice that is whole
                raise self._failed("on_warmup" if self.warming else "next", error, mark) from error
            if effects:
                if breaks or express is None or not express.take():
                    self._settle()
                    break
            elif breaks:
                break
        return index - first

    def tell_fill(self, order: Order, fill: BrokerFill, booking: Booking, book: SymbolBook) -> None:
        if not self.hears_fills or self.stopped:
            return
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

    def tell_order(self, order: Order) -> None:
        if not self.hears_orders:
            return
        # It may come to the same status at the same quantity again: in doubt twice, or after a bust. Counted
        # after a stop as well: what the journal is read into was not stopped.
        order.told += 1
        if self.stopped:
            return
        self._begin(f"order:{order.id}:{order.status.value}:{order.filled}:{order.told}")
        event = OrderEvent(OrderHandle(order, self.desk), order.status, order.reason, order.text, self.when())
        self._call("on_order", self.strategy.on_order, event)

    def stop(self) -> None:
        """The run ends: nothing is placed any more."""
        self.stopped = True
        self._call("on_stop", self.strategy.on_stop)

    # For the driver and the desk.

    def next_id(self) -> str:
        """The client id of the next order of this decision."""
        return self.ids.of(self.trigger, self.now, self.next_number())

    def next_number(self) -> int:
        """Which order of this decision is the next one."""
        if self._numbered != self.index and self.trigger is None:
            # The first of its slice.
            self._numbered = self.index
            self._number = 0
        number = self._number
        self._number = number + 1
        return number

    def replacement_id(self, order_id: str, version: int) -> str:
        """The client id of a later version of an order."""
        return self.ids.make(f"replace:{order_id}", 0, version)

    def admit(self, order: Order) -> None:
        """Take an order into the books; its intent is in `effects`."""
        self.materialize()
        self.register(order)
        self.decided.append(order)
        self.orders_placed += 1
        order.reserve()

    def register(self, order: Order) -> None:
        """Let an order be found by its id."""
        self.orders[order.id] = order
        order.book.orders[order.id] = order

    def materialize(self) -> None:
        """Make ordinary orders of those that go the straight way: somebody looks at them."""
        if self.express is None:
            return
        if self.express.waiting:
            self.express.release()
        for position, effect in enumerate(self.effects):
            if isinstance(effect, ExpressOrder):
                self.register(effect)
                self.effects[position] = SubmitOrder(effect.ref, effect.request)

    def instant(self) -> int:
        """When what is decided now is decided, epoch nanoseconds."""
        return self.now

    def retire(self, order: Order, change: OrderChange, new_ref: OrderRef) -> None:
        """Cancel an order so that its next version can be placed."""
        retire(order, change, new_ref, self.instant())
        self.retiring[order.id] = order
        self.orders[new_ref.client_order_id] = order
        self.effects.append(RetireOrder(order.ref, new_ref, change))
        order.reserve()

    def revoke(self, order: Order) -> None:
        """An order that is being cancelled for its next version shall have none."""
        if order.succession is not None:
            order.succession.revoked = True

    def refuse_next(self, order: Order, text: str) -> None:
        """An order that was to be replaced is over, and ends as it ended."""
        order.drop_change(text)
        order.text = text
        if order.status is OrderStatus.CANCELLED:
            order.reason = order.reason or "replacement_refused"
        name = f"{order.symbol}: order {order.id}"
        self.alert("warning", "replace_rejected", f"{name} was not replaced: {text}", order.symbol)

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
            if each in self.decided:
                self.decided.remove(each)
            each.status = OrderStatus.CANCELLED
            each.reason = reason
            each.reserve()
            self.changed(each)

    # Within.

    def _warm_up(self, index: int) -> None:
        self.strategy.on_warmup(index)
        if index + 1 >= self.settings.warmup:
            self.warming = False
            # on_slices has this very method at hand, and has to take up `next` instead
            self.breaks.append("warm-up is over")

    def _begin(self, trigger: str) -> None:
        self.trigger = trigger
        self._number = 0
        self._numbered = -1

    def _call(self, name: str, callback: Callable[..., None], *arguments: Any) -> None:
        mark = len(self.effects)
        try:
            callback(*arguments)
        except _FAILURES as error:
            raise self._failed(name, error, mark) from error
        if self.decided:
            self._settle()
        self.trigger = None

    def _settle(self) -> None:
        """The decision stands: its intents may leave."""
        for order in self.decided:
            order.handed_over = True
        self.decided.clear()

    def _failed(self, callback: str, error: BaseException, mark: int) -> StrategyError:
        """Undo this decision, whose effects begin at ``mark``; the books keep what the input reported."""
        self.materialize()
        for order in self.decided[:]:
            if not order.status.terminal:
                self.withdraw(order, "callback_failed")
        self.decided.clear()
        for effect in self.effects[mark:]:
            if isinstance(effect, ReplaceOrder | RetireOrder):
                order = self.orders.pop(effect.new_ref.client_order_id)
                order.drop_change("callback_failed", asked=False)
                order.reserve()
        del self.effects[mark:]
        self.trigger = None
        name = type(self.strategy).__qualname__
        raised = "" if isinstance(error, StrategyError) else f" raised {type(error).__name__}"
        return StrategyError(
            f"{name}.{callback}{raised} at {self.when().isoformat()}: {error}".removesuffix(": "),
            strategy=name,
            callback=callback,
        )

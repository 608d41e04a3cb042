"""The kernel of a live run: the same books and decisions, with what only a live run has.

Bars come one slice at a time and late ones after it; orders may have to be refused for reasons of the run;
the engine places orders of its own, of which the strategy hears nothing; and a restart goes through what
happened before without asking the strategy again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

from attrs import define, frozen

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import DataError, InvariantViolation, StrategyError
from alphaweave.core.market import Bar
from alphaweave.core.order import (
    OrderChange,
    OrderRef,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
)
from alphaweave.live.datafeed import FeedGap
from alphaweave.live.desk_live import LiveDesk
from alphaweave.live.effects import ReplaceOrder, RetireOrder, SubmitGroup, SubmitOrder, prepared
from alphaweave.live.holdings import HoldingsKeeper
from alphaweave.live.kernel import Kernel
from alphaweave.live.ledger import Booking
from alphaweave.live.orders import Order, SymbolBook
from alphaweave.live.proposal import Proposal
from alphaweave.live.reports import BrokerFill, CashFlow, FeeReport, FillCorrection, PositionChange
from alphaweave.live.risk import RiskChain
from alphaweave.live.rounding import Refused, whole_where_needed
from alphaweave.live.slices import Slice
from alphaweave.live.succession import called
from alphaweave.monitoring.monitor import Alert
from alphaweave.strategy.events import Gap

__all__ = ["Fact", "LiveKernel", "Retirement"]

_MARKET: Final = OrderType.MARKET


@frozen
class Fact:
    """Something that was entered in the books by an input.

    Attributes:
        kind: ``execution``, ``correction``, or another word for what the journal need not keep apart.
        key, revision: of an execution that was not booked in this revision before; else None.
        symbol: None where it is of none.
        before, after: the position.
        event: what was reported.
    """

    kind: str
    event: BrokerFill | FillCorrection | FeeReport | CashFlow | PositionChange
    symbol: str | None = None
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)
    key: str | None = None
    revision: int = 0


@define
class Retirement:
    """An order was to be cancelled so that its next version can be placed, or is to have none after all.

    Attributes:
        change, new_ref: of the next version; None where it was decided on before.
        refused: why it was not placed, once its turn had come.
    """

    change: OrderChange | None = None
    new_ref: OrderRef | None = None
    revoked: bool = False
    refused: str | None = None


class LiveKernel(HoldingsKeeper, Kernel):
    """One live run's books, orders and strategy.

    Attributes:
        at: when the present input was taken in, epoch nanoseconds UTC: what alerts are stamped with.
        refusal: why every order is refused at present; None: they are judged.
        muted: callbacks are counted and not called.
        callbacks: how many callbacks the present input came to.
        fails_at: which of them is to fail; that one failed when it was called.
        facts: what was booked; the core takes and clears it.
        own: ids of orders that the engine placed.
        flows: keys of the cash flows that are booked.
        texts: what refused replacements left on their orders, by order id; the core takes and clears it.
        retirements: what this input made of orders cancelled for a next version, by id; taken as well.
    """

    desk: LiveDesk

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.at = 0
        self.refusal: Refused | None = None
        self.row = self.index
        self.muted = False
        self.callbacks = 0
        self.fails_at: int | None = None
        self.facts: list[Fact] = []
        self.own: set[str] = set()
        self.flows: set[str] = set()
        self.texts: dict[str, str] = {}
        self.retirements: dict[str, Retirement] = {}
        self.desk = LiveDesk(self)
        for book in self.books.values():
            # What history gave before the run is known.
            book.cursor.count = len(book.series)

    # Inputs.

    def on_slice(self, one: Slice) -> None:
        """The bars of one end are known: advance, update indicators, let the strategy decide."""
        self.now = one.end
        self.index += 1
        self.row = self.index
        for bar in one.bars:
            self._append(bar)
        self.trigger = None
        if self.warming:
            try:
                self._call("on_warmup", self.strategy.on_warmup, self.index)
            finally:
                self.warming = self.index + 1 < self.settings.warmup
        else:
            self._call("next", self.strategy.next, self.index)
        self.breaks.clear()

    def on_late_bar(self, bar: Bar) -> None:
        """A bar whose slice had closed joins its series, where its end belongs; ``next`` is not run again.

        Indicators are fed the newest bar only: one that lies before what they were told changes nothing.
        """
        book = self.books.get(bar.symbol)
        if book is None:
            return
        self.alert("info", "late_bar", f"{bar.symbol}: the bar ending {bar.end} came late", bar.symbol)
        series, end = book.series, to_ns(bar.end)
        if not len(series) or end > series.end[-1]:
            self._append(bar)
            return
        try:
            series.insert(to_ns(bar.start), end, bar.open, bar.high, bar.low, bar.close, bar.volume)
        except DataError as error:
            self.alert("warning", "bad_bar", str(error), bar.symbol)
            return
        book.cursor.count += 1

    def on_bar_correction(self, bar: Bar) -> None:
        """A final bar was restated: its row is mended. Indicators keep what they were told."""
        book = self.books.get(bar.symbol)
        if book is None:
            return
        series, end = book.series, to_ns(bar.end)
        row = bisect_left(series.end, end)
        if row == len(series) or series.end[row] != end:
            return
        series.open[row], series.high[row] = bar.open, bar.high
        series.low[row], series.close[row], series.volume[row] = bar.low, bar.close, bar.volume
        self.alert(
            "info", "bar_corrected", f"{bar.symbol}: the bar ending {bar.end} was restated", bar.symbol
        )

    def on_gap(self, gap: FeedGap) -> None:
        """Bars were missed: the strategy hears of it."""
        if self.stopped or gap.symbol not in self.books:
            return
        self._begin(f"gap:{gap.symbol}:{to_ns(gap.start)}:{to_ns(gap.end)}")
        self._call("on_gap", self.strategy.on_gap, Gap(gap.symbol, gap.start, gap.end, gap.filled))

    def on_fill(self, fill: BrokerFill) -> None:
        known = self.ledger.execution(fill.execution_key)
        fresh = known is None or known.revision < fill.revision
        noted = (fill.execution_key, fill.revision) if fresh else None
        with self._noting("execution", fill, fill.symbol, noted):
            super().on_fill(fill)

    def on_correction(self, correction: FillCorrection) -> None:
        key = correction.execution_key
        known = self.ledger.execution(key)
        fresh = known is None or known.revision < correction.revision
        fill = correction.fill or (None if known is None else known.fill)
        symbol = None if fill is None else fill.symbol
        noted = (key, correction.revision) if fresh else None
        with self._noting("correction", correction, symbol, noted):
            super().on_correction(correction)

    def on_fees(self, report: FeeReport) -> None:
        with self._noting("fees", report):
            super().on_fees(report)

    def on_cash_flow(self, flow: CashFlow) -> None:
        with self._noting("cash_flow", flow):
            super().on_cash_flow(flow)
        self.flows.add(flow.key)

    def on_position_change(self, change: PositionChange) -> None:
        with self._noting("position_change", change, change.symbol):
            super().on_position_change(change)

    def each(self, acts: Iterable[Callable[[], None]]) -> None:
        """Do all of these, whatever becomes of one: what is reported together is entered whole, for it may be
        in no later report. After a callback failed, no other is called.

        Raises:
            StrategyError: the first callback that failed.
            InvariantViolation: what contradicts the books, where no callback failed.
        """
        failure: StrategyError | InvariantViolation | None = None
        at_callback = 0
        for act in acts:
            try:
                act()
            except (StrategyError, InvariantViolation) as error:
                if failure is None or isinstance(error, StrategyError):
                    failure, at_callback = error, self.callbacks
                self.muted = self.muted or isinstance(error, StrategyError)
        if failure is not None:
            self.callbacks = at_callback
            raise failure

    # Orders of the engine's own.

    def place_exit(self, book: SymbolBook, chain: RiskChain) -> Order:
        """An order at market that closes a position, or as much of it as one order may be, of which the
        strategy hears nothing.

        Raises:
            Refused: ``chain`` denies it, or the adapter cannot express it.
        """
        side = Side.SELL if book.quantity > 0 else Side.BUY
        last = book.last()
        price = None if last is None else Decimal(repr(last))
        tif = self.desk.usual(book)
        size = book.instrument.market_part(abs(book.quantity), price)
        size = whole_where_needed(self.capabilities, size, [(_MARKET, tif)], [])
        if not size:
            raise Refused("too_small", f"{abs(book.quantity)} units are less than can be traded")
        request = OrderRequest(book.symbol, side, size, None, _MARKET, tif)
        proposal = Proposal(book.symbol, book.instrument, side, size, request=request, reduces=True)
        proposal.price = price
        proposal.position = proposal.worst_long = proposal.worst_short = book.quantity
        denial = chain.check(proposal)
        if denial is not None:
            raise Refused(denial.code, denial.text)
        trigger = f"exit:{book.symbol}:{self.orders_placed}"
        ref = OrderRef(self.ids.make(trigger, 0), book.symbol, decided_at=self.when())
        if self.settings.prepare is not None:
            (ref,) = prepared(self.settings.prepare, request, (ref,))
        order = Order(book, ref, request, self.now, last)
        self.own.add(order.id)
        self.effects.append(SubmitOrder(ref, request))
        self.admit(order)
        self._settle()
        return order

    def drop_decision(self) -> None:
        """Take back every submit and replacement of the present input: a callback failed after it."""
        for effect in self.effects[:]:
            if isinstance(effect, SubmitOrder | SubmitGroup):
                ref = effect.ref if isinstance(effect, SubmitOrder) else effect.refs[0]
                order = self.orders.get(ref.client_order_id)
                if order is not None and not order.status.terminal and order.id == ref.client_order_id:
                    self.withdraw(order, "callback_failed")
            elif isinstance(effect, ReplaceOrder | RetireOrder):
                order = self.orders.pop(effect.new_ref.client_order_id, None)
                if order is not None:
                    order.version -= 1
                    order.drop_change(order.text, asked=False)
                    order.reserve()
                    if order.status.terminal:
                        self.changed(order)
                    self.retirements.pop(order.id, None)
        # The next version of an order was decided on before; what failed may still shut the gate before it.
        self.effects[:] = [
            effect
            for effect in self.effects
            if isinstance(effect, SubmitOrder)
            and self.orders[effect.ref.client_order_id].id != effect.ref.client_order_id
        ]

    # What differs from a replay.

    def _failed(self, callback: str, error: BaseException, mark: int) -> StrategyError:
        # A replacement that is dropped was never made: neither its number nor a word of it stays.
        made = [each for each in self.effects[mark:] if isinstance(each, ReplaceOrder | RetireOrder)]
        orders = [(order, order.text) for each in made if (order := self._named_by(each)) is not None]
        failure = super()._failed(callback, error, mark)
        for order, text in orders:
            order.version -= 1
            order.text = text
            self.retirements.pop(order.id, None)
        return failure

    def instant(self) -> int:
        return self.at or self.now

    def retire(self, order: Order, change: OrderChange, new_ref: OrderRef) -> None:
        super().retire(order, change, new_ref)
        self.retirements[order.id] = Retirement(change, new_ref)

    def revoke(self, order: Order) -> None:
        super().revoke(order)
        self.retirements.setdefault(order.id, Retirement()).revoked = True

    def refuse_next(self, order: Order, text: str) -> None:
        super().refuse_next(order, text)
        self.texts.pop(order.id, None)
        self.retirements.setdefault(order.id, Retirement()).refused = text

    def next_id(self) -> str:
        # A feed may tell of one gap twice; the orders of the second time are not those of the first.
        name = super().next_id()
        while self.order_of(name) is not None:
            name = super().next_id()
        return name

    def tell_fill(self, order: Order, fill: BrokerFill, booking: Booking, book: SymbolBook) -> None:
        if order.id not in self.own:
            super().tell_fill(order, fill, booking, book)

    def tell_order(self, order: Order) -> None:
        if order.id not in self.own:
            super().tell_order(order)

    def alert(self, severity: str, code: str, message: str, symbol: str | None = None) -> None:
        self.notes.append(Alert(from_ns(self.at or self.now), severity, code, message, symbol))

    def withdraw(self, order: Order, reason: str) -> None:
        for each in (order,) if order.group is None else order.group.legs:
            each.handed_over = False
        super().withdraw(order, reason)

    def order_of(self, client_order_id: str | None) -> Order | None:
        """The order with a version of this name, open or over."""
        if client_order_id is None:
            return None
        return self.orders.get(client_order_id) or self.ended.get(client_order_id)

    def bound_to(self, symbol: str, broker_order_id: str | None) -> Order | None:
        """The order that the broker knows by that name."""
        if not broker_order_id:
            return None
        book = self.books.get(symbol)
        for order in () if book is None else tuple(book.orders.values()):
            if called(order, broker_order_id):
                return order
        for order in reversed(self.ended.values()):
            if order.symbol == symbol and called(order, broker_order_id):
                return order
        return None

    def in_flight(self, symbol: str) -> bool:
        """Whether an order of that symbol may bear a broker's id that is not known here yet."""
        book = self.books.get(symbol)
        waiting = (OrderStatus.PENDING, OrderStatus.UNKNOWN)
        return book is not None and any(
            order.status in waiting or (order.change is not None and not order.retiring)
            for order in book.orders.values()
        )

    # Within.

    def _named_by(self, effect: ReplaceOrder | RetireOrder) -> Order | None:
        return self.orders.get(effect.new_ref.client_order_id)

    def _call(self, name: str, callback: Callable[..., None], *arguments: Any) -> None:
        self.callbacks += 1
        if self.callbacks == self.fails_at:
            self.trigger = None
            kind = type(self.strategy).__qualname__
            raise StrategyError(f"{kind}.{name} failed when it was called", strategy=kind, callback=name)
        if self.muted:
            self.trigger = None
            return
        super()._call(name, callback, *arguments)

    def _append(self, bar: Bar) -> None:
        book = self.books.get(bar.symbol)
        if book is None:
            return
        start, end = to_ns(bar.start), to_ns(bar.end)
        try:
            book.series.append(start, end, bar.open, bar.high, bar.low, bar.close, bar.volume)
        except DataError as error:
            self.alert("warning", "bad_bar", str(error), bar.symbol)
            return
        self.lanes[id(book.cursor)].advance()

    @contextmanager
    def _noting(
        self,
        kind: str,
        event: BrokerFill | FillCorrection | FeeReport | CashFlow | PositionChange,
        symbol: str | None = None,
        noted: tuple[str, int] | None = None,
    ) -> Iterator[None]:
        booked = self.booked
        book = None if symbol is None else self.books.get(symbol)
        before = Decimal(0) if book is None else book.quantity
        try:
            yield
        finally:
            # Also where a callback failed: what was reported is booked all the same.
            if self.booked != booked:
                after = Decimal(0) if book is None else book.quantity
                self.facts.append(Fact(kind, event, symbol, before, after, *(noted or ())))
            self.moves.clear()

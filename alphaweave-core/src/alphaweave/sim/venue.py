"""The simulated venue: orders in, events out. Synchronous, without I/O and without a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any

from alphaweave.core.clock import to_ns
from alphaweave.core.drafts import drafted
from alphaweave.core.errors import (
    CancelRejected,
    OrderState,
    OutcomeUnknown,
    ReplaceRejected,
    StateMismatch,
    StateSchemaTooNew,
)
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import (
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from alphaweave.data.series import Series
from alphaweave.live.reports import BrokerAccountState, BrokerFill, BrokerOrder, OrderUpdate
from alphaweave.sim.account import Account
from alphaweave.sim.admission import Admission, Refusal
from alphaweave.sim.book import OrderBook
from alphaweave.sim.execution import Executor
from alphaweave.sim.express import Express, goes_straight
from alphaweave.sim.market import Market
from alphaweave.sim.matching import Place
from alphaweave.sim.orders import SimGroup, SimOrder, broker_order, one_shot
from alphaweave.sim.passes import Passes
from alphaweave.sim.replacement import changed, left_after, not_replaced, take_over
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.snapshot import Mark, changed_book, readable, restore_book, snapshot_book
from alphaweave.sim.waiting import Waiting

__all__ = ["SimVenue"]

_VERSION = 1
_Ref = drafted(OrderRef)
# An enum member looked up in its class costs several times what a module's own name costs.
_BUY, _MARKET, _LAST = Side.BUY, OrderType.MARKET, Place.LAST
_GTD, _AT_OPEN, _AT_CLOSE = TimeInForce.GTD, TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE


class SimVenue:
    """A venue that matches orders against bars, by the rules of ``docs/simulation.md``.

    Instants are nanoseconds since the epoch, UTC; one that lies before an earlier call's counts as that
    one. Prices may move (a cursor of the board, that is) only when time does, or before ``on_slice``.

    Attributes:
        working: the orders that are not ended; falsy when there are none, and ``on_slice`` may then be
            left out.
    """

    def __init__(
        self,
        *,
        instruments: Mapping[str, Instrument],
        board: Mapping[str, Series] | None = None,
        settings: VenueSettings,
        cash: Decimal,
        currency: str,
        account: str = "sim",
        seed: int = 0,
    ) -> None:
        self._at_last = settings.fill_at == "last"
        self._latency = settings.latency_ns
        self._market = Market({} if board is None else board, settings.session_timezone)
        waiting = Waiting(self._market)
        self._awake = waiting.awake
        self._book = OrderBook(settings.history, waiting)
        self._account = Account(account, currency, cash, instruments, self._market, settings, waiting)
        self._admission = Admission(instruments, self._market, self._account, settings, currency)
        self._executor = Executor(account, self._account, self._book, instruments, settings, Random(seed))
        self._passes = Passes(
            self._market,
            self._book,
            self._account,
            self._executor,
            instruments,
            gap_improves=settings.limit_fill == "open_or_limit",
        )
        self._refused = {fault.nth: fault.reason for fault in settings.faults if fault.kind == "reject_order"}
        self._unkind = {fault.nth: fault.reason for fault in settings.faults if fault.kind == "cancel_reject"}
        self._settings = settings
        self._instruments = instruments
        self._cancels = 0
        self.working = self._book.working

    @property
    def board(self) -> Mapping[str, Series]:
        """The market it sees: symbol -> series; the row before ``cursor.count`` is the current bar."""
        return self._market.board

    @board.setter
    def board(self, board: Mapping[str, Series]) -> None:
        self._market.board = board

    @property
    def events(self) -> list[BrokerFill | OrderUpdate]:
        """What happened since the last `take`, in order."""
        return self._book.events

    @property
    def fills_complete_from(self) -> int:
        """`fills` has every fill booked at or after this instant (ns); later than 0 only when
        ``settings.history`` made it forget some."""
        return self._book.complete_from

    def express(self) -> Express | None:
        """The straight way for market orders, on the present board; None where these settings leave an order
        more to meet on its way than the next open."""
        if self._market.board and goes_straight(self._settings, self._instruments, self._account.currency):
            return Express(
                self._account, self._market, self._book, self._executor, self._settings, self._instruments
            )
        return None

    def take(self) -> list[BrokerFill | OrderUpdate]:
        """Hand over what happened since the last call."""
        events = self._book.events
        self._book.events = []
        return events

    def submit(self, ref: OrderRef, request: OrderRequest, now: int) -> None:
        """Take an order; what becomes of it is told by events, a refusal too.

        Raises:
            OutcomeUnknown: the client order id was used before.
        """
        book = self._book
        if now > book.now:
            book.now = now
        else:
            now = book.now
        if ref.client_order_id in book.by_client:
            raise _duplicate(ref)
        if ref.decided_at is not None:
            book.reuse(ref.decided_at, now)
        book.submissions += 1
        refusal = self._scripted() if self._refused else None
        if refusal is None:
            refusal = self._admission.order(request, now)
        order = self._order(ref, request, now)
        if refusal is not None:
            book.reject(order, refusal.reason, refusal.text)
            return
        book.accept(order)
        if self._at_last and request.type is _MARKET:
            self._fill_at_last(order)

    def submit_group(self, refs: Sequence[OrderRef], group: OrderGroup, now: int) -> None:
        """Take a bracket or an OCO, whole or not at all; ``refs`` are in the order of ``group.legs``.

        Raises:
            OutcomeUnknown: a client order id was used before.
        """
        book = self._book
        now = book.tick(now)
        names: set[str] = set()
        for ref in refs:
            if ref.client_order_id in book.by_client or ref.client_order_id in names:
                raise _duplicate(ref)
            names.add(ref.client_order_id)
        legs = group.legs
        # Every leg counts as a submission, also after one was refused.
        refusal: Refusal | None = None
        for _ in refs:
            book.submissions += 1
            refusal = refusal or self._scripted()
        refusal = refusal or self._admission.group(group, now)
        orders = [self._order(ref, leg, now) for ref, leg in zip(refs, legs, strict=True)]
        if refusal is not None:
            for order in orders:
                book.reject(order, refusal.reason, refusal.text)
            return
        entry = orders[0] if group.entry is not None else None
        made = SimGroup(orders[-1].seq, None if entry is None else entry.seq, orders[-2].seq, orders[-1].seq)
        book.groups[made.id] = made
        for order in orders:
            order.group = made.id
            order.held = entry is not None and order is not entry
            book.accept(order)
        if entry is not None and self._at_last and entry.request.type is _MARKET:
            self._fill_at_last(entry)

    def cancel(self, client_order_id: str, now: int) -> None:
        """End an order; an exit of a group takes the other exit with it.

        Raises:
            CancelRejected: no such order is working, or a scripted fault refuses it.
        """
        self._book.tick(now)
        order = self._book.by_client.get(client_order_id)
        if order is None:
            raise CancelRejected(
                f"no order {client_order_id} here: look it up, it may never have arrived",
                code="unknown_order",
            )
        if order.status.terminal:
            raise CancelRejected(
                f"order {client_order_id} has ended already ({order.status.value})",
                order_state=OrderState.GONE,
                code="not_working",
            )
        self._cancels += 1
        reason = self._unkind.get(self._cancels)
        if reason is not None:
            raise CancelRejected(
                f"the cancel of {client_order_id} is refused by a scripted fault",
                order_state=OrderState.ALIVE,
                code=reason,
            )
        self._book.end(order, OrderStatus.CANCELLED, "requested")

    def cancel_all(self, symbols: Sequence[str] | None, now: int) -> None:
        """End every working order in ``symbols`` (None: all of them).

        Raises:
            CancelRejected: a scripted fault refused at least one; all others are ended.
        """
        self._book.tick(now)
        refusal: CancelRejected | None = None
        for order in list(self.working.values()):
            if order.seq in self.working and (symbols is None or order.ref.symbol in symbols):
                try:
                    self.cancel(order.ref.client_order_id, now)
                except CancelRejected as error:
                    refusal = error
        if refusal is not None:
            raise refusal

    def replace(self, client_order_id: str, new_ref: OrderRef, change: OrderChange, now: int) -> None:
        """End a version of an order and put a changed one in its place.

        Raises:
            ReplaceRejected: refused; ``order_state`` says whether the order still works.
            OutcomeUnknown: the new client order id was used before.
        """
        book = self._book
        now = book.tick(now)
        if new_ref.client_order_id in book.by_client:
            raise _duplicate(new_ref)
        old = book.by_client.get(client_order_id)
        if old is None or old.status.terminal:
            raise ReplaceRejected(
                f"no order {client_order_id} is working here", order_state=OrderState.GONE, code="not_working"
            )
        request = changed(old, change)
        refusal = self._admission.order(request, now, units=left_after(old, change), exposed=not old.held)
        if refusal is not None:
            raise not_replaced(old, refusal.reason, refusal.text)
        new = self._order(new_ref, request, now)
        take_over(old, new, change)
        book.replace(old, new)

    def on_slice(self, end: int) -> None:
        """Match the working orders against the bars that end at ``end``; call it before anyone acts on
        those bars."""
        book, market = self._book, self._market
        # Conditions, for a call of `max` costs ten times as much.
        book.now = end if end > book.now else book.now
        market.seen = end if end > market.seen else market.seen
        self._passes.run(end)

    def idle(self, slices: int) -> int:
        """How many of the next ``slices`` certainly leave every working order untouched, so that
        ``on_slice`` may be left out for them while no order is added or changed.

        The board must not show those slices yet, and all its series must advance together.
        """
        return 0 if self._awake else self._book.waiting.idle(slices)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """One order version, ended ones too as far as ``settings.history`` goes."""
        order = self._book.by_client.get(client_order_id)
        return None if order is None else self._found(order)

    def open_orders(self) -> list[BrokerOrder]:
        """Every order that is not ended, held exits too, in the order of matching."""
        return [self._found(order) for order in self.working.values()]

    def fills(self, since: int) -> list[BrokerFill]:
        """Executions booked at or after ``since``, oldest first."""
        return [fill for booked, fill in self._book.fills if booked >= since]

    def account_state(self, now: int) -> BrokerAccountState:
        """Balances, positions and equity at the last prices."""
        return self._account.state(now)

    def snapshot(self) -> dict[str, Any]:
        """Everything needed to go on later, as JSON-able values."""
        return {**self._present(), "rng": self._rng(), "book": snapshot_book(self._book)}

    def changes(self, mark: Mark) -> dict[str, Any]:
        """What a snapshot would say otherwise than it did at ``mark``, which moves on to here.

        `alphaweave.sim.snapshot.merged` makes a snapshot of all of them, from a fresh mark on.

        Raises:
            ValueError: the venue forgets its past.
        """
        if self._settings.history is not None:
            raise ValueError("a venue that forgets has no record of changes: leave `history` at None")
        found = {**self._present(), "book": changed_book(self._book, mark)}
        rng = self._rng()
        if rng != mark.rng:
            found["rng"] = mark.rng = rng
        return found

    def _present(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "account_id": self._account.name,
            "currency": self._account.currency,
            "seen": self._market.seen,
            "executions": self._executor.executions,
            "submissions": self._book.submissions,
            "cancels": self._cancels,
            "account": self._account.snapshot(),
        }

    def _rng(self) -> list[Any]:
        version, internal, gauss = self._executor.rng.getstate()
        return [version, list(internal), gauss]

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on where `snapshot` was taken; the settings and instruments must be the same.

        Raises:
            StateSchemaTooNew: a newer version of AlphaWeave wrote it.
            StateMismatch: it is another account's.
            StateCorrupt: a part is missing or cannot be read. The venue is of no use then.
        """
        with readable():
            if snapshot["version"] > _VERSION:
                raise StateSchemaTooNew(
                    f"the simulated venue's state has version {snapshot['version']}, and this program reads "
                    f"up to {_VERSION}: upgrade alphaweave-core"
                )
            owner = (snapshot["account_id"], snapshot["currency"])
            if owner != (self._account.name, self._account.currency):
                raise StateMismatch(
                    f"the state is of the simulated account {owner[0]} in {owner[1]}, this venue is "
                    f"{self._account.name} in {self._account.currency}"
                )
            version, internal, gauss = snapshot["rng"]
            self._executor.rng.setstate((version, tuple(internal), gauss))
            self._market.seen = snapshot["seen"]
            self._executor.executions = snapshot["executions"]
            self._book.submissions = snapshot["submissions"]
            self._cancels = snapshot["cancels"]
            self._account.restore(snapshot["account"])
            restore_book(self._book, snapshot["book"])

    def _found(self, order: SimOrder) -> BrokerOrder:
        return broker_order(order, self._book.at(self._book.now), self._book.at(order.submitted))

    def _order(self, ref: OrderRef, request: OrderRequest, now: int) -> SimOrder:
        book = self._book
        book.issued = seq = book.issued + 1
        order = SimOrder(
            seq,
            _Ref(ref.client_order_id, ref.symbol, f"sim-{seq}", ref.wire, ref.decided_at),
            request,
            request.side is _BUY,
            request.quantity,
            now,
            now + self._latency,
            one_shot(request.tif),
        )
        if request.quantity is None:
            order.quote_left = request.quote_quantity
        tif = request.tif
        if tif is _GTD:
            assert request.expire_at is not None
            order.expires = to_ns(request.expire_at)
        elif tif is _AT_OPEN:
            bar = self._market.last_bar(request.symbol)
            order.session = None if bar is None else self._market.session(bar.end)
        if request.trail is not None:
            order.best = self._market.last_close(request.symbol)
        return order

    def _scripted(self) -> Refusal | None:
        reason = self._refused.get(self._book.submissions)
        return None if reason is None else Refusal(reason, "refused by a scripted fault")

    def _fill_at_last(self, order: SimOrder) -> None:
        bar = self._market.last_bar(order.ref.symbol)
        tif = order.request.tif
        if bar is None or tif is _AT_OPEN or tif is _AT_CLOSE:
            return
        self._executor.execute(order, bar, (bar.close, _LAST, False, True))
        if order.once and order.seq in self.working:
            self._book.end(order, OrderStatus.EXPIRED, "ioc_remainder")


def _duplicate(ref: OrderRef) -> OutcomeUnknown:
    # Told by raising: an event would be taken for one of the order that has this id.
    return OutcomeUnknown(
        f"client order id {ref.client_order_id} was used before: look up what it names; every order version "
        "needs its own",
        code="duplicate_client_order_id",
    )
